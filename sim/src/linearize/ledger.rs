//! The model once more, for long orders that are replayed whole: a walk over a history's numbers, with an entry by the
//! number of each key.
//!
//! It says *yes* to an order or nothing at all: lists, appends and large values are left to [`super::model`], and so is
//! the explanation of what does not fit. That it never says yes where the model would not is tested on every order that
//! the layers give, and on falsified ones.

use super::model::{REPLY_ROOM, VALUE_OVERHEAD};
use crate::history::{
    History, Marks,
    numbers::{Asked, Fate, NO_REVISION, NONE, Numbered, Numbers, Part, Told},
};

/// One key; its marks count while there is a value.
#[derive(Clone, Copy)]
struct Entry {
    /// The number of its value, or `NONE`.
    value: u32,
    marks: Marks,
}

/// The store.
pub struct Ledger<'h> {
    numbers: &'h Numbers,
    entries: Vec<Entry>,
    revision: u64,
    /// How many keys are there.
    there: u64,
}

/// Whether an order is a linearization for sure; see [`super::certify`].
pub fn replays(history: &History, order: &[usize]) -> bool {
    let operations = &history.numbers().operations[..];
    let Some(mut ledger) = Ledger::new(history) else { return false };
    let mut seen = vec![0u64; operations.len().div_ceil(64)];
    let mut latest_begin = 0;
    for &id in order {
        let Some(operation) = operations.get(id) else { return false };
        let (word, bit) = (&mut seen[id / 64], 1 << (id % 64));
        let fits = *word & bit == 0 && latest_begin <= operation.deadline;
        if !fits || ledger.step(operation) != Some(true) {
            return false;
        }
        *word |= bit;
        latest_begin = latest_begin.max(operation.earliest);
    }
    let left_out = |id: &usize| seen[id / 64] >> (id % 64) & 1 == 0;
    order.len() == operations.len()
        || !(0..operations.len()).filter(left_out).any(|id| matches!(operations[id].fate, Fate::Done(_)))
}

impl<'h> Ledger<'h> {
    /// The store in the beginning, if no reply can have been cut short for want of room, which is not looked into here.
    pub fn new(history: &'h History) -> Option<Self> {
        let numbers = history.numbers();
        let most = numbers.values.longest().saturating_add(VALUE_OVERHEAD).saturating_mul(numbers.most_parts);
        if most > REPLY_ROOM {
            return None;
        }
        let missing = Entry { value: NONE, marks: Marks { created: 0, modified: 0, version: 0 } };
        let mut ledger = Ledger { numbers, entries: vec![missing; numbers.keys.len()], revision: 0, there: 0 };
        for (key, value) in &numbers.initial {
            ledger.there += u64::from(ledger.entries[*key as usize].value == NONE);
            ledger.entries[*key as usize] =
                Entry { value: *value, marks: Marks { created: 0, modified: 0, version: 1 } };
        }
        Some(ledger)
    }

    /// The revision of the last request that changed something.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Performs an operation. Returns whether that fits its outcome; `None` if it is not known how.
    #[inline]
    pub fn step(&mut self, operation: &Numbered) -> Option<bool> {
        let expected = match operation.fate {
            Fate::Done(revision) => revision,
            Fate::Unknown => NO_REVISION,
            Fate::NotDone => return Some(false),
        };
        let (mut fits, mut changes) = (true, false);
        for part in self.numbers.parts_of(operation) {
            let (fit, changed) = self.perform(part, expected != NO_REVISION)?;
            fits &= fit;
            changes |= changed;
        }
        self.revision += u64::from(changes);
        Some(fits && (expected == NO_REVISION || expected == self.revision))
    }

    /// Whether the answer fits, in its revisions too if it is to be `exact`, and whether something changed. An answer
    /// that is not told is one only where no revisions are.
    #[inline]
    fn perform(&mut self, part: &Part, exact: bool) -> Option<(bool, bool)> {
        let revision = self.revision + 1;
        let untold = part.told == Told::Untold && !exact;
        if part.asked == Asked::Count {
            return Some((untold || part.told == Told::Count(self.there), false));
        }
        let entry = self.entries.get_mut(part.key as usize)?;
        let now = if entry.value == NONE { NO_REVISION } else { entry.marks.modified };
        let same = |modified: u64, expected: u64| !exact || modified == expected;
        Some(match (part.asked, part.told) {
            (Asked::Get, Told::Missing) => (entry.value == NONE, false),
            (Asked::Get, Told::Value { value, marks }) => {
                let alike = || self.numbers.marks.get(marks as usize) == Some(&entry.marks);
                (value == entry.value && (!exact || alike()), false)
            }
            (Asked::Exists, Told::Exists { there, modified }) => {
                (there == (entry.value != NONE) && same(modified, now), false)
            }
            (Asked::Get | Asked::Exists, _) => (untold, false),
            (Asked::Put(value), told) => {
                self.there += u64::from(entry.put(value, revision));
                (untold || matches!(told, Told::Written { modified } if same(modified, revision)), true)
            }
            (Asked::Delete, told) => {
                let found = std::mem::replace(&mut entry.value, NONE) != NONE;
                self.there -= u64::from(found);
                (untold || told == Told::Deleted { found }, found)
            }
            (Asked::Cas { expected, value }, told) if expected == entry.value => {
                self.there += u64::from(entry.put(value, revision));
                (untold || matches!(told, Told::Swapped { modified } if same(modified, revision)), true)
            }
            (Asked::Cas { .. }, told) => {
                (untold || matches!(told, Told::NotSwapped { modified } if same(modified, now)), false)
            }
            (Asked::Append(_) | Asked::Many | Asked::Count, _) => return None,
        })
    }
}

impl Entry {
    /// Writes a value. Returns whether there was none.
    fn put(&mut self, value: u32, revision: u64) -> bool {
        let is_new = std::mem::replace(&mut self.value, value) == NONE;
        self.marks = match is_new {
            true => Marks { created: revision, modified: revision, version: 1 },
            false => Marks { modified: revision, version: self.marks.version + 1, ..self.marks },
        };
        is_new
    }
}

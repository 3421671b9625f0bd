//! The model once more, for long orders that are replayed whole: keys in one table, values and answers where the
//! history has them.
//!
//! It says *yes* to an order or nothing at all: lists, appends and large values are left to [`super::model`], and so is
//! the explanation of what does not fit. That it never says yes where the model would not is tested on every order that
//! the layers give, and on falsified ones.

use super::model::{REPLY_ROOM, VALUE_OVERHEAD};
use crate::history::{Answer, History, Marks, Operation, Outcome, Verb};

/// No entry.
const NONE: u32 = u32::MAX;
/// Names that are longer than this are told apart by their bytes, others by their tag.
const SHORT: usize = 7;

/// How many operations are looked at ahead.
const AHEAD: usize = 32;

/// One key.
struct Entry<'h> {
    tag: u64,
    name: &'h [u8],
    value: Option<&'h [u8]>,
    marks: Marks,
}

/// The store.
pub struct Ledger<'h> {
    entries: Vec<Entry<'h>>,
    table: Vec<u32>,
    revision: u64,
    /// How many keys are there.
    there: u64,
}

/// Whether an order is a linearization for sure; see [`super::certify`].
pub fn replays(history: &History, order: &[usize]) -> bool {
    let operations = history.operations();
    let mut ledger = Ledger::new(history);
    let mut seen = vec![0u64; operations.len().div_ceil(64)];
    let mut latest_begin = 0;
    let mut tags = [0; AHEAD];
    for ids in order.chunks(AHEAD) {
        // What operations are about lies about in memory. Looked up by itself, it comes many at a time.
        for (found, id) in tags.iter_mut().zip(ids) {
            let Some(operation) = operations.get(*id) else { return false };
            *found = operation.request.first().and_then(Verb::key).map_or(0, |key| tag(&key.0));
        }
        for (&id, tag) in ids.iter().zip(&tags) {
            let operation = &operations[id];
            let (word, bit) = (&mut seen[id / 64], 1 << (id % 64));
            let fits = *word & bit == 0 && latest_begin <= operation.deadline();
            if !fits || ledger.step_tagged(operation, *tag) != Some(true) {
                return false;
            }
            *word |= bit;
            latest_begin = latest_begin.max(operation.earliest());
        }
    }
    let left_out = |id: &usize| seen[id / 64] >> (id % 64) & 1 == 0;
    order.len() == operations.len()
        || !(0..operations.len()).filter(left_out).any(|id| matches!(operations[id].outcome, Outcome::Done { .. }))
}

impl<'h> Ledger<'h> {
    /// The store in the beginning.
    pub fn new(history: &'h History) -> Self {
        let mut ledger = Ledger { entries: Vec::new(), table: vec![NONE; 64], revision: 0, there: 0 };
        for (key, value) in history.initial() {
            let at = ledger.entry(tag(&key.0), &key.0);
            let entry = &mut ledger.entries[at];
            entry.value = Some(&value.0);
            entry.marks = Marks { created: 0, modified: 0, version: 1 };
            ledger.there += 1;
        }
        ledger
    }

    /// The revision of the last request that changed something.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Performs an operation. Returns whether that fits its outcome; `None` if it is not known how.
    pub fn step(&mut self, operation: &'h Operation) -> Option<bool> {
        let tag = operation.request.first().and_then(Verb::key).map_or(0, |key| tag(&key.0));
        self.step_tagged(operation, tag)
    }

    /// The same, if the tag of the first key is known.
    fn step_tagged(&mut self, operation: &'h Operation, first: u64) -> Option<bool> {
        let (told, expected) = match &operation.outcome {
            Outcome::Done { revision, answers } => (Some(&answers[..]), *revision),
            Outcome::Unknown => (None, None),
            Outcome::NotDone => return Some(false),
        };
        let request = &operation.request;
        let mut fits = told.is_none_or(|told| told.len() == request.len());
        let (revision, mut room, mut changes) = (self.revision + 1, REPLY_ROOM, false);
        for (at, verb) in request.iter().enumerate() {
            let told = told.and_then(|told| told.get(at)).unwrap_or(&Answer::Untold);
            let tag = if at == 0 { first } else { verb.key().map_or(0, |key| tag(&key.0)) };
            let (fit, changed) = self.verb(verb, tag, told, (revision, expected.is_some()), &mut room)?;
            // An answer that is not told is one only where no revisions are.
            fits &= fit && (expected.is_none() || !matches!(told, Answer::Untold));
            changes |= changed;
        }
        if changes {
            self.revision = revision;
        }
        Some(fits && expected.is_none_or(|expected| expected == self.revision))
    }

    /// Whether the answer fits, in its revisions too if it is to be `exact`, and whether something changed.
    fn verb(
        &mut self,
        verb: &'h Verb,
        tag: u64,
        told: &Answer,
        (revision, exact): (u64, bool),
        room: &mut usize,
    ) -> Option<(bool, bool)> {
        let key = match verb {
            Verb::Count => return Some((matches!(told, Answer::Untold) || *told == Answer::Count(self.there), false)),
            Verb::List { .. } | Verb::Append { .. } => return None,
            verb => verb.key()?,
        };
        let at = self.entry(tag, &key.0);
        let entry = &mut self.entries[at];
        let untold = matches!(told, Answer::Untold);
        let now = (entry.value.is_some()).then_some(entry.marks.modified);
        let same = |modified: &Option<u64>, expected: Option<u64>| !exact || *modified == expected;
        Some(match verb {
            Verb::Get { .. } => {
                *room = room.checked_sub(entry.value.map_or(0, |value| value.len() + VALUE_OVERHEAD))?;
                let fits = match (told, entry.value) {
                    (Answer::Missing, None) => true,
                    (Answer::Value { value, marks }, Some(here)) => {
                        value.0 == *here && (!exact || *marks == Some(entry.marks))
                    }
                    _ => untold,
                };
                (fits, false)
            }
            Verb::Exists { .. } => match told {
                Answer::Exists { there, modified } => (*there == now.is_some() && same(modified, now), false),
                _ => (untold, false),
            },
            Verb::Put { value, .. } => {
                self.put(at, &value.0, revision);
                (untold || matches!(told, Answer::Written { modified } if same(modified, Some(revision))), true)
            }
            Verb::Delete { .. } => {
                let is_there = entry.value.take().is_some();
                self.there -= u64::from(is_there);
                (untold || *told == Answer::Deleted { found: is_there }, is_there)
            }
            Verb::Cas { expected, value, .. } if entry.value == expected.as_ref().map(|expected| &expected.0[..]) => {
                self.put(at, &value.0, revision);
                (untold || matches!(told, Answer::Swapped { modified } if same(modified, Some(revision))), true)
            }
            Verb::Cas { .. } => {
                (untold || matches!(told, Answer::NotSwapped { modified } if same(modified, now)), false)
            }
            Verb::Count | Verb::List { .. } | Verb::Append { .. } => return None,
        })
    }

    fn put(&mut self, at: usize, value: &'h [u8], revision: u64) {
        let entry = &mut self.entries[at];
        if entry.value.replace(value).is_some() {
            entry.marks = Marks { modified: revision, version: entry.marks.version + 1, ..entry.marks };
        } else {
            entry.marks = Marks { created: revision, modified: revision, version: 1 };
            self.there += 1;
        }
    }

    /// The place of a key among the entries, where it is put if it is not there.
    fn entry(&mut self, tag: u64, name: &'h [u8]) -> usize {
        let mut at = self.place(tag, name);
        if self.table[at] == NONE {
            if self.table.len() <= self.entries.len() * 2 {
                self.table = vec![NONE; self.table.len() * 4];
                for number in 0..self.entries.len() {
                    let at = self.place(self.entries[number].tag, self.entries[number].name);
                    self.table[at] = number as u32;
                }
                at = self.place(tag, name);
            }
            self.table[at] = self.entries.len() as u32;
            let marks = Marks { created: 0, modified: 0, version: 0 };
            self.entries.push(Entry { tag, name, value: None, marks });
        }
        self.table[at] as usize
    }

    fn place(&self, tag: u64, name: &[u8]) -> usize {
        let mask = self.table.len() - 1;
        let mut at = (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while let Some(entry) = self.entries.get(self.table[at] as usize) {
            if entry.tag == tag && (name.len() <= SHORT || entry.name == name) {
                break;
            }
            at = (at + 1) & mask;
        }
        at
    }
}

/// What a short name spells, and how long it is; of a long one, a hash.
fn tag(name: &[u8]) -> u64 {
    match name.len() {
        0..=SHORT => name.iter().fold(name.len() as u64, |number, byte| number << 8 | u64::from(*byte)),
        _ => xxhash_rust::xxh3::xxh3_64(name) | 1 << 63,
    }
}

//! A history in numbers: written down next to its words while it is recorded, so that who judges it walks arrays.
//!
//! Keys and values are numbered by their first mention: equal numbers are equal bytes, and no others are. Nothing is
//! decided here, and nothing left out: what has no place in these numbers is [`Asked::Many`] or [`Told::Other`], and
//! whoever needs more reads the words.

use super::{Answer, Data, Marks, Operation, Outcome, Verb};

/// No number: no value, no marks, no end.
pub const NONE: u32 = u32::MAX;
/// Marks an end among events.
pub const END: u32 = 1 << 31;
/// No revision. Whoever was told this one is taken to have been told [`Told::Other`].
pub const NO_REVISION: u64 = u64::MAX;

/// What a verb asks for; keys and values as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Asked {
    Get,
    Exists,
    Put(u32),
    Append(u32),
    Delete,
    /// `NONE` expects that there is no value.
    Cas {
        expected: u32,
        value: u32,
    },
    Count,
    /// A list, which is about many keys.
    Many,
}

/// What it was answered. A revision that was not told is [`NO_REVISION`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Told {
    /// Nothing: the outcome is unknown, or the answer is not told.
    Untold,
    /// `marks` is a place among [`Numbers::marks`], or `NONE`.
    Value {
        value: u32,
        marks: u32,
    },
    Missing,
    Exists {
        there: bool,
        modified: u64,
    },
    Written {
        modified: u64,
    },
    Deleted {
        found: bool,
    },
    Swapped {
        modified: u64,
    },
    NotSwapped {
        modified: u64,
    },
    Count(u64),
    /// Anything else.
    Other,
}

/// One verb and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The number of its key; `NONE` if it has none.
    pub key: u32,
    /// What is asked.
    pub asked: Asked,
    /// What is answered.
    pub told: Told,
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It never takes effect.
    NotDone,
    /// It may, at any time after its begin.
    Unknown,
    /// It did, at this revision or [`NO_REVISION`].
    Done(u64),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    /// Where its verbs begin, and how many there are.
    pub first: u32,
    /// How many verbs it has.
    pub count: u32,
    /// The event after which it takes effect.
    pub earliest: u32,
    /// The event by which it must have; `NONE`: none.
    pub deadline: u32,
    /// How it ended.
    pub fate: Fate,
}

/// A history's numbers.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Keys.
    pub keys: Names,
    /// Values.
    pub values: Names,
    /// Operations, by their numbers.
    pub operations: Vec<Numbered>,
    /// Their verbs.
    pub parts: Vec<Part>,
    /// Marks that answers told.
    pub marks: Vec<Marks>,
    /// Begins and ends of operations in order, ends with [`END`].
    pub events: Vec<u32>,
    /// Keys and values that are there before anything happens; of the same key, the last one counts.
    pub initial: Vec<(u32, u32)>,
    /// The most verbs of an operation.
    pub most_parts: usize,
    /// Whether some verb appends.
    pub appends: bool,
    /// Whether some read may be stale.
    pub stale: bool,
}

impl Numbers {
    /// This key has this value before anything happens.
    pub(super) fn initially(&mut self, key: &Data, value: &Data) {
        let entry = (self.keys.intern(key), self.values.intern(value));
        self.initial.push(entry);
    }

    /// An operation begins.
    pub(super) fn begin(&mut self, operation: &Operation) {
        self.events.push(self.operations.len() as u32);
        self.ask(operation);
    }

    /// Notes what an operation asks for.
    fn ask(&mut self, operation: &Operation) {
        assert!(self.operations.len() < END as usize, "a history has fewer than 2^31 operations");
        // A history has fewer than 2^32 events.
        let earliest = operation.earliest() as u32;
        let first = self.parts.len() as u32;
        for verb in &operation.request {
            let part = self.part(verb);
            self.parts.push(part);
        }
        let count = operation.request.len();
        self.most_parts = self.most_parts.max(count);
        self.stale |= operation.stale;
        self.operations.push(Numbered { first, count: count as u32, earliest, deadline: NONE, fate: Fate::Unknown });
    }

    /// Operation `id` ends.
    pub(super) fn end(&mut self, id: usize, operation: &Operation) {
        self.events.push(id as u32 | END);
        self.tell(id, operation);
    }

    /// Notes how operation `id` ended.
    fn tell(&mut self, id: usize, operation: &Operation) {
        let Numbered { first, count, .. } = self.operations[id];
        let fate = match &operation.outcome {
            Outcome::NotDone => Fate::NotDone,
            Outcome::Unknown => return,
            Outcome::Done { revision, answers } => {
                let of_verbs = answers.len() == count as usize && *revision != Some(NO_REVISION);
                for (at, place) in (first..first + count).enumerate() {
                    let told = if of_verbs { self.told(&answers[at]) } else { Told::Other };
                    self.parts[place as usize].told = told;
                }
                Fate::Done(revision.unwrap_or(NO_REVISION))
            }
        };
        let deadline = u32::try_from(operation.deadline()).unwrap_or(NONE);
        let numbered = &mut self.operations[id];
        (numbered.fate, numbered.deadline) = (fate, deadline);
    }

    /// The numbers of `operations`, which are some of these with less told of them; `new` has the new number of each of
    /// these, `NONE` for those that are left out.
    pub(super) fn of_some(&self, operations: &[Operation], new: &[u32]) -> Numbers {
        let mut some = Numbers::default();
        for (id, operation) in operations.iter().enumerate() {
            some.ask(operation);
            some.tell(id, operation);
        }
        let renumbered = self.events.iter().map(|event| (new[(event & !END) as usize], event & END));
        some.events = renumbered.filter(|(id, _)| *id != NONE).map(|(id, end)| id | end).collect();
        some
    }

    fn part(&mut self, verb: &Verb) -> Part {
        let key = verb.key().map_or(NONE, |key| self.keys.intern(key));
        let asked = match verb {
            Verb::Get { .. } => Asked::Get,
            Verb::Exists { .. } => Asked::Exists,
            Verb::Count => Asked::Count,
            Verb::List { .. } => Asked::Many,
            Verb::Put { value, .. } => Asked::Put(self.values.intern(value)),
            Verb::Append { value, .. } => {
                self.appends = true;
                Asked::Append(self.values.intern(value))
            }
            Verb::Delete { .. } => Asked::Delete,
            Verb::Cas { expected, value, .. } => Asked::Cas {
                expected: expected.as_ref().map_or(NONE, |expected| self.values.intern(expected)),
                value: self.values.intern(value),
            },
        };
        Part { key, asked, told: Told::Untold }
    }

    fn told(&mut self, answer: &Answer) -> Told {
        let plain = |modified: &Option<u64>| modified.unwrap_or(NO_REVISION);
        match answer {
            Answer::Exists { modified: Some(NO_REVISION), .. }
            | Answer::Written { modified: Some(NO_REVISION) }
            | Answer::Swapped { modified: Some(NO_REVISION) }
            | Answer::NotSwapped { modified: Some(NO_REVISION) } => Told::Other,
            Answer::Value { value, marks } => {
                let place = if marks.is_some() { self.marks.len() as u32 } else { NONE };
                self.marks.extend(marks);
                Told::Value { value: self.values.intern(value), marks: place }
            }
            Answer::Missing => Told::Missing,
            Answer::Exists { there, modified } => Told::Exists { there: *there, modified: plain(modified) },
            Answer::Count(count) => Told::Count(*count),
            Answer::Written { modified } => Told::Written { modified: plain(modified) },
            Answer::Deleted { found } => Told::Deleted { found: *found },
            Answer::Swapped { modified } => Told::Swapped { modified: plain(modified) },
            Answer::NotSwapped { modified } => Told::NotSwapped { modified: plain(modified) },
            Answer::Untold => Told::Untold,
            Answer::Omitted { .. } | Answer::List { .. } | Answer::Error(_) => Told::Other,
        }
    }

    /// The verbs of an operation.
    pub fn parts_of(&self, operation: &Numbered) -> &[Part] {
        &self.parts[operation.first as usize..][..operation.count as usize]
    }
}

/// Names of up to this length are told apart by their tag, longer ones by their bytes too.
const SHORT: usize = 7;

/// Bytes by number, found by hash.
#[derive(Clone, Debug, Default)]
pub struct Names {
    table: Vec<u32>,
    entries: Vec<(u64, Data)>,
    longest: usize,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The length of the longest.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The bytes of a number.
    pub fn bytes(&self, number: u32) -> &[u8] {
        &self.entries[number as usize].1.0
    }

    fn intern(&mut self, name: &Data) -> u32 {
        if self.table.len() <= self.entries.len() * 2 {
            self.grow();
        }
        let tag = tag(&name.0);
        let at = self.place(tag, &name.0);
        if self.table[at] == NONE {
            self.table[at] = self.entries.len() as u32;
            self.entries.push((tag, name.clone()));
            self.longest = self.longest.max(name.0.len());
        }
        self.table[at]
    }

    fn place(&self, tag: u64, name: &[u8]) -> usize {
        let mask = self.table.len() - 1;
        let mut at = (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while let Some((other, bytes)) = self.entries.get(self.table[at] as usize) {
            if *other == tag && (name.len() <= SHORT || bytes.0 == name) {
                break;
            }
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        self.table = vec![NONE; (self.table.len() * 4).max(32)];
        for number in 0..self.entries.len() {
            let (tag, name) = &self.entries[number];
            let at = self.place(*tag, &name.0);
            self.table[at] = number as u32;
        }
    }
}

/// What a short name spells, and how long it is; of a long one, a hash.
fn tag(name: &[u8]) -> u64 {
    match name.len() {
        0..=SHORT => name.iter().fold(name.len() as u64, |number, byte| number << 8 | u64::from(*byte)),
        _ => xxhash_rust::xxh3::xxh3_64(name) | 1 << 63,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    fn put(key: &str, value: &str) -> Vec<Verb> {
        vec![Verb::Put { key: key.into(), value: value.into() }]
    }

    fn written(modified: u64) -> Outcome {
        Outcome::Done { revision: Some(modified), answers: vec![Answer::Written { modified: Some(modified) }] }
    }

    #[test]
    fn equal_numbers_are_equal_bytes() {
        let texts = (0..300).map(|at| "x".repeat(at % 20) + &at.to_string()).collect::<Vec<_>>();
        let mut names = Names::default();
        for _ in 0..2 {
            for (number, text) in (0..).zip(&texts) {
                assert_eq!(names.intern(&text.as_str().into()), number);
                assert_eq!(names.bytes(number), text.as_bytes());
            }
        }
        assert_eq!((names.len(), names.longest()), (300, 22));
    }

    #[test]
    fn what_is_left_of_a_history_keeps_its_moments() {
        let mut history = History::new();
        history.initially("k".into(), "before".into());
        let [first, second, third] = ["a", "b", "c"].map(|value| history.invoke(0, 0, put("k", value)));
        for id in [third, first, second] {
            history.end(0, id, written(1));
        }
        let left = history.weakened(&[second, third], &[true, false]);
        let numbers = left.numbers();
        assert_eq!(numbers.events, [0, 1, 1 | END, END], "of the first nothing is left");
        let told: Vec<_> = numbers.operations.iter().map(|op| (op.earliest, op.deadline, op.fate)).collect();
        assert_eq!(told, [(1, NONE, Fate::Unknown), (2, 3, Fate::Done(1))]);
        assert_eq!((numbers.initial.len(), numbers.parts[0].told), (1, Told::Untold));
    }

    /// The number that stands for none must not pass for none when somebody was told it.
    #[test]
    fn an_answer_of_the_last_revision_there_is_stays_wrong() {
        for (revision, modified) in [(u64::MAX, 1), (1, u64::MAX)] {
            let mut history = History::new();
            let id = history.invoke(0, 0, put("k", "a"));
            let answers = vec![Answer::Written { modified: Some(modified) }];
            history.end(0, id, Outcome::Done { revision: Some(revision), answers });
            assert_eq!(history.numbers().parts[0].told, Told::Other);
            assert!(!crate::linearize::judge_with_witness(&history, &[id]).is_ok());
        }
    }
}

//! What clients asked, what they were told, and when: the only thing linearizability is judged by.
//!
//! A history is a list of operations, each with the places of its two events (begin and end) in one common order of
//! events. An operation precedes another one if it ended before the other began; all else is concurrent. An outcome is
//! *done*, with what was answered; *not done*, a promise that it never took and never will take effect; or *unknown*.
//!
//! A history prints to lines of JSON and parses back ([`text`]); requests and replies of the real store are read by
//! [`store`], what other checkers read by [`foreign`]. What is recorded is written down in [`numbers`] as well, for
//! those who judge it. Nothing here knows the simulator: tests of real clusters record histories too.

pub mod edn;
pub mod foreign;
#[cfg(test)]
mod foreign_tests;
pub mod numbers;
pub mod store;
pub mod text;

use bytes::Bytes;
use numbers::Numbers;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Bytes of a key or a value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Data(pub Bytes);

/// One thing asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Verb {
    /// A key's value.
    Get { key: Data },
    /// Is the key there?
    Exists { key: Data },
    /// How many keys are there?
    Count,
    /// Keys that begin with a prefix, with values.
    List { prefix: Data, limit: u32 },
    /// Write a value.
    Put { key: Data, value: Data },
    /// Write the present value, nothing if there is none, followed by this one. Only foreign stores have it.
    Append { key: Data, value: Data },
    /// Remove a key.
    Delete { key: Data },
    /// Write a value if the present one is as expected; `None`: if there is none.
    Cas { key: Data, expected: Option<Data>, value: Data },
}

impl Verb {
    /// Whether it can change anything.
    pub fn writes(&self) -> bool {
        matches!(self, Verb::Put { .. } | Verb::Append { .. } | Verb::Delete { .. } | Verb::Cas { .. })
    }

    /// The key it is about, if it is about one.
    pub fn key(&self) -> Option<&Data> {
        match self {
            Verb::Get { key }
            | Verb::Exists { key }
            | Verb::Put { key, .. }
            | Verb::Append { key, .. }
            | Verb::Delete { key }
            | Verb::Cas { key, .. } => Some(key),
            Verb::Count | Verb::List { .. } => None,
        }
    }
}

/// When a key was written. All absent if the answer does not tell, as in foreign histories.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// The revision at which it came into being.
    pub created: u64,
    /// The revision of its last write.
    pub modified: u64,
    /// How often it was written since it came into being.
    pub version: u64,
}

/// What one verb was answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are named for what they are")]
pub enum Answer {
    /// Get: this value.
    Value { value: Data, marks: Option<Marks> },
    /// Get: no such key.
    Missing,
    /// Get: the value is too large for what room the reply has left.
    Omitted { size: u64 },
    /// Exists. The revision of the key's last write is told by our own store only.
    Exists { there: bool, modified: Option<u64> },
    /// Count.
    Count(u64),
    /// List: pairs in order, and whether there are more.
    List { pairs: Vec<(Data, Data, Option<Marks>)>, more: bool },
    /// Put or append: done.
    Written { modified: Option<u64> },
    /// Delete: whether the key was there.
    Deleted { found: bool },
    /// Cas: the value was as expected and is replaced.
    Swapped { modified: Option<u64> },
    /// Cas: the value was not as expected; the revision of the key's last write, if it is there and told.
    NotSwapped { modified: Option<u64> },
    /// The request was refused whole by the service. No correct history holds this.
    Error(String),
    /// The verb was performed, and what it answered is not told, as in some foreign histories.
    Untold,
}

impl Answer {
    /// Whether it says that something was changed.
    pub fn changed(&self) -> bool {
        matches!(self, Answer::Written { .. } | Answer::Swapped { .. } | Answer::Deleted { found: true })
    }
}

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It took effect between its two events.
    Done {
        /// The revision at which it did, or saw; absent in foreign histories.
        revision: Option<u64>,
        /// One answer for each verb.
        answers: Vec<Answer>,
    },
    /// It never takes effect.
    NotDone,
    /// It may have taken effect, may do so later, or never.
    Unknown,
}

/// One operation: verbs that take effect together, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Who asked. Says nothing about order: a process may have several operations under way.
    pub process: u64,
    /// What for.
    pub request: Vec<Verb>,
    /// Whether any state that ever was may be answered, however old: only such a state must it be.
    pub stale: bool,
    /// When it began.
    pub began: Moment,
    /// When it ended; `None`: never, as far as is known.
    pub ended: Option<Moment>,
    /// How.
    pub outcome: Outcome,
}

/// A place in the order of events.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment {
    /// Which event, from 0; unique within a history.
    pub event: u64,
    /// When, in nanoseconds.
    pub time: u64,
}

impl Operation {
    /// Whether nothing it asks for can change anything.
    pub fn is_read(&self) -> bool {
        !self.request.iter().any(Verb::writes)
    }

    /// The event after which it takes effect.
    pub fn earliest(&self) -> u64 {
        if self.stale { 0 } else { self.began.event }
    }

    /// The event by which it must have taken effect, if it took effect.
    pub fn deadline(&self) -> u64 {
        match (&self.outcome, self.ended) {
            (Outcome::Done { .. }, Some(ended)) => ended.event,
            _ => u64::MAX,
        }
    }
}

/// Operations in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    events: u64,
    /// Keys that are there before anything happens, at revision 0.
    initial: BTreeMap<Data, Data>,
    numbers: Numbers,
}

impl PartialEq for History {
    /// Numbers follow from the rest, but for the order in which keys and values were first named.
    fn eq(&self, other: &History) -> bool {
        (&self.operations, self.events, &self.initial) == (&other.operations, other.events, &other.initial)
    }
}

impl Eq for History {}

impl History {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The operations, in the order in which they began.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// How many events there were: each has a number below this.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Keys that are there before anything happens.
    pub fn initial(&self) -> &BTreeMap<Data, Data> {
        &self.initial
    }

    /// All of this in numbers.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// This key has this value before anything happens.
    pub fn initially(&mut self, key: Data, value: Data) {
        self.numbers.initially(&key, &value);
        self.initial.insert(key, value);
    }

    /// The operations `keep`, in ascending order, and no others; the outcome of each is unknown where `unknown` says
    /// so.
    pub fn weakened(&self, keep: &[usize], unknown: &[bool]) -> History {
        let weaken = |(id, unknown): (&usize, &bool)| {
            let operation = self.operations[*id].clone();
            if *unknown { Operation { outcome: Outcome::Unknown, ..operation } } else { operation }
        };
        let operations: Vec<Operation> = keep.iter().zip(unknown).map(weaken).collect();
        let mut new = vec![numbers::NONE; self.operations.len()];
        for (number, id) in (0..).zip(keep) {
            new[*id] = number;
        }
        let mut numbers = self.numbers.of_some(&operations, &new);
        self.initial.iter().for_each(|(key, value)| numbers.initially(key, value));
        History { operations, events: self.events, initial: self.initial.clone(), numbers }
    }

    /// An operation begins now. Returns its number, by which it is ended.
    pub fn invoke(&mut self, time: u64, process: u64, request: Vec<Verb>) -> usize {
        self.begin(time, process, request, false)
    }

    /// A read begins now that will do with an old state.
    pub fn invoke_stale(&mut self, time: u64, process: u64, request: Vec<Verb>) -> usize {
        assert!(!request.iter().any(Verb::writes), "only reads can be stale");
        self.begin(time, process, request, true)
    }

    fn begin(&mut self, time: u64, process: u64, request: Vec<Verb>, stale: bool) -> usize {
        assert!(!request.is_empty(), "an operation asks for something");
        let began = self.moment(time);
        let outcome = Outcome::Unknown;
        let operation = Operation { process, request, stale, began, ended: None, outcome };
        self.numbers.begin(&operation);
        self.operations.push(operation);
        self.operations.len() - 1
    }

    /// Operation `id` ends now.
    pub fn end(&mut self, time: u64, id: usize, outcome: Outcome) {
        let ended = self.moment(time);
        let operation = &mut self.operations[id];
        assert!(operation.ended.is_none(), "operation {id} ends once");
        operation.ended = Some(ended);
        operation.outcome = outcome;
        self.numbers.end(id, operation);
    }

    /// Joins histories that were recorded apart, by times of one common clock. Events at the same moment count as
    /// concurrent: a begin goes before an end.
    pub fn merge(parts: Vec<History>) -> History {
        let mut events = Vec::new();
        let mut merged = History::new();
        for (key, value) in parts.iter().flat_map(|part| &part.initial) {
            merged.initially(key.clone(), value.clone());
        }
        for operation in parts.into_iter().flat_map(|part| part.operations) {
            let ended = operation.ended;
            let place = events.len();
            events.push((operation.began.time, 0, place, Some(operation)));
            if let Some(ended) = ended {
                events.push((ended.time, 1, place, None));
            }
        }
        // Both lists below are in order of `place`, the number of an operation's begin among the unsorted events.
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|&at| (events[at].0, events[at].1, events[at].2));
        let mut ids = vec![None; events.len()];
        for at in order {
            let (time, _, place, operation) = &mut events[at];
            match operation.take() {
                Some(Operation { process, request, stale, outcome, .. }) => {
                    ids[*place] = Some((merged.begin(*time, process, request, stale), outcome));
                }
                None => {
                    let (id, outcome) = ids[*place].take().expect("an operation ends after it begins");
                    merged.end(*time, id, outcome);
                }
            }
        }
        merged
    }

    fn moment(&mut self, time: u64) -> Moment {
        assert!(self.events < u64::from(u32::MAX), "a history has fewer than 2^32 events");
        self.events += 1;
        Moment { event: self.events - 1, time }
    }
}

impl From<&[u8]> for Data {
    fn from(bytes: &[u8]) -> Data {
        Data(Bytes::copy_from_slice(bytes))
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Data {
        text.as_bytes().into()
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_orders_by_time_and_takes_ties_for_concurrent() {
        let mut one = History::new();
        let id = one.invoke(5, 1, vec![Verb::Count]);
        one.end(7, id, Outcome::NotDone);
        let mut two = History::new();
        let id = two.invoke(7, 2, vec![Verb::Count]);
        two.end(9, id, Outcome::Unknown);
        let merged = History::merge(vec![two, one]);
        let [first, second] = merged.operations() else { panic!("two operations") };
        assert_eq!((first.process, second.process), (1, 2));
        assert!(second.began < first.ended.unwrap(), "a tie is no precedence");
        assert_eq!(first.outcome, Outcome::NotDone);
    }
}

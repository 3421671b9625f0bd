//! What clients asked, what they were told, and when: the only thing linearizability is judged by.
//!
//! A history is a list of operations, each with the places of its two events (begin and end) in one common order of
//! events. An operation precedes another one if it ended before the other began; all else is concurrent. An outcome is
//! *done*, with what was answered; *not done*, a promise that it never took and never will take effect; or *unknown*.
//!
//! The text form is one JSON object a line, one line an event, in order:
//!
//! ```text
//! {"event":"invoke","id":0,"process":3,"time":1200,"request":[{"put":{"key":"k","value":"v"}}]}
//! {"event":"ok","id":0,"time":5100,"revision":7,"answers":[{"written":{"modified":7}}]}
//! {"event":"fail","id":1,"time":5200}        not done
//! {"event":"info","id":2,"time":5300}        unknown; so is an operation without a second line
//! ```
//! Bytes are a string if they are UTF-8, else `{"hex":"00ff"}`. Times are nanoseconds of any one clock and only for the
//! reader: what counts is the order of the lines.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

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
    /// Remove a key.
    Delete { key: Data },
    /// Write a value if the present one is as expected; `None`: if there is none.
    Cas { key: Data, expected: Option<Data>, value: Data },
}

impl Verb {
    /// Whether it can change anything.
    pub fn writes(&self) -> bool {
        matches!(self, Verb::Put { .. } | Verb::Delete { .. } | Verb::Cas { .. })
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
    /// Put: done.
    Written { modified: Option<u64> },
    /// Delete: whether the key was there.
    Deleted { found: bool },
    /// Cas: the value was as expected and is replaced.
    Swapped { modified: Option<u64> },
    /// Cas: the value was not as expected; the revision of the key's last write, if it is there and told.
    NotSwapped { modified: Option<u64> },
    /// The request was refused whole by the service. No correct history holds this.
    Error(String),
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

    /// The event by which it must have taken effect, if it took effect.
    pub fn deadline(&self) -> u64 {
        match (&self.outcome, self.ended) {
            (Outcome::Done { .. }, Some(ended)) => ended.event,
            _ => u64::MAX,
        }
    }
}

/// Operations in the order in which they began.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    events: u64,
}

impl History {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The operations, in the order in which they began.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// An operation begins now. Returns its number, by which it is ended.
    pub fn invoke(&mut self, time: u64, process: u64, request: Vec<Verb>) -> usize {
        assert!(!request.is_empty(), "an operation asks for something");
        let began = self.moment(time);
        self.operations.push(Operation { process, request, began, ended: None, outcome: Outcome::Unknown });
        self.operations.len() - 1
    }

    /// Operation `id` ends now.
    pub fn end(&mut self, time: u64, id: usize, outcome: Outcome) {
        let ended = self.moment(time);
        let operation = &mut self.operations[id];
        assert!(operation.ended.is_none(), "operation {id} ends once");
        operation.ended = Some(ended);
        operation.outcome = outcome;
    }

    /// Joins histories that were recorded apart, by times of one common clock. Events at the same moment count as
    /// concurrent: a begin goes before an end.
    pub fn merge(parts: Vec<History>) -> History {
        let mut events = Vec::new();
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
        let mut merged = History::new();
        let mut ids = vec![None; events.len()];
        for at in order {
            let (time, _, place, operation) = &mut events[at];
            match operation.take() {
                Some(Operation { process, request, outcome, .. }) => {
                    ids[*place] = Some((merged.invoke(*time, process, request), outcome));
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
        self.events += 1;
        Moment { event: self.events - 1, time }
    }
}

/// One line of the text form.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Invoke {
        id: usize,
        process: u64,
        time: u64,
        request: Vec<Verb>,
    },
    Ok {
        id: usize,
        time: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
        answers: Vec<Answer>,
    },
    Fail {
        id: usize,
        time: u64,
    },
    Info {
        id: usize,
        time: u64,
    },
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::with_capacity(self.operations.len() * 2);
        for (id, operation) in self.operations.iter().enumerate() {
            let Operation { process, request, began, ended, outcome } = operation.clone();
            lines.push((began.event, Line::Invoke { id, process, time: began.time, request }));
            if let Some(Moment { event, time }) = ended {
                let line = match outcome {
                    Outcome::Done { revision, answers } => Line::Ok { id, time, revision, answers },
                    Outcome::NotDone => Line::Fail { id, time },
                    Outcome::Unknown => Line::Info { id, time },
                };
                lines.push((event, line));
            }
        }
        lines.sort_by_key(|(event, _)| *event);
        for (_, line) in lines {
            writeln!(f, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

/// Why a text is not a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadHistory {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for BadHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for BadHistory {}

impl std::str::FromStr for History {
    type Err = BadHistory;

    /// Reads the text form; empty lines are skipped. Ids may be any numbers, each begun once and ended at most once.
    fn from_str(text: &str) -> Result<History, BadHistory> {
        let mut history = History::new();
        let mut ids = std::collections::BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let bad = |why: String| BadHistory { line: number, why };
            let line: Line = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
            let (id, time, outcome) = match line {
                Line::Invoke { request, id, .. } if request.is_empty() => {
                    return Err(bad(format!("operation {id} asks for nothing")));
                }
                Line::Invoke { id, process, time, request } => {
                    if ids.insert(id, Some(history.invoke(time, process, request))).is_some() {
                        return Err(bad(format!("operation {id} begins a second time")));
                    }
                    continue;
                }
                Line::Ok { id, time, revision, answers } => (id, time, Outcome::Done { revision, answers }),
                Line::Fail { id, time } => (id, time, Outcome::NotDone),
                Line::Info { id, time } => (id, time, Outcome::Unknown),
            };
            let begun = ids.get_mut(&id).ok_or_else(|| bad(format!("operation {id} ends before it begins")))?;
            let own = begun.take().ok_or_else(|| bad(format!("operation {id} ends a second time")))?;
            history.end(time, own, outcome);
        }
        Ok(history)
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

/// [`Data`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum DataText {
    Text(String),
    Hex { hex: String },
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                DataText::Hex { hex: self.0.iter().map(|byte| format!("{byte:02x}")).collect() }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
        match DataText::deserialize(deserializer)? {
            DataText::Text(text) => Ok(Data(Bytes::from(text))),
            DataText::Hex { hex } => unhex(&hex)
                .map(|bytes| Data(Bytes::from(bytes)))
                .ok_or_else(|| serde::de::Error::custom("hex is an even number of hexadecimal digits")),
        }
    }
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> History {
        let mut history = History::new();
        let put = history.invoke(10, 0, vec![Verb::Put { key: "k".into(), value: Data::from(&[0xff, 0][..]) }]);
        let several = vec![
            Verb::Get { key: "k".into() },
            Verb::Cas { key: "k".into(), expected: None, value: "\u{e9}".into() },
            Verb::List { prefix: "".into(), limit: 3 },
        ];
        let several = history.invoke(11, 1, several);
        history.end(12, put, Outcome::Done { revision: Some(1), answers: vec![Answer::Written { modified: Some(1) }] });
        let lost = history.invoke(13, 0, vec![Verb::Delete { key: "k".into() }]);
        let marks = Some(Marks { created: 1, modified: 1, version: 1 });
        let value = || Data::from(&[0xff, 0][..]);
        let answers = vec![
            Answer::Value { value: value(), marks },
            Answer::NotSwapped { modified: Some(1) },
            Answer::List { pairs: vec![("k".into(), value(), marks)], more: false },
        ];
        history.end(14, several, Outcome::Done { revision: Some(1), answers });
        history.invoke(15, 2, vec![Verb::Count]);
        history.end(16, lost, Outcome::NotDone);
        history
    }

    #[test]
    fn print_and_parse_are_inverse() {
        let history = sample();
        let text = history.to_string();
        assert_eq!(text.lines().count(), 7, "{text}");
        assert!(text.contains(r#"{"hex":"ff00"}"#) && text.contains("\u{e9}"), "{text}");
        assert_eq!(text.parse::<History>().as_ref(), Ok(&history));
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        let begin = r#"{"event":"invoke","id":0,"process":3,"time":1,"request":["count"]}"#;
        let end = r#"{"event":"info","id":0,"time":2}"#;
        for (text, line, why) in [
            ("{}".to_string(), 1, "event"),
            (format!("{begin}\n\n{begin}"), 3, "begins a second time"),
            (end.to_string(), 1, "before it begins"),
            (format!("{begin}\n{end}\n{end}"), 3, "ends a second time"),
            (r#"{"event":"invoke","id":0,"process":3,"time":1,"request":[]}"#.to_string(), 1, "asks for nothing"),
            (begin.replace(r#""count""#, r#"{"get":{"key":{"hex":"0"}}}"#), 1, "hex"),
            (begin.replace("time", "tame"), 1, "tame"),
        ] {
            let error = text.parse::<History>().unwrap_err();
            assert!(error.line == line && error.why.contains(why), "{error}");
        }
    }

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

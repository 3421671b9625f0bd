//! The text form of a history: one JSON object a line, one line an event, in order.
//!
//! ```text
//! {"event":"invoke","id":0,"process":3,"time":1200,"request":[{"put":{"key":"k","value":"v"}}]}
//! {"event":"ok","id":0,"time":5100,"revision":7,"answers":[{"written":{"modified":7}}]}
//! {"event":"fail","id":1,"time":5200}        not done
//! {"event":"info","id":2,"time":5300}        unknown; so is an operation without a second line
//! ```
//! A read that will do with an old state begins with `"stale":true` besides. What is there before anything happens is
//! said first: `{"event":"initial","key":"k","value":"v"}`.
//!
//! Bytes are a string if they are UTF-8, else `{"hex":"00ff"}`. Times are nanoseconds of any one clock and only for the
//! reader: what counts is the order of the lines.

use super::{Answer, Data, History, Moment, Operation, Outcome, Verb};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// One line of the text form.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Initial {
        key: Data,
        value: Data,
    },
    Invoke {
        id: usize,
        process: u64,
        time: u64,
        request: Vec<Verb>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stale: bool,
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
            let Operation { process, request, stale, began, ended, outcome } = operation.clone();
            lines.push((began.event, Line::Invoke { id, process, time: began.time, request, stale }));
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
        let initial = self.initial.iter().map(|(key, value)| Line::Initial { key: key.clone(), value: value.clone() });
        for line in initial.chain(lines.into_iter().map(|(_, line)| line)) {
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
                Line::Initial { .. } if history.events > 0 => {
                    return Err(bad("what is there initially is said before the first event".into()));
                }
                Line::Initial { key, value } => {
                    history.initially(key, value);
                    continue;
                }
                Line::Invoke { request, id, .. } if request.is_empty() => {
                    return Err(bad(format!("operation {id} asks for nothing")));
                }
                Line::Invoke { id, request, stale: true, .. } if request.iter().any(Verb::writes) => {
                    return Err(bad(format!("operation {id} writes, so it cannot be stale")));
                }
                Line::Invoke { id, process, time, request, stale } => {
                    if ids.insert(id, Some(history.begin(time, process, request, stale))).is_some() {
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
    use super::{super::Marks, *};

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
        history.invoke_stale(15, 2, vec![Verb::Count]);
        history.initially("z".into(), "".into());
        history.end(16, lost, Outcome::NotDone);
        history
    }

    #[test]
    fn print_and_parse_are_inverse() {
        let history = sample();
        let text = history.to_string();
        assert_eq!(text.lines().count(), 8, "{text}");
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
            (
                r#"{"event":"invoke","id":0,"process":3,"time":1,"request":[{"delete":{"key":"k"}}],"stale":true}"#
                    .into(),
                1,
                "cannot be stale",
            ),
        ] {
            let error = text.parse::<History>().unwrap_err();
            assert!(error.line == line && error.why.contains(why), "{error}");
        }
    }
}

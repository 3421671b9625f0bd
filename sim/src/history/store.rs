//! Reads what went to the real store and what came back.
//!
//! This is the only place where the checker touches the store's code, and it touches its encoding alone: what requests
//! mean is for [`crate::linearize::model`] to say.

use super::{Answer, Data, Marks, Verb};
use bytes::Bytes;
use ios_core::service::kv::{
    self, BadRequest, Operation, Operations, Reply,
    reply::{BadReply, Outcome},
    request,
};

/// The verbs of an encoded request.
pub fn decode_request(payload: &[u8]) -> Result<Vec<Verb>, BadRequest> {
    Ok(Operations::decode(payload)?.map(verb).collect())
}

/// Encodes verbs as a request.
pub fn encode_request(verbs: &[Verb]) -> Result<Bytes, BadRequest> {
    request::encode(&verbs.iter().map(operation).collect::<Result<Vec<_>, _>>()?)
}

/// The answers of an encoded reply.
pub fn decode_reply(payload: &[u8]) -> Result<Vec<Answer>, BadReply> {
    Ok(match Reply::decode(payload)? {
        Reply::Outcomes(outcomes) => outcomes.into_iter().map(answer).collect(),
        Reply::Error(why) => vec![Answer::Error(why.to_string())],
    })
}

fn verb(operation: Operation<'_>) -> Verb {
    match operation {
        Operation::Get { key } => Verb::Get { key: key.into() },
        Operation::Exists { key } => Verb::Exists { key: key.into() },
        Operation::Count => Verb::Count,
        Operation::List { prefix, limit } => Verb::List { prefix: prefix.into(), limit },
        Operation::Put { key, value } => Verb::Put { key: key.into(), value: value.into() },
        Operation::Delete { key } => Verb::Delete { key: key.into() },
        Operation::CompareAndSet { key, expected, value } => {
            Verb::Cas { key: key.into(), expected: expected.map(Data::from), value: value.into() }
        }
    }
}

fn operation(verb: &Verb) -> Result<Operation<'_>, BadRequest> {
    Ok(match verb {
        Verb::Get { key } => Operation::Get { key: &key.0 },
        Verb::Exists { key } => Operation::Exists { key: &key.0 },
        Verb::Count => Operation::Count,
        Verb::List { prefix, limit } => Operation::List { prefix: &prefix.0, limit: *limit },
        Verb::Put { key, value } => Operation::Put { key: &key.0, value: &value.0 },
        // The store has no such operation, so there is no number for it either.
        Verb::Append { .. } => return Err(BadRequest::Operation(u8::MAX)),
        Verb::Delete { key } => Operation::Delete { key: &key.0 },
        Verb::Cas { key, expected, value } => {
            let expected = expected.as_ref().map(|expected| &expected.0[..]);
            Operation::CompareAndSet { key: &key.0, expected, value: &value.0 }
        }
    })
}

fn answer(outcome: Outcome<'_>) -> Answer {
    match outcome {
        Outcome::Value { value, marks: at } => Answer::Value { value: value.into(), marks: Some(marks(at)) },
        Outcome::Missing => Answer::Missing,
        Outcome::Omitted { size } => Answer::Omitted { size },
        Outcome::Written { modified } => Answer::Written { modified: Some(modified.0) },
        Outcome::Deleted { found } => Answer::Deleted { found },
        Outcome::Exists { modified } => {
            Answer::Exists { there: modified.is_some(), modified: modified.map(|revision| revision.0) }
        }
        Outcome::Count(count) => Answer::Count(count),
        Outcome::List { pairs, more } => {
            let pairs = pairs.map(|(key, value, at)| (key.into(), value.into(), Some(marks(at))));
            Answer::List { pairs: pairs.collect(), more }
        }
        Outcome::Swapped { modified } => Answer::Swapped { modified: Some(modified.0) },
        Outcome::NotSwapped { modified } => Answer::NotSwapped { modified: modified.map(|revision| revision.0) },
    }
}

fn marks(marks: kv::Marks) -> Marks {
    Marks { created: marks.created.0, modified: marks.modified.0, version: marks.version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_decodes_to_what_was_encoded() {
        let (key, value) = (Data::from("k"), Data::from(&[0xff][..]));
        let verbs = vec![
            Verb::Get { key: key.clone() },
            Verb::Exists { key: key.clone() },
            Verb::Count,
            Verb::List { prefix: "".into(), limit: 9 },
            Verb::Put { key: key.clone(), value: value.clone() },
            Verb::Cas { key: key.clone(), expected: None, value: value.clone() },
            Verb::Cas { key: key.clone(), expected: Some(value.clone()), value },
            Verb::Delete { key },
        ];
        assert_eq!(decode_request(&encode_request(&verbs).unwrap()), Ok(verbs));
        assert_eq!(encode_request(&[]), Err(BadRequest::Empty));
        assert!(decode_reply(&[9]).is_err());
    }
}

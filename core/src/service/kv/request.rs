//! What the store can be asked, and how it is encoded.
//!
//! ```text
//! request    count u16  operation*        at least one operation, nothing after the last
//! operation  00  key                      get
//!            01  key  value               put
//!            02  key                      delete
//!            03  key                      exists
//!            04                           count
//!            05  prefix  limit u32        list
//!            06  key  value               compare-and-set: the key must be absent
//!            07  key  expected  value     compare-and-set: the key must have this value
//! ```
//! Keys and values are a length (u32) and so many bytes; integers are little-endian. Decoding copies nothing.

use super::cursor::{Cursor, push_bytes};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Most operations in one request.
pub const OPERATIONS_MAX: usize = 1024;

const GET: u8 = 0;
const PUT: u8 = 1;
const DELETE: u8 = 2;
const EXISTS: u8 = 3;
const COUNT: u8 = 4;
const LIST: u8 = 5;
const SET_ABSENT: u8 = 6;
const COMPARE_AND_SET: u8 = 7;

/// One thing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation<'a> {
    /// Read a key's value.
    Get {
        /// Whose.
        key: &'a [u8],
    },
    /// Write a key's value.
    Put {
        /// Whose.
        key: &'a [u8],
        /// The new value.
        value: &'a [u8],
    },
    /// Remove a key, if it is there.
    Delete {
        /// Which.
        key: &'a [u8],
    },
    /// Is a key there?
    Exists {
        /// Which.
        key: &'a [u8],
    },
    /// How many keys are there?
    Count,
    /// The keys that begin with a prefix, with their values, in order.
    List {
        /// The prefix; every key begins with the empty one.
        prefix: &'a [u8],
        /// At most so many.
        limit: u32,
    },
    /// Write a key's value if it is what the client believes it to be.
    CompareAndSet {
        /// Whose.
        key: &'a [u8],
        /// What it must be now; `None`: the key must be absent.
        expected: Option<&'a [u8]>,
        /// The new value.
        value: &'a [u8],
    },
}

impl<'a> Operation<'a> {
    /// Whether it can change the store.
    pub fn writes(&self) -> bool {
        match self {
            Operation::Put { .. } | Operation::Delete { .. } | Operation::CompareAndSet { .. } => true,
            Operation::Get { .. } | Operation::Exists { .. } | Operation::Count | Operation::List { .. } => false,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Get { .. } => "get",
            Operation::Put { .. } => "put",
            Operation::Delete { .. } => "delete",
            Operation::Exists { .. } => "exists",
            Operation::Count => "count",
            Operation::List { .. } => "list",
            Operation::CompareAndSet { .. } => "compare-and-set",
        }
    }

    /// The key or prefix it names.
    pub fn key(&self) -> Option<&'a [u8]> {
        match *self {
            Operation::Get { key }
            | Operation::Put { key, .. }
            | Operation::Delete { key }
            | Operation::Exists { key }
            | Operation::CompareAndSet { key, .. } => Some(key),
            Operation::List { prefix, .. } => Some(prefix),
            Operation::Count => None,
        }
    }

    /// The value it would write.
    pub fn value(&self) -> Option<&'a [u8]> {
        match *self {
            Operation::Put { value, .. } | Operation::CompareAndSet { value, .. } => Some(value),
            _ => None,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Operation::Get { key } => push_fields(out, GET, &[key]),
            Operation::Put { key, value } => push_fields(out, PUT, &[key, value]),
            Operation::Delete { key } => push_fields(out, DELETE, &[key]),
            Operation::Exists { key } => push_fields(out, EXISTS, &[key]),
            Operation::Count => out.push(COUNT),
            Operation::List { prefix, limit } => {
                push_fields(out, LIST, &[prefix]);
                out.extend_from_slice(&limit.to_le_bytes());
            }
            Operation::CompareAndSet { key, expected: None, value } => push_fields(out, SET_ABSENT, &[key, value]),
            Operation::CompareAndSet { key, expected: Some(expected), value } => {
                push_fields(out, COMPARE_AND_SET, &[key, expected, value]);
            }
        }
    }

    fn decode(from: &mut Cursor<'a>) -> Result<Self, BadRequest> {
        let tag = from.u8().ok_or(BadRequest::Truncated)?;
        let operation = match tag {
            GET => from.bytes().map(|key| Operation::Get { key }),
            PUT => from.bytes().zip(from.bytes()).map(|(key, value)| Operation::Put { key, value }),
            DELETE => from.bytes().map(|key| Operation::Delete { key }),
            EXISTS => from.bytes().map(|key| Operation::Exists { key }),
            COUNT => Some(Operation::Count),
            LIST => from.bytes().zip(from.u32()).map(|(prefix, limit)| Operation::List { prefix, limit }),
            SET_ABSENT => from.bytes().zip(from.bytes()).map(|(key, value)| Operation::CompareAndSet {
                key,
                expected: None,
                value,
            }),
            COMPARE_AND_SET => from
                .bytes()
                .zip(from.bytes())
                .zip(from.bytes())
                .map(|((key, expected), value)| Operation::CompareAndSet { key, expected: Some(expected), value }),
            unknown => return Err(BadRequest::Operation(unknown)),
        };
        operation.ok_or(BadRequest::Truncated)
    }
}

fn push_fields(out: &mut Vec<u8>, tag: u8, fields: &[&[u8]]) {
    out.push(tag);
    for field in fields {
        push_bytes(out, field);
    }
}

/// Why bytes are not a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadRequest {
    /// They end within an operation.
    Truncated,
    /// They go on after the last operation.
    Trailing,
    /// They ask for nothing.
    Empty,
    /// They hold more than [`OPERATIONS_MAX`] operations.
    TooMany(usize),
    /// They hold an operation that does not exist.
    Operation(u8),
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadRequest::Truncated => f.write_str("the request ends within an operation"),
            BadRequest::Trailing => f.write_str("the request goes on after its last operation"),
            BadRequest::Empty => f.write_str("the request holds no operation"),
            BadRequest::TooMany(count) => {
                write!(f, "{count} operations are over the limit of {OPERATIONS_MAX} in one request")
            }
            BadRequest::Operation(tag) => write!(f, "operation {tag} does not exist"),
        }
    }
}

impl core::error::Error for BadRequest {}

/// Encodes a request of these operations.
pub fn encode(operations: &[Operation<'_>]) -> Result<Bytes, BadRequest> {
    let count = checked_count(operations.len())?;
    let mut bytes = Vec::with_capacity(64);
    bytes.extend_from_slice(&count.to_le_bytes());
    for operation in operations {
        operation.encode(&mut bytes);
    }
    Ok(Bytes::from(bytes))
}

fn checked_count(count: usize) -> Result<u16, BadRequest> {
    match u16::try_from(count) {
        Ok(0) => Err(BadRequest::Empty),
        Ok(checked) if count <= OPERATIONS_MAX => Ok(checked),
        _ => Err(BadRequest::TooMany(count)),
    }
}

/// The operations of a request that was checked whole. Iterates in order.
#[derive(Clone, Debug)]
pub struct Operations<'a> {
    left: usize,
    bytes: Cursor<'a>,
}

impl<'a> Operations<'a> {
    /// Checks that `request` is one.
    pub fn decode(request: &'a [u8]) -> Result<Self, BadRequest> {
        let mut bytes = Cursor::new(request);
        let count = usize::from(bytes.u16().ok_or(BadRequest::Truncated)?);
        checked_count(count)?;
        let operations = Self { left: count, bytes: bytes.clone() };
        for _ in 0..count {
            Operation::decode(&mut bytes)?;
        }
        if !bytes.is_empty() {
            return Err(BadRequest::Trailing);
        }
        Ok(operations)
    }
}

impl<'a> Iterator for Operations<'a> {
    type Item = Operation<'a>;

    fn next(&mut self) -> Option<Operation<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(Operation::decode(&mut self.bytes).expect("checked by decode"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Operations<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: [Operation<'_>; 9] = [
        Operation::Get { key: b"a" },
        Operation::Put { key: b"", value: b"v" },
        Operation::Put { key: b"a", value: b"" },
        Operation::Delete { key: b"a" },
        Operation::Exists { key: b"a" },
        Operation::Count,
        Operation::List { prefix: b"p", limit: 7 },
        Operation::CompareAndSet { key: b"a", expected: None, value: b"1" },
        Operation::CompareAndSet { key: b"a", expected: Some(b"1"), value: b"2" },
    ];

    #[test]
    fn what_is_encoded_decodes_again_alone_and_together() {
        for operation in EVERY {
            let bytes = encode(&[operation]).unwrap();
            assert_eq!(Operations::decode(&bytes).unwrap().collect::<Vec<_>>(), [operation]);
        }
        let bytes = encode(&EVERY).unwrap();
        assert_eq!(Operations::decode(&bytes).unwrap().collect::<Vec<_>>(), EVERY);
    }

    #[test]
    fn no_prefix_and_no_extension_of_a_request_is_a_request() {
        let bytes = encode(&EVERY).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(Operations::decode(&bytes[..end]).unwrap_err(), BadRequest::Truncated, "prefix of {end}");
        }
        let mut longer = Vec::from(bytes);
        longer.push(0);
        assert_eq!(Operations::decode(&longer).unwrap_err(), BadRequest::Trailing);
    }

    #[test]
    fn each_rule_refuses_with_its_own_sentence() {
        for (bytes, problem) in [
            (&[0, 0][..], "no operation"),
            (&[1, 4, COUNT], "1025 operations are over the limit of 1024"),
            (&[1, 0, 8], "operation 8 does not exist"),
            (&[1, 0, GET, 0xff, 0xff, 0xff, 0xff, b'a'], "ends within"),
        ] {
            let error = alloc::string::ToString::to_string(&Operations::decode(bytes).unwrap_err());
            assert!(error.contains(problem), "{error}");
        }
        assert_eq!(encode(&[Operation::Count; 1025]), Err(BadRequest::TooMany(1025)));
        assert!(encode(&[Operation::Count; 1024]).is_ok());
    }
}

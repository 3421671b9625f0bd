//! What the store answers, and how it is encoded.
//!
//! ```text
//! reply    00  count u16  outcome*                    one outcome per operation, in their order
//!          01  text                                   the request was refused whole
//! outcome  00  marks  value                           get: its value
//!          01                                         get: no such key
//!          02  modified u64                           put
//!          03  found u8                               delete
//!          04  there u8 [modified u64]                exists
//!          05  count u64                              count
//!          06  more u8  count u32  (key value marks)* list
//!          07  modified u64                           compare-and-set: written
//!          08  there u8 [modified u64]                compare-and-set: not written; the key as it is
//!          09  size u64                               get: the value has no room in this reply
//! marks    created u64  modified u64  version u64
//! ```
//! Outcomes carry the revision of what they saw wherever there is one, so that a history of replies alone shows in
//! which order requests took effect.

use super::{
    cursor::{Cursor, push_bytes},
    request::OPERATIONS_MAX,
};
use crate::ids::Revision;
use alloc::vec::Vec;

/// A reply holds values up to this many bytes; the request's further outcomes then say so instead.
pub const REPLY_MAX: usize = 2 << 20;

const OUTCOMES: u8 = 0;
const ERROR: u8 = 1;

const VALUE: u8 = 0;
const MISSING: u8 = 1;
const WRITTEN: u8 = 2;
const DELETED: u8 = 3;
const EXISTS: u8 = 4;
const COUNT: u8 = 5;
const LIST: u8 = 6;
const SWAPPED: u8 = 7;
const NOT_SWAPPED: u8 = 8;
const OMITTED: u8 = 9;

/// Bytes of [`Marks`].
const MARKS: usize = 24;

/// When a key was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// The revision at which it came into being.
    pub created: Revision,
    /// The revision of its last write.
    pub modified: Revision,
    /// How often it was written since it came into being.
    pub version: u64,
}

/// What one operation came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// Get: the key's value.
    Value {
        /// What it is.
        value: &'a [u8],
        /// When it was written.
        marks: Marks,
    },
    /// Get: no such key.
    Missing,
    /// Put: done.
    Written {
        /// The revision at which it was.
        modified: Revision,
    },
    /// Delete: the key is not there now.
    Deleted {
        /// Whether it was there before.
        found: bool,
    },
    /// Exists: whether the key is there.
    Exists {
        /// If so, the revision of its last write.
        modified: Option<Revision>,
    },
    /// Count: so many keys.
    Count(u64),
    /// List: keys, values and marks.
    List {
        /// In order.
        pairs: Pairs<'a>,
        /// Whether there are more than the limit or the reply's size let in.
        more: bool,
    },
    /// Compare-and-set: compared, and set.
    Swapped {
        /// The revision at which it was.
        modified: Revision,
    },
    /// Compare-and-set: did not compare.
    NotSwapped {
        /// The revision of the key's last write, if it is there.
        modified: Option<Revision>,
    },
    /// Get: the key is there, but its value has no room in this reply.
    Omitted {
        /// The value's length.
        size: u64,
    },
}

/// The pairs of a list, checked whole. Iterates in order.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    left: u32,
    bytes: Cursor<'a>,
}

impl<'a> Pairs<'a> {
    fn decode(from: &mut Cursor<'a>) -> Option<Self> {
        let left = from.u32()?;
        let pairs = Self { left, bytes: from.clone() };
        for _ in 0..left {
            decode_pair(from)?;
        }
        Some(pairs)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8], Marks);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(decode_pair(&mut self.bytes).expect("checked by decode"))
    }
}

impl PartialEq for Pairs<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

impl Eq for Pairs<'_> {}

/// A decoded reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// One outcome per operation.
    Outcomes(Vec<Outcome<'a>>),
    /// The request was refused whole.
    Error(&'a str),
}

/// The bytes are not a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadReply;

impl core::fmt::Display for BadReply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the bytes are not a reply of the key-value store")
    }
}

impl core::error::Error for BadReply {}

impl<'a> Reply<'a> {
    /// Reads a reply, copying nothing out of it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BadReply> {
        let mut from = Cursor::new(bytes);
        match from.u8() {
            Some(OUTCOMES) => Self::outcomes(&mut from).filter(|_| from.is_empty()).ok_or(BadReply),
            Some(ERROR) => core::str::from_utf8(from.rest()).map(Reply::Error).map_err(|_| BadReply),
            _ => Err(BadReply),
        }
    }

    fn outcomes(from: &mut Cursor<'a>) -> Option<Self> {
        let count = usize::from(from.u16()?);
        if count > OPERATIONS_MAX {
            return None;
        }
        (0..count).map(|_| Outcome::decode(from)).collect::<Option<_>>().map(Reply::Outcomes)
    }
}

impl<'a> Outcome<'a> {
    fn decode(from: &mut Cursor<'a>) -> Option<Self> {
        Some(match from.u8()? {
            VALUE => {
                let marks = decode_marks(from)?;
                Outcome::Value { value: from.bytes()?, marks }
            }
            MISSING => Outcome::Missing,
            WRITTEN => Outcome::Written { modified: Revision(from.u64()?) },
            DELETED => Outcome::Deleted { found: from.flag()? },
            EXISTS => Outcome::Exists { modified: decode_modified(from)? },
            COUNT => Outcome::Count(from.u64()?),
            LIST => {
                let more = from.flag()?;
                Outcome::List { pairs: Pairs::decode(from)?, more }
            }
            SWAPPED => Outcome::Swapped { modified: Revision(from.u64()?) },
            NOT_SWAPPED => Outcome::NotSwapped { modified: decode_modified(from)? },
            OMITTED => Outcome::Omitted { size: from.u64()? },
            _ => return None,
        })
    }
}

fn decode_pair<'a>(from: &mut Cursor<'a>) -> Option<(&'a [u8], &'a [u8], Marks)> {
    Some((from.bytes()?, from.bytes()?, decode_marks(from)?))
}

fn decode_marks(from: &mut Cursor<'_>) -> Option<Marks> {
    Some(Marks { created: Revision(from.u64()?), modified: Revision(from.u64()?), version: from.u64()? })
}

/// Outer `None`: the bytes are bad. Inner `None`: there is no revision.
fn decode_modified(from: &mut Cursor<'_>) -> Option<Option<Revision>> {
    if from.flag()? { from.u64().map(|revision| Some(Revision(revision))) } else { Some(None) }
}

/// Appends the reply to a request that was refused whole.
pub(super) fn push_error(out: &mut Vec<u8>, why: &str) {
    out.push(ERROR);
    out.extend_from_slice(why.as_bytes());
}

/// Appends outcomes to a reply buffer, leaving out values once they have filled [`REPLY_MAX`].
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// How many more bytes values may take.
    room: usize,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut Vec<u8>, operations: usize) -> Self {
        let count = u16::try_from(operations).expect("a request holds at most OPERATIONS_MAX operations");
        out.push(OUTCOMES);
        out.extend_from_slice(&count.to_le_bytes());
        Self { out, room: REPLY_MAX }
    }

    /// Appends an outcome of fixed size.
    pub fn push(&mut self, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Missing => self.out.push(MISSING),
            Outcome::Written { modified } => self.push_u64(WRITTEN, modified.0),
            Outcome::Deleted { found } => self.out.extend_from_slice(&[DELETED, u8::from(found)]),
            Outcome::Exists { modified } => self.push_modified(EXISTS, modified),
            Outcome::Count(count) => self.push_u64(COUNT, count),
            Outcome::Swapped { modified } => self.push_u64(SWAPPED, modified.0),
            Outcome::NotSwapped { modified } => self.push_modified(NOT_SWAPPED, modified),
            Outcome::Omitted { size } => self.push_u64(OMITTED, size),
            Outcome::Value { .. } | Outcome::List { .. } => unreachable!("values go through push_value and push_list"),
        }
    }

    /// Appends a value, or its size if there is no room for it.
    pub fn push_value(&mut self, value: &[u8], marks: Marks) {
        if !self.take_room(value.len()) {
            return self.push(Outcome::Omitted { size: value.len() as u64 });
        }
        self.out.push(VALUE);
        self.push_marks(marks);
        push_bytes(self.out, value);
    }

    /// Appends as many pairs as `limit` and the room allow.
    pub fn push_list<'b>(&mut self, limit: u32, mut pairs: impl Iterator<Item = (&'b [u8], &'b [u8], Marks)>) {
        self.out.push(LIST);
        // How many there are, and whether there are more, is known in the end.
        let head = self.out.len();
        self.out.extend_from_slice(&[0; 5]);
        let mut count = 0_u32;
        let more = loop {
            let Some((key, value, marks)) = pairs.next() else { break false };
            if count == limit || !self.take_room(key.len() + value.len()) {
                break true;
            }
            push_bytes(self.out, key);
            push_bytes(self.out, value);
            self.push_marks(marks);
            count += 1;
        };
        self.out[head] = u8::from(more);
        self.out[head + 1..head + 5].copy_from_slice(&count.to_le_bytes());
    }

    /// Empty values count too, or a list of them would have no bound.
    fn take_room(&mut self, payload: usize) -> bool {
        match self.room.checked_sub(payload + MARKS + 8) {
            Some(room) => {
                self.room = room;
                true
            }
            None => false,
        }
    }

    fn push_marks(&mut self, marks: Marks) {
        for word in [marks.created.0, marks.modified.0, marks.version] {
            self.out.extend_from_slice(&word.to_le_bytes());
        }
    }

    fn push_u64(&mut self, tag: u8, word: u64) {
        self.out.push(tag);
        self.out.extend_from_slice(&word.to_le_bytes());
    }

    fn push_modified(&mut self, tag: u8, modified: Option<Revision>) {
        self.out.extend_from_slice(&[tag, u8::from(modified.is_some())]);
        if let Some(revision) = modified {
            self.out.extend_from_slice(&revision.0.to_le_bytes());
        }
    }
}

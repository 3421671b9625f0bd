//! A batch: the client commands that share one log index. Encoded once; the same bytes go to wire, disk and memory, and
//! their [`Digest`] names them.
//!
//! ```text
//! no-op    00
//! client   01  stamp u64  count u32  command*
//! command  00                                                            register a session
//!          01  session u64+u32  sequence u64  acked u64  length u32  payload    a request
//!          02  session u64+u32                                           keep a session alive
//!          03  session u64+u32                                           close a session
//! ```
//! All integers little-endian. A client batch without commands is a tick: it only carries log time forward.

use crate::{
    ids::{Digest, Index, Sequence, SessionId},
    time::Time,
};
use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// One log entry's content, checked and immutable. A batch is in many places at once, the log, the journal, messages to
/// every peer, so it is as small as a pointer.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct Batch(Arc<Content>);

struct Content {
    digest: Digest,
    bytes: Bytes,
}

/// One command of a client batch. The payload is owned by what is yet to be encoded, and borrowed from a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command<P = Bytes> {
    /// Opens a session named after the place of this command in the log.
    Register,
    /// A request to the service, executed at most once per (session, sequence).
    Request {
        /// The client's session.
        session: SessionId,
        /// Which of its requests.
        sequence: Sequence,
        /// Every request up to here has been answered, as far as the client knows: their replies may be forgotten.
        acked: Sequence,
        /// What the service is asked to do.
        payload: P,
    },
    /// Counts as a sign of life.
    KeepAlive {
        /// Whose.
        session: SessionId,
    },
    /// Ends a session before it expires.
    Close {
        /// Which.
        session: SessionId,
    },
}

/// The bytes are not a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadBatch;

impl fmt::Display for BadBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes are not a batch")
    }
}

impl core::error::Error for BadBatch {}

const NOOP: u8 = 0;
const CLIENT: u8 = 1;
const REGISTER: u8 = 0;
const REQUEST: u8 = 1;
const KEEP_ALIVE: u8 = 2;
const CLOSE: u8 = 3;

/// Bytes of a client batch before its first command.
const HEAD: usize = 1 + 8 + 4;
/// Bytes a request takes besides its payload.
pub const REQUEST_OVERHEAD: usize = 1 + 12 + 8 + 8 + 4;

impl Command {
    /// Its encoded size.
    pub fn size(&self) -> usize {
        match self {
            Command::Register => 1,
            Command::Request { payload, .. } => REQUEST_OVERHEAD + payload.len(),
            Command::KeepAlive { .. } | Command::Close { .. } => 1 + 12,
        }
    }
}

impl Batch {
    /// The batch that changes nothing: fills an index for which nothing may have been chosen.
    pub fn noop() -> Self {
        Self::from_checked(Bytes::from_static(&[NOOP]))
    }

    /// Checks that `bytes` are one whole batch. What peers, clients and disks say comes in through here.
    pub fn decode(bytes: Bytes) -> Result<Self, BadBatch> {
        match bytes.first() {
            Some(&NOOP) if bytes.len() == 1 => {}
            Some(&CLIENT) => {
                let count = read_u32(&bytes, 9).ok_or(BadBatch)?;
                let mut rest = Reader { bytes: &bytes, at: HEAD };
                for _ in 0..count {
                    rest.command().ok_or(BadBatch)?;
                }
                if rest.at != bytes.len() {
                    return Err(BadBatch);
                }
            }
            _ => return Err(BadBatch),
        }
        Ok(Self::from_checked(bytes))
    }

    fn from_checked(bytes: Bytes) -> Self {
        let digest = Digest(xxh3_64(&bytes));
        Self(Arc::new(Content { digest, bytes }))
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Its encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Whether this is the no-op.
    pub fn is_noop(&self) -> bool {
        self.bytes()[0] == NOOP
    }

    /// The log time its leader gave it; no-ops carry none.
    pub fn stamp(&self) -> Option<Time> {
        (!self.is_noop()).then(|| Time(read_u64(self.bytes(), 1).expect("checked by decode")))
    }

    /// How many commands it holds.
    pub fn len(&self) -> usize {
        if self.is_noop() { 0 } else { read_u32(self.bytes(), 9).expect("checked by decode") as usize }
    }

    /// Whether it holds no commands: a no-op or a tick.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its commands in order.
    pub fn commands(&self) -> impl Iterator<Item = Command<&[u8]>> {
        let mut rest = Reader { bytes: self.bytes(), at: HEAD };
        (0..self.len()).map(move |_| rest.command().expect("checked by decode"))
    }

    /// As [`Batch::commands`], each with a share of the batch's bytes.
    pub fn owned_commands(&self) -> impl Iterator<Item = Command> {
        self.commands().map(|command| match command {
            Command::Register => Command::Register,
            Command::Request { session, sequence, acked, payload } => {
                Command::Request { session, sequence, acked, payload: self.bytes().slice_ref(payload) }
            }
            Command::KeepAlive { session } => Command::KeepAlive { session },
            Command::Close { session } => Command::Close { session },
        })
    }
}

impl TryFrom<Bytes> for Batch {
    type Error = BadBatch;

    fn try_from(bytes: Bytes) -> Result<Self, BadBatch> {
        Self::decode(bytes)
    }
}

impl From<Batch> for Bytes {
    fn from(batch: Batch) -> Bytes {
        batch.bytes().clone()
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.digest() == other.digest() && self.bytes() == other.bytes()
    }
}

impl Eq for Batch {}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stamp() {
            None => f.write_str("noop"),
            Some(_) if self.is_empty() => f.write_str("tick"),
            Some(_) => write!(f, "{}[{}]", self.digest(), self.len()),
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Collects commands into a client batch. It keeps its memory from one batch to the next.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// The batch so far, its head not filled in yet.
    bytes: Vec<u8>,
    count: u32,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl BatchBuilder {
    /// An empty batch with room for commands of `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEAD + capacity);
        bytes.resize(HEAD, 0);
        Self { bytes, count: 0 }
    }

    /// How many commands it holds.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it holds no commands.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The encoded size of its commands.
    pub fn size(&self) -> usize {
        self.bytes.len() - HEAD
    }

    /// Adds a command at the next position.
    #[inline]
    pub fn push(&mut self, command: &Command) {
        match command {
            Command::Register => self.bytes.push(REGISTER),
            Command::Request { session, sequence, acked, payload } => {
                let length = u32::try_from(payload.len()).expect("payloads are bounded far below 4 GiB");
                let mut head = [REQUEST; REQUEST_OVERHEAD];
                head[1..9].copy_from_slice(&session.index.0.to_le_bytes());
                head[9..13].copy_from_slice(&session.position.to_le_bytes());
                head[13..21].copy_from_slice(&sequence.0.to_le_bytes());
                head[21..29].copy_from_slice(&acked.0.to_le_bytes());
                head[29..].copy_from_slice(&length.to_le_bytes());
                self.bytes.extend_from_slice(&head);
                self.bytes.extend_from_slice(payload);
            }
            Command::KeepAlive { session } => {
                self.bytes.push(KEEP_ALIVE);
                self.session(*session);
            }
            Command::Close { session } => {
                self.bytes.push(CLOSE);
                self.session(*session);
            }
        }
        self.count += 1;
    }

    /// Keeps the commands whose positions `keep` wants, and forgets the others.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let before = core::mem::take(&mut self.bytes);
        let mut rest = Reader { bytes: &before, at: HEAD };
        self.bytes.extend_from_slice(&before[..HEAD]);
        for position in 0..core::mem::take(&mut self.count) {
            let from = rest.at;
            rest.command().expect("it was encoded here");
            if keep(position as usize) {
                self.bytes.extend_from_slice(&before[from..rest.at]);
                self.count += 1;
            }
        }
    }

    /// The batch, stamped with log time, in memory of just its size. The builder is empty again.
    pub fn finish(&mut self, stamp: Time) -> Batch {
        self.bytes[0] = CLIENT;
        self.bytes[1..9].copy_from_slice(&stamp.0.to_le_bytes());
        self.bytes[9..HEAD].copy_from_slice(&self.count.to_le_bytes());
        let batch = Batch::from_checked(Bytes::copy_from_slice(&self.bytes));
        self.bytes.truncate(HEAD);
        self.count = 0;
        batch
    }

    fn session(&mut self, session: SessionId) {
        self.bytes.extend_from_slice(&session.index.0.to_le_bytes());
        self.bytes.extend_from_slice(&session.position.to_le_bytes());
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn command(&mut self) -> Option<Command<&'a [u8]>> {
        let tag = *self.bytes.get(self.at)?;
        self.at += 1;
        match tag {
            REGISTER => Some(Command::Register),
            REQUEST => {
                let session = self.session()?;
                let sequence = Sequence(self.u64()?);
                let acked = Sequence(self.u64()?);
                let length = read_u32(self.bytes, self.at)? as usize;
                let start = self.at + 4;
                self.at = start.checked_add(length)?;
                let payload = self.bytes.get(start..self.at)?;
                Some(Command::Request { session, sequence, acked, payload })
            }
            KEEP_ALIVE => self.session().map(|session| Command::KeepAlive { session }),
            CLOSE => self.session().map(|session| Command::Close { session }),
            _ => None,
        }
    }

    fn session(&mut self) -> Option<SessionId> {
        let index = Index(self.u64()?);
        let position = read_u32(self.bytes, self.at)?;
        self.at += 4;
        Some(SessionId { index, position })
    }

    fn u64(&mut self) -> Option<u64> {
        let value = read_u64(self.bytes, self.at)?;
        self.at += 8;
        Some(value)
    }
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn commands() -> Vec<Command> {
        let session = SessionId { index: Index(3), position: 1 };
        vec![
            Command::Register,
            Command::Request {
                session,
                sequence: Sequence(9),
                acked: Sequence(7),
                payload: Bytes::from_static(b"payload"),
            },
            Command::KeepAlive { session },
            Command::Close { session },
        ]
    }

    fn owned(command: Command<&[u8]>) -> Command {
        match command {
            Command::Register => Command::Register,
            Command::Request { session, sequence, acked, payload } => {
                Command::Request { session, sequence, acked, payload: Bytes::copy_from_slice(payload) }
            }
            Command::KeepAlive { session } => Command::KeepAlive { session },
            Command::Close { session } => Command::Close { session },
        }
    }

    fn batch() -> Batch {
        let mut builder = BatchBuilder::default();
        for command in commands() {
            builder.push(&command);
        }
        builder.finish(Time(42))
    }

    #[test]
    fn a_batch_decodes_to_what_was_put_in() {
        let batch = Batch::decode(batch().bytes().clone()).unwrap();
        assert_eq!(batch.commands().map(owned).collect::<Vec<_>>(), commands());
        assert_eq!((batch.stamp(), batch.len(), batch.is_noop()), (Some(Time(42)), 4, false));
        let noop = Batch::decode(Batch::noop().bytes().clone()).unwrap();
        assert_eq!((noop.stamp(), noop.len(), noop.is_noop()), (None, 0, true));
    }

    #[test]
    fn a_builder_forgets_commands_wherever_they_stand() {
        for kept in 0..16usize {
            let mut builder = BatchBuilder::default();
            commands().iter().for_each(|command| builder.push(command));
            builder.retain(|position| kept & (1 << position) != 0);
            let left: Vec<Command> = commands()
                .into_iter()
                .enumerate()
                .filter(|(at, _)| kept & (1 << at) != 0)
                .map(|(_, left)| left)
                .collect();
            let size: usize = left.iter().map(Command::size).sum();
            assert_eq!((builder.len(), builder.size()), (left.len(), size));
            let batch = Batch::decode(builder.finish(Time(1)).bytes().clone()).unwrap();
            assert_eq!(batch.commands().map(owned).collect::<Vec<_>>(), left);
        }
    }

    #[test]
    fn no_prefix_and_no_extension_of_a_batch_is_a_batch() {
        let bytes = batch().bytes().clone();
        for end in 0..bytes.len() {
            assert_eq!(Batch::decode(bytes.slice(..end)), Err(BadBatch), "prefix of {end}");
        }
        for whole in [bytes.as_ref(), &[NOOP]] {
            let mut longer = whole.to_vec();
            longer.push(0);
            assert_eq!(Batch::decode(Bytes::from(longer)), Err(BadBatch));
        }
    }
}

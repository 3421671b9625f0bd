//! Durable state on a disk that lies.

use crate::{
    batch::Batch,
    configuration::Configuration,
    ids::{ClusterId, DiskNonce, Incarnation, Index, NodeId, OpId, View},
    interface::{DiskAction, DiskResult, Fault, Output, ReadDisk},
    message::Unknown,
    options::JournalOptions,
    time::Time,
};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// Least bytes of a segment with room for `records` records.
pub fn segment_bytes_min(records: u32) -> u64 {
    4096 + u64::from(records) * 128 + 4096
}

/// What is handed to the journal to be made durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// An acceptance.
    Accepted { view: View, index: Index, batch: Batch },
    /// A committed batch learned from a peer; beats every acceptance.
    Committed { index: Index, batch: Batch },
    /// Everything up to here is committed with the batches recorded here. Needs no sync of its own.
    Floor { index: Index },
    /// Whatever was lost without a name before this is committed by now.
    Whole,
}

/// A point in the journal: everything handed in before it was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    round: u64,
    identity: u64,
}

/// Who this disk is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    pub node: NodeId,
    pub nonce: DiskNonce,
    pub incarnation: Incarnation,
    pub promised: View,
    pub genesis: u64,
    /// The cluster and every first member's disk nonce, in the members' order, once founded.
    pub founded: Option<(ClusterId, Vec<DiskNonce>)>,
}

/// What a disk holds, after recovery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    pub identity: Identity,
    /// Ascending by index, one per index.
    pub entries: Vec<RecoveredEntry>,
    /// Everything up to here is committed.
    pub floor: Index,
    /// Records were lost that cannot be named.
    pub loss: bool,
}

/// What a disk holds at one index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveredEntry {
    pub index: Index,
    /// The newest readable acceptance, or the committed batch.
    pub accepted: Option<(View, Batch)>,
    /// Whether the batch above is known committed.
    pub committed: bool,
    /// A newer record of which only the id is readable.
    pub unknown: Option<Unknown>,
    /// The newest record is newer than every unlocated loss.
    pub certain: bool,
}

/// Why a data directory does not open. Each says what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JournalError {
    Todo(String),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What formats a data directory.
pub fn format(node: NodeId, nonce: DiskNonce, configuration: &Configuration) -> Vec<DiskAction> {
    todo!()
}

/// The journal of one node.
#[derive(Clone, Debug)]
pub struct Journal {}

impl Journal {
    /// Reads a data directory. Nothing is written and nothing is vouched for before [`Journal::ready`].
    pub fn open(
        node: NodeId,
        genesis: u64,
        options: JournalOptions,
        now: Time,
        disk: &mut dyn ReadDisk,
    ) -> Result<(Journal, Recovered), JournalError> {
        todo!()
    }

    /// Whether the opening sequence (fresh segment, rewritten tail, new incarnation) is durable.
    pub fn ready(&self) -> bool {
        todo!()
    }

    /// Raises the promised view. Binding for the caller at once, durable when the ticket is.
    pub fn promise(&mut self, view: View) {
        todo!()
    }

    /// Records the cluster and its members' disks.
    pub fn found(&mut self, cluster: ClusterId, nonces: Vec<DiskNonce>) {
        todo!()
    }

    /// Hands in a record.
    pub fn append(&mut self, record: Record) {
        todo!()
    }

    /// The point after everything handed in so far.
    pub fn ticket(&self) -> Ticket {
        todo!()
    }

    /// Whether everything before `ticket` is durable.
    pub fn covers(&self, ticket: Ticket) -> bool {
        todo!()
    }

    /// Starts what can be started: the end of a driver's turn.
    pub fn flush(&mut self, now: Time, out: &mut Vec<Output>) {
        todo!()
    }

    /// Whether `flush` would start anything now.
    pub fn wants_flush(&self) -> bool {
        todo!()
    }

    /// Takes a completion, and starts what waited for it. Returns whether `op` was one of its own.
    pub fn complete(&mut self, now: Time, op: OpId, result: DiskResult, out: &mut Vec<Output>) -> Result<bool, Fault> {
        todo!()
    }

    /// When the idle slots want to be written ([`Journal::wake`]).
    pub fn deadline(&self) -> Option<Time> {
        todo!()
    }

    /// Writes idle slots.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Output>) {
        todo!()
    }

    /// Since when the oldest outstanding operation has been waiting.
    pub fn waiting_since(&self) -> Option<Time> {
        todo!()
    }

    /// Bytes handed in and not yet durable: bounds what may be accepted.
    pub fn backlog(&self) -> usize {
        todo!()
    }
}

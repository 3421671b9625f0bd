//! Segment files: how one is laid out, and its header.
//!
//! ```text
//! header   the same header again   id table: one slot a record   data area: records
//! 4096     4096                    rounded up to 4096            the rest
//! ```
//! The header is written once, when the file is made, and twice, in different blocks: a flipped bit there must not
//! cost every record behind it.

use super::{
    block::{self, BLOCK, Block, Kept},
    record::SLOT,
};
use crate::{
    ids::{DiskNonce, Incarnation, NodeId, View},
    interface::{DiskAction, FileId},
    options::JournalOptions,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const MAGIC: [u8; 4] = *b"ioSg";
/// Copies of the header at the start of a segment.
pub(super) const HEADERS: usize = 2;
/// Where the id table begins.
pub(super) const TABLE: u64 = (HEADERS * BLOCK) as u64;

/// Least bytes of a segment with room for `records` records.
pub fn segment_bytes_min(records: u32) -> u64 {
    data_offset(records) + BLOCK as u64
}

/// Where the data area of a segment with room for `records` records begins.
pub(super) fn data_offset(records: u32) -> u64 {
    TABLE + (u64::from(records) * SLOT as u64).next_multiple_of(BLOCK as u64)
}

/// Where the id slot of a record is.
pub(super) fn slot_offset(ordinal: u32) -> u64 {
    TABLE + u64::from(ordinal) * SLOT as u64
}

/// What stands at the start of a segment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SegmentHeader {
    pub(super) segment: u64,
    pub(super) node: NodeId,
    pub(super) nonce: DiskNonce,
    /// The life that made it.
    pub(super) incarnation: Incarnation,
    /// The promise in force then.
    pub(super) promised: View,
    /// How many records it has room for.
    pub(super) records: u32,
    /// Its length in bytes.
    pub(super) size: u64,
    /// Present in the first segment of a life.
    pub(super) begin: Option<Begin>,
}

/// How a life begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    /// In the predecessor everything from this ordinal on is superseded by what this segment holds.
    pub(super) cut: u32,
    /// How many records the segment before the predecessor was found to have: a predecessor without any says nothing.
    pub(super) before: Option<u32>,
    /// How many records were written here, with their slots, before the identity named this segment.
    pub(super) copies: u32,
}

impl Kept for SegmentHeader {
    const ADDED: &'static [u8] = &[];
}

impl SegmentHeader {
    /// The operation that makes the file.
    pub(super) fn create(&self) -> DiskAction {
        let block = block::encode(MAGIC, self);
        let head = [block.as_slice(), &block].concat();
        DiskAction::Create { file: FileId::Segment(self.segment), size: self.size, head: Bytes::from(head) }
    }

    /// Reads one copy.
    pub(super) fn decode(bytes: &[u8]) -> Block<SegmentHeader> {
        block::decode(MAGIC, bytes)
    }

    /// Where its data area begins.
    pub(super) fn data(&self) -> u64 {
        data_offset(self.records)
    }
}

/// Room for `records` records that take `bytes` in the data area, and at least what the options say.
pub(super) fn geometry(options: &JournalOptions, records: u32, bytes: u64) -> (u32, u64) {
    let records = records.max(options.segment_records);
    (records, options.segment_bytes.max(data_offset(records) + bytes))
}

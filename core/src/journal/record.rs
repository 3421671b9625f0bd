//! Records as bytes.
//!
//! A record in the data area is a header and a payload, padded to 8 bytes; its id slot in the table, far from it, is
//! the same header once more under another magic. All integers little-endian:
//!
//! ```text
//!  0 magic       4 crc of what follows   8 payload length   12 ordinal in the segment
//! 16 disk nonce                         32 segment          40 offset in the segment
//! 48 first and 52 last ordinal of its round     56 records of the predecessor segment that count
//! 60 kind  61 view's node  62 promised view's node  63 known committed
//! 64 view's round   72 index   80 batch digest   88 promised view's round
//! ```
//! A header says where it stands, so neither a misdirected write nor a client's payload that looks like a record is
//! ever taken for one. The payload (a batch) needs no checksum of its own: its digest is in the header.

use super::Record;
use crate::{
    batch::Batch,
    ids::{Digest, DiskNonce, Index, NodeId, View},
    message::Unknown,
};
use alloc::vec::Vec;
use bytes::Bytes;

/// Bytes of a record without its payload.
pub(super) const HEADER: usize = 96;
/// Bytes of an id slot: a header, and zeros so that no slot crosses a block.
pub(super) const SLOT: usize = 128;
/// Records begin at multiples of this.
pub(super) const ALIGN: u64 = 8;

/// Begins the header of a record in the data area.
pub(super) const RECORD_MAGIC: [u8; 4] = *b"ioRc";
/// Begins an id slot.
pub(super) const SLOT_MAGIC: [u8; 4] = *b"ioId";

/// A record of any kind: what the replica hands in, and what the journal notes about its own gaps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// See [`Record::Accepted`].
    Accepted { view: View, index: Index, batch: Batch },
    /// See [`Record::Committed`].
    Committed { index: Index, batch: Batch },
    /// See [`Record::Floor`].
    Floor { index: Index },
    /// What is left of an acceptance or a committed batch whose payload is lost.
    Unknown { index: Index, unknown: Unknown },
    /// Something stood here and nobody knows what.
    Loss,
    /// See [`Record::Whole`].
    Whole,
}

impl From<Record> for Item {
    fn from(record: Record) -> Item {
        match record {
            Record::Accepted { view, index, batch } => Item::Accepted { view, index, batch },
            Record::Committed { index, batch } => Item::Committed { index, batch },
            Record::Floor { index } => Item::Floor { index },
            Record::Whole => Item::Whole,
        }
    }
}

impl Item {
    /// The bytes that follow its header.
    pub(super) fn payload(&self) -> Option<&Bytes> {
        match self {
            Item::Accepted { batch, .. } | Item::Committed { batch, .. } => Some(batch.bytes()),
            Item::Floor { .. } | Item::Unknown { .. } | Item::Loss | Item::Whole => None,
        }
    }

    /// What it is about, if it is about an index.
    pub(super) fn index(&self) -> Option<Index> {
        match self {
            Item::Accepted { index, .. }
            | Item::Committed { index, .. }
            | Item::Floor { index }
            | Item::Unknown { index, .. } => Some(*index),
            Item::Loss | Item::Whole => None,
        }
    }

    /// Bytes it takes in the data area.
    pub(super) fn footprint(&self) -> u64 {
        footprint(self.payload().map_or(0, Bytes::len) as u64)
    }
}

/// Bytes a record with that much payload takes in the data area.
pub(super) fn footprint(payload: u64) -> u64 {
    (HEADER as u64 + payload).next_multiple_of(ALIGN)
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Accepted = 1,
    Committed = 2,
    Floor = 3,
    Unknown = 4,
    Loss = 5,
    Whole = 6,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Accepted, Kind::Committed, Kind::Floor, Kind::Unknown, Kind::Loss, Kind::Whole];

    fn has_payload(self) -> bool {
        matches!(self, Kind::Accepted | Kind::Committed)
    }
}

/// Everything about a record but its payload. Fields that its kind has no use for are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) nonce: DiskNonce,
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) ordinal: u32,
    pub(super) round_first: u32,
    pub(super) round_last: u32,
    pub(super) before: u32,
    pub(super) length: u32,
    pub(super) promised: View,
    pub(super) kind: Kind,
    pub(super) view: View,
    pub(super) index: Index,
    pub(super) digest: Digest,
    pub(super) committed: bool,
}

impl Header {
    /// Takes over what `item` says; the place is the caller's to fill in.
    pub(super) fn describe(mut self, item: &Item) -> Self {
        self.length =
            item.payload().map_or(0, |payload| u32::try_from(payload.len()).expect("batches are below 4 GiB"));
        (self.view, self.index, self.digest, self.committed) = (View::ZERO, Index::ZERO, Digest(0), false);
        self.kind = match item {
            Item::Accepted { view, index, batch } => {
                (self.view, self.index, self.digest) = (*view, *index, batch.digest());
                Kind::Accepted
            }
            Item::Committed { index, batch } => {
                (self.index, self.digest) = (*index, batch.digest());
                Kind::Committed
            }
            Item::Floor { index } => {
                self.index = *index;
                Kind::Floor
            }
            Item::Unknown { index, unknown } => {
                (self.view, self.index, self.digest) = (unknown.view, *index, unknown.digest);
                self.committed = unknown.committed;
                Kind::Unknown
            }
            Item::Loss => Kind::Loss,
            Item::Whole => Kind::Whole,
        };
        self
    }

    /// Appends the [`HEADER`] bytes.
    pub(super) fn encode(&self, magic: [u8; 4], out: &mut Vec<u8>) {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&magic);
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.nonce.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.segment.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.offset.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.round_first.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.round_last.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.before.to_le_bytes());
        bytes[60..64].copy_from_slice(&[
            self.kind as u8,
            self.view.node.0,
            self.promised.node.0,
            u8::from(self.committed),
        ]);
        bytes[64..72].copy_from_slice(&self.view.round.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.index.0.to_le_bytes());
        bytes[80..88].copy_from_slice(&self.digest.0.to_le_bytes());
        bytes[88..96].copy_from_slice(&self.promised.round.to_le_bytes());
        let crc = crc32fast::hash(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&bytes);
    }

    /// Reads the header that `bytes` begin with. Whether it stands where it says is for the caller to compare.
    pub(super) fn decode(magic: [u8; 4], bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        if bytes[..4] != magic || u32_at(bytes, 4) != crc32fast::hash(&bytes[8..]) {
            return None;
        }
        let header = Header {
            length: u32_at(bytes, 8),
            ordinal: u32_at(bytes, 12),
            nonce: DiskNonce(u128::from_le_bytes(bytes[16..32].try_into().expect("sixteen bytes"))),
            segment: u64_at(bytes, 32),
            offset: u64_at(bytes, 40),
            round_first: u32_at(bytes, 48),
            round_last: u32_at(bytes, 52),
            before: u32_at(bytes, 56),
            kind: Kind::ALL.into_iter().find(|kind| *kind as u8 == bytes[60])?,
            view: View { round: u64_at(bytes, 64), node: NodeId::try_from(bytes[61]).ok()? },
            promised: View { round: u64_at(bytes, 88), node: NodeId::try_from(bytes[62]).ok()? },
            committed: bytes[63] == 1,
            index: Index(u64_at(bytes, 72)),
            digest: Digest(u64_at(bytes, 80)),
        };
        let rounded = header.round_first <= header.ordinal && header.ordinal <= header.round_last;
        let sized = header.kind.has_payload() || header.length == 0;
        (rounded && sized && header.names_a_place()).then_some(header)
    }

    /// Whether a log can have the index that a record of this kind is about.
    fn names_a_place(&self) -> bool {
        match self.kind {
            Kind::Accepted | Kind::Committed | Kind::Unknown => (1..u64::MAX).contains(&self.index.0),
            Kind::Floor => self.index.0 < u64::MAX,
            Kind::Loss | Kind::Whole => true,
        }
    }

    /// Where the record after this one begins.
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(footprint(u64::from(self.length)))
    }

    /// The record, if `payload` is the one it was written with.
    pub(super) fn item(&self, payload: Bytes) -> Option<Item> {
        if !self.kind.has_payload() {
            return Some(self.named());
        }
        let batch = Batch::decode(payload).ok().filter(|batch| batch.digest() == self.digest)?;
        Some(match self.kind {
            Kind::Accepted => Item::Accepted { view: self.view, index: self.index, batch },
            _ => Item::Committed { index: self.index, batch },
        })
    }

    /// What is known of the record without its payload. Only batches have any, so the other kinds are known whole.
    pub(super) fn named(&self) -> Item {
        let unknown = |committed| Item::Unknown {
            index: self.index,
            unknown: Unknown { view: self.view, digest: self.digest, committed },
        };
        match self.kind {
            Kind::Accepted => unknown(false),
            Kind::Committed => unknown(true),
            Kind::Floor => Item::Floor { index: self.index },
            Kind::Unknown => unknown(self.committed),
            Kind::Loss => Item::Loss,
            Kind::Whole => Item::Whole,
        }
    }
}

/// What an id slot turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    /// Never written.
    Blank,
    /// Written, and readable.
    Good(Header),
    /// Damaged or torn.
    Unreadable,
}

impl Slot {
    /// What it holds, if it is readable.
    pub(super) fn header(&self) -> Option<Header> {
        if let Slot::Good(header) = self { Some(*header) } else { None }
    }

    /// Reads the [`SLOT`] bytes of an id slot. Whether it stands where it says is for the caller to compare.
    pub(super) fn decode(bytes: &[u8]) -> Slot {
        match Header::decode(SLOT_MAGIC, bytes) {
            Some(header) => Slot::Good(header),
            None if *bytes == [0; SLOT] => Slot::Blank,
            None => Slot::Unreadable,
        }
    }
}

fn u32_at(bytes: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8; HEADER], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

//! Snapshots on the disk: written aside in blocks, sealed by the identity, and only then relied on.
//!
//! ```text
//! snap/<index>.snap   header    block 0          block 1          ...
//!                     4096      16 + block size  16 + block size  the last one may be shorter
//! block               crc of what follows 4, number 4, index 8, then its bytes of the stream
//! ```
//! A snapshot exists once the identity names it: index, hash of the state, length, and a checksum over every block, its
//! [`SnapshotSeal`]. That is better than a seal in the file itself, and than a rename: the identity has six copies and
//! outlives the rot of four, so a snapshot that is damaged is never taken for one that was not finished; and the same
//! write that makes the snapshot count says below which segment nothing counts any more. Before it, the file is a
//! leftover that the next opening removes; after it, segments below are, oldest first. So a crash between any two disk
//! operations leaves either the log that was there before or the snapshot and what follows it.
//!
//! Segments go only if every record in them is at or below the snapshot's index. What they said of promises, the
//! identity says too. A *loss* in them (see [`super::recovery`]) may have been about any index: while one is not made
//! good, and that is not durable, no segment goes.
//!
//! The blocks of one snapshot are written one at a time, each synced: a node whose disk is busy with a snapshot still
//! finds its rounds' syncs short. While the node runs, a snapshot is read by block, to be sent to a peer.

use super::{
    Journal,
    block::{BLOCK, Kept},
};
use crate::{
    ids::{DiskNonce, Index, NodeId, OpId},
    interface::{DiskAction, DiskError, DiskResult, FileId, Output, ReadDisk},
};
use alloc::{collections::VecDeque, vec::Vec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const MAGIC: [u8; 4] = *b"ioSn";
/// Bytes of a block before its part of the stream.
const FRAME: usize = 16;
/// Most blocks asked for and not read yet: one for every peer of the largest cluster.
pub const READS_MAX: usize = 16;

/// What makes a snapshot one, and tells it from every other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct SnapshotSeal {
    /// Everything up to here is in it.
    pub index: Index,
    /// Hash of the state in it.
    pub state_hash: u64,
    /// Bytes of its stream in each block but the last.
    pub block: u32,
    /// Bytes of its stream.
    pub length: u64,
    /// Over all blocks in their order.
    pub checksum: u64,
}

impl SnapshotSeal {
    /// How many blocks it has.
    pub fn blocks(&self) -> u64 {
        self.length.div_ceil(u64::from(self.block.max(1)))
    }

    /// How many bytes of the stream are in a block.
    pub fn bytes_of(&self, number: u64) -> usize {
        let left = self.length.saturating_sub(number.saturating_mul(u64::from(self.block)));
        left.min(u64::from(self.block)) as usize
    }
}

/// The checksum of a stream that grows by a block.
pub fn checksum(before: u64, block: &[u8]) -> u64 {
    xxh3_64_with_seed(block, before)
}

/// What stands at the start of the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Header {
    node: NodeId,
    nonce: DiskNonce,
    index: Index,
    block: u32,
}

impl Kept for Header {
    const ADDED: &'static [u8] = &[];
}

/// A snapshot that is being written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Draft {
    /// What it would be sealed with now.
    seal: SnapshotSeal,
    /// Blocks handed in.
    blocks: u64,
    /// The operation under way.
    op: Option<OpId>,
    /// The change of the identity that seals it.
    sealing: Option<u64>,
    /// The file of the snapshot that counted before.
    replaces: Option<FileId>,
}

/// Everything the journal knows of snapshots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Snapshots {
    /// The one that counts and can be read.
    pub(super) current: Option<SnapshotSeal>,
    pub(super) draft: Option<Draft>,
    /// One that has come to count, not yet reported.
    pub(super) sealed: Option<SnapshotSeal>,
    /// A draft was given up for want of room, which is not reported yet.
    pub(super) lost_draft: bool,
    /// A removal failed for want of room, and is tried again with whatever else did.
    pub(super) rests: bool,
    /// Operations on files that no longer matter.
    pub(super) strays: Vec<(OpId, FileId)>,
    /// Files that do not count, to be removed in this order.
    pub(super) doomed: VecDeque<FileId>,
    /// Blocks that are being read.
    pub(super) reads: Vec<(OpId, SnapshotSeal, u64)>,
    /// Blocks that have been read; none if one cannot be.
    pub(super) read: VecDeque<(SnapshotSeal, u64, Option<Bytes>)>,
    /// Every segment but the current one that counts, ascending, with the highest index in it.
    pub(super) segments: Vec<(u64, Index)>,
    /// Whether a loss was found that is not made good; or since which record it is.
    pub(super) loss: Loss,
}

/// What became of a loss that the opening found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Loss {
    /// There was none.
    #[default]
    None,
    /// It is not made good.
    Open,
    /// It is, by so many records handed in.
    Over(u64),
}

impl Snapshots {
    /// Whether `op` is one of these, and about which file.
    pub(super) fn awaited(&self, op: OpId) -> Option<FileId> {
        let draft = self.draft.as_ref().filter(|draft| draft.op == Some(op));
        let stray = self.strays.iter().find(|(stray, _)| *stray == op);
        let read = self.reads.iter().find(|(read, _, _)| *read == op);
        let draft = draft.map(|draft| file_of(&draft.seal));
        draft.or(stray.map(|(_, file)| *file)).or(read.map(|(_, seal, _)| file_of(seal)))
    }

    /// Takes the end of a read, well or not: no rule depends on a block that cannot be read.
    pub(super) fn was_read(&mut self, op: OpId, result: &DiskResult) -> bool {
        let Some(place) = self.reads.iter().position(|(read, _, _)| *read == op) else { return false };
        let (_, seal, number) = self.reads.swap_remove(place);
        let bytes = match result {
            DiskResult::Read(bytes) => unframe(&seal, number, bytes),
            DiskResult::Done | DiskResult::Failed(_) => None,
        };
        self.read.push_back((seal, number, bytes));
        true
    }

    /// Gives up the snapshot that `op` was to write for want of room, or what had been given up already.
    pub(super) fn lose_draft(&mut self, op: OpId) -> bool {
        if let Some(draft) = self.draft.take_if(|draft| draft.op == Some(op)) {
            self.doomed.push_back(file_of(&draft.seal));
            self.lost_draft = true;
            return true;
        }
        let Some(place) = self.strays.iter().position(|(stray, _)| *stray == op) else { return false };
        let (_, file) = self.strays.remove(place);
        if !self.doomed.contains(&file) {
            // It was this that failed: some file systems need room even to remove.
            self.doomed.push_back(file);
            self.rests = true;
        }
        true
    }

    /// Takes the end of any other operation.
    pub(super) fn was_done(&mut self, op: OpId) {
        self.strays.retain(|(stray, _)| *stray != op);
        if let Some(draft) = self.draft.as_mut().filter(|draft| draft.op == Some(op)) {
            draft.op = None;
        }
    }

    /// The first segment that something above `index` is in.
    fn oldest_above(&self, index: Index, current: u64) -> u64 {
        let above = self.segments.iter().find(|(_, highest)| *highest > index);
        above.map_or(current, |(segment, _)| *segment)
    }
}

impl Journal {
    // ---- Writing.

    /// Whether snapshots can be written at all.
    pub fn keeps_snapshots(&self) -> bool {
        !self.forgets() && self.ready() && self.may_make()
    }

    /// Whether the snapshot that was being written had to be given up for want of room; once.
    pub fn take_lost_draft(&mut self) -> bool {
        core::mem::take(&mut self.snapshots.lost_draft)
    }

    /// The snapshot that counts, if it can be read.
    pub fn snapshot(&self) -> Option<&SnapshotSeal> {
        self.snapshots.current.as_ref()
    }

    /// The index of the snapshot that is being written.
    pub fn drafting(&self) -> Option<Index> {
        self.snapshots.draft.as_ref().map(|draft| draft.seal.index)
    }

    /// Begins to write a snapshot, in blocks of so many bytes of its stream. Another one that is being written is given
    /// up; one that counts is never written over while it can be read.
    pub fn draft_snapshot(&mut self, index: Index, state_hash: u64, block: u32, out: &mut Vec<Output>) {
        assert!(self.keeps_snapshots(), "a journal that writes nothing, or has no room, has no new snapshots");
        assert!(self.snapshot().is_none_or(|seal| seal.index < index), "a snapshot is only replaced by a newer one");
        let named = self.identity.stored.snapshot;
        assert!(named.is_none_or(|seal| seal.index <= index), "what a snapshot once stood for stays in one");
        self.abandon_snapshot(out);
        let seal = SnapshotSeal { index, state_hash, block, length: 0, checksum: 0 };
        let file = file_of(&seal);
        // A leftover of this name is replaced.
        self.snapshots.doomed.retain(|doomed| *doomed != file);
        let identity = self.identity();
        let header = Header { node: identity.node, nonce: identity.nonce, index, block };
        let head = Bytes::from(super::block::encode(MAGIC, &header));
        let op = self.next_op();
        out.push(Output::Disk { op, action: DiskAction::Create { file, size: BLOCK as u64, head } });
        self.snapshots.draft = Some(Draft { seal, blocks: 0, op: Some(op), sealing: None, replaces: None });
    }

    /// Whether the snapshot that is being written can take its next block, or its seal.
    pub fn wants_block(&self) -> bool {
        self.snapshots.draft.as_ref().is_some_and(|draft| draft.op.is_none() && draft.sealing.is_none())
    }

    /// What the snapshot that is being written has so far, as a seal would say.
    pub fn draft(&self) -> Option<&SnapshotSeal> {
        self.snapshots.draft.as_ref().map(|draft| &draft.seal)
    }

    /// Writes the next block, when one is wanted.
    pub fn write_block(&mut self, data: &[u8], out: &mut Vec<Output>) {
        assert!(self.wants_block(), "one block at a time");
        let op = self.next_op();
        let draft = self.snapshots.draft.as_mut().expect("just seen");
        let before = draft.blocks * u64::from(draft.seal.block);
        assert!(draft.seal.length == before && data.len() <= draft.seal.block as usize, "only the last block is short");
        let bytes = frame(&draft.seal, draft.blocks, data);
        let (file, offset) = (file_of(&draft.seal), offset_of(&draft.seal, draft.blocks));
        draft.seal.length += data.len() as u64;
        draft.seal.checksum = checksum(draft.seal.checksum, data);
        draft.blocks += 1;
        draft.op = Some(op);
        out.push(Output::Disk { op, action: DiskAction::Write { file, writes: Vec::from([(offset, bytes)]) } });
    }

    /// Makes the snapshot that has been written count, as soon as the identity says so durably. Its blocks are.
    pub fn seal_snapshot(&mut self) {
        assert!(self.wants_block(), "a snapshot is sealed when all of it is durable");
        let current = self.current_segment();
        let losses_are_over = match self.snapshots.loss {
            Loss::None => true,
            Loss::Open => false,
            Loss::Over(record) => self.synced >= record,
        };
        let draft = self.snapshots.draft.as_mut().expect("just seen");
        let seal = draft.seal;
        let before = self.identity.stored.snapshot.replace(seal);
        draft.replaces = before.map(|before| file_of(&before)).filter(|file| *file != file_of(&seal));
        draft.sealing = Some(self.identity.changed());
        if losses_are_over {
            let oldest = self.snapshots.oldest_above(seal.index, current);
            self.identity.stored.oldest = oldest.max(self.identity.stored.oldest);
        }
    }

    /// Gives up the snapshot that is being written, unless it is being sealed.
    pub fn abandon_snapshot(&mut self, out: &mut Vec<Output>) {
        let Some(draft) = self.snapshots.draft.take_if(|draft| draft.sealing.is_none()) else {
            assert!(self.snapshots.draft.is_none(), "a snapshot that is being sealed is not given up");
            return;
        };
        let file = file_of(&draft.seal);
        self.snapshots.strays.extend(draft.op.map(|op| (op, file)));
        self.snapshots.doomed.push_back(file);
        self.remove_doomed(out);
    }

    /// Whether the snapshot that is being written is about to count.
    pub fn is_sealing(&self) -> bool {
        self.snapshots.draft.as_ref().is_some_and(|draft| draft.sealing.is_some())
    }

    /// The snapshot that has come to count, once.
    pub fn take_sealed(&mut self) -> Option<SnapshotSeal> {
        self.snapshots.sealed.take()
    }

    /// What follows when the identity is durable: the snapshot counts, and what lies below it goes.
    pub(super) fn proceed_with_snapshot(&mut self, out: &mut Vec<Output>) {
        let sealing = self.snapshots.draft.as_ref().and_then(|draft| draft.sealing);
        if sealing.is_some_and(|change| self.identity.is_durable(change)) {
            let draft = self.snapshots.draft.take().expect("just seen");
            self.full = None;
            self.snapshots.current = Some(draft.seal);
            self.snapshots.sealed = Some(draft.seal);
            let oldest = self.identity.stored.oldest;
            let gone = self.snapshots.segments.partition_point(|(segment, _)| *segment < oldest);
            let segments = self.snapshots.segments.drain(..gone).map(|(segment, _)| FileId::Segment(segment));
            self.snapshots.doomed.extend(segments.chain(draft.replaces));
        }
        self.remove_doomed(out);
    }

    /// Removes what does not count, one file after the other.
    fn remove_doomed(&mut self, out: &mut Vec<Output>) {
        if !self.ready() || !self.snapshots.strays.is_empty() || self.snapshots.rests {
            return;
        }
        if let Some(file) = self.snapshots.doomed.pop_front() {
            let op = self.next_op();
            out.push(Output::Disk { op, action: DiskAction::Remove { file } });
            self.snapshots.strays.push((op, file));
        }
    }

    // ---- Reading.

    /// Asks for a block of the snapshot that counts. False if there is none, or too much is asked for already.
    pub fn read_block(&mut self, number: u64, out: &mut Vec<Output>) -> bool {
        let Some(seal) = self.snapshots.current.filter(|seal| number < seal.blocks()) else { return false };
        if self.snapshots.reads.len() >= READS_MAX {
            return false;
        }
        let op = self.next_op();
        let (offset, length) = (offset_of(&seal, number), (FRAME + seal.bytes_of(number)) as u64);
        out.push(Output::Disk { op, action: DiskAction::Read { file: file_of(&seal), offset, length } });
        self.snapshots.reads.push((op, seal, number));
        true
    }

    /// The next block that has been read: of which snapshot, which one, and what is in it, unless it cannot be read.
    pub fn take_read(&mut self) -> Option<(SnapshotSeal, u64, Option<Bytes>)> {
        self.snapshots.read.pop_front()
    }

    /// The snapshot that counts has turned out to be damaged: it is not handed out again.
    pub fn distrust_snapshot(&mut self, seal: &SnapshotSeal) {
        self.snapshots.current.take_if(|current| current == seal);
    }
}

/// The file of a snapshot.
pub(super) fn file_of(seal: &SnapshotSeal) -> FileId {
    FileId::Snapshot(seal.index.0)
}

fn offset_of(seal: &SnapshotSeal, number: u64) -> u64 {
    BLOCK as u64 + number * (FRAME as u64 + u64::from(seal.block))
}

/// A block with what tells it from every other.
fn frame(seal: &SnapshotSeal, number: u64, data: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(FRAME + data.len());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(number as u32).to_le_bytes());
    bytes.extend_from_slice(&seal.index.0.to_le_bytes());
    bytes.extend_from_slice(data);
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    Bytes::from(bytes)
}

/// The stream's bytes in a block, if it is the one that was written there.
fn unframe(seal: &SnapshotSeal, number: u64, bytes: &Bytes) -> Option<Bytes> {
    let whole = bytes.len() == FRAME + seal.bytes_of(number)
        && bytes[..4] == crc32fast::hash(&bytes[4..]).to_le_bytes()
        && bytes[4..8] == (number as u32).to_le_bytes()
        && bytes[8..16] == seal.index.0.to_le_bytes();
    whole.then(|| bytes.slice(FRAME..))
}

/// Reads a snapshot from beginning to end, handing each block to `take`. Whether all of it is what was sealed, and
/// `take` found nothing wrong with it.
pub(super) fn read_snapshot(disk: &mut dyn ReadDisk, seal: &SnapshotSeal, take: &mut dyn FnMut(&[u8]) -> bool) -> bool {
    let mut sum = 0;
    for number in 0..seal.blocks() {
        let length = FRAME + seal.bytes_of(number);
        let read: Result<Vec<u8>, DiskError> = disk.read(file_of(seal), offset_of(seal, number), length);
        let Some(block) = read.ok().and_then(|bytes| unframe(seal, number, &Bytes::from(bytes))) else { return false };
        sum = checksum(sum, &block);
        if !take(&block) {
            return false;
        }
    }
    sum == seal.checksum
}

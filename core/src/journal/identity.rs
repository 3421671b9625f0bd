//! The identity file: who this disk is, what it has promised, which segments count, and which snapshot.
//!
//! Six slots of 4096 bytes. An update writes slots 0 to 2 and syncs, then slots 3 to 5 and syncs, and only then is it
//! acted on. Whatever the moment of a crash, the three slots that were not being written are equal, so two equal ones
//! are left even if one of them rots; after a completed update any four may rot. A directory opens with the highest
//! counter that two equal slots agree on, and the next update counts on from the highest counter *seen*, so that a
//! lone leftover of an interrupted update never meets its equal later.
//!
//! What a life opens with may still be on its way: a process that died left its second half in the page cache alone,
//! and the next update, which begins with the other half, and a power loss together bring back what was there before
//! both. Nobody relies on it: the life that wrote it acts on it once both halves are durable, and the life that opened
//! with it once an update of its own is.

use super::{
    Identity, JournalError,
    block::{self, BLOCK, Block, Kept},
    snapshot::SnapshotSeal,
};
use crate::{
    ids::OpId,
    interface::{DiskAction, DiskError, FileId, Output, ReadDisk},
    options::SNAPSHOT_BLOCK_MAX,
    time::Time,
};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const MAGIC: [u8; 4] = *b"ioNd";
/// Slots that one write of an update covers.
const HALF: usize = 3;
const SLOTS: usize = 2 * HALF;
/// Bytes of the file.
pub(super) const FILE_BYTES: u64 = (SLOTS * BLOCK) as u64;

/// What a slot holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    counter: u64,
    pub(super) identity: Identity,
    /// The newest segment in use; 0 before the first. Files with higher numbers are leftovers.
    pub(super) newest: u64,
    /// The oldest segment that counts. Files with lower numbers are on their way out.
    pub(super) oldest: u64,
    /// The snapshot that stands for everything up to its index.
    pub(super) snapshot: Option<SnapshotSeal>,
}

impl Kept for Stored {
    /// Segments count from the first on, and there is no snapshot.
    const ADDED: &'static [u8] = &[1, 0];
}

impl Stored {
    /// Whether it leaves room to count on, as everything does that was ever written.
    fn is_plausible(&self) -> bool {
        let index = self.snapshot.map_or(0, |seal| seal.index.0.max(seal.length));
        let block = self.snapshot.map_or(1, |seal| seal.block);
        self.counter.max(self.newest).max(self.identity.incarnation.0).max(index) < u64::MAX / 2
            && (1..=self.newest.max(1)).contains(&self.oldest)
            && (1..=SNAPSHOT_BLOCK_MAX).contains(&block)
    }
}

/// The operation that makes the file of a fresh directory.
pub(super) fn create(identity: Identity) -> DiskAction {
    let slot = block::encode(MAGIC, &Stored { counter: 1, identity, newest: 0, oldest: 1, snapshot: None });
    DiskAction::Create { file: FileId::Identity, size: FILE_BYTES, head: Bytes::from(slot.repeat(SLOTS)) }
}

/// The content of the file. A slot that cannot be read is taken for a blank one, as long as another one can.
pub(super) fn read(disk: &mut dyn ReadDisk) -> Result<Vec<u8>, DiskError> {
    let whole = disk.read(FileId::Identity, 0, FILE_BYTES as usize);
    let mut error = match whole {
        Ok(image) => return Ok(image),
        Err(error) => Some(error),
    };
    let mut image = Vec::with_capacity(FILE_BYTES as usize);
    for slot in 0..SLOTS {
        if let Ok(bytes) = disk.read(FileId::Identity, (slot * BLOCK) as u64, BLOCK) {
            image.extend_from_slice(&bytes);
            error = None;
        }
        image.resize((slot + 1) * BLOCK, 0);
    }
    error.map_or(Ok(image), Err)
}

/// What opening would make of an identity file with this content, if anything.
pub fn identity_of(image: &[u8]) -> Option<Identity> {
    choose(image).ok().map(|file| file.stored.identity)
}

/// The slots of an identity file that have been damaged, by place: those that no other one equals, unless they all lie
/// in one half, where an update that was interrupted leaves them too.
pub fn damaged_slots(image: &[u8]) -> Vec<usize> {
    let slots: Vec<&[u8]> = image.chunks(BLOCK).collect();
    let alone = |slot: &usize| slots.iter().filter(|other| **other == slots[*slot]).count() == 1;
    let odd: Vec<usize> = (0..slots.len()).filter(alone).collect();
    let in_both = odd.iter().any(|slot| *slot < HALF) && odd.iter().any(|slot| *slot >= HALF);
    if in_both { odd } else { Vec::new() }
}

/// Whether a write to the identity file ends an update.
pub(super) fn ends_update(writes: &[(u64, Bytes)]) -> bool {
    writes.iter().any(|(offset, _)| *offset >= (HALF * BLOCK) as u64)
}

/// What a write to the identity file says: the newest state that two of its slots agree on.
pub(super) fn agreed(writes: &[(u64, Bytes)]) -> Option<Stored> {
    let slots = decoded(writes.iter().flat_map(|(_, bytes)| bytes.chunks(BLOCK)));
    newest_pair(&slots.into_iter().filter_map(good).collect::<Vec<_>>())
}

/// Decodes slots. Most of them are copies of the one before, and need only be compared; those of a write are the very
/// same bytes three times.
fn decoded<'a>(slots: impl Iterator<Item = &'a [u8]>) -> Vec<Block<Stored>> {
    let mut decoded: Vec<Block<Stored>> = Vec::with_capacity(SLOTS);
    let mut before: &[u8] = &[];
    for slot in slots {
        let block = match decoded.last() {
            Some(block) if core::ptr::eq(slot, before) || slot == before => block.clone(),
            _ => block::decode(MAGIC, slot),
        };
        decoded.push(block);
        before = slot;
    }
    decoded
}

/// Reads an identity file.
pub(super) fn choose(image: &[u8]) -> Result<IdentityFile, JournalError> {
    let blocks = decoded(image.chunks(BLOCK).take(SLOTS));
    let newer = blocks.iter().find_map(|block| if let Block::Newer(version) = block { Some(*version) } else { None });
    if let Some(version) = newer {
        return Err(JournalError::Newer { file: FileId::Identity, version });
    }
    let slots: Vec<Stored> = blocks.into_iter().filter_map(good).collect();
    let counter = slots.iter().map(|slot| slot.counter).max().unwrap_or(0);
    let stored = newest_pair(&slots).ok_or(JournalError::IdentityUnreadable { readable: slots.len() })?;
    Ok(IdentityFile { stored, counter, wanted: 0, durable: 0, update: None })
}

fn good(block: Block<Stored>) -> Option<Stored> {
    if let Block::Good(stored) = block { Some(stored).filter(Stored::is_plausible) } else { None }
}

fn newest_pair(slots: &[Stored]) -> Option<Stored> {
    let paired = slots.iter().enumerate().filter(|(place, slot)| slots[..*place].contains(slot));
    paired.map(|(_, slot)| slot).max_by_key(|slot| slot.counter).cloned()
}

/// The identity in memory, and the update that is on its way to the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct IdentityFile {
    /// As it binds in memory; the counter in it is that of the last update started.
    pub(super) stored: Stored,
    /// The highest counter on the disk.
    counter: u64,
    /// Changes made in memory, and how many of them are durable.
    wanted: u64,
    durable: u64,
    update: Option<Update>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Update {
    op: OpId,
    since: Time,
    /// The changes it covers.
    covers: u64,
    slot: Bytes,
    second_half: bool,
}

impl IdentityFile {
    /// Counts a change just made. The number says in [`IdentityFile::is_durable`] whether it may be acted on.
    pub(super) fn changed(&mut self) -> u64 {
        self.wanted += 1;
        self.wanted
    }

    /// The number of the newest change.
    pub(super) fn newest_change(&self) -> u64 {
        self.wanted
    }

    /// Whether that change may be acted on.
    pub(super) fn is_durable(&self, change: u64) -> bool {
        self.durable >= change
    }

    /// Whether there are changes that no update carries, and none is in the way.
    pub(super) fn wants_update(&self) -> bool {
        self.update.is_none() && self.wanted > self.durable
    }

    /// Since when an update has been waiting for the disk.
    pub(super) fn waiting_since(&self) -> Option<Time> {
        self.update.as_ref().map(|update| update.since)
    }

    /// Starts an update that carries every change made so far.
    pub(super) fn start(&mut self, now: Time, op: OpId, out: &mut Vec<Output>) {
        assert!(self.update.is_none(), "one identity update at a time");
        self.counter += 1;
        self.stored.counter = self.counter;
        let slot = Bytes::from(block::encode(MAGIC, &self.stored));
        let update = Update { op, since: now, covers: self.wanted, slot, second_half: false };
        out.push(update.write());
        self.update = Some(update);
    }

    /// Whether `op` is the write under way.
    pub(super) fn awaits(&self, op: OpId) -> bool {
        self.update.as_ref().is_some_and(|update| update.op == op)
    }

    /// The write under way is durable: goes on with the second half, named `next`, or is done.
    pub(super) fn advance(&mut self, now: Time, next: OpId, out: &mut Vec<Output>) {
        let mut update = self.update.take().expect("an identity update is under way");
        if update.second_half {
            self.durable = update.covers;
        } else {
            (update.op, update.since, update.second_half) = (next, now, true);
            out.push(update.write());
            self.update = Some(update);
        }
    }
}

impl Update {
    fn write(&self) -> Output {
        let first = if self.second_half { HALF } else { 0 };
        let writes = (first..first + HALF).map(|slot| ((slot * BLOCK) as u64, self.slot.clone())).collect();
        Output::Disk { op: self.op, action: DiskAction::Write { file: FileId::Identity, writes } }
    }
}

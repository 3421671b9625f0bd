//! Durable state on a disk that lies.
//!
//! The replica hands in records and promises, takes a [`Ticket`], and lets nothing leave that vouches for them before
//! [`Journal::covers`] says so. The journal turns that into [`DiskAction`]s and performs none of them.
//!
//! # What is on the disk
//! `identity` holds who this disk is, what it promised, and which segment is the newest (see [`identity`]). A segment
//! is made in one operation, filled with zeros, and never used twice:
//!
//! ```text
//! segment N     header, header | slot 0 | slot 1 | slot 2 | ...   | record 0 | record 1     | record 2 | ...
//!                                \__ id table: one slot a record    \__ data area: headers and payloads
//! ```
//! A *round* is what one sync covers: the records that gathered while the round before it was on its way, and, far
//! from them, the id slots of the round before: its *seal*. If no other round comes, the slots go alone after a
//! short idle time. One round is under way at a time and none spans two segments. So at any moment
//!
//! * every record of every round but the last is durable, and
//! * every record of every round but the last two is durable *and sealed*.
//!
//! When a segment is full its last round is sealed, then the identity names the next one, then the next one is used.
//! What an older segment holds is therefore durable and sealed throughout, and every segment in use is named. How
//! many records it has stands in every record of the next one.
//!
//! # Torn or rotten
//! A record whose bytes are not what was written was either *torn* (being written when the node died; nobody was
//! told) or has gone *rotten* (it was durable, and may have been vouched for). Dropping a rotten one breaks a
//! promise; keeping a torn one as "something unknown was here" can block the cluster. [`recovery`] decides by one
//! table, from the record, its slot, and whether there is a trace of anything that happens only after the record is
//! durable. Rotten records are reported as *unknown* (index, view and digest are known from the header or the slot)
//! or, if nothing names them, as a *loss*, which leaves every index in doubt that has no newer record ([`fold`]).
//!
//! # Opening
//! Opening reads, and vouches for nothing. Then, before the first message leaves: a fresh segment is made; whatever
//! was kept of the last *two* rounds is written into it, gaps included, with slots, and synced; and the identity is
//! told of the new life and the new segment. The fresh segment's header says where in the old one it takes over (the
//! *cut*). Until the identity is durable the fresh segment is a leftover that the next opening replaces.
//!
//! *The page cache.* A process that dies leaves unsynced writes in the page cache, where the next life reads them as
//! if they were durable; if the power goes later, they are gone although they were vouched for. Here whatever that
//! life relies on is either before the cut or in the fresh segment. Before the cut: there is a trace of two later
//! rounds, and a round starts only when the one before it is synced, slots of the one before that included; the
//! traces may be in the page cache only, but they were written by a process that had seen those syncs end. In the
//! fresh segment: synced by this life. A sync that *failed* leaves pages that read well and are not on the disk; they
//! belong to the last round and to the slots of the one before, and are copied as well.
//!
//! *The second opening.* A record judged torn must not look rotten later, when a newer segment is there to serve as a
//! trace: it lies after the cut, where nobody looks again. A rotten record must not look torn later because its trace
//! has rotted too: before the cut everything counts as durable, as does every copy, since the segment that says so
//! was named only after that; and what was judged unknown or lost after the cut was written down as such. So the
//! verdicts of a life that spoke are final. One that died before the identity named its segment told nobody, and the
//! next may judge anew.
//!
//! # What no journal can notice
//! A disk that answers a sync and loses the data; an old copy put back whole; table and data of the newest records
//! gone to zeros at once; and, with [`Seal::Lazy`], rot of a record younger than the idle time together with a crash.
//!
//! # Snapshots
//! A [`snapshot`] stands for every record up to its index, once the identity says so. The log then begins with the
//! oldest segment that holds something above. A snapshot that has rotted is a loss of everything up to its index, but
//! of nothing that could be mistaken for absent: all of it was committed, and the identity still says up to where.
//!
//! # A full disk
//! What is in use has its space already: segments are full of zeros, the identity is never longer. (Not so where a
//! file system copies what is written over; there a full disk may fence.) A disk that is full therefore fails the
//! making of the *next* segment, or of a snapshot, and nobody has relied on either. So this fences nobody: the
//! snapshot is given up, the segment is tried again every [`ROOM_PAUSE`], and when the one in use is full too,
//! records wait. [`Journal::waiting_since`] then says since when, and the replica leaves leading to others.
//!
//! # What is absent on purpose
//! Reading after the opening, but for snapshots that peers ask for; retries of a failed write (it fences the node); any
//! idea of quorums.

mod block;
mod error;
mod facts;
mod fold;
mod identity;
mod image;
mod record;
mod recovery;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

pub use error::JournalError;
pub use facts::{Extent, Fact, Witness, contents, extents, facts};
pub use identity::{damaged_slots, identity_of};
pub use segment::segment_bytes_min;
pub use snapshot::{READS_MAX, SnapshotSeal, checksum};

use crate::{
    batch::Batch,
    configuration::Configuration,
    ids::{ClusterId, DiskNonce, Incarnation, Index, NodeId, OpId, View},
    interface::{DiskAction, DiskError, DiskResult, Fault, FileId, Note, Output, ReadDisk},
    message::Unknown,
    options::{JournalOptions, Persistence, Seal},
    time::{Span, Time},
};
use alloc::vec::Vec;
use fold::Fold;
use identity::IdentityFile;
use record::{Header, Item};
use serde::{Deserialize, Serialize};
use snapshot::{Loss, Snapshots};
use writer::{Creation, Round, Segment, Stage};

/// How long a full disk is left alone before something is made on it again.
pub const ROOM_PAUSE: Span = Span::millis(500);

/// Bytes that may wait for the disk before no more is taken in than has to be.
const BACKLOG_MAX: usize = 64 << 20;

/// The version of everything this module writes.
const FORMAT_VERSION: u32 = 2;

/// What is handed to the journal to be made durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// An acceptance.
    Accepted {
        /// In which view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        batch: Batch,
    },
    /// A committed batch learned from a peer; beats every acceptance.
    Committed {
        /// Where.
        index: Index,
        /// What.
        batch: Batch,
    },
    /// Everything up to here is committed with the batches recorded before this. Needs no sync of its own. Where the
    /// disk had lost something, it vouches only for indexes recorded since: an entry that opened without being
    /// [`RecoveredEntry::certain`] is to be recorded as [`Record::Committed`] when it is known committed.
    Floor {
        /// Where it ends.
        index: Index,
    },
    /// Whatever was lost of what *earlier lives* wrote is committed by now, and recorded so; the floor that covers it
    /// comes before this.
    Whole,
}

/// A point in the journal: everything handed in before it was taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticket {
    records: u64,
    identity: u64,
}

/// Who this disk is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// Whose it is.
    pub node: NodeId,
    /// Which disk.
    pub nonce: DiskNonce,
    /// How often the node has started on it.
    pub incarnation: Incarnation,
    /// No view below this one is accepted.
    pub promised: View,
    /// Hash of the configuration it was formatted for.
    pub genesis: u64,
    /// The cluster and every first member's disk nonce, in the members' order, once founded.
    pub founded: Option<(ClusterId, Vec<DiskNonce>)>,
}

/// What a disk holds, after recovery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// With the incarnation of the life that begins, and the highest promise that anything on the disk names.
    pub identity: Identity,
    /// Everything up to here is in a snapshot, and in no entry.
    pub base: Index,
    /// That snapshot, if it is whole. If it is not, what is up to `base` is lost, and known to be committed.
    pub snapshot: Option<SnapshotSeal>,
    /// Ascending by index, one per index.
    pub entries: Vec<RecoveredEntry>,
    /// Everything up to here is committed.
    pub floor: Index,
    /// Records were lost that cannot be named.
    pub loss: bool,
    /// Two different batches are recorded as committed here; `entries` has the first. Cannot happen to a correct node.
    pub divergence: Option<Index>,
}

/// What a disk holds at one index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveredEntry {
    /// Where.
    pub index: Index,
    /// The newest readable acceptance, or the committed batch (its view then says nothing).
    pub accepted: Option<(View, Batch)>,
    /// Whether the batch above is known committed.
    pub committed: bool,
    /// A newer record of which only the id is readable.
    pub unknown: Option<Unknown>,
    /// The newest record is newer than every unlocated loss.
    pub certain: bool,
}

/// What formats a data directory.
pub fn format(node: NodeId, nonce: DiskNonce, configuration: &Configuration) -> Vec<DiskAction> {
    let identity = Identity {
        node,
        nonce,
        incarnation: Incarnation(0),
        promised: View::ZERO,
        genesis: configuration.genesis_hash(),
        founded: None,
    };
    Vec::from([identity::create(identity)])
}

/// A disk without room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Full {
    /// Since when, as far as anything that was made since tells.
    since: Time,
    /// When something is made on it again; none while that is being tried.
    again_at: Option<Time>,
}

/// The journal of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journal {
    options: JournalOptions,
    identity: IdentityFile,
    stage: Stage,
    /// Numbers the operations of this life.
    ops: u64,

    /// What the fresh segment of this life begins with, and where it takes over from the old one.
    copies: Vec<Item>,
    cut: u32,
    before: Option<u32>,

    /// The segment in use; the making of another; the next one, ready for use.
    segment: Option<Segment>,
    creation: Option<Creation>,
    prepared: Option<Segment>,
    /// The disk was full when something was last to be made on it.
    full: Option<Full>,

    /// Records handed in, in no round yet. Bounded by whoever hands them in and looks at [`Journal::is_behind`].
    staged: Vec<Item>,
    staged_bytes: usize,
    round: Option<Round>,
    snapshots: Snapshots,
    /// Records of the last round, whose slots are not written yet.
    unsealed: Vec<Header>,
    unsealed_bytes: usize,
    /// Since when slots or floors have been waiting for a round to take them along.
    lazy_since: Option<Time>,

    /// Records handed in; up to the last one that is in a hurry; those in a round; those durable; those sealed.
    handed: u64,
    urgent: u64,
    rounds_begun: u64,
    synced: u64,
    sealed: u64,
}

impl Journal {
    /// Reads a data directory. Nothing is written and nothing is vouched for before [`Journal::ready`].
    pub fn open(
        node: NodeId,
        genesis: u64,
        options: JournalOptions,
        disk: &mut dyn ReadDisk,
    ) -> Result<(Journal, Recovered), JournalError> {
        Self::open_with(node, genesis, options, disk, &mut |_| true)
    }

    /// As [`Journal::open`], with somebody to `restore` the snapshot, who is shown one block of the stream after the
    /// other. Answering false says that the snapshot makes no sense.
    pub fn open_with(
        node: NodeId,
        genesis: u64,
        options: JournalOptions,
        disk: &mut dyn ReadDisk,
        restore: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(Journal, Recovered), JournalError> {
        let files = disk.files().map_err(JournalError::Listing)?;
        let mut identity = read_identity(node, genesis, &files, disk)?;
        let mut fold = Fold::default();
        let nonce = identity.stored.identity.nonce;
        let (oldest, newest) = (identity.stored.oldest, identity.stored.newest);
        let tail = recovery::read_log(disk, &files, nonce, (oldest, newest), &mut fold)?;
        let opened = &mut identity.stored.identity;
        opened.promised = opened.promised.max(tail.promised);
        opened.incarnation = Incarnation(opened.incarnation.0 + 1);
        let named = identity.stored.snapshot;
        let mut recovered = fold.finish(opened.clone(), named.map_or(Index::ZERO, |seal| seal.index));
        recovered.snapshot = named.filter(|seal| snapshot::read_snapshot(disk, seal, restore));
        let counts = |file: &FileId| match file {
            FileId::Identity => true,
            FileId::Segment(segment) => *segment >= oldest,
            FileId::Snapshot(index) => named.is_some_and(|seal| seal.index.0 == *index),
        };
        let snapshots = Snapshots {
            current: recovered.snapshot,
            doomed: files.iter().map(|(file, _)| *file).filter(|file| !counts(file)).collect(),
            segments: tail.segments,
            loss: if recovered.loss { Loss::Open } else { Loss::None },
            ..Snapshots::default()
        };
        let journal = Journal {
            options,
            identity,
            stage: Stage::Closed,
            ops: 0,
            copies: tail.items,
            cut: tail.cut,
            before: tail.before,
            segment: None,
            creation: None,
            prepared: None,
            full: None,
            staged: Vec::new(),
            staged_bytes: 0,
            round: None,
            snapshots,
            unsealed: Vec::new(),
            unsealed_bytes: 0,
            lazy_since: None,
            handed: 0,
            urgent: 0,
            rounds_begun: 0,
            synced: 0,
            sealed: 0,
        };
        Ok((journal, recovered))
    }

    /// Whether the opening sequence (fresh segment, rewritten tail, new incarnation) is durable.
    pub fn ready(&self) -> bool {
        if self.forgets() {
            return true;
        }
        // No update of the identity starts before the fresh segment is complete, and the first one names it.
        self.identity.is_durable(1)
    }

    /// Who this disk is, as it binds in memory.
    pub fn identity(&self) -> &Identity {
        &self.identity.stored.identity
    }

    /// Raises the promised view. Binding for the caller at once, durable when the ticket is.
    pub fn promise(&mut self, view: View) {
        let promised = &mut self.identity.stored.identity.promised;
        if view > *promised {
            *promised = view;
            self.identity.changed();
        }
    }

    /// Records the cluster and its members' disks.
    pub fn found(&mut self, cluster: ClusterId, nonces: Vec<DiskNonce>) {
        self.identity.stored.identity.founded = Some((cluster, nonces));
        self.identity.changed();
    }

    /// Hands in a record.
    pub fn append(&mut self, record: Record) {
        if self.forgets() {
            return;
        }
        let item = Item::from(record);
        if item == Item::Whole && self.snapshots.loss == Loss::Open {
            self.snapshots.loss = Loss::Over(self.handed + 1);
        }
        if let Item::Floor { index } = item {
            // Nobody waits for a floor: of several in a row the last one says it all.
            if let Some(Item::Floor { index: last }) = self.staged.last_mut() {
                *last = index.max(*last);
                return;
            }
            self.handed += 1;
        } else {
            self.handed += 1;
            self.urgent = self.handed;
        }
        self.staged_bytes += item.footprint() as usize;
        self.staged.push(item);
    }

    /// As [`Journal::append`], for a record that is made only if it is kept.
    pub fn append_with(&mut self, record: impl FnOnce() -> Record) {
        if !self.forgets() {
            self.append(record());
        }
    }

    /// The point after everything handed in so far.
    pub fn ticket(&self) -> Ticket {
        Ticket { records: self.urgent, identity: self.identity.newest_change() }
    }

    /// Whether everything before `ticket` is durable. Floors are not waited for.
    pub fn covers(&self, ticket: Ticket) -> bool {
        let records = match self.options.seal {
            Seal::Lazy => self.synced,
            Seal::Eager => self.sealed,
        };
        self.forgets() || self.ready() && records >= ticket.records && self.identity.is_durable(ticket.identity)
    }

    /// Starts what can be started: the end of a driver's turn.
    pub fn flush(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.forgets() {
            return;
        }
        self.proceed(now, out);
        if self.wants_round() {
            self.begin_round(now, out);
        }
        if self.is_lazy() && self.lazy_since.is_none() {
            self.lazy_since = Some(now);
        }
    }

    /// Whether `flush` would do anything now.
    pub fn wants_flush(&self) -> bool {
        self.stage == Stage::Closed && !self.forgets()
            || self.may_write_identity() && self.identity.wants_update()
            || self.wants_round()
            || self.is_lazy() && self.lazy_since.is_none()
    }

    /// Takes a completion, and goes on with sequences under way (opening, roll-over, the second half of an identity
    /// update). Records that have gathered meanwhile wait for [`Journal::flush`]. Returns whether `op` was one of its
    /// own.
    pub fn complete(&mut self, now: Time, op: OpId, result: DiskResult, out: &mut Vec<Output>) -> Result<bool, Fault> {
        let Some(file) = self.awaited(op) else { return Ok(false) };
        if self.snapshots.was_read(op, &result) {
            return Ok(true);
        }
        if let DiskResult::Failed(error) = result {
            if error == DiskError::Full && self.does_without(op) {
                out.push(Output::Note(Note::DiskFull { file }));
                let since = self.full.map_or(now, |full| full.since);
                self.full = Some(Full { since, again_at: Some(now + ROOM_PAUSE) });
                self.proceed(now, out);
                return Ok(true);
            }
            return Err(Fault::Disk { file, error });
        }
        if self.identity.awaits(op) {
            let next = self.next_op();
            self.identity.advance(now, next, out);
        } else if self.creation.as_ref().is_some_and(|creation| creation.op == op) {
            self.created();
        } else if self.round.as_ref().is_some_and(|round| round.op == op) {
            self.round_done(now);
        } else {
            self.snapshots.was_done(op);
        }
        self.proceed(now, out);
        Ok(true)
    }

    /// Gives up what an operation was making, if nobody relies on it yet.
    fn does_without(&mut self, op: OpId) -> bool {
        // The fresh segment of this life is not done without: no record of it has a place before.
        let opens = matches!(self.stage, Stage::Closed | Stage::Creating | Stage::Copying);
        let successor = self.creation.take_if(|creation| !opens && creation.op == op);
        successor.is_some() || self.snapshots.lose_draft(op)
    }

    /// When the idle slots and floors want to be written, or a full disk is tried again ([`Journal::wake`]).
    pub fn deadline(&self) -> Option<Time> {
        [self.seal_due(), self.full.and_then(|full| full.again_at)].into_iter().flatten().min()
    }

    /// Writes idle slots and floors if their time has come, and tries a full disk again.
    pub fn wake(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(full) = self.full.as_mut().filter(|full| full.again_at.is_some_and(|at| at <= now)) {
            full.again_at = None;
            self.snapshots.rests = false;
            self.proceed(now, out);
        }
        if self.seal_due().is_some_and(|due| due <= now) {
            self.begin_round(now, out);
        }
    }

    fn seal_due(&self) -> Option<Time> {
        self.lazy_since.filter(|_| self.is_lazy()).map(|since| since + self.options.seal_idle)
    }

    /// Whether the disk is not known to be full, or it is time to see whether it still is.
    fn may_make(&self) -> bool {
        self.full.is_none_or(|full| full.again_at.is_none())
    }

    /// Since when nothing that was to be made found room.
    pub fn full_since(&self) -> Option<Time> {
        self.full.map(|full| full.since)
    }

    /// Since when the oldest operation that something waits for has been outstanding.
    pub fn waiting_since(&self) -> Option<Time> {
        // To try a full disk again and again is no progress.
        let making = self.full.map(|full| full.since).or(self.creation.as_ref().map(|creation| creation.since));
        let creation = making.and_then(|making| match self.stage {
            Stage::Running | Stage::Naming { .. } => None,
            Stage::Rolling { since } => Some(making.max(since)),
            Stage::Closed | Stage::Creating | Stage::Copying => Some(making),
        });
        let round = self.round.as_ref().map(|round| round.since);
        [self.identity.waiting_since(), creation, round].into_iter().flatten().min()
    }

    /// Whether so much waits for the disk that nothing more is to be handed in that can be had again later.
    pub fn is_behind(&self) -> bool {
        self.backlog() > BACKLOG_MAX
    }

    /// Bytes handed in and not yet durable.
    pub fn backlog(&self) -> usize {
        let unsealed = if self.options.seal == Seal::Eager { self.unsealed_bytes } else { 0 };
        self.staged_bytes + self.round_bytes() + unsealed
    }

    /// Whether nothing is ever written. The journal then stays as it was opened and calls everything durable.
    fn forgets(&self) -> bool {
        self.options.persistence == Persistence::None
    }

    /// Whether slots or floors wait, and nothing is under way that would take them along.
    fn is_lazy(&self) -> bool {
        self.stage == Stage::Running && self.round.is_none() && !(self.unsealed.is_empty() && self.staged.is_empty())
    }

    /// The file that an operation under way is about.
    fn awaited(&self, op: OpId) -> Option<FileId> {
        if self.identity.awaits(op) {
            return Some(FileId::Identity);
        }
        let creation = self.creation.as_ref().filter(|creation| creation.op == op);
        let round = self.round.as_ref().filter(|round| round.op == op);
        creation.map(Creation::file).or_else(|| round.map(Round::file)).or_else(|| self.snapshots.awaited(op))
    }
}

fn read_identity(
    node: NodeId,
    genesis: u64,
    files: &[(FileId, u64)],
    disk: &mut dyn ReadDisk,
) -> Result<IdentityFile, JournalError> {
    if files.is_empty() {
        return Err(JournalError::NotFormatted);
    }
    if !files.iter().any(|(file, _)| *file == FileId::Identity) {
        return Err(JournalError::IdentityMissing);
    }
    let image = identity::read(disk).map_err(JournalError::Identity)?;
    let file = identity::choose(&image)?;
    let found = &file.stored.identity;
    if found.node != node {
        return Err(JournalError::ForeignNode { found: found.node, wanted: node });
    }
    if found.genesis != genesis {
        return Err(JournalError::ForeignGenesis { found: found.genesis, wanted: genesis });
    }
    Ok(file)
}

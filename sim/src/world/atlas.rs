//! The fault atlas: where records lie on every disk, and which of them may rot.
//!
//! Rot is only injected where the protocol promises to survive it. The rules, each with its reason:
//!
//! 1. *Only what can be noticed.* A record's body may rot once its id slot is durable; then recovery finds a bad body
//!    under a good slot and reports the index as unknown, never as empty. A slot may rot any time it is durable. Both
//!    of one record may, unless the slot becomes zeros: a bad body without a slot is what a torn write looks like, and
//!    nobody can tell an acknowledged record from it.
//! 2. *A clean recovery quorum.* The nodes of the core whose records never rotted, or were found whole again at a
//!    start, contain a Q1. Every Q2 meets that Q1, so each chosen batch keeps at least one intact copy on a node that
//!    the liveness phase starts; everything else can be repaired from there. Damaged nodes answer *unknown* until then,
//!    so safety does not even depend on this rule.
//! 3. *One identity slot at a time*, until it is written again. Of six slots, three are written at once; the others are
//!    equal, so two equal ones remain whatever a crash does to the write.
//!
//! 4. *A whole disk only outside of the core, and only once the cluster is founded.* An emptied disk never votes again
//!    (H12), so no later quorum has it; by rule 2 every Q1 finds an intact copy without it. Founding takes every first
//!    member, so nothing would ever begin.
//!
//! What a misdirected write put there is damaged like anything else. What cannot be read are whole sectors, with
//! whatever else they hold; so a file that has a record without a slot, or with a blank one, is left alone.
//!
//! A snapshot may rot under rule 2 alone: the identity still names it, so a node that cannot read it knows what it
//! lost.
//!
//! A run *beyond* that (`disk beyond=on`) keeps to rule 1 alone: whatever is damaged can be noticed, so nothing false
//! may be served, but nodes may refuse to start and everything may have to wait for ever.
//!
//! Damage happens to durable bytes. What is only in the page cache is the business of crashes.

use super::{World, disk::SECTOR, told::Told};
use crate::{
    choice::{Chooser, Stream},
    outcome::Counter,
    scenario::{Damage, RotPart},
};
use ios_core::{
    configuration::Configuration,
    ids::{Digest, Index, NodeId, NodeSet, View},
    interface::{DiskAction, FileId},
    journal::{Fact, Recovered, Witness},
};

/// Bytes of an identity slot.
const IDENTITY_SLOT: u64 = 4096;
/// How many there are.
const IDENTITY_SLOTS: u64 = 6;

/// Which copies of which record are still good, for every disk.
#[derive(Debug, Default)]
pub struct Atlas {
    configuration: Option<Configuration>,
    core: NodeSet,
    /// Nodes with a record that rotted and was not found whole since.
    spent: NodeSet,
    disks: Vec<Chart>,
    /// Whether anything will ever rot, so that places of records are worth noting.
    charts: bool,
    /// Whether rules 2 and 3 are off.
    beyond: bool,
}

/// What is known of one disk.
#[derive(Debug, Default)]
struct Chart {
    witness: Witness,
    records: Vec<Place>,
    /// Offsets of identity slots that have rotted.
    identity: Vec<u64>,
    /// Whether everything is gone.
    wiped: bool,
    /// The snapshot that counts.
    snapshot: Option<Index>,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: FileId,
    view: View,
    index: Index,
    digest: Digest,
    body: (u64, u64),
    /// The id slot, once it is durable.
    slot: Option<(u64, u64)>,
    body_rotten: bool,
    slot_rotten: bool,
    slot_blank: bool,
}

impl Atlas {
    /// An atlas of empty disks. `core` are the nodes that must get everything done in the end; all, if empty. Without
    /// `charts` nothing can rot, and where records lie is not noted. With `beyond`, damage knows no measure.
    pub fn reset(&mut self, configuration: &Configuration, core: NodeSet, charts: bool, beyond: bool) {
        (self.charts, self.beyond) = (charts, beyond);
        let members: NodeSet = configuration.members().iter().copied().collect();
        self.core = if core.is_empty() { members } else { core };
        self.configuration = Some(configuration.clone());
        self.spent = NodeSet::EMPTY;
        self.disks.clear();
        self.disks.resize_with(configuration.members().len(), Chart::default);
    }

    /// The nodes that must get everything done in the end.
    pub fn core(&self) -> NodeSet {
        self.core
    }

    /// An operation is durable. Returns what is certain now that was not before.
    pub fn durable(&mut self, id: NodeId, action: &DiskAction) -> Vec<Fact> {
        let Chart { witness, records, identity, snapshot, .. } = &mut self.disks[usize::from(id.0)];
        match action {
            DiskAction::Create { file, .. } | DiskAction::Remove { file } => {
                records.retain(|place| place.file != *file);
            }
            DiskAction::Write { file: FileId::Identity, writes } => {
                let covers = |slot: u64| {
                    writes.iter().any(|(offset, bytes)| *offset <= slot && slot < *offset + bytes.len() as u64)
                };
                identity.retain(|slot| !covers(*slot));
            }
            DiskAction::Write { .. } | DiskAction::Read { .. } => {}
        }
        let charts = self.charts;
        let facts = witness.durable(action, |extent| {
            if charts {
                enter(records, action.file(), &extent.fact, (extent.offset, extent.length));
            }
        });
        for fact in &facts {
            if let Fact::Snapshot { index, .. } = fact {
                *snapshot = Some(*index);
            }
        }
        facts
    }

    /// A node has read its disk: if it found nothing missing, all it ever vouched for is there or superseded.
    pub fn opened(&mut self, id: NodeId, recovered: &Recovered) {
        let restored = recovered.base == Index::ZERO || recovered.snapshot.is_some();
        if restored && !recovered.loss && recovered.entries.iter().all(|entry| entry.unknown.is_none()) {
            self.spent.remove(id);
        }
    }

    /// Rule 4.
    pub fn may_wipe(&self, id: NodeId, founded: bool) -> bool {
        self.beyond || founded && !self.core.contains(id)
    }

    /// A disk has lost everything.
    pub fn wiped(&mut self, id: NodeId) {
        self.disks[usize::from(id.0)] = Chart { wiped: true, ..Chart::default() };
        self.spent.insert(id);
    }

    /// Whether a node may refuse to start: its disk is empty, or more of its identity is damaged than rule 3 allows.
    pub fn may_refuse(&self, id: NodeId) -> bool {
        let Chart { wiped, identity, .. } = &self.disks[usize::from(id.0)];
        *wiped || identity.len() > 1
    }

    /// Rule 2, if `id` were damaged as well.
    fn leaves_a_clean_quorum(&self, id: NodeId) -> bool {
        if self.beyond {
            return true;
        }
        let clean = self.core.difference(self.spent.with(id));
        let configuration = self.configuration.as_ref().expect("reset before use");
        configuration.quorums().has_recovery_quorum(clean)
    }

    /// Finds what a line of the plan wants to rot, if there is anything and the rules allow it.
    fn choose(&mut self, choose: Chooser, id: NodeId, part: RotPart, index: Option<u64>, damage: Damage) -> Choice {
        let chart = &self.disks[usize::from(id.0)];
        let words = [u64::from(id.0), part as u64, index.unwrap_or(0)];
        if part == RotPart::Identity {
            if !chart.identity.is_empty() && !self.beyond {
                return Choice::Forbidden;
            }
            let offset = choose.between(0, IDENTITY_SLOTS - 1, Stream::Rot, &words) * IDENTITY_SLOT;
            return Choice::Bytes(None, FileId::Identity, (offset, IDENTITY_SLOT));
        }
        if part == RotPart::Snapshot {
            return match chart.snapshot {
                None => Choice::Nothing,
                Some(_) if !self.leaves_a_clean_quorum(id) => Choice::Forbidden,
                Some(index) => Choice::Snapshot(FileId::Snapshot(index.0)),
            };
        }
        let whole = |place: &Place| damage != Damage::Unreadable || !chart.has_nameless(place.file);
        let fits = |place: &&(usize, &Place)| place.1.allows(part, damage) && whole(place.1);
        let all: Vec<(usize, &Place)> = chart.records.iter().enumerate().collect();
        let found = match index {
            // The newest record of this index is the one that counts.
            Some(index) => all.iter().rev().find(|place| place.1.index == Index(index)).filter(fits),
            None => {
                let fitting: Vec<&(usize, &Place)> = all.iter().filter(fits).collect();
                let last = (fitting.len() as u64).saturating_sub(1);
                let pick = choose.between(0, last, Stream::Rot, &[words[0], words[1], fitting.len() as u64]);
                fitting.get(pick as usize).copied()
            }
        };
        match found {
            None => Choice::Nothing,
            Some(_) if !self.leaves_a_clean_quorum(id) => Choice::Forbidden,
            Some((at, place)) => {
                let extent =
                    if part == RotPart::Body { place.body } else { place.slot.expect("a slot that fits is there") };
                Choice::Bytes(Some(*at), place.file, extent)
            }
        }
    }

    /// Bytes of the same kind in the same file as `of`, for a write that should have gone there.
    fn elsewhere(
        &self,
        choose: Chooser,
        id: NodeId,
        part: RotPart,
        file: FileId,
        of: (u64, u64),
    ) -> Option<(u64, u64)> {
        let records = self.disks[usize::from(id.0)].records.iter().filter(|place| place.file == file);
        let all: Vec<(u64, u64)> = match part {
            RotPart::Body => records.map(|place| place.body).collect(),
            RotPart::Slot => records.filter_map(|place| place.slot).collect(),
            RotPart::Identity => (0..IDENTITY_SLOTS).map(|slot| (slot * IDENTITY_SLOT, IDENTITY_SLOT)).collect(),
            RotPart::Snapshot => vec![(of.0.saturating_sub(SNAPSHOT_ROT).max(SNAPSHOT_HEADER), SNAPSHOT_ROT)],
        };
        let others: Vec<(u64, u64)> = all.into_iter().filter(|other| other.0 != of.0).collect();
        let last = (others.len() as u64).checked_sub(1)?;
        others.get(choose.between(0, last, Stream::Rot, &[u64::from(id.0), of.0, last]) as usize).copied()
    }

    /// Notes damage that has been done.
    fn rotted(&mut self, id: NodeId, record: Option<usize>, part: RotPart, damage: Damage, of: (FileId, u64, u64)) {
        let chart = &mut self.disks[usize::from(id.0)];
        let (file, offset, length) = of;
        if damage == Damage::Unreadable {
            let overlaps = |(from, count): (u64, u64)| from < offset + length && offset < from + count;
            for place in chart.records.iter_mut().filter(|place| place.file == file) {
                place.body_rotten |= overlaps(place.body);
                place.slot_rotten |= place.slot.is_some_and(overlaps);
            }
        }
        match record {
            None if part == RotPart::Snapshot => drop(self.spent.insert(id)),
            None => chart.identity.push(offset),
            Some(at) => {
                let place = &mut chart.records[at];
                place.body_rotten |= part == RotPart::Body;
                place.slot_rotten |= part == RotPart::Slot;
                place.slot_blank |= part == RotPart::Slot && damage == Damage::Zero;
                self.spent.insert(id);
            }
        }
    }
}

/// What may rot.
#[derive(Debug)]
enum Choice {
    /// There is nothing of the kind.
    Nothing,
    /// There is, but the rules are against it.
    Forbidden,
    /// These bytes: of which record, in which file, offset and length.
    Bytes(Option<usize>, FileId, (u64, u64)),
    /// Any bytes of this file beyond its header.
    Snapshot(FileId),
}

/// Bytes of a snapshot's header, and of what rots at once behind it.
const SNAPSHOT_HEADER: u64 = 4096;
const SNAPSHOT_ROT: u64 = 64;

/// Notes where a record or its slot lies.
fn enter(records: &mut Vec<Place>, file: FileId, fact: &Fact, extent: (u64, u64)) {
    let (view, index, digest) = match *fact {
        Fact::Accepted { view, index, digest } => (view, index, digest),
        Fact::Committed { index, digest } => (View::ZERO, index, digest),
        Fact::Slot { view, index, digest, .. } => {
            let same = |place: &&mut Place| {
                place.file == file && (place.view, place.index, place.digest) == (view, index, digest)
            };
            // Slots follow their records closely, so the search begins with the newest.
            if let Some(place) = records.iter_mut().rev().filter(|place| place.slot.is_none()).find(same) {
                place.slot = Some(extent);
            }
            return;
        }
        _ => return,
    };
    records.push(Place {
        file,
        view,
        index,
        digest,
        body: extent,
        slot: None,
        body_rotten: false,
        slot_rotten: false,
        slot_blank: false,
    });
}
impl Chart {
    /// Whether a record of the file has no durable slot, or a blank one.
    fn has_nameless(&self, file: FileId) -> bool {
        self.records.iter().any(|place| place.file == file && (place.slot.is_none() || place.slot_blank))
    }
}

impl Place {
    /// Rule 1.
    fn allows(&self, part: RotPart, damage: Damage) -> bool {
        self.slot.is_some()
            && match part {
                RotPart::Body => !self.slot_blank,
                RotPart::Slot => damage != Damage::Zero || !self.body_rotten,
                RotPart::Identity | RotPart::Snapshot => false,
            }
    }
}

impl World {
    /// Damages durable bytes of a node's disk, as far as the rules allow. Whether anything was damaged.
    pub(super) fn rot(&mut self, id: NodeId, part: RotPart, index: Option<u64>, damage: Damage) -> bool {
        let (record, file, (offset, length)) = match self.atlas.choose(self.choose, id, part, index, damage) {
            Choice::Nothing => return false,
            Choice::Forbidden => {
                self.outcome.counters.count(Counter::RotRefused);
                return false;
            }
            Choice::Bytes(record, file, extent) => (record, file, extent),
            Choice::Snapshot(file) => {
                let length =
                    self.processes[usize::from(id.0)].disk.durable_length(file).saturating_sub(SNAPSHOT_HEADER);
                let place = self.choose.between(0, length.saturating_sub(1), Stream::Rot, &[u64::from(id.0), length]);
                (None, file, (SNAPSHOT_HEADER + place, SNAPSHOT_ROT.min(length - place.min(length))))
            }
        };
        let (offset, length) = if damage == Damage::Unreadable { sectors(offset, length) } else { (offset, length) };
        if !self.spoil(id, part, file, (offset, length), damage) {
            return false;
        }
        self.atlas.rotted(id, record, part, damage, (file, offset, length));
        if self.tell.is_some() {
            self.tell(Told::Rotted { node: id, file, part, damage });
        }
        self.outcome.counters.count(match part {
            RotPart::Body => Counter::RotBody,
            RotPart::Slot => Counter::RotSlot,
            RotPart::Identity => Counter::RotIdentity,
            RotPart::Snapshot => Counter::RotSnapshot,
        });
        true
    }

    /// Damages these bytes. Whether that changed anything.
    fn spoil(&mut self, id: NodeId, part: RotPart, file: FileId, of: (u64, u64), damage: Damage) -> bool {
        let (choose, (offset, length)) = (self.choose, of);
        let disk = &mut self.processes[usize::from(id.0)].disk;
        let mut bytes = disk.durable(file, offset, length as usize);
        let bits = |place: u64| choose.u64(Stream::Rot, &[u64::from(id.0), offset, length, place]);
        match damage {
            Damage::Bit => flip(&mut bytes, bits(0)),
            Damage::Zero => bytes.fill(0),
            Damage::Whole => {
                for (place, word) in bytes.chunks_mut(8).enumerate() {
                    // Never all zeros, or it would be another kind of damage.
                    let noise = (bits(place as u64 + 1) | 1).to_le_bytes();
                    word.copy_from_slice(&noise[..word.len()]);
                }
            }
            Damage::Misdirected => {
                let Some((from, count)) = self.atlas.elsewhere(choose, id, part, file, of) else { return false };
                let other = disk.durable(file, from, count.min(length) as usize);
                // A slot of zeros is one that was never written, which rule 1 is about.
                if other.iter().all(|byte| *byte == 0) {
                    return false;
                }
                bytes[..other.len()].copy_from_slice(&other);
            }
            Damage::Unreadable => return disk.hide(file, offset, length),
        }
        disk.damage(file, offset, &bytes)
    }

    /// Tells the ghost what an operation that is durable holds.
    pub(super) fn made_durable(&mut self, id: NodeId, action: &DiskAction) {
        let now = self.now();
        if let DiskAction::Remove { file: FileId::Segment(_) } = action {
            self.outcome.counters.count(Counter::SegmentsRemoved);
        }
        let facts = self.check_here(|world| world.atlas.durable(id, action));
        if self.tell.is_some() {
            self.tell_of_durability(id, &facts);
        }
        for fact in facts {
            self.mark_durable(id, &fact);
            let was_chosen = self.tell.is_some() && self.is_chosen(&fact);
            self.check(|ghost| ghost.durable(now, id, &fact));
            if self.tell.is_some() && !was_chosen && self.is_chosen(&fact) {
                self.tell_of_choice(&fact);
            }
        }
    }
}

/// The whole sectors that hold these bytes.
fn sectors(offset: u64, length: u64) -> (u64, u64) {
    let from = offset / SECTOR * SECTOR;
    (from, (offset + length).next_multiple_of(SECTOR) - from)
}

fn flip(bytes: &mut [u8], bits: u64) {
    let bit = bits % (bytes.len() as u64 * 8).max(1);
    if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
        *byte ^= 1 << (bit % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ios_core::journal;
    use ios_core::{
        batch::Batch,
        configuration::ConfigurationDraft,
        ids::{DiskNonce, OpId},
        interface::{DiskResult, Output},
        journal::{Journal, Record},
        options::JournalOptions,
        replica::quorum::QuorumSpec,
        time::Time,
    };

    const N0: NodeId = NodeId(0);

    fn configuration(quorum: QuorumSpec) -> Configuration {
        let members = (0..3).map(NodeId).collect();
        Configuration::new(ConfigurationDraft { members, quorum, ..ConfigurationDraft::default() }).unwrap()
    }

    /// An atlas in which every disk is formatted, and n0 has accepted a no-op at index 1, its slot included.
    fn atlas(quorum: QuorumSpec, core: &[u8]) -> Atlas {
        let configuration = configuration(quorum);
        let mut atlas = Atlas::default();
        atlas.reset(&configuration, core.iter().copied().map(NodeId).collect(), true, false);
        for id in configuration.members().to_vec() {
            let mut disk = crate::world::disk::SimDisk::default();
            for action in journal::format(id, DiskNonce(u128::from(id.0) + 1), &configuration) {
                atlas.durable(id, &action);
                disk.apply_now(action);
            }
            let genesis = configuration.genesis_hash();
            let (mut journal, _) = Journal::open(id, genesis, JournalOptions::default(), &mut disk).unwrap();
            let view = View { round: 1, node: N0 };
            run(&mut journal, &mut atlas, id);
            journal.append(Record::Accepted { view, index: Index(1), batch: Batch::noop() });
            run(&mut journal, &mut atlas, id);
        }
        atlas
    }

    /// Lets a journal do all it has to, idle slots included.
    fn run(journal: &mut Journal, atlas: &mut Atlas, id: NodeId) {
        let (mut out, mut now) = (Vec::new(), Time::ZERO);
        for _ in 0..20 {
            now.0 += 1_000_000_000;
            journal.flush(now, &mut out);
            journal.wake(now, &mut out);
            let done: Vec<(OpId, DiskAction)> = out
                .drain(..)
                .filter_map(|output| match output {
                    Output::Disk { op, action } => Some((op, action)),
                    _ => None,
                })
                .collect();
            for (op, action) in done {
                atlas.durable(id, &action);
                journal.complete(now, op, DiskResult::Done, &mut out).unwrap();
            }
        }
    }

    fn try_rot(atlas: &mut Atlas, node: u8, part: RotPart, damage: Damage) -> &'static str {
        let index = (part != RotPart::Identity).then_some(1);
        match atlas.choose(Chooser::new(1), NodeId(node), part, index, damage) {
            Choice::Nothing => "nothing",
            Choice::Forbidden => "forbidden",
            Choice::Snapshot(_) => {
                atlas.rotted(NodeId(node), None, part, damage, (FileId::Identity, 0, 1));
                "done"
            }
            Choice::Bytes(record, file, (offset, length)) => {
                atlas.rotted(NodeId(node), record, part, damage, (file, offset, length));
                "done"
            }
        }
    }

    #[test]
    fn the_core_keeps_a_clean_recovery_quorum() {
        use {Damage::Bit, QuorumSpec::*, RotPart::Body};
        for (quorum, core, allowed) in [
            (Majority, &[0, 1, 2][..], 1),
            (AllIn, &[], 2),
            (OneIn, &[], 0),
            (Majority, &[1, 2], 1),
            (Fixed(1), &[], 0),
        ] {
            let mut atlas = atlas(quorum.clone(), core);
            let done = (0..3).filter(|node| try_rot(&mut atlas, *node, Body, Bit) == "done").count();
            assert_eq!(done, allowed, "{quorum} with core {core:?}");
        }
    }

    #[test]
    fn a_node_outside_of_the_core_spends_nothing_of_it() {
        let mut atlas = atlas(QuorumSpec::Majority, &[1, 2]);
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Body, Damage::Bit), "done");
        assert_eq!(try_rot(&mut atlas, 1, RotPart::Body, Damage::Bit), "forbidden");
    }

    #[test]
    fn a_whole_disk_is_lost_outside_of_the_core_only_and_not_before_the_founding() {
        let mut atlas = atlas(QuorumSpec::Majority, &[1, 2]);
        assert!(atlas.may_wipe(N0, true));
        assert!(!atlas.may_wipe(N0, false) && !atlas.may_wipe(NodeId(1), true));
        atlas.wiped(N0);
        assert!(atlas.may_refuse(N0) && !atlas.may_refuse(NodeId(1)));
        assert_eq!(
            try_rot(&mut atlas, 1, RotPart::Body, Damage::Bit),
            "forbidden",
            "the core has to be clean as before"
        );
    }

    #[test]
    fn a_record_never_loses_its_body_under_a_blank_slot() {
        let mut slot_first = atlas(QuorumSpec::Majority, &[]);
        assert_eq!(try_rot(&mut slot_first, 0, RotPart::Slot, Damage::Zero), "done");
        assert_eq!(try_rot(&mut slot_first, 0, RotPart::Body, Damage::Bit), "nothing");
        let mut body_first = atlas(QuorumSpec::Majority, &[]);
        assert_eq!(try_rot(&mut body_first, 0, RotPart::Body, Damage::Bit), "done");
        assert_eq!(try_rot(&mut body_first, 0, RotPart::Slot, Damage::Zero), "nothing");
        assert_eq!(try_rot(&mut body_first, 0, RotPart::Slot, Damage::Whole), "done");
    }

    #[test]
    fn no_sector_is_lost_that_may_hold_a_record_without_a_slot() {
        let mut atlas = atlas(QuorumSpec::Majority, &[]);
        let last = *atlas.disks[0].records.last().expect("n0 has accepted something");
        atlas.disks[0].records.push(Place { index: Index(2), slot: None, ..last });
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Body, Damage::Unreadable), "nothing");
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Body, Damage::Bit), "done");
        atlas.disks[0].records[1] = Place { index: Index(2), slot_blank: true, ..last };
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Body, Damage::Unreadable), "nothing");
        atlas.disks[0].records.pop();
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Body, Damage::Unreadable), "done");
        assert!(atlas.disks[0].records[0].body_rotten);
    }

    #[test]
    fn one_identity_slot_rots_at_a_time_until_it_is_written_again() {
        let mut atlas = atlas(QuorumSpec::OneIn, &[]);
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Identity, Damage::Zero), "done");
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Identity, Damage::Zero), "forbidden");
        assert_eq!(try_rot(&mut atlas, 1, RotPart::Identity, Damage::Zero), "done", "each disk by itself");
        let writes = vec![(0, vec![0; (IDENTITY_SLOT * IDENTITY_SLOTS) as usize].into())];
        atlas.durable(N0, &DiskAction::Write { file: FileId::Identity, writes });
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Identity, Damage::Bit), "done");
    }

    #[test]
    fn a_node_that_finds_everything_is_clean_again() {
        let mut atlas = atlas(QuorumSpec::Majority, &[]);
        assert_eq!(try_rot(&mut atlas, 0, RotPart::Slot, Damage::Bit), "done");
        assert_eq!(try_rot(&mut atlas, 1, RotPart::Body, Damage::Bit), "forbidden");
        let mut disk = crate::world::disk::SimDisk::default();
        let configuration = configuration(QuorumSpec::Majority);
        journal::format(N0, DiskNonce(1), &configuration).into_iter().for_each(|action| disk.apply_now(action));
        let genesis = configuration.genesis_hash();
        let (_, mut recovered) = Journal::open(N0, genesis, JournalOptions::default(), &mut disk).unwrap();
        recovered.loss = true;
        atlas.opened(N0, &recovered);
        assert_eq!(try_rot(&mut atlas, 1, RotPart::Body, Damage::Bit), "forbidden", "n0 knows that it lost something");
        recovered.loss = false;
        atlas.opened(N0, &recovered);
        assert_eq!(try_rot(&mut atlas, 1, RotPart::Body, Damage::Bit), "done");
    }
}

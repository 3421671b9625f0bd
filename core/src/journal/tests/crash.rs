//! Crashes at every point, twice in a row, of the process (its writes stay in the page cache, unsynced) and of the
//! machine (any part of what was not synced is gone): what comes back is always a prefix of what was handed in, holds
//! everything that was vouched for, and shows neither unknowns nor losses, for nothing has rotted.

use super::*;
use crate::{
    ids::OpId,
    journal::{Recovered, Ticket},
};

/// A disk behind a page cache.
#[derive(Clone)]
pub(super) struct Cached {
    pub(super) durable: Disk,
    /// Written and not synced, oldest first.
    dirty: Vec<Atom>,
    /// Written, and their sync failed: they read well, no later sync takes them along, and they are not on the disk.
    stranded: Vec<Atom>,
}

/// A piece of a write that reaches the disk whole or not at all.
#[derive(Clone)]
struct Atom {
    file: FileId,
    offset: u64,
    bytes: Bytes,
}

/// How finely writes are torn.
#[derive(Clone, Copy)]
pub(super) struct Grain {
    /// Atoms a record, slot or block is torn into.
    pub(super) parts: usize,
    /// Atoms of one operation that are lost or kept independently; the others follow the last of them.
    pub(super) free: usize,
}

impl Cached {
    pub(super) fn formatted() -> Cached {
        Cached::after_power_loss(Disk::formatted())
    }

    fn after_power_loss(durable: Disk) -> Cached {
        Cached { durable, dirty: Vec::new(), stranded: Vec::new() }
    }

    /// What a process sees.
    pub(super) fn seen(&self) -> Disk {
        let mut disk = self.durable.clone();
        let cached = self.stranded.iter().chain(&self.dirty);
        cached.for_each(|atom| disk.write(atom.file, atom.offset, &atom.bytes));
        disk
    }

    pub(super) fn complete(&mut self, action: &DiskAction) {
        let file = match action {
            DiskAction::Create { file, .. } | DiskAction::Write { file, .. } | DiskAction::Remove { file } => *file,
            DiskAction::Read { .. } => unreachable!("nothing is read"),
        };
        // A sync takes along whatever an earlier life left behind in this file.
        let (synced, dirty) = core::mem::take(&mut self.dirty).into_iter().partition(|atom: &Atom| atom.file == file);
        self.dirty = dirty;
        for Atom { file, offset, bytes } in synced {
            self.durable.write(file, offset, &bytes);
        }
        self.durable.perform(action);
        // What is written anew is read anew.
        self.stranded.retain(|atom| !atom.is_covered_by(action));
    }

    /// What may be left after a crash while `pending` were under way.
    pub(super) fn crashes(&self, pending: &VecDeque<Output>, grain: Grain) -> Vec<Cached> {
        let mut states = Vec::new();
        for created in 0..3 {
            let mut base = self.clone();
            let mut atoms = Vec::new();
            for output in pending {
                let Output::Disk { action, .. } = output else { continue };
                match action {
                    DiskAction::Create { file, size, head } => base.create_partly(*file, *size, head, created),
                    DiskAction::Write { file, writes } => atoms.extend(torn(*file, writes, grain)),
                    DiskAction::Remove { file } if created > 0 => {
                        base.dirty.retain(|atom| atom.file != *file);
                        base.stranded.retain(|atom| atom.file != *file);
                        base.durable.perform(action);
                    }
                    DiskAction::Remove { .. } => {}
                    DiskAction::Read { .. } => unreachable!("nothing is read"),
                }
            }
            for kept in subsets(atoms.len(), grain.free) {
                let mut process = base.clone();
                process.dirty.extend(chosen(&atoms, &kept));
                states.push(process);
            }
            let mut failed = base.clone();
            failed.stranded.extend(atoms.iter().cloned());
            states.push(failed);
            let unsynced: Vec<Atom> = base.dirty.iter().cloned().chain(atoms).collect();
            for kept in subsets(unsynced.len(), grain.free) {
                let mut power = Cached::after_power_loss(base.durable.clone());
                for atom in chosen(&unsynced, &kept) {
                    power.durable.write(atom.file, atom.offset, &atom.bytes);
                }
                states.push(power);
            }
            let directories = |output: &Output| {
                matches!(output, Output::Disk { action: DiskAction::Create { .. } | DiskAction::Remove { .. }, .. })
            };
            if !pending.iter().any(directories) {
                break;
            }
        }
        states
    }

    /// Not yet there, or there with half of its head, or complete but for the report.
    fn create_partly(&mut self, file: FileId, size: u64, head: &Bytes, how_far: usize) {
        let (size, head) = match how_far {
            0 => return,
            1 => (head.len() as u64 / 2, head.slice(..head.len() / 4)),
            _ => (size, head.clone()),
        };
        self.dirty.retain(|atom| atom.file != file);
        self.stranded.retain(|atom| atom.file != file);
        self.durable.perform(&DiskAction::Create { file, size, head });
    }
}

impl Atom {
    fn is_covered_by(&self, action: &DiskAction) -> bool {
        let end = self.offset + self.bytes.len() as u64;
        match action {
            DiskAction::Create { file, .. } | DiskAction::Remove { file } => *file == self.file,
            DiskAction::Write { file, writes } => {
                let covers = |(at, bytes): &(u64, Bytes)| *at <= self.offset && end <= *at + bytes.len() as u64;
                *file == self.file && writes.iter().any(covers)
            }
            DiskAction::Read { .. } => false,
        }
    }
}

/// Tears a write between its records, slots and blocks, and within them.
fn torn(file: FileId, writes: &[(u64, Bytes)], grain: Grain) -> Vec<Atom> {
    let mut atoms = Vec::new();
    for (offset, bytes) in writes {
        let starts_thing = |at: &usize| {
            let head = &bytes[*at..(*at + 4).min(bytes.len())];
            *at == 0 || head == b"ioRc" || head == b"ioId"
        };
        let starts: Vec<usize> = (0..bytes.len()).step_by(8).filter(starts_thing).collect();
        for (place, start) in starts.iter().enumerate() {
            let end = starts.get(place + 1).copied().unwrap_or(bytes.len());
            let length = end - start;
            for part in 0..grain.parts {
                let range = start + length * part / grain.parts..start + length * (part + 1) / grain.parts;
                atoms.push(Atom { file, offset: offset + range.start as u64, bytes: bytes.slice(range) });
            }
        }
    }
    atoms
}

/// All subsets of the first `free` of `count` things; the rest follow the last of those.
fn subsets(count: usize, free: usize) -> Vec<Vec<bool>> {
    let free = free.min(count);
    let subset = |bits: usize| (0..count).map(|place| bits >> place.min(free.saturating_sub(1)) & 1 == 1).collect();
    (0..1 << free).map(subset).collect()
}

fn chosen(atoms: &[Atom], kept: &[bool]) -> Vec<Atom> {
    atoms.iter().zip(kept).filter(|(_, kept)| **kept).map(|(atom, _)| atom.clone()).collect()
}

/// One thing that a node does in a turn.
#[derive(Clone)]
pub(super) enum Act {
    Append(Vec<Record>),
    Promise(View),
    Idle,
    /// A snapshot of everything up to here, in three blocks.
    Snapshot(Index),
}

/// The next block of three, or the seal.
pub(super) fn go_on_with_snapshot(journal: &mut Journal, out: &mut Vec<Output>) {
    match journal.draft().expect("one is being written").length {
        length @ (0 | 64) => journal.write_block(&[length as u8; 64], out),
        128 => journal.write_block(b"end", out),
        _ => journal.seal_snapshot(),
    }
}

/// What lives so far have done, and what must come back.
#[derive(Clone)]
struct History {
    /// In the order of the hand-in.
    records: Vec<Record>,
    /// How many of them were vouched for.
    vouched: usize,
    promised: View,
    wanted: View,
    incarnation: u64,
    /// Where a snapshot was begun; up to where one has been relied on.
    drafted: Index,
    based: Index,
}

/// What an undamaged journal of exactly these records recovers to.
fn model(records: &[Record]) -> (BTreeMap<Index, (View, Batch, bool)>, Index) {
    let mut entries: BTreeMap<Index, (View, Batch, bool)> = BTreeMap::new();
    let mut last = Index(0);
    for record in records {
        match record {
            Record::Accepted { view, index, batch } => {
                let entry = entries.entry(*index).or_insert_with(|| (*view, batch.clone(), false));
                if !entry.2 {
                    *entry = (*view, batch.clone(), false);
                }
            }
            Record::Committed { index, batch } => {
                entries.insert(*index, (View::ZERO, batch.clone(), true));
            }
            Record::Floor { index } => {
                last = last.max(*index);
                entries.range_mut(..=*index).for_each(|(_, entry)| entry.2 = true);
            }
            Record::Whole => {}
        }
    }
    (entries, last)
}

fn matches(recovered: &Recovered, records: &[Record]) -> bool {
    let (mut entries, floor) = model(records);
    entries = entries.split_off(&recovered.base.next());
    recovered.floor == floor.max(recovered.base)
        && recovered.entries.len() == entries.len()
        && recovered.entries.iter().zip(entries).all(|(found, (index, (view, batch, committed)))| {
            found.index == index && found.accepted == Some((view, batch)) && found.committed == committed
        })
}

impl History {
    fn new() -> Self {
        Self {
            records: Vec::new(),
            vouched: 0,
            promised: View::ZERO,
            wanted: View::ZERO,
            incarnation: 0,
            drafted: Index::ZERO,
            based: Index::ZERO,
        }
    }

    /// Compares what came back with what was done, and goes on from there.
    fn reopened(&mut self, recovered: &Recovered) {
        assert!(!recovered.loss, "nothing rotted");
        assert!(recovered.entries.iter().all(|entry| entry.unknown.is_none() && entry.certain), "{recovered:?}");
        assert!(self.based <= recovered.base && recovered.base <= self.drafted, "{recovered:?}");
        let snapshot = recovered.snapshot.map_or(Index::ZERO, |seal| seal.index);
        assert_eq!(snapshot, recovered.base, "a snapshot that counts can be read");
        let prefix = (self.vouched..=self.records.len()).find(|length| matches(recovered, &self.records[..*length]));
        let Some(prefix) = prefix else {
            panic!("{recovered:#?}\nis no prefix of {:?} beyond {}", self.records, self.vouched)
        };
        self.records.truncate(prefix);
        let promised = recovered.identity.promised;
        assert!(self.promised <= promised && promised <= self.wanted, "{promised} is not what was promised");
        assert!(recovered.identity.incarnation.0 > self.incarnation, "a life is numbered like an earlier one");
        self.wanted = promised;
    }
}

/// One life after the other, with a crash at every point of each.
struct Explorer {
    options: JournalOptions,
    /// What the lives do; there is a crash in every one but the last.
    lives: Vec<(Vec<Act>, Grain)>,
    opened: usize,
}

impl Explorer {
    fn explore(options: &JournalOptions, lives: Vec<(Vec<Act>, Grain)>) -> usize {
        let mut explorer = Explorer { options: options.clone(), lives, opened: 0 };
        explorer.life(0, Cached::formatted(), History::new());
        explorer.opened
    }

    fn life(&mut self, number: usize, mut disk: Cached, mut history: History) {
        self.opened += 1;
        let (mut journal, recovered) = open(&mut disk.seen(), &self.options).unwrap_or_else(|error| panic!("{error}"));
        history.reopened(&recovered);
        let Some((acts, grain)) = self.lives.get(number).cloned() else { return };
        let mut acts = acts.into_iter();
        let mut pending = VecDeque::new();
        let mut tickets: VecDeque<(Ticket, usize, View)> = VecDeque::new();
        let mut now = Time(1);
        loop {
            for crash in disk.crashes(&pending, grain) {
                self.life(number + 1, crash, history.clone());
            }
            let mut out = Vec::new();
            if let Some(Output::Disk { op, action }) = pending.pop_front() {
                let op: OpId = op;
                disk.complete(&action);
                assert_eq!(journal.complete(now, op, DiskResult::Done, &mut out), Ok(true));
            } else if journal.wants_flush() {
                journal.flush(now, &mut out);
            } else if journal.wants_block() {
                go_on_with_snapshot(&mut journal, &mut out);
            } else {
                match acts.next() {
                    Some(Act::Snapshot(index)) => {
                        history.drafted = index;
                        journal.draft_snapshot(index, index.0, 64, &mut out);
                    }
                    Some(Act::Append(records)) => {
                        records.into_iter().for_each(|record| {
                            history.records.push(record.clone());
                            journal.append(record);
                        });
                        tickets.push_back((journal.ticket(), history.records.len(), history.wanted));
                    }
                    Some(Act::Promise(view)) => {
                        journal.promise(view);
                        history.wanted = history.wanted.max(view);
                        tickets.push_back((journal.ticket(), history.records.len(), history.wanted));
                    }
                    Some(Act::Idle) => {
                        now = journal.deadline().expect("something is idle");
                        journal.wake(now, &mut out);
                    }
                    None => break,
                }
            }
            pending.extend(out);
            if journal.ready() && history.incarnation != recovered.identity.incarnation.0 {
                history.incarnation = recovered.identity.incarnation.0;
                // From now on the node tells others what it found.
                history.vouched = history.vouched.max(recovered_length(&recovered, &history));
                history.promised = recovered.identity.promised;
            }
            history.based = journal.take_sealed().map_or(history.based, |seal| seal.index);
            while tickets.front().is_some_and(|(ticket, ..)| journal.covers(*ticket)) {
                let (_, records, promised) = tickets.pop_front().expect("just seen");
                history.vouched = history.vouched.max(urgent(&history.records[..records]));
                history.promised = history.promised.max(promised);
            }
        }
    }
}

/// How many records were recovered: what the history was cut to, without what this life has added.
fn recovered_length(recovered: &Recovered, history: &History) -> usize {
    let length =
        (history.vouched..=history.records.len()).find(|length| matches(recovered, &history.records[..*length]));
    length.expect("checked when it opened")
}

/// Floors at the end are not vouched for.
fn urgent(records: &[Record]) -> usize {
    records.iter().rposition(|record| !matches!(record, Record::Floor { .. })).map_or(0, |last| last + 1)
}

pub(super) fn rounds_of_work(first: u64) -> Vec<Act> {
    vec![
        Act::Append(vec![accepted(first, 1), accepted(first, 2)]),
        Act::Append(vec![accepted(first, 3), floor(1)]),
        Act::Promise(view(first + 1)),
        Act::Append(vec![floor(2), accepted(first + 1, 4)]),
        Act::Idle,
        Act::Append(vec![accepted(first + 1, 5)]),
    ]
}

#[test]
fn any_part_of_a_write_may_survive_a_crash() {
    let fine = Grain { parts: 3, free: 9 };
    let opened = Explorer::explore(&options(32, 4 << 10), vec![(rounds_of_work(1), fine)]);
    assert!(opened > 3000, "{opened}");
}

#[test]
fn a_crash_may_hit_the_opening_after_a_crash() {
    let coarse = Grain { parts: 1, free: 4 };
    let lives = vec![(rounds_of_work(1), coarse), (vec![Act::Append(vec![accepted(9, 1)])], coarse)];
    let opened = Explorer::explore(&options(32, 4 << 10), lives);
    assert!(opened > 10_000, "{opened}");
}

#[test]
fn the_opening_may_crash_again_and_again() {
    let coarse = Grain { parts: 1, free: 2 };
    let first = (rounds_of_work(1)[..2].to_vec(), Grain { parts: 1, free: 1 });
    let opened = Explorer::explore(&options(32, 4 << 10), vec![first, (vec![], coarse), (vec![], coarse)]);
    assert!(opened > 5000, "{opened}");
}

/// Segments of four records: every other round needs a new one.
pub(super) fn rolling_work(first: u64) -> Vec<Act> {
    vec![
        Act::Append(vec![accepted(first, 1), accepted(first, 2), accepted(first, 3)]),
        Act::Append(vec![accepted(first, 4), floor(2), accepted(first, 5), accepted(first, 6)]),
        Act::Promise(view(first + 1)),
        Act::Append((7..14).map(|index| accepted(first + 1, index)).collect()),
        Act::Idle,
        Act::Append(vec![Record::Committed { index: Index(14), batch: batch(14, 6000) }]),
    ]
}

#[test]
fn roll_over_may_crash_at_every_operation() {
    let fine = Grain { parts: 2, free: 6 };
    let opened = Explorer::explore(&options(4, 4 << 10), vec![(rolling_work(1), fine)]);
    assert!(opened > 2000, "{opened}");
    let coarse = Grain { parts: 1, free: 2 };
    let lives = vec![(rolling_work(1), coarse), (vec![Act::Append(vec![accepted(9, 1)])], coarse)];
    let opened = Explorer::explore(&options(4, 4 << 10), lives);
    assert!(opened > 5000, "{opened}");
}

#[test]
fn sealing_eagerly_survives_the_same_crashes() {
    let fine = Grain { parts: 1, free: 6 };
    let eager = JournalOptions { seal: Seal::Eager, ..options(32, 4 << 10) };
    let mut work = rounds_of_work(1);
    work.retain(|act| !matches!(act, Act::Idle));
    let opened = Explorer::explore(&eager, vec![(work.clone(), fine), (work, Grain { parts: 1, free: 1 })]);
    assert!(opened > 5000, "{opened}");
}

/// Two snapshots over segments of four records; while one is being written, work goes on.
#[test]
fn a_snapshot_may_crash_between_any_two_operations_and_so_may_the_log_below_it() {
    let mut work = rolling_work(1);
    work.insert(2, Act::Snapshot(Index(5)));
    work.extend([Act::Snapshot(Index(13)), Act::Append(vec![accepted(9, 15), floor(14)]), Act::Idle]);
    let fine = Grain { parts: 2, free: 5 };
    let opened = Explorer::explore(&options(4, 4 << 10), vec![(work.clone(), fine)]);
    assert!(opened > 2000, "{opened}");
    let coarse = Grain { parts: 1, free: 2 };
    let again = vec![Act::Append(vec![accepted(10, 16)]), Act::Snapshot(Index(15))];
    let opened = Explorer::explore(&options(4, 4 << 10), vec![(work, coarse), (again, Grain { parts: 1, free: 1 })]);
    assert!(opened > 5000, "{opened}");
}

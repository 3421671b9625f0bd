//! From records in the order they were written to what is known of every index.
//!
//! * Between acceptances the newer wins; views never go down at one index. A committed batch beats every acceptance
//!   and is never replaced.
//! * A record of which only the name is left (*unknown*) hides the older ones, unless one of them is the very batch.
//! * A floor record says: what is in force up to this index *now* is committed. It speaks of the records before it,
//!   and only of those after the last loss: the record that was in force may be the one that was lost.
//! * A loss (a place where a record was, and nothing says which) makes every index uncertain that has no newer
//!   record. The [`Record::Whole`](super::Record::Whole) of a later life ends that: by then every index that anything
//!   written before that life could be about was committed, and below a recorded floor. It says nothing about what its
//!   own life wrote, nor of what rots later among the old: a place that has lost its record then looks like those
//!   that were made good. But then something up to the floor is missing, or has nothing left that says it is
//!   committed, and no loss is over.

use super::{Recovered, RecoveredEntry, record::Item};
use crate::{
    batch::Batch,
    ids::{Digest, Index, View},
    message::Unknown,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::ops::Bound;

/// A place in the journal: segment, and ordinal of the record in it.
pub(super) type Position = (u64, u32);

#[derive(Default)]
pub(super) struct Fold {
    entries: BTreeMap<Index, Entry>,
    /// Indexes whose newest record a floor record would make committed.
    undecided: BTreeSet<Index>,
    floor: Index,
    losses: Vec<Position>,
    /// Losses that were made good, if everything up to the floor is still known committed.
    over: Vec<Position>,
    /// The first record that this life wrote itself. None while it is not known.
    life: Option<Position>,
    divergence: Option<Index>,
}

struct Entry {
    at: Position,
    accepted: Option<(View, Batch)>,
    committed: bool,
    unknown: Option<Unknown>,
    /// Batches accepted here before that differ from `accepted`: an unknown record may turn out to be one of them.
    earlier: Vec<Batch>,
}

impl Fold {
    /// From `at` on stands what a new life wrote itself; what stands before was there when it began.
    pub(super) fn begin_life(&mut self, at: Position) {
        self.life = Some(at);
    }

    /// Takes the next record.
    pub(super) fn take(&mut self, at: Position, item: Item) {
        match item {
            Item::Accepted { view, index, batch } => self.accepted(at, view, index, batch),
            Item::Committed { index, batch } => self.committed(at, index, batch),
            Item::Unknown { index, unknown } => self.unknown(at, index, unknown),
            Item::Floor { index } => self.floor(index),
            Item::Loss => {
                self.undecided.clear();
                self.losses.push(at);
            }
            Item::Whole => {
                let life = self.life;
                self.over.extend(self.losses.extract_if(.., |loss| life.is_some_and(|life| *loss < life)));
            }
        }
    }

    fn accepted(&mut self, at: Position, view: View, index: Index, batch: Batch) {
        let entry = self.entries.entry(index).or_insert_with(|| Entry::new(at));
        entry.at = at;
        if entry.committed {
            return;
        }
        if let Some(unknown) = entry.unknown {
            if unknown.digest == batch.digest() {
                entry.unknown = None;
                entry.accept(view.max(unknown.view), batch);
                entry.committed = unknown.committed;
            } else {
                entry.accept(view, batch);
                if !unknown.committed && view >= unknown.view {
                    entry.unknown = None;
                }
            }
        } else {
            entry.accept(view, batch);
        }
        self.decide(index);
    }

    fn committed(&mut self, at: Position, index: Index, batch: Batch) {
        let entry = self.entries.entry(index).or_insert_with(|| Entry::new(at));
        entry.at = at;
        match entry.committed_digest() {
            Some(digest) if digest != batch.digest() => self.diverged(index),
            _ => entry.commit(batch),
        }
        self.decide(index);
    }

    fn unknown(&mut self, at: Position, index: Index, unknown: Unknown) {
        let entry = self.entries.entry(index).or_insert_with(|| Entry::new(at));
        entry.at = at;
        match entry.committed_digest() {
            Some(digest) if unknown.committed && digest != unknown.digest => self.diverged(index),
            Some(_) => {}
            None => match entry.find(unknown.digest) {
                Some(batch) if unknown.committed => entry.commit(batch),
                Some(batch) => {
                    entry.unknown = None;
                    entry.accept(unknown.view, batch);
                }
                None => {
                    if unknown.committed || entry.unknown.is_none_or(|old| old.view <= unknown.view) {
                        entry.unknown = Some(unknown);
                    }
                }
            },
        }
        self.decide(index);
    }

    fn floor(&mut self, index: Index) {
        self.floor = self.floor.max(index);
        let above = self.undecided.split_off(&index.next());
        for index in core::mem::replace(&mut self.undecided, above) {
            let entry = self.entries.get_mut(&index).expect("undecided indexes have entries");
            match &mut entry.unknown {
                Some(unknown) => unknown.committed = true,
                None => entry.committed = true,
            }
        }
    }

    /// Notes whether a floor record may still decide this index.
    fn decide(&mut self, index: Index) {
        if self.entries[&index].committed_digest().is_none() {
            self.undecided.insert(index);
        } else {
            self.undecided.remove(&index);
        }
    }

    fn diverged(&mut self, index: Index) {
        self.divergence = self.divergence.or(Some(index));
    }

    fn holds_what_its_floor_covers(&self, base: Index) -> bool {
        let floor = self.floor.max(base);
        let covered = self.entries.range((Bound::Excluded(base), Bound::Included(floor)));
        covered.filter(|(_, entry)| entry.committed_digest().is_some()).count() as u64 == floor.0 - base.0
    }

    /// Everything that is known now. A snapshot stands for what is up to `base`.
    pub(super) fn finish(mut self, identity: super::Identity, base: Index) -> Recovered {
        let over = if self.holds_what_its_floor_covers(base) { &[][..] } else { &self.over };
        let last_loss = self.losses.iter().chain(over).max().copied();
        let entries = self.entries.split_off(&base.next()).into_iter().map(|(index, entry)| RecoveredEntry {
            index,
            accepted: entry.accepted,
            committed: entry.committed,
            unknown: entry.unknown,
            certain: last_loss.is_none_or(|loss| entry.at > loss),
        });
        Recovered {
            identity,
            base,
            snapshot: None,
            entries: entries.collect(),
            floor: self.floor.max(base),
            loss: last_loss.is_some(),
            divergence: self.divergence,
        }
    }
}

impl Entry {
    fn new(at: Position) -> Self {
        Self { at, accepted: None, committed: false, unknown: None, earlier: Vec::new() }
    }

    /// The batch known to be committed, by name.
    fn committed_digest(&self) -> Option<Digest> {
        match (&self.accepted, &self.unknown) {
            (Some((_, batch)), _) if self.committed => Some(batch.digest()),
            (_, Some(unknown)) if unknown.committed => Some(unknown.digest),
            _ => None,
        }
    }

    fn accept(&mut self, view: View, batch: Batch) {
        match &mut self.accepted {
            Some((old, _)) if *old > view => self.earlier.push(batch),
            Some((old, same)) if *same == batch => *old = view,
            accepted => {
                let replaced = accepted.replace((view, batch));
                self.earlier.extend(replaced.map(|(_, batch)| batch));
            }
        }
    }

    fn commit(&mut self, batch: Batch) {
        let view = match &self.accepted {
            Some((view, same)) if *same == batch => *view,
            _ => View::ZERO,
        };
        self.accepted = Some((view, batch));
        (self.committed, self.unknown) = (true, None);
    }

    fn find(&self, digest: Digest) -> Option<Batch> {
        let accepted = self.accepted.iter().map(|(_, batch)| batch);
        accepted.chain(&self.earlier).find(|batch| batch.digest() == digest).cloned()
    }
}

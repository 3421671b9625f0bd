//! The log in memory: per index what this replica accepted, knows by name only, and knows committed.
//!
//! Everything up to the *base* is in a snapshot and no longer here: it is committed, and is told as compacted.
//! [`Log::at`] shows nothing there; whoever asks what is sure to be absent looks at the base first.
//!
//! Invariants:
//! - base <= floor;
//! - `floor` is the contiguous prefix whose batches are here and known committed; it never goes back.
//! - a committed batch is never replaced, and no acceptance of another batch is recorded above it;
//! - accepted views at one index never go down;
//! - an `unknown` is above the `accepted` it hides: that one must not be applied, nor counted as all there was.

use crate::{
    batch::Batch,
    ids::{Index, View},
    message::{PromiseEntry, Unknown},
};
use alloc::{boxed::Box, collections::VecDeque};
use core::mem;

/// How far beyond its last entry a replica stores anything. A replica that lags more than this catches up by fetching.
pub const GAP_MAX: u64 = 1 << 16;

/// How much farther apart two neighbouring entries can be found after records were lost that nothing names: as many as
/// the largest segment has records. A directory that lost more than that is no use to its cluster.
const LOST_MAX: u64 = 1 << 24;

/// Indexes that no replica's journal holds side by side: the second does not follow the first within reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Apart(pub Index, pub Index);

/// Whether a log may hold these indexes, ascending, with everything committed up to `floor` and in a snapshot up to
/// `base`. What a disk says is not believed before: entries take memory for every index between.
///
/// Each index a replica ever held was recorded, and none of them was beyond [`GAP_MAX`] from the ones recorded before.
/// So the first record above an index held is within that distance of it, and the floor is an index held, unless
/// records were lost in between.
pub fn check_reach(base: Index, held: impl Iterator<Item = Index>, floor: Index, loss: bool) -> Result<(), Apart> {
    let most = if loss { GAP_MAX + LOST_MAX } else { GAP_MAX };
    let mut last = base;
    for index in held {
        if index > last.plus(most) {
            return Err(Apart(last, index));
        }
        last = index;
    }
    let floor_most = if loss { last.plus(most) } else { last };
    if floor > floor_most { Err(Apart(last, floor)) } else { Ok(()) }
}

/// What is held at one index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The newest acceptance, or the committed batch.
    pub accepted: Option<(View, Batch)>,
    /// Whether that batch is known committed.
    pub committed: bool,
    /// A newer record of which only the name survived.
    pub unknown: Option<Box<Unknown>>,
    /// Whether an unlocated loss is known not to have taken a newer record of this index.
    pub certain: bool,
}

/// What became of an acceptance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acceptance {
    /// Whether it has to be recorded: it is no repetition.
    pub recorded: bool,
    /// Whether it brought back a batch that was known by name only.
    pub repaired: bool,
    /// Whether the batch is known committed by it.
    pub committed: bool,
}

/// The entries of one replica above its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The index of the first entry: one above the base.
    first: Index,
    entries: VecDeque<Entry>,
    floor: Index,
    unknown: u64,
}

static BLANK: Entry = Entry { accepted: None, committed: false, unknown: None, certain: false };

/// Another batch is committed at an index than the one at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Diverged(pub Index);

impl Default for Log {
    fn default() -> Self {
        Self::above(Index::ZERO)
    }
}

impl Log {
    /// An empty log above `base`.
    pub fn above(base: Index) -> Self {
        Self { first: base.next(), entries: VecDeque::new(), floor: base, unknown: 0 }
    }

    /// Everything up to here is in a snapshot.
    pub fn base(&self) -> Index {
        Index(self.first.0 - 1)
    }

    /// How many indexes above the base there are.
    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether there is nothing above the base.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets entries up to `index`, at most so many at once. They are committed and in a durable snapshot.
    pub fn compact(&mut self, index: Index, at_most: u64) {
        assert!(index <= self.floor, "only what is committed is compacted");
        let to = index.min(self.base().plus(at_most));
        while self.first <= to {
            let gone = self.entries.pop_front().expect("entries reach up to the floor");
            assert!(gone.unknown.is_none(), "what is below the floor is known");
            self.first = self.first.next();
        }
    }

    /// Begins anew above `base`, which is above the floor, keeping what is held above: a snapshot stands for the rest.
    pub fn install(&mut self, base: Index) {
        assert!(base > self.floor, "an older snapshot never replaces a newer state");
        let known = usize::try_from(base.0 - self.base().0).unwrap_or(usize::MAX).min(self.entries.len());
        for gone in self.entries.drain(..known) {
            self.unknown -= u64::from(gone.unknown.is_some());
        }
        (self.first, self.floor) = (base.next(), base);
        self.raise_floor();
    }

    /// The last index of which anything is held.
    pub fn last(&self) -> Index {
        self.base().plus(self.entries.len() as u64)
    }

    /// Everything up to here is committed and here.
    pub fn floor(&self) -> Index {
        self.floor
    }

    /// Entries known by name only.
    pub fn unknown_count(&self) -> u64 {
        self.unknown
    }

    /// What is held at `index`; a blank entry if nothing is, or no longer.
    pub fn at(&self, index: Index) -> &Entry {
        self.place(index).and_then(|at| self.entries.get(at)).unwrap_or(&BLANK)
    }

    /// Whether `index` is close enough to be stored.
    pub fn within_reach(&self, index: Index) -> bool {
        index > Index::ZERO && index.0 <= self.last().0.saturating_add(GAP_MAX)
    }

    /// The batch accepted at `index`, where there is known to be one.
    pub fn held(&self, index: Index) -> &Batch {
        let (_, batch) = self.at(index).accepted.as_ref().expect("something was accepted there");
        batch
    }

    /// The committed batch at `index`, if it is known.
    pub fn committed(&self, index: Index) -> Option<&Batch> {
        let entry = self.at(index);
        entry.accepted.as_ref().filter(|_| entry.committed).map(|(_, batch)| batch)
    }

    /// Puts back what the journal recovered, which [`check_reach`] has seen.
    pub fn restore(&mut self, index: Index, entry: Entry) {
        self.unknown += u64::from(entry.unknown.is_some());
        *self.slot(index) = entry;
        self.raise_floor();
    }

    /// Records an acceptance. The caller has checked that `view` is not below the promise.
    pub fn accept(&mut self, view: View, index: Index, batch: Batch) -> Result<Acceptance, Diverged> {
        let entry = self.slot(index);
        let knew = entry.unknown.as_ref().filter(|unknown| unknown.committed);
        if knew.is_some_and(|unknown| unknown.digest != batch.digest()) {
            return Err(Diverged(index));
        }
        let repaired = entry.unknown.is_some();
        // The replica once knew this very batch committed and lost the body: having it again, it knows so again.
        let committed = knew.is_some() && !entry.committed;
        match &mut entry.accepted {
            Some((_, held)) if entry.committed && held.digest() != batch.digest() => return Err(Diverged(index)),
            Some((accepted, held)) if *accepted == view && held.digest() == batch.digest() && !repaired => {
                return Ok(Acceptance { recorded: false, repaired, committed });
            }
            Some((accepted, _)) if entry.committed => *accepted = view.max(*accepted),
            accepted => *accepted = Some((view, batch)),
        }
        entry.committed |= committed;
        entry.certain = true;
        if repaired {
            entry.unknown = None;
            self.unknown -= 1;
        }
        if committed {
            self.raise_floor();
        }
        Ok(Acceptance { recorded: true, repaired, committed })
    }

    /// Marks the batch accepted at `index` committed. If that is news: the batch, and whether the entry was certain.
    pub fn commit(&mut self, index: Index) -> Option<(&Batch, bool)> {
        let at = self.place(index).expect("the log begins above its base");
        let entry = self.entries.get_mut(at).expect("only a batch at hand can be marked committed");
        assert!(entry.unknown.is_none(), "a hidden batch must not be committed");
        assert!(entry.accepted.is_some(), "only a batch at hand can be marked committed");
        if mem::replace(&mut entry.committed, true) {
            return None;
        }
        let was_certain = mem::replace(&mut entry.certain, true);
        if index == self.floor.next() {
            self.raise_floor();
        }
        self.entries[at].accepted.as_ref().map(|(_, batch)| (batch, was_certain))
    }

    /// Stores a batch that is known committed, whatever was accepted before. Returns whether that is news, and whether
    /// the batch itself was not here.
    pub fn learn(&mut self, index: Index, batch: &Batch) -> Result<(bool, bool), Diverged> {
        if index < self.first {
            return Ok((false, false));
        }
        let entry = self.slot(index);
        let held = entry.accepted.as_ref().is_some_and(|(_, held)| held.digest() == batch.digest());
        if entry.committed {
            return if held { Ok((false, false)) } else { Err(Diverged(index)) };
        }
        if entry.unknown.as_ref().is_some_and(|unknown| unknown.committed && unknown.digest != batch.digest()) {
            return Err(Diverged(index));
        }
        let view = entry.accepted.as_ref().map_or(View::ZERO, |(view, _)| *view);
        entry.accepted = Some((view, batch.clone()));
        entry.committed = true;
        entry.certain = true;
        self.clear_unknown(index);
        self.raise_floor();
        Ok((true, !held))
    }

    /// What a promise says about `index`; nothing if nothing is held there.
    pub fn promise_entry(&self, index: Index) -> Option<PromiseEntry> {
        let Entry { accepted, committed, unknown, certain } = self.at(index).clone();
        if accepted.is_none() && unknown.is_none() {
            return None;
        }
        Some(PromiseEntry { index, accepted, committed, unknown: unknown.map(|unknown| *unknown), certain })
    }

    /// Everything that is held is all there was: the unlocated loss is over.
    pub fn make_certain(&mut self) {
        for entry in &mut self.entries {
            entry.certain = true;
        }
    }

    /// Where the entry of `index` is, or would be.
    fn place(&self, index: Index) -> Option<usize> {
        usize::try_from(index.0.checked_sub(self.first.0)?).ok()
    }

    fn slot(&mut self, index: Index) -> &mut Entry {
        let at = self.place(index).expect("the log begins above its base");
        while at >= self.entries.len() {
            self.entries.push_back(Entry::default());
        }
        &mut self.entries[at]
    }

    fn clear_unknown(&mut self, index: Index) {
        if self.slot(index).unknown.take().is_some() {
            self.unknown -= 1;
        }
    }

    fn raise_floor(&mut self) {
        let mut end = (self.floor.0 + 1 - self.first.0) as usize;
        while self.entries.get(end).is_some_and(|entry| entry.committed && entry.accepted.is_some()) {
            end += 1;
        }
        self.floor = self.base().plus(end as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_holds_may_be_as_far_apart_as_what_a_replica_stores() {
        let check = |held: &[u64], floor, loss| {
            check_reach(Index::ZERO, held.iter().map(|index| Index(*index)), Index(floor), loss)
        };
        assert_eq!(check(&[], 0, false), Ok(()));
        assert_eq!(check(&[1, 2, GAP_MAX + 2], 2, false), Ok(()));
        assert_eq!(check(&[1, 2, GAP_MAX + 3], 2, false), Err(Apart(Index(2), Index(GAP_MAX + 3))));
        assert_eq!(check(&[GAP_MAX + 1], 0, false), Err(Apart(Index(0), Index(GAP_MAX + 1))));
        assert_eq!(check(&[1, 2], 3, false), Err(Apart(Index(2), Index(3))), "a floor above all that is held");
        let far = GAP_MAX + LOST_MAX;
        assert_eq!(check(&[far, 2 * far], 3 * far, true), Ok(()));
        assert_eq!(check(&[far + 1], 0, true), Err(Apart(Index(0), Index(far + 1))));
        assert_eq!(check(&[1], u64::MAX - 1, true), Err(Apart(Index(1), Index(u64::MAX - 1))));
        let above = |base, held, floor| check_reach(Index(base), [Index(held)].into_iter(), Index(floor), false);
        assert_eq!(above(1 << 40, (1 << 40) + GAP_MAX, 1 << 40), Ok(()), "a snapshot is as good as entries");
        assert_eq!(above(7, 8 + GAP_MAX, 7), Err(Apart(Index(7), Index(8 + GAP_MAX))));
        // As far as a replica stores, and no farther: the two rules are one.
        let mut log = Log::default();
        assert!(log.within_reach(Index(GAP_MAX)) && !log.within_reach(Index(GAP_MAX + 1)));
        log.restore(Index(7), Entry::default());
        assert!(log.within_reach(Index(GAP_MAX + 7)) && !log.within_reach(Index(GAP_MAX + 8)));
    }

    #[test]
    fn what_is_compacted_or_installed_leaves_what_is_above() {
        let view = View { round: 1, node: crate::ids::NodeId(0) };
        let mut log = Log::default();
        for index in 1..=6 {
            log.accept(view, Index(index), Batch::noop()).unwrap();
        }
        for index in 1..=4 {
            log.commit(Index(index));
        }
        log.compact(Index(3), 2);
        assert_eq!((log.base(), log.floor(), log.last(), log.len()), (Index(2), Index(4), Index(6), 4));
        log.compact(Index(3), 2);
        assert_eq!((log.base(), log.committed(Index(3)), log.at(Index(5)).committed), (Index(3), None, false));
        assert_eq!(log.learn(Index(2), &Batch::noop()), Ok((false, false)), "what is compacted is known");
        log.commit(Index(6));
        log.install(Index(5));
        assert_eq!((log.base(), log.floor(), log.last()), (Index(5), Index(6), Index(6)));
        log.install(Index(100));
        assert_eq!((log.base(), log.floor(), log.last(), log.is_empty()), (Index(100), Index(100), Index(100), true));
        assert!(log.within_reach(Index(101)) && !log.within_reach(Index(101 + GAP_MAX)));
    }
}

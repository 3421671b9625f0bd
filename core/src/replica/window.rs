//! The leader's window: assignments that are not yet part of the committed prefix, and who accepted them.

use crate::{
    ids::{Digest, Index, NodeId, NodeSet},
    time::Time,
};
use alloc::collections::VecDeque;

/// One assignment in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The batch, by name: the same whenever it is sent again. Its leader has accepted it, so it is in the log.
    pub digest: Digest,
    /// Distinct members whose acceptance is durable.
    pub accepted: NodeSet,
    /// Whether those contained a replication quorum.
    pub chosen: bool,
    /// Who sees to it now.
    pub coordinator: NodeId,
    /// Who did before, and took too long.
    pub tried: NodeSet,
    /// Whom the leader asked first, if it sees to it itself.
    pub asked: NodeSet,
    /// When it was last sent.
    pub sent: Time,
    /// How often it was sent again.
    pub resent: u32,
}

impl Assignment {
    /// Whether it was sent once, to those first asked.
    pub fn is_first_try(&self) -> bool {
        self.resent == 0 && self.tried == NodeSet::EMPTY
    }
}

/// Consecutive assignments from `base` on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    base: Index,
    slots: VecDeque<Assignment>,
}

impl Window {
    /// An empty window whose first assignment will be at `base`.
    pub fn new(base: Index) -> Self {
        Self { base, slots: VecDeque::new() }
    }

    /// The index the next assignment gets.
    pub fn next(&self) -> Index {
        self.base.plus(self.slots.len() as u64)
    }

    /// The index of the last assignment, or the one before the first.
    pub fn last(&self) -> Index {
        Index(self.next().0 - 1)
    }

    /// Adds the next assignment.
    pub fn push(&mut self, digest: Digest, now: Time, coordinator: NodeId) {
        self.slots.push_back(Assignment {
            digest,
            accepted: NodeSet::EMPTY,
            chosen: false,
            coordinator,
            tried: NodeSet::EMPTY,
            asked: NodeSet::EMPTY,
            sent: now,
            resent: 0,
        });
    }

    /// Marks an assignment chosen.
    pub fn choose(&mut self, index: Index) {
        self.get_mut(index).expect("only what is in flight is chosen").chosen = true;
    }

    /// Forgets everything up to `floor`.
    pub fn retire(&mut self, floor: Index) {
        while self.base <= floor && self.slots.pop_front().is_some() {
            self.base = self.base.next();
        }
    }

    /// The assignment in flight at `index`.
    pub fn at(&self, index: Index) -> Option<&Assignment> {
        let at = usize::try_from(index.0.checked_sub(self.base.0)?).ok()?;
        self.slots.get(at)
    }

    /// The name of the batch in flight at `index`.
    pub fn digest(&self, index: Index) -> Option<Digest> {
        self.at(index).map(|slot| slot.digest)
    }

    /// Notes that the coordinator of `index` took too long. Returns all that did.
    pub fn gives_up(&mut self, index: Index, late: NodeId, now: Time) -> NodeSet {
        let slot = self.get_mut(index).expect("what is late is in flight");
        (slot.tried, slot.sent) = (slot.tried.with(late), now);
        slot.tried
    }

    /// Assignments that are not chosen, with their indexes.
    pub fn waiting(&self) -> impl Iterator<Item = (Index, &Assignment)> {
        let base = self.base;
        self.slots
            .iter()
            .enumerate()
            .map(move |(at, slot)| (base.plus(at as u64), slot))
            .filter(|(_, slot)| !slot.chosen)
    }

    /// The assignment in flight at `index`.
    pub fn get_mut(&mut self, index: Index) -> Option<&mut Assignment> {
        let at = index.0.checked_sub(self.base.0)?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }
}

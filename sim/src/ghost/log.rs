//! What was proposed, accepted and chosen at every index, computed from what nodes sent and what their disks hold.
//!
//! A batch is *chosen* at an index once the members that hold a durable acceptance of it, all in one view, contain a
//! replication quorum. That is a fact about the past: damage done to a disk later takes nothing back. Nothing here
//! listens to what a node believes to be chosen.

use super::{Finding, quorum::Quorums};
use crate::oracle::Oracle;
use ios_core::{
    configuration::WINDOW_MAX,
    ids::{Digest, Index, NodeId, NodeSet, View},
    time::Time,
};

/// The log as it truly is.
#[derive(Clone, Debug)]
pub struct Log {
    quorums: Quorums,
    /// How far past the chosen prefix an index may be assigned.
    window: u64,
    slots: Vec<Slot>,
    /// Everything up to here is chosen.
    prefix: Index,
}

/// One index.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// The lowest view in which something was chosen, and what.
    chosen: Option<(View, Digest)>,
    /// What was proposed, one entry for each view; there are few.
    proposals: Vec<Proposal>,
    /// When a leader first gave it a batch.
    assigned: Option<Time>,
    /// The batch of clients that was sent for it first.
    carried: Option<Digest>,
    /// What executing it gave, where it was executed first.
    outcome: Option<Outcome>,
}

/// What one view proposed at one index.
#[derive(Clone, Copy, Debug)]
struct Proposal {
    view: View,
    digest: Digest,
    /// Who accepted it durably.
    accepted: NodeSet,
}

/// What executing a batch gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The batch executed.
    pub digest: Digest,
    /// Log time afterwards.
    pub log_time: Time,
    /// Hash of the state afterwards.
    pub state_hash: u64,
}

impl Log {
    /// An empty log.
    pub fn new(quorums: Quorums, window: u64) -> Self {
        Self { quorums, window, slots: Vec::new(), prefix: Index::ZERO }
    }

    /// Everything up to here is chosen.
    pub fn prefix(&self) -> Index {
        self.prefix
    }

    /// What is chosen at `index`.
    pub fn chosen(&self, index: Index) -> Option<Digest> {
        self.slot(index)?.chosen.map(|(_, digest)| digest)
    }

    /// When `index` was first assigned.
    pub fn assigned(&self, index: Index) -> Option<Time> {
        self.slot(index)?.assigned
    }

    /// What executing `index` gave.
    pub fn outcome(&self, index: Index) -> Option<Outcome> {
        self.slot(index)?.outcome
    }

    /// Whether `node` holds a durable acceptance of exactly this.
    pub fn accepted_by(&self, node: NodeId, view: View, index: Index, digest: Digest) -> bool {
        self.slot(index).is_some_and(|slot| {
            slot.proposals.iter().any(|p| p.view == view && p.digest == digest && p.accepted.contains(node))
        })
    }

    /// Whether `node` holds a durable acceptance of this batch in any view.
    pub fn holds(&self, node: NodeId, index: Index, digest: Digest) -> bool {
        self.slot(index)
            .is_some_and(|slot| slot.proposals.iter().any(|p| p.digest == digest && p.accepted.contains(node)))
    }

    /// The highest durable acceptance of `node` in a view below `below`.
    pub fn accepted(&self, node: NodeId, index: Index, below: View) -> Option<(View, Digest)> {
        let mine = self.slot(index)?.proposals.iter().filter(|p| p.view < below && p.accepted.contains(node));
        mine.map(|p| (p.view, p.digest)).max()
    }

    /// The last index that is known of.
    pub fn last(&self) -> Index {
        Index(self.slots.len() as u64)
    }

    /// A leader gave a batch its place. `still_in(u)` are the members that may still accept in view u: their durable
    /// promises allow it.
    pub fn assign(
        &mut self,
        now: Time,
        view: View,
        index: Index,
        digest: Digest,
        still_in: impl Fn(View) -> NodeSet,
    ) -> Result<(), Finding> {
        let limit = self.prefix.plus(self.window);
        if index > limit {
            let prefix = self.prefix;
            return Err((
                Oracle::Window,
                format!("{view} assigns {index}, but only {prefix} is chosen: the window ends at {limit}"),
            ));
        }
        self.propose(view, index, digest)?;
        let slot = &mut self.slots[place(index)];
        slot.assigned.get_or_insert(now);
        // A proposal is safe if nothing else can be chosen below it, now or later (Lamport: "safe at" a ballot).
        let other = slot.proposals.iter().filter(|p| p.view < view && p.digest != digest);
        for Proposal { view: below, digest: rival, accepted } in other.copied() {
            let may_have = accepted.union(still_in(below));
            if self.quorums.replicate(may_have) {
                return Err((
                    Oracle::Agreement,
                    format!("{index}: {view} proposes {digest}; {rival} may be chosen in {below}, by {may_have}"),
                ));
            }
        }
        Ok(())
    }

    /// `view` was seen to stand for this batch at this index.
    pub fn propose(&mut self, view: View, index: Index, digest: Digest) -> Result<(), Finding> {
        self.proposal(view, index, digest).map(|_| ())
    }

    /// A batch of clients was sent for `index`, where no other ever was or will be.
    pub fn carry(&mut self, index: Index, digest: Digest) -> Result<(), Finding> {
        let first = *self.slot_mut(index)?.carried.get_or_insert(digest);
        if first == digest {
            return Ok(());
        }
        Err((Oracle::Exclusivity, format!("{index} is to carry {digest}; it has carried {first} of other clients")))
    }

    /// `node` holds this acceptance durably. True if that is news.
    pub fn accept(&mut self, node: NodeId, view: View, index: Index, digest: Digest) -> Result<bool, Finding> {
        let proposal = self.proposal(view, index, digest)?;
        if !proposal.accepted.insert(node) {
            return Ok(false);
        }
        let accepted = proposal.accepted;
        if self.quorums.replicate(accepted) {
            self.choose(view, index, digest)?;
        }
        Ok(true)
    }

    /// Checks what executing `index` gave against what it gave elsewhere. True if it was not executed before.
    pub fn execute(&mut self, node: NodeId, index: Index, outcome: Outcome) -> Result<bool, Finding> {
        let slot = self.slot_mut(index)?;
        match slot.outcome {
            None => {
                slot.outcome = Some(outcome);
                Ok(true)
            }
            Some(first) if first == outcome => Ok(false),
            Some(first) => Err((
                Oracle::Application,
                format!(
                    "{node} after {index}: batch {}, log time {}, state {:016x}; elsewhere batch {}, log time {}, \
                     state {:016x}",
                    outcome.digest,
                    outcome.log_time,
                    outcome.state_hash,
                    first.digest,
                    first.log_time,
                    first.state_hash
                ),
            )),
        }
    }

    fn choose(&mut self, view: View, index: Index, digest: Digest) -> Result<(), Finding> {
        let slot = &mut self.slots[place(index)];
        let lowest = match slot.chosen {
            Some((_, other)) if other != digest => {
                return Err((Oracle::Agreement, format!("{index}: {digest} is chosen in {view}, {other} before")));
            }
            Some((lowest, _)) => lowest.min(view),
            None => view,
        };
        slot.chosen = Some((lowest, digest));
        if let Some(other) = slot.proposals.iter().find(|p| p.view > lowest && p.digest != digest) {
            return Err((
                Oracle::Agreement,
                format!("{index}: {digest} is chosen in {lowest}, {} had proposed {}", other.view, other.digest),
            ));
        }
        while self.slots.get(place(self.prefix.next())).is_some_and(|slot| slot.chosen.is_some()) {
            self.prefix = self.prefix.next();
        }
        Ok(())
    }

    fn proposal(&mut self, view: View, index: Index, digest: Digest) -> Result<&mut Proposal, Finding> {
        let slot = self.slot_mut(index)?;
        if let Some(at) = slot.proposals.iter().position(|p| p.view == view) {
            let proposal = &mut slot.proposals[at];
            if proposal.digest != digest {
                return Err((
                    Oracle::Proposal,
                    format!("{index}: {view} stands for {digest} here and for {} elsewhere", proposal.digest),
                ));
            }
            return Ok(proposal);
        }
        if let Some((lower, chosen)) = slot.chosen.filter(|(lower, chosen)| view > *lower && *chosen != digest) {
            return Err((
                Oracle::Agreement,
                format!("{index}: {view} proposes {digest}, {chosen} is already chosen in {lower}"),
            ));
        }
        slot.proposals.push(Proposal { view, digest, accepted: NodeSet::EMPTY });
        Ok(slot.proposals.last_mut().expect("pushed above"))
    }

    fn slot(&self, index: Index) -> Option<&Slot> {
        self.slots.get(place(index))
    }

    /// The slot of an index; those a window cannot reach are a finding, not a reason to allocate.
    fn slot_mut(&mut self, index: Index) -> Result<&mut Slot, Finding> {
        if index == Index::ZERO || index > self.prefix.plus(WINDOW_MAX) {
            let prefix = self.prefix;
            return Err((Oracle::Window, format!("{index} is named while the chosen prefix ends at {prefix}")));
        }
        if self.slots.len() <= place(index) {
            self.slots.resize_with(place(index) + 1, Slot::default);
        }
        Ok(&mut self.slots[place(index)])
    }
}

/// Where in a vector an index is kept: they count from one. Zero is nowhere.
fn place(index: Index) -> usize {
    usize::try_from(index.0.wrapping_sub(1)).unwrap_or(usize::MAX)
}

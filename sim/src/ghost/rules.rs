//! The rules, one sentence each. Each counts that it was looked at, and says what contradicts it.

use super::{Finding, Ghost};
use crate::oracle::Oracle;
use ios_core::ids::{Digest, Incarnation, Index, NodeId, NodeSet, View};

impl Ghost {
    /// An acceptance is durable.
    pub(super) fn accepted(&mut self, node: NodeId, view: View, index: Index, digest: Digest) -> Result<(), Finding> {
        self.checks.count(Oracle::Agreement);
        self.checks.count(Oracle::Acceptance);
        let news = self.log.accept(node, view, index, digest)?;
        let vouched = self.member(node).vouched;
        if news && view < vouched {
            return Err((
                Oracle::Acceptance,
                format!("{node} accepts {digest} at {index} in {view} after it has vouched for {vouched}"),
            ));
        }
        Ok(())
    }

    /// A promise that leaves, or a message that relies on one.
    pub(super) fn vouch(&mut self, node: NodeId, view: View, what: &str) -> Result<(), Finding> {
        self.checks.count(Oracle::Promise);
        self.member(node).vouch(view, what)
    }

    /// `node` relies on its own acceptance: it is durable, or another durable record of the same batch beats it,
    /// because that batch is chosen.
    pub(super) fn holds(
        &mut self,
        node: NodeId,
        does: &str,
        view: View,
        index: Index,
        digest: Digest,
    ) -> Result<(), Finding> {
        self.checks.count(Oracle::Durability);
        if self.log.accepted_by(node, view, index, digest)
            || self.log.chosen(index) == Some(digest) && self.has(node, index, digest)
        {
            return Ok(());
        }
        Err((Oracle::Durability, format!("{node} {does} {digest} at {index} in {view}, which is not durable there")))
    }

    /// Whether `node` holds this batch durably, in whatever view.
    pub(super) fn has(&mut self, node: NodeId, index: Index, digest: Digest) -> bool {
        self.log.holds(node, index, digest) || self.member(node).committed(index) == Some(digest)
    }

    /// `node` takes a batch as committed.
    pub(super) fn chosen(&mut self, node: NodeId, does: &str, index: Index, digest: Digest) -> Result<(), Finding> {
        self.checks.count(Oracle::Commit);
        match self.log.chosen(index) {
            Some(chosen) if chosen == digest => Ok(()),
            Some(chosen) => {
                Err((Oracle::Commit, format!("{node} {does} {digest} at {index}; {chosen} is chosen there")))
            }
            None => Err((Oracle::Commit, format!("{node} {does} {digest} at {index}; nothing is chosen there"))),
        }
    }

    pub(super) fn floor(&mut self, node: NodeId, what: &str, floor: Index) -> Result<(), Finding> {
        self.checks.count(Oracle::Floor);
        let prefix = self.log.prefix();
        if floor <= prefix {
            return Ok(());
        }
        Err((Oracle::Floor, format!("{node} ({what}) has floor {floor}; chosen without a gap is only {prefix}")))
    }

    /// A snapshot is durable: it is of a chosen prefix, and of the state that this prefix gives everywhere.
    pub(super) fn sealed(&mut self, node: NodeId, index: Index, state_hash: u64) -> Result<(), Finding> {
        self.floor(node, "snapshot", index)?;
        self.is_state(node, "has a snapshot of", index, state_hash)?;
        let member = self.member(node);
        member.snapshot = member.snapshot.max(index);
        Ok(())
    }

    /// `node` has, or offers, this state at `index`.
    pub(super) fn is_state(&mut self, node: NodeId, does: &str, index: Index, state_hash: u64) -> Result<(), Finding> {
        self.checks.count(Oracle::Application);
        match self.log.outcome(index) {
            Some(outcome) if outcome.state_hash == state_hash => Ok(()),
            Some(outcome) => Err((
                Oracle::Application,
                format!(
                    "{node} {does} state {state_hash:016x} at {index}; executed it gives {:016x}",
                    outcome.state_hash
                ),
            )),
            None => Err((Oracle::Application, format!("{node} {does} a state at {index}, which nobody has executed"))),
        }
    }

    /// `node` relies on a snapshot up to `index`: a durable one must stand for it.
    pub(super) fn compacted(&mut self, node: NodeId, does: &str, index: Index) -> Result<(), Finding> {
        self.checks.count(Oracle::Durability);
        let durable = self.member(node).snapshot;
        if index <= durable {
            return Ok(());
        }
        Err((
            Oracle::Durability,
            format!("{node} {does} what is compacted up to {index}; its snapshot ends at {durable}"),
        ))
    }

    pub(super) fn owns(&mut self, node: NodeId, view: View, does: &str) -> Result<(), Finding> {
        self.checks.count(Oracle::Leadership);
        if view.node == node {
            return Ok(());
        }
        Err((Oracle::Leadership, format!("{node} {does} {view}, a view of {}", view.node)))
    }

    pub(super) fn leads(&mut self, node: NodeId, view: View, does: &str) -> Result<(), Finding> {
        self.owns(node, view, does)?;
        let life = self.member(node).life.number;
        let first = *self.led.entry(view).or_insert(life);
        if first == life {
            return Ok(());
        }
        Err((Oracle::Leadership, format!("{node} {does} {view} in its life {life}; its life {first} led that view")))
    }

    /// Whoever leads must have the durable promises of a recovery quorum for every index it may assign.
    pub(super) fn recovery_quorum(&mut self, node: NodeId, view: View) -> Result<(), Finding> {
        self.checks.count(Oracle::Leadership);
        let promised: NodeSet =
            self.quorums.members().iter().filter(|id| self.members[usize::from(id.0)].promised >= view).collect();
        if self.quorums.recover(promised) {
            return Ok(());
        }
        Err((Oracle::Leadership, format!("{node} leads {view}, which only {promised} have promised durably")))
    }

    pub(super) fn lives(&mut self, node: NodeId, incarnation: Incarnation) -> Result<(), Finding> {
        self.checks.count(Oracle::Promise);
        let durable = self.member(node).incarnation;
        if incarnation <= durable {
            return Ok(());
        }
        Err((Oracle::Promise, format!("{node} speaks as incarnation {incarnation}; durable is {durable}")))
    }

    pub(super) fn bounded(&mut self, node: NodeId, name: &str, length: usize, limit: usize) -> Result<(), Finding> {
        self.checks.count(Oracle::Bounds);
        if length <= limit {
            return Ok(());
        }
        Err((Oracle::Bounds, format!("{node}: {name} holds {length}, its bound is {limit}")))
    }
}

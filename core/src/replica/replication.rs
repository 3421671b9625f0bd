//! Storing a batch at a replication quorum: `Accept` and `Accepted`, with the leader as its own coordinator.
//!
//! A replica accepts iff the view is not below its promise; promise and entry are durable before it says so. The
//! coordinator counts distinct members for one (view, index, digest): acceptances of another view, index or batch are
//! other votes. It sends the same batch again to those that have not answered; a repeated `Accept` is answered again,
//! never stored again. The leader sends first and lets its disk work meanwhile: its own acceptance counts, like
//! everyone's, only once durable, and should it crash before, no one will lead its view again.

use super::{
    Replica, Role,
    log::Diverged,
    turn::{Effect, Turn},
};
use crate::{
    batch::Batch,
    ids::{Digest, Index, NodeId, NodeSet, View},
    interface::{Fault, Ignored, Learned, Note},
    journal::Record,
    message::PeerMessage,
    time::Time,
};

/// Most assignments sent again at once: the oldest come first, and the rest when they are through.
const RESEND_MAX: usize = 16;
/// Waiting times between repetitions double up to this many times, or to an election timeout: a follower that is heard
/// that often must not wait longer for what it is to accept.
const BACKOFF_MAX: u32 = 4;

/// An `Accept` as it arrived.
pub(super) struct Accept {
    pub(super) view: View,
    pub(super) index: Index,
    pub(super) batch: Batch,
    pub(super) floor: Index,
    pub(super) coordinator: NodeId,
}

impl Replica {
    // ---- The coordinator.

    /// Puts a batch of the recovered range to the vote in this leader's own view.
    pub(super) fn propose_recovered(&mut self, turn: &mut Turn, index: Index, batch: Batch) {
        let Role::Leader(leader) = &self.role else { unreachable!("only a leader proposes") };
        assert!(index == leader.window.next() && index <= leader.recovered, "the recovered range goes out in order");
        self.propose(turn, batch, true);
    }

    /// Keeps a batch of the recovered range that needs no vote, because it is committed.
    pub(super) fn keep_recovered(&mut self, now: Time, batch: &Batch) {
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader recovers") };
        leader.window.push(batch.digest(), now, true);
    }

    /// Gives `batch` the next index, sends it out and accepts it here.
    pub(super) fn propose(&mut self, turn: &mut Turn, batch: Batch, recovered: bool) {
        let floor = self.advertised_floor();
        let (me, others) = (self.me, self.others());
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader proposes") };
        let (view, index) = (leader.view, leader.window.next());
        let digest = batch.digest();
        leader.window.push(digest, turn.now, false);
        turn.note(Note::Assigned { view, index, digest, recovered });
        turn.send(others, PeerMessage::Accept { view, index, batch: batch.clone(), floor, coordinator: me });
        self.store(turn, view, index, batch, me);
    }

    pub(super) fn accepted(&mut self, turn: &mut Turn, from: NodeId, view: View, index: Index, digest: Digest) {
        let Role::Leader(leader) = &mut self.role else {
            return turn.ignore(Ignored::OldView);
        };
        if leader.view != view {
            return turn.ignore(Ignored::OldView);
        }
        if !leader.window.contains(index) {
            return turn.ignore(Ignored::Unassigned);
        }
        let Some(members) = leader.window.accepted(index, digest, from) else {
            return turn.ignore(Ignored::Duplicate);
        };
        if !self.history.configuration_at(index).quorums().has_replication_quorum(members) {
            return;
        }
        leader.window.choose(index);
        turn.note(Note::Chosen { view, index, digest });
        if self.options.explicit_commit {
            turn.send(self.others(), PeerMessage::Chosen { view, index, digest });
        }
        self.commit(turn, index, Learned::Counted);
    }

    /// Sends again what too few have accepted, to those who have not.
    pub(super) fn retry_assignments(&mut self, turn: &mut Turn) {
        let floor = self.advertised_floor();
        let (me, others, interval) = (self.me, self.others(), self.retry_interval());
        let longest = self.options.election_timeout.max(interval);
        let Self { role, log, .. } = self;
        let Role::Leader(leader) = role else { return };
        let view = leader.view;
        for (index, slot) in leader.window.waiting().take(RESEND_MAX) {
            if turn.now.since(slot.sent) < interval.times(1 << slot.resent.min(BACKOFF_MAX)).min(longest) {
                continue;
            }
            slot.sent = turn.now;
            slot.resent += 1;
            turn.note(Note::Retransmitted { index });
            let batch = log.held(index).clone();
            assert!(batch.digest() == slot.digest, "a leader's own proposal stays in its log while it leads");
            let accept = PeerMessage::Accept { view, index, batch, floor, coordinator: me };
            turn.send(others.difference(slot.accepted), accept);
        }
    }

    // ---- The acceptor.

    pub(super) fn accept(&mut self, turn: &mut Turn, from: NodeId, accept: Accept) {
        let Accept { view, index, batch, floor, coordinator } = accept;
        if view.node != from || coordinator != from {
            return turn.ignore(Ignored::Impostor);
        }
        if view < self.promised {
            let promised = self.promised;
            return turn.send(NodeSet::only(from), PeerMessage::Reject { view, promised });
        }
        if !self.log.within_reach(index) {
            self.hear_leader(turn, view);
            self.learn_floor(turn, view, floor);
            return turn.ignore(Ignored::OutOfRange);
        }
        if self.withheld.is_full() {
            return turn.ignore(Ignored::NotRunning);
        }
        self.hear_leader(turn, view);
        self.store(turn, view, index, batch, coordinator);
        self.learn_floor(turn, view, floor);
    }

    /// Follows the leader of `view`, which is not below the promise and has just been heard.
    pub(super) fn hear_leader(&mut self, turn: &mut Turn, view: View) {
        self.adopt(turn, view, Some(view.node));
    }

    /// Accepts in memory, hands the record to the journal, and vouches for it when it is durable.
    fn store(&mut self, turn: &mut Turn, view: View, index: Index, batch: Batch, coordinator: NodeId) {
        let digest = batch.digest();
        let acceptance = match self.log.accept(view, index, batch) {
            Ok(acceptance) => acceptance,
            // One's own proposal must not be at odds with one's own log.
            Err(diverged) if coordinator == self.me => return self.diverged(diverged),
            // A peer's proposal is no commit: a later view overtook its sender, and this replica has fetched what that
            // view committed.
            Err(_) => return turn.ignore(Ignored::OldView),
        };
        if acceptance.recorded {
            let log = &self.log;
            turn.journal.append_with(|| Record::Accepted { view, index, batch: log.held(index).clone() });
            if acceptance.repaired {
                turn.note(Note::Repaired { index });
            }
            if acceptance.committed {
                turn.note(Note::Committed { index, digest, how: Learned::Journal });
            }
            self.commit_if_below_learned_floor(turn, view, index);
        }
        self.withheld.push(turn.journal, Effect::Accepted { view, index, digest, coordinator });
    }

    /// Two batches are committed at one index: stop before the difference spreads.
    pub(super) fn diverged(&mut self, Diverged(index): Diverged) {
        self.fence(Fault::Divergence { index });
    }
}

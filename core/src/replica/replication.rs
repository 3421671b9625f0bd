//! Storing a batch at a replication quorum: `Accept` and `Accepted`.
//!
//! A replica accepts iff the view is not below its promise; promise and entry are durable before it says so. The
//! coordinator counts distinct members for one (view, index, digest): acceptances of another view, index or batch are
//! other votes. It sends the same batch again to those that have not answered; a repeated `Accept` is answered again,
//! never stored again. The leader sends first and lets its disk work meanwhile: its own acceptance counts, like
//! everyone's, only once durable, and should it crash before, no one will lead its view again.
//!
//! Here the leader is its own coordinator; [`super::coordination`] has the others, and the choice between them.

use super::{
    Replica, Role,
    log::Diverged,
    retry_interval,
    turn::{Effect, Turn},
};
use crate::{
    batch::Batch,
    ids::{Digest, Index, NodeId, NodeSet, View},
    interface::{Fault, Ignored, Learned, Note},
    journal::Record,
    message::PeerMessage,
    options::Options,
    time::{Span, Time},
};
use alloc::vec::Vec;

/// Most assignments sent again at once: the oldest come first, and the rest when they are through.
pub(super) const RESEND_MAX: usize = 16;
/// Waiting times between repetitions double up to this many times, or to an election timeout: a follower that is heard
/// that often must not wait longer for what it is to accept.
const BACKOFF_MAX: u32 = 4;

/// Whether what was sent again `resent` times, last at `sent`, is to be sent once more; for the first time after
/// `patience`.
pub(super) fn is_late(now: Time, sent: Time, resent: u32, patience: Span, options: &Options) -> bool {
    let interval = retry_interval(options);
    let wait = interval.times(1 << resent.min(BACKOFF_MAX)).min(options.election_timeout.max(interval));
    now.since(sent) >= if resent == 0 { patience } else { wait }
}

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
        self.propose(turn, batch, true, None);
    }

    /// Keeps a batch of the recovered range that needs no vote, because it is committed.
    pub(super) fn keep_recovered(&mut self, now: Time, batch: &Batch) {
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader recovers") };
        let index = leader.window.next();
        leader.window.push(batch.digest(), now, self.me);
        leader.window.choose(index);
    }

    /// Gives `batch` the next index, has it stored at a replication quorum, and accepts it here. `origin` forwarded the
    /// requests in it.
    pub(super) fn propose(&mut self, turn: &mut Turn, batch: Batch, recovered: bool, origin: Option<NodeId>) {
        let floor = self.assigned_floor();
        let coordinator = if recovered { self.me } else { self.next_coordinator(turn.now, origin) };
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader proposes") };
        let (view, index) = (leader.view, leader.window.next());
        let digest = batch.digest();
        leader.window.push(digest, turn.now, coordinator);
        turn.note(Note::Assigned { view, index, digest, recovered });
        if coordinator == self.me {
            let acceptors = self.first_acceptors(turn.now, index, NodeSet::only(self.me));
            if let (true, Role::Leader(leader)) = (self.options.thrifty, &mut self.role) {
                leader.window.get_mut(index).expect("just assigned").asked = acceptors;
            }
            turn.send_with(acceptors, || {
                let batch = batch.clone();
                PeerMessage::Accept { view, index, batch, floor, coordinator }
            });
        } else {
            turn.send(NodeSet::only(coordinator), PeerMessage::Assign { view, index, batch: batch.clone(), floor });
        }
        if self.options.thrifty || coordinator != self.me {
            self.watch(turn.now);
        }
        self.store(turn, view, index, batch, coordinator);
    }

    pub(super) fn accepted(&mut self, turn: &mut Turn, from: NodeId, view: View, index: Index, digest: Digest) {
        let leader = match &mut self.role {
            Role::Leader(leader) if leader.view == view => leader,
            _ => return self.coordinated(turn, from, view, index, digest),
        };
        let Some(slot) = leader.window.get_mut(index) else {
            return turn.ignore(Ignored::Unassigned);
        };
        let news = slot.digest == digest && slot.accepted.insert(from);
        if !news || slot.chosen {
            return turn.ignore(Ignored::Duplicate);
        }
        if !self.history.configuration_at(index).quorums().has_replication_quorum(slot.accepted) {
            return;
        }
        slot.chosen = true;
        if self.options.has_choice() && slot.is_first_try() {
            leader.pace.chosen_within(turn.now.since(slot.sent));
        }
        turn.note(Note::Chosen { view, index, digest });
        if self.options.explicit_commit {
            turn.send_with(self.others(), || PeerMessage::Chosen { view, index, digest });
        }
        self.commit(turn, index, Learned::Counted);
    }

    /// Takes care of assignments that are late: those of a delegate go to another, one's own to all who have not
    /// answered.
    pub(super) fn retry_assignments(&mut self, turn: &mut Turn) {
        let Role::Leader(leader) = &mut self.role else { return };
        let (me, options) = (self.me, &self.options);
        let (patience, interval) = (leader.pace.patience(options), retry_interval(options));
        let late = leader.window.waiting().filter(|(_, slot)| {
            let patience = if options.thrifty || slot.coordinator != me { patience } else { interval };
            is_late(turn.now, slot.sent, slot.resent, patience, options)
        });
        let late: Vec<Index> = late.map(|(index, _)| index).take(RESEND_MAX).collect();
        for index in late {
            let Role::Leader(leader) = &self.role else { unreachable!("nothing here ends a view") };
            let coordinator = leader.window.at(index).expect("what is late is in flight").coordinator;
            if coordinator == self.me { self.resend(turn, index) } else { self.reassign(turn, index, coordinator) }
        }
    }

    /// Sends an assignment of one's own to all who have not accepted it.
    fn resend(&mut self, turn: &mut Turn, index: Index) {
        let (me, others, floor) = (self.me, self.others(), self.assigned_floor());
        let batch = self.log.held(index).clone();
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader assigns") };
        let slot = leader.window.get_mut(index).expect("what is late is in flight");
        assert!(batch.digest() == slot.digest, "a leader's own proposal stays in its log while it leads");
        if self.options.thrifty && slot.resent == 0 {
            turn.note(Note::Widened { index });
            leader.pace.late_after(turn.now.since(slot.sent));
            for late in slot.asked.difference(slot.accepted).iter() {
                leader.pace.suspect(late, turn.now, &self.options);
            }
        }
        (slot.sent, slot.resent) = (turn.now, slot.resent + 1);
        turn.note(Note::Retransmitted { index });
        let accept = PeerMessage::Accept { view: leader.view, index, batch, floor, coordinator: me };
        turn.send(others.difference(slot.accepted), accept);
    }

    /// Gives an assignment that `late` has not brought to an end to another coordinator.
    fn reassign(&mut self, turn: &mut Turn, index: Index, late: NodeId) {
        let floor = self.assigned_floor();
        let batch = self.log.held(index).clone();
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader assigns") };
        let slot = leader.window.at(index).expect("what is late is in flight");
        leader.pace.late_after(turn.now.since(slot.sent));
        leader.pace.suspect(late, turn.now, &self.options);
        let (view, tried) = (leader.view, leader.window.gives_up(index, late, turn.now));
        let next = self.replacement(turn.now, tried);
        turn.note(Note::Reassigned { index, from: late, to: next });
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader assigns") };
        leader.window.get_mut(index).expect("what is late is in flight").coordinator = next;
        if next == self.me {
            self.resend(turn, index);
        } else {
            turn.send(NodeSet::only(next), PeerMessage::Assign { view, index, batch: batch.clone(), floor });
        }
        // From now on the leader's own acceptance counts there.
        self.store(turn, view, index, batch, next);
    }

    /// The floor that goes out with an assignment: none where the index alone says what is committed.
    fn assigned_floor(&self) -> Index {
        if self.configuration_ahead().implicit_commit() { Index::ZERO } else { self.advertised_floor() }
    }

    // ---- The acceptor.

    pub(super) fn accept(&mut self, turn: &mut Turn, from: NodeId, accept: Accept) {
        let Accept { view, index, batch, floor, coordinator } = accept;
        if coordinator != from {
            return turn.ignore(Ignored::Impostor);
        }
        if self.admits(turn, from, view, index, floor) {
            self.store(turn, view, index, batch, coordinator);
            self.learn_from_accept(turn, view, index, floor);
        }
    }

    /// Whether something proposed in `view` may be accepted now; `from` sent it.
    #[inline]
    pub(super) fn admits(&mut self, turn: &mut Turn, from: NodeId, view: View, index: Index, floor: Index) -> bool {
        // Its own views it has promised, whatever a delegate says.
        let known = view == self.promised || view > self.promised && view.node != self.me;
        if !known || !self.log.within_reach(index) || index <= self.log.base() || self.is_behind(turn) {
            self.decline(turn, from, view, index, floor);
            return false;
        }
        self.hear_of_view(turn, from, view);
        true
    }

    /// Whether more waits for the disk than there is room for in memory.
    #[inline]
    fn is_behind(&self, turn: &Turn) -> bool {
        self.withheld.is_full() || turn.journal.is_behind()
    }

    /// Answers what is not admitted, and learns from it what may be learnt.
    #[cold]
    fn decline(&mut self, turn: &mut Turn, from: NodeId, view: View, index: Index, floor: Index) {
        if view < self.promised {
            let promised = self.promised;
            return turn.send(NodeSet::only(from), PeerMessage::Reject { view, promised });
        }
        if view > self.promised && view.node == self.me {
            return turn.ignore(Ignored::Impostor);
        }
        if !self.log.within_reach(index) {
            self.hear_of_view(turn, from, view);
            self.learn_floor(turn, view, floor);
            return turn.ignore(Ignored::OutOfRange);
        }
        if index <= self.log.base() {
            // It is committed, and perhaps this replica is the only one left that could say so.
            self.hear_of_view(turn, from, view);
            self.offer_snapshot(turn, view.node);
            return turn.ignore(Ignored::Duplicate);
        }
        turn.ignore(Ignored::NotRunning);
    }

    /// Follows the leader of `view`, which is not below the promise and has just been heard.
    pub(super) fn hear_leader(&mut self, turn: &mut Turn, view: View) {
        self.adopt(turn, view, Some(view.node));
    }

    /// Joins `view`, which is not below the promise. A word of its leader is a sign of life, a delegate's is none.
    pub(super) fn hear_of_view(&mut self, turn: &mut Turn, from: NodeId, view: View) {
        if from == view.node || view > self.promised {
            self.hear_leader(turn, view);
        }
    }

    /// Accepts in memory, hands the record to the journal, and vouches for it when it is durable.
    pub(super) fn store(&mut self, turn: &mut Turn, view: View, index: Index, batch: Batch, coordinator: NodeId) {
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
        self.withheld.push(turn.journal, || Effect::Accepted { view, index, digest, coordinator });
    }

    /// Two batches are committed at one index: stop before the difference spreads.
    pub(super) fn diverged(&mut self, Diverged(index): Diverged) {
        self.fence(Fault::Divergence { index });
    }
}

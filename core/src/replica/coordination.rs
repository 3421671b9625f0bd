//! Storing a batch at a replication quorum on a leader's behalf: `Assign`, and whom an `Accept` goes to.
//!
//! The leader gives every (view, index) one batch. Running phase 2 for it is a coordinator's work: the leader's own, or
//! that of one of k others in turn, or of the member the requests came from. Then the batch leaves the leader once, and
//! its outgoing bytes no longer grow with the cluster.
//!
//! # Why it is safe
//! A coordinator decides nothing. It repeats what the leader assigned, the leader's floor included, and counts durable
//! acceptances of that (view, index, digest) by distinct members. Whether a replication quorum has them is a fact about
//! the acceptors, whoever counts: so several coordinators may run one assignment, any of them may die at any point, and
//! what they remember is volatile. A promise of a higher view ends what runs here for a lower one.
//!
//! # Why it is live
//! The leader keeps an assignment in its window until it is chosen. A coordinator that takes too long is suspected for
//! a while, and the *same* assignment goes to another: each in turn, and the leader itself last. A delegate's failure
//! costs time, never an index. A thrifty coordinator asks as many healthy members as suffice, and all of them from the
//! first repetition on; who was left out learns by the floor that it lacks something, and fetches it.

use super::{
    Replica, Role,
    assignment::Leader,
    replication::{RESEND_MAX, is_late},
    turn::Turn,
};
use crate::{
    batch::Batch,
    configuration::WINDOW_MAX,
    ids::{Digest, Index, NodeId, NodeSet, View},
    interface::{Ignored, Learned, Note},
    message::PeerMessage,
    options::Delegate,
    time::Time,
};
use alloc::collections::BTreeMap;

/// A member that acknowledged none of so many heartbeats in a row is not asked first.
const HEALTHY_BEATS: u64 = 4;

/// An `Assign` as it arrived.
pub(super) struct Assign {
    pub(super) view: View,
    pub(super) index: Index,
    pub(super) batch: Batch,
    pub(super) floor: Index,
}

/// What runs here for the leader of the promised view. At most as many as the widest window.
#[derive(Clone, Debug, Default)]
pub(super) struct Coordinations {
    running: BTreeMap<Index, Coordination>,
}

#[derive(Clone, Debug)]
struct Coordination {
    digest: Digest,
    /// The leader's, when it assigned this.
    floor: Index,
    /// Distinct members whose acceptance is durable.
    accepted: NodeSet,
    sent: Time,
    resent: u32,
}

impl Coordinations {
    /// The view they ran in is over.
    pub(super) fn clear(&mut self) {
        self.running.clear();
    }
}

impl Replica {
    // ---- The leader: to whom.

    /// Who is to coordinate the next assignment. `origin` forwarded the requests in it.
    pub(super) fn next_coordinator(&mut self, now: Time, origin: Option<NodeId>) -> NodeId {
        let next = match self.options.delegate {
            Delegate::None => None,
            Delegate::Forwarder => origin.filter(|node| self.is_healthy(now, *node)),
            Delegate::Rotate(most) => {
                let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader assigns") };
                leader.delegated += 1;
                let turn = leader.delegated;
                let delegates: NodeSet = self.healthy_after_me(now).take(usize::from(most)).collect();
                let place = turn.checked_rem(delegates.len() as u64);
                place.and_then(|place| delegates.iter().nth(place as usize))
            }
        };
        next.unwrap_or(self.me)
    }

    /// Who takes over an assignment that `tried` have not brought to an end: the leader itself last.
    pub(super) fn replacement(&self, now: Time, tried: NodeSet) -> NodeId {
        let Delegate::Rotate(most) = self.options.delegate else { return self.me };
        let mut others = self.healthy_after_me(now).take(usize::from(most));
        others.find(|node| !tried.contains(*node)).unwrap_or(self.me)
    }

    /// Healthy members, beginning after this one: not the same ones first everywhere.
    pub(super) fn healthy_after_me(&self, now: Time) -> impl Iterator<Item = NodeId> {
        let (me, others) = (self.me, self.others());
        let after = others.iter().filter(move |node| *node > me);
        let before = others.iter().filter(move |node| *node < me);
        after.chain(before).filter(move |node| self.is_healthy(now, *node))
    }

    /// Whether a member is likely to answer soon. A leader knows by its acknowledgements, others by the link alone.
    fn is_healthy(&self, now: Time, node: NodeId) -> bool {
        let heard = match &self.role {
            Role::Leader(leader) => self.is_heard(leader, now, node),
            _ => true,
        };
        heard && self.links.verified().contains(node)
    }

    fn is_heard(&self, leader: &Leader, now: Time, node: NodeId) -> bool {
        let patience = self.options.heartbeat.times(HEALTHY_BEATS);
        let lately = |at: Time| now.since(at) < patience;
        let acked = lately(leader.since) || leader.acks.get(&node).is_some_and(|ack| lately(ack.at));
        let timeout = self.options.election_timeout;
        acked && leader.suspected.get(&node).is_none_or(|since| now.since(*since) >= timeout.times(2))
    }

    // ---- Any coordinator: whom to ask.

    /// Whom to send an `Accept` first, besides `sure`, who have the batch and accept it anyway.
    pub(super) fn first_acceptors(&self, now: Time, index: Index, sure: NodeSet) -> NodeSet {
        let all = self.others().difference(sure);
        if !self.options.thrifty {
            return all;
        }
        let quorums = self.history.configuration_at(index).quorums();
        let mut quorum = sure;
        for node in self.healthy_after_me(now) {
            if quorums.has_replication_quorum(quorum) {
                break;
            }
            quorum = quorum.with(node);
        }
        if !quorums.has_replication_quorum(quorum) {
            return all;
        }
        // In a system that does not just count, the last one may have made an earlier one superfluous.
        for node in quorum.difference(sure).iter() {
            if quorums.has_replication_quorum(quorum.without(node)) {
                quorum = quorum.without(node);
            }
        }
        quorum.difference(sure)
    }

    // ---- The delegate.

    pub(super) fn assigned(&mut self, turn: &mut Turn, from: NodeId, assign: Assign) {
        let Assign { view, index, batch, floor } = assign;
        if view.node != from {
            return turn.ignore(Ignored::Impostor);
        }
        if !self.admits(turn, from, view, index, floor) {
            return;
        }
        let (me, digest, running) = (self.me, batch.digest(), &mut self.coordinations.running);
        if running.len() as u64 >= WINDOW_MAX && !running.contains_key(&index) {
            return turn.ignore(Ignored::OutOfRange);
        }
        // Assigned again: some may have answered already.
        let known = running.get(&index).filter(|known| known.digest == digest);
        let accepted = known.map_or(NodeSet::EMPTY, |known| known.accepted);
        running.insert(index, Coordination { digest, floor, accepted, sent: turn.now, resent: 0 });
        let sure = accepted.with(me).with(from);
        let acceptors = self.first_acceptors(turn.now, index, sure);
        turn.send(acceptors, PeerMessage::Accept { view, index, batch: batch.clone(), floor, coordinator: me });
        self.store(turn, view, index, batch, me);
        self.learn_from_accept(turn, view, index, floor);
    }

    /// Counts an acceptance of what runs here for the leader of `view`.
    pub(super) fn coordinated(&mut self, turn: &mut Turn, from: NodeId, view: View, index: Index, digest: Digest) {
        if view != self.promised {
            return turn.ignore(Ignored::OldView);
        }
        let running = self.coordinations.running.get_mut(&index).filter(|running| running.digest == digest);
        let Some(running) = running else { return turn.ignore(Ignored::Unassigned) };
        if !running.accepted.insert(from) {
            return turn.ignore(Ignored::Duplicate);
        }
        if !self.history.configuration_at(index).quorums().has_replication_quorum(running.accepted) {
            return;
        }
        self.coordinations.running.remove(&index);
        turn.note(Note::Chosen { view, index, digest });
        let told = if self.options.explicit_commit { self.others() } else { NodeSet::only(view.node) };
        turn.send(told.without(self.me), PeerMessage::Chosen { view, index, digest });
        let entry = self.log.at(index);
        let holds = |(accepted, batch): &(View, Batch)| *accepted == view && batch.digest() == digest;
        if entry.accepted.as_ref().is_some_and(holds) && entry.unknown.is_none() {
            self.commit(turn, index, Learned::Counted);
        }
    }

    /// Sends again what too few have accepted, to everyone who has not.
    pub(super) fn retry_coordinations(&mut self, turn: &mut Turn) {
        let (view, me, others) = (self.promised, self.me, self.others());
        let known = self.learner.floor_of(view).max(self.log.floor());
        let Self { coordinations, log, options, .. } = self;
        // What its floor covers the leader knows, and what is committed here reaches it without this replica.
        coordinations.running.retain(|index, running| {
            let held = log.at(*index).accepted.as_ref();
            *index > known && held.is_some_and(|(_, batch)| batch.digest() == running.digest)
        });
        let (now, running) = (turn.now, coordinations.running.iter_mut());
        let late = running.filter(|(_, running)| is_late(now, running.sent, running.resent, options));
        for (&index, running) in late.take(RESEND_MAX) {
            if options.thrifty && running.resent == 0 {
                turn.note(Note::Widened { index });
            }
            (running.sent, running.resent) = (turn.now, running.resent + 1);
            turn.note(Note::Retransmitted { index });
            let (batch, floor) = (log.held(index).clone(), running.floor);
            let accept = PeerMessage::Accept { view, index, batch, floor, coordinator: me };
            turn.send(others.difference(running.accepted), accept);
        }
    }
}

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
//! costs time, never an index. A thrifty coordinator asks as many members as suffice, those within reach that answer
//! soonest ([`super::pace`]), and all of them from the first repetition on; who was left out learns by the floor that
//! it lacks something, and fetches it.

use super::{
    Replica, Role,
    assignment::Leader,
    commit::ring_step,
    pace::{Pace, SUSPECTED},
    replication::{RESEND_MAX, is_late},
    retry_interval,
    turn::Turn,
    window::Window,
};
use crate::{
    batch::Batch,
    configuration::WINDOW_MAX,
    ids::{Digest, Index, NodeId, NodeSet, View},
    interface::{Ignored, Learned, Note},
    message::PeerMessage,
    options::Delegate,
    replica::quorum::MEMBERS_MAX,
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
    /// How fast those are whom this delegate asks. It sends no heartbeats, so it knows who was late, and no more.
    pace: Pace,
}

#[derive(Clone, Debug)]
struct Coordination {
    digest: Digest,
    /// The leader's, when it assigned this.
    floor: Index,
    /// Distinct members whose acceptance is durable.
    accepted: NodeSet,
    /// Who was asked first.
    asked: NodeSet,
    sent: Time,
    resent: u32,
}

impl Coordinations {
    /// The view they ran in is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Replica {
    // ---- The leader: to whom.

    /// Who is to coordinate the next assignment. `origin` forwarded the requests in it.
    pub(super) fn next_coordinator(&mut self, now: Time, origin: Option<NodeId>) -> NodeId {
        let next = match self.options.delegate {
            Delegate::None => None,
            Delegate::Forwarder => origin.filter(|origin| self.delegates(now).any(|node| node == *origin)),
            Delegate::Rotate(most) => {
                let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader assigns") };
                leader.delegated += 1;
                let turn = leader.delegated;
                let delegates: NodeSet = self.delegates(now).take(usize::from(most)).collect();
                let place = turn.checked_rem(delegates.len() as u64);
                place.and_then(|place| delegates.iter().nth(place as usize))
            }
        };
        next.unwrap_or(self.me)
    }

    /// Who takes over an assignment that `tried` have not brought to an end: the leader itself last.
    pub(super) fn replacement(&self, now: Time, tried: NodeSet) -> NodeId {
        let Delegate::Rotate(most) = self.options.delegate else { return self.me };
        let mut others = self.delegates(now).take(usize::from(most));
        others.find(|node| !tried.contains(*node)).unwrap_or(self.me)
    }

    /// Who may run phase 2 for this leader, the fastest first. One that is twice as slow as half of the others are at
    /// most would hold up whatever comes after, since batches are executed in order.
    fn delegates(&self, now: Time) -> impl Iterator<Item = NodeId> {
        let trusted = self.by_pace(now).filter(|(lag, _)| *lag < SUSPECTED);
        let middle = trusted.clone().count().saturating_sub(1) / 2;
        let longest = trusted.clone().nth(middle).map_or(0, |(lag, _)| lag);
        trusted.take_while(move |(lag, _)| *lag <= longest).map(|(_, node)| node)
    }

    /// Healthy members and by how much each lags behind, the fastest first. Equals come in the order of their ids,
    /// beginning after this one: not the same ones first everywhere.
    pub(super) fn by_pace(&self, now: Time) -> impl Iterator<Item = (u32, NodeId)> + Clone {
        let mut ranked = [(u32::MAX, u8::MAX, self.me); MEMBERS_MAX];
        let mut count = 0;
        for node in self.others().iter().filter(|node| self.is_healthy(now, *node)) {
            ranked[count] = (self.pace().lag(node, now, &self.options), ring_step(node, self.me), node);
            count += 1;
        }
        ranked[..count].sort_unstable();
        ranked.into_iter().take(count).map(|(lag, _, node)| (lag, node))
    }

    fn pace(&self) -> &Pace {
        match &self.role {
            Role::Leader(leader) => &leader.pace,
            _ => &self.coordinations.pace,
        }
    }

    /// Whether a member is likely to answer. A leader knows by its acknowledgements, others by the link alone.
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
        lately(leader.since) || leader.acks.get(&node).is_some_and(|ack| lately(ack.at))
    }

    // ---- Any coordinator: for how long.

    /// Looks at what others could be asked about when it is late, if it is.
    pub(super) fn watch(&mut self, now: Time) {
        self.overdue_at = self.overdue_at.min(now + self.pace().patience(&self.options));
    }

    /// Takes care of what is late, and sets when the next is.
    pub(super) fn retry_late(&mut self, turn: &mut Turn) {
        self.retry_assignments(turn);
        self.retry_coordinations(turn);
        let (me, thrifty) = (self.me, self.options.thrifty);
        let running = self.coordinations.running.values().filter(|_| thrifty);
        let running = running.filter(|running| running.resent == 0).map(|running| running.sent);
        let assigned = match &self.role {
            Role::Leader(leader) => Some(&leader.window),
            _ => None,
        };
        let assigned = assigned.into_iter().flat_map(Window::waiting).map(|(_, slot)| slot);
        let assigned = assigned.filter(|slot| slot.resent == 0 && (thrifty || slot.coordinator != me));
        let sent = running.chain(assigned.map(|slot| slot.sent));
        // What is late and is not repeated yet waits for its turn at the regular times.
        let patience = self.pace().patience(&self.options);
        let due = sent.map(|sent| sent + patience).filter(|due| *due > turn.now).min();
        self.overdue_at = due.unwrap_or(Time::NEVER);
    }

    // ---- Any coordinator: whom to ask.

    /// Whom to send an `Accept` first, besides `sure`, who have the batch and accept it anyway.
    #[inline]
    pub(super) fn first_acceptors(&self, now: Time, index: Index, sure: NodeSet) -> NodeSet {
        let all = self.others().difference(sure);
        if self.options.thrifty { self.thrifty_acceptors(now, index, sure, all) } else { all }
    }

    fn thrifty_acceptors(&self, now: Time, index: Index, sure: NodeSet, all: NodeSet) -> NodeSet {
        let quorums = self.history.configuration_at(index).quorums();
        let mut quorum = sure;
        for (_, node) in self.by_pace(now) {
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
        let (me, digest, running) = (self.me, batch.digest(), &self.coordinations.running);
        if running.len() as u64 >= WINDOW_MAX && !running.contains_key(&index) {
            return turn.ignore(Ignored::OutOfRange);
        }
        // Assigned again: some may have answered already.
        let known = running.get(&index).filter(|known| known.digest == digest);
        let accepted = known.map_or(NodeSet::EMPTY, |known| known.accepted);
        let asked = self.first_acceptors(turn.now, index, accepted.with(me).with(from));
        let running = &mut self.coordinations.running;
        running.insert(index, Coordination { digest, floor, accepted, asked, sent: turn.now, resent: 0 });
        if self.options.thrifty {
            self.watch(turn.now);
        }
        turn.send(asked, PeerMessage::Accept { view, index, batch: batch.clone(), floor, coordinator: me });
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
        if running.resent == 0 {
            let took = turn.now.since(running.sent);
            self.coordinations.pace.chosen_within(took);
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
        let Self { coordinations: Coordinations { running, pace }, log, options, .. } = self;
        // What its floor covers the leader knows, and what is committed here reaches it without this replica.
        running.retain(|index, running| {
            let held = log.at(*index).accepted.as_ref();
            *index > known && held.is_some_and(|(_, batch)| batch.digest() == running.digest)
        });
        let patience = if options.thrifty { pace.patience(options) } else { retry_interval(options) };
        let (now, running) = (turn.now, running.iter_mut());
        let late = running.filter(|(_, running)| is_late(now, running.sent, running.resent, patience, options));
        for (&index, running) in late.take(RESEND_MAX) {
            if options.thrifty && running.resent == 0 {
                turn.note(Note::Widened { index });
                pace.late_after(now.since(running.sent));
                for late in running.asked.difference(running.accepted).iter() {
                    pace.suspect(late, now, options);
                }
            }
            (running.sent, running.resent) = (turn.now, running.resent + 1);
            turn.note(Note::Retransmitted { index });
            let (batch, floor) = (log.held(index).clone(), running.floor);
            let accept = PeerMessage::Accept { view, index, batch, floor, coordinator: me };
            turn.send(others.difference(running.accepted), accept);
        }
    }
}

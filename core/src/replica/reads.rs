//! Signs of life, and leader reads confirmed by them.
//!
//! A leader read notes an index, then waits for a heartbeat round *begun after it arrived* to be acknowledged by a
//! replication quorum and for everything up to that index to be applied, and is evaluated once. The index is the floor
//! if this leader counts all acceptances itself, else the highest it has assigned: a delegate may know a write to be
//! chosen, and have answered it, before its leader does. Why that is linearizable: every write acknowledged before the
//! read arrived was assigned by this view or lies in its recovered range, so it is not above that index, unless a
//! higher view had already completed its phase 1. It had not: its recovery quorum meets the quorum that acknowledged
//! the round, and the member in both had promised nothing higher when it acknowledged, which was after the read
//! arrived. Reads may share a round that has not been sent, never one under way (H14); rounds are numbered within a
//! view and a view is led in one life only, so an acknowledgement of an earlier life cannot be mistaken.

use super::{
    Replica, Role,
    assignment::Leader,
    turn::{Effect, Turn},
};
use crate::{
    ids::{ConnectionId, Index, NodeId, NodeSet, View},
    interface::{Ignored, Note, Output, StepDown},
    message::{ClientResponse, PeerMessage, Refusal, RequestKey},
    options::Delegate,
    time::Time,
};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use bytes::Bytes;

/// A client's read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// On which connection.
    pub connection: ConnectionId,
    /// The request's tag.
    pub tag: u64,
    /// The service's query.
    pub payload: Bytes,
}

/// Reads on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// Arrived, for a round that has not been sent.
    fresh: Vec<Read>,
    /// By the round that is to confirm them, with the index to be applied first.
    sent: VecDeque<(u64, Index, Vec<Read>)>,
    /// Confirmed, by the index to be applied first.
    confirmed: VecDeque<(Index, Vec<Read>)>,
}

impl Reads {
    fn len(&self) -> usize {
        let sent = self.sent.iter().map(|(_, _, reads)| reads.len());
        let confirmed = self.confirmed.iter().map(|(_, reads)| reads.len());
        self.fresh.len() + sent.chain(confirmed).sum::<usize>()
    }

    /// The view that was to confirm them is over, but its leader goes on: they need rounds of the next view. So do
    /// those confirmed that still wait for what they must see: every answer is vouched for by the view it is given in.
    pub(super) fn confirm_again(&mut self) {
        let sent = self.sent.drain(..).flat_map(|(_, _, reads)| reads);
        let confirmed = self.confirmed.drain(..).flat_map(|(_, reads)| reads);
        self.fresh.extend(sent.chain(confirmed));
    }

    /// Refuses every read: this node does not lead. Those confirmed need no leader any more, only what they wait for;
    /// but that may never come to be here.
    pub(super) fn refuse_all(&mut self, turn: &mut Turn, leader: Option<NodeId>) {
        self.confirm_again();
        for read in self.fresh.drain(..) {
            refuse(turn, &read, Refusal::NotLeader { leader });
        }
    }

    /// Forgets the reads of a connection that is gone.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.fresh.retain(|read| read.connection != connection);
    }
}

pub(super) fn refuse(turn: &mut Turn, read: &Read, refusal: Refusal) {
    let response = ClientResponse::Refused { request: RequestKey::Tag(read.tag), refusal };
    turn.out.push(Output::Reply { connection: read.connection, response });
}

impl Replica {
    // ---- Reads.

    /// Takes a read; it is answered, or refused, later.
    pub fn read(&mut self, turn: &mut Turn, read: Read) {
        if !matches!(self.role, Role::Leader(_)) {
            let refusal = if self.is_running() { self.not_leader() } else { Refusal::NotReady };
            return if let Some(read) = self.refer(turn, read) {
                refuse(turn, &read, refusal)
            };
        }
        if self.reads.len() >= self.options.reads_max {
            return refuse(turn, &read, Refusal::Overloaded);
        }
        match self.leased(turn) {
            Some(index) => {
                turn.note(Note::LeaseRead { index });
                self.reads.confirmed.push_back((index, Vec::from([read])));
            }
            None => self.reads.fresh.push(read),
        }
    }

    /// Reads that can be evaluated: confirmed, and everything they must see is among the `applied`.
    pub fn take_confirmed(&mut self, applied: Index) -> Option<Vec<Read>> {
        let confirmed = self.reads.confirmed.pop_front_if(|(index, _)| *index <= applied);
        let reads = confirmed.map(|(_, reads)| reads).or_else(|| self.barriers.take_drained(applied));
        reads.or_else(|| self.referrals.take_drained(applied))
    }

    /// What a read that arrives now must see.
    pub(super) fn read_index(&self, leader: &Leader) -> Index {
        match self.options.delegate {
            Delegate::None => self.log.floor(),
            Delegate::Rotate(_) | Delegate::Forwarder => leader.window.last(),
        }
    }

    pub(super) fn wants_confirm(&self) -> bool {
        // Reads that arrive while a round is under way share the next one.
        let opened = matches!(&self.role, Role::Leader(leader) if leader.opened);
        let reads = !self.reads.fresh.is_empty() && self.reads.sent.is_empty();
        opened && (reads || self.referrals.want_round())
    }

    pub(super) fn confirm_reads(&mut self, turn: &mut Turn) {
        if self.wants_confirm() {
            self.beat(turn);
        }
    }

    // ---- Heartbeats.

    /// The floor a message of this leader's view may name: nothing before its recovered range is committed.
    pub(super) fn advertised_floor(&self) -> Index {
        match &self.role {
            Role::Leader(leader) if leader.opened => self.log.floor(),
            _ => Index::ZERO,
        }
    }

    /// A leader's regular sign of life, and its look at itself.
    pub(super) fn heartbeat_due(&mut self, turn: &mut Turn) {
        let Role::Leader(leader) = &self.role else { return };
        if self.disk_stalls(turn) {
            return self.become_follower(turn, StepDown::DiskStalled);
        }
        if !self.has_followers(leader, turn.now) {
            return self.become_follower(turn, StepDown::NoQuorum);
        }
        self.beat(turn);
    }

    /// Begins a round, which also confirms every read that has arrived by now.
    fn beat(&mut self, turn: &mut Turn) {
        let floor = self.advertised_floor();
        let others = self.others();
        let heartbeat = self.options.heartbeat;
        let Role::Leader(leader) = &self.role else { unreachable!("only a leader beats") };
        let index = self.read_index(leader);
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader beats") };
        leader.round += 1;
        leader.heartbeat_at = turn.now + heartbeat;
        let (view, round) = (leader.view, leader.round);
        if self.options.has_choice() {
            leader.pace.asked(others, round, turn.now);
        }
        leader.lease.asked(round, turn.now);
        if leader.opened && !self.reads.fresh.is_empty() {
            turn.note(Note::ReadNoted { index });
            self.reads.sent.push_back((round, index, core::mem::take(&mut self.reads.fresh)));
        }
        if leader.opened {
            self.referrals.begin_round(round, index);
        }
        turn.send(others, PeerMessage::Heartbeat { view, round, floor });
        self.confirm_rounds(turn);
    }

    /// Moves reads on whose round a replication quorum has acknowledged.
    fn confirm_rounds(&mut self, turn: &mut Turn) {
        let quorums = self.history.configuration_at(self.log.floor().next()).quorums();
        let Role::Leader(leader) = &mut self.role else { return };
        let Leader { lease, acks, .. } = &mut **leader;
        let by_quorum = |round| {
            let acked: NodeSet = acks.iter().filter(|(_, ack)| ack.round >= round).map(|(node, _)| *node).collect();
            quorums.has_replication_quorum(acked.with(self.me))
        };
        lease.acknowledged(by_quorum);
        while let Some((_, index, reads)) = self.reads.sent.pop_front_if(|(round, ..)| by_quorum(*round)) {
            self.reads.confirmed.push_back((index, reads));
        }
        self.referrals.confirm(turn, by_quorum);
    }

    pub(super) fn heartbeat(&mut self, turn: &mut Turn, from: NodeId, view: View, round: u64, floor: Index) {
        if view.node != from {
            return turn.ignore(Ignored::Impostor);
        }
        if view < self.promised {
            let promised = self.promised;
            return turn.send(NodeSet::only(from), PeerMessage::Reject { view, promised });
        }
        self.hear_leader(turn, view);
        self.grants.give(from, turn.now);
        self.learn_floor(turn, view, floor);
        let (hollow_until, checkpoint) = (self.hollow_until(), self.checkpoint().map(Box::new));
        let message = PeerMessage::HeartbeatAck { view, round, hollow_until, checkpoint };
        if turn.journal.covers(self.promise_ticket) {
            turn.send(NodeSet::only(from), message);
        } else if !self.withheld.is_full() {
            self.withheld.push(turn.journal, || Effect::Send { to: from, message: Box::new(message) });
        }
    }

    pub(super) fn heartbeat_acked(
        &mut self,
        turn: &mut Turn,
        from: NodeId,
        view: View,
        round: u64,
        hollow_until: Option<Index>,
        checkpoint: Option<(Index, u64)>,
    ) {
        let floor = self.log.floor();
        let furthest = floor.plus(self.history.configuration_at(floor.next()).window());
        let Role::Leader(leader) = &mut self.role else {
            return turn.ignore(Ignored::OldView);
        };
        if leader.view != view {
            return turn.ignore(Ignored::OldView);
        }
        if round > leader.round {
            return turn.ignore(Ignored::Unasked);
        }
        let ack = leader.acks.entry(from).or_default();
        ack.round = ack.round.max(round);
        ack.at = turn.now;
        leader.pace.answered(from, round, turn.now);
        leader.fill_until(hollow_until.map(|until| until.min(furthest)));
        self.compare_state(turn, from, checkpoint);
        self.confirm_rounds(turn);
    }

    /// Whether a replication quorum answered this leader within an election timeout.
    pub(super) fn has_followers(&self, leader: &Leader, now: Time) -> bool {
        let timeout = self.options.election_timeout;
        let lately = |at: Time| now.since(at) < timeout;
        // A view that has just begun has had no time to be acknowledged.
        let heard: NodeSet = if lately(leader.since) {
            self.members()
        } else {
            leader.acks.iter().filter(|(_, ack)| lately(ack.at)).map(|(node, _)| *node).collect()
        };
        self.configuration_ahead().quorums().has_replication_quorum(heard.with(self.me))
    }

    /// Whether the disk has not answered for an election timeout, or has no room for the snapshot that a log of this
    /// length waits for.
    pub(super) fn disk_stalls(&self, turn: &Turn) -> bool {
        let room = turn.journal.full_since().filter(|_| self.is_at_length());
        let since = turn.journal.waiting_since().into_iter().chain(room).min();
        since.is_some_and(|since| turn.now.since(since) >= self.options.election_timeout)
    }

    /// Whether what waits for the disk has no room there, and has waited for long.
    pub fn is_out_of_room(&self, turn: &Turn) -> bool {
        turn.journal.full_since().is_some() && self.disk_stalls(turn)
    }
}

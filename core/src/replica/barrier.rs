//! Participant reads: `Barrier` and `HighWater`, with no leader involved (Paxos quorum reads; Charapko, Ailijiang and
//! Demirbas 2019).
//!
//! Any replica may be the reader. It asks everybody how far their logs go, waits for answers from a recovery quorum,
//! then until everything up to the highest answer is executed here, and evaluates the read once, on its own state.
//!
//! # Why this is linearizable
//! Whatever was acknowledged, or seen by any read, before this read arrived is at an index at which a batch was chosen
//! by then: a replication quorum had accepted it durably. The answering recovery quorum meets it, and the member in
//! both had accepted before it was asked. It names no index below that one:
//! - acceptances outlast crashes, and one of which only the name is left still counts. A member that lost records it
//!   cannot name does not answer, and neither does it count in a round of its own;
//! - a round begins after all of its reads have arrived, and answers name it, life included: none is taken for another
//!   that left earlier (H14). Which of several copies of a question was answered does not matter.
//!
//! So everything such a read must see is executed before it is evaluated. What is executed here is chosen, hence the
//! reads agree with each other and with those of the leader. An answer vouches for nothing durable: it is a bound from
//! above, and an acceptance that is in it and gets lost in a crash only made a read wait.
//!
//! # Why it ends
//! Only chosen batches are executed, so a read may wait for an acceptance that came to nothing until a later leader has
//! decided about it; and a recovery quorum may be out of reach where a replication quorum is not. After an election
//! timeout the read becomes one for the leader, which needs neither: this node treats it like any leader read that
//! arrives here.

use super::{
    Replica, Role,
    reads::{Read, refuse},
    turn::Turn,
};
use crate::{
    ids::{ConnectionId, Incarnation, Index, NodeId, NodeSet, View},
    interface::{Ignored, Note},
    message::{PeerMessage, ReadMode, Refusal},
    time::Time,
};
use alloc::{collections::VecDeque, vec::Vec};

/// Participant reads on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Barriers {
    /// Arrived, for a round that has not begun.
    fresh: Vec<Read>,
    /// The round under way.
    round: Option<Round>,
    /// Rounds that are over, whose reads wait for the log.
    draining: VecDeque<Draining>,
    /// Numbers the rounds of this life.
    counter: u64,
}

#[derive(Clone, Debug)]
struct Round {
    number: u64,
    since: Time,
    reads: Vec<Read>,
    /// Who has answered.
    answered: NodeSet,
    /// The farthest that any of them goes.
    high: Index,
}

#[derive(Clone, Debug)]
struct Draining {
    high: Index,
    since: Time,
    reads: Vec<Read>,
}

/// What a `HighWater` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) high: Index,
    pub(super) floor: Index,
    pub(super) view: View,
}

impl Barriers {
    fn len(&self) -> usize {
        let under_way = self.round.as_ref().map_or(0, |round| round.reads.len());
        self.fresh.len() + under_way + self.draining.iter().map(|draining| draining.reads.len()).sum::<usize>()
    }

    /// The reads of one round whose last index is among the `applied`.
    pub(super) fn take_drained(&mut self, applied: Index) -> Option<Vec<Read>> {
        let place = self.draining.iter().position(|draining| draining.high <= applied)?;
        self.draining.remove(place).map(|draining| draining.reads)
    }

    /// Takes out the reads of rounds that began before `time`; all of them, at the end of time.
    fn take_older_than(&mut self, time: Time) -> Vec<Read> {
        let mut taken = Vec::new();
        if let Some(mut round) = self.round.take_if(|round| round.since < time) {
            taken.append(&mut round.reads);
        }
        self.draining.retain_mut(|draining| {
            let old = draining.since < time;
            if old {
                taken.append(&mut draining.reads);
            }
            !old
        });
        if time == Time::NEVER {
            taken.append(&mut self.fresh);
        }
        taken
    }

    /// Forgets the reads of a connection that is gone.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        let under_way = self.round.iter_mut().map(|round| &mut round.reads);
        let draining = self.draining.iter_mut().map(|draining| &mut draining.reads);
        for reads in under_way.chain(draining).chain([&mut self.fresh]) {
            reads.retain(|read| read.connection != connection);
        }
    }
}

impl Replica {
    /// Takes a participant read; it is answered, or refused, later.
    pub fn participant_read(&mut self, turn: &mut Turn, read: Read) {
        if !self.options.participant_read {
            return refuse(turn, &read, Refusal::NotServed { mode: ReadMode::Participant });
        }
        if !self.is_running() {
            return refuse(turn, &read, Refusal::NotReady);
        }
        if self.barriers.len() >= self.options.reads_max {
            return refuse(turn, &read, Refusal::Overloaded);
        }
        self.barriers.fresh.push(read);
    }

    pub(super) fn wants_barrier(&self) -> bool {
        // Reads that arrive while a round is under way share the next one.
        !self.barriers.fresh.is_empty() && self.barriers.round.is_none()
    }

    /// Begins a round for all reads that have arrived.
    pub(super) fn begin_barrier(&mut self, turn: &mut Turn) {
        assert!(self.barriers.round.is_none(), "one round at a time");
        self.barriers.counter += 1;
        let number = self.barriers.counter;
        let reads = core::mem::take(&mut self.barriers.fresh);
        let answered = if self.is_hollow() { NodeSet::EMPTY } else { NodeSet::only(self.me) };
        let high = self.high_index();
        self.barriers.round = Some(Round { number, since: turn.now, reads, answered, high });
        turn.send(self.others(), PeerMessage::Barrier { nonce: (self.incarnation, number) });
        self.conclude_barrier(turn);
    }

    /// Nothing above here was ever accepted here, or is known here as chosen.
    fn high_index(&self) -> Index {
        self.log.last().max(self.learner.known_floor(&self.log))
    }

    pub(super) fn barrier_asked(&mut self, turn: &mut Turn, from: NodeId, nonce: (Incarnation, u64)) {
        if self.is_hollow() {
            return turn.ignore(Ignored::Hollow);
        }
        let (high, floor, view) = (self.high_index(), self.learner.known_floor(&self.log), self.promised);
        turn.send(NodeSet::only(from), PeerMessage::HighWater { nonce, high, floor, view });
    }

    pub(super) fn high_water(&mut self, turn: &mut Turn, from: NodeId, nonce: (Incarnation, u64), reach: Reach) {
        let asked = |round: &&mut Round| nonce == (self.incarnation, round.number);
        let Some(round) = self.barriers.round.as_mut().filter(asked) else {
            return turn.ignore(Ignored::Unasked);
        };
        round.answered.insert(from);
        round.high = round.high.max(reach.high);
        self.highest_round = self.highest_round.max(reach.view.round);
        // What a leader lacks that others know chosen is for `commit` to find out: it may be its own work.
        if !matches!(self.role, Role::Leader(_)) {
            self.learner.hear_of(reach.floor);
            self.fetch_if_missing(turn, from);
        }
        self.conclude_barrier(turn);
    }

    fn conclude_barrier(&mut self, turn: &mut Turn) {
        let Some(round) = &self.barriers.round else { return };
        if !self.configuration_ahead().quorums().has_recovery_quorum(round.answered) {
            return;
        }
        let Round { since, reads, high, .. } = self.barriers.round.take().expect("just seen");
        turn.note(Note::BarrierPassed { high, floor: self.log.floor() });
        self.barriers.draining.push_back(Draining { high, since, reads });
    }

    /// Asks those again who have not answered, and gives up what takes too long.
    pub(super) fn retry_barriers(&mut self, turn: &mut Turn) {
        self.give_up_barriers(turn, turn.now - self.options.election_timeout);
        if let Some(round) = &self.barriers.round {
            let silent = self.others().difference(round.answered);
            turn.send(silent, PeerMessage::Barrier { nonce: (self.incarnation, round.number) });
        }
    }

    /// What has waited since before `time` becomes a leader read.
    pub(super) fn give_up_barriers(&mut self, turn: &mut Turn, time: Time) {
        for read in self.barriers.take_older_than(time) {
            self.read(turn, read);
        }
    }
}

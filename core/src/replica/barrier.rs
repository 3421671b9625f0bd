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
    inquiry::{Asked, Inquiry},
    reads::{Read, refuse},
    turn::Turn,
};
use crate::{
    ids::{Incarnation, Index, NodeId, NodeSet, View},
    interface::{Ignored, Note},
    message::{PeerMessage, ReadMode, Refusal},
    time::Time,
};

/// Participant reads on their way.
pub(super) type Barriers = Inquiry<Round>;

/// What the answers to the question under way come to.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// Who has answered.
    answered: NodeSet,
    /// The farthest that any of them goes.
    high: Index,
}

/// What a `HighWater` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) high: Index,
    pub(super) floor: Index,
    pub(super) view: View,
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
        self.barriers.push(read);
    }

    /// Begins a round for all reads that have arrived.
    pub(super) fn begin_barrier(&mut self, turn: &mut Turn) {
        let answered = if self.is_hollow() { NodeSet::EMPTY } else { NodeSet::only(self.me) };
        let number = self.barriers.ask(Round { answered, high: self.high_index() }, turn.now);
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
        let incarnation = self.incarnation;
        let Some(asked) = self.barriers.asked_mut().filter(|asked| nonce == (incarnation, asked.number)) else {
            return turn.ignore(Ignored::Unasked);
        };
        let round = &mut asked.question;
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
        let Some(&Asked { question: Round { answered, high }, .. }) = self.barriers.asked() else { return };
        if self.configuration_ahead().quorums().has_recovery_quorum(answered) {
            turn.note(Note::BarrierPassed { high, floor: self.log.floor() });
            self.barriers.answer(high);
        }
    }

    /// Asks those again who have not answered, and gives up what takes too long.
    pub(super) fn retry_barriers(&mut self, turn: &mut Turn) {
        self.give_up_barriers(turn, turn.now - self.options.election_timeout);
        if let Some(Asked { number, question, .. }) = self.barriers.asked() {
            let silent = self.others().difference(question.answered);
            turn.send(silent, PeerMessage::Barrier { nonce: (self.incarnation, *number) });
        }
    }

    /// What has waited since before `time` becomes a leader read.
    pub(super) fn give_up_barriers(&mut self, turn: &mut Turn, time: Time) {
        for read in self.barriers.take_older_than(time) {
            self.read(turn, read);
        }
    }
}

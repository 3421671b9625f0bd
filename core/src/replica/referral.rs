//! Leader reads that arrive at a participant: `ReadIndexAsk`, `ReadIndex`.
//!
//! With `participant = forward` a replica that follows a leader takes leader reads too. It asks the leader up to where
//! they must see, waits until it has executed that itself, and evaluates them once, on its own state. So a client that
//! can reach one member only is served, and the leader evaluates and sends nothing but an index.
//!
//! # Why this is linearizable
//! The leader treats the question like a read of its own ([`super::reads`]): it notes an index, and answers it only
//! once a heartbeat round begun after the question arrived is acknowledged by a replication quorum, or at once while it
//! holds a lease. So whatever was acknowledged, or seen by any read, before the question arrived is not above the
//! index. The reads that wait for the answer had all arrived before the question left:
//! - those that arrive while one is under way wait for the next one (H14);
//! - an answer names its question, life included: one to an earlier question, or to an earlier life of this replica,
//!   counts for nothing. Which of several copies of a question was answered does not matter, for all of them left after
//!   the reads had arrived.
//!
//! So everything such a read must see is executed before it is evaluated. What is executed here is chosen, whoever
//! leads by then; hence a promise made meanwhile, or a leader deposed right after it answered, takes nothing away from
//! an index that is known. The answer vouches for nothing durable: it is a bound from above.
//!
//! # Why it ends
//! A leader that stops to lead says so to all who wait for it, and who does not lead says so at once. A question is
//! repeated until it is answered; after an election timeout, or when this replica learns of another view, its reads are
//! refused with the leader named, as not done, which a read may always be. So are those that wait as long for the log,
//! for with delegates the index may be that of an assignment that comes to nothing.
//!
//! # What it costs
//! The leader holds one question of each member, the newest; what is asked is bounded like other reads. A read by lease
//! waits at a participant until it hears what is chosen, with the next batch or heartbeat.

use super::{
    Replica, Role,
    inquiry::{Asked, Inquiry},
    reads::{Read, refuse},
    turn::Turn,
};
use crate::{
    ids::{ConnectionId, Incarnation, Index, NodeId, NodeSet},
    interface::{Ignored, Note},
    message::{PeerMessage, Refusal},
    time::Time,
};
use alloc::{collections::BTreeMap, vec::Vec};

/// Leader reads on their way at a participant, and at a leader what participants ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Referrals {
    /// This replica's own, and whom it asks.
    reads: Inquiry<NodeId>,
    /// What others ask this leader: the newest question of each.
    questions: BTreeMap<NodeId, Question>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    nonce: (Incarnation, u64),
    /// The round that is to confirm it, with the index noted; none if that has not begun.
    noted: Option<(u64, Index)>,
}

impl Referrals {
    /// The reads of one question whose index is among the `applied`.
    pub(super) fn take_drained(&mut self, applied: Index) -> Option<Vec<Read>> {
        self.reads.take_drained(applied)
    }

    /// Forgets the reads of a connection that is gone.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.reads.forget(connection);
    }

    /// Refuses the reads whose index is not known: whoever was to name it is not the leader any more.
    pub(super) fn refuse_all(&mut self, turn: &mut Turn, leader: Option<NodeId>) {
        for read in self.reads.take_unanswered() {
            refuse(turn, &read, Refusal::NotLeader { leader });
        }
    }

    // ---- The leader's side.

    /// Tells everybody who asks that this node does not lead.
    pub(super) fn dismiss(&mut self, turn: &mut Turn) {
        for (node, question) in core::mem::take(&mut self.questions) {
            turn.send(NodeSet::only(node), PeerMessage::ReadIndex { nonce: question.nonce, index: None });
        }
    }

    /// The view that was to confirm them is over, but its leader goes on.
    pub(super) fn confirm_again(&mut self) {
        self.questions.values_mut().for_each(|question| question.noted = None);
    }

    /// Whether questions wait for a round, and no round for an acknowledgement on their account.
    pub(super) fn want_round(&self) -> bool {
        !self.questions.is_empty() && self.questions.values().all(|question| question.noted.is_none())
    }

    /// A round begins that confirms every question that has arrived by now.
    pub(super) fn begin_round(&mut self, round: u64, index: Index) {
        for question in self.questions.values_mut() {
            question.noted.get_or_insert((round, index));
        }
    }

    /// Answers the questions whose round a replication quorum has acknowledged.
    pub(super) fn confirm(&mut self, turn: &mut Turn, by_quorum: impl Fn(u64) -> bool) {
        self.questions.retain(|node, question| {
            let Some((_, index)) = question.noted.filter(|(round, _)| by_quorum(*round)) else { return true };
            answer(turn, *node, question.nonce, index);
            false
        });
    }
}

fn answer(turn: &mut Turn, to: NodeId, nonce: (Incarnation, u64), index: Index) {
    turn.note(Note::ReadReferred { to, index });
    turn.send(NodeSet::only(to), PeerMessage::ReadIndex { nonce, index: Some(index) });
}

impl Replica {
    // ---- The participant.

    /// Takes a leader read for the leader; gives it back if this replica leaves that to the client.
    pub(super) fn refer(&mut self, turn: &mut Turn, read: Read) -> Option<Read> {
        if self.forwards_to().is_none() {
            return Some(read);
        }
        if self.referrals.reads.len() >= self.options.reads_max {
            refuse(turn, &read, Refusal::Overloaded);
        } else {
            self.referrals.reads.push(read);
        }
        None
    }

    pub(super) fn wants_referral(&self) -> bool {
        self.referrals.reads.wants_question()
    }

    /// Asks for all reads that have arrived.
    pub(super) fn refer_gathered(&mut self, turn: &mut Turn) {
        if !self.referrals.reads.has_unanswered() {
            return;
        }
        let Some(leader) = self.forwards_to() else {
            return self.referrals.refuse_all(turn, self.following.filter(|leader| *leader != self.me));
        };
        if self.wants_referral() {
            let number = self.referrals.reads.ask(leader, turn.now);
            turn.send(NodeSet::only(leader), PeerMessage::ReadIndexAsk { nonce: (self.incarnation, number) });
        }
    }

    pub(super) fn read_index_told(
        &mut self,
        turn: &mut Turn,
        from: NodeId,
        nonce: (Incarnation, u64),
        index: Option<Index>,
    ) {
        let incarnation = self.incarnation;
        let answered = |asked: &Asked<NodeId>| nonce == (incarnation, asked.number) && asked.question == from;
        if !self.referrals.reads.asked().is_some_and(answered) {
            return turn.ignore(Ignored::Unasked);
        }
        match index {
            Some(index) => self.referrals.reads.answer(index),
            // It may not know who leads now; clients are not sent back to it.
            None => {
                let leader = self.following.filter(|leader| *leader != self.me && *leader != from);
                let reads = self.referrals.reads.give_up_question();
                reads.iter().for_each(|read| refuse(turn, read, Refusal::NotLeader { leader }));
            }
        }
    }

    /// Asks again, and gives up what takes too long.
    pub(super) fn retry_referrals(&mut self, turn: &mut Turn) {
        self.give_up_referrals(turn, turn.now - self.options.election_timeout);
        if let Some(Asked { number, question: leader, .. }) = self.referrals.reads.asked() {
            let nonce = (self.incarnation, *number);
            turn.send(NodeSet::only(*leader), PeerMessage::ReadIndexAsk { nonce });
        }
    }

    /// Refuses what has waited since before `time`; everything, at the end of time.
    pub(super) fn give_up_referrals(&mut self, turn: &mut Turn, time: Time) {
        let late = self.referrals.reads.take_older_than(time);
        let leader = self.following.filter(|leader| *leader != self.me);
        late.iter().for_each(|read| refuse(turn, read, Refusal::NotLeader { leader }));
    }

    // ---- The leader.

    pub(super) fn read_index_asked(&mut self, turn: &mut Turn, from: NodeId, nonce: (Incarnation, u64)) {
        if !matches!(self.role, Role::Leader(_)) {
            return turn.send(NodeSet::only(from), PeerMessage::ReadIndex { nonce, index: None });
        }
        let known = self.referrals.questions.get(&from).is_some_and(|question| question.nonce >= nonce);
        if known {
            return turn.ignore(Ignored::Duplicate);
        }
        match self.leased(turn) {
            Some(index) => {
                turn.note(Note::LeaseRead { index });
                self.referrals.questions.remove(&from);
                answer(turn, from, nonce, index);
            }
            None => _ = self.referrals.questions.insert(from, Question { nonce, noted: None }),
        }
    }
}

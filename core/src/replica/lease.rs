//! Reads by lease: what acknowledging a heartbeat grants, and for how long a leader may rely on it. Off by default: it
//! is the only thing here that relies on clocks, on [`Lease::clock_error_ppm`](crate::configuration::Lease) exactly.
//!
//! # The rules
//! 1. A member that acknowledges a heartbeat promises no view of another node for the lease's duration by its own
//!    clock, counted from when it heard it: it answers no `Prepare`, does not help a canvass, does not stand itself.
//! 2. One that has just started may have acknowledged anything before, and so waits for as long after its start.
//! 3. A leader whose window is open, and whose round was acknowledged by a replication quorum, itself included, answers
//!    reads alone for [`Lease::relied_on`](crate::configuration::Lease::relied_on) by its own clock, counted from when
//!    it *sent* the round: an index is noted, as for other leader reads, and the read waits until that is applied.
//! 4. A leader that hands its place over gives back what it was granted, having stopped to lead ([`super::transfer`]).
//!
//! # Why this is linearizable
//! The clock is looked at once, after the read has arrived. **Claim**: while a lease of view v is in force, the members
//! that have promised more than v contain no recovery quorum. So whatever is chosen by then was chosen in v or
//! recovered by it, and is not above the index noted; with delegates that is the highest one assigned, for they may
//! know of a choice earlier. What a read waits for afterwards makes it later, not older.
//!
//! Suppose the claim is wrong, and look at the first moment at which they do contain one. It meets the replication
//! quorum that acknowledged the round: recovery quorums need not meet each other, but each meets every replication
//! quorum. Take a member m of both, and its first promise above v. It acknowledged the round before, or it would have
//! refused to. If m is the leader of v, or that promise was one of a later view of that leader, then v is led no more,
//! and the lease with it is over. Else m was bound when it promised:
//! - The promise was an answer to `Prepare`, or m stood itself. It did not learn of the view from its leader, which no
//!   grant hinders: nobody led a view above v yet, for that takes a recovery quorum.
//! - Only the last grant is remembered, but between the acknowledgement and the promise m acknowledged heartbeats of v
//!   only. If it crashed in between, that is what rule 2 is for.
//! - Its grant had not been given back: only the leader of v does that, when it no longer leads, and m heeds it only
//!   while v is what it has promised, so that it cannot give back what was granted to a later view.
//!
//! So between hearing the round and promising more than v the whole duration passed on m's clock. It heard the round
//! after that was sent. More real time went by since than any clock can take for less than what the leader relies on,
//! so the lease was over on the leader's clock: a contradiction. Who acknowledged a later round counts for an earlier
//! one: its grant began later still.
//!
//! - *Crashes*: an acknowledgement vouches for a durable promise of v, the grant itself is in memory only. A leader
//!   that comes back leads no view of before, and has rule 2 to obey like everyone.
//! - *Pauses*: a driver reads its clock after input has arrived, and that clock goes on while its process or machine is
//!   stopped. Whatever is stopped finds its lease over; a reply that leaves late was evaluated in time. A grantor that
//!   is stopped counts from when it looked at its clock, which is after the round was sent.
//! - *Late, lost and repeated messages*: acknowledgements name view and round, and a round's time is that of its
//!   sending. A heartbeat that is heard late, or twice, binds for longer than needed.
//! - *A leader that renews itself* is no leader until its new view has a recovery quorum, and relies on nothing that
//!   was granted to the old one. Who granted is not bound against it, since it knows.
//! - *A leader that installs a snapshot*, or is overtaken, steps down first, like any other: reads that its lease has
//!   confirmed and that still wait are refused with the rest.
//! - *Participant reads* ask a recovery quorum and need no lease, nor does a lease hinder them. One that goes to its
//!   own node as the leader is looked at then, not when it came.
//! - *Clocks* are read in steps, and a reading is passed off as later than the one before: by less than a message
//!   takes.
//!
//! # What it costs
//! After a leader dies no other is elected before its lease is over, nor within a lease's duration after a member that
//! is needed has started. A leader that hands its place over costs nothing more: who misses that it gave its lease back
//! answers the successor's repeated `Prepare` once the grant is over.

use super::{Replica, Role, turn::Turn};
use crate::{
    ids::{Index, NodeId},
    interface::Note,
    time::Time,
};
use alloc::collections::VecDeque;

/// Rounds whose acknowledgement is awaited, at most. Those beyond are not relied on.
const ROUNDS_MAX: usize = 64;

/// What a member has granted.
#[derive(Clone, Debug)]
pub(super) struct Grants {
    /// When this life began: what an earlier one granted is not known.
    opened: Time,
    /// The leader of the last heartbeat heard, and when.
    last: Option<(NodeId, Time)>,
}

impl Grants {
    pub(super) fn new(opened: Time) -> Self {
        Self { opened, last: None }
    }

    /// This leader has given up the last view in which it was granted anything here.
    pub(super) fn release(&mut self, leader: NodeId) {
        self.last = self.last.filter(|(granted, _)| *granted != leader);
    }

    /// A heartbeat of this leader is about to be acknowledged.
    pub(super) fn give(&mut self, leader: NodeId, now: Time) {
        self.last = Some((leader, now));
    }
}

/// What a leader was granted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenure {
    /// Rounds that too few have acknowledged yet, and when they were sent.
    rounds: VecDeque<(u64, Time)>,
    /// When the last round was sent that a replication quorum has acknowledged.
    since: Option<Time>,
}

impl Tenure {
    /// A round is sent.
    pub(super) fn asked(&mut self, round: u64, now: Time) {
        if self.rounds.len() < ROUNDS_MAX {
            self.rounds.push_back((round, now));
        }
    }

    /// Looks which rounds are acknowledged now; who acknowledged one acknowledged all before it.
    pub(super) fn acknowledged(&mut self, by_quorum: impl Fn(u64) -> bool) {
        while let Some((_, sent)) = self.rounds.pop_front_if(|(round, _)| by_quorum(*round)) {
            self.since = Some(sent);
        }
    }
}

impl Replica {
    /// Until when this node promises no view of `candidate`, for the sake of a lease that another leader may hold.
    pub(super) fn bound_until(&self, candidate: NodeId) -> Time {
        let Some(lease) = self.configuration_ahead().lease() else { return Time::ZERO };
        let granted = self.grants.last.filter(|(leader, _)| *leader != candidate).map(|(_, at)| at);
        granted.map_or(self.grants.opened, |at| at.max(self.grants.opened)) + lease.duration
    }

    /// If this leader may answer a read that arrives now without asking anybody: up to where the log must be applied.
    pub(super) fn leased(&self, turn: &mut Turn) -> Option<Index> {
        let (Role::Leader(leader), Some(lease)) = (&self.role, self.configuration_ahead().lease()) else {
            return None;
        };
        let over = leader.lease.since.filter(|_| leader.opened)? + lease.relied_on();
        if turn.now >= over {
            turn.note(Note::LeaseLapsed { at: over });
            return None;
        }
        Some(self.read_index(leader))
    }
}

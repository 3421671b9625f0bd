//! A leader hands its place to another member: `Transfer`, and with leases `Released`.
//!
//! It does so when it is to be stopped, or because a client commands it; then it goes on as a follower. It assigns
//! nothing more, waits until everything it has assigned is executed, stops leading, asks a healthy follower to begin a
//! view at once, and stays until the new leader is heard: its promise may be needed. So a node that is to be stopped
//! costs its clients a round trip or two instead of an election timeout.
//!
//! Safe because it is a hint: whoever gets it goes through phase 1 like every candidate. A view is led once, so the
//! sender never leads the view it names again, and a `Transfer` that comes late, or twice, deposes nobody of that view;
//! of a higher view it deposes no one who has followers (H16). Live because nothing depends on it: if it is lost, or
//! the rest of the window takes longer than an election timeout, the followers miss their leader as they always do.
//!
//! A leader that hands over by command goes on to lead if what it has assigned is not executed within an election
//! timeout. That is safe because nothing has been given away by then: it asks another one to begin a view in the very
//! step in which it stops to lead, never before. Until then it leads its view as ever, with its window, its followers
//! and its lease, and has only paused. Once it has stopped, it never leads that view again.
//!
//! What its followers have granted the leader would keep them from promising anything to its successor
//! ([`super::lease`]). It answers no read by its lease once it has stopped leading, so it gives back what it was
//! granted: `Transfer` says so to the successor, `Released` to all others. Who does not hear it waits until its grant
//! is over.

use super::{Replica, Role, turn::Turn};
use crate::{
    ids::{ConnectionId, NodeId, NodeSet, View},
    interface::{Ignored, Output, StepDown},
    message::{ClientResponse, PeerMessage, Refusal, RequestKey},
    time::Time,
};
use alloc::{
    format,
    string::{String, ToString},
};

/// A leader's place on its way to another member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    /// The view that ends.
    view: View,
    /// How long all of it may take.
    until: Time,
    /// The client that commanded it and waits for the outcome, and its request's tag.
    waiter: Option<(ConnectionId, u64)>,
}

impl Replica {
    /// Begins to hand over. False if this node does not lead, or has nobody to hand over to.
    pub fn begin_transfer(&mut self, turn: &mut Turn) -> bool {
        let next = self.by_pace(turn.now).map(|(_, node)| node).next();
        let Role::Leader(leader) = &self.role else { return false };
        let Some(to) = next.filter(|_| leader.opened) else { return false };
        self.end_command(turn, Err(Refusal::Deposed { leader: None }));
        self.hand_over(turn, to, None);
        true
    }

    fn hand_over(&mut self, turn: &mut Turn, to: NodeId, waiter: Option<(ConnectionId, u64)>) {
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader hands over") };
        leader.successor = Some(to);
        let until = turn.now + self.options.election_timeout;
        self.handover = Some(Handover { view: leader.view, until, waiter });
        self.assignments.refuse_queued(turn, Some(to));
    }

    // ---- By command.

    /// A client commands that this leader hand its place over. It is answered now, or when it has come to an end.
    pub fn transfer_asked(&mut self, turn: &mut Turn, who: (ConnectionId, u64), to: Option<NodeId>) {
        match self.choose_successor(turn, to) {
            Ok(to) => self.hand_over(turn, to, Some(who)),
            Err(refusal) => respond(turn, who, Err(refusal)),
        }
    }

    fn choose_successor(&self, turn: &Turn, to: Option<NodeId>) -> Result<NodeId, Refusal> {
        let Role::Leader(leader) = &self.role else { return Err(self.not_leader()) };
        let no = |why: String| Err(Refusal::NoTransfer(why));
        if let Some(next) = leader.successor {
            return no(format!("it is handing it to {next} already"));
        }
        if !leader.opened {
            return no("it has only just got it, and is not done with what it found".to_string());
        }
        let mut healthy = self.by_pace(turn.now).map(|(_, node)| node);
        match to {
            Some(to) if to == self.me => no(format!("it is {to} already")),
            Some(to) if !self.members().contains(to) => no(format!("{to} is no member")),
            Some(to) if !healthy.any(|node| node == to) => no(format!("{to} does not answer it")),
            Some(to) => Ok(to),
            None => healthy.next().map_or_else(|| no("no member answers it".to_string()), Ok),
        }
    }

    /// Goes on with what a client commanded: while a node runs, nobody else makes it hand over. If what was assigned
    /// takes too long, this node leads on.
    #[inline]
    pub fn proceed_with_command(&mut self, turn: &mut Turn) {
        if let Some(Handover { view, .. }) = self.handover {
            self.conclude_command(turn, view);
        }
    }

    fn conclude_command(&mut self, turn: &mut Turn, view: View) {
        if !self.proceed_with_transfer(turn) {
            return;
        }
        let following = self.following.filter(|leader| *leader != self.me);
        let result = match &mut self.role {
            Role::Leader(leader) if leader.view == view => {
                leader.successor = None;
                Err(Refusal::NoTransfer("what it had assigned was not executed in time".to_string()))
            }
            Role::Follower if self.promised > view && following.is_some() => Ok(()),
            _ => Err(Refusal::Deposed { leader: following }),
        };
        self.end_command(turn, result);
    }

    /// The client's connection is gone. What it commanded goes on.
    pub(super) fn forget_command(&mut self, connection: ConnectionId) {
        if let Some(handover) = &mut self.handover {
            handover.waiter.take_if(|(waits, _)| *waits == connection);
        }
    }

    fn end_command(&mut self, turn: &mut Turn, result: Result<(), Refusal>) {
        if let Some(who) = self.handover.take().and_then(|handover| handover.waiter) {
            respond(turn, who, result);
        }
    }

    /// Who is to take this leader's place.
    pub(super) fn successor(&self) -> Option<NodeId> {
        let Role::Leader(leader) = &self.role else { return None };
        leader.successor
    }

    /// Hands over once everything assigned is executed, and those who waited for it have their answers. Returns whether
    /// this node has nothing left to do: another one is heard to lead, or all took too long.
    pub fn proceed_with_transfer(&mut self, turn: &mut Turn) -> bool {
        let Some(Handover { view, until, .. }) = self.handover else { return true };
        if let Role::Leader(leader) = &self.role
            && let Some(to) = leader.successor
            && self.log.floor() >= leader.window.last()
            && self.assignments.nobody_waits()
        {
            self.become_follower(turn, StepDown::Transferred);
            if self.configuration_ahead().lease().is_some() {
                turn.send(self.others().without(to), PeerMessage::Released { view });
            }
            turn.send(NodeSet::only(to), PeerMessage::Transfer { view });
        }
        let succeeded = self.promised > view && self.following.is_some_and(|leader| leader != self.me);
        succeeded || turn.now >= until
    }

    pub(super) fn transferred(&mut self, turn: &mut Turn, from: NodeId, view: View) {
        if view.node != from {
            return turn.ignore(Ignored::Impostor);
        }
        let able = matches!(self.role, Role::Follower) && !self.disk_stalls(turn) && !self.has_lost_state();
        if view != self.promised || !able {
            return turn.ignore(Ignored::OldView);
        }
        self.grants.release(from);
        if turn.now < self.bound_until(self.me) {
            return turn.ignore(Ignored::Leased);
        }
        self.following = None;
        self.stand(turn, View { round: self.highest_round + 1, node: self.me });
    }

    pub(super) fn released(&mut self, turn: &mut Turn, from: NodeId, view: View) {
        if view.node != from {
            return turn.ignore(Ignored::Impostor);
        }
        if view != self.promised {
            // It may lead a later view by now, in which it was granted something else.
            return turn.ignore(Ignored::OldView);
        }
        self.grants.release(from);
    }
}

fn respond(turn: &mut Turn, (connection, tag): (ConnectionId, u64), result: Result<(), Refusal>) {
    let response = match result {
        Ok(()) => ClientResponse::Done { tag },
        Err(refusal) => ClientResponse::Refused { request: RequestKey::Tag(tag), refusal },
    };
    turn.out.push(Output::Reply { connection, response });
}

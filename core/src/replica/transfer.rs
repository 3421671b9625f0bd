//! A leader hands its place to another member: `Transfer`, and with leases `Released`.
//!
//! It assigns nothing more, waits until everything it has assigned is executed, stops leading, asks a healthy follower
//! to begin a view at once, and stays until the new leader is heard: its promise may be needed. So a node that is to be
//! stopped costs its clients a round trip or two instead of an election timeout.
//!
//! Safe because it is a hint: whoever gets it goes through phase 1 like every candidate. A view is led once, so the
//! sender never leads the view it names again, and a `Transfer` that comes late, or twice, deposes nobody of that view;
//! of a higher view it deposes no one who has followers (H16). Live because nothing depends on it: if it is lost, or
//! the rest of the window takes longer than an election timeout, the followers miss their leader as they always do.
//!
//! What its followers have granted the leader would keep them from promising anything to its successor
//! ([`super::lease`]). It answers no read by its lease once it has stopped leading, so it gives back what it was
//! granted: `Transfer` says so to the successor, `Released` to all others. Who does not hear it waits until its grant
//! is over.

use super::{Replica, Role, turn::Turn};
use crate::{
    ids::{NodeId, NodeSet, View},
    interface::{Ignored, StepDown},
    message::PeerMessage,
    time::Time,
};

/// A leader's place on its way to another member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover {
    /// The view that ends.
    view: View,
    /// How long all of it may take.
    until: Time,
}

impl Replica {
    /// Begins to hand over. False if this node does not lead, or has nobody to hand over to.
    pub fn begin_transfer(&mut self, turn: &mut Turn) -> bool {
        let next = self.by_pace(turn.now).map(|(_, node)| node).next();
        let Role::Leader(leader) = &mut self.role else { return false };
        let Some(to) = next.filter(|_| leader.opened) else { return false };
        leader.successor = Some(to);
        self.handover = Some(Handover { view: leader.view, until: turn.now + self.options.election_timeout });
        self.assignments.refuse_queued(turn, Some(to));
        true
    }

    /// Who is to take this leader's place.
    pub(super) fn successor(&self) -> Option<NodeId> {
        let Role::Leader(leader) = &self.role else { return None };
        leader.successor
    }

    /// Hands over once everything assigned is executed, and those who waited for it have their answers. Returns whether
    /// this node has nothing left to do: another one is heard to lead, or all took too long.
    pub fn proceed_with_transfer(&mut self, turn: &mut Turn) -> bool {
        let Some(Handover { view, until }) = self.handover else { return true };
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

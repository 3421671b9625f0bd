//! Who is at the other end of a link, and the founding of the cluster.
//!
//! A disk is known by its nonce, not by the node id written on it: an emptied or replaced directory that bears a known
//! id has forgotten its promises and must not vote (H12). Every link therefore opens with `Hello`, and nothing else is
//! heard on it until the sender's disk and life are known to be right.
//!
//! # Founding
//! The cluster id is the hash of the first configuration and of all first members' nonces. Founding is an all-commit in
//! two steps, so that two sets of disks can never both come to life under the same ids:
//! 1. who has heard every member's nonce, or the list of a member that has, makes cluster id and list durable;
//! 2. who has heard from *every* member that the same cluster is durable there is complete and starts the protocol, and
//!    so does who hears it from a complete member.
//!
//! A disk that founded never joins another cluster. Completeness needs no record of its own: a promise above
//! [`View::ZERO`] was made by a complete node, and a node without one has vouched for nothing yet.

use super::{
    Replica,
    turn::{Effect, Turn},
};
use crate::{
    ids::{ClusterId, DiskNonce, Incarnation, NodeId, NodeSet, View},
    interface::{Fault, Ignored, Note},
    journal::Identity,
    message::{Hello, LinkRefusal, PeerMessage},
    node::Config,
};
use alloc::{boxed::Box, vec::Vec};

/// The protocol versions this node speaks.
const VERSIONS: (u16, u16) = (1, 1);

/// What is known of the other members' ends.
#[derive(Clone, Debug)]
pub(super) struct Links {
    nonce: DiskNonce,
    genesis: u64,
    /// Cluster and disks, once handed to the journal.
    founding: Option<(ClusterId, Vec<DiskNonce>)>,
    /// Whether the above is durable here.
    founded: bool,
    complete: bool,
    /// Members known to have the founding durable.
    agreed: NodeSet,
    /// Up and identified.
    verified: NodeSet,
    up: NodeSet,
    members: NodeSet,
    /// In the order of `members`.
    peers: Vec<Peer>,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    nonce: Option<DiskNonce>,
    /// The latest life heard of.
    incarnation: Option<Incarnation>,
}

impl Links {
    pub(super) fn new(config: &Config, identity: &Identity) -> Self {
        let members: NodeSet = config.configuration.members().iter().copied().collect();
        let mut peers = alloc::vec![Peer::default(); members.len()];
        if let Some((_, nonces)) = &identity.founded {
            for (peer, nonce) in peers.iter_mut().zip(nonces) {
                peer.nonce = Some(*nonce);
            }
        }
        peers[members.rank(config.node)].nonce = Some(identity.nonce);
        Self {
            nonce: identity.nonce,
            genesis: config.configuration.genesis_hash(),
            founded: identity.founded.is_some(),
            founding: identity.founded.clone(),
            complete: identity.founded.is_some() && identity.promised > View::ZERO,
            agreed: NodeSet::EMPTY,
            verified: NodeSet::EMPTY,
            up: NodeSet::EMPTY,
            members,
            peers,
        }
    }

    pub(super) fn is_verified(&self, peer: NodeId) -> bool {
        self.verified.contains(peer)
    }

    pub(super) fn verified(&self) -> NodeSet {
        self.verified
    }

    /// `peer` speaks of a life that has not said hello: a late `Hello` of an earlier one was taken for it. It is
    /// greeted again until it answers.
    pub(super) fn doubt(&mut self, peer: NodeId) {
        self.verified.remove(peer);
    }

    /// Whether every first member has the founding durable.
    pub(super) fn complete(&self) -> bool {
        self.complete
    }

    pub(super) fn cluster(&self) -> Option<ClusterId> {
        self.founding.as_ref().filter(|_| self.founded).map(|(cluster, _)| *cluster)
    }

    /// What is known of a member.
    fn peer(&self, id: NodeId) -> &Peer {
        &self.peers[self.members.rank(id)]
    }

    pub(super) fn incarnation(&self, peer: NodeId) -> Option<Incarnation> {
        self.peer(peer).incarnation
    }

    /// The rule `hello` breaks, if any.
    fn objection(&self, from: NodeId, hello: &Hello) -> Option<LinkRefusal> {
        let peer = self.peer(from);
        if hello.versions.0 > VERSIONS.1 || hello.versions.1 < VERSIONS.0 {
            Some(LinkRefusal::Version)
        } else if hello.genesis != self.genesis {
            Some(LinkRefusal::Genesis)
        } else if hello.node != from {
            Some(LinkRefusal::Stranger)
        } else if matches!((&self.founding, &hello.founded), (Some(ours), Some(theirs)) if ours != theirs) {
            Some(LinkRefusal::Cluster)
        } else if self.founding.is_some() && peer.nonce != Some(hello.nonce) {
            Some(LinkRefusal::Disk)
        } else if peer.nonce == Some(hello.nonce) && peer.incarnation.is_some_and(|known| hello.incarnation < known) {
            Some(LinkRefusal::Incarnation)
        } else {
            None
        }
    }
}

impl Replica {
    /// The journal is ready: this life may begin to speak.
    pub fn start(&mut self, turn: &mut Turn) {
        self.found(turn, None);
        self.complete_founding(turn, false);
        self.say_hello(turn, self.links.up, true);
        self.await_leader(turn);
    }

    /// Gives whoever leads, or wants to, time to be heard; alone, there is no one to wait for.
    fn await_leader(&mut self, turn: &mut Turn) {
        self.put_off_election(turn);
        if self.others().is_empty() {
            self.election_at = turn.now;
        }
    }

    /// A link came up or went down. A node that has not started yet keeps silent: [`Replica::start`] greets.
    pub fn link(&mut self, turn: &mut Turn, peer: NodeId, up: bool, speaks: bool) {
        if !self.others().contains(peer) {
            return turn.ignore(Ignored::Stranger);
        }
        // Whoever was at the other end may be another life by now.
        self.links.verified.remove(peer);
        if up {
            self.links.up.insert(peer);
            if speaks {
                self.say_hello(turn, NodeSet::only(peer), true);
            }
        } else {
            self.links.up.remove(peer);
        }
    }

    /// Says hello again on links whose other end has not answered.
    pub(super) fn greet(&mut self, turn: &mut Turn) {
        let silent = self.links.up.difference(self.links.verified);
        let asked = if self.is_running() { silent } else { self.links.up };
        if !asked.is_empty() {
            self.say_hello(turn, asked, true);
        }
    }

    fn say_hello(&mut self, turn: &mut Turn, to: NodeSet, answer: bool) {
        let hello = Hello {
            versions: VERSIONS,
            node: self.me,
            nonce: self.links.nonce,
            incarnation: self.incarnation,
            founded: self.links.founding.clone().filter(|_| self.links.founded),
            complete: self.links.complete,
            genesis: self.links.genesis,
            answer,
        };
        turn.send(to, PeerMessage::Hello(Box::new(hello)));
    }

    pub(super) fn hello(&mut self, turn: &mut Turn, from: NodeId, hello: Hello) {
        if let Some(why) = self.links.objection(from, &hello) {
            turn.note(Note::RefusedLink { peer: from, why });
            let (nonce, incarnation) = (hello.nonce, hello.incarnation);
            return turn.send(NodeSet::only(from), PeerMessage::Refused { nonce, incarnation, why });
        }
        let place = self.history.genesis().members().iter().position(|node| *node == self.me);
        if let Some((_, nonces)) = &hello.founded
            && place.and_then(|place| nonces.get(place)) != Some(&self.links.nonce)
        {
            // The cluster was founded with another disk under this node's id.
            return self.fence(Fault::Refused { by: from, why: LinkRefusal::Disk });
        }
        let rank = self.links.members.rank(from);
        let peer = &mut self.links.peers[rank];
        peer.nonce = Some(hello.nonce);
        peer.incarnation = Some(hello.incarnation);
        if self.links.up.contains(from) && self.links.verified.insert(from) {
            turn.note(Note::Verified { peer: from, incarnation: hello.incarnation });
        }
        if hello.founded.is_some() {
            self.found(turn, hello.founded.clone());
            self.links.agreed.insert(from);
        } else {
            self.found(turn, None);
        }
        self.complete_founding(turn, hello.complete);
        if hello.answer {
            self.say_hello(turn, NodeSet::only(from), false);
        }
    }

    /// Step 1 of founding: with every nonce known, or told by a member that has founded.
    fn found(&mut self, turn: &mut Turn, told: Option<(ClusterId, Vec<DiskNonce>)>) {
        if self.links.founding.is_some() {
            return;
        }
        let genesis = self.history.genesis();
        let heard: Option<Vec<DiskNonce>> = self.links.peers.iter().map(|peer| peer.nonce).collect();
        let Some(nonces) = told.as_ref().map(|(_, nonces)| nonces.clone()).or(heard) else { return };
        if nonces.len() != genesis.members().len() {
            return turn.ignore(Ignored::OutOfRange);
        }
        let cluster = genesis.cluster_id(&nonces);
        if let Some((told, _)) = told
            && told != cluster
        {
            return turn.ignore(Ignored::Stranger);
        }
        for (peer, nonce) in self.links.peers.iter_mut().zip(&nonces) {
            peer.nonce = Some(*nonce);
        }
        self.links.founding = Some((cluster, nonces.clone()));
        turn.journal.found(cluster, nonces);
        self.withheld.push(turn.journal, || Effect::Founded);
    }

    pub(super) fn founding_durable(&mut self, turn: &mut Turn) {
        self.links.founded = true;
        self.links.agreed.insert(self.me);
        self.complete_founding(turn, false);
        self.say_hello(turn, self.links.up, true);
    }

    /// Step 2 of founding.
    fn complete_founding(&mut self, turn: &mut Turn, told: bool) {
        if self.links.complete || !self.links.founded {
            return;
        }
        self.links.agreed.insert(self.me);
        if told || self.links.agreed == self.members() {
            self.links.complete = true;
            let cluster = self.links.cluster().expect("founded");
            turn.note(Note::Founded { cluster });
            self.await_leader(turn);
            self.say_hello(turn, self.links.up, false);
        }
    }

    pub(super) fn refused(
        &mut self,
        turn: &mut Turn,
        by: NodeId,
        nonce: DiskNonce,
        incarnation: Incarnation,
        why: LinkRefusal,
    ) {
        if (nonce, incarnation) != (self.links.nonce, self.incarnation) {
            return turn.ignore(Ignored::OtherLife);
        }
        // A member of the same cluster knows this id with another disk or a later life: whoever votes under it, it must
        // not be this node. Strangers have no say over a node that has founded; before that, their no is a wrong
        // setting.
        if matches!(why, LinkRefusal::Disk | LinkRefusal::Incarnation) || self.links.founding.is_none() {
            self.fence(Fault::Refused { by, why });
        } else {
            turn.note(Note::RefusedLink { peer: by, why });
        }
    }
}

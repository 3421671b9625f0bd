//! From member to member.

use crate::{
    batch::Batch,
    ids::{ClusterId, Digest, DiskNonce, Incarnation, Index, NodeId, View},
    journal::SnapshotSeal,
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// From one member to another. Section 3 of the protocol.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PeerMessage<P = Batch> {
    /// First on every link, repeated until answered: who I am and which disk I run on.
    Hello(Box<Hello>),
    /// The sender will not talk to the node that bears this nonce and incarnation.
    Refused {
        /// The nonce refused.
        nonce: DiskNonce,
        /// The incarnation refused.
        incarnation: Incarnation,
        /// The rule it broke.
        why: LinkRefusal,
    },
    /// Would you promise `view`? Changes nothing: the pre-vote.
    Canvass {
        /// What the sender would ask a promise for.
        view: View,
    },
    /// Answer to `Canvass`.
    CanvassReply {
        /// The view that was asked about.
        view: View,
        /// Whether the replier hears from no leader either.
        missing_leader: bool,
        /// The replier's promise.
        promised: View,
    },
    /// Phase 1: promise `view`, and tell what you hold from `from` on.
    Prepare {
        /// The candidate's view.
        view: View,
        /// First index asked for; later chunks are asked for by a later `from`.
        from: Index,
    },
    /// One chunk of the answer to `Prepare`: all the sender holds in `from..to`.
    Promise(Box<Promise<P>>),
    /// Your view is old; here is a newer one.
    Reject {
        /// The view that was refused.
        view: View,
        /// The sender's promise.
        promised: View,
    },
    /// Phase 2: store `batch` at `index`.
    Accept {
        /// The leader's view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        batch: P,
        /// The leader's floor, copied from the assignment; never the coordinator's own.
        floor: Index,
        /// Who counts the acceptances.
        coordinator: NodeId,
    },
    /// Stored durably.
    Accepted {
        /// The view it was accepted in.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
        /// The acceptor's life.
        incarnation: Incarnation,
    },
    /// A replication quorum accepted this.
    Chosen {
        /// In which view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
    },
    /// The leader is alive and knows everything up to `floor` committed by its own view.
    Heartbeat {
        /// The leader's view.
        view: View,
        /// Numbers the heartbeats of one view; acknowledgements name it.
        round: u64,
        /// The floor of the view; zero until its recovered range is committed.
        floor: Index,
    },
    /// The sender follows `view`.
    HeartbeatAck {
        /// The view followed.
        view: View,
        /// The heartbeat answered; it answers all earlier ones too.
        round: u64,
        /// The sender lost records it cannot name and needs everything up to here committed before it is whole.
        hollow_until: Option<Index>,
        /// The latest index at which the sender remembers the hash of its state, and that hash. Apart, like all that
        /// is large and rare here: every message takes as much memory as the largest.
        checkpoint: Option<Box<(Index, u64)>>,
    },
    /// Which committed entries do you have in `from..=to`?
    Fetch {
        /// Matches the answer: (incarnation, counter).
        nonce: (Incarnation, u64),
        /// First index missing.
        from: Index,
        /// Last index missing.
        to: Index,
    },
    /// Answer to `Fetch`: what the sender knows committed, in order, with gaps where it does not.
    Entries {
        /// The request's.
        nonce: (Incarnation, u64),
        /// The sender's view and its floor, if it leads with an open window.
        leading: Option<Box<(View, Index)>>,
        /// Index and batch.
        entries: Vec<(Index, P)>,
    },
    /// Run phase 2 for this: the same (view, index) always carries the same batch.
    Assign {
        /// The sender's view, which it leads.
        view: View,
        /// Where.
        index: Index,
        /// What.
        batch: P,
        /// The sender's floor.
        floor: Index,
    },
    /// Give these commands of my clients a place in the log.
    Forward {
        /// Matches the answers: (incarnation, counter).
        nonce: (Incarnation, u64),
        /// The commands; the stamp says nothing.
        batch: P,
    },
    /// Answer to `Forward`, for some of its commands.
    Forwarded {
        /// The request's.
        nonce: (Incarnation, u64),
        /// What became of them.
        outcome: ForwardOutcome,
    },
    /// How far does your log go? Asked for participant reads.
    Barrier {
        /// Matches the answer: (incarnation, counter).
        nonce: (Incarnation, u64),
    },
    /// Answer to `Barrier`.
    HighWater {
        /// The request's.
        nonce: (Incarnation, u64),
        /// Nothing above here was ever accepted by the sender, or is known to it as chosen.
        high: Index,
        /// Everything up to here is chosen.
        floor: Index,
        /// The sender's promise.
        view: View,
    },
    /// The sender has stopped leading: begin a view now, without a canvass.
    Transfer {
        /// The view it led.
        view: View,
    },
    /// The sender has lost its state: who has a snapshot that ends here or above?
    SnapshotAsk {
        /// Where the sender's log begins.
        above: Index,
    },
    /// What was asked for is no longer in the sender's log; here is the newest snapshot it has.
    SnapshotOffer {
        /// Which.
        seal: SnapshotSeal,
    },
    /// Every block of that snapshot before `next` is durable at the sender, which waits for that one.
    SnapshotAck {
        /// Of which snapshot.
        seal: SnapshotSeal,
        /// Which block.
        next: u64,
    },
    /// A block of a snapshot.
    SnapshotChunk {
        /// Of which snapshot.
        seal: Box<SnapshotSeal>,
        /// Which block.
        number: u64,
        /// What is in it.
        data: Bytes,
    },
    /// The sender leads, and it and a majority of the members had this state, which is not what the receiver reported.
    Diverged {
        /// After which index.
        index: Index,
        /// Hash of the state there.
        state_hash: u64,
    },
    /// The sender has handed its place over: it relies on no lease any more.
    Released {
        /// The view it led.
        view: View,
    },
    /// Up to where must a read see that arrives now? Asked for leader reads that arrived at the sender.
    ReadIndexAsk {
        /// Matches the answer: (incarnation, counter).
        nonce: (Incarnation, u64),
    },
    /// Answer to `ReadIndexAsk`.
    ReadIndex {
        /// The request's.
        nonce: (Incarnation, u64),
        /// Up to here, as the sender's followers have confirmed since; none if it does not lead.
        index: Option<Index>,
    },
}

/// What became of forwarded commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ForwardOutcome {
    /// They have a place.
    Placed {
        /// At which index.
        index: Index,
        /// In which batch.
        digest: Digest,
        /// At which place of the batch the first of them stands.
        at: u32,
        /// Which of the forwarded ones is the first.
        first: u32,
        /// How many of them stand there in a row.
        count: u32,
    },
    /// None of them was taken.
    Refused {
        /// How many there were.
        count: u32,
    },
}

impl ForwardOutcome {
    /// The first command it speaks of, and how many.
    pub fn range(&self) -> (usize, usize) {
        match self {
            ForwardOutcome::Placed { first, count, .. } => (*first as usize, *count as usize),
            ForwardOutcome::Refused { count } => (0, *count as usize),
        }
    }
}

impl<P> PeerMessage<P> {
    /// The highest round of any view named outside of entries; zero if none is.
    pub fn highest_round(&self) -> u64 {
        match self {
            PeerMessage::CanvassReply { view, promised, .. } | PeerMessage::Reject { view, promised } => {
                view.round.max(promised.round)
            }
            PeerMessage::Canvass { view }
            | PeerMessage::Prepare { view, .. }
            | PeerMessage::Accept { view, .. }
            | PeerMessage::Assign { view, .. }
            | PeerMessage::Transfer { view }
            | PeerMessage::Released { view }
            | PeerMessage::Accepted { view, .. }
            | PeerMessage::Chosen { view, .. }
            | PeerMessage::Heartbeat { view, .. }
            | PeerMessage::HeartbeatAck { view, .. }
            | PeerMessage::HighWater { view, .. } => view.round,
            PeerMessage::Promise(promise) => promise.view.round,
            PeerMessage::Entries { leading, .. } => leading.as_ref().map_or(0, |leading| leading.0.round),
            PeerMessage::Hello(_)
            | PeerMessage::Refused { .. }
            | PeerMessage::Fetch { .. }
            | PeerMessage::SnapshotAsk { .. }
            | PeerMessage::SnapshotOffer { .. }
            | PeerMessage::SnapshotAck { .. }
            | PeerMessage::Diverged { .. }
            | PeerMessage::SnapshotChunk { .. }
            | PeerMessage::Forward { .. }
            | PeerMessage::Forwarded { .. }
            | PeerMessage::ReadIndexAsk { .. }
            | PeerMessage::ReadIndex { .. }
            | PeerMessage::Barrier { .. } => 0,
        }
    }
}

/// The first message on a link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Lowest and highest protocol version spoken.
    pub versions: (u16, u16),
    /// The sender's id.
    pub node: NodeId,
    /// The sender's disk.
    pub nonce: DiskNonce,
    /// The sender's life.
    pub incarnation: Incarnation,
    /// The cluster and its first members' disks in the members' order, once durable here.
    pub founded: Option<(ClusterId, Vec<DiskNonce>)>,
    /// Whether the sender knows that the above is durable at every first member.
    pub complete: bool,
    /// [`crate::configuration::Configuration::genesis_hash`].
    pub genesis: u64,
    /// Whether the sender waits for the receiver's `Hello`.
    pub answer: bool,
}

/// Why a link was refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum LinkRefusal {
    /// No common protocol version.
    Version,
    /// The first configurations differ.
    Genesis,
    /// Another cluster.
    Cluster,
    /// The id is no member's.
    Stranger,
    /// The id is known with another disk: the directory was emptied or replaced.
    Disk,
    /// A later life of the same disk has been seen: an old copy, or two processes on one directory.
    Incarnation,
}

impl fmt::Display for LinkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkRefusal::Version => "no common protocol version",
            LinkRefusal::Genesis => "its first configuration differs",
            LinkRefusal::Cluster => "it belongs to another cluster",
            LinkRefusal::Stranger => "its id is no member's",
            LinkRefusal::Disk => "its id is known with another disk: the data directory was emptied or replaced",
            LinkRefusal::Incarnation => "a later life of the same disk is known: an old copy, or two processes on it",
        })
    }
}

/// One chunk of a promise. An index absent from a covered range above the compaction mark holds nothing for sure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promise<P = Batch> {
    /// The view promised.
    pub view: View,
    /// First index this chunk covers.
    pub from: Index,
    /// First index it no longer covers.
    pub to: Index,
    /// One past the last index of which the sender holds anything.
    pub end: Index,
    /// Everything up to here was compacted away when this chunk was made.
    pub compacted_below: Index,
    /// The sender knows everything up to here committed.
    pub floor: Index,
    /// The sender lost records it cannot name: whatever it does not list as certain is unknown.
    pub loss: bool,
    /// What it holds, ascending.
    pub entries: Vec<PromiseEntry<P>>,
}

/// What a replica holds at one index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromiseEntry<P = Batch> {
    /// Where.
    pub index: Index,
    /// The batch it last accepted, and in which view. If `committed`, the view says nothing.
    pub accepted: Option<(View, P)>,
    /// Whether the batch above is known committed.
    pub committed: bool,
    /// A record above `accepted` that is known only by name.
    pub unknown: Option<Unknown>,
    /// Whether this is all there was even if the sender has lost records elsewhere.
    pub certain: bool,
}

/// A record whose id survived and whose body did not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unknown {
    /// The view it was accepted in.
    pub view: View,
    /// The batch's name.
    pub digest: Digest,
    /// Whether it was known committed.
    pub committed: bool,
}

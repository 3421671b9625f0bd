//! What the agenda holds: everything that will happen, unless it is cancelled or whom it concerns has died.

use super::{links::Recurring, network::BlockId, told::LetterId};
use crate::choice::mix;
use crate::scenario::event::Subject;
use ios_core::{
    ids::{ConnectionId, NodeId, OpId},
    interface::{DiskResult, Input},
    message::{ClientRequest, ClientResponse, PeerMessage},
};

/// An end that a node's crash, a new life or a client's new process makes stale: the life it was meant for.
pub type Life = u32;

/// One thing that will happen.
#[derive(Clone, Debug)]
pub enum Item {
    /// A message between members arrives, at whatever life of the receiver is there.
    Deliver {
        /// Who sent it.
        from: NodeId,
        /// Who gets it.
        to: NodeId,
        /// Its name in a trace.
        letter: LetterId,
        /// What it says.
        message: PeerMessage,
    },
    /// A client's request arrives.
    Request {
        /// On which connection.
        connection: ConnectionId,
        /// Its name in a trace.
        letter: LetterId,
        /// What it asks.
        request: ClientRequest,
    },
    /// A member's answer arrives.
    Response {
        /// On which connection.
        connection: ConnectionId,
        /// Its name in a trace.
        letter: LetterId,
        /// What it says.
        response: ClientResponse,
    },
    /// A client asks for a connection.
    Knock {
        /// Which client, in which life.
        client: (u8, Life),
        /// The endpoint it calls.
        endpoint: usize,
        /// Which of its attempts.
        attempt: u32,
        /// The member it takes to be there.
        node: NodeId,
    },
    /// The answer to that: a connection, or none.
    Admitted {
        /// Which client, in which life.
        client: (u8, Life),
        /// The endpoint it called.
        endpoint: usize,
        /// Which of its attempts.
        attempt: u32,
        /// The connection made.
        connection: Option<ConnectionId>,
    },
    /// A client learns that a connection is broken.
    Broken {
        /// Which.
        connection: ConnectionId,
    },
    /// A member learns that a client has hung up.
    HungUp {
        /// Which connection.
        connection: ConnectionId,
        /// Its name in a trace.
        letter: LetterId,
    },
    /// Something that cannot be read arrives on a connection: whoever gets it closes it.
    Unreadable {
        /// Which connection.
        connection: ConnectionId,
        /// Whether it is the client that gets it.
        by_client: bool,
    },
    /// A member learns that its link to a peer works or is broken.
    Link {
        /// Who learns it, in which life.
        node: (NodeId, Life),
        /// Whose link.
        peer: (NodeId, Life),
        /// Whether it works.
        up: bool,
    },
    /// The end of a driver's turn.
    Turn {
        /// Whose.
        node: NodeId,
    },
    /// A node's deadline.
    Timer {
        /// Whose.
        node: NodeId,
    },
    /// A disk operation ends.
    DiskDone {
        /// Whose.
        node: (NodeId, Life),
        /// Which.
        op: OpId,
    },
    /// A node that was paused when a disk operation ended learns of it.
    DiskTold {
        /// Who.
        node: (NodeId, Life),
        /// Which.
        op: OpId,
        /// How.
        result: DiskResult,
    },
    /// A client's deadline.
    ClientTimer {
        /// Whose.
        client: (u8, Life),
    },
    /// A client begins its next generated operation.
    Begin {
        /// Which client.
        client: u8,
        /// Which of its generated operations.
        number: u32,
    },
    /// A client tries for the next operation of the liveness phase.
    Fresh {
        /// Which client.
        client: u8,
    },
    /// A line of the plan acts.
    Line {
        /// Its place in the plan.
        line: usize,
        /// The node whose event set it off.
        it: Option<NodeId>,
    },
    /// A fault ends by itself.
    Over(Over),
}

/// A fault that ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// A node that went down at the end of this life starts again.
    Down((NodeId, Life)),
    /// A paused node goes on.
    Pause((NodeId, Life)),
    /// A paused client goes on.
    ClientPause(u8),
    /// A partition, isolation, cut or clog is over for good.
    Block(BlockId),
    /// What comes and goes comes, or goes.
    Recurs(Recurring),
    /// A disk is as fast as it was.
    SlowDisk(NodeId),
    /// There is room on a disk again.
    FullDisk(NodeId),
    /// Links are as fast as they were.
    SlowLinks(NodeId),
    /// A node starts for the first time.
    Unborn(NodeId),
}

impl Item {
    /// One word that tells this item from others in the digest. What a message holds is not part of it: messages follow
    /// from what nodes do, and state hashes are folded in when batches are applied.
    pub fn word(&self) -> u64 {
        let (kind, a, b) = match self {
            Item::Deliver { from, to, message, .. } => {
                let subject = Subject::of(message);
                let view = subject.view.map_or(0, |view| view.round << 8 | u64::from(view.node.0));
                let index = subject.index.map_or(0, |index| index.0);
                let ends = u64::from(from.0) << 8 | u64::from(to.0);
                (1, ends << 8 | subject.kind as u64, mix(view) ^ index)
            }
            Item::Request { connection, .. } => (2, connection.0, 0),
            Item::Response { connection, .. } => (3, connection.0, 0),
            Item::Knock { client, endpoint, .. } => (4, u64::from(client.0), *endpoint as u64),
            Item::Admitted { client, endpoint, connection, .. } => {
                (5, u64::from(client.0), (*endpoint as u64) << 1 | u64::from(connection.is_some()))
            }
            Item::Broken { connection } => (6, connection.0, 0),
            Item::HungUp { connection, .. } => (7, connection.0, 0),
            Item::Link { node, peer, up } => (8, u64::from(node.0.0) << 8 | u64::from(peer.0.0), u64::from(*up)),
            Item::Turn { node } => (9, u64::from(node.0), 0),
            Item::Timer { node } => (10, u64::from(node.0), 0),
            Item::DiskDone { node, op } => (11, u64::from(node.0.0), op.0),
            Item::DiskTold { node, op, .. } => (12, u64::from(node.0.0), op.0),
            Item::ClientTimer { client } => (13, u64::from(client.0), 0),
            Item::Begin { client, number } => (14, u64::from(*client), u64::from(*number)),
            Item::Fresh { client } => (17, u64::from(*client), 0),
            Item::Line { line, it } => (15, *line as u64, it.map_or(0, |node| u64::from(node.0) + 1)),
            Item::Over(_) => (16, 0, 0),
            Item::Unreadable { connection, by_client } => (18, connection.0, u64::from(*by_client)),
        };
        mix(a.wrapping_mul(31).wrapping_add(kind)).wrapping_add(b)
    }

    /// The input that a member gets from this, if it is one for a member.
    pub fn into_input(self) -> Option<Input> {
        Some(match self {
            Item::Deliver { from, message, .. } => Input::Peer { from, message },
            Item::Request { connection, request, .. } => Input::Client { connection, request },
            Item::HungUp { connection, .. } | Item::Unreadable { connection, .. } => Input::Gone { connection },
            Item::Link { peer, up, .. } => Input::Link { peer: peer.0, up },
            Item::DiskTold { op, result, .. } => Input::Disk { op, result },
            Item::Turn { .. } | Item::Timer { .. } => Input::Wake,
            _ => return None,
        })
    }
}

//! Everything that crosses the boundary between a node and its driver.
//!
//! A driver feeds [`Input`]s and performs [`Output`]s, in any order across kinds ([`Output::Disk`] keeps its own
//! order), and may crash between any two: the core withholds what is not durable yet. Everything here serialises, so
//! that a live node can record its inputs and the simulator can replay them.

mod disk;
mod fault;
mod note;

pub use disk::{DiskAction, DiskError, DiskResult, FileId, ReadDisk};
pub use fault::Fault;
pub use note::{Ignored, Learned, Note, StepDown, Timer};

use crate::{
    ids::{ConnectionId, NodeId, NodeSet, OpId},
    message::{ClientRequest, ClientResponse, PeerMessage},
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a driver tells a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Input {
    /// A message arrived. Lost, repeated, reordered and very late ones are normal.
    Peer {
        /// Who sent it, as the link's `Hello` said.
        from: NodeId,
        /// What it says.
        message: PeerMessage,
    },
    /// A link to a peer came up or went down.
    Link {
        /// To whom.
        peer: NodeId,
        /// Whether it carries messages now.
        up: bool,
    },
    /// A client asks.
    Client {
        /// On which connection.
        connection: ConnectionId,
        /// What.
        request: ClientRequest,
    },
    /// A client's connection is gone.
    Gone {
        /// Which.
        connection: ConnectionId,
    },
    /// A disk operation ended.
    Disk {
        /// Which.
        op: OpId,
        /// How.
        result: DiskResult,
    },
    /// The deadline that [`crate::Node::deadline`] named has come.
    Wake,
    /// Stop in good order: finish what is durable, then [`Output::Stopped`].
    Shutdown,
}

/// What a node asks of its driver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Output {
    /// Send one message to each of these peers.
    Send {
        /// To whom; never the node itself.
        to: NodeSet,
        /// What.
        message: PeerMessage,
    },
    /// Answer a client.
    Reply {
        /// On which connection.
        connection: ConnectionId,
        /// What.
        response: ClientResponse,
    },
    /// Close a client's connection.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        why: CloseReason,
    },
    /// Perform a disk operation and report its result. Operations on one file take effect in the order given.
    Disk {
        /// Names it in the result.
        op: OpId,
        /// What to do.
        action: DiskAction,
    },
    /// Something happened that is worth counting, tracing or checking.
    Note(Note),
    /// The node must not go on: stop the process and say why. Nothing follows.
    Fence(Fault),
    /// The node has stopped in good order. Nothing follows.
    Stopped,
}

impl Output {
    /// Appends what `make` returns.
    ///
    /// Pushing an output that is there already builds it on the stack, where it has to stay in one piece in case the
    /// vector cannot grow, and then copies it in larger words than it was written in, for which the processor has to
    /// wait. A node does this several times for each request: here the room is made first, and the output built in it.
    #[inline(always)]
    pub(crate) fn put(out: &mut Vec<Output>, make: impl FnOnce() -> Output) {
        out.extend(core::iter::once_with(make));
    }

    /// Appends a note.
    #[inline(always)]
    pub(crate) fn put_note(out: &mut Vec<Output>, note: Note) {
        Self::put(out, || Output::Note(note));
    }
}

/// Why a client's connection is closed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum CloseReason {
    /// The node stops.
    Stopping,
}

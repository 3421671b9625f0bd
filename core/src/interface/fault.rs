//! Why a node stops itself.

use super::{DiskError, FileId};
use crate::{
    ids::{Index, NodeId},
    message::LinkRefusal,
};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Why a node stopped itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// A disk operation failed: what it was to make durable is in doubt.
    Disk {
        /// The file.
        file: FileId,
        /// What the disk said.
        error: DiskError,
    },
    /// A peer refused this very disk and incarnation.
    Refused {
        /// Who.
        by: NodeId,
        /// Why.
        why: LinkRefusal,
    },
    /// Another batch is committed at an index where this node has one committed.
    Divergence {
        /// Where.
        index: Index,
    },
    /// The state here is not that of a majority of the members, or no majority can agree with it.
    State {
        /// After which index.
        index: Index,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Disk { file, error } => write!(
                f,
                "writing {file} failed: {error}. What was to be durable is in doubt, so the node stops; the cluster \
                 goes on without it. Check the disk, then start the node again"
            ),
            Fault::Refused { by, why } => write!(
                f,
                "{by} refuses this node: {why}. A disk that the cluster does not know must not vote, so the node stops"
            ),
            Fault::Divergence { index } => write!(
                f,
                "at index {index} another batch is committed elsewhere than here. The node stops before the difference \
                 spreads; keep its data directory for analysis"
            ),
            Fault::State { index } => write!(
                f,
                "after index {index} the state here differs from that of other members, and no majority has the state \
                 that this node has. It stops before anything is answered from it; check its memory, keep its data \
                 directory for analysis, and start it on an empty one under a new id"
            ),
        }
    }
}

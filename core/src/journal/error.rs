//! Why a data directory does not open.

use crate::{
    ids::NodeId,
    interface::{DiskError, FileId},
};
use core::fmt;

/// Why a data directory does not open. Each says what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JournalError {
    /// The directory holds nothing.
    NotFormatted,
    /// There are segments, but no identity file.
    IdentityMissing,
    /// The identity file holds no state that two of its slots agree on.
    IdentityUnreadable {
        /// How many slots are readable at all.
        readable: usize,
    },
    /// The directory belongs to another node.
    ForeignNode {
        /// Whose it is.
        found: NodeId,
        /// Who wanted to open it.
        wanted: NodeId,
    },
    /// The directory was formatted for another cluster-wide configuration.
    ForeignGenesis {
        /// The hash of that configuration.
        found: u64,
        /// The hash of the one given.
        wanted: u64,
    },
    /// A segment was written on another disk.
    ForeignSegment {
        /// Which.
        file: FileId,
    },
    /// A file was written by a newer version of Ios.
    Newer {
        /// Which.
        file: FileId,
        /// Its format version.
        version: u32,
    },
    /// The directory cannot be listed.
    Listing(DiskError),
    /// The identity file cannot be read.
    Identity(DiskError),
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::NotFormatted => f.write_str(
                "the data directory is empty. A new node is formatted once, with `ios init`; if this node has run \
                 before, its disk is missing or not mounted, and it must not start on another one",
            ),
            JournalError::IdentityMissing => f.write_str(
                "the data directory holds a log but no identity file, so the promises made on it are unknown. \
                 Restore the whole directory of this very node, or replace the node under a new id",
            ),
            JournalError::IdentityUnreadable { readable } => write!(
                f,
                "the identity file is damaged: {readable} of its slots are readable and no two of them agree. \
                 Voting on a guess could lose data, so the node does not start; check the disk and replace the \
                 node under a new id"
            ),
            JournalError::ForeignNode { found, wanted } => write!(
                f,
                "the data directory belongs to {found}, not to {wanted}. Check which directory and which node id \
                 this process was given"
            ),
            JournalError::ForeignGenesis { found, wanted } => write!(
                f,
                "the data directory was formatted for another cluster-wide configuration (hash {found:016x}, \
                 given now {wanted:016x}). Members, quorum system, window, index exclusivity, implicit commit, lease, \
                 session lifetime and application cannot be changed afterwards: give the values it was formatted with"
            ),
            JournalError::ForeignSegment { file } => write!(
                f,
                "{file} was written on another disk. Data directories cannot be mixed: put back the files that \
                 belong here"
            ),
            JournalError::Newer { file, version } => write!(
                f,
                "{file} has format {version}, and this version of Ios reads formats up to {}. Start the version \
                 that wrote it, or a newer one",
                super::FORMAT_VERSION
            ),
            JournalError::Listing(error) => write!(
                f,
                "the data directory cannot be listed: {error}. Check that it exists, that it may be read, and the \
                 disk"
            ),
            JournalError::Identity(error) => write!(
                f,
                "the identity file cannot be read: {error}. Check the disk; the node starts again once the file \
                 is readable"
            ),
        }
    }
}

impl core::error::Error for JournalError {}

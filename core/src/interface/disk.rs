//! What a node wants of its disk, and what becomes of it.

use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A file of a data directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum FileId {
    /// `identity`: the six identity slots.
    Identity,
    /// `log/<number>.seg`.
    Segment(u64),
    /// `snap/<index>.snap`.
    Snapshot(u64),
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileId::Identity => f.write_str("identity"),
            FileId::Segment(number) => write!(f, "log/{number:08}.seg"),
            FileId::Snapshot(index) => write!(f, "snap/{index:012}.snap"),
        }
    }
}

/// One disk operation: asked for once, answered once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DiskAction {
    /// Make (or replace) a file of `size` bytes that begins with `head` and is zero beyond; sync it *and its
    /// directory*.
    Create {
        /// Which.
        file: FileId,
        /// Its length in bytes.
        size: u64,
        /// Its first bytes.
        head: Bytes,
    },
    /// Write all of these, then make them durable with one fdatasync. A crash may leave any subset, torn anywhere. What
    /// lies beyond the end makes the file longer.
    Write {
        /// Which.
        file: FileId,
        /// Offset and bytes.
        writes: Vec<(u64, Bytes)>,
    },
    /// Delete a file that may not exist, and sync its directory.
    Remove {
        /// Which.
        file: FileId,
    },
    /// Read part of a file, for [`DiskResult::Read`]. An error is one of just this range and fences nobody.
    Read {
        /// Which.
        file: FileId,
        /// Where it begins.
        offset: u64,
        /// Most bytes of it; fewer only at the end of the file.
        length: u64,
    },
}

impl DiskAction {
    /// The file it is about.
    pub fn file(&self) -> FileId {
        match self {
            DiskAction::Create { file, .. }
            | DiskAction::Write { file, .. }
            | DiskAction::Remove { file }
            | DiskAction::Read { file, .. } => *file,
        }
    }
}

/// How a disk operation ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DiskResult {
    /// Done, and durable.
    Done,
    /// It failed, and nothing is known of what it left behind.
    Failed(DiskError),
    /// What was read.
    Read(Bytes),
}

/// What a disk said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum DiskError {
    /// Input/output error.
    Io,
    /// No space left.
    Full,
    /// The file system is read-only.
    ReadOnly,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskError::Io => "input/output error",
            DiskError::Full => "no space left",
            DiskError::ReadOnly => "the file system is read-only",
        })
    }
}

/// Synchronous reading, used while a node opens.
pub trait ReadDisk {
    /// All files of the data directory that have a [`FileId`], with their lengths, in ascending order.
    fn files(&mut self) -> Result<Vec<(FileId, u64)>, DiskError>;

    /// Reads up to `length` bytes at `offset`; fewer only at the end of the file. An error is a latent fault of just
    /// this range: the reader may try smaller ones.
    fn read(&mut self, file: FileId, offset: u64, length: usize) -> Result<Vec<u8>, DiskError>;
}

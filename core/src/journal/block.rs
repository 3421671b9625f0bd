//! A value in a block of 4096 bytes of its own: identity slots and segment headers.
//!
//! ```text
//! magic 4   crc 4   version 4   length 4   postcard encoding   zeros
//!                   <--------- crc covers these ------------->
//! ```
//! The frame is the same in every version of the format, so that a newer block is told from a damaged one.

use super::FORMAT_VERSION;
use alloc::{vec, vec::Vec};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes of a block: what disks write in one piece, if they write anything in one piece.
pub(super) const BLOCK: usize = 4096;

const FRAME: usize = 16;

/// A value that blocks hold. Fields are only ever added at the end.
pub(super) trait Kept: Serialize + DeserializeOwned {
    /// What version 2 added to it, as it reads where a block of version 1 ends.
    const ADDED: &'static [u8];
}

/// The version before this one, which is read as well.
const FIRST_VERSION: u32 = 1;

/// What a block turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Block<T> {
    /// Whole, of this version.
    Good(T),
    /// Whole, of a version from the future.
    Newer(u32),
    /// Damaged, torn, or something else altogether.
    Bad,
}

/// Puts `value` into a block.
pub(super) fn encode<T: Kept>(magic: [u8; 4], value: &T) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let length = postcard::to_slice(value, &mut block[FRAME..]).expect("plain values encode into a block").len();
    block[..4].copy_from_slice(&magic);
    block[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    block[12..FRAME].copy_from_slice(&(length as u32).to_le_bytes());
    let crc = crc32fast::hash(&block[8..FRAME + length]);
    block[4..8].copy_from_slice(&crc.to_le_bytes());
    block
}

/// Takes a block apart. Trusts nothing.
pub(super) fn decode<T: Kept>(magic: [u8; 4], block: &[u8]) -> Block<T> {
    let word = |at: usize| block.get(at..at + 4).map_or(0, |four| u32::from_le_bytes(four.try_into().expect("four")));
    let end = FRAME.saturating_add(word(12) as usize);
    if block.len() != BLOCK || block[..4] != magic || end > BLOCK || crc32fast::hash(&block[8..end]) != word(4) {
        return Block::Bad;
    }
    match word(8) {
        FORMAT_VERSION => read(&block[FRAME..end]),
        FIRST_VERSION => read(&[&block[FRAME..end], T::ADDED].concat()),
        version if version > FORMAT_VERSION => Block::Newer(version),
        _ => Block::Bad,
    }
}

fn read<T: Kept>(bytes: &[u8]) -> Block<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Block::Good(value),
        _ => Block::Bad,
    }
}

//! Keys as the store holds them: made for comparing, since most of what a put costs is the search for its key.
//!
//! A key of up to 23 bytes lies in the tree itself, so that the search need not fetch it from elsewhere, and is
//! compared as three numbers. A longer one has memory of its own, also while it is only searched for.

use alloc::boxed::Box;
use core::{cmp::Ordering, fmt};

/// Bytes of a key held in place, the last of them its length.
const IN_PLACE: usize = 24;

/// An immutable key. Orders as its bytes do.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// The key, zeros, and its length: so the whole orders as the key, and a key before those it is a prefix of.
    Short([u8; IN_PLACE]),
    /// A key that does not fit.
    Long(Box<[u8]>),
}

impl Key {
    pub fn new(key: &[u8]) -> Self {
        if key.len() >= IN_PLACE {
            return Key::Long(Box::from(key));
        }
        let mut bytes = [0; IN_PLACE];
        bytes[..key.len()].copy_from_slice(key);
        bytes[IN_PLACE - 1] = key.len() as u8;
        Key::Short(bytes)
    }

    pub fn as_slice(&self) -> &[u8] {
        match self {
            Key::Short(bytes) => &bytes[..usize::from(bytes[IN_PLACE - 1])],
            Key::Long(bytes) => bytes,
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Short(one), Key::Short(other)) => {
                let differ = (0..IN_PLACE / 8).find(|place| word(one, *place) != word(other, *place));
                differ.map_or(Ordering::Equal, |place| word(one, place).cmp(&word(other, place)))
            }
            _ => self.as_slice().cmp(other.as_slice()),
        }
    }
}

/// Eight of the bytes as a number, which compares as they do.
fn word(bytes: &[u8; IN_PLACE], place: usize) -> u64 {
    u64::from_be_bytes(bytes.as_chunks().0[place])
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn keys_order_as_their_bytes_do_and_keep_them() {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for byte in [0, 1, b'a', 0x7f, 0x80, 0xff] {
            for length in [0, 1, 7, 8, 9, 16, 22, 23, 24, 25, 40] {
                keys.push([byte].repeat(length));
                keys.push([&[b'a'].repeat(length)[..], &[byte]].concat());
            }
        }
        for one in &keys {
            assert_eq!(Key::new(one).as_slice(), one);
            for other in &keys {
                assert_eq!(Key::new(one).cmp(&Key::new(other)), one.cmp(other), "{one:?} {other:?}");
                assert_eq!(Key::new(one) == Key::new(other), one == other);
            }
        }
    }
}

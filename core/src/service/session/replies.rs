//! One session's window: which of its requests have executed, and what they were answered.

use super::hash_words;
use crate::ids::{Revision, Sequence};
use alloc::collections::VecDeque;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many requests a session may have in flight: a sequence number may be this far above the acknowledged mark.
pub const IN_FLIGHT_MAX: usize = 64;

/// The longest reply kept in its slot, without memory of its own.
pub(super) const INLINE_MAX: usize = 38;

/// The replies above the acknowledged mark.
///
/// - `slots[i]` belongs to sequence `mark + 1 + i`; the last slot is never empty.
/// - There are at most [`IN_FLIGHT_MAX`] slots; a client that waits for each answer uses one.
/// - `sum` adds up the hashes, `shared_bytes` the lengths of shared payloads, of what is in `slots`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Replies {
    mark: Sequence,
    slots: VecDeque<Option<Kept>>,
    sum: u64,
    shared_bytes: usize,
}

/// What is known of a sequence number.
pub(super) enum Lookup<'a> {
    /// At or below the mark.
    Stale,
    /// Executed, above the mark.
    Kept(&'a Kept),
    /// Not executed, within the window.
    New,
    /// Not executed, beyond the window.
    OutOfWindow,
}

/// The first reply to one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    revision: Revision,
    payload: Payload,
    hash: u64,
}

/// How a reply is held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Payload {
    /// In place.
    Inline(Inline),
    /// In memory of its own.
    Shared(Bytes),
    /// There was no room to keep it.
    Dropped,
}

/// A reply of at most [`INLINE_MAX`] bytes. Beyond its length the array is zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Inline {
    length: u8,
    bytes: [u8; INLINE_MAX],
}

impl Inline {
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Kept {
    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn payload(&self) -> &Payload {
        &self.payload
    }
}

impl Payload {
    fn new(reply: &[u8], room: usize) -> Self {
        match u8::try_from(reply.len()) {
            Ok(length) if reply.len() <= INLINE_MAX => {
                let mut bytes = [0; INLINE_MAX];
                bytes[..reply.len()].copy_from_slice(reply);
                Payload::Inline(Inline { length, bytes })
            }
            _ if reply.len() <= room => Payload::Shared(Bytes::copy_from_slice(reply)),
            _ => Payload::Dropped,
        }
    }

    fn hash(&self, seed: u64) -> u64 {
        match self {
            Payload::Inline(reply) => xxh3_64_with_seed(reply.as_slice(), seed),
            Payload::Shared(reply) => xxh3_64_with_seed(reply, seed),
            Payload::Dropped => !seed,
        }
    }

    /// The reply, unless it was dropped.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Payload::Inline(reply) => Some(reply.as_slice()),
            Payload::Shared(reply) => Some(reply),
            Payload::Dropped => None,
        }
    }

    fn shared_bytes(&self) -> usize {
        match self {
            Payload::Shared(reply) => reply.len(),
            Payload::Inline(_) | Payload::Dropped => 0,
        }
    }
}

impl Replies {
    pub fn new() -> Self {
        Self { mark: Sequence(0), slots: VecDeque::new(), sum: 0, shared_bytes: 0 }
    }

    /// Raises the mark, if `acked` is above it, and forgets what lies below.
    #[inline]
    pub fn acknowledge(&mut self, acked: Sequence) {
        let raised_by = acked.0.saturating_sub(self.mark.0);
        let forgotten = usize::try_from(raised_by).unwrap_or(usize::MAX).min(self.slots.len());
        for kept in self.slots.drain(..forgotten).flatten() {
            self.sum = self.sum.wrapping_sub(kept.hash);
            self.shared_bytes -= kept.payload.shared_bytes();
        }
        self.mark = self.mark.max(acked);
    }

    /// What is known of `sequence`.
    pub fn look_up(&self, sequence: Sequence) -> Lookup<'_> {
        match self.slot(sequence) {
            None if sequence <= self.mark => Lookup::Stale,
            None => Lookup::OutOfWindow,
            Some(slot) => match self.slots.get(slot) {
                Some(Some(kept)) => Lookup::Kept(kept),
                Some(None) | None => Lookup::New,
            },
        }
    }

    /// Remembers the reply to a request that is [`Lookup::New`]. Beyond `room` bytes only the fact that there was one.
    pub fn keep(&mut self, sequence: Sequence, revision: Revision, reply: &[u8], room: usize) {
        let slot = self.slot(sequence).expect("only requests within the window execute");
        self.put(slot, sequence, revision, Payload::new(reply, room));
    }

    /// Takes a reply from a snapshot; none if it was too long to keep. False if this session cannot have it: beyond the
    /// window, out of order, or longer than there is `room` for.
    pub fn restore(&mut self, sequence: Sequence, revision: Revision, reply: Option<&[u8]>, room: usize) -> bool {
        let Some(slot) = self.slot(sequence).filter(|slot| *slot >= self.slots.len()) else { return false };
        let payload = reply.map_or(Payload::Dropped, |reply| Payload::new(reply, room));
        if reply.is_some() && payload == Payload::Dropped {
            return false;
        }
        self.put(slot, sequence, revision, payload);
        true
    }

    /// The first reply kept beyond `after`.
    pub fn next_kept(&self, after: Sequence) -> Option<(Sequence, Revision, &Payload)> {
        let first = usize::try_from(after.0.saturating_sub(self.mark.0)).unwrap_or(usize::MAX);
        let mut kept = self.slots.iter().enumerate().skip(first).filter_map(|(at, slot)| Some((at, slot.as_ref()?)));
        kept.next().map(|(at, kept)| (Sequence(self.mark.0 + 1 + at as u64), kept.revision, &kept.payload))
    }

    #[inline]
    fn put(&mut self, slot: usize, sequence: Sequence, revision: Revision, payload: Payload) {
        let hash = payload.hash(hash_words([sequence.0, revision.0]));
        self.sum = self.sum.wrapping_add(hash);
        self.shared_bytes += payload.shared_bytes();
        while self.slots.len() < slot {
            self.slots.push_back(None);
        }
        let kept = Kept { revision, payload, hash };
        match self.slots.get_mut(slot) {
            None => self.slots.extend(core::iter::once_with(|| Some(kept))),
            Some(Some(_)) => panic!("a request executed twice: slot {slot} above {}", self.mark),
            Some(empty) => *empty = Some(kept),
        }
    }

    /// Which slot belongs to `sequence`, if any does.
    fn slot(&self, sequence: Sequence) -> Option<usize> {
        let ahead = sequence.0.checked_sub(self.mark.0)?.checked_sub(1)?;
        (ahead < IN_FLIGHT_MAX as u64).then_some(ahead as usize)
    }

    pub fn mark(&self) -> Sequence {
        self.mark
    }

    pub fn fingerprint(&self) -> u64 {
        self.sum
    }

    pub fn shared_bytes(&self) -> usize {
        self.shared_bytes
    }

    #[cfg(test)]
    pub fn recomputed(&self) -> (u64, usize) {
        let mut sum = 0_u64;
        let mut shared_bytes = 0;
        for (ahead, kept) in (1..).zip(&self.slots) {
            if let Some(kept) = kept {
                let sequence = self.mark.0 + ahead;
                sum = sum.wrapping_add(kept.payload.hash(hash_words([sequence, kept.revision.0])));
                shared_bytes += kept.payload.shared_bytes();
            }
        }
        (sum, shared_bytes)
    }
}

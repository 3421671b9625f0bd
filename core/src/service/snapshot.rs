//! The whole replicated state as a stream of bytes, made in small steps while batches go on being applied, and back.
//!
//! ```text
//! stream   part, part, part, ...                     cut into blocks wherever a block is full
//! part     length 4, then so many bytes
//! first    the head: index, log time, revision, and every configuration there has been
//! then     sessions with their replies, then the service's own parts
//! ```
//! The stream is a function of the state at its index and of nothing else, so replicas that take a snapshot at the same
//! index make the same bytes, and a transfer that one of them began another can finish.
//!
//! What comes back may come from a rotten disk or a peer. Lengths are not believed before so many bytes have arrived,
//! and the state is not believed before its hash is the one that was promised: every part adds to that hash.

use super::{Captured, Machine, Service};
use crate::{
    configuration::{ConfigurationDraft, ConfigurationHistory},
    ids::{Index, Revision},
    time::Time,
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most keys looked at in one step: what came into being since the snapshot began is passed over and takes time, too.
const STEPS_MAX: usize = 1024;
/// No cluster counts so far, and whoever goes on counting from below it does not overflow.
pub(super) const COUNT_MAX: u64 = u64::MAX / 2;
/// Most bytes of one part. The store's largest is a key with its value, a session's largest a reply.
const PART_MAX: usize = 64 << 20;

/// What a snapshot begins with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Head {
    index: Index,
    log_time: Time,
    revision: Revision,
    configurations: Vec<(Index, ConfigurationDraft)>,
}

/// A snapshot of a [`Machine`] under way. The machine holds the other half of it and must be the same in every call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshotter {
    index: Index,
    state_hash: u64,
    /// Made and not yet handed out.
    stream: Vec<u8>,
    ended: bool,
}

/// A snapshot cannot be what a replica made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadSnapshot;

impl Snapshotter {
    /// Begins a snapshot of `machine` as it is now. Constant work.
    pub fn begin<S: Service>(machine: &mut Machine<S>, history: &ConfigurationHistory) -> Self {
        machine.snapshot_begin();
        let (index, log_time, revision) = (machine.applied(), machine.log_time(), machine.revision());
        let head = Head { index, log_time, revision, configurations: history.entries() };
        let head = postcard::to_allocvec(&head).expect("plain values encode");
        let mut stream = Vec::new();
        push_part(&mut stream, |part| {
            part.extend_from_slice(&head);
            Captured::Taken
        });
        Self { index, state_hash: machine.state_hash(), stream, ended: false }
    }

    /// The last batch that is in it.
    pub fn index(&self) -> Index {
        self.index
    }

    /// Hash of the state that is in it.
    pub fn state_hash(&self) -> u64 {
        self.state_hash
    }

    /// The next `size` bytes; fewer at the end of the stream, none if it takes another step to have them.
    pub fn block<S: Service>(&mut self, machine: &mut Machine<S>, size: usize) -> Option<Vec<u8>> {
        for _ in 0..STEPS_MAX {
            if self.ended || self.stream.len() >= size {
                break;
            }
            self.ended = push_part(&mut self.stream, |part| machine.snapshot_next(part)) == Captured::End;
        }
        if self.stream.len() >= size {
            let rest = self.stream.split_off(size);
            return Some(core::mem::replace(&mut self.stream, rest));
        }
        (self.ended && !self.stream.is_empty()).then(|| core::mem::take(&mut self.stream))
    }

    /// Whether everything has been handed out.
    pub fn is_over(&self) -> bool {
        self.ended && self.stream.is_empty()
    }
}

/// Appends a part with its length; nothing if there is none.
fn push_part(stream: &mut Vec<u8>, make: impl FnOnce(&mut Vec<u8>) -> Captured) -> Captured {
    let start = stream.len();
    stream.extend_from_slice(&[0; 4]);
    let captured = make(stream);
    if captured == Captured::Taken {
        let length = u32::try_from(stream.len() - start - 4).expect("parts are below 4 GiB");
        stream[start..start + 4].copy_from_slice(&length.to_le_bytes());
    } else {
        stream.truncate(start);
    }
    captured
}

/// A state that is being made from a snapshot, apart from the one in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restorer<S> {
    machine: Machine<S>,
    /// What every configuration in it must be.
    configurations: Vec<(Index, ConfigurationDraft)>,
    /// Whether the head has been read.
    begun: bool,
    /// Arrived, and not a whole part yet.
    stream: Vec<u8>,
}

impl<S: Service> Restorer<S> {
    /// Begins a state of the same kind as `machine`'s.
    pub fn begin(machine: &Machine<S>, history: &ConfigurationHistory) -> Self {
        let machine = machine.blank(Index::ZERO, Time::ZERO, Revision(0));
        Self { machine, configurations: history.entries(), begun: false, stream: Vec::new() }
    }

    /// Takes the next bytes of the stream.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), BadSnapshot> {
        self.stream.extend_from_slice(bytes);
        let mut read = 0;
        while let Some((length, rest)) = self.stream[read..].split_first_chunk() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > PART_MAX {
                return Err(BadSnapshot);
            }
            let Some(part) = rest.get(..length) else { break };
            if self.begun {
                if !self.machine.restore(part) {
                    return Err(BadSnapshot);
                }
            } else {
                let head: Head = postcard::from_bytes(part).map_err(|_| BadSnapshot)?;
                let counted = [head.index.0, head.log_time.0, head.revision.0].iter().all(|count| *count <= COUNT_MAX);
                if !counted || head.configurations != self.configurations {
                    return Err(BadSnapshot);
                }
                self.machine = self.machine.blank(head.index, head.log_time, head.revision);
                self.begun = true;
            }
            read += 4 + length;
        }
        self.stream.drain(..read);
        Ok(())
    }

    /// The state, if it is all there and the one that was promised.
    pub fn finish(self, index: Index, state_hash: u64) -> Result<Machine<S>, BadSnapshot> {
        let whole = self.begun && self.stream.is_empty();
        let promised = self.machine.applied() == index && self.machine.state_hash() == state_hash;
        if whole && promised { Ok(self.machine) } else { Err(BadSnapshot) }
    }
}

#[cfg(test)]
mod tests;

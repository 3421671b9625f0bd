//! What disk operations make durable, read off their bytes alone: an independent witness for the simulator, and the
//! eyes of `ios inspect`.

use super::{
    Identity, identity,
    record::{HEADER, Header, Kind, RECORD_MAGIC, SLOT, SLOT_MAGIC, footprint},
};
use crate::{
    ids::{Digest, Index, View},
    interface::{DiskAction, FileId},
};
use alloc::{collections::BTreeMap, vec::Vec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Something that a disk holds from now on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fact {
    /// An acceptance, payload and all.
    Accepted {
        /// In which view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
    },
    /// A committed batch, payload and all.
    Committed {
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
    },
    /// Everything up to here is committed.
    Floor {
        /// Where it ends.
        index: Index,
    },
    /// A copy of what is left of a record.
    Unknown {
        /// In which view it was accepted.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
        /// Whether it was known committed.
        committed: bool,
    },
    /// A copy of the knowledge that something is lost.
    Loss,
    /// Whatever was lost before this life is committed.
    Whole,
    /// The id slot of a record.
    Slot {
        /// The record's place in its segment.
        ordinal: u32,
        /// The view, zero where it says nothing.
        view: View,
        /// The index, zero where it says nothing.
        index: Index,
        /// The batch, zero where there is none.
        digest: Digest,
    },
    /// The identity, with the promise in it.
    Identity(Identity),
    /// Segments with higher numbers do not count.
    Newest {
        /// The newest segment in use.
        segment: u64,
    },
    /// A snapshot stands for everything up to its index.
    Snapshot {
        /// Where it ends.
        index: Index,
        /// Hash of the state in it.
        state_hash: u64,
    },
}

/// A fact, and the bytes of the file that say it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
    /// What they say.
    pub fact: Fact,
}

/// What a [`DiskAction::Write`] makes durable. Records in a segment count only once the identity names it (or a later
/// one) the newest; [`Witness`] keeps track of that.
pub fn facts(file: FileId, writes: &[(u64, Bytes)]) -> Vec<Fact> {
    extents(file, writes).into_iter().map(|extent| extent.fact).collect()
}

/// As [`facts`], with the place of each.
pub fn extents(file: FileId, writes: &[(u64, Bytes)]) -> Vec<Extent> {
    match file {
        FileId::Identity => identity::agreed(writes).map_or(Vec::new(), |stored| {
            let offset = writes.iter().map(|(offset, _)| *offset).min().unwrap_or(0);
            let length = writes.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            let facts = [Fact::Identity(stored.identity), Fact::Newest { segment: stored.newest }];
            let snapshot =
                stored.snapshot.map(|seal| Fact::Snapshot { index: seal.index, state_hash: seal.state_hash });
            facts.into_iter().chain(snapshot).map(|fact| Extent { offset, length, fact }).collect()
        }),
        FileId::Snapshot(_) => Vec::new(),
        FileId::Segment(_) => {
            let mut extents = Vec::new();
            runs(writes, &mut |offset, run| {
                records(offset, run, &mut extents);
            });
            extents
        }
    }
}

/// What a whole segment file holds, around whatever cannot be made out.
pub fn contents(bytes: &Bytes) -> Vec<Extent> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let before = extents.len();
        let read = records(at as u64, &bytes.slice(at..), &mut extents);
        // Everything begins at a multiple of eight.
        at += if read == 0 { 8 } else { read };
        debug_assert!(read > 0 || extents.len() == before, "what was made out has a length");
    }
    extents
}

/// Shows in ascending order what writes that touch make up together.
fn runs(writes: &[(u64, Bytes)], see: &mut dyn FnMut(u64, &Bytes)) {
    if !writes.is_sorted_by_key(|(offset, _)| *offset) {
        let mut sorted = writes.to_vec();
        sorted.sort_by_key(|(offset, _)| *offset);
        return runs(&sorted, see);
    }
    for run in writes.chunk_by(|(start, bytes), (next, _)| *start + bytes.len() as u64 == *next) {
        match run {
            [(offset, bytes)] => see(*offset, bytes),
            pieces => see(pieces[0].0, &pieces.iter().flat_map(|(_, bytes)| bytes).copied().collect()),
        }
    }
}

/// The slots and records that stand one after the other in `run`; what is neither ends it. How many bytes they are.
fn records(start: u64, run: &Bytes, extents: &mut Vec<Extent>) -> usize {
    let mut at = 0;
    while let Some(rest) = run.get(at..) {
        let (length, fact) = if let Some(header) = Header::decode(RECORD_MAGIC, rest) {
            let payload = at + HEADER..at + HEADER + header.length as usize;
            let whole = payload.end <= run.len() && header.item(run.slice(payload)).is_some();
            (footprint(u64::from(header.length)) as usize, whole.then(|| record(&header)))
        } else if let Some(header) = Header::decode(SLOT_MAGIC, rest) {
            let Header { ordinal, view, index, digest, .. } = header;
            (SLOT, Some(Fact::Slot { ordinal, view, index, digest }))
        } else {
            break;
        };
        extents.extend(fact.map(|fact| Extent { offset: start + at as u64, length: length as u64, fact }));
        at += length;
    }
    at.min(run.len())
}

fn record(header: &Header) -> Fact {
    let Header { view, index, digest, committed, .. } = *header;
    match header.kind {
        Kind::Accepted => Fact::Accepted { view, index, digest },
        Kind::Committed => Fact::Committed { index, digest },
        Kind::Floor => Fact::Floor { index },
        Kind::Unknown => Fact::Unknown { view, index, digest, committed },
        Kind::Loss => Fact::Loss,
        Kind::Whole => Fact::Whole,
    }
}

/// Watches the operations of one disk as they become durable. Records of a segment that no identity names yet are held
/// back: a crash before it is named takes them away again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Witness {
    newest: u64,
    held: BTreeMap<u64, Vec<Fact>>,
}

impl Witness {
    /// `action` is durable: what is certain now that was not before. `see` is shown what a segment holds from now on,
    /// certain or not.
    pub fn durable(&mut self, action: &DiskAction, see: impl FnMut(&Extent)) -> Vec<Fact> {
        match action {
            DiskAction::Create { file: FileId::Segment(segment), .. } => {
                self.held.remove(segment);
                Vec::new()
            }
            DiskAction::Create { file: FileId::Identity, head, .. } => {
                *self = Self::default();
                facts(FileId::Identity, &[(0, head.clone())])
            }
            DiskAction::Remove { .. }
            | DiskAction::Read { .. }
            | DiskAction::Create { file: FileId::Snapshot(_), .. }
            | DiskAction::Write { file: FileId::Snapshot(_), .. } => Vec::new(),
            DiskAction::Write { file: FileId::Segment(segment), writes } => {
                let extents = extents(FileId::Segment(*segment), writes);
                extents.iter().for_each(see);
                let found = extents.into_iter().map(|extent| extent.fact);
                if *segment <= self.newest {
                    return found.collect();
                }
                self.held.entry(*segment).or_default().extend(found);
                Vec::new()
            }
            // The first half of an update may go back: see the header of `identity`.
            DiskAction::Write { file: FileId::Identity, writes } if !identity::ends_update(writes) => Vec::new(),
            DiskAction::Write { file: FileId::Identity, writes } => {
                let mut found = facts(FileId::Identity, writes);
                for fact in &found {
                    if let Fact::Newest { segment } = fact {
                        self.newest = *segment;
                    }
                }
                let later = self.held.split_off(&(self.newest + 1));
                found.extend(core::mem::replace(&mut self.held, later).into_values().flatten());
                found
            }
        }
    }
}

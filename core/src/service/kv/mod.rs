//! The key-value store: bytes to bytes, in order, every change under one global revision.
//!
//! A request is a list of operations, executed one after the other with nothing in between; each sees what those
//! before it did, and each gives one outcome. All changes of one request happen at one revision, so that whoever
//! compares revisions learns in which order requests took effect. What changes nothing (a delete of an absent key, a
//! compare-and-set that does not compare) takes no revision. A compare-and-set that fails stops nothing after it:
//! conditions over a whole request are a transaction's business, which this is not.
//!
//! Per key the store knows its *created* and *modified* revisions and its *version*, which counts the writes since it
//! was created. A key that is deleted and put again starts anew.
//!
//! Sizes are bounded twice. [`Limits`], which may differ between nodes, are the proposing node's word on what comes
//! in. [`OPERATIONS_MAX`] and [`REPLY_MAX`] bound what one request may cost, are part of the replicated behaviour and
//! hence constants: changing them makes replicas disagree.

pub mod request;
pub mod reply;
pub mod text;
mod cursor;
mod key;

pub use reply::{Marks, Outcome, REPLY_MAX, Reply};
pub use request::{BadRequest, OPERATIONS_MAX, Operation, Operations};

use super::{
    Access, Applied, Objection, Service,
    capture::{Capture, Captured},
    snapshot::COUNT_MAX,
};
use crate::ids::Revision;
use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use cursor::{Cursor, push_bytes};
use key::Key;
use reply::Writer;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How large what clients send may be, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// One key, or prefix of keys.
    pub key: usize,
    /// One value. A value beyond [`REPLY_MAX`] could be stored but not read.
    pub value: usize,
    /// One encoded request with all its operations.
    pub request: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { key: 4 << 10, value: 1 << 20, request: 3 << 19 }
    }
}

/// The store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kv {
    limits: Limits,
    entries: BTreeMap<Key, Entry>,
    /// Wrapping sum of the entries' hashes.
    fingerprint: u64,
    /// The snapshot under way.
    capture: Option<Capture<Key, Entry>>,
}

/// One key's value and history.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    value: Box<[u8]>,
    marks: Marks,
    /// Of the key, which does not change with what is put there.
    key_hash: u64,
    /// Of everything.
    hash: u64,
}

impl Entry {
    fn new(key: &[u8], value: &[u8], marks: Marks) -> Self {
        let mut entry = Self { value: Box::from(value), marks, key_hash: xxh3_64(key), hash: 0 };
        entry.hash = entry.hash();
        entry
    }

    fn overwrite(&mut self, value: &[u8], at: Revision) {
        // Values of one key are often of one length: writing in place spares them an allocation.
        if value.len() == self.value.len() {
            self.value.copy_from_slice(value);
        } else {
            self.value = Box::from(value);
        }
        self.marks.modified = at;
        self.marks.version += 1;
        self.hash = self.hash();
    }

    /// One part of a snapshot: `created 8, modified 8, version 8, length of the key 4, key, value`.
    fn encode(&self, key: &[u8], part: &mut Vec<u8>) {
        let Marks { created, modified, version } = self.marks;
        for word in [created.0, modified.0, version] {
            part.extend_from_slice(&word.to_le_bytes());
        }
        push_bytes(part, key);
        part.extend_from_slice(&self.value);
    }

    fn decode(part: &[u8]) -> Option<(&[u8], Self)> {
        let mut part = Cursor::new(part);
        let mut word = || part.u64();
        let marks = Marks { created: Revision(word()?), modified: Revision(word()?), version: word()? };
        let key = part.bytes().filter(|_| marks.version <= COUNT_MAX)?;
        Some((key, Self::new(key, part.rest(), marks)))
    }

    fn hash(&self) -> u64 {
        let Marks { created, modified, version } = self.marks;
        let words = [self.key_hash, created.0, modified.0, version].map(u64::to_le_bytes);
        xxh3_64_with_seed(&self.value, xxh3_64(words.as_flattened()))
    }
}

impl Kv {
    /// An empty store that lets in what is within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A key's value and marks.
    pub fn get(&self, key: &[u8]) -> Option<(&[u8], Marks)> {
        self.entries.get(&Key::new(key)).map(|entry| (&*entry.value, entry.marks))
    }

    /// All keys with their values and marks, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], Marks)> {
        self.entries.iter().map(|(key, entry)| (key.as_slice(), &*entry.value, entry.marks))
    }

    /// Executes one operation. Whether it changed anything.
    fn execute(&mut self, at: Revision, operation: Operation<'_>, reply: &mut Writer<'_>) -> bool {
        match operation {
            Operation::Put { key, value } => {
                self.put(at, key, value);
                reply.push(Outcome::Written { modified: at });
                true
            }
            Operation::Delete { key } => {
                let found = self.delete(key);
                reply.push(Outcome::Deleted { found });
                found
            }
            Operation::CompareAndSet { key, expected, value } => {
                let entry = self.entries.get(&Key::new(key));
                let swaps = entry.map(|entry| &*entry.value) == expected;
                if swaps {
                    self.put(at, key, value);
                    reply.push(Outcome::Swapped { modified: at });
                } else {
                    reply.push(Outcome::NotSwapped { modified: entry.map(|entry| entry.marks.modified) });
                }
                swaps
            }
            Operation::Get { .. } | Operation::Exists { .. } | Operation::Count | Operation::List { .. } => {
                self.read(operation, reply);
                false
            }
        }
    }

    /// Evaluates an operation that only reads.
    fn read(&self, operation: Operation<'_>, reply: &mut Writer<'_>) {
        match operation {
            Operation::Get { key } => match self.get(key) {
                Some((value, marks)) => reply.push_value(value, marks),
                None => reply.push(Outcome::Missing),
            },
            Operation::Exists { key } => {
                let modified = self.entries.get(&Key::new(key)).map(|entry| entry.marks.modified);
                reply.push(Outcome::Exists { modified });
            }
            Operation::Count => reply.push(Outcome::Count(self.entries.len() as u64)),
            Operation::List { prefix, limit } => {
                let pairs =
                    self.entries.range(Key::new(prefix)..).take_while(|(key, _)| key.as_slice().starts_with(prefix));
                reply.push_list(limit, pairs.map(|(key, entry)| (key.as_slice(), &*entry.value, entry.marks)));
            }
            Operation::Put { .. } | Operation::Delete { .. } | Operation::CompareAndSet { .. } => {
                unreachable!("writes are told apart before anything is read")
            }
        }
    }

    #[cfg(test)]
    pub(super) fn fingerprint_from_scratch(&self) -> u64 {
        let hashes = self.entries.iter().map(|(key, entry)| {
            assert_eq!(entry.key_hash, xxh3_64(key.as_slice()));
            entry.hash()
        });
        hashes.fold(0, u64::wrapping_add)
    }

    fn put(&mut self, at: Revision, key: &[u8], value: &[u8]) {
        let place = Key::new(key);
        self.keep(&place);
        if let Some(entry) = self.entries.get_mut(&place) {
            self.fingerprint = self.fingerprint.wrapping_sub(entry.hash);
            entry.overwrite(value, at);
            self.fingerprint = self.fingerprint.wrapping_add(entry.hash);
        } else {
            let entry = Entry::new(key, value, Marks { created: at, modified: at, version: 1 });
            self.fingerprint = self.fingerprint.wrapping_add(entry.hash);
            self.entries.insert(place, entry);
        }
    }

    fn delete(&mut self, key: &[u8]) -> bool {
        let place = Key::new(key);
        self.keep(&place);
        let removed = self.entries.remove(&place);
        if let Some(entry) = &removed {
            self.fingerprint = self.fingerprint.wrapping_sub(entry.hash);
        }
        removed.is_some()
    }

    /// Leaves what is at `key`, which is about to change, to the snapshot under way.
    fn keep(&mut self, key: &Key) {
        if let Some(capture) = &mut self.capture {
            capture.keep(key, || self.entries.get(key).cloned());
        }
    }
}

impl Service for Kv {
    fn apply(&mut self, at: &Applied, request: &[u8], reply: &mut Vec<u8>) -> bool {
        let operations = match Operations::decode(request) {
            Ok(operations) => operations,
            Err(bad) => {
                reply::push_error(reply, &bad.to_string());
                return false;
            }
        };
        let mut writer = Writer::new(reply, operations.len());
        let mut changed = false;
        for operation in operations {
            changed |= self.execute(at.revision, operation, &mut writer);
        }
        changed
    }

    fn query(&self, request: &[u8], reply: &mut Vec<u8>) {
        let operations = Operations::decode(request).map_err(|bad| bad.to_string()).and_then(only_reads);
        match operations {
            Ok(operations) => {
                let mut writer = Writer::new(reply, operations.len());
                for operation in operations {
                    self.read(operation, &mut writer);
                }
            }
            Err(why) => reply::push_error(reply, &why),
        }
    }

    fn check(&self, access: Access, request: &[u8]) -> Result<(), Objection> {
        within(self.limits.request, request)?;
        let mut operations = Operations::decode(request).map_err(|bad| Objection::Invalid(bad.to_string()))?;
        if access == Access::Read {
            operations = only_reads(operations).map_err(Objection::Invalid)?;
        }
        for operation in operations {
            within(self.limits.key, operation.key().unwrap_or_default())?;
            within(self.limits.value, operation.value().unwrap_or_default())?;
        }
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    fn snapshot_begin(&mut self) {
        self.capture = Some(Capture::begin());
    }

    fn snapshot_next(&mut self, part: &mut Vec<u8>) -> Captured {
        let Some(capture) = &mut self.capture else { return Captured::End };
        let captured = capture.step(&self.entries, |key, entry| entry.encode(key.as_slice(), part));
        if captured == Captured::End {
            self.capture = None;
        }
        captured
    }

    fn snapshot_end(&mut self) {
        self.capture = None;
    }

    fn blank(&self) -> Self {
        Self::new(self.limits)
    }

    /// Keys come in order, each once: another order is not what a snapshot of a store looks like.
    fn restore(&mut self, part: &[u8]) -> bool {
        let Some((key, entry)) = Entry::decode(part) else { return false };
        let key = Key::new(key);
        if self.entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return false;
        }
        self.fingerprint = self.fingerprint.wrapping_add(entry.hash);
        self.entries.insert(key, entry);
        true
    }
}

/// Passes on operations of which none writes. Every one is looked at.
fn only_reads(operations: Operations<'_>) -> Result<Operations<'_>, String> {
    match (1..).zip(operations.clone()).find(|(_, operation)| operation.writes()) {
        Some((place, operation)) => {
            Err(format!("a read cannot write, but operation {place} is a {}", operation.name()))
        }
        None => Ok(operations),
    }
}

fn within(limit: usize, part: &[u8]) -> Result<(), Objection> {
    if part.len() > limit {
        return Err(Objection::TooLarge { limit: limit as u64, actual: part.len() as u64 });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

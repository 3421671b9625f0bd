//! What operations mean: a store of keys and values with revisions, written anew from its description.
//!
//! It shares no code with the service it judges. A register is a store with one key.

use crate::history::{Answer, Data, Marks, Verb};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Values of one reply may take this much room; a value takes its length and [`VALUE_OVERHEAD`].
pub const REPLY_ROOM: usize = 2 << 20;
/// What a value takes besides its bytes; a listed pair takes this once, and its key.
pub const VALUE_OVERHEAD: usize = 32;

/// The store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Store {
    entries: BTreeMap<Data, Entry>,
    revision: u64,
}

/// One key's value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    value: Data,
    marks: Marks,
}

/// What a key was before a change: enough to take it back.
#[derive(Clone, Debug)]
pub struct Change {
    key: Data,
    before: Option<Entry>,
}

impl Store {
    /// A store that holds these keys from the beginning, at revision 0.
    pub fn holding(initial: &BTreeMap<Data, Data>) -> Store {
        let marks = Marks { created: 0, modified: 0, version: 1 };
        let entry = |(key, value): (&Data, &Data)| (key.clone(), Entry { value: value.clone(), marks });
        Store { entries: initial.iter().map(entry).collect(), revision: 0 }
    }

    /// The revision of the last request that changed something.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Performs a request. Its answers replace what `answers` held; its changes are added to `undo`.
    pub fn perform(&mut self, request: &[Verb], answers: &mut Vec<Answer>, undo: &mut Vec<Change>) {
        answers.clear();
        let revision = self.revision + 1;
        let mut room = REPLY_ROOM;
        for verb in request {
            let answer = self.verb(verb, revision, &mut room, undo);
            if answer.changed() {
                self.revision = revision;
            }
            answers.push(answer);
        }
    }

    /// Takes changes back until `undo` holds `length`, to when the revision was `revision`.
    pub fn revert(&mut self, undo: &mut Vec<Change>, length: usize, revision: u64) {
        for Change { key, before } in undo.drain(length..).rev() {
            match before {
                Some(entry) => self.entries.insert(key, entry),
                None => self.entries.remove(&key),
            };
        }
        self.revision = revision;
    }

    fn verb(&mut self, verb: &Verb, revision: u64, room: &mut usize, undo: &mut Vec<Change>) -> Answer {
        match verb {
            Verb::Get { key } => match self.entries.get(key) {
                None => Answer::Missing,
                Some(Entry { value, marks }) if take(room, value.0.len()) => {
                    Answer::Value { value: value.clone(), marks: Some(*marks) }
                }
                Some(Entry { value, .. }) => Answer::Omitted { size: value.0.len() as u64 },
            },
            Verb::Exists { key } => {
                let modified = self.modified(key);
                Answer::Exists { there: modified.is_some(), modified }
            }
            Verb::Count => Answer::Count(self.entries.len() as u64),
            Verb::List { prefix, limit } => self.list(prefix, *limit, room),
            Verb::Put { key, value } => {
                self.put(key, value, revision, undo);
                Answer::Written { modified: Some(revision) }
            }
            Verb::Append { key, value } => {
                let mut whole = self.entries.get(key).map_or(Vec::new(), |entry| entry.value.0.to_vec());
                whole.extend_from_slice(&value.0);
                self.put(key, &Data(whole.into()), revision, undo);
                Answer::Written { modified: Some(revision) }
            }
            Verb::Delete { key } => {
                let before = self.entries.remove(key);
                let found = before.is_some();
                if found {
                    undo.push(Change { key: key.clone(), before });
                }
                Answer::Deleted { found }
            }
            Verb::Cas { key, expected, value } => {
                if self.entries.get(key).map(|entry| &entry.value) != expected.as_ref() {
                    return Answer::NotSwapped { modified: self.modified(key) };
                }
                self.put(key, value, revision, undo);
                Answer::Swapped { modified: Some(revision) }
            }
        }
    }

    fn put(&mut self, key: &Data, value: &Data, revision: u64, undo: &mut Vec<Change>) {
        let before = self.entries.get(key).cloned();
        let marks = match &before {
            Some(Entry { marks, .. }) => Marks { modified: revision, version: marks.version + 1, ..*marks },
            None => Marks { created: revision, modified: revision, version: 1 },
        };
        self.entries.insert(key.clone(), Entry { value: value.clone(), marks });
        undo.push(Change { key: key.clone(), before });
    }

    fn list(&self, prefix: &Data, limit: u32, room: &mut usize) -> Answer {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let mut found = self.entries.range(from).take_while(|(key, _)| key.0.starts_with(&prefix.0));
        let mut pairs = Vec::new();
        loop {
            let Some((key, Entry { value, marks })) = found.next() else {
                return Answer::List { pairs, more: false };
            };
            if pairs.len() == limit as usize || !take(room, key.0.len() + value.0.len()) {
                return Answer::List { pairs, more: true };
            }
            pairs.push((key.clone(), value.clone(), Some(*marks)));
        }
    }

    fn modified(&self, key: &Data) -> Option<u64> {
        self.entries.get(key).map(|entry| entry.marks.modified)
    }
}

fn take(room: &mut usize, payload: usize) -> bool {
    match room.checked_sub(payload + VALUE_OVERHEAD) {
        Some(rest) => {
            *room = rest;
            true
        }
        None => false,
    }
}

/// Whether what was seen is what the store answered. Where a history tells no revisions, none are compared.
pub fn fits(answered: &[Answer], seen: &[Answer], revisions: bool) -> bool {
    if revisions {
        return answered == seen;
    }
    let alike = |(answered, seen): (&Answer, &Answer)| *seen == Answer::Untold || bare(answered) == bare(seen);
    answered.len() == seen.len() && answered.iter().zip(seen).all(alike)
}

/// An answer without the revisions in it.
fn bare(answer: &Answer) -> Answer {
    match answer {
        Answer::Value { value, .. } => Answer::Value { value: value.clone(), marks: None },
        Answer::Exists { there, .. } => Answer::Exists { there: *there, modified: None },
        Answer::Written { .. } => Answer::Written { modified: None },
        Answer::Swapped { .. } => Answer::Swapped { modified: None },
        Answer::NotSwapped { .. } => Answer::NotSwapped { modified: None },
        Answer::List { pairs, more } => {
            let pairs = pairs.iter().map(|(key, value, _)| (key.clone(), value.clone(), None)).collect();
            Answer::List { pairs, more: *more }
        }
        Answer::Missing
        | Answer::Omitted { .. }
        | Answer::Count(_)
        | Answer::Deleted { .. }
        | Answer::Error(_)
        | Answer::Untold => answer.clone(),
    }
}

//! `ios inspect` and `ios fsck`: what lies in a data directory, read and judged by the same journal that a node opens
//! it with, while no node does. No record is changed; the directory is locked meanwhile, so it has to be writable.

use crate::{
    arguments::{Format, Global},
    exit::{Exit, Failure},
    say::{data, line},
    verbs::columns,
};
use bytes::Bytes;
use ios_core::{
    ids::{Digest, Index},
    interface::{FileId, ReadDisk},
    journal::{Extent, Fact, Identity, Journal, JournalError, Recovered, contents, damaged_slots, identity_of},
    options::JournalOptions,
};
use runtime::{directory::Directory, server::ServerError};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};

/// Bytes that are read at a time: what a disk loses, it loses in pieces of this size.
const PAGE: usize = 4096;

/// Prints what is in a directory.
pub fn inspect(global: &Global, path: &Path) -> Result<Exit, Failure> {
    let found = Found::read(path)?;
    match global.output.unwrap_or(Format::Table) {
        Format::Json => line(found.to_json())?,
        Format::Table | Format::Simple => data(found.to_text().as_bytes())?,
    }
    Ok(Exit::Ok)
}

/// Prints what is wrong with a directory. Succeeds if that is nothing.
pub fn fsck(global: &Global, path: &Path) -> Result<Exit, Failure> {
    let problems = Found::read(path)?.problems();
    match global.output.unwrap_or(Format::Table) {
        Format::Json => line(Value::from_iter(problems.iter().map(String::as_str)))?,
        Format::Table | Format::Simple if problems.is_empty() => {
            line(format_args!("{}: nothing is wrong", path.display()))?;
        }
        Format::Table | Format::Simple => {
            problems.iter().try_for_each(|problem| line(format_args!("{}: {problem}", path.display())))?;
        }
    }
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Unhealthy })
}

/// What is wrong with a data directory that nobody uses, in sentences.
pub fn problems(data: &Path) -> Result<Vec<String>, Failure> {
    Ok(Found::read(data)?.problems())
}

/// A data directory.
struct Found {
    /// Identity slots that are damaged.
    damaged_slots: Vec<usize>,
    identity: Identity,
    recovered: Recovered,
    files: Vec<File>,
}

/// One file of it.
struct File {
    id: FileId,
    bytes: u64,
    /// Records that can be made out; and those of which only the id slot can.
    records: usize,
    nameless: usize,
    /// The lowest and the highest index of a record.
    indexes: Option<(Index, Index)>,
}

impl Found {
    fn read(path: &Path) -> Result<Self, Failure> {
        let mut directory = Directory::open(path).map_err(|error| Failure::server(ServerError::Directory(error)))?;
        let damaged = |error: JournalError| Failure::new(Exit::Disk, format!("{}: {error}", path.display()));
        let listed = directory.files().map_err(|error| damaged(JournalError::Listing(error)))?;
        let mut files = Vec::new();
        let (mut identity_damage, mut identity) = (Vec::new(), None);
        for (id, bytes) in listed {
            let image = match id {
                // Snapshots are judged as a whole, below.
                FileId::Snapshot(_) => Vec::new(),
                _ => read_around(&mut directory, id, bytes),
            };
            if id == FileId::Identity {
                identity = identity_of(&image);
                identity_damage = damaged_slots(&image);
            }
            files.push(File::of(id, bytes, image.into()));
        }
        let identity = identity.ok_or_else(|| damaged(JournalError::IdentityMissing))?;
        let options = JournalOptions::default();
        let opened = Journal::open(identity.node, identity.genesis, options, &mut directory);
        let (_, recovered) = opened.map_err(damaged)?;
        Ok(Self { damaged_slots: identity_damage, identity, recovered, files })
    }

    fn problems(&self) -> Vec<String> {
        let Recovered { base, snapshot, entries, loss, divergence, .. } = &self.recovered;
        let mut problems = Vec::new();
        if !self.damaged_slots.is_empty() {
            problems.push(format!("identity: slots {:?} are like no other; the rest agree", self.damaged_slots));
        }
        if *base > Index::ZERO && snapshot.is_none() {
            problems.push(format!(
                "snapshot {base}: damaged; the member will get another one from a peer, and executes nothing until then"
            ));
        }
        let unknown: Vec<Index> =
            entries.iter().filter(|entry| entry.unknown.is_some()).map(|entry| entry.index).collect();
        if let (Some(first), Some(last)) = (unknown.first(), unknown.last()) {
            problems.push(format!(
                "log: {} rotten, indexes {first} to {last}; they will be repaired from peers",
                counted(unknown.len(), "record")
            ));
        }
        if *loss {
            problems.push("log: records are lost that nothing names; they will be repaired from peers".to_owned());
        }
        if let Some(index) = divergence {
            problems.push(format!("log: two different batches are committed at index {index}: keep this directory"));
        }
        problems
    }

    fn to_text(&self) -> String {
        let Self { identity, recovered, .. } = self;
        let cluster = identity.founded.as_ref().map_or("not founded".to_owned(), |(cluster, _)| cluster.to_string());
        let log = match (recovered.entries.first(), recovered.entries.last()) {
            (Some(first), Some(last)) => format!("indexes {} to {}", first.index, last.index),
            _ => "empty".to_owned(),
        };
        let snapshot = match (&recovered.snapshot, recovered.base) {
            (Some(seal), _) => format!("up to index {}, {} bytes, whole", seal.index, seal.length),
            (None, Index::ZERO) => "none".to_owned(),
            (None, base) => format!("up to index {base}, damaged"),
        };
        let mut text = format!(
            "member    {} of cluster {cluster}, disk {}\nlife      {}, has promised view {}\nlog       {log}, \
             committed up to {}\nsnapshot  {snapshot}\n\n",
            identity.node, identity.nonce, identity.incarnation, identity.promised, recovered.floor,
        );
        let rows: Vec<Vec<String>> = self.files.iter().map(File::row).collect();
        text += &columns(&["FILE", "BYTES", "RECORDS", "ROTTEN", "INDEXES"], &rows);
        for problem in self.problems() {
            text += &format!("\n{problem}\n");
        }
        text
    }

    fn to_json(&self) -> Value {
        let Self { identity, recovered, files, .. } = self;
        json!({
            "member": identity.node.0,
            "cluster": identity.founded.as_ref().map(|(cluster, _)| cluster.to_string()),
            "disk": identity.nonce.to_string(),
            "life": identity.incarnation.0,
            "promised": identity.promised.to_string(),
            "first": recovered.entries.first().map(|entry| entry.index.0),
            "last": recovered.entries.last().map(|entry| entry.index.0),
            "floor": recovered.floor.0,
            "base": recovered.base.0,
            "snapshot": recovered.snapshot.map(|seal| json!({"index": seal.index.0, "bytes": seal.length})),
            "files": files.iter().map(File::to_json).collect::<Vec<_>>(),
            "problems": self.problems(),
        })
    }
}

impl File {
    fn of(id: FileId, bytes: u64, image: Bytes) -> Self {
        let facts = if matches!(id, FileId::Segment(_)) { contents(&image) } else { Vec::new() };
        let record = |extent: &Extent| match extent.fact {
            Fact::Accepted { index, digest, .. }
            | Fact::Committed { index, digest }
            | Fact::Unknown { index, digest, .. } => Some((index, digest)),
            _ => None,
        };
        let records: BTreeSet<(Index, Digest)> = facts.iter().filter_map(record).collect();
        let nameless = facts.iter().filter(|extent| match extent.fact {
            Fact::Slot { index, digest, .. } => digest != Digest(0) && !records.contains(&(index, digest)),
            _ => false,
        });
        let indexes = records.first().zip(records.last()).map(|(first, last)| (first.0, last.0));
        Self { id, bytes, records: records.len(), nameless: nameless.count(), indexes }
    }

    fn row(&self) -> Vec<String> {
        let (records, rotten, indexes) = match self.id {
            FileId::Segment(_) => (
                self.records.to_string(),
                self.nameless.to_string(),
                self.indexes.map_or("-".to_owned(), |(first, last)| format!("{first}..={last}")),
            ),
            FileId::Identity | FileId::Snapshot(_) => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
        };
        vec![self.id.to_string(), self.bytes.to_string(), records, rotten, indexes]
    }

    fn to_json(&self) -> Value {
        json!({
            "file": self.id.to_string(),
            "bytes": self.bytes,
            "records": self.records,
            "rotten": self.nameless,
            "first": self.indexes.map(|(first, _)| first.0),
            "last": self.indexes.map(|(_, last)| last.0),
        })
    }
}

/// The content of a file; zeros where it cannot be read.
fn read_around(directory: &mut Directory, id: FileId, bytes: u64) -> Vec<u8> {
    let mut image = Vec::with_capacity(bytes as usize);
    for offset in (0..bytes).step_by(PAGE) {
        let length = PAGE.min((bytes - offset) as usize);
        image.extend(directory.read(id, offset, length).unwrap_or_default());
        image.resize(offset as usize + length, 0);
    }
    image
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what} is") } else { format!("{count} {what}s are") }
}

//! What the journal promises, tried on a disk in memory that can crash between any two bytes.

mod basic;
mod crash;
mod damage;
mod full;
mod knowledge;
mod opening;
mod rot;
mod rounds;
mod table;

use super::{Journal, JournalError, Record, Recovered, format, record::footprint};
use crate::{
    batch::{Batch, BatchBuilder, Command},
    configuration::{Configuration, ConfigurationDraft},
    ids::{DiskNonce, Index, NodeId, Sequence, SessionId, View},
    interface::{DiskAction, DiskError, DiskResult, FileId, Output, ReadDisk},
    message::Unknown,
    options::{JournalOptions, Persistence, Seal},
    time::{Span, Time},
};
use alloc::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    vec,
    vec::Vec,
};
use bytes::Bytes;

/// Files in memory.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Disk {
    files: BTreeMap<FileId, Rc<Vec<u8>>>,
    /// Ranges that answer with an error.
    latent: Vec<(FileId, u64, u64)>,
}

impl ReadDisk for Disk {
    fn files(&mut self) -> Result<Vec<(FileId, u64)>, DiskError> {
        Ok(self.files.iter().map(|(file, bytes)| (*file, bytes.len() as u64)).collect())
    }

    fn read(&mut self, file: FileId, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let end = offset + length as u64;
        if self.latent.iter().any(|(bad, from, to)| *bad == file && *from < end && offset < *to) {
            return Err(DiskError::Io);
        }
        let bytes = self.files.get(&file).ok_or(DiskError::Io)?;
        let from = bytes.len().min(offset as usize);
        Ok(bytes[from..bytes.len().min(end as usize)].to_vec())
    }
}

impl Disk {
    /// A formatted directory.
    fn formatted() -> Disk {
        let mut disk = Disk::default();
        for action in format(NODE, NONCE, &configuration()) {
            disk.perform(&action);
        }
        disk
    }

    fn perform(&mut self, action: &DiskAction) {
        match action {
            DiskAction::Create { file, size, head } => {
                let mut bytes = head.to_vec();
                bytes.resize(*size as usize, 0);
                self.files.insert(*file, Rc::new(bytes));
            }
            DiskAction::Write { file, writes } => {
                for (offset, bytes) in writes {
                    self.write(*file, *offset, bytes);
                }
            }
            DiskAction::Remove { file } => {
                self.files.remove(file);
            }
            DiskAction::Read { .. } => unreachable!("only what is asked for is read"),
        }
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) {
        let content = Rc::make_mut(self.files.get_mut(&file).expect("only files that exist are written"));
        content.resize(content.len().max(offset as usize + bytes.len()), 0);
        content[offset as usize..][..bytes.len()].copy_from_slice(bytes);
    }
}

const NODE: NodeId = NodeId(1);
const NONCE: DiskNonce = DiskNonce(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);

fn configuration() -> Configuration {
    let draft = ConfigurationDraft { members: vec![NodeId(0), NodeId(1), NodeId(2)], ..Default::default() };
    Configuration::new(draft).unwrap()
}

/// Room for `records` records and `bytes` in the data area.
fn options(records: u32, bytes: u64) -> JournalOptions {
    let data = super::segment::data_offset(records);
    JournalOptions {
        segment_bytes: data + bytes,
        segment_records: records,
        seal: Seal::Lazy,
        seal_idle: Span::millis(5),
        persistence: Persistence::Durable,
    }
}

fn open(disk: &mut Disk, options: &JournalOptions) -> Result<(Journal, Recovered), JournalError> {
    Journal::open(NODE, configuration().genesis_hash(), options.clone(), disk)
}

/// A journal, its disk, and the operations between them.
#[derive(Clone)]
struct Bench {
    journal: Journal,
    recovered: Recovered,
    disk: Disk,
    now: Time,
    pending: VecDeque<Output>,
    /// Every batch that was ever handed in, and where.
    written: Vec<(Index, Batch)>,
}

impl Bench {
    fn open(mut disk: Disk, options: &JournalOptions) -> Bench {
        let (journal, recovered) = open(&mut disk, options).unwrap_or_else(|error| panic!("{error}"));
        Bench { journal, recovered, disk, now: Time(1), pending: VecDeque::new(), written: Vec::new() }
    }

    /// Opens, and lets the opening sequence run.
    fn running(disk: Disk, options: &JournalOptions) -> Bench {
        let mut bench = Bench::open(disk, options);
        bench.settle();
        assert!(bench.journal.ready());
        bench
    }

    fn flush(&mut self) {
        let mut out = Vec::new();
        self.journal.flush(self.now, &mut out);
        self.pending.extend(out);
    }

    /// Performs the oldest pending operation and reports it.
    fn step(&mut self) -> bool {
        let Some(Output::Disk { op, action }) = self.pending.pop_front() else { return false };
        self.disk.perform(&action);
        let mut out = Vec::new();
        assert_eq!(self.journal.complete(self.now, op, DiskResult::Done, &mut out), Ok(true));
        self.pending.extend(out);
        true
    }

    /// Flushes and performs until nothing is left to do, but not what waits for the idle time.
    fn settle(&mut self) {
        loop {
            while self.step() {}
            if !self.journal.wants_flush() {
                return;
            }
            self.flush();
        }
    }

    /// Lets the idle time pass.
    fn idle(&mut self) {
        while let Some(due) = self.journal.deadline() {
            self.now = self.now.max(due);
            let mut out = Vec::new();
            self.journal.wake(self.now, &mut out);
            self.pending.extend(out);
            self.settle();
        }
    }

    fn append(&mut self, record: Record) {
        if let Record::Accepted { index, batch, .. } | Record::Committed { index, batch } = &record {
            self.written.push((*index, batch.clone()));
        }
        self.journal.append(record);
    }

    /// Appends these, each in a round of its own.
    fn rounds(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            self.append(record);
            self.settle();
        }
    }

    /// The same directory after a clean end.
    fn reopen(self, options: &JournalOptions) -> Bench {
        Bench { written: self.written, ..Bench::running(self.disk, options) }
    }
}

fn view(round: u64) -> View {
    View { round, node: NodeId((round % 3) as u8) }
}

/// A batch that differs for every `tag`, with a payload of `length` bytes.
fn batch(tag: u64, length: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    builder.push(&Command::Request {
        session: SessionId { index: Index(1), position: 0 },
        sequence: Sequence(tag),
        acked: Sequence(0),
        payload: Bytes::from(vec![tag as u8; length]),
    });
    builder.finish(Time(tag))
}

fn accepted(round: u64, index: u64) -> Record {
    Record::Accepted { view: view(round), index: Index(index), batch: batch(round * 1000 + index, 8) }
}

fn floor(index: u64) -> Record {
    Record::Floor { index: Index(index) }
}

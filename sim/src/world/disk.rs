//! One node's disk: what is durable, what only sits in the page cache, and what a crash makes of the difference.
//!
//! ```text
//!  submit          in flight, per file one after the other; the first of each file is *running*
//!    complete      its writes and everything written to that file before are durable
//!    fail          its writes stay readable, no later sync writes them, a power loss decides about them
//!    process crash what was written so far stays readable and *unsynced*; the rest was never written
//!    power loss    every unsynced write is lost, kept or torn by itself, in whatever order it was made
//! ```
//!
//! A file holds its durable bytes and, apart from them, the unsynced writes in order; a reader sees the former under
//! the latter. So nothing is copied at a crash, and a life that trusts what it read can be caught by a later power
//! loss. Directory entries are durable on their own: a file whose creation was never completed may vanish, one whose
//! removal was never completed may come back. The end of any creation or removal syncs the directory it happened in.
//!
//! Bytes never written are zeros and not stored: files are created full of zeros.
//!
//! *Latent* sectors cannot be read until something in them is written again.
//!
//! Absent on purpose: syncs that lie and old copies that come back, which a node cannot notice.

use super::extents::Extents;
use bytes::Bytes;
use ios_core::{
    ids::OpId,
    interface::{DiskAction, DiskError, FileId, ReadDisk},
    time::Span,
};

/// What bytes are torn at: a disk writes whole sectors.
pub const SECTOR: u64 = 512;

/// What a power loss makes of one unsynced write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nothing of it reached the disk.
    Lost,
    /// All of it did.
    Kept,
    /// Some of it did; the bits say which part.
    Torn(u64),
}

/// What was found when a crash was worked out; for the report.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Aftermath {
    /// Writes of which nothing reached the disk.
    pub lost: u64,
    /// Writes that reached the disk although nobody was told.
    pub kept: u64,
    /// Writes that reached it in part.
    pub torn: u64,
    /// Directory entries that were lost, or came back.
    pub entries: u64,
    /// Whether something was kept of a file although something written to it earlier was lost.
    pub reordered: bool,
}

/// Names the things a crash decides about: the life of the node in which it was written, file, offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// The operation, counted over the whole run from 1.
    pub nth: u32,
    /// The life of the node that asked for it.
    pub life: u32,
    /// The file.
    pub file: FileId,
    /// Where in it; `u64::MAX` for its directory entry.
    pub offset: u64,
}

/// A write that no sync has covered yet.
#[derive(Debug)]
struct Unsynced {
    nth: u32,
    life: u32,
    offset: u64,
    bytes: Bytes,
    /// A sync failed over it: the cache calls it clean, so no later sync writes it.
    dropped: bool,
}

/// Whether the directory knows a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    /// It does, durably.
    Durable,
    /// In the cache only: a power loss may take the file away.
    Fresh { nth: u32, life: u32 },
    /// Removed in the cache only: a power loss may bring it back.
    Gone { nth: u32, life: u32 },
}

#[derive(Debug)]
struct File {
    id: FileId,
    entry: Entry,
    size: u64,
    /// Durable bytes, none of them beyond `size`.
    image: Extents,
    unsynced: Vec<Unsynced>,
    /// From where to where reading fails.
    latent: Vec<(u64, u64)>,
}

/// An operation handed in and not yet answered.
#[derive(Debug)]
struct Flight {
    op: OpId,
    nth: u32,
    life: u32,
    action: DiskAction,
    takes: Span,
}

/// One node's disk.
#[derive(Debug, Default)]
pub struct SimDisk {
    /// Ascending by id; a handful.
    files: Vec<File>,
    /// In the order handed in.
    flights: Vec<Flight>,
    operations: u32,
}

impl SimDisk {
    /// An empty disk, keeping memory for the next run.
    pub fn clear(&mut self) {
        self.files.clear();
        self.flights.clear();
        self.operations = 0;
    }

    /// Loses everything. Nobody may be using it.
    pub fn wipe(&mut self) {
        self.files.clear();
        self.flights.clear();
    }

    /// Performs `action` at once and durably: how a directory is formatted before the run.
    pub fn apply_now(&mut self, action: DiskAction) {
        self.operations += 1;
        self.perform(&Flight { op: OpId(0), nth: self.operations, life: 0, action, takes: Span::ZERO });
    }

    /// The number the next operation gets.
    pub fn next_operation(&self) -> u32 {
        self.operations + 1
    }

    /// The operations that are under way or wait for another one.
    pub fn under_way(&self) -> impl Iterator<Item = (OpId, &DiskAction)> {
        self.flights.iter().map(|flight| (flight.op, &flight.action))
    }

    /// Takes an operation in, which is to take that long once it runs. Returns whether it runs at once; otherwise it
    /// waits for another one on the same file.
    pub fn submit(&mut self, op: OpId, life: u32, action: DiskAction, takes: Span) -> bool {
        self.operations += 1;
        let runs = !self.flights.iter().any(|flight| flight.action.file() == action.file());
        self.flights.push(Flight { op, nth: self.operations, life, action, takes });
        runs
    }

    /// Ends an operation well: what it wrote is durable. Hands it back, with the operation that now runs on its file.
    pub fn complete(&mut self, op: OpId) -> (DiskAction, Option<(OpId, Span)>) {
        let flight = self.land(op);
        self.perform(&flight);
        let next = self.next_on(flight.action.file());
        (flight.action, next)
    }

    /// Ends an operation badly: what it wrote can be read, and no later sync makes it durable.
    pub fn fail(&mut self, op: OpId) -> (DiskAction, Option<(OpId, Span)>) {
        let flight = self.land(op);
        self.write_through(&flight, usize::MAX);
        let written = !matches!(flight.action, DiskAction::Read { .. });
        if let Some(file) = self.find(flight.action.file()).filter(|_| written) {
            file.unsynced.iter_mut().for_each(|write| write.dropped = true);
        }
        let next = self.next_on(flight.action.file());
        (flight.action, next)
    }

    /// The process dies. Of each running operation, `progress` says how many writes were made; waiting ones are
    /// forgotten.
    pub fn crash_process(&mut self, mut progress: impl FnMut(Doubt, usize) -> usize) {
        let flights = std::mem::take(&mut self.flights);
        for (place, flight) in flights.iter().enumerate() {
            let file = flight.action.file();
            if flights[..place].iter().any(|earlier| earlier.action.file() == file) {
                continue;
            }
            let steps = flight.steps();
            let doubt = Doubt { nth: flight.nth, life: flight.life, file, offset: u64::MAX };
            let made = progress(doubt, steps).min(steps);
            if made > 0 {
                self.write_through(flight, made);
            }
        }
    }

    /// The power goes: running operations are taken as fully written and unsynced, then every unsynced write and
    /// directory entry meets its fate.
    pub fn crash_power(&mut self, mut fate: impl FnMut(Doubt) -> Fate) -> Aftermath {
        self.crash_process(|_, steps| steps);
        let mut aftermath = Aftermath::default();
        for file in &mut self.files {
            file.settle(&mut fate, &mut aftermath);
        }
        self.files.retain(|file| file.entry == Entry::Durable);
        aftermath
    }

    /// Durable bytes of a file, for damage to choose from. Fewer than asked for at the end.
    pub fn durable(&self, id: FileId, offset: u64, length: usize) -> Vec<u8> {
        match self.files.iter().find(|file| file.id == id) {
            Some(file) => file.stored(offset, length),
            None => Vec::new(),
        }
    }

    /// How long all files are together.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// How long the durable image of a file is.
    pub fn durable_length(&self, id: FileId) -> u64 {
        self.files.iter().find(|file| file.id == id).map_or(0, |file| file.size)
    }

    /// Bit rot: puts other bytes in the durable image of a file. Returns whether anything changed.
    pub fn damage(&mut self, id: FileId, offset: u64, bytes: &[u8]) -> bool {
        if self.durable(id, offset, bytes.len()) == bytes {
            return false;
        }
        let Some(file) = self.find(id) else { return false };
        file.store(offset, Bytes::copy_from_slice(bytes));
        true
    }

    /// Makes durable bytes unreadable. Returns whether anything changed.
    pub fn hide(&mut self, id: FileId, offset: u64, length: u64) -> bool {
        let Some(file) = self.find(id) else { return false };
        let end = (offset + length).min(file.size);
        let news = offset < end && !file.latent.contains(&(offset, end));
        if news {
            file.latent.push((offset, end));
        }
        news
    }

    /// Whether an operation needs room that its file does not have yet.
    pub fn wants_room(&self, op: OpId) -> bool {
        let Some(flight) = self.flights.iter().find(|flight| flight.op == op) else { return false };
        let id = flight.action.file();
        let size = self.files.iter().find(|file| file.id == id).map_or(0, File::length);
        match &flight.action {
            DiskAction::Create { .. } => true,
            DiskAction::Write { writes, .. } => writes.iter().any(|(offset, bytes)| offset + bytes.len() as u64 > size),
            DiskAction::Remove { .. } | DiskAction::Read { .. } => false,
        }
    }

    /// Ends an operation for want of room: only its first steps were made, as `progress` says, and not synced.
    pub fn cut_short(
        &mut self,
        op: OpId,
        progress: impl FnOnce(Doubt, usize) -> usize,
    ) -> (DiskAction, Option<(OpId, Span)>) {
        let flight = self.land(op);
        let (file, steps) = (flight.action.file(), flight.steps());
        let doubt = Doubt { nth: flight.nth, life: flight.life, file, offset: u64::MAX };
        // The last step is what there was no room for.
        let made = progress(doubt, steps.saturating_sub(1));
        if made > 0 {
            self.write_through(&flight, made);
        }
        let next = self.next_on(file);
        (flight.action, next)
    }

    fn land(&mut self, op: OpId) -> Flight {
        let place = self.flights.iter().position(|flight| flight.op == op).expect("a completion of what was submitted");
        let flight = self.flights.remove(place);
        let file = flight.action.file();
        assert!(
            !self.flights[..place].iter().any(|earlier| earlier.action.file() == file),
            "operations on one file end in the order they began"
        );
        flight
    }

    fn next_on(&self, file: FileId) -> Option<(OpId, Span)> {
        self.flights.iter().find(|flight| flight.action.file() == file).map(|flight| (flight.op, flight.takes))
    }

    fn find(&mut self, id: FileId) -> Option<&mut File> {
        self.files.iter_mut().find(|file| file.id == id)
    }

    /// An operation from beginning to end: written, synced, directory and all.
    fn perform(&mut self, flight: &Flight) {
        match &flight.action {
            DiskAction::Create { file, size, head } => {
                self.put_file(*file, *size, Entry::Durable).store(0, head.clone());
                self.sync_directory(*file);
            }
            DiskAction::Write { file, writes } => {
                let file = self.find(*file).expect("only files that were created are written");
                file.sync(writes);
                for (offset, bytes) in writes {
                    file.store(*offset, bytes.clone());
                }
            }
            DiskAction::Remove { file } => {
                self.take_file(*file);
                self.sync_directory(*file);
            }
            DiskAction::Read { .. } => {}
        }
    }

    /// The first `made` steps of an operation, in the cache only.
    fn write_through(&mut self, flight: &Flight, made: usize) {
        let (nth, life) = (flight.nth, flight.life);
        match &flight.action {
            DiskAction::Create { file, size, head } => {
                let file = self.put_file(*file, *size, Entry::Fresh { nth, life });
                if made > 1 {
                    file.unsynced.push(Unsynced { nth, life, offset: 0, bytes: head.clone(), dropped: false });
                }
            }
            DiskAction::Write { file, writes } => {
                let Some(file) = self.find(*file) else { return };
                for (offset, bytes) in writes.iter().take(made) {
                    let write = Unsynced { nth, life, offset: *offset, bytes: bytes.clone(), dropped: false };
                    file.unsynced.push(write);
                }
            }
            DiskAction::Remove { file } => {
                if let Some(file) = self.find(*file) {
                    file.entry = match file.entry {
                        Entry::Durable | Entry::Gone { .. } => Entry::Gone { nth, life },
                        Entry::Fresh { .. } => return self.take_file(flight.action.file()),
                    };
                }
            }
            DiskAction::Read { .. } => {}
        }
    }

    /// An empty file in place of whatever bears its name.
    fn put_file(&mut self, id: FileId, size: u64, entry: Entry) -> &mut File {
        self.take_file(id);
        let place = self.files.partition_point(|file| file.id < id);
        self.files.insert(
            place,
            File { id, entry, size, image: Extents::default(), unsynced: Vec::new(), latent: Vec::new() },
        );
        &mut self.files[place]
    }

    fn take_file(&mut self, id: FileId) {
        self.files.retain(|file| file.id != id);
    }

    /// Makes every entry of the directory that holds `of` durable.
    fn sync_directory(&mut self, of: FileId) {
        let same = |id: FileId| std::mem::discriminant(&id) == std::mem::discriminant(&of);
        self.files.retain(|file| !(same(file.id) && matches!(file.entry, Entry::Gone { .. })));
        for file in self.files.iter_mut().filter(|file| same(file.id)) {
            file.entry = Entry::Durable;
        }
    }
}

impl Flight {
    /// How many steps a crash of the process can fall between.
    fn steps(&self) -> usize {
        match &self.action {
            DiskAction::Create { .. } => 2,
            DiskAction::Write { writes, .. } => writes.len(),
            DiskAction::Remove { .. } => 1,
            DiskAction::Read { .. } => 0,
        }
    }
}

impl File {
    /// Everything written before `writes` becomes durable, but for what a failed sync dropped and nothing wrote over.
    fn sync(&mut self, writes: &[(u64, Bytes)]) {
        for write in std::mem::take(&mut self.unsynced) {
            let end = write.offset + write.bytes.len() as u64;
            let over = |(offset, bytes): &(u64, Bytes)| *offset < end && write.offset < offset + bytes.len() as u64;
            if write.dropped && !writes.iter().any(over) {
                self.unsynced.push(write);
            } else {
                self.store(write.offset, write.bytes);
            }
        }
    }

    /// What a power loss leaves.
    fn settle(&mut self, fate: &mut impl FnMut(Doubt) -> Fate, aftermath: &mut Aftermath) {
        let mut lost_earlier = false;
        for write in std::mem::take(&mut self.unsynced) {
            let doubt = Doubt { nth: write.nth, life: write.life, file: self.id, offset: write.offset };
            match fate(doubt) {
                Fate::Lost => {
                    aftermath.lost += 1;
                    lost_earlier = true;
                }
                Fate::Kept => {
                    aftermath.reordered |= lost_earlier;
                    aftermath.kept += 1;
                    self.store(write.offset, write.bytes);
                }
                Fate::Torn(bits) => {
                    aftermath.torn += 1;
                    self.tear(write.offset, &write.bytes, bits);
                }
            }
        }
        let (nth, life) = match self.entry {
            Entry::Durable => return,
            Entry::Fresh { nth, life } | Entry::Gone { nth, life } => (nth, life),
        };
        let fate = fate(Doubt { nth, life, file: self.id, offset: u64::MAX });
        match self.entry {
            Entry::Fresh { .. } => match fate {
                Fate::Lost => {
                    aftermath.entries += 1;
                    return;
                }
                // The name is there and the length is not: sizes are synced with the content or not at all.
                Fate::Torn(bits) => self.cut(bits % (self.size + 1)),
                Fate::Kept => {}
            },
            _ if fate == Fate::Lost => aftermath.entries += 1,
            _ => return,
        }
        self.entry = Entry::Durable;
    }

    /// Part of a write: a prefix of its bytes, or any set of its sectors.
    fn tear(&mut self, offset: u64, bytes: &Bytes, bits: u64) {
        if bits & 1 == 0 {
            let length = (bits >> 1) % (bytes.len() as u64 + 1);
            return self.store(offset, bytes.slice(..length as usize));
        }
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        let mut place = 1;
        while at < end {
            let next = ((at / SECTOR + 1) * SECTOR).min(end);
            if bits >> (place % 63 + 1) & 1 == 1 {
                self.store(at, bytes.slice((at - offset) as usize..(next - offset) as usize));
            }
            (at, place) = (next, place + 1);
        }
    }

    fn cut(&mut self, size: u64) {
        self.size = size;
        self.image.erase(size, u64::MAX);
    }

    /// Makes bytes durable. What lies beyond the end makes the file longer, as a pwrite does.
    fn store(&mut self, offset: u64, bytes: Bytes) {
        let end = offset + bytes.len() as u64;
        self.size = self.size.max(end);
        self.image.write(offset, bytes);
        if !self.latent.is_empty() {
            // A sector is written whole, with what the page cache has of the rest.
            let (first, last) = (offset / SECTOR * SECTOR, end.next_multiple_of(SECTOR));
            let beside = |(from, to): (u64, u64)| [(from, to.min(first)), (from.max(last), to)];
            let latent = self.latent.drain(..).flat_map(beside).filter(|(from, to)| from < to).collect();
            self.latent = latent;
        }
    }

    fn stored(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = (offset + length as u64).min(self.size);
        self.image.read(offset, end.saturating_sub(offset) as usize)
    }

    /// What a reader sees as the length.
    fn length(&self) -> u64 {
        self.unsynced.iter().map(|write| write.offset + write.bytes.len() as u64).fold(self.size, u64::max)
    }

    fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = (offset + length as u64).min(self.length());
        let mut bytes = self.image.read(offset, end.saturating_sub(offset) as usize);
        for write in &self.unsynced {
            let (from, to) = (write.offset.max(offset), (write.offset + write.bytes.len() as u64).min(end));
            if from < to {
                let source = &write.bytes[(from - write.offset) as usize..(to - write.offset) as usize];
                bytes[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
            }
        }
        bytes
    }
}

impl ReadDisk for SimDisk {
    fn files(&mut self) -> Result<Vec<(FileId, u64)>, DiskError> {
        let visible = self.files.iter().filter(|file| !matches!(file.entry, Entry::Gone { .. }));
        Ok(visible.map(|file| (file.id, file.length())).collect())
    }

    fn read(&mut self, file: FileId, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        match self.files.iter().find(|candidate| candidate.id == file) {
            Some(found) if !matches!(found.entry, Entry::Gone { .. }) => {
                let end = offset + length as u64;
                let latent = found.latent.iter().any(|(from, to)| *from < end && offset < *to);
                if latent { Err(DiskError::Io) } else { Ok(found.read(offset, length)) }
            }
            _ => Err(DiskError::Io),
        }
    }
}

#[cfg(test)]
mod tests;

//! A data directory in memory, and the short text of steps that makes one.
//!
//! Directories are mostly zeros, so an input is a list of steps:
//!
//! ```text
//! 00  file u8  size u32                 a file of zeros, in place of one of that name: 0 identity, n segment n
//! 01  offset u32  length u16  bytes     bytes in the file made last
//! 02  offset u32  length u32            a range of the file made last that cannot be read
//! ```
//! All integers little-endian. What does not fit is cut to fit; anything else ends the list.

use ios_core::interface::{DiskAction, DiskError, DiskResult, FileId, ReadDisk};
use std::{collections::BTreeMap, ops::Range};

/// Most bytes of a file that an input makes.
const SIZE_MAX: usize = 128 << 10;
/// Most files that an input makes: what it costs to go over an input is bounded.
const FILES_MAX: usize = 8;
/// Zeros that end a run of bytes when a directory is written down.
const GAP: usize = 8;

/// Files by name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Directory {
    files: BTreeMap<FileId, File>,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct File {
    bytes: Vec<u8>,
    unreadable: Vec<Range<usize>>,
}

impl Directory {
    /// The directory that an input describes.
    pub fn decode(input: &[u8]) -> Self {
        let mut directory = Directory::default();
        let mut steps = Steps { rest: input };
        let mut last = None;
        while let Some(step) = steps.take(1) {
            if directory.step(step[0], &mut steps, &mut last).is_none() {
                break;
            }
        }
        directory
    }

    fn step(&mut self, step: u8, steps: &mut Steps<'_>, last: &mut Option<FileId>) -> Option<()> {
        if step == 0 {
            let id = file_id(steps.take(1)?[0]);
            let size = steps.number()?.min(SIZE_MAX);
            if self.files.len() == FILES_MAX && !self.files.contains_key(&id) {
                return None;
            }
            self.files.insert(id, File { bytes: vec![0; size], unreadable: Vec::new() });
            *last = Some(id);
            return Some(());
        }
        let file = self.files.get_mut(&(*last)?)?;
        let start = steps.number()?.min(file.bytes.len());
        match step {
            1 => {
                let length = u16::from_le_bytes(steps.take(2)?.try_into().ok()?);
                let bytes = steps.take(usize::from(length).min(steps.rest.len()))?;
                let fits = bytes.len().min(file.bytes.len() - start);
                file.bytes[start..start + fits].copy_from_slice(&bytes[..fits]);
            }
            2 => {
                let end = start.saturating_add(steps.number()?).min(file.bytes.len());
                file.unreadable.push(start..end);
            }
            _ => return None,
        }
        Some(())
    }

    /// An input that describes this directory.
    pub fn encode(&self) -> Vec<u8> {
        let mut input = Vec::new();
        for (id, file) in &self.files {
            input.extend([0, file_number(*id)]);
            input.extend((file.bytes.len() as u32).to_le_bytes());
            for run in runs(&file.bytes) {
                input.push(1);
                input.extend((run.start as u32).to_le_bytes());
                input.extend((run.len() as u16).to_le_bytes());
                input.extend(&file.bytes[run]);
            }
            for range in &file.unreadable {
                input.push(2);
                input.extend([range.start, range.len()].map(|n| (n as u32).to_le_bytes()).concat());
            }
        }
        input
    }

    /// Performs an action of a node. Writing makes a sector readable again, as on a real disk.
    pub fn perform(&mut self, action: &DiskAction) -> DiskResult {
        match action {
            DiskAction::Create { file, size, head } => {
                let mut bytes = vec![0; *size as usize];
                bytes[..head.len()].copy_from_slice(head);
                self.files.insert(*file, File { bytes, unreadable: Vec::new() });
            }
            DiskAction::Write { file, writes } => {
                let Some(file) = self.files.get_mut(file) else { return DiskResult::Failed(DiskError::Io) };
                for (offset, bytes) in writes {
                    let range = *offset as usize..*offset as usize + bytes.len();
                    // As on a real disk, a write beyond the end makes the file longer.
                    file.bytes.resize(file.bytes.len().max(range.end), 0);
                    file.bytes[range.clone()].copy_from_slice(bytes);
                    file.unreadable.retain(|bad| bad.end <= range.start || range.end <= bad.start);
                }
            }
            DiskAction::Remove { file } => drop(self.files.remove(file)),
            DiskAction::Read { file, offset, length } => {
                let read = self.read(*file, *offset, *length as usize);
                return read.map_or_else(DiskResult::Failed, |bytes| DiskResult::Read(bytes.into()));
            }
        }
        DiskResult::Done
    }

    /// Every file's bytes, to be damaged.
    pub fn contents(&mut self) -> impl Iterator<Item = (FileId, &mut Vec<u8>)> {
        self.files.iter_mut().map(|(id, file)| (*id, &mut file.bytes))
    }

    /// Makes a range of a file unreadable.
    pub fn lose(&mut self, file: FileId, range: Range<usize>) {
        self.files.get_mut(&file).expect("a file that exists").unreadable.push(range);
    }
}

impl ReadDisk for Directory {
    fn files(&mut self) -> Result<Vec<(FileId, u64)>, DiskError> {
        Ok(self.files.iter().map(|(id, file)| (*id, file.bytes.len() as u64)).collect())
    }

    fn read(&mut self, file: FileId, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let file = self.files.get(&file).ok_or(DiskError::Io)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.bytes.len());
        let end = start.saturating_add(length).min(file.bytes.len());
        if file.unreadable.iter().any(|bad| bad.start < end && start < bad.end) {
            return Err(DiskError::Io);
        }
        Ok(file.bytes[start..end].to_vec())
    }
}

/// From this number on files are snapshots.
const SNAPSHOTS: u8 = 128;

fn file_id(number: u8) -> FileId {
    match number {
        0 => FileId::Identity,
        segment @ 1..SNAPSHOTS => FileId::Segment(u64::from(segment)),
        snapshot => FileId::Snapshot(u64::from(snapshot - SNAPSHOTS)),
    }
}

fn file_number(id: FileId) -> u8 {
    match id {
        FileId::Identity => 0,
        FileId::Segment(number) => u8::try_from(number).expect("samples have few segments"),
        FileId::Snapshot(index) => SNAPSHOTS + u8::try_from(index).expect("samples have early snapshots"),
    }
}

/// Where the bytes are that are not zero, short gaps included.
fn runs(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for at in (0..bytes.len()).filter(|at| bytes[*at] != 0) {
        match runs.last_mut() {
            Some(run) if at - run.end < GAP && at + 1 - run.start <= usize::from(u16::MAX) => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

struct Steps<'a> {
    rest: &'a [u8],
}

impl<'a> Steps<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_directory_is_written_down_and_read_back() {
        let mut directory = Directory::default();
        let head = Bytes::from_static(b"head\0\0and more\0\0\0\0\0\0\0\0\0\0tail");
        directory.perform(&DiskAction::Create { file: FileId::Identity, size: 100, head });
        directory.perform(&DiskAction::Create { file: FileId::Segment(3), size: 100_000, head: Bytes::new() });
        let writes = vec![(7, Bytes::from_static(b"x")), (9_000, Bytes::from(vec![1; 70_000]))];
        assert_eq!(directory.perform(&DiskAction::Write { file: FileId::Segment(3), writes }), DiskResult::Done);
        directory.lose(FileId::Segment(3), 50..60);
        let input = directory.encode();
        assert!(input.len() < 70_200, "{}", input.len());
        assert_eq!(Directory::decode(&input), directory);
        assert_eq!(directory.read(FileId::Segment(3), 40, 20), Err(DiskError::Io));
        assert_eq!(directory.read(FileId::Segment(3), 40, 10), Ok(vec![0; 10]));
        assert_eq!(directory.read(FileId::Identity, 98, 10), Ok(vec![0; 2]));
    }

    #[test]
    fn steps_that_do_not_fit_are_cut() {
        let input = [&[0, 1][..], &[255; 4], &[1], &200u32.to_le_bytes(), &[255; 2], b"abc"].concat();
        let mut directory = Directory::decode(&input);
        assert_eq!(directory.files(), Ok(vec![(FileId::Segment(1), SIZE_MAX as u64)]));
        assert_eq!(directory.read(FileId::Segment(1), 199, 5), Ok(b"\0abc\0".to_vec()));
        assert_eq!(Directory::decode(&[9]), Directory::default());
        assert_eq!(Directory::decode(&[1, 0, 0, 0, 0, 1, 0, 7]), Directory::default(), "bytes of no file");
    }
}

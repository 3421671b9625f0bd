//! Performs one disk operation at a time on a data directory, the way the core's contract words it.

use crate::directory::{disk_error, file_path};
use ios_core::interface::{DiskAction, DiskResult, FileId};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// How written bytes are made durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Persistence {
    /// fdatasync: the bytes and what is needed to read them back. Enough, since files have their length from the start.
    #[default]
    Dsync,
    /// fsync: times of change too.
    Fsync,
    /// Not at all: a power loss may take back what was acknowledged. A process crash takes nothing.
    None,
}

impl Persistence {
    fn sync(self, file: &File) -> io::Result<()> {
        match self {
            Persistence::Dsync => file.sync_data(),
            Persistence::Fsync => file.sync_all(),
            Persistence::None => Ok(()),
        }
    }

    fn sync_with_length(self, file: &File) -> io::Result<()> {
        match self {
            Persistence::Dsync | Persistence::Fsync => file.sync_all(),
            Persistence::None => Ok(()),
        }
    }
}

/// Zeros are written in pieces of this size, each synced, so that preparing a segment never puts more than this between
/// another file's write and its sync.
const ZEROS: usize = 1 << 20;

/// Open files kept at hand: the current segment, the identity and one more.
const OPEN_MAX: usize = 3;

/// The files of a data directory, open for writing.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    persistence: Persistence,
    /// Most recently used last.
    open: Vec<(FileId, File)>,
}

impl Files {
    /// Files under `root`.
    pub fn new(root: &Path, persistence: Persistence) -> Self {
        Self { root: root.to_owned(), persistence, open: Vec::new() }
    }

    /// Performs one operation. An error is a result like another: the core decides what it means.
    pub fn perform(&mut self, action: &DiskAction) -> DiskResult {
        if let DiskAction::Read { file, offset, length } = action {
            return self.read(*file, *offset, *length);
        }
        let outcome = match action {
            DiskAction::Create { file, size, head } => self.create(*file, *size, head),
            DiskAction::Write { file, writes } => self.write(*file, writes),
            DiskAction::Remove { file } => self.remove(*file),
            DiskAction::Read { .. } => unreachable!("answered above"),
        };
        match outcome {
            Ok(()) => DiskResult::Done,
            Err(error) => {
                tracing::error!(file = %action.file(), %error, "a disk operation failed");
                DiskResult::Failed(disk_error(&error))
            }
        }
    }

    /// Makes a file. One that does not come about, because the disk is full perhaps, takes no room.
    fn create(&mut self, id: FileId, size: u64, head: &[u8]) -> io::Result<()> {
        self.forget(id);
        let path = file_path(&self.root, id);
        self.fill(id, size, head).inspect_err(|_| {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "part of a file that could not be made is left");
            }
        })
    }

    fn fill(&self, id: FileId, size: u64, head: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(file_path(&self.root, id))?;
        file.write_all(head)?;
        let zeros = vec![0; ZEROS.min(size as usize)];
        let mut at = head.len() as u64;
        while at < size {
            let piece = zeros.len().min((size - at) as usize);
            file.write_all(&zeros[..piece])?;
            at += piece as u64;
            self.persistence.sync(&file)?;
        }
        self.persistence.sync_with_length(&file)?;
        self.sync_directory(id)
    }

    fn write(&mut self, id: FileId, writes: &[(u64, bytes::Bytes)]) -> io::Result<()> {
        let persistence = self.persistence;
        let file = self.writable(id)?;
        for run in writes.chunk_by(|(offset, bytes), (next, _)| offset + bytes.len() as u64 == *next) {
            write_run(file, run)?;
        }
        persistence.sync(file)
    }

    fn remove(&mut self, id: FileId) -> io::Result<()> {
        self.forget(id);
        match fs::remove_file(file_path(&self.root, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync_directory(id),
        }
    }

    /// Reads for a peer that misses what is here: an error is nobody's but the peer's.
    fn read(&self, id: FileId, offset: u64, length: u64) -> DiskResult {
        let read = || {
            let mut bytes = Vec::new();
            let mut file = File::open(file_path(&self.root, id))?;
            file.seek(SeekFrom::Start(offset))?;
            file.take(length).read_to_end(&mut bytes).map(|_| bytes)
        };
        match read() {
            Ok(bytes) => DiskResult::Read(bytes.into()),
            Err(error) => {
                tracing::warn!(file = %id, %error, "part of a snapshot cannot be read");
                DiskResult::Failed(disk_error(&error))
            }
        }
    }

    fn sync_directory(&self, id: FileId) -> io::Result<()> {
        let path = file_path(&self.root, id);
        let directory = File::open(path.parent().expect("a file lies in a directory"))?;
        self.persistence.sync_with_length(&directory)
    }

    fn writable(&mut self, id: FileId) -> io::Result<&mut File> {
        let entry = match self.open.iter().position(|(open, _)| *open == id) {
            Some(place) => self.open.remove(place),
            None => (id, OpenOptions::new().write(true).open(file_path(&self.root, id))?),
        };
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push(entry);
        Ok(&mut self.open.last_mut().expect("just pushed").1)
    }

    fn forget(&mut self, id: FileId) {
        self.open.retain(|(open, _)| *open != id);
    }
}

/// Writes pieces that lie one behind the other: with one system call if there are several.
fn write_run(file: &mut File, run: &[(u64, bytes::Bytes)]) -> io::Result<()> {
    if let [(offset, bytes)] = run {
        return file.write_all_at(bytes, *offset);
    }
    file.seek(SeekFrom::Start(run[0].0))?;
    let mut slices: Vec<IoSlice<'_>> = run.iter().map(|(_, bytes)| IoSlice::new(bytes)).collect();
    let mut rest = &mut slices[..];
    // Empty pieces in front would look like a write that wrote nothing.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ios_core::interface::DiskError;

    const SEGMENT: FileId = FileId::Segment(1);

    fn fixture() -> (tempfile::TempDir, Files) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("log")).unwrap();
        let files = Files::new(root.path(), Persistence::Dsync);
        (root, files)
    }

    fn content(root: &tempfile::TempDir) -> Vec<u8> {
        fs::read(file_path(root.path(), SEGMENT)).unwrap()
    }

    #[test]
    fn a_created_file_has_its_head_its_length_and_zeros() {
        let (root, mut files) = fixture();
        let size = (ZEROS + 10) as u64;
        let create = |head: &'static [u8]| DiskAction::Create { file: SEGMENT, size, head: Bytes::from_static(head) };
        assert_eq!(files.perform(&create(b"first head")), DiskResult::Done);
        assert_eq!(files.perform(&create(b"head")), DiskResult::Done);
        let bytes = content(&root);
        assert_eq!((bytes.len() as u64, &bytes[..4]), (size, &b"head"[..]));
        assert!(bytes[4..].iter().all(|byte| *byte == 0), "nothing of the replaced file is left");
    }

    #[test]
    fn writes_land_where_they_belong_whether_or_not_they_touch() {
        for persistence in [Persistence::Dsync, Persistence::Fsync, Persistence::None] {
            let (root, _) = fixture();
            let mut files = Files::new(root.path(), persistence);
            files.perform(&DiskAction::Create { file: SEGMENT, size: 16, head: Bytes::new() });
            let writes = [(12, "zz"), (1, "ab"), (3, ""), (3, "cde"), (8, "x")];
            let writes = writes.into_iter().map(|(at, text)| (at, Bytes::from_static(text.as_bytes()))).collect();
            assert_eq!(files.perform(&DiskAction::Write { file: SEGMENT, writes }), DiskResult::Done);
            assert_eq!(content(&root), b"\0abcde\0\0x\0\0\0zz\0\0");
        }
    }

    #[test]
    fn a_write_beyond_the_end_makes_a_file_longer_and_part_of_it_can_be_read() {
        let (root, mut files) = fixture();
        files.perform(&DiskAction::Create { file: SEGMENT, size: 4, head: Bytes::from_static(b"head") });
        let writes = vec![(6, Bytes::from_static(b"tail"))];
        assert_eq!(files.perform(&DiskAction::Write { file: SEGMENT, writes }), DiskResult::Done);
        assert_eq!(content(&root), b"head\0\0tail");
        let mut read = |file, offset, length| files.perform(&DiskAction::Read { file, offset, length });
        assert_eq!(read(SEGMENT, 2, 5), DiskResult::Read(Bytes::from_static(b"ad\0\0t")));
        assert_eq!(read(SEGMENT, 8, 5), DiskResult::Read(Bytes::from_static(b"il")));
        assert_eq!(read(FileId::Segment(2), 0, 5), DiskResult::Failed(DiskError::Io));
    }

    #[test]
    fn a_full_disk_is_told_apart_and_keeps_no_half_made_file() {
        let (root, mut files) = fixture();
        let path = file_path(root.path(), SEGMENT);
        // Whatever is written there finds no room.
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let create = DiskAction::Create { file: SEGMENT, size: 8, head: Bytes::from_static(b"head") };
        assert_eq!(files.perform(&create), DiskResult::Failed(DiskError::Full));
        assert!(fs::symlink_metadata(&path).is_err(), "nothing is left");
        assert_eq!(files.perform(&create), DiskResult::Done, "there is room again");
    }

    #[test]
    fn failures_are_results_and_removing_twice_is_none() {
        let (root, mut files) = fixture();
        let write = DiskAction::Write { file: SEGMENT, writes: vec![(0, Bytes::from_static(b"x"))] };
        assert_eq!(files.perform(&write), DiskResult::Failed(DiskError::Io));
        files.perform(&DiskAction::Create { file: SEGMENT, size: 4, head: Bytes::new() });
        assert_eq!(files.perform(&write), DiskResult::Done);
        for _ in 0..2 {
            assert_eq!(files.perform(&DiskAction::Remove { file: SEGMENT }), DiskResult::Done);
        }
        assert!(!file_path(root.path(), SEGMENT).exists());
        assert_eq!(files.perform(&write), DiskResult::Failed(DiskError::Io), "no write goes to a file that is gone");
    }
}

//! The data directory of one node: who may use it, and what lies in it.
//!
//! ```text
//! LOCK                held (flock) by the process that uses the directory; holds its pid
//! identity            the four identity slots
//! FORGETFUL           the node that used this directory kept no journal, so it must never come back
//! log/00000001.seg    segments of the journal
//! snap/000000000001.snap    snapshots
//! ```
//! A directory is *blank* (nothing of anybody's in it), *ours* (it has an `identity`), or *foreign*. Only a blank one
//! is formatted, only one of ours is opened; everything else is refused with a sentence that says what to do. What the
//! files contain is the journal's business.

use ios_core::interface::{DiskError, FileId, ReadDisk};
use rustix::fs::{FlockOperation, flock};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

const LOCK: &str = "LOCK";
const IDENTITY: &str = "identity";
const LOG: &str = "log";
const SNAPSHOTS: &str = "snap";
const FORGETFUL: &str = "FORGETFUL";

/// A data directory locked by this process, until dropped.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Kept open: the lock lives as long as the file.
    _lock: File,
}

/// Why a data directory cannot be used.
#[derive(Debug)]
pub enum DirectoryError {
    /// There is no such directory.
    Missing(PathBuf),
    /// It is there, and nothing was ever formatted in it.
    Blank(PathBuf),
    /// It is there already and belongs to a node.
    Formatted(PathBuf),
    /// It holds something that is not a node's.
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What was found in it.
        found: String,
    },
    /// Another process uses it.
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other process, if it said.
        pid: Option<u32>,
    },
    /// Its node kept no journal, so nobody knows what it promised.
    Forgotten(PathBuf),
    /// The system refused.
    Unusable {
        /// What was touched.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Writing the first files failed.
    Format {
        /// The directory.
        path: PathBuf,
        /// The file.
        file: FileId,
        /// What the disk said.
        error: DiskError,
    },
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => {
                write!(f, "data directory {} does not exist; `ios init` makes and formats it", path.display())
            }
            Self::Blank(path) => write!(
                f,
                "data directory {} was never formatted; run `ios init` (or `ios serve --init`). If this node has \
                 served before, its disk is lost: do not format a new one under the same id",
                path.display()
            ),
            Self::Formatted(path) => write!(
                f,
                "data directory {} is formatted already; formatting it again would forget what this node promised. \
                 Start it with `ios serve`",
                path.display()
            ),
            Self::Foreign { path, found } => write!(
                f,
                "directory {} holds \"{found}\", which is no node's data; name an empty or a new directory",
                path.display()
            ),
            Self::Locked { path, pid } => {
                write!(f, "data directory {} is in use by another process", path.display())?;
                if let Some(pid) = pid {
                    write!(f, " (pid {pid})")?;
                }
                f.write_str(
                    "; two processes on one directory would break their promises to each other. Stop that one first",
                )
            }
            Self::Forgotten(path) => write!(
                f,
                "the node of data directory {} ran without a journal ([unsafe] forget), so what it promised is \
                 forgotten and it must not come back; found a new cluster in new directories",
                path.display()
            ),
            Self::Unusable { path, doing, error } => {
                write!(f, "cannot {doing} {}: {error}; check the path and its permissions", path.display())
            }
            Self::Format { path, file, error } => {
                write!(f, "formatting {} failed at {file}: {error}; remove the directory and try again", path.display())
            }
        }
    }
}

impl std::error::Error for DirectoryError {}

impl Directory {
    /// Locks a formatted directory.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        match survey(path)? {
            Survey::Missing => Err(DirectoryError::Missing(path.to_owned())),
            Survey::Blank => Err(DirectoryError::Blank(path.to_owned())),
            Survey::Foreign(found) => Err(DirectoryError::Foreign { path: path.to_owned(), found }),
            Survey::Ours if path.join(FORGETFUL).exists() => Err(DirectoryError::Forgotten(path.to_owned())),
            Survey::Ours => {
                let locked = Self::lock(path)?;
                // A directory of the first version has none.
                make_inside(path, SNAPSHOTS)?;
                Ok(locked)
            }
        }
    }

    /// Marks the directory as that of a node which keeps no journal: it is opened this once and never again.
    pub fn mark_forgetful(&self) -> Result<(), DirectoryError> {
        let path = self.path.join(FORGETFUL);
        File::create_new(&path)
            .and_then(|mark| mark.sync_all())
            .and_then(|()| File::open(&self.path)?.sync_all())
            .map_err(unusable(&path, "make"))
    }

    /// Makes the directory if need be and locks it, provided that it is blank. The caller writes the first files.
    pub fn make(path: &Path) -> Result<Self, DirectoryError> {
        match survey(path)? {
            Survey::Ours => return Err(DirectoryError::Formatted(path.to_owned())),
            Survey::Foreign(found) => return Err(DirectoryError::Foreign { path: path.to_owned(), found }),
            Survey::Missing | Survey::Blank => {}
        }
        make_inside(path, LOG)?;
        make_inside(path, SNAPSHOTS)?;
        for made in path.ancestors().take(2) {
            // The directory's own name must survive a power loss as well as what is in it.
            let made = if made.as_os_str().is_empty() { Path::new(".") } else { made };
            File::open(made).and_then(|directory| directory.sync_all()).map_err(unusable(made, "sync"))?;
        }
        let locked = Self::lock(path)?;
        // Another process may have formatted it between the look and the lock.
        match survey(path)? {
            Survey::Blank => Ok(locked),
            _ => Err(DirectoryError::Formatted(path.to_owned())),
        }
    }

    /// Whether there is nothing of anybody's at `path`.
    pub fn is_blank(path: &Path) -> Result<bool, DirectoryError> {
        Ok(matches!(survey(path)?, Survey::Missing | Survey::Blank))
    }

    fn lock(path: &Path) -> Result<Self, DirectoryError> {
        let file = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .map_err(unusable(&file, "open"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(DirectoryError::Locked { path: path.to_owned(), pid });
            }
            Err(error) => return Err(unusable(&file, "lock")(error.into())),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(unusable(&file, "write"))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of it is.
    pub fn file(&self, file: FileId) -> PathBuf {
        file_path(&self.path, file)
    }
}

/// Where `file` lies under a data directory.
pub(crate) fn file_path(root: &Path, file: FileId) -> PathBuf {
    root.join(file.to_string())
}

/// Makes a directory in a data directory, if it is not there, and makes its name durable.
fn make_inside(path: &Path, name: &str) -> Result<(), DirectoryError> {
    let inside = path.join(name);
    fs::create_dir_all(&inside).map_err(unusable(&inside, "make"))?;
    File::open(path).and_then(|directory| directory.sync_all()).map_err(unusable(path, "sync"))
}

fn unusable(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |error| DirectoryError::Unusable { path, doing, error }
}

enum Survey {
    Missing,
    Blank,
    Ours,
    Foreign(String),
}

fn survey(path: &Path) -> Result<Survey, DirectoryError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Survey::Missing),
        Err(error) => return Err(unusable(path, "read data directory")(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(unusable(path, "read data directory"))?.file_name());
    }
    names.sort_unstable();
    if names.iter().any(|name| name == IDENTITY) {
        return Ok(Survey::Ours);
    }
    // A file system of its own comes with `lost+found`.
    let stranger = names.iter().find(|name| ![LOCK, LOG, SNAPSHOTS, "lost+found"].iter().any(|ours| name == ours));
    if let Some(stranger) = stranger {
        return Ok(Survey::Foreign(stranger.to_string_lossy().into_owned()));
    }
    // Segments without an identity are a damaged node, not an empty place.
    match fs::read_dir(path.join(LOG)) {
        Ok(mut segments) => match segments.next() {
            Some(Ok(segment)) => Ok(Survey::Foreign(format!("log/{}", segment.file_name().to_string_lossy()))),
            Some(Err(error)) => Err(unusable(&path.join(LOG), "read")(error)),
            None => Ok(Survey::Blank),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Survey::Blank),
        Err(error) => Err(unusable(&path.join(LOG), "read")(error)),
    }
}

impl ReadDisk for Directory {
    fn files(&mut self) -> Result<Vec<(FileId, u64)>, DiskError> {
        let mut files = Vec::new();
        if let Ok(metadata) = fs::metadata(self.file(FileId::Identity)) {
            files.push((FileId::Identity, metadata.len()));
        }
        for directory in [LOG, SNAPSHOTS] {
            for entry in fs::read_dir(self.path.join(directory)).map_err(|error| disk_error(&error))? {
                let entry = entry.map_err(|error| disk_error(&error))?;
                if let Some(file) = file_named(directory, &entry.file_name().to_string_lossy()) {
                    let metadata = entry.metadata().map_err(|error| disk_error(&error))?;
                    files.push((file, metadata.len()));
                }
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn read(&mut self, file: FileId, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let file = File::open(self.file(file)).map_err(|error| disk_error(&error))?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(disk_error(&error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// Reads back exactly what [`FileId`] prints.
fn file_named(directory: &str, name: &str) -> Option<FileId> {
    let number: u64 = name.split_once('.')?.0.parse().ok()?;
    let files = [FileId::Segment(number), FileId::Snapshot(number)];
    files.into_iter().find(|file| file.to_string() == format!("{directory}/{name}"))
}

/// What the core needs to know of a system's error.
pub(crate) fn disk_error(error: &io::Error) -> DiskError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskError::Full,
        io::ErrorKind::ReadOnlyFilesystem => DiskError::ReadOnly,
        _ => DiskError::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(result: Result<Directory, DirectoryError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn only_blank_directories_are_made_and_only_formatted_ones_opened() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("n0");
        assert!(refusal(Directory::open(&path)).contains("`ios init`"));
        drop(Directory::make(&path).unwrap());
        assert!(refusal(Directory::open(&path)).contains("never formatted"));
        drop(Directory::make(&path).expect("an interrupted init may be repeated"));
        fs::write(path.join(IDENTITY), b"slots").unwrap();
        assert!(refusal(Directory::make(&path)).contains("formatted already"));
        let held = Directory::open(&path).unwrap();
        let second = refusal(Directory::open(&path));
        assert!(second.contains(&format!("in use by another process (pid {})", std::process::id())), "{second}");
        drop(held);
        Directory::open(&path).unwrap().mark_forgetful().unwrap();
        assert!(refusal(Directory::open(&path)).contains("must not come back"));
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis.tex"), b"precious").unwrap();
        assert!(refusal(Directory::make(parent.path())).contains("\"thesis.tex\""));
        assert!(refusal(Directory::open(parent.path())).contains("\"thesis.tex\""));

        let orphan = tempfile::tempdir().unwrap();
        fs::create_dir(orphan.path().join(LOG)).unwrap();
        fs::write(orphan.path().join("log/00000001.seg"), b"").unwrap();
        assert!(refusal(Directory::make(orphan.path())).contains("log/00000001.seg"));

        let file = parent.path().join("thesis.tex");
        assert!(refusal(Directory::open(&file)).contains("cannot read data directory"));
    }

    #[test]
    fn files_are_listed_in_order_and_read_up_to_their_end() {
        let parent = tempfile::tempdir().unwrap();
        let mut directory = Directory::make(&parent.path().join("n0")).unwrap();
        let names = ["log/00000002.seg", "log/00000010.seg", "log/2.seg", "log/00000003.tmp", "log/000000000003.snap"];
        for name in names.into_iter().chain(["snap/000000000007.snap", "snap/00000007.seg", "identity"]) {
            fs::write(directory.path().join(name), b"0123456789").unwrap();
        }
        assert_eq!(
            directory.files().unwrap(),
            [(FileId::Identity, 10), (FileId::Segment(2), 10), (FileId::Segment(10), 10), (FileId::Snapshot(7), 10)]
        );
        assert_eq!(directory.read(FileId::Segment(2), 8, 5).unwrap(), b"89");
        assert_eq!(directory.read(FileId::Segment(2), 20, 5).unwrap(), b"");
        assert_eq!(directory.read(FileId::Segment(3), 0, 1), Err(DiskError::Io));
    }
}

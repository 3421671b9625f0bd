//! A disk in memory that does what it is told, at once: for examples, benchmarks, and embedders' own tests. The
//! simulator's disk, which lies, is elsewhere.

use crate::interface::{DiskAction, DiskError, DiskResult, FileId, ReadDisk};
use alloc::{collections::BTreeMap, vec, vec::Vec};

/// Files by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RamDisk {
    files: BTreeMap<FileId, Vec<u8>>,
}

impl RamDisk {
    /// Performs an action. Writing to a file that does not exist fails, as it would on a real disk.
    pub fn perform(&mut self, action: &DiskAction) -> DiskResult {
        match action {
            DiskAction::Create { file, size, head } => {
                let mut content = vec![0; *size as usize];
                content[..head.len()].copy_from_slice(head);
                self.files.insert(*file, content);
            }
            DiskAction::Write { file, writes } => {
                let Some(content) = self.files.get_mut(file) else { return DiskResult::Failed(DiskError::Io) };
                for (offset, bytes) in writes {
                    let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                    if end > content.len() {
                        content.resize(end, 0);
                    }
                    content[start..end].copy_from_slice(bytes);
                }
            }
            DiskAction::Remove { file } => {
                self.files.remove(file);
            }
            DiskAction::Read { file, offset, length } => {
                return match self.read(*file, *offset, *length as usize) {
                    Ok(bytes) => DiskResult::Read(bytes.into()),
                    Err(error) => DiskResult::Failed(error),
                };
            }
        }
        DiskResult::Done
    }
}

impl ReadDisk for RamDisk {
    fn files(&mut self) -> Result<Vec<(FileId, u64)>, DiskError> {
        Ok(self.files.iter().map(|(file, content)| (*file, content.len() as u64)).collect())
    }

    fn read(&mut self, file: FileId, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let content = self.files.get(&file).ok_or(DiskError::Io)?;
        let start = (offset as usize).min(content.len());
        let end = start.saturating_add(length).min(content.len());
        Ok(content[start..end].to_vec())
    }
}

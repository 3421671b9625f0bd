//! A disk whose operations end when the script says so, and whose contents can be damaged.

use ios_core::{
    ids::{Index, OpId},
    interface::{DiskAction, DiskResult, FileId, ReadDisk},
    journal::{Extent, Fact, extents},
    ram_disk::RamDisk,
};
use std::collections::VecDeque;

/// What a power loss leaves, and what lies in front of it.
#[derive(Default)]
pub struct Disk {
    durable: RamDisk,
    /// Written by a life that died before its sync: readable, and lost with the power.
    cached: Vec<DiskAction>,
    pending: VecDeque<(OpId, DiskAction)>,
    /// What durable writes said, and where.
    extents: Vec<(FileId, Extent)>,
    /// Whether operations end only by command.
    pub manual: bool,
}

/// Bytes of a record before its payload.
const RECORD_HEADER: u64 = 96;
const IDENTITY_SLOT: u64 = 4096;

impl Disk {
    /// Accepts an operation.
    pub fn ask(&mut self, op: OpId, action: DiskAction) {
        self.pending.push_back((op, action));
    }

    /// Ends the oldest operation: what was written to the file before is durable with it.
    pub fn complete(&mut self) -> Option<(OpId, DiskResult)> {
        let (op, action) = self.pending.pop_front()?;
        let (synced, rest): (Vec<_>, Vec<_>) = self.cached.drain(..).partition(|cached| cached.file() == action.file());
        self.cached = rest;
        for action in synced {
            self.perform(&action);
        }
        Some((op, self.perform(&action)))
    }

    /// Drops the oldest operation: it failed.
    pub fn fail(&mut self) -> Option<OpId> {
        self.pending.pop_front().map(|(op, _)| op)
    }

    fn perform(&mut self, action: &DiskAction) -> DiskResult {
        if let DiskAction::Write { file, writes } = action {
            self.extents.extend(extents(*file, writes).into_iter().map(|extent| (*file, extent)));
        }
        self.durable.perform(action)
    }

    /// The process dies: what it wrote without a sync stays readable.
    pub fn process_died(&mut self) {
        self.cached.extend(self.pending.drain(..).map(|(_, action)| action));
    }

    /// The power goes: what was not synced is lost; or half of each piece of it, if `torn`.
    pub fn power_lost(&mut self, torn: bool) {
        self.process_died();
        let lost = std::mem::take(&mut self.cached);
        for action in lost.into_iter().filter(|_| torn) {
            if let DiskAction::Write { file, writes } = action {
                let half = writes.into_iter().map(|(offset, bytes)| (offset, bytes.slice(..bytes.len() / 2)));
                self.durable.perform(&DiskAction::Write { file, writes: half.collect() });
            }
        }
    }

    /// What a node that opens finds.
    pub fn readable(&self) -> RamDisk {
        let mut disk = self.durable.clone();
        for action in &self.cached {
            disk.perform(action);
        }
        disk
    }

    /// Flips a bit in the newest record of `index`: in its body, its header, its id slot, or in both of the latter.
    pub fn rot_record(&mut self, index: Index, part: &str) -> Result<(), String> {
        let record = |fact: &Fact| match fact {
            Fact::Accepted { index: found, .. } | Fact::Committed { index: found, .. } => *found == index,
            _ => false,
        };
        // Floors have slots, too, and no batch.
        let slot =
            |fact: &Fact| matches!(fact, Fact::Slot { index: found, digest, .. } if *found == index && digest.0 != 0);
        match part {
            "body" => self.rot(record, RECORD_HEADER),
            "header" => self.rot(record, 20),
            "slot" => self.rot(slot, 20),
            "header+slot" => self.rot(record, 20).and_then(|()| self.rot(slot, 20)),
            _ => Err(format!("a record has a body, a header and a slot, no `{part}`")),
        }
    }

    fn rot(&mut self, is_it: impl Fn(&Fact) -> bool, at: u64) -> Result<(), String> {
        let found = self.extents.iter().rev().find(|(_, extent)| is_it(&extent.fact));
        let Some((file, extent)) = found else { return Err("nothing of that is durable".to_string()) };
        let (file, offset) = (*file, extent.offset + at);
        self.flip(file, offset)
    }

    /// Flips a bit in each of the first `count` identity slots, within what it holds.
    pub fn rot_identity(&mut self, count: u64) -> Result<(), String> {
        (0..count).try_for_each(|slot| self.flip(FileId::Identity, slot * IDENTITY_SLOT + 20))
    }

    /// Flips a bit in the first block of the newest snapshot.
    pub fn rot_snapshot(&mut self) -> Result<(), String> {
        let files = self.durable.files().map_err(|error| error.to_string())?;
        let newest = files.iter().rev().find(|(file, _)| matches!(file, FileId::Snapshot(_)));
        let (file, _) = newest.ok_or("there is no snapshot")?;
        self.flip(*file, IDENTITY_SLOT + 40)
    }

    fn flip(&mut self, file: FileId, offset: u64) -> Result<(), String> {
        let byte = self.durable.read(file, offset, 1).map_err(|error| error.to_string())?[0];
        let damage = DiskAction::Write { file, writes: vec![(offset, vec![byte ^ 1].into())] };
        match self.durable.perform(&damage) {
            DiskResult::Done | DiskResult::Read(_) => Ok(()),
            DiskResult::Failed(error) => Err(error.to_string()),
        }
    }
}

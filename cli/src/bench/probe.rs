//! One at a time: what a synced write costs on a disk, and what a put costs next to it.

use super::{
    local::{LocalCluster, Room},
    report::{histogram, times},
};
use crate::{
    arguments::{BenchPut, Global, Measure},
    cluster::Connection,
    exit::{Exit, Failure},
};
use bytes::Bytes;
use hdrhistogram::Histogram;
use ios_core::{
    interface::{DiskAction, DiskResult, FileId},
    service::{
        Access,
        kv::{Operation, request::encode},
    },
};
use runtime::{
    clock::Clock,
    disk::{Files, Persistence},
};
use std::path::Path;

/// Synced writes go round in a file of this many slots, filled with zeros before, as the journal's segments are.
const SLOTS: u64 = 1024;
/// Puts made before measuring begins.
const WARM_UP: u64 = 100;

/// Measures one synced write.
pub fn disk(global: &Global, measure: &Measure) -> Result<Exit, Failure> {
    let room = Room::make(&measure.data)?;
    let mut probe = Probe::new(room.path(), measure.size)?;
    for _ in 0..measure.count {
        probe.once()?;
    }
    times(global, &[("write+fdatasync", &probe.times)])?;
    Ok(Exit::Ok)
}

/// Measures one put at a time, and after each one synced write of the same size.
pub fn put(global: &Global, bench: &BenchPut) -> Result<Exit, Failure> {
    let room = Room::make(&bench.measure.data)?;
    let mut probe = Probe::new(room.path(), bench.measure.size)?;
    let mut global = global.clone();
    let cluster = if LocalCluster::is_wanted(&global) {
        let cluster = LocalCluster::start(bench.nodes, &room)?;
        global.endpoints = cluster.endpoints();
        Some(cluster)
    } else {
        None
    };
    let mut connection = Connection::open(&global)?;
    let mut clock = Clock::default();
    let mut puts = histogram();
    let value = vec![b'x'; bench.measure.size as usize];
    for round in 0..bench.measure.count + WARM_UP {
        let key = format!("bench/{}", round % SLOTS);
        let request = encode(&[Operation::Put { key: key.as_bytes(), value: &value }]);
        let request = request.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let begun = clock.now();
        connection.ask(Access::Write, request)?;
        let took = clock.now().since(begun);
        if round >= WARM_UP {
            puts.saturating_record(took.0);
            probe.once()?;
        }
    }
    connection.close();
    if let Some(cluster) = cluster {
        cluster.stop()?;
    }
    times(&global, &[("put", &puts), ("write+fdatasync", &probe.times)])?;
    Ok(Exit::Ok)
}

/// One synced write after the other, timed.
struct Probe {
    files: Files,
    clock: Clock,
    times: Histogram<u64>,
    bytes: Bytes,
    written: u64,
}

impl Probe {
    fn new(root: &Path, size: u32) -> Result<Self, Failure> {
        let mut probe = Self {
            files: Files::new(root, Persistence::Dsync),
            clock: Clock::default(),
            times: histogram(),
            bytes: Bytes::from(vec![0x5a; size as usize]),
            written: 0,
        };
        let size = SLOTS * u64::from(size);
        probe.perform(&DiskAction::Create { file: FileId::Segment(0), size, head: Bytes::new() })?;
        Ok(probe)
    }

    fn once(&mut self) -> Result<(), Failure> {
        let at = self.written % SLOTS * self.bytes.len() as u64;
        self.written += 1;
        let write = DiskAction::Write { file: FileId::Segment(0), writes: vec![(at, self.bytes.clone())] };
        let begun = self.clock.now();
        self.perform(&write)?;
        self.times.saturating_record(self.clock.now().since(begun).0);
        Ok(())
    }

    fn perform(&mut self, action: &DiskAction) -> Result<(), Failure> {
        match self.files.perform(action) {
            DiskResult::Done | DiskResult::Read(_) => Ok(()),
            DiskResult::Failed(error) => Err(Failure::system("write to the disk", error)),
        }
    }
}

//! `ios bench`: what a disk and a put cost on this machine.

use crate::{
    arguments::{BenchPut, Format, Global, Measure},
    cluster::Connection,
    config::{ClusterFile, Member},
    exit::{Exit, Failure},
    say::{data, line, talk},
    serve::start,
};
use bytes::Bytes;
use hdrhistogram::Histogram;
use ios_core::{
    configuration::{Configuration, ConfigurationDraft},
    ids::NodeId,
    interface::{DiskAction, DiskResult, FileId},
    service::{
        Access,
        kv::{Operation, request::encode},
    },
};
use runtime::{
    clock::Clock,
    disk::{Files, Persistence},
    server::{self, Server},
};
use serde_json::json;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

/// Synced writes go round in a file of this many slots, filled with zeros before, as the journal's segments are.
const SLOTS: u64 = 1024;
/// Puts made before measuring begins.
const WARM_UP: u64 = 100;

/// Measures one synced write.
pub fn disk(global: &Global, measure: &Measure) -> Result<Exit, Failure> {
    let room = Room::make(&measure.data)?;
    let mut probe = Probe::new(&room.path, measure.size)?;
    for _ in 0..measure.count {
        probe.once()?;
    }
    report(global, &[("write+fdatasync", &probe.times)])?;
    Ok(Exit::Ok)
}

/// Measures one put at a time, and after each one synced write of the same size.
pub fn put(global: &Global, bench: &BenchPut) -> Result<Exit, Failure> {
    let room = Room::make(&bench.measure.data)?;
    let mut probe = Probe::new(&room.path, bench.measure.size)?;
    let mut global = global.clone();
    let servers = if global.endpoints.is_empty() && global.config.is_none() {
        let file = local_cluster(bench.nodes)?;
        global.endpoints = file.members.iter().map(|member| member.client.clone()).collect();
        start_all(&file, &room.path)?
    } else {
        Vec::new()
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
    for server in servers {
        server.stopper().stop();
        server.join().map_err(|_| Failure::new(Exit::Invariant, "a member panicked"))?;
    }
    report(&global, &[("put", &puts), ("write+fdatasync", &probe.times)])?;
    Ok(Exit::Ok)
}

/// A directory that goes away with its owner.
struct Room {
    path: PathBuf,
}

impl Room {
    fn make(parent: &Path) -> Result<Self, Failure> {
        let path = parent.join(format!("ios-bench-{}", std::process::id()));
        fs::create_dir_all(path.join("log"))
            .map_err(|error| Failure::system(&format!("make {}", path.display()), error))?;
        Ok(Self { path })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            talk(format_args!("ios: {} is not removed: {error}", self.path.display()));
        }
    }
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

fn local_cluster(nodes: u8) -> Result<ClusterFile, Failure> {
    let mut addresses = free_addresses(2 * usize::from(nodes))?.into_iter();
    let mut next = || addresses.next().expect("two for each");
    let members: Vec<Member> = (0..nodes).map(|id| Member { id: NodeId(id), peer: next(), client: next() }).collect();
    let draft = ConfigurationDraft { members: members.iter().map(|member| member.id).collect(), ..Default::default() };
    let configuration = Configuration::new(draft).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    Ok(ClusterFile { members, configuration, ..ClusterFile::single() })
}

/// Addresses of this machine that nobody listens on, all different because all are taken before any is given back.
fn free_addresses(count: usize) -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::system("find a free port", error);
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>().map_err(failed)?;
    let address = |listener: &TcpListener| listener.local_addr().map(|address| address.to_string());
    listeners.iter().map(address).collect::<Result<_, _>>().map_err(failed)
}

fn start_all(file: &ClusterFile, root: &Path) -> Result<Vec<Server>, Failure> {
    let mut servers = Vec::new();
    for member in &file.members {
        let directory = root.join(format!("n{}", member.id.0));
        server::format(&directory, member.id, &file.configuration).map_err(Failure::server)?;
        servers.push(start(file, member.id, directory)?);
    }
    Ok(servers)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("the bounds make sense")
}

const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

fn report(global: &Global, rows: &[(&str, &Histogram<u64>)]) -> Result<(), Failure> {
    if global.output == Some(Format::Json) {
        let rows = rows.iter().map(|(name, times)| {
            let mut row = json!({"name": name, "count": times.len(), "mean_ns": times.mean() as u64});
            for (quantile, at) in QUANTILES {
                row[format!("{quantile}_ns")] = times.value_at_quantile(at).into();
            }
            row
        });
        return line(serde_json::Value::from_iter(rows));
    }
    let mut heading = vec!["TIMES IN us", "COUNT"];
    heading.extend(QUANTILES.map(|(name, _)| name));
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, times)| {
            let mut row = vec![(*name).to_owned(), times.len().to_string()];
            row.extend(QUANTILES.map(|(_, at)| (times.value_at_quantile(at) / 1000).to_string()));
            row
        })
        .collect();
    data(crate::verbs::columns(&heading, &rows).as_bytes())
}

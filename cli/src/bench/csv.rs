//! The two tables that the prototype wrote, in its form: whoever has scripts for them keeps them.
//!
//! - `latency.csv`, no heading: `start_unix_ns,request_id,latency_ns,tries,readonly`, a line for each request done.
//! - `results.csv`: `clients,total time [ms],throughput [req/sec],throughput [Kbps]`, a line for each run.
//!
//! Both grow: a line is never taken away.

use crate::exit::Failure;
use ios_core::time::Span;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

const HEADING: &str = "clients,total time [ms],throughput [req/sec],throughput [Kbps]";

/// Both tables.
pub struct Tables {
    latency: BufWriter<File>,
    results: File,
    directory: PathBuf,
}

impl Tables {
    /// Opens them in a directory, which is made if it is not there.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let open = |name: &str| File::options().create(true).append(true).open(directory.join(name));
        let files = fs::create_dir_all(directory).and_then(|()| Ok((open("latency.csv")?, open("results.csv")?)));
        let (latency, mut results) = files.map_err(|error| failed(directory, error))?;
        let is_new = results.metadata().is_ok_and(|metadata| metadata.len() == 0);
        if is_new {
            writeln!(results, "{HEADING}").map_err(|error| failed(directory, error))?;
        }
        Ok(Self { latency: BufWriter::with_capacity(1 << 20, latency), results, directory: directory.to_owned() })
    }

    /// A request that was done.
    pub fn request(&mut self, begun_unix_ns: u64, number: u64, took: Span, tries: u32, read: bool) -> io::Result<()> {
        writeln!(self.latency, "{begun_unix_ns},{number},{},{tries},{read}", took.0)
    }

    /// A run that has ended.
    pub fn run(&mut self, clients: u32, total: Span, per_second: f64, kbps: f64) -> Result<(), Failure> {
        let row = format!("{clients},{},{per_second:.2},{kbps:.2}", total.0 / 1_000_000);
        let written = self.latency.flush().and_then(|()| writeln!(self.results, "{row}"));
        written.map_err(|error| failed(&self.directory, error))
    }
}

fn failed(directory: &Path, error: io::Error) -> Failure {
    Failure::system(&format!("write results in {}", directory.display()), error)
}

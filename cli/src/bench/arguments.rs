//! The command line of `ios bench run` and `ios bench sweep`.

use clap::Args;
use ios_core::time::Span;
use std::path::PathBuf;

/// How to measure many clients at once.
#[derive(Args, Clone, Debug)]
pub struct BenchRun {
    /// How many clients; each waits for its answer before it asks again
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub clients: u32,
    /// Open loop: so many requests a second are due on schedule, whether or not earlier ones were answered; latency
    /// counts from the scheduled moment, even if all clients were busy then
    #[arg(long, value_name = "PER_SECOND", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    #[arg(conflicts_with = "interval")]
    pub rate: Option<u64>,
    /// What they ask, and for how long.
    #[command(flatten)]
    pub load: Load,
}

/// How to measure one number of clients after the other.
#[derive(Args, Clone, Debug)]
pub struct BenchSweep {
    /// The first number of clients
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub clients_min: u32,
    /// The last
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub clients_max: u32,
    /// By how many it grows from run to run
    #[arg(long, value_name = "N", default_value_t = 51, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub clients_step: u32,
    /// What they ask, and for how long.
    #[command(flatten)]
    pub load: Load,
}

/// What is asked, for how long, and where results go. What is not given is taken from the workload file, or else is as
/// said here.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// A workload file, whose section "config" says reads, interval, keys, keySize, valueSize, requests
    #[arg(long, value_name = "FILE")]
    pub workload: Option<PathBuf>,
    /// How many in a hundred requests are reads [default: 0]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub reads: Option<u8>,
    /// How many keys there are [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub keys: Option<u64>,
    /// Bytes of a key [default: 16]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub key_size: Option<u32>,
    /// Bytes of a value [default: 64]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub value_size: Option<u32>,
    /// How long a client rests between an answer and its next request [default: 0]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(0..=3_600_000))]
    pub interval: Option<u32>,
    /// How long to measure [default: 6, unless a number of requests is given]
    #[arg(long, value_name = "S", conflicts_with = "requests")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: Option<u32>,
    /// How many requests to measure, of all clients together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// How long to run before measuring, as in 500ms; 0s not at all
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = warm_up)]
    pub warm_up: Span,
    /// Connections to the leader that the clients share
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub connections: u32,
    /// Append latency.csv (a line for each request done) and results.csv (a line for each run) in this directory
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// Write a page with plots, complete in one file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Members of the cluster that is started for it, unless endpoints are given
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=10))]
    pub nodes: u8,
    /// Where that cluster keeps its data; a temporary directory is made in it and removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub data: PathBuf,
}

fn warm_up(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error| format!("{error}"))
}

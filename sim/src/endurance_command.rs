//! `sim endurance`: what the command line says, and what the system says of this process.

use clap::Args;
use sim::{
    scenario::parse,
    study::endurance::{self, Usage},
};

/// How long, and how often snapshots are taken.
#[derive(Args)]
pub struct EnduranceArgs {
    /// How many requests are committed, one a batch
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    commits: u64,
    /// Batches between two snapshots; with 0 none are taken, and the cluster grows
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    snapshot_interval: u64,
    /// Keys every choice
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse::seed)]
    seed: u64,
}

/// Runs the cluster. Returns what to print, and whether everything is as it should be.
pub fn endurance(args: &EnduranceArgs) -> (String, bool) {
    let setup = endurance::setup(args.snapshot_interval, args.seed);
    let stretches = endurance::run(&setup, args.commits, &usage);
    let findings = endurance::findings(&stretches);
    (endurance::text(&stretches, &findings), findings.iter().all(|finding| finding.holds))
}

/// What Linux tells of this process; other systems are not asked.
fn usage() -> Usage {
    let word = |file: &str, place: usize| -> Option<u64> {
        std::fs::read_to_string(file).ok()?.split_whitespace().nth(place)?.parse().ok()
    };
    let pages = word("/proc/self/statm", 1);
    Usage { processor: word("/proc/self/schedstat", 0), memory: pages.map(|pages| pages * PAGE) }
}

/// Bytes of a page, as `statm` counts them on the machines this runs on.
const PAGE: u64 = 4096;

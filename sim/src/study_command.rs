//! `sim study`: what the command line says, and where the results go.

use clap::Args;
use indicatif::ProgressBar;
use ios_core::time::Span;
use sim::{
    scenario::parse,
    study::{
        Part, Plan,
        findings::findings,
        page,
        setup::{Conditions, MODES, Mode, Setup},
        table,
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is studied, and where the figures go.
#[derive(Args)]
pub struct StudyArgs {
    /// Write one line a run to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write a page with plots and tables to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Questions: grid (what a commit costs), outages, followers
    #[arg(long, value_name = "PART,...", value_delimiter = ',', value_parser = part,
        default_value = "grid,outages,followers")]
    parts: Vec<Part>,
    /// Cluster sizes of the grid
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "3,4,5,6,7,8,9,10",
        value_parser = clap::value_parser!(u8).range(1..=i64::from(Setup::NODES_MAX)))]
    nodes: Vec<u8>,
    /// Ways of replicating; all if absent
    #[arg(long, value_name = "MODE,...", value_delimiter = ',', value_parser = mode)]
    modes: Vec<Mode>,
    /// How often each outage is tried
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    tries: u16,
    /// Rate of each machine's uplink, and of its downlink, in kbit/s
    #[arg(long, value_name = "KBIT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// From a machine to the switch, one way
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = span)]
    hop: Span,
    /// How long a disk operation takes, about
    #[arg(long, value_name = "TIME", default_value = "500us", value_parser = span)]
    sync: Span,
    /// Clients, each waiting for one request at a time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=200))]
    outstanding: u8,
    /// Bytes of the value in each request
    #[arg(long, value_name = "BYTES", default_value_t = 464, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    payload: u32,
    /// Most requests in one batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch: u32,
    /// For how long of virtual time each run is measured
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    measure: Span,
    /// Keys every choice
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse::seed)]
    seed: u64,
    /// Threads; as many as there are processors if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

/// Makes the study and writes what was asked for. Returns what to print, and whether everything is as it should be.
pub fn study(args: &StudyArgs, bar: &dyn Fn(u64) -> ProgressBar) -> Result<(String, bool), String> {
    let jobs = args.jobs.map(usize::from);
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let plan = plan(args)?;
    let bar = bar(plan.setups().len() as u64);
    let study = plan.run(jobs, &|| bar.inc(1));
    bar.finish_and_clear();
    let findings = findings(&study);
    if let Some(file) = &args.csv {
        write(file, &table::csv(&study))?;
    }
    if let Some(file) = &args.html {
        write(file, &page::html(&study, &findings))?;
    }
    Ok((table::text(&study, &findings), findings.iter().all(|finding| finding.holds)))
}

fn plan(args: &StudyArgs) -> Result<Plan, String> {
    if args.measure < Span::millis(100) {
        return Err("--measure is at least 100ms: a request takes several round trips".into());
    }
    if args.seed > u64::MAX - u64::from(args.tries) {
        return Err("--seed leaves no room for the seeds of further tries after it".into());
    }
    Ok(Plan {
        parts: args.parts.clone(),
        nodes: args.nodes.clone(),
        modes: if args.modes.is_empty() { MODES.to_vec() } else { args.modes.clone() },
        tries: args.tries,
        conditions: Conditions {
            bits_per_second: u64::from(args.rate) * 1000,
            hop: args.hop,
            sync: args.sync,
            outstanding: args.outstanding,
            payload: args.payload as usize,
            batch: args.batch as usize,
            measured: args.measure,
            ..Conditions::default()
        },
        seed: args.seed,
    })
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn part(text: &str) -> Result<Part, String> {
    let found = Part::NAMES.iter().find(|(_, name)| *name == text);
    found.map(|(part, _)| *part).ok_or_else(|| "parts are grid, outages, followers".to_string())
}

fn mode(text: &str) -> Result<Mode, String> {
    MODES.into_iter().find(|mode| mode.name == text).ok_or_else(|| {
        let names: Vec<&str> = MODES.iter().map(|mode| mode.name).collect();
        format!("modes are {}", names.join(", "))
    })
}

fn span(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error: ios_core::time::BadSpan| error.to_string())
}

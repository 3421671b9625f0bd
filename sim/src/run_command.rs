//! `sim --seed N` and `sim --seeds A..B`: one cluster with a report, or a sweep of them.

use crate::{CUT_SHORT, Cli, EXPECTED, VIOLATED, failing::Saver, json, print, profile, progress_bar, read};
use clap::{Args, CommandFactory, error::ErrorKind};
use indicatif::ProgressBar;
use sim::{
    generator::{Profile, generate},
    guard::run_caught,
    outcome::Outcome,
    report::{self, Summary},
    scenario::{Scenario, parse},
    sweep::{self, Campaign, Shard, Sweep},
    world::{self, World},
};
use std::{
    fs,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How many failures are told on standard error; all of them are in the report.
const TOLD_MAX: usize = 20;
/// Seeds of one line of a file to resume from: some five seconds of one core.
const CHUNK: u64 = 1000;

/// What a run takes.
#[derive(Args)]
pub struct RunArgs {
    /// Run the one cluster of this seed, and report on it
    #[arg(long, value_name = "N", value_parser = parse::seed, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run this scenario, with the seed given instead of its own
    #[arg(long, value_name = "FILE", requires = "seed")]
    scenario: Option<PathBuf>,
    /// Run the clusters of seeds A to B, B excluded
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Option<Range<u64>>,
    /// What kind of clusters a seed stands for: swarm (every kind of fault), beyond (more damage than
    /// can be survived, safety only), calm (none), perf (none, large workload)
    #[arg(long, default_value = "swarm", value_parser = profile)]
    profile: Profile,
    /// Threads; as many as there are processors if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Run only every M-th seed, beginning with the K-th (from 0)
    #[arg(long, value_name = "K/M", value_parser = shard)]
    shard: Option<Shard>,
    /// Stop after this time even if seeds are left, such as 90s, 10m, 2h
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    limit: Option<Duration>,
    /// Stop at the first seed that fails
    #[arg(long)]
    first: bool,
    /// Keep what is done in this file, a JSON line for each chunk of seeds, and go on where it ends
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    resume: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Where failing seeds are saved as scenario files
    #[arg(long, value_name = "DIR", default_value = "scenarios/failing")]
    out: PathBuf,
    /// Do not make small what failed
    #[arg(long)]
    no_shrink: bool,
}

/// Runs what the arguments say. Returns the exit code.
pub fn run(args: &RunArgs) -> Result<u8, String> {
    match (args.seed, &args.seeds) {
        (_, Some(seeds)) => run_many(args, seeds.clone()),
        (Some(seed), None) if args.json => match &args.scenario {
            None => run_many(args, seed..seed.checked_add(1).ok_or("the last seed has no range after it")?),
            Some(_) => Err("--json reports on generated seeds; a scenario file is reported on as text".into()),
        },
        (Some(seed), None) => run_one(args, seed),
        (None, None) => {
            let problem = "say what to run: --seed N, --seeds A..B, or a command";
            Cli::command().error(ErrorKind::MissingRequiredArgument, problem).exit()
        }
    }
}

impl RunArgs {
    fn saver(&self) -> Saver {
        Saver::new(&self.out, self.profile, !self.no_shrink)
    }
}

fn run_one(args: &RunArgs, seed: u64) -> Result<u8, String> {
    // Said here, because clap waives what an argument requires once that conflicts with another.
    if args.jobs.is_some() || args.shard.is_some() || args.limit.is_some() || args.first {
        return Err("--jobs, --shard, --for and --first are about a sweep; they go with --seeds A..B".into());
    }
    let (name, scenario) = match &args.scenario {
        Some(file) => (file.display().to_string(), Scenario { seed, ..read(file)? }),
        None => (format!("{} seed {seed}", args.profile.name()), generate(args.profile, seed)),
    };
    let outcome = run_caught(&mut world::run, &scenario);
    print(&report::run(&name, &scenario, &outcome));
    if args.scenario.is_some() {
        let problem = report::against_expectation(&scenario, &outcome);
        if let Some(problem) = &problem {
            print(&format!("{problem}\n"));
        }
        return Ok(if problem.is_none() { EXPECTED } else { VIOLATED });
    }
    let Some(violation) = outcome.violation else { return Ok(EXPECTED) };
    let failure = sweep::failure(seed, scenario, violation);
    print(&format!("saved as {}\n", args.saver().save(&failure)?));
    Ok(VIOLATED)
}

fn run_many(args: &RunArgs, seeds: Range<u64>) -> Result<u8, String> {
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let jobs = args.jobs.map(usize::from);
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let sweep = Sweep { profile: args.profile, seeds, shard, jobs };
    let clock = Clock::start(args, shard.count(&sweep.seeds));
    let (mut summary, complete) = match &args.resume {
        Some(file) => resumed(&sweep, &clock, &mut args.saver(), file)?,
        None => swept(&sweep, &clock, &mut args.saver())?,
    };
    clock.bar.finish_and_clear();
    // A part of a part: what time is left belongs to the seeds.
    if complete {
        summary.checking_share = sweep.split(nanos).per_mille().map(|share| share as f64 / 1000.0);
    }
    print(&if args.json { json(&summary) } else { summary.text() });
    Ok(match (summary.violations.is_empty(), complete) {
        (false, _) => VIOLATED,
        (true, false) => CUT_SHORT,
        (true, true) => EXPECTED,
    })
}

/// Real time: how long a sweep has taken, and whether that is enough.
struct Clock {
    began: Instant,
    limit: Option<Duration>,
    /// Stop at the first failure; whether there was one.
    first: bool,
    failed: AtomicBool,
    bar: ProgressBar,
}

#[expect(clippy::disallowed_types, reason = "how long a sweep may and did take is real time; no run depends on it")]
type Instant = std::time::Instant;

/// Nanoseconds since this was first asked.
fn nanos() -> u64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed().as_nanos() as u64
}

impl Clock {
    fn start(args: &RunArgs, clusters: u64) -> Self {
        let (bar, failed) = (progress_bar(clusters), AtomicBool::new(false));
        Self { began: Instant::now(), limit: args.limit, first: args.first, failed, bar }
    }

    fn is_over(&self) -> bool {
        self.first && self.failed.load(Ordering::Relaxed)
            || self.limit.is_some_and(|limit| self.began.elapsed() >= limit)
    }
}

/// Runs a sweep with a bar on a terminal, within a time limit, perhaps to the first failure; saves what failed.
fn swept(sweep: &Sweep, clock: &Clock, saver: &mut Saver) -> Result<(Summary, bool), String> {
    let began = clock.began.elapsed();
    let campaign = sweep.run(worlds, &|| clock.is_over(), &|failed| {
        clock.bar.inc(1);
        if failed {
            clock.failed.store(true, Ordering::Relaxed);
            clock.bar.println("a seed failed; it is saved when the sweep ends");
        }
    });
    let seconds = (clock.began.elapsed() - began).as_secs_f64();
    for failure in campaign.failures.iter().take(TOLD_MAX) {
        eprintln!("seed {}: {}", failure.seed, failure.violation);
    }
    let saved = campaign.failures.iter().map(|failure| saver.save(failure)).collect::<Result<_, _>>()?;
    Ok((Summary::new(&campaign, &sweep.seeds, sweep.shard, seconds, saved), campaign.complete))
}

/// Runs a sweep chunk by chunk. What is done is in the file, a line each, so that a machine that is taken away costs
/// one chunk at most; a line cut off in its midst is as good as none.
fn resumed(sweep: &Sweep, clock: &Clock, saver: &mut Saver, file: &Path) -> Result<(Summary, bool), String> {
    let broken = |error: std::io::Error| format!("cannot keep {}: {error}", file.display());
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(broken(error)),
    };
    let whole_lines = &before[..before.rfind('\n').map_or(0, |end| end + 1)];
    let head = head_of(sweep);
    let mut lines = whole_lines.lines().enumerate();
    if let Some((_, line)) = lines.next().filter(|(_, line)| *line != head) {
        return Err(format!("{}: it is of another sweep, or of other code: {line} is not {head}", file.display()));
    }
    let mut done = Vec::new();
    for (number, line) in lines {
        let chunk: Summary = serde_json::from_str(line)
            .map_err(|error| format!("{}: line {}: no report of a chunk: {error}", file.display(), number + 1))?;
        done.push(chunk);
    }
    let mut log = fs::OpenOptions::new().create(true).append(true).open(file).map_err(broken)?;
    log.set_len(whole_lines.len() as u64).map_err(broken)?;
    if whole_lines.is_empty() {
        log.write_all(format!("{head}\n").as_bytes()).map_err(broken)?;
    }
    let mut sum = Summary::new(&Campaign::default(), &sweep.seeds, sweep.shard, 0.0, Vec::new());
    for chunk in sweep.chunks(CHUNK) {
        let name = Summary::new(&Campaign::default(), &chunk.seeds, chunk.shard, 0.0, Vec::new());
        if let Some(known) = done.iter().find(|known| known.seeds == name.seeds && known.shard == name.shard) {
            clock.bar.inc(known.clusters);
            sum.append(known)?;
            continue;
        }
        let (part, complete) = swept(&chunk, clock, saver)?;
        sum.append(&part)?;
        if !complete {
            return Ok((sum, false));
        }
        log.write_all(json(&part).as_bytes()).and_then(|()| log.sync_data()).map_err(broken)?;
    }
    Ok((sum, true))
}

/// The first line of a file to resume from: which sweep it is of, and by the digest of its first seed, of which code.
fn head_of(sweep: &Sweep) -> String {
    let Sweep { profile, seeds, shard, .. } = sweep;
    let first = run_caught(&mut world::run, &generate(*profile, shard.seed(seeds, 0)));
    serde_json::json!({
        "profile": profile.name(),
        "seeds": format!("{}..{}", seeds.start, seeds.end),
        "shard": format!("{}/{}", shard.index, shard.of),
        "first": format!("{:016x}", first.digest),
    })
    .to_string()
}

fn worlds() -> impl FnMut(&Scenario) -> Outcome {
    let mut world = World::default();
    move |scenario| world.run(scenario)
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("a range of seeds is written as 0..2000")?;
    let range = parse::seed(from)?..parse::seed(to)?;
    if range.is_empty() { Err(format!("there is no seed in {text}")) } else { Ok(range) }
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    let (index, of) = parts.ok_or("a shard is written as 0/4: which, and of how many")?;
    if index < of { Ok(Shard { index, of }) } else { Err(format!("there is no shard {index} of {of}; the first is 0")) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    let total = number.zip(seconds).and_then(|(number, unit)| number.checked_mul(unit));
    total.map(Duration::from_secs).ok_or_else(|| "a time is written as 90s, 10m or 2h".to_string())
}

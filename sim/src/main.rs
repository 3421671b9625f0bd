//! `sim`: runs simulated clusters, from seeds or from scenario files, and says what broke.
//!
//! Exit codes: 0 as expected, 1 a violation (or a scenario that did not do what it says), 2 usage or unreadable input,
//! 3 time used up before every seed was run, or a history that could not be judged.

mod check_command;
mod diagram_command;
mod endurance_command;
mod failing;
mod shrink_command;
mod planted_command;
mod study_command;

use check_command::CheckArgs;
use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};
use diagram_command::DiagramArgs;
use endurance_command::EnduranceArgs;
use indicatif::{ProgressBar, ProgressStyle};
use ios_core::time::Time;
use planted_command::PlantedArgs;
use shrink_command::ShrinkArgs;
use sim::{
    generator::{Profile, generate},
    oracle::Oracle,
    outcome::{Counter, CounterKind, Outcome},
    report::{self, Summary},
    scenario::{Scenario, parse},
    story,
    sweep::{self, Campaign, Shard, Sweep},
    world::{self, World, told::Told},
};
use std::{
    fs,
    io::{IsTerminal, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use study_command::StudyArgs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs simulated clusters of the real node against hostile networks, disks and clocks.
#[derive(Parser)]
#[command(name = "sim", version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Args)]
struct RunArgs {
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

#[derive(Subcommand)]
enum Command {
    /// Run scenario files; succeed if each ends as it expects and every line of its plan came to act
    Replay {
        /// Scenario files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Use this seed instead of each file's own; then lines of the plan may stay idle
        #[arg(long, value_name = "N", value_parser = parse::seed)]
        seed: Option<u64>,
    },
    /// Join the JSON reports of shards into one
    Merge {
        /// Reports
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the scenario of a seed as text
    Show {
        /// The seed
        #[arg(value_parser = parse::seed)]
        seed: u64,
        /// As for a run
        #[arg(long, default_value = "swarm", value_parser = profile)]
        profile: Profile,
    },
    /// Make a scenario that fails as small as it gets
    Shrink(ShrinkArgs),
    /// Tell the run of a scenario file as a story: which lines mattered, what happened, what went wrong
    Explain {
        /// The scenario
        file: PathBuf,
        /// Tell every single event instead
        #[arg(long)]
        events: bool,
    },
    /// Measure, in virtual time, what quorum sizes and ways of replicating cost and gain; succeed if that is as it
    /// should be
    Study(Box<StudyArgs>),
    /// Commit a million requests in one cluster that takes snapshots; succeed if the last tenth costs and holds no more
    /// than the first
    Endurance(EnduranceArgs),
    /// Judge histories of any system: could every operation have taken effect at one moment between begin and end?
    Check(CheckArgs),
    /// Draw the run of a scenario file as one HTML page: who sent what to whom, and when what went wrong
    Diagram(DiagramArgs),
    /// Plant known bugs in a copy of the tree, one after the other; succeed if the simulator catches each
    Planted(PlantedArgs),
    /// Name the oracles, the kinds of faults and the counters
    List,
}

/// Everything came out as expected.
const EXPECTED: u8 = 0;
/// Something was violated.
const VIOLATED: u8 = 1;
/// The input is unusable.
const UNUSABLE: u8 = 2;
/// Time ran out before seeds did, or a search out of its budget.
const CUT_SHORT: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Replay { files, seed }) => replay(&files, seed),
        Some(Command::Merge { files }) => merge(&files),
        Some(Command::Show { seed, profile }) => {
            print(&generate(profile, seed).to_string());
            Ok(EXPECTED)
        }
        Some(Command::Shrink(args)) => shrink_command::run(&args, &print).map(|()| EXPECTED),
        Some(Command::Explain { file, events }) => explain(&file, events),
        Some(Command::Study(args)) => study(&args),
        Some(Command::Endurance(args)) => endurance(&args),
        Some(Command::Check(args)) => check(&args),
        Some(Command::Diagram(args)) => diagram_command::draw(&args).map(|text| {
            print(&text);
            EXPECTED
        }),
        Some(Command::Planted(args)) => {
            let caught = planted_command::planted(&args, &print);
            caught.map(|caught| if caught { EXPECTED } else { VIOLATED })
        }
        Some(Command::List) => {
            print(&list());
            Ok(EXPECTED)
        }
        None => run(&cli.run),
    };
    ExitCode::from(result.unwrap_or_else(|problem| {
        eprintln!("sim: {problem}");
        UNUSABLE
    }))
}

/// Standard output may be a pipe that nobody reads any more, which is no failure of a run.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn run(args: &RunArgs) -> Result<u8, String> {
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

fn run_one(args: &RunArgs, seed: u64) -> Result<u8, String> {
    // Said here, because clap waives what an argument requires once that conflicts with another.
    if args.jobs.is_some() || args.shard.is_some() || args.limit.is_some() {
        return Err("--jobs, --shard and --for divide a sweep; they go with --seeds A..B".into());
    }
    let (name, scenario) = match &args.scenario {
        Some(file) => (file.display().to_string(), Scenario { seed, ..read(file)? }),
        None => (format!("{} seed {seed}", args.profile.name()), generate(args.profile, seed)),
    };
    let outcome = sweep::run_caught(&mut world::run, &scenario);
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
    for saved in failing::save_all(&args.out, args.profile, &[failure], !args.no_shrink)? {
        print(&format!("saved as {saved}\n"));
    }
    Ok(VIOLATED)
}

fn run_many(args: &RunArgs, seeds: Range<u64>) -> Result<u8, String> {
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let jobs = args.jobs.map(usize::from);
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let sweep = Sweep { profile: args.profile, seeds, shard, jobs };
    let (campaign, seconds) = timed(&sweep, args.limit, args.first);
    let saved = failing::save_all(&args.out, args.profile, &campaign.failures, !args.no_shrink)?;
    let summary = Summary::new(&campaign, &sweep.seeds, shard, seconds, saved);
    if args.json {
        print(&json(&summary));
    } else {
        print(&summary.text());
        for failure in campaign.failures.iter().take(20) {
            print(&format!("seed {}: {}\n", failure.seed, failure.violation));
        }
    }
    Ok(match (campaign.failures.is_empty(), campaign.complete) {
        (false, _) => VIOLATED,
        (true, false) => CUT_SHORT,
        (true, true) => EXPECTED,
    })
}

/// Runs a sweep with a bar on a terminal, within a time limit, perhaps to the first failure; tells how long it took.
#[expect(clippy::disallowed_types, reason = "how long a sweep may and did take is real time; no run depends on it")]
fn timed(sweep: &Sweep, limit: Option<Duration>, first: bool) -> (Campaign, f64) {
    let began = std::time::Instant::now();
    let bar = progress_bar(sweep.shard.count(&sweep.seeds));
    let over = AtomicBool::new(false);
    let enough = || over.load(Ordering::Relaxed) || limit.is_some_and(|limit| began.elapsed() >= limit);
    let campaign = sweep.run(worlds, &enough, &|failed| {
        bar.inc(1);
        if failed {
            over.store(first, Ordering::Relaxed);
            bar.println("a seed failed; it is saved when the sweep ends");
        }
    });
    bar.finish_and_clear();
    (campaign, began.elapsed().as_secs_f64())
}

fn worlds() -> impl FnMut(&Scenario) -> Outcome {
    let mut world = World::default();
    move |scenario| world.run(scenario)
}

fn progress_bar(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} clusters, {per_sec}, {eta} left");
    ProgressBar::new(total).with_style(style.expect("the template is one of indicatif's"))
}

fn json(summary: &Summary) -> String {
    serde_json::to_string(summary).expect("a summary has no keys but strings") + "\n"
}

/// Reads a scenario file.
fn read(file: &Path) -> Result<Scenario, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", file.display()))
}

fn replay(files: &[PathBuf], seed: Option<u64>) -> Result<u8, String> {
    // All are read first: a misspelt file is told before minutes of running.
    let scenarios: Vec<Scenario> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    let mut code = EXPECTED;
    for (file, mut scenario) in files.iter().zip(scenarios) {
        scenario.seed = seed.unwrap_or(scenario.seed);
        let outcome = sweep::run_caught(&mut world::run, &scenario);
        let idle = || report::idle_part(&scenario, &outcome).filter(|_| seed.is_none());
        let problem = report::against_expectation(&scenario, &outcome).or_else(idle);
        let verdict = problem.clone().unwrap_or_else(|| format!("as expected, {}", scenario.expect));
        let name = file.display();
        print(&format!("{name}: {verdict} ({} events, digest {:016x})\n", outcome.events, outcome.digest));
        if let (Some(violation), None) = (&outcome.violation, &problem) {
            print(&format!("  {violation}\n"));
        }
        if problem.is_some() {
            print(&report::run(&name.to_string(), &scenario, &outcome));
            code = VIOLATED;
        }
    }
    Ok(code)
}

fn study(args: &StudyArgs) -> Result<u8, String> {
    let (text, as_expected) = study_command::study(args, &progress_bar)?;
    print(&text);
    Ok(if as_expected { EXPECTED } else { VIOLATED })
}

fn endurance(args: &EnduranceArgs) -> Result<u8, String> {
    let (text, as_expected) = endurance_command::endurance(args);
    print(&text);
    Ok(if as_expected { EXPECTED } else { VIOLATED })
}

fn check(args: &CheckArgs) -> Result<u8, String> {
    let checked = check_command::check(args, &print)?;
    Ok(match (checked.illegal, checked.undecided) {
        (1.., _) => VIOLATED,
        (0, 1..) => CUT_SHORT,
        (0, 0) => EXPECTED,
    })
}

/// Where the line of an event is cut off: whole segments of zeros tell nothing.
const EVENT_WIDTH: usize = 300;

/// Tells the story, or every event and then the report.
fn explain(file: &Path, events: bool) -> Result<u8, String> {
    let scenario = read(file)?;
    let name = file.display().to_string();
    let outcome = if events {
        let tell = |time: Time, told: &Told| {
            let line = format!("{:>12} {told}", time.0 / 1000);
            let end = line.char_indices().nth(EVENT_WIDTH).map_or(line.len(), |(end, _)| end);
            print(&format!("{}\n", &line[..end]));
        };
        let outcome = sweep::run_caught(&mut |scenario| world::trace(scenario, Box::new(tell)), &scenario);
        print(&report::run(&name, &scenario, &outcome));
        outcome
    } else {
        let story = story::tell(&name, &scenario);
        print(&story.text);
        story.outcome
    };
    let as_expected = report::against_expectation(&scenario, &outcome).is_none();
    Ok(if as_expected { EXPECTED } else { VIOLATED })
}

fn merge(files: &[PathBuf]) -> Result<u8, String> {
    let mut parts = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let part: Result<Summary, _> = serde_json::from_str(&text);
        parts.push(part.map_err(|error| format!("{} is no report of a sweep: {error}", file.display()))?);
    }
    let whole = Summary::merge(parts)?;
    print(&json(&whole));
    Ok(if whole.violations.is_empty() { EXPECTED } else { VIOLATED })
}

fn list() -> String {
    let mut text = String::from("oracles\n");
    for oracle in Oracle::ALL {
        text += &format!("  {oracle}\n");
    }
    let kinds = [
        (CounterKind::Fault, "faults injected"),
        (CounterKind::Protocol, "what happened"),
        (CounterKind::Client, "what clients saw"),
    ];
    for (kind, title) in kinds {
        text += &format!("{title}\n");
        for counter in Counter::ALL.iter().filter(|counter| counter.kind() == kind) {
            text += &format!("  {:<22}{}\n", counter.name(), counter.about().trim());
        }
    }
    text
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

fn profile(text: &str) -> Result<Profile, String> {
    let found = Profile::NAMES.iter().find(|(_, name)| *name == text);
    found.map(|(profile, _)| *profile).ok_or_else(|| {
        let names: Vec<&str> = Profile::NAMES.iter().map(|(_, name)| *name).collect();
        format!("profiles are {}", names.join(", "))
    })
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

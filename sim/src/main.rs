//! `sim`: runs simulated clusters, from seeds or from scenario files, and says what broke.
//!
//! Exit codes: 0 as expected, 1 a violation (or a scenario that did not do what it says), 2 usage or unreadable input,
//! 3 time used up before every seed was run, or a history that could not be judged.

mod check_command;
mod diagram_command;
mod endurance_command;
mod failing;
mod planted_command;
mod run_command;
mod shrink_command;
mod study_command;

use check_command::CheckArgs;
use clap::{Parser, Subcommand};
use diagram_command::DiagramArgs;
use endurance_command::EnduranceArgs;
use indicatif::{ProgressBar, ProgressStyle};
use planted_command::PlantedArgs;
use run_command::RunArgs;
use shrink_command::ShrinkArgs;
use sim::{
    generator::{Profile, generate},
    guard::run_caught,
    marks::Mark,
    oracle::Oracle,
    outcome::{Counter, CounterKind},
    report::{self, Summary},
    scenario::{Scenario, parse},
    story, world,
};
use std::{
    fs,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
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
    /// Say which situations and counters none of these JSON reports has met; succeed if there is none
    Covers {
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
    /// Name the oracles, the kinds of faults, the counters and the situations
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
        Some(Command::Covers { files }) => covers(&files),
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
        None => run_command::run(&cli.run),
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
        let outcome = run_caught(&mut world::run, &scenario);
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
        let ((), outcome) = world::listen(&scenario, (), |(), time, told| {
            let line = format!("{:>12} {told}", time.0 / 1000);
            let end = line.char_indices().nth(EVENT_WIDTH).map_or(line.len(), |(end, _)| end);
            print(&format!("{}\n", &line[..end]));
        });
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

fn reports(files: &[PathBuf]) -> Result<Vec<Summary>, String> {
    let report = |file: &PathBuf| {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{} is no report of a sweep: {error}", file.display()))
    };
    files.iter().map(report).collect()
}

fn merge(files: &[PathBuf]) -> Result<u8, String> {
    let whole = Summary::merge(reports(files)?)?;
    print(&json(&whole));
    Ok(if whole.violations.is_empty() { EXPECTED } else { VIOLATED })
}

fn covers(files: &[PathBuf]) -> Result<u8, String> {
    let missed = report::never_met(&reports(files)?);
    for (name, about) in &missed {
        print(&format!("never met: {name:<24}{}\n", about.trim()));
    }
    if missed.is_empty() {
        print("every situation and every counter was met\n");
    }
    Ok(if missed.is_empty() { EXPECTED } else { VIOLATED })
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
    text += "situations that a campaign should meet\n";
    for mark in Mark::ALL {
        text += &format!("  {:<22}{}\n", mark.name(), mark.about().trim());
    }
    text
}

fn profile(text: &str) -> Result<Profile, String> {
    let found = Profile::NAMES.iter().find(|(_, name)| *name == text);
    found.map(|(profile, _)| *profile).ok_or_else(|| {
        let names: Vec<&str> = Profile::NAMES.iter().map(|(_, name)| *name).collect();
        format!("profiles are {}", names.join(", "))
    })
}

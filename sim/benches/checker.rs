//! How fast histories are judged: `cargo bench -p sim --bench checker [-- DIR] [--against TSV]`.
//!
//! For each history of a directory, or of a few that are generated: the median over several rounds of the time from the
//! recorded history to the bare verdict (divided by keys, searched), and to the certified one (an order replayed, or a
//! small contradiction confirmed). A history numbers its keys and values while it is recorded, as a parser would; what
//! that costs is told apart, as the difference between recording it anew from its operations and copying it. Then the
//! replay of a million operations in the order they were executed, and 5,000 operations by 40 clients of which one in a
//! hundred has an unknown outcome.
//!
//! A TSV of another checker has lines of file name without its ending, number of operations, and times in
//! microseconds of which the smallest counts.
#![expect(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use sim::{
    history::{Answer, Data, History, Outcome, Verb, foreign},
    linearize::{
        Verdict,
        blackbox::{self, Failure, Means},
        judge, judge_with_witness,
        model::Store,
    },
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 101;
const ROUNDS_LARGE: usize = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let against = args.iter().position(|arg| arg == "--against").and_then(|at| args.get(at + 1));
    let folder = args.first().filter(|arg| !arg.starts_with('-'));
    let others = against.map_or(BTreeMap::new(), |file| read_times(Path::new(file)));
    let histories = folder.map_or_else(generated, |folder| read_folder(Path::new(folder)));
    report(&histories, &others);
    witness();
    crowd();
}

/// Median times in microseconds of something done `rounds` times.
fn median(rounds: usize, mut what: impl FnMut()) -> f64 {
    let mut micros: Vec<f64> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            what();
            began.elapsed().as_nanos() as f64 / 1000.0
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    micros[rounds / 2]
}

fn report(histories: &[(String, History)], others: &BTreeMap<String, f64>) {
    println!("{:<16}{:>6}  {:<8}{:>11}{:>14}{:>12}", "history", "ops", "verdict", "us", "certified us", "of other");
    let (mut logs, mut numbering, mut ratios) = (0.0, 0.0, Vec::new());
    for (name, history) in histories {
        let mut verdict = "";
        let bare = median(ROUNDS, || {
            verdict = match blackbox::order(history, Means::Any, u64::MAX) {
                Ok(_) => "ok",
                Err(Failure::Illegal(..)) => "illegal",
                Err(Failure::Undecided(_)) => "unknown",
            }
        });
        let certified = median(3, || drop(judge(history)));
        logs += bare.ln();
        let recording = numbered(history, ROUNDS);
        numbering += recording;
        let ratio = others.get(name).map(|other| (bare / other, (bare + recording) / other, name));
        let told = ratio.map_or(String::new(), |(bare, ..)| format!("{bare:.4}"));
        ratios.extend(ratio);
        println!("{name:<16}{:>6}  {verdict:<8}{bare:>11.1}{certified:>14.1}{told:>12}", history.operations().len());
    }
    if !histories.is_empty() {
        let count = histories.len() as f64;
        println!(
            "geometric mean {:.1} us; numbered while recorded in {:.1} us each",
            (logs / count).exp(),
            numbering / count
        );
    }
    told_against("of the other checker's times", ratios.iter().map(|(bare, _, name)| (*bare, *name)).collect());
    told_against("the same, numbering counted in", ratios.iter().map(|(_, all, name)| (*all, *name)).collect());
}

fn told_against(what: &str, ratios: Vec<(f64, &String)>) {
    if let Some((worst, name)) = ratios.iter().copied().max_by(|one, two| one.0.total_cmp(&two.0)) {
        let mean = (ratios.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
        println!("{what}: geometric mean {mean:.4}, at most {worst:.4} ({name})");
    }
}

/// About what it costs to put a history in numbers, in microseconds.
fn numbered(history: &History, rounds: usize) -> f64 {
    let all: Vec<usize> = (0..history.operations().len()).collect();
    let known = vec![false; all.len()];
    let anew = median(rounds, || drop(history.weakened(&all, &known)));
    let copied = median(rounds, || drop(history.clone()));
    (anew - copied).max(0.0)
}

fn read_times(file: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let line = |line: &str| {
        let mut fields = line.split('\t');
        let name = fields.next()?.to_string();
        let times = fields.skip(1).filter_map(|time| time.parse::<f64>().ok());
        times.min_by(f64::total_cmp).map(|least| (name, least))
    };
    text.lines().filter_map(line).collect()
}

/// Every history in a folder and those below it, by name without ending.
fn read_folder(folder: &Path) -> Vec<(String, History)> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let read = |path: &PathBuf| {
        let history = foreign::read(&std::fs::read_to_string(path).ok()?, None, None).ok()?.0;
        Some((path.file_stem()?.to_string_lossy().into_owned(), history))
    };
    files.iter().filter_map(read).collect()
}

/// What clients ask for.
#[derive(Clone, Copy)]
enum Load {
    Register,
    Store { keys: u64 },
}

/// A history of an atomic object, and the order in which it took requests. `unknown` is a share in a hundred.
fn history(seed: u64, count: usize, clients: u64, unknown: u64, load: Load) -> (History, Vec<usize>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut history, mut store, mut order) = (History::new(), Store::default(), Vec::new());
    // Of each client: what it has under way, and what that was answered once it took effect.
    let mut under_way: Vec<Option<(usize, Option<Vec<Answer>>)>> = vec![None; clients as usize];
    let mut begun = 0;
    while begun < count || under_way.iter().any(Option::is_some) {
        let client = (random.next_u64() % clients) as usize;
        let time = history.events();
        match under_way[client].take() {
            None if begun == count => {}
            None => {
                let id = history.invoke(time, client as u64, vec![request(&mut random, begun, load)]);
                begun += 1;
                under_way[client] = Some((id, None));
            }
            Some((id, None)) => {
                let mut answers = Vec::new();
                store.perform(&history.operations()[id].request.clone(), &mut answers, &mut Vec::new());
                order.push(id);
                under_way[client] = Some((id, Some(answers)));
            }
            Some((id, Some(answers))) if random.next_u64() % 100 >= unknown => {
                history.end(time, id, Outcome::Done { revision: None, answers });
            }
            Some(_) => {}
        }
    }
    (history, order)
}

fn request(random: &mut ChaCha8Rng, number: usize, load: Load) -> Verb {
    let small = |random: &mut ChaCha8Rng| Data::from(&*format!("{}", random.next_u64() % 5));
    let key = Data::from(&*format!(
        "k{}",
        random.next_u64()
            % match load {
                Load::Register => 1,
                Load::Store { keys } => keys,
            }
    ));
    match (load, random.next_u64() % 6) {
        (_, 0..2) => Verb::Get { key },
        (Load::Register, 2..4) => Verb::Put { key, value: small(random) },
        (Load::Register, _) => Verb::Cas { key, expected: Some(small(random)), value: small(random) },
        (Load::Store { .. }, 2..5) => Verb::Put { key, value: Data::from(&*format!("v{number}")) },
        (Load::Store { .. }, _) => Verb::Delete { key },
    }
}

fn generated() -> Vec<(String, History)> {
    let mut histories = Vec::new();
    for (name, load) in [("register", Load::Register), ("store", Load::Store { keys: 10 })] {
        for (count, clients) in [(80, 5), (400, 10), (2000, 20)] {
            histories.push((format!("{name}-{count}"), history(count as u64, count, clients, 1, load).0));
        }
    }
    histories
}

fn witness() {
    let (history, order) = history(7, 1_000_000, 64, 0, Load::Store { keys: 10_000 });
    let micros = median(ROUNDS_LARGE, || {
        assert!(matches!(judge_with_witness(&history, &order), Verdict::Ok { .. }), "the order is right");
    });
    let recording = numbered(&history, ROUNDS_LARGE);
    println!(
        "replay of {} operations by their order: {:.1} ms; numbered while recorded in {:.1} ms",
        order.len(),
        micros / 1000.0,
        recording / 1000.0
    );
}

fn crowd() {
    for (name, load) in [
        ("register, five values", Load::Register),
        ("store, one key", Load::Store { keys: 1 }),
        ("store, 10 keys", Load::Store { keys: 10 }),
    ] {
        let (history, _) = history(11, 5000, 40, 1, load);
        let mut verdict = Verdict::Unknown { why: String::new() };
        let micros = median(ROUNDS_LARGE, || verdict = judge(&history));
        let told = match verdict {
            Verdict::Ok { .. } => "ok",
            Verdict::Illegal(_) => "illegal",
            Verdict::Unknown { .. } => "unknown",
        };
        println!("5000 operations, 40 clients, 1 % unknown, {name}: {told} in {:.1} ms", micros / 1000.0);
    }
}

//! What becomes of a run that failed: a scenario file that brings it back, and a small one that shows it.

use sim::{
    generator::Profile,
    oracle::Oracle,
    report::Violated,
    shrink::{BUDGET, Shrunk, shrink},
    sweep::Failure,
    world::World,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// How many failures of a sweep are made small, each of another property: more of the same would only take time.
const SHRUNK_MAX: usize = 3;

/// Saves what failed as scenario files in `folder`; where `small` is wanted, also made small.
pub fn save_all(folder: &Path, profile: Profile, failures: &[Failure], small: bool) -> Result<Vec<Violated>, String> {
    let mut seen: BTreeSet<(Oracle, String)> = BTreeSet::new();
    let mut saved = Vec::new();
    for failure in failures {
        let Failure { seed, scenario, violation } = failure;
        let name = format!("{}-{seed}-{}", profile.name(), violation.oracle);
        let file = folder.join(format!("{name}.ios"));
        write(&file, &scenario.with_story(&format!("Found by {} seed {seed}: {violation}", profile.name())))?;
        let news = small && seen.len() < SHRUNK_MAX && seen.insert((violation.oracle, violation.property()));
        let small = if news { save_small(&folder.join(format!("{name}.small.ios")), failure)? } else { None };
        let (scenario, small) = (file.display().to_string(), small.map(|small| small.display().to_string()));
        saved.push(Violated { seed: *seed, oracle: violation.oracle.to_string(), scenario, small });
    }
    Ok(saved)
}

fn save_small(file: &Path, failure: &Failure) -> Result<Option<PathBuf>, String> {
    // What only a second run found is in no single one.
    let Some(shrunk) = shrink(&failure.scenario, BUDGET, &mut World::default()) else { return Ok(None) };
    write(file, &shrunk.scenario.with_story(&shrunk.story(&format!("seed {}", failure.seed))))?;
    Ok(Some(file.to_path_buf()))
}

/// Says how small it became, and what else was found.
pub fn describe(shrunk: &Shrunk) -> String {
    let Shrunk { violation, sizes: (before, after), events, runs, cut_short, others, .. } = shrunk;
    let mut text = format!(
        "{violation}\nshrunk from {} lines and {} words to {} and {} in {runs} runs; {events} events\n",
        before.lines, before.words, after.lines, after.words
    );
    if *cut_short {
        text += "the budget ran out before the last step: --budget N allows more simulated events\n";
    }
    for oracle in others.keys() {
        text += &format!("found on the way: a violation of {oracle}\n");
    }
    text
}

/// Writes a file, and the folder it is in.
pub fn write(file: &Path, text: &str) -> Result<(), String> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(file, text));
    written.map_err(|error| format!("cannot save {}: {error}", file.display()))
}

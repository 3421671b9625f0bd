//! What becomes of a run that failed: a scenario file that brings it back, and a small one that shows it.

use sim::{
    generator::Profile,
    oracle::Oracle,
    report::Violated,
    shrink::{BUDGET, shrink},
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

/// Saves what failed as scenario files.
pub struct Saver {
    folder: PathBuf,
    profile: Profile,
    /// How many more are made small.
    small: usize,
    /// What was made small.
    seen: BTreeSet<(Oracle, String)>,
}

impl Saver {
    /// Saves what `profile` found in `folder`; where `small` is wanted, also made small.
    pub fn new(folder: &Path, profile: Profile, small: bool) -> Self {
        let small = if small { SHRUNK_MAX } else { 0 };
        Self { folder: folder.to_path_buf(), profile, small, seen: BTreeSet::new() }
    }

    /// Saves one.
    pub fn save(&mut self, failure: &Failure) -> Result<Violated, String> {
        let Failure { seed, scenario, violation } = failure;
        let found_by = format!("{} seed {seed}", self.profile.name());
        let name = format!("{}-{seed}-{}", self.profile.name(), violation.oracle);
        let file = self.folder.join(format!("{name}.ios"));
        write(&file, &scenario.with_story(&format!("Found by {found_by}: {violation}")))?;
        let mut small = None;
        if self.small > 0 && self.seen.insert((violation.oracle, violation.property())) {
            self.small -= 1;
            small = save_small(&self.folder.join(format!("{name}.small.ios")), failure)?;
        }
        let (scenario, small) = (file.display().to_string(), small.map(|small| small.display().to_string()));
        Ok(Violated { seed: *seed, oracle: violation.oracle.to_string(), scenario, small })
    }
}

fn save_small(file: &Path, failure: &Failure) -> Result<Option<PathBuf>, String> {
    // What only a second run found is in no single one.
    let Some(shrunk) = shrink(&failure.scenario, BUDGET, &mut World::default()) else { return Ok(None) };
    write(file, &shrunk.scenario.with_story(&shrunk.story(&format!("seed {}", failure.seed))))?;
    Ok(Some(file.to_path_buf()))
}

/// Writes a file, and the folder it is in.
pub fn write(file: &Path, text: &str) -> Result<(), String> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let written = folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(file, text));
    written.map_err(|error| format!("cannot save {}: {error}", file.display()))
}

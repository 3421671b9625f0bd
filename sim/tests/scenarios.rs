//! Every committed scenario tells a story, ends as it expects, and leaves no line of its plan idle.
//!
//! A story hangs on protocol events, which outlive most changes of the code, but who leads first is up to the seed.
//! If a
//! line has become idle because another node leads now, look for a seed that makes the story true again; if none does,
//! the story is what has to be understood.

use sim::{
    report,
    scenario::{Expect, Scenario},
    world,
};
use std::{fs, path::PathBuf};

#[test]
fn every_committed_scenario_holds_and_comes_to_act() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
    let entries = fs::read_dir(folder).expect("the scenarios lie beside the simulator");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ios"));
    files.sort();
    assert!(files.len() >= 12, "there are {} scenarios", files.len());

    let mut problems = Vec::new();
    for file in files {
        let name = file.file_name().expect("it has one").to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("it can be read");
        let scenario: Scenario = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(scenario.expect, Expect::Ok, "{name}: what is committed has been mended");
        assert!(text.lines().filter(|line| line.starts_with('#')).count() >= 3, "{name} tells no story");
        let outcome = world::run(&scenario);
        let problem = report::against_expectation(&scenario, &outcome);
        problems.extend(problem.or_else(|| report::idle_part(&scenario, &outcome)).map(|why| format!("{name}: {why}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

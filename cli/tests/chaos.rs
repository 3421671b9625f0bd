//! `ios chaos` in short: real processes, three faults, one verdict; and what it says when it cannot do what it is
//! asked.

mod fixture;

use fixture::{IOS, clean};
use serde_json::Value;
use sim::{
    history::{History, Outcome},
    linearize::judge,
};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn chaos(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(IOS);
    clean(&mut command);
    command.arg("chaos").args(arguments).arg("--dir").arg(directory).output().unwrap()
}

#[test]
fn a_short_run_hurts_a_cluster_in_three_ways_and_judges_what_was_seen() {
    let root = tempfile::tempdir().unwrap();
    let faults = "kill,partition,flip";
    let output = chaos(&["--cycles", "1", "--seed", "5", "--faults", faults, "-o", "json"], root.path());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["seed"], &report["rounds"]), (&"ok".into(), &5.into(), &3.into()));
    for (fault, name) in report["faults"].as_array().unwrap().iter().zip(faults.split(',')) {
        assert_eq!((&fault["name"], &fault["tried"], &fault["bitten"]), (&name.into(), &1.into(), &1.into()), "{told}");
        assert!(told.lines().any(|line| line.ends_with(fault["last"].as_str().unwrap())), "{told}");
    }
    let done = report["done"].as_u64().unwrap();
    assert!(done > 200 && report["kept"].as_u64().unwrap() > 10 && report["longest_gap_ns"].as_u64().unwrap() > 0);

    // What is kept is what was judged, and a lie in it is found.
    let text = fs::read_to_string(root.path().join("history.jsonl")).unwrap();
    let history: History = text.parse().unwrap();
    assert!(judge(&history).is_ok() && history.operations().len() as u64 >= done);
    let swapped = history.operations().iter().position(|operation| {
        let Outcome::Done { answers, .. } = &operation.outcome else { return false };
        answers.iter().any(|answer| matches!(answer, sim::history::Answer::Written { .. }))
    });
    let id = format!("\"id\":{},", swapped.expect("somebody wrote"));
    let lied = |line: &str| match line.contains("\"event\":\"ok\"") && line.contains(&id) {
        true => line.replace("\"ok\"", "\"fail\"").split(",\"revision\"").next().unwrap().to_owned() + "}",
        false => line.to_owned(),
    };
    let lie: String = text.lines().map(|line| lied(line) + "\n").collect();
    assert_ne!(lie, text);
    assert!(!judge(&lie.parse().unwrap()).is_ok(), "a write that took effect was said not to be done");
}

#[test]
fn what_it_is_not_given_it_asks_for() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("mine"), "precious").unwrap();
    let output = chaos(&["--cycles", "1"], root.path());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("is not empty; name a new directory"), "{told}");
    let output = chaos(&["--faults", "kil"], &root.path().join("new"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("Did you mean kill?"), "{told}");
    assert_eq!(fs::read_to_string(root.path().join("mine")).unwrap(), "precious");
}

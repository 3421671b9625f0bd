//! `ios config` as an operator uses it, and clusters that begin with what it prints.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, IOS, assert_success, clean};
use std::process::{Command, Output};

fn config(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(IOS);
    clean(&mut command);
    command.arg("config").args(arguments).envs(variables.iter().copied()).output().unwrap()
}

fn printed(output: &Output) -> String {
    assert_success(output);
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_preset_begins_a_cluster_that_stores_and_finds() {
    for preset in ["simple", "delegated", "fpaxos"] {
        let example = printed(&config(&["example", "--preset", preset], &[]));
        // The members' addresses are the test's own.
        let settings = example.split_once("[[member]]").unwrap().0;
        let cluster = Cluster::start(3, settings);
        cluster.leader();
        assert_eq!(cluster.say(&["put", "A", preset]), "OK\n");
        assert_eq!(cluster.say(&["get", "A"]), format!("{preset}\n"));
    }
}

#[test]
fn what_is_shown_says_whence_and_what_is_wrong_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ios.toml");
    let file = path.to_str().unwrap();
    std::fs::write(&path, config(&["example", "-n", "1"], &[]).stdout).unwrap();
    assert_eq!(
        printed(&config(&["check", file], &[])),
        format!("{file}: 1 member, quorum majority, window 64: nothing is wrong\n")
    );
    let shown = printed(&config(&["show", file, "--origin"], &[("IOS_JOURNAL_PERSISTENCE", "fsync")]));
    let fsync = format!("{:<40} # IOS_JOURNAL_PERSISTENCE", "persistence = \"fsync\"");
    for line in [&fsync, &format!("# {file}:4"), "# default"] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let json = config(&["show", file, "-o", "json"], &[("IOS_NODE_QUEUE_MAX", "77")]);
    let settings: serde_json::Value = serde_json::from_str(&printed(&json)).unwrap();
    let queue = settings.as_array().unwrap().iter().find(|setting| setting["key"] == "queue_max").unwrap();
    assert_eq!((&queue["value"], &queue["origin"]), (&77.into(), &"IOS_NODE_QUEUE_MAX".into()));

    let wrong = config(&["check", file], &[("IOS_CLUSTER_QUORUM", "fixed:2")]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("fixed:2") && wrong.stdout.is_empty(), "{said}");
}

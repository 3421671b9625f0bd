//! Golden scripts: the protocol's behaviour, one idea a file.
//!
//! A script (`*.txt` beside this file) opens with a sentence that says what must happen, then gives commands; below
//! each command stands, indented, *what it changed* at which node: notes, sends, replies, disk operations, in their one
//! text form. The runner writes those lines and compares. `UPDATE_EXPECT=1 cargo test -p ios-core --test golden`
//! writes them into the files, to be read line by line before they are committed.
//!
//! The commands are listed in [`commands`]; the files themselves are the best introduction. What no rewriting can paper
//! over: `expect` states a fact, and [`ledger`] checks in every script that no two batches are assigned, chosen,
//! committed or applied where there may be one.

mod cluster;
mod commands;
mod coverage;
mod disk;
mod forge;
mod ledger;
mod script;

use expect_test::expect_file;
use std::{fs, panic, path::PathBuf};

fn scripts() -> Vec<PathBuf> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let files = fs::read_dir(directory).expect("the scripts are beside this file");
    let paths = files.map(|entry| entry.expect("a readable directory").path());
    let mut scripts: Vec<_> = paths.filter(|path| path.extension().is_some_and(|name| name == "txt")).collect();
    scripts.sort();
    scripts
}

#[test]
fn every_script_shows_what_it_says() {
    let mut failed = Vec::new();
    for path in scripts() {
        let text = fs::read_to_string(&path).expect("a readable script");
        let name = path.file_stem().expect("a script has a name").to_string_lossy().into_owned();
        let outcome = panic::catch_unwind(|| match script::run(&text) {
            Ok(shown) => expect_file![path].assert_eq(&shown),
            Err(why) => panic!("{name}: {why}"),
        });
        if outcome.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "scripts that no longer show what they say: {}", failed.join(", "));
}

#[test]
fn a_script_that_breaks_a_rule_is_told_so() {
    for (script, complaint) in [
        ("Nothing.\n\n> elect n0\n", "line 3: the first command is `cluster`"),
        ("Nothing.\n\n> cluster nodes=3\n> dance n0\n", "line 4: there is no command `dance`"),
        ("Nothing.\n\n> cluster nodes=3\n> put n0\n", "line 4: `put` wants more words"),
        ("Nothing.\n\n> cluster nodes=3\n> deliver n0>n1 Accept\n", "line 4: no such message is on its way"),
        ("Nothing.\n\n> cluster nodes=3\n> expect n0 leader\n", "line 4: expected `leader`"),
        ("> cluster nodes=3\n", "line 1: a script opens with what must happen"),
    ] {
        let why = script::run(script).expect_err(script);
        assert!(why.contains(complaint), "{script}: {why}");
    }
}

#[test]
fn every_note_and_every_reason_to_ignore_appears_in_a_script() {
    let text: String = scripts().iter().map(|path| fs::read_to_string(path).expect("a readable script")).collect();
    assert_eq!(coverage::missing(&text), Vec::<String>::new());
}

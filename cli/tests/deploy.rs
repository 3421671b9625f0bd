//! What `deploy/` says to the binary is something that the binary takes.

#![allow(clippy::disallowed_methods, reason = "a test runs the binary")]

mod fixture;

use fixture::{IOS, clean};
use std::{fs, path::Path, process::Command};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)).unwrap()
}

/// The arguments of every call of `ios` in a file of `deploy/`.
fn calls(name: &str) -> Vec<Vec<String>> {
    let text = read(name);
    let list = |line: &str| -> Option<Vec<String>> {
        let array = line.trim().strip_prefix("command: ").or(line.strip_prefix("CMD "))?;
        serde_json::from_str(array).ok()
    };
    let words = |line: &str| -> Option<Vec<String>> {
        let call = line.split_once("ios serve ").map(|(_, rest)| format!("serve {rest}"))?;
        Some(call.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect())
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| list(line).or_else(|| words(line))).collect()
}

#[test]
fn every_call_is_understood() {
    for (name, count) in [("Dockerfile", 1), ("docker-compose.yml", 3), ("ios.service", 1), ("statefulset.yaml", 1)] {
        let calls = calls(name);
        assert_eq!(calls.len(), count, "{name}: {calls:?}");
        for mut call in calls {
            for word in &mut call {
                // What a shell or systemd puts there.
                if word.starts_with("${") {
                    *word = "0".to_owned();
                }
            }
            let mut command = Command::new(IOS);
            clean(&mut command);
            // Help is printed once everything before it is understood.
            let output = command.args(&call).arg("--help").output().unwrap();
            assert!(output.status.success(), "{name}: {call:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn every_configuration_is_one_of_three_members() {
    let manifest = read("statefulset.yaml");
    let (_, block) = manifest.split_once("  ios.toml: |\n").unwrap();
    let block = block.split_once("---").unwrap().0.lines().map(|line| format!("{}\n", line.trim_start()));
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("compose", read("ios-compose.toml")), ("statefulset", block.collect())] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let mut command = Command::new(IOS);
        clean(&mut command);
        let output = command.args(["init", "--id", "7", "--config"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("there is no member 7") && said.contains("lists 0, 1, 2"), "{name}: {said}");
    }
}

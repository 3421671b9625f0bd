//! What the README shows is what happens: its cluster is set up as it says, its transcript gives the answers it has.

#![allow(clippy::disallowed_methods, reason = "a test about real processes")]

mod fixture;

use fixture::{IOS, assert_success, clean, own_address};
use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
};

const README: &str = include_str!("../../README.md");
const PROMPT: &str = "Enter command: ";

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    README.split(&begin).skip(1).map(|rest| rest.split("```").next().expect("a split has a first part")).collect()
}

/// Members set up and served as the README says, but on addresses and directories of this test.
struct Members {
    root: tempfile::TempDir,
    running: Vec<Child>,
}

impl Members {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = blocks("toml").concat();
        for id in 0..3 {
            config = config.replace(&format!("10.0.0.{}:", id + 1), &format!("{}:", own_address()));
        }
        fs::write(root.path().join("ios.toml"), config).unwrap();
        let mut members = Self { root, running: Vec::new() };
        let commands: Vec<&str> =
            blocks("sh").into_iter().flat_map(str::lines).filter(|line| line.starts_with("ios ")).collect();
        assert_eq!(commands.len(), 2, "one to prepare a member, one to serve it: {commands:?}");
        for id in 0..3 {
            for line in &commands {
                members.run(line, id);
            }
        }
        members
    }

    fn run(&mut self, line: &str, id: u8) {
        let data = self.root.path().join(format!("n{id}"));
        let line = line.replace("--id 0", &format!("--id {id}")).replace("/var/lib/ios", data.to_str().unwrap());
        let mut command = ios(self.root.path(), line.trim_start_matches("ios "));
        if line.starts_with("ios serve") {
            self.running.push(command.stderr(Stdio::null()).spawn().unwrap());
        } else {
            assert_success(&command.output().unwrap());
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ios(directory: &Path, arguments: &str) -> Command {
    let mut command = Command::new(IOS);
    clean(&mut command);
    command.args(arguments.split_whitespace()).current_dir(directory);
    command
}

/// What a command says if these lines are typed in.
fn answers(mut command: Command, typed: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_success(&output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_cluster_and_the_transcript_of_the_readme_are_real() {
    let members = Members::start();
    let transcript = blocks("console").concat();
    let mut commands = 0;
    for part in transcript.split("$ target/release/ios").skip(1) {
        let (arguments, said) = part.split_once('\n').expect("a command ends its line");
        let (typed, expected): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.starts_with(PROMPT));
        let typed: String = typed.iter().map(|line| format!("{}\n", line.trim_start_matches(PROMPT))).collect();
        let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
        let mut command = ios(members.root.path(), arguments);
        command.env("IOS_CONFIG", "ios.toml").env("IOS_TIMEOUT", "20s");
        assert_eq!(answers(command, &typed), expected, "ios{arguments}");
        commands += 1;
    }
    assert!(commands > 3, "the README has a transcript");
}

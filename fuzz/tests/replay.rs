//! Goes over every committed input and a fixed number of inputs drawn around them, on the stable toolchain.

use fuzz::{TARGETS, Target, mutation::Mutator};
use std::{fs, panic, path::Path};

const SEED: u64 = 0x105;

fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|target| target.name == name).expect("a target of this name")
}

/// The committed inputs of a target by file name.
fn corpus(target: Target) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = files
        .map(|file| {
            let file = file.expect("a readable folder");
            let bytes = fs::read(file.path()).expect("a readable file");
            (file.file_name().into_string().expect("a file name in UTF-8"), bytes)
        })
        .collect();
    inputs.sort();
    inputs
}

fn replay(name: &str) {
    let target = target(name);
    let corpus = corpus(target);
    for (name, bytes) in &corpus {
        run(target, name, bytes);
    }
    let mut mutator = Mutator::new(SEED, corpus.into_iter().map(|(_, bytes)| bytes).collect());
    for number in 0..target.drawn {
        run(target, &format!("drawn input {number}"), &mutator.input());
    }
}

fn run(target: Target, name: &str, bytes: &[u8]) {
    if panic::catch_unwind(|| (target.body)(bytes)).is_err() {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{} broke its promise on {name}; to keep it: echo {hex} | xxd -r -p > corpus/{0}/NAME", target.name);
    }
}

#[test]
fn peer_frame() {
    replay("peer_frame");
}

#[test]
fn client_frame() {
    replay("client_frame");
}

#[test]
fn conversation() {
    replay("conversation");
}

#[test]
fn service_request() {
    replay("service_request");
}

#[test]
fn journal_image() {
    replay("journal_image");
}

#[test]
fn scenario_text() {
    replay("scenario_text");
}

#[test]
fn every_sample_is_committed_as_it_is_made_today() {
    for target in TARGETS {
        let corpus = corpus(target);
        for (name, bytes) in (target.samples)() {
            let committed = corpus.iter().find(|(file, _)| file == name).map(|(_, bytes)| bytes);
            assert!(
                committed == Some(&bytes),
                "corpus/{}/{name} differs; after a change of format run: cargo run -p fuzz --example corpus",
                target.name
            );
        }
    }
}

#[test]
fn every_target_has_a_libfuzzer_entry() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cargo-fuzz/Cargo.toml")).unwrap();
    for target in TARGETS {
        let entry = format!("path = \"../fuzz_targets/{}.rs\"", target.name);
        assert!(manifest.contains(&entry), "{} is missing in cargo-fuzz/Cargo.toml", target.name);
    }
}

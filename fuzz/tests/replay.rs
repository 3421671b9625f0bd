//! Goes over every committed input, today's samples, and a fixed number of inputs drawn around both, on the stable
//! toolchain.

use fuzz::{TARGETS, Target, mutation::Mutator};
use std::{fs, panic, path::Path};

const SEED: u64 = 0x105;

fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|target| target.name == name).expect("a target of this name")
}

/// The committed inputs of a target by file name.
fn committed(target: Target) -> Vec<(String, Vec<u8>)> {
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
    let mut corpus = committed(target);
    corpus.extend((target.samples)().into_iter().map(|(name, bytes)| (format!("today's {name}"), bytes)));
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

/// The samples of some targets follow from what nodes do, so they change with it; a committed one may be older.
#[test]
fn every_sample_has_a_committed_file() {
    for target in TARGETS {
        let corpus = committed(target);
        for (name, _) in (target.samples)() {
            assert!(
                corpus.iter().any(|(file, _)| file == name),
                "corpus/{}/{name} is missing; run: cargo run -p fuzz --example corpus",
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

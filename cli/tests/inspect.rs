//! What lies in the data directory of a member that does not run: shown, judged, and made whole again by its peers.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, IOS, clean, eventually};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Runs the binary on a directory: its exit code, and what it prints.
fn ios(arguments: &[&str], directory: &Path) -> (i32, String) {
    let mut command = Command::new(IOS);
    clean(&mut command);
    let output = command.args(arguments).arg(directory).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

fn stop(cluster: &mut Cluster, id: u8) {
    cluster.signal(id, Signal::TERM);
    assert_eq!(cluster.wait(id), Some(0));
}

/// The file with `text` in it, and where.
fn find(directory: &Path, text: &[u8]) -> (PathBuf, usize) {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found = files.filter_map(|path| {
        let place = fs::read(&path).unwrap().windows(text.len()).position(|window| window == text)?;
        Some((path, place))
    });
    found.last().expect("it is in one of the files")
}

#[test]
fn a_rotten_record_is_shown_and_judged_and_gone_once_a_peer_has_repaired_it() {
    let mut cluster = Cluster::start(3, "");
    cluster.say(&["put", "A", "first"]);
    cluster.say(&["put", "B", "a-value-to-be-found"]);
    cluster.say(&["put", "C", "last"]);
    let id = (cluster.leader() + 1) % 3;
    let data = cluster.data(id);
    let (code, text) = ios(&["inspect"], &data);
    assert!(code == 2 && text.contains("in use by another process"), "{code} {text}");
    stop(&mut cluster, id);

    assert_eq!(ios(&["fsck"], &data), (0, format!("{}: nothing is wrong\n", data.display())));
    let (code, text) = ios(&["inspect"], &data);
    assert_eq!(code, 0, "{text}");
    for part in [&format!("member    n{id} of cluster"), "snapshot  none", "log/00000001.seg", "identity", "1..="] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }

    let (file, place) = find(&data.join("log"), b"a-value-to-be-found");
    let mut bytes = fs::read(&file).unwrap();
    bytes[place] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (code, text) = ios(&["fsck"], &data);
    assert!(code == 8 && text.contains("log: 1 record is rotten, indexes"), "{code} {text}");
    let (code, text) = ios(&["inspect", "-o", "json"], &data);
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &shown["member"], shown["problems"].as_array().unwrap().len()), (0, &id.into(), 1));
    let rotten: u64 = shown["files"].as_array().unwrap().iter().filter_map(|file| file["rotten"].as_u64()).sum();
    assert_eq!(rotten, 1);

    cluster.run(id);
    eventually("a peer repairs it", || {
        cluster.status(id).is_some_and(|status| status.unknown == 0 && status.revision.0 == 3)
    });
    stop(&mut cluster, id);
    assert_eq!(ios(&["fsck"], &data), (0, format!("{}: nothing is wrong\n", data.display())));
}

#[test]
fn what_is_no_data_directory_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (code, text) = ios(&["fsck"], folder.path());
    assert!(code == 2 && text.contains("was never formatted"), "{code} {text}");
    let (code, text) = ios(&["inspect"], &folder.path().join("absent"));
    assert!(code == 2 && text.contains("does not exist"), "{code} {text}");
    let data = folder.path().join("data");
    let (code, text) = ios(&["init", "--data"], &data);
    assert_eq!(code, 0, "{text}");
    assert_eq!(ios(&["fsck"], &data).0, 0);
    // Slots that no other one equals are left by an interrupted update; with none equal there is nothing to open.
    let identity = data.join("identity");
    let mut bytes = fs::read(&identity).unwrap();
    (0..5).for_each(|slot| bytes[slot * 4096 + 40] ^= 0xff);
    fs::write(&identity, bytes).unwrap();
    let (code, text) = ios(&["fsck"], &data);
    assert!(code == 10 && text.contains("identity"), "{code} {text}");
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = Command::new(IOS);
        clean(&mut command);
        let output = command.args(["completion", shell]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("inspect") && text.contains("endpoints"), "{shell}: {text}");
    }
}

//! `ios bench run` and `sweep` with real servers: every option shows its effect in what is printed, written or stored

#![allow(clippy::disallowed_methods, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, IOS, assert_success, clean, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

/// A short run of the cluster, told in JSON.
fn measure(cluster: &Cluster, arguments: &[&str]) -> Value {
    let mut command = cluster.command(&["bench", "run", "-o", "json", "--warm-up", "100ms", "--timeout", "20s"]);
    let output = command.args(arguments).current_dir(cluster.root.path()).output().unwrap();
    assert_success(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn single() -> Cluster {
    let cluster = Cluster::start(1, "");
    cluster.leader();
    cluster
}

/// Of the writes, or of the reads.
fn count(run: &Value, kind: &str) -> u64 {
    let kinds = run["latency"].as_array().unwrap();
    kinds.iter().find(|row| row["name"] == kind).unwrap()["count"].as_u64().unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn without_a_cluster(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(IOS);
    clean(&mut command);
    command.args(arguments).current_dir(directory).output().unwrap()
}

#[test]
fn requests_keys_and_sizes_are_as_many_and_as_large_as_was_asked_for() {
    let cluster = single();
    let sizes = ["--keys", "7", "--key-size", "9", "--value-size", "5"];
    let run =
        measure(&cluster, &[&["--requests", "300", "--clients", "40", "--connections", "2"][..], &sizes].concat());
    assert_eq!((run["done"].as_u64(), count(&run, "put"), count(&run, "get")), (Some(300), 300, 0), "{run}");
    assert_eq!((run["clients"].as_u64(), run["sessions"].as_u64(), run["connections"].as_u64()), {
        (Some(40), Some(2), Some(2))
    });
    let (kbps, seconds) = (run["kbps"].as_f64().unwrap(), run["window_ns"].as_f64().unwrap() / 1e9);
    assert!((kbps * seconds - 300.0 * 14.0 * 8.0 / 1000.0).abs() < 0.01, "14 bytes each: {run}");
    let listed = cluster.say(&["ls", "bench/"]);
    let keys: Vec<&str> = listed.lines().map(|line| line.split_once(", ").unwrap().0).collect();
    assert_eq!(keys, (0..7).map(|key| format!("bench/{key:03}")).collect::<Vec<_>>());
    assert!(listed.lines().all(|line| line.len() == 9 + 2 + 5), "{listed}");
}

#[test]
fn reads_are_of_the_share_and_the_mode_that_were_asked_for() {
    let cluster = Cluster::start(1, "[node]\nparticipant_read = false\n");
    cluster.leader();
    let mixed = ["--requests", "1000", "--reads", "50", "--keys", "10"];
    for mode in ["leader", "stale"] {
        let run = measure(&cluster, &[&mixed[..], &["--read", mode]].concat());
        let (gets, puts) = (count(&run, "get"), count(&run, "put"));
        assert!((400..600).contains(&gets) && gets + puts == 1000, "{run}");
    }
    // A member that serves no such reads refuses them, so the mode was passed on; a failure is no throughput.
    let run = measure(&cluster, &[&mixed[..], &["--read", "participant"]].concat());
    let (refused, done) = (run["not_done"].as_u64().unwrap(), run["done"].as_u64().unwrap());
    assert!(refused > 400 && refused + done == 1000 && run["unknown"] == 0, "{run}");
    assert_eq!((count(&run, "get"), run["done_in_window"].as_u64().unwrap() <= 1000 - refused), (0, true), "{run}");
    assert!(run["not_done_last"].as_str().unwrap().contains("participant_read"), "{run}");
}

#[test]
fn a_closed_loop_rests_for_the_interval_and_stops_after_the_time() {
    let cluster = single();
    let run = measure(&cluster, &["--seconds", "1", "--clients", "10", "--interval", "100"]);
    let done = run["done"].as_u64().unwrap();
    assert!((1..=100).contains(&done), "ten clients ask at most ten times in a second: {run}");
    assert_eq!((run["window_ns"].as_u64(), run["rate"].is_null()), (Some(1_000_000_000), true));
}

#[test]
fn an_open_loop_asks_as_often_as_is_due_and_says_what_nobody_began() {
    let cluster = single();
    let run = measure(&cluster, &["--seconds", "1", "--clients", "50", "--rate", "200"]);
    let (done, behind) = (run["done"].as_u64().unwrap(), run["behind"].as_u64().unwrap());
    assert_eq!(done + behind, 200, "{run}");
    // One client cannot make a million requests a second. What it could not begin is told, and what it began late has
    // the latency that its user would have seen.
    let run = measure(&cluster, &["--seconds", "1", "--clients", "1", "--rate", "1000000"]);
    let (done, behind) = (run["done"].as_u64().unwrap(), run["behind"].as_u64().unwrap());
    assert!(behind > 500_000 && done + behind == 1_000_000, "{run}");
    assert!(run["latency"][0]["max_ns"].as_u64().unwrap() > 500_000_000, "{run}");
}

#[test]
fn what_may_have_been_done_is_counted_apart() {
    let mut cluster = single();
    let mut command = cluster.command(&["bench", "run", "-o", "json", "--seconds", "2", "--clients", "8"]);
    command.args(["--warm-up", "0s", "--timeout", "300ms"]).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    eventually("puts are made", || cluster.status(0).is_some_and(|status| status.revision.0 > 100));
    // Longer than what was sent is waited for, and what follows it.
    cluster.signal(0, Signal::STOP);
    std::thread::sleep(Duration::from_millis(900));
    cluster.signal(0, Signal::CONT);
    let output = child.wait_with_output().unwrap();
    assert_success(&output);
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| run[name].as_u64().unwrap();
    assert!(number("unknown") > 0 && number("done") > 50, "some writes were under way: {run}");
    assert_eq!(number("done"), count(&run, "put"), "only what was done has a latency: {run}");
    assert!(run["unknown_last"].as_str().unwrap().contains("no answer came in time"), "{run}");
}

#[test]
fn the_tables_are_those_of_the_prototype_and_grow() {
    let cluster = single();
    let directory = cluster.root.path().join("results");
    let table = |name: &str| lines(&directory.join(name));
    for runs in 1..=2 {
        measure(&cluster, &["--requests", "50", "--clients", "5", "--reads", "20", "--csv", "results"]);
        let (latency, results) = (table("latency.csv"), table("results.csv"));
        assert_eq!((latency.len(), results.len()), (50 * runs, 1 + runs));
    }
    let mut numbers = Vec::new();
    for line in &table("latency.csv")[..50] {
        let fields: Vec<&str> = line.split(',').collect();
        let [begun, number, latency, tries, readonly] = fields[..] else { panic!("{line}") };
        assert!(begun.parse::<u64>().unwrap() > 1_700_000_000_000_000_000, "nanoseconds since 1970: {line}");
        assert!(latency.parse::<u64>().unwrap() > 1000 && tries == "1", "{line}");
        assert!(["true", "false"].contains(&readonly), "{line}");
        numbers.push(number.parse::<u64>().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
    let results = table("results.csv");
    assert_eq!(results[0], "clients,total time [ms],throughput [req/sec],throughput [Kbps]");
    assert!(results[1].starts_with("5,") && results[1].split(',').count() == 4, "{}", results[1]);
}

#[test]
fn a_workload_file_is_obeyed_and_flags_are_stronger() {
    let cluster = single();
    let file = "[config]\nreads = 0\ninterval = 0\nkeys = 3\nkeySize = 7\nvalueSize = 4\nrequests = 60\n";
    fs::write(cluster.root.path().join("workload.conf"), file).unwrap();
    let run = measure(&cluster, &["--workload", "workload.conf"]);
    assert_eq!((count(&run, "put"), count(&run, "get")), (60, 0));
    assert_eq!(cluster.say(&["count"]), "3\n");
    assert!(cluster.say(&["ls", "bench/0"]).lines().all(|line| line.len() == 7 + 2 + 4));
    let run = measure(&cluster, &["--workload", "workload.conf", "--reads", "100", "--requests", "20"]);
    assert_eq!((count(&run, "put"), count(&run, "get")), (0, 20));

    fs::write(cluster.root.path().join("workload.conf"), "[config]\nkeySise = 7\n").unwrap();
    let output = cluster.command(&["bench", "run", "--workload", "workload.conf"]);
    let output = { output }.current_dir(cluster.root.path()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(told, "ios: workload.conf:2: unknown key \"keySise\" in [config]; did you mean \"keySize\"?\n");
}

#[test]
fn servers_on_this_machine_are_found_and_their_processor_time_is_counted() {
    let cluster = Cluster::start(3, "");
    let leader = cluster.leader();
    let endpoint = cluster.client_address(leader).to_string();
    let arguments = ["bench", "run", "-o", "json", "--requests", "3000", "--endpoints", &endpoint];
    let output = without_a_cluster(&arguments, cluster.root.path());
    assert_success(&output);
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((run["done"].as_u64(), run["unknown"].as_u64()), (Some(3000), Some(0)), "{run}");
    assert!(run["client_us_per_request"].as_f64().unwrap() > 0.0, "{run}");
    if cfg!(target_os = "linux") {
        assert_eq!((&run["servers_found"]["found"], &run["servers_found"]["members"]), (&3.into(), &3.into()), "{run}");
        assert!(run["servers_us_per_request"].as_f64().unwrap() > 0.0, "{run}");
    }
}

#[test]
fn a_sweep_has_a_row_for_each_number_of_clients_and_needs_no_cluster() {
    let root = tempfile::tempdir().unwrap();
    let sweep = ["bench", "sweep", "--clients-min", "1", "--clients-max", "9", "--clients-step", "4"];
    let rest = ["--requests", "40", "--warm-up", "0s", "--nodes", "1", "--csv", ".", "--html", "page.html"];
    let output = without_a_cluster(&[&sweep[..], &rest].concat(), root.path());
    assert_success(&output);
    let table = String::from_utf8(output.stdout).unwrap();
    let clients: Vec<&str> = table.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(clients, ["CLIENTS", "1", "5", "9"]);
    let results = lines(&root.path().join("results.csv"));
    let clients: Vec<&str> = results.iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(clients, ["clients", "1", "5", "9"]);
    assert_eq!(lines(&root.path().join("latency.csv")).len(), 120);
    let page = fs::read_to_string(root.path().join("page.html")).unwrap();
    // Three plots of all runs, two of each.
    assert_eq!(page.matches("<svg").count(), 3 + 3 * 2);
    for fetched in ["<script", "http", "src=", "url(", "@import"] {
        assert!(!page.contains(fetched), "the page has {fetched}");
    }
    let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "the cluster's directory is gone: {left:?}");
    assert!(output.stderr.is_empty(), "no bar where nobody looks");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let says = |arguments: &[&str], code: i32, words: &str| {
        let output = without_a_cluster(&[&["bench"], arguments].concat(), root.path());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && told.contains(words), "{arguments:?}: {}, {told}", output.status);
    };
    says(&["run", "--keys", "1000", "--key-size", "2"], 2, "1000 keys need keys of 3 bytes, not 2");
    says(&["run", "--seconds", "1", "--requests", "1"], 2, "cannot be used with");
    says(&["run", "--rate", "5", "--interval", "5"], 2, "cannot be used with");
    says(&["sweep", "--clients-min", "5", "--clients-max", "4"], 2, "--clients-min 5 is above --clients-max 4");
    says(&["run", "--endpoints", "127.0.0.1:1", "--timeout", "300ms"], 6, "not done: no node answered in time");
}

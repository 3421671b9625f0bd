//! The command line as scripts see it: exit codes, the JSON object, saved and replayed files.

use std::{
    path::Path,
    process::{Command, Output},
};

fn sim(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).current_dir(folder).args(args).output().expect("the simulator starts")
}

fn check(folder: &Path, args: &[&str], code: i32, said: &str) -> String {
    let output = sim(folder, args);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}:\n{text}");
    assert!(text.contains(said), "{args:?} does not say {said:?}:\n{text}");
    text
}

#[test]
fn unusable_input_is_refused_with_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    check(folder, &[], 2, "--seed N");
    check(folder, &["--seed", "x"], 2, "not a seed");
    check(folder, &["--seeds", "5..5"], 2, "no seed in 5..5");
    check(folder, &["--seeds", "0..9", "--shard", "2/2"], 2, "no shard 2 of 2");
    check(folder, &["--seeds", "0..9", "--profile", "wild"], 2, "swarm, beyond, calm, perf");
    check(folder, &["--seeds", "0..9", "--for", "10"], 2, "90s, 10m or 2h");
    check(folder, &["--seed", "1", "--jobs", "2"], 2, "--seeds");
    check(folder, &["--seed", "1", "--first"], 2, "--seeds");
    check(folder, &["replay", "absent.ios"], 2, "cannot read absent.ios");
    std::fs::write(folder.join("bad.ios"), "ios-scenario 1\nclutser nodes=3\n").unwrap();
    check(
        folder,
        &["replay", "bad.ios"],
        2,
        "bad.ios: line 2: unknown directive \"clutser\"; did you mean \"cluster\"?",
    );
    std::fs::write(folder.join("bad.json"), "{}").unwrap();
    check(folder, &["merge", "bad.json"], 2, "bad.json is no report of a sweep");
}

#[test]
fn a_bug_that_cannot_be_planted_is_named_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let check = |args: &[&str], code, said: &str| check(folder, &[&["planted"], args].concat(), code, said);
    check(&["--check"], 2, "cannot read sim/planted");
    std::fs::create_dir_all(folder.join("sim/planted")).unwrap();
    std::fs::write(folder.join("a.rs"), "one two two").unwrap();
    let spec = |find: &str| {
        let head = "about = \"a\"\nhistory = \"h\"\noracles = [\"commit\"]\nseeds = 9\n[[edit]]\nfile = \"a.rs\"\n";
        std::fs::write(folder.join("sim/planted/bug.toml"), format!("{head}find = \"{find}\"\nreplace = \"\"\n"))
            .unwrap();
    };
    spec("one");
    check(&["--check"], 0, "1 bugs can be planted");
    check(&["other", "--check"], 2, "no other.toml in sim/planted");
    check(&["--sample", "1"], 2, "--by");
    check(&["--sample", "1", "--by", "xyz"], 2, "not a hexadecimal number");
    check(&[], 2, "not the root of the workspace: it has no Cargo.toml");
    spec("two");
    check(&["--check"], 2, "sim/planted/bug.toml: what it looks for is 2 times in a.rs, not once");
}

#[test]
fn a_study_prints_and_writes_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let small = ["study", "--parts", "grid,followers", "--nodes", "3,5", "--modes", "simple", "--measure", "2s"];
    let files = ["--csv", "study.csv", "--html", "study.html"];
    let text = check(folder, &[&small[..], &files[..]].concat(), 0, "what was found");
    for part in ["commits/s", "leader out", "holds  simple: Q2 = 1", "follower slow", "digest"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert_eq!(text, check(folder, &[&small[..], &["--jobs", "1"]].concat(), 0, "digest"), "on any number of threads");
    let csv = std::fs::read_to_string(folder.join("study.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5 + 9, "{csv}");
    assert!(std::fs::read_to_string(folder.join("study.html")).unwrap().contains("<svg"));

    let same = ["--nodes", "3", "--rate", "100", "--outstanding", "100", "--measure", "100ms"];
    check(folder, &[&["study", "--parts", "grid"], &same[..]].concat(), 1, "FAILS");
    check(folder, &["study", "--help"], 0, "--outstanding");
    check(folder, &["study", "--nodes", "17"], 2, "17 is not in 1..=16");
    check(folder, &["study", "--modes", "quick"], 2, "modes are simple, thrifty, delegated, forwarder");
    check(folder, &["study", "--parts", "all"], 2, "parts are grid, outages, followers");
    check(folder, &["study", "--measure", "1ms"], 2, "at least 100ms");
    let one = ["study", "--parts", "grid", "--nodes", "1", "--measure", "100ms"];
    check(folder, &[&one[..], &["--csv", "absent/study.csv"]].concat(), 2, "cannot write absent/study.csv");
}

#[test]
fn a_long_run_is_judged_by_its_tenths() {
    let folder = tempfile::tempdir().unwrap();
    let text = check(folder.path(), &["endurance", "--commits", "3000", "--snapshot-interval", "100"], 0, "snapshots");
    for part in ["tenth", "holds  events", "holds  disk"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    check(folder.path(), &["endurance", "--commits", "3000", "--snapshot-interval", "0"], 1, "FAILS  disk");
    check(folder.path(), &["endurance", "--commits", "10"], 2, "10 is not in 1000..");
}

#[test]
fn what_no_report_has_met_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, seeds) in [("calm", "0..3"), ("swarm", "0..40")] {
        let json = sim(folder, &["--seeds", seeds, "--profile", name, "--json"]).stdout;
        let mut report: serde_json::Value = serde_json::from_slice(&json).unwrap();
        report["counters"]["disks_wiped"] = 0.into();
        std::fs::write(folder.join(format!("{name}.json")), report.to_string()).unwrap();
    }
    let calm = check(folder, &["covers", "calm.json"], 1, "never met: two_leaders");
    assert!(calm.contains("crashes_power") && !calm.contains("learned_counted") && !calm.contains("undecided"));
    let both = check(folder, &["covers", "calm.json", "swarm.json"], 1, "never met: disks_wiped");
    assert!(!both.contains("two_leaders") && both.lines().count() < calm.lines().count(), "{both}");
    std::fs::write(folder.join("bad.json"), "{}").unwrap();
    check(folder, &["covers", "bad.json"], 2, "bad.json is no report of a sweep");
    // With every situation met there is nothing to name.
    let text = std::fs::read_to_string(folder.join("swarm.json")).unwrap();
    let mut all: serde_json::Value = serde_json::from_str(&text).unwrap();
    for key in ["marks", "counters"] {
        all[key].as_object_mut().unwrap().values_mut().for_each(|count| *count = 1.into());
    }
    std::fs::write(folder.join("all.json"), all.to_string()).unwrap();
    check(folder, &["covers", "all.json"], 0, "every situation and every counter was met");
}

#[test]
fn one_run_prints_the_same_report_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = check(folder.path(), &["--seed", "42", "--profile", "calm"], 0, "verdict ok");
    assert_eq!(first, check(folder.path(), &["--seed", "0x2a", "--profile", "calm"], 0, "checks"));
    for part in ["happened", "view_changes", "answered", "digest"] {
        assert!(first.contains(part), "{part} is missing:\n{first}");
    }
}

#[test]
fn shards_and_threads_give_one_digest() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let report = |args: &[&str]| {
        let output = sim(folder, args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        (output.stdout, value)
    };
    let (_, whole) = report(&["--seeds", "0..12", "--profile", "calm", "--json", "--jobs", "1"]);
    let (_, parallel) = report(&["--seeds", "0..12", "--profile", "calm", "--json", "--jobs", "3"]);
    assert_eq!(whole["digest"], parallel["digest"]);
    assert_eq!(whole["clusters"], 12);
    for index in ["0", "1"] {
        let (json, _) = report(&["--seeds", "0..12", "--profile", "calm", "--json", "--shard", &format!("{index}/2")]);
        std::fs::write(folder.join(format!("{index}.json")), json).unwrap();
    }
    let (_, merged) = report(&["merge", "1.json", "0.json"]);
    for key in ["digest", "clusters", "events", "operations", "counters", "seeds", "shard"] {
        assert_eq!(merged[key], whole[key], "{key}");
    }
}

#[test]
fn a_sweep_goes_on_where_its_file_ends() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sweep = |more: &[&str]| {
        let output =
            sim(folder, &[&["--seeds", "0..2500", "--profile", "calm", "--json", "--shard", "0/50"], more].concat());
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        (output.status.code(), value)
    };
    let (_, whole) = sweep(&[]);
    assert_eq!(sweep(&["--resume", "done.jsonl", "--for", "0s"]).0, Some(3));
    let (code, first) = sweep(&["--resume", "done.jsonl"]);
    assert_eq!((code, &first["digest"], &first["clusters"]), (Some(0), &whole["digest"], &whole["clusters"]));
    let done = std::fs::read_to_string(folder.join("done.jsonl")).unwrap();
    assert_eq!(done.lines().count(), 2, "a head and a chunk");
    // Cut off in its midst, as by a machine that is taken away; then it is run again.
    std::fs::write(folder.join("done.jsonl"), &done[..done.len() - 9]).unwrap();
    let (_, again) = sweep(&["--resume", "done.jsonl"]);
    assert_eq!((&again["digest"], &again["counters"]), (&whole["digest"], &whole["counters"]));
    // What is in the file is believed, not run.
    std::fs::write(folder.join("done.jsonl"), done.replace("\"clusters\":50", "\"clusters\":49")).unwrap();
    assert_eq!(sweep(&["--resume", "done.jsonl"]).1["clusters"], 49);
    check(folder, &["--seeds", "0..9", "--resume", "done.jsonl"], 2, "done.jsonl: it is of another sweep");
    let (head, _) = done.split_once('\n').unwrap();
    std::fs::write(folder.join("done.jsonl"), format!("{head}\n{{}}\n")).unwrap();
    assert_eq!(
        sim(folder, &["--seeds", "0..2500", "--profile", "calm", "--shard", "0/50", "--resume", "done.jsonl"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_replay_judges_the_expectation_and_that_every_line_acted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, lines: &str| {
        std::fs::write(folder.join(name), format!("ios-scenario 1\n{lines}\n")).unwrap();
    };
    write("good.ios", "at 500ms c0 put k v\nafter c0.1 c1 get k");
    check(folder, &["replay", "good.ios"], 0, "as expected, ok");
    check(folder, &["--seed", "9", "--scenario", "good.ios"], 0, "verdict ok");
    write("idle.ios", "when any leads nth=1000 heal");
    check(folder, &["replay", "good.ios", "idle.ios"], 1, "never happened: when any leads nth=1000 heal");
    check(folder, &["replay", "idle.ios", "--seed", "3"], 0, "as expected");
    write("wrong.ios", "expect violation agreement\nat 500ms c0 put k v");
    check(folder, &["replay", "wrong.ios"], 1, "expected violation agreement, but nothing was violated");
}

#[test]
fn what_fails_is_made_small() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lines = "cluster nodes=5 clients=3\nworkload ops=60\nat 100ms crash n1 process for=80ms\n\
                 at 200ms pause leader for=50ms\nat 900ms c0 put a b\nrun 905ms\nliveness within=1us\n";
    std::fs::write(folder.join("large.ios"), format!("ios-scenario 1\nexpect violation liveness\n{lines}")).unwrap();
    check(folder, &["shrink", "large.ios", "-o", "new/small.ios"], 0, "shrunk from 10 lines");
    check(folder, &["replay", "new/small.ios"], 0, "as expected, violation liveness");
    let small = std::fs::read_to_string(folder.join("new/small.ios")).unwrap();
    assert!(small.contains("# Shrunk from 10 lines of large.ios.") && small.lines().count() < 10, "{small}");
    check(folder, &["explain", "new/small.ios"], 0, "What mattered");
    check(folder, &["explain", "new/small.ios", "--events"], 0, "verdict VIOLATION of liveness");
    check(folder, &["shrink", "large.ios"], 0, "expect violation liveness");
    check(folder, &["shrink", "large.ios", "--budget", "1"], 0, "the budget ran out");
    std::fs::write(folder.join("good.ios"), "ios-scenario 1\nrun 500ms\n").unwrap();
    check(folder, &["shrink", "good.ios"], 2, "good.ios violates nothing");
    check(folder, &["shrink", "absent.ios"], 2, "cannot read absent.ios");
}

#[test]
fn a_run_is_drawn_whether_or_not_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, lines: &str| {
        std::fs::write(folder.join(name), format!("ios-scenario 1\n{lines}\n")).unwrap();
    };
    write("good.ios", "at 500ms c0 put k v");
    write("late.ios", "run 100ms\nliveness within=1ms");
    check(folder, &["diagram", "good.ios", "-o", "good.html"], 0, "good.ios: ok");
    check(folder, &["diagram", "late.ios", "-o", "late.html"], 0, "VIOLATION of liveness");
    check(folder, &["diagram", "good.ios", "-o", "few.html", "--most", "50"], 0, "are left out: a page shows 50");
    check(folder, &["diagram", "good.ios", "-o", "part.html", "--from", "490ms", "--to", "600ms"], 0, "asked for");
    let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(page("good.html").contains("put k v") && page("late.html").contains("\"oracle\":\"liveness\""));
    assert!(page("few.html").len() < page("good.html").len());
    check(folder, &["diagram", "good.ios"], 2, "--output");
    check(folder, &["diagram", "absent.ios", "-o", "a.html"], 2, "cannot read absent.ios");
    check(folder, &["diagram", "good.ios", "-o", "absent/a.html"], 2, "cannot write absent/a.html");
    check(folder, &["diagram", "good.ios", "-o", "a.html", "--from", "2s", "--to", "1s"], 2, "later than --to");
    check(folder, &["diagram", "good.ios", "-o", "a.html", "--from", "soon"], 2, "50ms");
    check(folder, &["diagram", "good.ios", "-o", "a.html", "--most", "0"], 2, "a number above 0");
}

#[test]
fn time_used_up_is_exit_3() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), &["--seeds", "0..1000000", "--for", "0s"], 3, "0 clusters");
}

#[test]
fn lists_name_oracles_faults_and_counters() {
    let folder = tempfile::tempdir().unwrap();
    let text = check(folder.path(), &["list"], 0, "linearizability");
    assert!(text.contains("crashes_power") && text.contains("view_changes"), "{text}");
    check(folder.path(), &["show", "7"], 0, "ios-scenario 1");
    check(folder.path(), &["show", "7", "--profile", "beyond"], 0, "beyond=on");
}

#[test]
fn foreign_histories_are_checked_and_the_exit_code_tells() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let log = "INFO  jepsen.util - 0\t:invoke\t:write\t3\nINFO  jepsen.util - 0\t:ok\t:write\t3\n\
               INFO  jepsen.util - 1\t:invoke\t:read\tnil\nINFO  jepsen.util - 1\t:ok\t:read\t3\n";
    std::fs::write(folder.join("good.log"), log).unwrap();
    std::fs::write(folder.join("bad.log"), log.replace(":read\t3", ":read\t4")).unwrap();
    std::fs::write(folder.join("torn.log"), log.replace(":ok\t:read\t3", ":ok")).unwrap();
    std::fs::write(folder.join("bytes.edn"), [b'{', 0xff]).unwrap();
    check(folder, &["check", "good.log"], 0, "good.log: ok (register, 2 operations, zones");
    check(folder, &["check", "good.log", "bad.log"], 1, "bad.log: illegal (register, 2 operations");
    check(folder, &["check", "--json", "bad.log"], 1, "\"verdict\":\"illegal\"");
    check(folder, &["check", "torn.log"], 2, "torn.log: line 4: expected");
    check(folder, &["check", "bytes.edn"], 2, "bytes.edn: line 1: expected text in UTF-8");
    check(folder, &["check", "absent.edn"], 2, "cannot read absent.edn");
    check(folder, &["check", "--format", "csv", "good.log"], 2, "jepsen, edn, json");
    check(folder, &["check", "--model", "queue", "good.log"], 2, "kv-append");
}

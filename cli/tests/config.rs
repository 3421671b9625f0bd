//! `ios config` as an operator uses it, and clusters that begin with what it prints.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, IOS, assert_success, clean};
use std::{
    net::Ipv4Addr,
    process::{Command, Output, Stdio},
};

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

/// A server's file of the prototype for these addresses.
fn prototype(addresses: &[Ipv4Addr]) -> String {
    let servers: String = addresses.iter().map(|address| format!("address = {address}:7100:7200\n")).collect();
    format!("[servers]\n{servers}[algorithm]\nQuorumSystem = \"strict majority\"\n[performance]\nWindowSize = 9\n")
}

#[test]
fn a_cluster_of_the_prototypes_file_serves_a_client_of_the_prototypes_file() {
    let mut cluster = Cluster::prepare_as("server3.conf", 3, prototype);
    (0..3).for_each(|id| cluster.run(id));
    cluster.leader();
    assert_eq!(cluster.say(&["put", "A", "1"]), "OK\n");

    let servers = prototype(&cluster.addresses).split_once("[algorithm]").unwrap().0.to_owned();
    let client = cluster.root.path().join("client.conf");
    std::fs::write(&client, format!("{servers}[parameters]\nTimeout = 2000\nConnectRandom = false\n")).unwrap();
    let mut command = Command::new(IOS);
    clean(&mut command);
    let output = command.args(["get", "A", "--timeout", "15s", "--config"]).arg(&client).output().unwrap();
    assert_eq!(printed(&output), "1\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("client.conf:7: ConnectRandom = false is ignored: "), "{said}");

    // Of a file without addresses what it says holds, and the command line says where.
    std::fs::write(&client, "[parameters]\nApplication = dummy\n").unwrap();
    let repl = |arguments: &[&str]| {
        let mut command = Command::new(IOS);
        clean(&mut command);
        command.args(["repl", "--config"]).arg(&client).args(arguments).stdin(Stdio::null()).output().unwrap()
    };
    assert_success(&repl(&["--endpoints", &cluster.client_addresses()[0]]));
    let nowhere = repl(&[]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("name them with --endpoints"));
}

#[test]
fn what_is_converted_means_the_same_and_is_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["server.conf", "ios.toml"].map(|name| directory.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(&from, prototype(&[Ipv4Addr::LOCALHOST])).unwrap();
    assert_success(&config(&["convert", &from, &to], &[("IOS_NODE_MAX_BATCH", "7")]));
    assert_eq!(printed(&config(&["show", &from], &[])), printed(&config(&["show", &to], &[])));
    let origin = printed(&config(&["show", &from, "--origin"], &[]));
    assert!(origin.contains(&format!("{:<40} # {from}:6", "window = 9")), "{origin}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), printed(&config(&["convert", &from], &[])));

    let again = config(&["convert", &from, &to], &[]);
    assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(config(&["convert", &to], &[]).status.code(), Some(2), "it is in that form already");
    std::fs::write(&from, "[servers]\naddress = 127.0.0.1:1:2\n[unsafe]\nPersistenceMode = direct\n").unwrap();
    let refused = config(&["convert", &from], &[]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("server.conf:4: there is no PersistenceMode direct"));
}

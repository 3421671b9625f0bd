//! Any one member will do: a client that was told of a single follower finds the leader, and goes on when the leader
//! changes and even when that follower is gone.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, IOS, assert_success, clean, eventually};
use ios_core::{
    client::{ClientOptions, Outcome},
    service::{
        Access,
        kv::{Operation, request::encode},
    },
    time::Span,
};
use runtime::client::BlockingClient;
use std::process::{Command, Output};

/// A member that does not lead, and the one that does.
fn follower_and_leader(cluster: &Cluster) -> (u8, u8) {
    let leader = cluster.leader();
    ((leader + 1) % 3, leader)
}

/// Runs the binary with nothing but one member's address.
fn with_one_address(cluster: &Cluster, id: u8, arguments: &[&str]) -> Output {
    let mut command = Command::new(IOS);
    clean(&mut command);
    let address = cluster.client_address(id).to_string();
    command.args(arguments).args(["--timeout", "15s", "--endpoints", &address]).output().unwrap()
}

#[test]
fn one_shot_commands_at_a_follower_reach_the_leader() {
    let cluster = Cluster::start(3, "");
    let (follower, _) = follower_and_leader(&cluster);
    assert_success(&with_one_address(&cluster, follower, &["put", "A", "1"]));
    let output = with_one_address(&cluster, follower, &["get", "A"]);
    assert_success(&output);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n");
}

#[test]
fn a_client_told_of_one_follower_outlives_the_leader_and_that_follower() {
    let mut cluster = Cluster::start(3, "");
    let (follower, leader) = follower_and_leader(&cluster);
    let address = cluster.client_address(follower).to_string();
    let mut client = BlockingClient::new(&[address], ClientOptions::default()).unwrap();
    let mut put = |when: &str| {
        let put = Operation::Put { key: b"A", value: when.as_bytes() };
        let outcome = client.submit(Access::Write, encode(&[put]).unwrap(), Span::secs(15)).unwrap();
        assert!(matches!(outcome, Outcome::Done { .. }), "{when}: {outcome:?}");
    };
    put("at first");
    cluster.kill(leader);
    put("without the first leader");
    cluster.run(leader);
    eventually("the first leader is back", || cluster.status(leader).is_some_and(|status| status.leader.is_some()));
    cluster.kill(follower);
    put("without the only member it was told of");
}

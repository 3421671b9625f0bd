//! Every key reaches the value it names, and every mistake its own sentence.

use super::*;
use expect_test::{Expect, expect};
use ios_core::{
    configuration::Lease,
    options::{Delegate, JournalOptions, Participant},
    replica::quorum::QuorumSpec,
    time::Span,
};

const MEMBERS: &str = r#"
[[member]]
id = 2
peer = "127.0.0.3:8090"
client = "127.0.0.3:8080"
[[member]]
id = 0
peer = "127.0.0.1:8090"
client = "127.0.0.1:8080"
"#;

#[test]
fn members_speak_http_where_they_are_told_and_tell_who_may_come_from_elsewhere() {
    let mut file = ClusterFile::parse("ios.toml", &format!("{MEMBERS}http = \"127.0.0.1:12345\"\n")).unwrap();
    let n0 = (NodeId(0), "127.0.0.1:12345".to_owned());
    assert_eq!(file.http_addresses(), [n0.clone()].into());
    file.serve_http(NodeId(2), "0.0.0.0:12345".to_owned());
    assert_eq!(file.member(NodeId(2)).unwrap().http.as_deref(), Some("0.0.0.0:12345"));
    assert_eq!(file.http_addresses(), [n0].into(), "nobody can connect to everywhere");
}

/// What a file with these members and no settings stands for: they tell clients about each other.
fn default_options() -> Options {
    let addresses = [(NodeId(0), "127.0.0.1:8080".to_owned()), (NodeId(2), "127.0.0.3:8080".to_owned())];
    Options { client_addresses: addresses.into(), ..Options::default() }
}

fn check(text: &str, error: Expect) {
    error.assert_eq(&ClusterFile::parse("ios.toml", text).unwrap_err().to_string());
}

fn check_with_members(text: &str, error: Expect) {
    check(&format!("{text}{MEMBERS}"), error);
}

#[test]
fn without_settings_the_defaults_hold() {
    let file = ClusterFile::parse("ios.toml", MEMBERS).unwrap();
    assert_eq!(file.options, default_options());
    assert_eq!((file.application.name(), file.persistence), ("kv-store", Persistence::Dsync));
    let draft = ConfigurationDraft { members: vec![NodeId(0), NodeId(2)], ..Default::default() };
    assert_eq!(*file.configuration.draft(), draft);
    assert_eq!(file.member(NodeId(2)).unwrap().client, "127.0.0.3:8080");
    assert_eq!(file.member(NodeId(1)), None);
}

/// Every key there is, none at its default.
const EVERY_KEY: &str = r#"
[cluster]
quorum = "fixed:2"
window = 7
index_exclusivity = true
implicit_commit = true
lease = "18ms/600ppm"
session_ttl = "9s"
application = "dummy"
[node]
explicit_commit = true
thrifty = true
delegate = "2"
participant = "forward"
participant_read = true
max_batch = 11
max_batch_bytes = 1_200
batch_interval = "13ms"
queue_max = 14
snapshot_interval = 16
length = 17
snapshot_block = 1_800
reads_max = 15
clients_max = 21
[timing]
heartbeat = "16ms"
election_timeout = "170ms"
[journal]
persistence = "fsync"
segment_bytes = 0x2000000
segment_records = 1900
seal = "eager"
seal_idle = "20ms"
"#;

#[test]
fn every_key_reaches_its_value() {
    let file = ClusterFile::parse("ios.toml", &format!("{EVERY_KEY}{MEMBERS}")).unwrap();
    // Written out in full, so that a new option does not compile until it is read and tested.
    let options = Options {
        heartbeat: Span::millis(16),
        election_timeout: Span::millis(170),
        max_batch: 11,
        max_batch_bytes: 1200,
        batch_interval: Span::millis(13),
        explicit_commit: true,
        thrifty: true,
        delegate: Delegate::Rotate(2),
        participant: Participant::Forward,
        participant_read: true,
        queue_max: 14,
        reads_max: 15,
        snapshot_interval: 16,
        length: 17,
        snapshot_block: 1800,
        journal: JournalOptions {
            segment_bytes: 32 << 20,
            segment_records: 1900,
            seal: Seal::Eager,
            seal_idle: Span::millis(20),
            persistence: options::Persistence::Durable,
        },
        client_addresses: default_options().client_addresses,
    };
    let draft = ConfigurationDraft {
        members: vec![NodeId(0), NodeId(2)],
        quorum: QuorumSpec::Fixed(2),
        window: 7,
        index_exclusivity: true,
        implicit_commit: true,
        lease: Some(Lease { duration: Span::millis(18), clock_error_ppm: 600 }),
        session_ttl: Span::secs(9),
        application: "dummy".to_owned(),
    };
    assert_eq!(file.options, options);
    assert_eq!(*file.configuration.draft(), draft);
    assert_eq!((file.application.name(), file.persistence, file.clients_max), ("dummy", Persistence::Fsync, 21));
}

#[test]
fn clients_are_not_sent_to_where_a_member_merely_listens() {
    let members = MEMBERS.replace("127.0.0.1:8080", "0.0.0.0:8080").replace("127.0.0.3:8080", "[::]:8080");
    assert_eq!(ClusterFile::parse("ios.toml", &members).unwrap().options, Options::default());
}

#[test]
fn writes_go_unsynced_only_when_asked_for_under_unsafe() {
    let file = ClusterFile::parse("ios.toml", &format!("[unsafe]\npersistence = \"none\"{MEMBERS}")).unwrap();
    assert_eq!(file.persistence, Persistence::None);
    assert_eq!(file.options, default_options(), "unsynced, but journalled");
    let file = ClusterFile::parse("ios.toml", &format!("[unsafe]\nforget = true{MEMBERS}")).unwrap();
    assert_eq!(file.options.journal.persistence, options::Persistence::None);
    check_with_members(
        "[journal]\npersistence = \"none\"",
        expect![[
            r#"ios.toml:2: persistence in [journal] must be "dsync" or "fsync" ("none" only in [unsafe]): "none" is unknown"#
        ]],
    );
    check_with_members(
        "[unsafe]\npersistence = \"osync\"",
        expect![[r#"ios.toml:2: persistence in [unsafe] must be "none": "osync" is unknown"#]],
    );
}

#[test]
fn unknown_keys_are_named_with_their_line_and_the_nearest_known_one() {
    check_with_members(
        "\n[cluster]\nwindw = 3",
        expect![[r#"ios.toml:3: unknown key "windw" in [cluster]; did you mean "window"?"#]],
    );
    check_with_members(
        "[clutser]\nwindow = 3",
        expect![[r#"ios.toml:1: unknown section or key "clutser"; did you mean "cluster"?"#]],
    );
    check_with_members(
        "[timing]\nsnapshot = 3",
        expect![[r#"ios.toml:2: unknown key "snapshot" in [timing]; known here: heartbeat, election_timeout"#]],
    );
    check(
        &MEMBERS.replace("peer", "peers"),
        expect!["ios.toml:2: [member] lacks peer, which must be a text in quotes"],
    );
}

#[test]
fn unsafe_quorums_are_refused_with_a_reason() {
    let five: String = (0..5)
        .map(|id| {
            format!("[[member]]\nid = {id}\npeer = \"127.0.0.1:{}\"\nclient = \"127.0.0.1:{}\"\n", 1 + id, 11 + id)
        })
        .collect();
    check(
        &format!("[cluster]\nquorum = \"fixed:0\"\n{five}"),
        expect![
            "ios.toml:2: quorum system fixed:0 of 5 members is unsafe: a replication quorum of no members meets no \
             recovery quorum, for instance {} and all 5; K must be from 1 to 5"
        ],
    );
    check(
        &format!("[cluster]\nquorum = \"fixed:-1\"\n{five}"),
        expect![
            "ios.toml:2: quorum system fixed:-1 of 5 members is unsafe: a replication quorum of no members meets no \
             recovery quorum, for instance {} and all 5; K must be from 1 to 5"
        ],
    );
    check(
        &format!("[cluster]\nquorum = \"fixed:6\"\n{five}"),
        expect![
            "ios.toml:2: quorum system fixed:6 of 5 members is impossible: no replication quorum can have that many \
             members, so nothing could ever be chosen; K must be from 1 to 5"
        ],
    );
    check(
        &format!("[cluster]\nquorum = \"most\"\n{five}"),
        expect![[
            r#"ios.toml:2: quorum in [cluster] must be a quorum system in quotes, such as "majority": unknown quorum system "most"; known are majority, non-strict-majority, all-in, one-in, fixed:K, weighted:..., grid:... and explicit:..."#
        ]],
    );
}

#[test]
fn values_out_of_their_bounds_are_refused_where_they_stand() {
    check_with_members("[cluster]\nwindow = 0", expect!["ios.toml:2: window 0 is not within 1 to 4096"]);
    check_with_members(
        "[cluster]\nwindow = -3",
        expect!["ios.toml:2: window in [cluster] must be a whole number, not negative: -3 is out of range"],
    );
    check_with_members(
        "[cluster]\nsession_ttl = \"1ms\"",
        expect!["ios.toml:2: session lifetime 1ms is below the shortest, 100ms"],
    );
    check_with_members(
        "[cluster]\nsession_ttl = 60",
        expect![[r#"ios.toml:2: session_ttl in [cluster] must be a length of time in quotes, such as "50ms""#]],
    );
    check_with_members(
        "[timing]\nheartbeat = \"400ms\"\nelection_timeout = \"0.5s\"",
        expect![[
            r#"ios.toml:3: election_timeout in [timing] must be a length of time in quotes, such as "50ms": "0.5s": a length of time is a whole number and a unit, such as 50ms; units are s, ms, us, ns"#
        ]],
    );
    check_with_members(
        "[timing]\nelection_timeout = \"60ms\"",
        expect![
            "ios.toml:2: option election_timeout: must be at least two heartbeats, or healthy leaders are given up"
        ],
    );
    check_with_members(
        "[journal]\nsegment_records = 3",
        expect!["ios.toml:2: option journal.segment_records: must be at least 4"],
    );
    check_with_members(
        "[node]\nexplicit_commit = \"yes\"",
        expect!["ios.toml:2: explicit_commit in [node] must be true or false"],
    );
    check_with_members(
        "[node]\nclients_max = 0",
        expect!["ios.toml:2: clients_max in [node] must be a whole number from 1 to 1000000: 0 is out of range"],
    );
    check_with_members(
        "[cluster]\napplication = \"kv\"",
        expect![[
            r#"ios.toml:2: application in [cluster] must be "kv-store" or "dummy": there is no application "kv"; choose kv-store or dummy"#
        ]],
    );
    check_with_members("cluster = 3", expect!["ios.toml:1: cluster must be a table: [cluster]"]);
    check_with_members("[cluster\n", expect!["ios.toml:1: unclosed table, expected `]`"]);
}

#[test]
fn a_lease_is_off_or_names_its_clocks_and_outlasts_heartbeats() {
    let off = ClusterFile::parse("ios.toml", &format!("[cluster]\nlease = \"off\"{MEMBERS}")).unwrap();
    assert_eq!(off.configuration.lease(), None);
    check_with_members(
        "[cluster]\nlease = \"300ms\"",
        expect![[
            r#"ios.toml:2: lease in [cluster] must be "off", or a length of time and an error of clocks such as "300ms/500ppm": "300ms" is no lease, such as 300ms/500ppm: how long, and how wrong clocks are at most"#
        ]],
    );
    check_with_members(
        "[cluster]\nlease = \"300ms/2000000ppm\"",
        expect!["ios.toml:2: lease 300ms/2000000ppm is not within 1ms to 3600s and 0 to 100000ppm"],
    );
    check_with_members(
        "[cluster]\nlease = \"50ms/500ppm\"",
        expect!["ios.toml:2: option heartbeat: must be shorter than a lease is relied on, or none is held for long"],
    );
    check_with_members(
        "[cluster]\nlease = \"1s/500ppm\"\n[timing]\nheartbeat = \"1s\"\nelection_timeout = \"2s\"",
        expect!["ios.toml:4: option heartbeat: must be shorter than a lease is relied on, or none is held for long"],
    );
}

#[test]
fn members_need_distinct_ids_and_addresses() {
    check(
        "",
        expect![[
            r#"ios.toml: no members are listed; each needs a table [[member]] with id, peer = "host:port" and client = "host:port""#
        ]],
    );
    check(
        &MEMBERS.replace("id = 2", "id = 0"),
        expect!["ios.toml:6: member n0 is listed twice; every node needs its own id"],
    );
    check(&MEMBERS.replace("id = 2", "id = 64"), expect!["ios.toml: member n64: ids go from 0 to 63"]);
    check(
        &MEMBERS.replace("id = 2", ""),
        expect!["ios.toml:2: [member] lacks id, which must be a whole number from 0 to 255"],
    );
    check(
        &MEMBERS.replace("127.0.0.3:8090", "127.0.0.1:8080"),
        expect!["ios.toml:6: member n0 has address 127.0.0.1:8080, which member n2 has too"],
    );
    check(
        &MEMBERS.replace("127.0.0.3:8090", "127.0.0.3:8080"),
        expect!["ios.toml:2: member n2 listens on 127.0.0.3:8080 for peers and for clients; give each an address"],
    );
    check(
        &format!("{MEMBERS}http = \"127.0.0.1:8080\"\n"),
        expect!["ios.toml:6: member n0 listens on 127.0.0.1:8080 for HTTP and for others; give each an address"],
    );
    check(
        &format!("{MEMBERS}http = \"127.0.0.3:8080\"\n"),
        expect!["ios.toml:6: member n0 has address 127.0.0.3:8080, which member n2 has too"],
    );
    check(
        &MEMBERS.replace("127.0.0.3:8090", "127.0.0.3"),
        expect![[r#"ios.toml:2: "127.0.0.3" is no address; write host:port, such as "127.0.0.1:8090""#]],
    );
}

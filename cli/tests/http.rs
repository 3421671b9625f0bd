//! HTTP at real members: how they are, and commands in words.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, PATIENCE, eventually};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread::sleep,
    time::Duration,
};

fn connect(address: SocketAddr) -> TcpStream {
    let mut socket = None;
    eventually("the HTTP port is open", || {
        socket = TcpStream::connect(address).ok();
        socket.is_some()
    });
    let socket = socket.unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Everything that is said until the connection ends.
fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = connect(address);
    socket.write_all(bytes).unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    said
}

fn split(said: &str) -> (u16, String) {
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {said:?}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    split(&exchange(address, format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes()))
}

/// A cluster of one whose node leads, and its address.
fn single() -> (Cluster, SocketAddr) {
    let cluster = Cluster::start(1, "");
    cluster.leader();
    let address = cluster.http_address(0);
    (cluster, address)
}

#[test]
fn commands_in_words_give_the_answers_of_the_go_client_and_are_seen_by_others() {
    let (cluster, address) = single();
    let ok = |text: &str| (200, text.to_owned());
    assert_eq!(get(address, "/request/update/A/3"), ok("OK\n"));
    assert_eq!(get(address, "/request/get/A"), ok("3\n"));
    assert_eq!(get(address, "/request/update/caf%C3%A9/a%2Fb"), ok("OK\n"));
    assert_eq!(get(address, "/request/get/B"), ok("key not found\n"));
    assert_eq!(get(address, "/request/count"), ok("2\n"));
    assert_eq!(cluster.say(&["get", "café"]), "a/b\n");
    let line = "update B 2; get B; delete A";
    let post = format!("POST /request HTTP/1.0\r\nContent-Length: {}\r\n\r\n{line}", line.len());
    let said = exchange(address, post.as_bytes());
    assert_eq!(split(&said), ok("OK; 2; OK\n"));
    assert!(said.contains("\r\nIos-Revision: "), "{said}");
    assert_eq!(cluster.say(&["count"]), "2\n");
    assert_eq!(get(address, "/request/nonsense").0, 400);
    let (code, text) = get(address, "/nowhere");
    assert!(code == 404 && text.contains("/metrics") && text.contains("/request/update/A/3"), "{text}");
    let said = exchange(address, b"DELETE /metrics HTTP/1.0\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 405 ") && said.contains("\r\nAllow: GET, HEAD\r\n"), "{said}");
    assert_eq!(get(address, "/version"), ok(&format!("ios {}\n", env!("CARGO_PKG_VERSION"))));
}

/// Whether a name is one that Prometheus takes.
fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|letter| letter.is_ascii_lowercase());
    first && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// The name of a sample's line, checked, and its value.
fn sample(line: &str) -> (&str, Option<&str>, i64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no whole number: {line}"));
    let Some((name, labels)) = series.split_once('{') else { return (series, None, value) };
    let label = labels.strip_suffix("\"}").and_then(|labels| labels.split_once("=\""));
    let (label, text) = label.unwrap_or_else(|| panic!("no label: {line}"));
    assert!(is_name(label) && !text.contains(['"', '\\', '\n']), "{line}");
    (name, Some(text), value)
}

/// By name, the kind of each family, and its samples by what tells them apart.
type Families = BTreeMap<String, (String, Vec<(String, i64)>)>;

/// Checks every line of a page, and returns each family's kind and samples.
fn read_metrics(page: &str) -> Families {
    let mut families = Families::new();
    let mut series = BTreeSet::new();
    let mut current = String::new();
    assert!(page.ends_with('\n'));
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(is_name(name) && name.starts_with("ios_") && text.ends_with('.'), "{line}");
            let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).expect("its type follows");
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{line}: {kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            current = name.to_owned();
            let before = families.insert(current.clone(), (kind.to_owned(), Vec::new()));
            assert!(before.is_none(), "{name} comes twice");
            continue;
        }
        let (name, label, value) = sample(line);
        let (kind, samples) = families.get_mut(&current).expect("a family comes first");
        let part = name.strip_prefix(&current).unwrap_or_else(|| panic!("{line} is in the midst of {current}"));
        let fits = if kind == "histogram" { ["_bucket", "_sum", "_count"].contains(&part) } else { part.is_empty() };
        assert!(fits && is_name(name), "{line}");
        assert!(series.insert(line.rsplit_once(' ').unwrap().0.to_owned()), "{line} comes twice");
        samples.push((format!("{part}{}", label.unwrap_or_default()), value));
    }
    families
}

#[test]
fn every_line_of_the_metrics_is_in_the_format_and_the_numbers_move() {
    let (_cluster, address) = single();
    let (code, page) = get(address, "/metrics");
    assert_eq!(code, 200);
    let before = read_metrics(&page);
    assert!(before.values().all(|(kind, samples)| !samples.is_empty() || kind == "counter"), "{page}");
    for value in 0..5 {
        assert_eq!(get(address, &format!("/request/update/A/{value}")).0, 200);
    }
    let after = read_metrics(&get(address, "/metrics").1);
    let value = |families: &Families, name: &str, label: &str| {
        let samples = families[name].1.iter();
        samples.filter(|(each, _)| each == label).map(|(_, value)| *value).next().unwrap_or_default()
    };
    assert_eq!(value(&after, "ios_revision", ""), value(&before, "ios_revision", "") + 5);
    assert_eq!(value(&after, "ios_role", "leader"), 1);
    assert_eq!(value(&after, "ios_role", "follower"), 0);
    assert_eq!(value(&after, "ios_sessions", ""), value(&before, "ios_sessions", "") + 1);
    assert!(value(&after, "ios_notes_total", "executed") >= value(&before, "ios_notes_total", "executed") + 5);
    assert_eq!(value(&after, "ios_http_responses_total", "200"), 6);
    let (kind, rounds) = &after["ios_disk_round_microseconds"];
    assert_eq!(kind, "histogram");
    let buckets: Vec<i64> = rounds.iter().filter(|(name, _)| name.starts_with("_bucket")).map(|each| each.1).collect();
    assert!(buckets.is_sorted() && buckets.len() == 15, "{buckets:?}");
    let count = value(&after, "ios_disk_round_microseconds", "_count");
    assert!(count >= 5 && buckets.last() == Some(&count), "{rounds:?}");
}

#[test]
fn garbage_and_slow_senders_are_answered_and_hold_nobody_up() {
    let (_cluster, address) = single();
    let mut slow = connect(address);
    slow.write_all(b"GET /livez HTT").unwrap();
    for (bytes, status) in [
        (&b"\x00\xff\xfe garbage\r\n\r\n"[..], 400),
        (b"{\"ClientID\":\"a\"}\n\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"POST /request HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncount\r\n0\r\n\r\n", 411),
        (b"POST /request HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET /request/get/%zz HTTP/1.0\r\n\r\n", 400),
    ] {
        assert_eq!(split(&exchange(address, bytes)).0, status, "{}", String::from_utf8_lossy(bytes));
    }
    let endless = [b"GET /".to_vec(), vec![b'a'; 200_000]].concat();
    assert_eq!(split(&exchange(address, &endless)).0, 431);
    sleep(Duration::from_millis(50));
    slow.write_all(b"P/1.0\r\n\r\n").unwrap();
    let mut said = String::new();
    slow.read_to_string(&mut said).unwrap();
    assert_eq!(split(&said), (200, "ok\n".to_owned()));
}

#[test]
fn a_connection_is_kept_and_takes_several_requests_at_once() {
    let (_cluster, address) = single();
    let mut requests = String::new();
    for value in 0..20 {
        requests.push_str(&format!("POST /request/update/k/{value} HTTP/1.1\r\nHost: h\r\n\r\n"));
        requests.push_str("GET /request/get/k HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    requests.push_str("GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let said = exchange(address, requests.as_bytes());
    let bodies: Vec<&str> =
        said.split("HTTP/1.1 200 OK\r\n").skip(1).map(|one| one.split_once("\r\n\r\n").unwrap().1).collect();
    let mut expected: Vec<String> = (0..20).flat_map(|value| ["OK\n".to_owned(), format!("{value}\n")]).collect();
    expected.push("ok\n".to_owned());
    assert_eq!(bodies, expected);
}

#[test]
fn a_follower_names_the_leader_or_forwards_if_it_is_to() {
    for (settings, forwards) in [("", false), ("[node]\nparticipant = \"forward\"\n", true)] {
        let cluster = Cluster::start(3, settings);
        let leader = cluster.leader();
        let follower = (leader + 1) % 3;
        let address = cluster.http_address(follower);
        eventually("the follower is ready", || get(address, "/readyz").0 == 200);
        let (code, text) = get(address, "/request/update/A/1");
        if forwards {
            assert_eq!((code, text.as_str()), (200, "OK\n"));
            assert_eq!(get(address, "/request/get/A"), (200, "1\n".to_owned()));
            continue;
        }
        assert!(code == 503 && text.contains(&cluster.http_address(leader).to_string()), "{code} {text}");
        assert_eq!(get(cluster.http_address(leader), "/request/get/A"), (200, "key not found\n".to_owned()));
    }
}

#[test]
fn an_outcome_that_is_not_known_in_time_is_said_to_be_unknown_and_the_node_not_ready() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.leader();
    let address = cluster.http_address(leader);
    assert_eq!(get(address, "/request/update/A/1").0, 200);
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    others.iter().for_each(|id| cluster.signal(*id, Signal::STOP));
    let (code, text) = get(address, "/request/update/A/2");
    assert!(code == 504 && text.starts_with("outcome unknown: "), "{code} {text}");
    others.iter().for_each(|id| cluster.signal(*id, Signal::CONT));
    let mut value = String::new();
    eventually("somebody answers again", || {
        let answers = (0..3).map(|id| get(cluster.http_address(id), "/request/get/A"));
        value = answers.filter(|(code, _)| *code == 200).map(|(_, text)| text).next().unwrap_or_default();
        !value.is_empty()
    });
    assert!(["1\n", "2\n"].contains(&value.as_str()), "{value}");
    others.iter().for_each(|id| cluster.kill(*id));
    eventually("a node without a leader is not ready", || get(address, "/readyz?verbose").0 == 503);
    assert_eq!(get(address, "/livez").0, 200);
}

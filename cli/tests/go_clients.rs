//! Clients of the prototype at real members: JSON lines on the client port, as `docs/go-clients.md` describes them.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test in real time")]

mod fixture;

use fixture::{Cluster, PATIENCE, assert_success, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::Command,
    thread::sleep,
    time::Duration,
};

const PAGE: &str = include_str!("../../docs/go-clients.md");

/// One connection of a client with an id of its own.
struct Go {
    id: i64,
    socket: BufReader<TcpStream>,
}

impl Go {
    fn connect(id: i64, address: SocketAddr) -> Self {
        let mut socket = None;
        eventually("the client port is open", || {
            socket = TcpStream::connect(address).ok();
            socket.is_some()
        });
        let socket = socket.unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { id, socket: BufReader::new(socket) }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.socket.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn begin(&mut self, request: i64, text: &str) {
        let text = Value::from(text);
        let rest = format!("\"ForceViewChange\":false,\"ReadOnly\":true,\"Request\":{text}}}\n");
        self.send(format!("{{\"ClientID\":{},\"RequestID\":{request},{rest}", self.id));
    }

    /// The next line, empty if the connection has ended.
    fn line(&mut self) -> String {
        let mut line = String::new();
        match self.socket.read_line(&mut line) {
            Ok(_) => line,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("{error}; so far: {line}"),
        }
    }

    /// Whose answer comes next, whether it is a success, and its text.
    fn answer(&mut self) -> (i64, bool, String) {
        let line = self.line();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert_eq!(answer["ClientID"], self.id, "{line}");
        let (request, success) = (answer["RequestID"].as_i64().unwrap(), answer["Success"].as_bool().unwrap());
        (request, success, answer["Response"].as_str().unwrap().to_owned())
    }

    fn ask(&mut self, request: i64, text: &str) -> (bool, String) {
        self.begin(request, text);
        let (answered, success, response) = self.answer();
        assert_eq!(answered, request, "{text}");
        (success, response)
    }
}

fn ok(text: &str) -> (bool, String) {
    (true, text.to_owned())
}

/// A cluster of one that leads.
fn single(settings: &str) -> Cluster {
    let cluster = Cluster::start(1, settings);
    cluster.leader();
    cluster
}

/// The fenced blocks of one language on the page.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let begin = format!("```{language}\n");
    let blocks: Vec<&str> = PAGE.split(&begin).skip(1).collect();
    blocks.into_iter().map(|rest| rest.split("```").next().expect("a split has a first part"))
}

#[test]
fn what_the_page_shows_is_what_happens() {
    let cluster = single("");
    let address = cluster.client_address(0);
    let mut go = Go::connect(1, address);
    let mut lines = 0;
    for line in blocks("text").flat_map(str::lines) {
        match line.split_at(3) {
            ("-> ", said) => go.send(format!("{said}\n")),
            ("<- ", expected) => assert_eq!(go.line(), format!("{expected}\n")),
            _ => panic!("neither asked nor answered: {line}"),
        }
        lines += 1;
    }
    assert!(lines >= 10, "the page has a transcript");

    let script =
        blocks("sh").collect::<String>().replace("127.0.0.1/8080", &format!("{}/{}", address.ip(), address.port()));
    assert!(script.contains(&address.ip().to_string()), "{script}");
    let output = Command::new("bash").args(["-euc", &script]).output().unwrap();
    assert_success(&output);
    let expected: String = blocks("console").collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn lines_and_frames_share_a_port_and_a_store() {
    let cluster = single("");
    let mut go = Go::connect(7, cluster.client_address(0));
    assert_eq!(go.ask(0, "update caf\u{e9} \"<&>\""), ok("OK"));
    assert_eq!(cluster.say(&["get", "caf\u{e9}"]), "\"<&>\"\n");
    assert_eq!(cluster.say(&["put", "A", "1"]), "OK\n");
    assert_eq!(go.ask(1, "get A; exists B; count; print"), ok("1; false; 2; A, 1\ncaf\u{e9}, \"<&>\"\n"));
    assert_eq!(go.ask(2, "delete A; print"), ok("OK; caf\u{e9}, \"<&>\"\n"));
    for (request, line) in (3..).zip(["", "get", "update a", "nonsense", "update a 1; get"]) {
        assert_eq!(go.ask(request, line), ok("Invalid command"), "{line}");
    }
    let long = "k".repeat(5000);
    assert_eq!(go.ask(9, &format!("update {long} 1")), ok("error: 5000 bytes are over the limit of 4096"));
    assert_eq!(go.ask(10, "count"), ok("1"));
}

#[test]
fn a_wish_for_another_leader_is_heard_and_a_leader_that_is_well_stays() {
    let cluster = single("");
    let mut go = Go::connect(7, cluster.client_address(0));
    go.send("{\"ClientID\":7,\"RequestID\":1,\"ForceViewChange\":true,\"Request\":\"update A 1\"}\n");
    assert_eq!(go.answer(), (1, true, "OK".to_owned()));
    let http = cluster.http_address(0);
    assert_eq!(metric(http, "ios_notes_total{note=\"suggested\"}"), 1);
    assert_eq!(metric(http, "ios_role{role=\"leader\"}"), 1);
}

#[test]
fn the_application_that_does_nothing_answers_too() {
    let cluster = single("[cluster]\napplication = \"dummy\"\n");
    let mut go = Go::connect(1, cluster.client_address(0));
    assert_eq!(go.ask(1, "ping"), ok("pong"));
    assert_eq!(go.ask(2, "get A"), ok("Invalid command"));
}

#[test]
fn many_requests_at_once_are_all_answered_by_their_ids() {
    const REQUESTS: i64 = 500;
    let cluster = single("");
    let mut go = Go::connect(3, cluster.client_address(0));
    for request in 0..REQUESTS {
        go.begin(request, &format!("update k{request} {request}"));
    }
    // Whoever ends his side has his answers all the same.
    go.socket.get_mut().shutdown(Shutdown::Write).unwrap();
    let answered: BTreeSet<i64> = (0..REQUESTS)
        .map(|_| {
            let (request, success, text) = go.answer();
            assert_eq!((success, text.as_str()), (true, "OK"));
            request
        })
        .collect();
    assert!(answered.into_iter().eq(0..REQUESTS));
    assert_eq!(go.line(), "");
    assert_eq!(cluster.say(&["count"]), format!("{REQUESTS}\n"));
}

#[test]
fn a_member_that_does_not_lead_names_the_leader_or_forwards_if_it_is_to() {
    for (settings, forwards) in [("", false), ("[node]\nparticipant = \"forward\"\n", true)] {
        let cluster = Cluster::start(3, settings);
        let leader = cluster.leader();
        let follower = (leader + 1) % 3;
        let follows = || cluster.status(follower).is_some_and(|status| status.leader.is_some());
        eventually("the follower follows", follows);
        let mut go = Go::connect(5, cluster.client_address(follower));
        if forwards {
            assert_eq!((go.ask(1, "update A 1"), go.ask(2, "get A")), (ok("OK"), ok("1")));
            continue;
        }
        let (success, text) = go.ask(1, "update A 1");
        assert!(!success && text.contains(&cluster.client_address(leader).to_string()), "{text}");
        // As Go's client does: the same again, elsewhere.
        let mut go = Go::connect(5, cluster.client_address(leader));
        assert_eq!((go.ask(1, "update A 1"), go.ask(2, "get A")), (ok("OK"), ok("1")));
    }
}

#[test]
fn a_request_that_is_repeated_on_another_connection_is_done_once() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.leader();
    let address = cluster.client_address(leader);
    let mut go = Go::connect(9, address);
    assert_eq!(go.ask(1, "update A 1"), ok("OK"));
    assert_eq!(go.ask(2, "cas A 1 2"), ok("true"));
    drop(go);
    // Executed again it would find a 2.
    let mut go = Go::connect(9, address);
    assert_eq!(go.ask(2, "cas A 1 2"), ok("true"));
    assert_eq!(go.ask(3, "cas A 1 2"), ok("false"));
    assert_eq!(Go::connect(10, address).ask(2, "cas A 1 2"), ok("false"));

    // One that is under way is waited for.
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    others.iter().for_each(|id| cluster.signal(*id, Signal::STOP));
    go.begin(4, "cas A 2 3");
    sleep(Duration::from_millis(100));
    drop(go);
    let mut go = Go::connect(9, address);
    go.begin(4, "cas A 2 3");
    sleep(Duration::from_millis(50));
    others.iter().for_each(|id| cluster.signal(*id, Signal::CONT));
    assert_eq!(go.answer(), (4, true, "true".to_owned()));
    assert_eq!(cluster.say(&["get", "A"]), "3\n");
}

#[test]
fn what_nobody_knows_is_not_answered_however_often_it_is_asked() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.leader();
    let address = cluster.client_address(leader);
    let mut go = Go::connect(9, address);
    assert_eq!(go.ask(1, "update A 1"), ok("OK"));
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    others.iter().for_each(|id| cluster.signal(*id, Signal::STOP));
    go.begin(2, "update A 2");
    assert_eq!(go.line(), "", "closed without a word");
    let mut again = Go::connect(9, address);
    again.begin(2, "update A 2");
    assert_eq!(again.line(), "", "nor is it begun again");
    // What nobody has taken is certainly not done.
    let (success, text) = Go::connect(9, address).ask(3, "update A 3");
    assert!(!success && text.starts_with("not done: "), "{text}");
    others.iter().for_each(|id| cluster.signal(*id, Signal::CONT));
    let value = cluster.say(&["get", "A"]);
    assert!(["1\n", "2\n"].contains(&value.as_str()), "{value}");
}

#[test]
fn a_member_that_stops_says_nothing_false() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.leader();
    let mut go = Go::connect(9, cluster.client_address(leader));
    assert_eq!(go.ask(1, "update A 1"), ok("OK"));
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    others.iter().for_each(|id| cluster.signal(*id, Signal::STOP));
    go.begin(2, "update A 2");
    sleep(Duration::from_millis(100));
    cluster.signal(leader, Signal::TERM);
    assert_eq!(go.line(), "");
    assert_eq!(cluster.wait(leader), Some(0));
    others.iter().for_each(|id| cluster.signal(*id, Signal::CONT));
}

/// One of the numbers that a member tells by HTTP.
fn metric(http: SocketAddr, name: &str) -> usize {
    let mut socket = TcpStream::connect(http).unwrap();
    socket.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

#[test]
fn garbage_endless_lines_and_slow_readers_hold_nobody_up() {
    let cluster = single("");
    let (address, http) = (cluster.client_address(0), cluster.http_address(0));
    let mut good = Go::connect(1, address);
    assert_eq!(good.ask(1, &format!("update large {}", "x".repeat(1 << 20))), ok("OK"));
    let mut slow = Go::connect(2, address);
    slow.send("{\"ClientID\":2,");
    for (line, words) in [
        (b"{]\n".to_vec(), "the line is no request"),
        (b"{\"ClientID\":-1,\"RequestID\":-1}\n{\"ClientID\":-1}\n".to_vec(), "the line lacks Request"),
        (b"{\"Request\":\"\xff\"}\n".to_vec(), "the line is no request"),
        ([b"{\"Request\":\"".to_vec(), vec![b'a'; 10 << 20]].concat(), "longer than the limit of 9441280 bytes"),
    ] {
        let mut bad = Go::connect(-1, address);
        bad.send(line);
        let (request, success, text) = bad.answer();
        assert!(request == -1 && !success && text.contains(words), "{text}");
        assert_eq!(bad.line(), "", "and that was the last");
    }
    let mut greedy = Go::connect(3, address);
    let get = "{\"ClientID\":3,\"RequestID\":1,\"Request\":\"get large\"}\n";
    // Sixty-four answers of a megabyte, none of which is read.
    let _ = greedy.socket.get_mut().write_all(get.repeat(64).as_bytes());
    eventually("who does not read is closed", || metric(http, "ios_client_connections") == 2);
    assert_eq!(good.ask(2, "count"), ok("1"));
    slow.send("\"RequestID\":1,\"Request\":\"count\"}\n");
    assert_eq!(slow.answer(), (1, true, "1".to_owned()));
}

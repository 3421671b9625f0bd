//! The port over loopback with time as a number, and pages of nodes in trouble.

use super::*;
use crate::{disk::Rounds, notes::Counters};
use ios_core::{
    ids::{ClusterId, Incarnation, Index, Revision, View},
    interface::Note,
    message::Status,
    options::Options,
};
use mio::{Events, Poll};
use std::{
    io::{self, Read},
    net::{SocketAddr, TcpStream as Socket},
    time::Duration,
};

/// Polls before a test gives up: each waits ten milliseconds at most.
const PATIENCE: usize = 500;

fn status(change: impl FnOnce(&mut Status)) -> Status {
    let mut status = Status {
        node: NodeId(1),
        incarnation: Incarnation(2),
        cluster: Some(ClusterId(7)),
        role: "follower".to_owned(),
        view: View { round: 3, node: NodeId(0) },
        leader: Some(NodeId(0)),
        members: vec![NodeId(0), NodeId(1)],
        reachable: vec![NodeId(0), NodeId(1)],
        floor: Index(10),
        applied: Index(9),
        last: Index(11),
        revision: Revision(8),
        state_hash: 1,
        sessions: 2,
        log_time: Time(5),
        unknown: 0,
        hollow: false,
    };
    change(&mut status);
    status
}

/// The port, and what is around it.
struct Side {
    poll: Poll,
    http: Http,
    address: SocketAddr,
    now: Time,
    status: Status,
    inside: Inside,
    node: VecDeque<Input>,
    counters: Counters,
}

fn side(status: Status) -> Side {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let members = BTreeMap::from([(NodeId(0), "10.0.0.1:12345".to_owned())]);
    let manners = Manners::new("kv-store".parse().unwrap(), &Options::default());
    let (poll, mut http) = (Poll::new().unwrap(), Http::new(listener, manners, members));
    poll.registry().register(http.listener(), Source::HttpListener.token(), Interest::READABLE).unwrap();
    let mut counters = Counters::default();
    counters.take(&Note::Whole);
    let (now, inside) = (Time(1), Inside::new(1, Time(1)));
    Side { poll, http, address, now, status, inside, node: VecDeque::new(), counters }
}

impl Side {
    fn connect(&self) -> Socket {
        let socket = Socket::connect(self.address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn turn(&mut self) {
        let mut events = Events::with_capacity(1024);
        self.poll.poll(&mut events, Some(Duration::from_millis(10))).unwrap();
        for event in &events {
            match Source::of(event.token()) {
                Source::HttpListener => self.http.listener_ready(),
                Source::Http(number) => self.http.ready(number, event),
                other => panic!("{other:?}"),
            }
        }
        self.http.turn(self.now, self.poll.registry(), &mut [0; 4096]);
        let vitals = Vitals {
            status: self.status.clone(),
            counters: &self.counters,
            clients: 4,
            links_up: 1,
            dropped: 5,
            rounds: &Rounds::default(),
            disk_outstanding: 0,
        };
        self.http.answer_all(self.now, &vitals, &mut self.inside, &mut self.node);
        self.http.flush(self.now);
    }

    /// Reads until the other end has ended.
    fn rest(&mut self, socket: &mut Socket) -> String {
        let mut said = Vec::new();
        for _ in 0..PATIENCE {
            match socket.read_to_end(&mut said) {
                Ok(_) => return String::from_utf8(said).unwrap(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.turn(),
                Err(error) => panic!("{error}; so far: {}", String::from_utf8_lossy(&said)),
            }
        }
        panic!("it did not end; so far: {}", String::from_utf8_lossy(&said));
    }

    /// What is answered to bytes after which nothing more is sent.
    fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        let mut socket = self.connect();
        socket.write_all(bytes.as_ref()).unwrap();
        self.rest(&mut socket)
    }

    fn get(&mut self, path: &str) -> (u16, String) {
        let said = self.ask(format!("GET {path} HTTP/1.0\r\n\r\n"));
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }
}

#[test]
fn whoever_is_silent_or_slow_is_given_up_at_a_fixed_time() {
    let mut side = side(status(|_| ()));
    let (mut silent, mut slow) = (side.connect(), side.connect());
    let mut idle = side.connect();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    for byte in b"GET /livez HTTP/1.1" {
        slow.write_all(&[*byte]).unwrap();
        side.turn();
    }
    side.now = side.now + REQUEST_WITHIN;
    slow.write_all(b"\r").unwrap();
    assert!(side.rest(&mut slow).starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    drop(slow);
    assert_eq!(side.rest(&mut silent), "");
    side.turn();
    assert_eq!(side.http.connections.len(), 1, "one rests after an answer");
    side.now = side.now + IDLE_MAX;
    assert!(side.rest(&mut idle).ends_with("\r\n\r\nok\n"));
    assert!(side.http.connections.is_empty() && side.http.deadlines.is_empty());
}

#[test]
fn one_connection_too_many_is_told_so_and_the_others_stay() {
    let mut side = side(status(|_| ()));
    let mut sockets = Vec::new();
    for count in 1..=CONNECTIONS_MAX {
        sockets.push(side.connect());
        for _ in 0..PATIENCE {
            if side.http.connections.len() == count {
                break;
            }
            side.turn();
        }
    }
    let mut late = side.connect();
    assert!(side.rest(&mut late).contains("takes 256 connections at a time"));
    assert_eq!((side.http.refused, side.http.connections.len()), (1, CONNECTIONS_MAX));
    sockets[0].write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    assert!(side.rest(&mut sockets[0]).ends_with("ok\n"));
}

#[test]
fn pipelined_requests_are_answered_in_order_and_garbage_ends_the_connection() {
    let mut side = side(status(|_| ()));
    let two = "GET /version HTTP/1.1\r\nHost: h\r\n\r\nHEAD /livez HTTP/1.1\r\nHost: h\r\n\r\n";
    let said = side.ask(format!("{two}\u{7}\r\n\r\nGET /livez HTTP/1.0\r\n\r\n"));
    let places: Vec<usize> = said.match_indices("HTTP/1.1 ").map(|(place, _)| place).collect();
    assert_eq!(places.len(), 3, "{said}");
    assert!(said[..places[1]].ends_with(&format!("\r\n\r\nios {VERSION}\n")), "{said}");
    assert!(said[places[1]..places[2]].ends_with("\r\n\r\n"), "no body: {said}");
    assert!(said[places[2]..].starts_with("HTTP/1.1 400 "), "{said}");
    assert_eq!(side.http.responses, BTreeMap::from([(200, 2), (400, 1)]));
}

#[test]
fn readiness_says_what_is_wrong() {
    let check = |change: fn(&mut Status), words: &str| {
        let mut side = side(status(change));
        let (code, verbose) = side.get("/readyz?verbose");
        assert!(code == 503 && verbose.contains(words), "{verbose}");
        let (code, health) = side.get("/health");
        assert!(code == 503 && health.starts_with("{\"health\":\"false\",\"reason\":\""), "{health}");
        assert_eq!(side.get("/livez"), (200, "ok\n".to_owned()));
    };
    check(|status| status.leader = None, "[-]leader-known failed: no leader is known; the node is follower\n");
    check(|status| status.reachable.clear(), "[-]leader-heard failed: no link to n0\nnot ready: leader-heard\n");
    check(|status| status.role = "stopping".to_owned(), "[-]running failed: the node is stopping\n");
    let mut side = side(status(|_| ()));
    let verbose = "[+]running ok\n[+]leader-known ok\n[+]leader-heard ok\nok\n";
    assert_eq!(side.get("/readyz?verbose"), (200, verbose.to_owned()));
    assert_eq!(side.get("/health"), (200, "{\"health\":\"true\",\"reason\":\"\"}\n".to_owned()));
}

#[test]
fn a_command_at_a_follower_names_the_leader_and_reaches_nobody() {
    let mut side = side(status(|_| ()));
    let said = side.ask("GET /request/update/A/3 HTTP/1.0\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("\r\nIos-Leader: 10.0.0.1:12345\r\n"), "{said}");
    assert!(said.ends_with("not done: n0 leads, which speaks HTTP at 10.0.0.1:12345, not this member\n"), "{said}");
    assert!(side.node.is_empty());
}

#[test]
fn metrics_are_what_the_node_says() {
    let (_, page) = side(status(|_| ())).get("/metrics");
    let samples: BTreeMap<&str, &str> =
        page.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap()).collect();
    for (name, value) in [
        ("ios_node", "1"),
        ("ios_role{role=\"follower\"}", "1"),
        ("ios_role{role=\"leader\"}", "0"),
        ("ios_view_round", "3"),
        ("ios_floor", "10"),
        ("ios_applied", "9"),
        ("ios_last", "11"),
        ("ios_revision", "8"),
        ("ios_sessions", "2"),
        ("ios_client_connections", "4"),
        ("ios_http_connections", "1"),
        ("ios_peer_links_up", "1"),
        ("ios_peer_messages_dropped_total", "5"),
        ("ios_notes_total{note=\"whole\"}", "1"),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
}

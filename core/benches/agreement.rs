//! How fast three nodes in one thread agree when neither disk nor network costs anything: `cargo bench -p ios-core`.
//!
//! Two measurements, each at batches of 1 and of 16 requests: the replica alone (assignment, replication, commit) with
//! 16-byte requests, and the whole node (sessions, key-value store, replies) with 64-byte puts. Every figure is the
//! median of five runs; all five are printed.
#![expect(clippy::disallowed_types, reason = "a benchmark reads the clock")]

use bytes::Bytes;
use ios_core::{
    Config, Node,
    batch::Command,
    configuration::{Configuration, ConfigurationDraft},
    ids::{ConnectionId, DiskNonce, Index, NodeId, Sequence, SessionId},
    interface::{Input, Output},
    journal::{self, Journal},
    message::{ClientRequest, ClientResponse, PeerMessage, RequestKey},
    options::{Options, Persistence},
    ram_disk::RamDisk,
    replica::{Replica, assignment::Waiter, turn::Turn},
    service::kv::{self, Kv},
    time::{Span, Time},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::{collections::VecDeque, time::Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NODES: u8 = 3;
const RUNS: usize = 5;
const IN_FLIGHT: u64 = 64;
const CONNECTION: ConnectionId = ConnectionId(1);

/// `cargo bench -p ios-core [-- replica|replica-1|replica-16|node|node-1|node-16 ...]`
fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |what: &str, batch: usize| {
        wanted.is_empty() || wanted.iter().any(|name| *name == what || *name == format!("{what}-{batch}"))
    };
    for batch in [1, 16] {
        if is_wanted("replica", batch) {
            report("replica", batch, 400_000 * batch as u64, ReplicaCluster::new, ReplicaCluster::run);
        }
    }
    for batch in [1, 16] {
        if is_wanted("node", batch) {
            report("node", batch, 400_000, NodeCluster::new, NodeCluster::run);
        }
    }
}

/// Prints requests committed per second by all three members together. A cluster is built before the clock starts and
/// taken apart after it has stopped.
fn report<C>(what: &str, batch: usize, requests: u64, build: impl Fn(usize) -> C, run: impl Fn(&mut C, u64, usize)) {
    let mut rates: Vec<u64> = (0..RUNS)
        .map(|_| {
            let mut cluster = build(batch);
            let start = Instant::now();
            run(&mut cluster, requests / batch as u64, batch);
            let nanos = start.elapsed().as_nanos().max(1);
            (u128::from(requests) * 1_000_000_000 / nanos) as u64
        })
        .collect();
    rates.sort_unstable();
    println!("{what:8} batch {batch:2}: {:9} requests/s  (runs: {rates:?})", rates[RUNS / 2]);
}

fn config(node: u8, batch: usize) -> Config {
    let members = (0..NODES).map(NodeId).collect();
    let draft = ConfigurationDraft { members, window: IN_FLIGHT, session_ttl: Span::secs(3600), ..Default::default() };
    let mut options = Options { max_batch: batch, ..Options::default() };
    options.journal.persistence = Persistence::None;
    Config { node: NodeId(node), configuration: Configuration::new(draft).expect("valid"), options }
}

fn formatted(node: u8, config: &Config) -> RamDisk {
    let mut disk = RamDisk::default();
    for action in journal::format(NodeId(node), DiskNonce(u128::from(node) + 1), &config.configuration) {
        disk.perform(&action);
    }
    disk
}

// ---- The replica alone.

struct Member {
    replica: Replica,
    journal: Journal,
    rng: ChaCha8Rng,
    applied: Index,
    out: Vec<Output>,
}

impl Member {
    fn turn<R>(&mut self, now: Time, act: impl FnOnce(&mut Replica, &mut Turn) -> R) -> R {
        let Self { replica, journal, rng, out, .. } = self;
        act(replica, &mut Turn { now, rng, journal, out })
    }

    /// What a node does around its replica, without a service.
    fn settle(&mut self, now: Time) {
        self.turn(now, Replica::release);
        while self.applied < self.replica.log().floor() {
            self.applied = self.applied.next();
            let index = self.applied;
            let digest = self.replica.log().committed(index).expect("below the floor").digest();
            self.turn(now, |replica, turn| drop(replica.take_waiters(turn, index, digest)));
        }
        if self.replica.wants_opening() {
            self.turn(now, |replica, turn| replica.open_window(turn, Time::ZERO));
        }
    }
}

struct ReplicaCluster {
    members: Vec<Member>,
    spare: Vec<Output>,
    now: Time,
    leader: usize,
}

impl ReplicaCluster {
    fn new(batch: usize) -> Self {
        let members = (0..NODES).map(|node| {
            let config = config(node, batch);
            let options = config.options.journal.clone();
            let genesis = config.configuration.genesis_hash();
            let disk = &mut formatted(node, &config);
            let (journal, recovered) = Journal::open(NodeId(node), genesis, options, disk).expect("a fresh disk opens");
            let mut rng = ChaCha8Rng::seed_from_u64(u64::from(node));
            let replica = Replica::new(&config, recovered, journal.ticket(), Time::ZERO, &mut rng);
            Member { replica, journal, rng, applied: Index::ZERO, out: Vec::new() }
        });
        let mut cluster = Self { members: members.collect(), spare: Vec::new(), now: Time::ZERO, leader: 0 };
        cluster.elect();
        cluster
    }

    fn elect(&mut self) {
        for member in &mut self.members {
            member.turn(Time::ZERO, Replica::start);
            for peer in 0..NODES {
                if NodeId(peer) != member_id(member) {
                    member.turn(Time::ZERO, |replica, turn| replica.link(turn, NodeId(peer), true, true));
                }
            }
        }
        while !self.members.iter().any(|member| member.replica.role_name() == "leader") {
            self.exchange();
            self.now = self.members.iter().map(|member| member.replica.deadline(None).0).min().expect("three");
            for member in &mut self.members {
                member.turn(self.now, Replica::wake);
            }
        }
        self.exchange();
        let leads = |member: &Member| member.replica.role_name() == "leader";
        self.leader = self.members.iter().position(leads).expect("just seen");
    }

    /// Delivers messages until none is left.
    fn exchange(&mut self) {
        let mut delivered = true;
        while std::mem::take(&mut delivered) {
            for from in 0..self.members.len() {
                self.members[from].settle(self.now);
                let mut out = std::mem::replace(&mut self.members[from].out, std::mem::take(&mut self.spare));
                for output in out.drain(..) {
                    let Output::Send { to, message } = output else { continue };
                    delivered = true;
                    let last = to.iter().last().expect("someone");
                    to.without(last).iter().for_each(|to| self.deliver(from, to, message.clone()));
                    self.deliver(from, last, message);
                }
                self.spare = out;
            }
        }
    }

    fn deliver(&mut self, from: usize, to: NodeId, message: PeerMessage) {
        let from = NodeId(from as u8);
        self.members[usize::from(to.0)].turn(self.now, |replica, turn| replica.receive(turn, from, message));
    }

    fn run(&mut self, commits: u64, batch: usize) {
        let payload = Bytes::from_static(&[7; 16]);
        let session = SessionId { index: Index(1), position: 0 };
        let target = self.members[self.leader].applied.plus(commits);
        let mut sequence = 0;
        while self.members[self.leader].applied < target {
            for _ in 0..IN_FLIGHT {
                let now = self.now;
                let member = &mut self.members[self.leader];
                for _ in 0..batch {
                    sequence += 1;
                    let request = RequestKey::Write(session, Sequence(sequence));
                    let (sequence, acked) = (Sequence(sequence), Sequence(0));
                    let command = Command::Request { session, sequence, acked, payload: payload.clone() };
                    let waiter = Waiter::Client { connection: CONNECTION, request };
                    member.turn(now, |replica, turn| replica.submit(turn, waiter, &command));
                }
                member.turn(now, |replica, turn| replica.end_turn(turn, None));
            }
            self.exchange();
        }
    }
}

fn member_id(member: &Member) -> NodeId {
    member.replica.id()
}

// ---- The whole node.

struct NodeCluster {
    nodes: Vec<Node<Kv>>,
    now: Time,
    leader: usize,
    replies: u64,
    session: Option<SessionId>,
    out: Vec<Output>,
    queue: VecDeque<(usize, Input)>,
}

impl NodeCluster {
    fn new(batch: usize) -> Self {
        let nodes = (0..NODES).map(|node| {
            let config = config(node, batch);
            let disk = &mut formatted(node, &config);
            Node::open(config, Kv::default(), u64::from(node), Time::ZERO, disk).expect("a fresh disk opens")
        });
        let mut cluster = Self {
            nodes: nodes.collect(),
            now: Time::ZERO,
            leader: 0,
            replies: 0,
            session: None,
            out: Vec::new(),
            queue: VecDeque::new(),
        };
        for node in 0..usize::from(NODES) {
            cluster.feed(node, Input::Wake);
            for peer in (0..NODES).filter(|peer| usize::from(*peer) != node) {
                cluster.feed(node, Input::Link { peer: NodeId(peer), up: true });
            }
        }
        while !cluster.nodes.iter().any(|node| node.status().role == "leader") {
            cluster.exchange();
            cluster.pass_time();
        }
        cluster.exchange();
        let leads = |node: &Node<Kv>| node.status().role == "leader";
        cluster.leader = cluster.nodes.iter().position(leads).expect("just seen");
        cluster.feed(
            cluster.leader,
            Input::Client { connection: CONNECTION, request: ClientRequest::Register { tag: 1 } },
        );
        cluster.feed(cluster.leader, Input::Wake);
        cluster.exchange();
        cluster
    }

    fn pass_time(&mut self) {
        self.now = self.nodes.iter().filter_map(|node| node.deadline()).map(|(time, _)| time).min().expect("timers");
        for node in 0..self.nodes.len() {
            if self.nodes[node].deadline().is_some_and(|(time, _)| time <= self.now) {
                self.feed(node, Input::Wake);
            }
        }
    }

    fn feed(&mut self, node: usize, input: Input) {
        self.nodes[node].step(self.now, input, &mut self.out);
        for output in self.out.drain(..) {
            match output {
                Output::Send { to, message } => {
                    let from = NodeId(node as u8);
                    let last = to.iter().last().expect("someone");
                    let copies = to.without(last).iter();
                    self.queue
                        .extend(copies.map(|to| (usize::from(to.0), Input::Peer { from, message: message.clone() })));
                    self.queue.push_back((usize::from(last.0), Input::Peer { from, message }));
                }
                Output::Reply { response, .. } => {
                    self.replies += 1;
                    if let ClientResponse::Registered { session, .. } = response {
                        self.session = Some(session);
                    }
                }
                Output::Fence(fault) => panic!("{fault}"),
                Output::Close { .. } | Output::Disk { .. } | Output::Note(_) | Output::Stopped => {}
            }
        }
    }

    fn exchange(&mut self) {
        while let Some((node, input)) = self.queue.pop_front() {
            self.feed(node, input);
        }
    }

    fn run(&mut self, commits: u64, batch: usize) {
        let session = self.session.expect("registered");
        let value = [7; 64];
        let target = self.replies + commits * batch as u64;
        let mut sequence = 0;
        // A session has at most 64 requests in flight.
        let rounds = IN_FLIGHT / batch as u64;
        while self.replies < target {
            let acked = Sequence(sequence);
            for _ in 0..rounds {
                for _ in 0..batch {
                    sequence += 1;
                    let key = (sequence % 10_000).to_le_bytes();
                    let put = kv::Operation::Put { key: &key, value: &value };
                    let payload = kv::request::encode(&[put]).expect("within the limits");
                    let request = ClientRequest::Write { session, sequence: Sequence(sequence), acked, payload };
                    self.feed(self.leader, Input::Client { connection: CONNECTION, request });
                }
                self.feed(self.leader, Input::Wake);
            }
            self.exchange();
        }
    }
}

//! One run: real nodes and real clients on the wires of [`super::wires`], in virtual time.
//!
//! It is a driver like the world's, and shares its agenda, disks and clocks; but nothing here goes wrong unless the
//! setup says so, and what passes is weighed instead of judged. So it takes no part in the sweeps of seeds, and they
//! pay nothing for it. Messages travel as values and weigh what they weigh encoded.
//!
//! A run takes [`WARM_UP`] to found the cluster, elect a leader and open sessions; then its trouble comes and measuring
//! begins, at the same instant, so that what a trouble costs at first is part of the figures.

use super::{
    customers::{Connection, Customer},
    meter::{Figures, Meter},
    setup::{SLOW, Setup, Trouble},
    wires::Wires,
};
use crate::{
    choice::{Chooser, Stream, mix},
    scenario::event::Subject,
    world::{
        agenda::{Agenda, Class, Handle},
        clock::Clock,
        disk::SimDisk,
    },
};
use bytes::Bytes;
use ios_core::{
    Config, Node,
    ids::{ConnectionId, DiskNonce, NodeId, NodeSet, OpId, View},
    interface::{DiskAction, DiskResult, Input, Note, Output, Timer},
    journal,
    message::{ClientRequest, ClientResponse, PeerMessage},
    service::kv::Kv,
    time::{Span, Time},
    wire::{Encoder, Framed},
};
use std::mem;

/// How long a cluster has to get going.
pub const WARM_UP: Span = Span::secs(4);

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Item {
    /// A frame reaches the switch.
    Switch(Parcel),
    /// A frame reaches its receiver.
    Arrive(Parcel),
    /// A member starts.
    Start { node: NodeId },
    /// A member learns that its link to a peer works or is broken.
    Link { node: NodeId, peer: NodeId, up: bool },
    /// The end of a member's turn.
    Turn { node: NodeId },
    /// A member's deadline.
    Timer { node: NodeId },
    /// A member's disk operation ends.
    DiskDone { node: NodeId, op: OpId },
    /// A client's deadline.
    ClientTimer { client: u8 },
    /// A client begins its first request.
    Begin { client: u8 },
    /// The trouble comes, and measuring begins.
    Measure,
}

/// A frame on its way. Ends are numbered: members first, then clients.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) bytes: u64,
    pub(super) content: Content,
}

/// What a frame holds. Handshakes, resets and ends of connections weigh nothing: they are the network's own.
#[derive(Debug)]
pub(super) enum Content {
    Peer(PeerMessage),
    Request(ConnectionId, ClientRequest),
    Response(ConnectionId, ClientResponse),
    Call { endpoint: usize, attempt: u32 },
    Called { endpoint: usize, attempt: u32, connection: Option<ConnectionId> },
    HungUp(ConnectionId),
    Broken(ConnectionId),
}

#[derive(Debug)]
struct Member {
    node: Option<Node<Kv>>,
    disk: SimDisk,
    clock: Clock,
    leading: Option<View>,
    turn: bool,
    timer: Option<(Handle, Time)>,
    /// How long a disk operation takes.
    sync: Span,
    /// Its machine answers, whether or not a node runs on it.
    powered: bool,
}

/// Everything of one run.
pub(super) struct Cluster<'a> {
    pub(super) setup: &'a Setup,
    pub(super) choose: Chooser,
    pub(super) agenda: Agenda<Item>,
    wires: Wires,
    members: Vec<Member>,
    pub(super) customers: Vec<Customer>,
    pub(super) connections: Vec<Connection>,
    /// What every request asks.
    pub(super) meter: Meter,
    encoder: Encoder,
    outputs: Vec<Output>,
    /// Who led when measuring began.
    leader: NodeId,
    events: u64,
    digest: u64,
}

/// Runs a setup from beginning to end.
pub fn run(setup: &Setup) -> Figures {
    let mut cluster = Cluster::new(setup);
    let end = Time::ZERO + WARM_UP + setup.conditions.measured;
    while let Some(item) = cluster.agenda.take(end) {
        cluster.happen(item);
    }
    cluster.meter.conclude(end, usize::from(cluster.leader.0), cluster.digest)
}

impl<'a> Cluster<'a> {
    pub(super) fn new(setup: &'a Setup) -> Self {
        let conditions = &setup.conditions;
        let (nodes, clients) = (usize::from(setup.nodes), usize::from(conditions.outstanding));
        let choose = Chooser::new(setup.seed);
        let mut cluster = Self {
            setup,
            choose,
            agenda: Agenda::default(),
            wires: Wires::new(nodes + clients, conditions.bits_per_second, conditions.hop),
            members: (0..setup.nodes).map(|id| Member::new(setup, choose, NodeId(id))).collect(),
            customers: Vec::new(),
            connections: Vec::new(),
            meter: Meter::new(nodes),
            encoder: Encoder::default(),
            outputs: Vec::new(),
            leader: NodeId(0),
            events: 0,
            digest: mix(setup.seed),
        };
        // Nobody begins at the same instant as anybody else, or they would go on in step.
        for node in (0..setup.nodes).map(NodeId) {
            let at = Time(choose.between(0, 10_000_000, Stream::Start, &[u64::from(node.0)]));
            cluster.agenda.put(at, Class::Ready, Item::Start { node });
        }
        cluster.begin_customers();
        cluster.agenda.put(Time::ZERO + WARM_UP, Class::Ready, Item::Measure);
        cluster
    }

    /// Goes on until measuring begins.
    pub(super) fn warm_up(&mut self) {
        while let Some(item) = self.agenda.take(Time::ZERO + WARM_UP) {
            self.happen(item);
        }
    }

    /// Goes on until so many more requests are answered. Says what that came to, and how many snapshots were taken.
    pub(super) fn stretch(&mut self, requests: u64) -> (Figures, u64) {
        let members = self.members.len();
        self.meter.begin(self.now());
        while self.meter.answered() < requests {
            let item = self.agenda.take(Time(u64::MAX)).expect("heartbeats never end");
            self.happen(item);
        }
        let meter = mem::replace(&mut self.meter, Meter::new(members));
        let snapshots = meter.snapshots();
        (meter.conclude(self.now(), usize::from(self.leader.0), self.digest), snapshots)
    }

    /// How much has happened.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// What lies on the fullest disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.members.iter().map(|member| member.disk.size()).max().unwrap_or(0)
    }

    pub(super) fn now(&self) -> Time {
        self.agenda.now()
    }

    fn happen(&mut self, item: Item) {
        self.events += 1;
        self.digest = mix(self.digest.rotate_left(5) ^ self.now().0);
        match item {
            Item::Switch(parcel) => self.forward(parcel),
            Item::Arrive(parcel) => self.arrive(parcel),
            Item::Start { node } => self.start(node),
            Item::Link { node, peer, up } => self.feed(node, Input::Link { peer, up }),
            Item::Turn { node } => {
                let member = self.member(node);
                member.turn = false;
                let due = member.node.as_ref().and_then(Node::deadline);
                if matches!(due, Some((_, Timer::Turn))) {
                    self.feed(node, Input::Wake);
                }
            }
            Item::Timer { node } => self.timer(node),
            Item::DiskDone { node, op } => self.disk_done(node, op),
            Item::ClientTimer { client } => self.client_timer(client),
            Item::Begin { client } => self.ask(client),
            Item::Measure => self.measure(),
        }
    }

    // ---- Frames.

    /// Weighs a message and puts it on its sender's wire, once for each receiver.
    fn broadcast(&mut self, from: NodeId, to: NodeSet, message: PeerMessage) {
        let bytes = self.weight(&message);
        let kind = Subject::of(&message).kind;
        for peer in to.iter() {
            self.meter.message(kind, bytes);
            self.send(from.0, peer.0, bytes, Content::Peer(message.clone()));
        }
    }

    /// How many bytes a message is on the wire.
    pub(super) fn weight<M: Framed>(&mut self, message: &M) -> u64 {
        let chunks = self.encoder.encode(message).expect("what nodes and clients say here is within the limits");
        chunks.iter().map(Bytes::len).sum::<usize>() as u64
    }

    pub(super) fn send(&mut self, from: u8, to: u8, bytes: u64, content: Content) {
        let now = self.now();
        if let Some(at) = self.wires.leave(now, usize::from(from), bytes) {
            self.meter.sends(usize::from(from), bytes);
            self.agenda.put(at, Class::Ready, Item::Switch(Parcel { from, to, bytes, content }));
        }
    }

    fn forward(&mut self, parcel: Parcel) {
        let (now, from, to) = (self.now(), usize::from(parcel.from), usize::from(parcel.to));
        if let Some(at) = self.wires.forward(now, from, to, parcel.bytes) {
            self.agenda.put(at, Class::Ready, Item::Arrive(parcel));
        }
    }

    fn arrive(&mut self, parcel: Parcel) {
        let Parcel { from, to, bytes, content } = parcel;
        self.meter.receives(usize::from(to), bytes);
        match content {
            Content::Peer(message) => self.feed(NodeId(to), Input::Peer { from: NodeId(from), message }),
            Content::Request(connection, request) => self.feed(NodeId(to), Input::Client { connection, request }),
            Content::HungUp(connection) => self.feed(NodeId(to), Input::Gone { connection }),
            Content::Call { endpoint, attempt } => self.called(from, NodeId(to), endpoint, attempt),
            content => self.hand_to_client(to - self.setup.nodes, content),
        }
    }

    /// A client calls: a running member takes the call, a machine without one refuses it, one without power is silent.
    fn called(&mut self, from: u8, to: NodeId, endpoint: usize, attempt: u32) {
        let member = self.member(to);
        let (runs, powered) = (member.node.is_some(), member.powered);
        let connection = runs.then(|| {
            self.connections.push(Connection { client: from - self.setup.nodes, endpoint, node: to });
            ConnectionId(self.connections.len() as u64 - 1)
        });
        if powered {
            self.send(to.0, from, 0, Content::Called { endpoint, attempt, connection });
        }
    }

    // ---- Members.

    fn member(&mut self, node: NodeId) -> &mut Member {
        &mut self.members[usize::from(node.0)]
    }

    fn start(&mut self, id: NodeId) {
        let now = self.now();
        let configuration = self.setup.configuration().expect("the caller checks the setup");
        let config = Config { node: id, configuration, options: self.setup.options() };
        let seed = self.choose.u64(Stream::NodeSeed, &[u64::from(id.0)]);
        let member = self.member(id);
        let local = member.clock.read(now);
        let opened = Node::open(config, Kv::default(), seed, local, &mut member.disk);
        member.node = Some(opened.expect("a freshly formatted disk opens"));
        member.powered = true;
        for peer in (0..self.setup.nodes).map(NodeId) {
            if peer != id && self.member(peer).node.is_some() {
                // A handshake.
                let at = now + self.wires.distance(usize::from(id.0), usize::from(peer.0)).times(2);
                self.agenda.put(at, Class::Ready, Item::Link { node: id, peer, up: true });
                self.agenda.put(at, Class::Ready, Item::Link { node: peer, peer: id, up: true });
            }
        }
        self.schedule(id);
    }

    /// One step of a member's node, if one runs there, and everything it asks for.
    fn feed(&mut self, id: NodeId, input: Input) {
        let now = self.now();
        let mut outputs = mem::take(&mut self.outputs);
        let member = self.member(id);
        if let Some(node) = &mut member.node {
            node.step(member.clock.read(now), input, &mut outputs);
            for output in outputs.drain(..) {
                self.perform(id, output);
            }
            self.schedule(id);
        }
        self.outputs = outputs;
    }

    fn perform(&mut self, id: NodeId, output: Output) {
        match output {
            Output::Send { to, message } => self.broadcast(id, to, message),
            Output::Reply { connection, response } => {
                let bytes = self.weight(&response);
                let client = self.setup.nodes + self.connections[connection.0 as usize].client;
                self.send(id.0, client, bytes, Content::Response(connection, response));
            }
            Output::Disk { op, action } => self.submit(id, op, action),
            Output::Note(note) => self.note(id, &note),
            Output::Close { .. } | Output::Stopped => unreachable!("nobody asks a node to stop"),
            Output::Fence(fault) => panic!("{id} stops itself although nothing is wrong: {fault}"),
        }
    }

    fn note(&mut self, id: NodeId, note: &Note) {
        match note {
            Note::Leading { view, .. } => {
                self.meter.elects();
                self.member(id).leading = Some(*view);
            }
            Note::SteppedDown { .. } => self.member(id).leading = None,
            Note::SnapshotTaken { .. } => self.meter.takes_snapshot(),
            Note::Applied { index, state_hash, .. } => self.digest = mix(self.digest ^ index.0 ^ *state_hash),
            _ => {}
        }
    }

    fn submit(&mut self, id: NodeId, op: OpId, action: DiskAction) {
        let (now, choose) = (self.now(), self.choose);
        let member = self.member(id);
        // Half as long to one and a half times: cycles of clients that wait for each other must not last for ever.
        let around = (Span(member.sync.0 / 2), Span(member.sync.0 / 2 * 3));
        let takes = choose.span(around, Stream::DiskLatency, &[u64::from(id.0), op.0]);
        if member.disk.submit(op, 1, action, takes) {
            self.agenda.put(now + takes, Class::Ready, Item::DiskDone { node: id, op });
        }
    }

    fn disk_done(&mut self, id: NodeId, op: OpId) {
        let now = self.now();
        if self.member(id).node.is_none() {
            return;
        }
        self.meter.syncs();
        let (_, next) = self.member(id).disk.complete(op);
        if let Some((op, takes)) = next {
            self.agenda.put(now + takes, Class::Ready, Item::DiskDone { node: id, op });
        }
        self.feed(id, Input::Disk { op, result: DiskResult::Done });
    }

    /// A deadline that has moved away is put off.
    fn timer(&mut self, id: NodeId) {
        let now = self.now();
        let member = self.member(id);
        member.timer = None;
        let Some((deadline, timer)) = member.node.as_ref().and_then(Node::deadline) else { return };
        if timer == Timer::Turn || member.clock.when(now, deadline) > now {
            self.schedule(id);
        } else {
            self.feed(id, Input::Wake);
        }
    }

    /// Puts a member's deadline on the agenda, never later than it is.
    fn schedule(&mut self, id: NodeId) {
        let now = self.agenda.now();
        let member = &mut self.members[usize::from(id.0)];
        let Some((deadline, timer)) = member.node.as_ref().and_then(Node::deadline) else { return };
        if timer == Timer::Turn {
            if !mem::replace(&mut member.turn, true) {
                self.agenda.put(now, Class::Turn, Item::Turn { node: id });
            }
            return;
        }
        let at = member.clock.when(now, deadline);
        match member.timer {
            Some((_, earlier)) if earlier <= at => return,
            Some((handle, _)) => drop(self.agenda.cancel(handle)),
            None => {}
        }
        member.timer = Some((self.agenda.put(at, Class::Ready, Item::Timer { node: id }), at));
    }

    // ---- Trouble.

    fn measure(&mut self) {
        let now = self.now();
        self.meter.begin(now);
        let leading = self.members.iter().zip(0..).filter_map(|(member, id)| Some((member.leading?, NodeId(id))));
        // Nobody leads where the conditions leave no room for it. That shows in the figures, whoever is taken for it.
        let leader = leading.max().map_or(NodeId(0), |(_, leader)| leader);
        self.leader = leader;
        let nodes = self.setup.nodes;
        let nth = |place: u8| NodeId((leader.0 + place) % nodes);
        let trouble = self.setup.trouble;
        for (from, to) in (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to))) {
            if from != to && trouble.cuts(from, to, nodes) {
                self.wires.cut(usize::from(nth(from).0), usize::from(nth(to).0));
            }
        }
        match trouble {
            Trouble::LeaderKilled => self.kill(leader, true),
            Trouble::LeaderSilent => self.kill(leader, false),
            Trouble::FollowerDead => self.kill(nth(1), false),
            Trouble::FollowerSlow => {
                self.wires.slow_down(usize::from(nth(1).0), SLOW);
                let member = self.member(nth(1));
                member.sync = member.sync.times(SLOW);
            }
            _ => {}
        }
    }

    /// A node is gone for good. With power, its machine tells everyone it talked to.
    fn kill(&mut self, id: NodeId, powered: bool) {
        let now = self.now();
        let member = self.member(id);
        (member.node, member.leading, member.powered) = (None, None, powered);
        if !powered {
            return;
        }
        for peer in (0..self.setup.nodes).map(NodeId).filter(|peer| *peer != id) {
            let at = now + self.wires.distance(usize::from(id.0), usize::from(peer.0));
            self.agenda.put(at, Class::Ready, Item::Link { node: peer, peer: id, up: false });
        }
        for place in 0..self.connections.len() {
            let Connection { client, node, .. } = self.connections[place];
            if node == id {
                self.send(id.0, self.setup.nodes + client, 0, Content::Broken(ConnectionId(place as u64)));
            }
        }
    }
}

impl Member {
    /// A machine with a formatted disk, not started yet.
    fn new(setup: &Setup, choose: Chooser, id: NodeId) -> Self {
        let configuration = setup.configuration().expect("the caller checks the setup");
        let word = |half| choose.u64(Stream::DiskNonce, &[u64::from(id.0), half]);
        let nonce = DiskNonce(u128::from(word(0)) << 64 | u128::from(word(1)));
        let mut disk = SimDisk::default();
        for action in journal::format(id, nonce, &configuration) {
            disk.apply_now(action);
        }
        Self {
            node: None,
            disk,
            clock: Clock::new(Time::ZERO, Time::ZERO, 0),
            leading: None,
            turn: false,
            timer: None,
            sync: setup.conditions.sync,
            powered: false,
        }
    }
}

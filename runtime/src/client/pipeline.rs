//! Many operations at once: several of the core's clients, each a *lane* with a session and up to 64 writes in flight,
//! over few connections.
//!
//! ```text
//! submit -> lane 0, 1, ..., n   one state machine of the core each, which decides where its requests go
//!             |  |         |    Routes: tags are told apart, sessions belong to a lane
//!           trunk a     trunk b one TCP connection each; lane i uses those of group i mod connections
//! ```
//! A lane believes that it has connections of its own. Three rules make that true enough:
//! - *A lane is attached to a trunk at most once.* What arrives there for it answers tries of that one life of its
//!   connection, as the core's client requires; once it has left, nothing that arrives there is handed to it.
//! - A lane that connects anew to an address whose trunk it has left gets a new trunk, which others may join.
//! - A trunk that breaks breaks for all its lanes; one that nobody is attached to is closed.
//!
//! One thread calls it and no other is needed: [`Pipeline::turn`] sends what was submitted, waits, and gathers
//! outcomes, so that a whole batch of answers costs one read, and the requests that follow on them one write.

use super::{alarm::Alarm, resolve, routes::Routes};
use crate::{
    clock::{Clock, until},
    links::{
        pipe::Broken,
        stream::{Lost, Stream},
    },
    server::random,
};
use bytes::Bytes;
use ios_core::{
    client::{Ask, Client, ClientInput, ClientNote, ClientOptions, ClientOutput, EndpointId, OperationId, Outcome},
    message::ClientResponse,
    time::Time,
    wire::Encoder,
};
use mio::{Events, Interest, Poll, Token, Waker, net::TcpStream};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    time::Duration,
};

const ALARM: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// Readiness taken from one poll.
const EVENTS: usize = 256;
/// Bytes read with one system call.
const SCRATCH: usize = 64 << 10;
/// Most lanes: each holds a session at the cluster.
const LANES_MAX: usize = 4096;

/// How many sessions and connections, and how each session's client behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PipelineOptions {
    /// Sessions, each with up to [`ClientOptions::in_flight_max`] writes in flight; from 1 to 4096.
    pub sessions: usize,
    /// Connections to each member that is talked to; no more than sessions are of use.
    pub connections: usize,
    /// What each of them does.
    pub client: ClientOptions,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self { sessions: 1, connections: 1, client: ClientOptions::default() }
    }
}

/// An operation that has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// Which.
    pub operation: OperationId,
    /// How.
    pub outcome: Outcome,
    /// How often it was sent, if it was sent more than once; else 1.
    pub tries: u32,
    /// When that was known, by the pipeline's clock.
    pub at: Time,
}

/// A client of one cluster with many operations under way, run by whoever calls it.
#[derive(Debug)]
pub struct Pipeline {
    clock: Clock,
    poll: Poll,
    events: Events,
    alarm: Option<Alarm>,
    lanes: Vec<Lane>,
    routes: Routes,
    /// By the number in their token, drawn once each.
    trunks: BTreeMap<usize, Trunk>,
    next_trunk: usize,
    connections: usize,
    next_operation: u64,
    next_lane: usize,
    in_flight_max: usize,
    inputs: VecDeque<(usize, ClientInput)>,
    out: Vec<ClientOutput>,
    completions: Vec<Completion>,
    /// Operations that were sent more than once.
    retried: BTreeMap<OperationId, u32>,
    encoder: Encoder,
    scratch: Vec<u8>,
    /// Why addresses could not be reached when last tried.
    troubles: BTreeMap<String, String>,
}

/// One of the core's clients.
#[derive(Debug)]
struct Lane {
    client: Client,
    /// By endpoint, as `host:port`; a name is looked up for every connection.
    addresses: Vec<String>,
    /// By endpoint, the trunk it is attached to.
    attached: Vec<Option<usize>>,
    closed: bool,
}

/// A connection that lanes share.
#[derive(Debug)]
struct Trunk {
    stream: Stream<ClientResponse>,
    address: String,
    group: usize,
    established: bool,
    /// What each attached lane calls it.
    lanes: BTreeMap<usize, EndpointId>,
    /// Those that were attached, and must not be again.
    left: BTreeSet<usize>,
}

impl Pipeline {
    /// A client of the cluster some of whose members listen for clients at `addresses`, each a `host:port`; where the
    /// others do it learns from them. Connects when it has something to do. Names are looked up by the system, which
    /// may take its time.
    ///
    /// # Panics
    /// If there is no address, or the options make no sense.
    pub fn new(addresses: &[String], options: PipelineOptions) -> io::Result<Self> {
        assert!((1..=LANES_MAX).contains(&options.sessions), "from 1 to {LANES_MAX} sessions");
        assert!(options.connections >= 1, "at least one connection");
        let mut clock = Clock::default();
        let now = clock.now();
        let lane = |_| {
            let client = Client::new(addresses.to_owned(), options.client.clone(), random()? as u64, now);
            let (addresses, attached) = (addresses.to_owned(), vec![None; addresses.len()]);
            Ok(Lane { client, addresses, attached, closed: false })
        };
        Ok(Self {
            clock,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            alarm: None,
            lanes: (0..options.sessions).map(lane).collect::<io::Result<_>>()?,
            routes: Routes::new(options.sessions),
            trunks: BTreeMap::new(),
            next_trunk: 0,
            connections: options.connections,
            next_operation: 0,
            next_lane: 0,
            in_flight_max: options.client.in_flight_max,
            inputs: VecDeque::new(),
            out: Vec::new(),
            completions: Vec::new(),
            retried: BTreeMap::new(),
            encoder: Encoder::default(),
            scratch: vec![0; SCRATCH],
            troubles: BTreeMap::new(),
        })
    }

    /// The time by its clock.
    pub fn now(&mut self) -> Time {
        self.clock.now()
    }

    /// Lets another thread end a [`Pipeline::turn`] early.
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    /// Begins one thing, which ends by `deadline`. It leaves with the next [`Pipeline::turn`].
    pub fn submit(&mut self, ask: impl Into<Ask>, payload: Bytes, deadline: Time) -> OperationId {
        let operation = OperationId(self.next_operation);
        self.next_operation += 1;
        let lane = self.idle_lane();
        self.inputs.push_back((lane, ClientInput::Submit { operation, ask: ask.into(), payload, deadline }));
        self.step();
        operation
    }

    /// Outcomes since the last call.
    pub fn completions(&mut self) -> std::vec::Drain<'_, Completion> {
        self.completions.drain(..)
    }

    /// Sends what can go, waits until something happens, `limit` at the latest, and deals with it.
    pub fn turn(&mut self, limit: Option<Time>) -> io::Result<()> {
        self.flush();
        self.step();
        self.wait(limit)?;
        for event in &self.events {
            if let Some(trunk) = self.trunks.get_mut(&event.token().0) {
                trunk.stream.ready(event);
            }
        }
        for number in self.trunk_numbers() {
            self.advance(number);
        }
        let now = self.clock.now();
        for (lane, Lane { client, .. }) in self.lanes.iter().enumerate() {
            if client.deadline().is_some_and(|at| at <= now) {
                self.inputs.push_back((lane, ClientInput::Wake));
            }
        }
        self.step();
        Ok(())
    }

    /// Finishes what is outstanding, ends the sessions and hangs up, by `deadline`.
    pub fn close(&mut self, deadline: Time) -> io::Result<()> {
        self.inputs.extend((0..self.lanes.len()).map(|lane| (lane, ClientInput::Close { deadline })));
        self.step();
        while !self.lanes.iter().all(|lane| lane.closed) && self.clock.now() < deadline {
            self.turn(Some(deadline))?;
        }
        Ok(())
    }

    /// Why addresses could not be reached when last tried, for those that could not.
    pub fn troubles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.troubles.iter().map(|(address, trouble)| (address.as_str(), trouble.as_str()))
    }

    /// Connections that are up or being made.
    pub fn connections(&self) -> usize {
        self.trunks.len()
    }

    /// The next lane that can send at once, or just the next.
    fn idle_lane(&mut self) -> usize {
        let count = self.lanes.len();
        let mut lanes = (0..count).map(|step| (self.next_lane + step) % count);
        let idle = lanes.find(|lane| self.lanes[*lane].client.outstanding() < self.in_flight_max);
        let lane = idle.unwrap_or(self.next_lane);
        self.next_lane = (lane + 1) % count;
        lane
    }

    fn wait(&mut self, limit: Option<Time>) -> io::Result<()> {
        let readable = self.trunks.values().any(|trunk| trunk.stream.is_readable());
        let busy = readable || !self.inputs.is_empty() || !self.completions.is_empty();
        let now = self.clock.now();
        let wait = if busy || limit.is_some_and(|limit| limit <= now) {
            Some(Duration::ZERO)
        } else {
            let lanes = self.lanes.iter().filter_map(|lane| lane.client.deadline()).min();
            let coarse = if self.rings_at(limit)? { lanes } else { [lanes, limit].into_iter().flatten().min() };
            coarse.map(|at| until(now, at))
        };
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        Ok(())
    }

    /// Sets the alarm, and says whether it will ring.
    fn rings_at(&mut self, limit: Option<Time>) -> io::Result<bool> {
        let Some(limit) = limit else { return Ok(false) };
        if self.alarm.is_none() {
            self.alarm = Some(Alarm::new(self.poll.registry(), ALARM)?);
        }
        Ok(self.alarm.as_mut().is_some_and(|alarm| alarm.set(limit)))
    }

    /// Feeds what has gathered and does what the clients say, which may gather more.
    fn step(&mut self) {
        while let Some((lane, input)) = self.inputs.pop_front() {
            let mut out = std::mem::take(&mut self.out);
            let now = self.clock.now();
            self.lanes[lane].client.step(now, input, &mut out);
            for output in out.drain(..) {
                self.perform(now, lane, output);
            }
            self.out = out;
        }
    }

    fn perform(&mut self, now: Time, lane: usize, output: ClientOutput) {
        match output {
            ClientOutput::Connect { endpoint } => self.attach(lane, endpoint),
            ClientOutput::Disconnect { endpoint } => self.detach(lane, endpoint),
            ClientOutput::Send { endpoint, mut request } => {
                let number = self.lanes[lane].attached[endpoint.0];
                let Some(trunk) = number.and_then(|number| self.trunks.get_mut(&number)) else { return };
                self.routes.mark(lane, &mut request);
                match self.encoder.encode(&request) {
                    Ok(chunks) => trunk.stream.push(chunks),
                    // Its options keep requests below the limit, so this is a fault of ours; the try will time out.
                    Err(error) => tracing::error!(%error, "a request of our own cannot be sent"),
                }
            }
            ClientOutput::Learned { endpoint, address } => self.lanes[lane].learned(endpoint, address),
            ClientOutput::Complete { operation, outcome } => {
                let tries = if self.retried.is_empty() { None } else { self.retried.remove(&operation) };
                self.completions.push(Completion { operation, outcome, tries: tries.unwrap_or(1), at: now });
            }
            ClientOutput::Note(ClientNote::Retried { operation, attempt }) => {
                self.retried.insert(operation, attempt);
            }
            ClientOutput::Note(note @ (ClientNote::GaveUpSession { .. } | ClientNote::Registered { .. })) => {
                tracing::debug!(lane, ?note);
            }
            ClientOutput::Note(note) => tracing::trace!(lane, ?note),
            ClientOutput::Closed => self.lanes[lane].closed = true,
        }
    }

    /// Connects a lane: to a trunk that is there, if it has never been attached to it, or to a new one.
    fn attach(&mut self, lane: usize, endpoint: EndpointId) {
        let (group, address) = (lane % self.connections, &self.lanes[lane].addresses[endpoint.0]);
        let fits = |(_, trunk): &(&usize, &mut Trunk)| trunk.takes(lane, group, address);
        let number = match self.trunks.iter_mut().find(fits) {
            Some((number, trunk)) => {
                trunk.lanes.insert(lane, endpoint);
                if trunk.established {
                    self.inputs.push_back((lane, ClientInput::Connected { endpoint }));
                }
                *number
            }
            None => match self.connect(address.clone(), group, (lane, endpoint)) {
                Ok(number) => number,
                Err(error) => {
                    self.troubles.insert(self.lanes[lane].addresses[endpoint.0].clone(), error.to_string());
                    return self.inputs.push_back((lane, ClientInput::Disconnected { endpoint }));
                }
            },
        };
        self.lanes[lane].attached[endpoint.0] = Some(number);
    }

    fn connect(&mut self, address: String, group: usize, first: (usize, EndpointId)) -> io::Result<usize> {
        let mut stream = Stream::new(TcpStream::connect(resolve(&address)?)?);
        let number = self.next_trunk;
        self.next_trunk += 1;
        self.poll.registry().register(stream.socket(), Token(number), Interest::READABLE | Interest::WRITABLE)?;
        let (lanes, left) = (BTreeMap::from([first]), BTreeSet::new());
        self.trunks.insert(number, Trunk { stream, address, group, established: false, lanes, left });
        Ok(number)
    }

    fn detach(&mut self, lane: usize, endpoint: EndpointId) {
        let Some(number) = self.lanes[lane].attached[endpoint.0].take() else { return };
        let Some(trunk) = self.trunks.get_mut(&number) else { return };
        trunk.lanes.remove(&lane);
        trunk.left.insert(lane);
        if trunk.lanes.is_empty() {
            self.trunks.remove(&number);
        }
    }

    /// Moves one connection on as far as it goes.
    fn advance(&mut self, number: usize) {
        let Some(trunk) = self.trunks.get_mut(&number) else { return };
        if !trunk.established {
            match trunk.stream.establish() {
                Ok(true) => {
                    trunk.established = true;
                    self.troubles.remove(&trunk.address);
                    let connected = |(lane, endpoint): (&usize, &EndpointId)| {
                        (*lane, ClientInput::Connected { endpoint: *endpoint })
                    };
                    self.inputs.extend(trunk.lanes.iter().map(connected));
                }
                Ok(false) => return,
                Err(error) => return self.lose(number, &Lost::Broken(Broken::Error(error))),
            }
        }
        let Trunk { stream, lanes, .. } = trunk;
        let (inputs, routes) = (&mut self.inputs, &self.routes);
        let read = stream.read(&mut self.scratch, |mut response| {
            let lane = routes.claim(&mut response);
            if let Some((lane, endpoint)) = lane.and_then(|lane| Some((lane, *lanes.get(&lane)?))) {
                inputs.push_back((lane, ClientInput::Received { endpoint, response }));
            }
        });
        if let Err(lost) = read {
            self.lose(number, &lost);
        }
    }

    fn flush(&mut self) {
        for number in self.trunk_numbers() {
            let flushed = self.trunks.get_mut(&number).map(|trunk| trunk.stream.flush());
            if let Some(Err(lost)) = flushed {
                self.lose(number, &lost);
            }
        }
    }

    fn lose(&mut self, number: usize, lost: &Lost) {
        let Some(trunk) = self.trunks.remove(&number) else { return };
        tracing::debug!(address = trunk.address, %lost, "disconnected");
        for (lane, endpoint) in trunk.lanes {
            self.lanes[lane].attached[endpoint.0] = None;
            self.inputs.push_back((lane, ClientInput::Disconnected { endpoint }));
        }
        self.troubles.insert(trunk.address, lost.to_string());
    }

    fn trunk_numbers(&self) -> Vec<usize> {
        self.trunks.keys().copied().collect()
    }
}

impl Lane {
    fn learned(&mut self, endpoint: EndpointId, address: String) {
        tracing::debug!(%endpoint, address, "a member's address was told");
        if endpoint.0 == self.addresses.len() {
            self.addresses.push(address);
            self.attached.push(None);
        } else {
            self.addresses[endpoint.0] = address;
        }
    }
}

impl Trunk {
    fn takes(&self, lane: usize, group: usize, address: &str) -> bool {
        self.group == group && self.address == address && !self.left.contains(&lane) && !self.lanes.contains_key(&lane)
    }
}

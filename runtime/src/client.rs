//! A client that blocks its caller: the core's client state machine over real connections, its loop run by whoever
//! waits.
//!
//! No thread of its own, so an answer costs no hand-over; a program with several threads gives each its own client.
//! While nobody waits nothing is sent either: a session that was left alone for too long is given up by the state
//! machine and a fresh one opened with the next write.

use crate::{
    clock::{Clock, until},
    links::stream::{Lost, Stream},
    server::random,
};
use bytes::Bytes;
use ios_core::{
    client::{Ask, Client, ClientInput, ClientNote, ClientOptions, ClientOutput, EndpointId, OperationId, Outcome},
    message::{ClientRequest, ClientResponse, Status},
    time::{Span, Time},
    wire::{Encoder, FrameReader},
};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read, Write},
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

/// A client of one cluster.
#[derive(Debug)]
pub struct BlockingClient {
    client: Client,
    clock: Clock,
    poll: Poll,
    events: Events,
    /// By endpoint.
    connections: Vec<Option<Connection>>,
    /// By endpoint, as `host:port`; a name is looked up for every connection.
    addresses: Vec<String>,
    /// Numbers connections for the poll, never twice.
    next_token: usize,
    next_operation: u64,
    completed: BTreeMap<OperationId, Outcome>,
    inputs: VecDeque<ClientInput>,
    out: Vec<ClientOutput>,
    encoder: Encoder,
    scratch: Vec<u8>,
    closed: bool,
    /// Why connections could not be made or broke, the last time for each address.
    troubles: Vec<Option<String>>,
}

#[derive(Debug)]
struct Connection {
    stream: Stream<ClientResponse>,
    token: Token,
    established: bool,
}

impl BlockingClient {
    /// A client of the cluster some of whose members listen for clients at `addresses`, each a `host:port`; where the
    /// others do it learns from them. Connects when it has something to do. Names are looked up by the system, which
    /// may take its time.
    pub fn new(addresses: &[String], options: ClientOptions) -> io::Result<Self> {
        let mut clock = Clock::default();
        let client = Client::new(addresses.to_owned(), options, random()? as u64, clock.now());
        Ok(Self {
            client,
            clock,
            poll: Poll::new()?,
            events: Events::with_capacity(64),
            connections: addresses.iter().map(|_| None).collect(),
            addresses: addresses.to_owned(),
            next_token: 0,
            next_operation: 0,
            completed: BTreeMap::new(),
            inputs: VecDeque::new(),
            out: Vec::new(),
            encoder: Encoder::default(),
            scratch: vec![0; 64 << 10],
            closed: false,
            troubles: vec![None; addresses.len()],
        })
    }

    /// Does one thing and waits for its outcome, `timeout` at the longest.
    pub fn submit(&mut self, ask: impl Into<Ask>, payload: Bytes, timeout: Span) -> io::Result<Outcome> {
        let operation = self.start(ask, payload, timeout);
        loop {
            if let Some(outcome) = self.take(operation) {
                return Ok(outcome);
            }
            self.turn(None)?;
        }
    }

    /// Begins one thing. [`BlockingClient::turn`] moves it on, [`BlockingClient::take`] tells the outcome.
    pub fn start(&mut self, ask: impl Into<Ask>, payload: Bytes, timeout: Span) -> OperationId {
        let operation = OperationId(self.next_operation);
        self.next_operation += 1;
        let deadline = self.clock.now() + timeout;
        self.inputs.push_back(ClientInput::Submit { operation, ask: ask.into(), payload, deadline });
        self.step();
        operation
    }

    /// The outcome of something begun, once it is there.
    pub fn take(&mut self, operation: OperationId) -> Option<Outcome> {
        self.completed.remove(&operation)
    }

    /// Any outcome that is there.
    pub fn take_any(&mut self) -> Option<(OperationId, Outcome)> {
        self.completed.pop_first()
    }

    /// Waits until something happens, `timeout` at the longest, and deals with it.
    pub fn turn(&mut self, timeout: Option<Span>) -> io::Result<()> {
        let now = self.clock.now();
        let limit = timeout.map(|timeout| now + timeout);
        let wake_at = [limit, self.client.deadline()].into_iter().flatten().min();
        let readable = self.connections.iter().flatten().any(|connection| connection.stream.is_readable());
        let busy = readable || !self.inputs.is_empty() || !self.completed.is_empty();
        let wait = if busy { Some(Duration::ZERO) } else { wake_at.map(|at| until(now, at)) };
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            result => result?,
        }
        for event in &self.events {
            let connections = self.connections.iter_mut().flatten();
            for connection in connections.filter(|connection| connection.token == event.token()) {
                connection.stream.ready(event);
            }
        }
        for endpoint in 0..self.connections.len() {
            self.advance(EndpointId(endpoint));
        }
        if self.client.deadline().is_some_and(|at| at <= self.clock.now()) {
            self.inputs.push_back(ClientInput::Wake);
        }
        self.step();
        Ok(())
    }

    /// Finishes what is outstanding, ends the session and hangs up, within `timeout`.
    pub fn close(&mut self, timeout: Span) -> io::Result<()> {
        let deadline = self.clock.now() + timeout;
        self.inputs.push_back(ClientInput::Close { deadline });
        self.step();
        while !self.closed && self.clock.now() < deadline {
            self.turn(Some(timeout))?;
            self.completed.clear();
        }
        Ok(())
    }

    /// Why addresses could not be reached when last tried, for those that could not.
    pub fn troubles(&self) -> impl Iterator<Item = (&str, &str)> {
        let troubles = self.addresses.iter().zip(&self.troubles);
        troubles.filter_map(|(address, trouble)| Some((address.as_str(), trouble.as_deref()?)))
    }

    /// Feeds what has gathered and does what the client says, which may gather more.
    fn step(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            self.client.step(self.clock.now(), input, &mut self.out);
            for output in std::mem::take(&mut self.out) {
                self.perform(output);
            }
        }
        for endpoint in 0..self.connections.len() {
            self.flush(EndpointId(endpoint));
        }
        // A broken connection found while sending is told at the next turn, which comes at once.
    }

    fn perform(&mut self, output: ClientOutput) {
        match output {
            ClientOutput::Connect { endpoint } => {
                if let Err(error) = self.connect(endpoint) {
                    self.disconnected(endpoint, &Lost::Error(error));
                }
            }
            ClientOutput::Disconnect { endpoint } => self.connections[endpoint.0] = None,
            ClientOutput::Send { endpoint, request } => {
                let Some(connection) = &mut self.connections[endpoint.0] else { return };
                match self.encoder.encode(&request) {
                    Ok(chunks) => connection.stream.push(chunks),
                    // Its options keep requests below the limit, so this is a fault of ours; the try will time out.
                    Err(error) => tracing::error!(%error, "a request of our own cannot be sent"),
                }
            }
            ClientOutput::Learned { endpoint, address } => self.learned(endpoint, address),
            ClientOutput::Complete { operation, outcome } => {
                self.completed.insert(operation, outcome);
            }
            ClientOutput::Note(note) => self.log(note),
            ClientOutput::Closed => self.closed = true,
        }
    }

    fn learned(&mut self, endpoint: EndpointId, address: String) {
        tracing::debug!(%endpoint, address, "a member's address was told");
        if endpoint.0 == self.addresses.len() {
            self.addresses.push(address);
            self.connections.push(None);
            self.troubles.push(None);
        } else {
            (self.addresses[endpoint.0], self.troubles[endpoint.0]) = (address, None);
        }
    }

    fn connect(&mut self, endpoint: EndpointId) -> io::Result<()> {
        let token = Token(self.next_token);
        self.next_token += 1;
        let mut stream = Stream::new(TcpStream::connect(resolve(&self.addresses[endpoint.0])?)?);
        self.poll.registry().register(stream.socket(), token, Interest::READABLE | Interest::WRITABLE)?;
        self.connections[endpoint.0] = Some(Connection { stream, token, established: false });
        Ok(())
    }

    /// Moves one connection on as far as it goes.
    fn advance(&mut self, endpoint: EndpointId) {
        let Some(connection) = &mut self.connections[endpoint.0] else { return };
        if !connection.established {
            match connection.stream.establish() {
                Ok(true) => {
                    connection.established = true;
                    self.troubles[endpoint.0] = None;
                    self.inputs.push_back(ClientInput::Connected { endpoint });
                }
                Ok(false) => return,
                Err(error) => return self.disconnected(endpoint, &Lost::Error(error)),
            }
        }
        let inputs = &mut self.inputs;
        let read = connection.stream.read(&mut self.scratch, |response| {
            inputs.push_back(ClientInput::Received { endpoint, response });
        });
        if let Err(lost) = read {
            self.disconnected(endpoint, &lost);
        }
    }

    fn flush(&mut self, endpoint: EndpointId) {
        let Some(connection) = &mut self.connections[endpoint.0] else { return };
        if let Err(lost) = connection.stream.flush() {
            self.disconnected(endpoint, &lost);
        }
    }

    fn disconnected(&mut self, endpoint: EndpointId, lost: &Lost) {
        tracing::debug!(%endpoint, %lost, "disconnected");
        self.connections[endpoint.0] = None;
        self.troubles[endpoint.0] = Some(lost.to_string());
        self.inputs.push_back(ClientInput::Disconnected { endpoint });
    }

    fn log(&self, note: ClientNote) {
        match note {
            ClientNote::GaveUpSession { .. } | ClientNote::Registered { .. } => tracing::debug!(?note),
            _ => tracing::trace!(?note),
        }
    }
}

/// The address that `host:port` stands for.
pub fn resolve(text: &str) -> io::Result<SocketAddr> {
    let mut addresses = text.to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// Asks one node how it is, over a connection of its own.
pub fn ask_status(address: SocketAddr, timeout: Span) -> io::Result<Status> {
    match ask(address, &ClientRequest::Status { tag: 0 }, timeout)? {
        ClientResponse::Status { status, .. } => Ok(*status),
        ClientResponse::Refused { refusal, .. } => Err(io::Error::other(refusal.to_string())),
        _ => Err(io::Error::other("it did not answer the question")),
    }
}

/// Asks one node something that needs no session, over a connection of its own, and waits for what it says first.
pub fn ask(address: SocketAddr, request: &ClientRequest, timeout: Span) -> Result<ClientResponse, AskError> {
    let mut clock = Clock::default();
    let deadline = clock.now() + timeout;
    let mut encoder = Encoder::default();
    let request = encoder.encode(request).map_err(|error| AskError::Unheard(io::Error::other(error.to_string())))?;
    let socket = std::net::TcpStream::connect_timeout(&address, until(clock.now(), deadline));
    let mut socket = socket.map_err(AskError::Unheard)?;
    let answer = socket.set_nodelay(true).and_then(|()| socket.write_all(&request.concat()));
    let answer = answer.and_then(|()| read_response(&mut socket, &mut clock, deadline));
    answer.map_err(AskError::Unanswered)
}

/// Why a question has no answer.
#[derive(Debug)]
pub enum AskError {
    /// The node has surely not heard it.
    Unheard(io::Error),
    /// It may have heard it, and done what it was asked to do.
    Unanswered(io::Error),
}

impl From<AskError> for io::Error {
    fn from(error: AskError) -> Self {
        let (AskError::Unheard(error) | AskError::Unanswered(error)) = error;
        error
    }
}

fn read_response(socket: &mut std::net::TcpStream, clock: &mut Clock, deadline: Time) -> io::Result<ClientResponse> {
    let mut reader = FrameReader::<ClientResponse>::default();
    let mut scratch = [0; 4096];
    loop {
        let left = until(clock.now(), deadline);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let read = match socket.read(&mut scratch) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        };
        let mut bytes = &scratch[..read];
        if let Some(response) = reader.read(&mut bytes).map_err(|error| io::Error::other(error.to_string()))? {
            return Ok(response);
        }
    }
}

//! HTTP on a port of its own, for people, monitors and load balancers: how the node is, and commands in words.
//!
//! ```text
//! accept -> Reading -> a whole request -> Answering -> answer queued -> Reading ...
//!              |                                            |
//!              +-- no request, or the last one -------------+--> Parting: sent, ended, read out, closed
//! ```
//! One request of a connection is under way at a time, and the next is not even read before its answer has left. So a
//! connection holds at most one request and one answer; those that are *pipelined* wait in the system's buffers.
//!
//! *Bounds.* Heads, bodies and headers by [`request`]; connections by [`CONNECTIONS_MAX`], beyond which one is told so
//! and closed; silence by [`REQUEST_WITHIN`], [`IDLE_MAX`] and [`SEND_WITHIN`], each from a fixed moment, so that
//! sending a byte now and then gains nothing; all answers together by [`HELD_MAX`].
//!
//! *What is absent*: TLS, compression, chunked bodies, and any notion of who asks. Whoever reaches the port may use it.

mod command;
mod connection;
mod metrics;
mod pages;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod vitals;

pub(crate) use vitals::Vitals;

use crate::{
    inside::{Asker, Inside},
    links::{Source, acceptor::Acceptor, deadlines::Deadlines, pipe::Broken},
    manners::{Manners, OUTCOME_WITHIN},
};
use connection::{Connection, Stage};
use ios_core::{
    client::Outcome,
    ids::NodeId,
    interface::Input,
    time::{Span, Time},
};
use mio::{
    Interest, Registry,
    event::Event,
    net::{TcpListener, TcpStream},
};
use pages::Page;
use response::Response;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io::Write,
    net::SocketAddr,
};
use vitals::Traffic;

/// The version that runs.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Most connections at a time.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// Bytes held for all connections together beyond which answers are replaced by a refusal.
const HELD_MAX: usize = 256 << 20;
/// A request must be there as a whole so soon after it has begun, the first one after the connection was made.
const REQUEST_WITHIN: Span = Span::secs(10);
/// How long a connection may rest between two requests.
const IDLE_MAX: Span = Span::secs(60);
/// How long an answer may take to be read.
const SEND_WITHIN: Span = Span::secs(30);
/// How long the other end may take to notice that a connection has ended.
const PART_WITHIN: Span = Span::secs(1);

/// Where HTTP is spoken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpConfig {
    /// Where this node listens.
    pub address: SocketAddr,
    /// Where the members do, as far as they do and somebody else can reach it: what is said to whoever asks the wrong
    /// one.
    pub members: BTreeMap<NodeId, String>,
}

/// The port and its connections.
pub(crate) struct Http {
    acceptor: Acceptor,
    manners: Manners,
    /// Where members speak HTTP, as far as they do.
    members: BTreeMap<NodeId, String>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// Connections with something to read or to parse.
    active: BTreeSet<u64>,
    /// Those whose answer has not left.
    unsent: BTreeSet<u64>,
    /// When each connection's time is over.
    deadlines: Deadlines,
    /// Requests that are whole and not looked at.
    requests: VecDeque<(u64, request::Request)>,
    refused: u64,
    responses: BTreeMap<u16, u64>,
}

impl Http {
    /// Connections through `listener`; whom to ask instead, `members` say.
    pub(crate) fn new(listener: TcpListener, manners: Manners, members: BTreeMap<NodeId, String>) -> Self {
        Self {
            acceptor: Acceptor::new(listener, "HTTP"),
            manners,
            members,
            connections: BTreeMap::new(),
            next: 0,
            active: BTreeSet::new(),
            unsent: BTreeSet::new(),
            deadlines: Deadlines::default(),
            requests: VecDeque::new(),
            refused: 0,
            responses: BTreeMap::new(),
        }
    }

    /// The listening socket, to register it with a poll.
    pub(crate) fn listener(&mut self) -> &mut TcpListener {
        self.acceptor.listener()
    }

    /// Someone waits at the listener.
    pub(crate) fn listener_ready(&mut self) {
        self.acceptor.ready();
    }

    /// Takes note of what the poll said about one connection.
    pub(crate) fn ready(&mut self, number: u64, event: &Event) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.pipe.ready(event);
            self.active.insert(number);
            self.unsent.insert(number);
        }
    }

    /// When [`Http::turn`] is due although the poll says nothing.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let work = if self.active.is_empty() { None } else { Some(Time::ZERO) };
        [work, self.acceptor.deadline(), self.deadlines.first()].into_iter().flatten().min()
    }

    /// Accepts, gives up and reads what is due.
    pub(crate) fn turn(&mut self, now: Time, registry: &Registry, scratch: &mut [u8]) {
        self.accept(now, registry);
        while let Some(number) = self.deadlines.due(now) {
            self.out_of_time(now, number);
        }
        for number in std::mem::take(&mut self.active) {
            self.read(now, number, scratch);
        }
    }

    /// Whether requests wait for [`Http::answer_all`].
    pub(crate) fn is_asked(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Answers what has been asked from `vitals`, or passes it on to `inside`, and so to the node.
    pub(crate) fn answer_all(
        &mut self,
        now: Time,
        vitals: &Vitals<'_>,
        inside: &mut Inside,
        node: &mut VecDeque<Input>,
    ) {
        while let Some((number, request)) = self.requests.pop_front() {
            let traffic =
                Traffic { connections: self.connections.len(), refused: self.refused, responses: &self.responses };
            let command = match pages::page(&request, vitals, traffic, &self.manners.language) {
                Page::Ready(response) => {
                    self.answer(now, number, &response);
                    continue;
                }
                Page::Ask(command) => command,
            };
            match self.manners.ask(command.access, vitals.other_leader()) {
                Ok(ask) => {
                    inside.submit(now, Asker::Http(number), ask, command.payload, now + OUTCOME_WITHIN, node);
                }
                Err(leader) => {
                    let response = self.elsewhere(leader);
                    self.answer(now, number, &response);
                }
            }
        }
    }

    fn elsewhere(&self, leader: NodeId) -> Response {
        let (address, kind) = match (self.members.get(&leader), self.manners.clients.get(&leader)) {
            (Some(http), _) => (http, "which speaks HTTP at"),
            (None, Some(clients)) => (clients, "which has no HTTP port; it serves clients at"),
            (None, None) => return Response::text(503, format!("not done: {leader} leads, not this member")),
        };
        let text = format!("not done: {leader} leads, {kind} {address}, not this member");
        Response::text(503, text).with("Ios-Leader", address)
    }

    /// What a connection asked for has ended.
    pub(crate) fn complete(&mut self, now: Time, number: u64, outcome: &Outcome) {
        let response = command::answer(outcome, &self.manners.language);
        self.answer(now, number, &response);
    }

    /// Nobody will know what becomes of the commands under way: the node has stopped.
    pub(crate) fn stop(&mut self, now: Time) {
        let waiting = self.connections.iter().filter(|(_, connection)| connection.is_answering());
        for number in waiting.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.answer(now, number, &Response::text(504, "outcome unknown: this member is stopping"));
        }
    }

    /// Whether answers wait to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.connections.values().any(|connection| connection.pipe.queued() > 0)
    }

    /// Sends what is queued, and goes on where an answer has left.
    pub(crate) fn flush(&mut self, now: Time) {
        for number in std::mem::take(&mut self.unsent) {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            let queued = connection.pipe.queued();
            if let Err(broken) = connection.pipe.flush() {
                self.close(number, &broken.to_string());
                continue;
            }
            if queued == 0 || connection.pipe.queued() > 0 {
                continue;
            }
            match connection.stage {
                Stage::Parting => {
                    // If it cannot be ended it is broken, which the next read says.
                    let _ = connection.pipe.end();
                    self.deadlines.set(number, Some(now + PART_WITHIN));
                }
                _ if connection.arrived.is_empty() => self.deadlines.set(number, Some(now + IDLE_MAX)),
                _ => self.deadlines.set(number, Some(now + REQUEST_WITHIN)),
            }
            self.active.insert(number);
        }
    }

    fn accept(&mut self, now: Time, registry: &Registry) {
        while let Some((socket, address)) = self.acceptor.next(now) {
            if self.connections.len() >= CONNECTIONS_MAX {
                tracing::warn!(%address, limit = CONNECTIONS_MAX, "too many HTTP connections; this one is closed");
                self.refused += 1;
                refuse(socket);
                continue;
            }
            let mut connection = Connection::new(socket);
            let token = Source::Http(self.next).token();
            let interest = Interest::READABLE | Interest::WRITABLE;
            let pipe = &mut connection.pipe;
            if let Err(error) = pipe.tune().and_then(|()| registry.register(pipe.socket(), token, interest)) {
                tracing::warn!(%address, %error, "an HTTP connection could not be set up");
                continue;
            }
            tracing::debug!(connection = self.next, %address, "HTTP connection");
            self.connections.insert(self.next, connection);
            self.deadlines.set(self.next, Some(now + REQUEST_WITHIN));
            self.next += 1;
        }
    }

    fn out_of_time(&mut self, now: Time, number: u64) {
        let connection = self.connections.get_mut(&number).expect("a deadline is that of a connection");
        let begun = connection.stage == Stage::Reading && !connection.arrived.is_empty();
        if begun && connection.pipe.queued() == 0 {
            connection.begin_answer(false, false);
            let text = format!("a request must be there as a whole within {REQUEST_WITHIN}");
            self.answer(now, number, &Response::text(408, text));
        } else {
            self.close(number, "its time is over");
        }
    }

    /// Reads until there is a request, or nothing more to read.
    fn read(&mut self, now: Time, number: u64, scratch: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.stage == Stage::Parting && connection.pipe.queued() == 0 {
            return match connection.drain(scratch) {
                Ok(()) => {}
                Err(broken) => self.close(number, &broken.to_string()),
            };
        }
        if connection.stage != Stage::Reading || connection.pipe.queued() > 0 {
            // Looked at again when the answer has left.
            return;
        }
        let was_idle = connection.arrived.is_empty();
        match connection.next_request(scratch) {
            Ok(Ok(Some(request))) => {
                connection.begin_answer(request.keep_alive, request.method == request::Method::Head);
                self.deadlines.set(number, None);
                self.requests.push_back((number, request));
            }
            Ok(Ok(None)) if was_idle && !connection.arrived.is_empty() && connection.served => {
                self.deadlines.set(number, Some(now + REQUEST_WITHIN));
            }
            Ok(Ok(None)) => {}
            Ok(Err(request::Objection(status, why))) => {
                connection.begin_answer(false, false);
                self.answer(now, number, &Response::text(status, why));
            }
            Err(broken @ (Broken::Closed | Broken::Error(_))) => self.close(number, &broken.to_string()),
        }
    }

    fn answer(&mut self, now: Time, number: u64, response: &Response) {
        let held: usize = self.connections.values().map(|connection| connection.pipe.queued()).sum();
        // Whoever asked may have gone.
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let too_much = Response::text(504, "the answer has no room: others do not read theirs. It may have been done");
        let response = if held + response.body.len() > HELD_MAX { &too_much } else { response };
        *self.responses.entry(response.status).or_default() += 1;
        connection.answer(response);
        self.deadlines.set(number, Some(now + SEND_WITHIN));
        self.unsent.insert(number);
    }

    fn close(&mut self, number: u64, why: &str) {
        if self.connections.remove(&number).is_none() {
            return;
        }
        self.deadlines.set(number, None);
        self.active.remove(&number);
        self.unsent.remove(&number);
        tracing::debug!(connection = number, why, "HTTP connection closed");
    }
}

/// Says why, if the system takes it at once.
fn refuse(mut socket: TcpStream) {
    let text = format!("this port takes {CONNECTIONS_MAX} connections at a time; try again");
    let _ = socket.write(&Response::text(503, text).encode(false, false));
}

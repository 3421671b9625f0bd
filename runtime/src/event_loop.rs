//! The loop that runs one node: one thread, one poll.
//!
//! ```text
//! wait --> note readiness --> read links, completions, stop --> step the node --> wake it until nothing is due
//!   ^                                                                                     |
//!   |                                                                                     v
//!   +------------- hand disk operations on, or perform the only one <-- send <-- queue what it says
//! ```
//! Everything that is ready goes in before the node is woken for the end of the turn, so batches grow with the load and
//! an idle node answers at once. Messages leave before the loop turns to the disk, so that peers write while this node
//! does.

use crate::{
    clock::{Clock, until},
    disk::Disk,
    http::{Http, Vitals},
    inside::{Asker, Inside},
    lines::Lines,
    links::{Source, clients::Clients, peers::Peers},
    notes::Counters,
};
use bytes::Bytes;
use ios_core::{
    Node,
    ids::OpId,
    interface::{DiskAction, Fault, Input, Output},
    message::{ClientResponse, Refusal, RequestKey},
    service::Service,
    time::{Span, Time},
    wire::{Encoder, FrameError, Framed},
};
use mio::{Events, Poll};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often a node is woken in one turn before the loop looks after its links again.
const WAKES_PER_TURN: usize = 64;
/// How long a stopped node's last answers may take to leave.
const LINGER: Span = Span::millis(500);
/// Readiness taken from one poll.
const EVENTS: usize = 1024;
/// Bytes read with one system call.
const SCRATCH: usize = 64 << 10;

/// How a node's life ended.
#[derive(Debug)]
pub enum End {
    /// It was asked to stop, and stopped in good order.
    Stopped,
    /// It must not go on.
    Fenced(Fault),
    /// The system refused to poll.
    Poll(io::Error),
}

/// A node and everything it is connected to.
pub(crate) struct EventLoop<S> {
    pub(crate) node: Node<S>,
    pub(crate) clock: Clock,
    pub(crate) poll: Poll,
    pub(crate) peers: Peers,
    pub(crate) clients: Clients,
    pub(crate) http: Option<Http>,
    pub(crate) lines: Lines,
    /// Asks the node on behalf of those who speak no frames.
    pub(crate) inside: Inside,
    pub(crate) disk: Disk,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) counters: Counters,
    state: Turn,
}

/// Everybody a node talks to.
pub(crate) struct Ends {
    pub(crate) peers: Peers,
    pub(crate) clients: Clients,
    pub(crate) http: Option<Http>,
    pub(crate) lines: Lines,
    pub(crate) inside: Inside,
}

/// What one turn works with; kept for its memory.
struct Turn {
    inputs: VecDeque<Input>,
    out: Vec<Output>,
    operations: Vec<(OpId, DiskAction)>,
    encoder: Encoder,
    scratch: Vec<u8>,
    /// The events of the last poll wait to be looked at.
    polled: bool,
    /// The node was told to stop.
    stopping: bool,
}

impl<S: Service> EventLoop<S> {
    pub(crate) fn new(node: Node<S>, clock: Clock, poll: Poll, ends: Ends, disk: Disk, stop: Arc<AtomicBool>) -> Self {
        let state = Turn {
            inputs: VecDeque::new(),
            out: Vec::new(),
            operations: Vec::new(),
            encoder: Encoder::default(),
            scratch: vec![0; SCRATCH],
            polled: false,
            stopping: false,
        };
        let Ends { peers, clients, http, lines, inside } = ends;
        let counters = Counters::default();
        Self { node, clock, poll, peers, clients, http, lines, inside, disk, stop, counters, state }
    }

    /// Runs until the node stops or must not go on.
    pub(crate) fn run(&mut self) -> End {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            if !self.state.polled
                && let Err(error) = self.wait(&mut events)
            {
                return End::Poll(error);
            }
            self.state.polled = false;
            self.note_readiness(&events);
            self.gather();
            self.step_all();
            match self.perform(&mut events) {
                Ok(None) => {}
                Ok(Some(End::Stopped)) => {
                    self.linger(&mut events);
                    return End::Stopped;
                }
                Ok(Some(end)) => return end,
                Err(error) => return End::Poll(error),
            }
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let busy = !self.state.inputs.is_empty() || self.peers.is_ready();
        let deadlines = [
            self.node.deadline().map(|(at, _)| at),
            self.peers.deadline(),
            self.clients.deadline(),
            self.http.as_ref().and_then(Http::deadline),
            self.inside.deadline(),
        ];
        let timeout = match deadlines.into_iter().flatten().min() {
            _ if busy => Some(Duration::ZERO),
            Some(deadline) => Some(until(self.clock.now(), deadline)),
            None => None,
        };
        poll(&mut self.poll, events, timeout)
    }

    fn note_readiness(&mut self, events: &Events) {
        for event in events {
            match Source::of(event.token()) {
                // Completions and the wish to stop are looked for in every turn.
                Source::Waker => {}
                Source::PeerListener => self.peers.listener_ready(),
                Source::ClientListener => self.clients.listener_ready(),
                Source::Peer(number) => self.peers.ready(number, event),
                Source::Client(number) => self.clients.ready(number, event),
                Source::HttpListener => self.http.iter_mut().for_each(Http::listener_ready),
                Source::Http(number) => self.http.iter_mut().for_each(|http| http.ready(number, event)),
            }
        }
    }

    /// Collects everything that has happened.
    fn gather(&mut self) {
        let now = self.clock.now();
        let Turn { inputs, scratch, stopping, .. } = &mut self.state;
        while let Some((op, result)) = self.disk.completed() {
            inputs.push_back(Input::Disk { op, result });
        }
        self.peers.turn(now, self.poll.registry(), scratch, inputs);
        self.clients.turn(now, self.poll.registry(), scratch, inputs);
        self.inside.wake(now, inputs);
        if self.stop.load(Ordering::Acquire) && !*stopping {
            *stopping = true;
            inputs.push_back(Input::Shutdown);
        }
        self.serve_http();
        self.serve_lines();
    }

    /// Answers what is asked by HTTP, or has it asked inside.
    fn serve_http(&mut self) {
        let Some(http) = &mut self.http else { return };
        let now = self.clock.now();
        http.turn(now, self.poll.registry(), &mut self.state.scratch);
        if http.is_asked() {
            let vitals = Vitals {
                status: self.node.status(),
                counters: &self.counters,
                clients: self.clients.count(),
                links_up: self.peers.links_up(),
                dropped: self.peers.dropped(),
                rounds: self.disk.times(),
                disk_outstanding: self.disk.outstanding(),
            };
            http.answer_all(now, &vitals, &mut self.inside, &mut self.state.inputs);
        }
    }

    /// Answers what clients ask in lines, or has it asked inside.
    fn serve_lines(&mut self) {
        let Some(mut heard) = self.clients.next_heard() else { return };
        let now = self.clock.now();
        let status = self.node.status();
        let other = status.leader.filter(|leader| *leader != status.node);
        loop {
            self.lines.hear(now, heard, other, &mut self.inside, &mut self.state.inputs);
            self.say_lines(now);
            heard = match self.clients.next_heard() {
                Some(next) => next,
                None => return,
            };
        }
    }

    fn say_lines(&mut self, now: Time) {
        for (connection, saying) in self.lines.said() {
            self.clients.say(now, connection, saying, &mut self.state.inputs);
        }
    }

    /// Hands on what was asked inside and has ended.
    fn tell_outcomes(&mut self) {
        let now = self.clock.now();
        for (asker, outcome) in self.inside.ended() {
            match asker {
                Asker::Http(number) => self.http.iter_mut().for_each(|http| http.complete(now, number, &outcome)),
                Asker::Lines(ticket) => self.lines.complete(now, ticket, &outcome),
            }
        }
        self.say_lines(now);
    }

    /// Feeds everything collected, then wakes the node until nothing is due.
    fn step_all(&mut self) {
        let Turn { inputs, out, .. } = &mut self.state;
        // Everything collected had arrived by now.
        self.clock.now();
        while let Some(input) = inputs.pop_front() {
            self.node.step(self.clock.tick(), input, out);
        }
        for _ in 0..WAKES_PER_TURN {
            let now = self.clock.now();
            if self.node.deadline().is_none_or(|(at, _)| at > now) {
                return;
            }
            self.node.step(now, Input::Wake, out);
        }
    }

    /// Performs what the node asks for, and what it asks for when a disk operation is done on the spot.
    fn perform(&mut self, events: &mut Events) -> io::Result<Option<End>> {
        loop {
            if let Some(end) = self.queue_outputs() {
                return Ok(Some(end));
            }
            self.tell_outcomes();
            let now = self.clock.now();
            self.peers.flush(now, &mut self.state.inputs);
            self.clients.flush(&mut self.state.inputs);
            self.http.iter_mut().for_each(|http| http.flush(now));
            if !self.idle_but_for_the_disk(events)? {
                for (op, action) in self.state.operations.drain(..) {
                    self.disk.submit(op, action);
                }
                return Ok(None);
            }
            let (op, action) = self.state.operations.pop().expect("idle but for one operation");
            let result = self.disk.perform(&action, || self.clock.now());
            self.state.inputs.push_back(Input::Disk { op, result });
            self.step_all();
        }
    }

    /// Whether there is exactly one disk operation, quick enough to be performed here, and nothing else to do.
    fn idle_but_for_the_disk(&mut self, events: &mut Events) -> io::Result<bool> {
        let [(_, action)] = &self.state.operations[..] else { return Ok(false) };
        if !self.state.inputs.is_empty() || !self.disk.in_place(self.clock.now(), action) {
            return Ok(false);
        }
        poll(&mut self.poll, events, Some(Duration::ZERO))?;
        self.state.polled = !events.is_empty();
        Ok(events.is_empty())
    }

    /// Sorts the node's outputs into queues.
    fn queue_outputs(&mut self) -> Option<End> {
        let now = self.clock.now();
        let Turn { inputs, out, operations, encoder, .. } = &mut self.state;
        for output in out.drain(..) {
            match output {
                Output::Send { to, message } => {
                    if let Ok(chunks) = encode(encoder, &message) {
                        self.peers.send(to, chunks);
                    }
                }
                Output::Reply { connection, response } if Inside::owns(connection) => {
                    self.inside.reply(now, connection, response, inputs);
                }
                Output::Reply { connection, response } => match encode(encoder, &response) {
                    Ok(chunks) => self.clients.send(connection, chunks, inputs),
                    Err(error) => {
                        let refusal = instead_of(&response, error);
                        if let Some(Ok(chunks)) = refusal.map(|refusal| encode(encoder, &refusal)) {
                            self.clients.send(connection, chunks, inputs);
                        }
                    }
                },
                Output::Close { connection, .. } if Inside::owns(connection) => {
                    self.inside.hang_up(now, connection, inputs);
                }
                Output::Close { connection, .. } => self.clients.hang_up(connection),
                Output::Disk { op, action } => operations.push((op, action)),
                Output::Note(note) => self.counters.take(&note),
                Output::Fence(fault) => return Some(End::Fenced(fault)),
                Output::Stopped => return Some(End::Stopped),
            }
        }
        None
    }

    /// Lets the last answers leave.
    fn linger(&mut self, events: &mut Events) {
        let deadline = self.clock.now() + LINGER;
        let mut nobody_asks = VecDeque::new();
        self.tell_outcomes();
        self.http.iter_mut().for_each(|http| http.stop(self.clock.now()));
        loop {
            let now = self.clock.now();
            self.clients.flush(&mut nobody_asks);
            self.http.iter_mut().for_each(|http| http.flush(now));
            let has_unsent = self.clients.has_unsent() || self.http.as_ref().is_some_and(Http::has_unsent);
            if !has_unsent || now >= deadline {
                return;
            }
            if poll(&mut self.poll, events, Some(until(now, deadline))).is_err() {
                return;
            }
            self.note_readiness(events);
        }
    }
}

/// The core keeps its messages below the limits; one that is not is a fault of ours, seen by whoever waits for it.
fn encode<'e, M: Framed>(encoder: &'e mut Encoder, message: &M) -> Result<&'e [Bytes], FrameError> {
    encoder.encode(message).inspect_err(|error| tracing::error!(%error, "a message of our own cannot be sent"))
}

/// What to say instead of an answer that is too large. A write cannot be refused any more: its client will find out
/// that the outcome is unknown.
fn instead_of(response: &ClientResponse, error: FrameError) -> Option<ClientResponse> {
    match (response, error) {
        (ClientResponse::Read { tag, .. }, FrameError::TooLarge { limit, actual }) => Some(ClientResponse::Refused {
            request: RequestKey::Tag(*tag),
            refusal: Refusal::TooLarge { limit, actual },
        }),
        _ => None,
    }
}

fn poll(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, timeout) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => result,
    }
}

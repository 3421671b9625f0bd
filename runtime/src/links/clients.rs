//! Connections of clients.
//!
//! The first byte says what a connection speaks; only frames are served, anything else is closed with a note. A client
//! is *identified* when its first whole request has arrived: until then it has little time and a small share of places.
//!
//! *Bounds.* Answers queue up to [`QUEUE_MAX`] (or one answer, however long): a client that asks and does not read is
//! closed there. Above [`HIGH_WATER`] its requests are left in the system's buffers until it has read. All clients
//! together hold at most [`HELD_MAX`]: the one that goes beyond is closed. The number of connections is limited, and
//! more are closed as soon as they come, so that a client knows to try elsewhere.

use super::{Source, acceptor::Acceptor, stream::Stream};
use bytes::Bytes;
use ios_core::{
    ids::ConnectionId,
    interface::Input,
    message::ClientRequest,
    time::{Span, Time},
};
use mio::{Interest, Registry, event::Event, net::TcpListener};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bytes of answers waiting for one client above which its requests wait too.
const HIGH_WATER: usize = 1 << 20;
/// Bytes of answers waiting for one client at which it is closed.
const QUEUE_MAX: usize = 8 << 20;
/// Bytes held for all clients together.
const HELD_MAX: usize = 1 << 30;
/// Why one is closed then.
const HELD_TOO_MUCH: &str = "all clients together hold too much memory";
/// A connection that has not sent a whole request by then is closed.
const IDENTIFY_WITHIN: Span = Span::secs(5);

/// All client connections of one node.
pub(crate) struct Clients {
    acceptor: Acceptor,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    limit: usize,
    /// Connections with something to read or in the way of being closed.
    active: BTreeSet<u64>,
    /// Connections that have not identified themselves, by number, which is by age.
    unidentified: BTreeMap<u64, Time>,
    /// Those with answers that were not sent yet, in order of their first one; a few may be gone since.
    unsent: Vec<u64>,
    /// Bytes held for all connections when each was last looked at.
    held: usize,
}

struct Connection {
    stream: Stream<ClientRequest>,
    /// Whether it is in `Clients::unsent`.
    unsent: bool,
    /// Its part of `Clients::held`.
    held: usize,
}

impl Connection {
    /// Brings its part of `held_by_all` up to date. False if it grew while that is too much.
    fn account(&mut self, held_by_all: &mut usize) -> bool {
        let held = self.stream.held();
        *held_by_all = *held_by_all - self.held + held;
        let grew = held > self.held;
        self.held = held;
        !grew || *held_by_all <= HELD_MAX
    }
}

impl Clients {
    /// Connections through `listener`, at most `limit`.
    pub(crate) fn new(listener: TcpListener, limit: usize) -> Self {
        Self {
            acceptor: Acceptor::new(listener, "clients"),
            connections: BTreeMap::new(),
            next: 0,
            limit,
            active: BTreeSet::new(),
            unidentified: BTreeMap::new(),
            unsent: Vec::new(),
            held: 0,
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
            connection.stream.ready(event);
            self.active.insert(number);
            if connection.stream.queued() > 0 && !connection.unsent {
                connection.unsent = true;
                self.unsent.push(number);
            }
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.connections.len()
    }

    /// Bytes held for all connections.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Whether answers wait to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.connections.values().any(|connection| connection.stream.queued() > 0)
    }

    /// When [`Clients::turn`] is due although the poll says nothing.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let work = if self.active.is_empty() { None } else { Some(Time::ZERO) };
        let oldest = self.unidentified.first_key_value().map(|(_, until)| *until);
        [work, self.acceptor.deadline(), oldest].into_iter().flatten().min()
    }

    /// Accepts, gives up and reads what is due; what the core must know goes to `inputs`.
    pub(crate) fn turn(&mut self, now: Time, registry: &Registry, scratch: &mut [u8], inputs: &mut VecDeque<Input>) {
        self.accept(now, registry);
        while let Some((number, until)) = self.unidentified.first_key_value()
            && *until <= now
        {
            self.close(*number, "it sent no request in time", inputs);
        }
        for number in std::mem::take(&mut self.active) {
            self.read(number, scratch, inputs);
        }
    }

    /// Queues the chunks of one answer.
    pub(crate) fn send(&mut self, to: ConnectionId, chunks: &[Bytes], inputs: &mut VecDeque<Input>) {
        let Some(connection) = self.connections.get_mut(&to.0) else { return };
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let queued = connection.stream.queued();
        if queued > 0 && queued + length > QUEUE_MAX {
            return self.close(to.0, "it does not read its answers", inputs);
        }
        connection.stream.push(chunks);
        if !connection.unsent {
            connection.unsent = true;
            self.unsent.push(to.0);
        }
        if !connection.account(&mut self.held) {
            self.close(to.0, HELD_TOO_MUCH, inputs);
        }
    }

    /// Closes a connection by order of the core, which need not be told.
    pub(crate) fn hang_up(&mut self, to: ConnectionId) {
        self.close(to.0, "the node asked for it", &mut VecDeque::new());
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self, inputs: &mut VecDeque<Input>) {
        let mut unsent = std::mem::take(&mut self.unsent);
        for number in unsent.drain(..) {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            connection.unsent = false;
            if let Err(lost) = connection.stream.flush() {
                self.close(number, &lost.to_string(), inputs);
                continue;
            }
            if connection.stream.is_readable() && connection.stream.queued() <= HIGH_WATER {
                self.active.insert(number);
            }
            connection.account(&mut self.held);
        }
        self.unsent = unsent;
    }

    fn accept(&mut self, now: Time, registry: &Registry) {
        while let Some((socket, address)) = self.acceptor.next(now) {
            if self.connections.len() >= self.limit {
                tracing::warn!(%address, limit = self.limit, "too many client connections; this one is closed");
                continue;
            }
            let mut stream = Stream::new(socket);
            let token = Source::Client(self.next).token();
            let interest = Interest::READABLE | Interest::WRITABLE;
            let adopted = stream.tune().and_then(|()| registry.register(stream.socket(), token, interest));
            if let Err(error) = adopted {
                tracing::warn!(%address, %error, "a client's connection could not be set up");
                continue;
            }
            tracing::debug!(connection = self.next, %address, "client connected");
            self.connections.insert(self.next, Connection { stream, unsent: false, held: 0 });
            self.unidentified.insert(self.next, now + IDENTIFY_WITHIN);
            self.next += 1;
        }
    }

    fn read(&mut self, number: u64, scratch: &mut [u8], inputs: &mut VecDeque<Input>) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.stream.queued() > HIGH_WATER {
            // Looked at again when answers have been sent.
            return;
        }
        let before = inputs.len();
        let connection_id = ConnectionId(number);
        let read = connection.stream.read(scratch, |request| {
            inputs.push_back(Input::Client { connection: connection_id, request });
        });
        if inputs.len() > before {
            self.unidentified.remove(&number);
        }
        if let Err(lost) = read {
            return self.close(number, &lost.to_string(), inputs);
        }
        if connection.stream.is_readable() {
            self.active.insert(number);
        }
        if !connection.account(&mut self.held) {
            self.close(number, HELD_TOO_MUCH, inputs);
        }
    }

    fn close(&mut self, number: u64, why: &str, inputs: &mut VecDeque<Input>) {
        let Some(connection) = self.connections.remove(&number) else { return };
        self.held -= connection.held;
        self.active.remove(&number);
        // A client that never asked anything was never a client to the core.
        if self.unidentified.remove(&number).is_some() {
            tracing::info!(connection = number, why, "an unidentified connection to the client port was closed");
        } else {
            tracing::debug!(connection = number, why, "client gone");
            inputs.push_back(Input::Gone { connection: ConnectionId(number) });
        }
    }
}

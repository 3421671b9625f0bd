//! Connections of clients.
//!
//! The first byte says what a connection speaks: frames, whose requests are inputs of the core, or lines, which are put
//! by for [`crate::lines`] and answered when it says so. Anything else is closed with a note. A client is *identified*
//! when its first whole request has arrived: until then it has little time.
//!
//! *Bounds.* Answers queue up to [`QUEUE_MAX`] (or one answer, however long): a client that asks and does not read is
//! closed there. Above [`HIGH_WATER`] its requests are left in the system's buffers until it has read. All clients
//! together hold at most [`HELD_MAX`]: the one that goes beyond is closed. The number of connections is limited, and
//! more are closed as soon as they come, so that a client knows to try elsewhere.

use super::{
    Source,
    acceptor::Acceptor,
    deadlines::Deadlines,
    language::Language,
    pipe::{Broken, Pipe},
    stream::Lost,
};
use crate::lines::{Heard, Saying};
use bytes::Bytes;
use ios_core::{
    ids::ConnectionId,
    interface::Input,
    time::{Span, Time},
};
use mio::{
    Interest, Registry,
    event::Event,
    net::{TcpListener, TcpStream},
};
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
/// A connection on which nothing more is taken is closed by then: what it asked before has an outcome in less.
const PART_WITHIN: Span = Span::secs(7);

/// All client connections of one node.
pub(crate) struct Clients {
    acceptor: Acceptor,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    limit: usize,
    /// Connections with something to read or in the way of being closed.
    active: BTreeSet<u64>,
    /// When connections are closed that have not identified themselves, or of which nothing more is taken.
    deadlines: Deadlines,
    /// Lines that were not looked at.
    heard: VecDeque<Heard>,
    /// Those with answers that were not sent yet, in order of their first one; a few may be gone since.
    unsent: Vec<u64>,
    /// Bytes held for all connections when each was last looked at.
    held: usize,
}

struct Connection {
    pipe: Pipe,
    language: Language,
    /// It has sent a whole request.
    identified: bool,
    /// Whether it is in `Clients::unsent`.
    unsent: bool,
    /// Its part of `Clients::held`.
    held: usize,
}

impl Connection {
    fn new(socket: TcpStream) -> Self {
        let (pipe, language) = (Pipe::new(socket), Language::Unheard);
        Self { pipe, language, identified: false, unsent: false, held: 0 }
    }

    /// Whether there is something to read, and it may be.
    fn may_read(&self) -> bool {
        self.pipe.is_readable() && self.language.listens() && self.pipe.queued() <= HIGH_WATER
    }

    /// Reads and takes what there is: requests in frames to `inputs`, lines to `heard`.
    fn read(
        &mut self,
        number: u64,
        scratch: &mut [u8],
        heard: &mut VecDeque<Heard>,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(), Lost> {
        let before = (inputs.len(), heard.len());
        let Self { pipe, language, .. } = self;
        let mut read = Ok(());
        if language.listens() {
            let connection = ConnectionId(number);
            read = pipe.read_share(scratch, |bytes| {
                Ok(language.hear(bytes, |request| inputs.push_back(Input::Client { connection, request }))?)
            });
        }
        if let Some(conversation) = language.conversation() {
            if matches!(read, Err(Lost::Broken(Broken::Closed))) {
                conversation.end();
                read = Ok(());
            }
            let lines = std::iter::from_fn(|| conversation.next());
            heard.extend(lines.map(|line| Heard { connection: number, line }));
        }
        self.identified |= (inputs.len(), heard.len()) != before;
        read
    }

    /// Brings its part of `held_by_all` up to date. False if it grew while that is too much.
    fn account(&mut self, held_by_all: &mut usize) -> bool {
        let held = self.pipe.queued() + self.language.held();
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
            deadlines: Deadlines::default(),
            heard: VecDeque::new(),
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
            connection.pipe.ready(event);
            self.active.insert(number);
            if connection.pipe.queued() > 0 && !connection.unsent {
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
        self.connections.values().any(|connection| connection.pipe.queued() > 0)
    }

    /// When [`Clients::turn`] is due although the poll says nothing.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let work = if self.active.is_empty() { None } else { Some(Time::ZERO) };
        [work, self.acceptor.deadline(), self.deadlines.first()].into_iter().flatten().min()
    }

    /// Accepts, gives up and reads what is due; what the core must know goes to `inputs`.
    pub(crate) fn turn(&mut self, now: Time, registry: &Registry, scratch: &mut [u8], inputs: &mut VecDeque<Input>) {
        self.accept(now, registry);
        while let Some(number) = self.deadlines.due(now) {
            self.close(number, "it sent no request in time, or none that could be taken", inputs);
        }
        for number in std::mem::take(&mut self.active) {
            self.read(number, scratch, inputs);
        }
    }

    /// Queues the chunks of one answer.
    pub(crate) fn send(&mut self, to: ConnectionId, chunks: &[Bytes], inputs: &mut VecDeque<Input>) {
        let Some(connection) = self.connections.get_mut(&to.0) else { return };
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let queued = connection.pipe.queued();
        if queued > 0 && queued + length > QUEUE_MAX {
            return self.close(to.0, "it does not read its answers", inputs);
        }
        connection.pipe.push(chunks);
        if !connection.unsent {
            connection.unsent = true;
            self.unsent.push(to.0);
        }
        if !connection.account(&mut self.held) {
            self.close(to.0, HELD_TOO_MUCH, inputs);
        }
    }

    /// The next line that somebody has said, if there is one.
    pub(crate) fn next_heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// Says what becomes of one line.
    pub(crate) fn say(&mut self, now: Time, to: u64, saying: Saying, inputs: &mut VecDeque<Input>) {
        let Some(connection) = self.connections.get_mut(&to) else { return };
        let conversation = connection.language.conversation().expect("only a conversation has lines");
        let was_full = conversation.is_full();
        conversation.answered();
        let line = match saying {
            Saying::Answer(line) => line,
            Saying::Last(line) => {
                conversation.refuse();
                let heard = self.heard.len();
                self.heard.retain(|heard| heard.connection != to);
                (self.heard.len()..heard).for_each(|_| conversation.answered());
                self.deadlines.set(to, Some(now + PART_WITHIN));
                line
            }
            Saying::HangUp => return self.close(to, "the outcome of a request is unknown", inputs),
        };
        if was_full {
            // There is room for the next, which may have arrived.
            self.active.insert(to);
        }
        self.send(ConnectionId(to), &[line], inputs);
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
            if let Err(broken) = connection.pipe.flush() {
                self.close(number, &broken.to_string(), inputs);
                continue;
            }
            if connection.may_read() {
                self.active.insert(number);
            }
            connection.account(&mut self.held);
            self.end_if_over(number, inputs);
        }
        self.unsent = unsent;
    }

    fn accept(&mut self, now: Time, registry: &Registry) {
        while let Some((socket, address)) = self.acceptor.next(now) {
            if self.connections.len() >= self.limit {
                tracing::warn!(%address, limit = self.limit, "too many client connections; this one is closed");
                continue;
            }
            let mut connection = Connection::new(socket);
            let pipe = &mut connection.pipe;
            let token = Source::Client(self.next).token();
            let interest = Interest::READABLE | Interest::WRITABLE;
            let adopted = pipe.tune().and_then(|()| registry.register(pipe.socket(), token, interest));
            if let Err(error) = adopted {
                tracing::warn!(%address, %error, "a client's connection could not be set up");
                continue;
            }
            tracing::debug!(connection = self.next, %address, "client connected");
            self.connections.insert(self.next, connection);
            self.deadlines.set(self.next, Some(now + IDENTIFY_WITHIN));
            self.next += 1;
        }
    }

    fn read(&mut self, number: u64, scratch: &mut [u8], inputs: &mut VecDeque<Input>) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.pipe.queued() > HIGH_WATER {
            // Looked at again when answers have been sent.
            return;
        }
        let was_identified = connection.identified;
        let read = connection.read(number, scratch, &mut self.heard, inputs);
        if connection.identified && !was_identified {
            self.deadlines.set(number, None);
        }
        if let Err(lost) = read {
            return self.close(number, &lost.to_string(), inputs);
        }
        if connection.may_read() {
            self.active.insert(number);
        }
        if !connection.account(&mut self.held) {
            return self.close(number, HELD_TOO_MUCH, inputs);
        }
        self.end_if_over(number, inputs);
    }

    /// Ends a conversation in which everything is said. One whose other end may still be sending is read out first: to
    /// close it at once would take the last answer away.
    fn end_if_over(&mut self, number: u64, inputs: &mut VecDeque<Input>) {
        let connection = self.connections.get_mut(&number).expect("the caller has it");
        let Some(conversation) = connection.language.conversation() else { return };
        if conversation.is_over() && connection.pipe.queued() == 0 {
            if conversation.is_ended() {
                self.close(number, "closed by the other end", inputs);
            } else {
                // If it cannot be ended it is broken, which the next read says.
                let _ = connection.pipe.end();
            }
        }
    }

    fn close(&mut self, number: u64, why: &str, inputs: &mut VecDeque<Input>) {
        let Some(mut connection) = self.connections.remove(&number) else { return };
        self.held -= connection.held;
        self.active.remove(&number);
        self.deadlines.set(number, None);
        if !connection.identified {
            // A client that never asked anything was never a client to the core.
            tracing::info!(connection = number, why, "an unidentified connection to the client port was closed");
            return;
        }
        tracing::debug!(connection = number, why, "client gone");
        if connection.language.conversation().is_none() {
            inputs.push_back(Input::Gone { connection: ConnectionId(number) });
        }
    }
}

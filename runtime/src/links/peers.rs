//! Links to the other members: one TCP connection per pair, dialled by the higher id.
//!
//! ```text
//! dialler   Dialling --established--> Up --lost--> (pause, doubling) --> Dialling
//! listener  Unidentified --first frame: Hello of a higher member--> Up --lost--> nothing: the dialler comes again
//! ```
//! Who comes again replaces the connection there was: the other end knows better that the old one is dead. What a peer
//! may say is the core's business; here it only has to be who it should be.
//!
//! *Bounds.* A link's queue is bounded by [`QUEUE_MAX`]. What does not fit is dropped and counted, and the link stays:
//! the protocol lives with loss, whereas closing would throw away what is queued in the right order and cost another
//! round of Hellos. Reading needs no bound of its own, because each message is consumed at once and one unfinished
//! frame is held.

use super::{
    Source,
    acceptor::Acceptor,
    names::{Address, Names},
    stream::Stream,
};
use bytes::Bytes;
use ios_core::{
    ids::{NodeId, NodeSet},
    interface::Input,
    message::PeerMessage,
    time::{Span, Time},
};
use mio::{
    Interest, Registry, Waker,
    event::Event,
    net::{TcpListener, TcpStream},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    sync::Arc,
};

/// Most bytes queued for one peer.
const QUEUE_MAX: usize = 64 << 20;
/// Most connections accepted and not yet identified. More are closed at once.
const UNIDENTIFIED_MAX: usize = 64;
/// A connection that has not said Hello by then is closed.
const IDENTIFY_WITHIN: Span = Span::secs(5);
/// An attempt to connect that takes longer is given up.
const DIAL_WITHIN: Span = Span::secs(2);
/// The first pause between attempts; it doubles up to the last one.
const PAUSE_MIN: Span = Span::millis(20);
const PAUSE_MAX: Span = Span::millis(1000);

/// All links of one node.
pub(crate) struct Peers {
    me: NodeId,
    /// Everyone else, whether dialled by us or dialling us.
    others: NodeSet,
    acceptor: Acceptor,
    sockets: BTreeMap<u64, Socket>,
    next: u64,
    /// The connection that carries each peer's messages.
    up: BTreeMap<NodeId, u64>,
    dials: BTreeMap<NodeId, Dial>,
    /// If a peer that is dialled has a name instead of an address.
    names: Option<Names>,
    /// Messages that did not fit into a queue, since the start.
    dropped: u64,
}

struct Socket {
    stream: Stream<PeerMessage>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Dialling { peer: NodeId, until: Time },
    Unidentified { until: Time },
    Up { peer: NodeId },
}

/// A peer that this node connects to.
struct Dial {
    address: Address,
    attempts: usize,
    pause: Span,
    /// When to try next; `None` while a connection is there or under way, or its name is being looked up.
    next_at: Option<Time>,
}

impl Peers {
    /// Links from `me` to the peers at `addresses`, each `host:port`, through `listener`. What is found out beside the
    /// loop wakes it.
    pub(crate) fn new(
        me: NodeId,
        addresses: &BTreeMap<NodeId, String>,
        listener: TcpListener,
        waker: &Arc<Waker>,
    ) -> io::Result<Self> {
        let others: NodeSet = addresses.keys().copied().filter(|peer| *peer != me).collect();
        let lower = addresses.iter().filter(|(peer, _)| **peer < me);
        let dial = |text: &String| Dial {
            address: Address::of(text),
            attempts: 0,
            pause: PAUSE_MIN,
            next_at: Some(Time::ZERO),
        };
        let dials: BTreeMap<NodeId, Dial> = lower.map(|(peer, text)| (*peer, dial(text))).collect();
        let named = dials.values().any(|dial| matches!(dial.address, Address::Named(_)));
        let names = if named { Some(Names::start(waker.clone())?) } else { None };
        Ok(Self {
            me,
            others,
            acceptor: Acceptor::new(listener, "peers"),
            sockets: BTreeMap::new(),
            next: 0,
            up: BTreeMap::new(),
            dials,
            names,
            dropped: 0,
        })
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
        if let Some(socket) = self.sockets.get_mut(&number) {
            socket.stream.ready(event);
        }
    }

    /// Messages dropped because a queue was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Links that carry messages now.
    pub(crate) fn links_up(&self) -> usize {
        self.up.len()
    }

    /// Whether a turn would find something to do without the poll saying so.
    pub(crate) fn is_ready(&self) -> bool {
        self.sockets.values().any(|socket| socket.stream.is_readable())
    }

    /// When [`Peers::turn`] is due for the sake of time.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let stages = self.sockets.values().filter_map(|socket| match socket.stage {
            Stage::Dialling { until, .. } | Stage::Unidentified { until } => Some(until),
            Stage::Up { .. } => None,
        });
        stages.chain(self.dials.values().filter_map(|dial| dial.next_at)).chain(self.acceptor.deadline()).min()
    }

    /// Accepts, dials, gives up and reads what is due; what the core must know goes to `inputs`.
    pub(crate) fn turn(&mut self, now: Time, registry: &Registry, scratch: &mut [u8], inputs: &mut VecDeque<Input>) {
        self.accept(now, registry);
        self.dial(now, registry);
        let numbers: Vec<u64> = self.sockets.keys().copied().collect();
        for number in numbers {
            self.advance(now, number, scratch, inputs);
        }
    }

    /// Queues the chunks of one frame for each of `to`.
    pub(crate) fn send(&mut self, to: NodeSet, chunks: &[Bytes]) {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        for peer in to.iter() {
            // Without a link the message is lost like any other.
            let Some(number) = self.up.get(&peer) else { continue };
            let stream = &mut self.sockets.get_mut(number).expect("links that are up have a socket").stream;
            if stream.queued() + length <= QUEUE_MAX {
                stream.push(chunks);
                continue;
            }
            self.dropped += 1;
            if self.dropped.is_power_of_two() {
                tracing::warn!(
                    %peer,
                    dropped = self.dropped,
                    "the queue to a peer is full; messages to it are dropped"
                );
            }
        }
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self, now: Time, inputs: &mut VecDeque<Input>) {
        let up: Vec<u64> = self.up.values().copied().collect();
        for number in up {
            let stream = &mut self.sockets.get_mut(&number).expect("links that are up have a socket").stream;
            if let Err(lost) = stream.flush() {
                self.close(now, number, &lost.to_string(), inputs);
            }
        }
    }

    fn accept(&mut self, now: Time, registry: &Registry) {
        while let Some((socket, address)) = self.acceptor.next(now) {
            let waiting = self.sockets.values().filter(|socket| matches!(socket.stage, Stage::Unidentified { .. }));
            if waiting.count() >= UNIDENTIFIED_MAX {
                tracing::warn!(%address, "too many unidentified connections on the peer port; this one is closed");
                continue;
            }
            let stage = Stage::Unidentified { until: now + IDENTIFY_WITHIN };
            if let Err(error) = self.adopt(socket, stage, registry) {
                tracing::warn!(%address, %error, "a connection to the peer port could not be set up");
            }
        }
    }

    fn adopt(&mut self, socket: TcpStream, stage: Stage, registry: &Registry) -> io::Result<()> {
        let number = self.next;
        self.next += 1;
        let mut stream = Stream::new(socket);
        if matches!(stage, Stage::Unidentified { .. }) {
            stream.tune()?;
        }
        registry.register(stream.socket(), Source::Peer(number).token(), Interest::READABLE | Interest::WRITABLE)?;
        self.sockets.insert(number, Socket { stream, stage });
        Ok(())
    }

    fn dial(&mut self, now: Time, registry: &Registry) {
        let mut known: Vec<(NodeId, io::Result<Vec<SocketAddr>>)> = Vec::new();
        for (peer, dial) in self.dials.iter_mut().filter(|(_, dial)| dial.next_at.is_some_and(|at| at <= now)) {
            dial.next_at = None;
            match (&dial.address, &self.names) {
                (Address::Fixed(address), _) => known.push((*peer, Ok(vec![*address]))),
                (Address::Named(name), Some(names)) => names.ask(*peer, name),
                (Address::Named(_), None) => unreachable!("where there is a name somebody looks it up"),
            }
        }
        known.extend(self.names.iter().flat_map(|names| std::iter::from_fn(|| names.found())));
        for (peer, addresses) in known {
            let dial = self.dials.get_mut(&peer).expect("only who is dialled is looked up");
            // Where there are several, each gets its turn.
            let begun = addresses.and_then(|all| TcpStream::connect(all[dial.attempts % all.len()]));
            dial.attempts = dial.attempts.wrapping_add(1);
            let stage = Stage::Dialling { peer, until: now + DIAL_WITHIN };
            if let Err(error) = begun.and_then(|socket| self.adopt(socket, stage, registry)) {
                tracing::debug!(%peer, address = ?self.dials[&peer].address, %error, "connecting failed");
                self.retry(now, peer);
            }
        }
    }

    fn retry(&mut self, now: Time, peer: NodeId) {
        if let Some(dial) = self.dials.get_mut(&peer) {
            dial.next_at = Some(now + dial.pause);
            dial.pause = dial.pause.times(2).min(PAUSE_MAX);
        }
    }

    /// Moves one connection on as far as it goes.
    fn advance(&mut self, now: Time, number: u64, scratch: &mut [u8], inputs: &mut VecDeque<Input>) {
        let socket = self.sockets.get_mut(&number).expect("only closed when it is its turn");
        if let Stage::Dialling { peer, until } = socket.stage {
            match socket.stream.establish() {
                Ok(true) => self.came_up(now, number, peer, inputs),
                Ok(false) if now < until => return,
                Ok(false) => return self.close(now, number, "no answer", inputs),
                Err(error) => return self.close(now, number, &error.to_string(), inputs),
            }
        }
        let socket = self.sockets.get_mut(&number).expect("only closed when it is its turn");
        if let Stage::Unidentified { until } = socket.stage
            && now >= until
        {
            return self.close(now, number, "it did not say Hello in time", inputs);
        }
        let mut received = Vec::new();
        let read = socket.stream.read(scratch, |message| received.push(message));
        for message in received {
            if let Err(why) = self.take(now, number, message, inputs) {
                return self.close(now, number, &why, inputs);
            }
        }
        if let Err(lost) = read {
            self.close(now, number, &lost.to_string(), inputs);
        }
    }

    /// One message from one connection, which must be from the peer it is thought to be.
    fn take(
        &mut self,
        now: Time,
        number: u64,
        message: PeerMessage,
        inputs: &mut VecDeque<Input>,
    ) -> Result<(), String> {
        let said = match &message {
            PeerMessage::Hello(hello) => Some(hello.node),
            _ => None,
        };
        let from = match (self.sockets[&number].stage, said) {
            (Stage::Up { peer }, None) => peer,
            (Stage::Up { peer }, Some(node)) if node == peer => peer,
            (Stage::Up { peer }, Some(node)) => return Err(format!("{node} answers where {peer} should be")),
            (_, Some(node)) if self.others.contains(node) && node > self.me => {
                self.came_up(now, number, node, inputs);
                node
            }
            (_, Some(node)) => return Err(format!("it says it is {node}, which is no member that connects to here")),
            (_, None) => return Err("its first message is no Hello".to_owned()),
        };
        if let Some(dial) = self.dials.get_mut(&from) {
            dial.pause = PAUSE_MIN;
        }
        inputs.push_back(Input::Peer { from, message });
        Ok(())
    }

    fn came_up(&mut self, now: Time, number: u64, peer: NodeId, inputs: &mut VecDeque<Input>) {
        if let Some(old) = self.up.get(&peer).copied() {
            self.close(now, old, "the peer connected again", inputs);
        }
        self.sockets.get_mut(&number).expect("it just spoke").stage = Stage::Up { peer };
        self.up.insert(peer, number);
        tracing::debug!(%peer, "link up");
        inputs.push_back(Input::Link { peer, up: true });
    }

    fn close(&mut self, now: Time, number: u64, why: &str, inputs: &mut VecDeque<Input>) {
        let socket = self.sockets.remove(&number).expect("closed once");
        match socket.stage {
            Stage::Dialling { peer, .. } => {
                tracing::debug!(%peer, why, "connecting failed");
                self.retry(now, peer);
            }
            Stage::Unidentified { .. } => tracing::warn!(why, "a connection to the peer port was closed"),
            Stage::Up { peer } => {
                tracing::debug!(%peer, why, "link down");
                self.up.remove(&peer);
                inputs.push_back(Input::Link { peer, up: false });
                self.retry(now, peer);
            }
        }
    }
}

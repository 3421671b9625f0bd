//! Links over loopback, with time as a number: what comes up, what is closed, what is bounded.

mod conversations;

use super::{Source, clients::Clients, peers::Peers};
use bytes::Bytes;
use ios_core::{
    ids::{ConnectionId, DiskNonce, Incarnation, NodeId, NodeSet, View},
    interface::Input,
    message::{ClientRequest, ClientResponse, Hello, PeerMessage},
    time::{Span, Time},
    wire::{Encoder, FrameReader, Framed},
};
use mio::{Events, Interest, Poll, Waker, net::TcpListener};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// Polls before a test gives up: each waits ten milliseconds at most.
const PATIENCE: usize = 500;
const SCRATCH: usize = 64 << 10;

#[test]
fn tokens_and_sources_are_inverse() {
    for source in [Source::Waker, Source::PeerListener, Source::ClientListener, Source::HttpListener] {
        assert_eq!(Source::of(source.token()), source);
    }
    for number in [0, 1, 2, 1 << 40] {
        assert_eq!(Source::of(Source::Peer(number).token()), Source::Peer(number));
        assert_eq!(Source::of(Source::Client(number).token()), Source::Client(number));
        assert_eq!(Source::of(Source::Http(number).token()), Source::Http(number));
    }
}

fn frame<M: Framed>(message: &M) -> Vec<u8> {
    Encoder::default().encode(message).unwrap().concat()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Whether the other end has closed the connection, seen from a blocking socket.
fn is_closed(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    loop {
        match socket.read(&mut [0; 1024]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

struct ClientSide {
    poll: Poll,
    clients: Clients,
    address: SocketAddr,
    inputs: VecDeque<Input>,
    now: Time,
}

fn client_side(limit: usize) -> ClientSide {
    let (listener, address) = listener();
    let poll = Poll::new().unwrap();
    let mut clients = Clients::new(listener, limit);
    poll.registry().register(clients.listener(), Source::ClientListener.token(), Interest::READABLE).unwrap();
    ClientSide { poll, clients, address, inputs: VecDeque::new(), now: Time(1) }
}

impl ClientSide {
    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }

    fn turn(&mut self) {
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::from_millis(10))).unwrap();
        for event in &events {
            match Source::of(event.token()) {
                Source::ClientListener => self.clients.listener_ready(),
                Source::Client(number) => self.clients.ready(number, event),
                other => panic!("{other:?}"),
            }
        }
        self.clients.turn(self.now, self.poll.registry(), &mut [0; SCRATCH], &mut self.inputs);
        self.clients.flush(&mut self.inputs);
    }

    fn turn_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..PATIENCE {
            if done(self) {
                return;
            }
            self.turn();
        }
        panic!("it did not happen; inputs: {:?}", self.inputs);
    }

    /// Sends a request and returns the connection's name.
    fn identify(&mut self, socket: &mut TcpStream) -> ConnectionId {
        socket.write_all(&frame(&ClientRequest::Hello { tag: 1 })).unwrap();
        self.turn_until(|side| !side.inputs.is_empty());
        match self.inputs.pop_front() {
            Some(Input::Client { connection, request: ClientRequest::Hello { tag: 1 } }) => connection,
            other => panic!("{other:?}"),
        }
    }

    fn reply(&mut self, to: ConnectionId, bytes: usize) {
        let response =
            ClientResponse::Read { tag: 1, revision: Default::default(), payload: Bytes::from(vec![7; bytes]) };
        let mut encoder = Encoder::default();
        self.clients.send(to, encoder.encode(&response).unwrap(), &mut self.inputs);
    }
}

#[test]
fn what_is_no_request_is_closed_and_the_others_are_served() {
    let mut side = client_side(100);
    let mut good = side.connect();
    let connection = side.identify(&mut good);
    let mut huge = frame(&ClientRequest::Hello { tag: 1 });
    huge[8..12].copy_from_slice(&(100u32 << 20).to_le_bytes());
    let checksum = crc32(&huge[..16]).to_le_bytes();
    huge[16..20].copy_from_slice(&checksum);
    let peer = frame(&PeerMessage::Canvass { view: View::ZERO });
    let noise: Vec<u8> = (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bad in [&huge[..], &peer, &noise, b"GET / HTTP/1.1\r\n\r\n", b" {}\n", b"\x00"] {
        let mut socket = side.connect();
        socket.write_all(bad).unwrap();
        side.turn_until(|_| is_closed(&mut socket));
    }
    assert!(side.inputs.is_empty(), "the core hears nothing of it: {:?}", side.inputs);
    side.reply(connection, 10);
    side.turn();
    let mut reader = FrameReader::<ClientResponse>::default();
    let mut bytes = [0; 256];
    let read = good.read(&mut bytes).unwrap();
    assert!(matches!(reader.read(&mut &bytes[..read]), Ok(Some(ClientResponse::Read { tag: 1, .. }))));
}

/// CRC-32 as the wire computes it: makes a head whose length is believed.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn who_never_asks_is_closed_in_time_and_who_asked_is_not() {
    let mut side = client_side(100);
    let mut asked = side.connect();
    side.identify(&mut asked);
    let mut silent = side.connect();
    let mut slow = side.connect();
    slow.write_all(&frame(&ClientRequest::Hello { tag: 1 })[..12]).unwrap();
    (0..5).for_each(|_| side.turn());
    assert!(!is_closed(&mut silent) && !is_closed(&mut slow));
    side.now = side.clients.deadline().expect("unidentified connections have a deadline");
    assert!(side.now > Time(1));
    side.turn_until(|_| is_closed(&mut silent) && is_closed(&mut slow));
    assert!(!is_closed(&mut asked));
    assert_eq!((side.clients.deadline(), side.inputs.len()), (None, 0));
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let mut side = client_side(2);
    let mut sockets = [side.connect(), side.connect(), side.connect()];
    side.turn_until(|_| is_closed(&mut sockets[2]));
    assert!(!is_closed(&mut sockets[0]) && !is_closed(&mut sockets[1]));
    let connection = side.identify(&mut sockets[0]);
    let [first, _, _] = sockets;
    drop(first);
    side.turn_until(|side| side.inputs.contains(&Input::Gone { connection }));
    let mut next = side.connect();
    side.inputs.clear();
    side.identify(&mut next);
}

#[test]
fn a_client_that_does_not_read_is_left_waiting_and_then_closed() {
    let mut side = client_side(100);
    let mut socket = side.connect();
    let connection = side.identify(&mut socket);
    // More than the system's own buffers take, and above the high-water mark.
    let large = 7 << 20;
    side.reply(connection, large);
    side.turn();
    socket.write_all(&frame(&ClientRequest::Hello { tag: 2 })).unwrap();
    (0..5).for_each(|_| side.turn());
    assert!(side.inputs.is_empty(), "its requests wait: {:?}", side.inputs);
    let mut read = 0;
    socket.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 1 << 20];
    side.turn_until(|side| {
        read += socket.read(&mut buffer).unwrap_or(0);
        !side.inputs.is_empty()
    });
    assert!(matches!(side.inputs[0], Input::Client { request: ClientRequest::Hello { tag: 2 }, .. }));
    side.inputs.clear();

    let before = side.clients.held();
    (0..40).for_each(|_| side.reply(connection, 1 << 20));
    assert_eq!(side.inputs, [Input::Gone { connection }], "told once");
    assert!(side.clients.held() < before + (9 << 20), "and its memory is free");
}

struct PeerSide {
    id: NodeId,
    poll: Poll,
    peers: Peers,
    inputs: VecDeque<Input>,
}

impl PeerSide {
    fn new(id: u8, addresses: &BTreeMap<NodeId, SocketAddr>, listener: TcpListener) -> Self {
        let addresses = addresses.iter().map(|(peer, address)| (*peer, address.to_string()));
        Self::named(id, &addresses.collect(), listener)
    }

    fn named(id: u8, addresses: &BTreeMap<NodeId, String>, listener: TcpListener) -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Source::Waker.token()).unwrap());
        let mut peers = Peers::new(NodeId(id), addresses, listener, &waker).unwrap();
        poll.registry().register(peers.listener(), Source::PeerListener.token(), Interest::READABLE).unwrap();
        Self { id: NodeId(id), poll, peers, inputs: VecDeque::new() }
    }

    /// Says Hello on every link that comes up, as the core does.
    fn turn(&mut self, now: Time) {
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::from_millis(10))).unwrap();
        for event in &events {
            match Source::of(event.token()) {
                Source::Waker => {}
                Source::PeerListener => self.peers.listener_ready(),
                Source::Peer(number) => self.peers.ready(number, event),
                other => panic!("{other:?}"),
            }
        }
        let known = self.inputs.len();
        self.peers.turn(now, self.poll.registry(), &mut [0; SCRATCH], &mut self.inputs);
        for place in known..self.inputs.len() {
            if let Input::Link { peer, up: true } = self.inputs[place] {
                self.send(peer, &hello(self.id));
            }
        }
        self.peers.flush(now, &mut self.inputs);
    }

    fn send(&mut self, to: NodeId, message: &PeerMessage) {
        let mut encoder = Encoder::default();
        self.peers.send(NodeSet::only(to), encoder.encode(message).unwrap());
    }

    fn hears(&self, peer: u8, message: &PeerMessage) -> bool {
        self.inputs.contains(&Input::Peer { from: NodeId(peer), message: message.clone() })
    }

    fn links(&self, peer: u8, up: bool) -> usize {
        self.inputs.iter().filter(|input| **input == Input::Link { peer: NodeId(peer), up }).count()
    }
}

fn hello(node: NodeId) -> PeerMessage {
    PeerMessage::Hello(Box::new(Hello {
        versions: (1, 1),
        node,
        nonce: DiskNonce(u128::from(node.0)),
        incarnation: Incarnation(1),
        founded: None,
        complete: false,
        genesis: 7,
        answer: false,
    }))
}

fn pair() -> (PeerSide, PeerSide) {
    let (low, low_address) = listener();
    let (high, high_address) = listener();
    let addresses = BTreeMap::from([(NodeId(0), low_address), (NodeId(1), high_address)]);
    (PeerSide::new(0, &addresses, low), PeerSide::new(1, &addresses, high))
}

fn run(sides: &mut [&mut PeerSide], now: &mut Time, mut done: impl FnMut(&[&mut PeerSide]) -> bool) {
    for _ in 0..PATIENCE {
        if done(sides) {
            return;
        }
        *now = *now + Span::millis(10);
        sides.iter_mut().for_each(|side| side.turn(*now));
    }
    panic!("it did not happen: {:?}", sides.iter().map(|side| &side.inputs).collect::<Vec<_>>());
}

#[test]
fn two_members_have_one_link_that_carries_messages_both_ways() {
    let (mut low, mut high) = pair();
    let mut now = Time(1);
    run(&mut [&mut low, &mut high], &mut now, |sides| {
        sides[0].hears(1, &hello(NodeId(1))) && sides[1].hears(0, &hello(NodeId(0)))
    });
    let question = PeerMessage::Canvass { view: View { round: 3, node: NodeId(0) } };
    low.send(NodeId(1), &question);
    run(&mut [&mut low, &mut high], &mut now, |sides| sides[1].hears(0, &question));
    assert_eq!((low.links(1, true), high.links(0, true)), (1, 1), "one link, told once at each end");
    assert_eq!((low.links(1, false), high.links(0, false)), (0, 0));
}

#[test]
fn a_peer_with_a_name_is_found_whichever_of_its_addresses_answers() {
    let (low, address) = listener();
    let (high, high_address) = listener();
    let mut low = PeerSide::new(0, &BTreeMap::from([(NodeId(0), address), (NodeId(1), high_address)]), low);
    let named = |name: String| BTreeMap::from([(NodeId(0), name), (NodeId(1), high_address.to_string())]);
    let mut high = PeerSide::named(1, &named(format!("localhost:{}", address.port())), high);
    let mut now = Time(1);
    run(&mut [&mut low, &mut high], &mut now, |sides| sides[0].links(1, true) == 1 && sides[1].links(0, true) == 1);
    // A name that leads nowhere harms nobody.
    let (lost, _) = listener();
    let mut lost = PeerSide::named(1, &named("no-such-name.invalid:1".to_owned()), lost);
    let mut turns = 0;
    run(&mut [&mut lost], &mut now, |_| {
        turns += 1;
        turns > 50
    });
    assert_eq!(lost.links(0, true), 0);
}

#[test]
fn a_link_that_breaks_is_dialled_again() {
    let (mut low, mut high) = pair();
    let mut now = Time(1);
    run(&mut [&mut low, &mut high], &mut now, |sides| sides[0].links(1, true) == 1);
    // A second connection in the peer's name replaces the first, which ends at the peer, who comes again.
    let address = low.peers.listener().local_addr().unwrap();
    let mut again = TcpStream::connect(address).unwrap();
    again.write_all(&frame(&hello(NodeId(1)))).unwrap();
    run(&mut [&mut low, &mut high], &mut now, |sides| sides[0].links(1, true) == 3 && sides[1].links(0, true) == 2);
    assert_eq!((low.links(1, false), high.links(0, false)), (2, 1));
    assert!(is_closed(&mut again), "the usurper is replaced in turn");
}

#[test]
fn strangers_on_the_peer_port_are_closed_and_the_links_stay() {
    let (mut low, mut high) = pair();
    let mut now = Time(1);
    run(&mut [&mut low, &mut high], &mut now, |sides| sides[0].links(1, true) == 1);
    let noise = [0x5a; 300];
    let no_hello = frame(&PeerMessage::Canvass { view: View::ZERO });
    let (own, unknown) = (frame(&hello(NodeId(0))), frame(&hello(NodeId(9))));
    let beyond = frame(&hello(NodeId(200)));
    let request = frame(&ClientRequest::Hello { tag: 1 });
    for bad in [&noise[..], &no_hello, &own, &unknown, &beyond, &request] {
        let mut socket = TcpStream::connect(low.peers.listener().local_addr().unwrap()).unwrap();
        socket.write_all(bad).unwrap();
        run(&mut [&mut low, &mut high], &mut now, |_| is_closed(&mut socket));
    }
    let mut silent = TcpStream::connect(low.peers.listener().local_addr().unwrap()).unwrap();
    run(&mut [&mut low], &mut now, |sides| sides[0].peers.deadline().is_some());
    now = low.peers.deadline().unwrap();
    run(&mut [&mut low, &mut high], &mut now, |_| is_closed(&mut silent));
    assert_eq!((low.links(1, true), low.links(1, false)), (1, 0));
    assert!(low.inputs.iter().all(|input| !matches!(input, Input::Peer { from, .. } if *from != NodeId(1))));
}

#[test]
fn what_does_not_fit_into_a_queue_is_dropped_and_the_link_stays() {
    let (mut low, mut high) = pair();
    let mut now = Time(1);
    run(&mut [&mut low, &mut high], &mut now, |sides| sides[0].links(1, true) == 1);
    let megabyte = [Bytes::from(vec![0; 1 << 20])];
    (0..100).for_each(|_| low.peers.send(NodeSet::only(NodeId(1)), &megabyte));
    assert_eq!(low.peers.dropped(), 36, "64 of 100 fit");
    assert_eq!(low.links(1, false), 0);
}

//! Two lanes on one connection to a node that answers only one of them: what each may still believe

use super::*;
use bytes::Bytes;
use ios_core::{
    ids::{Index, NodeId, Revision, SessionId},
    message::{ClientRequest, ClientResponse, Refusal, RequestKey},
    service::Access,
    time::Span,
    wire::{Encoder, FrameReader},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

/// A connection as a node sees it, and the writes that have come by it.
struct Peer {
    socket: TcpStream,
    reader: FrameReader<ClientRequest>,
    writes: Vec<(SessionId, ClientRequest)>,
}

/// A node played by hand. Sessions are numbered by the tag they were asked for with.
struct Node {
    listener: TcpListener,
    peers: Vec<Peer>,
}

impl Node {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener, peers: Vec::new() }
    }

    /// Accepts and reads what is there; opens sessions, and keeps writes.
    fn turn(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true).unwrap();
            self.peers.push(Peer { socket, reader: FrameReader::default(), writes: Vec::new() });
        }
        for peer in &mut self.peers {
            let mut scratch = [0; 4096];
            while let Ok(read @ 1..) = peer.socket.read(&mut scratch) {
                let mut bytes = &scratch[..read];
                while let Some(request) = peer.reader.read(&mut bytes).unwrap() {
                    peer.take(request);
                }
            }
        }
    }
}

impl Peer {
    fn take(&mut self, request: ClientRequest) {
        match request {
            ClientRequest::Hello { tag } => self.say(&ClientResponse::Welcome { tag, node: NodeId(0), leader: None }),
            ClientRequest::Register { tag } => {
                let session = SessionId { index: Index(tag), position: 0 };
                self.say(&ClientResponse::Registered { tag, session, ttl: Span::secs(60) });
            }
            ClientRequest::Write { session, .. } => self.writes.push((session, request)),
            _ => {}
        }
    }

    fn say(&mut self, response: &ClientResponse) {
        let chunks = Encoder::default().encode(response).unwrap().concat();
        self.socket.write_all(&chunks).unwrap();
    }

    /// Does the first write of this session that is waiting.
    fn answer(&mut self, of: SessionId) {
        let place = self.writes.iter().position(|(session, _)| *session == of).expect("it has come");
        let (session, ClientRequest::Write { sequence, .. }) = self.writes.remove(place) else { unreachable!() };
        self.say(&ClientResponse::Written { session, sequence, revision: Revision(1), payload: Bytes::new() });
    }
}

/// Turns both until something is so.
fn until(pipeline: &mut Pipeline, node: &mut Node, mut is_so: impl FnMut(&mut Pipeline, &mut Node) -> bool) {
    for _ in 0..5000 {
        if is_so(pipeline, node) {
            return;
        }
        let limit = pipeline.now() + Span::millis(2);
        pipeline.turn(Some(limit)).unwrap();
        node.turn();
    }
    panic!("it did not happen");
}

#[test]
fn a_lane_that_leaves_a_connection_believes_nothing_more_that_comes_by_it() {
    let mut node = Node::new();
    let address = node.listener.local_addr().unwrap().to_string();
    let client = ClientOptions { try_timeout: Span::millis(100), ..ClientOptions::default() };
    let options = PipelineOptions { sessions: 2, connections: 1, client };
    let mut pipeline = Pipeline::new(&[address], options).unwrap();
    let deadline = pipeline.now() + Span::secs(30);
    let submit = |pipeline: &mut Pipeline| pipeline.submit(Access::Write, Bytes::from_static(b"w"), deadline);
    let operations = [submit(&mut pipeline), submit(&mut pipeline)];
    until(&mut pipeline, &mut node, |_, node| node.peers.first().is_some_and(|peer| peer.writes.len() == 2));
    assert_eq!(node.peers.len(), 1, "both lanes share a connection");
    let [(ignored, _), (served, _)] = node.peers[0].writes[..] else { unreachable!() };
    node.peers[0].answer(served);
    let mut left = operations.to_vec();
    until(&mut pipeline, &mut node, |pipeline, _| {
        pipeline.completions().for_each(|ended| left.retain(|operation| *operation != ended.operation));
        left.len() == 1
    });

    // One lane hears something now and then, the other nothing, so it goes. It must not come back to this connection.
    until(&mut pipeline, &mut node, |_, node| {
        node.peers[0].say(&ClientResponse::Done { tag: served.index.0 });
        node.peers.len() == 2 && node.peers[1].writes.iter().any(|(session, _)| *session == ignored)
    });
    assert_eq!(pipeline.connections(), 2, "the other lane has kept the first connection");

    // A refusal of the try that was lost there says nothing of the one that is open here. Taken for an answer to it, it
    // would end the operation.
    let (session, ClientRequest::Write { sequence, .. }) = node.peers[1].writes[0].clone() else { unreachable!() };
    let (request, refusal) = (RequestKey::Write(session, sequence), Refusal::Invalid("made up".to_owned()));
    node.peers[0].say(&ClientResponse::Refused { request, refusal });
    for _ in 0..20 {
        let limit = pipeline.now() + Span::millis(2);
        pipeline.turn(Some(limit)).unwrap();
        assert_eq!(pipeline.completions().next(), None);
    }

    node.peers[1].answer(ignored);
    let mut outcome = None;
    until(&mut pipeline, &mut node, |pipeline, _| {
        outcome = pipeline.completions().next();
        outcome.is_some()
    });
    let outcome = outcome.unwrap();
    assert_eq!(left, [outcome.operation]);
    assert!(matches!(outcome.outcome, Outcome::Done { .. }) && outcome.tries >= 2, "{outcome:?}");
}

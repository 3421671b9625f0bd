//! Scripts: a client driven by hand, one rule at a time. Each prints what went in (`>`) and what came out.

mod hostile;
mod outcomes;
mod roads;
mod sessions;

use super::{links::State, *};
use crate::{
    ids::{Index, NodeId, Revision, Sequence, SessionId},
    message::{ClientRequest, ClientResponse, ReadMode, RequestKey},
    service::Access,
};
use alloc::{
    format,
    string::{String, ToString},
};
use expect_test::Expect;

const TTL: Span = Span::secs(30);

/// A client, the time, and the script so far.
struct Rig {
    client: Client,
    now: Time,
    script: String,
    sent: Vec<(EndpointId, ClientRequest)>,
}

fn options() -> ClientOptions {
    ClientOptions { in_flight_max: 2, operations_max: 8, payload_max: 100, ..ClientOptions::default() }
}

/// Of endpoint e0 and so on.
fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|place| format!("a{place}")).collect()
}

impl Rig {
    fn new(endpoints: usize) -> Self {
        Self::with(endpoints, options())
    }

    /// A rig whose first endpoint is e0.
    fn with(endpoints: usize, options: ClientOptions) -> Self {
        let starts_at_0 = |seed: &u64| {
            let client = Client::new(addresses(endpoints), options.clone(), *seed, Time::ZERO);
            client.links.current() == EndpointId(0)
        };
        let seed = (0..100).find(starts_at_0).expect("one seed of a hundred begins anywhere");
        let client = Client::new(addresses(endpoints), options, seed, Time::ZERO);
        Rig { client, now: Time::ZERO, script: String::new(), sent: Vec::new() }
    }

    fn step(&mut self, said: &str, input: ClientInput) -> &mut Self {
        let mut out = Vec::new();
        self.client.step(self.now, input, &mut out);
        self.script.push_str(&format!("> {said}\n"));
        for output in out {
            self.script.push_str(&format!("  {}\n", text(&output)));
            if let ClientOutput::Send { endpoint, request } = output {
                self.sent.push((endpoint, request));
            }
        }
        let late = self.client.deadline().filter(|deadline| *deadline <= self.now);
        assert_eq!(late, None, "a deadline in the past spins the driver, after: {}", self.script);
        self
    }

    fn submit(&mut self, operation: u64, access: Access, deadline: Span) -> &mut Self {
        let said = format!("submit o{operation} {access:?}");
        let payload = Bytes::from(format!("p{operation}"));
        let (operation, deadline) = (OperationId(operation), self.now + deadline);
        self.step(&said, ClientInput::Submit { operation, ask: access.into(), payload, deadline })
    }

    fn write(&mut self, operation: u64) -> &mut Self {
        self.submit(operation, Access::Write, Span::secs(10))
    }

    fn read(&mut self, operation: u64) -> &mut Self {
        self.submit(operation, Access::Read, Span::secs(10))
    }

    fn read_as(&mut self, operation: u64, mode: ReadMode) -> &mut Self {
        let payload = Bytes::from(format!("p{operation}"));
        let (operation, deadline) = (OperationId(operation), self.now + Span::secs(10));
        let input = ClientInput::Submit { operation, ask: Ask::Read(mode), payload, deadline };
        self.step(&format!("submit {operation} {mode} read"), input)
    }

    fn up(&mut self, endpoint: usize) -> &mut Self {
        self.step(&format!("e{endpoint} is up"), ClientInput::Connected { endpoint: EndpointId(endpoint) })
    }

    fn down(&mut self, endpoint: usize) -> &mut Self {
        self.step(&format!("e{endpoint} is down"), ClientInput::Disconnected { endpoint: EndpointId(endpoint) })
    }

    fn receive(&mut self, endpoint: usize, said: &str, response: ClientResponse) -> &mut Self {
        let input = ClientInput::Received { endpoint: EndpointId(endpoint), response };
        self.step(&format!("e{endpoint} says {said}"), input)
    }

    /// The tag of the last request sent to an endpoint that `tag_of` knows.
    fn last(&self, endpoint: usize, tag_of: impl Fn(&ClientRequest) -> Option<u64>) -> u64 {
        let there = self.sent.iter().rev().filter(|(to, _)| to.0 == endpoint);
        there.filter_map(|(_, request)| tag_of(request)).next().expect("such a request was sent there")
    }

    fn read_tag(&self, endpoint: usize, operation: u64) -> u64 {
        self.last(endpoint, |request| match request {
            ClientRequest::Read { tag, payload }
            | ClientRequest::ParticipantRead { tag, payload }
            | ClientRequest::StaleRead { tag, payload }
                if *payload == format!("p{operation}") =>
            {
                Some(*tag)
            }
            _ => None,
        })
    }

    fn welcome(&mut self, endpoint: usize, node: u8) -> &mut Self {
        let tag = self.last(endpoint, |request| match request {
            ClientRequest::Hello { tag } => Some(*tag),
            _ => None,
        });
        let response = ClientResponse::Welcome { tag, node: NodeId(node), leader: None };
        self.receive(endpoint, &format!("welcome to n{node}"), response)
    }

    /// What is told there about where members are reached.
    fn members(&mut self, endpoint: usize, members: &[(u8, &str)]) -> &mut Self {
        let tag = self.last(endpoint, |request| match request {
            ClientRequest::Members { tag } => Some(*tag),
            _ => None,
        });
        let members = members.iter().map(|(node, address)| (NodeId(*node), address.to_string())).collect();
        self.receive(endpoint, "where the members are", ClientResponse::Members { tag, members })
    }

    fn registered(&mut self, endpoint: usize, session: u64) -> &mut Self {
        let tag = self.last(endpoint, |request| match request {
            ClientRequest::Register { tag } => Some(*tag),
            _ => None,
        });
        let response = ClientResponse::Registered { tag, session: id(session), ttl: TTL };
        self.receive(endpoint, &format!("registered {}", id(session)), response)
    }

    fn errand_tag(&self, endpoint: usize) -> u64 {
        self.last(endpoint, |request| match request {
            ClientRequest::KeepAlive { tag, .. } | ClientRequest::Close { tag, .. } => Some(*tag),
            _ => None,
        })
    }

    fn done(&mut self, endpoint: usize) -> &mut Self {
        let tag = self.errand_tag(endpoint);
        self.receive(endpoint, "done", ClientResponse::Done { tag })
    }

    fn written(&mut self, endpoint: usize, session: u64, sequence: u64) -> &mut Self {
        let (session, revision) = (id(session), Revision(sequence));
        let payload = Bytes::from_static(b"OK");
        let response = ClientResponse::Written { session, sequence: Sequence(sequence), revision, payload };
        self.receive(endpoint, &format!("written {session} #{sequence}"), response)
    }

    fn value(&mut self, endpoint: usize, operation: u64) -> &mut Self {
        let tag = self.read_tag(endpoint, operation);
        let response = ClientResponse::Read { tag, revision: Revision(9), payload: Bytes::from_static(b"v") };
        self.receive(endpoint, &format!("o{operation} read"), response)
    }

    fn refuse(&mut self, endpoint: usize, request: RequestKey, refusal: Refusal) -> &mut Self {
        let response = ClientResponse::Refused { request, refusal: refusal.clone() };
        self.receive(endpoint, &format!("refused: {refusal}"), response)
    }

    fn refuse_write(&mut self, endpoint: usize, sequence: u64, refusal: Refusal) -> &mut Self {
        self.refuse(endpoint, RequestKey::Write(id(1), Sequence(sequence)), refusal)
    }

    fn refuse_read(&mut self, endpoint: usize, operation: u64, refusal: Refusal) -> &mut Self {
        let tag = self.read_tag(endpoint, operation);
        self.refuse(endpoint, RequestKey::Tag(tag), refusal)
    }

    /// Goes on to the next deadline.
    fn wake(&mut self) -> &mut Self {
        self.now = self.client.deadline().expect("something is waited for");
        self.step("wake", ClientInput::Wake)
    }

    fn pass(&mut self, span: Span) -> &mut Self {
        self.now = self.now + span;
        self.step(&format!("{span} pass"), ClientInput::Wake)
    }

    /// Waits until the client calls an endpoint, which takes the call.
    fn reach(&mut self, endpoint: usize) -> &mut Self {
        while !matches!(self.client.links.state(EndpointId(endpoint)), State::Connecting { .. }) {
            assert!(self.script.len() < 10_000, "e{endpoint} is never called: {}", self.script);
            self.wake();
        }
        self.up(endpoint)
    }

    fn close(&mut self) -> &mut Self {
        let deadline = self.now + Span::secs(5);
        self.step("close", ClientInput::Close { deadline })
    }

    /// Connected to e0 as n0, session 1/0 open and o0 sent as its first write; none of that is in the script.
    fn in_session(&mut self) -> &mut Self {
        self.write(0).up(0).welcome(0, 0).registered(0, 1);
        assert!(self.script.ends_with("  e0 <- write 1/0 #1 acked 0: p0\n"), "{}", self.script);
        self.script.clear();
        self
    }

    fn check(&mut self, expect: Expect) {
        expect.assert_eq(&self.script);
    }
}

fn id(index: u64) -> SessionId {
    SessionId { index: Index(index), position: 0 }
}

fn text(output: &ClientOutput) -> String {
    let quoted = |bytes: &Bytes| String::from_utf8_lossy(bytes).to_string();
    match output {
        ClientOutput::Connect { endpoint } => format!("connect {endpoint}"),
        ClientOutput::Disconnect { endpoint } => format!("disconnect {endpoint}"),
        ClientOutput::Send { endpoint, request } => match request {
            ClientRequest::Hello { tag } => format!("{endpoint} <- hello ({tag})"),
            ClientRequest::Register { tag } => format!("{endpoint} <- register ({tag})"),
            ClientRequest::Write { session, sequence, acked, payload } => {
                format!("{endpoint} <- write {session} #{sequence} acked {acked}: {}", quoted(payload))
            }
            ClientRequest::Read { tag, payload } => format!("{endpoint} <- read ({tag}): {}", quoted(payload)),
            ClientRequest::ParticipantRead { tag, payload } => {
                format!("{endpoint} <- participant read ({tag}): {}", quoted(payload))
            }
            ClientRequest::StaleRead { tag, payload } => {
                format!("{endpoint} <- stale read ({tag}): {}", quoted(payload))
            }
            ClientRequest::KeepAlive { tag, session } => format!("{endpoint} <- keep alive {session} ({tag})"),
            ClientRequest::Close { tag, session } => format!("{endpoint} <- close {session} ({tag})"),
            ClientRequest::Status { tag } => format!("{endpoint} <- status ({tag})"),
            ClientRequest::Members { tag } => format!("{endpoint} <- members ({tag})"),
            ClientRequest::Transfer { tag, .. } => format!("{endpoint} <- transfer ({tag})"),
            ClientRequest::Suggest { tag } => format!("{endpoint} <- suggest ({tag})"),
        },
        ClientOutput::Learned { endpoint, address } => format!("{endpoint} is at {address}"),
        ClientOutput::Complete { operation, outcome } => match outcome {
            Outcome::Done { revision, reply } => format!("{operation} done at {revision}: {}", quoted(reply)),
            Outcome::NotDone { why } => format!("{operation} not done: {why}"),
            Outcome::Unknown { why } => format!("{operation} unknown: {why}"),
        },
        ClientOutput::Note(note) => format!("({note:?})"),
        ClientOutput::Closed => "closed".to_string(),
    }
}

const NOBODY_LEADS: Refusal = Refusal::NotLeader { leader: None };

fn leader_is(node: u8) -> Refusal {
    Refusal::NotLeader { leader: Some(NodeId(node)) }
}

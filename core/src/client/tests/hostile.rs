//! A hostile cluster in miniature, for testing only: it breaks connections, loses, delays and strands requests, changes
//! leaders under them and forgets sessions. Only what a connection promises it keeps: nothing on it arrives twice. What
//! it executed is then held against what the client reported.

use super::*;
use alloc::collections::{BTreeMap, VecDeque};

const NODES: usize = 3;
const TTL: Span = Span::millis(150);
const HOSTILE_UNTIL: Time = Time(Span::millis(1_000).0);
const END: Time = Time(Span::millis(2_000).0);

/// One connection's two directions.
#[derive(Default)]
struct Connection {
    life: u64,
    requests: VecDeque<ClientRequest>,
    responses: VecDeque<ClientResponse>,
}

/// A request that a leader took, or that still wanders about after its connection broke.
struct Pending {
    at: Time,
    endpoint: usize,
    life: u64,
    request: ClientRequest,
}

#[derive(Default)]
struct Replicated {
    seen: Time,
    mark: u64,
    replies: BTreeMap<u64, Revision>,
}

struct World {
    rng: ChaCha8Rng,
    now: Time,
    client: Client,
    /// Which node is at each endpoint.
    places: Vec<usize>,
    leader: usize,
    connecting: Vec<usize>,
    connections: BTreeMap<usize, Connection>,
    lives: u64,
    /// Taken by a leader, to be executed.
    log: Vec<Pending>,
    /// Sent on connections that broke meanwhile, and still on the way to a node.
    stray: Vec<Pending>,
    sessions: BTreeMap<SessionId, Replicated>,
    executed: BTreeMap<Bytes, u64>,
    revision: u64,
    submitted: Vec<(Access, Bytes, Time)>,
    outcomes: BTreeMap<OperationId, (Time, Outcome)>,
    notes: Vec<ClientNote>,
}

impl World {
    /// Every other client is told of one member only; the first it asks tells it of the others, or of some.
    fn new(seed: u64) -> Self {
        let told = if seed.is_multiple_of(2) { NODES } else { 1 };
        let options = ClientOptions {
            try_timeout: Span::millis(20),
            backoff_min: Span::millis(1),
            backoff_max: Span::millis(8),
            in_flight_max: 1 + (seed % 64) as usize,
            operations_max: 40,
            ..ClientOptions::default()
        };
        World {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Time::ZERO,
            client: Client::new(addresses(told), options, seed, Time::ZERO),
            places: (0..told).collect(),
            leader: 0,
            connecting: Vec::new(),
            connections: BTreeMap::new(),
            lives: 0,
            log: Vec::new(),
            stray: Vec::new(),
            sessions: BTreeMap::new(),
            executed: BTreeMap::new(),
            revision: 0,
            submitted: Vec::new(),
            outcomes: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    fn run(mut self) -> Self {
        while self.now < END {
            self.now = self.now + Span::millis(1);
            self.submit();
            self.connect();
            for endpoint in 0..self.places.len() {
                self.carry(endpoint);
            }
            self.execute();
            if self.chance(200) {
                self.depose();
            }
            if self.chance(150) {
                self.sessions.pop_first();
            }
            if self.client.deadline().is_some_and(|deadline| deadline <= self.now) {
                self.step(ClientInput::Wake);
            }
        }
        self
    }

    /// One in `n` while the cluster is hostile, never afterwards.
    fn chance(&mut self, n: u64) -> bool {
        below(&mut self.rng, n) == 0 && self.now < HOSTILE_UNTIL
    }

    fn step(&mut self, input: ClientInput) {
        let mut out = Vec::new();
        self.client.step(self.now, input, &mut out);
        let late = self.client.deadline().filter(|deadline| *deadline <= self.now);
        assert_eq!(late, None, "a deadline in the past spins the driver");
        for output in out {
            match output {
                ClientOutput::Connect { endpoint } => self.connecting.push(endpoint.0),
                ClientOutput::Disconnect { endpoint } => self.cut(endpoint.0),
                ClientOutput::Send { endpoint, request } => {
                    let connection = self.connections.get_mut(&endpoint.0).expect("only what is up is sent on");
                    connection.requests.push_back(request);
                }
                ClientOutput::Learned { endpoint, address } => {
                    assert_eq!(endpoint.0, self.places.len(), "nobody moves");
                    self.places.push(address[1..].parse().unwrap());
                }
                ClientOutput::Complete { operation, outcome } => {
                    let before = self.outcomes.insert(operation, (self.now, outcome));
                    assert_eq!(before, None, "{operation} completed twice");
                }
                ClientOutput::Note(note) => self.notes.push(note),
                ClientOutput::Closed => unreachable!("nobody closes it"),
            }
        }
    }

    /// Often and in haste while the cluster is hostile; later so that everything can be done in time.
    fn submit(&mut self) {
        let calm = self.now >= HOSTILE_UNTIL;
        if self.now > HOSTILE_UNTIL + Span::millis(700) || below(&mut self.rng, if calm { 12 } else { 3 }) > 0 {
            return;
        }
        let number = self.submitted.len() as u64;
        let access = if below(&mut self.rng, 4) == 0 { Access::Read } else { Access::Write };
        let payload = Bytes::copy_from_slice(&number.to_le_bytes());
        let patience = if calm { 200 } else { 5 + below(&mut self.rng, 300) };
        let deadline = self.now + Span::millis(patience);
        self.submitted.push((access, payload.clone(), deadline));
        self.step(ClientInput::Submit { operation: OperationId(number), ask: access.into(), payload, deadline });
    }

    fn connect(&mut self) {
        for endpoint in core::mem::take(&mut self.connecting) {
            if self.chance(4) {
                self.step(ClientInput::Disconnected { endpoint: EndpointId(endpoint) });
            } else if !self.chance(10) {
                self.lives += 1;
                self.connections.insert(endpoint, Connection { life: self.lives, ..Connection::default() });
                self.step(ClientInput::Connected { endpoint: EndpointId(endpoint) });
            }
        }
    }

    /// What is on its way to the node may still arrive, much later; what is on its way to the client does not.
    fn cut(&mut self, endpoint: usize) {
        self.connecting.retain(|connecting| *connecting != endpoint);
        let Some(connection) = self.connections.remove(&endpoint) else { return };
        for request in connection.requests {
            if self.chance(2) {
                let at = self.now + Span::millis(below(&mut self.rng, 400));
                self.stray.push(Pending { at, endpoint, life: connection.life, request });
            }
        }
    }

    /// Moves one connection's traffic on.
    fn carry(&mut self, endpoint: usize) {
        if self.connections.contains_key(&endpoint) && self.chance(80) {
            self.cut(endpoint);
            self.step(ClientInput::Disconnected { endpoint: EndpointId(endpoint) });
        }
        while let Some(connection) = self.connections.get_mut(&endpoint)
            && let Some(request) = connection.requests.pop_front()
        {
            let life = connection.life;
            self.serve(endpoint, life, request);
            if self.chance(3) {
                break;
            }
        }
        while !self.chance(3)
            && let Some(connection) = self.connections.get_mut(&endpoint)
            && let Some(response) = connection.responses.pop_front()
        {
            self.step(ClientInput::Received { endpoint: EndpointId(endpoint), response });
        }
    }

    fn answer(&mut self, endpoint: usize, life: u64, response: ClientResponse) {
        if let Some(connection) = self.connections.get_mut(&endpoint).filter(|connection| connection.life == life) {
            connection.responses.push_back(response);
        }
    }

    fn serve(&mut self, endpoint: usize, life: u64, request: ClientRequest) {
        if let ClientRequest::Hello { tag } = request {
            let node = NodeId(self.places[endpoint] as u8);
            self.answer(endpoint, life, ClientResponse::Welcome { tag, node, leader: None });
            return;
        }
        if let ClientRequest::Suggest { tag } = request {
            self.answer(endpoint, life, ClientResponse::Done { tag });
            return;
        }
        if let ClientRequest::Members { tag } = request {
            let told = if self.chance(3) { 1 } else { NODES };
            let members = addresses(told).into_iter().enumerate();
            let members = members.map(|(node, address)| (NodeId(node as u8), address)).collect();
            self.answer(endpoint, life, ClientResponse::Members { tag, members });
            return;
        }
        let named = if self.chance(3) { below(&mut self.rng, NODES as u64) as usize } else { self.leader };
        let leader = (!self.chance(4)).then_some(NodeId(named as u8));
        let refusal = if self.chance(40) {
            Some(Refusal::NotReady)
        } else if self.places[endpoint] != self.leader {
            Some(Refusal::NotLeader { leader })
        } else if self.chance(20) {
            Some(Refusal::Overloaded)
        } else if self.chance(40) {
            Some(Refusal::Invalid("for the sake of it".into()))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.answer(endpoint, life, ClientResponse::Refused { request: key(&request), refusal });
        } else if !self.chance(30) {
            let delay = if self.now < HOSTILE_UNTIL { below(&mut self.rng, 40) } else { 2 };
            self.log.push(Pending { at: self.now + Span::millis(delay), endpoint, life, request });
        }
    }

    /// Another node leads. What the old leader took may be executed all the same, whatever it told the client.
    fn depose(&mut self) {
        self.leader = below(&mut self.rng, NODES as u64) as usize;
        for mut pending in core::mem::take(&mut self.log) {
            if self.chance(2) {
                let (request, refusal) = (key(&pending.request), Refusal::Deposed { leader: None });
                self.answer(pending.endpoint, pending.life, ClientResponse::Refused { request, refusal });
            }
            if self.chance(2) {
                pending.at = pending.at + Span::millis(below(&mut self.rng, 100));
                self.log.push(pending);
            }
        }
    }

    fn execute(&mut self) {
        let now = self.now;
        for pending in self.stray.extract_if(.., |pending| pending.at <= now).collect::<Vec<_>>() {
            let is_answered_at_once = matches!(
                pending.request,
                ClientRequest::Hello { .. } | ClientRequest::Members { .. } | ClientRequest::Suggest { .. }
            );
            if self.places[pending.endpoint] == self.leader && !is_answered_at_once {
                self.log.push(pending);
            }
        }
        for pending in self.log.extract_if(.., |pending| pending.at <= now).collect::<Vec<_>>() {
            let response = self.apply(&pending.request);
            self.answer(pending.endpoint, pending.life, response);
        }
    }

    fn apply(&mut self, request: &ClientRequest) -> ClientResponse {
        let now = self.now;
        self.sessions.retain(|_, session| now.since(session.seen) < TTL);
        let refused = |refusal| ClientResponse::Refused { request: key(request), refusal };
        match request {
            ClientRequest::Register { tag } => {
                self.revision += 1;
                let session = SessionId { index: Index(self.revision), position: 0 };
                self.sessions.insert(session, Replicated { seen: now, ..Replicated::default() });
                ClientResponse::Registered { tag: *tag, session, ttl: TTL }
            }
            ClientRequest::Write { session: id, sequence, acked, payload } => {
                let Some(session) = self.sessions.get_mut(id) else { return refused(Refusal::Expired) };
                session.seen = now;
                session.mark = session.mark.max(acked.0);
                session.replies = session.replies.split_off(&(session.mark + 1));
                if sequence.0 <= session.mark {
                    return refused(Refusal::Stale);
                }
                let revision = *session.replies.entry(sequence.0).or_insert_with(|| {
                    self.revision += 1;
                    *self.executed.entry(payload.clone()).or_default() += 1;
                    Revision(self.revision)
                });
                assert!(session.replies.len() <= 64, "the table keeps more replies than the window allows");
                ClientResponse::Written { session: *id, sequence: *sequence, revision, payload: payload.clone() }
            }
            ClientRequest::KeepAlive { tag, session } => match self.sessions.get_mut(session) {
                Some(session) => {
                    session.seen = now;
                    ClientResponse::Done { tag: *tag }
                }
                None => refused(Refusal::Expired),
            },
            ClientRequest::Read { tag, payload }
            | ClientRequest::ParticipantRead { tag, payload }
            | ClientRequest::StaleRead { tag, payload } => {
                ClientResponse::Read { tag: *tag, revision: Revision(self.revision), payload: payload.clone() }
            }
            ClientRequest::Hello { .. }
            | ClientRequest::Close { .. }
            | ClientRequest::Status { .. }
            | ClientRequest::Suggest { .. }
            | ClientRequest::Transfer { .. }
            | ClientRequest::Members { .. } => unreachable!("answered at once, or never asked here"),
        }
    }
}

fn key(request: &ClientRequest) -> RequestKey {
    match request {
        ClientRequest::Write { session, sequence, .. } => RequestKey::Write(*session, *sequence),
        ClientRequest::Hello { tag }
        | ClientRequest::Register { tag }
        | ClientRequest::KeepAlive { tag, .. }
        | ClientRequest::Close { tag, .. }
        | ClientRequest::Read { tag, .. }
        | ClientRequest::ParticipantRead { tag, .. }
        | ClientRequest::StaleRead { tag, .. }
        | ClientRequest::Status { tag }
        | ClientRequest::Suggest { tag }
        | ClientRequest::Transfer { tag, .. }
        | ClientRequest::Members { tag } => RequestKey::Tag(*tag),
    }
}

/// What became of one operation, for the count at the end.
fn judge(world: &World, number: usize) -> &'static str {
    let (access, payload, deadline) = &world.submitted[number];
    let executions = world.executed.get(payload).copied().unwrap_or(0);
    let (at, outcome) = &world.outcomes.get(&OperationId(number as u64)).expect("every operation completes");
    assert!(at <= deadline, "operation {number} completes by its deadline");
    assert!(executions <= 1, "operation {number} took effect {executions} times");
    match (access, outcome) {
        (_, Outcome::Done { reply, .. }) if reply != payload => panic!("operation {number} got another's answer"),
        (Access::Read, Outcome::Done { .. }) => "read",
        (Access::Read, Outcome::NotDone { .. }) => "read not done",
        (Access::Read, Outcome::Unknown { .. }) => panic!("a read is never unknown"),
        (Access::Write, Outcome::Done { .. }) => {
            assert_eq!(executions, 1, "operation {number} is done, but took no effect");
            "done"
        }
        (Access::Write, Outcome::NotDone { why }) => {
            assert_eq!(executions, 0, "operation {number} took effect after not done: {why}");
            "not done"
        }
        (Access::Write, Outcome::Unknown { .. }) if executions == 1 => "unknown and executed",
        (Access::Write, Outcome::Unknown { .. }) => "unknown and not executed",
    }
}

#[test]
fn no_hostile_cluster_makes_the_client_lie() {
    let mut counts = BTreeMap::<&str, u64>::new();
    for seed in 0..200 {
        let world = World::new(seed).run();
        for number in 0..world.submitted.len() {
            let what = judge(&world, number);
            *counts.entry(what).or_default() += 1;
            let calm = world.submitted[number].2 > HOSTILE_UNTIL + Span::millis(500);
            assert!(
                !calm || matches!(what, "done" | "read"),
                "seed {seed}: operation {number} is {what} in calm times"
            );
        }
        for note in &world.notes {
            let kind = match note {
                ClientNote::Retried { .. } => "retries",
                ClientNote::Suggested { .. } => "suggestions",
                ClientNote::GaveUpSession { expired: true, .. } => "sessions expired",
                ClientNote::GaveUpSession { expired: false, .. } => "sessions given up",
                ClientNote::Moved { redirected: true, .. } => "redirects",
                ClientNote::Ignored(IgnoredAnswer::EarlierTry) => "refusals of earlier tries",
                ClientNote::Ignored(IgnoredAnswer::Unasked) => "late answers",
                _ => "other notes",
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    for kind in [
        "read",
        "read not done",
        "done",
        "not done",
        "unknown and executed",
        "unknown and not executed",
        "retries",
        "suggestions",
        "sessions expired",
        "sessions given up",
        "redirects",
        "refusals of earlier tries",
        "late answers",
    ] {
        assert!(counts.get(kind).is_some_and(|count| *count > 10), "too few of {kind}: {counts:?}");
    }
}

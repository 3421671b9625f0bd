//! The loop around a client, on both sides of its connections: where requests arrive, answers leave, connections are
//! made and break, and the history of operations is written.
//!
//! A connection is a stream to one life of one member. What was sent on it before the client hung up still arrives, and
//! before the news that it hung up; what a member answered to a connection that the client gave up is thrown away. A
//! dead process resets its connections, a machine without power says nothing until it runs again.

use super::{
    Phase, World,
    agenda::Class,
    customer::{Call, Connection, Customer, Origin, Record, asked, encode, past},
    driver::request_letter,
    item::{Item, Life},
    network::Letter,
    process::HELD_MAX,
    told::{LetterId, Loss, Told},
};
use crate::{
    choice::Stream,
    history,
    oracle::Oracle,
    outcome::Counter,
    scenario::{Cluster, MessageKind, Operation, event::Subject},
};
use ios_core::{
    client::{
        Ask, Client, ClientInput, ClientNote, ClientOptions, ClientOutput, EndpointId, OperationId, Outcome, WhyNotDone,
    },
    ids::{ConnectionId, NodeId, NodeSet},
    message::{ClientRequest, ReadMode, Refusal},
    time::Span,
};
use std::mem;

/// Chance, per million, that an operation that only reads goes through the log all the same.
const LOGGED_READS: u32 = 100_000;

/// An operator's connection: none of a client's.
pub(super) const OPERATOR: ConnectionId = ConnectionId(u64::MAX);

impl World {
    /// Sets up all clients and puts their first operations on the agenda.
    pub(super) fn begin_customers(&mut self) {
        for name in 0..self.scenario.cluster.clients {
            let (client, members) = self.new_client(name, 1);
            self.customers.push(Customer {
                name,
                client,
                life: 1,
                paused: false,
                held: Vec::new(),
                calls: vec![Call::default(); members.len()],
                members,
                timer: None,
                begun: 0,
                generated: 0,
                pending: Vec::new(),
                fresh: 0,
            });
            for _ in 0..self.scenario.workload.in_flight {
                self.think(name);
            }
            self.schedule_client(name);
        }
    }

    /// A client's state machine, and the members it is told of: every client counts them from another one.
    fn new_client(&self, name: u8, life: Life) -> (Client, Vec<NodeId>) {
        let Cluster { client_retry: try_timeout, before_force, .. } = self.scenario.cluster;
        let options = ClientOptions { try_timeout, before_force, ..ClientOptions::default() };
        let seed = self.choose.u64(Stream::Endpoint, &[u64::from(name), u64::from(life)]);
        let Cluster { nodes, told, .. } = self.scenario.cluster;
        let ring = (0..nodes).map(|place| NodeId((place + name) % nodes));
        let core = self.atlas.core();
        let known = |node: &NodeId| told >= nodes || core == NodeSet::EMPTY || core.contains(*node);
        let members: Vec<NodeId> = ring.filter(known).take(usize::from(told)).collect();
        let addresses = members.iter().map(NodeId::to_string).collect();
        (Client::new(addresses, options, seed, self.now()), members)
    }

    /// Puts a client's next generated operation on the agenda, if there is one left.
    fn think(&mut self, name: u8) {
        let share = self.scenario.workload.share(name, self.scenario.cluster.clients);
        let customer = &mut self.customers[usize::from(name)];
        if customer.generated >= share || matches!(self.phase, Phase::Liveness(_)) {
            return;
        }
        customer.generated += 1;
        let pause = self.scenario.workload.think(self.choose, name, customer.generated);
        let item = Item::Begin { client: name, number: customer.generated };
        let at = self.now() + pause;
        self.agenda.put(at, Class::Ready, item);
    }

    /// An item that concerns a client or a connection.
    pub(super) fn happen_to_client(&mut self, item: Item) {
        match item {
            Item::Request { connection, .. }
            | Item::HungUp { connection, .. }
            | Item::Unreadable { connection, by_client: false } => self.arrive(connection, item),
            Item::Knock { client, endpoint, attempt, node } => self.knock(client, endpoint, attempt, node),
            Item::Response { connection, .. } | Item::Unreadable { connection, by_client: true } => {
                let (client, node) = self.ends(connection);
                self.network.arrived(node, client);
                self.hand_to_client(client - self.scenario.cluster.nodes, item);
            }
            Item::Broken { connection } => {
                let client = self.connections[connection.0 as usize].client.0;
                self.hand_to_client(client, item);
            }
            Item::Admitted { client, .. } | Item::ClientTimer { client } => self.hand_to_client(client.0, item),
            Item::Begin { client, .. } => self.hand_to_client(client, item),
            other => unreachable!("{other:?} concerns no client"),
        }
    }

    /// A request, or the news that the client hung up, reaches the member's machine.
    fn arrive(&mut self, connection: ConnectionId, item: Item) {
        let (client, from) = self.ends(connection);
        let (node, life) = self.connections[connection.0 as usize].node;
        self.network.arrived(client, from);
        let process = &self.processes[usize::from(node.0)];
        if process.runs() && process.life == life {
            if self.connections[connection.0 as usize].closed {
                if self.tell.is_some() {
                    self.tell_of_loss(&item, Loss::Gone);
                }
                return;
            }
            if matches!(item, Item::Unreadable { .. }) && !process.paused {
                self.connections[connection.0 as usize].closed = true;
                let delay = self.network.notice(node.0, client, connection.0);
                self.break_connection(connection, delay);
            }
            self.hand_in(node, item);
            return;
        }
        let why = if process.runs() { Loss::Gone } else { Loss::Down };
        if process.runs() || !process.powerless {
            // The machine is up and knows nothing of this connection.
            let delay = self.network.notice(node.0, client, connection.0);
            self.break_connection(connection, delay);
        }
        if self.tell.is_some() {
            self.tell_of_loss(&item, why);
        }
    }

    /// A client calls: a running member takes the call, a machine without one refuses it, anything else is silence.
    fn knock(&mut self, client: (u8, Life), endpoint: usize, attempt: u32, node: NodeId) {
        let end = self.scenario.cluster.nodes + client.0;
        if self.tell.is_some() {
            self.tell(Told::Called { client: client.0, node });
        }
        let process = &self.processes[usize::from(node.0)];
        let silent = !process.runs() && process.powerless;
        if silent || self.network.is_blocked(end, node.0) || self.network.is_blocked(node.0, end) {
            return;
        }
        let connection = process.runs().then_some(ConnectionId(self.connections.len() as u64));
        if connection.is_some() {
            let node = (node, process.life);
            self.connections.push(Connection { client, endpoint, node, broken: false, closed: false });
        }
        let at = self.now() + self.network.notice(node.0, end, u64::from(attempt));
        self.agenda.put(at, Class::Ready, Item::Admitted { client, endpoint, attempt, connection });
    }

    /// The numbers of a connection's ends in the network: the client's, the member's.
    pub(super) fn ends(&self, connection: ConnectionId) -> (u8, u8) {
        let known = &self.connections[connection.0 as usize];
        (self.scenario.cluster.nodes + known.client.0, known.node.0.0)
    }

    /// The member's end of a connection is dead; the client learns it after `delay`.
    pub(super) fn break_connection(&mut self, connection: ConnectionId, delay: Span) {
        if connection == OPERATOR {
            return;
        }
        let known = &mut self.connections[connection.0 as usize];
        if !mem::replace(&mut known.broken, true) {
            let at = self.now() + delay;
            self.agenda.put(at, Class::Ready, Item::Broken { connection });
        }
    }

    /// All connections to a life of a member that ended break; the clients hear of it if the machine still talks.
    pub(super) fn break_connections(&mut self, node: (NodeId, Life)) {
        for place in 0..self.connections.len() {
            let known = self.connections[place];
            if known.node == node && !known.broken {
                let end = self.scenario.cluster.nodes + known.client.0;
                if !self.network.is_blocked(node.0.0, end) {
                    let delay = self.network.notice(node.0.0, end, place as u64);
                    self.break_connection(ConnectionId(place as u64), delay);
                }
            }
        }
    }

    fn hand_to_client(&mut self, name: u8, item: Item) {
        if self.tell.is_some() {
            self.tell_of_client_arrival(name, &item);
        }
        let customer = &mut self.customers[usize::from(name)];
        if customer.paused {
            if customer.held.len() < HELD_MAX {
                customer.held.push(item);
            }
            return;
        }
        let input = match item {
            Item::Begin { client, number } => return self.begin_generated(client, number),
            Item::ClientTimer { .. } => ClientInput::Wake,
            Item::Response { connection, response, .. } => match self.endpoint_of(connection) {
                Some(endpoint) => ClientInput::Received { endpoint, response },
                None => return,
            },
            Item::Unreadable { connection, .. } => match self.endpoint_of(connection) {
                Some(endpoint) => {
                    self.customers[usize::from(name)].calls[endpoint.0].connection = None;
                    self.hang_up(connection);
                    ClientInput::Disconnected { endpoint }
                }
                None => return,
            },
            Item::Broken { connection } => match self.endpoint_of(connection) {
                Some(endpoint) => {
                    self.customers[usize::from(name)].calls[endpoint.0].connection = None;
                    ClientInput::Disconnected { endpoint }
                }
                None => return,
            },
            Item::Admitted { client, endpoint, attempt, connection } => {
                let call = Some(&mut customer.calls[endpoint]).filter(|_| customer.life == client.1);
                match call.and_then(|call| call.answered(endpoint, attempt, connection)) {
                    Some(input) => {
                        if self.tell.is_some() {
                            self.tell_of_connection(connection);
                        }
                        input
                    }
                    // Nobody waits for it any more: the client's machine resets it.
                    None => return connection.into_iter().for_each(|connection| self.hang_up(connection)),
                }
            }
            other => unreachable!("{other:?} is not for a client"),
        };
        self.feed_client(name, input);
    }

    /// The endpoint whose present connection this is.
    pub(super) fn endpoint_of(&self, connection: ConnectionId) -> Option<EndpointId> {
        let known = self.connections[connection.0 as usize];
        let customer = &self.customers[usize::from(known.client.0)];
        let present = customer.life == known.client.1 && customer.calls[known.endpoint].connection == Some(connection);
        present.then_some(EndpointId(known.endpoint))
    }

    /// One step of a client, and everything it asks for.
    fn feed_client(&mut self, name: u8, input: ClientInput) {
        let now = self.now();
        let mut outputs = mem::take(&mut self.client_outputs);
        self.customers[usize::from(name)].client.step(now, input, &mut outputs);
        self.fold(outputs.len() as u64);
        for output in outputs.drain(..) {
            self.perform_for_client(name, output);
        }
        self.client_outputs = outputs;
        self.schedule_client(name);
    }

    fn perform_for_client(&mut self, name: u8, output: ClientOutput) {
        let customer = &mut self.customers[usize::from(name)];
        match output {
            ClientOutput::Connect { endpoint } => {
                let call = &mut customer.calls[endpoint.0];
                call.attempt += 1;
                (call.calling, call.connection) = (true, None);
                let (attempt, client) = (call.attempt, (name, customer.life));
                let node = customer.members[endpoint.0];
                let delay = self.network.notice(self.scenario.cluster.nodes + name, node.0, u64::from(attempt));
                let at = self.now() + delay;
                self.agenda.put(at, Class::Ready, Item::Knock { client, endpoint: endpoint.0, attempt, node });
            }
            ClientOutput::Disconnect { endpoint } => {
                let call = &mut customer.calls[endpoint.0];
                call.calling = false;
                if let Some(connection) = call.connection.take() {
                    self.hang_up(connection);
                }
            }
            ClientOutput::Send { endpoint, request } => {
                if let Some(connection) = customer.calls[endpoint.0].connection {
                    self.send_request(connection, request);
                }
            }
            ClientOutput::Learned { endpoint, address } => {
                let named = self.processes.iter().map(|process| process.id).find(|id| id.to_string() == address);
                let node = named.expect("members say nothing untrue about members");
                assert_eq!(endpoint.0, customer.members.len(), "nobody moves, so no address is learned twice");
                customer.members.push(node);
                // A call of an earlier life of the client may still be on its way under this number.
                let calls = customer.calls.len().max(endpoint.0 + 1);
                customer.calls.resize(calls, Call::default());
                self.outcome.counters.count(Counter::AddressesLearned);
            }
            ClientOutput::Complete { operation, outcome } => self.complete(name, operation, outcome),
            ClientOutput::Note(note) => {
                if self.tell.is_some() {
                    self.tell(Told::ClientNoted { client: name, note });
                }
                self.count_client_note(&note);
            }
            ClientOutput::Closed => {}
        }
    }

    pub(super) fn send_request(&mut self, connection: ConnectionId, request: ClientRequest) {
        if let ClientRequest::Write { session, sequence, payload, .. } = &request {
            let client = self.connections[connection.0 as usize].client.0;
            let mut pending = self.customers[usize::from(client)].pending.iter();
            let same = |place: &&usize| self.records[**place].request.as_ptr() == payload.as_ptr();
            if let Some(place) = pending.find(same) {
                self.records[*place].key = Some((*session, *sequence));
            }
        }
        let Some(request) = self.encoded(request) else { return };
        let letter = request_letter(&request);
        let text = if self.tell.is_some() { request.to_string() } else { String::new() };
        self.send_on(connection, letter, text, |letter| Item::Request { connection, letter, request });
    }

    /// The client's end of a connection is closed: the member learns it after everything sent before.
    fn hang_up(&mut self, connection: ConnectionId) {
        let subject = Subject { kind: MessageKind::Request, view: None, index: None };
        let letter = Letter { subject, number: u64::MAX - connection.0 };
        let text = if self.tell.is_some() { "HungUp".to_string() } else { String::new() };
        self.send_on(connection, letter, text, |letter| Item::HungUp { connection, letter });
    }

    /// Sends on a connection. `text` says what, if somebody traces.
    fn send_on(&mut self, connection: ConnectionId, letter: Letter, text: String, item: impl FnOnce(LetterId) -> Item) {
        let link = self.ends(connection);
        let now = self.now();
        let (counters, used) = (&mut self.outcome.counters, &mut self.outcome.used);
        let mut arrivals = self.network.send(now, link, letter, counters, used);
        let subject = letter.subject;
        let letter = self.next_letter();
        let mut item = item(letter);
        match (&item, arrivals.damage) {
            (Item::Request { request, .. }, Some(bits)) => {
                self.refuse_damaged(request, bits);
                item = Item::Unreadable { connection, by_client: false };
            }
            // The end of a stream has no bytes.
            _ => arrivals.damage = None,
        }
        if self.tell.is_some() {
            self.tell_of_sending(letter, link, subject, arrivals, text);
        }
        // A stream repeats nothing, so there is at most one arrival.
        if let Some(time) = arrivals.iter().next() {
            self.agenda.put(time, Class::Ready, item);
        }
    }

    fn begin_generated(&mut self, name: u8, number: u32) {
        let operation = self.scenario.workload.operation(self.choose, name, number);
        self.submit_operation(name, operation, Origin::Workload);
    }

    /// A client begins an operation now.
    pub(super) fn submit_operation(&mut self, name: u8, operation: Operation, origin: Origin) {
        let invoked = self.now();
        let customer = &mut self.customers[usize::from(name)];
        customer.begun += 1;
        let number = customer.begun;
        if self.tell.is_some() {
            self.tell(Told::Begun { client: name, number, operation: operation.clone(), origin });
        }
        let customer = &mut self.customers[usize::from(name)];
        let words = [u64::from(name), u64::from(number), u64::MAX];
        let logged = self.choose.chance(LOGGED_READS, Stream::Operation, &words);
        let ask = match operation.mode {
            ReadMode::Leader if !operation.is_read() || logged => Ask::Write,
            mode => Ask::Read(mode),
        };
        let request = encode(&operation);
        customer.pending.push(self.records.len());
        let payload = request.clone();
        match operation.mode {
            ReadMode::Stale => self.history.invoke_stale(invoked.0, u64::from(name), asked(&operation)),
            ReadMode::Leader | ReadMode::Participant => {
                self.history.invoke(invoked.0, u64::from(name), asked(&operation))
            }
        };
        self.records.push(Record { client: name, number, ask, request, key: None, origin });
        let deadline = match (origin, self.phase) {
            // Nobody gives up what has to be done in the end.
            (Origin::Fresh, Phase::Liveness(bound)) => bound,
            _ => invoked + self.scenario.cluster.client_deadline,
        };
        let operation = OperationId(u64::from(number));
        self.feed_client(name, ClientInput::Submit { operation, ask, payload, deadline });
    }

    /// An operation has ended.
    fn complete(&mut self, name: u8, operation: OperationId, outcome: Outcome) {
        let now = self.now();
        let customer = &mut self.customers[usize::from(name)];
        let records = &mut self.records;
        let place = customer.pending.iter().position(|place| u64::from(records[*place].number) == operation.0);
        let Some(place) = place.map(|place| customer.pending.swap_remove(place)) else { return };
        let record = &mut records[place];
        self.outcome.counters.count(match &outcome {
            Outcome::Done { .. } => Counter::Answered,
            Outcome::NotDone { why: WhyNotDone::Refused(Refusal::Invalid(_) | Refusal::TooLarge { .. }) } => {
                Counter::Invalid
            }
            Outcome::NotDone { .. } => Counter::NotDone,
            Outcome::Unknown { .. } => Counter::OutcomeUnknown,
        });
        let done = matches!(outcome, Outcome::Done { .. });
        if let Ask::Read(mode) = record.ask
            && done
        {
            self.outcome.counters.count(Counter::ReadsAnswered);
            match mode {
                ReadMode::Leader => {}
                ReadMode::Participant => self.outcome.counters.count(Counter::ParticipantReads),
                ReadMode::Stale => self.outcome.counters.count(Counter::StaleReads),
            }
        }
        let (number, origin) = (record.number, record.origin);
        if self.tell.is_some() {
            self.tell_of_outcome(name, number, &outcome);
        }
        match past(&outcome) {
            Some(outcome) => self.history.end(now.0, place, outcome),
            None => {
                let text = format!("c{name} was given a reply that is none of the store's: {outcome:?}");
                self.object(Oracle::Linearizability, text);
            }
        }
        self.fold(u64::from(number) << 8 | u64::from(name));
        self.went(name, number, origin, done);
    }

    /// What follows the end of an operation, however it ended.
    fn went(&mut self, name: u8, number: u32, origin: Origin, done: bool) {
        let now = self.now();
        for line in self.plan.ended(name, number) {
            self.agenda.put(now, Class::Ready, Item::Line { line, it: None });
        }
        match origin {
            Origin::Plan => {}
            Origin::Workload => self.think(name),
            Origin::Fresh => self.fresh_ended(name, done),
        }
    }

    /// A client's process dies and a new one takes its place.
    pub(super) fn crash_client(&mut self, name: u8) {
        let life = self.customers[usize::from(name)].life + 1;
        let (client, members) = self.new_client(name, life);
        let customer = &mut self.customers[usize::from(name)];
        (customer.life, customer.client, customer.members, customer.paused) = (life, client, members, false);
        customer.held.retain(|item| matches!(item, Item::Begin { .. }));
        let begin = mem::take(&mut customer.held);
        let pending = mem::take(&mut customer.pending);
        self.disconnect_client(name, false);
        for place in pending {
            let Record { number, origin, .. } = self.records[place];
            self.outcome.counters.count(Counter::OutcomeUnknown);
            if self.tell.is_some() {
                let (outcome, why) = (history::Outcome::Unknown, Some("the client crashed".to_string()));
                self.tell(Told::Ended { client: name, number, outcome, why });
            }
            self.went(name, number, origin, false);
        }
        let now = self.now();
        for item in begin {
            self.agenda.put(now, Class::Ready, item);
        }
        self.schedule_client(name);
    }

    /// All connections of a client break, made or in the making. `told` says whether there is a process to tell.
    pub(super) fn disconnect_client(&mut self, name: u8, told: bool) {
        for endpoint in 0..self.customers[usize::from(name)].calls.len() {
            let call = &mut self.customers[usize::from(name)].calls[endpoint];
            let open = call.calling || call.connection.is_some();
            call.calling = false;
            if let Some(connection) = call.connection.take() {
                self.hang_up(connection);
            }
            if open && told {
                self.feed_client(name, ClientInput::Disconnected { endpoint: EndpointId(endpoint) });
            }
        }
    }

    /// Puts a client's deadline on the agenda.
    pub(super) fn schedule_client(&mut self, name: u8) {
        let customer = &mut self.customers[usize::from(name)];
        let Some(at) = customer.client.deadline() else { return };
        match customer.timer {
            Some((_, earlier)) if earlier <= at => return,
            Some((handle, _)) => drop(self.agenda.cancel(handle)),
            None => {}
        }
        let item = Item::ClientTimer { client: (name, customer.life) };
        customer.timer = Some((self.agenda.put(at, Class::Ready, item), at));
    }

    /// Whether a client's deadline has been put off, or the client has died or is paused. Puts it off.
    pub(super) fn client_timer_is_early(&mut self, (name, _): (u8, Life)) -> bool {
        let now = self.now();
        let customer = &mut self.customers[usize::from(name)];
        customer.timer = None;
        let due = customer.client.deadline().is_some_and(|at| at <= now);
        if !due && !customer.paused {
            self.schedule_client(name);
        }
        !due || self.customers[usize::from(name)].paused
    }

    fn count_client_note(&mut self, note: &ClientNote) {
        match note {
            ClientNote::Retried { .. } => self.outcome.counters.count(Counter::Retries),
            ClientNote::Suggested { .. } => self.outcome.counters.count(Counter::HintsSent),
            ClientNote::Moved { redirected: true, .. } => self.outcome.counters.count(Counter::Redirects),
            _ => {}
        }
    }
}

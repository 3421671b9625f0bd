//! The clients of a study: each the real client state machine on a machine of its own, always waiting for one request.

use super::cluster::{Cluster, Content, Item};
use crate::{
    choice::Stream,
    world::{
        agenda::{Class, Handle},
        customer::Call,
    },
};
use bytes::Bytes;
use ios_core::{
    client::{Ask, Client, ClientInput, ClientOptions, ClientOutput, EndpointId, OperationId, Outcome},
    ids::{ConnectionId, NodeId},
    service::kv::{Operation, request},
    time::{Span, Time},
};

/// How long a client tries. Nobody gives up while a run lasts.
const PATIENCE: Span = Span::secs(3600);

/// How long a client thinks before its next request, at most. Without any thought, clients that once waited for each
/// other go on in a fixed cycle, and a figure tells more of the cycle than of the cluster.
const THINK: Span = Span::millis(5);

/// One client.
#[derive(Debug)]
pub(super) struct Customer {
    client: Client,
    /// Per endpoint, the member there, and how far a connection to it is.
    calls: Vec<(NodeId, Call)>,
    timer: Option<(Handle, Time)>,
    /// What it asks for, over and over.
    payload: Bytes,
    /// How many requests it has begun, and when the last.
    begun: (u64, Time),
}

/// A connection between a client and a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) client: u8,
    pub(super) endpoint: usize,
    pub(super) node: NodeId,
}

impl Cluster<'_> {
    /// Sets up all clients, and puts their first requests on the agenda.
    pub(super) fn begin_customers(&mut self) {
        let nodes = self.setup.nodes;
        for name in 0..self.setup.conditions.outstanding {
            // Each is told of one member, as evenly as can be: where members forward requests, it stays with that one.
            let member = NodeId(name % nodes);
            // Clients look elsewhere after as much silence as members do.
            let try_timeout = self.setup.options().election_timeout;
            // Members look for a leader by themselves: what that takes is what is measured.
            let options = ClientOptions { try_timeout, before_force: 0, ..ClientOptions::default() };
            let seed = self.choose.u64(Stream::Endpoint, &[u64::from(name)]);
            let value = vec![b'x'; self.setup.conditions.payload];
            let put = Operation::Put { key: &[b'k', name], value: &value };
            self.customers.push(Customer {
                client: Client::new(vec![member.to_string()], options, seed, Time::ZERO),
                calls: vec![(member, Call::default())],
                timer: None,
                payload: request::encode(&[put]).expect("one operation is a request"),
                begun: (0, Time::ZERO),
            });
            let at = Time(self.choose.between(0, 40_000_000, Stream::Think, &[u64::from(name)]));
            self.agenda.put(at, Class::Ready, Item::Begin { client: name });
        }
    }

    fn customer(&mut self, client: u8) -> &mut Customer {
        &mut self.customers[usize::from(client)]
    }

    /// A client begins its next request.
    pub(super) fn ask(&mut self, client: u8) {
        let now = self.now();
        let customer = self.customer(client);
        customer.begun = (customer.begun.0 + 1, now);
        let operation = OperationId(customer.begun.0);
        let (payload, deadline) = (customer.payload.clone(), now + PATIENCE);
        self.feed_client(client, ClientInput::Submit { operation, ask: Ask::Write, payload, deadline });
    }

    /// Something arrives at a client's machine.
    pub(super) fn hand_to_client(&mut self, client: u8, content: Content) {
        let input = match content {
            Content::Response(connection, response) => match self.endpoint_of(connection) {
                Some(endpoint) => ClientInput::Received { endpoint, response },
                None => return,
            },
            Content::Broken(connection) => match self.endpoint_of(connection) {
                Some(endpoint) => {
                    self.customer(client).calls[endpoint.0].1.connection = None;
                    ClientInput::Disconnected { endpoint }
                }
                None => return,
            },
            Content::Called { endpoint, attempt, connection } => {
                let (_, call) = &mut self.customer(client).calls[endpoint];
                match call.answered(endpoint, attempt, connection) {
                    Some(input) => input,
                    None => return connection.into_iter().for_each(|connection| self.hang_up(connection)),
                }
            }
            other => unreachable!("{other:?} is not for a client"),
        };
        self.feed_client(client, input);
    }

    /// The endpoint whose present connection this is.
    fn endpoint_of(&self, connection: ConnectionId) -> Option<EndpointId> {
        let known = self.connections[connection.0 as usize];
        let (_, call) = self.customers[usize::from(known.client)].calls[known.endpoint];
        (call.connection == Some(connection)).then_some(EndpointId(known.endpoint))
    }

    pub(super) fn client_timer(&mut self, client: u8) {
        let now = self.now();
        let customer = self.customer(client);
        customer.timer = None;
        if customer.client.deadline().is_some_and(|at| at <= now) {
            self.feed_client(client, ClientInput::Wake);
        } else {
            self.schedule_client(client);
        }
    }

    /// One step of a client, and everything it asks for.
    fn feed_client(&mut self, client: u8, input: ClientInput) {
        let now = self.now();
        let mut outputs = Vec::new();
        self.customer(client).client.step(now, input, &mut outputs);
        for output in outputs {
            self.perform_for_client(client, output);
        }
        self.schedule_client(client);
    }

    fn perform_for_client(&mut self, client: u8, output: ClientOutput) {
        let end = self.setup.nodes + client;
        match output {
            ClientOutput::Connect { endpoint: EndpointId(endpoint) } => {
                let (node, call) = &mut self.customer(client).calls[endpoint];
                *call = Call { attempt: call.attempt + 1, connection: None, calling: true };
                let (node, attempt) = (*node, call.attempt);
                self.send(end, node.0, 0, Content::Call { endpoint, attempt });
            }
            ClientOutput::Disconnect { endpoint } => {
                let (_, call) = &mut self.customer(client).calls[endpoint.0];
                call.calling = false;
                if let Some(connection) = call.connection.take() {
                    self.hang_up(connection);
                }
            }
            ClientOutput::Send { endpoint, request } => {
                if let (node, Call { connection: Some(connection), .. }) = self.customer(client).calls[endpoint.0] {
                    let bytes = self.weight(&request);
                    self.send(end, node.0, bytes, Content::Request(connection, request));
                }
            }
            ClientOutput::Complete { outcome, .. } => {
                let (now, (_, began)) = (self.now(), self.customer(client).begun);
                match outcome {
                    Outcome::Done { .. } => self.meter.done(began, now),
                    Outcome::NotDone { .. } | Outcome::Unknown { .. } => self.meter.failed(),
                }
                let (number, _) = self.customer(client).begun;
                let words = [u64::from(client), number];
                let thinks = self.choose.span((Span::ZERO, THINK), Stream::Think, &words);
                self.agenda.put(now + thinks, Class::Ready, Item::Begin { client });
            }
            ClientOutput::Learned { endpoint, address } => {
                let mut members = (0..self.setup.nodes).map(NodeId);
                let member = members.find(|member| member.to_string() == address).expect("members name members");
                let calls = &mut self.customer(client).calls;
                assert!(endpoint.0 == calls.len(), "nobody moves, so no address is learned twice");
                calls.push((member, Call::default()));
            }
            ClientOutput::Note(_) => {}
            ClientOutput::Closed => unreachable!("nobody closes a client"),
        }
    }

    /// The client's end of a connection is closed: the member learns it after everything sent before.
    fn hang_up(&mut self, connection: ConnectionId) {
        let Connection { client, node, .. } = self.connections[connection.0 as usize];
        self.send(self.setup.nodes + client, node.0, 0, Content::HungUp(connection));
    }

    fn schedule_client(&mut self, client: u8) {
        let customer = &mut self.customers[usize::from(client)];
        let Some(at) = customer.client.deadline() else { return };
        match customer.timer {
            Some((_, earlier)) if earlier <= at => return,
            Some((handle, _)) => drop(self.agenda.cancel(handle)),
            None => {}
        }
        customer.timer = Some((self.agenda.put(at, Class::Ready, Item::ClientTimer { client }), at));
    }
}

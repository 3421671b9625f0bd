//! A client inside the server, for those who speak no frames: it asks the node of this very process.
//!
//! It is the client state machine that everybody uses, with a connection that is not one: what it sends becomes inputs
//! of the node in the same turn of the loop, what the node replies is handed back. So a session, retries, exactly-once
//! and honest outcomes are the same for a command that came by HTTP as for any other.
//!
//! It knows one endpoint, the node it lives with. Where other members are it is not told: if another one leads, the
//! node forwards what it is asked, or refuses it, and then the caller is to go there.

use bytes::Bytes;
use ios_core::{
    client::{Ask, Client, ClientInput, ClientNote, ClientOptions, ClientOutput, EndpointId, OperationId, Outcome},
    ids::ConnectionId,
    interface::Input,
    message::{ClientRequest, ClientResponse},
    time::Time,
};
use std::collections::{BTreeMap, VecDeque};

/// The only endpoint.
const HERE: EndpointId = EndpointId(0);
/// Connections in memory count down from the largest number; those of sockets never get so far up.
const FIRST: u64 = u64::MAX;
const LAST: u64 = 1 << 63;

/// Who waits for an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asker {
    /// A connection to the HTTP port.
    Http(u64),
    /// Whoever waits under this ticket for a request that came as a line.
    Lines(u64),
}

/// The client, and who waits for what.
///
/// The operations are bounded by [`ClientOptions::operations_max`]; more are refused.
#[derive(Debug)]
pub(crate) struct Inside {
    client: Client,
    /// The connection that is up, or will be the next. Each is used once: what the node still says on an earlier one
    /// must not be taken for an answer.
    connection: u64,
    is_up: bool,
    inputs: VecDeque<ClientInput>,
    out: Vec<ClientOutput>,
    askers: BTreeMap<OperationId, Asker>,
    next: u64,
    ended: Vec<(Asker, Outcome)>,
}

impl Inside {
    /// A client that has done nothing yet; it asks for a session with its first write.
    pub(crate) fn new(seed: u64, now: Time) -> Self {
        Self {
            client: Client::new(vec!["this node".to_owned()], ClientOptions::default(), seed, now),
            connection: FIRST,
            is_up: false,
            inputs: VecDeque::new(),
            out: Vec::new(),
            askers: BTreeMap::new(),
            next: 0,
            ended: Vec::new(),
        }
    }

    /// Whether what the node says on this connection is for a client inside.
    pub(crate) fn owns(connection: ConnectionId) -> bool {
        connection.0 >= LAST
    }

    /// When [`Inside::wake`] is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.client.deadline()
    }

    /// Lets the client see to what is due; what it asks the node goes to `node`, here and below.
    pub(crate) fn wake(&mut self, now: Time, node: &mut VecDeque<Input>) {
        if self.client.deadline().is_some_and(|at| at <= now) {
            self.step(now, ClientInput::Wake, node);
        }
    }

    /// Begins something for `asker`, which is told the outcome by `deadline` at the latest.
    pub(crate) fn submit(
        &mut self,
        now: Time,
        asker: Asker,
        ask: Ask,
        payload: Bytes,
        deadline: Time,
        node: &mut VecDeque<Input>,
    ) {
        let operation = OperationId(self.next);
        self.next += 1;
        self.askers.insert(operation, asker);
        self.step(now, ClientInput::Submit { operation, ask, payload, deadline }, node);
    }

    /// Somebody gets nothing done, and hints that another leader be looked for. It is a hint and no request, so nothing
    /// comes of it here.
    pub(crate) fn suggest(&self, node: &mut VecDeque<Input>) {
        // The client inside never draws this tag, and ignores the answer.
        let request = ClientRequest::Suggest { tag: 0 };
        node.push_back(Input::Client { connection: ConnectionId(self.connection), request });
    }

    /// The node has replied.
    pub(crate) fn reply(
        &mut self,
        now: Time,
        connection: ConnectionId,
        response: ClientResponse,
        node: &mut VecDeque<Input>,
    ) {
        if self.is_up && connection.0 == self.connection {
            let response = match response {
                ClientResponse::Members { tag, .. } => ClientResponse::Members { tag, members: BTreeMap::new() },
                other => other,
            };
            self.step(now, ClientInput::Received { endpoint: HERE, response }, node);
        }
    }

    /// The node closes the connection.
    pub(crate) fn hang_up(&mut self, now: Time, connection: ConnectionId, node: &mut VecDeque<Input>) {
        if self.is_up && connection.0 == self.connection {
            self.is_up = false;
            self.connection -= 1;
            self.step(now, ClientInput::Disconnected { endpoint: HERE }, node);
        }
    }

    /// What has ended, and for whom.
    pub(crate) fn ended(&mut self) -> std::vec::Drain<'_, (Asker, Outcome)> {
        self.ended.drain(..)
    }

    fn step(&mut self, now: Time, input: ClientInput, node: &mut VecDeque<Input>) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let mut out = std::mem::take(&mut self.out);
            self.client.step(now, input, &mut out);
            for output in out.drain(..) {
                self.perform(output, node);
            }
            self.out = out;
        }
    }

    fn perform(&mut self, output: ClientOutput, node: &mut VecDeque<Input>) {
        match output {
            ClientOutput::Connect { endpoint } => {
                self.is_up = endpoint == HERE;
                self.inputs.push_back(match self.is_up {
                    true => ClientInput::Connected { endpoint },
                    false => ClientInput::Disconnected { endpoint },
                });
            }
            ClientOutput::Disconnect { .. } => {
                let connection = ConnectionId(self.connection);
                node.extend(self.is_up.then_some(Input::Gone { connection }));
                self.is_up = false;
                self.connection -= 1;
            }
            ClientOutput::Send { request, .. } => {
                node.push_back(Input::Client { connection: ConnectionId(self.connection), request });
            }
            ClientOutput::Complete { operation, outcome } => {
                let asker = self.askers.remove(&operation).expect("an operation ends once");
                self.ended.push((asker, outcome));
            }
            ClientOutput::Note(note @ (ClientNote::GaveUpSession { .. } | ClientNote::Registered { .. })) => {
                tracing::debug!(?note, "client inside");
            }
            ClientOutput::Note(note) => tracing::trace!(?note, "client inside"),
            ClientOutput::Learned { .. } => unreachable!("it is told of no members"),
            ClientOutput::Closed => unreachable!("it is never closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ios_core::{
        ids::{NodeId, Revision},
        message::ReadMode,
        time::Span,
    };

    /// What it sends now, on which connection.
    fn sent(node: &mut VecDeque<Input>) -> Vec<(ConnectionId, ClientRequest)> {
        let sent = node.drain(..).filter_map(|input| match input {
            Input::Client { connection, request } => Some((connection, request)),
            _ => None,
        });
        sent.collect()
    }

    #[test]
    fn a_read_is_answered_to_whom_it_belongs_and_nothing_on_an_earlier_connection_counts() {
        let (mut inside, mut node) = (Inside::new(1, Time(1)), VecDeque::new());
        let read = Ask::Read(ReadMode::Leader);
        inside.submit(Time(2), Asker::Http(9), read, Bytes::from_static(b"r"), Time::ZERO + Span::secs(5), &mut node);
        let requests = sent(&mut node);
        let first = requests[0].0;
        assert!(Inside::owns(first) && !Inside::owns(ConnectionId(1 << 40)));
        let tag = |requests: &[(ConnectionId, ClientRequest)]| {
            let read = requests.iter().find_map(|(_, request)| match request {
                ClientRequest::Read { tag, .. } => Some(*tag),
                _ => None,
            });
            read.expect("a read is sent")
        };
        let tag = tag(&requests);
        let answer = || ClientResponse::Read { tag, revision: Revision(7), payload: Bytes::new() };

        // The node hangs up; what it says there afterwards is nobody's.
        inside.hang_up(Time(3), first, &mut node);
        inside.reply(Time(4), first, answer(), &mut node);
        assert_eq!(inside.ended().count(), 0);
        inside.wake(Time::ZERO + Span::secs(1), &mut node);
        let second = sent(&mut node)[0].0;
        assert_ne!(second, first);
        let now = Time::ZERO + Span::millis(1001);
        let members = BTreeMap::from([(NodeId(1), "10.0.0.1:1".to_owned())]);
        inside.reply(now, second, ClientResponse::Members { tag, members }, &mut node);
        inside.reply(now, second, answer(), &mut node);
        let ended: Vec<_> = inside.ended().collect();
        assert_eq!(ended, [(Asker::Http(9), Outcome::Done { revision: Revision(7), reply: Bytes::new() })]);
    }
}

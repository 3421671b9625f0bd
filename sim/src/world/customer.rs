//! One client of the simulated cluster: the real client state machine, its connections, and what it is asked to do.

use super::{
    agenda::Handle,
    item::{Item, Life},
};
use crate::{
    history::{
        self,
        store::{decode_reply, encode_request},
    },
    scenario::{Operation, Verb},
};
use bytes::Bytes;
use ios_core::{
    client::{Ask, Client, ClientInput, EndpointId, Outcome},
    ids::{ConnectionId, NodeId, Sequence, SessionId},
    time::Time,
};

/// A client with its machine.
#[derive(Debug)]
pub struct Customer {
    /// Which.
    pub name: u8,
    /// The state machine of its present process.
    pub client: Client,
    /// How many processes it has had.
    pub life: Life,
    /// Whether it takes no input for now.
    pub paused: bool,
    /// What waits for it to go on.
    pub held: Vec<Item>,
    /// Per endpoint, which member is there.
    pub members: Vec<NodeId>,
    /// Per endpoint, how far a connection to it is.
    pub calls: Vec<Call>,
    /// Its deadline on the agenda, never later than the client's own.
    pub timer: Option<(Handle, Time)>,
    /// Operations begun, over all lives.
    pub begun: u32,
    /// Generated operations begun.
    pub generated: u32,
    /// Places in the history of operations that have not ended.
    pub pending: Vec<usize>,
    /// Operations of the liveness phase still to be answered.
    pub fresh: u8,
}

/// A connection of a client, made or in the making.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Call {
    /// Counts the attempts, so that the answer to an earlier one is not taken for the present one's.
    pub attempt: u32,
    /// The connection, if it is up.
    pub connection: Option<ConnectionId>,
    /// Whether an attempt is under way.
    pub calling: bool,
}

impl Call {
    /// An attempt at `endpoint` ended with a connection or without: what the client is told of it, or nothing if it
    /// waits for that attempt no longer.
    pub fn answered(&mut self, endpoint: usize, attempt: u32, connection: Option<ConnectionId>) -> Option<ClientInput> {
        if !self.calling || self.attempt != attempt {
            return None;
        }
        (self.calling, self.connection) = (false, connection);
        let endpoint = EndpointId(endpoint);
        Some(match connection {
            Some(_) => ClientInput::Connected { endpoint },
            None => ClientInput::Disconnected { endpoint },
        })
    }
}

/// A connection between a client and a life of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// The client, in which life.
    pub client: (u8, Life),
    /// Which of its endpoints.
    pub endpoint: usize,
    /// The member, in which life.
    pub node: (NodeId, Life),
    /// Whether the member's end is known to be dead, so that the client has been or will be told.
    pub broken: bool,
    /// Whether the member has closed it: nothing more is heard on it.
    pub closed: bool,
}

/// What the world knows about an operation besides its place in the history, which has the same number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Whose.
    pub client: u8,
    /// Which of the client's, from 1.
    pub number: u32,
    /// How it was asked.
    pub ask: Ask,
    /// The request's bytes.
    pub request: Bytes,
    /// What it was sent under; the last, if it went on in another session.
    pub key: Option<(SessionId, Sequence)>,
    /// Who asked for it.
    pub origin: Origin,
}

/// Who asked for an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A line of the plan.
    Plan,
    /// The generated workload.
    Workload,
    /// The liveness phase.
    Fresh,
}

/// An operation in the store's own encoding.
pub fn encode(operation: &Operation) -> Bytes {
    encode_request(&asked(operation)).expect("a scenario's operations are within the store's limits")
}

/// An operation as the history has it.
pub fn asked(operation: &Operation) -> Vec<history::Verb> {
    let data = |bytes: &Vec<u8>| history::Data::from(bytes.as_slice());
    let verbs = operation.verbs.iter().map(|verb| match verb {
        Verb::Get(key) => history::Verb::Get { key: data(key) },
        Verb::Put(key, value) => history::Verb::Put { key: data(key), value: data(value) },
        Verb::Delete(key) => history::Verb::Delete { key: data(key) },
        Verb::Exists(key) => history::Verb::Exists { key: data(key) },
        Verb::Count => history::Verb::Count,
        Verb::Cas(key, expected, value) => {
            history::Verb::Cas { key: data(key), expected: Some(data(expected)), value: data(value) }
        }
    });
    verbs.collect()
}

/// An outcome as the history has it; `None` if the reply is none of the store's.
pub fn past(outcome: &Outcome) -> Option<history::Outcome> {
    match outcome {
        Outcome::Done { revision, reply } => {
            let answers = decode_reply(reply).ok()?;
            Some(history::Outcome::Done { revision: Some(revision.0), answers })
        }
        Outcome::NotDone { .. } => Some(history::Outcome::NotDone),
        Outcome::Unknown { .. } => Some(history::Outcome::Unknown),
    }
}

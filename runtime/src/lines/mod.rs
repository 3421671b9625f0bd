//! The Go client's language on the client port: one JSON object a line, each way.
//!
//! ```text
//! -> {"ClientID":1,"RequestID":7,"ForceViewChange":false,"ReadOnly":false,"Request":"update A 1"}
//! <- {"ClientID":1,"RequestID":7,"Success":true,"Response":"OK"}
//! ```
//! Requests of one connection are under way side by side, and each is answered as soon as it can be: answers are told
//! apart by their ids, not by their order. The commands go through the client inside, in its session, so each of them
//! is executed once however often it has to be sent. What is a read is told from the text; the word `ReadOnly` is never
//! believed.
//!
//! # What an answer says
//! A Go client takes `Success: true` for the end of the matter, and repeats the request, here or elsewhere, until it
//! gets that. So:
//!
//! | outcome | what is said |
//! | --- | --- |
//! | done | `Success: true`, and what the service says |
//! | not done, and never can be: no command, too large | `Success: true` and `Invalid command`, as ever, or `error: ...`: to repeat it is useless |
//! | not done, and may go better elsewhere or later | `Success: false` and why |
//! | unknown | nothing: the connection is closed |
//! | no request at all | `Success: false` and what a request is; then the connection is closed |
//!
//! *Unknown* has no words in this language. `Success: false` would be believed by someone who then does it again, and
//! `Success: true` by someone who relies on it. A connection that breaks says what is so, and clients know what to do.
//! A line that is no request leaves unknown what the other end speaks and where its next request begins; whatever comes
//! after it is not looked at.
//!
//! # How often a write is executed
//! Once for each time that this member begins it. A client repeats a write when it has waited for too long or its
//! connection broke, so for a minute the member remembers those it was asked for ([`memory`]): one that is under way is
//! waited for, one that was done gets the same answer again, and one of which nobody knows is neither done again nor
//! answered. `Success: false` speaks of this try at this member, which is settled: the node never queued it.
//!
//! The memory is this member's own. A write that is repeated *elsewhere*, or after this member was started again, or
//! later than a minute, may be executed a second time. Only a session that is replicated can do better, with numbers
//! that the client itself keeps; the ids of this language cannot stand in for one, since nobody says which of them have
//! been answered or will never come again. Clients that need more speak frames.
//!
//! # Bounds
//! The length of a line by [`LINE_MAX`]; requests under way by [`conversation::PIPELINE_MAX`] for a connection, beyond
//! which no more is read, and by [`UNDER_WAY_MAX`] and [`BYTES_MAX`] for all, beyond which they are refused; answers
//! that are not read by what holds for all clients.

mod conversation;
mod memory;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use conversation::Conversation;

use crate::{
    inside::{Asker, Inside},
    manners::{Manners, OUTCOME_WITHIN},
};
use bytes::Bytes;
use conversation::{LINE_MAX, TooLong};
use ios_core::{
    client::{Outcome, WhyNotDone},
    ids::NodeId,
    interface::Input,
    message::Refusal,
    service::Access,
    time::Time,
};
use memory::{Memory, State};
use request::{Ids, Objection, Request};
use std::collections::{BTreeMap, VecDeque};

/// Requests of all connections that may be under way.
const UNDER_WAY_MAX: usize = 2048;
/// Bytes of what they ask.
const BYTES_MAX: usize = 64 << 20;

/// A line that a connection has said, or why it is none.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) connection: u64,
    pub(crate) line: Result<Bytes, TooLong>,
}

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Saying {
    /// This line answers one.
    Answer(Bytes),
    /// This line does, and it was the last.
    Last(Bytes),
    /// There is no answer, and nothing more is said.
    HangUp,
}

/// All requests in this language.
pub(crate) struct Lines {
    manners: Manners,
    memory: Memory,
    /// By ticket.
    under_way: BTreeMap<u64, UnderWay>,
    next: u64,
    /// Bytes of what is asked by those under way.
    bytes: usize,
    /// For each connection, in order.
    said: Vec<(u64, Saying)>,
}

/// A request that the node was asked, and the connections that wait for what becomes of it.
#[derive(Debug)]
struct UnderWay {
    ids: Ids,
    bytes: usize,
    waiting: Vec<u64>,
}

impl Lines {
    /// Nothing was asked yet.
    pub(crate) fn new(manners: Manners) -> Self {
        let (memory, under_way) = (Memory::default(), BTreeMap::new());
        Self { manners, memory, under_way, next: 0, bytes: 0, said: Vec::new() }
    }

    /// Answers a line, or asks `inside`, and so the node, while `other` member leads if one does.
    pub(crate) fn hear(
        &mut self,
        now: Time,
        heard: Heard,
        other: Option<NodeId>,
        inside: &mut Inside,
        node: &mut VecDeque<Input>,
    ) {
        let connection = heard.connection;
        let request = match heard.line {
            Ok(line) => request::parse(&line),
            Err(TooLong) => Err(request::too_long(LINE_MAX)),
        };
        let saying = match request {
            Ok(request) => {
                if request.force {
                    inside.suggest(node);
                }
                self.begin(now, connection, &request, other, inside, node)
            }
            Err(Objection { ids, why }) => Some(Saying::Last(request::answer(ids, false, &why))),
        };
        self.said.extend(saying.map(|saying| (connection, saying)));
    }

    /// A request has ended.
    pub(crate) fn complete(&mut self, now: Time, ticket: u64, outcome: &Outcome) {
        let UnderWay { ids, bytes, waiting } = self.under_way.remove(&ticket).expect("a ticket ends once");
        self.bytes -= bytes;
        let answer = |success, text: &str| Saying::Answer(request::answer(ids, success, text));
        let saying = match outcome {
            Outcome::Done { reply, .. } => answer(true, &self.manners.language.format_reply(reply)),
            Outcome::NotDone { why: WhyNotDone::Refused(why @ (Refusal::Invalid(_) | Refusal::TooLarge { .. })) } => {
                answer(true, &format!("error: {why}"))
            }
            Outcome::NotDone { why } => answer(false, &format!("not done: {why}")),
            Outcome::Unknown { why } => {
                tracing::info!(client = ids.client, request = ids.request, %why, "outcome unknown; not answered");
                Saying::HangUp
            }
        };
        match (outcome, &saying) {
            (Outcome::Done { .. }, Saying::Answer(line)) => {
                self.memory.end(now, ids, ticket, State::Done(line.clone()));
            }
            (Outcome::Unknown { .. }, _) => self.memory.end(now, ids, ticket, State::Unknown),
            _ => self.memory.forget(ids, ticket),
        }
        self.said.extend(waiting.into_iter().map(|connection| (connection, saying.clone())));
    }

    /// What is to be said, and to which connection.
    pub(crate) fn said(&mut self) -> std::vec::Drain<'_, (u64, Saying)> {
        self.said.drain(..)
    }

    /// Asks the node, unless the answer is known.
    fn begin(
        &mut self,
        now: Time,
        connection: u64,
        request: &Request,
        other: Option<NodeId>,
        inside: &mut Inside,
        node: &mut VecDeque<Input>,
    ) -> Option<Saying> {
        let Request { ids, text, .. } = request;
        let answer = |success, text: &str| Some(Saying::Answer(request::answer(*ids, success, text)));
        let (access, payload) = match self.manners.language.parse_line(text) {
            Ok(command) => command,
            Err(invalid) => return answer(true, &invalid.to_string()),
        };
        // Before anything is refused: of a write that was begun it must not be said that it is not done.
        if access == Access::Write
            && let Some((ticket, state)) = self.memory.recall(now, *ids, text)
        {
            match state {
                State::Done(line) => return Some(Saying::Answer(line.clone())),
                State::Unknown => return Some(Saying::HangUp),
                State::UnderWay => {
                    let known = self.under_way.get_mut(&ticket).expect("it is remembered as being under way");
                    known.waiting.push(connection);
                    return None;
                }
            }
        }
        let ask = match self.manners.ask(access, other) {
            Ok(ask) => ask,
            Err(leader) => return answer(false, &self.elsewhere(leader)),
        };
        if self.under_way.len() >= UNDER_WAY_MAX || self.bytes + payload.len() > BYTES_MAX {
            return answer(false, "not done: overloaded: too many requests are under way");
        }
        let ticket = self.next;
        self.next += 1;
        if access == Access::Write {
            self.memory.begin(*ids, text, ticket);
        }
        self.bytes += payload.len();
        let waiting = vec![connection];
        self.under_way.insert(ticket, UnderWay { ids: *ids, bytes: payload.len(), waiting });
        inside.submit(now, Asker::Lines(ticket), ask, payload, now + OUTCOME_WITHIN, node);
        None
    }

    fn elsewhere(&self, leader: NodeId) -> String {
        match self.manners.clients.get(&leader) {
            Some(address) => format!("not done: {leader} leads, which serves clients at {address}, not this member"),
            None => format!("not done: {leader} leads, not this member"),
        }
    }
}

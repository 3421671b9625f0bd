//! What crosses the boundary between a client and its driver, and what a client may be told to do differently.

use crate::{
    ids::{NodeId, Revision, SessionId},
    message::{ClientRequest, ClientResponse, ReadMode, Refusal},
    options::BadOption,
    service::Access,
    time::{Span, Time},
};
use alloc::string::String;
use bytes::Bytes;
use core::fmt;

/// One of the addresses a client was given, by its place in the list, or one it has learned: those follow. Which member
/// answers there it finds out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EndpointId(pub usize);

/// Names an operation to the driver, which draws it. Never leaves the client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OperationId(pub u64);

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{}", self.0)
    }
}

/// How something is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Through the log.
    Write,
    /// Evaluated on the state that this mode allows for.
    Read(ReadMode),
}

impl From<Access> for Ask {
    /// Reads are the leader's unless something else is said.
    fn from(access: Access) -> Ask {
        match access {
            Access::Write => Ask::Write,
            Access::Read => Ask::Read(ReadMode::Leader),
        }
    }
}

/// What a driver tells a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientInput {
    /// Do this. Answered by exactly one [`ClientOutput::Complete`], by `deadline` at the latest.
    Submit {
        /// Names it in the answer.
        operation: OperationId,
        /// Through the log, or evaluated on a state.
        ask: Ask,
        /// What the service is asked.
        payload: Bytes,
        /// When the caller stops waiting.
        deadline: Time,
    },
    /// A connection that was asked for is up.
    Connected {
        /// To where.
        endpoint: EndpointId,
    },
    /// A connection broke or could not be made. Not said of those the client itself closed.
    Disconnected {
        /// To where.
        endpoint: EndpointId,
    },
    /// An answer arrived on the connection that is up now; what an earlier one still held is thrown away with it.
    Received {
        /// From where.
        endpoint: EndpointId,
        /// What.
        response: ClientResponse,
    },
    /// The moment that [`super::Client::deadline`] named has come.
    Wake,
    /// Take nothing new, finish what is outstanding, end the session, hang up. Ends with [`ClientOutput::Closed`].
    Close {
        /// When to stop trying.
        deadline: Time,
    },
}

/// What a client asks of its driver, to be done in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientOutput {
    /// Make a connection; [`ClientInput::Connected`] or [`ClientInput::Disconnected`] says how it went.
    Connect {
        /// To where.
        endpoint: EndpointId,
    },
    /// Give up a connection, made or in the making. Nothing that it still holds counts any more.
    Disconnect {
        /// To where.
        endpoint: EndpointId,
    },
    /// Send on the connection that is up. Each at most once: a connection is a stream.
    Send {
        /// To where.
        endpoint: EndpointId,
        /// What.
        request: ClientRequest,
    },
    /// From now on connections to this endpoint go to this address. The first time that an endpoint is named it is the
    /// next after those known so far; later a member may have moved. The address comes from a node: it is printable
    /// and short ([`crate::message::is_address`]), and may still lead anywhere or nowhere.
    Learned {
        /// Which.
        endpoint: EndpointId,
        /// Where it is reached.
        address: String,
    },
    /// An operation has ended.
    Complete {
        /// Which.
        operation: OperationId,
        /// How.
        outcome: Outcome,
    },
    /// Something happened that is worth counting or tracing. Nothing depends on it.
    Note(ClientNote),
    /// The client is closed. Nothing follows but refusals to take more.
    Closed,
}

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It took effect exactly once, or, for a read, saw one state of the time between submission and answer.
    Done {
        /// The revision at which it took effect, or that it saw.
        revision: Revision,
        /// What the service said.
        reply: Bytes,
    },
    /// It has not taken effect and never will.
    NotDone {
        /// Why.
        why: WhyNotDone,
    },
    /// It may have taken effect, may do so later, or never; once at most.
    Unknown {
        /// Why nothing better can be said.
        why: WhyUnknown,
    },
}

/// Why an operation was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhyNotDone {
    /// Too many operations are outstanding in this client.
    QueueFull {
        /// The bound.
        limit: usize,
    },
    /// Refused for what it is.
    Refused(Refusal),
    /// Nobody took it in time.
    Deadline {
        /// The last refusal, if anybody answered.
        last: Option<Refusal>,
    },
    /// The client was closing.
    Closed,
}

impl fmt::Display for WhyNotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyNotDone::QueueFull { limit } => write!(f, "{limit} operations are outstanding; wait for some of them"),
            WhyNotDone::Refused(refusal) => refusal.fmt(f),
            WhyNotDone::Deadline { last: None } => f.write_str("no node answered in time"),
            WhyNotDone::Deadline { last: Some(refusal) } => write!(f, "no node took it in time; last heard: {refusal}"),
            WhyNotDone::Closed => f.write_str("the client is closing"),
        }
    }
}

/// Why an outcome is unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WhyUnknown {
    /// It was sent, and no answer came in time.
    Deadline,
    /// Its session expired before an answer came.
    Expired,
    /// It was refused, but an earlier try of it may have been taken.
    Refused(Refusal),
}

impl fmt::Display for WhyUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyUnknown::Deadline => f.write_str("it was sent, but no answer came in time"),
            WhyUnknown::Expired => f.write_str("it was sent, but the session expired before an answer came"),
            WhyUnknown::Refused(refusal) => {
                write!(f, "an earlier try of it may have been taken; the last was not: {refusal}")
            }
        }
    }
}

/// What happened inside a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientNote {
    /// An endpoint said which member it is.
    Identified {
        /// Which endpoint.
        endpoint: EndpointId,
        /// Who answers there.
        node: NodeId,
    },
    /// Tries go to another endpoint from now on.
    Moved {
        /// Which.
        to: EndpointId,
        /// Whether a node named it as the leader's.
        redirected: bool,
    },
    /// A try was given up as lost: no answer in time.
    TimedOut {
        /// Where it was sent.
        endpoint: EndpointId,
    },
    /// An operation was sent again.
    Retried {
        /// Which.
        operation: OperationId,
        /// How many tries there are now.
        attempt: u32,
    },
    /// A node was told that it might look for another leader.
    Suggested {
        /// At which endpoint.
        endpoint: EndpointId,
    },
    /// A session is open.
    Registered {
        /// Which.
        session: SessionId,
    },
    /// A session is used no more: it expired, or was silent for too long to be trusted with a write.
    GaveUpSession {
        /// Which.
        session: SessionId,
        /// Whether a node said that it expired.
        expired: bool,
    },
    /// Input that nothing waits for.
    Ignored(IgnoredAnswer),
}

/// Input without use, by the rule that says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum IgnoredAnswer {
    /// From or about a connection that is not up, or is up already.
    NotConnected,
    /// It answers nothing that is asked: late, repeated, or never asked at all.
    Unasked,
    /// The refusal of a try that was given up before, so it settles nothing.
    EarlierTry,
    /// An address of a member that cannot be one, or is one too many.
    BadAddress,
}

/// How a client behaves. [`ClientOptions::check`] says whether the values make sense together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientOptions {
    /// How long a try, or the making of a connection, may take before it is given up for another. At an endpoint that
    /// does not answer in time it grows to eight times as much.
    pub try_timeout: Span,
    /// The wait before the second try; it doubles with every further one.
    pub backoff_min: Span,
    /// The longest wait between two tries.
    pub backoff_max: Span,
    /// Most writes in flight; the session table of a cluster keeps that many replies.
    pub in_flight_max: usize,
    /// Most operations outstanding, those waiting for their turn included; more are refused.
    pub operations_max: usize,
    /// Most bytes of one request; larger ones are refused here, before anything is sent.
    pub payload_max: usize,
    /// An idle session is kept alive when this many percent of its lifetime have passed in silence.
    pub keep_alive_percent: u8,
    /// After so many failed tries of one operation, and again after as many more, the node that is asked next is told
    /// that it might look for another leader; 0 leaves that to the nodes.
    pub before_force: u32,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            try_timeout: Span::secs(1),
            backoff_min: Span::millis(10),
            backoff_max: Span::millis(500),
            in_flight_max: 64,
            operations_max: 4096,
            payload_max: 3 << 19,
            keep_alive_percent: 33,
            before_force: 4,
        }
    }
}

/// The session table keeps a bit for each sequence above the mark, and so does the client.
pub(super) const IN_FLIGHT_LIMIT: usize = 64;

impl ClientOptions {
    /// Whether every value is within its bounds.
    pub fn check(&self) -> Result<(), BadOption> {
        let rules = [
            ("try_timeout", self.try_timeout > Span::ZERO, "must be longer than nothing"),
            ("backoff_min", self.backoff_min > Span::ZERO, "must be longer than nothing"),
            ("backoff_max", self.backoff_max >= self.backoff_min, "must be at least backoff_min"),
            ("in_flight_max", (1..=IN_FLIGHT_LIMIT).contains(&self.in_flight_max), "must be from 1 to 64"),
            ("operations_max", self.operations_max >= 1, "must be at least 1"),
            ("payload_max", self.payload_max >= 1, "must be at least 1"),
            (
                "keep_alive_percent",
                (1..=50).contains(&self.keep_alive_percent),
                "must be from 1 to 50, or an idle session is given up before it is kept alive",
            ),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((name, _, why)) => Err(BadOption { name, why }),
            None => Ok(()),
        }
    }
}

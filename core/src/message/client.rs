//! Between clients and members.

use crate::{
    ids::{ClusterId, Incarnation, Index, NodeId, Revision, Sequence, SessionId, View},
    time::{Span, Time},
};
use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Who may answer a read, and how new what it sees is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum ReadMode {
    /// The leader alone. Linearizable.
    #[default]
    Leader,
    /// Any member that serves such reads, once a recovery quorum has told how far its logs go. Linearizable.
    Participant,
    /// Any member, at once, from a state that was true at the revision it names and may be old.
    Stale,
}

impl fmt::Display for ReadMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadMode::Leader => "leader",
            ReadMode::Participant => "participant",
            ReadMode::Stale => "stale",
        })
    }
}

/// From a client to a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ClientRequest<P = Bytes> {
    /// Who are you, and who leads?
    Hello {
        /// Echoed in the answer.
        tag: u64,
    },
    /// Open a session.
    Register {
        /// Echoed in the answer.
        tag: u64,
    },
    /// Execute once.
    Write {
        /// The client's session.
        session: SessionId,
        /// Which of its requests.
        sequence: Sequence,
        /// Every request up to here has been answered.
        acked: Sequence,
        /// The service's request.
        payload: P,
    },
    /// Keep a session alive.
    KeepAlive {
        /// Echoed in the answer.
        tag: u64,
        /// Which.
        session: SessionId,
    },
    /// End a session.
    Close {
        /// Echoed in the answer.
        tag: u64,
        /// Which.
        session: SessionId,
    },
    /// A linearizable read, confirmed by the leader.
    Read {
        /// Echoed in the answer.
        tag: u64,
        /// The service's query.
        payload: P,
    },
    /// How are you?
    Status {
        /// Echoed in the answer.
        tag: u64,
    },
    /// Where do clients reach the members?
    Members {
        /// Echoed in the answer.
        tag: u64,
    },
    /// A linearizable read, confirmed by a recovery quorum: [`ReadMode::Participant`].
    ParticipantRead {
        /// Echoed in the answer.
        tag: u64,
        /// The service's query.
        payload: P,
    },
    /// What is the state here, however old it is? [`ReadMode::Stale`].
    StaleRead {
        /// Echoed in the answer.
        tag: u64,
        /// The service's query.
        payload: P,
    },
    /// I get nothing done: if you miss your leader too, look for another now. Answered [`ClientResponse::Done`]
    /// whatever comes of it.
    Suggest {
        /// Echoed in the answer.
        tag: u64,
    },
    /// Hand your place to another member, and go on as a follower. Answered [`ClientResponse::Done`] once another one
    /// is heard to lead.
    Transfer {
        /// Echoed in the answer.
        tag: u64,
        /// To whom; to the one that answers soonest if nobody is named.
        to: Option<NodeId>,
    },
}

/// From a node to a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ClientResponse<P = Bytes> {
    /// Answer to `Hello`.
    Welcome {
        /// The request's.
        tag: u64,
        /// Who answers.
        node: NodeId,
        /// Whom it follows.
        leader: Option<NodeId>,
    },
    /// A session is open.
    Registered {
        /// The request's.
        tag: u64,
        /// Its id.
        session: SessionId,
        /// After this much silence it expires.
        ttl: Span,
    },
    /// A write took effect, now or at its first try.
    Written {
        /// The request's session.
        session: SessionId,
        /// The request's number.
        sequence: Sequence,
        /// The revision at which it took effect, or the current one if it changed nothing.
        revision: Revision,
        /// The service's reply.
        payload: P,
    },
    /// A session was kept alive or closed, a suggestion was heard, or a leader has handed its place over.
    Done {
        /// The request's.
        tag: u64,
    },
    /// The result of a read.
    Read {
        /// The request's.
        tag: u64,
        /// The revision it saw.
        revision: Revision,
        /// The service's reply.
        payload: P,
    },
    /// Not done, or not by this try.
    Refused {
        /// What was refused.
        request: RequestKey,
        /// Why.
        refusal: Refusal,
    },
    /// Answer to `Status`.
    Status {
        /// The request's.
        tag: u64,
        /// How the node is.
        status: Box<Status>,
    },
    /// Answer to `Members`, given to nobody who did not ask.
    Members {
        /// The request's.
        tag: u64,
        /// What the node was told about where clients reach each member; text that only drivers understand. See
        /// [`is_address`].
        members: BTreeMap<NodeId, String>,
    },
}

/// The longest address of a member: a domain name of the longest kind, a colon and a port.
pub const ADDRESS_MAX: usize = 255 + 6;

/// Whether this may be the address of a member: short, and no more than printable ASCII, for it is shown to people and
/// comes from whoever answers at an endpoint.
pub fn is_address(text: &str) -> bool {
    (1..=ADDRESS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What an answer answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum RequestKey {
    /// A request that carries a tag of the client's choice.
    Tag(u64),
    /// A write.
    Write(SessionId, Sequence),
}

/// Why a request was refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// Not queued: another node leads, or none does.
    NotLeader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// Not queued: the node has not finished opening.
    NotReady,
    /// Not queued: too much is waiting.
    Overloaded,
    /// Not queued: the service will not have it.
    Invalid(String),
    /// Not queued: larger than a limit.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The request's size in bytes.
        actual: u64,
    },
    /// It was given a place in the log by a leader that no longer leads; it may still take effect.
    Deposed {
        /// Who leads now, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// The session has expired or never was; earlier tries may have taken effect.
    Expired,
    /// Answered before, and the client said that it had the answer.
    Stale,
    /// Not queued: this node serves no reads of this mode.
    NotServed {
        /// Which.
        mode: ReadMode,
    },
    /// The leader keeps its place, for this reason.
    NoTransfer(String),
}

impl Refusal {
    /// Whether the try that met this refusal can never take effect: it was never given a place in the log.
    pub fn never_queued(&self) -> bool {
        !matches!(self, Refusal::Deposed { .. } | Refusal::Expired | Refusal::Stale)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotLeader { leader: Some(leader) } => write!(f, "not the leader; {leader} leads"),
            Refusal::NotLeader { leader: None } => f.write_str("no leader is known"),
            Refusal::NotReady => f.write_str("the node is still opening"),
            Refusal::Overloaded => f.write_str("overloaded: too many requests are waiting"),
            Refusal::Invalid(why) => write!(f, "invalid request: {why}"),
            Refusal::TooLarge { limit, actual } => write!(f, "{actual} bytes are over the limit of {limit}"),
            Refusal::Deposed { .. } => f.write_str("the leader lost its place; the outcome is open"),
            Refusal::Expired => f.write_str("the session has expired"),
            Refusal::Stale => f.write_str("answered before"),
            Refusal::NoTransfer(why) => write!(f, "the leader keeps its place: {why}"),
            Refusal::NotServed { mode } => write!(f, "this member serves no {mode} reads (option {mode}_read)"),
        }
    }
}

/// How a node is, for operators.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Who answers.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// The cluster, once founded.
    pub cluster: Option<ClusterId>,
    /// What it is doing: opening, founding, follower, canvassing, candidate, leader.
    pub role: String,
    /// The view it is in.
    pub view: View,
    /// Whom it follows.
    pub leader: Option<NodeId>,
    /// All members.
    pub members: Vec<NodeId>,
    /// Those it has a verified link to, itself included.
    pub reachable: Vec<NodeId>,
    /// Everything up to here is known committed.
    pub floor: Index,
    /// Everything up to here is executed.
    pub applied: Index,
    /// The last index of which anything is held.
    pub last: Index,
    /// The service's revision.
    pub revision: Revision,
    /// Hash of the applied state.
    pub state_hash: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Log time.
    pub log_time: Time,
    /// Entries known by name only, awaiting repair.
    pub unknown: u64,
    /// Whether records were lost that cannot be named, and not yet repaired.
    pub hollow: bool,
}

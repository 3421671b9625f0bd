//! What is replicated. The log decides an order; a [`Service`] executes it, the same on every replica.
//!
//! A service knows nothing of clients, retries or time: [`session::Machine`] wraps it, executes each request of a
//! session once, remembers its reply, and keeps log time. The machine is what a replica applies committed batches to.
//!
//! - [`session`]: sessions + service + log time as one deterministic state.
//! - [`kv`]: the key-value store with revisions.
//! - [`dummy`]: answers `ping`, to measure everything but a service.
//! - [`application`]: one of these, chosen at run time.
//!
//! Absent on purpose: leases, locks, watches and snapshots, which come later, and any way for a service to fail. What
//! it cannot do it says in its reply, since a replica has nobody else to complain to.

pub mod session;
pub mod kv;
pub mod dummy;
pub mod application;

pub use application::Application;
pub use session::{Answer, Machine};

use crate::{
    ids::{Index, Revision},
    message::Refusal,
    time::Time,
};
use alloc::{string::String, vec::Vec};

/// Where and when a request is executed. The same on every replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The log index of its batch.
    pub index: Index,
    /// Its place in the batch.
    pub position: u32,
    /// The revision it gets if it changes something.
    pub revision: Revision,
    /// Log time, which never goes back and never outruns real time beyond the clocks' rate error.
    pub log_time: Time,
}

/// How a request is about to be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Through the log.
    Write,
    /// Evaluated on the current state, so it must not be able to change it.
    Read,
}

/// Why a service will not have a request queued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Objection {
    /// It is malformed, or writes where only reading is allowed.
    Invalid(String),
    /// It, or a part of it, is larger than a limit.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// What it measures.
        actual: u64,
    },
}

impl From<Objection> for Refusal {
    fn from(objection: Objection) -> Refusal {
        match objection {
            Objection::Invalid(why) => Refusal::Invalid(why),
            Objection::TooLarge { limit, actual } => Refusal::TooLarge { limit, actual },
        }
    }
}

/// What is replicated. Deterministic; never panics on bytes; errors are replies.
///
/// [`Service::apply`] must depend on nothing but the state, `at` and the request: in particular on no limit that one
/// node may set otherwise than another. Such limits belong in [`Service::check`], which only the proposing node asks.
pub trait Service {
    /// Executes a request and appends the reply, touching nothing that `reply` held before. Returns whether anything
    /// changed: then, and only then, the global revision moves to `at.revision`.
    fn apply(&mut self, at: &Applied, request: &[u8], reply: &mut Vec<u8>) -> bool;

    /// Evaluates a request that changes nothing. Called only with what [`Service::check`] passed for [`Access::Read`].
    fn query(&self, request: &[u8], reply: &mut Vec<u8>);

    /// Whether a request may be queued at all, judged before it is proposed: well formed, within the limits, and for
    /// [`Access::Read`] free of writes. The client's word for any of this is not taken.
    fn check(&self, access: Access, request: &[u8]) -> Result<(), Objection>;

    /// A hash of the whole state, kept incrementally: equal states have equal fingerprints.
    fn fingerprint(&self) -> u64;
}

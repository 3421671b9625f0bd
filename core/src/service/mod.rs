//! What is replicated. The log decides an order; a [`Service`] executes it, the same on every replica.
//!
//! A service knows nothing of clients, retries or time: [`session::Machine`] wraps it, executes each request of a
//! session once, remembers its reply, and keeps log time. The machine is what a replica applies committed batches to.
//!
//! - [`session`]: sessions + service + log time as one deterministic state.
//! - [`kv`]: the key-value store with revisions.
//! - [`dummy`]: answers `ping`, to measure everything but a service.
//! - [`application`]: one of these, chosen at run time.
//! - [`snapshot`]: the whole state as a stream of bytes, taken in small steps while it goes on changing, and back;
//!   [`capture`] does that for one ordered map.
//!
//! Absent on purpose: leases, locks and watches, which come later, and any way for a service to fail. What it cannot do
//! it says in its reply, since a replica has nobody else to complain to.

pub mod capture;
pub mod session;
pub mod snapshot;
pub mod kv;
pub mod dummy;
pub mod application;

pub use application::Application;
pub use capture::Captured;
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

    /// Begins a snapshot: from now on [`Service::snapshot_next`] hands out the state as it is at this moment, whatever
    /// is applied in the meantime. Takes constant time, however large the state is. At most one snapshot is under way;
    /// beginning another gives the first one up.
    fn snapshot_begin(&mut self);

    /// Appends the next part of the snapshot to `part`: a unit that [`Service::restore`] takes at once, such as one key
    /// with its value. Parts depend on nothing but the state when the snapshot began, and take time in proportion to
    /// their length. [`Captured::Passed`] appends nothing and says that there may be more; after [`Captured::End`],
    /// which appends nothing either, the snapshot is over.
    fn snapshot_next(&mut self, part: &mut Vec<u8>) -> Captured;

    /// Gives up the snapshot that is under way, if one is.
    fn snapshot_end(&mut self);

    /// A service with the same settings and nothing in it yet.
    fn blank(&self) -> Self
    where
        Self: Sized;

    /// Takes one part of a snapshot into a service that began blank; parts come in the order they were made. False if
    /// no service of this kind can have made it: it comes from a disk or a peer, so nothing may be taken for granted.
    fn restore(&mut self, part: &[u8]) -> bool;
}

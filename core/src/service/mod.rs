//! What is replicated. The log decides an order; a [`Service`] executes it, the same on every replica.

use crate::{
    ids::{Index, Revision},
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

/// What is replicated. Deterministic; never panics on bytes; errors are replies.
pub trait Service {
    /// Executes a request, writing the reply. Returns whether anything changed: then, and only then, the global revision
    /// moves to `at.revision`.
    fn apply(&mut self, at: &Applied, request: &[u8], reply: &mut Vec<u8>) -> bool;

    /// Evaluates a request that changes nothing. Called only with what [`Service::check`] passed for [`Access::Read`].
    fn query(&self, request: &[u8], reply: &mut Vec<u8>);

    /// Whether a request may be queued at all, judged before it is proposed: well formed, within the limits, and for
    /// [`Access::Read`] free of writes. The client's word for any of this is not taken.
    fn check(&self, access: Access, request: &[u8]) -> Result<(), String>;

    /// A hash of the whole state, kept incrementally: equal states have equal fingerprints.
    fn fingerprint(&self) -> u64;
}

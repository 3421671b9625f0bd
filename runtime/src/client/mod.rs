//! Clients: the core's client state machine over real connections.
//!
//! | for | use |
//! | --- | --- |
//! | one thing at a time, nothing in the way | [`BlockingClient`]: the caller waits and runs the loop |
//! | many at once, from one thread | [`Pipeline`]: the caller runs the loop and takes outcomes in batches |
//! | many at once, from any thread | [`PipelinedClient`]: a thread of its own runs the loop |
//!
//! The first two have no thread, so an answer costs no hand-over. While nobody runs their loop nothing is sent either:
//! a session that was left alone for too long is given up by the state machine and a fresh one opened with the next
//! write.

mod handle;
mod pipeline;
mod routes;
mod alarm;
mod ask;

pub use ask::{AskError, ask, ask_status};
pub use handle::{Pending, PipelinedClient};
pub use pipeline::{Completion, Pipeline, PipelineOptions};

use bytes::Bytes;
use ios_core::{
    client::{Ask, ClientOptions, OperationId, Outcome},
    time::Span,
};
use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, ToSocketAddrs},
};

/// A client that blocks its caller: a pipeline of one session, its loop run by whoever waits. A program with several
/// threads gives each its own, or uses a [`PipelinedClient`].
#[derive(Debug)]
pub struct BlockingClient {
    pipeline: Pipeline,
    completed: BTreeMap<OperationId, Outcome>,
}

impl BlockingClient {
    /// A client of the cluster some of whose members listen for clients at `addresses`: see [`Pipeline::new`].
    pub fn new(addresses: &[String], options: ClientOptions) -> io::Result<Self> {
        let options = PipelineOptions { client: options, ..PipelineOptions::default() };
        Ok(Self { pipeline: Pipeline::new(addresses, options)?, completed: BTreeMap::new() })
    }

    /// Does one thing and waits for its outcome, `timeout` at the longest.
    pub fn submit(&mut self, ask: impl Into<Ask>, payload: Bytes, timeout: Span) -> io::Result<Outcome> {
        let operation = self.start(ask, payload, timeout);
        loop {
            if let Some(outcome) = self.take(operation) {
                return Ok(outcome);
            }
            self.turn(None)?;
        }
    }

    /// Begins one thing. [`BlockingClient::turn`] moves it on, [`BlockingClient::take`] tells the outcome.
    pub fn start(&mut self, ask: impl Into<Ask>, payload: Bytes, timeout: Span) -> OperationId {
        let deadline = self.pipeline.now() + timeout;
        let operation = self.pipeline.submit(ask, payload, deadline);
        self.gather();
        operation
    }

    /// The outcome of something begun, once it is there.
    pub fn take(&mut self, operation: OperationId) -> Option<Outcome> {
        self.completed.remove(&operation)
    }

    /// Any outcome that is there.
    pub fn take_any(&mut self) -> Option<(OperationId, Outcome)> {
        self.completed.pop_first()
    }

    /// Waits until something happens, `timeout` at the longest, and deals with it.
    pub fn turn(&mut self, timeout: Option<Span>) -> io::Result<()> {
        let now = self.pipeline.now();
        // Whoever has outcomes to take does not want to wait.
        let limit = if self.completed.is_empty() { timeout.map(|timeout| now + timeout) } else { Some(now) };
        self.pipeline.turn(limit)?;
        self.gather();
        Ok(())
    }

    /// Finishes what is outstanding, ends the session and hangs up, within `timeout`.
    pub fn close(&mut self, timeout: Span) -> io::Result<()> {
        let deadline = self.pipeline.now() + timeout;
        self.pipeline.close(deadline)
    }

    /// Why addresses could not be reached when last tried, for those that could not.
    pub fn troubles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pipeline.troubles()
    }

    fn gather(&mut self) {
        let ended = self.pipeline.completions();
        self.completed.extend(ended.map(|ended| (ended.operation, ended.outcome)));
    }
}

/// The address that `host:port` stands for.
pub fn resolve(text: &str) -> io::Result<SocketAddr> {
    let mut addresses = text.to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

#[cfg(test)]
mod lonely;
#[cfg(test)]
mod tests;

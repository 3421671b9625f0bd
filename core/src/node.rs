//! The node: takes one input, passes it down, collects what is to be done.

use crate::{
    configuration::Configuration,
    ids::{Index, NodeId},
    interface::{Input, Output, ReadDisk, Timer},
    journal::JournalError,
    options::{BadOption, Options},
    service::Service,
    time::Time,
};
use alloc::vec::Vec;
use core::fmt;

/// Everything a node is told before it opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Which member this is.
    pub node: NodeId,
    /// The cluster's first configuration.
    pub configuration: Configuration,
    /// This node's own settings.
    pub options: Options,
}

/// Why a node does not open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// An option is out of bounds.
    Option(BadOption),
    /// The node is no member of the configuration.
    NotAMember(NodeId),
    /// The data directory says no.
    Journal(JournalError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Option(error) => error.fmt(f),
            OpenError::NotAMember(node) => write!(f, "{node} is not among the members of the configuration"),
            OpenError::Journal(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for OpenError {}

/// One replica with its journal, sessions and service, as a value.
#[derive(Clone, Debug)]
pub struct Node<S> {
    service: S,
}

impl<S: Service> Node<S> {
    /// Opens a node from what its disk holds. Nothing is written yet: the first [`Node::step`] begins with that.
    pub fn open(config: Config, service: S, seed: u64, now: Time, disk: &mut dyn ReadDisk) -> Result<Self, OpenError> {
        todo!()
    }

    /// Advances by exactly one input, appending what is to be done to `out`. Never blocks, never fails, and never panics
    /// on what others sent.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        todo!()
    }

    /// When to feed [`Input::Wake`], and which timer asks for it. `Timer::Turn` is due as soon as the driver has fed what
    /// else is ready: the end of its turn.
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        todo!()
    }

    /// Everything up to here has been executed.
    pub fn applied(&self) -> Index {
        todo!()
    }

    /// The replicated service, for reading.
    pub fn service(&self) -> &S {
        &self.service
    }
}

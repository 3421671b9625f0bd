//! Ios as a value: consensus, journal, sessions, services and client protocol as plain synchronous state machines.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod node;
pub mod interface;
pub mod client;
pub mod message;
pub mod replica;
pub mod service;
pub mod journal;
pub mod wire;
pub mod batch;
pub mod configuration;
pub mod options;
pub mod ids;
pub mod time;

pub use node::{Config, Node, OpenError};

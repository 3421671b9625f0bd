//! Ios as a value: consensus, journal, sessions, services and client protocol as plain synchronous state machines.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod batch;
pub mod client;
pub mod configuration;
pub mod ids;
pub mod interface;
pub mod journal;
pub mod message;
pub mod node;
pub mod options;
pub mod ram_disk;
pub mod replica;
pub mod service;
pub mod time;
pub mod wire;

pub use node::{Config, Node, OpenError};

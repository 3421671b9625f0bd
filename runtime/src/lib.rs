//! Real sockets, disks and clocks for the core.
//!
//! Nothing here decides anything about the protocol: a [`server::Server`] feeds a [`Node`](ios_core::Node) what happens
//! and does what it says, a [`client::Pipeline`] does the same for clients. What the simulator does not run lives here,
//! so there should be as little of it as possible.

pub mod server;
pub mod client;
mod event_loop;
pub mod http;
mod inside;
mod lines;
mod manners;
mod links;
pub mod disk;
pub mod directory;
pub mod notes;
pub mod clock;

pub use event_loop::End;

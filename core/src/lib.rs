//! Ios as a value: consensus, journal, sessions, services and client protocol as plain synchronous state machines.
//!
//! A [`Node`] is advanced by one [`interface::Input`] at a time and says what is to be done as
//! [`interface::Output`]s. It has no clock, no randomness of its own and no I/O, so whoever drives it decides what
//! time it is and what the network and the disk do: the simulator with simulated ones, the runtime with real ones, and
//! this page with none at all. Three nodes agree:
//!
//! ```
//! use ios_core::{Config, Node, configuration::*, ids::*, interface::*, journal, options::*, ram_disk::*};
//! use ios_core::{service::dummy::Dummy, time::Time};
//!
//! let members: Vec<NodeId> = (0..3).map(NodeId).collect();
//! let configuration =
//!     Configuration::new(ConfigurationDraft { members: members.clone(), ..Default::default() }).unwrap();
//! let mut disks = vec![RamDisk::default(); 3];
//! let mut nodes: Vec<Node<Dummy>> = (0..3)
//!     .map(|n| {
//!         for action in journal::format(members[n], DiskNonce(n as u128), &configuration) {
//!             disks[n].perform(&action);
//!         }
//!         let config =
//!             Config { node: members[n], configuration: configuration.clone(), options: Options::default() };
//!         Node::open(config, Dummy::default(), n as u64, Time::ZERO, &mut disks[n]).unwrap()
//!     })
//!     .collect();
//! // Links come up; then messages and disk completions are delivered at once, and time passes when nothing else does.
//! let pairs = (0..3).flat_map(|n| (0..3).filter(move |peer| *peer != n).map(move |peer| (n, peer)));
//! let mut inputs: Vec<(usize, Input)> =
//!     pairs.map(|(n, peer)| (n, Input::Link { peer: members[peer], up: true })).collect();
//! let (mut now, mut out) = (Time::ZERO, Vec::new());
//! while nodes.iter().any(|node| node.applied() < Index(1)) {
//!     let due = |n: &usize| nodes[*n].deadline().filter(|(time, _)| inputs.is_empty() || *time <= now);
//!     if let Some(n) = (0..3).filter(|n| due(n).is_some()).min_by_key(|n| due(n)) {
//!         now = now.max(due(&n).unwrap().0);
//!         inputs.push((n, Input::Wake));
//!     }
//!     for (n, input) in std::mem::take(&mut inputs) {
//!         nodes[n].step(now, input, &mut out);
//!         for output in out.drain(..) {
//!             match output {
//!                 Output::Send { to, message } => inputs.extend(to.iter().map(|peer| {
//!                     (usize::from(peer.0), Input::Peer { from: members[n], message: message.clone() })
//!                 })),
//!                 Output::Disk { op, action } => {
//!                     inputs.push((n, Input::Disk { op, result: disks[n].perform(&action) }));
//!                 }
//!                 // A leader has its window open: any client may speak to it.
//!                 Output::Note(Note::WindowOpened { .. }) => inputs.push((n, Input::Client {
//!                     connection: ConnectionId(1),
//!                     request: ios_core::message::ClientRequest::Register { tag: 1 },
//!                 })),
//!                 _ => {}
//!             }
//!         }
//!     }
//! }
//! let agreed = nodes[0].status().state_hash;
//! assert!(nodes.iter().all(|node| node.status().state_hash == agreed));
//! ```
//!
//! Absent on purpose: threads, sockets, files, clocks, operating system randomness (`no_std` and no `unsafe` keep them
//! out), and any opinion on what is replicated: that is a [`service::Service`].
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
mod text;
pub mod time;
pub mod wire;

pub use node::{Config, Node, OpenError};

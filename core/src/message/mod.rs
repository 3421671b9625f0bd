//! What nodes say to each other and to clients, as values. Encoded by [`crate::wire`].
//!
//! Message enums only grow at the end, so that neighbouring versions understand each other. Types are generic over how
//! a payload is held: [`Batch`](crate::batch::Batch) or [`Bytes`](bytes::Bytes) in memory, a length inside an encoded
//! header.

mod client;
mod peer;

pub use client::{ADDRESS_MAX, ClientRequest, ClientResponse, ReadMode, Refusal, RequestKey, Status, is_address};
pub use peer::{ForwardOutcome, Hello, LinkRefusal, PeerMessage, Promise, PromiseEntry, Unknown};

//! The protocol.

pub mod quorum;

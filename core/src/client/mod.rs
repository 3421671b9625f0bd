//! The client's own state machine.

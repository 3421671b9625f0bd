//! The world.

pub mod agenda;
pub mod clock;
pub mod disk;
pub mod network;

//! The simulator as a library.

pub mod choice;
pub mod scenario;
pub mod oracle;

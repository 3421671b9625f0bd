//! The simulator as a library.

pub mod choice;
pub mod diagram;
pub mod generator;
pub mod ghost;
pub mod guard;
pub mod history;
pub mod linearize;
pub mod oracle;
pub mod marks;
pub mod outcome;
pub mod planted;
pub mod report;
pub mod scenario;
pub mod shrink;
pub mod story;
pub mod study;
pub mod sweep;
pub mod world;

//! Why a run does not simply go on.

use crate::exit::Failure;

/// What came of a fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bite {
    /// It took effect: the proof.
    Bitten(String),
    /// It did not, this time.
    Missed(String),
    /// It cannot be tried here.
    Skipped(String),
}

/// Why a run ends before its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The cluster did not do what is promised.
    Broken(String),
    /// This program could not do what it wanted.
    Failed(Failure),
    /// Somebody wants it to end.
    Stopped,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failed(failure)
    }
}

/// Something the system refused to this program.
pub fn failed(doing: &str, error: impl std::fmt::Display) -> Trouble {
    Trouble::Failed(Failure::system(doing, error))
}

//! What the process says to whoever called it: one number, and a sentence on stderr.

use ios_core::{
    OpenError,
    client::{WhyNotDone, WhyUnknown},
    interface::Fault,
    message::{LinkRefusal, Refusal},
};
use runtime::server::ServerError;
use std::{fmt, process::ExitCode};

/// Why a command ends. The numbers are a promise to scripts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed that has no number of its own.
    Error = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The key is not there, or the condition is false.
    False = 3,
    /// It was not done and never will be.
    NotDone = 4,
    /// It may have been done.
    Unknown = 5,
    /// Nobody answered, or nobody who could decide.
    Unreachable = 6,
    /// The cluster answers, and something is wrong with it.
    Unhealthy = 8,
    /// A node stopped because of its disk.
    Disk = 10,
    /// A node stopped because it found a fault of its own.
    Invariant = 11,
    /// A node stopped because its state differs from the others'.
    Divergence = 12,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A command that did not end well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The number.
    pub exit: Exit,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Something the system refused.
    pub fn system(doing: &str, error: impl fmt::Display) -> Self {
        Self::new(Exit::Error, format!("cannot {doing}: {error}"))
    }

    /// A server that did not start.
    pub fn server(error: ServerError) -> Self {
        let exit = match &error {
            ServerError::Directory(_) | ServerError::NoAddress(_) => Exit::Usage,
            ServerError::Open { error: OpenError::Journal(_), .. } => Exit::Disk,
            ServerError::Open { error: OpenError::Diverged(_), .. } => Exit::Divergence,
            ServerError::Open { .. } => Exit::Usage,
            // A name may be known a moment later.
            ServerError::Name { .. } | ServerError::Listen { .. } | ServerError::System { .. } => Exit::Error,
        };
        Self::new(exit, error.to_string())
    }

    /// A node that must not go on.
    pub fn fence(fault: &Fault) -> Self {
        let exit = match fault {
            Fault::Disk { .. } => Exit::Disk,
            Fault::Divergence { .. } | Fault::State { .. } => Exit::Divergence,
            // Which members there are and what they agreed on is written in files.
            Fault::Refused { why: LinkRefusal::Version | LinkRefusal::Genesis | LinkRefusal::Stranger, .. } => {
                Exit::Usage
            }
            Fault::Refused { .. } => Exit::Disk,
        };
        Self::new(exit, fault.to_string())
    }

    /// An operation that was not done.
    pub fn not_done(why: &WhyNotDone) -> Self {
        let nobody_decided = match why {
            WhyNotDone::Deadline { last: None } => true,
            WhyNotDone::Deadline { last: Some(last) } => {
                matches!(last, Refusal::NotLeader { .. } | Refusal::NotReady | Refusal::Deposed { .. })
            }
            _ => false,
        };
        let exit = if nobody_decided { Exit::Unreachable } else { Exit::NotDone };
        Self::new(exit, format!("not done: {why}"))
    }

    /// An operation that may have been done.
    pub fn unknown(why: &WhyUnknown) -> Self {
        Self::new(Exit::Unknown, format!("outcome unknown: {why}; it may have taken effect, or may yet"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ios_core::ids::NodeId;

    #[test]
    fn nobody_there_is_told_from_somebody_who_refused() {
        let exit = |why| Failure::not_done(&why).exit;
        assert_eq!(exit(WhyNotDone::Deadline { last: None }), Exit::Unreachable);
        assert_eq!(exit(WhyNotDone::Deadline { last: Some(Refusal::NotReady) }), Exit::Unreachable);
        assert_eq!(exit(WhyNotDone::Deadline { last: Some(Refusal::Overloaded) }), Exit::NotDone);
        assert_eq!(exit(WhyNotDone::Refused(Refusal::TooLarge { limit: 1, actual: 2 })), Exit::NotDone);
    }

    #[test]
    fn a_refused_disk_and_a_wrong_file_have_different_numbers() {
        let exit = |why| Failure::fence(&Fault::Refused { by: NodeId(1), why }).exit;
        assert_eq!(exit(LinkRefusal::Disk), Exit::Disk);
        assert_eq!(exit(LinkRefusal::Incarnation), Exit::Disk);
        assert_eq!(exit(LinkRefusal::Genesis), Exit::Usage);
    }
}

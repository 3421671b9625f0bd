//! Which service a cluster replicates, chosen by name when its nodes start.

use super::{
    Access, Applied, Captured, Objection, Service,
    dummy::{self, Dummy},
    kv::{self, Kv},
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use bytes::Bytes;
use core::{fmt, str::FromStr};

/// One of the services of this crate, with the language in which people talk to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Application {
    /// `kv-store`: the key-value store.
    Kv(Kv),
    /// `dummy`: answers `ping`.
    Dummy(Dummy),
}

/// A line that is no command. Prints as the Go client printed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid;

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invalid command")
    }
}

impl core::error::Error for Invalid {}

/// One word of an application's language, for help and completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verb {
    /// The word a command begins with.
    pub name: &'static str,
    /// What follows it, such as `[key] [value]`.
    pub arguments: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// No application has this name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownApplication(pub String);

impl fmt::Display for UnknownApplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no application {:?}; choose {KV} or {DUMMY}", self.0)
    }
}

impl core::error::Error for UnknownApplication {}

const KV: &str = "kv-store";
const DUMMY: &str = "dummy";

impl Application {
    /// The name it is chosen by.
    pub fn name(&self) -> &'static str {
        match self {
            Application::Kv(_) => KV,
            Application::Dummy(_) => DUMMY,
        }
    }

    /// What can be said to it.
    pub fn verbs(&self) -> &'static [Verb] {
        match self {
            Application::Kv(_) => kv::text::VERBS,
            Application::Dummy(_) => dummy::VERBS,
        }
    }

    /// Turns a line into a request, and says whether it only reads.
    pub fn parse_line(&self, line: &str) -> Result<(Access, Bytes), Invalid> {
        match self {
            Application::Kv(_) => kv::text::parse_line(line),
            Application::Dummy(_) => dummy::parse_line(line),
        }
    }

    /// Turns the reply to such a request into what a client prints.
    pub fn format_reply(&self, reply: &[u8]) -> String {
        match self {
            Application::Kv(_) => kv::text::format_reply(reply),
            Application::Dummy(_) => dummy::format_reply(reply),
        }
    }
}

impl FromStr for Application {
    type Err = UnknownApplication;

    /// The application of this name, with nothing in it yet and the published limits.
    fn from_str(name: &str) -> Result<Self, UnknownApplication> {
        match name {
            KV => Ok(Application::Kv(Kv::default())),
            DUMMY => Ok(Application::Dummy(Dummy)),
            _ => Err(UnknownApplication(name.to_string())),
        }
    }
}

impl Service for Application {
    fn apply(&mut self, at: &Applied, request: &[u8], reply: &mut Vec<u8>) -> bool {
        match self {
            Application::Kv(kv) => kv.apply(at, request, reply),
            Application::Dummy(dummy) => dummy.apply(at, request, reply),
        }
    }

    fn query(&self, request: &[u8], reply: &mut Vec<u8>) {
        match self {
            Application::Kv(kv) => kv.query(request, reply),
            Application::Dummy(dummy) => dummy.query(request, reply),
        }
    }

    fn check(&self, access: Access, request: &[u8]) -> Result<(), Objection> {
        match self {
            Application::Kv(kv) => kv.check(access, request),
            Application::Dummy(dummy) => dummy.check(access, request),
        }
    }

    fn fingerprint(&self) -> u64 {
        match self {
            Application::Kv(kv) => kv.fingerprint(),
            Application::Dummy(dummy) => dummy.fingerprint(),
        }
    }

    fn snapshot_begin(&mut self) {
        match self {
            Application::Kv(kv) => kv.snapshot_begin(),
            Application::Dummy(dummy) => dummy.snapshot_begin(),
        }
    }

    fn snapshot_next(&mut self, part: &mut Vec<u8>) -> Captured {
        match self {
            Application::Kv(kv) => kv.snapshot_next(part),
            Application::Dummy(dummy) => dummy.snapshot_next(part),
        }
    }

    fn snapshot_end(&mut self) {
        match self {
            Application::Kv(kv) => kv.snapshot_end(),
            Application::Dummy(dummy) => dummy.snapshot_end(),
        }
    }

    fn blank(&self) -> Self {
        match self {
            Application::Kv(kv) => Application::Kv(kv.blank()),
            Application::Dummy(dummy) => Application::Dummy(dummy.blank()),
        }
    }

    fn restore(&mut self, part: &[u8]) -> bool {
        match self {
            Application::Kv(kv) => kv.restore(part),
            Application::Dummy(dummy) => dummy.restore(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_chosen_by_its_name_and_answers_in_its_own_language() {
        for (name, line, answer) in [("kv-store", "count", "0"), ("dummy", "ping", "pong")] {
            let application: Application = name.parse().unwrap();
            assert_eq!(application.name(), name);
            assert!(application.verbs().iter().any(|verb| verb.name == line));
            let (access, request) = application.parse_line(line).unwrap();
            assert_eq!((access, application.check(access, &request)), (Access::Read, Ok(())));
            let mut reply = Vec::new();
            application.query(&request, &mut reply);
            assert_eq!(application.format_reply(&reply), answer);
            assert_eq!(application.parse_line("nonsense").unwrap_err().to_string(), "Invalid command");
        }
        let error = "kv".parse::<Application>().unwrap_err().to_string();
        assert_eq!(error, "there is no application \"kv\"; choose kv-store or dummy");
    }
}

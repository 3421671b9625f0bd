//! The application `dummy`: answers `ping` with `pong` and holds no state, so that what it takes is what consensus
//! takes.

use super::{
    Access, Applied, Captured, Objection, Service,
    application::{Invalid, Verb},
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use bytes::Bytes;

/// The service without state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dummy;

const PING: &str = "ping";
const PONG: &str = "pong";
const WHY_NOT: &str = "error: the dummy application understands only ping";

/// What can be said.
pub const VERBS: &[Verb] = &[Verb { name: PING, arguments: "", meaning: "ping dummy application" }];

impl Service for Dummy {
    fn apply(&mut self, _at: &Applied, request: &[u8], reply: &mut Vec<u8>) -> bool {
        self.query(request, reply);
        false
    }

    fn query(&self, request: &[u8], reply: &mut Vec<u8>) {
        let answer = if request == PING.as_bytes() { PONG } else { WHY_NOT };
        reply.extend_from_slice(answer.as_bytes());
    }

    fn check(&self, _access: Access, request: &[u8]) -> Result<(), Objection> {
        if request != PING.as_bytes() {
            return Err(Objection::Invalid("the dummy application understands only ping".to_string()));
        }
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        0
    }

    fn snapshot_begin(&mut self) {}

    fn snapshot_next(&mut self, _part: &mut Vec<u8>) -> Captured {
        Captured::End
    }

    fn snapshot_end(&mut self) {}

    fn blank(&self) -> Self {
        Dummy
    }

    fn restore(&mut self, _part: &[u8]) -> bool {
        false
    }
}

/// Turns a line into a request.
pub fn parse_line(line: &str) -> Result<(Access, Bytes), Invalid> {
    if line.trim_matches('\n') != PING {
        return Err(Invalid);
    }
    Ok((Access::Read, Bytes::from_static(PING.as_bytes())))
}

/// Turns a reply into what the client prints.
pub fn format_reply(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{Index, Revision},
        time::Time,
    };

    #[test]
    fn ping_is_answered_pong_and_anything_else_an_error() {
        let at = Applied { index: Index(1), position: 0, revision: Revision(1), log_time: Time::ZERO };
        for (request, answer) in [(&b"ping"[..], PONG), (b"", WHY_NOT), (b"ping ", WHY_NOT), (b"\xff\x00", WHY_NOT)] {
            let (mut applied, mut queried) = (Vec::new(), Vec::new());
            assert!(!Dummy.apply(&at, request, &mut applied));
            Dummy.query(request, &mut queried);
            assert_eq!((format_reply(&applied).as_str(), &queried), (answer, &applied));
            assert_eq!(Dummy.check(Access::Write, request).is_ok(), answer == PONG);
        }
    }

    #[test]
    fn the_line_is_ping() {
        assert_eq!(parse_line("ping"), Ok((Access::Read, Bytes::from_static(b"ping"))));
        for line in ["", "Ping", "ping ping", "update A 1"] {
            assert_eq!(parse_line(line), Err(Invalid), "{line:?}");
        }
    }
}

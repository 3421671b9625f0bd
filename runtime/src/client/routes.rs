//! Whose answer is it? Lanes that share a connection number their requests independently of each other.
//!
//! A tag goes out as `tag * lanes + lane` and is turned back when it returns. A write is told by its session, which
//! belongs to the lane that last wrote in it. What a node makes up leads to some lane or to none, and a lane ignores
//! what it has not asked.

use ios_core::{
    ids::SessionId,
    message::{ClientRequest, ClientResponse, RequestKey},
};
use std::collections::BTreeMap;

/// The lanes' tags and sessions.
#[derive(Debug)]
pub(super) struct Routes {
    lanes: u64,
    /// Exactly the sessions in `by_lane`.
    by_session: BTreeMap<SessionId, usize>,
    by_lane: Vec<Option<SessionId>>,
}

impl Routes {
    pub fn new(lanes: usize) -> Self {
        Self { lanes: lanes as u64, by_session: BTreeMap::new(), by_lane: vec![None; lanes] }
    }

    /// Marks a request as this lane's.
    pub fn mark(&mut self, lane: usize, request: &mut ClientRequest) {
        match request {
            ClientRequest::Write { session, .. } => {
                if self.by_lane[lane] != Some(*session) {
                    self.settle(lane, *session);
                }
            }
            ClientRequest::Hello { tag }
            | ClientRequest::Register { tag }
            | ClientRequest::KeepAlive { tag, .. }
            | ClientRequest::Close { tag, .. }
            | ClientRequest::Read { tag, .. }
            | ClientRequest::Status { tag }
            | ClientRequest::Members { tag }
            | ClientRequest::ParticipantRead { tag, .. }
            | ClientRequest::StaleRead { tag, .. }
            | ClientRequest::Suggest { tag }
            | ClientRequest::Transfer { tag, .. } => *tag = *tag * self.lanes + lane as u64,
        }
    }

    /// The lane that an answer is for, to which it then looks as if there were no other.
    pub fn claim(&self, response: &mut ClientResponse) -> Option<usize> {
        match response {
            ClientResponse::Written { session, .. }
            | ClientResponse::Refused { request: RequestKey::Write(session, _), .. } => {
                self.by_session.get(session).copied()
            }
            ClientResponse::Welcome { tag, .. }
            | ClientResponse::Registered { tag, .. }
            | ClientResponse::Done { tag }
            | ClientResponse::Read { tag, .. }
            | ClientResponse::Refused { request: RequestKey::Tag(tag), .. }
            | ClientResponse::Status { tag, .. }
            | ClientResponse::Members { tag, .. } => {
                let lane = *tag % self.lanes;
                *tag /= self.lanes;
                Some(lane as usize)
            }
        }
    }

    fn settle(&mut self, lane: usize, session: SessionId) {
        if let Some(old) = self.by_lane[lane].replace(session) {
            self.by_session.remove(&old);
        }
        if let Some(other) = self.by_session.insert(session, lane) {
            // Two lanes were told one session, which no node does that keeps the rules.
            self.by_lane[other] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ios_core::ids::{Index, Revision, Sequence};

    fn session(index: u64) -> SessionId {
        SessionId { index: Index(index), position: 0 }
    }

    fn write(index: u64) -> ClientRequest {
        let (session, sequence, acked) = (session(index), Sequence(1), Sequence(0));
        ClientRequest::Write { session, sequence, acked, payload: Bytes::new() }
    }

    fn written(index: u64) -> ClientResponse {
        let (session, sequence, revision) = (session(index), Sequence(1), Revision(1));
        ClientResponse::Written { session, sequence, revision, payload: Bytes::new() }
    }

    #[test]
    fn every_lane_gets_its_own_tags_back() {
        let mut routes = Routes::new(3);
        let mut seen = Vec::new();
        for lane in 0..3 {
            for own in [0, 1, 77] {
                let mut request = ClientRequest::Register { tag: own };
                routes.mark(lane, &mut request);
                let ClientRequest::Register { tag } = request else { unreachable!() };
                assert!(!seen.contains(&tag), "{tag} is used twice");
                seen.push(tag);
                let mut response = ClientResponse::Done { tag };
                assert_eq!(routes.claim(&mut response), Some(lane));
                assert_eq!(response, ClientResponse::Done { tag: own });
            }
        }
    }

    #[test]
    fn a_write_is_answered_to_the_lane_that_last_used_its_session() {
        let mut routes = Routes::new(2);
        routes.mark(1, &mut write(5));
        assert_eq!(routes.claim(&mut written(5)), Some(1));
        assert_eq!(routes.claim(&mut written(6)), None);
        // The lane has given that session up for another.
        routes.mark(1, &mut write(6));
        assert_eq!((routes.claim(&mut written(5)), routes.claim(&mut written(6))), (None, Some(1)));
        // A node that tells two lanes of one session confuses nobody but itself.
        routes.mark(0, &mut write(6));
        assert_eq!(routes.claim(&mut written(6)), Some(0));
        routes.mark(1, &mut write(6));
        assert_eq!(routes.claim(&mut written(6)), Some(1));
    }
}

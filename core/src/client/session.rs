//! One session as its client sees it: sequence numbers, the mark below which all are finished, and signs of life.

use super::{interface::IN_FLIGHT_LIMIT, operations::Tag};
use crate::{
    configuration::SESSION_TTL_MIN,
    ids::{Sequence, SessionId},
    time::{Span, Time},
};
use alloc::{collections::BTreeMap, vec::Vec};

/// An open session.
///
/// - Every sequence at or below `acked` is finished; `acked + 1` is not.
/// - Bit i of `finished` stands for the sequence `acked + 2 + i`; the one after `acked` needs none.
/// - `in_flight` holds exactly the sequences given out and not finished.
#[derive(Clone, Debug)]
pub(super) struct Session {
    id: SessionId,
    ttl: Span,
    /// The cluster heard of the session at this moment or later.
    heard: Time,
    acked: Sequence,
    last: Sequence,
    finished: u64,
    in_flight: BTreeMap<Sequence, Tag>,
}

impl Session {
    /// A session asked for at `sent` and known at `now`, which expires after `ttl` without a sign of life. If the
    /// answer took long, the session is trusted for a while all the same: where it always does, nothing would be done
    /// otherwise.
    pub fn new(id: SessionId, ttl: Span, sent: Time, now: Time) -> Self {
        let ttl = ttl.max(SESSION_TTL_MIN);
        let heard = sent.max(now - Span(ttl.0 / 2));
        let (acked, last) = (Sequence(0), Sequence(0));
        Self { id, ttl, heard, acked, last, finished: 0, in_flight: BTreeMap::new() }
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    pub fn acked(&self) -> Sequence {
        self.acked
    }

    /// Whether another sequence may be given out: not farther than `in_flight_max` from the mark.
    pub fn has_room(&self, in_flight_max: usize) -> bool {
        self.last.0 - self.acked.0 < in_flight_max.min(IN_FLIGHT_LIMIT) as u64
    }

    /// Gives out the next sequence.
    pub fn assign(&mut self, tag: Tag) -> Sequence {
        assert!(self.has_room(IN_FLIGHT_LIMIT), "a sequence is asked for only when there is room");
        self.last.0 += 1;
        self.in_flight.insert(self.last, tag);
        self.last
    }

    /// Finishes a sequence, and raises the mark as far as finished ones reach without a gap.
    pub fn finish(&mut self, sequence: Sequence) {
        let known = self.in_flight.remove(&sequence);
        assert!(known.is_some(), "a sequence is finished once");
        match sequence.0 - self.acked.0 {
            1 => {
                let more = self.finished.trailing_ones();
                self.acked.0 += 1 + u64::from(more);
                self.finished = self.finished.checked_shr(more + 1).unwrap_or(0);
            }
            ahead => self.finished |= 1 << (ahead - 2),
        }
    }

    pub fn holder(&self, sequence: Sequence) -> Option<Tag> {
        self.in_flight.get(&sequence).copied()
    }

    pub fn in_flight(&self) -> impl Iterator<Item = Tag> {
        self.in_flight.values().copied()
    }

    pub fn into_in_flight(self) -> Vec<Tag> {
        self.in_flight.into_values().collect()
    }

    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The cluster answered something of this session that was sent at `sent`, so it heard of it then or later.
    pub fn sign_of_life(&mut self, sent: Time) {
        self.heard = self.heard.max(sent);
    }

    pub fn keep_alive_at(&self, percent: u8) -> Time {
        self.heard + Span(self.ttl.0 / 100 * u64::from(percent))
    }

    /// From here on it may expire before a request sent now is executed.
    pub fn doubtful_at(&self) -> Time {
        self.heard + Span(self.ttl.0 / 4 * 3)
    }

    pub fn is_doubtful(&self, now: Time) -> bool {
        now >= self.doubtful_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Index;

    fn session() -> Session {
        Session::new(SessionId { index: Index(1), position: 0 }, Span::secs(10), Time::ZERO, Time::ZERO)
    }

    #[test]
    fn the_mark_passes_finished_sequences_without_a_gap() {
        let mut session = session();
        for tag in 1..=64 {
            session.assign(Tag(tag));
        }
        assert!(!session.has_room(64));
        for finished in 2..=64 {
            session.finish(Sequence(finished));
            assert_eq!((session.acked(), session.has_room(64)), (Sequence(0), false));
        }
        session.finish(Sequence(1));
        assert_eq!((session.acked(), session.is_idle(), session.finished), (Sequence(64), true, 0));
        assert_eq!(session.assign(Tag(65)), Sequence(65));
    }

    #[test]
    fn the_mark_agrees_with_a_set_of_finished_sequences_in_every_order_of_five() {
        for order in 0..120u64 {
            let (mut session, mut rest, mut left) = (session(), order, (1..=5).collect::<Vec<u64>>());
            for tag in 1..=5 {
                session.assign(Tag(tag));
            }
            while !left.is_empty() {
                let choice = rest % left.len() as u64;
                rest /= left.len() as u64;
                session.finish(Sequence(left.remove(choice as usize)));
                let mark = left.iter().min().map_or(5, |first| first - 1);
                assert_eq!(session.acked(), Sequence(mark), "order {order}, left {left:?}");
            }
        }
    }

    #[test]
    fn a_session_known_late_is_trusted_for_a_quarter_of_its_lifetime() {
        let late = Time::ZERO + Span::secs(60);
        let session = Session::new(session().id(), Span::secs(10), Time::ZERO, late);
        assert_eq!(session.doubtful_at(), late + Span::millis(2500));
    }

    #[test]
    fn a_lifetime_no_cluster_would_give_does_not_make_a_session_doubtful_at_once() {
        let session = Session::new(session().id(), Span::ZERO, Time::ZERO, Time::ZERO);
        assert!(!session.is_doubtful(Time::ZERO) && session.is_doubtful(Time::ZERO + SESSION_TTL_MIN));
    }
}

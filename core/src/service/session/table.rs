//! All sessions: who is there, who was silent for too long, and a hash over it all.

use super::{
    hash_words,
    replies::{Payload, Replies},
};
use crate::{
    ids::{Revision, Sequence, SessionId},
    service::capture::{Capture, Captured},
    time::{Span, Time},
};
use alloc::collections::{BTreeMap, BTreeSet};

/// How many sessions may be open at once. With full windows of short replies they take about 4 KiB each.
pub const SESSIONS_MAX: usize = 1 << 16;

/// How many bytes of replies too long for their slots are kept, over all sessions.
pub const KEPT_BYTES_MAX: usize = 64 << 20;

/// The open sessions.
///
/// - `due` holds one entry per session, at or before the time it expires: signs of life are far more frequent than
///   expiries, so an entry stays where it is until its time comes, and only then moves to where it belongs.
/// - `sum` adds up the sessions' hashes, `kept_bytes` their shared bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sessions {
    ttl: Span,
    open: BTreeMap<SessionId, Session>,
    due: BTreeSet<(Time, SessionId)>,
    sum: u64,
    kept_bytes: usize,
    /// The snapshot under way.
    capture: Option<Capture<SessionId, Session>>,
}

/// One part of a snapshot of the sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Captive {
    id: SessionId,
    active: Time,
    replies: Replies,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Session {
    replies: Replies,
    /// Log time of the last sign of life.
    active: Time,
    /// Where its entry in `due` is.
    due: Time,
    hash: u64,
}

impl Session {
    fn rehash(&mut self, id: SessionId) {
        self.hash = self.hash_as(id, self.replies.fingerprint());
    }

    fn hash_as(&self, id: SessionId, replies: u64) -> u64 {
        hash_words([id.index.0, u64::from(id.position), self.active.0, self.replies.mark().0, replies])
    }
}

impl Captive {
    /// Who it is, when it was last heard of, and its mark.
    pub fn head(&self) -> (SessionId, Time, Sequence) {
        (self.id, self.active, self.replies.mark())
    }

    /// The first reply it keeps beyond `after`.
    pub fn reply(&self, after: Sequence) -> Option<(Sequence, Revision, &Payload)> {
        self.replies.next_kept(after)
    }
}

impl Sessions {
    pub fn new(ttl: Span) -> Self {
        Self { ttl, open: BTreeMap::new(), due: BTreeSet::new(), sum: 0, kept_bytes: 0, capture: None }
    }

    pub fn ttl(&self) -> Span {
        self.ttl
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Ends every session that has been silent for its lifetime at log time `now`.
    pub fn expire(&mut self, now: Time, mut expired: impl FnMut(SessionId)) {
        while let Some(&(due, id)) = self.due.first()
            && due <= now
        {
            let session = self.open.get_mut(&id).expect("an entry of `due` belongs to an open session");
            let expires = session.active + self.ttl;
            if expires <= now {
                self.close(id);
                expired(id);
            } else {
                session.due = expires;
                self.due.remove(&(due, id));
                self.due.insert((expires, id));
            }
        }
    }

    /// Opens a session, unless there are too many.
    pub fn register(&mut self, id: SessionId, now: Time) -> bool {
        if self.open.len() >= SESSIONS_MAX {
            return false;
        }
        self.keep(id);
        let due = now + self.ttl;
        let mut session = Session { replies: Replies::new(), active: now, due, hash: 0 };
        session.rehash(id);
        self.sum = self.sum.wrapping_add(session.hash);
        self.due.insert((due, id));
        let before = self.open.insert(id, session);
        assert!(before.is_none(), "session {id} registered twice");
        true
    }

    /// Ends a session, if it is open.
    pub fn close(&mut self, id: SessionId) {
        self.keep(id);
        if let Some(session) = self.open.remove(&id) {
            self.sum = self.sum.wrapping_sub(session.hash);
            self.kept_bytes -= session.replies.shared_bytes();
            self.due.remove(&(session.due, id));
        }
    }

    /// Counts a sign of life. False if the session is not open.
    pub fn touch(&mut self, id: SessionId, now: Time) -> bool {
        self.with(id, now, |_, _| ()).is_some()
    }

    /// Counts a sign of life and works on a session's replies. `work` is told how many more bytes may be kept.
    pub fn with<T>(&mut self, id: SessionId, now: Time, work: impl FnOnce(&mut Replies, usize) -> T) -> Option<T> {
        self.keep(id);
        let session = self.open.get_mut(&id)?;
        let (hash_before, bytes_before) = (session.hash, session.replies.shared_bytes());
        session.active = now;
        let result = work(&mut session.replies, KEPT_BYTES_MAX - self.kept_bytes);
        session.rehash(id);
        self.sum = self.sum.wrapping_sub(hash_before).wrapping_add(session.hash);
        self.kept_bytes = self.kept_bytes - bytes_before + session.replies.shared_bytes();
        Some(result)
    }

    /// No session expires before this.
    pub fn next_expiry(&self) -> Option<Time> {
        self.due.first().map(|&(due, _)| due)
    }

    pub fn fingerprint(&self) -> u64 {
        self.sum
    }

    // ---- Snapshots.

    pub fn snapshot_begin(&mut self) {
        self.capture = Some(Capture::begin());
    }

    pub fn snapshot_end(&mut self) {
        self.capture = None;
    }

    /// The next session as it was when the snapshot began. Taking a copy costs the same whatever it was answered: long
    /// replies are shared.
    pub fn snapshot_next(&mut self, taken: &mut Option<Captive>) -> Captured {
        let Some(capture) = &mut self.capture else { return Captured::End };
        let captured = capture.step(&self.open, |id, session| {
            *taken = Some(Captive { id: *id, active: session.active, replies: session.replies.clone() });
        });
        if captured == Captured::End {
            self.capture = None;
        }
        captured
    }

    /// Opens a session as a snapshot tells of it. False if it cannot be: there are too many, or they are out of order.
    pub fn restore(&mut self, id: SessionId, active: Time, mark: Sequence) -> bool {
        let in_order = self.open.last_key_value().is_none_or(|(last, _)| *last < id);
        if !in_order || self.open.len() >= SESSIONS_MAX {
            return false;
        }
        let due = active + self.ttl;
        let mut session = Session { replies: Replies::new(), active, due, hash: 0 };
        session.replies.acknowledge(mark);
        session.rehash(id);
        self.sum = self.sum.wrapping_add(session.hash);
        self.due.insert((due, id));
        self.open.insert(id, session);
        true
    }

    /// Gives the session restored last a reply that it keeps. False if it cannot have it.
    pub fn restore_reply(&mut self, sequence: Sequence, revision: Revision, reply: Option<&[u8]>) -> bool {
        let room = KEPT_BYTES_MAX - self.kept_bytes;
        let Some((id, active)) = self.open.last_key_value().map(|(id, session)| (*id, session.active)) else {
            return false;
        };
        let kept = self.with(id, active, |replies, _| replies.restore(sequence, revision, reply, room));
        kept.unwrap_or(false)
    }

    /// Leaves a session, which is about to change, to the snapshot under way.
    fn keep(&mut self, id: SessionId) {
        if let Some(capture) = &mut self.capture {
            capture.keep(&id, || self.open.get(&id).cloned());
        }
    }

    #[cfg(test)]
    pub fn fingerprint_from_scratch(&self) -> u64 {
        let mut sum = 0_u64;
        let mut kept_bytes = 0;
        for (id, session) in &self.open {
            let (replies, bytes) = session.replies.recomputed();
            sum = sum.wrapping_add(session.hash_as(*id, replies));
            kept_bytes += bytes;
            assert!(self.due.contains(&(session.due, *id)) && session.due <= session.active + self.ttl);
        }
        assert_eq!((self.due.len(), self.kept_bytes), (self.open.len(), kept_bytes));
        sum
    }
}

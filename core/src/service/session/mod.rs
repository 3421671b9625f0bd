//! Exactly once: sessions, service and log time as one deterministic replicated state.
//!
//! A client that gets no answer must ask again, and then its request may stand in the log twice. So a client opens a
//! *session* through the log and numbers its requests; the replicated table keeps the reply of every request the
//! client has not yet acknowledged. The first copy in the log executes, every other one is given the first reply:
//!
//! ```text
//!          sequence <= mark              mark < sequence <= mark + 64          beyond
//!   ------------------------------|------------------------------------|------------------
//!    Stale: the client said that   never seen: execute, keep the reply   OutOfWindow
//!    it needs no answer            seen: the kept reply again
//!                                ^
//!                                mark: the highest `acked` ever heard; it never goes back
//! ```
//! What a client acknowledges is its own affair. A mark raised past requests that never arrived gives them up: their
//! late copies are stale, so they never execute. A mark of `u64::MAX` ends the session for all purposes but expiry.
//!
//! **Log time** moves only with the stamps of client batches, never back. A session from which nothing was applied for
//! `ttl` of log time has expired, at the start of the first batch that carries log time so far; the late sign of life
//! in that very batch comes too late. Replicas that applied the same batches thus hold the same sessions.
//!
//! **Bounds.** At most [`SESSIONS_MAX`] sessions; a further `Register` is refused rather than let in at the price of
//! the session silent for longest: that one's owner may be waiting for an answer, and a flood of newcomers must not be
//! able to make outcomes unknown for everyone. Abandoned sessions go by themselves after `ttl`. Kept replies of up to
//! `INLINE_MAX` bytes live in their slot; longer ones share [`KEPT_BYTES_MAX`]. When that is used up a long reply is
//! delivered but not kept, and a repetition of its request is answered `Stale`: executed once, the reply is gone. One
//! batch produces at most [`BATCH_REPLY_BYTES_MAX`] and one reply more.

mod replies;
mod table;

pub use replies::IN_FLIGHT_MAX;
pub use table::{KEPT_BYTES_MAX, SESSIONS_MAX};

use super::{Access, Applied, Service, capture::Captured, snapshot::COUNT_MAX};
use crate::{
    batch::{Batch, Command},
    ids::{Index, Revision, Sequence, SessionId},
    interface::{Note, Output},
    message::Refusal,
    time::{Span, Time},
};
use alloc::vec::Vec;
use bytes::Bytes;
use replies::{Kept, Lookup, Payload};
use table::{Captive, Sessions};
use xxhash_rust::xxh3::xxh3_64;

/// Once the replies of one batch are this long, its further requests are refused unexecuted: a batch of requests that
/// each read a large value would otherwise need a thousand times its own size.
pub const BATCH_REPLY_BYTES_MAX: usize = 16 << 20;

/// What a command's client is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A session is open.
    Registered {
        /// Its id.
        session: SessionId,
        /// After this much silence, in log time, it expires.
        ttl: Span,
    },
    /// A session was kept alive, or is closed.
    Done,
    /// The request took effect.
    Reply {
        /// The revision at which it did, or the then current one if it changed nothing.
        revision: Revision,
        /// The service's reply.
        payload: Bytes,
        /// Whether this very command took effect, not an earlier copy of it.
        first: bool,
    },
    /// The client said that it needs no answer to this request, or the answer was too long to keep.
    Stale,
    /// The session has expired or never was.
    Expired,
    /// More than [`IN_FLIGHT_MAX`] ahead of what the client acknowledged. Nothing was executed.
    OutOfWindow,
    /// A bound of the machine is reached. Nothing was executed.
    Overloaded,
}

impl Answer {
    /// The refusal this amounts to, if it is one. A try that was not executed will never be, hence `Overloaded` for
    /// what ran into a bound: the client may try again.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Answer::Registered { .. } | Answer::Done | Answer::Reply { .. } => None,
            Answer::Stale => Some(Refusal::Stale),
            Answer::Expired => Some(Refusal::Expired),
            Answer::OutOfWindow | Answer::Overloaded => Some(Refusal::Overloaded),
        }
    }
}

/// The replicated state: a service, the sessions of its clients, and log time.
///
/// - Everything in it is a function of the batches applied, in their order.
/// - `log_time` and `revision` never go back; `revision` counts the requests that changed the service.
/// - No request of a session executes twice, whatever order copies come in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine<S> {
    service: S,
    sessions: Sessions,
    applied: Index,
    log_time: Time,
    revision: Revision,
    /// The snapshot under way.
    capture: Stage,
}

/// How far a snapshot has come.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    /// There is none.
    Idle,
    /// Sessions are being handed out.
    Sessions,
    /// The replies of one session are, beyond this one.
    Replies(Captive, Sequence),
    /// The service is.
    Service,
}

/// Begins each part of a machine's snapshot.
#[derive(Clone, Copy)]
enum Tag {
    Session = 1,
    Reply = 2,
    Dropped = 3,
    Service = 4,
}

impl<S: Service> Machine<S> {
    /// The state before the first batch. `ttl` is a session's lifetime without a sign of life.
    pub fn new(service: S, ttl: Span) -> Self {
        Self {
            service,
            sessions: Sessions::new(ttl),
            applied: Index::ZERO,
            log_time: Time::ZERO,
            revision: Revision(0),
            capture: Stage::Idle,
        }
    }

    /// Executes one committed batch. Appends one [`Answer`] per command to `answers`, and to `out` the notes
    /// `Executed`, `Repeated` and `Expired`.
    pub fn apply(&mut self, index: Index, batch: &Batch, out: &mut Vec<Output>, answers: &mut Vec<Answer>) {
        assert!(
            index > self.applied,
            "batch {index} comes after batch {}: each is applied once, in order",
            self.applied
        );
        self.applied = index;
        let Some(stamp) = batch.stamp() else { return };
        self.log_time = self.log_time.max(stamp);
        self.sessions.expire(self.log_time, |session| out.push(Output::Note(Note::Expired { session })));
        let mut replies = BatchReplies::new(batch.len());
        let first = answers.len();
        for (position, command) in (0..).zip(batch.commands()) {
            let answer = match command {
                Command::Register => self.register(SessionId { index, position }),
                Command::Request { session, sequence, acked, payload } => {
                    let request = Request { index, position, session, sequence, acked, payload };
                    self.request(&request, &mut replies, out)
                }
                Command::KeepAlive { session } if self.sessions.touch(session, self.log_time) => Answer::Done,
                Command::KeepAlive { .. } => Answer::Expired,
                Command::Close { session } => {
                    // A session that is not there is as closed as its owner wants it.
                    self.sessions.close(session);
                    Answer::Done
                }
            };
            answers.push(answer);
        }
        replies.hand_out(&mut answers[first..]);
    }

    fn register(&mut self, session: SessionId) -> Answer {
        if !self.sessions.register(session, self.log_time) {
            return Answer::Overloaded;
        }
        Answer::Registered { session, ttl: self.sessions.ttl() }
    }

    fn request(&mut self, request: &Request<'_>, replies: &mut BatchReplies, out: &mut Vec<Output>) -> Answer {
        let &Request { index, position, session: id, sequence, acked, payload } = request;
        let answer = self.sessions.with(id, self.log_time, |session, room| {
            session.acknowledge(acked);
            match session.look_up(sequence) {
                Lookup::Stale => Answer::Stale,
                Lookup::OutOfWindow => Answer::OutOfWindow,
                Lookup::Kept(kept) => {
                    out.push(Output::Note(Note::Repeated { session: id, sequence }));
                    replies.repeat(position, kept)
                }
                Lookup::New if replies.bytes.len() >= BATCH_REPLY_BYTES_MAX => Answer::Overloaded,
                Lookup::New => {
                    let revision = Revision(self.revision.0 + 1);
                    let at = Applied { index, position, revision, log_time: self.log_time };
                    let reply = replies.append(position, |bytes| {
                        if self.service.apply(&at, payload, bytes) {
                            self.revision = revision;
                        }
                    });
                    session.keep(sequence, self.revision, reply, room);
                    Output::put_note(out, Note::Executed { index, position, session: id, sequence });
                    Answer::Reply { revision: self.revision, payload: Bytes::new(), first: true }
                }
            }
        });
        answer.unwrap_or(Answer::Expired)
    }

    /// Whether a request may be proposed ([`Access::Write`]) or evaluated ([`Access::Read`]).
    pub fn check(&self, access: Access, request: &[u8]) -> Result<(), Refusal> {
        Ok(self.service.check(access, request)?)
    }

    /// Evaluates a request that passed [`Machine::check`] for [`Access::Read`], on what is applied.
    pub fn query(&self, request: &[u8], reply: &mut Vec<u8>) {
        self.service.query(request, reply);
    }

    /// The service as the applied batches left it.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// The highest stamp of any applied batch.
    pub fn log_time(&self) -> Time {
        self.log_time
    }

    /// How many requests have changed the service.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Names the whole state: equal on replicas that applied the same batches. Costs the same whatever the state's
    /// size.
    pub fn state_hash(&self) -> u64 {
        combine(self.service.fingerprint(), self.sessions.fingerprint(), self.log_time, self.revision)
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The log time at which some session may expire, if any is open: never later than when the first one does. The
    /// leader proposes ticks while log time is below it.
    pub fn next_expiry(&self) -> Option<Time> {
        self.sessions.next_expiry()
    }

    // ---- Snapshots.

    /// The last batch applied.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Begins a snapshot of the state as it is now. Constant work.
    pub fn snapshot_begin(&mut self) {
        self.sessions.snapshot_begin();
        self.service.snapshot_begin();
        self.capture = Stage::Sessions;
    }

    /// Appends the next part of the snapshot, as [`Service::snapshot_next`] does.
    pub fn snapshot_next(&mut self, part: &mut Vec<u8>) -> Captured {
        match core::mem::replace(&mut self.capture, Stage::Idle) {
            Stage::Idle => Captured::End,
            Stage::Sessions => {
                let mut taken = None;
                let captured = self.sessions.snapshot_next(&mut taken);
                let next = if captured == Captured::End { Stage::Service } else { Stage::Sessions };
                self.capture = taken.map_or(next, |session| {
                    let (id, active, mark) = session.head();
                    part.push(Tag::Session as u8);
                    push_words(part, [id.index.0, u64::from(id.position), active.0, mark.0]);
                    Stage::Replies(session, mark)
                });
                if captured == Captured::End { Captured::Passed } else { captured }
            }
            Stage::Replies(session, after) => {
                let Some((sequence, revision, payload)) = session.reply(after) else {
                    self.capture = Stage::Sessions;
                    return Captured::Passed;
                };
                let reply = payload.bytes();
                part.push(if reply.is_some() { Tag::Reply } else { Tag::Dropped } as u8);
                push_words(part, [sequence.0, revision.0]);
                part.extend_from_slice(reply.unwrap_or_default());
                self.capture = Stage::Replies(session, sequence);
                Captured::Taken
            }
            Stage::Service => {
                let start = part.len();
                part.push(Tag::Service as u8);
                let captured = self.service.snapshot_next(part);
                if captured != Captured::End {
                    self.capture = Stage::Service;
                }
                if captured != Captured::Taken {
                    part.truncate(start);
                }
                captured
            }
        }
    }

    /// Gives up the snapshot that is under way, if one is.
    pub fn snapshot_end(&mut self) {
        self.sessions.snapshot_end();
        self.service.snapshot_end();
        self.capture = Stage::Idle;
    }

    /// The state before the first part of a snapshot taken at `applied` is restored.
    pub fn blank(&self, applied: Index, log_time: Time, revision: Revision) -> Self {
        Self { applied, log_time, revision, ..Self::new(self.service.blank(), self.sessions.ttl()) }
    }

    /// Takes one part, in order, into a machine that began blank. False if no machine can have made it.
    pub fn restore(&mut self, part: &[u8]) -> bool {
        let Some((tag, rest)) = part.split_first() else { return false };
        match *tag {
            tag if tag == Tag::Session as u8 => match words(rest) {
                Some(([index, position, active, mark], [])) => u32::try_from(position).is_ok_and(|position| {
                    let id = SessionId { index: Index(index), position };
                    let known = id.index <= self.applied && mark <= COUNT_MAX;
                    known && self.sessions.restore(id, Time(active), Sequence(mark))
                }),
                _ => false,
            },
            tag if tag == Tag::Reply as u8 => words(rest).is_some_and(|([sequence, revision], reply)| {
                self.sessions.restore_reply(Sequence(sequence), Revision(revision), Some(reply))
            }),
            tag if tag == Tag::Dropped as u8 => match words(rest) {
                Some(([sequence, revision], [])) => {
                    self.sessions.restore_reply(Sequence(sequence), Revision(revision), None)
                }
                _ => false,
            },
            tag if tag == Tag::Service as u8 => self.service.restore(rest),
            _ => false,
        }
    }

    #[cfg(test)]
    fn state_hash_from_scratch(&self, fingerprint: u64) -> u64 {
        combine(fingerprint, self.sessions.fingerprint_from_scratch(), self.log_time, self.revision)
    }
}

/// One request where it stands in the log.
struct Request<'a> {
    index: Index,
    position: u32,
    session: SessionId,
    sequence: Sequence,
    acked: Sequence,
    payload: &'a [u8],
}

fn push_words<const N: usize>(part: &mut Vec<u8>, words: [u64; N]) {
    part.extend_from_slice(words.map(u64::to_le_bytes).as_flattened());
}

/// The numbers that `bytes` begin with, and what follows.
fn words<const N: usize>(mut bytes: &[u8]) -> Option<([u64; N], &[u8])> {
    let mut words = [0; N];
    for word in &mut words {
        let (first, rest) = bytes.split_first_chunk()?;
        (*word, bytes) = (u64::from_le_bytes(*first), rest);
    }
    Some((words, bytes))
}

fn combine(service: u64, sessions: u64, log_time: Time, revision: Revision) -> u64 {
    hash_words([service, sessions, log_time.0, revision.0])
}

/// Hashes numbers, in their order.
fn hash_words<const N: usize>(words: [u64; N]) -> u64 {
    let mut bytes = [[0; 8]; N];
    for (place, word) in words.into_iter().enumerate() {
        bytes[place] = word.to_le_bytes();
    }
    xxh3_64(bytes.as_flattened())
}

/// The replies of one batch, in one buffer that their answers share: so a request costs no allocation of its own. The
/// answers are gone once they are sent; what the sessions keep are copies, or a slow client's one small reply would
/// hold the whole batch's in memory.
struct BatchReplies {
    bytes: Vec<u8>,
    /// Position in the batch, start and end in `bytes`.
    spans: Vec<(u32, usize, usize)>,
}

/// Room made ahead for each reply; most are about that short.
const REPLY_GUESS: usize = 16;

impl BatchReplies {
    fn new(commands: usize) -> Self {
        Self { bytes: Vec::with_capacity(commands * REPLY_GUESS), spans: Vec::with_capacity(commands) }
    }

    fn append(&mut self, position: u32, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let start = self.bytes.len();
        write(&mut self.bytes);
        assert!(self.bytes.len() >= start, "a service appends to the reply buffer, which holds others' replies too");
        self.spans.push((position, start, self.bytes.len()));
        &self.bytes[start..]
    }

    fn repeat(&mut self, position: u32, kept: &Kept) -> Answer {
        let payload = match kept.payload() {
            Payload::Inline(reply) => {
                self.append(position, |bytes| bytes.extend_from_slice(reply.as_slice()));
                Bytes::new()
            }
            Payload::Shared(reply) => reply.clone(),
            Payload::Dropped => return Answer::Stale,
        };
        Answer::Reply { revision: kept.revision(), payload, first: false }
    }

    /// Gives each answer of the batch its slice, and the last one what is left: a single reply shares with nobody.
    fn hand_out(mut self, answers: &mut [Answer]) {
        let mut rest = Bytes::from(self.bytes);
        let last = self.spans.pop();
        let mut give = |position: u32, reply: Bytes| match &mut answers[position as usize] {
            Answer::Reply { payload, .. } => *payload = reply,
            other => unreachable!("only replies have a span, not {other:?}"),
        };
        for (position, start, end) in self.spans {
            give(position, rest.slice(start..end));
        }
        if let Some((position, start, end)) = last {
            rest.truncate(end);
            give(position, rest.split_off(start));
        }
    }
}

#[cfg(test)]
mod tests;

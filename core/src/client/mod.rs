//! The client's own state machine: a session, sequence numbers, retries with a deadline, and an honest outcome.
//!
//! A [`Client`] is to a cluster what [`crate::Node`] is to a disk: a value that is told what happened and says what to
//! do. It knows no sockets and no clock; the simulator and the real client run this very code. Many operations share
//! it, and it keeps one *current* endpoint: a redirect or a silence there moves all of them. One member's address is
//! enough to begin with: whoever answers is asked where the others are, before anything else is sent.
//!
//! # Outcomes
//! A *try* is one request on one connection. It is *open* until it is answered on that connection, *settled* by a
//! refusal that says it was never given a place in the log ([`Refusal::never_queued`]), and *lost* by anything else
//! that ends the waiting: a timeout, a broken connection, a leader deposed with it in hand. A lost try may take effect
//! at any later time, so no later answer but the result itself can undo that an operation has lost one.
//!
//! | what ends a write              | every try settled, or none sent  | a try open            | a try lost before        |
//! | ------------------------------ | -------------------------------- | --------------------- | ------------------------ |
//! | `Written`                      | done                             | done                  | done                     |
//! | refused: invalid, too large    | -                                | not done              | unknown                  |
//! | its deadline                   | not done                         | unknown               | unknown                  |
//! | `Expired`, of any request      | goes on in a new session         | unknown               | unknown                  |
//! | `Stale`                        | -                                | unknown               | unknown                  |
//! | the queue is full, or closed   | not done                         | -                     | -                        |
//!
//! Every other refusal leads to the next try. A read changes nothing, so it is done or not done, never unknown; any
//! answer that bears its tag counts, for a tag is drawn once per read and all tries that bear it left after the read
//! was submitted. Whatever answers nothing that is asked is ignored and noted.
//!
//! After `before_force` failed tries of one operation the node that is tried next is told so, ahead of the try: it may
//! have missed its leader too without having done anything about it. The hint is no try, and nothing waits for its
//! answer. However many operations fail, one hint goes out at a time, and no two within `backoff_max`.
//!
//! A participant read is tried as such once. It needs a recovery quorum, which may be out of reach for ever where the
//! leader's replication quorum is not; so every further try of it is a leader read, which promises the same.
//!
//! # Why this is safe
//! - A connection delivers a request at most once (it is a stream), and an answer only during its own life. So one
//!   refusal settles one try: an operation has at most one open try, and a second try follows a first on the same
//!   connection only when the first is settled already, or lost for good.
//! - *Not done* is said only if no try is open or lost. Then none of them is in a queue, in a log or on its way, and
//!   none ever will be.
//! - A (session, sequence) names one operation for ever, and a new `Client` registers a new session. So the replicated
//!   session table executes it at most once however often it is tried.
//! - The mark `acked` passes only finished sequences. A *done* one needs its reply no more. A *not done* one has no try
//!   left that could arrive. An *unknown* one may: if it executes before the mark does, it was executed once and
//!   nobody was told otherwise; if it comes after, it is at or below the mark, answered `Stale` and not executed.
//!   Executed twice it cannot be, because the table remembers the mark when it forgets the reply.
//! - The mark also bounds the table: a sequence is given out only within `in_flight_max` of it, so that a session never
//!   holds more replies than that.
//! - After `Expired` the old sequences mean nothing any more, so whatever may have executed under one is never sent
//!   again. A session that was silent for three quarters of its lifetime is given up before it can expire under a fresh
//!   write; one whose registration was given up for lost expires unused.
//!
//! # What is absent
//! No order between operations of one client: who needs one waits for the first to complete. No retry of an operation
//! under a new session once a try of it was lost: that is for the caller to decide, who knows what it means. No
//! connection to any but the current endpoint, except to hear the answers still expected elsewhere.

mod answers;
mod interface;
mod links;
mod operations;
mod sending;
mod session;
#[cfg(test)]
mod tests;

pub use interface::{
    Ask, ClientInput, ClientNote, ClientOptions, ClientOutput, EndpointId, IgnoredAnswer, OperationId, Outcome,
    WhyNotDone, WhyUnknown,
};

use crate::{
    message::Refusal,
    time::{Span, Time},
};
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use links::Links;
use operations::{Errand, Kind, Operations, Phase, Tag};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use session::Session;

/// One client of one cluster, as a value.
///
/// - At most one errand (register, keep alive, close) is under way at a time.
/// - An operation has a sequence exactly while the open session lists it in flight.
/// - An open try is on a connection that is up.
#[derive(Clone, Debug)]
pub struct Client {
    options: ClientOptions,
    links: Links,
    operations: Operations,
    session: Option<Session>,
    errand: Option<(Tag, Errand)>,
    /// Errands in a row whose try was lost. Each begins anew, so their own count of tries says nothing of it.
    lost_errands: u32,
    stage: Stage,
    /// When a node was last told that it might look for another leader, and on which connection.
    suggested: Option<(Time, Tag)>,
    last_tag: Tag,
    rng: ChaCha8Rng,
}

/// How far a client is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Open,
    /// Nothing new is taken; what is outstanding ends by then.
    Closing(Time),
    Closed,
}

/// What one step works with.
struct Turn<'a> {
    now: Time,
    out: &'a mut Vec<ClientOutput>,
}

impl Turn<'_> {
    fn note(&mut self, note: ClientNote) {
        self.out.push(ClientOutput::Note(note));
    }

    fn ignore(&mut self, why: IgnoredAnswer) {
        self.note(ClientNote::Ignored(why));
    }

    fn complete(&mut self, operation: OperationId, outcome: Outcome) {
        self.out.push(ClientOutput::Complete { operation, outcome });
    }
}

impl Client {
    /// A client of the cluster with members at these addresses: any of them will do, and the others it learns. It calls
    /// them by number and compares their text, no more. The seed spreads retries and the choice of the first endpoint.
    ///
    /// # Panics
    /// If there are no addresses, or [`ClientOptions::check`] fails.
    pub fn new(addresses: Vec<String>, options: ClientOptions, seed: u64, now: Time) -> Self {
        assert!(!addresses.is_empty(), "a client needs an endpoint to talk to");
        options.check().expect("the caller checks the options");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let first = EndpointId(below(&mut rng, addresses.len() as u64) as usize);
        Self {
            links: Links::new(addresses, first, options.try_timeout, now),
            operations: Operations::default(),
            session: None,
            errand: None,
            lost_errands: 0,
            stage: Stage::Open,
            suggested: None,
            last_tag: Tag(0),
            rng,
            options,
        }
    }

    /// Advances by exactly one input, appending what is to be done to `out`, which is to be done in that order. Never
    /// blocks, never fails, and never panics on what a node answered.
    pub fn step(&mut self, now: Time, input: ClientInput, out: &mut Vec<ClientOutput>) {
        let turn = &mut Turn { now, out };
        match input {
            ClientInput::Submit { operation, ask, payload, deadline } => {
                self.submit(turn, operation, ask, payload, deadline);
            }
            ClientInput::Connected { endpoint } => self.connected(turn, endpoint),
            ClientInput::Disconnected { endpoint } => self.disconnected(turn, endpoint),
            ClientInput::Received { endpoint, response } => self.received(turn, endpoint, response),
            ClientInput::Wake => {}
            ClientInput::Close { deadline } => self.close(deadline),
        }
        self.drop_silent_links(turn);
        self.fire_timers(turn);
        self.tend_session(turn);
        self.tend_close(turn);
        self.tend_links(turn);
        self.send_what_can_go(turn);
        self.drop_unused_links(turn);
    }

    /// When to feed [`ClientInput::Wake`] at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let is_quiet = |session: &&Session| session.is_idle() && self.operations.first_queued().is_none();
        let session = self.session.as_ref().filter(is_quiet).filter(|_| self.stage == Stage::Open);
        let session = session.map(|session| match self.errand {
            None => session.keep_alive_at(self.options.keep_alive_percent),
            Some(_) => session.doubtful_at(),
        });
        let link = self.links.deadline(!self.operations.is_empty());
        [self.operations.next_due(), session, link].into_iter().flatten().min()
    }

    /// Operations submitted and not complete.
    pub fn outstanding(&self) -> usize {
        self.operations.len() - usize::from(self.errand.is_some())
    }

    fn submit(&mut self, turn: &mut Turn, operation: OperationId, ask: Ask, payload: Bytes, deadline: Time) {
        if let Err(why) = self.may_submit(payload.len()) {
            turn.complete(operation, Outcome::NotDone { why });
            return;
        }
        let tag = self.draw_tag();
        match ask {
            Ask::Read(mode) => {
                self.operations.insert(tag, Kind::Read { operation, payload, mode }, Phase::Ready, deadline);
            }
            Ask::Write => {
                let kind = Kind::Write { operation, payload, sequence: None, lost: false };
                self.operations.insert(tag, kind, Phase::Queued, deadline);
            }
        }
    }

    fn may_submit(&self, bytes: usize) -> Result<(), WhyNotDone> {
        if self.stage != Stage::Open {
            return Err(WhyNotDone::Closed);
        }
        if self.outstanding() >= self.options.operations_max {
            return Err(WhyNotDone::QueueFull { limit: self.options.operations_max });
        }
        if bytes > self.options.payload_max {
            let (limit, actual) = (self.options.payload_max as u64, bytes as u64);
            return Err(WhyNotDone::Refused(Refusal::TooLarge { limit, actual }));
        }
        Ok(())
    }

    fn close(&mut self, deadline: Time) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closing(deadline);
            self.operations.clip_deadlines(deadline);
        }
    }

    /// Ends an operation. Its sequence, if it has one, is finished: see the module's last section on the mark.
    fn complete(&mut self, turn: &mut Turn, tag: Tag, outcome: Outcome) {
        match self.operations.remove(tag).kind {
            Kind::Read { operation, .. } => turn.complete(operation, outcome),
            Kind::Write { operation, sequence, .. } => {
                if let (Some(session), Some(sequence)) = (&mut self.session, sequence) {
                    session.finish(sequence);
                }
                turn.complete(operation, outcome);
            }
            Kind::Errand(_) => unreachable!("errands end without an outcome"),
        }
    }

    /// Tags and connection lives are drawn from one counter, so that no answer to one is taken for an answer to
    /// another.
    fn draw_tag(&mut self) -> Tag {
        self.last_tag.0 += 1;
        self.last_tag
    }

    /// Doubles with every attempt up to the maximum; the last half of it is chance, so that clients that failed
    /// together do not come back together.
    fn backoff(&mut self, attempt: u32) -> Span {
        let doubled = self.options.backoff_min.times(1 << attempt.saturating_sub(1).min(32));
        let whole = doubled.min(self.options.backoff_max).0;
        Span(whole - below(&mut self.rng, whole / 2 + 1))
    }
}

/// A number from `0..limit`, even enough for spreading.
fn below(rng: &mut ChaCha8Rng, limit: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(limit)) >> 64) as u64
}

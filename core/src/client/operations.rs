//! The operations a client has in hand: which of them can be sent, which wait and until when.

use super::{EndpointId, OperationId};
use crate::{
    ids::Sequence,
    message::{ReadMode, Refusal},
    time::Time,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use bytes::Bytes;

/// Names an operation, an errand or a connection's life to the nodes; drawn once and never again by one client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Tag(pub u64);

/// Something to be done, and how far it is.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub kind: Kind,
    /// When its first try left. An answer proves that the cluster heard of it after this, and of no later moment.
    pub first_sent: Option<Time>,
    /// How many tries have left.
    pub attempts: u32,
    /// What the last refused try was told.
    pub refusal: Option<Refusal>,
    deadline: Time,
    phase: Phase,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Read {
        operation: OperationId,
        payload: Bytes,
        /// How the next try is made.
        mode: ReadMode,
    },
    Write {
        operation: OperationId,
        payload: Bytes,
        /// Given out with the first try, and kept in the session it belongs to.
        sequence: Option<Sequence>,
        /// A try has ended with its fate open: from now on the write is done or unknown.
        lost: bool,
    },
    Errand(Errand),
}

/// What the client does on its own account, one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Errand {
    Register,
    KeepAlive,
    Close,
}

/// How far an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// A write that waits for a session with room.
    Queued,
    /// To be sent as soon as the current endpoint is connected.
    Ready,
    /// To be sent again, not before then.
    Waiting(Time),
    /// Sent and not answered.
    Open(Try),
}

/// One request on one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Try {
    pub endpoint: EndpointId,
    /// The connection's life.
    pub life: Tag,
    pub since: Time,
    /// When it is given up as lost.
    pub until: Time,
}

impl Operation {
    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn deadline(&self) -> Time {
        self.deadline
    }

    pub fn is_read(&self) -> bool {
        matches!(self.kind, Kind::Read { .. })
    }

    pub fn is_write(&self) -> bool {
        matches!(self.kind, Kind::Write { .. })
    }

    pub fn has_lost_a_try(&self) -> bool {
        matches!(self.kind, Kind::Write { lost: true, .. })
    }

    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether the one open try is on this life of this connection: then an answer there is to it.
    pub fn is_open_on(&self, endpoint: EndpointId, life: Tag) -> bool {
        matches!(self.phase, Phase::Open(open) if (open.endpoint, open.life) == (endpoint, life))
    }

    /// Whether a try of this write may have been given a place in the log, or may still be.
    pub fn may_have_executed(&self) -> bool {
        self.has_lost_a_try() || self.is_write() && self.is_open()
    }

    /// What says in which lists it is: its phase, and its deadline or the end of the phase, whichever is earlier.
    fn listing(&self) -> (Phase, Time) {
        let end = match self.phase {
            Phase::Queued | Phase::Ready => Time::NEVER,
            Phase::Waiting(until) => until,
            Phase::Open(open) => open.until,
        };
        (self.phase, self.deadline.min(end))
    }

    /// Records that a try ended with its fate open.
    pub fn lose_try(&mut self) {
        if let Kind::Write { lost, .. } = &mut self.kind {
            *lost = true;
        }
    }
}

/// All operations in hand, by tag, which is the order of submission.
///
/// - `ready` and `queue` hold exactly the operations in these phases.
/// - `timers` holds each operation once, at its deadline or the end of its phase, whichever is earlier.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations {
    table: BTreeMap<Tag, Operation>,
    ready: BTreeSet<Tag>,
    queue: BTreeSet<Tag>,
    timers: BTreeSet<(Time, Tag)>,
}

impl Operations {
    pub fn insert(&mut self, tag: Tag, kind: Kind, phase: Phase, deadline: Time) {
        let operation = Operation { kind, first_sent: None, attempts: 0, refusal: None, deadline, phase };
        self.enlist(tag, operation.listing());
        let before = self.table.insert(tag, operation);
        assert!(before.is_none(), "a tag is drawn once");
    }

    pub fn remove(&mut self, tag: Tag) -> Operation {
        let operation = self.table.remove(&tag).expect("only what is in hand is removed");
        self.delist(tag, operation.listing());
        operation
    }

    pub fn set_phase(&mut self, tag: Tag, phase: Phase) {
        let operation = self.get_mut(tag);
        let before = operation.listing();
        operation.phase = phase;
        let after = operation.listing();
        self.delist(tag, before);
        self.enlist(tag, after);
    }

    /// Lets no operation outlive `limit`.
    pub fn clip_deadlines(&mut self, limit: Time) {
        let tags: Vec<Tag> = self.table.keys().copied().collect();
        for tag in tags {
            let operation = self.get_mut(tag);
            let before = operation.listing();
            operation.deadline = operation.deadline.min(limit);
            let after = operation.listing();
            self.delist(tag, before);
            self.enlist(tag, after);
        }
    }

    pub fn get(&self, tag: Tag) -> Option<&Operation> {
        self.table.get(&tag)
    }

    pub fn get_mut(&mut self, tag: Tag) -> &mut Operation {
        self.table.get_mut(&tag).expect("only what is in hand is changed")
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The first operation after `tag` that is ready to be sent.
    pub fn ready_after(&self, tag: Tag) -> Option<Tag> {
        self.ready.range(Tag(tag.0 + 1)..).next().copied()
    }

    /// The oldest write that waits for a sequence.
    pub fn first_queued(&self) -> Option<Tag> {
        self.queue.first().copied()
    }

    /// Those with an open try on this connection, oldest first.
    pub fn open_on(&self, endpoint: EndpointId) -> impl Iterator<Item = Tag> {
        let on = move |operation: &Operation| matches!(operation.phase, Phase::Open(open) if open.endpoint == endpoint);
        self.table.iter().filter(move |(_, operation)| on(operation)).map(|(tag, _)| *tag)
    }

    /// One operation whose time has come.
    pub fn due(&self, now: Time) -> Option<Tag> {
        self.timers.first().filter(|(time, _)| *time <= now).map(|(_, tag)| *tag)
    }

    pub fn next_due(&self) -> Option<Time> {
        self.timers.first().map(|(time, _)| *time).filter(|time| *time < Time::NEVER)
    }

    fn enlist(&mut self, tag: Tag, (phase, timer): (Phase, Time)) {
        match phase {
            Phase::Queued => self.queue.insert(tag),
            Phase::Ready => self.ready.insert(tag),
            Phase::Waiting(_) | Phase::Open(_) => false,
        };
        self.timers.insert((timer, tag));
    }

    fn delist(&mut self, tag: Tag, (phase, timer): (Phase, Time)) {
        match phase {
            Phase::Queued => self.queue.remove(&tag),
            Phase::Ready => self.ready.remove(&tag),
            Phase::Waiting(_) | Phase::Open(_) => false,
        };
        self.timers.remove(&(timer, tag));
    }
}

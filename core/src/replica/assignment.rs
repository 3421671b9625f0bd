//! From a client's request to its place in the log: queue, batches, window, log time; and back to the client.
//!
//! The leader gives each batch the next index, exactly once per (view, index), and only while the index is within the
//! window: everything a window before it is known committed. Requests queue up during a driver's turn and while the
//! window is full, so batches grow with the load and wait for nothing without it.
//!
//! # Index exclusivity
//! Where the configuration asks for it, no index ever carries two different batches of clients. Above what a new leader
//! recovers, an earlier one may have assigned up to a window of batches that no recovery quorum heard of: so the new
//! one assigns a window of no-ops first, as ordinary assignments, each within the window (H9).
//!
//! # Log time
//! Each client batch carries a stamp: the log time its leader found when its recovered range was applied, plus its own
//! monotonic time since, in steps of at most [`STAMP_STEP_MAX`]. The leader counts from what it found, not from what an
//! earlier leader may have stamped and lost, so time is not counted twice (H13); and a leader that slept does not
//! expire every session on waking, before clients had a chance to be heard. Log time may therefore lag real time, but
//! outruns it only by the rate error of the clocks.

use super::{Replica, Role, choice::Decision, forwarding, lease::Tenure, pace::Pace, turn::Turn, window::Window};
use crate::{
    batch::{Batch, BatchBuilder, Command},
    ids::{ConnectionId, Digest, Incarnation, Index, NodeId, View},
    interface::{Note, Output},
    message::{ClientResponse, Refusal, RequestKey},
    options::Options,
    time::{Span, Time},
};
use alloc::collections::{BTreeMap, VecDeque, vec_deque};
use core::mem;

/// The longest step log time takes at once.
pub const STAMP_STEP_MAX: Span = Span::secs(1);
/// The shortest time between two ticks.
const TICK_MIN: Span = Span::millis(1);

/// What a leader knows beyond what every replica knows.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    pub(super) view: View,
    /// The last index of the recovered range.
    pub(super) recovered: Index,
    /// Whether the recovered range is committed and applied, so that new batches may be assigned.
    pub(super) opened: bool,
    pub(super) window: Window,
    /// Since when it leads.
    pub(super) since: Time,
    /// The last heartbeat sent.
    pub(super) round: u64,
    pub(super) heartbeat_at: Time,
    pub(super) acks: BTreeMap<NodeId, Ack>,
    /// How fast the others are, if that matters here.
    pub(super) pace: Pace,
    /// How many assignments were to go to a delegate: whose turn it is.
    pub(super) delegated: u64,
    /// What is still to be proposed, or kept, of the recovered range.
    pub(super) plan: VecDeque<(Index, Decision)>,
    /// Up to here an earlier leader may have assigned what nobody told of: no-ops come first.
    gap_until: Index,
    pub(super) lease: Tenure,
    /// Some replica needs everything up to here committed to be whole again.
    fill_until: Index,
    /// Whom it hands its place to: nothing new is assigned.
    pub(super) successor: Option<NodeId>,
    /// The last stamp given, and when.
    stamped: (Time, Time),
}

/// The last acknowledgement of one follower.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ack {
    pub(super) round: u64,
    pub(super) at: Time,
}

impl Leader {
    pub(super) fn new(view: View, first: Index, plan: VecDeque<(Index, Decision)>, now: Time) -> Self {
        let recovered = plan.back().map_or(Index(first.0 - 1), |(index, _)| *index);
        Self {
            view,
            recovered,
            opened: false,
            window: Window::new(first),
            since: now,
            round: 0,
            heartbeat_at: now,
            acks: BTreeMap::new(),
            pace: Pace::default(),
            delegated: 0,
            plan,
            gap_until: Index::ZERO,
            lease: Tenure::default(),
            fill_until: Index::ZERO,
            successor: None,
            stamped: (Time::ZERO, now),
        }
    }

    pub(super) fn fill_until(&mut self, until: Option<Index>) {
        self.fill_until = self.fill_until.max(until.unwrap_or(Index::ZERO));
    }

    /// Whether a committed batch can only be the work of a later view: it is not what this one proposes there. (If it
    /// is, a later view may have chosen it too, and nothing that this leader says of it becomes wrong.)
    pub(super) fn is_overtaken_by(&self, index: Index, batch: &Batch) -> bool {
        let planned = || self.plan.iter().find(|(at, _)| *at == index).and_then(|(_, decision)| decision.batch());
        match self.window.digest(index).or_else(|| planned().map(Batch::digest)) {
            Some(proposed) => proposed != batch.digest(),
            None => index >= self.window.next(),
        }
    }

    /// Whether an assignment up to `index` went out again without being chosen.
    pub(super) fn waits_in_vain(&self, index: Index) -> bool {
        self.window
            .waiting()
            .next()
            .is_some_and(|(first, slot)| first <= index && (slot.resent > 0 || !slot.tried.is_empty()))
    }

    /// Log time for a batch assigned now.
    fn stamp(&mut self, now: Time) -> Time {
        let (last, at) = self.stamped;
        self.stamped = (last + now.since(at).min(STAMP_STEP_MAX), now);
        self.stamped.0
    }

    /// When a tick is due, so that log time reaches `next_expiry`.
    pub(super) fn tick_at(&self, next_expiry: Option<Time>) -> Option<Time> {
        let (last, at) = self.stamped;
        let missing = next_expiry.filter(|_| self.opened)?;
        (last <= missing).then(|| at + missing.since(last).min(STAMP_STEP_MAX).max(TICK_MIN))
    }
}

/// Who waits for the outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// A client of this node.
    Client {
        /// On which connection.
        connection: ConnectionId,
        /// For which request.
        request: RequestKey,
    },
    /// A participant that forwarded it, and answers its client itself.
    Forwarder {
        /// Who.
        node: NodeId,
        /// In which of its messages.
        nonce: (Incarnation, u64),
        /// At which place there.
        place: u32,
    },
}

impl Waiter {
    /// Whether this may be the command that a client waits for, as far as its request tells.
    pub(super) fn asked_for(&self, command: &Command<&[u8]>) -> bool {
        match (self, command) {
            (Waiter::Client { request, .. }, Command::Request { session, sequence, .. }) => {
                *request == RequestKey::Write(*session, *sequence)
            }
            (Waiter::Client { request, .. }, _) => matches!(request, RequestKey::Tag(_)),
            (Waiter::Forwarder { .. }, _) => false,
        }
    }

    /// The participant that forwarded the command.
    pub(super) fn forwarder(&self) -> Option<NodeId> {
        match self {
            Waiter::Forwarder { node, .. } => Some(*node),
            Waiter::Client { .. } => None,
        }
    }

    /// The client's connection.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Waiter::Client { connection, .. } => Some(*connection),
            Waiter::Forwarder { .. } => None,
        }
    }
}

/// Requests on their way through this leader. A request is encoded into its batch the moment it arrives, so that
/// nothing of the frame it came in is held on to while it waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignments {
    /// Batches that grow no more, in the order in which they are to be assigned.
    full: VecDeque<Gathered>,
    /// The batch after them.
    growing: Gathered,
    /// How many commands wait in all of these.
    queued: usize,
    /// When the first of them arrived.
    since: Time,
    /// Batches assigned here and not applied yet: where, what, and how many commands.
    waiting: VecDeque<(Index, Digest, usize)>,
    /// Who waits: for the commands of `waiting`, then for those that are queued, in their order.
    waiters: VecDeque<Waiter>,
    /// How many of them forwarded what they wait for.
    forwarders: usize,
}

/// A batch that waits to be assigned.
#[derive(Clone, Debug, Default)]
struct Gathered {
    /// Who forwarded it, if that matters.
    origin: Option<NodeId>,
    batch: BatchBuilder,
}

impl Gathered {
    /// Whether another command of this origin belongs here.
    fn takes(&self, options: &Options, origin: Option<NodeId>, command: &Command) -> bool {
        self.batch.is_empty()
            || self.origin == origin
                && self.batch.len() < options.max_batch
                && self.batch.size() + command.size() <= options.max_batch_bytes
    }
}

/// What a leader assigns next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// A no-op of the gap above the recovered range.
    Gap,
    /// The first batch of the queue.
    Queued,
    /// A batch without commands: log time must go on, or an index be filled.
    Tick,
}

impl Assignments {
    /// How many commands wait for a place.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Whether every command that has a place has been executed here.
    pub(super) fn nobody_waits(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Queues a command.
    #[inline]
    pub(super) fn enqueue(&mut self, now: Time, options: &Options, waiter: Waiter, command: &Command) {
        if self.queued == 0 {
            self.since = now;
        }
        let origin = forwarding::origin_of(options, waiter);
        if !self.growing.takes(options, origin, command) {
            let batch = BatchBuilder::with_capacity(self.growing.batch.size());
            self.full.push_back(mem::replace(&mut self.growing, Gathered { origin, batch }));
        }
        self.growing.origin = origin;
        self.growing.batch.push(command);
        self.queued += 1;
        self.forwarders += usize::from(waiter.forwarder().is_some());
        self.waiters.push_back(waiter);
    }

    /// Cuts the first batch of the queue, which is not empty, and tells those who forwarded something in it. Returns it
    /// with its origin.
    fn cut(&mut self, turn: &mut Turn, stamp: Time, index: Index) -> (Batch, Option<NodeId>) {
        let mut full = self.full.pop_front();
        let first = full.as_mut().unwrap_or(&mut self.growing);
        let (count, origin) = (first.batch.len(), first.origin);
        let batch = first.batch.finish(stamp);
        if self.forwarders > 0 {
            let before = self.waiters.len() - self.queued;
            let waiters = self.waiters.range(before..before + count);
            forwarding::tell_places(turn, index, batch.digest(), waiters);
        }
        self.queued -= count;
        self.waiting.push_back((index, batch.digest(), count));
        (batch, origin)
    }

    /// Refuses whoever waits: what is queued is not done, what is assigned may still take effect.
    pub(super) fn refuse_all(&mut self, turn: &mut Turn, leader: Option<NodeId>) {
        self.refuse_queued(turn, leader);
        for waiter in self.waiters.drain(..) {
            refuse(turn, waiter, Refusal::Deposed { leader });
        }
        self.waiting.clear();
        self.forwarders = 0;
    }

    /// Refuses whoever waits for a place.
    pub(super) fn refuse_queued(&mut self, turn: &mut Turn, leader: Option<NodeId>) {
        let assigned = self.waiters.len() - self.queued;
        for waiter in self.waiters.drain(assigned..) {
            self.forwarders -= usize::from(waiter.connection().is_none());
            refuse(turn, waiter, Refusal::NotLeader { leader });
        }
        self.full.clear();
        self.growing = Gathered::default();
        self.queued = 0;
    }

    /// Refuses whoever waits for a batch up to `index`: a snapshot has taken its place, and what it did is not known.
    pub(super) fn pass_over(&mut self, turn: &mut Turn, index: Index, leader: Option<NodeId>) {
        while let Some((_, _, count)) = self.waiting.pop_front_if(|(waits, _, _)| *waits <= index) {
            for waiter in self.waiters.drain(..count) {
                self.forwarders -= usize::from(waiter.connection().is_none());
                refuse(turn, waiter, Refusal::Deposed { leader });
            }
        }
    }

    /// Takes what a connection has asked for out of the queue.
    fn forget(&mut self, connection: ConnectionId) {
        let assigned = self.waiters.len() - self.queued;
        let stays = |waiter: &Waiter| waiter.connection() != Some(connection);
        if self.waiters.range(assigned..).all(stays) {
            return;
        }
        let queued = self.waiters.split_off(assigned);
        let mut places = queued.iter();
        for Gathered { batch, .. } in self.full.iter_mut().chain([&mut self.growing]) {
            batch.retain(|_| stays(places.next().expect("every command has a waiter")));
        }
        self.full.retain(|gathered| !gathered.batch.is_empty());
        self.waiters.extend(queued.into_iter().filter(stays));
        self.queued = self.waiters.len() - assigned;
    }

    /// When the batch interval of the first queued request ends.
    pub(super) fn batch_at(&self, options: &Options) -> Option<Time> {
        let waits = self.queued > 0 && options.batch_interval > Span::ZERO;
        waits.then(|| self.since + options.batch_interval)
    }

    /// Whether a batch is to be cut now: because it is full, or has waited long enough.
    fn is_ripe(&self, options: &Options, now: Time) -> bool {
        self.queued > 0
            && (!self.full.is_empty()
                || self.growing.batch.len() >= options.max_batch
                || now >= self.since + options.batch_interval)
    }
}

/// Tells who waits that it was in vain. A participant that forwarded something is told by other means.
pub(super) fn refuse(turn: &mut Turn, waiter: Waiter, refusal: Refusal) {
    if let Waiter::Client { connection, request } = waiter {
        let response = ClientResponse::Refused { request, refusal };
        turn.out.push(Output::Reply { connection, response });
    }
}

impl Replica {
    /// Queues a client's command, forwards it, or refuses it at once.
    pub fn submit(&mut self, turn: &mut Turn, waiter: Waiter, command: &Command) {
        let Role::Leader(leader) = &self.role else {
            if !self.forward(turn, waiter, command) {
                let refusal = if self.is_running() { self.not_leader() } else { Refusal::NotReady };
                refuse(turn, waiter, refusal);
            }
            return;
        };
        if leader.successor.is_some() {
            return refuse(turn, waiter, Refusal::NotLeader { leader: leader.successor });
        }
        if self.assignments.queued >= self.options.queue_max || self.is_at_length() {
            return refuse(turn, waiter, Refusal::Overloaded);
        }
        self.assignments.enqueue(turn.now, &self.options, waiter, command);
    }

    /// Forgets what a connection that is gone has asked for, as far as it has no place in the log yet. Nobody would
    /// hear its outcome, and whoever asks for it again elsewhere must not wait behind it.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.reads.forget(connection);
        self.barriers.forget(connection);
        self.referrals.forget(connection);
        self.assignments.forget(connection);
        self.forwards.forget(connection);
        self.forget_command(connection);
    }

    // ---- Assigning.

    pub(super) fn wants_assign(&self, now: Time, next_expiry: Option<Time>) -> bool {
        self.next_assignment(now, next_expiry).is_some()
    }

    /// What is ripe for the next place in the window: what clients wait for, and last what keeps log time and repairs
    /// going without clients.
    fn next_assignment(&self, now: Time, next_expiry: Option<Time>) -> Option<Next> {
        let Role::Leader(leader) = &self.role else { return None };
        let next = leader.window.next();
        let tick_due = || leader.fill_until >= next || leader.tick_at(next_expiry).is_some_and(|tick| now >= tick);
        if !leader.opened || !self.has_room() {
            None
        } else if leader.gap_until >= next {
            Some(Next::Gap)
        } else if self.assignments.is_ripe(&self.options, now) {
            Some(Next::Queued)
        } else {
            tick_due().then_some(Next::Tick)
        }
    }

    /// Assigns what is ripe, as far as the window goes.
    pub(super) fn assign(&mut self, turn: &mut Turn, next_expiry: Option<Time>) {
        while let Some(next) = self.next_assignment(turn.now, next_expiry) {
            match next {
                Next::Gap => self.propose(turn, Batch::noop(), false, None),
                Next::Queued => self.assign_batch(turn),
                Next::Tick => {
                    let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader assigns") };
                    let tick = BatchBuilder::default().finish(leader.stamp(turn.now));
                    self.propose(turn, tick, false, None);
                }
            }
        }
    }

    fn assign_batch(&mut self, turn: &mut Turn) {
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader assigns") };
        let stamp = leader.stamp(turn.now);
        let index = leader.window.next();
        let (batch, origin) = self.assignments.cut(turn, stamp, index);
        self.assignments.since = turn.now;
        self.propose(turn, batch, false, origin);
    }

    /// Whether the window has a place for another assignment.
    pub(super) fn has_room(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let next = leader.window.next();
        leader.successor.is_none() && next <= self.log.floor().plus(self.history.configuration_at(next).window())
    }

    // ---- Opening the window.

    /// Whether the recovered range is committed, so that the window can open once it is applied.
    pub fn wants_opening(&self) -> bool {
        let recovered = |leader: &Leader| !leader.opened && self.log.floor() >= leader.recovered;
        matches!(&self.role, Role::Leader(leader) if recovered(leader)) && !self.has_lost_state()
    }

    /// Opens the window: the recovered range is committed and applied, with log time at `log_time`.
    pub fn open_window(&mut self, turn: &mut Turn, log_time: Time) {
        let floor = self.log.floor();
        let Role::Leader(leader) = &mut self.role else { unreachable!("only a leader opens its window") };
        assert!(!leader.opened && floor >= leader.recovered, "the recovered range comes first");
        leader.opened = true;
        if self.history.configuration_at(floor.next()).index_exclusivity() {
            leader.gap_until = leader.recovered.plus(self.history.configuration_at(floor.next()).window());
        }
        leader.stamped = (log_time, turn.now);
        let view = leader.view;
        turn.note(Note::WindowOpened { view, floor });
        self.heartbeat_due(turn);
    }

    // ---- Back to the clients.

    /// Who waits for the batch applied at `index`. Whoever waits for another batch there is told that its leader lost.
    pub fn take_waiters(&mut self, turn: &mut Turn, index: Index, digest: Digest) -> vec_deque::Drain<'_, Waiter> {
        let Assignments { waiting, waiters, forwarders, .. } = &mut self.assignments;
        let Some((first, assigned, mut count)) = waiting.front().copied().filter(|(first, _, _)| *first <= index)
        else {
            return waiters.drain(..0);
        };
        assert!(first == index, "batches are applied in order, and so were they assigned");
        waiting.pop_front();
        if *forwarders > 0 {
            *forwarders -= waiters.range(..count).filter(|waiter| waiter.connection().is_none()).count();
        }
        if assigned != digest {
            for waiter in waiters.drain(..count) {
                refuse(turn, waiter, Refusal::Deposed { leader: self.following });
            }
            count = 0;
        }
        waiters.drain(..count)
    }
}

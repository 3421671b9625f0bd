//! The protocol: one replica of a replicated log.
//!
//! Ios is Multi-Paxos with numbered views, flexible quorums and an out-of-order window. Each file is one conversation,
//! both sides of it together:
//!
//! | file | conversation |
//! | --- | --- |
//! | `links` | `Hello`, `Refused`: who is at the other end, and the founding of the cluster |
//! | `view_change` | `Canvass`, `Prepare`, `Promise`, `Reject`: who leads |
//! | `assignment` | clients and leader: queue, batches, window, log time |
//! | `forwarding` | `Forward`, `Forwarded`: commands of clients that are connected to another node |
//! | `replication` | `Accept`, `Accepted`: storing a batch at a replication quorum |
//! | `coordination` | `Assign`: the same on a leader's behalf; whom to ask |
//! | `commit` | `Chosen`, floors, `Fetch`, `Entries`: learning what is chosen |
//! | `snapshot` | `SnapshotAsk`, `SnapshotOffer`, `SnapshotAck`, `SnapshotChunk`: what is in nobody's log any more |
//! | `transfer` | `Transfer`, `Released`: a leader hands its place to another |
//! | `reads` | `Heartbeat` and its acknowledgement: signs of life, leader reads |
//! | `barrier` | `Barrier`, `HighWater`: participant reads |
//! | `referral` | `ReadIndexAsk`, `ReadIndex`: leader reads of clients that are connected to another node |
//! | `divergence` | `Diverged`, and checkpoints in acknowledgements: whether all are in the same state |
//! | `lease` | what acknowledging a heartbeat grants: reads by lease |
//!
//! Apart from them, pure: `quorum` (which sets suffice), `choice` (what a new leader proposes), `log` (what is held),
//! `window` (what is in flight), `pace` (who answers soon), `inquiry` (reads that others are asked about), `turn` (what
//! every leaf works with, and what waits for the disk).
//!
//! ```text
//!              leader silent                Q1 misses its leader,           Q1 promised,
//!                                           Q2 answers                      every index decided
//!   Follower ----------------> Canvassing ----------------> Candidate ---------------------> Leader
//!      ^  ^                        |                          |   ^                            |  |
//!      |  +---- leader heard ------+                          |   +--- told of a higher -------+  |
//!      |  +---- higher view, higher promise, timeout ---------+        promise (renewal)          |
//!      +------- higher view, no Q2 answers, disk stalls ------------------------------------------+
//! ```
//!
//! Absent on purpose: clocks, threads, sockets, files. A replica knows nothing of what it replicates: batches are bytes
//! that [`crate::service`] executes in log order. Deciding where a promise is durable is the journal's business; this
//! module only says what must be durable first ([`turn`]).

pub mod assignment;
mod barrier;
mod choice;
mod commit;
mod coordination;
mod divergence;
mod forwarding;
mod inquiry;
mod lease;
mod links;
pub mod log;
mod pace;
pub mod quorum;
pub mod reads;
mod referral;
mod replication;
pub mod snapshot;
mod transfer;
pub mod turn;
mod view_change;
mod window;

use crate::{
    configuration::{Configuration, ConfigurationHistory},
    ids::{ClusterId, Incarnation, Index, NodeId, NodeSet, View},
    interface::{Fault, Ignored, Note, StepDown, Timer},
    journal::{Record, Recovered, Ticket},
    message::{PeerMessage, Refusal},
    node::Config,
    options::Options,
    time::{Span, Time},
};
use alloc::boxed::Box;
use assignment::{Assignments, Leader};
use barrier::Barriers;
use commit::{Hollow, Learner};
use coordination::Coordinations;
use divergence::Checkpoints;
use forwarding::Forwards;
use lease::Grants;
use links::Links;
use log::{Entry, Log};
use rand_chacha::{ChaCha8Rng, rand_core::RngCore};
use reads::Reads;
use referral::Referrals;
use snapshot::Snapshots;
use transfer::Handover;
use turn::{Effect, Turn, Withheld};
use view_change::{Candidate, Canvass};

/// No cluster gets this far in its life: a message that names a higher round is damaged or forged.
pub const ROUND_MAX: u64 = 1 << 48;

/// One replica's protocol state. Everything durable in it has been handed to the journal.
#[derive(Clone, Debug)]
pub struct Replica {
    me: NodeId,
    incarnation: Incarnation,
    history: ConfigurationHistory,
    options: Options,
    /// Binding from the moment it is raised; durable when `promise_ticket` is covered.
    promised: View,
    promise_ticket: Ticket,
    /// The highest round heard of, promised or not: where to look for a view of one's own.
    highest_round: u64,
    role: Role,
    log: Log,
    withheld: Withheld,
    links: Links,
    learner: Learner,
    coordinations: Coordinations,
    forwards: Forwards,
    handover: Option<Handover>,
    hollow: Option<Hollow>,
    assignments: Assignments,
    reads: Reads,
    barriers: Barriers,
    referrals: Referrals,
    snapshots: Snapshots,
    checkpoints: Checkpoints,
    grants: Grants,
    /// The leader of the promised view, once heard.
    following: Option<NodeId>,
    /// When that leader was last heard.
    contact: Time,
    /// When to canvass, or to give a candidacy up.
    election_at: Time,
    /// When that was last put off: since then nothing was heard of anybody who leads, or is about to.
    quiet_since: Time,
    /// When to send again what went unanswered.
    retry_at: Time,
    /// When a batch that others could be asked about is late.
    overdue_at: Time,
    /// When this node last moved its own leadership to a higher view.
    renewed: Option<Time>,
    /// The floor most recently handed to the journal.
    recorded_floor: Index,
    fault: Option<Fault>,
}

#[derive(Clone, Debug)]
enum Role {
    Follower,
    Canvassing(Canvass),
    Candidate(Candidate),
    Leader(Box<Leader>),
}

impl Replica {
    /// A replica as its journal recovered it. It says nothing but `Hello` until the cluster is founded.
    pub fn new(config: &Config, recovered: Recovered, ticket: Ticket, now: Time, rng: &mut ChaCha8Rng) -> Self {
        let mut log = Log::above(recovered.base);
        for entry in recovered.entries {
            let certain = entry.certain || !recovered.loss;
            let (accepted, committed, unknown) = (entry.accepted, entry.committed, entry.unknown.map(Box::new));
            log.restore(entry.index, Entry { accepted, committed, unknown, certain });
        }
        let identity = recovered.identity;
        let options = config.options.clone();
        let mut replica = Self {
            me: config.node,
            incarnation: identity.incarnation,
            history: ConfigurationHistory::new(config.configuration.clone()),
            promised: identity.promised,
            promise_ticket: ticket,
            highest_round: identity.promised.round,
            role: Role::Follower,
            log,
            withheld: Withheld::default(),
            links: Links::new(config, &identity),
            learner: Learner::new(recovered.floor),
            coordinations: Coordinations::default(),
            forwards: Forwards::default(),
            handover: None,
            hollow: recovered.loss.then(Hollow::default),
            assignments: Assignments::default(),
            reads: Reads::default(),
            barriers: Barriers::default(),
            referrals: Referrals::default(),
            snapshots: Snapshots::default(),
            checkpoints: Checkpoints::default(),
            grants: Grants::new(now),
            following: None,
            contact: Time::ZERO,
            election_at: now + options.election_timeout + jitter(rng, options.election_timeout),
            quiet_since: now,
            retry_at: now,
            overdue_at: Time::NEVER,
            renewed: None,
            recorded_floor: recovered.floor,
            fault: None,
            options,
        };
        if recovered.snapshot.is_none() && recovered.base > Index::ZERO {
            replica.lose_state();
        }
        replica
    }

    // ---- Inputs.

    /// Takes a message of a peer.
    pub fn receive(&mut self, turn: &mut Turn, from: NodeId, message: PeerMessage) {
        if from == self.me || !self.members().contains(from) {
            return turn.ignore(Ignored::Stranger);
        }
        match message {
            PeerMessage::Hello(hello) => return self.hello(turn, from, *hello),
            PeerMessage::Refused { nonce, incarnation, why } => {
                return self.refused(turn, from, nonce, incarnation, why);
            }
            _ => {}
        }
        if !self.is_running() {
            return turn.ignore(Ignored::NotRunning);
        }
        if !self.links.is_verified(from) {
            return turn.ignore(Ignored::Unverified);
        }
        if message.highest_round() > ROUND_MAX {
            return turn.ignore(Ignored::OutOfRange);
        }
        match message {
            PeerMessage::Hello(_) | PeerMessage::Refused { .. } => unreachable!("handled above"),
            PeerMessage::Canvass { view } => self.canvass_asked(turn, from, view),
            PeerMessage::CanvassReply { view, missing_leader, promised } => {
                self.canvass_answered(turn, from, view, missing_leader, promised);
            }
            PeerMessage::Prepare { view, from: first } => self.prepare(turn, from, view, first),
            PeerMessage::Promise(promise) => self.promise_received(turn, from, *promise),
            PeerMessage::Reject { view, promised } => self.rejected(turn, view, promised),
            PeerMessage::Accept { view, index, batch, floor, coordinator } => {
                self.accept(turn, from, replication::Accept { view, index, batch, floor, coordinator });
            }
            PeerMessage::Accepted { view, index, digest, incarnation } => {
                if self.links.incarnation(from).is_some_and(|known| incarnation > known) {
                    self.links.doubt(from);
                    return turn.ignore(Ignored::Unverified);
                }
                self.accepted(turn, from, view, index, digest);
            }
            PeerMessage::Chosen { view, index, digest } => self.chosen(turn, from, view, index, digest),
            PeerMessage::Heartbeat { view, round, floor } => self.heartbeat(turn, from, view, round, floor),
            PeerMessage::HeartbeatAck { view, round, hollow_until, checkpoint } => {
                self.heartbeat_acked(turn, from, view, round, hollow_until, checkpoint.as_deref().copied());
            }
            PeerMessage::Diverged { index, state_hash } => self.told_of_divergence(turn, from, index, state_hash),
            PeerMessage::Fetch { nonce, from: first, to } => self.fetch_asked(turn, from, nonce, first, to),
            PeerMessage::Entries { nonce, leading, entries } => {
                self.entries_received(turn, from, nonce, leading, entries);
            }
            PeerMessage::Assign { view, index, batch, floor } => {
                self.assigned(turn, from, coordination::Assign { view, index, batch, floor });
            }
            PeerMessage::Forward { nonce, batch } => self.forward_asked(turn, from, nonce, &batch),
            PeerMessage::Forwarded { nonce, outcome } => self.forwarded(turn, from, nonce, outcome),
            PeerMessage::Barrier { nonce } => self.barrier_asked(turn, from, nonce),
            PeerMessage::HighWater { nonce, high, floor, view } => {
                self.high_water(turn, from, nonce, barrier::Reach { high, floor, view });
            }
            PeerMessage::ReadIndexAsk { nonce } => self.read_index_asked(turn, from, nonce),
            PeerMessage::ReadIndex { nonce, index } => self.read_index_told(turn, from, nonce, index),
            PeerMessage::Transfer { view } => self.transferred(turn, from, view),
            PeerMessage::Released { view } => self.released(turn, from, view),
            PeerMessage::SnapshotAsk { above } => self.snapshot_asked(turn, from, above),
            PeerMessage::SnapshotOffer { seal } => self.snapshot_offered(turn, from, seal),
            PeerMessage::SnapshotAck { seal, next } => self.snapshot_acked(turn, from, seal, next),
            PeerMessage::SnapshotChunk { seal, number, data } => {
                self.snapshot_chunk(turn, from, *seal, number, data);
            }
        }
    }

    /// Performs what the journal has caught up with.
    pub fn release(&mut self, turn: &mut Turn) {
        while let Some(effect) = self.withheld.pop(turn.journal) {
            match effect {
                Effect::Send { to, message } => turn.send(NodeSet::only(to), *message),
                Effect::Accepted { view, index, digest, coordinator } => {
                    turn.note(Note::Accepted { view, index, digest });
                    if coordinator == self.me {
                        self.accepted(turn, self.me, view, index, digest);
                    } else {
                        let incarnation = self.incarnation;
                        let to = NodeSet::only(coordinator);
                        turn.send_with(to, || PeerMessage::Accepted { view, index, digest, incarnation });
                    }
                }
                Effect::Candidacy { view } => self.candidacy_durable(turn, view),
                Effect::Founded => self.founding_durable(turn),
            }
        }
    }

    /// Does what is due by the clock.
    pub fn wake(&mut self, turn: &mut Turn) {
        if turn.now >= self.retry_at {
            self.retry_at = turn.now + self.retry_interval();
            self.greet(turn);
            if self.is_running() {
                self.retry_promises(turn);
                self.retry_late(turn);
                self.retry_forwards(turn);
                self.retry_snapshot(turn);
                self.retry_fetch(turn);
                self.retry_barriers(turn);
                self.retry_referrals(turn);
            }
        }
        if !self.is_running() {
            return;
        }
        if turn.now >= self.overdue_at {
            self.retry_late(turn);
        }
        if let Role::Leader(leader) = &self.role {
            if turn.now >= leader.heartbeat_at {
                self.heartbeat_due(turn);
            }
        } else if turn.now >= self.election_at {
            self.election_due(turn);
        }
    }

    /// Ends a driver's turn: assigns what is queued, confirms what is read, and records the floor if a round goes out
    /// anyway.
    pub fn end_turn(&mut self, turn: &mut Turn, next_expiry: Option<Time>) {
        self.forward_gathered(turn);
        self.refer_gathered(turn);
        self.assign(turn, next_expiry);
        self.confirm_reads(turn);
        if self.barriers.wants_question() {
            self.begin_barrier(turn);
        }
        if self.log.floor() > self.recorded_floor && turn.journal.wants_flush() {
            self.recorded_floor = self.log.floor();
            turn.journal.append(Record::Floor { index: self.recorded_floor });
        }
    }

    /// Whether [`Replica::end_turn`] has something to do now.
    pub fn wants_turn(&self, now: Time, next_expiry: Option<Time>) -> bool {
        self.wants_assign(now, next_expiry)
            || self.wants_confirm()
            || self.wants_forward()
            || self.barriers.wants_question()
            || self.wants_referral()
    }

    /// The next moment at which [`Replica::wake`] or [`Replica::end_turn`] has something to do.
    pub fn deadline(&self, next_expiry: Option<Time>) -> (Time, Timer) {
        let mut earliest = (self.retry_at, Timer::Retry);
        let mut consider = |time: Time, timer| {
            if time < earliest.0 {
                earliest = (time, timer);
            }
        };
        if self.is_running() {
            consider(self.overdue_at, Timer::Retry);
            match &self.role {
                Role::Leader(leader) => {
                    consider(leader.heartbeat_at, Timer::Heartbeat);
                    // Without room nothing can be assigned whatever the time; an acceptance makes room.
                    if leader.opened && self.has_room() {
                        if let Some(tick) = leader.tick_at(next_expiry) {
                            consider(tick, Timer::Tick);
                        }
                        if let Some(batch) = self.assignments.batch_at(&self.options) {
                            consider(batch, Timer::Batch);
                        }
                    }
                }
                _ => consider(self.election_at, Timer::Election),
            }
        }
        earliest
    }

    /// Gives up leading in good order: the node stops.
    pub fn shut_down(&mut self, turn: &mut Turn) {
        if self.is_active() {
            self.become_follower(turn, StepDown::Stopping);
        }
        self.refuse_waiting(turn);
        self.give_up_barriers(turn, Time::NEVER);
        self.give_up_referrals(turn, Time::NEVER);
    }

    // ---- State.

    /// What this replica must not go on with.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Which member this is.
    pub fn id(&self) -> NodeId {
        self.me
    }

    /// The log in memory.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The view this replica has promised.
    pub fn promised(&self) -> View {
        self.promised
    }

    /// This life.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The cluster, once founded.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.links.cluster()
    }

    /// Members at the other end of a verified link, and this node.
    pub fn reachable(&self) -> NodeSet {
        self.links.verified().with(self.me)
    }

    /// Whether records were lost that cannot be named, and not everything they may have held is committed here yet.
    pub fn is_hollow(&self) -> bool {
        self.hollow.is_some()
    }

    /// Whom clients should turn to.
    pub fn leader(&self) -> Option<NodeId> {
        match self.role {
            Role::Leader(_) => Some(self.me),
            _ => self.following,
        }
    }

    /// What this replica is doing, in a word.
    pub fn role_name(&self) -> &'static str {
        match &self.role {
            _ if !self.is_running() => "founding",
            Role::Follower => "follower",
            Role::Canvassing(_) => "canvassing",
            Role::Candidate(_) => "candidate",
            Role::Leader(leader) if leader.opened => "leader",
            Role::Leader(_) => "recovering",
        }
    }

    /// Whether anything still waits for the disk.
    pub fn is_settled(&self) -> bool {
        self.withheld.is_empty()
    }

    fn is_running(&self) -> bool {
        self.links.complete()
    }

    fn is_active(&self) -> bool {
        matches!(self.role, Role::Leader(_) | Role::Candidate(_))
    }

    fn members(&self) -> NodeSet {
        self.history.genesis().quorums().members()
    }

    fn others(&self) -> NodeSet {
        self.members().without(self.me)
    }

    /// The configuration that governs the first index this replica does not know committed.
    fn configuration_ahead(&self) -> &Configuration {
        self.history.configuration_at(self.log.floor().next())
    }

    fn retry_interval(&self) -> Span {
        retry_interval(&self.options)
    }

    fn not_leader(&self) -> Refusal {
        Refusal::NotLeader { leader: self.following }
    }

    // ---- Changes of role, the only places that assign it.

    /// Binds this replica to `view` if that is news, and follows its leader if that is who spoke.
    fn adopt(&mut self, turn: &mut Turn, view: View, leader: Option<NodeId>) {
        assert!(view >= self.promised, "promises never go back");
        let news = view > self.promised;
        if news {
            self.bind(turn, view);
        }
        if let Some(leader) = leader {
            self.following = Some(leader);
            self.contact = turn.now;
        }
        if news || leader.is_some() {
            if !matches!(self.role, Role::Follower) {
                self.become_follower(turn, StepDown::HigherView);
            }
            self.put_off_election(turn);
        }
    }

    /// Promises `view`: from now on nothing below it is accepted. Durable when the journal says so.
    fn bind(&mut self, turn: &mut Turn, view: View) {
        assert!(view > self.promised, "a promise is made once");
        self.promised = view;
        self.highest_round = self.highest_round.max(view.round);
        turn.journal.promise(view);
        self.promise_ticket = turn.journal.ticket();
        turn.note(Note::Promised { view });
        self.coordinations.clear();
        self.following = None;
        self.forwards.refuse_all(turn, None);
        self.referrals.refuse_all(turn, None);
    }

    fn become_follower(&mut self, turn: &mut Turn, why: StepDown) {
        let view = self.promised;
        let was_active = self.is_active();
        match core::mem::replace(&mut self.role, Role::Follower) {
            Role::Leader(leader) => turn.note(Note::SteppedDown { view: leader.view, why }),
            Role::Candidate(candidate) => turn.note(Note::SteppedDown { view: candidate.view, why }),
            Role::Canvassing(_) | Role::Follower => {}
        }
        if self.following == Some(self.me) {
            self.following = None;
        }
        // What a participant has forwarded goes on: it may be the very leader that was missed that is heard.
        if was_active {
            self.refuse_waiting(turn);
        }
        self.put_off_election(turn);
        assert!(self.promised == view, "stepping down changes no promise");
    }

    fn become_canvassing(&mut self, canvass: Canvass) {
        assert!(!self.is_active(), "a leader or candidate steps down first");
        self.role = Role::Canvassing(canvass);
    }

    fn become_candidate(&mut self, candidate: Candidate) {
        assert!(candidate.view == self.promised, "one's own view is promised first");
        assert!(candidate.view.node == self.me, "a view is led by the node it names");
        self.role = Role::Candidate(candidate);
    }

    fn become_leader(&mut self, leader: Leader) {
        assert!(leader.view == self.promised, "a leader has promised nothing higher");
        assert!(matches!(self.role, Role::Candidate(_)), "only a candidate comes to lead");
        self.following = Some(self.me);
        self.role = Role::Leader(Box::new(leader));
        self.compare_anew();
    }

    /// Tells everyone who waits on this node as a leader that it no longer is.
    fn refuse_waiting(&mut self, turn: &mut Turn) {
        let leader = self.following.filter(|leader| *leader != self.me);
        self.assignments.refuse_all(turn, leader);
        self.reads.refuse_all(turn, leader);
        self.forwards.refuse_all(turn, leader);
        self.referrals.refuse_all(turn, leader);
        self.referrals.dismiss(turn);
    }

    fn put_off_election(&mut self, turn: &mut Turn) {
        let timeout = self.options.election_timeout;
        self.quiet_since = turn.now;
        self.election_at = turn.now + timeout + jitter(turn.rng, timeout);
    }

    fn fence(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

/// How long an answer may take before the question is repeated.
fn retry_interval(options: &Options) -> Span {
    options.heartbeat.times(2)
}

/// A span below `most`, drawn from whole integers only.
fn jitter(rng: &mut ChaCha8Rng, most: Span) -> Span {
    Span(((u128::from(rng.next_u64()) * u128::from(most.0)) >> 64) as u64)
}

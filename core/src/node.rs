//! The node: takes one input, passes it down, collects what is to be done.
//!
//! ```text
//!   Input ─┬─ Peer, Link ──> replica ──> journal ──> Output::Disk
//!          ├─ Client ──────> replica (after the machine's check)
//!          ├─ Disk ────────> journal
//!          └─ Wake ────────> timers, then the end of the driver's turn: assign, confirm reads, start a disk round
//!
//!   after each of them: what has become durable takes effect; what is committed is executed in order, and answered;
//!   a snapshot that is being taken or received goes on by one block
//! ```
//! A snapshot is taken in small steps: when the disk has taken a block the next is made, a bounded part of the state at
//! a time. One that is received is built up beside the state in use, which it replaces in one step, durable by then.

use crate::{
    batch::Command,
    configuration::{Configuration, ConfigurationHistory},
    ids::{ConnectionId, Index, NodeId, View},
    interface::{CloseReason, Ignored, Input, Note, Output, ReadDisk, Timer},
    journal::{Journal, JournalError, Recovered, SnapshotSeal},
    message::{ClientRequest, ClientResponse, ReadMode, Refusal, RequestKey, Status},
    options::{BadOption, Options},
    replica::{
        ROUND_MAX, Replica,
        assignment::Waiter,
        log::{Apart, check_reach},
        reads::Read,
        snapshot::Arrived,
        turn::Turn,
    },
    service::{
        Access, Answer, Machine, Service,
        snapshot::{Restorer, Snapshotter},
    },
    time::Time,
};
use alloc::{boxed::Box, collections::BTreeSet, string::ToString, vec::Vec};
use bytes::Bytes;
use core::fmt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Everything a node is told before it opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Which member this is.
    pub node: NodeId,
    /// The cluster's first configuration.
    pub configuration: Configuration,
    /// This node's own settings.
    pub options: Options,
}

/// Why a node does not open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// An option is out of bounds.
    Option(BadOption),
    /// The node is no member of the configuration.
    NotAMember(NodeId),
    /// The data directory says no.
    Journal(JournalError),
    /// The data directory holds two committed batches at one index.
    Diverged(Index),
    /// The data directory holds records that no node wrote one after the other.
    Apart(Apart),
    /// The data directory names a promise of a view that no cluster comes to.
    Promise(View),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Option(error) => error.fmt(f),
            OpenError::NotAMember(node) => write!(f, "{node} is not among the members of the configuration"),
            OpenError::Journal(error) => error.fmt(f),
            OpenError::Diverged(index) => write!(
                f,
                "two different batches are recorded as committed at index {index}. Keep this data directory for \
                 analysis, and start the node under a new id on an empty one"
            ),
            OpenError::Apart(Apart(last, index)) => write!(
                f,
                "the log holds nothing between index {last} and a record about index {index}: no node wrote that, or \
                 far too much of the log is gone. Keep this data directory for analysis, and start the node under a \
                 new id on an empty one"
            ),
            OpenError::Promise(view) => write!(
                f,
                "a promise of view {view} is recorded, which no cluster comes to, so something else than a node wrote \
                 here. Keep this data directory for analysis, and start the node under a new id on an empty one"
            ),
        }
    }
}

impl core::error::Error for OpenError {}

/// One replica with its journal, sessions and service, as a value.
#[derive(Clone, Debug)]
pub struct Node<S> {
    config: Config,
    phase: Phase,
    /// The latest time heard of; a driver's clock that goes back is not followed.
    now: Time,
    rng: ChaCha8Rng,
    journal: Journal,
    replica: Replica,
    machine: Machine<S>,
    /// Everything up to here is executed.
    applied: Index,
    history: ConfigurationHistory,
    /// The snapshot of this very state that is being taken.
    taking: Option<Snapshotter>,
    /// The state that is being built from a peer's snapshot.
    restoring: Option<Restorer<S>>,
    /// That state, complete, while its snapshot is being sealed.
    restored: Option<Machine<S>>,
    /// What the disk held, to be reported with the first outputs.
    opened: Vec<Note>,
    connections: BTreeSet<ConnectionId>,
    /// Reused by every batch.
    answers: Vec<Answer>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The journal makes this life durable; nothing is said before.
    Opening,
    Running,
    /// To be stopped; leads, and is handing its place over first.
    HandingOver,
    /// Waiting for the disk, to stop in good order.
    Stopping,
    Stopped,
}

impl<S: Service> Node<S> {
    /// Opens a node from what its disk holds. Nothing is written yet: the first [`Node::step`] begins with that.
    pub fn open(config: Config, service: S, seed: u64, now: Time, disk: &mut dyn ReadDisk) -> Result<Self, OpenError> {
        config.options.check().map_err(OpenError::Option)?;
        config.options.check_for(&config.configuration).map_err(OpenError::Option)?;
        if !config.configuration.members().contains(&config.node) {
            return Err(OpenError::NotAMember(config.node));
        }
        let genesis = config.configuration.genesis_hash();
        let history = ConfigurationHistory::new(config.configuration.clone());
        let blank = Machine::new(service, config.configuration.session_ttl());
        let mut restorer = Restorer::begin(&blank, &history);
        let mut restore = |block: &[u8]| restorer.take(block).is_ok();
        let (mut journal, mut recovered) =
            Journal::open_with(config.node, genesis, config.options.journal.clone(), disk, &mut restore)
                .map_err(OpenError::Journal)?;
        if let Some(index) = recovered.divergence {
            return Err(OpenError::Diverged(index));
        }
        let held = recovered.entries.iter().map(|entry| entry.index);
        check_reach(recovered.base, held, recovered.floor, recovered.loss).map_err(OpenError::Apart)?;
        // A node goes one round above those it hears of, and on from there step by step: never to twice as many.
        if recovered.identity.promised.round > 2 * ROUND_MAX {
            return Err(OpenError::Promise(recovered.identity.promised));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let restored = recovered.snapshot.and_then(|seal| restorer.finish(seal.index, seal.state_hash).ok());
        if let Some(seal) = recovered.snapshot.take_if(|_| restored.is_none()) {
            journal.distrust_snapshot(&seal);
        }
        let machine = restored.unwrap_or(blank);
        let opened = opened_notes(&recovered);
        let replica = Replica::new(&config, recovered, journal.ticket(), now, &mut rng);
        Ok(Self {
            config,
            phase: Phase::Opening,
            now,
            rng,
            journal,
            replica,
            applied: machine.applied(),
            machine,
            history,
            taking: None,
            restoring: None,
            restored: None,
            opened,
            connections: BTreeSet::new(),
            answers: Vec::new(),
        })
    }

    /// Advances by exactly one input, appending what is to be done to `out`. Never blocks, never fails, and never
    /// panics on what others sent. The driver reads `now` after the input has arrived: reads by lease rely on it.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        self.now = self.now.max(now);
        if self.phase == Phase::Stopped {
            return out.push(Output::Note(Note::Ignored(Ignored::NotRunning)));
        }
        out.extend(self.opened.drain(..).map(Output::Note));
        match input {
            Input::Peer { from, message } if self.speaks() => {
                self.with_turn(out, |replica, turn| replica.receive(turn, from, message));
            }
            Input::Peer { .. } => out.push(Output::Note(Note::Ignored(Ignored::NotRunning))),
            Input::Link { peer, up } => self.link(out, peer, up),
            Input::Client { connection, request } => {
                let is_write = matches!(request, ClientRequest::Write { .. });
                self.client(out, connection, request);
                if is_write {
                    // It is refused or queued, and nothing follows from that before the end of the turn.
                    return;
                }
            }
            Input::Gone { connection } => {
                self.connections.remove(&connection);
                self.replica.forget(connection);
            }
            Input::Disk { op, result } => match self.journal.complete(self.now, op, result, out) {
                Ok(true) if self.journal.take_lost_draft() => self.lose_snapshot(out),
                Ok(true) => {}
                Ok(false) => out.push(Output::Note(Note::Ignored(Ignored::UnknownOp))),
                Err(fault) => return self.stop(out, Output::Fence(fault)),
            },
            Input::Wake => self.wake(out),
            Input::Shutdown => self.shut_down(out),
        }
        self.settle(out);
    }

    /// When to feed [`Input::Wake`], and which timer asks for it. `Timer::Turn` is due as soon as the driver has fed
    /// what else is ready: the end of its turn.
    pub fn deadline(&self) -> Option<(Time, Timer)> {
        let next_expiry = self.machine.next_expiry();
        if self.phase == Phase::Stopped {
            return None;
        }
        let running = self.speaks();
        if !self.opened.is_empty()
            || self.journal.wants_flush()
            || self.wants_step()
            || running && self.replica.wants_turn(self.now, next_expiry)
        {
            return Some((self.now, Timer::Turn));
        }
        let seal = self.journal.deadline().map(|time| (time, Timer::Seal));
        let replica = running.then(|| self.replica.deadline(next_expiry));
        seal.into_iter().chain(replica).min()
    }

    /// Everything up to here has been executed.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The replicated service, for reading.
    pub fn service(&self) -> &S {
        self.machine.service()
    }

    /// How this node is.
    pub fn status(&self) -> Status {
        let role = match self.phase {
            Phase::Opening => "opening",
            Phase::Running => self.replica.role_name(),
            Phase::HandingOver | Phase::Stopping | Phase::Stopped => "stopping",
        };
        Status {
            node: self.config.node,
            incarnation: self.replica.incarnation(),
            cluster: self.replica.cluster(),
            role: role.to_string(),
            view: self.replica.promised(),
            leader: self.replica.leader(),
            members: self.config.configuration.members().to_vec(),
            reachable: self.replica.reachable().iter().collect(),
            floor: self.replica.log().floor(),
            applied: self.applied,
            last: self.replica.log().last(),
            revision: self.machine.revision(),
            state_hash: self.machine.state_hash(),
            sessions: self.machine.sessions() as u64,
            log_time: self.machine.log_time(),
            unknown: self.replica.log().unknown_count(),
            hollow: self.replica.is_hollow(),
        }
    }

    // ---- Inputs.

    fn link(&mut self, out: &mut Vec<Output>, peer: NodeId, up: bool) {
        let speaks = self.speaks();
        self.with_turn(out, |replica, turn| replica.link(turn, peer, up, speaks));
    }

    fn wake(&mut self, out: &mut Vec<Output>) {
        self.journal.wake(self.now, out);
        if self.speaks() {
            self.with_turn(out, |replica, turn| replica.wake(turn));
            self.settle(out);
        }
        if self.speaks() {
            let next_expiry = self.machine.next_expiry();
            self.with_turn(out, |replica, turn| replica.end_turn(turn, next_expiry));
        }
        self.journal.flush(self.now, out);
    }

    /// Whether it takes part in the protocol.
    fn speaks(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::HandingOver)
    }

    /// Stops in good order: a leader hands its place over first. Asked a second time it does not wait for that.
    fn shut_down(&mut self, out: &mut Vec<Output>) {
        if self.phase == Phase::Running && self.with_turn(out, Replica::begin_transfer) {
            self.phase = Phase::HandingOver;
        } else {
            self.wind_up(out);
        }
    }

    fn wind_up(&mut self, out: &mut Vec<Output>) {
        if self.speaks() {
            self.with_turn(out, Replica::shut_down);
        }
        let why = CloseReason::Stopping;
        out.extend(self.connections.iter().map(|connection| Output::Close { connection: *connection, why }));
        self.phase = Phase::Stopping;
        self.stop_taking();
    }

    fn client(&mut self, out: &mut Vec<Output>, connection: ConnectionId, request: ClientRequest) {
        self.connections.insert(connection);
        let reply = |out: &mut Vec<Output>, response| out.push(Output::Reply { connection, response });
        let (request, work) = match request {
            ClientRequest::Hello { tag } => {
                let (node, leader) = (self.config.node, self.replica.leader());
                return reply(out, ClientResponse::Welcome { tag, node, leader });
            }
            ClientRequest::Status { tag } => {
                return reply(out, ClientResponse::Status { tag, status: Box::new(self.status()) });
            }
            ClientRequest::Members { tag } => {
                let members = self.config.options.client_addresses.clone();
                return reply(out, ClientResponse::Members { tag, members });
            }
            ClientRequest::Suggest { tag } => {
                if self.phase == Phase::Running {
                    self.with_turn(out, Replica::suggested);
                }
                return reply(out, ClientResponse::Done { tag });
            }
            ClientRequest::Transfer { tag, to } if self.phase == Phase::Running => {
                return self.with_turn(out, |replica, turn| replica.transfer_asked(turn, (connection, tag), to));
            }
            ClientRequest::Transfer { tag, .. } => {
                let (request, refusal) = (RequestKey::Tag(tag), Refusal::NotReady);
                return reply(out, ClientResponse::Refused { request, refusal });
            }
            ClientRequest::Register { tag } => (RequestKey::Tag(tag), Work::Command(Command::Register)),
            ClientRequest::KeepAlive { tag, session } => {
                (RequestKey::Tag(tag), Work::Command(Command::KeepAlive { session }))
            }
            ClientRequest::Close { tag, session } => (RequestKey::Tag(tag), Work::Command(Command::Close { session })),
            ClientRequest::Write { session, sequence, acked, payload } => {
                let command = Command::Request { session, sequence, acked, payload };
                (RequestKey::Write(session, sequence), Work::Command(command))
            }
            ClientRequest::Read { tag, payload } => {
                (RequestKey::Tag(tag), Work::Read { tag, mode: ReadMode::Leader, payload })
            }
            ClientRequest::ParticipantRead { tag, payload } => {
                (RequestKey::Tag(tag), Work::Read { tag, mode: ReadMode::Participant, payload })
            }
            ClientRequest::StaleRead { tag, payload } => {
                (RequestKey::Tag(tag), Work::Read { tag, mode: ReadMode::Stale, payload })
            }
        };
        let objection = match &work {
            _ if !self.speaks() => Some(Refusal::NotReady),
            // A state that was lost with its snapshot is not even a stale one.
            Work::Read { .. } if self.replica.has_lost_state() => Some(Refusal::NotReady),
            Work::Command(Command::Request { payload, .. }) => self.machine.check(Access::Write, payload).err(),
            Work::Command(_) => None,
            Work::Read { payload, .. } => self.machine.check(Access::Read, payload).err(),
        };
        if let Some(refusal) = objection {
            return reply(out, ClientResponse::Refused { request, refusal });
        }
        let read = |tag, payload| Read { connection, tag, payload };
        match work {
            Work::Command(command) => {
                let waiter = Waiter::Client { connection, request };
                self.with_turn(out, |replica, turn| replica.submit(turn, waiter, &command));
            }
            Work::Read { tag, mode: ReadMode::Leader, payload } => {
                self.with_turn(out, |replica, turn| replica.read(turn, read(tag, payload)));
            }
            Work::Read { tag, mode: ReadMode::Participant, payload } => {
                self.with_turn(out, |replica, turn| replica.participant_read(turn, read(tag, payload)));
            }
            Work::Read { tag, mode: ReadMode::Stale, payload } => self.answer_read(out, &read(tag, payload)),
        }
    }

    // ---- What follows from any input.

    /// Goes on until nothing more follows: effects of what is durable, execution of what is committed, confirmed reads.
    fn settle(&mut self, out: &mut Vec<Output>) {
        if self.phase == Phase::Stopped {
            return;
        }
        if self.phase == Phase::Opening && self.journal.ready() {
            self.phase = Phase::Running;
            self.with_turn(out, Replica::start);
        }
        self.with_turn(out, Replica::release);
        if self.phase == Phase::Running {
            self.go_on_with_snapshots(out);
        }
        loop {
            self.execute(out);
            if !self.replica.wants_opening() {
                break;
            }
            let log_time = self.machine.log_time();
            self.with_turn(out, |replica, turn| replica.open_window(turn, log_time));
        }
        self.answer_reads(out);
        if let Some(fault) = self.replica.take_fault() {
            return self.stop(out, Output::Fence(fault));
        }
        if self.phase == Phase::Running {
            self.with_turn(out, Replica::proceed_with_command);
        }
        if self.phase == Phase::HandingOver && self.with_turn(out, Replica::proceed_with_transfer) {
            self.wind_up(out);
        }
        if self.phase == Phase::Stopping && self.is_wound_up(out) {
            self.stop(out, Output::Stopped);
        }
    }

    /// Executes what is committed, in order, and answers whoever waits here.
    fn execute(&mut self, out: &mut Vec<Output>) {
        if self.applied < self.replica.log().base() {
            // The state up to there was lost with its snapshot.
            return;
        }
        while self.applied < self.replica.log().floor() {
            let index = self.applied.next();
            let batch = self.replica.log().committed(index).expect("everything up to the floor is here");
            self.machine.apply(index, batch, out, &mut self.answers);
            self.applied = index;
            let (digest, log_time, state_hash) = (batch.digest(), self.machine.log_time(), self.machine.state_hash());
            Output::put_note(out, Note::Applied { index, digest, log_time, state_hash });
            self.replica.note_state(index, state_hash);
            let Self { now, rng, journal, replica, answers, .. } = self;
            let turn = &mut Turn { now: *now, rng, journal, out };
            for (place, waiter) in replica.take_placed(turn, index) {
                reply(turn, waiter, answers[place].clone());
            }
            let waiters = replica.take_waiters(turn, index, digest);
            assert!(waiters.len() == 0 || waiters.len() == answers.len(), "one answer per command");
            for (waiter, answer) in waiters.zip(answers.drain(..)) {
                reply(turn, waiter, answer);
            }
            answers.clear();
            self.begin_snapshot_if_due(out);
        }
    }

    /// Whether nothing is left to be made durable, or there is no room for it: nobody was told that it is.
    fn is_wound_up(&mut self, out: &mut Vec<Output>) -> bool {
        self.replica.is_settled() && !self.journal.wants_flush()
            || self.with_turn(out, |replica, turn| replica.is_out_of_room(turn))
    }

    // ---- Snapshots.

    /// Whether a snapshot goes on without any input.
    fn wants_step(&self) -> bool {
        self.phase == Phase::Running
            && (self.replica.wants_compaction() || self.taking.is_some() && self.journal.wants_block())
    }

    #[inline]
    fn begin_snapshot_if_due(&mut self, out: &mut Vec<Output>) {
        let index = self.applied;
        if self.phase == Phase::Running && self.with_turn(out, |replica, turn| replica.snapshot_is_due(turn, index)) {
            self.begin_snapshot(out, index);
        }
    }

    #[cold]
    fn begin_snapshot(&mut self, out: &mut Vec<Output>, index: Index) {
        let taking = Snapshotter::begin(&mut self.machine, &self.history);
        self.journal.draft_snapshot(index, taking.state_hash(), self.config.options.snapshot_block, out);
        self.taking = Some(taking);
        out.push(Output::Note(Note::SnapshotBegun { index }));
    }

    fn stop_taking(&mut self) {
        self.taking = None;
        self.machine.snapshot_end();
    }

    /// There is no room for the snapshot that was being taken or received.
    fn lose_snapshot(&mut self, out: &mut Vec<Output>) {
        self.stop_taking();
        self.restoring = None;
        self.with_turn(out, Replica::give_snapshot_up);
    }

    fn go_on_with_snapshots(&mut self, out: &mut Vec<Output>) {
        self.with_turn(out, Replica::send_blocks);
        self.restore(out);
        if let Some(seal) = self.journal.take_sealed() {
            self.sealed(out, &seal);
        }
        self.with_turn(out, Replica::go_on_receiving);
        if !self.replica.is_receiving() {
            self.restoring = None;
        }
        self.begin_snapshot_if_due(out);
        self.take_block(out);
        self.replica.compact();
    }

    /// Makes the next block of the snapshot that is being taken, or the seal.
    fn take_block(&mut self, out: &mut Vec<Output>) {
        let Some(taking) = &mut self.taking else { return };
        if !self.journal.wants_block() {
            return;
        }
        let size = self.config.options.snapshot_block as usize;
        if let Some(block) = taking.block(&mut self.machine, size) {
            self.journal.write_block(&block, out);
        } else if taking.is_over() {
            self.taking = None;
            self.journal.seal_snapshot();
        }
    }

    /// Builds the received state from what has arrived. Once it is complete, its snapshot is sealed.
    fn restore(&mut self, out: &mut Vec<Output>) {
        let mut good = true;
        while let Some(arrived) = self.replica.take_arrived() {
            match arrived {
                Arrived::Begin => {
                    self.stop_taking();
                    self.restored = None;
                    self.restoring = Some(Restorer::begin(&self.machine, &self.history));
                }
                Arrived::Block(data) => {
                    good &= self.restoring.as_mut().is_some_and(|restoring| restoring.take(&data).is_ok());
                }
            }
        }
        let received = self.with_turn(out, |replica, turn| replica.received(turn));
        if let Some(seal) = received.filter(|_| good) {
            let whole = self.journal.draft() == Some(&seal);
            let restoring = self.restoring.take().filter(|_| whole);
            self.restored = restoring.and_then(|restoring| restoring.finish(seal.index, seal.state_hash).ok());
            good = self.restored.is_some();
            if good {
                self.journal.seal_snapshot();
            }
        }
        if !good {
            self.restoring = None;
            self.with_turn(out, Replica::give_snapshot_up);
        }
    }

    /// A snapshot counts: it is installed if it was received, and stands for the log up to its index.
    fn sealed(&mut self, out: &mut Vec<Output>, seal: &SnapshotSeal) {
        if let Some(machine) = self.restored.take().filter(|_| seal.index > self.applied) {
            self.machine = machine;
            self.applied = seal.index;
            self.with_turn(out, |replica, turn| replica.install(turn, seal));
        } else {
            let (index, state_hash) = (seal.index, seal.state_hash);
            out.push(Output::Note(Note::SnapshotTaken { index, state_hash }));
            self.with_turn(out, Replica::go_on_receiving);
            self.replica.compact_to(index);
        }
    }

    fn answer_reads(&mut self, out: &mut Vec<Output>) {
        while let Some(reads) = self.replica.take_confirmed(self.applied) {
            for read in reads {
                self.answer_read(out, &read);
            }
        }
    }

    /// Evaluates a read on the state as it is here and now.
    fn answer_read(&self, out: &mut Vec<Output>, Read { connection, tag, payload }: &Read) {
        let mut reply = Vec::new();
        self.machine.query(payload, &mut reply);
        let revision = self.machine.revision();
        let response = ClientResponse::Read { tag: *tag, revision, payload: Bytes::from(reply) };
        out.push(Output::Reply { connection: *connection, response });
    }

    fn stop(&mut self, out: &mut Vec<Output>, last: Output) {
        self.phase = Phase::Stopped;
        out.push(last);
    }

    fn with_turn<R>(&mut self, out: &mut Vec<Output>, act: impl FnOnce(&mut Replica, &mut Turn) -> R) -> R {
        let Self { now, rng, journal, replica, .. } = self;
        act(replica, &mut Turn { now: *now, rng, journal, out })
    }
}

enum Work {
    Command(Command),
    Read { tag: u64, mode: ReadMode, payload: Bytes },
}

fn opened_notes(recovered: &Recovered) -> Vec<Note> {
    let opened = Note::Opened {
        incarnation: recovered.identity.incarnation,
        promised: recovered.identity.promised,
        unknown: recovered.entries.iter().filter(|entry| entry.unknown.is_some()).count() as u64,
        loss: recovered.loss,
    };
    let base = recovered.base;
    let snapshot = match recovered.snapshot {
        Some(SnapshotSeal { index, state_hash, .. }) => Some(Note::Restored { index, state_hash }),
        None => (base > Index::ZERO).then_some(Note::SnapshotLost { index: base }),
    };
    [opened].into_iter().chain(snapshot).collect()
}

/// Answers the client that waits for a command; a participant that forwarded it answers its client itself.
#[inline]
fn reply(turn: &mut Turn, waiter: Waiter, answer: Answer) {
    if let Waiter::Client { connection, request } = waiter {
        Output::put(turn.out, || Output::Reply { connection, response: respond(request, answer) });
    }
}

fn respond(request: RequestKey, answer: Answer) -> ClientResponse {
    if let Some(refusal) = answer.refusal() {
        return ClientResponse::Refused { request, refusal };
    }
    match (request, answer) {
        (RequestKey::Write(session, sequence), Answer::Reply { revision, payload, .. }) => {
            ClientResponse::Written { session, sequence, revision, payload }
        }
        (RequestKey::Tag(tag), Answer::Registered { session, ttl }) => ClientResponse::Registered { tag, session, ttl },
        (RequestKey::Tag(tag), Answer::Done) => ClientResponse::Done { tag },
        (request, answer) => unreachable!("{answer:?} does not answer {request:?}"),
    }
}

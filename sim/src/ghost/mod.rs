//! Ghost state: what is true of a cluster, kept outside of it and checked after every event.
//!
//! The ghost sees what leaves a node (messages, replies), what a node's disk holds durably, and the node's notes. From
//! durable acceptances alone it computes what is *chosen* ([`log`]); from that and from what each member has durably
//! promised ([`member`]) it decides whether what the node does may be done. It never looks into a node, so a core with
//! a wrong idea of itself convinces nobody here.
//!
//! Every event costs a few comparisons and at most one look-up; only promises and restarts walk over entries. The first
//! violation is kept, later ones follow from it.
//!
//! Deliberately absent: reading back what a fault destroyed. A choice is a fact about the past. Damage that a disk can
//! notice changes nothing here: the node has to tell it as unknown, and that is checked.

mod log;
mod member;
#[cfg(test)]
mod tests;

use log::Log;
pub use log::Outcome;
use member::{FirstStamp, Held, Member, Told, describe};

use crate::oracle::{Checks, Oracle, Violation};
use ios_core::{
    batch::{Batch, REQUEST_OVERHEAD},
    configuration::{Configuration, ConfigurationHistory},
    ids::{Digest, Incarnation, Index, NodeId, NodeSet, Revision, Sequence, SessionId, View},
    interface::Note,
    journal::{Fact, Recovered},
    message::{ClientResponse, Hello, PeerMessage, Promise},
    options::Options,
    time::Time,
};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// What a check found wrong: the oracle and a sentence.
type Finding = (Oracle, String);

/// Slack for log time: clocks that never show a moment twice run ahead by a nanosecond for each extra reading.
const STAMP_SLACK_NANOS: u64 = 1_000_000;

/// Above every view.
const EVERY_VIEW: View = View { round: u64::MAX, node: NodeId(u8::MAX) };

/// What a node tells about, after a restart or in a promise.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// The first index.
    from: Index,
    /// The first index it no longer tells about.
    to: Index,
    /// Only acceptances in views below this one have to be told.
    below: View,
    /// Whatever is not told as certain counts as unknown.
    loss: bool,
}

/// A request that took effect.
#[derive(Clone, Copy, Debug)]
struct Effect {
    index: Index,
    position: u32,
    /// The revision and a hash of the reply, once one was given.
    reply: Option<(Revision, u64)>,
}

/// A place in the order in which requests took effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Taken {
    /// The log index of its batch.
    pub index: Index,
    /// Its place in the batch.
    pub position: u32,
    /// Whose request.
    pub session: SessionId,
    /// Which.
    pub sequence: Sequence,
}

/// The ghost of one cluster.
#[derive(Debug)]
pub struct Ghost {
    configurations: ConfigurationHistory,
    options: Options,
    rate_ppm: u64,
    log: Log,
    members: Vec<Member>,
    /// Which life of its owner led a view.
    led: BTreeMap<View, u64>,
    effects: BTreeMap<(SessionId, Sequence), Effect>,
    /// Log time after the last index executed anywhere.
    log_time: Time,
    first_stamp: Option<FirstStamp>,
    checks: Checks,
    violation: Option<Violation>,
}

impl Ghost {
    /// The ghost of a cluster whose disks are empty. `options` are every member's; no clock runs faster than real time
    /// by more than `rate_ppm` millionths.
    pub fn new(configuration: &Configuration, options: &Options, rate_ppm: u32) -> Self {
        let configurations = ConfigurationHistory::new(configuration.clone());
        let last = configuration.members().last().map_or(0, |node| usize::from(node.0));
        Self {
            options: options.clone(),
            rate_ppm: u64::from(rate_ppm),
            log: Log::new(configurations.clone()),
            members: (0..=last).map(|id| Member::new(NodeId(id as u8))).collect(),
            led: BTreeMap::new(),
            effects: BTreeMap::new(),
            log_time: Time::ZERO,
            first_stamp: None,
            checks: Checks::default(),
            violation: None,
            configurations,
        }
    }

    /// The first thing found wrong.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// How often each oracle looked.
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Everything up to here is chosen.
    pub fn chosen_prefix(&self) -> Index {
        self.log.prefix()
    }

    /// All requests that took effect anywhere, in the order of the log.
    pub fn order(&self) -> Vec<Taken> {
        let mut order: Vec<Taken> = self
            .effects
            .iter()
            .map(|(&(session, sequence), effect)| Taken {
                index: effect.index,
                position: effect.position,
                session,
                sequence,
            })
            .collect();
        order.sort_unstable();
        order
    }

    /// A sync that covered `fact` has reported success, whether or not the node has heard of it yet.
    pub fn durable(&mut self, now: Time, node: NodeId, fact: &Fact) {
        let found = match *fact {
            Fact::Identity(ref identity) => {
                let member = self.member(node);
                member.promised = member.promised.max(identity.promised);
                member.incarnation = member.incarnation.max(identity.incarnation);
                Ok(())
            }
            Fact::Accepted { view, index, digest } => self.accepted(node, view, index, digest),
            Fact::Committed { index, digest } => {
                let found = self.chosen(node, "records", index, digest);
                if found.is_ok() {
                    self.member(node).commit(index, digest);
                }
                found
            }
            Fact::Floor { index } => self.floor(node, "records", index),
            // Slots repeat what bodies say; copies of what was lost vouch for nothing.
            Fact::Unknown { .. } | Fact::Loss | Fact::Whole | Fact::Slot { .. } | Fact::Newest { .. } => Ok(()),
        };
        self.judge(now, found);
    }

    /// A node was started and read its disk; called before its notes.
    pub fn restarted(&mut self, now: Time, node: NodeId, recovered: &Recovered) {
        self.checks.count(Oracle::Recovery);
        let told = recovered.entries.iter().map(|entry| Told {
            index: entry.index,
            accepted: entry.accepted.as_ref().map(|(view, batch)| (*view, batch.digest())),
            committed: entry.committed,
            unknown: entry.unknown,
            certain: entry.certain,
        });
        let answer = Answer { from: Index(1), to: Index(u64::MAX), below: EVERY_VIEW, loss: recovered.loss };
        let found = self.tells(node, answer, told, "recovers");
        self.judge(now, found);
        let found = self.floor(node, "recovers", recovered.floor);
        self.judge(now, found);
    }

    /// A message leaves a node. Once for a broadcast.
    pub fn sent(&mut self, now: Time, node: NodeId, to: NodeSet, message: &PeerMessage) {
        let found = self.check_message(node, to, message);
        self.judge(now, found);
    }

    /// A reply leaves a node.
    pub fn replied(&mut self, now: Time, node: NodeId, response: &ClientResponse) {
        let found = self.check_reply(node, response);
        self.judge(now, found);
    }

    /// A node says what happened inside it.
    pub fn note(&mut self, now: Time, node: NodeId, note: &Note) {
        let found = self.check_note(now, node, note);
        self.judge(now, found);
    }

    /// A queue of a node was seen to hold this much.
    pub fn queue(&mut self, now: Time, node: NodeId, name: &str, length: usize, limit: usize) {
        let found = self.bounded(node, name, length, limit);
        self.judge(now, found);
    }

    fn check_message(&mut self, node: NodeId, to: NodeSet, message: &PeerMessage) -> Result<(), Finding> {
        if to.contains(node) {
            return Err((Oracle::Bounds, format!("{node} sends to itself")));
        }
        match message {
            PeerMessage::Hello(hello) => self.hello(node, hello),
            PeerMessage::Canvass { view } => self.owns(node, *view, "canvasses for"),
            PeerMessage::Prepare { view, .. } => {
                self.owns(node, *view, "prepares")?;
                self.vouch(node, *view, "Prepare")
            }
            PeerMessage::Promise(promise) => self.promise(node, promise),
            PeerMessage::Accept { view, index, batch, floor, coordinator } => {
                if *coordinator != node {
                    return Err((Oracle::Leadership, format!("{node} sends an Accept that {coordinator} shall count")));
                }
                self.floor(node, "Accept", *floor)?;
                self.batch(node, batch)?;
                self.checks.count(Oracle::Proposal);
                self.log.propose(*view, *index, batch.digest())?;
                if view.node == node { self.vouch(node, *view, "Accept") } else { Ok(()) }
            }
            PeerMessage::Accepted { view, index, digest, incarnation } => {
                self.checks.count(Oracle::Proposal);
                self.log.propose(*view, *index, *digest)?;
                self.holds(node, "acknowledges", *view, *index, *digest)?;
                self.lives(node, *incarnation)?;
                self.vouch(node, *view, "Accepted")
            }
            PeerMessage::Chosen { index, digest, .. } => self.chosen(node, "tells", *index, *digest),
            PeerMessage::Heartbeat { view, floor, .. } => {
                self.owns(node, *view, "sends heartbeats of")?;
                self.vouch(node, *view, "Heartbeat")?;
                self.floor(node, "Heartbeat", *floor)
            }
            PeerMessage::Entries { leading, entries, .. } => {
                for (index, batch) in entries {
                    self.chosen(node, "hands out", *index, batch.digest())?;
                }
                leading.map_or(Ok(()), |(_, floor)| self.floor(node, "Entries", floor))
            }
            PeerMessage::HeartbeatAck { view, .. } => self.vouch(node, *view, "HeartbeatAck"),
            // A promise named here only makes the receiver ask above it: nothing rests on its being durable.
            PeerMessage::CanvassReply { .. } | PeerMessage::Reject { .. } => Ok(()),
            PeerMessage::Refused { .. } | PeerMessage::Fetch { .. } => Ok(()),
        }
    }

    fn check_note(&mut self, now: Time, node: NodeId, note: &Note) -> Result<(), Finding> {
        match *note {
            Note::Opened { incarnation, promised, .. } => {
                self.checks.count(Oracle::Promise);
                self.member(node).open(promised, incarnation)
            }
            Note::Candidate { view } => self.leads(node, view, "is a candidate for"),
            Note::Leading { view, .. } => {
                self.leads(node, view, "leads")?;
                self.recovery_quorum(node, view)
            }
            Note::WindowOpened { view, floor } => {
                self.leads(node, view, "opens the window of")?;
                self.floor(node, "WindowOpened", floor)
            }
            Note::Promised { view } => {
                self.checks.count(Oracle::Promise);
                self.member(node).promise(view)
            }
            Note::Assigned { view, index, digest, .. } => {
                self.leads(node, view, "assigns in")?;
                self.checks.count(Oracle::Window);
                self.checks.count(Oracle::Proposal);
                self.log.assign(now, view, index, digest)
            }
            Note::Accepted { view, index, digest } => self.holds(node, "counts", view, index, digest),
            Note::Chosen { index, digest, .. } => self.chosen(node, "counts as chosen", index, digest),
            Note::Committed { index, digest, .. } => self.chosen(node, "commits", index, digest),
            Note::Applied { index, digest, log_time, state_hash } => {
                self.applied(now, node, index, Outcome { digest, log_time, state_hash })
            }
            Note::Executed { index, position, session, sequence } => {
                self.executed(node, Taken { index, position, session, sequence })
            }
            Note::Repeated { session, sequence } => {
                self.checks.count(Oracle::Once);
                match self.effects.get(&(session, sequence)) {
                    Some(_) => Ok(()),
                    None => Err((
                        Oracle::Once,
                        format!("{node} takes request {sequence} of {session} for a repetition; it never took effect"),
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn check_reply(&mut self, node: NodeId, response: &ClientResponse) -> Result<(), Finding> {
        match response {
            ClientResponse::Written { session, sequence, revision, payload } => {
                self.checks.count(Oracle::Once);
                let reply = (*revision, xxh3_64(payload));
                let Some(effect) = self.effects.get_mut(&(*session, *sequence)) else {
                    return Err((
                        Oracle::Once,
                        format!("{node} answers request {sequence} of {session}, which never took effect"),
                    ));
                };
                let first = *effect.reply.get_or_insert(reply);
                let index = effect.index;
                if first != reply {
                    return Err((
                        Oracle::Once,
                        format!(
                            "{node} answers request {sequence} of {session} differently than it was answered before"
                        ),
                    ));
                }
                self.answers(node, index)
            }
            ClientResponse::Registered { session, .. } => self.answers(node, session.index),
            _ => Ok(()),
        }
    }

    fn hello(&mut self, node: NodeId, hello: &Hello) -> Result<(), Finding> {
        self.lives(node, hello.incarnation)?;
        let nonce = *self.member(node).nonce.get_or_insert(hello.nonce);
        if nonce != hello.nonce {
            return Err((
                Oracle::Leadership,
                format!("{node} says it runs on disk {}, before on {nonce}", hello.nonce),
            ));
        }
        Ok(())
    }

    fn promise(&mut self, node: NodeId, promise: &Promise) -> Result<(), Finding> {
        self.vouch(node, promise.view, "Promise")?;
        self.floor(node, "Promise", promise.floor)?;
        self.checks.count(Oracle::Recovery);
        let told = promise.entries.iter().map(|entry| Told {
            index: entry.index,
            accepted: entry.accepted.as_ref().map(|(view, batch)| (*view, batch.digest())),
            committed: entry.committed,
            unknown: entry.unknown,
            certain: entry.certain,
        });
        // What is up to its floor is told as a whole; what was accepted in its own view or above came after it.
        let from = promise.from.max(promise.floor.max(promise.compacted_below).next());
        let answer = Answer { from, to: promise.to, below: promise.view, loss: promise.loss };
        self.tells(node, answer, told, "promises")?;
        for entry in &promise.entries {
            let Some((view, batch)) = &entry.accepted else { continue };
            if entry.committed {
                self.chosen(node, "promises", entry.index, batch.digest())?;
            } else {
                self.holds(node, "promises", *view, entry.index, batch.digest())?;
            }
        }
        Ok(())
    }

    /// Checks what a node tells, in ascending order, against what is durable there.
    fn tells(&self, node: NodeId, answer: Answer, told: impl Iterator<Item = Told>, does: &str) -> Result<(), Finding> {
        let mut told = told.peekable();
        let end = answer.to.min(self.log.last().next());
        for index in (answer.from.0..end.0).map(Index) {
            while told.next_if(|entry| entry.index < index).is_some() {}
            let entry = told.next_if(|entry| entry.index == index);
            let accepted = self.log.accepted(node, index, answer.below);
            let held = Held { accepted, committed: self.members[usize::from(node.0)].committed(index) };
            if !held.is_told_by(entry, answer.loss) {
                let told = describe(entry);
                return Err((Oracle::Recovery, format!("{node} {does} {index} as {told}; durable is {held}")));
            }
        }
        Ok(())
    }

    fn accepted(&mut self, node: NodeId, view: View, index: Index, digest: Digest) -> Result<(), Finding> {
        self.checks.count(Oracle::Agreement);
        self.checks.count(Oracle::Acceptance);
        let news = self.log.accept(node, view, index, digest)?;
        let vouched = self.member(node).vouched;
        if news && view < vouched {
            return Err((
                Oracle::Acceptance,
                format!("{node} accepts {digest} at {index} in {view} after it has vouched for {vouched}"),
            ));
        }
        Ok(())
    }

    fn applied(&mut self, now: Time, node: NodeId, index: Index, outcome: Outcome) -> Result<(), Finding> {
        self.chosen(node, "executes", index, outcome.digest)?;
        self.checks.count(Oracle::Application);
        self.member(node).apply(index)?;
        if self.log.execute(node, index, outcome)? {
            self.log_time(now, node, index, outcome.log_time)?;
        }
        Ok(())
    }

    /// Log time after an index that nobody executed before.
    fn log_time(&mut self, now: Time, node: NodeId, index: Index, log_time: Time) -> Result<(), Finding> {
        self.checks.count(Oracle::LogTime);
        let before = self.log_time;
        if log_time < before {
            return Err((
                Oracle::LogTime,
                format!("{node} at {index}: log time goes from {before} back to {log_time}"),
            ));
        }
        self.log_time = log_time;
        if log_time == Time::ZERO {
            return Ok(());
        }
        let assigned = self.log.assigned(index).unwrap_or(now);
        let first = *self.first_stamp.get_or_insert(FirstStamp { real: assigned, log: log_time });
        let (real, log) = (now.since(first.real), log_time.since(first.log));
        let drift = u128::from(real.0) * u128::from(self.rate_ppm) / 1_000_000;
        let limit = u128::from(real.0) + drift + u128::from(STAMP_SLACK_NANOS);
        if u128::from(log.0) > limit {
            let ppm = self.rate_ppm;
            return Err((
                Oracle::LogTime,
                format!("{node} at {index}: {log} of log time in {real}, with clocks at most {ppm} ppm fast"),
            ));
        }
        Ok(())
    }

    fn executed(&mut self, node: NodeId, taken: Taken) -> Result<(), Finding> {
        self.checks.count(Oracle::Once);
        let Taken { index, position, session, sequence } = taken;
        self.member(node).execute(index, position)?;
        let effect = Effect { index, position, reply: None };
        let first = *self.effects.entry((session, sequence)).or_insert(effect);
        if (first.index, first.position) != (index, position) {
            return Err((
                Oracle::Once,
                format!(
                    "request {sequence} of {session} takes effect at {index}/{position} on {node} and at {}/{} \
                     elsewhere or before",
                    first.index, first.position
                ),
            ));
        }
        Ok(())
    }

    /// A promise that leaves, or a message that relies on one.
    fn vouch(&mut self, node: NodeId, view: View, what: &str) -> Result<(), Finding> {
        self.checks.count(Oracle::Promise);
        self.member(node).vouch(view, what)
    }

    /// `node` relies on its own acceptance: it is durable, or another durable record of the same batch beats it,
    /// because that batch is chosen.
    fn holds(&mut self, node: NodeId, does: &str, view: View, index: Index, digest: Digest) -> Result<(), Finding> {
        self.checks.count(Oracle::Durability);
        if self.log.accepted_by(node, view, index, digest)
            || self.log.chosen(index) == Some(digest) && self.has(node, index, digest)
        {
            return Ok(());
        }
        Err((Oracle::Durability, format!("{node} {does} {digest} at {index} in {view}, which is not durable there")))
    }

    /// Whether `node` holds this batch durably, in whatever view.
    fn has(&mut self, node: NodeId, index: Index, digest: Digest) -> bool {
        self.log.holds(node, index, digest) || self.member(node).committed(index) == Some(digest)
    }

    /// `node` takes a batch as committed.
    fn chosen(&mut self, node: NodeId, does: &str, index: Index, digest: Digest) -> Result<(), Finding> {
        self.checks.count(Oracle::Commit);
        match self.log.chosen(index) {
            Some(chosen) if chosen == digest => Ok(()),
            Some(chosen) => {
                Err((Oracle::Commit, format!("{node} {does} {digest} at {index}; {chosen} is chosen there")))
            }
            None => Err((Oracle::Commit, format!("{node} {does} {digest} at {index}; nothing is chosen there"))),
        }
    }

    fn floor(&mut self, node: NodeId, what: &str, floor: Index) -> Result<(), Finding> {
        self.checks.count(Oracle::Floor);
        let prefix = self.log.prefix();
        if floor <= prefix {
            return Ok(());
        }
        Err((Oracle::Floor, format!("{node} ({what}) has floor {floor}; chosen without a gap is only {prefix}")))
    }

    fn owns(&mut self, node: NodeId, view: View, does: &str) -> Result<(), Finding> {
        self.checks.count(Oracle::Leadership);
        if view.node == node {
            return Ok(());
        }
        Err((Oracle::Leadership, format!("{node} {does} {view}, a view of {}", view.node)))
    }

    fn leads(&mut self, node: NodeId, view: View, does: &str) -> Result<(), Finding> {
        self.owns(node, view, does)?;
        let life = self.member(node).life.number;
        let first = *self.led.entry(view).or_insert(life);
        if first == life {
            return Ok(());
        }
        Err((Oracle::Leadership, format!("{node} {does} {view} in its life {life}; its life {first} led that view")))
    }

    /// Whoever leads must have the durable promises of a recovery quorum for every index it may assign.
    fn recovery_quorum(&mut self, node: NodeId, view: View) -> Result<(), Finding> {
        self.checks.count(Oracle::Leadership);
        let promised: NodeSet = (self.configurations.genesis().members().iter().copied())
            .filter(|id| self.members[usize::from(id.0)].promised >= view)
            .collect();
        if self.configurations.configuration_at(self.log.prefix().next()).quorums().has_recovery_quorum(promised) {
            return Ok(());
        }
        Err((Oracle::Leadership, format!("{node} leads {view}, which only {promised} have promised durably")))
    }

    fn lives(&mut self, node: NodeId, incarnation: Incarnation) -> Result<(), Finding> {
        self.checks.count(Oracle::Promise);
        let durable = self.member(node).incarnation;
        if incarnation <= durable {
            return Ok(());
        }
        Err((Oracle::Promise, format!("{node} speaks as incarnation {incarnation}; durable is {durable}")))
    }

    /// A reply that says what the log did up to `index`.
    fn answers(&mut self, node: NodeId, index: Index) -> Result<(), Finding> {
        self.checks.count(Oracle::Commit);
        let (applied, prefix) = (self.member(node).life.applied, self.log.prefix());
        if index <= applied.min(prefix) {
            return Ok(());
        }
        Err((
            Oracle::Commit,
            format!("{node} answers what {index} did; it has executed up to {applied}, chosen is up to {prefix}"),
        ))
    }

    fn batch(&mut self, node: NodeId, batch: &Batch) -> Result<(), Finding> {
        let commands = batch.len();
        self.bounded(node, "batch", commands, self.options.max_batch)?;
        let bytes = batch.bytes().len().saturating_sub(commands.saturating_mul(REQUEST_OVERHEAD));
        // One request larger than the limit gets a batch of its own; 13 bytes open every batch.
        let limit = if commands > 1 { self.options.max_batch_bytes + 13 } else { usize::MAX };
        self.bounded(node, "batch bytes", bytes, limit)
    }

    fn bounded(&mut self, node: NodeId, name: &str, length: usize, limit: usize) -> Result<(), Finding> {
        self.checks.count(Oracle::Bounds);
        if length <= limit {
            return Ok(());
        }
        Err((Oracle::Bounds, format!("{node}: {name} holds {length}, its bound is {limit}")))
    }

    fn member(&mut self, node: NodeId) -> &mut Member {
        &mut self.members[usize::from(node.0)]
    }

    fn judge(&mut self, time: Time, found: Result<(), Finding>) {
        if let Err((oracle, text)) = found {
            self.violation.get_or_insert(Violation { oracle, time, text });
        }
    }
}

//! Ghost state: what is true of a cluster, kept outside of it and checked after every event.
//!
//! The ghost sees what leaves a node ([`messages`]), what its disk holds durably, and its notes ([`notes`]). From
//! durable acceptances alone it computes what is *chosen* ([`log`]); from that and from what each member has durably
//! promised ([`member`]) it decides whether what the node does may be done ([`rules`]). It never looks into a node, so
//! a core with a wrong idea of itself convinces nobody here.
//!
//! Every event costs a few comparisons and at most one look-up; only promises and restarts walk over entries. The first
//! violation is kept, later ones follow from it.
//!
//! Deliberately absent: reading back what a fault destroyed. A choice is a fact about the past. Damage that a disk can
//! notice changes nothing here: the node has to tell it as unknown, and that is checked.

mod log;
mod member;
mod messages;
mod notes;
mod quorum;
mod rules;
#[cfg(test)]
mod tests;

use log::Log;
pub use log::Outcome;
use member::{AskedRead, FirstStamp, Member, Told};
use messages::{Answer, EVERY_VIEW};
use quorum::Quorums;

use crate::oracle::{Checks, Oracle, Violation};
use ios_core::{
    configuration::Configuration,
    ids::{ConnectionId, Digest, Index, NodeId, NodeSet, Revision, Sequence, SessionId, View},
    interface::Note,
    journal::{Fact, Recovered},
    message::{ClientRequest, ClientResponse, PeerMessage, ReadMode},
    options::Options,
    time::{Span, Time},
};
use std::collections::BTreeMap;

/// What a check found wrong: the oracle and a sentence.
type Finding = (Oracle, String);

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
    quorums: Quorums,
    options: Options,
    /// Whether no index may carry two different batches of clients.
    exclusive: bool,
    /// Whether leaders may answer by lease.
    lease: bool,
    rate_ppm: u64,
    /// By how much clocks have leapt ahead, all leaps together.
    leapt: Span,
    log: Log,
    members: Vec<Member>,
    /// Which life of its owner led a view.
    led: BTreeMap<View, u64>,
    effects: BTreeMap<(SessionId, Sequence), Effect>,
    /// The last index executed anywhere.
    executed: Index,
    /// Log time after that.
    log_time: Time,
    first_stamp: Option<FirstStamp>,
    /// Counts what was seen, so that any two things seen have an order.
    events: u64,
    checks: Checks,
    violation: Option<Violation>,
}

impl Ghost {
    /// The ghost of a cluster whose disks are empty. `options` are every member's; no clock runs faster than real time
    /// by more than `rate_ppm` millionths.
    pub fn new(configuration: &Configuration, options: &Options, rate_ppm: u32) -> Self {
        let quorums = Quorums::new(configuration);
        let last = configuration.members().last().map_or(0, |node| usize::from(node.0));
        Self {
            options: options.clone(),
            exclusive: configuration.index_exclusivity(),
            lease: configuration.lease().is_some(),
            rate_ppm: u64::from(rate_ppm),
            leapt: Span::ZERO,
            log: Log::new(quorums.clone(), configuration.window()),
            members: (0..=last).map(|id| Member::new(NodeId(id as u8))).collect(),
            led: BTreeMap::new(),
            effects: BTreeMap::new(),
            executed: Index::ZERO,
            log_time: Time::ZERO,
            first_stamp: None,
            events: 0,
            checks: Checks::default(),
            violation: None,
            quorums,
        }
    }

    /// Some node's clock leaps ahead, which may take log time along.
    pub fn leapt(&mut self, by: Span) {
        self.leapt = self.leapt + by;
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

    /// Whether something is chosen at `index`.
    pub fn is_chosen(&self, index: Index) -> bool {
        self.log.chosen(index).is_some()
    }

    /// Whether `node` holds a durable acceptance of another batch at `index`, in a view below `view`.
    pub fn replaces(&self, node: NodeId, view: View, index: Index, digest: Digest) -> bool {
        self.log.accepted(node, index, view).is_some_and(|(_, held)| held != digest)
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
        self.events += 1;
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
                    let at = self.events;
                    self.member(node).commit(index, digest, at);
                }
                found
            }
            Fact::Floor { index } => self.floor(node, "records", index),
            Fact::Snapshot { index, state_hash } => self.sealed(node, index, state_hash),
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
        // A seal that sits in the page cache names blocks that were durable before it was written.
        let found = match recovered.snapshot {
            Some(seal) => self.is_state(node, "recovers", seal.index, seal.state_hash),
            None => self.compacted(node, "recovers", recovered.base),
        };
        self.judge(now, found);
        let from = recovered.base.next();
        let answer = Answer { from, to: Index(u64::MAX), below: EVERY_VIEW, until: u64::MAX, loss: recovered.loss };
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

    /// A client's request is given to a node.
    pub fn asked(&mut self, node: NodeId, connection: ConnectionId, request: &ClientRequest) {
        self.events += 1;
        let (tag, mode) = match request {
            ClientRequest::Read { tag, .. } => (*tag, ReadMode::Leader),
            ClientRequest::ParticipantRead { tag, .. } => (*tag, ReadMode::Participant),
            ClientRequest::StaleRead { tag, .. } => (*tag, ReadMode::Stale),
            _ => return,
        };
        let asked = AskedRead { mode, at: self.events, executed: self.executed };
        self.member(node).life.ask(connection, tag, asked);
    }

    /// A reply leaves a node.
    pub fn replied(&mut self, now: Time, node: NodeId, connection: ConnectionId, response: &ClientResponse) {
        let found = self.check_reply(node, connection, response);
        self.judge(now, found);
    }

    /// A node says what happened inside it.
    pub fn note(&mut self, now: Time, node: NodeId, note: &Note) {
        let found = self.check_note(now, node, note);
        self.judge(now, found);
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

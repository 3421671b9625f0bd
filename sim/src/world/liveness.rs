//! The second phase: a core of nodes heals for good, the rest stays broken for ever, and everything has to end.
//!
//! Healed means: the core's nodes run, links among them carry everything in order, their disks answer in the usual
//! time. Nothing is asked of the others, but they are not silenced either: what they send, late or along half-cut
//! links, must not keep the core from its work. Two things heal beyond the core. Links with clients do, for all
//! members: one of the others may lead, and whom a client cannot reach it cannot ask. And everyone does if the founding
//! of the cluster was interrupted: it takes all first members, so nothing can be asked of fewer.
//!
//! Required, within the scenario's bound on simulated time, a bound on messages (`effort.rs`) and
//! [`World::events_max`] events: every operation
//! begun before has ended; every client gets a fresh write and a fresh read *done*; all core nodes have executed all
//! that any of them had by then, unless the leader is none of them: it may be cut off from some of the core for ever.
//! (Not all that any of them has at one moment: while sessions are kept alive there is always something new, and who
//! is told of it later than others is never quite there.) Then clients fall silent, and with no further batch to help
//! them all core nodes have to come to know the same to be committed, and to have executed the same.

use super::{Phase, World, agenda::Class, customer::Origin, item::Item, told::Told};
use crate::{
    oracle::Oracle,
    scenario::{Liveness, Operation, Target, Verb},
};
use ios_core::{
    Node,
    ids::{Index, NodeId, NodeSet, View},
    service::kv::Kv,
    time::{Span, Time},
};

/// Operations that each client wants done after the core has healed: a write and a read.
const FRESH: u8 = 2;
/// A storm of messages is no progress: so many events, and so many more for each simulated second, are enough for any
/// run.
const EVENTS_BASE: u64 = 2_000_000;
const EVENTS_PER_SECOND: u64 = 1_000_000;
/// How long a client waits before it asks again for what was not done.
const AGAIN: Span = Span::millis(20);

impl World {
    /// The time of a phase is up. False if the run is over.
    pub(super) fn turn_phase(&mut self) -> bool {
        match (self.phase, &self.scenario.liveness) {
            (Phase::Safety, Liveness::Off) => false,
            (Phase::Safety, Liveness::Core { within, .. }) => {
                self.outcome.checks.count(Oracle::Liveness);
                let bound = self.now() + *within;
                self.phase = Phase::Liveness(bound);
                self.heal();
                true
            }
            (Phase::Liveness(_), _) => {
                let text = self.unfinished();
                self.object(Oracle::Liveness, text);
                false
            }
        }
    }

    fn heal(&mut self) {
        self.mark_healing();
        self.healing = self.effort();
        self.plan.clear();
        self.heal_nodes(self.atlas.core());
        if !self.is_founded() {
            self.heal_nodes(self.processes.iter().map(|process| process.id).collect());
        }
        for name in 0..self.scenario.cluster.clients {
            self.resume_client(name);
            self.customers[usize::from(name)].fresh = FRESH;
            self.begin_fresh(name);
        }
    }

    /// Whether the founding of the cluster is over, as far as the core can prove: only then does anyone promise.
    pub(super) fn is_founded(&self) -> bool {
        let core = self.atlas.core();
        let mut nodes = core.iter().filter_map(|id| self.processes[usize::from(id.0)].node.as_ref());
        nodes.any(|node| node.status().view > View::ZERO)
    }

    fn heal_nodes(&mut self, nodes: NodeSet) {
        if self.tell.is_some() {
            self.tell(Told::Healed { nodes });
        }
        self.healed = nodes;
        self.network.heal_for_ever(nodes);
        self.release();
        for id in nodes.iter() {
            self.settle_clock(id);
            let process = &mut self.processes[usize::from(id.0)];
            process.slow_disk = Span::ZERO;
            process.failing = None;
            process.full = false;
            if process.runs() {
                self.resume(id);
            } else {
                self.start(id);
            }
        }
        // Links whose news was lost to a partition come up like all others.
        for id in nodes.iter() {
            self.mend_links(id);
        }
    }

    /// Brings up what links of a healed node to others are still down.
    fn mend_links(&mut self, id: NodeId) {
        let now = self.now();
        let life = self.processes[usize::from(id.0)].life;
        for peer in self.healed.without(id).iter() {
            let other = self.processes[usize::from(peer.0)].life;
            let at = now + self.network.notice(peer.0, id.0, u64::from(life) << 1);
            self.agenda.put(at, Class::Ready, Item::Link { node: (id, life), peer: (peer, other), up: true });
        }
    }

    /// A client asks for a write first, then for a read of it.
    pub(super) fn begin_fresh(&mut self, name: u8) {
        let key = format!("fresh{name}").into_bytes();
        let verb = if self.customers[usize::from(name)].fresh == FRESH {
            let value = format!("fresh{}", self.customers[usize::from(name)].begun).into_bytes();
            Verb::Put(key, value)
        } else {
            Verb::Get(key)
        };
        self.submit_operation(name, Operation::by_leader(vec![verb]), Origin::Fresh);
    }

    /// A fresh operation has ended: on to the next one, or to another try.
    pub(super) fn fresh_ended(&mut self, name: u8, done: bool) {
        let customer = &mut self.customers[usize::from(name)];
        customer.fresh -= u8::from(done);
        if customer.fresh > 0 {
            let at = self.now() + AGAIN;
            self.agenda.put(at, Class::Ready, Item::Fresh { client: name });
        }
    }

    /// Whether nothing is left to be done. Also the place where a storm is noticed.
    pub(super) fn is_done(&mut self) -> bool {
        let clients_done = self.customers.iter().all(|customer| customer.fresh == 0 && customer.pending.is_empty());
        clients_done && self.has_caught_up() && self.is_level()
    }

    /// Whether all of the core know and have executed the same, some time after the last word of any client.
    fn is_level(&mut self) -> bool {
        let now = self.now();
        let settled = match self.settled {
            Some(settled) => settled,
            None => self.silence_clients(),
        };
        if now < settled {
            return false;
        }
        let mut extents = self.core_extents();
        let first = extents.next();
        self.leader_is_cut_off() || extents.all(|extent| Some(extent) == first)
    }

    /// From now on clients take nothing in and say nothing. How long what is under way may take.
    fn silence_clients(&mut self) -> Time {
        for customer in &mut self.customers {
            customer.paused = true;
        }
        let settled = self.now() + self.scenario.cluster.options.election_timeout;
        self.settled = Some(settled);
        settled
    }

    fn has_caught_up(&mut self) -> bool {
        let furthest = self.core_applied().max().unwrap_or(Index::ZERO);
        let goal = *self.goal.get_or_insert(furthest);
        self.leader_is_cut_off() || self.core_applied().all(|index| index >= goal)
    }

    /// Whether somebody leads who may be cut off from some of the core for ever.
    fn leader_is_cut_off(&self) -> bool {
        let leader = self.resolve(Target::Leader, None);
        leader.is_some_and(|leader| !self.atlas.core().contains(leader))
    }

    /// Up to where each of the core knows everything to be committed, and has executed it.
    fn core_extents(&self) -> impl Iterator<Item = (Index, Index)> {
        let extent = |node: &Node<Kv>| (node.status().floor, node.applied());
        let core = self.atlas.core();
        core.iter().map(move |id| self.processes[usize::from(id.0)].node.as_ref().map_or_else(Default::default, extent))
    }

    pub(super) fn core_applied(&self) -> impl Iterator<Item = Index> {
        let core = self.atlas.core();
        core.iter().map(|id| self.processes[usize::from(id.0)].node.as_ref().map_or(Index::ZERO, |node| node.applied()))
    }

    /// The most events a run may take until now.
    pub(super) fn events_max(&self) -> u64 {
        EVENTS_BASE + self.now().since(Time::ZERO).0 / 1_000_000_000 * EVENTS_PER_SECOND
    }

    /// What has not happened, in words.
    fn unfinished(&self) -> String {
        let mut text = String::from("the core has healed, and in time");
        for customer in &self.customers {
            let numbers: Vec<u32> = customer.pending.iter().map(|place| self.records[*place].number).collect();
            if !numbers.is_empty() {
                text.push_str(&format!(" c{} has heard nothing of its operations {numbers:?};", customer.name));
            } else if customer.fresh > 0 {
                text.push_str(&format!(" c{} got {} new operations not done;", customer.name, customer.fresh));
            }
        }
        let (floors, applied): (Vec<Index>, Vec<Index>) = self.core_extents().unzip();
        text.push_str(&format!(" core {} has executed {applied:?} of {floors:?}", self.atlas.core()));
        text
    }
}

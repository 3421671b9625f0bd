//! What the lines of a plan do to links and clocks, some of it again and again: cuts, clogs, priorities, skews, leaps.
//!
//! Not every leap of a machine's clock reaches its node. Whoever drives a node passes a strictly monotonic clock in, so
//! that a leap back is time that stands still: timers are late, leases and grants last longer than they should. A leap
//! ahead is one: timers are early, log time runs ahead with its leader, and sessions expire. Neither is within what a
//! lease states about clocks, so no scenario has both.

use super::{
    World,
    agenda::Class,
    item::{Item, Over},
    network::BlockId,
    told::Told,
};
use crate::{
    outcome::Counter,
    scenario::{Action, Flap, Order},
};
use ios_core::{ids::NodeId, time::Span};

/// What comes and goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recurring {
    what: What,
    /// It comes next, and does not go.
    comes: bool,
    /// How often it still comes, this time not counted.
    left: u32,
    /// How long it stays, and how long it is away.
    hold: Span,
    gap: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    /// A block.
    Block(BlockId),
    /// A leap of a clock, and the opposite one.
    Leap { node: NodeId, backward: bool, by: Span },
}

impl World {
    /// Puts the end of something on the agenda, or its next coming and going.
    fn end_later(&mut self, what: What, back: Option<Span>, flap: Option<Flap>) {
        match (what, back, flap) {
            (What::Block(block), back, None) => self.later(back, Over::Block(block)),
            (what, Some(hold), flap) => {
                let Flap { times, gap } = flap.unwrap_or(Flap { times: 1, gap: Span::ZERO });
                self.later(back, Over::Recurs(Recurring { what, comes: false, left: times - 1, hold, gap }));
            }
            (_, None, _) => {}
        }
    }

    /// What comes and goes comes, or goes.
    pub(super) fn recur(&mut self, recurring: Recurring) {
        let Recurring { what, comes, left, hold, gap } = recurring;
        match what {
            What::Block(block) if comes => {
                if !self.network.put_up(block, true) {
                    return;
                }
                self.outcome.counters.count(Counter::PartitionsAgain);
                if self.tell.is_some() {
                    self.tell_of_cut(block);
                }
            }
            What::Block(block) if left > 0 => {
                if !self.network.put_up(block, false) {
                    return;
                }
                self.told_uncut(block);
            }
            What::Block(block) => self.uncut(block),
            What::Leap { node, backward, by } => self.leap(node, backward == comes, by),
        }
        if comes {
            self.later(Some(hold), Over::Recurs(Recurring { comes: false, ..recurring }));
        } else if left > 0 {
            self.later(Some(gap), Over::Recurs(Recurring { comes: true, left: left - 1, ..recurring }));
        }
    }

    // ---- Links.

    pub(super) fn cut(&mut self, action: &Action, node: Option<NodeId>) -> bool {
        let counter = match action {
            Action::Clog { .. } => Counter::LinksClogged,
            Action::Cut { links, .. } if links.len() > 1 => Counter::PartitionsPartial,
            Action::Partition { oneway: true, .. } | Action::Cut { .. } => Counter::PartitionsOneWay,
            Action::Partition { .. } | Action::Isolate { .. } => Counter::Partitions,
            other => unreachable!("{other:?} cuts no link"),
        };
        let block = self.network.block(action, node);
        if self.tell.is_some() {
            self.tell_of_cut(block);
        }
        self.outcome.counters.count(counter);
        self.end_later(What::Block(block), action.back(), action.flap());
        true
    }

    /// A cut or a clog is over for good.
    pub(super) fn uncut(&mut self, block: BlockId) {
        self.network.put_up(block, false);
        self.told_uncut(block);
        self.network.unblock(block);
    }

    /// A block has gone: what waited goes on.
    fn told_uncut(&mut self, block: BlockId) {
        if self.tell.is_some() {
            let flows = self.network.clogs(block);
            self.tell(if flows { Told::Flows { block } } else { Told::Joined { block: Some(block) } });
        }
        self.release();
    }

    /// Every cut and every clog is over.
    pub(super) fn join_all(&mut self) -> bool {
        self.network.heal();
        if self.tell.is_some() {
            self.tell(Told::Joined { block: None });
        }
        self.release();
        true
    }

    pub(super) fn rerank(&mut self) -> bool {
        if matches!(self.scenario.order, Order::Priorities { .. }) {
            self.network.rank();
            self.outcome.counters.count(Counter::PrioritiesChanged);
            if self.tell.is_some() {
                self.tell_of_ranks();
            }
        }
        true
    }

    /// Whether this has to wait because its link is clogged.
    pub(super) fn is_stuck(&self, item: &Item) -> bool {
        self.network.is_clogged_somewhere()
            && self.link_of(item).is_some_and(|(from, to)| self.network.is_clogged(from, to))
    }

    /// The link that something comes along. News that a link is down or up is not of that kind.
    fn link_of(&self, item: &Item) -> Option<(u8, u8)> {
        match item {
            Item::Deliver { from, to, .. } => Some((from.0, to.0)),
            Item::Request { connection, .. }
            | Item::HungUp { connection, .. }
            | Item::Unreadable { connection, by_client: false } => Some(self.ends(*connection)),
            Item::Response { connection, .. } | Item::Unreadable { connection, by_client: true } => {
                let (client, node) = self.ends(*connection);
                Some((node, client))
            }
            _ => None,
        }
    }

    /// Something waits at the end of its clogged link. How much may, the link's bound on what is under way says.
    pub(super) fn hold_up(&mut self, item: Item) {
        let link = self.link_of(&item).expect("what is stuck came along a link");
        self.outcome.counters.count(Counter::MessagesStuck);
        if self.tell.is_some() {
            self.tell_of_wait(&item);
        }
        self.stuck.push((link, item));
    }

    /// What waited on links that are clogged no more is due now, in the order it came, before anything that comes in
    /// time.
    pub(super) fn release(&mut self) {
        let now = self.now();
        for (link, item) in std::mem::take(&mut self.stuck) {
            if self.network.is_clogged(link.0, link.1) {
                self.stuck.push((link, item));
            } else {
                self.agenda.put(now, Class::Released, item);
            }
        }
    }

    // ---- Clocks.

    pub(super) fn skew(&mut self, id: NodeId, ppm: i64) -> bool {
        let now = self.now();
        let process = &mut self.processes[usize::from(id.0)];
        process.skew = ppm;
        process.clock.set_skew(now, ppm);
        self.outcome.counters.count(Counter::ClocksSkewed);
        if self.tell.is_some() {
            self.tell(Told::Skewed { node: id, ppm });
        }
        self.set_timer_anew(id);
        true
    }

    /// The clock of a node's machine leaps, and perhaps the other way after a while.
    pub(super) fn jump(
        &mut self,
        node: NodeId,
        (backward, by): (bool, Span),
        back: Option<Span>,
        flap: Option<Flap>,
    ) -> bool {
        self.leap(node, backward, by);
        self.end_later(What::Leap { node, backward, by }, back, flap);
        true
    }

    fn leap(&mut self, id: NodeId, backward: bool, by: Span) {
        let now = self.now();
        self.processes[usize::from(id.0)].clock.leap(now, backward, by);
        if backward {
            self.outcome.counters.count(Counter::ClocksHeldBack);
        } else {
            self.outcome.counters.count(Counter::ClocksLeapt);
            self.ghost().leapt(by);
        }
        if self.tell.is_some() {
            self.tell(Told::Leapt { node: id, backward, by });
        }
        self.set_timer_anew(id);
    }

    /// A healed node's clock stands still no longer.
    pub(super) fn settle_clock(&mut self, id: NodeId) {
        let now = self.now();
        if self.processes[usize::from(id.0)].clock.settle(now) {
            self.set_timer_anew(id);
        }
    }

    /// A deadline comes at another moment now.
    fn set_timer_anew(&mut self, id: NodeId) {
        if let Some((handle, _)) = self.processes[usize::from(id.0)].timer.take() {
            self.agenda.cancel(handle);
            self.schedule(id);
        }
    }
}

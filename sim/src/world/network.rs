//! The simulated network: when, how often and whether a message arrives.
//!
//! It moves no message itself; it says at which instants one is to be delivered. Every decision is keyed by what the
//! message is about (link, kind, view, index, and how many like it went before), so that leaving out one message
//! changes nothing for the others. Messages of one link arrive in the order sent, like on a stream, except those that
//! chance delays out of turn or repeats. A message that was sent arrives even if its sender has died since, and at
//! whatever life of the receiver is there.
//!
//! A client's connection is a stream, which neither repeats nor reorders anything: there, what would overtake or come
//! late holds up everything behind it instead, nothing is duplicated, and what is lost is lost.
//!
//! Blocks (partitions, isolations, cuts, clogs) overlap freely, end one by one, and may come and go. What is sent on a
//! blocked link is lost. What arrives at the end of a clogged one waits there: whoever takes it off the agenda asks
//! [`Network::is_clogged`], and it counts as under way meanwhile.

use crate::{
    choice::{Chooser, Stream},
    outcome::{Counter, Counters},
    scenario::{
        Action, End, Links, MessageFate, MessageKind, Order, Override, QUEUE_MAX, RankedBy, Scenario, event::Subject,
        order::RANKS,
    },
};
use ios_core::{
    ids::{Index, NodeId, NodeSet, View},
    time::{Span, Time},
};

/// The most messages under way on one link; a sender's buffer is not larger, so what exceeds it is lost.
pub const LINK_MAX: u16 = QUEUE_MAX as u16;

/// Counters that tell messages apart that agree in everything else. A collision only couples two decisions.
const ATTEMPTS: usize = 1 << 12;

/// What decisions about a message are keyed by, and what an override matches.
#[derive(Clone, Copy, Debug)]
pub struct Letter {
    /// Kind, view, index.
    pub subject: Subject,
    /// Whatever else tells it apart: a heartbeat's round, a request's number.
    pub number: u64,
}

/// The instants at which a message arrives: not at all, once, or several times.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Arrivals {
    times: [Option<Time>; 3],
    /// Its frame arrives damaged; how, these bits decide.
    pub damage: Option<u64>,
    /// It does not arrive because its link was full.
    pub full: bool,
}

impl Arrivals {
    /// In no particular order.
    pub fn iter(self) -> impl Iterator<Item = Time> {
        self.times.into_iter().flatten()
    }
}

/// Names a block that may end before the others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BlockId(u32);

#[derive(Debug)]
struct Block {
    id: BlockId,
    /// It holds messages up, and does not lose them.
    clogs: bool,
    /// It is there now, and not away for a while.
    there: bool,
    /// Indices of the links it blocks.
    links: Vec<u16>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Link {
    /// The last arrival in order.
    last: Time,
    under_way: u16,
    blocks: u16,
    clogs: u16,
    /// By how much others have priority over it.
    behind: Span,
    /// Works without fault from the liveness phase on.
    healed: bool,
}

/// An override of messages, with how many have matched.
#[derive(Debug)]
struct Rule {
    /// Its place in the scenario.
    place: usize,
    from: Option<u8>,
    to: Option<u8>,
    kind: Option<MessageKind>,
    view: Option<View>,
    index: Option<Index>,
    nth: Option<u32>,
    fate: MessageFate,
    seen: u32,
}

/// All links of a cluster. Ends are numbered: members first, then clients.
#[derive(Debug)]
pub struct Network {
    choose: Chooser,
    nodes: u8,
    ends: u8,
    members: Links,
    clients: Links,
    links: Vec<Link>,
    slow: Vec<Span>,
    order: Order,
    /// How often priorities have been given.
    rankings: u64,
    blocks: Vec<Block>,
    blocks_made: u32,
    rules: Vec<Rule>,
    attempts: Vec<u16>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            choose: Chooser::new(0),
            nodes: 0,
            ends: 0,
            members: Links::default(),
            clients: Links::default(),
            links: Vec::new(),
            slow: Vec::new(),
            order: Order::Independent,
            rankings: 0,
            blocks: Vec::new(),
            blocks_made: 0,
            rules: Vec::new(),
            attempts: vec![0; ATTEMPTS],
        }
    }
}

impl Network {
    /// Makes it anew for a run, keeping its memory.
    pub fn reset(&mut self, scenario: &Scenario) {
        self.choose = Chooser::new(scenario.seed);
        self.nodes = scenario.cluster.nodes;
        self.ends = scenario.cluster.nodes + scenario.cluster.clients;
        self.members = scenario.network.clone();
        self.clients = scenario.client_network.clone();
        self.links.clear();
        self.links.resize(usize::from(self.ends) * usize::from(self.ends), Link::default());
        self.slow.clear();
        self.slow.resize(usize::from(self.nodes), Span::ZERO);
        (self.order, self.rankings) = (scenario.order, 0);
        self.rank();
        self.blocks.clear();
        self.blocks_made = 0;
        self.attempts.fill(0);
        self.rules.clear();
        for (place, directive) in scenario.overrides.iter().enumerate() {
            if let Override::Message { from, to, kind, view, index, nth, fate } = directive {
                self.rules.push(Rule {
                    place,
                    from: from.map(|end| self.number(end)),
                    to: to.map(|end| self.number(end)),
                    kind: *kind,
                    view: *view,
                    index: index.map(Index),
                    nth: *nth,
                    fate: *fate,
                    seen: 0,
                });
            }
        }
    }

    /// The number of an end.
    pub fn number(&self, end: End) -> u8 {
        match end {
            End::Node(node) => node.0,
            End::Client(client) => self.nodes + client,
        }
    }

    /// Decides about one message. `used` notes which overrides decided something.
    pub fn send(
        &mut self,
        now: Time,
        (from, to): (u8, u8),
        letter: Letter,
        counters: &mut Counters,
        used: &mut [bool],
    ) -> Arrivals {
        let place = self.place(from, to);
        let fate = self.rule(from, to, letter.subject, used);
        let link = self.links[place];
        if link.blocks > 0 && !link.healed {
            counters.count(Counter::MessagesCutOff);
            return Arrivals::default();
        }
        if u32::from(link.under_way) >= self.family(from, to).queue {
            counters.count(Counter::MessagesOverflowed);
            return Arrivals { full: true, ..Arrivals::default() };
        }
        let key = self.key(place, letter);
        let arrivals = self.arrivals(now, (from, to), key, fate, counters);
        self.links[place].under_way += arrivals.iter().count() as u16;
        arrivals
    }

    /// A message has left the network.
    pub fn arrived(&mut self, from: u8, to: u8) {
        let place = self.place(from, to);
        self.links[place].under_way -= 1;
    }

    /// A message that had arrived waits again: its receiver was paused.
    pub fn arrives_again(&mut self, from: u8, to: u8) {
        let place = self.place(from, to);
        self.links[place].under_way += 1;
    }

    /// How long news of a link (a reset, a connection) takes from one end to another; without loss or order.
    pub fn notice(&self, from: u8, to: u8, number: u64) -> Span {
        let family = self.family(from, to);
        self.choose.span(family.delay, Stream::Delay, &[u64::from(from), u64::from(to), u64::MAX, number])
    }

    /// Whether what `from` sends to `to` is lost at present.
    pub fn is_blocked(&self, from: u8, to: u8) -> bool {
        let link = &self.links[self.place(from, to)];
        link.blocks > 0 && !link.healed
    }

    /// Whether what arrives from `from` at `to` has to wait at present.
    pub fn is_clogged(&self, from: u8, to: u8) -> bool {
        let link = &self.links[self.place(from, to)];
        link.clogs > 0 && !link.healed
    }

    /// Gives every link between members its priority anew, if the order of messages is one of priorities.
    pub fn rank(&mut self) {
        self.rankings += 1;
        for from in 0..self.nodes {
            for to in 0..self.nodes {
                let place = self.place(from, to);
                self.links[place].behind = match self.order {
                    Order::Independent => Span::ZERO,
                    Order::SlowLink { from: slow, to: end, by } if (slow.0, end.0) == (from, to) => by,
                    Order::SlowLink { .. } => Span::ZERO,
                    Order::Priorities { by, step } => {
                        let to = if by == RankedBy::Links { u64::from(to) + 1 } else { 0 };
                        let words = [u64::from(from), to, self.rankings];
                        step.times(self.choose.between(0, RANKS - 1, Stream::Rank, &words))
                    }
                };
            }
        }
    }

    /// The links that others have priority over, and by how much.
    pub fn ranked(&self) -> impl Iterator<Item = ((u8, u8), Span)> {
        let behind = self.links.iter().enumerate().filter(|(_, link)| link.behind > Span::ZERO);
        behind.map(|(place, link)| (self.link(place as u16), link.behind))
    }

    /// Begins the block that a partition, isolation, cut or clog describes; `node` is what its target came to.
    pub fn block(&mut self, action: &Action, node: Option<NodeId>) -> BlockId {
        let mut links = Vec::new();
        let mut add = |network: &Network, from: u8, to: u8| {
            if from != to {
                links.push(network.place(from, to) as u16);
            }
        };
        match action {
            Action::Partition { groups, oneway, .. } => {
                for (place, group) in groups.iter().enumerate() {
                    for (from, to) in
                        groups[place + 1..].iter().flatten().flat_map(|to| group.iter().map(move |from| (from, to)))
                    {
                        let (from, to) = (self.number(*from), self.number(*to));
                        add(self, from, to);
                        if !oneway {
                            add(self, to, from);
                        }
                    }
                }
            }
            Action::Cut { links, .. } | Action::Clog { links, .. } => {
                links.iter().for_each(|(from, to)| add(self, self.number(*from), self.number(*to)));
            }
            Action::Isolate { .. } => {
                let node = node.expect("an isolation has a target").0;
                for end in 0..self.ends {
                    add(self, node, end);
                    add(self, end, node);
                }
            }
            other => unreachable!("{other:?} blocks no link"),
        }
        let id = BlockId(self.blocks_made);
        self.blocks_made += 1;
        self.blocks.push(Block { id, clogs: matches!(action, Action::Clog { .. }), there: false, links });
        self.put_up(id, true);
        id
    }

    /// A block comes or goes, if it has not ended. Whether that is so.
    pub fn put_up(&mut self, id: BlockId, there: bool) -> bool {
        let Some(block) = self.blocks.iter_mut().find(|block| block.id == id) else { return false };
        if block.there != there {
            block.there = there;
            for link in &block.links {
                let link = &mut self.links[usize::from(*link)];
                let count = if block.clogs { &mut link.clogs } else { &mut link.blocks };
                *count = if there { *count + 1 } else { *count - 1 };
            }
        }
        true
    }

    /// Whether there is any clog at all.
    pub fn is_clogged_somewhere(&self) -> bool {
        self.blocks.iter().any(|block| block.clogs)
    }

    /// Whether a block holds messages up, and does not lose them.
    pub fn clogs(&self, id: BlockId) -> bool {
        self.blocks.iter().any(|block| block.id == id && block.clogs)
    }

    /// The links of a block, from whom to whom.
    pub fn blocked_by(&self, id: BlockId) -> impl Iterator<Item = (u8, u8)> {
        let links = self.blocks.iter().filter(move |block| block.id == id).flat_map(|block| &block.links);
        links.map(|link| self.link(*link))
    }

    fn link(&self, place: u16) -> (u8, u8) {
        ((place / u16::from(self.ends)) as u8, (place % u16::from(self.ends)) as u8)
    }

    /// Ends one block, if it has not ended yet.
    pub fn unblock(&mut self, id: BlockId) {
        self.put_up(id, false);
        self.blocks.retain(|block| block.id != id);
    }

    /// Ends all blocks.
    pub fn heal(&mut self) {
        self.blocks.clear();
        self.links.iter_mut().for_each(|link| (link.blocks, link.clogs) = (0, 0));
    }

    /// Every message from and to a node takes this much longer.
    pub fn slow_down(&mut self, node: NodeId, by: Span) {
        self.slow[usize::from(node.0)] = by;
    }

    /// From now on the links among `nodes` and those of all clients work without fault. No decision set by hand holds
    /// any more, nor any bound on queues: a link may lose much for ever, but not for ever the same. One that heartbeats
    /// fill would lose all else and keep its leader in office, which no protocol survives.
    pub fn heal_for_ever(&mut self, nodes: NodeSet) {
        for from in 0..self.ends {
            for to in 0..self.ends {
                let client = from >= self.nodes || to >= self.nodes;
                let place = self.place(from, to);
                self.links[place].healed = client || nodes.contains(NodeId(from)) && nodes.contains(NodeId(to));
            }
        }
        for node in nodes.iter() {
            self.slow[usize::from(node.0)] = Span::ZERO;
        }
        self.rules.clear();
        (self.members.queue, self.clients.queue) = (QUEUE_MAX, QUEUE_MAX);
    }

    fn place(&self, from: u8, to: u8) -> usize {
        usize::from(from) * usize::from(self.ends) + usize::from(to)
    }

    fn family(&self, from: u8, to: u8) -> &Links {
        if from < self.nodes && to < self.nodes { &self.members } else { &self.clients }
    }

    /// The first override that matches decides.
    fn rule(&mut self, from: u8, to: u8, subject: Subject, used: &mut [bool]) -> Option<MessageFate> {
        let mut fate = None;
        for rule in &mut self.rules {
            let matches = rule.from.is_none_or(|end| end == from)
                && rule.to.is_none_or(|end| end == to)
                && rule.kind.is_none_or(|kind| kind == subject.kind)
                && (rule.view.is_none() || rule.view == subject.view)
                && (rule.index.is_none() || rule.index == subject.index);
            if matches {
                rule.seen += 1;
                if fate.is_none() && rule.nth.is_none_or(|nth| nth == rule.seen) {
                    used[rule.place] = true;
                    fate = Some(rule.fate);
                }
            }
        }
        fate
    }

    /// One word that stands for everything a decision about this message depends on.
    fn key(&mut self, link: usize, letter: Letter) -> u64 {
        let view = letter.subject.view.map_or(0, |view| view.round << 8 | u64::from(view.node.0));
        let index = letter.subject.index.map_or(0, |index| index.0);
        let like =
            self.choose.u64(Stream::Order, &[link as u64, letter.subject.kind as u64, view, index, letter.number]);
        let attempt = &mut self.attempts[like as usize % ATTEMPTS];
        *attempt = attempt.wrapping_add(1);
        like.wrapping_add(u64::from(*attempt))
    }

    fn arrivals(
        &mut self,
        now: Time,
        (from, to): (u8, u8),
        key: u64,
        fate: Option<MessageFate>,
        counters: &mut Counters,
    ) -> Arrivals {
        let (place, choose) = (self.place(from, to), self.choose);
        let link = self.links[place];
        let slow = if link.healed { Span::ZERO } else { self.extra(from) + self.extra(to) };
        let family = self.family(from, to).clone();
        let sound = link.healed;
        let chance = |chance: u32, stream| !sound && choose.chance(chance, stream, &[key]);
        let mut arrivals = Arrivals::default();
        let lost = fate == Some(MessageFate::Drop) || fate.is_none() && chance(family.drop, Stream::Drop);
        if lost {
            counters.count(Counter::MessagesDropped);
            return arrivals;
        }
        let behind = if sound { Span::ZERO } else { link.behind };
        counters.add(Counter::MessagesOutranked, u64::from(behind > Span::ZERO));
        let delay = choose.span(family.delay, Stream::Delay, &[key]) + slow + behind;
        let stream = from >= self.nodes || to >= self.nodes;
        let mut in_order = true;
        let mut first = match fate {
            Some(MessageFate::Delay(exactly)) => {
                in_order = false;
                now + exactly
            }
            _ if chance(family.reorder, Stream::Reorder) => {
                in_order = false;
                counters.count(Counter::MessagesReordered);
                let more = choose.between(1, family.delay.1.times(10).0.max(1), Stream::Reorder, &[key, 1]);
                now + delay + Span(more)
            }
            _ => now + delay,
        };
        let late = chance(family.late, Stream::Late).then(|| choose.span(family.late_by, Stream::Late, &[key, 1]));
        if late.is_some() {
            counters.count(Counter::MessagesLate);
        }
        arrivals.damage = chance(family.damage, Stream::Damage).then(|| choose.u64(Stream::Damage, &[key, 1]));
        if stream {
            first = link.last.max(first + late.unwrap_or(Span::ZERO));
            arrivals.times[0] = Some(first);
            self.links[place].last = first;
            return arrivals;
        }
        if in_order {
            first = link.last.max(first);
            self.links[place].last = first;
        }
        arrivals.times[0] = Some(first);
        if arrivals.damage.is_some() {
            return arrivals;
        }
        if let Some(MessageFate::Duplicate(after)) = fate {
            counters.count(Counter::MessagesDuplicated);
            arrivals.times[1] = Some(now + after);
        } else if chance(family.duplicate, Stream::Duplicate) {
            counters.count(Counter::MessagesDuplicated);
            arrivals.times[1] = Some(now + choose.span(family.delay, Stream::Duplicate, &[key, 1]) + slow);
        }
        arrivals.times[2] = late.map(|late| now + late);
        arrivals
    }

    fn extra(&self, end: u8) -> Span {
        self.slow.get(usize::from(end)).copied().unwrap_or(Span::ZERO)
    }
}

#[cfg(test)]
mod tests;

//! Connections to endpoints: which are up, who answers there, and where the next try goes.

use super::{EndpointId, operations::Tag};
use crate::{
    ids::NodeId,
    replica::quorum::MEMBERS_MAX,
    time::{Span, Time},
};
use alloc::{string::String, vec::Vec};

/// How many times `try_timeout` an unanswered try may take at most.
const PATIENCE_MAX: u64 = 8;

/// Most endpoints learned: no cluster has more members.
const LEARNED_MAX: usize = MEMBERS_MAX;

/// Redirects followed in a row, without anything done, before the next endpoint in the ring is asked instead.
const HOPS_MAX: u32 = 2;

/// All endpoints, and the one that tries go to.
///
/// Whoever leads is found in the end, whatever the others believe: a redirect does not move the place in the ring, and
/// after [`HOPS_MAX`] of them the ring goes on. So between two visits to one place in it all other places are visited.
///
/// To the endpoints *given* come those *learned*: nodes say where each member is reached. It is hearsay, and may be an
/// address that only members can reach, so it takes nothing away from the given ones:
/// - there is one learned endpoint for a member at most, and [`LEARNED_MAX`] in all; news of a member replaces its
///   address;
/// - a redirect does not lead to where the last connection was not made; the ring comes by there in any case;
/// - the ring leaves out a learned endpoint while a given one is known to be the same member's, and answers.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// Those given, then those learned.
    links: Vec<Link>,
    given: usize,
    current: EndpointId,
    /// Where the walk around the ring has come to; redirects lead away from it.
    ring: EndpointId,
    /// Redirects followed since the ring went on or something was done.
    hops: u32,
    /// Connections that broke or were not made since a node last answered.
    failures: u32,
    /// No connection is made before this.
    connect_at: Time,
    /// The patience to begin with, and the least.
    try_timeout: Span,
}

#[derive(Clone, Debug)]
struct Link {
    state: State,
    address: String,
    /// Whose it is by hearsay, if it was learned.
    learned: Option<NodeId>,
    /// Learned by `Hello` or hearsay, and kept: an address seldom changes its member, and a wrong guess costs one
    /// redirect.
    node: Option<NodeId>,
    /// The last connection could not be made.
    unmade: bool,
    /// When the members' addresses were asked for, until they are told.
    curious: Option<Time>,
    /// The first request of those sent since something last arrived. Whether anybody still waits for its answer does
    /// not matter: operations may all end at deadlines too short for a try, and still the silence shows that nobody is
    /// there.
    asked: Option<Time>,
    /// How long a try there, or the making of a connection, may take. A node may be farther away than `try_timeout`
    /// allows for, and its answers, thrown away with the connection, would come too late for ever.
    patience: Span,
}

/// Down -> Connecting -> Up -> Down; any of them may end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Down,
    Connecting { until: Time },
    Up { life: Tag },
}

/// What came of hearsay about a member's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Learned {
    /// This endpoint is new, or has a new address.
    New(EndpointId),
    /// There is an endpoint with that address.
    Known,
    /// There are enough.
    TooMany,
}

impl Link {
    fn new(address: String, learned: Option<NodeId>, patience: Span) -> Self {
        let (state, node) = (State::Down, learned);
        Self { state, address, learned, node, unmade: false, curious: None, asked: None, patience }
    }

    /// When its silence has lasted too long.
    fn silent_at(&self) -> Option<Time> {
        let asked = self.asked.filter(|_| matches!(self.state, State::Up { .. }));
        asked.map(|asked| asked + self.patience)
    }
}

impl Links {
    pub fn new(addresses: Vec<String>, current: EndpointId, try_timeout: Span, now: Time) -> Self {
        Self {
            given: addresses.len(),
            links: addresses.into_iter().map(|address| Link::new(address, None, try_timeout)).collect(),
            current,
            ring: current,
            hops: 0,
            failures: 0,
            connect_at: now,
            try_timeout,
        }
    }

    pub fn current(&self) -> EndpointId {
        self.current
    }

    pub fn state(&self, endpoint: EndpointId) -> State {
        self.links[endpoint.0].state
    }

    pub fn set_state(&mut self, endpoint: EndpointId, state: State) {
        self.links[endpoint.0].state = state;
    }

    /// The life of the current endpoint's connection, if it is up.
    pub fn current_life(&self) -> Option<Tag> {
        match self.state(self.current) {
            State::Up { life } => Some(life),
            State::Down | State::Connecting { .. } => None,
        }
    }

    /// Whether a connection to the current endpoint is to be begun now.
    pub fn may_connect(&self, now: Time) -> bool {
        self.state(self.current) == State::Down && now >= self.connect_at
    }

    /// When the current connection is to be made or given up, or another has been silent for too long.
    pub fn deadline(&self, wanted: bool) -> Option<Time> {
        let current = match self.state(self.current) {
            State::Down => wanted.then_some(self.connect_at),
            State::Connecting { until } => Some(until),
            State::Up { .. } => None,
        };
        [current, self.links.iter().filter_map(Link::silent_at).min()].into_iter().flatten().min()
    }

    /// A connection on which nothing has arrived for longer than patience allows.
    pub fn silent(&self, now: Time) -> Option<EndpointId> {
        self.links.iter().position(|link| link.silent_at().is_some_and(|at| at <= now)).map(EndpointId)
    }

    /// A request was sent there.
    pub fn ask(&mut self, endpoint: EndpointId, now: Time) {
        self.links[endpoint.0].asked.get_or_insert(now);
    }

    /// Something arrived: this endpoint lives, and so does the road to it.
    pub fn hear(&mut self, endpoint: EndpointId, now: Time) {
        self.links[endpoint.0].asked = None;
        self.failures = 0;
        self.connect_at = now;
    }

    /// There is a connection, on which the members' addresses are asked for at once.
    pub fn came_up(&mut self, endpoint: EndpointId, life: Tag, now: Time) {
        let link = &mut self.links[endpoint.0];
        (link.state, link.asked, link.unmade, link.curious) = (State::Up { life }, None, false, Some(now));
    }

    /// The connection broke, or was not made.
    pub fn lose(&mut self, endpoint: EndpointId) {
        let link = &mut self.links[endpoint.0];
        link.unmade = matches!(link.state, State::Connecting { .. });
        link.state = State::Down;
    }

    /// Whether the members' addresses were asked for there, and not told yet.
    pub fn take_curiosity(&mut self, endpoint: EndpointId) -> bool {
        self.links[endpoint.0].curious.take().is_some()
    }

    /// Whether the members' addresses are to be asked for again, because `endpoint` does not lead, and speaks of a
    /// leader that nobody has said how to reach: it may be new, or the answer was lost. If it speaks of none, only a
    /// lost answer counts. The connection's life, if so.
    pub fn grow_curious(&mut self, endpoint: EndpointId, leader: Option<NodeId>, now: Time) -> Option<Tag> {
        let reaches = |leader| self.links.iter().any(|link| link.node == Some(leader));
        if leader.is_some_and(reaches) {
            return None;
        }
        let link = &mut self.links[endpoint.0];
        let State::Up { life } = link.state else { return None };
        let asks = match link.curious {
            Some(asked) => now.since(asked) >= link.patience,
            None => leader.is_some(),
        };
        link.curious = if asks { Some(now) } else { link.curious };
        asks.then_some(life)
    }

    /// A node says that this member is reached there. Who really answers at an endpoint knows better.
    pub fn learn(&mut self, node: NodeId, address: &str) -> Learned {
        if let Some(link) = self.links.iter_mut().find(|link| link.address == address) {
            link.node.get_or_insert(node);
            return Learned::Known;
        }
        let link = Link::new(address.into(), Some(node), self.try_timeout);
        if let Some(place) = self.links.iter().position(|link| link.learned == Some(node)) {
            let old = &mut self.links[place];
            // What is connected stays so until it breaks.
            *old = Link { state: old.state, asked: old.asked, curious: old.curious, ..link };
            return Learned::New(EndpointId(place));
        }
        if self.links.len() - self.given >= LEARNED_MAX {
            return Learned::TooMany;
        }
        self.links.push(link);
        Learned::New(EndpointId(self.links.len() - 1))
    }

    pub fn identify(&mut self, endpoint: EndpointId, node: NodeId) {
        self.links[endpoint.0].node = Some(node);
    }

    /// A connection broke or was not made; returns how many did since a node last answered.
    pub fn fail(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    pub fn connect_not_before(&mut self, time: Time) {
        self.connect_at = time;
    }

    pub fn patience(&self, endpoint: EndpointId) -> Span {
        self.links[endpoint.0].patience
    }

    /// No answer in time: the next one may take twice as long.
    pub fn grow_patient(&mut self, endpoint: EndpointId) {
        let most = self.try_timeout.times(PATIENCE_MAX);
        let patience = &mut self.links[endpoint.0].patience;
        *patience = patience.times(2).min(most);
    }

    /// A node did what it was asked, so redirects that led there were right; and it did it so soon.
    pub fn progress(&mut self, endpoint: EndpointId, took: Option<Span>) {
        self.hops = 0;
        let patience = &mut self.links[endpoint.0].patience;
        if let Some(took) = took {
            *patience = Span(patience.0 / 2).max(took.times(2)).max(self.try_timeout);
        }
    }

    /// Goes to where `leader` answers, if that is known and elsewhere, and if redirects have not led about for too
    /// long.
    pub fn redirect(&mut self, leader: NodeId) -> bool {
        let leads = |link: &Link| link.node == Some(leader) && !link.unmade;
        let found = self.links.iter().position(leads).map(EndpointId);
        match found.filter(|found| *found != self.current && self.hops < HOPS_MAX) {
            Some(endpoint) => {
                self.current = endpoint;
                self.hops += 1;
                true
            }
            None => false,
        }
    }

    /// Goes on around the ring, past the current endpoint, which was just asked.
    pub fn advance(&mut self) {
        let count = self.links.len();
        let mut ring = (1..=count).map(|step| (self.ring.0 + step) % count);
        let next = ring.find(|place| *place != self.current.0 && !self.is_spare(*place));
        // The only place is visited again and again.
        self.ring = next.map_or(self.current, EndpointId);
        self.current = self.ring;
        self.hops = 0;
    }

    /// Whether an endpoint was learned of a member that a given one leads to.
    fn is_spare(&self, place: usize) -> bool {
        let link = &self.links[place];
        let given = &self.links[..self.given];
        place >= self.given && given.iter().any(|given| given.node == link.node && !given.unmade)
    }

    /// Endpoints other than the current one that are not down.
    pub fn others(&self) -> Vec<EndpointId> {
        let alive = |place: &usize| *place != self.current.0 && self.links[*place].state != State::Down;
        (0..self.links.len()).filter(alive).map(EndpointId).collect()
    }

    pub fn all_alive(&self) -> Vec<EndpointId> {
        (0..self.links.len()).filter(|place| self.links[*place].state != State::Down).map(EndpointId).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    fn links(given: usize) -> Links {
        let addresses = (0..given).map(|place| format!("a{place}")).collect();
        Links::new(addresses, EndpointId(0), Span::secs(1), Time::ZERO)
    }

    fn walk(links: &mut Links, steps: usize) -> Vec<usize> {
        let mut step = || {
            links.advance();
            links.current().0
        };
        (0..steps).map(|_| step()).collect()
    }

    #[test]
    fn the_ring_takes_in_what_was_learned_unless_a_given_endpoint_is_the_same_members() {
        let mut links = links(2);
        links.identify(EndpointId(1), NodeId(1));
        for node in 0..3 {
            links.learn(NodeId(node), &format!("b{node}"));
        }
        // e2 to e4 are what n0 to n2 are said to be; n1 answers at e1.
        assert_eq!(walk(&mut links, 5), [1, 2, 4, 0, 1]);
        // A given endpoint that cannot be connected to keeps nobody from trying the other.
        links.set_state(EndpointId(1), State::Connecting { until: Time::ZERO });
        links.lose(EndpointId(1));
        assert_eq!(walk(&mut links, 5), [2, 3, 4, 0, 1]);
    }

    #[test]
    fn hearsay_is_bounded_and_takes_nothing_from_what_was_given_or_seen() {
        let mut links = links(1);
        assert_eq!(links.learn(NodeId(4), "a0"), Learned::Known);
        assert!(links.redirect(NodeId(4)) == (links.current() != EndpointId(0)), "it is where the client is");
        links.identify(EndpointId(0), NodeId(0));
        assert_eq!(links.learn(NodeId(5), "a0"), Learned::Known);
        assert!(!links.redirect(NodeId(5)), "who answers there has said so itself");
        for node in 0..60 {
            let learned = links.learn(NodeId(node), &format!("b{node}"));
            let expected = if node < 16 { Learned::New(EndpointId(1 + usize::from(node))) } else { Learned::TooMany };
            assert_eq!(learned, expected);
        }
        assert_eq!(links.learn(NodeId(7), "c7"), Learned::New(EndpointId(8)), "n7 has moved");
        assert_eq!(links.learn(NodeId(7), "c7"), Learned::Known);
        assert!(links.redirect(NodeId(7)));
        assert_eq!(links.current(), EndpointId(8));
    }

    #[test]
    fn members_that_send_a_client_to_each_other_do_not_keep_it_from_the_rest() {
        let mut links = links(4);
        (0..4).for_each(|place| links.identify(EndpointId(place), NodeId(place as u8)));
        let mut asked = vec![];
        for _ in 0..3 {
            // n0 knows no leader; whoever comes next says that n0 leads.
            links.advance();
            asked.push(links.current().0);
            links.redirect(NodeId(0));
        }
        assert_eq!(asked, [1, 2, 3]);
    }
}

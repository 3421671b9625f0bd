//! Connections to endpoints: which are up, who answers there, and where the next try goes.

use super::{EndpointId, operations::Tag};
use crate::{
    ids::NodeId,
    time::{Span, Time},
};
use alloc::{vec, vec::Vec};

/// How many times `try_timeout` an unanswered try may take at most.
const PATIENCE_MAX: u64 = 8;

/// Redirects followed in a row, without anything done, before the next endpoint in the ring is asked instead.
const HOPS_MAX: u32 = 2;

/// All endpoints, and the one that tries go to.
///
/// Whoever leads is found in the end, whatever the others believe: a redirect does not move the place in the ring, and
/// after [`HOPS_MAX`] of them the ring goes on. So between two visits to one place in it all other places are visited.
#[derive(Clone, Debug)]
pub(super) struct Links {
    links: Vec<Link>,
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
    /// Learned by `Hello`, and kept: an address seldom changes its member, and a wrong guess costs one redirect.
    node: Option<NodeId>,
    /// The first request of those sent since something last arrived. Whether anybody still waits for its answer does
    /// not
    /// matter: operations may all end at deadlines too short for a try, and still the silence shows that nobody is
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

impl Link {
    /// When its silence has lasted too long.
    fn silent_at(&self) -> Option<Time> {
        let asked = self.asked.filter(|_| matches!(self.state, State::Up { .. }));
        asked.map(|asked| asked + self.patience)
    }
}

impl Links {
    pub fn new(endpoints: usize, current: EndpointId, try_timeout: Span, now: Time) -> Self {
        let down = Link { state: State::Down, node: None, asked: None, patience: try_timeout };
        Self {
            links: vec![down; endpoints],
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

    pub fn came_up(&mut self, endpoint: EndpointId, life: Tag) {
        let link = &mut self.links[endpoint.0];
        (link.state, link.asked) = (State::Up { life }, None);
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
        let found = self.links.iter().position(|link| link.node == Some(leader)).map(EndpointId);
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
        let next = ring.find(|place| *place != self.current.0 || count == 1);
        self.ring = EndpointId(next.expect("a ring of more than one has another place"));
        self.current = self.ring;
        self.hops = 0;
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

    #[test]
    fn members_that_send_a_client_to_each_other_do_not_keep_it_from_the_rest() {
        let mut links = Links::new(4, EndpointId(0), Span::secs(1), Time::ZERO);
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

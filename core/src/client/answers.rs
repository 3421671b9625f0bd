//! What answers, timeouts and broken connections mean for the operations that wait: the place where a try is settled,
//! lost or crowned.

use super::{
    Client, ClientNote, ClientOutput, EndpointId, IgnoredAnswer, Outcome, Turn, WhyNotDone, WhyUnknown,
    links::{Learned, State},
    operations::{Errand, Kind, Phase, Tag},
    session::Session,
};
use crate::{
    ids::{NodeId, SessionId},
    message::{ClientRequest, ClientResponse, Refusal, RequestKey, is_address},
    replica::quorum::MEMBERS_MAX,
    time::{Span, Time},
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};

/// Where an answer came from: the endpoint, and the life of the connection.
type Road = (EndpointId, Tag);

/// Refusals by an overloaded node after which others are asked: it may be one that only believes to lead.
const OVERLOADED_PATIENCE: u32 = 4;

impl Client {
    pub(super) fn connected(&mut self, turn: &mut Turn, endpoint: EndpointId) {
        match self.links.state(endpoint) {
            State::Connecting { .. } => {
                let life = self.draw_tag();
                self.links.came_up(endpoint, life, turn.now);
                self.links.ask(endpoint, turn.now);
                turn.out.push(ClientOutput::Send { endpoint, request: ClientRequest::Hello { tag: life.0 } });
                turn.out.push(ClientOutput::Send { endpoint, request: ClientRequest::Members { tag: life.0 } });
            }
            State::Down => {
                turn.ignore(IgnoredAnswer::NotConnected);
                turn.out.push(ClientOutput::Disconnect { endpoint });
            }
            State::Up { .. } => turn.ignore(IgnoredAnswer::NotConnected),
        }
    }

    pub(super) fn disconnected(&mut self, turn: &mut Turn, endpoint: EndpointId) {
        if self.links.state(endpoint) == State::Down {
            turn.ignore(IgnoredAnswer::NotConnected);
        } else {
            self.lose_link(turn, endpoint);
        }
    }

    pub(super) fn received(&mut self, turn: &mut Turn, endpoint: EndpointId, response: ClientResponse) {
        let State::Up { life } = self.links.state(endpoint) else {
            turn.ignore(IgnoredAnswer::NotConnected);
            return;
        };
        self.links.hear(endpoint, turn.now);
        match response {
            // Whom the node follows is not acted upon: the refusal of a request says it too, and then there is one.
            ClientResponse::Welcome { tag, node, leader: _ } if Tag(tag) == life => {
                self.links.identify(endpoint, node);
                turn.note(ClientNote::Identified { endpoint, node });
            }
            ClientResponse::Registered { tag, session, ttl } => {
                self.registered(turn, (endpoint, life), Tag(tag), session, ttl);
            }
            ClientResponse::Written { session, sequence, revision, payload } => {
                match self.holder(RequestKey::Write(session, sequence)) {
                    Some(tag) => self.done(turn, (endpoint, life), tag, Outcome::Done { revision, reply: payload }),
                    None => turn.ignore(IgnoredAnswer::Unasked),
                }
            }
            ClientResponse::Read { tag, revision, payload } => match self.holder(RequestKey::Tag(tag)) {
                Some(tag) if self.errand_of(tag).is_none() => {
                    self.done(turn, (endpoint, life), tag, Outcome::Done { revision, reply: payload });
                }
                _ => turn.ignore(IgnoredAnswer::Unasked),
            },
            // A suggestion was heard: that the node answers is all that is to be known.
            ClientResponse::Done { tag } if Tag(tag) == life && self.has_suggested_on(life) => {}
            ClientResponse::Done { tag } => self.errand_done(turn, (endpoint, life), Tag(tag)),
            ClientResponse::Refused { request, refusal } => self.refused(turn, endpoint, life, request, refusal),
            ClientResponse::Members { tag, members } if Tag(tag) == life && self.links.take_curiosity(endpoint) => {
                self.learn(turn, members);
            }
            ClientResponse::Welcome { .. } | ClientResponse::Status { .. } | ClientResponse::Members { .. } => {
                turn.ignore(IgnoredAnswer::Unasked);
            }
        }
    }

    /// Takes over what a node says about where the members are reached, within bounds: it may say anything.
    fn learn(&mut self, turn: &mut Turn, members: BTreeMap<NodeId, String>) {
        for (place, (node, address)) in members.into_iter().enumerate() {
            if place >= MEMBERS_MAX || !is_address(&address) {
                turn.ignore(IgnoredAnswer::BadAddress);
                continue;
            }
            match self.links.learn(node, &address) {
                Learned::New(endpoint) => turn.out.push(ClientOutput::Learned { endpoint, address }),
                Learned::Known => {}
                Learned::TooMany => turn.ignore(IgnoredAnswer::BadAddress),
            }
        }
    }

    /// Who waits for the answer to a request that was sent.
    fn holder(&self, request: RequestKey) -> Option<Tag> {
        match request {
            RequestKey::Write(id, sequence) => self.session.as_ref().filter(|s| s.id() == id)?.holder(sequence),
            // The tag of a write never leaves, and an answer to what was never sent is made up.
            RequestKey::Tag(tag) => {
                let operation = self.operations.get(Tag(tag))?;
                let asked = operation.first_sent.is_some() && !operation.is_write();
                asked.then_some(Tag(tag))
            }
        }
    }

    fn errand_of(&self, tag: Tag) -> Option<Errand> {
        self.errand.filter(|(errand_tag, _)| *errand_tag == tag).map(|(_, errand)| errand)
    }

    fn done(&mut self, turn: &mut Turn, road: Road, tag: Tag, outcome: Outcome) {
        self.arrived(turn, road, tag);
        self.sign_of_life(tag);
        self.complete(turn, tag, outcome);
    }

    /// A result came on this connection: how far away its other end is shows if it answers the try that is open there.
    fn arrived(&mut self, turn: &Turn, (endpoint, life): Road, tag: Tag) {
        let took = match self.operations.get_mut(tag).phase() {
            Phase::Open(open) if (open.endpoint, open.life) == (endpoint, life) => Some(turn.now.since(open.since)),
            _ => None,
        };
        self.links.progress(endpoint, took);
    }

    /// A write or errand of the session was answered: the cluster heard of the session after its first try left.
    fn sign_of_life(&mut self, tag: Tag) {
        let operation = self.operations.get_mut(tag);
        if let (Some(session), Some(sent), false) = (&mut self.session, operation.first_sent, operation.is_read()) {
            session.sign_of_life(sent);
        }
    }

    fn registered(&mut self, turn: &mut Turn, road: Road, tag: Tag, id: SessionId, ttl: Span) {
        if self.holder(RequestKey::Tag(tag.0)).is_none() || self.errand_of(tag) != Some(Errand::Register) {
            turn.ignore(IgnoredAnswer::Unasked);
            return;
        }
        self.arrived(turn, road, tag);
        self.lost_errands = 0;
        let sent = self.end_errand().expect("it was sent, or nobody would wait for its answer");
        self.session = Some(Session::new(id, ttl, sent, turn.now));
        turn.note(ClientNote::Registered { session: id });
    }

    fn errand_done(&mut self, turn: &mut Turn, road: Road, tag: Tag) {
        let asked = self.holder(RequestKey::Tag(tag.0)).and_then(|tag| self.errand_of(tag));
        if matches!(asked, Some(Errand::KeepAlive | Errand::Close)) {
            self.lost_errands = 0;
            self.arrived(turn, road, tag);
        }
        match asked {
            Some(Errand::KeepAlive) => {
                self.sign_of_life(tag);
                self.end_errand();
            }
            Some(Errand::Close) => {
                self.end_errand();
                self.session = None;
            }
            Some(Errand::Register) | None => turn.ignore(IgnoredAnswer::Unasked),
        }
    }

    fn refused(&mut self, turn: &mut Turn, endpoint: EndpointId, life: Tag, request: RequestKey, refusal: Refusal) {
        let Some(tag) = self.holder(request) else {
            turn.ignore(IgnoredAnswer::Unasked);
            return;
        };
        let operation = self.operations.get_mut(tag);
        let (is_read, is_write, is_open) =
            (operation.is_read(), operation.is_write(), operation.is_open_on(endpoint, life));
        // An expired session stays expired, whichever try the news answers; and giving it up is always safe.
        if refusal == Refusal::Expired && !is_read && self.session.is_some() {
            self.give_up_session(turn, true);
            return;
        }
        if !is_open {
            turn.ignore(IgnoredAnswer::EarlierTry);
            return;
        }
        match &refusal {
            Refusal::Invalid(_) | Refusal::TooLarge { .. } | Refusal::NotServed { .. } if is_read || is_write => {
                self.reject(turn, tag, refusal);
            }
            Refusal::Stale if is_write => {
                self.complete(turn, tag, Outcome::Unknown { why: WhyUnknown::Refused(refusal) });
            }
            _ => self.try_elsewhere(turn, endpoint, tag, refusal),
        }
    }

    /// The request itself is at fault, so that no node would take it, or it was asked for in a way that this node is
    /// told not to serve: its caller has to know.
    fn reject(&mut self, turn: &mut Turn, tag: Tag, refusal: Refusal) {
        let outcome = match self.operations.get_mut(tag).has_lost_a_try() {
            true => Outcome::Unknown { why: WhyUnknown::Refused(refusal) },
            false => Outcome::NotDone { why: WhyNotDone::Refused(refusal) },
        };
        self.complete(turn, tag, outcome);
    }

    fn try_elsewhere(&mut self, turn: &mut Turn, endpoint: EndpointId, tag: Tag, refusal: Refusal) {
        let operation = self.operations.get_mut(tag);
        if !refusal.never_queued() {
            operation.lose_try();
        }
        let attempts = operation.attempts;
        let leader = match refusal {
            Refusal::NotLeader { leader } | Refusal::Deposed { leader } => leader,
            _ => None,
        };
        let stay = refusal == Refusal::Overloaded && !attempts.is_multiple_of(OVERLOADED_PATIENCE);
        operation.refusal = Some(refusal);
        if !stay {
            self.leave(turn, endpoint, leader);
        }
        // The first redirect is followed at once. Later ones wait: two nodes may each believe that the other leads.
        let wait = if attempts == 1 && leader.is_some() { Span::ZERO } else { self.backoff(attempts) };
        self.operations.set_phase(tag, Phase::Waiting(turn.now + wait));
    }

    /// Moves all further tries away from `endpoint`, unless they have moved already.
    pub(super) fn leave(&mut self, turn: &mut Turn, endpoint: EndpointId, leader: Option<NodeId>) {
        if self.links.current() != endpoint {
            return;
        }
        if let Some(life) = self.links.grow_curious(endpoint, leader, turn.now) {
            turn.out.push(ClientOutput::Send { endpoint, request: ClientRequest::Members { tag: life.0 } });
        }
        let redirected = leader.is_some_and(|leader| self.links.redirect(leader));
        if !redirected {
            self.links.advance();
        }
        if self.links.current() != endpoint {
            turn.note(ClientNote::Moved { to: self.links.current(), redirected });
        }
    }

    /// The connection is gone, and every open try on it is lost.
    pub(super) fn lose_link(&mut self, turn: &mut Turn, endpoint: EndpointId) {
        self.links.lose(endpoint);
        let open: Vec<Tag> = self.operations.open_on(endpoint).collect();
        for tag in open {
            self.lose_try(turn, tag);
        }
        if self.links.current() == endpoint {
            let failures = self.links.fail();
            let wait = self.backoff(failures);
            self.links.connect_not_before(turn.now + wait);
            self.leave(turn, endpoint, None);
        }
    }

    /// A try ended with its fate open. An errand ends with it, to be begun anew if it is still wanted: so an answer is
    /// one to a try that is known, and says when at the earliest the cluster heard of the session.
    fn lose_try(&mut self, turn: &mut Turn, tag: Tag) {
        if self.errand_of(tag).is_some() {
            self.lost_errands = self.lost_errands.saturating_add(1);
            self.end_errand();
            return;
        }
        let operation = self.operations.get_mut(tag);
        operation.lose_try();
        let attempts = operation.attempts;
        let wait = self.backoff(attempts);
        self.operations.set_phase(tag, Phase::Waiting(turn.now + wait));
    }

    /// Uses the session no more. What may have executed in it is unknown; the rest goes on in the next one.
    pub(super) fn give_up_session(&mut self, turn: &mut Turn, expired: bool) {
        let session = self.session.take().expect("only an open session is given up");
        turn.note(ClientNote::GaveUpSession { session: session.id(), expired });
        for tag in session.into_in_flight() {
            let operation = self.operations.get_mut(tag);
            if operation.may_have_executed() {
                self.complete(turn, tag, Outcome::Unknown { why: WhyUnknown::Expired });
            } else if let Kind::Write { sequence, .. } = &mut operation.kind {
                *sequence = None;
                self.operations.set_phase(tag, Phase::Queued);
            }
        }
        self.end_errand();
    }

    /// Forgets the errand under way; returns when it was first sent.
    pub(super) fn end_errand(&mut self) -> Option<Time> {
        let (tag, _) = self.errand.take()?;
        self.operations.remove(tag).first_sent
    }

    pub(super) fn fire_timers(&mut self, turn: &mut Turn) {
        while let Some(tag) = self.operations.due(turn.now) {
            let operation = self.operations.get_mut(tag);
            if operation.deadline() <= turn.now {
                self.out_of_time(turn, tag);
                continue;
            }
            match operation.phase() {
                Phase::Open(open) => self.time_out(turn, tag, open.endpoint),
                Phase::Waiting(_) | Phase::Queued | Phase::Ready => self.operations.set_phase(tag, Phase::Ready),
            }
        }
    }

    /// No answer to a try on a connection that is not silent.
    fn time_out(&mut self, turn: &mut Turn, tag: Tag, endpoint: EndpointId) {
        turn.note(ClientNote::TimedOut { endpoint });
        self.links.grow_patient(endpoint);
        self.lose_try(turn, tag);
        self.leave(turn, endpoint, None);
    }

    /// A connection on which requests go out and nothing comes in is taken for dead.
    pub(super) fn drop_silent_links(&mut self, turn: &mut Turn) {
        while let Some(endpoint) = self.links.silent(turn.now) {
            turn.note(ClientNote::TimedOut { endpoint });
            self.links.grow_patient(endpoint);
            turn.out.push(ClientOutput::Disconnect { endpoint });
            self.lose_link(turn, endpoint);
        }
    }

    fn out_of_time(&mut self, turn: &mut Turn, tag: Tag) {
        if self.errand_of(tag).is_some() {
            // Only closing has a deadline. The session expires by itself.
            self.end_errand();
            self.session = None;
            return;
        }
        let operation = self.operations.get_mut(tag);
        let outcome = match operation.may_have_executed() {
            true => Outcome::Unknown { why: WhyUnknown::Deadline },
            false => Outcome::NotDone { why: WhyNotDone::Deadline { last: operation.refusal.take() } },
        };
        self.complete(turn, tag, outcome);
    }
}

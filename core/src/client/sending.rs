//! What goes out: errands of the session, connections, and every request that can go now.

use super::{
    Client, ClientNote, ClientOutput, Stage, Turn,
    links::State,
    operations::{Errand, Kind, Operation, Phase, Tag, Try},
};
use crate::{
    ids::SessionId,
    message::{ClientRequest, ReadMode},
    time::Time,
};

impl Client {
    /// Gives up a session that can be trusted no more, and sees to it that the errand under way is the one wanted.
    pub(super) fn tend_session(&mut self, turn: &mut Turn) {
        if self.session_is_useless(turn.now) {
            self.give_up_session(turn, false);
        }
        let wanted = self.wanted_errand(turn.now);
        if self.errand.map(|(_, errand)| errand) == wanted {
            return;
        }
        self.end_errand();
        if let Some(errand) = wanted {
            let deadline = match (errand, self.stage) {
                (Errand::Close, Stage::Closing(deadline)) => deadline,
                _ => Time::NEVER,
            };
            let tag = self.draw_tag();
            self.operations.insert(tag, Kind::Errand(errand), Phase::Ready, deadline);
            self.errand = Some((tag, errand));
        }
    }

    /// A session too long silent to be trusted, in which nothing is left that could still be answered.
    fn session_is_useless(&self, now: Time) -> bool {
        let executing = |tag| self.operations.get(tag).is_some_and(Operation::may_have_executed);
        self.session.as_ref().is_some_and(|session| session.is_doubtful(now) && !session.in_flight().any(executing))
    }

    fn wanted_errand(&self, now: Time) -> Option<Errand> {
        let Some(session) = &self.session else {
            // A registration under way is awaited even if nobody wants it any more: the next write will.
            let open = self.errand.and_then(|(tag, _)| self.operations.get(tag)).is_some_and(Operation::is_open);
            let wanted = self.operations.first_queued().is_some() || open && self.stage == Stage::Open;
            return wanted.then_some(Errand::Register);
        };
        // A write about to be sent is a sign of life itself.
        let is_quiet = session.is_idle() && self.operations.first_queued().is_none();
        let keep_alive = is_quiet && now >= session.keep_alive_at(self.options.keep_alive_percent);
        match self.stage {
            Stage::Open => keep_alive.then_some(Errand::KeepAlive),
            Stage::Closing(deadline) => (self.outstanding() == 0 && now < deadline).then_some(Errand::Close),
            Stage::Closed => None,
        }
    }

    /// Hangs up when there is nothing left to do for a client that closes.
    pub(super) fn tend_close(&mut self, turn: &mut Turn) {
        if matches!(self.stage, Stage::Closing(_)) && self.operations.is_empty() {
            self.stage = Stage::Closed;
            self.session = None;
            for endpoint in self.links.all_alive() {
                self.links.set_state(endpoint, State::Down);
                turn.out.push(ClientOutput::Disconnect { endpoint });
            }
            turn.out.push(ClientOutput::Closed);
        }
    }

    /// Connects to the current endpoint if anything waits for it, and gives up a connection that is not made in time.
    pub(super) fn tend_links(&mut self, turn: &mut Turn) {
        let endpoint = self.links.current();
        if let State::Connecting { until } = self.links.state(endpoint)
            && turn.now >= until
        {
            self.links.grow_patient(endpoint);
            turn.out.push(ClientOutput::Disconnect { endpoint });
            self.lose_link(turn, endpoint);
        }
        let endpoint = self.links.current();
        if !self.operations.is_empty() && self.links.may_connect(turn.now) {
            self.links.set_state(endpoint, State::Connecting { until: turn.now + self.links.patience(endpoint) });
            turn.out.push(ClientOutput::Connect { endpoint });
        }
    }

    pub(super) fn send_what_can_go(&mut self, turn: &mut Turn) {
        let Some(life) = self.links.current_life() else { return };
        let endpoint = self.links.current();
        let open = Try { endpoint, life, since: turn.now, until: turn.now + self.links.patience(endpoint) };
        let trusted = self.session.as_ref().is_some_and(|session| !session.is_doubtful(turn.now));
        let mut last = Tag(0);
        while let Some(tag) = self.operations.ready_after(last) {
            last = tag;
            // A write that nobody has taken yet need not risk to be unknown in a session that may have expired.
            let operation = self.operations.get_mut(tag);
            if trusted || !operation.is_write() || operation.has_lost_a_try() {
                self.send(turn, tag, open);
            }
        }
        while let Some(tag) = self.operations.first_queued()
            && let Some(session) = &mut self.session
            && trusted
            && session.has_room(self.options.in_flight_max)
        {
            let given = session.assign(tag);
            if let Kind::Write { sequence, .. } = &mut self.operations.get_mut(tag).kind {
                *sequence = Some(given);
            }
            self.send(turn, tag, open);
        }
    }

    pub(super) fn has_suggested_on(&self, life: Tag) -> bool {
        self.suggested.is_some_and(|(_, on)| on == life)
    }

    /// Tells the node that is tried next that this operation has failed so often, if it is time to.
    fn suggest_if_due(&mut self, turn: &mut Turn, tag: Tag, to: &Try) {
        let operation = self.operations.get(tag).expect("only what is in hand is sent");
        let failed = match operation.kind {
            Kind::Errand(_) => operation.attempts.saturating_add(self.lost_errands),
            Kind::Read { .. } | Kind::Write { .. } => operation.attempts,
        };
        let often = self.options.before_force > 0 && failed > 0 && failed.is_multiple_of(self.options.before_force);
        let lately = self.suggested.is_some_and(|(at, _)| turn.now.since(at) < self.options.backoff_max);
        if often && !lately {
            self.suggested = Some((turn.now, to.life));
            turn.note(ClientNote::Suggested { endpoint: to.endpoint });
            let request = ClientRequest::Suggest { tag: to.life.0 };
            turn.out.push(ClientOutput::Send { endpoint: to.endpoint, request });
        }
    }

    fn send(&mut self, turn: &mut Turn, tag: Tag, open: Try) {
        self.suggest_if_due(turn, tag, &open);
        let request = self.request(tag);
        let operation = self.operations.get_mut(tag);
        operation.attempts = operation.attempts.saturating_add(1);
        operation.first_sent.get_or_insert(turn.now);
        if let Kind::Read { mode: mode @ ReadMode::Participant, .. } = &mut operation.kind {
            *mode = ReadMode::Leader;
        }
        if let (Kind::Read { operation: id, .. } | Kind::Write { operation: id, .. }, 2..) =
            (&operation.kind, operation.attempts)
        {
            turn.note(ClientNote::Retried { operation: *id, attempt: operation.attempts });
        }
        turn.out.push(ClientOutput::Send { endpoint: open.endpoint, request });
        self.links.ask(open.endpoint, turn.now);
        self.operations.set_phase(tag, Phase::Open(open));
    }

    fn request(&self, tag: Tag) -> ClientRequest {
        let operation = self.operations.get(tag).expect("only what is in hand is sent");
        match &operation.kind {
            Kind::Read { payload, mode, .. } => {
                let (tag, payload) = (tag.0, payload.clone());
                match mode {
                    ReadMode::Leader => ClientRequest::Read { tag, payload },
                    ReadMode::Participant => ClientRequest::ParticipantRead { tag, payload },
                    ReadMode::Stale => ClientRequest::StaleRead { tag, payload },
                }
            }
            Kind::Write { payload, sequence, .. } => {
                let session = self.session.as_ref().expect("a write is sent in a session");
                let sequence = sequence.expect("a write is sent under a sequence");
                let payload = payload.clone();
                ClientRequest::Write { session: session.id(), sequence, acked: session.acked(), payload }
            }
            Kind::Errand(Errand::Register) => ClientRequest::Register { tag: tag.0 },
            Kind::Errand(Errand::KeepAlive) => ClientRequest::KeepAlive { tag: tag.0, session: self.session_id() },
            Kind::Errand(Errand::Close) => ClientRequest::Close { tag: tag.0, session: self.session_id() },
        }
    }

    fn session_id(&self) -> SessionId {
        self.session.as_ref().expect("these errands are run for an open session").id()
    }

    /// Hangs up where nothing is expected any more.
    pub(super) fn drop_unused_links(&mut self, turn: &mut Turn) {
        for endpoint in self.links.others() {
            if self.operations.open_on(endpoint).next().is_none() {
                self.links.set_state(endpoint, State::Down);
                turn.out.push(ClientOutput::Disconnect { endpoint });
            }
        }
    }
}

//! The loop around a node: which input is due, one step, its outputs one by one, the next deadline.
//!
//! Between any two outputs a line of the plan may stop the node; what remains is then never performed. The node's
//! deadline is kept as at most two agenda items: one for the end of the turn, and one for its timer, which may be early
//! (deadlines mostly move away) and is then put off without being an event.

use super::{
    Moment, World,
    agenda::Class,
    disk::Doubt,
    item::{Item, Life},
    network::Letter,
    plan::Happening,
    process::HELD_MAX,
    told::Told,
};
use crate::{
    choice::Stream,
    oracle::Oracle,
    outcome::Counter,
    scenario::{EventKind, MessageKind, Override, SyncFate, event::Subject},
};
use ios_core::{
    ids::{ConnectionId, NodeId, OpId},
    interface::{CloseReason, DiskAction, DiskError, DiskResult, Fault, Input, Note, Output, ReadDisk, Timer},
    message::{ClientRequest, ClientResponse, PeerMessage},
    time::Span,
};
use std::mem;

/// The operation that makes the first segment of a life.
pub(super) const OPENING: OpId = OpId(1);

impl World {
    /// Takes one item: the only place where events are counted.
    pub(super) fn happen(&mut self, item: Item) {
        if self.is_stale(&item) {
            return;
        }
        self.outcome.events += 1;
        let now = self.now();
        self.fold(now.0 ^ item.word());
        if self.is_stuck(&item) {
            return self.hold_up(item);
        }
        match item {
            Item::Deliver { from, to, .. } => {
                self.network.arrived(from.0, to.0);
                self.hand_in(to, item);
            }
            Item::Link { node, .. } => self.hand_in(node.0, item),
            Item::Turn { node } | Item::Timer { node } => {
                if self.tell.is_some() {
                    self.tell(Told::Woken { node, turn: matches!(item, Item::Turn { .. }) });
                }
                self.hand_in(node, item);
            }
            Item::DiskDone { node, op } => self.disk_done(node, op),
            Item::DiskTold { node, .. } => self.hand_in(node.0, item),
            Item::Line { line, it } => self.act(line, it),
            Item::Over(over) => self.end_fault(over),
            Item::Request { .. }
            | Item::HungUp { .. }
            | Item::Unreadable { .. }
            | Item::Response { .. }
            | Item::Knock { .. }
            | Item::Admitted { .. }
            | Item::Broken { .. }
            | Item::ClientTimer { .. }
            | Item::Begin { .. } => self.happen_to_client(item),
            Item::Fresh { client } => self.begin_fresh(client),
        }
    }

    /// Whether an item was meant for a life that is over, or is a timer that has been put off. Not an event.
    fn is_stale(&mut self, item: &Item) -> bool {
        let alive = |world: &World, (node, life): (NodeId, Life)| {
            let process = &world.processes[usize::from(node.0)];
            process.runs() && process.life == life
        };
        match item {
            Item::DiskDone { node, .. } | Item::DiskTold { node, .. } => !alive(self, *node),
            Item::Link { node, peer, up } => !alive(self, *node) || (*up && !alive(self, *peer)),
            Item::Turn { node } => {
                let process = &mut self.processes[usize::from(node.0)];
                process.turn = None;
                let due = process.node.as_ref().and_then(|node| node.deadline());
                process.paused || !matches!(due, Some((_, Timer::Turn)))
            }
            Item::Timer { node } => self.timer_is_early(*node),
            Item::ClientTimer { client } => self.client_timer_is_early(*client),
            _ => false,
        }
    }

    fn timer_is_early(&mut self, node: NodeId) -> bool {
        let now = self.now();
        let process = &mut self.processes[usize::from(node.0)];
        process.timer = None;
        let Some((deadline, timer)) = process.node.as_ref().and_then(|node| node.deadline()) else { return true };
        if process.paused {
            return true;
        }
        let early = timer == Timer::Turn || process.clock.when(now, deadline) > now;
        if early {
            self.schedule(node);
        }
        early
    }

    /// Gives a member an input, or keeps it for later if the member is paused; a member that is down never gets it.
    pub(super) fn hand_in(&mut self, to: NodeId, item: Item) {
        if self.tell.is_some() {
            self.tell_of_arrival(to, &item);
        }
        let process = &mut self.processes[usize::from(to.0)];
        if !process.runs() {
            return;
        }
        if process.paused {
            if process.held.len() < HELD_MAX {
                process.held.push(item);
            }
            return;
        }
        if let Item::Link { node, peer, up } = item {
            return self.link(node.0, peer, up);
        }
        let received = match &item {
            Item::Deliver { from, message, .. } => Some((Subject::of(message), Some(*from))),
            Item::Request { connection, request, .. } => {
                let connection = *connection;
                self.check(|ghost| ghost.asked(to, connection, request));
                Some((request_letter(request).subject, None))
            }
            _ => None,
        };
        let Some(input) = item.into_input() else { return };
        match received {
            Some((subject, from)) => self.receive(to, subject, from, input),
            None => self.feed(to, input, None),
        }
    }

    /// A message, with the triggers that wait for its arrival.
    fn receive(&mut self, to: NodeId, subject: Subject, peer: Option<NodeId>, input: Input) {
        let Subject { kind, view, index } = subject;
        let happening = Happening { event: EventKind::Receives(kind), node: to, view, index, peer };
        if self.set_off(&happening, true) {
            self.feed(to, input, Some(happening));
        }
    }

    /// A link changes. A peer's new life first ends the link with its old one.
    fn link(&mut self, node: NodeId, (peer, life): (NodeId, Life), up: bool) {
        let known = &mut self.processes[usize::from(node.0)].links[usize::from(peer.0)];
        let before = *known;
        if up && before == Some(life) || !up && before != Some(life) {
            return;
        }
        *known = up.then_some(life);
        if self.tell.is_some() {
            self.tell(Told::Link { node, peer, up });
        }
        if up && before.is_some() {
            self.feed(node, Input::Link { peer, up: false }, None);
        }
        self.feed(node, Input::Link { peer, up }, None);
    }

    /// One step of a running node, and everything it asks for. `taken` is the event that the input itself is.
    pub(super) fn feed(&mut self, id: NodeId, input: Input, taken: Option<Happening>) {
        let now = self.now();
        let mut outputs = mem::take(&mut self.outputs);
        let process = &mut self.processes[usize::from(id.0)];
        let Some(node) = &mut process.node else { return self.outputs = outputs };
        let life = process.life;
        let local = process.clock.read(now);
        node.step(local, input, &mut outputs);
        self.fold(outputs.len() as u64);
        let mut goes_on = taken.is_none_or(|happening| self.set_off(&happening, false));
        let mut left = outputs.len();
        for output in outputs.drain(..) {
            if !goes_on {
                break;
            }
            left -= 1;
            goes_on = self.perform(id, life, output) && self.is_alive(id, life);
        }
        if left > 0 {
            self.outcome.counters.count(Counter::CrashesMidStep);
            if self.tell.is_some() {
                self.tell(Told::Unperformed { node: id, outputs: left });
            }
        }
        outputs.clear();
        self.outputs = outputs;
        if self.is_alive(id, life) {
            self.schedule(id);
        }
    }

    fn is_alive(&self, id: NodeId, life: Life) -> bool {
        let process = &self.processes[usize::from(id.0)];
        process.runs() && process.life == life
    }

    /// Sets off the lines that wait for this event. Whether the node has survived them. Inline, because nearly always
    /// this comes to one test, and then the happening need not even be put together.
    #[inline(always)]
    fn set_off(&mut self, happening: &Happening, before: bool) -> bool {
        !self.plan.wants(happening.event) || self.set_off_lines(happening, before)
    }

    /// Rare, and called from everywhere: kept out of the way of what is not.
    #[cold]
    fn set_off_lines(&mut self, happening: &Happening, before: bool) -> bool {
        let time = self.now();
        if let Some(moments) = self.moments.as_mut().filter(|_| before) {
            moments.push(Moment { time, number: moments.len(), happening: *happening });
        }
        let process = &self.processes[usize::from(happening.node.0)];
        let life = process.life;
        for (line, trigger) in self.plan.set_off(happening, process.leading.is_some(), before) {
            if trigger.delay == Span::ZERO {
                self.act(line, Some(happening.node));
            } else {
                let at = self.now() + trigger.delay;
                self.agenda.put(at, Class::Ready, Item::Line { line, it: Some(happening.node) });
            }
        }
        self.is_alive(happening.node, life)
    }

    /// Performs one output. False if the node does not go on.
    pub(super) fn perform(&mut self, id: NodeId, life: Life, output: Output) -> bool {
        let plain = |event| Happening { event, node: id, view: None, index: None, peer: None };
        let broadcast = matches!(output, Output::Send { .. });
        if !broadcast && !self.set_off(&plain(EventKind::Outputs), true) {
            return false;
        }
        let goes_on = match output {
            Output::Send { to, message } => {
                let now = self.now();
                self.check(|ghost| ghost.sent(now, id, to, &message));
                if let PeerMessage::Assign { .. } = message {
                    self.outcome.counters.count(Counter::Delegated);
                }
                return self.broadcast(id, to.iter(), message);
            }
            Output::Reply { connection, response } => self.reply(id, life, connection, response),
            Output::Close { connection, why: CloseReason::Stopping } => {
                self.break_connection(connection, Span::ZERO);
                true
            }
            Output::Disk { op, action } => {
                let writes = plain(EventKind::Writes);
                self.set_off(&writes, true) && {
                    self.submit(id, life, op, action);
                    self.set_off(&writes, false)
                }
            }
            Output::Note(note) => self.note(id, &note),
            Output::Fence(fault) => {
                self.fence(id, &fault);
                false
            }
            Output::Stopped => {
                self.stopped(id);
                false
            }
        };
        goes_on && self.set_off(&plain(EventKind::Outputs), false)
    }

    /// A message to each receiver; a crash may fall between any two of them.
    fn broadcast(&mut self, id: NodeId, mut to: impl Iterator<Item = NodeId>, message: PeerMessage) -> bool {
        let Subject { kind, view, index } = Subject::of(&message);
        let outputs = Happening { event: EventKind::Outputs, node: id, view: None, index: None, peer: None };
        let Some(message) = self.encoded(message) else { return false };
        let letter = Letter { subject: Subject { kind, view, index }, number: number_of(&message) };
        let mut next = to.next();
        let mut message = Some(message);
        while let Some(peer) = next {
            next = to.next();
            let sends = Happening { event: EventKind::Sends(kind), node: id, view, index, peer: Some(peer) };
            if !self.set_off(&outputs, true) || !self.set_off(&sends, true) {
                return false;
            }
            let copy = if next.is_some() { message.clone() } else { message.take() };
            self.outcome.sent.count(kind);
            self.transmit(id, peer, letter, copy.expect("there is a copy for each receiver"));
            if !self.set_off(&sends, false) || !self.set_off(&outputs, false) {
                return false;
            }
        }
        true
    }

    fn transmit(&mut self, from: NodeId, to: NodeId, letter: Letter, message: PeerMessage) {
        let now = self.now();
        let (counters, used) = (&mut self.outcome.counters, &mut self.outcome.used);
        let arrivals = self.network.send(now, (from.0, to.0), letter, counters, used);
        let subject = letter.subject;
        let letter = self.next_letter();
        if self.tell.is_some() {
            self.tell_of_sending(letter, (from.0, to.0), subject, arrivals, message.to_string());
        }
        if let Some(bits) = arrivals.damage {
            self.network.arrived(from.0, to.0);
            self.refuse_damaged(&message, bits);
            let at = arrivals.iter().next().expect("what is damaged arrives, and once");
            return self.break_link(at, from, to, bits);
        }
        let mut times = arrivals.iter();
        let Some(first) = times.next() else { return };
        for again in times {
            let message = message.clone();
            self.agenda.put(again, Class::Ready, Item::Deliver { from, to, letter, message });
        }
        self.agenda.put(first, Class::Ready, Item::Deliver { from, to, letter, message });
    }

    fn reply(&mut self, id: NodeId, life: Life, connection: ConnectionId, response: ClientResponse) -> bool {
        let subject = Subject { kind: MessageKind::Response, view: None, index: None };
        let sends = Happening { event: EventKind::Sends(subject.kind), node: id, view: None, index: None, peer: None };
        if !self.set_off(&sends, true) {
            return false;
        }
        let now = self.now();
        self.check(|ghost| ghost.replied(now, id, connection, &response));
        self.mark_answer(&response);
        let Some(response) = self.encoded(response) else { return false };
        let place = connection.0 as usize;
        let known = self.connections.get(place).filter(|known| known.node == (id, life) && !known.closed).copied();
        if let Some(known) = known {
            let client = self.scenario.cluster.nodes + known.client.0;
            let letter = Letter { subject, number: connection.0 };
            let (counters, used) = (&mut self.outcome.counters, &mut self.outcome.used);
            let arrivals = self.network.send(now, (id.0, client), letter, counters, used);
            let letter = self.next_letter();
            if self.tell.is_some() {
                self.tell_of_sending(letter, (id.0, client), subject, arrivals, response.to_string());
            }
            // A stream repeats nothing, so there is at most one arrival.
            if let Some(time) = arrivals.iter().next() {
                let item = match arrivals.damage {
                    Some(bits) => {
                        self.refuse_damaged(&response, bits);
                        Item::Unreadable { connection, by_client: true }
                    }
                    None => Item::Response { connection, letter, response },
                };
                self.agenda.put(time, Class::Ready, item);
            }
        }
        self.set_off(&sends, false)
    }

    /// A disk operation begins.
    fn submit(&mut self, id: NodeId, life: Life, op: OpId, action: DiskAction) {
        let (now, node) = (self.now(), u64::from(id.0));
        let nth = self.processes[usize::from(id.0)].disk.next_operation();
        let disk = &self.scenario.disk;
        let words = [node, u64::from(life), op.0];
        let mut takes = self.choose.span(disk.latency, Stream::DiskLatency, &words);
        takes = takes + self.processes[usize::from(id.0)].slow_disk;
        if !self.is_healed(id) {
            if self.choose.chance(disk.slow, Stream::DiskSlow, &words) {
                takes = takes + self.choose.span(disk.slow_by, Stream::DiskSlow, &[node, u64::from(life), op.0, 1]);
                self.outcome.counters.count(Counter::DiskSlow);
            }
            if let Some(SyncFate::Latency(exactly)) = self.sync_override(id, nth) {
                takes = exactly;
            }
        }
        if self.tell.is_some() {
            self.tell_of_writing(id, life, op, &action);
        }
        let runs = self.processes[usize::from(id.0)].disk.submit(op, life, action, takes);
        if runs {
            self.agenda.put(now + takes, Class::Ready, Item::DiskDone { node: (id, life), op });
        }
    }

    /// What the scenario says about a node's `nth` disk operation.
    pub(super) fn sync_override(&mut self, id: NodeId, nth: u32) -> Option<SyncFate> {
        let said = |over: &Override| match over {
            Override::Sync { node, nth: this, fate } if *node == id && *this == nth => Some(*fate),
            _ => None,
        };
        let place = self.scenario.overrides.iter().position(|over| said(over).is_some())?;
        self.outcome.used[place] = true;
        said(&self.scenario.overrides[place])
    }

    /// A disk operation ends: what it wrote is durable, whether or not the node lives to hear of it.
    fn disk_done(&mut self, (id, life): (NodeId, Life), op: OpId) {
        let (now, choose) = (self.now(), self.choose);
        let process = &mut self.processes[usize::from(id.0)];
        let (action, next, error) = if let Some(back) = process.failing.take() {
            let (action, next) = process.disk.fail(op);
            // Nobody stops for a read.
            if !matches!(action, DiskAction::Read { .. }) {
                process.failed = Some(back);
            }
            self.outcome.counters.count(Counter::DiskErrors);
            (action, next, Some(DiskError::Io))
        } else if process.full && process.disk.wants_room(op) {
            let (action, next) = process.disk.cut_short(op, |doubt, steps| {
                choose.between(0, steps as u64, Stream::Tear, &Self::doubt_words(id, doubt)) as usize
            });
            // Without the first segment of its life a node cannot begin.
            if op == OPENING {
                process.failed = Some(Some(Span::millis(50)));
            }
            (action, next, Some(DiskError::Full))
        } else {
            let (action, next) = process.disk.complete(op);
            (action, next, None)
        };
        if let Some((op, takes)) = next {
            self.agenda.put(now + takes, Class::Ready, Item::DiskDone { node: (id, life), op });
        }
        if self.tell.is_some() {
            let node = id;
            self.tell(match error {
                Some(error) => Told::SyncFailed { node, life, op, error },
                None => Told::Synced { node, life, op },
            });
        }
        let result = match (error, &action) {
            (Some(error), _) => DiskResult::Failed(error),
            (None, DiskAction::Read { file, offset, length }) => {
                let read = self.processes[usize::from(id.0)].disk.read(*file, *offset, *length as usize);
                read.map_or_else(DiskResult::Failed, |bytes| DiskResult::Read(bytes.into()))
            }
            (None, DiskAction::Create { .. } | DiskAction::Write { .. } | DiskAction::Remove { .. }) => {
                self.made_durable(id, &action);
                DiskResult::Done
            }
        };
        let syncs = Happening { event: EventKind::Syncs, node: id, view: None, index: None, peer: None };
        if !self.set_off(&syncs, true) {
            return;
        }
        self.hand_in(id, Item::DiskTold { node: (id, life), op, result });
        if self.is_alive(id, life) {
            self.set_off(&syncs, false);
        }
    }

    /// The node stops itself.
    fn fence(&mut self, id: NodeId, fault: &Fault) {
        self.outcome.checks.count(Oracle::Health);
        if self.tell.is_some() {
            self.tell(Told::Fenced { node: id, fault: fault.clone() });
        }
        let failed = self.processes[usize::from(id.0)].failed.take();
        match (fault, failed) {
            (Fault::Disk { .. }, Some(back)) => {
                self.outcome.counters.count(Counter::Fenced);
                // An error of the safety phase may be told to a paused node when it goes on in the next.
                let back = back.or_else(|| self.is_healed(id).then_some(Span::millis(10)));
                self.stop(id, false, back);
            }
            _ => self.object(Oracle::Health, format!("{id} stops itself without cause: {fault}")),
        }
    }

    /// Puts the node's deadline on the agenda.
    pub(super) fn schedule(&mut self, id: NodeId) {
        let now = self.agenda.now();
        let process = &mut self.processes[usize::from(id.0)];
        let Some((deadline, timer)) = process.node.as_ref().and_then(|node| node.deadline()) else { return };
        if timer == Timer::Turn {
            if process.turn.is_none() {
                process.turn = Some(self.agenda.put(now, Class::Turn, Item::Turn { node: id }));
            }
            return;
        }
        let at = process.clock.when(now, deadline);
        match process.timer {
            Some((_, earlier)) if earlier <= at => return,
            Some((handle, _)) => drop(self.agenda.cancel(handle)),
            None => {}
        }
        process.timer = Some((self.agenda.put(at, Class::Ready, Item::Timer { node: id }), at));
    }

    /// A node's note: counted, checked, and an event that lines may wait for.
    fn note(&mut self, id: NodeId, note: &Note) -> bool {
        let now = self.now();
        let happening =
            EventKind::of_note(note).map(|(event, view, index)| Happening { event, node: id, view, index, peer: None });
        if !happening.is_none_or(|happening| self.set_off(&happening, true)) {
            return false;
        }
        if self.tell.is_some() {
            self.tell(Told::Noted { node: id, note: note.clone() });
        }
        self.count_note(note);
        self.mark_note(id, note);
        self.check(|ghost| ghost.note(now, id, note));
        let process = &mut self.processes[usize::from(id.0)];
        match note {
            Note::Leading { view, .. } => process.leading = Some(*view),
            Note::SteppedDown { view, .. } if process.leading == Some(*view) => process.leading = None,
            Note::Applied { index, state_hash, .. }
            | Note::SnapshotTaken { index, state_hash }
            | Note::Installed { index, state_hash } => self.fold(index.0 ^ *state_hash),
            _ => {}
        }
        happening.is_none_or(|happening| self.set_off(&happening, false))
    }

    /// What became of a write, for an operation that a power loss interrupts.
    pub(super) fn doubt_words(id: NodeId, doubt: Doubt) -> [u64; 4] {
        let file = match doubt.file {
            ios_core::interface::FileId::Identity => 0,
            ios_core::interface::FileId::Segment(number) => number + 1,
            ios_core::interface::FileId::Snapshot(index) => index | 1 << 63,
        };
        [u64::from(id.0), u64::from(doubt.life), file, doubt.offset]
    }

    /// Whether faults no longer reach this node.
    pub(super) fn is_healed(&self, id: NodeId) -> bool {
        self.healed.contains(id)
    }
}

/// What tells a member's message apart beyond kind, view and index.
fn number_of(message: &PeerMessage) -> u64 {
    match message {
        PeerMessage::Heartbeat { round, .. } | PeerMessage::HeartbeatAck { round, .. } => *round,
        PeerMessage::Fetch { nonce, .. }
        | PeerMessage::Entries { nonce, .. }
        | PeerMessage::Barrier { nonce }
        | PeerMessage::HighWater { nonce, .. } => nonce.0.0 << 32 ^ nonce.1,
        PeerMessage::Hello(hello) => hello.incarnation.0,
        PeerMessage::Forward { nonce, .. } => nonce.0.0 << 32 ^ nonce.1,
        PeerMessage::Forwarded { nonce, outcome } => nonce.0.0 << 32 ^ nonce.1 ^ (outcome.range().0 as u64) << 48,
        PeerMessage::SnapshotAck { next: number, .. } | PeerMessage::SnapshotChunk { number, .. } => *number,
        _ => 0,
    }
}

/// What decisions about a client's request are keyed by.
pub(super) fn request_letter(request: &ClientRequest) -> Letter {
    let number = match request {
        ClientRequest::Write { sequence, .. } => sequence.0,
        ClientRequest::Hello { tag }
        | ClientRequest::Register { tag }
        | ClientRequest::KeepAlive { tag, .. }
        | ClientRequest::Close { tag, .. }
        | ClientRequest::Read { tag, .. }
        | ClientRequest::ParticipantRead { tag, .. }
        | ClientRequest::StaleRead { tag, .. }
        | ClientRequest::Status { tag }
        | ClientRequest::Suggest { tag }
        | ClientRequest::Transfer { tag, .. }
        | ClientRequest::Members { tag } => *tag << 1 | 1 << 63,
    };
    Letter { subject: Subject { kind: MessageKind::Request, view: None, index: None }, number }
}

//! What the lines of a plan do: stopping and starting members, cutting links, damaging disks; and how faults end.

use super::{
    Phase, World,
    agenda::Class,
    client_driver::OPERATOR,
    clock::Clock,
    disk::Fate,
    item::{Item, Life, Over},
    told::Told,
};
use crate::{
    choice::Stream,
    oracle::Oracle,
    outcome::Counter,
    scenario::{Action, End, Slow, SyncFate, Target},
};
use ios_core::{
    Config, Node,
    ids::NodeId,
    interface::Input,
    journal::Journal,
    message::ClientRequest,
    service::kv::Kv,
    time::{Span, Time},
};
use std::mem;

impl World {
    /// A line of the plan acts, if it still can.
    pub(super) fn act(&mut self, line: usize, it: Option<NodeId>) {
        if self.phase != Phase::Safety {
            return;
        }
        let action = self.scenario.plan[line].action.clone();
        if self.tell.is_some() {
            self.tell(Told::Acted { line, action: action.clone(), it });
        }
        if self.carry_out(&action, it) {
            self.outcome.fired[line] = true;
        } else if self.tell.is_some() {
            self.tell(Told::InVain { line });
        }
    }

    /// Whether it had an effect.
    fn carry_out(&mut self, action: &Action, it: Option<NodeId>) -> bool {
        let node = match action.target().map(|target| self.resolve(target, it)) {
            Some(None) => return false,
            Some(found) => found,
            None => None,
        };
        match (action, node) {
            (Action::Crash { power, back, .. }, Some(node)) => self.crash(node, *power, *back),
            (Action::Stop { back, .. }, Some(node)) => self.ask_to_stop(node, *back),
            (Action::Transfer { to, .. }, Some(node)) => self.command_transfer(node, *to),
            (Action::Restart { .. }, Some(node)) => self.start(node),
            (Action::Pause { back, .. }, Some(node)) => self.pause(node, *back),
            (Action::Resume { .. }, Some(node)) => self.resume(node),
            (Action::Skew { ppm, .. }, Some(node)) => self.skew(node, i64::from(*ppm)),
            (Action::Slow { what, by, back, .. }, Some(node)) => self.slow(node, *what, *by, *back),
            (Action::FailDisk { back, .. }, Some(node)) => {
                let process = &mut self.processes[usize::from(node.0)];
                process.failing = Some(*back);
                true
            }
            (Action::Full { back, .. }, Some(node)) => {
                self.fill(node, true);
                self.later(*back, Over::FullDisk(node));
                true
            }
            (Action::Wipe { .. }, Some(node)) => self.wipe(node),
            (Action::Rot { part, index, damage, .. }, Some(node)) => self.rot(node, *part, *index, *damage),
            (Action::CrashAll { power, back }, _) => {
                let all: Vec<NodeId> = self.processes.iter().map(|process| process.id).collect();
                // Every one of them, so no short circuit.
                all.into_iter().fold(false, |any, node| self.crash(node, *power, *back) | any)
            }
            (Action::Jump { backward, by, back, flap, .. }, Some(node)) => {
                self.jump(node, (*backward, *by), *back, *flap)
            }
            (Action::Partition { .. } | Action::Isolate { .. } | Action::Cut { .. } | Action::Clog { .. }, node) => {
                self.cut(action, node)
            }
            (Action::Heal, _) => self.join_all(),
            (Action::Rerank, _) => self.rerank(),
            (action, _) => self.carry_out_on_client(action),
        }
    }

    fn carry_out_on_client(&mut self, action: &Action) -> bool {
        match action {
            Action::Client { client, operation } => {
                self.submit_operation(*client, operation.clone(), super::customer::Origin::Plan);
            }
            Action::PauseClient { client, back } => {
                self.outcome.counters.count(Counter::ClientPauses);
                self.customers[usize::from(*client)].paused = true;
                if self.tell.is_some() {
                    self.tell(Told::Paused { end: End::Client(*client) });
                }
                self.later(*back, Over::ClientPause(*client));
            }
            Action::Disconnect { client } => {
                self.outcome.counters.count(Counter::ClientDisconnects);
                if self.tell.is_some() {
                    self.tell(Told::Disconnected { client: *client });
                }
                self.disconnect_client(*client, true);
            }
            Action::CrashClient { client } => {
                self.outcome.counters.count(Counter::ClientCrashes);
                if self.tell.is_some() {
                    self.tell(Told::ClientCrashed { client: *client });
                }
                self.crash_client(*client);
            }
            other => unreachable!("{other:?} is no client's"),
        }
        true
    }

    /// The member that a target comes to now.
    pub(super) fn resolve(&self, target: Target, it: Option<NodeId>) -> Option<NodeId> {
        match target {
            Target::Node(node) => Some(node),
            Target::It => it,
            Target::Leader => {
                let leading = self.processes.iter().filter_map(|process| Some((process.leading?, process.id)));
                leading.max().map(|(_, node)| node)
            }
        }
    }

    pub(super) fn later(&mut self, back: Option<Span>, over: Over) {
        if let Some(back) = back {
            let at = self.now() + back;
            self.agenda.put(at, Class::Ready, Item::Over(over));
        }
    }

    /// A fault ends by itself. What concerns nodes outside of the core stays as it is once the core has healed.
    pub(super) fn end_fault(&mut self, over: Over) {
        if let Over::Unborn(node) = over {
            // A node that was down before it ever ran starts when whatever stopped it says so.
            let process = &self.processes[usize::from(node.0)];
            if process.life == 0 && (self.phase == Phase::Safety || self.is_healed(node)) {
                self.start(node);
            }
            return;
        }
        let comes_back = matches!(over, Over::Down((node, _)) if self.is_healed(node));
        if self.phase != Phase::Safety && !comes_back {
            return;
        }
        match over {
            Over::Unborn(_) => unreachable!("handled above"),
            Over::Down((node, life)) => {
                if self.processes[usize::from(node.0)].life == life {
                    self.start(node);
                }
            }
            Over::Pause((node, life)) => {
                if self.processes[usize::from(node.0)].life == life {
                    self.resume(node);
                }
            }
            Over::ClientPause(client) => self.resume_client(client),
            Over::FullDisk(node) => self.fill(node, false),
            Over::Block(block) => self.uncut(block),
            Over::Recurs(recurring) => self.recur(recurring),
            Over::SlowDisk(node) => self.slow_down(node, Slow::Disk, Span::ZERO),
            Over::SlowLinks(node) => self.slow_down(node, Slow::Links, Span::ZERO),
        }
    }

    fn fill(&mut self, node: NodeId, full: bool) {
        self.processes[usize::from(node.0)].full = full;
        if self.tell.is_some() {
            self.tell(Told::Filled { node, full });
        }
    }

    fn slow_down(&mut self, node: NodeId, what: Slow, by: Span) {
        if self.tell.is_some() {
            self.tell(Told::Slowed { node, what, by });
        }
        match what {
            Slow::Disk => self.processes[usize::from(node.0)].slow_disk = by,
            Slow::Links => self.network.slow_down(node, by),
        }
    }

    // ---- Members.

    fn crash(&mut self, id: NodeId, power: bool, back: Option<Span>) -> bool {
        if !self.processes[usize::from(id.0)].runs() {
            return false;
        }
        self.outcome.counters.count(if power { Counter::CrashesPower } else { Counter::CrashesProcess });
        if self.tell.is_some() {
            self.tell(Told::Crashed { node: id, power });
        }
        self.stop(id, power, back);
        true
    }

    /// Asks a node to stop in good order.
    fn ask_to_stop(&mut self, id: NodeId, back: Option<Span>) -> bool {
        let process = &mut self.processes[usize::from(id.0)];
        if !process.runs() || process.paused || process.stopping.is_some() {
            return false;
        }
        process.stopping = Some(back);
        self.outcome.counters.count(Counter::Stops);
        self.feed(id, Input::Shutdown, None);
        true
    }

    /// An operator commands a node to hand its leadership over. Nobody here waits for what it answers.
    fn command_transfer(&mut self, id: NodeId, to: Option<NodeId>) -> bool {
        let process = &self.processes[usize::from(id.0)];
        if !process.runs() || process.paused {
            return false;
        }
        self.outcome.counters.count(Counter::TransfersCommanded);
        let request = ClientRequest::Transfer { tag: 0, to };
        self.feed(id, Input::Client { connection: OPERATOR, request }, None);
        true
    }

    /// A node says that it has stopped.
    pub(super) fn stopped(&mut self, id: NodeId) {
        if self.tell.is_some() {
            self.tell(Told::Stopped { node: id });
        }
        match self.processes[usize::from(id.0)].stopping.take() {
            // Once its faults are over a node does not stay away.
            Some(back) => self.stop(id, false, back.or_else(|| self.is_healed(id).then_some(Span::millis(10)))),
            None => self.object(Oracle::Health, format!("{id} has stopped although nobody asked it to")),
        }
    }

    /// The node is gone, its disk stays. Peers and clients hear of a dead process, not of a machine without power.
    pub(super) fn stop(&mut self, id: NodeId, power: bool, back: Option<Span>) {
        self.mark_death(id);
        let process = &mut self.processes[usize::from(id.0)];
        let life = process.life;
        process.node = None;
        process.paused = false;
        process.held.clear();
        process.leading = None;
        process.links.fill(None);
        process.failed = None;
        process.stopping = None;
        process.powerless = power;
        for handle in [process.turn.take(), process.timer.take().map(|(handle, _)| handle)].into_iter().flatten() {
            self.agenda.cancel(handle);
        }
        if power {
            self.lose_power(id);
        } else {
            let choose = self.choose;
            self.processes[usize::from(id.0)].disk.crash_process(|doubt, steps| {
                choose.between(0, steps as u64, Stream::Tear, &Self::doubt_words(id, doubt)) as usize
            });
            self.tell_peers(id, life, false);
            self.break_connections((id, life));
        }
        self.later(back, Over::Down((id, life)));
    }

    /// Every unsynced write meets its fate: what the scenario says about it, or a keyed choice.
    fn lose_power(&mut self, id: NodeId) {
        let (choose, chances) = (self.choose, self.scenario.disk.clone());
        let mut disk = mem::take(&mut self.processes[usize::from(id.0)].disk);
        let aftermath = disk.crash_power(|doubt| {
            let words = Self::doubt_words(id, doubt);
            let bits = choose.u64(Stream::Tear, &words);
            match self.sync_override(id, doubt.nth) {
                Some(SyncFate::Lost) => Fate::Lost,
                Some(SyncFate::Kept) => Fate::Kept,
                Some(SyncFate::Torn) => Fate::Torn(bits),
                Some(SyncFate::Latency(_)) | None => {
                    if choose.chance(chances.lost, Stream::WriteFate, &words) {
                        Fate::Lost
                    } else if choose.chance(chances.torn, Stream::Tear, &words) {
                        Fate::Torn(bits.rotate_left(17))
                    } else {
                        Fate::Kept
                    }
                }
            }
        });
        self.processes[usize::from(id.0)].disk = disk;
        if self.tell.is_some() {
            self.tell(Told::PowerLost { node: id, aftermath });
        }
        let counters = &mut self.outcome.counters;
        counters.add(Counter::WritesLost, aftermath.lost);
        counters.add(Counter::WritesKept, aftermath.kept);
        counters.add(Counter::WritesTorn, aftermath.torn);
        counters.add(Counter::WritesReordered, u64::from(aftermath.reordered));
    }

    /// Opens a node from what its disk holds.
    pub(super) fn start(&mut self, id: NodeId) -> bool {
        let now = self.now();
        let place = usize::from(id.0);
        if self.processes[place].runs() {
            return false;
        }
        let before = (id, self.processes[place].life);
        if before.1 > 0 {
            self.outcome.counters.count(Counter::Restarts);
            // Whatever a machine without power left open breaks now that it answers again.
            self.break_connections(before);
        }
        let process = &mut self.processes[place];
        process.life += 1;
        let words = [u64::from(id.0), u64::from(process.life)];
        if mem::replace(&mut process.powerless, false) {
            // A monotonic clock begins anywhere when its machine does.
            let local = self.choose.between(0, 1 << 50, Stream::Start, &words);
            process.clock = Clock::new(now, Time(local), process.skew);
        }
        process.clock.forget(now);
        let local = process.clock.read(now);
        let seed = self.choose.u64(Stream::NodeSeed, &words);
        let config = Config { node: id, ..self.config.clone().expect("set before any node starts") };
        let journal = config.options.journal.clone();
        let genesis = config.configuration.genesis_hash();
        let recovered = Journal::open(id, genesis, journal, &mut process.disk).map(|(_, recovered)| recovered);
        self.outcome.checks.count(Oracle::Health);
        let opened = Node::open(config, Kv::default(), seed, local, &mut process.disk);
        match (opened, recovered) {
            (Ok(node), Ok(recovered)) => {
                process.node = Some(node);
                if self.tell.is_some() {
                    self.tell(Told::Started { node: id, life: before.1 + 1 });
                }
                self.atlas.opened(id, &recovered);
                self.check(|ghost| ghost.restarted(now, id, &recovered));
                self.tell_peers(id, before.1 + 1, true);
                self.schedule(id);
            }
            (Err(error), Err(_)) if self.atlas.may_refuse(id) => {
                self.outcome.counters.count(Counter::OpensRefused);
                if self.tell.is_some() {
                    self.tell(Told::Refused { node: id, why: error.to_string() });
                }
            }
            (Err(error), _) => self.object(Oracle::Health, format!("{id} does not open: {error}")),
            (Ok(_), Err(error)) => {
                self.object(Oracle::Health, format!("{id} opens although its journal does not: {error}"));
            }
        }
        true
    }

    /// The machine loses power, and its disk everything, as far as rule 4 of the atlas allows.
    fn wipe(&mut self, id: NodeId) -> bool {
        if !self.atlas.may_wipe(id, self.is_founded()) {
            self.outcome.counters.count(Counter::RotRefused);
            return false;
        }
        if self.processes[usize::from(id.0)].runs() {
            self.crash(id, true, Some(Span::millis(10)));
        }
        self.processes[usize::from(id.0)].disk.wipe();
        self.atlas.wiped(id);
        self.outcome.counters.count(Counter::DisksWiped);
        if self.tell.is_some() {
            self.tell(Told::Wiped { node: id });
        }
        true
    }

    /// Both ends of each link of a node learn that it works, or the other ends that it is broken.
    fn tell_peers(&mut self, id: NodeId, life: Life, up: bool) {
        let now = self.now();
        for peer in 0..self.processes.len() {
            let other = &self.processes[peer];
            if other.id == id || !other.runs() {
                continue;
            }
            let (other, number) = ((other.id, other.life), u64::from(life) << 1 | u64::from(up));
            if !up && self.network.is_blocked(id.0, other.0.0) {
                continue;
            }
            let there = now + self.network.notice(id.0, other.0.0, number);
            self.agenda.put(there, Class::Ready, Item::Link { node: other, peer: (id, life), up });
            if up {
                let here = now + self.network.notice(other.0.0, id.0, number);
                self.agenda.put(here, Class::Ready, Item::Link { node: (id, life), peer: other, up });
            }
        }
    }

    fn pause(&mut self, id: NodeId, back: Option<Span>) -> bool {
        let process = &mut self.processes[usize::from(id.0)];
        if !process.runs() || process.paused {
            return false;
        }
        process.paused = true;
        let life = process.life;
        self.outcome.counters.count(Counter::Pauses);
        if self.tell.is_some() {
            self.tell(Told::Paused { end: End::Node(id) });
        }
        self.later(back, Over::Pause((id, life)));
        true
    }

    /// Everything that waited for a paused node is due now, in the order it came.
    pub(super) fn resume(&mut self, id: NodeId) -> bool {
        let now = self.now();
        let process = &mut self.processes[usize::from(id.0)];
        if !mem::replace(&mut process.paused, false) {
            return false;
        }
        self.mark_waking(id);
        if self.tell.is_some() {
            self.tell(Told::Resumed { end: End::Node(id) });
        }
        let process = &mut self.processes[usize::from(id.0)];
        for item in mem::take(&mut process.held) {
            self.arrives_again(&item);
            self.agenda.put(now, Class::Ready, item);
        }
        self.schedule(id);
        true
    }

    pub(super) fn resume_client(&mut self, name: u8) {
        let now = self.now();
        let customer = &mut self.customers[usize::from(name)];
        let was_paused = mem::replace(&mut customer.paused, false);
        if was_paused && self.tell.is_some() {
            self.tell(Told::Resumed { end: End::Client(name) });
        }
        let customer = &mut self.customers[usize::from(name)];
        for item in mem::take(&mut customer.held) {
            self.arrives_again(&item);
            self.agenda.put(now, Class::Ready, item);
        }
        self.schedule_client(name);
    }

    /// What waited for a paused receiver takes its place on the link once more.
    fn arrives_again(&mut self, item: &Item) {
        match item {
            Item::Deliver { from, to, .. } => self.network.arrives_again(from.0, to.0),
            Item::Request { connection, .. }
            | Item::HungUp { connection, .. }
            | Item::Unreadable { connection, by_client: false } => {
                let (client, node) = self.ends(*connection);
                self.network.arrives_again(client, node);
            }
            Item::Response { connection, .. } | Item::Unreadable { connection, by_client: true } => {
                let (client, node) = self.ends(*connection);
                self.network.arrives_again(node, client);
            }
            _ => {}
        }
    }

    fn slow(&mut self, id: NodeId, what: Slow, by: Span, back: Option<Span>) -> bool {
        self.slow_down(id, what, by);
        match what {
            Slow::Disk => {
                self.outcome.counters.count(Counter::DiskSlow);
                self.later(back, Over::SlowDisk(id));
            }
            Slow::Links => {
                self.outcome.counters.count(Counter::LinksSlow);
                self.later(back, Over::SlowLinks(id));
            }
        }
        true
    }
}

//! The world: simulated machines, disks, clocks and links around the real node and the real client.
//!
//! [`World::run`] is a pure function of a [`Scenario`]. It takes one item off the agenda after the other: a delivery, a
//! deadline, the end of a disk operation, a fault, a client's next operation. A member's node is fed through
//! [`Node::step`](ios_core::Node::step) and its outputs are performed one by one; between any two of them a line of the
//! plan may crash it, and then the rest never happens. Everything a node lets out is shown to the ghost first.
//!
//! A run has two phases. In the *safety phase* the plan acts and chance does its worst. In the *liveness phase* a core
//! of nodes heals for good while the rest stays as it was, and everything clients have begun, and a little more, has to
//! end within a bound of simulated time and of events ([`liveness`]).
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`agenda`], [`item`] | what happens next |
//! | [`network`], [`disk`], [`clock`] | the three things a node relies on, lying as far as they may |
//! | `extents` | what a file of such a disk holds |
//! | [`process`], `driver` | members, and the loop around one step of a node |
//! | [`customer`], `client_driver` | clients, and the loop around one step of a client |
//! | `frames` | messages as bytes, sound and damaged |
//! | `notes` | what nodes say happened, counted |
//! | [`told`], `telling` | the events of a run, for whoever traces it |
//! | [`plan`], `faults`, `links`, [`atlas`] | triggers, what a line does, and which damage is allowed |
//! | `liveness`, `judgement` | the second phase, and the end |
//!
//! Deliberately absent: threads, floats, maps whose order could leak, text (unless a trace is asked for).

pub mod agenda;
pub mod atlas;
pub mod clock;
mod client_driver;
pub mod customer;
pub mod disk;
mod driver;
mod effort;
mod extents;
mod faults;
mod frames;
pub mod item;
mod judgement;
mod links;
mod liveness;
mod marking;
pub mod meter;
pub mod network;
mod notes;
pub mod plan;
pub mod process;
mod telling;
pub mod told;

use crate::{
    choice::{Chooser, Stream, mix},
    ghost::Ghost,
    guard::run_caught,
    history::History,
    oracle::{Oracle, Violation},
    outcome::{Counter, Outcome},
    scenario::{Action, Condition, Order, Scenario},
};
use agenda::{Agenda, Class};
use atlas::Atlas;
use customer::{Connection, Customer, Record};
use effort::Effort;
use ios_core::{
    Config,
    client::ClientOutput,
    configuration::Configuration,
    ids::{DiskNonce, Index, NodeId, NodeSet},
    interface::Output,
    journal,
    time::Time,
    wire::Encoder,
};
use item::{Item, Over};
use meter::Meter;
use network::Network;
use plan::{Happening, Plan};
use process::Process;
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};
use told::{LetterId, Tell, Told};

/// Runs a scenario from beginning to end.
pub fn run(scenario: &Scenario) -> Outcome {
    World::default().run(scenario)
}

/// Runs a scenario, lets `listener` hear every event, and gives it back.
pub fn listen<L: 'static>(
    scenario: &Scenario,
    listener: L,
    hear: impl Fn(&mut L, Time, &Told) + 'static,
) -> (L, Outcome) {
    let shared = Rc::new(RefCell::new(listener));
    let ear = Rc::clone(&shared);
    let tell: Tell = Box::new(move |time, told| hear(&mut ear.borrow_mut(), time, told));
    let mut world = World { tell: Some(tell), ..World::default() };
    let outcome = run_caught(&mut |scenario| world.run(scenario), scenario);
    drop(world);
    (Rc::into_inner(shared).expect("nobody else listens").into_inner(), outcome)
}

/// Chance, per million, that a run sends every message through its encoding, those of clients too.
const ENCODED: u32 = 50_000;

/// Machines, links and clients of one run. Kept from run to run for its memory only.
#[derive(Default)]
pub struct World {
    scenario: Scenario,
    choose: Chooser,
    phase: Phase,
    /// Nodes that faults no longer reach.
    healed: NodeSet,
    /// What the core has to execute: all that any of it had when the last client had its answers.
    goal: Option<Index>,
    /// How far the run had come when the core healed.
    healing: Effort,
    /// Clients are silent; by then what they have left behind is over.
    settled: Option<Time>,
    agenda: Agenda<Item>,
    network: Network,
    /// What waits on clogged links, in the order of its arrival.
    stuck: Vec<((u8, u8), Item)>,
    plan: Plan,
    processes: Vec<Process>,
    customers: Vec<Customer>,
    connections: Vec<Connection>,
    atlas: Atlas,
    ghost: Option<Ghost>,
    history: History,
    records: Vec<Record>,
    outcome: Outcome,
    /// What every node is told before it opens, but for its id.
    config: Option<Config>,
    outputs: Vec<Output>,
    client_outputs: Vec<ClientOutput>,
    /// Present in runs that encode.
    encoder: Option<Encoder>,
    /// The last letter that was given a name.
    letters: LetterId,
    tell: Option<Tell>,
    /// Present in runs whose protocol events somebody wants to know.
    moments: Option<Vec<Moment>>,
    /// Present in runs whose time is measured.
    meter: Option<Meter>,
}

/// A protocol event of a run, as a line of a plan could wait for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// When it came.
    pub time: Time,
    /// Its number in the run, from 0.
    pub number: usize,
    /// What it was.
    pub happening: Happening,
}

/// Which part of a run it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// Anything goes, until the scenario's run is over.
    #[default]
    Safety,
    /// A core has healed; everything must end by then.
    Liveness(Time),
}

impl World {
    /// Runs a scenario from beginning to end. A panic in a node is a violation like any other.
    pub fn run(&mut self, scenario: &Scenario) -> Outcome {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            self.reset(scenario);
            self.begin();
            self.go_on();
            if self.outcome.violation.is_none() {
                self.check_here(World::judge);
            }
        }))
        .err();
        if let Some(payload) = panicked {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
            self.object(Oracle::Health, format!("an assertion broke: {text}"));
        }
        self.conclude()
    }

    /// The protocol events of the safety phase of a run, up to its violation if it has one.
    pub fn moments(&mut self, scenario: &Scenario) -> Vec<Moment> {
        self.moments = Some(Vec::new());
        run_caught(&mut |scenario| self.run(scenario), scenario);
        self.moments.take().unwrap_or_default()
    }

    /// The history of the last run.
    pub fn history(&self) -> &History {
        &self.history
    }

    fn reset(&mut self, scenario: &Scenario) {
        self.scenario = scenario.clone();
        self.choose = Chooser::new(scenario.seed);
        self.phase = Phase::Safety;
        self.healed = NodeSet::EMPTY;
        self.goal = None;
        self.healing = Effort::default();
        self.settled = None;
        self.agenda.clear();
        self.network.reset(scenario);
        self.stuck.clear();
        self.plan.reset(&scenario.plan, self.moments.is_some());
        self.customers.clear();
        self.connections.clear();
        self.history = History::new();
        self.records.clear();
        self.letters = LetterId::default();
        self.outputs.clear();
        self.client_outputs.clear();
        let nodes = usize::from(scenario.cluster.nodes);
        self.processes.truncate(nodes);
        self.processes.iter_mut().for_each(|process| process.reset(nodes));
        for id in self.processes.len()..nodes {
            self.processes.push(Process::new(NodeId(id as u8), nodes));
        }
        self.outcome = Outcome {
            fired: vec![false; scenario.plan.len()],
            used: vec![false; scenario.overrides.len()],
            digest: mix(scenario.seed),
            ..Outcome::default()
        };
        let damages = scenario.network.damage > 0 || scenario.client_network.damage > 0;
        let encodes = damages || self.choose.chance(ENCODED, Stream::Sample, &[1]);
        self.encoder = encodes.then(Encoder::default);
    }

    /// Formats the disks and puts everything on the agenda that is known beforehand.
    fn begin(&mut self) {
        let configuration = self.scenario.cluster.configuration().expect("the scenario has been checked");
        let mut options = self.scenario.cluster.options.clone();
        // The simulator's addresses are the members' names.
        options.client_addresses = configuration.members().iter().map(|node| (*node, node.to_string())).collect();
        self.ghost = Some(Ghost::new(&configuration, &options, fastest(&self.scenario)));
        let rots = self.scenario.plan.iter().any(|line| matches!(line.action, Action::Rot { .. }));
        let beyond = self.scenario.disk.beyond;
        self.atlas.reset(&configuration, self.scenario.core().into_iter().collect(), rots, beyond);
        self.format(&configuration);
        self.config = Some(Config { node: NodeId(0), configuration, options });
        for (place, line) in self.scenario.plan.iter().enumerate() {
            if let Condition::At(at) = line.condition {
                self.agenda.put(at, Class::Ready, Item::Line { line: place, it: None });
            }
        }
        for process in &self.processes {
            let start = self.choose.between(0, 10_000_000, Stream::Start, &[u64::from(process.id.0)]);
            self.agenda.put(Time(start), Class::Ready, Item::Over(Over::Unborn(process.id)));
        }
        self.begin_customers();
        if self.tell.is_some() && self.scenario.order != Order::Independent {
            self.tell_of_ranks();
        }
    }

    fn format(&mut self, configuration: &Configuration) {
        for process in &mut self.processes {
            let word = |half| self.choose.u64(Stream::DiskNonce, &[u64::from(process.id.0), half]);
            let nonce = DiskNonce(u128::from(word(0)) << 64 | u128::from(word(1)));
            for action in journal::format(process.id, nonce, configuration) {
                self.atlas.durable(process.id, &action);
                process.disk.apply_now(action);
            }
            let skew = self.scenario.clocks.iter().find(|(node, _)| *node == process.id);
            process.skew = skew.map_or(0, |(_, ppm)| i64::from(*ppm));
            if process.skew != 0 {
                self.outcome.counters.count(Counter::ClocksSkewed);
            }
        }
    }

    /// One item after the other until the run is over.
    fn go_on(&mut self) {
        while self.outcome.violation.is_none() {
            let until = match self.phase {
                Phase::Safety => Time(self.scenario.run.0),
                Phase::Liveness(bound) => bound,
            };
            match self.agenda.take(until) {
                Some(item) => self.happen(item),
                None => {
                    self.agenda.skip_to(until);
                    if !self.turn_phase() {
                        break;
                    }
                }
            }
            if self.outcome.events > self.events_max() {
                self.object(Oracle::Liveness, "a storm: too many events for so little time".to_string());
            }
            if let Some(violation) = self.ghost.as_ref().and_then(Ghost::violation) {
                self.outcome.violation = Some(violation.clone());
            }
            if matches!(self.phase, Phase::Liveness(_)) && self.is_done() {
                self.judge_effort();
                break;
            }
        }
    }

    fn now(&self) -> Time {
        self.agenda.now()
    }

    /// Notes the first violation.
    #[cold]
    fn object(&mut self, oracle: Oracle, text: String) {
        let time = self.now();
        self.outcome.violation.get_or_insert(Violation { oracle, time, text });
    }

    fn ghost(&mut self) -> &mut Ghost {
        self.ghost.as_mut().expect("a run has a ghost from its beginning")
    }

    /// Folds a word into the digest.
    fn fold(&mut self, word: u64) {
        self.outcome.digest = mix(self.outcome.digest.rotate_left(5) ^ word);
    }

    fn conclude(&mut self) -> Outcome {
        let mut outcome = std::mem::take(&mut self.outcome);
        if let Some(violation) = outcome.violation.as_ref().filter(|_| self.tell.is_some()) {
            self.tell(Told::Violated(violation.clone()));
        }
        outcome.ended = self.now();
        outcome.operations = self.records.len() as u64;
        if let Some(ghost) = &self.ghost {
            outcome.checks.add(ghost.checks());
        }
        outcome
    }
}

/// How much faster than real time any clock of the scenario ever runs, in millionths.
fn fastest(scenario: &Scenario) -> u32 {
    let later = scenario.plan.iter().filter_map(|line| match line.action {
        Action::Skew { ppm, .. } => Some(ppm),
        _ => None,
    });
    scenario.clocks.iter().map(|(_, ppm)| *ppm).chain(later).max().unwrap_or(0).max(0).unsigned_abs()
}

#[cfg(test)]
mod tests;

//! Shrinking: from a run that fails to the smallest scenario that fails in the same way.
//!
//! A step is kept only if the same property is violated afterwards ([`Violation::property`]), so that a cluster that
//! lost an entry does not end as one that was merely cut off; what else is found on the way is kept aside. Every small
//! decision of a run is keyed by what it is about ([`crate::choice`]), so what is taken out leaves the rest where it
//! was, and delta debugging (Zeller and Hildebrandt 2002) gets far: see `passes.rs` for the order of the steps.
//!
//! The measure is the text a reader gets to see ([`Size`]). The budget is counted in simulated events, so that the same
//! scenario shrinks to the same one on any machine.

mod draft;
mod moments;
mod passes;

pub(crate) use draft::Draft;
pub use draft::Size;

use crate::{
    guard::run_caught,
    oracle::{Oracle, Violation},
    outcome::Outcome,
    scenario::{Expect, Scenario},
    world::{Moment, World},
};
use std::collections::BTreeMap;

/// How many events shrinking may simulate if nobody says otherwise: some twenty seconds at most.
pub const BUDGET: u64 = 8_000_000;
/// What a run costs besides its events.
const RUN_COST: u64 = 200;

/// Who runs scenarios: a world, but for tests of what is around it.
pub trait Runner {
    /// Runs one from beginning to end.
    fn run(&mut self, scenario: &Scenario) -> Outcome;
    /// The protocol events of such a run, in their order.
    fn moments(&mut self, scenario: &Scenario) -> Vec<Moment>;
}

impl Runner for World {
    fn run(&mut self, scenario: &Scenario) -> Outcome {
        run_caught(&mut |scenario| World::run(self, scenario), scenario)
    }

    fn moments(&mut self, scenario: &Scenario) -> Vec<Moment> {
        World::moments(self, scenario)
    }
}

/// What shrinking came to.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest scenario found; it expects the violation.
    pub scenario: Scenario,
    /// What is violated in it.
    pub violation: Violation,
    /// How large it was, and how large it is.
    pub sizes: (Size, Size),
    /// Events of a run of it.
    pub events: u64,
    /// How many runs that took.
    pub runs: u64,
    /// Whether the budget ran out before the last step.
    pub cut_short: bool,
    /// Other properties that some smaller run violated, each with the first such run.
    pub others: BTreeMap<Oracle, Scenario>,
}

/// Makes a scenario that violates something as small as it gets; `None` if it violates nothing.
pub fn shrink(scenario: &Scenario, budget: u64, runner: &mut dyn Runner) -> Option<Shrunk> {
    let outcome = runner.run(scenario);
    let violation = outcome.violation.clone()?;
    let scenario = Scenario { expect: Expect::Violation(violation.oracle), ..scenario.clone() };
    let draft = Draft::of(&scenario);
    let before = draft.size();
    let mut shrinker = Shrinker {
        runner,
        wanted: (violation.oracle, violation.property()),
        best: Best { draft, scenario, outcome, violation },
        left: budget,
        runs: 1,
        cut_short: false,
        others: BTreeMap::new(),
    };
    shrinker.all_passes();
    let Shrinker { best, runs, cut_short, others, .. } = shrinker;
    let sizes = (before, best.draft.size());
    Some(Shrunk {
        events: best.outcome.events,
        scenario: best.scenario,
        violation: best.violation,
        sizes,
        runs,
        cut_short,
        others,
    })
}

/// The smallest failing run so far.
#[derive(Clone)]
struct Best {
    draft: Draft,
    scenario: Scenario,
    outcome: Outcome,
    violation: Violation,
}

struct Shrinker<'r> {
    runner: &'r mut dyn Runner,
    /// What has to be violated.
    wanted: (Oracle, String),
    best: Best,
    /// Events that may still be simulated.
    left: u64,
    runs: u64,
    cut_short: bool,
    others: BTreeMap<Oracle, Scenario>,
}

impl Shrinker<'_> {
    /// Takes a draft over if it fails in the same way.
    fn attempt(&mut self, draft: &Draft) -> bool {
        let found = self.fails(draft);
        let better = found.is_some();
        if let Some(found) = found {
            self.best = found;
        }
        better
    }

    /// Runs a draft; tells if it fails in the same way.
    fn fails(&mut self, draft: &Draft) -> Option<Best> {
        if *draft == self.best.draft {
            return None;
        }
        let scenario = draft.read()?;
        if self.left == 0 {
            self.cut_short = true;
            return None;
        }
        let outcome = self.runner.run(&scenario);
        self.runs += 1;
        self.left = self.left.saturating_sub(outcome.events + RUN_COST);
        let violation = outcome.violation.clone()?;
        if (violation.oracle, violation.property()) == self.wanted {
            // Reading and printing leaves out what has become the default.
            return Some(Best { draft: Draft::of(&scenario), scenario, outcome, violation });
        }
        if violation.oracle != self.wanted.0 {
            let expect = Expect::Violation(violation.oracle);
            self.others.entry(violation.oracle).or_insert(Scenario { expect, ..scenario });
        }
        None
    }
}

impl Shrunk {
    /// What a file with it says about itself: what fails, and where it comes from.
    pub fn story(&self, origin: &str) -> String {
        format!("{}\nShrunk from {} lines of {origin}.", self.violation, self.sizes.0.lines)
    }
}

#[cfg(test)]
mod tests;

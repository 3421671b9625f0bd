//! The steps of shrinking, from those that save most to those that only please the eye.
//!
//! 1. Nothing after the failure: the run ends there, lines that never acted go.
//! 2. Fresh tiny runs: a few members, clients and operations, and other seeds. What is found by chance in a minute is
//!    often smaller than what is cut down with care.
//! 3. Until nothing more is gained: lines go, members and clients go, operations go, settings return to their defaults.
//! 4. Values become round, times become the protocol events they stand for.

use super::{Best, Draft, RUN_COST, Shrinker, draft::rounder, moments};
use crate::{
    generator::{Profile, generate},
    oracle::Oracle,
    scenario::{Action, Cluster, Condition, Expect, Liveness, Scenario, check::problem},
};
use ios_core::{replica::quorum::QuorumSpec, time::Span};

/// How many fresh tiny runs are tried.
const TINY_RUNS: u64 = 200;
/// Once that many of them failed, the smallest is good enough.
const TINY_ENOUGH: usize = 5;
/// How long they last at most.
const TINY_RUN: Span = Span::secs(1);
/// Numbers of operations that are tried, from few to many.
const OPERATIONS: [u32; 8] = [1, 2, 3, 5, 8, 12, 20, 40];
/// Most rounds of step 3.
const ROUNDS: usize = 6;

impl Shrinker<'_> {
    pub(super) fn all_passes(&mut self) {
        self.end_at_the_failure();
        self.drop_idle_lines();
        self.try_tiny_runs();
        for _ in 0..ROUNDS {
            let before = self.best.draft.size();
            self.drop_lines();
            self.drop_parts();
            self.drop_members();
            self.drop_clients();
            self.drop_operations();
            self.drop_settings();
            self.end_at_the_failure();
            if self.best.draft.size() >= before {
                break;
            }
        }
        self.round_values();
        self.name_moments();
        self.try_small_seeds();
        self.drop_idle_lines();
        self.drop_lines();
    }

    /// Ends the run at the failure.
    fn end_at_the_failure(&mut self) {
        let Best { scenario, violation, .. } = &self.best;
        if !violation.oracle.needs_a_whole_run() {
            let mut scenario = scenario.clone();
            end_at(&mut scenario, Span(round_up(violation.time.0)));
            scenario.liveness = Liveness::Off;
            self.attempt(&Draft::of(&scenario));
            return;
        }
        // What is judged at the end may be seen in a shorter run as well. How long the second phase may take is not
        // touched: with less than it needs every run would fail.
        for eighths in [1, 2, 4, 6] {
            let mut scenario = self.best.scenario.clone();
            let run = Span(round_up(scenario.run.0 * eighths / 8));
            end_at(&mut scenario, run);
            if scenario.run < self.best.scenario.run && self.attempt(&Draft::of(&scenario)) {
                break;
            }
        }
        if self.wanted.0 != Oracle::Liveness && self.best.scenario.liveness != Liveness::Off {
            self.attempt(&self.best.draft.with_directive(Liveness::Off.to_string()));
        }
    }

    /// Lines that never acted explain nothing.
    fn drop_idle_lines(&mut self) {
        let Best { scenario, outcome, .. } = &self.best;
        let idle =
            |fired: &[bool]| fired.iter().enumerate().filter(|(_, fired)| !**fired).map(|(place, _)| place).collect();
        let (lines, overrides): (Vec<usize>, Vec<usize>) = (idle(&outcome.fired), idle(&outcome.used));
        let mut lean = scenario.clone();
        remove(&mut lean.plan, &lines);
        remove(&mut lean.overrides, &overrides);
        self.attempt(&Draft::of(&lean));
    }

    /// Other seeds, in clusters so small that most of them fit on a screen.
    fn try_tiny_runs(&mut self) {
        let mut found: Vec<Best> = Vec::new();
        for number in 0..TINY_RUNS {
            let draft = tiny(&self.best.scenario, number).filter(|draft| draft.size() < self.best.draft.size());
            found.extend(draft.and_then(|draft| self.fails(&draft)));
            if found.len() >= TINY_ENOUGH || self.left == 0 {
                break;
            }
        }
        if let Some(best) = found.into_iter().min_by_key(|best| best.draft.size()) {
            self.best = best;
            self.end_at_the_failure();
            self.drop_idle_lines();
        }
    }

    /// Delta debugging over whole lines: halves, quarters, single lines.
    fn drop_lines(&mut self) {
        let mut chunk = self.best.draft.lines().len().div_ceil(2);
        while chunk > 0 {
            let mut begin = 0;
            loop {
                let lines = self.best.draft.lines();
                let Some(out) = lines.get(begin..(begin + chunk).min(lines.len())).filter(|out| !out.is_empty()) else {
                    break;
                };
                if !self.attempt(&self.best.draft.without_lines(out)) {
                    begin += chunk;
                }
            }
            chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
        }
    }

    /// What a line of the plan can do without: single links of several, coming again, a length.
    fn drop_parts(&mut self) {
        let mut line = 0;
        while line < self.best.draft.count() {
            let mut word = self.best.draft.words(line).len();
            while word > 1 {
                word -= 1;
                let words = self.best.draft.words(line);
                let part = match words.get(word) {
                    Some(link) if link.contains('>') => word..word + 1,
                    Some(again) if again.starts_with("times=") => word..words.len(),
                    Some(gap) if gap.starts_with("gap=") => word..word + 1,
                    _ => continue,
                };
                self.attempt(&self.best.draft.without_words(line, part));
            }
            line += 1;
        }
    }

    /// Down to three members, which is what everybody has in mind; to fewer only if that is where it began.
    fn drop_members(&mut self) {
        let mut member = self.best.scenario.cluster.nodes;
        while member > 0 && self.best.scenario.cluster.nodes > 3 {
            member -= 1;
            let left = (self.best.scenario.cluster.nodes - 1).to_string();
            let draft = self.best.draft.without_name('n', member).with_setting("cluster", "nodes", &left);
            // A quorum system is of a size.
            if !self.attempt(&draft) {
                self.attempt(&draft.with_setting("cluster", "quorum", "majority"));
            }
        }
        if self.best.scenario.cluster.nodes < 3 {
            self.attempt(&self.best.draft.with_setting("cluster", "nodes", "3"));
        }
    }

    fn drop_clients(&mut self) {
        let mut client = self.best.scenario.cluster.clients;
        while client > 0 {
            client -= 1;
            let left = self.best.scenario.cluster.clients - 1;
            let draft = self.best.draft.without_name('c', client).with_setting("cluster", "clients", &left.to_string());
            self.attempt(&draft);
        }
    }

    fn drop_operations(&mut self) {
        for ops in OPERATIONS {
            if ops < self.best.scenario.workload.ops
                && self.attempt(&self.best.draft.with_setting("workload", "ops", &ops.to_string()))
            {
                break;
            }
        }
    }

    /// Settings return to their defaults: a whole line, halves of it, single ones.
    fn drop_settings(&mut self) {
        let mut nth = 0;
        while let Some(&line) = self.best.draft.settings().get(nth) {
            let lines = self.best.draft.count();
            let mut chunk = self.best.draft.words(line).len() - 1;
            while chunk > 0 && self.best.draft.count() == lines {
                let mut begin = 1;
                while self.best.draft.count() == lines && begin < self.best.draft.words(line).len() {
                    let end = (begin + chunk).min(self.best.draft.words(line).len());
                    if !self.attempt(&self.best.draft.without_words(line, begin..end)) {
                        begin = end;
                    }
                }
                chunk /= 2;
            }
            nth += usize::from(self.best.draft.count() == lines);
        }
    }

    fn round_values(&mut self) {
        for line in 0..self.best.draft.count() {
            if ["liveness", "run"].contains(&self.best.draft.words(line)[0]) {
                continue;
            }
            for word in 0..self.best.draft.words(line).len() {
                let lines = self.best.draft.count();
                let Some(value) = self.best.draft.words(line).get(word).map(|word| word.to_string()) else { break };
                for new in rounder(&value) {
                    if self.attempt(&self.best.draft.with_word(line, word, &new)) {
                        break;
                    }
                }
                if self.best.draft.count() != lines {
                    return;
                }
            }
        }
    }

    /// A moment in time means nothing once the code has changed; the protocol event it stood for still does.
    fn name_moments(&mut self) {
        for place in 0..self.best.scenario.plan.len() {
            if self.left == 0 || !matches!(self.best.scenario.plan[place].condition, Condition::At(_)) {
                continue;
            }
            let moments = self.runner.moments(&self.best.scenario);
            self.left = self.left.saturating_sub(self.best.outcome.events + RUN_COST);
            for line in moments::lines(&self.best.scenario, place, &moments) {
                let mut scenario = self.best.scenario.clone();
                scenario.plan[place] = line;
                if self.attempt(&Draft::of(&scenario)) {
                    break;
                }
            }
        }
    }

    fn try_small_seeds(&mut self) {
        for seed in 0..self.best.scenario.seed.min(10) {
            if self.attempt(&Draft::of(&Scenario { seed, ..self.best.scenario.clone() })) {
                break;
            }
        }
    }
}

/// Ends the first phase there. What was to come after that goes.
fn end_at(scenario: &mut Scenario, run: Span) {
    scenario.run = run;
    scenario.plan.retain(|line| !matches!(line.condition, Condition::At(time) if time.0 > run.0));
}

/// Milliseconds with two digits that count, so that the time of the failure is included.
fn round_up(nanos: u64) -> u64 {
    let millis = nanos / 1_000_000 + 1;
    millis.next_multiple_of(10u64.pow(millis.ilog10().saturating_sub(1))) * 1_000_000
}

fn remove<T>(items: &mut Vec<T>, places: &[usize]) {
    let mut place = 0;
    items.retain(|_| {
        place += 1;
        !places.contains(&(place - 1))
    });
}

/// A fresh run of at most three members, two clients and ten operations. Every other one keeps the cluster's settings,
/// in case the failure is about one of them.
pub(super) fn tiny(of: &Scenario, number: u64) -> Option<Draft> {
    let live = of.expect == Expect::Violation(Oracle::Liveness);
    let fresh = generate(Profile::Swarm, number);
    let mut draft = Draft::of(&fresh);
    for member in (3..fresh.cluster.nodes).rev() {
        draft = draft.without_name('n', member);
    }
    for client in (2..fresh.cluster.clients).rev() {
        draft = draft.without_name('c', client);
    }
    let (nodes, clients) = (fresh.cluster.nodes.min(3), fresh.cluster.clients.min(2));
    let draft = draft.with_setting("cluster", "nodes", &nodes.to_string());
    let draft = draft.with_setting("cluster", "clients", &clients.to_string());
    let quorum = if nodes < fresh.cluster.nodes { QuorumSpec::Majority } else { fresh.cluster.quorum };
    let mut scenario = draft.with_setting("cluster", "quorum", &quorum.to_string()).read()?;
    if number % 2 == 1 && !live {
        scenario.cluster = Cluster { nodes, clients, quorum, ..of.cluster.clone() };
        if scenario.cluster.lease.is_some() {
            scenario.plan.retain(|line| !matches!(line.action, Action::Jump { .. }));
        }
    }
    scenario.workload.ops = scenario.workload.ops.min(10);
    let run = scenario.run.min(TINY_RUN);
    end_at(&mut scenario, run);
    scenario.expect = of.expect.clone();
    if !live {
        scenario.liveness = Liveness::Off;
    }
    (problem(&scenario).is_none()).then(|| Draft::of(&scenario))
}

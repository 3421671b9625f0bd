//! Many runs: threads take seeds by index, results join in any order.
//!
//! A [`Campaign`] is a sum, digest included, so that any split into threads, shards or machines gives the same one.

use crate::{
    choice::{Chooser, Stream, mix},
    generator::{Profile, generate},
    guard::run_caught,
    marks::Met,
    oracle::{Checks, Oracle, Violation},
    outcome::{Counters, Outcome, Sent},
    scenario::{Expect, Scenario},
    world::{
        self,
        meter::{Nanos, Split},
    },
};
use std::{
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Makes what runs scenarios on one thread: a [`crate::world::World`] that keeps its memory from run to run, but for
/// tests of what is around it.
pub type Maker<R> = fn() -> R;

/// Of a million seeds, how many are run twice and must give the same digest.
const TWICE: u32 = 20_000;
/// How many runs are measured beside a sweep, at most.
const MEASURED: u64 = 64;

/// Every `of`-th seed, beginning with the `index`-th.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shard {
    /// Which, from 0.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Shard = Shard { index: 0, of: 1 };

    /// How many of `seeds` are its.
    pub fn count(self, seeds: &Range<u64>) -> u64 {
        (seeds.end - seeds.start).saturating_sub(self.index).div_ceil(self.of)
    }

    /// Its `place`-th seed.
    pub fn seed(self, seeds: &Range<u64>, place: u64) -> u64 {
        seeds.start + self.index + place * self.of
    }
}

/// A run that broke a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The seed it was generated from.
    pub seed: u64,
    /// What was run; it expects the violation.
    pub scenario: Scenario,
    /// What was broken.
    pub violation: Violation,
}

/// What many runs came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Campaign {
    /// How many runs.
    pub clusters: u64,
    /// Their events.
    pub events: u64,
    /// Their client operations.
    pub operations: u64,
    /// Their counts.
    pub counters: Counters,
    /// In how many of them each situation was met.
    pub met: Met,
    /// Their messages.
    pub sent: Sent,
    /// Their looks.
    pub checks: Checks,
    /// A sum over all runs of (seed, digest), each well mixed: the same in any order.
    pub digest: u64,
    /// What failed, by seed.
    pub failures: Vec<Failure>,
    /// Whether every seed asked for was run.
    pub complete: bool,
}

impl Campaign {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.clusters += 1;
        self.events += outcome.events;
        self.operations += outcome.operations;
        self.counters.merge(&outcome.counters);
        self.met.add(outcome.marks);
        self.sent.merge(&outcome.sent);
        self.checks.add(&outcome.checks);
        self.digest = self.digest.wrapping_add(mix(mix(seed) ^ outcome.digest));
    }

    fn join(&mut self, other: Campaign) {
        self.clusters += other.clusters;
        self.events += other.events;
        self.operations += other.operations;
        self.counters.merge(&other.counters);
        self.met.merge(&other.met);
        self.sent.merge(&other.sent);
        self.checks.add(&other.checks);
        self.digest = self.digest.wrapping_add(other.digest);
        self.failures.extend(other.failures);
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What kind of scenarios.
    pub profile: Profile,
    /// Which seeds.
    pub seeds: Range<u64>,
    /// Which part of them.
    pub shard: Shard,
    /// On how many threads.
    pub jobs: usize,
}

impl Sweep {
    /// The same in chunks of so many runs, each a sweep of its own; together they are this one.
    pub fn chunks(&self, runs: u64) -> impl Iterator<Item = Sweep> {
        let step = runs.saturating_mul(self.shard.of);
        let Range { start, end } = self.seeds;
        let firsts = std::iter::successors(Some(start), move |first| first.checked_add(step))
            .take_while(move |first| *first < end);
        firsts.map(move |first| Sweep { seeds: first..first.saturating_add(step).min(end), ..self.clone() })
    }

    /// Runs all, until `enough` says so. `progress` hears of every run that is done, and whether it failed.
    pub fn run<R: FnMut(&Scenario) -> Outcome>(
        &self,
        make: Maker<R>,
        enough: &(dyn Fn() -> bool + Sync),
        progress: &(dyn Fn(bool) + Sync),
    ) -> Campaign {
        let total = self.shard.count(&self.seeds);
        let next = AtomicU64::new(0);
        let cut_short = AtomicBool::new(false);
        let sum = Mutex::new(Campaign::default());
        let work = || {
            let mut own = Campaign::default();
            let mut run = make();
            loop {
                if enough() {
                    // Whoever finds every seed taken has nothing left to be cut short.
                    cut_short.fetch_or(next.load(Ordering::Relaxed) < total, Ordering::Relaxed);
                    break;
                }
                let place = next.fetch_add(1, Ordering::Relaxed);
                if place >= total {
                    break;
                }
                let failed = self.one(make, &mut run, self.shard.seed(&self.seeds, place), &mut own);
                progress(failed);
            }
            sum.lock().expect("no thread panics while it joins sums").join(own);
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(work);
            }
        });
        let mut campaign = sum.into_inner().expect("no thread panics while it joins sums");
        campaign.failures.sort_by_key(|failure| failure.seed);
        campaign.complete = !cut_short.into_inner();
        campaign
    }

    /// Runs a few of the seeds once more, evenly spread, and says where their time went.
    pub fn split(&self, clock: Nanos) -> Split {
        let total = self.shard.count(&self.seeds);
        let runs = total.min(MEASURED);
        let seeds = (0..runs).map(|place| self.shard.seed(&self.seeds, place * total / runs));
        world::World::default().measure(seeds.map(|seed| generate(self.profile, seed)), clock)
    }

    /// Runs one seed; returns whether it failed.
    fn one<R>(&self, make: Maker<R>, run: &mut R, seed: u64, campaign: &mut Campaign) -> bool
    where
        R: FnMut(&Scenario) -> Outcome,
    {
        let scenario = generate(self.profile, seed);
        let outcome = run_caught(run, &scenario);
        campaign.add(seed, &outcome);
        let twice = Chooser::new(seed).chance(TWICE, Stream::Sample, &[]);
        let violation = outcome.violation.clone().or_else(|| {
            if twice {
                campaign.checks.count(Oracle::Determinism);
                second_run(make, &scenario, &outcome)
            } else {
                None
            }
        });
        let failed = violation.is_some();
        campaign.failures.extend(violation.map(|violation| failure(seed, scenario, violation)));
        failed
    }
}

/// A failure, and the scenario that expects it.
pub fn failure(seed: u64, scenario: Scenario, violation: Violation) -> Failure {
    Failure { seed, scenario: Scenario { expect: Expect::Violation(violation.oracle), ..scenario }, violation }
}

/// Runs once more, in a fresh world, and compares.
pub fn second_run<R>(make: Maker<R>, scenario: &Scenario, first: &Outcome) -> Option<Violation>
where
    R: FnMut(&Scenario) -> Outcome,
{
    let second = run_caught(&mut make(), scenario);
    if second == *first {
        return None;
    }
    let text = format!(
        "two runs of one scenario differ: {} and {} events, digests {:016x} and {:016x}; {}",
        first.events,
        second.events,
        first.digest,
        second.digest,
        first_difference(&mut || traced(scenario)),
    );
    Some(Violation { oracle: Oracle::Determinism, time: first.ended.min(second.ended), text })
}

/// Every event of a run, in words.
fn traced(scenario: &Scenario) -> Vec<String> {
    world::listen(scenario, Vec::new(), |lines, time, told| lines.push(format!("{time} {told}"))).0
}

/// The first event in which two traces differ: where to look for what is not passed in.
fn first_difference(trace: &mut dyn FnMut() -> Vec<String>) -> String {
    let (one, other) = (trace(), trace());
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    if same == one.len() && same == other.len() {
        return "two traces of it are equal".into();
    }
    let event = |lines: &[String]| lines.get(same).map_or("nothing more".into(), |line| format!("\"{}\"", line.trim()));
    format!("event {} is {} in one trace of it and {} in another", same + 1, event(&one), event(&other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Counter;
    use ios_core::time::Time;
    use std::cell::Cell;

    /// Stands in for the world: depends on the scenario alone, breaks at some seeds.
    fn pretend(scenario: &Scenario) -> Outcome {
        let mut outcome = Outcome { events: scenario.seed % 7, operations: 1, ..Outcome::default() };
        outcome.digest = mix(scenario.seed ^ 99);
        outcome.counters.add(Counter::Assigned, scenario.seed);
        outcome.checks.count(Oracle::Commit);
        match scenario.seed {
            13 => panic!("an index is missing"),
            20 => {
                let text = "two batches".into();
                outcome.violation = Some(Violation { oracle: Oracle::Agreement, time: Time(5), text });
            }
            _ => {}
        }
        outcome
    }

    fn sweep(seeds: Range<u64>, shard: Shard, jobs: usize) -> Campaign {
        Sweep { profile: Profile::Swarm, seeds, shard, jobs }.run(|| pretend, &|| false, &|_| {})
    }

    #[test]
    fn threads_and_shards_change_nothing() {
        let whole = sweep(3..40, Shard::WHOLE, 1);
        assert_eq!(whole.clusters, 37);
        assert_eq!(whole.counters.get(Counter::Assigned), (3..40).filter(|seed| *seed != 13).sum::<u64>());
        assert_eq!(whole, sweep(3..40, Shard::WHOLE, 3));
        for of in [2, 5, 50] {
            let mut sum = Campaign::default();
            for index in 0..of {
                sum.join(sweep(3..40, Shard { index, of }, 2));
            }
            sum.failures.sort_by_key(|failure| failure.seed);
            sum.complete = true;
            assert_eq!(sum, whole, "{of} shards");
        }
        assert_ne!(whole.digest, sweep(3..39, Shard::WHOLE, 1).digest);
    }

    #[test]
    fn shards_split_the_seeds_without_gap_or_overlap() {
        for (start, end, of) in [(0, 10, 3), (5, 6, 2), (7, 7, 2), (0, 4, 9)] {
            let mut all: Vec<u64> = (0..of)
                .map(|index| Shard { index, of })
                .flat_map(|shard| (0..shard.count(&(start..end))).map(move |place| shard.seed(&(start..end), place)))
                .collect();
            all.sort_unstable();
            assert_eq!(all, (start..end).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_is_a_violation_and_failures_expect_themselves() {
        let campaign = sweep(0..30, Shard::WHOLE, 2);
        let found: Vec<_> = campaign.failures.iter().map(|failure| (failure.seed, failure.violation.oracle)).collect();
        assert_eq!(found, [(13, Oracle::Health), (20, Oracle::Agreement)]);
        let text = &campaign.failures[0].violation.text;
        assert!(text.contains("an index is missing") && text.contains("sweep.rs:"), "{text}");
        assert_eq!(campaign.failures[1].scenario.expect, Expect::Violation(Oracle::Agreement));
    }

    #[test]
    fn chunks_are_the_whole() {
        for (seeds, shard) in
            [(0..100, Shard::WHOLE), (7..100, Shard { index: 2, of: 3 }), (0..5, Shard { index: 1, of: 2 })]
        {
            let sweep = Sweep { profile: Profile::Calm, seeds, shard, jobs: 1 };
            let seeds = |sweep: &Sweep| -> Vec<u64> {
                (0..sweep.shard.count(&sweep.seeds)).map(|place| sweep.shard.seed(&sweep.seeds, place)).collect()
            };
            let together: Vec<u64> = sweep.chunks(7).flat_map(|chunk| seeds(&chunk)).collect();
            assert_eq!(together, seeds(&sweep));
            assert!(sweep.chunks(7).all(|chunk| seeds(&chunk).len() <= 7));
        }
    }

    #[test]
    fn an_early_end_is_told() {
        let sweep = Sweep { profile: Profile::Swarm, seeds: 0..100, shard: Shard::WHOLE, jobs: 2 };
        let done = AtomicU64::new(0);
        let enough = || done.load(Ordering::Relaxed) >= 5;
        let campaign = sweep.run(|| pretend, &enough, &|_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert!(!campaign.complete && campaign.clusters < 100);
    }

    #[test]
    fn a_run_that_is_not_repeatable_is_a_violation() {
        thread_local! { static COUNT: Cell<u64> = const { Cell::new(0) }; }
        fn forgetful(_: &Scenario) -> Outcome {
            COUNT.set(COUNT.get() + 1);
            Outcome { digest: COUNT.get(), ..Outcome::default() }
        }
        let scenario = Scenario::default();
        let first = run_caught(&mut forgetful, &scenario);
        assert_eq!(second_run(|| forgetful, &scenario, &first).unwrap().oracle, Oracle::Determinism);
        assert_eq!(second_run(|| pretend, &scenario, &run_caught(&mut pretend, &scenario)), None);
    }

    #[test]
    fn the_first_event_in_which_traces_differ_is_told() {
        let lines = |text: &str| text.split(' ').map(str::to_string).collect::<Vec<_>>();
        let told = |one: &str, other: &str| {
            let mut traces = vec![lines(other), lines(one)];
            first_difference(&mut || traces.pop().expect("two traces"))
        };
        assert_eq!(told("a b c", "a b c"), "two traces of it are equal");
        assert_eq!(told("a b c", "a x c"), "event 2 is \"b\" in one trace of it and \"x\" in another");
        assert_eq!(told("a b", "a"), "event 2 is \"b\" in one trace of it and nothing more in another");
        let scenario = Scenario { run: ios_core::time::Span::millis(300), ..Scenario::default() };
        assert!(traced(&scenario).len() > 10 && first_difference(&mut || traced(&scenario)).contains("equal"));
    }
}

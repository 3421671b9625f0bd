//! How much of a run's time goes into checking it.
//!
//! Only measured on a few runs beside a sweep: reading a clock twice around every look takes about as long as the look.
//! What the reading itself takes is measured beforehand and left out.

use super::World;
use crate::{ghost::Ghost, guard::run_caught, scenario::Scenario};

/// A clock that counts nanoseconds from anywhere. The simulator has none of its own.
pub type Nanos = fn() -> u64;

/// Where the time of some runs went, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Split {
    /// All of it.
    pub total: u64,
    /// What the ghost, the witness of the disks and the judgement of the history took of it.
    pub checking: u64,
}

impl Split {
    /// The share of checking, in a thousandth; `None` if nothing was measured.
    pub fn per_mille(self) -> Option<u64> {
        (self.checking * 1000).checked_div(self.total)
    }
}

/// Sums up the time of looks.
#[derive(Debug)]
pub(super) struct Meter {
    clock: Nanos,
    looks: u64,
    checking: u64,
}

impl Meter {
    fn new(clock: Nanos) -> Self {
        Self { clock, looks: 0, checking: 0 }
    }

    fn look<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let began = (self.clock)();
        let seen = what();
        self.looks += 1;
        self.checking += (self.clock)() - began;
        seen
    }
}

impl World {
    /// Runs scenarios and says where the time went. Nothing but their outcomes is lost by it.
    pub fn measure(&mut self, scenarios: impl IntoIterator<Item = Scenario>, clock: Nanos) -> Split {
        let empty = cost_of_looking(clock);
        let mut split = Split::default();
        for scenario in scenarios {
            self.meter = Some(Meter::new(clock));
            let began = clock();
            run_caught(&mut |scenario| self.run(scenario), &scenario);
            let total = clock() - began;
            let Some(Meter { looks, checking, .. }) = self.meter.take() else { continue };
            // Of the two readings around a look, one falls into its time and both into the whole.
            split.total += total.saturating_sub(looks * empty.total);
            split.checking += checking.saturating_sub(looks * empty.checking);
        }
        split
    }

    /// Asks the ghost, by way of the meter if there is one.
    #[inline(always)]
    pub(super) fn check<T>(&mut self, look: impl FnOnce(&mut Ghost) -> T) -> T {
        let ghost = self.ghost.as_mut().expect("a run has a ghost from its beginning");
        match &mut self.meter {
            None => look(ghost),
            Some(meter) => meter.look(|| look(ghost)),
        }
    }

    /// Does what is checking, but not the ghost's.
    #[inline(always)]
    pub(super) fn check_here<T>(&mut self, look: impl FnOnce(&mut World) -> T) -> T {
        let Some(mut meter) = self.meter.take() else { return look(self) };
        let seen = meter.look(|| look(self));
        self.meter = Some(meter);
        seen
    }
}

/// What an empty look takes, and what of that is taken for checking.
fn cost_of_looking(clock: Nanos) -> Split {
    const LOOKS: u64 = 10_000;
    let mut meter = Meter::new(clock);
    let began = clock();
    (0..LOOKS).for_each(|_| meter.look(|| ()));
    Split { total: (clock() - began) / LOOKS, checking: meter.checking / LOOKS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::{Profile, generate};
    use std::cell::Cell;

    thread_local! { static TIME: Cell<u64> = const { Cell::new(0) }; }

    /// A clock that moves on by one at each reading.
    fn ticks() -> u64 {
        TIME.set(TIME.get() + 1);
        TIME.get()
    }

    #[test]
    fn looks_are_counted_and_readings_left_out() {
        // One tick within each empty look, and one between two: nothing is left of either.
        let empty = cost_of_looking(ticks);
        assert_eq!(empty, Split { total: 2, checking: 1 });
        let split = World::default().measure([generate(Profile::Swarm, 1)], ticks);
        assert_eq!((split.checking, split.per_mille()), (0, Some(0)));
        assert!(split.total <= 2, "{split:?}");
        assert_eq!(Split::default().per_mille(), None);
    }

    #[test]
    fn a_measured_run_is_the_same_run() {
        let (mut plain, mut measured) = (World::default(), World::default());
        for seed in 0..20 {
            let scenario = generate(Profile::Swarm, seed);
            let outcome = plain.run(&scenario);
            measured.meter = Some(Meter::new(ticks));
            assert_eq!(measured.run(&scenario), outcome);
            let meter = measured.meter.take().expect("it is kept during a run");
            assert!(meter.looks > outcome.events / 4, "{} looks at {} events", meter.looks, outcome.events);
            assert_eq!(meter.checking, meter.looks, "none lies within another");
        }
    }
}

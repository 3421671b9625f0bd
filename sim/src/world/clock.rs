//! A node's own clock: it runs at its own rate, begins anywhere, and never shows the same moment twice.

use ios_core::time::{Span, Time};

/// One in a million: the unit of rates.
const MILLION: u64 = 1_000_000;

/// Local time as a function of virtual time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Virtual time at which the present rate began.
    since: Time,
    /// Local time then.
    local: Time,
    /// Local nanoseconds per million virtual ones.
    rate: u64,
    /// The last moment shown.
    shown: Time,
    /// It has leapt, so that it may be behind what it has shown.
    leapt: bool,
}

impl Clock {
    /// A clock that shows about `local` at `now` and runs `skew` parts per million fast (or slow, if negative).
    pub fn new(now: Time, local: Time, skew: i64) -> Self {
        Self { since: now, local, rate: rate(skew), shown: local, leapt: false }
    }

    /// Changes the rate; what was shown stays in the past.
    pub fn set_skew(&mut self, now: Time, skew: i64) {
        self.local = self.at(now);
        self.since = now;
        self.rate = rate(skew);
    }

    /// The machine's clock leaps, ahead or back. What was shown stays in the past: after a leap back a reading is only
    /// a nanosecond later than the one before, until the machine's clock has caught up. That is what `runtime` makes of
    /// its system's clock as well.
    pub fn leap(&mut self, now: Time, backward: bool, by: Span) {
        let local = self.at(now);
        self.local = if backward { local - by } else { local + by };
        self.since = now;
        self.leapt = true;
    }

    /// A new process reads it, which knows nothing of what was shown to the one before.
    pub fn forget(&mut self, now: Time) {
        if self.leapt {
            self.shown = self.shown.min(self.at(now));
        }
    }

    /// From now on it goes as it should, from what it has shown. Whether that is a change.
    pub fn settle(&mut self, now: Time) -> bool {
        let leapt = std::mem::replace(&mut self.leapt, false);
        if leapt {
            self.local = self.at(now).max(self.shown);
            self.since = now;
        }
        leapt
    }

    /// Reads it: strictly later than anything read before.
    pub fn read(&mut self, now: Time) -> Time {
        self.shown = self.at(now).max(Time(self.shown.0 + 1));
        self.shown
    }

    /// The first virtual moment, not before `now`, at which it shows `local` or later.
    pub fn when(&self, now: Time, local: Time) -> Time {
        if local <= self.shown {
            return now;
        }
        let ahead = local.since(self.local).0;
        let span = match ahead.checked_mul(MILLION) {
            Some(product) => product.div_ceil(self.rate),
            None => narrow((u128::from(ahead) * u128::from(MILLION)).div_ceil(u128::from(self.rate))),
        };
        (self.since + Span(span)).max(now)
    }

    fn at(&self, now: Time) -> Time {
        let elapsed = now.since(self.since).0;
        // Within the first hours 64 bits are enough, and several times as quick.
        let span = match elapsed.checked_mul(self.rate) {
            Some(product) => product / MILLION,
            None => narrow(u128::from(elapsed) * u128::from(self.rate) / u128::from(MILLION)),
        };
        self.local + Span(span)
    }
}

fn narrow(span: u128) -> u64 {
    u64::try_from(span).unwrap_or(u64::MAX)
}

fn rate(skew: i64) -> u64 {
    let rate = MILLION as i64 + skew;
    assert!(rate > 0, "a clock's rate must be above zero, so its skew above -1000000 parts per million");
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_at_the_first_moment_that_shows_it() {
        for skew in [-200_000, -37, 0, 1, 999, 100_000] {
            let mut clock = Clock::new(Time(1_000), Time(77), skew);
            clock.read(Time(1_000));
            for local in [100, 1_000, 123_456_789] {
                let when = clock.when(Time(1_000), Time(local));
                assert!(clock.at(when) >= Time(local), "{skew}: too early");
                assert!(clock.at(Time(when.0 - 1)) < Time(local), "{skew}: too late");
            }
        }
    }

    #[test]
    fn after_a_leap_back_it_stands_still_until_it_has_caught_up() {
        let mut clock = Clock::new(Time::ZERO, Time(1000), 0);
        assert_eq!(clock.read(Time(500)), Time(1500));
        clock.leap(Time(500), true, Span(300));
        assert_eq!([600, 700].map(|now| clock.read(Time(now)).0), [1501, 1502]);
        assert_eq!(clock.when(Time(700), Time(1600)), Time(900), "300 after it would have been");
        assert_eq!(clock.read(Time(900)), Time(1600));
        clock.leap(Time(900), false, Span(300));
        assert_eq!(clock.read(Time(901)), Time(1901));
        assert_eq!(clock.when(Time(901), Time(2000)), Time(1000));
    }

    #[test]
    fn a_new_process_does_not_know_what_another_was_shown_and_a_healed_clock_goes_on_from_there() {
        let mut clock = Clock::new(Time::ZERO, Time(1000), 0);
        clock.read(Time(500));
        clock.leap(Time(500), true, Span(300));
        let mut healed = clock;
        clock.forget(Time(510));
        assert_eq!(clock.read(Time(510)), Time(1211));
        healed.settle(Time(510));
        assert_eq!(healed.read(Time(520)), Time(1510));
    }

    #[test]
    fn it_never_shows_a_moment_twice_nor_goes_back() {
        let mut clock = Clock::new(Time::ZERO, Time(10), 0);
        let shown: Vec<_> = [5, 5, 5, 6, 100].into_iter().map(|now| clock.read(Time(now)).0).collect();
        assert_eq!(shown, [15, 16, 17, 18, 110]);
        clock.set_skew(Time(100), -500_000);
        assert_eq!(clock.read(Time(120)), Time(120));
        assert_eq!(clock.when(Time(120), Time(120)), Time(120), "what was shown is due at once");
    }
}

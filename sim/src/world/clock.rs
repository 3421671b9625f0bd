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
}

impl Clock {
    /// A clock that shows about `local` at `now` and runs `skew` parts per million fast (or slow, if negative).
    pub fn new(now: Time, local: Time, skew: i64) -> Self {
        Self { since: now, local, rate: rate(skew), shown: local }
    }

    /// Changes the rate; what was shown stays in the past.
    pub fn set_skew(&mut self, now: Time, skew: i64) {
        self.local = self.at(now);
        self.since = now;
        self.rate = rate(skew);
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
    fn it_never_shows_a_moment_twice_nor_goes_back() {
        let mut clock = Clock::new(Time::ZERO, Time(10), 0);
        let shown: Vec<_> = [5, 5, 5, 6, 100].into_iter().map(|now| clock.read(Time(now)).0).collect();
        assert_eq!(shown, [15, 16, 17, 18, 110]);
        clock.set_skew(Time(100), -500_000);
        assert_eq!(clock.read(Time(120)), Time(120));
        assert_eq!(clock.when(Time(120), Time(120)), Time(120), "what was shown is due at once");
    }
}

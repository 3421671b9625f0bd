//! The only reader of time in the project.
//!
//! The core wants a strictly monotonic clock: two readings never agree, so that "begun after this arrived" can be told
//! by comparing times. `CLOCK_BOOTTIME` goes on while a machine is suspended, which is what a lease or an expiry means
//! by time; where it is missing, `CLOCK_MONOTONIC` has to do.

use ios_core::time::{Span, Time};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A strictly monotonic clock.
#[derive(Debug, Default)]
pub struct Clock {
    last: Time,
}

impl Clock {
    /// A reading later than every earlier one of this clock.
    pub fn now(&mut self) -> Time {
        self.last = Time(read_ns(CLOCK)).max(self.last + Span::nanos(1));
        self.last
    }

    /// The same, a nanosecond after the last reading: for what had happened by then.
    pub fn tick(&mut self) -> Time {
        self.last = self.last + Span::nanos(1);
        self.last
    }
}

/// How long from `now` until `deadline`, for system calls that wait.
pub fn until(now: Time, deadline: Time) -> Duration {
    Duration::from_nanos(deadline.since(now).0)
}

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Processor time that the calling thread has used.
pub fn thread_processor_time() -> Span {
    Span(read_ns(ClockId::ThreadCPUTime))
}

/// Processor time that all threads of this process have used together.
pub fn process_processor_time() -> Span {
    Span(read_ns(ClockId::ProcessCPUTime))
}

/// The time of day in nanoseconds since 1970, for what people read: it may be set back.
pub fn unix_ns() -> u64 {
    read_ns(ClockId::Realtime)
}

fn read_ns(clock: ClockId) -> u64 {
    let reading = clock_gettime(clock);
    reading.tv_sec as u64 * 1_000_000_000 + reading.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_readings_agree() {
        let mut clock = Clock::default();
        let readings: Vec<Time> = (0..10_000).flat_map(|_| [clock.now(), clock.tick()]).collect();
        assert!(readings.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_not_before_now() {
        assert_eq!(until(Time(5), Time(12)), Duration::from_nanos(7));
        assert_eq!(until(Time(12), Time(5)), Duration::ZERO);
    }
}

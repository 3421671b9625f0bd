//! Waking up on time: a poll's own timeout is rounded up to whole milliseconds, which is longer than an answer takes.

use ios_core::time::Time;
use mio::{Registry, Token};
use std::io;

/// A clock that rings in a poll.
#[derive(Debug)]
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: std::os::fd::OwnedFd,
    set: Option<Time>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    /// One that rings in this poll, by this name.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        use std::os::fd::AsRawFd;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Self { timer, set: None })
    }

    /// Rings at this moment of [`crate::clock::Clock`]. Returns whether it will; else the poll's timeout has to do.
    pub fn set(&mut self, at: Time) -> bool {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        if self.set == Some(at) {
            return true;
        }
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: (at.0 / 1_000_000_000) as i64, tv_nsec: (at.0 % 1_000_000_000) as _ };
        let spec = Itimerspec { it_interval: zero, it_value: value };
        let set = timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec).is_ok();
        self.set = set.then_some(at);
        set
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    /// There is none.
    pub fn new(_: &Registry, _: Token) -> io::Result<Self> {
        Ok(Self { set: None })
    }

    /// Never rings.
    pub fn set(&mut self, _: Time) -> bool {
        self.set.is_some()
    }
}

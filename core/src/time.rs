//! Time as the core sees it: a number handed in by the driver. Integer nanoseconds, saturating, printed in the largest
//! unit that loses nothing.

use core::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
};
use serde::{Deserialize, Serialize};

/// A moment on the driver's strictly monotonic clock, or of log time, in nanoseconds from an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Time(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span(pub u64);

impl Time {
    /// The start of the clock.
    pub const ZERO: Time = Time(0);
    /// Later than any deadline.
    pub const NEVER: Time = Time(u64::MAX);

    /// How long after `earlier` this is; nothing if it is not after.
    #[must_use]
    pub fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole nanoseconds.
    pub const fn nanos(nanos: u64) -> Span {
        Span(nanos)
    }

    /// A span of whole microseconds.
    pub const fn micros(micros: u64) -> Span {
        Span(micros * 1_000)
    }

    /// A span of whole milliseconds.
    pub const fn millis(millis: u64) -> Span {
        Span(millis * 1_000_000)
    }

    /// A span of whole seconds.
    pub const fn secs(secs: u64) -> Span {
        Span(secs * 1_000_000_000)
    }

    /// This span `by` times over, saturating.
    #[must_use]
    pub const fn times(self, by: u64) -> Span {
        Span(self.0.saturating_mul(by))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

/// Units by name, largest first: the one that prints without a fraction is used.
const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = UNITS.into_iter().find(|(_, unit)| self.0.is_multiple_of(*unit)).expect("ns divides all");
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Span(self.0), f)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a length of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadSpan;

impl fmt::Display for BadSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time is a whole number and a unit, such as 50ms; units are s, ms, us, ns")
    }
}

impl core::error::Error for BadSpan {}

impl FromStr for Span {
    type Err = BadSpan;
    fn from_str(text: &str) -> Result<Span, BadSpan> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, name) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| BadSpan)?;
        let (_, unit) = UNITS.into_iter().find(|(unit_name, _)| *unit_name == name).ok_or(BadSpan)?;
        number.checked_mul(unit).map(Span).ok_or(BadSpan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_span_prints_in_the_largest_whole_unit_and_parses_back() {
        for (span, text) in [
            (Span::ZERO, "0s"),
            (Span::millis(50), "50ms"),
            (Span::millis(2000), "2s"),
            (Span::nanos(1_500), "1500ns"),
            (Span::micros(7), "7us"),
        ] {
            assert_eq!(span.to_string(), text);
            assert_eq!(text.parse(), Ok(span));
        }
        for bad in ["", "5", "ms", "-1ms", "1.5s", "5m", "99999999999999999999s", "18446744073709551615s"] {
            assert_eq!(bad.parse::<Span>(), Err(BadSpan), "{bad}");
        }
    }
}

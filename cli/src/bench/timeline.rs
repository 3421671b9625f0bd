//! What happened when: latencies by slices of time, never more than a page can show.

use hdrhistogram::Histogram;
use ios_core::time::Span;

/// Slices at most; beyond that they get twice as wide.
const SLICES_MAX: usize = 240;
/// The width of a slice to begin with.
const NARROWEST: Span = Span::millis(25);

/// Latencies by the slice of time in which requests began.
pub struct Timeline {
    width: Span,
    slices: Vec<Histogram<u32>>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: NARROWEST, slices: Vec::new() }
    }
}

impl Timeline {
    /// A request that began so long after the start took so long.
    pub fn record(&mut self, begun: Span, took: Span) {
        while begun.0 / self.width.0 >= SLICES_MAX as u64 {
            self.widen();
        }
        let slice = (begun.0 / self.width.0) as usize;
        while self.slices.len() <= slice {
            self.slices.push(histogram());
        }
        self.slices[slice].saturating_record(took.0);
    }

    /// When each slice begins, and its latencies.
    pub fn slices(&self) -> impl Iterator<Item = (Span, &Histogram<u32>)> {
        self.slices.iter().enumerate().map(|(place, slice)| (self.width.times(place as u64), slice))
    }

    /// How long each is.
    pub fn width(&self) -> Span {
        self.width
    }

    fn widen(&mut self) {
        let mut old = std::mem::take(&mut self.slices).into_iter();
        while let Some(mut slice) = old.next() {
            if let Some(next) = old.next() {
                slice.add(next).expect("all have the same bounds");
            }
            self.slices.push(slice);
        }
        self.width = self.width.times(2);
    }
}

/// From a microsecond to a minute, to one part in a hundred.
fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 2).expect("the bounds make sense")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_wide_slices_and_loses_nothing() {
        let mut timeline = Timeline::default();
        for second in 0..600 {
            timeline.record(Span::secs(second), Span::millis(1));
        }
        assert!(timeline.slices().count() <= SLICES_MAX);
        assert_eq!(timeline.slices().map(|(_, slice)| slice.len()).sum::<u64>(), 600);
        assert_eq!(timeline.width(), NARROWEST.times(128));
        let (begin, slice) = timeline.slices().nth(1).unwrap();
        assert_eq!((begin, slice.len()), (Span::millis(3200), 3));
    }
}

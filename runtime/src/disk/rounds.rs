//! How long rounds took: a histogram with fixed bounds, in whole microseconds.

use ios_core::time::Span;

/// Upper bounds of the buckets, in microseconds; what took longer is counted beyond the last.
pub const BOUNDS_US: [u64; 14] =
    [25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// Rounds counted by how long they took.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rounds {
    counts: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Rounds {
    /// Counts one; parts of a microsecond count as a whole one.
    pub fn take(&mut self, took: Span) {
        let us = took.0.div_ceil(1000);
        self.counts[BOUNDS_US.partition_point(|bound| *bound < us)] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// Each bound in microseconds, and how many rounds took no longer.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let no_longer = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        BOUNDS_US.into_iter().zip(no_longer)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long they took together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_counts_in_every_bucket_that_it_fits_into() {
        let mut rounds = Rounds::default();
        [0, 25_000, 25_001, 2_000_000_000].into_iter().for_each(|ns| rounds.take(Span::nanos(ns)));
        let buckets: Vec<_> = rounds.buckets().collect();
        assert_eq!((buckets[0], buckets[1], buckets[13]), ((25, 2), (50, 3), (1_000_000, 3)));
        assert_eq!((rounds.count(), rounds.sum_us()), (4, 25 + 26 + 2_000_000));
    }
}

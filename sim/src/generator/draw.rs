//! Numbers drawn for a scenario.

use crate::scenario::Target;
use ios_core::ids::NodeId;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

pub(super) fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.ilog10().saturating_sub(1));
    number / unit * unit
}

/// Integer draws from one sequence.
pub(super) struct Draw {
    rng: ChaCha8Rng,
}

impl Draw {
    /// The sequence of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Another sequence of the same seed: what is drawn from it leaves all that is drawn from the first where it was.
    pub(super) fn aside(seed: u64) -> Self {
        let mut draw = Self::new(seed);
        draw.rng.set_stream(1);
        draw
    }

    /// From `low` to `high`, both included.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range {low}..={high}");
        low + ((u128::from(self.rng.next_u64()) * (u128::from(high - low) + 1)) >> 64) as u64
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.range(1, n) == 1
    }

    pub(super) fn coin(&mut self) -> bool {
        self.one_in(2)
    }

    /// From `low` to `high`, every factor of two equally likely. `low` is above zero.
    pub(super) fn log(&mut self, low: u64, high: u64) -> u64 {
        if low >= high {
            return low;
        }
        let from = low << self.range(0, u64::from((high / low).ilog2()));
        self.range(from, high.min(from.saturating_mul(2)))
    }

    /// As `log`, of two significant digits: people read it.
    pub(super) fn log_time(&mut self, low: u64, high: u64) -> u64 {
        two_digits(self.log(low, high)).max(low)
    }

    /// As `range`, in whole tenths of milliseconds.
    pub(super) fn time(&mut self, low: u64, high: u64) -> u64 {
        self.range(low.div_ceil(100_000), high / 100_000) * 100_000
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.range(0, from.len() as u64 - 1) as usize]
    }

    /// A node to do something to; the leader often, since that hurts most.
    pub(super) fn node(&mut self, nodes: u8) -> Target {
        if self.one_in(3) { Target::Leader } else { Target::Node(NodeId(self.range(0, u64::from(nodes) - 1) as u8)) }
    }
}

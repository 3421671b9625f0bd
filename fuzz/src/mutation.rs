//! Damaged and invented inputs for the stable toolchain, where no coverage guides the search. All of it follows from a
//! seed, so that what fails once fails again.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Draws inputs around a corpus.
#[derive(Debug)]
pub struct Mutator {
    rng: ChaCha8Rng,
    corpus: Vec<Vec<u8>>,
}

/// Longest input drawn from nothing.
const INVENTED_MAX: u64 = 300;
/// Most changes to one input.
const CHANGES_MAX: u64 = 6;
/// Numbers at which lengths, counts and indexes go wrong.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

impl Mutator {
    /// Inputs for `corpus`, a function of `seed`.
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), corpus }
    }

    /// The next input: mostly a member of the corpus with a few changes, sometimes noise.
    pub fn input(&mut self) -> Vec<u8> {
        if self.corpus.is_empty() || self.below(16) == 0 {
            let mut noise = vec![0; self.below(INVENTED_MAX) as usize];
            self.rng.fill_bytes(&mut noise);
            return noise;
        }
        let mut input = self.member();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() as u64 + 1) as usize;
        let rest = input.len() - at;
        let part = self.below(rest.min(40) as u64 + 1) as usize;
        match self.below(7) {
            0 if rest > 0 => input[at] ^= 1 << self.below(8),
            1 if rest > 0 => input[at] = self.below(256) as u8,
            2 => input.truncate(at),
            3 => drop(input.drain(at..at + part)),
            4 => input.extend_from_within(at..at + part),
            5 => {
                let edge = EDGES[self.below(EDGES.len() as u64) as usize].to_le_bytes();
                let width = rest.min(1 << self.below(4));
                input[at..at + width].copy_from_slice(&edge[..width]);
            }
            _ => {
                let other = self.member();
                let from = self.below(other.len() as u64 + 1) as usize;
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }

    fn member(&mut self) -> Vec<u8> {
        let place = self.below(self.corpus.len() as u64) as usize;
        self.corpus[place].clone()
    }

    fn below(&mut self, limit: u64) -> u64 {
        // The bias of a remainder is of no consequence for limits this small.
        self.rng.next_u64() % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_changes_are_many() {
        let draw = |seed| {
            let mut mutator = Mutator::new(seed, vec![(0..100).collect(), (50..200).collect()]);
            (0..1000).map(|_| mutator.input()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let mut distinct = draw(1);
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 900, "{}", distinct.len());
    }
}

//! An ordered map as it was at one moment, handed out key by key while it goes on changing.
//!
//! Keys are handed out in order. A key that lies ahead and is about to change for the first time leaves its value here
//! first; one that lies behind has been handed out and may change freely. So a capture costs nothing while there is
//! none, one look-up per change while there is one, and in memory what changes ahead of it.

use alloc::collections::BTreeMap;
use core::ops::Bound;

/// A capture under way.
///
/// - `before` has keys beyond `done` only, each with its value when the capture began: none if it was absent.
/// - The map and `before`, which has precedence, together are the rest of what is to be handed out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capture<K, V> {
    /// Every key up to here is handed out.
    done: Option<K>,
    before: BTreeMap<K, Option<V>>,
}

/// What one step of a capture, or of a snapshot made of captures, came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Captured {
    /// Something was handed out.
    Taken,
    /// Something was passed over that came into being after the capture began.
    Passed,
    /// Everything has been handed out.
    End,
}

impl<K: Ord + Clone, V> Capture<K, V> {
    /// A capture of a map as it is now.
    pub fn begin() -> Self {
        Self { done: None, before: BTreeMap::new() }
    }

    /// To be called before `key` changes, comes or goes. `value` tells what is there, and is asked the first time only.
    pub fn keep(&mut self, key: &K, value: impl FnOnce() -> Option<V>) {
        if self.done.as_ref().is_none_or(|done| key > done) && !self.before.contains_key(key) {
            self.before.insert(key.clone(), value());
        }
    }

    /// Shows the next key and its value to `take`. `map` is the map as it is by now.
    pub fn step(&mut self, map: &BTreeMap<K, V>, take: impl FnOnce(&K, &V)) -> Captured {
        let ahead = self.done.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let live = map.range((ahead, Bound::Unbounded)).next();
        let (key, value) = match (live, self.before.first_key_value()) {
            (None, None) => return Captured::End,
            (Some((key, value)), kept) if kept.is_none_or(|(kept, _)| key < kept) => {
                take(key, value);
                self.done = Some(key.clone());
                return Captured::Taken;
            }
            _ => self.before.pop_first().expect("seen above"),
        };
        if let Some(value) = &value {
            take(&key, value);
        }
        self.done = Some(key);
        if value.is_some() { Captured::Taken } else { Captured::Passed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{RngCore, SeedableRng},
    };

    #[test]
    fn a_capture_under_changes_is_the_map_as_it_was() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut below = |limit: u64| rng.next_u64() % limit;
            let mut map: BTreeMap<u64, u64> = (0..below(20)).map(|_| (below(30), below(100))).collect();
            let begun: Vec<(u64, u64)> = map.iter().map(|(key, value)| (*key, *value)).collect();
            let mut capture = Capture::begin();
            let mut taken = Vec::new();
            loop {
                for _ in 0..below(4) {
                    let key = below(30);
                    capture.keep(&key, || map.get(&key).copied());
                    match below(3) {
                        0 => drop(map.remove(&key)),
                        _ => drop(map.insert(key, below(100))),
                    }
                }
                let before = taken.len();
                match capture.step(&map, |key, value| taken.push((*key, *value))) {
                    Captured::Taken => assert_eq!(taken.len(), before + 1),
                    Captured::Passed => assert_eq!(taken.len(), before),
                    Captured::End => break,
                }
            }
            assert_eq!(taken, begun, "seed {seed}");
        }
    }
}

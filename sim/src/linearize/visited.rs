//! Places where a search was, found by hash; one is left out if a better one was visited.

use super::space::mix;

/// How many places with the same hash are compared.
const CHAIN_MAX: u32 = 64;
/// No place.
const NONE: u32 = u32::MAX;

/// Places visited.
pub struct Visited {
    /// How many words a bit set takes.
    width: usize,
    /// Of each place: event and state, operations that took effect, operations that may end silently.
    pub words: Vec<u64>,
    /// Of each place: the one before it with the same hash, and the hash.
    chain: Vec<(u32, u64)>,
    table: Vec<u32>,
}

impl Visited {
    /// Nowhere yet; bit sets take `width` words.
    pub fn new(width: usize) -> Self {
        Self { width, words: Vec::new(), chain: Vec::new(), table: vec![NONE; 64] }
    }

    /// Whether a place as good was visited; if not, this one is now. The sets: what took effect, what may end silently,
    /// and what is known to take effect. `hash` is of the known operations that did.
    pub fn was_here(&mut self, event: usize, state: u32, hash: u64, sets: [&[u64]; 3]) -> bool {
        let [taken, silent, known] = sets;
        let place = (event as u64) << 32 | u64::from(state);
        let hash = mix(hash ^ mix(place));
        let mut at = self.table[hash as usize & (self.table.len() - 1)];
        for _ in 0..CHAIN_MAX {
            if at == NONE {
                break;
            }
            let (before, other) = self.chain[at as usize];
            if other == hash && self.is_as_good(at, place, taken, silent, known) {
                return true;
            }
            at = before;
        }
        self.add(hash, place, taken, silent);
        false
    }

    /// Whether a place visited had the same done, used no more of the rest, and left no less to silence.
    fn is_as_good(&self, at: u32, place: u64, taken: &[u64], silent: &[u64], known: &[u64]) -> bool {
        let size = 1 + 2 * self.width;
        let words = &self.words[at as usize * size..][..size];
        let (other_taken, other_silent) = words[1..].split_at(self.width);
        words[0] == place
            && (0..self.width).all(|word| {
                (taken[word] ^ other_taken[word]) & known[word] == 0
                    && other_taken[word] & !taken[word] == 0
                    && silent[word] & !other_silent[word] == 0
            })
    }

    fn add(&mut self, hash: u64, place: u64, taken: &[u64], silent: &[u64]) {
        if self.table.len() <= self.chain.len() {
            self.table = vec![NONE; self.table.len() * 4];
            for at in 0..self.chain.len() {
                let entry = self.chain[at].1 as usize & (self.table.len() - 1);
                self.chain[at].0 = std::mem::replace(&mut self.table[entry], at as u32);
            }
        }
        let entry = hash as usize & (self.table.len() - 1);
        let before = std::mem::replace(&mut self.table[entry], self.chain.len() as u32);
        self.chain.push((before, hash));
        self.words.push(place);
        self.words.extend_from_slice(taken);
        self.words.extend_from_slice(silent);
    }
}

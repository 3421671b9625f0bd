//! Values as numbers: two that no operation can tell apart are one.
//!
//! What a key can be seen to hold is known beforehand: the values that reads were answered and cas asked for. A value
//! outside of these, which no append can turn into one of these either, is *junk*, whatever it is. Where there are
//! appends, a value is a place in the sorted list of what is observed: all strings there that begin with it.

use super::space::mix;
use std::collections::BTreeMap;

/// Numbers by bytes, found by hash; in order of their first mention.
#[derive(Default)]
pub struct Interner<'a> {
    table: Vec<u32>,
    entries: Vec<(u32, &'a [u8])>,
}

impl<'a> Interner<'a> {
    /// The number of these bytes within `space`.
    pub fn intern(&mut self, space: u32, bytes: &'a [u8]) -> u32 {
        if self.table.len() <= self.entries.len() * 2 {
            self.grow();
        }
        let at = self.place(space, bytes);
        if self.table[at] == u32::MAX {
            self.table[at] = self.entries.len() as u32;
            self.entries.push((space, bytes));
        }
        self.table[at]
    }

    /// The number, if it has one.
    pub fn find(&self, space: u32, bytes: &[u8]) -> Option<u32> {
        if self.table.is_empty() {
            return None;
        }
        Some(self.table[self.place(space, bytes)]).filter(|number| *number != u32::MAX)
    }

    /// What was interned, by number.
    pub fn entries(&self) -> &[(u32, &'a [u8])] {
        &self.entries
    }

    fn place(&self, space: u32, bytes: &[u8]) -> usize {
        let mask = self.table.len() - 1;
        let mut at = hash(space, bytes) as usize & mask;
        while self.table[at] != u32::MAX && self.entries[self.table[at] as usize] != (space, bytes) {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        self.table = vec![u32::MAX; (self.table.len() * 2).max(32)];
        for number in 0..self.entries.len() {
            let (space, bytes) = self.entries[number];
            let at = self.place(space, bytes);
            self.table[at] = number as u32;
        }
    }
}

/// Short bytes, which most keys and values are, are hashed as the number they spell.
fn hash(space: u32, bytes: &[u8]) -> u64 {
    let seed = u64::from(space) << 8 | bytes.len() as u64;
    match bytes.len() {
        0..=8 => mix(bytes.iter().fold(seed, |number, byte| number.rotate_left(8) ^ u64::from(*byte))),
        _ => mix(seed ^ xxhash_rust::xxh3::xxh3_64(bytes)),
    }
}

/// Strings `from..to` of a key begin with the same `length` bytes, and no others do.
#[derive(Clone, Copy)]
struct Node {
    key: u32,
    from: u32,
    to: u32,
    length: u32,
}

/// The values that the keys of a component can hold. Each key has values of its own: first *missing*, then *junk*.
pub struct Values<'a> {
    keys: u32,
    observed: Interner<'a>,
    /// What is observed, sorted, per key; used only where there are appends.
    sorted: Vec<Vec<&'a [u8]>>,
    /// Per value from the first that is neither missing nor junk.
    nodes: Vec<Node>,
    numbers: BTreeMap<(u32, u32, u32), u32>,
    /// The numbers of what is observed, in the order of `sorted`.
    whole: Vec<Vec<u32>>,
    appended: BTreeMap<(u32, &'a [u8]), u32>,
    appends: bool,
}

impl<'a> Values<'a> {
    /// Nothing is observed yet.
    pub fn new(keys: usize) -> Self {
        Self {
            keys: keys as u32,
            observed: Interner::default(),
            sorted: Vec::new(),
            nodes: Vec::new(),
            numbers: BTreeMap::new(),
            whole: Vec::new(),
            appended: BTreeMap::new(),
            appends: false,
        }
    }

    /// Somebody may see this.
    pub fn observe(&mut self, key: u32, value: &'a [u8]) {
        self.observed.intern(key, value);
    }

    /// All is observed; there are appends.
    pub fn sort(&mut self) {
        self.appends = true;
        self.sorted = vec![Vec::new(); self.keys as usize];
        for (key, bytes) in self.observed.entries() {
            self.sorted[*key as usize].push(bytes);
        }
        self.sorted.iter_mut().for_each(|strings| strings.sort_unstable());
        for key in 0..self.keys {
            let strings = self.sorted[key as usize].clone();
            let numbers = strings.into_iter().map(|string| self.number(key, string)).collect();
            self.whole.push(numbers);
        }
    }

    /// What is observed of a key and may be reached from a value without a reset, as places in [`Values::whole`].
    pub fn reach(&self, value: u32) -> (u32, u32, u32) {
        if value < 2 * self.keys {
            let key = value / 2;
            let all = if self.is_junk(value) { 0 } else { self.sorted[key as usize].len() as u32 };
            return (key, 0, all);
        }
        let Node { key, from, to, .. } = self.nodes[(value - 2 * self.keys) as usize];
        (key, from, to)
    }

    /// The numbers of what is observed of a key, sorted by content; only where there are appends.
    pub fn whole(&self, key: u32) -> &[u32] {
        &self.whole[key as usize]
    }

    /// How many there are so far; appends may add to them.
    pub fn count(&self) -> usize {
        let more = if self.appends { self.nodes.len() } else { self.observed.entries().len() };
        2 * self.keys as usize + more
    }

    /// Whether there are appends.
    pub fn appends(&self) -> bool {
        self.appends
    }

    /// No value.
    pub fn missing(key: u32) -> u32 {
        2 * key
    }

    /// Any value that is never seen.
    pub fn junk(key: u32) -> u32 {
        2 * key + 1
    }

    /// Whether a value is none.
    pub fn is_missing(&self, value: u32) -> bool {
        value < 2 * self.keys && value.is_multiple_of(2)
    }

    /// Whether a value is junk.
    pub fn is_junk(&self, value: u32) -> bool {
        value < 2 * self.keys && value % 2 == 1
    }

    /// The key that a value belongs to.
    pub fn key(&self, value: u32) -> u32 {
        match value.checked_sub(2 * self.keys) {
            None => value / 2,
            Some(place) if self.appends => self.nodes[place as usize].key,
            Some(place) => self.observed.entries()[place as usize].0,
        }
    }

    /// The number of a value.
    pub fn number(&mut self, key: u32, value: &'a [u8]) -> u32 {
        if self.appends {
            return self.node(key, 0, self.sorted[key as usize].len(), 0, value);
        }
        self.observed.find(key, value).map_or(Self::junk(key), |number| 2 * self.keys + number)
    }

    /// What becomes of a value if `suffix` is appended to it.
    pub fn append(&mut self, key: u32, value: u32, suffix: &'a [u8]) -> u32 {
        if value == Self::missing(key) {
            return self.number(key, suffix);
        }
        if self.is_junk(value) {
            return value;
        }
        if let Some(&result) = self.appended.get(&(value, suffix)) {
            return result;
        }
        let Node { from, to, length, .. } = self.nodes[(value - 2 * self.keys) as usize];
        let result = self.node(key, from as usize, to as usize, length as usize, suffix);
        self.appended.insert((value, suffix), result);
        result
    }

    /// The prefix that goes on with `suffix` after `length` bytes, which strings `from..to` have in common.
    fn node(&mut self, key: u32, from: usize, to: usize, length: usize, suffix: &[u8]) -> u32 {
        let strings = &self.sorted[key as usize][from..to];
        let first = strings.partition_point(|string| string[length..] < *suffix);
        if !strings.get(first).is_some_and(|string| string[length..].starts_with(suffix)) {
            return Self::junk(key);
        }
        let alike = strings[first..].partition_point(|string| string[length..].starts_with(suffix));
        let (first, length) = ((from + first) as u32, (length + suffix.len()) as u32);
        *self.numbers.entry((key, first, length)).or_insert_with(|| {
            self.nodes.push(Node { key, from: first, to: first + alike as u32, length });
            2 * self.keys + self.nodes.len() as u32 - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_apart_is_one() {
        let mut values = Values::new(1);
        for text in ["ab", "abc", "b"] {
            values.observe(0, text.as_bytes());
        }
        assert_eq!(values.number(0, b"x"), values.number(0, b"a"), "nobody sees either");
        values.sort();
        let [empty, a, ab, abc] = ["", "a", "ab", "abc"].map(|text| values.number(0, text.as_bytes()));
        assert_eq!(values.append(0, Values::missing(0), b"a"), a);
        assert_eq!(values.append(0, empty, b"a"), a);
        assert_eq!((values.append(0, a, b"b"), values.append(0, a, b"bc")), (ab, abc));
        let unseen = values.number(0, b"x");
        assert!(values.is_junk(unseen));
        let gone = values.append(0, abc, b"d");
        assert!(values.is_junk(gone) && values.append(0, gone, b"") == gone);
        assert_eq!(values.append(0, abc, b""), abc);
    }
}

//! A history in parts that have nothing to do with each other, each in numbers.
//!
//! Linearizability is local (Herlihy and Wing 1990): a history is linearizable if and only if the operations of each
//! object are. Keys are objects of their own unless some operation touches several: those are joined, and no others. A
//! count touches all keys, a list those with its prefix.

use super::values::{Interner, Values};
use crate::history::{Answer, Data, History, Operation, Outcome, Verb};
use std::collections::BTreeMap;

/// Values of one reply may take this much room in our store; where a reply might take more, nothing is said.
const REPLY_ROOM: usize = 2 << 20;
/// No key.
pub const NONE: u32 = u32::MAX;

/// What one verb needs of a key's value, and makes of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Act<'h> {
    /// Needs nothing, changes nothing: a read that was not answered.
    Nothing,
    /// Cannot have been answered so.
    Never,
    /// Sees this value.
    Is(u32),
    /// Sees another value.
    IsNot(u32),
    /// Writes this value, whatever was there.
    Put(u32),
    /// Appends these bytes.
    Append(&'h [u8]),
    /// Sees the first, writes the second.
    Swap(u32, u32),
    /// Writes the second if it sees the first.
    MaybeSwap(u32, u32),
    /// Sees some value, removes it.
    Remove,
}

/// One verb.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part<'h> {
    /// Of one key.
    Key(u32, Act<'h>),
    /// So many keys are there.
    Count(u64),
    /// Keys `from..to`, of which these are there, and whether `limit` left some out.
    List { from: u32, to: u32, limit: u32, pairs: Vec<(u32, u32)>, more: bool },
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Op {
    /// Its number in the history.
    pub id: usize,
    /// The event after which it takes effect.
    pub earliest: u64,
    /// The event by which it does; `u64::MAX` if it may never.
    pub deadline: u64,
    /// Its verbs, as a range of `parts`.
    pub parts: (u32, u32),
    /// Whether it can change anything.
    pub writes: bool,
    /// Operations of one class differ in nothing but time.
    pub class: u32,
    /// If it is nothing but a write of one key that sees nothing: that key.
    pub blind: u32,
    /// If it is nothing but a write of one key that leaves nothing of what was there: that key.
    pub resets: u32,
}

impl Op {
    /// Whether it may never take effect.
    pub fn is_unknown(&self) -> bool {
        self.deadline == u64::MAX
    }
}

/// Operations on keys that nothing else touches.
pub struct Component<'h> {
    /// The operations, in the order of their begins.
    pub ops: Vec<Op>,
    /// Their verbs.
    pub parts: Vec<Part<'h>>,
    /// What keys can hold.
    pub values: Values<'h>,
    /// What they hold in the beginning.
    pub initial: Vec<u32>,
    /// One key, one verb an operation.
    pub is_cell: bool,
}

/// Divides a history. The error says why the search has nothing to say about it.
pub fn divide(history: &History) -> Result<Vec<Component<'_>>, String> {
    let operations = history.operations();
    let counts = |operation: &Operation| match &operation.outcome {
        Outcome::Done { .. } => true,
        Outcome::Unknown => !operation.is_read(),
        Outcome::NotDone => false,
    };
    let mut keys = Keys::new(history);
    let mut of = Vec::with_capacity(operations.len());
    for operation in operations {
        of.push(if counts(operation) { keys.of(operation)? } else { NONE });
    }
    keys.check_room()?;
    let whole = keys.groups();
    if whole.len() == 1 {
        let ids: Vec<u32> = (0..of.len() as u32).filter(|id| of[*id as usize] != NONE).collect();
        return Ok(vec![compile(history, &keys, &whole[0], &ids)]);
    }
    let mut ids = vec![Vec::new(); whole.len()];
    for (id, key) in of.into_iter().enumerate().filter(|(_, key)| *key != NONE) {
        ids[keys.group[key as usize] as usize].push(id as u32);
    }
    let parts = whole.iter().zip(&ids).filter(|(_, ids)| !ids.is_empty());
    Ok(parts.map(|(group, ids)| compile(history, &keys, group, ids)).collect())
}

/// The keys of a history, and which are joined.
struct Keys<'h> {
    names: Interner<'h>,
    /// Towards the first of those that are joined.
    joined: Vec<u32>,
    /// Which group a key is in, and its place there.
    group: Vec<u32>,
    place: Vec<u32>,
    prefixes: Vec<&'h Data>,
    counted: bool,
    /// The longest value put, the longest key, and the most verbs of an operation.
    longest: (usize, usize),
    verbs: usize,
}

impl<'h> Keys<'h> {
    fn new(history: &'h History) -> Self {
        let mut keys = Self {
            names: Interner::default(),
            joined: Vec::new(),
            group: Vec::new(),
            place: Vec::new(),
            prefixes: Vec::new(),
            counted: false,
            longest: (0, 0),
            verbs: 0,
        };
        for (key, value) in history.initial() {
            keys.key(key);
            keys.longest.0 = keys.longest.0.max(value.0.len());
        }
        keys
    }

    fn key(&mut self, key: &'h Data) -> u32 {
        let number = self.names.intern(0, &key.0);
        if number as usize == self.joined.len() {
            self.joined.push(number);
            self.longest.1 = self.longest.1.max(key.0.len());
        }
        number
    }

    /// Joins the keys of an operation and returns one of them. A count is of the key that is first of all.
    fn of(&mut self, operation: &'h Operation) -> Result<u32, String> {
        if let Outcome::Done { answers, .. } = &operation.outcome
            && answers.iter().any(|answer| matches!(answer, Answer::Omitted { .. }))
        {
            return Err("an answer leaves a large value out".into());
        }
        self.verbs = self.verbs.max(operation.request.len());
        let mut first = NONE;
        for verb in &operation.request {
            match verb {
                Verb::Count => self.counted = true,
                Verb::List { prefix, .. } => self.prefixes.push(prefix),
                Verb::Put { value, .. } | Verb::Cas { value, .. } => self.longest.0 = self.longest.0.max(value.0.len()),
                _ => {}
            }
            let key = match verb {
                Verb::List { prefix, .. } => Some(prefix),
                _ => verb.key(),
            };
            let Some(key) = key.map(|key| self.key(key)) else { continue };
            if first == NONE {
                first = key;
            }
            self.join(first, key);
        }
        Ok(if first == NONE { self.first() } else { first })
    }

    /// Whether no reply can have been cut short for want of room, which is not looked into here.
    fn check_room(&self) -> Result<(), String> {
        let pairs = if self.prefixes.is_empty() { 1 } else { self.joined.len() };
        let most = self.longest.0.saturating_add(self.longest.1 + 32).saturating_mul(self.verbs).saturating_mul(pairs);
        if most < REPLY_ROOM { Ok(()) } else { Err("a reply may have been cut short for want of room".into()) }
    }

    /// Some key, if there is none yet: one that nothing touches.
    fn first(&mut self) -> u32 {
        if self.joined.is_empty() {
            self.names.intern(0, b"");
            self.joined.push(0);
        }
        0
    }

    fn root(&mut self, mut key: u32) -> u32 {
        while self.joined[key as usize] != key {
            self.joined[key as usize] = self.joined[self.joined[key as usize] as usize];
            key = self.joined[key as usize];
        }
        key
    }

    fn join(&mut self, one: u32, two: u32) {
        let (one, two) = (self.root(one), self.root(two));
        let (low, high) = (one.min(two), one.max(two));
        self.joined[high as usize] = low;
    }

    /// Groups of joined keys; in each, keys are sorted by name.
    fn groups(&mut self) -> Vec<Vec<u32>> {
        let count = self.joined.len() as u32;
        if self.counted {
            (1..count).for_each(|key| self.join(0, key));
        } else if !self.prefixes.is_empty() {
            let mut sorted: Vec<(&[u8], u32)> =
                (0..count).map(|key| (self.names.entries()[key as usize].1, key)).collect();
            sorted.sort_unstable();
            for prefix in std::mem::take(&mut self.prefixes) {
                let from = sorted.partition_point(|(name, _)| *name < &prefix.0[..]);
                let alike = sorted[from..].iter().take_while(|(name, _)| name.starts_with(&prefix.0));
                alike.for_each(|(_, key)| self.join(sorted[from].1, *key));
            }
        }
        let mut groups: Vec<Vec<u32>> = Vec::new();
        self.group = vec![NONE; count as usize];
        self.place = vec![0; count as usize];
        for key in 0..count {
            let root = self.root(key);
            if self.group[root as usize] == NONE {
                self.group[root as usize] = groups.len() as u32;
                groups.push(Vec::new());
            }
            self.group[key as usize] = self.group[root as usize];
            groups[self.group[root as usize] as usize].push(key);
        }
        for group in &mut groups {
            group.sort_unstable_by_key(|key| self.names.entries()[*key as usize].1);
            for (place, key) in group.iter().enumerate() {
                self.place[*key as usize] = place as u32;
            }
        }
        groups
    }

    fn place_of(&self, key: &Data) -> Option<u32> {
        if let [(_, only)] = self.names.entries() {
            return (*only == &key.0[..]).then_some(0);
        }
        self.names.find(0, &key.0).map(|key| self.place[key as usize])
    }
}

/// Puts the operations `ids`, which touch the keys of `group` alone, in numbers.
fn compile<'h>(history: &'h History, keys: &Keys<'h>, group: &[u32], ids: &[u32]) -> Component<'h> {
    let operations = history.operations();
    let mut values = Values::new(group.len());
    let mut appends = false;
    for &id in ids {
        appends |= observe(&operations[id as usize], keys, &mut values);
    }
    if appends {
        values.sort();
    }
    let mut compiler = Compiler { keys, values, parts: Vec::with_capacity(ids.len()), classes: Classes::default() };
    let mut ops = Vec::with_capacity(ids.len());
    let mut is_cell = group.len() == 1;
    for &id in ids {
        let op = compiler.op(id as usize, &operations[id as usize]);
        let parts = &compiler.parts[op.parts.0 as usize..op.parts.1 as usize];
        is_cell &= matches!(parts, [Part::Key(..)]);
        ops.push(op);
    }
    let initial = |(place, key): (u32, &u32)| {
        let name = Data(bytes::Bytes::copy_from_slice(keys.names.entries()[*key as usize].1));
        match history.initial().get(&name) {
            Some(value) => compiler.values.number(place, &value.0),
            None => Values::missing(place),
        }
    };
    let initial = (0..).zip(group).map(initial).collect();
    Component { ops, parts: compiler.parts, values: compiler.values, initial, is_cell }
}

/// Notes what an operation saw, or might see. Returns whether it appends.
fn observe<'h>(operation: &'h Operation, keys: &Keys<'h>, values: &mut Values<'h>) -> bool {
    let mut appends = false;
    for (at, verb) in operation.request.iter().enumerate() {
        match verb {
            Verb::Append { .. } => appends = true,
            Verb::Cas { key, expected: Some(expected), .. } => {
                keys.place_of(key).into_iter().for_each(|place| values.observe(place, &expected.0));
            }
            _ => {}
        }
        let Outcome::Done { answers, .. } = &operation.outcome else { continue };
        match (verb, answers.get(at)) {
            (Verb::Get { key }, Some(Answer::Value { value, .. })) => {
                keys.place_of(key).into_iter().for_each(|place| values.observe(place, &value.0));
            }
            (Verb::List { .. }, Some(Answer::List { pairs, .. })) => {
                for (key, value, _) in pairs {
                    keys.place_of(key).into_iter().for_each(|place| values.observe(place, &value.0));
                }
            }
            _ => {}
        }
    }
    appends
}

struct Compiler<'k, 'h> {
    keys: &'k Keys<'h>,
    values: Values<'h>,
    parts: Vec<Part<'h>>,
    classes: Classes<'h>,
}

impl<'h> Compiler<'_, 'h> {
    fn op(&mut self, id: usize, operation: &'h Operation) -> Op {
        let from = self.parts.len();
        let told = match &operation.outcome {
            Outcome::Done { answers, .. } => Some(&answers[..]),
            _ => None,
        };
        if told.is_some_and(|told| told.len() != operation.request.len()) {
            self.parts.push(Part::Key(0, Act::Never));
        } else {
            let alone = told.is_none() && operation.request.len() == 1;
            for (at, verb) in operation.request.iter().enumerate() {
                let part = self.part(verb, told.map_or(&Answer::Untold, |told| &told[at]), alone);
                self.parts.push(part);
            }
        }
        let parts = &self.parts[from..];
        let (blind, resets) = match parts {
            [Part::Key(key, Act::Put(_))] => (*key, *key),
            [Part::Key(key, Act::Append(_))] => (*key, NONE),
            _ => (NONE, NONE),
        };
        let writes = operation.request.iter().any(Verb::writes) && !parts.iter().all(sees_only);
        Op {
            id,
            earliest: operation.earliest(),
            deadline: operation.deadline(),
            parts: (from as u32, self.parts.len() as u32),
            writes,
            class: if writes { self.classes.of(parts) } else { NONE },
            blind,
            resets,
        }
    }

    fn part(&mut self, verb: &'h Verb, answer: &'h Answer, optional: bool) -> Part<'h> {
        if let Verb::List { prefix, limit } = verb {
            return self.list(prefix, *limit, answer);
        }
        let Some(key) = verb.key().map(|key| self.keys.place_of(key).expect("every key of a history is known")) else {
            return match answer {
                Answer::Count(count) => Part::Count(*count),
                Answer::Untold => Part::Key(0, Act::Nothing),
                _ => Part::Key(0, Act::Never),
            };
        };
        let missing = Values::missing(key);
        let values = &mut self.values;
        let act = match (verb, answer) {
            (Verb::Get { .. } | Verb::Exists { .. }, Answer::Untold) => Act::Nothing,
            (Verb::Get { .. }, Answer::Value { value, .. }) => Act::Is(values.number(key, &value.0)),
            (Verb::Get { .. }, Answer::Missing) => Act::Is(missing),
            (Verb::Exists { .. }, Answer::Exists { there: true, .. }) => Act::IsNot(missing),
            (Verb::Exists { .. }, Answer::Exists { there: false, .. }) => Act::Is(missing),
            (Verb::Put { value, .. }, Answer::Untold | Answer::Written { .. }) => {
                Act::Put(values.number(key, &value.0))
            }
            (Verb::Append { value, .. }, Answer::Untold | Answer::Written { .. }) => Act::Append(&value.0),
            (Verb::Delete { .. }, Answer::Untold) => Act::Put(missing),
            (Verb::Delete { .. }, Answer::Deleted { found: true }) => Act::Remove,
            (Verb::Delete { .. }, Answer::Deleted { found: false }) => Act::Is(missing),
            (Verb::Cas { expected, value, .. }, answer) => {
                let expected = expected.as_ref().map_or(missing, |expected| values.number(key, &expected.0));
                let value = values.number(key, &value.0);
                match answer {
                    Answer::Swapped { .. } => Act::Swap(expected, value),
                    Answer::NotSwapped { .. } => Act::IsNot(expected),
                    // An operation that need not take effect has no need to where it changes nothing.
                    Answer::Untold if optional => Act::Swap(expected, value),
                    Answer::Untold => Act::MaybeSwap(expected, value),
                    _ => Act::Never,
                }
            }
            _ => Act::Never,
        };
        Part::Key(key, act)
    }

    fn list(&mut self, prefix: &Data, limit: u32, answer: &'h Answer) -> Part<'h> {
        let Answer::List { pairs, more } = answer else {
            return Part::Key(0, if *answer == Answer::Untold { Act::Nothing } else { Act::Never });
        };
        let group = self.keys.group[self.keys.names.find(0, &prefix.0).expect("prefixes are keys") as usize];
        let names = self.keys.names.entries();
        let inside =
            (0..names.len()).filter(|key| self.keys.group[*key] == group && names[*key].1.starts_with(&prefix.0));
        let places = inside.map(|key| self.keys.place[key]);
        let (from, to) = places.fold((NONE, 0), |(from, to), place| (from.min(place), to.max(place + 1)));
        let mut listed = Vec::with_capacity(pairs.len());
        for (key, value, _) in pairs {
            let Some(place) = self.keys.place_of(key).filter(|place| (from..to).contains(place)) else {
                return Part::Key(0, Act::Never);
            };
            listed.push((place, self.values.number(place, &value.0)));
        }
        Part::List { from, to, limit, pairs: listed, more: *more }
    }
}

fn sees_only(part: &Part<'_>) -> bool {
    !matches!(part, Part::Key(_, Act::Put(_) | Act::Append(_) | Act::Swap(..) | Act::MaybeSwap(..) | Act::Remove))
}

/// Numbers for operations that do the same.
#[derive(Default)]
struct Classes<'h> {
    /// Of single puts and swaps, which are most, by hash: (value seen, value written, class).
    table: Vec<(u32, u32, u32)>,
    single: u32,
    other: BTreeMap<Vec<Part<'h>>, u32>,
    count: u32,
}

impl<'h> Classes<'h> {
    fn of(&mut self, parts: &[Part<'h>]) -> u32 {
        let (seen, written) = match parts {
            [Part::Key(_, Act::Put(value))] => (NONE, *value),
            [Part::Key(_, Act::Swap(seen, value))] => (*seen, *value),
            _ => {
                if let Some(class) = self.other.get(parts) {
                    return *class;
                }
                self.count += 1;
                self.other.insert(parts.to_vec(), self.count - 1);
                return self.count - 1;
            }
        };
        if self.table.len() <= self.single as usize * 2 {
            let size = (self.table.len() * 2).max(64);
            let old = std::mem::replace(&mut self.table, vec![(NONE, NONE, NONE); size]);
            for entry in old.into_iter().filter(|entry| entry.2 != NONE) {
                let at = self.place(entry.0, entry.1);
                self.table[at] = entry;
            }
        }
        let at = self.place(seen, written);
        if self.table[at].2 == NONE {
            self.table[at] = (seen, written, self.count);
            self.count += 1;
            self.single += 1;
        }
        self.table[at].2
    }

    fn place(&self, seen: u32, written: u32) -> usize {
        let mask = self.table.len() - 1;
        let hash = (u64::from(seen) << 32 | u64::from(written)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mut at = hash as usize & mask;
        while self.table[at].2 != NONE && (self.table[at].0, self.table[at].1) != (seen, written) {
            at = (at + 1) & mask;
        }
        at
    }
}

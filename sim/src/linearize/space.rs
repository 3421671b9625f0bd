//! The states a component can be in, as numbers, and what each operation makes of them.
//!
//! The state of a single key is its value. States of several keys are kept in one long list and numbered; what an
//! operation made of one is remembered.

use super::{
    component::{Act, Component, Part},
    values::Values,
};
use std::collections::BTreeMap;

/// How much room states of several keys may take, in values.
const STATES_MAX: usize = 32 << 20;

/// States, and steps between them.
pub struct Space {
    width: usize,
    /// Of each state, `width` values.
    states: Vec<u32>,
    /// Numbers of states, by hash.
    table: Vec<u32>,
    steps: BTreeMap<(u32, u32), Option<u32>>,
    scratch: Vec<u32>,
    is_cell: bool,
}

impl Space {
    /// The states of a component, and the first one.
    pub fn new(component: &Component<'_>) -> (Space, u32) {
        let mut space = Space {
            width: component.initial.len(),
            states: Vec::new(),
            table: Vec::new(),
            steps: BTreeMap::new(),
            scratch: component.initial.clone(),
            is_cell: component.is_cell,
        };
        let initial = if component.is_cell { component.initial[0] } else { space.intern() };
        (space, initial)
    }

    /// Whether there are more states than may be kept.
    pub fn is_full(&self) -> bool {
        self.states.len() + self.steps.len() > STATES_MAX
    }

    /// What operation `op` makes of a state; `None` if it cannot have seen that.
    #[inline]
    pub fn step(&mut self, component: &mut Component<'_>, op: usize, state: u32) -> Option<u32> {
        if self.is_cell {
            let Part::Key(key, act) = component.parts[component.ops[op].parts.0 as usize] else { unreachable!() };
            return apply(&mut component.values, key, act, state);
        }
        if let Some(known) = self.steps.get(&(op as u32, state)) {
            return *known;
        }
        let result = self.perform(component, op, state);
        self.steps.insert((op as u32, state), result);
        result
    }

    /// The value of each key that differs: before, and after.
    pub fn changes(&self, from: u32, to: u32) -> impl Iterator<Item = (u32, u32)> {
        let (one, two) = if self.is_cell { (&[][..], &[][..]) } else { (self.values(from), self.values(to)) };
        let several = one.iter().zip(two).map(|(one, two)| (*one, *two)).filter(|(one, two)| one != two);
        (self.is_cell && from != to).then_some((from, to)).into_iter().chain(several)
    }

    fn values(&self, state: u32) -> &[u32] {
        &self.states[state as usize * self.width..][..self.width]
    }

    fn perform(&mut self, component: &mut Component<'_>, op: usize, state: u32) -> Option<u32> {
        let mut now = std::mem::take(&mut self.scratch);
        now.clear();
        now.extend_from_slice(self.values(state));
        let (from, to) = component.ops[op].parts;
        let fits = (from..to).all(|part| match &component.parts[part as usize] {
            Part::Key(key, act) => match apply(&mut component.values, *key, *act, now[*key as usize]) {
                Some(value) => {
                    now[*key as usize] = value;
                    true
                }
                None => false,
            },
            Part::Count(count) => {
                *count == (0..).zip(&now).filter(|(key, value)| is_there(*key, **value)).count() as u64
            }
            Part::List { from, to, limit, pairs, more } => {
                let mut there =
                    (*from..*to).map(|key| (key, now[key as usize])).filter(|(key, value)| is_there(*key, *value));
                let listed = there.by_ref().take(*limit as usize);
                listed.eq(pairs.iter().copied()) && there.next().is_some() == *more
            }
        });
        let same = fits && now[..] == *self.values(state);
        self.scratch = now;
        match (fits, same) {
            (false, _) => None,
            (true, true) => Some(state),
            (true, false) => Some(self.intern()),
        }
    }

    /// The number of the state in `scratch`.
    fn intern(&mut self) -> u32 {
        let count = self.states.len() / self.width;
        if self.table.len() <= count * 2 {
            self.table = vec![u32::MAX; (self.table.len() * 2).max(64)];
            for state in 0..count {
                let at = self.place(self.values(state as u32));
                self.table[at] = state as u32;
            }
        }
        let at = self.place(&self.scratch);
        if self.table[at] == u32::MAX {
            self.table[at] = count as u32;
            self.states.extend_from_slice(&self.scratch);
        }
        self.table[at]
    }

    fn place(&self, values: &[u32]) -> usize {
        let mask = self.table.len() - 1;
        let hash = values.iter().fold(0u64, |hash, value| mix(hash ^ u64::from(*value)));
        let mut at = hash as usize & mask;
        while self.table[at] != u32::MAX && self.values(self.table[at]) != values {
            at = (at + 1) & mask;
        }
        at
    }
}

/// Spreads the bits of a number; the finisher of SplitMix64.
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn is_there(key: u32, value: u32) -> bool {
    value != Values::missing(key)
}

#[inline]
fn apply<'h>(values: &mut Values<'h>, key: u32, act: Act<'h>, now: u32) -> Option<u32> {
    match act {
        Act::Nothing => Some(now),
        Act::Never => None,
        Act::Is(value) => (now == value).then_some(now),
        Act::IsNot(value) => (now != value).then_some(now),
        Act::Put(value) => Some(value),
        Act::Append(suffix) => Some(values.append(key, now, suffix)),
        Act::Swap(seen, value) => (now == seen).then_some(value),
        Act::MaybeSwap(seen, value) => Some(if now == seen { value } else { now }),
        Act::Remove => is_there(key, now).then(|| Values::missing(key)),
    }
}

//! Who still looks for which value, and who can still write it.

use super::{
    component::{Act, Component, Part},
    values::Values,
};

/// A write from which appends may reach more observed values than this counts as one that reaches all.
const REACH_MAX: u32 = 64;

/// Counts by value, of operations that did not take effect yet, whether begun or not.
pub struct Demand {
    /// Operations known to take effect that must see it.
    pub hard: Vec<u32>,
    /// All operations that must see it to have an effect.
    pub soft: Vec<u32>,
    /// Operations that can write it, or something it can be made of by appends.
    pub supply: Vec<u32>,
    /// The last event at which one that must see it begins.
    pub latest: Vec<u64>,
    /// By key: operations that can write it to be anything.
    wild: Vec<u32>,
    /// Of each operation: where its values begin in `values`, those it sees, then those it writes, then wild keys.
    ranges: Vec<[u32; 3]>,
    values: Vec<u32>,
    /// By value: known operations that must see it, by deadline; where they begin.
    lists: Vec<(u32, u64, u32)>,
    cell: bool,
    appends: bool,
}

impl Demand {
    /// Nothing took effect yet.
    pub fn new(component: &Component<'_>) -> Self {
        let count = component.values.count();
        let mut demand = Self {
            hard: vec![0; count],
            soft: vec![0; count],
            supply: vec![0; count],
            latest: vec![0; count],
            wild: vec![0; component.initial.len()],
            ranges: Vec::with_capacity(component.ops.len() + 1),
            values: Vec::with_capacity(component.ops.len() * 2),
            lists: Vec::new(),
            cell: component.is_cell,
            appends: component.values.appends(),
        };
        let mut touched = Vec::new();
        for (at, op) in component.ops.iter().enumerate() {
            touched.clear();
            let parts = &component.parts[op.parts.0 as usize..op.parts.1 as usize];
            let begin = demand.values.len();
            parts.iter().for_each(|part| demand.sees(part, &mut touched));
            let middle = demand.values.len();
            parts.iter().for_each(|part| demand.writes(part, &component.values));
            let end = demand.values.len();
            parts.iter().for_each(|part| demand.writes_any(part, &component.values));
            demand.ranges.push([begin as u32, middle as u32, end as u32]);
            for place in begin..middle {
                let value = demand.values[place] as usize;
                if !op.is_unknown() {
                    demand.latest[value] = demand.latest[value].max(op.earliest);
                    demand.lists.push((value as u32, op.deadline, at as u32));
                }
            }
        }
        demand.ranges.push([demand.values.len() as u32; 3]);
        demand.lists.sort_unstable();
        for (at, op) in component.ops.iter().enumerate() {
            demand.flip(at, false, !op.is_unknown());
        }
        demand
    }

    /// Notes the values that a verb must see, unless it sees what its own operation wrote.
    fn sees(&mut self, part: &Part<'_>, touched: &mut Vec<u32>) {
        match part {
            Part::Key(key, act) => {
                if touched.contains(key) {
                    return;
                }
                match act {
                    Act::Is(value) | Act::Swap(value, _) | Act::MaybeSwap(value, _) => self.values.push(*value),
                    _ => {}
                }
                if !matches!(act, Act::Nothing | Act::Is(_) | Act::IsNot(_)) {
                    touched.push(*key);
                }
            }
            Part::List { pairs, .. } => {
                self.values.extend(pairs.iter().filter(|(key, _)| !touched.contains(key)).map(|(_, value)| *value));
            }
            Part::Count(_) => {}
        }
    }

    fn writes(&mut self, part: &Part<'_>, values: &Values<'_>) {
        let Part::Key(key, act) = part else { return };
        let value = match act {
            Act::Put(value) | Act::Swap(_, value) | Act::MaybeSwap(_, value) => *value,
            Act::Remove => Values::missing(*key),
            _ => return,
        };
        self.values.push(value);
        if self.appends && !self.is_wild(value, values) {
            let (key, from, to) = values.reach(value);
            let reached = &values.whole(key)[from as usize..to as usize];
            self.values.extend(reached.iter().filter(|reached| **reached != value));
        }
    }

    /// In a component with appends, a value from which much can be reached.
    fn is_wild(&self, value: u32, values: &Values<'_>) -> bool {
        let (_, from, to) = values.reach(value);
        to - from > REACH_MAX || value == Values::missing(values.reach(value).0)
    }

    fn writes_any(&mut self, part: &Part<'_>, values: &Values<'_>) {
        let Part::Key(key, act) = part else { return };
        let wild = match act {
            Act::Put(value) | Act::Swap(_, value) | Act::MaybeSwap(_, value) => {
                self.appends && self.is_wild(*value, values)
            }
            Act::Remove => self.appends,
            // What follows a write of its own operation may be appended to.
            Act::Append(_) => !self.cell,
            _ => false,
        };
        if wild {
            self.values.push(*key);
        }
    }

    /// An operation took effect, or no longer did.
    pub fn flip(&mut self, op: usize, taken: bool, known: bool) {
        let [begin, middle, end] = self.ranges[op];
        let next = self.ranges[op + 1][0];
        let step = |count: &mut u32| *count = if taken { *count - 1 } else { *count + 1 };
        for place in begin..middle {
            let value = self.values[place as usize] as usize;
            step(&mut self.soft[value]);
            if known {
                step(&mut self.hard[value]);
            }
        }
        (middle..end).for_each(|place| step(&mut self.supply[self.values[place as usize] as usize]));
        (end..next).for_each(|place| step(&mut self.wild[self.values[place as usize] as usize]));
    }

    /// An operation that is known to take effect may have done so silently, so it need not see anything any more; or
    /// that is taken back.
    pub fn excuse(&mut self, op: usize, excused: bool) {
        let [begin, middle, _] = self.ranges[op];
        for place in begin..middle {
            let hard = &mut self.hard[self.values[place as usize] as usize];
            *hard = if excused { *hard - 1 } else { *hard + 1 };
        }
    }

    /// The values that an operation writes.
    pub fn supplies(&self, op: usize) -> &[u32] {
        let [_, middle, end] = self.ranges[op];
        &self.values[middle as usize..end as usize]
    }

    /// The value that an operation waits for, where only a write of that very value can bring it.
    pub fn producible(&self, op: usize, state: u32, component: &Component<'_>) -> Option<u32> {
        let [begin, middle, _] = self.ranges[op];
        let first = self.values[begin as usize..middle as usize].first().copied();
        first.filter(|value| component.is_cell && !self.appends && *value != state)
    }

    /// Whether somebody has to see a value that is not there, and nobody can write it.
    pub fn is_hopeless(&self, values: &Values<'_>, value: u32) -> bool {
        let demanded = self.hard.get(value as usize).is_some_and(|hard| *hard > 0);
        demanded && !self.appends && self.supply[value as usize] == 0 && self.wild[self.key(values, value)] == 0
    }

    fn key(&self, values: &Values<'_>, value: u32) -> usize {
        if self.cell { 0 } else { values.key(value) as usize }
    }

    /// Whether leaving one value for another leaves somebody without what he has to see.
    pub fn is_lost(&self, values: &Values<'_>, old: u32, new: u32) -> bool {
        let lost = |value: u32| {
            self.hard.get(value as usize).is_some_and(|hard| *hard > 0) && self.supply[value as usize] == 0
        };
        if !self.appends {
            return lost(old) && self.wild[self.key(values, old)] == 0;
        }
        let (key, from, to) = values.reach(old);
        if self.wild[key as usize] > 0 {
            return false;
        }
        let (_, kept_from, kept_to) = values.reach(new);
        let mut places = (from..to).filter(|place| !(kept_from..kept_to).contains(place));
        lost(old) && old == Values::missing(key) || places.any(|place| lost(values.whole(key)[place as usize]))
    }

    /// The first deadline, from `now` on, of an operation that has to see a value.
    pub fn soonest(&self, value: usize, now: u64, is_taken: impl Fn(usize) -> bool) -> u64 {
        let first = self.lists.partition_point(|entry| (entry.0, entry.1) < (value as u32, now));
        let here = self.lists[first..].iter().take_while(|entry| entry.0 == value as u32);
        here.take(8).find(|entry| !is_taken(entry.2 as usize)).map_or(u64::MAX, |entry| entry.1)
    }
}

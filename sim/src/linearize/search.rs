//! Search for histories that nothing simpler applies to: just-in-time linearization (Lowe 2017), depth first.
//!
//! Events are walked in order. Only where an operation ends that has not taken effect yet is there a choice: pending
//! operations take effect, one after the other, until it has. What was tried is remembered by (event, state, pending
//! operations that took effect). What keeps the choices few, each argued where it is done:
//!
//! - *Observers are eager.* A pending operation that fits and changes nothing takes effect at once.
//! - *Absorbed writes are decided late.* A blind write that was pending when its key was overwritten may have taken
//!   effect just before, seen by nobody. It is marked as *silent* and may end as such, without a choice at the time.
//! - *Symmetry.* Of pending operations that do the same, the one that must end first takes effect first.
//! - *Dominance.* A place is dead if one like it was, where as many had to take effect still, fewer of unknown outcome
//!   had been used up, and more might end silently.
//! - *Producers.* No value is left that somebody still has to see and nobody can write again; nothing is written before
//!   its time that nobody looks for; if what ends now waits for a value, somebody pending must write it.

use super::{
    component::{Act, Component, NONE, Op, Part},
    demand::Demand,
    space::{Space, mix},
    visited::Visited,
};

/// How many steps may be taken.
pub const STEPS_MAX: u64 = 40_000_000;
/// How many words remembered places may take.
const WORDS_MAX: usize = 64 << 20;

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// An order of operations, by their numbers in the history, and the event by which each has taken effect.
    Order(Vec<usize>),
    /// There is none; no order gets past the end of this operation.
    Nothing(usize),
    /// The search is too large.
    TooMuch,
}

/// What was done, to be undone.
#[derive(Clone, Copy)]
enum Step {
    Begin(u32),
    /// It ended, and whether it was marked as silent.
    End(u32, bool),
    Take(u32),
    /// It ends as silent.
    Retire(u32),
    Silent(u32),
}

/// A choice under way.
struct Frame {
    event: usize,
    state: u32,
    log: usize,
    /// Its candidates: where they begin, which is next, where they end.
    first: usize,
    next: usize,
    end: usize,
}

/// One search.
pub struct Search<'c, 'h> {
    component: &'c mut Component<'h>,
    space: Space,
    /// Operations in the order of begins and ends; ends have the top bit set.
    events: Vec<u32>,
    slot: Vec<u32>,
    owner: Vec<u32>,
    /// By slot: pending observers, pending writers, those that took effect, those that may end silently.
    observers: Vec<u64>,
    writers: Vec<u64>,
    taken: Vec<u64>,
    silent: Vec<u64>,
    /// Slots of operations that are known to take effect.
    known: Vec<u64>,
    /// Whether there is one key and nothing but reads, puts and swaps: then what comes before a put leaves no trace.
    is_simple: bool,
    /// Whether some operation sees that a value is another, or counts values whatever they are.
    differs: bool,
    /// Whether some writer waits for more than a certain value.
    is_picky: bool,
    /// A hash of the pending operations that are known to take effect and did.
    hash: u64,
    demand: Demand,
    log: Vec<Step>,
    frames: Vec<Frame>,
    /// Candidates of all frames; `u32::MAX` is to end silently.
    candidates: Vec<(u64, u32)>,
    visited: Visited,
    stamps: Vec<(u32, u32)>,
    stamp: u32,
    steps: u64,
    farthest: usize,
}

/// Marks an end among events.
const END: u32 = 1 << 31;

impl<'c, 'h> Search<'c, 'h> {
    /// Searches a component.
    pub fn run(component: &'c mut Component<'h>, budget: u64) -> Found {
        let never =
            |op: &Op| component.parts[op.parts.0 as usize..op.parts.1 as usize].contains(&Part::Key(0, Act::Never));
        if let Some(op) = component.ops.iter().find(|op| !op.is_unknown() && never(op)) {
            return Found::Nothing(op.id);
        }
        let (space, state) = Space::new(component);
        let events = events(component);
        let (slot, slots) = slots(component, &events);
        let words = slots.div_ceil(64).max(1);
        let classes = component.ops.iter().filter(|op| op.writes).map(|op| op.class + 1).max().unwrap_or(0);
        let mut search = Search {
            demand: Demand::new(component),
            space,
            events,
            slot,
            owner: vec![NONE; slots],
            observers: vec![0; words],
            writers: vec![0; words],
            taken: vec![0; words],
            silent: vec![0; words],
            known: vec![0; words],
            is_simple: component.is_cell
                && !component
                    .parts
                    .iter()
                    .any(|part| matches!(part, Part::Key(_, Act::Remove | Act::Append(_) | Act::MaybeSwap(..)))),
            differs: component.parts.iter().any(|part| {
                matches!(part, Part::Key(_, Act::IsNot(_) | Act::Remove) | Part::Count(_) | Part::List { .. })
            }),
            is_picky: !component.is_cell || component.parts.contains(&Part::Key(0, Act::Remove)),
            hash: 0,
            log: Vec::with_capacity(component.ops.len() * 4),
            frames: Vec::new(),
            candidates: Vec::new(),
            visited: Visited::new(words),
            stamps: vec![(0, 0); classes as usize * 2],
            stamp: 0,
            steps: 0,
            farthest: 0,
            component,
        };
        search.from(state, budget)
    }

    fn from(&mut self, mut state: u32, budget: u64) -> Found {
        let mut event = 0;
        loop {
            event = self.walk(event, state);
            let Some(&end) = self.events.get(event) else { return Found::Order(self.order()) };
            if self.steps > budget || self.visited.words.len() > WORDS_MAX || self.space.is_full() {
                return Found::TooMuch;
            }
            self.farthest = self.farthest.max(event);
            let first = self.candidates.len();
            if !self.visited.was_here(event, state, self.hash, [&self.taken, &self.silent, &self.known]) {
                self.choose((end & !END) as usize, state);
                self.candidates[first..].sort_unstable();
            }
            let (log, end) = (self.log.len(), self.candidates.len());
            self.frames.push(Frame { event, state, log, first, next: first, end });
            match self.next() {
                Some(place) => (event, state) = place,
                None => {
                    let stuck = self.events[self.farthest] & !END;
                    return Found::Nothing(self.component.ops[stuck as usize].id);
                }
            }
        }
    }

    /// Makes the next choice there is. Returns the event and the state to go on from.
    fn next(&mut self) -> Option<(usize, u32)> {
        loop {
            let frame = self.frames.last_mut()?;
            let (event, state, log) = (frame.event, frame.state, frame.log);
            if frame.next == frame.end {
                self.candidates.truncate(frame.first);
                self.frames.pop();
                continue;
            }
            let (_, candidate) = self.candidates[frame.next];
            frame.next += 1;
            self.undo(log);
            let next = match candidate {
                NONE => self.retire((self.events[event] & !END) as usize, state),
                op => self.perform(op as usize, state),
            };
            if let Some(state) = next {
                return Some((event, state));
            }
        }
    }

    /// Goes on until an operation ends that did not take effect, or all is over. Returns the event.
    fn walk(&mut self, mut event: usize, state: u32) -> usize {
        while let Some(&what) = self.events.get(event) {
            let op = (what & !END) as usize;
            let (word, bit) = place(self.slot[op]);
            if what & END == 0 {
                self.begin(op, state);
            } else if self.taken[word] & bit != 0 {
                let was_silent = self.silent[word] & bit != 0;
                self.log.push(Step::End(op as u32, was_silent));
                self.leave(op);
            } else {
                return event;
            }
            event += 1;
        }
        event
    }

    fn begin(&mut self, op: usize, state: u32) {
        self.log.push(Step::Begin(op as u32));
        self.enter(op);
        self.steps += 1;
        if self.space.step(self.component, op, state) == Some(state) {
            self.at_once(op);
        }
    }

    /// An operation fits and would change nothing. If it never can, it takes effect: that takes nothing from anybody.
    /// If
    /// it could where it fits elsewhere, it may have taken effect here, and later be done with.
    fn at_once(&mut self, op: usize) {
        if !self.component.ops[op].writes {
            self.take(op);
        } else if !self.component.ops[op].is_unknown() {
            self.mark_silent(op);
        }
    }

    /// Everything pending that fits a new state and changes nothing.
    fn settle(&mut self, state: u32) {
        for word in 0..self.taken.len() {
            let mut untaken =
                (self.observers[word] | self.writers[word] & self.known[word] & !self.silent[word]) & !self.taken[word];
            while let Some(bit) = pop(&mut untaken) {
                let op = self.owner[word * 64 + bit] as usize;
                self.steps += 1;
                if self.space.step(self.component, op, state) == Some(state) {
                    self.at_once(op);
                }
            }
        }
    }

    /// What may be done about the end of an operation that did not take effect.
    fn choose(&mut self, ending: usize, state: u32) {
        let (word, bit) = place(self.slot[ending]);
        let may_retire = self.silent[word] & bit != 0;
        if may_retire {
            self.candidates.push((0, NONE));
            // Where nobody looks for what it writes, nor for anything else to go, there is nothing else to be done.
            let resets = self.component.ops[ending].resets != NONE && !self.differs;
            let looked_for = |value: &u32| match self.component.values.appends() {
                true => !self.component.values.is_junk(*value),
                false => self.demand.soft[*value as usize] > 0,
            };
            let may_wait = !self.demand.supplies(ending).iter().any(looked_for);
            if resets && may_wait && !self.absorbs(ending) {
                return;
            }
        }
        let first = self.candidates.len();
        let now = self.component.ops[ending].deadline;
        let wants = self.demand.producible(ending, state, self.component);
        let mut produced = wants.is_none();
        self.stamp += 1;
        for word in 0..self.taken.len() {
            let mut untaken = self.writers[word] & !self.taken[word];
            while let Some(bit) = pop(&mut untaken) {
                let op = self.owner[word * 64 + bit] as usize;
                let is_silent = self.silent[word] >> bit & 1;
                produced |= wants.is_some_and(|value| self.demand.supplies(op).contains(&value));
                self.steps += 1;
                let Some(next) = self.space.step(self.component, op, state) else { continue };
                // A write of what is there changes nothing but what becomes of writes before it.
                let absorbs = next == state && self.absorbs(op);
                if next == state && !absorbs {
                    continue;
                }
                let &Op { deadline, class, blind, .. } = &self.component.ops[op];
                // What nobody looks for can wait, unless it alters what comes of others. If it must take effect, it
                // can wait only to be absorbed.
                let can_wait = op != ending && (deadline == u64::MAX || blind != NONE && self.is_simple);
                if can_wait && !absorbs && !self.is_wanted(state, next) {
                    continue;
                }
                // The one that must end first comes first: the others can do later whatever it could have done. One
                // that may end silently is no match for one that may not.
                let class = class as usize * 2 + is_silent as usize;
                let (stamp, at) = self.stamps[class];
                if stamp == self.stamp {
                    let other = self.candidates[at as usize].1 as usize;
                    if (deadline, op) < (self.component.ops[other].deadline, other) {
                        self.candidates[at as usize] = (self.urgency(op, state, next, now), op as u32);
                    }
                    continue;
                }
                self.stamps[class] = (self.stamp, self.candidates.len() as u32);
                self.candidates.push((self.urgency(op, state, next, now), op as u32));
            }
        }
        if !produced {
            self.candidates.truncate(first);
        }
    }

    /// Whether a write would have another one take effect silently, just before it.
    fn absorbs(&self, op: usize) -> bool {
        let key = self.component.ops[op].resets;
        key != NONE
            && (0..self.taken.len()).any(|word| {
                let mut pending = self.writers[word] & self.known[word] & !self.silent[word] & !self.taken[word];
                let others = std::iter::from_fn(|| pop(&mut pending)).map(|bit| self.owner[word * 64 + bit] as usize);
                others.into_iter().any(|other| other != op && self.component.ops[other].blind == key)
            })
    }

    /// Whether somebody looks for what a step brings about, or waits for what is to go.
    fn is_wanted(&mut self, from: u32, to: u32) -> bool {
        let appends = self.component.values.appends();
        let wanted = |value: u32| match appends {
            true => !self.component.values.is_junk(value),
            false => self.demand.soft[value as usize] > 0,
        };
        // Of several keys it takes several steps to be as many as are counted, or all other than some values.
        let is_key_there = |value: u32| !self.component.is_cell && self.component.values.is_missing(value);
        let several = |(old, new)| {
            wanted(new) || is_key_there(old) || is_key_there(new) || !self.component.is_cell && self.differs
        };
        if self.space.changes(from, to).any(several) {
            return true;
        }
        for word in 0..self.taken.len() {
            let mut untaken = self.observers[word] & !self.taken[word];
            while let Some(bit) = pop(&mut untaken) {
                let op = self.owner[word * 64 + bit] as usize;
                self.steps += 1;
                if self.space.step(self.component, op, to) == Some(to) {
                    return true;
                }
            }
            // What a writer of a single key sees is a value that is looked for, unless any value will do.
            let mut untaken = if self.is_picky { self.writers[word] & !self.taken[word] } else { 0 };
            while let Some(bit) = pop(&mut untaken) {
                let op = self.owner[word * 64 + bit] as usize;
                self.steps += 1;
                let fits = self.space.step(self.component, op, from).is_some();
                if !fits && self.space.step(self.component, op, to).is_some() {
                    return true;
                }
            }
        }
        false
    }

    /// What is to be tried first: what only this operation can bring about, if all who look for it have begun, for then
    /// it can be over at once; then what is looked for soonest.
    fn urgency(&self, op: usize, from: u32, to: u32, now: u64) -> u64 {
        let mut urgency = self.component.ops[op].deadline;
        if self.component.values.appends() {
            return urgency;
        }
        for (_, value) in self.space.changes(from, to) {
            let value = value as usize;
            if self.demand.hard[value] > 0 {
                if self.demand.supply[value] == 1 && self.demand.latest[value] <= now {
                    return 1;
                }
                urgency = urgency.min(self.demand.soonest(value, now, |op| self.is_taken(op)));
            }
        }
        urgency.max(2)
    }

    fn is_taken(&self, op: usize) -> bool {
        let slot = self.slot[op];
        let (word, bit) = place(slot);
        self.owner[slot as usize] == op as u32 && self.taken[word] & bit != 0
    }

    /// An operation takes effect. Returns the new state, unless that is a dead end.
    fn perform(&mut self, op: usize, state: u32) -> Option<u32> {
        let next = self.space.step(self.component, op, state)?;
        let resets = self.component.ops[op].resets;
        if resets != NONE {
            for word in 0..self.taken.len() {
                let mut pending = self.writers[word] & self.known[word] & !self.silent[word] & !self.taken[word];
                while let Some(bit) = pop(&mut pending) {
                    let other = self.owner[word * 64 + bit] as usize;
                    if self.component.ops[other].blind == resets && other != op {
                        self.mark_silent(other);
                    }
                }
            }
        }
        self.take(op);
        if self.space.changes(state, next).any(|(old, new)| self.demand.is_lost(&self.component.values, old, new)) {
            return None;
        }
        self.settle(next);
        Some(next)
    }

    /// The operation that ends did so silently, some time ago.
    fn retire(&mut self, op: usize, state: u32) -> Option<u32> {
        self.flip_taken(op);
        self.log.push(Step::Retire(op as u32));
        let here = |value: u32| !self.component.is_cell || value == state;
        let lost = |value: &u32| !here(*value) && self.demand.is_hopeless(&self.component.values, *value);
        (!self.demand.supplies(op).iter().any(lost)).then_some(state)
    }

    fn take(&mut self, op: usize) {
        self.flip_taken(op);
        self.log.push(Step::Take(op as u32));
    }

    fn flip_taken(&mut self, op: usize) {
        let (word, bit) = place(self.slot[op]);
        self.taken[word] ^= bit;
        if self.known[word] & bit != 0 {
            self.hash ^= mix(op as u64);
        }
        let is_counted = self.known[word] & bit != 0 && self.silent[word] & bit == 0;
        self.demand.flip(op, self.taken[word] & bit != 0, is_counted);
    }

    fn mark_silent(&mut self, op: usize) {
        let (word, bit) = place(self.slot[op]);
        if self.silent[word] & bit == 0 {
            self.silent[word] |= bit;
            self.demand.excuse(op, true);
            self.log.push(Step::Silent(op as u32));
        }
    }

    fn enter(&mut self, op: usize) {
        let slot = self.slot[op];
        let (word, bit) = place(slot);
        self.owner[slot as usize] = op as u32;
        let known = !self.component.ops[op].is_unknown();
        let of = if self.component.ops[op].writes { &mut self.writers } else { &mut self.observers };
        of[word] |= bit;
        self.known[word] = if known { self.known[word] | bit } else { self.known[word] & !bit };
    }

    /// The operation, which took effect, is no longer pending.
    fn leave(&mut self, op: usize) {
        let (word, bit) = place(self.slot[op]);
        for mask in [&mut self.observers, &mut self.writers, &mut self.taken, &mut self.silent] {
            mask[word] &= !bit;
        }
        self.hash ^= mix(op as u64);
    }

    fn undo(&mut self, length: usize) {
        while self.log.len() > length {
            let Some(step) = self.log.pop() else { return };
            match step {
                Step::Begin(op) => {
                    let (word, bit) = place(self.slot[op as usize]);
                    self.observers[word] &= !bit;
                    self.writers[word] &= !bit;
                    self.known[word] &= !bit;
                }
                Step::End(op, was_silent) => {
                    let (word, bit) = place(self.slot[op as usize]);
                    self.enter(op as usize);
                    self.taken[word] |= bit;
                    self.silent[word] = if was_silent { self.silent[word] | bit } else { self.silent[word] & !bit };
                    self.hash ^= mix(u64::from(op));
                }
                Step::Take(op) | Step::Retire(op) => self.flip_taken(op as usize),
                Step::Silent(op) => {
                    let (word, bit) = place(self.slot[op as usize]);
                    self.silent[word] &= !bit;
                    self.demand.excuse(op as usize, false);
                }
            }
        }
    }

    /// The order in which operations took effect; what ended silently did when it was first marked.
    fn order(&self) -> Vec<usize> {
        let mut retired = vec![false; self.component.ops.len()];
        for step in &self.log {
            if let Step::Retire(op) = step {
                retired[*op as usize] = true;
            }
        }
        let took_effect = self.log.iter().filter_map(|step| match step {
            Step::Take(op) => Some(*op),
            Step::Silent(op) => Some(*op).filter(|op| retired[*op as usize]),
            _ => None,
        });
        took_effect.map(|op| self.component.ops[op as usize].id).collect()
    }
}

fn place(slot: u32) -> (usize, u64) {
    (slot as usize / 64, 1 << (slot % 64))
}

/// Takes the lowest bit out of a word.
fn pop(word: &mut u64) -> Option<usize> {
    let bit = word.trailing_zeros();
    *word &= word.wrapping_sub(1);
    (bit < 64).then_some(bit as usize)
}

/// Begins and ends in order; ends have the top bit set. A begin goes before an end at the same event.
fn events(component: &Component<'_>) -> Vec<u32> {
    let mut begins: Vec<(u64, u32)> = (0..).zip(&component.ops).map(|(at, op)| (op.earliest, at)).collect();
    begins.sort_unstable();
    let known = (0..).zip(&component.ops).filter(|(_, op)| !op.is_unknown());
    let mut ends: Vec<(u64, u32)> = known.map(|(at, op)| (op.deadline, at)).collect();
    ends.sort_unstable();
    let mut events = Vec::with_capacity(begins.len() + ends.len());
    let mut begins = begins.into_iter().peekable();
    for (deadline, op) in ends {
        events.extend(std::iter::from_fn(|| begins.next_if(|(begin, _)| *begin <= deadline)).map(|(_, op)| op));
        events.push(op | END);
    }
    // What begins after the last end may as well never take effect.
    events
}

/// Gives every operation a slot that no other has while it is pending. Returns how many there are.
fn slots(component: &Component<'_>, events: &[u32]) -> (Vec<u32>, usize) {
    let mut slot = vec![0; component.ops.len()];
    let (mut free, mut count) = (Vec::new(), 0);
    for event in events {
        let op = (event & !END) as usize;
        if event & END != 0 {
            free.push(slot[op]);
            continue;
        }
        slot[op] = free.pop().unwrap_or_else(|| {
            count += 1;
            count - 1
        });
    }
    (slot, count as usize)
}

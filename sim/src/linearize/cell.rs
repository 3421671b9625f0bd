//! The search of [`super::search`] for one key and at most 64 pending operations, where sets of them are words.
//!
//! What may be left out and why is argued there; here the same is done with less. A place is remembered once it has
//! turned out to be dead, so that a history which needs no second try is walked once, and nothing of it hashed.

use super::space::mix;
use crate::history::numbers::{END, NONE, Names};

/// No value.
pub const MISSING: u32 = 0;
/// Any value that is never seen.
pub const JUNK: u32 = 1;
/// Candidate: the operation that ends did so silently, some time ago.
const RETIRE: u32 = u32::MAX;
/// How many values there may be, where nothing is appended.
pub const VALUES_MAX: usize = 34;
/// How many places are remembered.
const PLACES_MAX: usize = 1 << 20;

/// What an operation needs of the key's value, and makes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Sees this value.
    Is(u32),
    /// Sees another value.
    IsNot(u32),
    /// Writes this value, whatever was there.
    Put(u32),
    /// Sees the first, writes the second.
    Swap(u32, u32),
    /// Appends this value of the history.
    Append(u32),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    /// Its number in the history.
    pub id: u32,
    /// The event by which it takes effect; `NONE` if it may never.
    pub deadline: u32,
    /// Its place among those that are pending, which no other has at the time.
    pub slot: u8,
    /// What it does.
    pub act: Act,
}

/// The operations on one key.
pub struct Cell<'h> {
    /// In the order of their begins.
    pub ops: Vec<Op>,
    /// Their begins and ends in order.
    pub events: Vec<u32>,
    /// The slots of those that did not end.
    pub used: u64,
    /// The value in the beginning.
    pub initial: u32,
    /// Whether there are appends; if not, values are numbers below [`VALUES_MAX`].
    pub appends: bool,
    /// The values of the history.
    pub names: &'h Names,
    /// What is observed and no prefix of what else is.
    pub strings: Vec<&'h [u8]>,
}

/// What a search came to.
pub enum Found {
    /// An order of operations, by their numbers in the history.
    Order(Vec<usize>),
    /// There is none that gets past the end of this operation.
    Nothing(usize),
}

/// What was done, to be undone.
#[derive(Clone, Copy)]
enum Step {
    /// And whether it counted among those that must see a value.
    Take(u32, bool),
    Retire(u32),
    Silent(u32),
}

/// Sets of pending operations, by slot.
#[derive(Clone, Copy, Default)]
struct Sets {
    observers: u64,
    writers: u64,
    /// Known to take effect.
    known: u64,
    taken: u64,
    silent: u64,
}

/// A choice under way.
struct Frame {
    event: usize,
    state: u32,
    sets: Sets,
    log: usize,
    first: usize,
    next: usize,
}

/// A place that is dead.
struct Place {
    key: (u64, u64),
    taken: u64,
    silent: u64,
    before: u32,
}

/// One search.
pub struct Search<'c, 'h> {
    cell: &'c Cell<'h>,
    owner: [u32; 64],
    sets: Sets,
    /// Whether some operation sees that a value is another.
    differs: bool,
    /// By value, of operations that did not take effect: known ones that must see it, all that must, that write it.
    hard: [u32; VALUES_MAX],
    soft: [u32; VALUES_MAX],
    supply: [u32; VALUES_MAX],
    /// Where there are appends: reads known to take effect, and puts.
    reads: u32,
    puts: u32,
    log: Vec<Step>,
    frames: Vec<Frame>,
    candidates: Vec<(u32, u32)>,
    dead: Vec<Place>,
    table: Vec<u32>,
    steps: u64,
    farthest: usize,
    now: usize,
}

impl<'c, 'h> Search<'c, 'h> {
    /// Searches a key. `None` if that is too much.
    pub fn run(cell: &'c Cell<'h>, budget: u64) -> Option<Found> {
        let mut search = Search {
            cell,
            owner: [0; 64],
            sets: Sets::default(),
            differs: false,
            hard: [0; VALUES_MAX],
            soft: [0; VALUES_MAX],
            supply: [0; VALUES_MAX],
            reads: 0,
            puts: 0,
            log: Vec::with_capacity(cell.ops.len() * 2),
            frames: Vec::with_capacity(16),
            candidates: Vec::with_capacity(32),
            dead: Vec::new(),
            table: Vec::new(),
            steps: 0,
            farthest: 0,
            now: 0,
        };
        for op in &cell.ops {
            search.differs |= matches!(op.act, Act::IsNot(_));
            search.count(op.act, true, op.deadline != NONE);
        }
        search.all(budget)
    }

    fn all(&mut self, budget: u64) -> Option<Found> {
        let mut state = self.cell.initial;
        loop {
            self.walk(state);
            let Some(end) = self.cell.events.get(self.now) else { return Some(Found::Order(self.order())) };
            if self.steps > budget || self.dead.len() > PLACES_MAX {
                return None;
            }
            self.farthest = self.farthest.max(self.now);
            let first = self.candidates.len();
            if !self.is_dead(state) {
                self.choose((end & !END) as usize, state);
                // The last one is taken first.
                self.candidates[first..].sort_unstable_by(|one, two| two.cmp(one));
            }
            let (event, sets, log) = (self.now, self.sets, self.log.len());
            self.frames.push(Frame { event, state, sets, log, first, next: self.candidates.len() });
            match self.next() {
                Some(next) => state = next,
                None => {
                    let stuck = self.cell.events[self.farthest] & !END;
                    return Some(Found::Nothing(self.cell.ops[stuck as usize].id as usize));
                }
            }
        }
    }

    /// Makes the next choice there is. Returns the state to go on from.
    fn next(&mut self) -> Option<u32> {
        loop {
            let frame = self.frames.last_mut()?;
            let &mut Frame { event, state, sets, log, first, next } = frame;
            frame.next = next.wrapping_sub(1);
            self.undo(event, sets, log);
            if next == first {
                self.frames.pop();
                self.bury(state);
                continue;
            }
            let (_, candidate) = self.candidates[next - 1];
            self.candidates.truncate(next - 1);
            let next = match candidate {
                RETIRE => self.retire((self.cell.events[event] & !END) as usize, state),
                op => self.perform(op as usize, state),
            };
            if next.is_some() {
                return next;
            }
        }
    }

    /// Goes on until an operation ends that did not take effect, or all is over.
    fn walk(&mut self, state: u32) {
        let cell = self.cell;
        while let Some(&what) = cell.events.get(self.now) {
            let op = (what & !END) as usize;
            let bit = 1 << self.cell.ops[op].slot;
            if what & END == 0 {
                self.begin(op, bit, state);
            } else if self.sets.taken & bit != 0 {
                for set in [&mut self.sets.observers, &mut self.sets.writers, &mut self.sets.known] {
                    *set &= !bit;
                }
                self.sets.taken &= !bit;
                self.sets.silent &= !bit;
            } else {
                return;
            }
            self.now += 1;
        }
    }

    fn begin(&mut self, op: usize, bit: u64, state: u32) {
        let Op { deadline, act, .. } = self.cell.ops[op];
        self.owner[self.cell.ops[op].slot as usize] = op as u32;
        let is_observer = matches!(act, Act::Is(_) | Act::IsNot(_));
        *(if is_observer { &mut self.sets.observers } else { &mut self.sets.writers }) |= bit;
        if deadline != NONE {
            self.sets.known |= bit;
        }
        if self.step(op, state) == Some(state) {
            self.at_once(op, bit);
        }
    }

    #[inline]
    fn step(&mut self, op: usize, state: u32) -> Option<u32> {
        self.steps += 1;
        match self.cell.ops[op].act {
            Act::Is(value) => (state == value).then_some(state),
            Act::IsNot(value) => (state != value).then_some(state),
            Act::Put(value) => Some(value),
            Act::Swap(seen, value) => (state == seen).then_some(value),
            Act::Append(suffix) => Some(self.cell.append(state, suffix)),
        }
    }

    /// An operation fits and changes nothing here. An observer takes effect; a writer may have.
    fn at_once(&mut self, op: usize, bit: u64) {
        if self.sets.observers & bit != 0 {
            self.take(op);
        } else if self.sets.known & bit != 0 {
            self.mark_silent(op);
        }
    }

    /// Everything pending that fits a new state and changes nothing.
    fn settle(&mut self, state: u32) {
        let Sets { observers, writers, known, taken, silent } = self.sets;
        let mut untaken = (observers | writers & known & !silent) & !taken;
        while let Some((op, bit)) = self.pop(&mut untaken) {
            if self.step(op, state) == Some(state) {
                self.at_once(op, bit);
            }
        }
    }

    fn pop(&self, set: &mut u64) -> Option<(usize, u64)> {
        let slot = set.trailing_zeros();
        *set &= set.wrapping_sub(1);
        (slot < 64).then(|| (self.owner[slot as usize] as usize, 1 << slot))
    }

    /// What may be done about the end of an operation that did not take effect.
    fn choose(&mut self, ending: usize, state: u32) {
        let act = self.cell.ops[ending].act;
        if self.sets.silent >> self.cell.ops[ending].slot & 1 == 1 {
            self.candidates.push((0, RETIRE));
            // Where nobody looks for what it writes, nor for anything else to go, there is nothing else to be done.
            if let Act::Put(value) = act
                && !self.differs
                && !self.is_looked_for(value)
                && !self.absorbs(ending)
            {
                return;
            }
        }
        let first = self.candidates.len();
        let wants = match act {
            Act::Is(value) | Act::Swap(value, _) if value != state && !self.cell.appends => Some(value),
            _ => None,
        };
        let mut produced = wants.is_none();
        let mut untaken = self.sets.writers & !self.sets.taken;
        while let Some((op, bit)) = self.pop(&mut untaken) {
            produced |= wants.is_some() && written(self.cell.ops[op].act) == wants;
            self.consider(op, bit, ending, state, first);
        }
        if !produced {
            self.candidates.truncate(first);
        }
    }

    fn consider(&mut self, op: usize, bit: u64, ending: usize, state: u32, first: usize) {
        let Some(next) = self.step(op, state) else { return };
        // A write of what is there changes nothing but what becomes of writes before it.
        let absorbs = next == state && self.absorbs(op);
        if next == state && !absorbs {
            return;
        }
        let Op { deadline, act, .. } = self.cell.ops[op];
        // The one that must end first comes first: the others can do later whatever it could have done.
        let is_silent = self.sets.silent & bit != 0;
        for at in first..self.candidates.len() {
            let other = self.candidates[at].1 as usize;
            let other_silent = self.sets.silent >> self.cell.ops[other].slot & 1 == 1;
            if self.cell.ops[other].act == act && other_silent == is_silent {
                if (deadline, op) < (self.cell.ops[other].deadline, other) {
                    self.candidates[at] = (self.urgency(op, next), op as u32);
                }
                return;
            }
        }
        // What nobody looks for can wait, unless it alters what comes of others. If it must take effect, it can wait
        // only to be absorbed.
        let is_blind = matches!(act, Act::Put(_)) && !self.cell.appends;
        let can_wait = op != ending && (deadline == NONE || is_blind);
        if can_wait && !absorbs && !self.is_wanted(state, next) {
            return;
        }
        self.candidates.push((self.urgency(op, next), op as u32));
    }

    fn is_looked_for(&self, value: u32) -> bool {
        if self.cell.appends { value != JUNK } else { self.soft[value as usize] > 0 }
    }

    /// Whether a write would have another one take effect silently, just before it.
    fn absorbs(&self, op: usize) -> bool {
        let Sets { writers, known, taken, silent, .. } = self.sets;
        let mut pending = writers & known & !silent & !taken;
        matches!(self.cell.ops[op].act, Act::Put(_))
            && std::iter::from_fn(|| self.pop(&mut pending))
                .any(|(other, _)| other != op && matches!(self.cell.ops[other].act, Act::Put(_) | Act::Append(_)))
    }

    /// Whether somebody looks for what a step brings about, or waits for what is to go.
    fn is_wanted(&mut self, from: u32, to: u32) -> bool {
        if from != to && self.is_looked_for(to) {
            return true;
        }
        let mut untaken = self.sets.observers & !self.sets.taken;
        while let Some((op, _)) = self.pop(&mut untaken) {
            if self.step(op, to) == Some(to) {
                return true;
            }
        }
        false
    }

    /// What is to be tried first: what only this operation can bring about, if all who look for it have begun, for then
    /// it can be over at once; then what is looked for soonest.
    fn urgency(&self, op: usize, to: u32) -> u32 {
        let mut urgency = self.cell.ops[op].deadline;
        if self.cell.appends || self.hard[to as usize] == 0 {
            return urgency;
        }
        let mut begun = 0;
        let mut untaken = (self.sets.observers | self.sets.writers) & self.sets.known & !self.sets.taken;
        while let Some((other, _)) = self.pop(&mut untaken) {
            if seen(self.cell.ops[other].act) == Some(to) {
                begun += 1;
                urgency = urgency.min(self.cell.ops[other].deadline);
            }
        }
        if self.supply[to as usize] == 1 && begun >= self.hard[to as usize] { 1 } else { urgency.max(2) }
    }

    /// An operation takes effect. Returns the new state, unless that is a dead end.
    fn perform(&mut self, op: usize, state: u32) -> Option<u32> {
        let next = self.step(op, state)?;
        if let Act::Put(_) = self.cell.ops[op].act {
            let Sets { writers, known, taken, silent, .. } = self.sets;
            let mut pending = writers & known & !silent & !taken;
            while let Some((other, _)) = self.pop(&mut pending) {
                if other != op && matches!(self.cell.ops[other].act, Act::Put(_) | Act::Append(_)) {
                    self.mark_silent(other);
                }
            }
        }
        self.take(op);
        if next != state && self.is_lost(state, next) {
            return None;
        }
        self.settle(next);
        Some(next)
    }

    /// Whether leaving one value for another leaves somebody without what he has to see.
    fn is_lost(&self, old: u32, new: u32) -> bool {
        match self.cell.appends {
            true => new == JUNK && self.reads > 0 && self.puts == 0,
            false => self.hard[old as usize] > 0 && self.supply[old as usize] == 0,
        }
    }

    /// The operation that ends did so silently, some time ago.
    fn retire(&mut self, op: usize, state: u32) -> Option<u32> {
        let act = self.cell.ops[op].act;
        self.sets.taken |= 1 << self.cell.ops[op].slot;
        self.count(act, false, false);
        self.log.push(Step::Retire(op as u32));
        let lost = written(act).is_some_and(|value| value != state && self.is_lost(value, state));
        (self.cell.appends || !lost).then_some(state)
    }

    fn take(&mut self, op: usize) {
        let bit = 1 << self.cell.ops[op].slot;
        self.sets.taken |= bit;
        let counts = self.sets.known & !self.sets.silent & bit != 0;
        self.count(self.cell.ops[op].act, false, counts);
        self.log.push(Step::Take(op as u32, counts));
    }

    fn mark_silent(&mut self, op: usize) {
        let bit = 1 << self.cell.ops[op].slot;
        if self.sets.silent & bit == 0 {
            self.sets.silent |= bit;
            self.excuse(op, true);
            self.log.push(Step::Silent(op as u32));
        }
    }

    /// What may have taken effect silently need not see anything any more.
    fn excuse(&mut self, op: usize, excused: bool) {
        if let Some(value) = seen(self.cell.ops[op].act).filter(|_| !self.cell.appends) {
            step(&mut self.hard[value as usize], !excused);
        }
    }

    /// Counts what an operation needs and makes, in or out.
    fn count(&mut self, act: Act, more: bool, known: bool) {
        if self.cell.appends {
            if known && matches!(act, Act::Is(_) | Act::Swap(..)) {
                step(&mut self.reads, more);
            }
            if matches!(act, Act::Put(_) | Act::Swap(..)) {
                step(&mut self.puts, more);
            }
            return;
        }
        if let Some(value) = seen(act) {
            step(&mut self.soft[value as usize], more);
            if known {
                step(&mut self.hard[value as usize], more);
            }
        }
        if let Some(value) = written(act) {
            step(&mut self.supply[value as usize], more);
        }
    }

    fn undo(&mut self, event: usize, sets: Sets, length: usize) {
        while self.now > event {
            self.now -= 1;
            let what = self.cell.events[self.now];
            if what & END != 0 {
                self.owner[self.cell.ops[(what & !END) as usize].slot as usize] = what & !END;
            }
        }
        self.sets = sets;
        while self.log.len() > length {
            let Some(step) = self.log.pop() else { return };
            match step {
                Step::Take(op, counted) => self.count(self.cell.ops[op as usize].act, true, counted),
                Step::Retire(op) => self.count(self.cell.ops[op as usize].act, true, false),
                Step::Silent(op) => self.excuse(op as usize, false),
            }
        }
    }

    /// Whether a place as good is known to be dead, or was passed on the way at this very event.
    fn is_dead(&self, state: u32) -> bool {
        let Sets { known, taken, silent, .. } = self.sets;
        let as_good = |other_taken: u64, other_silent: u64| other_taken & !taken == 0 && silent & !other_silent == 0;
        let passed = self.frames.iter().rev().take_while(|frame| frame.event == self.now);
        let alike = |frame: &&Frame| frame.state == state && (frame.sets.taken ^ taken) & known == 0;
        if passed.filter(alike).any(|frame| as_good(frame.sets.taken, frame.sets.silent)) {
            return true;
        }
        if self.dead.is_empty() {
            return false;
        }
        let key = self.key(state);
        let mut at = self.table[self.bucket(key)];
        while let Some(place) = self.dead.get(at as usize) {
            if place.key == key && as_good(place.taken, place.silent) {
                return true;
            }
            at = place.before;
        }
        false
    }

    fn key(&self, state: u32) -> (u64, u64) {
        ((self.now as u64) << 32 | u64::from(state), self.sets.taken & self.sets.known)
    }

    fn bucket(&self, (place, done): (u64, u64)) -> usize {
        mix(done ^ mix(place)) as usize & (self.table.len() - 1)
    }

    /// Nothing came of the present place.
    fn bury(&mut self, state: u32) {
        if self.dead.len() >= self.table.len() {
            self.table = vec![u32::MAX; (self.table.len() * 4).max(64)];
            for at in 0..self.dead.len() {
                let bucket = self.bucket(self.dead[at].key);
                self.dead[at].before = std::mem::replace(&mut self.table[bucket], at as u32);
            }
        }
        let key = self.key(state);
        let bucket = self.bucket(key);
        let before = std::mem::replace(&mut self.table[bucket], self.dead.len() as u32);
        self.dead.push(Place { key, taken: self.sets.taken, silent: self.sets.silent, before });
    }

    /// The order in which operations took effect; what ended silently did when it was first marked.
    fn order(&self) -> Vec<usize> {
        let mut retired = vec![false; self.cell.ops.len()];
        for step in &self.log {
            if let Step::Retire(op) = step {
                retired[*op as usize] = true;
            }
        }
        let took_effect = self.log.iter().filter_map(|step| match step {
            Step::Take(op, _) => Some(*op),
            Step::Silent(op) => Some(*op).filter(|op| retired[*op as usize]),
            Step::Retire(_) => None,
        });
        took_effect.map(|op| self.cell.ops[op as usize].id as usize).collect()
    }
}

fn step(count: &mut u32, more: bool) {
    *count = if more { *count + 1 } else { *count - 1 };
}

fn seen(act: Act) -> Option<u32> {
    match act {
        Act::Is(value) | Act::Swap(value, _) => Some(value),
        Act::IsNot(_) | Act::Put(_) | Act::Append(_) => None,
    }
}

fn written(act: Act) -> Option<u32> {
    match act {
        Act::Put(value) | Act::Swap(_, value) => Some(value),
        Act::Is(_) | Act::IsNot(_) | Act::Append(_) => None,
    }
}

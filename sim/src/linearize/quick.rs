//! Histories of few keys, each read, written, swapped or appended to, searched without ado.
//!
//! Most histories that are judged are small, and for them it costs more to take a history apart than to search it. So
//! what is common is done here in one walk over its numbers and with next to no memory. All else is left to
//! [`super::component`] and its search, as is what turns out to be large.
//!
//! Where nothing is appended, only values that somebody sees count, numbered from 2; any other is junk. Where there are
//! appends, only *strings* are kept of what is seen that are no prefix of another one. A value is the first string that
//! begins with it, and its length; one that no string begins with is junk, for nobody can see it, nor anything it is
//! appended to.

use super::cell::{Act, Cell, Found, JUNK, MISSING, Op, Search, VALUES_MAX};
use crate::history::{
    History,
    numbers::{Asked, END, Fate, NONE, Names, Numbers, Part, Told},
};

/// The most keys.
const KEYS_MAX: usize = 32;
/// The most strings of a key.
const STRINGS_MAX: usize = 32;
/// How long a string may be.
const LENGTH_MAX: usize = 1 << 20;

/// What came of it.
pub enum Quick {
    /// An order for each key.
    Orders(Vec<Vec<usize>>),
    /// No order gets past the end of this operation.
    Nothing(usize),
}

/// Judges a history, if it is of this kind and takes no more than `budget` steps.
pub fn order(history: &History, budget: u64) -> Option<Quick> {
    let cells = compile(history.numbers())?;
    let mut orders = Vec::with_capacity(cells.len());
    for cell in cells.iter().filter(|cell| !cell.ops.is_empty()) {
        match Search::run(cell, budget)? {
            Found::Order(order) => orders.push(order),
            Found::Nothing(id) => return Some(Quick::Nothing(id)),
        }
    }
    Some(Quick::Orders(orders))
}

/// The operations of a history by key.
fn compile(numbers: &Numbers) -> Option<Vec<Cell<'_>>> {
    let keys = numbers.keys.len();
    if keys > KEYS_MAX || numbers.stale || numbers.most_parts > 1 {
        return None;
    }
    let mut cells: Vec<Cell<'_>> = Vec::with_capacity(keys);
    let share = numbers.operations.len() / keys.max(1) + 1;
    cells.resize_with(keys, || Cell::new(&numbers.values, share));
    // Where each operation is among those of its key.
    let mut places = vec![NONE; numbers.operations.len()];
    for event in &numbers.events {
        let id = event & !END;
        let operation = &numbers.operations[id as usize];
        if operation.fate == Fate::NotDone {
            continue;
        }
        let part = &numbers.parts[operation.first as usize];
        let is_unknown = operation.fate == Fate::Unknown;
        if is_unknown && matches!(part.asked, Asked::Get | Asked::Exists | Asked::Count | Asked::Many) {
            continue;
        }
        let cell = cells.get_mut(part.key as usize)?;
        let place = &mut places[id as usize];
        if event & END == 0 {
            *place = cell.ops.len() as u32;
            cell.begin(Op { id, deadline: operation.deadline, slot: 0, act: act(part, is_unknown)? })?;
        } else if !is_unknown {
            cell.end(*place);
        }
    }
    for (key, value) in &numbers.initial {
        cells[*key as usize].initial = *value;
    }
    let mut codes = vec![NONE; if numbers.appends { numbers.values.len() } else { 0 }];
    for cell in &mut cells {
        if cell.appends { cell.find_strings(&mut codes)? } else { cell.number_values()? }
    }
    (!cells.iter().all(Cell::is_for_zones)).then_some(cells)
}

/// What an operation sees and does; values are numbers of the history, and `NONE` is none.
fn act(part: &Part, is_unknown: bool) -> Option<Act> {
    Some(match (part.asked, part.told) {
        (Asked::Get, Told::Value { value, .. }) => Act::Is(value),
        (Asked::Get, Told::Missing) => Act::Is(NONE),
        (Asked::Put(value), Told::Written { .. } | Told::Untold) => Act::Put(value),
        (Asked::Append(value), Told::Written { .. } | Told::Untold) => Act::Append(value),
        (Asked::Cas { expected, .. }, Told::NotSwapped { .. }) => Act::IsNot(expected),
        (Asked::Cas { expected, value }, Told::Swapped { .. }) => Act::Swap(expected, value),
        // It need not take effect where it changes nothing. One that is done may have changed nothing.
        (Asked::Cas { expected, value }, Told::Untold) if is_unknown => Act::Swap(expected, value),
        _ => return None,
    })
}

impl<'h> Cell<'h> {
    fn new(names: &'h Names, share: usize) -> Self {
        Cell {
            ops: Vec::with_capacity(share),
            events: Vec::with_capacity(share * 2),
            used: 0,
            initial: NONE,
            appends: false,
            names,
            strings: Vec::new(),
        }
    }

    /// An operation begins. `None` if too many are pending.
    fn begin(&mut self, op: Op) -> Option<()> {
        let slot = self.used.trailing_ones();
        self.used |= 1u64.checked_shl(slot)?;
        self.appends |= matches!(op.act, Act::Append(_));
        self.events.push(self.ops.len() as u32);
        self.ops.push(Op { slot: slot as u8, ..op });
        Some(())
    }

    fn end(&mut self, place: u32) {
        self.used &= !(1 << self.ops[place as usize].slot);
        self.events.push(place | END);
    }

    /// Gives small numbers to values, if there are few; nothing is appended.
    fn number_values(&mut self) -> Option<()> {
        let mut seen = [NONE; VALUES_MAX];
        seen[JUNK as usize] = NONE - 1;
        let mut count = 2;
        let find = |seen: &[u32], value: u32| seen.iter().position(|seen| *seen == value);
        for op in &mut self.ops {
            if let Act::Is(value) | Act::IsNot(value) | Act::Swap(value, _) = &mut op.act {
                let at = find(&seen[..count], *value).unwrap_or(count);
                if at == count {
                    *seen.get_mut(at)? = *value;
                    count += 1;
                }
                *value = at as u32;
            }
        }
        let number = |value: u32| find(&seen[..count], value).map_or(JUNK, |at| at as u32);
        for op in &mut self.ops {
            if let Act::Put(value) | Act::Swap(_, value) = &mut op.act {
                *value = number(*value);
            }
        }
        self.initial = number(self.initial);
        Some(())
    }

    /// Gives values their places in strings, if there are few. `codes` is room for those of the values seen.
    fn find_strings(&mut self, codes: &mut [u32]) -> Option<()> {
        codes.fill(NONE);
        let mut ops = std::mem::take(&mut self.ops);
        for op in &mut ops {
            if let Act::Is(value) | Act::IsNot(value) | Act::Swap(value, _) = &mut op.act {
                *value = self.observe(*value, codes)?;
            }
        }
        for op in &mut ops {
            if let Act::Put(value) | Act::Swap(_, value) = &mut op.act {
                *value = self.find(*value, codes);
            }
        }
        self.initial = self.find(self.initial, codes);
        self.ops = ops;
        Some(())
    }

    /// Whether all that is done is reads and writes of different values, for which there is a better way.
    fn is_for_zones(&self) -> bool {
        let mut put = 0u64;
        !self.appends
            && self.ops.iter().all(|op| match op.act {
                Act::Is(_) | Act::Put(JUNK) => true,
                Act::Put(value) => {
                    let before = put;
                    put |= 1 << value;
                    put != before
                }
                _ => false,
            })
    }

    /// Somebody may see this. Returns its code.
    fn observe(&mut self, value: u32, codes: &mut [u32]) -> Option<u32> {
        let Some(code) = codes.get_mut(value as usize) else { return Some(MISSING) };
        if *code == NONE {
            *code = self.observe_string(self.names.bytes(value))?;
        }
        Some(*code)
    }

    /// What was once the first string that begins with a value, or what took its place, stays so.
    fn observe_string(&mut self, value: &'h [u8]) -> Option<u32> {
        if value.len() >= LENGTH_MAX {
            return None;
        }
        for (at, string) in self.strings.iter_mut().enumerate() {
            if string.starts_with(value) {
                return Some(code(at, value.len()));
            }
            if value.starts_with(string) {
                *string = value;
                return Some(code(at, value.len()));
            }
        }
        self.strings.push(value);
        (self.strings.len() <= STRINGS_MAX).then(|| code(self.strings.len() - 1, value.len()))
    }

    fn find(&self, value: u32, codes: &[u32]) -> u32 {
        match codes.get(value as usize) {
            None => MISSING,
            Some(&NONE) => {
                let bytes = self.names.bytes(value);
                let first = self.strings.iter().position(|string| string.starts_with(bytes));
                first.map_or(JUNK, |at| code(at, bytes.len()))
            }
            Some(code) => *code,
        }
    }

    /// What becomes of a value if a value of the history, by its number there, is appended to it.
    pub fn append(&self, value: u32, suffix: u32) -> u32 {
        let suffix = self.names.bytes(suffix);
        let (at, length) = match value {
            JUNK => return JUNK,
            MISSING => (0, 0),
            _ => ((value - 2) as usize / LENGTH_MAX, (value - 2) as usize % LENGTH_MAX),
        };
        let Some(before) = self.strings.get(at).map(|string| &string[..length]) else { return JUNK };
        let fits = |(other, string): (usize, &&[u8])| {
            (other == at || string.starts_with(before)) && string[length..].starts_with(suffix)
        };
        self.strings.iter().enumerate().position(fits).map_or(JUNK, |at| code(at, length + suffix.len()))
    }
}

fn code(string: usize, length: usize) -> u32 {
    2 + (string * LENGTH_MAX + length) as u32
}

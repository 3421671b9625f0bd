//! Histories of few keys, each read, written, swapped or appended to, put in numbers without ado.
//!
//! Most histories that are judged are small, and for them it costs more to put a history in numbers than to search it.
//! So what is common is done here with next to no memory: a key is a byte or eight, a value a place in one of a few
//! strings. All else is left to [`super::component`] and its search, as is what turns out to be large.
//!
//! Of what is observed of a key only *strings* are kept that are no prefix of another one. A value is the first string
//! that begins with it, and its length; one that no string begins with is junk, for nobody can see it, nor anything it
//! is appended to. Where nothing is appended, only whole observed values count, numbered from 2.

use super::cell::{Act, Cell, END, Found, JUNK, MISSING, Op, Search};
use crate::history::{Answer, History, Outcome, Verb};

/// The most keys.
const KEYS_MAX: usize = 32;
/// The most strings of a key.
const STRINGS_MAX: usize = 32;
/// How long a string may be.
const LENGTH_MAX: usize = 1 << 20;
/// The most operations of a key.
const OPS_MAX: usize = 1 << 25;
/// Where the number of a key is among the bits of an event.
const KEY_SHIFT: u32 = 25;
/// No event.
const NONE: u32 = u32::MAX;

/// What came of it.
pub enum Quick {
    /// An order for each key.
    Orders(Vec<Vec<usize>>),
    /// No order gets past the end of this operation.
    Nothing(usize),
}

/// Judges a history, if it is of this kind and takes no more than `budget` steps.
pub fn order(history: &History, budget: u64) -> Option<Quick> {
    let cells = compile(history)?;
    let mut orders = Vec::with_capacity(cells.len());
    for cell in &cells {
        match Search::run(cell, budget)? {
            Found::Order(order) => orders.push(order),
            Found::Nothing(id) => return Some(Quick::Nothing(id)),
        }
    }
    Some(Quick::Orders(orders))
}

/// A key while its operations are put in numbers.
struct Draft<'h> {
    name: u64,
    cell: Cell<'h>,
    /// What is written by each put and swap among the operations.
    written: Vec<(u32, &'h [u8])>,
}

fn compile(history: &History) -> Option<Vec<Cell<'_>>> {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let mut events = vec![NONE; history.events() as usize];
    for (id, operation) in history.operations().iter().enumerate() {
        let told = match &operation.outcome {
            Outcome::NotDone => continue,
            Outcome::Unknown if operation.is_read() => continue,
            Outcome::Unknown => None,
            Outcome::Done { answers, .. } => Some((&answers[..], operation.ended?.event)),
        };
        let [verb] = &operation.request[..] else { return None };
        if operation.stale {
            return None;
        }
        let name = packed(&verb.key()?.0)?;
        let key = drafts.iter().position(|draft| draft.name == name).unwrap_or(drafts.len());
        if key == drafts.len() {
            if key == KEYS_MAX {
                return None;
            }
            drafts.push(Draft { name, cell: Cell::default(), written: Vec::new() });
        }
        let draft = &mut drafts[key];
        let act = draft.act(verb, told.map(|(answers, _)| answers))?;
        let at = draft.cell.ops.len();
        if at == OPS_MAX {
            return None;
        }
        let number = (key << KEY_SHIFT | at) as u32;
        *events.get_mut(operation.began.event as usize)? = number;
        if let Some((_, end)) = told {
            *events.get_mut(end as usize)? = number | END;
        }
        draft.cell.ops.push(Op { id, deadline: told.map_or(u64::MAX, |(_, end)| end), act });
    }
    for (key, value) in history.initial() {
        let name = packed(&key.0);
        if let Some(draft) = drafts.iter_mut().find(|draft| Some(draft.name) == name) {
            draft.cell.initial = draft.cell.observe(&value.0)?;
        }
    }
    for draft in &mut drafts {
        draft.finish()?;
        draft.cell.events.reserve(draft.cell.ops.len() * 2);
    }
    if drafts.iter().all(|draft| draft.cell.is_for_zones()) {
        return None;
    }
    for event in events.into_iter().filter(|event| *event != NONE) {
        let key = (event & !END) >> KEY_SHIFT;
        drafts[key as usize].cell.events.push(event & (END | ((1 << KEY_SHIFT) - 1)));
    }
    Some(drafts.into_iter().map(|draft| draft.cell).collect())
}

/// Few bytes as a number.
fn packed(bytes: &[u8]) -> Option<u64> {
    if bytes.len() > 7 {
        return None;
    }
    Some(bytes.iter().fold(bytes.len() as u64, |number, byte| number << 8 | u64::from(*byte)))
}

impl<'h> Draft<'h> {
    /// What an operation sees and does; what is written is noted, for it is not known yet what will be seen.
    fn act(&mut self, verb: &'h Verb, told: Option<&'h [Answer]>) -> Option<Act<'h>> {
        let is_unknown = told.is_none();
        let told = match told {
            None => &Answer::Untold,
            Some([answer]) => answer,
            Some(_) => return None,
        };
        let at = self.cell.ops.len() as u32;
        match (verb, told) {
            (Verb::Get { .. }, Answer::Value { value, .. }) => Some(Act::Is(self.cell.observe(&value.0)?)),
            (Verb::Get { .. }, Answer::Missing) => Some(Act::Is(MISSING)),
            (Verb::Put { value, .. }, Answer::Written { .. } | Answer::Untold) => {
                self.written.push((at, &value.0));
                Some(Act::Put(JUNK))
            }
            (Verb::Append { value, .. }, Answer::Written { .. } | Answer::Untold) => {
                self.cell.appends = true;
                Some(Act::Append(&value.0))
            }
            (Verb::Cas { expected, value, .. }, told) => {
                let seen = match expected {
                    Some(expected) => self.cell.observe(&expected.0)?,
                    None => MISSING,
                };
                match told {
                    Answer::NotSwapped { .. } => Some(Act::IsNot(seen)),
                    Answer::Swapped { .. } => self.swap(at, seen, &value.0),
                    // It need not take effect where it changes nothing. One that is done may have changed nothing.
                    Answer::Untold if is_unknown => self.swap(at, seen, &value.0),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn swap(&mut self, at: u32, seen: u32, value: &'h [u8]) -> Option<Act<'h>> {
        self.written.push((at, value));
        Some(Act::Swap(seen, JUNK))
    }

    /// All that is seen is known: gives what is written its numbers, and smaller ones to all if nothing is appended.
    fn finish(&mut self) -> Option<()> {
        for &(at, bytes) in &self.written {
            let value = self.cell.find(bytes);
            if let Act::Put(written) | Act::Swap(_, written) = &mut self.cell.ops[at as usize].act {
                *written = value;
            }
        }
        if self.cell.appends {
            return Some(());
        }
        let mut seen: Vec<u32> = vec![MISSING, JUNK];
        for op in &mut self.cell.ops {
            if let Act::Is(value) | Act::IsNot(value) | Act::Swap(value, _) = &mut op.act {
                let at = seen.iter().position(|seen| seen == value).unwrap_or(seen.len());
                if at == seen.len() {
                    seen.push(*value);
                }
                *value = at as u32;
            }
        }
        let number = |value: &u32| seen.iter().position(|seen| seen == value).map_or(JUNK, |at| at as u32);
        for (at, _) in &self.written {
            if let Act::Put(value) | Act::Swap(_, value) = &mut self.cell.ops[*at as usize].act {
                *value = number(value);
            }
        }
        self.cell.initial = number(&self.cell.initial);
        self.cell.values = seen.len();
        (seen.len() <= STRINGS_MAX).then_some(())
    }
}

impl<'h> Cell<'h> {
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

    /// Somebody may see this. Returns its number.
    fn observe(&mut self, value: &'h [u8]) -> Option<u32> {
        if value.len() >= LENGTH_MAX {
            return None;
        }
        let Some(short) = packed(value) else { return self.observe_string(value) };
        if let Some((_, number)) = self.short.iter().find(|(other, _)| *other == short) {
            return Some(*number);
        }
        let number = self.observe_string(value)?;
        self.short.push((short, number));
        Some(number)
    }

    /// What was once the first string that begins with a value, or what took its place, stays so.
    fn observe_string(&mut self, value: &'h [u8]) -> Option<u32> {
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

    fn find(&self, value: &[u8]) -> u32 {
        let short = packed(value);
        if let Some((_, number)) = self.short.iter().find(|(other, _)| Some(*other) == short) {
            return *number;
        }
        let first = self.strings.iter().position(|string| string.starts_with(value));
        first.map_or(JUNK, |at| code(at, value.len()))
    }

    /// What becomes of a value if `suffix` is appended to it.
    pub fn append(&self, value: u32, suffix: &[u8]) -> u32 {
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

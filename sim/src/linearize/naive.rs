//! Exhaustive search after Wing and Gong (1993): try every operation that may come next, remember where that led
//! nowhere.
//!
//! It needs nothing but the history and is the reference that other layers are compared with. What was tried is kept as
//! (operations taken, state), so that orders which lead to the same place are followed once (Lowe 2017).

use super::{Illegal, Layer, Replay, model::Store};
use crate::history::{History, Outcome};
use std::collections::BTreeSet;

/// The most operations that are searched, those left out not counted.
pub const OPERATIONS_MAX: usize = 24;
/// The most places remembered.
const VISITED_MAX: usize = 200_000;

/// Why there is no order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// There is none.
    Illegal(Illegal),
    /// The search is too large.
    Undecided(String),
}

/// An order that replays, if there is one.
pub fn order(history: &History) -> Result<Vec<usize>, Failure> {
    order_within(history, VISITED_MAX)
}

/// The same, going to so many places at most.
pub fn order_within(history: &History, places: usize) -> Result<Vec<usize>, Failure> {
    let operations = history.operations();
    let candidates: Vec<usize> = (0..operations.len())
        .filter(|id| match operations[*id].outcome {
            Outcome::Done { .. } => true,
            Outcome::Unknown => !operations[*id].is_read(),
            Outcome::NotDone => false,
        })
        .collect();
    if candidates.len() > OPERATIONS_MAX {
        return Err(Failure::Undecided(format!(
            "{} operations are too many for an exhaustive search, which ends at {OPERATIONS_MAX}",
            candidates.len()
        )));
    }
    let mut search = Search {
        replay: Replay::new(history),
        candidates,
        places,
        visited: BTreeSet::new(),
        order: Vec::new(),
        longest: Vec::new(),
    };
    match search.from(0) {
        Found::Order => Ok(search.order),
        Found::TooMuch => Err(Failure::Undecided(format!("an exhaustive search went past {places} places"))),
        Found::Nothing => Err(Failure::Illegal(search.illegal())),
    }
}

struct Search<'a> {
    replay: Replay<'a>,
    candidates: Vec<usize>,
    /// How many places may be remembered.
    places: usize,
    /// Operations taken, as bits over `candidates`, and the state they led to.
    visited: BTreeSet<(u32, Store)>,
    order: Vec<usize>,
    /// The longest order that replayed.
    longest: Vec<usize>,
}

enum Found {
    Order,
    Nothing,
    TooMuch,
}

impl Search<'_> {
    /// Goes on from where the operations `taken` have led.
    fn from(&mut self, taken: u32) -> Found {
        let operations = self.replay.history.operations();
        let rest = (0..self.candidates.len()).filter(|place| taken >> place & 1 == 0);
        // Whatever ends first must not be overtaken by what begins later.
        let deadline = rest.clone().map(|place| operations[self.candidates[place]].deadline()).min();
        let Some(deadline) = deadline.filter(|deadline| *deadline != u64::MAX) else { return Found::Order };
        if self.order.len() > self.longest.len() {
            self.longest.clone_from(&self.order);
        }
        if self.visited.len() >= self.places {
            return Found::TooMuch;
        }
        if !self.visited.insert((taken, self.replay.store.clone())) {
            return Found::Nothing;
        }
        for place in rest {
            let id = self.candidates[place];
            if operations[id].earliest() > deadline {
                continue;
            }
            let mark = self.replay.mark();
            if self.replay.step(id).is_ok() {
                self.order.push(id);
                match self.from(taken | 1 << place) {
                    Found::Nothing => self.order.pop(),
                    found => return found,
                };
            }
            self.replay.back_to(mark);
        }
        Found::Nothing
    }

    /// The operations that might have gone on where the longest order ends, and could not.
    fn illegal(&self) -> Illegal {
        let operations = self.replay.history.operations();
        let rest = || self.candidates.iter().copied().filter(|id| !self.longest.contains(id));
        let deadline = rest().map(|id| operations[id].deadline()).min().unwrap_or(u64::MAX);
        let stuck = rest().filter(|id| operations[*id].earliest() <= deadline).collect();
        let why = format!("after the order {:?} none of these can be next", self.longest);
        Illegal { operations: stuck, why, layer: Layer::Naive }
    }
}

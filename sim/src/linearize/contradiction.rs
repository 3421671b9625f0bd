//! From a history that is not linearizable to the few operations that show it.
//!
//! Every step only takes away what forbids: an operation that changed nothing is left out, one that changed something
//! becomes one of unknown outcome, which may still have happened at any time. What is not linearizable after that was
//! not before. An unknown write that nobody left over can tell from none is left out too ([`super::unseen`]). So what
//! is said of those that remain is true of the whole history, whatever the others do. It is put before the naive layer,
//! which shares nothing with the search.
//!
//! What remains depends on the order in which operations are tried. Several orders are, and the least is taken.

use super::{
    Illegal, Layer,
    blackbox::{self, Failure, Means},
    naive,
    unseen::leave_out_unseen,
};
use crate::history::{Answer, History, Operation, Outcome};

/// How much work goes into one attempt, in steps of a search.
const STEPS_MAX: u64 = 20_000;
/// How much goes into all of them, in operations put in numbers.
const WORK_MAX: usize = 1_000_000;
/// How many places the naive layer may go to.
const PLACES_MAX: usize = 20_000;

/// Operations that contradict each other, found by leaving out what is not needed; `blamed` is where the search failed.
pub fn small(history: &History, blamed: &[usize], layer: Layer) -> Illegal {
    let deadline = blamed.iter().map(|id| history.operations()[*id].deadline()).max().unwrap_or(u64::MAX);
    let mut early = Parts::new(history);
    early.attempt(|state| {
        let late = |id: &usize| history.operations()[*id].earliest() > deadline;
        (0..state.len()).filter(late).for_each(|id| state[id] = Use::Out)
    });
    // What ends later than the search got says little.
    early.attempt(|state| weaken(history, state, |operation| operation.deadline() > deadline));
    let mut least: Option<Parts<'_>> = None;
    for order in [Order::Early, Order::Late, Order::Reads, Order::Writes] {
        let mut parts = Parts { history, state: early.state.clone(), work: early.work };
        parts.reduce(order);
        early.work = parts.work;
        if least.as_ref().is_none_or(|least| parts.weight() < least.weight()) {
            least = Some(parts);
        }
    }
    least.unwrap_or(early).finish(layer)
}

/// What is tried first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Early,
    Late,
    Reads,
    Writes,
}

/// What is left of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// All that is told of it.
    Whole,
    /// It may have taken effect, at any time after its begin.
    Unknown,
    /// It takes no part.
    Out,
}

fn weaker(operation: &Operation) -> Use {
    match &operation.outcome {
        Outcome::Done { answers, .. } if answers.iter().any(|answer| answer.changed() || *answer == Answer::Untold) => {
            Use::Unknown
        }
        _ => Use::Out,
    }
}

fn weaken(history: &History, state: &mut [Use], which: impl Fn(&Operation) -> bool) {
    for (state, operation) in state.iter_mut().zip(history.operations()) {
        if *state == Use::Whole && which(operation) {
            *state = weaker(operation);
        }
    }
}

struct Parts<'h> {
    history: &'h History,
    state: Vec<Use>,
    work: usize,
}

impl<'h> Parts<'h> {
    fn new(history: &'h History) -> Self {
        let state = |operation: &Operation| match operation.outcome {
            Outcome::Done { .. } => Use::Whole,
            Outcome::Unknown if !operation.is_read() => Use::Unknown,
            Outcome::Unknown | Outcome::NotDone => Use::Out,
        };
        Self { history, state: history.operations().iter().map(state).collect(), work: 0 }
    }

    /// Leaves out what can be, first in large pieces, then one by one.
    fn reduce(&mut self, order: Order) {
        let history = self.history;
        let mut size = self.state.len().next_power_of_two();
        while size > 0 && self.work < WORK_MAX {
            let mut whole: Vec<usize> = (0..self.state.len()).filter(|id| self.state[*id] == Use::Whole).collect();
            let writes = |id: &usize| weaker(&history.operations()[*id]) == Use::Unknown;
            match order {
                Order::Early => {}
                Order::Late => whole.reverse(),
                Order::Reads => whole.sort_by_key(writes),
                Order::Writes => whole.sort_by_key(|id| !writes(id)),
            }
            for chunk in whole.chunks(size) {
                if self.work < WORK_MAX {
                    self.attempt(|state| chunk.iter().for_each(|id| state[*id] = weaker(&history.operations()[*id])));
                }
            }
            size /= 2;
        }
    }

    /// How much there is to read: of those that are left, most of all those that are known.
    fn weight(&self) -> (usize, usize) {
        let count = |which: Use| self.state.iter().filter(|state| **state == which).count();
        (count(Use::Whole) + count(Use::Unknown), count(Use::Whole))
    }

    /// Keeps a change if what is left still contradicts itself.
    fn attempt(&mut self, change: impl FnOnce(&mut [Use])) {
        let mut state = self.state.clone();
        change(&mut state);
        leave_out_unseen(self.history, &mut state);
        self.work += state.iter().filter(|state| **state != Use::Out).count() + state.len() / 8;
        if state != self.state && is_illegal(&self.build(&state).0) {
            self.state = state;
        }
    }

    fn build(&self, state: &[Use]) -> (History, Vec<usize>) {
        let left: Vec<usize> = (0..state.len()).filter(|id| state[*id] != Use::Out).collect();
        let unknown = |id: &usize| state[*id] == Use::Unknown;
        (self.history.weakened(&left, &left.iter().map(unknown).collect::<Vec<_>>()), left)
    }

    fn finish(self, layer: Layer) -> Illegal {
        let (small, operations) = self.build(&self.state);
        let unknown = self.state.iter().filter(|state| **state == Use::Unknown).count();
        let confirmed = match naive::order_within(&small, PLACES_MAX) {
            Err(naive::Failure::Illegal(_)) => "no order of these fits what was answered",
            Err(naive::Failure::Undecided(_)) => "no order of these fits what was answered, says the search alone",
            Ok(order) => panic!("a search found no order, yet there is {order:?} of\n{small}"),
        };
        let more = match unknown {
            0 => String::new(),
            _ => format!(", even if {unknown} of them took effect at any time after their begin or never"),
        };
        Illegal { operations, why: format!("{confirmed}{more}, whatever the others do"), layer }
    }
}

fn is_illegal(history: &History) -> bool {
    matches!(blackbox::order(history, Means::Any, STEPS_MAX), Err(Failure::Illegal(..)))
}

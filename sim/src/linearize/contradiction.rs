//! From a history that is not linearizable to the few operations that show it.
//!
//! Every step only takes away what forbids: an operation that changed nothing is left out, one that changed something
//! becomes one of unknown outcome, which may still have happened at any time. What is not linearizable after that was
//! not before. An unknown write that nobody left over can tell from none is left out too. What remains is put before
//! the naive layer, which shares nothing with the search.

use super::{
    Illegal, Layer,
    blackbox::{self, Failure, Means},
    naive,
};
use crate::history::{Answer, Data, History, Operation, Outcome, Verb};

/// How much work goes into one attempt, in steps of a search.
const STEPS_MAX: u64 = 200_000;
/// How many attempts are made.
const ATTEMPTS_MAX: usize = 3000;

/// Operations that contradict each other, found by leaving out what is not needed; `blamed` is where the search failed.
pub fn small(history: &History, blamed: &[usize], layer: Layer) -> Illegal {
    let deadline = blamed.iter().map(|id| history.operations()[*id].deadline()).max().unwrap_or(u64::MAX);
    let mut parts = Parts::new(history);
    let before = |operation: &Operation| operation.earliest() <= deadline;
    let early: Vec<usize> = (0..parts.state.len()).filter(|id| before(&history.operations()[*id])).collect();
    parts.attempt(|state| {
        (0..state.len()).filter(|id| early.binary_search(id).is_err()).for_each(|id| state[id] = Use::Out)
    });
    // What ends later than the search got says little.
    parts.attempt(|state| weaken(history, state, |operation| operation.deadline() > deadline));
    let mut size = history.operations().len().next_power_of_two();
    while size > 0 && parts.attempts < ATTEMPTS_MAX {
        let whole: Vec<usize> = (0..parts.state.len()).filter(|id| parts.state[*id] == Use::Whole).collect();
        for chunk in whole.chunks(size) {
            parts.attempt(|state| chunk.iter().for_each(|id| state[*id] = weaker(&history.operations()[*id])));
        }
        size /= 2;
    }
    parts.finish(layer)
}

/// What is left of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Whole,
    Unknown,
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
    attempts: usize,
}

impl<'h> Parts<'h> {
    fn new(history: &'h History) -> Self {
        let state = |operation: &Operation| match operation.outcome {
            Outcome::Done { .. } => Use::Whole,
            Outcome::Unknown if !operation.is_read() => Use::Unknown,
            Outcome::Unknown | Outcome::NotDone => Use::Out,
        };
        Self { history, state: history.operations().iter().map(state).collect(), attempts: 0 }
    }

    /// Keeps a change if what is left still contradicts itself.
    fn attempt(&mut self, change: impl FnOnce(&mut [Use])) {
        self.attempts += 1;
        let mut state = self.state.clone();
        change(&mut state);
        leave_out_unseen(self.history, &mut state);
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
        let confirmed = match naive::order(&small) {
            Err(naive::Failure::Illegal(_)) => "no order of these fits what was answered",
            Err(naive::Failure::Undecided(_)) => "no order of these fits what was answered, says the search alone",
            Ok(order) => panic!("a search found no order, yet there is {order:?} of\n{small}"),
        };
        let more = match unknown {
            0 => String::new(),
            _ => format!(", even if {unknown} of them took effect at any time after their begin or never"),
        };
        Illegal { operations, why: format!("{confirmed}{more}"), layer }
    }
}

fn is_illegal(history: &History) -> bool {
    matches!(blackbox::order(history, Means::Any, STEPS_MAX), Err(Failure::Illegal(..)))
}

/// Leaves out unknown single writes of values that nobody saw, where only values are seen.
fn leave_out_unseen(history: &History, state: &mut [Use]) {
    let mut seen: Vec<(&Data, Option<&Data>)> = Vec::new();
    for (operation, _) in history.operations().iter().zip(state.iter()).filter(|(_, state)| **state != Use::Out) {
        for (at, verb) in operation.request.iter().enumerate() {
            let Outcome::Done { answers, .. } = &operation.outcome else { continue };
            match (verb, &answers[at.min(answers.len().saturating_sub(1))..]) {
                (Verb::Get { key }, [Answer::Value { value, .. }, ..]) => seen.push((key, Some(value))),
                (Verb::Cas { key, expected: Some(value), .. }, [Answer::Swapped { .. }, ..]) => {
                    seen.push((key, Some(value)))
                }
                (Verb::Put { .. }, _) => {}
                // Anything else may tell a value from none, or from another.
                (verb, _) => match verb.key() {
                    Some(key) => seen.push((key, None)),
                    None => return,
                },
            }
        }
    }
    seen.sort_unstable();
    for (state, operation) in state.iter_mut().zip(history.operations()).filter(|(state, _)| **state == Use::Unknown) {
        if let [Verb::Put { key, value }] = &operation.request[..]
            && seen.binary_search(&(key, None)).is_err()
            && seen.binary_search(&(key, Some(value))).is_err()
        {
            *state = Use::Out;
        }
    }
}

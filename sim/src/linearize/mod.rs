//! Is a history linearizable? Could every operation have taken effect at one moment between its begin and its end?
//!
//! Layers, from cheap to costly, each of which gives an *order* of operations, or operations that fit into none:
//!
//! | layer | needs | costs |
//! | --- | --- | --- |
//! | [`witness`] | the order in which a cluster says it executed requests | one walk |
//! | [`revision`] | a revision in every answer; the history alone | one walk, plus a search over writes of unknown outcome |
//! | zones | one key, read and written, all values different | one sort |
//! | search | nothing | exponential at worst; a budget and a cap on memory |
//! | [`naive`] | nothing | exponential; for about twenty operations, and to check the others against |
//!
//! Zones and search see one part of a history at a time, as few keys as its operations couple ([`blackbox`]). What is
//! small and plain is searched in a quicker way ([`quick`]).
//!
//! No layer is trusted with a *yes*: [`certify`] replays the order it gives against the model, the outcomes and
//! real time. It asks a quick copy of the model first (`ledger`), which says yes or nothing, and then the model
//! itself; tests hold the copy to say yes nowhere else. A *no* names the few operations that contradict each other;
//! what zones and search say is made small, and confirmed by the naive layer. *Unknown* is said when every layer that
//! applies ran out of its budget.
//!
//! Outcomes: what is *done* took effect between begin and end. A write of *unknown* outcome takes effect at any time
//! after its begin, or never; an unknown read is left out. What is *not done* never takes effect: any trace of it is
//! wrong.
//!
//! A *stale* read may have taken effect at any time before its end: it is answered from a state that was once true,
//! and from none that never was or is yet to come.

pub mod blackbox;
mod cell;
mod component;
mod contradiction;
mod demand;
mod ledger;
pub mod model;
pub mod naive;
pub mod picture;
mod quick;
pub mod revision;
mod search;
mod space;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod tests;
mod unseen;
mod values;
mod visited;
pub mod witness;
mod zones;

use crate::history::{Answer, History, Operation, Outcome, Verb};
use model::{Change, Store, fits};
use std::{collections::BTreeSet, fmt};

/// What a history came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Linearizable: this order of operations, by their numbers, replays. Operations left out never took effect.
    Ok {
        /// Who found it.
        layer: Layer,
        /// The order.
        order: Vec<usize>,
    },
    /// Not linearizable.
    Illegal(Illegal),
    /// It could not be decided.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// Who decided.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Layer {
    /// Replay of the order of execution.
    Witness,
    /// Order by revision.
    Revision,
    /// Zones of values that are all different.
    Zones,
    /// Just-in-time search.
    Search,
    /// Exhaustive search.
    Naive,
}

/// Operations that cannot be ordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Illegal {
    /// A few operations, by their numbers, that contradict each other.
    pub operations: Vec<usize>,
    /// What is wrong with them.
    pub why: String,
    /// Who says so.
    pub layer: Layer,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Layer::Witness => "witness",
            Layer::Revision => "revision",
            Layer::Zones => "zones",
            Layer::Search => "search",
            Layer::Naive => "naive",
        })
    }
}

impl Verdict {
    /// Whether the history is linearizable for sure.
    pub fn is_ok(&self) -> bool {
        matches!(self, Verdict::Ok { .. })
    }
}

impl Illegal {
    /// The sentence, followed by the operations it is about.
    pub fn describe(&self, history: &History) -> String {
        let mut text = self.why.clone();
        for id in &self.operations {
            text.push_str(&format!("\n  {id}: {}", Described(&history.operations()[*id])));
        }
        text
    }
}

struct Described<'a>(&'a Operation);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { process, request, stale, began, ended, outcome } = self.0;
        let how = if *stale { ", however old," } else { "" };
        write!(f, "process {process} asks {request:?}{how} at event {}", began.event)?;
        match outcome {
            Outcome::Done { revision, answers } => write!(f, ", answered {answers:?}")
                .and_then(|()| revision.map_or(Ok(()), |revision| write!(f, " of revision {revision}")))?,
            Outcome::NotDone => f.write_str(", not done")?,
            Outcome::Unknown => f.write_str(", outcome unknown")?,
        }
        ended.map_or(Ok(()), |ended| write!(f, " at event {}", ended.event))
    }
}

/// Judges a history by itself.
pub fn judge(history: &History) -> Verdict {
    match decide(history) {
        Verdict::Illegal(illegal) => Verdict::Illegal(narrow(history, illegal)),
        verdict => verdict,
    }
}

/// Makes a contradiction that [`decide`] found small, and confirms it.
pub fn narrow(history: &History, illegal: Illegal) -> Illegal {
    match illegal.layer {
        Layer::Zones | Layer::Search => contradiction::small(history, &illegal.operations, illegal.layer),
        Layer::Witness | Layer::Revision | Layer::Naive => illegal,
    }
}

/// Judges a history by itself. A contradiction names only the place beyond which there is no order.
pub fn decide(history: &History) -> Verdict {
    let undecided = match revision::order(history) {
        Ok(order) => return certified(history, Layer::Revision, order),
        Err(revision::Failure::Illegal(illegal)) => return Verdict::Illegal(illegal),
        Err(revision::Failure::Undecided(why)) => why,
    };
    match blackbox::order(history, blackbox::Means::Any, u64::MAX) {
        Ok((order, searched)) => {
            let layer = if searched { Layer::Search } else { Layer::Zones };
            match certify(history, &order) {
                Ok(()) => Verdict::Ok { layer, order },
                // It looks at no revisions: where there are some, it may be mistaken.
                Err(_) if tells_revisions(history) => Verdict::Unknown { why: undecided },
                Err(illegal) => {
                    panic!("the {layer} layer gave an order that does not replay: {}", illegal.describe(history))
                }
            }
        }
        Err(blackbox::Failure::Illegal(operations, layer)) => {
            let why = "no order gets past the end of the last of these".into();
            Verdict::Illegal(Illegal { operations, why, layer })
        }
        Err(blackbox::Failure::Undecided(why)) => Verdict::Unknown { why: format!("{undecided}; {why}") },
    }
}

/// Whether some answer tells a revision.
fn tells_revisions(history: &History) -> bool {
    history.operations().iter().any(|operation| matches!(operation.outcome, Outcome::Done { revision: Some(_), .. }))
}

/// Judges a history with the help of the order in which the cluster executed requests, as numbers of operations. If
/// that order does not replay, the history is judged by itself: it may still be linearizable in another one.
pub fn judge_with_witness(history: &History, executed: &[usize]) -> Verdict {
    // Most often all that is done was executed by the log.
    if executed.len() == history.operations().len() && ledger::replays(history, executed) {
        return Verdict::Ok { layer: Layer::Witness, order: executed.to_vec() };
    }
    let order = witness::order(history, executed);
    if certify(history, &order).is_ok() {
        return Verdict::Ok { layer: Layer::Witness, order };
    }
    judge(history)
}

/// A layer's *yes*, replayed.
fn certified(history: &History, layer: Layer, order: Vec<usize>) -> Verdict {
    match certify(history, &order) {
        Ok(()) => Verdict::Ok { layer, order },
        Err(illegal) => panic!("the {layer} layer gave an order that does not replay: {}", illegal.describe(history)),
    }
}

/// Whether `order` is a linearization: every operation that is done is in it, none that is not done, the model gives
/// each the answers it got, and none ended before one that comes earlier in the order began.
pub fn certify(history: &History, order: &[usize]) -> Result<(), Illegal> {
    if ledger::replays(history, order) { Ok(()) } else { certify_by_model(history, order) }
}

/// The same by the model alone, which says what is wrong with an order.
fn certify_by_model(history: &History, order: &[usize]) -> Result<(), Illegal> {
    let operations = history.operations();
    let mut replay = Replay::new(history);
    let mut seen = vec![false; operations.len()];
    let mut latest_begin: Option<usize> = None;
    for (place, &id) in order.iter().enumerate() {
        let operation = &operations[id];
        if std::mem::replace(&mut seen[id], true) {
            return Err(Illegal {
                operations: vec![id],
                why: "an operation takes effect twice".into(),
                layer: Layer::Witness,
            });
        }
        if operation.outcome == Outcome::NotDone {
            return Err(Illegal {
                operations: vec![id],
                why: "an operation that is not done takes effect".into(),
                layer: Layer::Witness,
            });
        }
        if let Some(before) = latest_begin.filter(|before| operations[*before].earliest() > operation.deadline()) {
            return Err(Illegal { operations: vec![before, id], why: AFTER_ITS_END.into(), layer: Layer::Witness });
        }
        if latest_begin.is_none_or(|before| operations[before].earliest() < operation.earliest()) {
            latest_begin = Some(id);
        }
        replay.step(id).map_err(|mismatch| mismatch.explain(history, &order[..place]))?;
    }
    let left_out =
        (0..operations.len()).find(|id| !seen[*id] && matches!(operations[*id].outcome, Outcome::Done { .. }));
    match left_out {
        Some(id) => Err(Illegal {
            operations: vec![id],
            why: "an operation that is done has no place".into(),
            layer: Layer::Witness,
        }),
        None => Ok(()),
    }
}

/// Why two operations contradict each other in time.
const AFTER_ITS_END: &str = "the second took effect after the first, yet ended before the first began";

/// The model, fed with operations and compared with what they were answered.
struct Replay<'a> {
    history: &'a History,
    store: Store,
    answers: Vec<Answer>,
    undo: Vec<Change>,
    /// Operations performed, undone ones included.
    steps: u64,
}

/// Where a replay can be taken back to.
#[derive(Clone, Copy, Debug)]
struct Mark {
    changes: usize,
    revision: u64,
}

/// An operation whose outcome is not what the model gives.
#[derive(Clone, Debug)]
struct Mismatch {
    id: usize,
    revision: u64,
    answers: Vec<Answer>,
}

impl<'a> Replay<'a> {
    fn new(history: &'a History) -> Self {
        Self { history, store: Store::holding(history.initial()), answers: Vec::new(), undo: Vec::new(), steps: 0 }
    }

    fn mark(&self) -> Mark {
        Mark { changes: self.undo.len(), revision: self.store.revision() }
    }

    fn back_to(&mut self, mark: Mark) {
        self.store.revert(&mut self.undo, mark.changes, mark.revision);
    }

    /// Performs an operation. What it changed stays, even if it does not fit.
    fn step(&mut self, id: usize) -> Result<(), Mismatch> {
        let operation = &self.history.operations()[id];
        self.steps += 1;
        self.store.perform(&operation.request, &mut self.answers, &mut self.undo);
        let fitting = match &operation.outcome {
            Outcome::Done { revision, answers } => {
                revision.is_none_or(|revision| revision == self.store.revision())
                    && fits(&self.answers, answers, revision.is_some())
            }
            Outcome::NotDone | Outcome::Unknown => true,
        };
        if fitting {
            return Ok(());
        }
        Err(Mismatch { id, revision: self.store.revision(), answers: self.answers.clone() })
    }
}

impl Mismatch {
    /// Names the operation and those before it that wrote last what it touches.
    fn explain(&self, history: &History, before: &[usize]) -> Illegal {
        let operations = history.operations();
        let mut keys: BTreeSet<_> = operations[self.id].request.iter().filter_map(Verb::key).collect();
        let mut involved = Vec::new();
        for &id in before.iter().rev().filter(|id| changed(&operations[**id])) {
            let mut hit = false;
            for key in operations[id].request.iter().filter(|verb| verb.writes()).filter_map(Verb::key) {
                hit |= keys.remove(key);
            }
            if hit {
                involved.push(id);
            }
        }
        involved.reverse();
        involved.push(self.id);
        let (revision, answers) = (self.revision, &self.answers);
        Illegal {
            operations: involved,
            why: format!("the last of these must have been answered {answers:?} of revision {revision}"),
            layer: Layer::Revision,
        }
    }
}

/// Whether an operation changed something, or may have.
fn changed(operation: &Operation) -> bool {
    match &operation.outcome {
        Outcome::Done { answers, .. } => answers.iter().any(|answer| answer.changed() || *answer == Answer::Untold),
        Outcome::Unknown => true,
        Outcome::NotDone => false,
    }
}

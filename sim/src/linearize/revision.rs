//! Order by revision: every answer carries the revision at which it took effect, so answers order themselves.
//!
//! A request that changed something has a revision of its own. Whatever changed nothing saw the state of its revision;
//! such operations commute, so among them, between one change and the next, they go by their begins. All that is open
//! is which writes of unknown outcome made the revisions nobody was answered for. A revision that some answer shows as
//! a key's last write can only be made by a request that writes that key, and that value if it is shown. What remains
//! is searched, depth first, with a budget.
//!
//! Hence a *no* is final: revisions are part of every answer, so no other order can replay either.

use super::{AFTER_ITS_END, Illegal, Layer, Mark, Mismatch, Replay};
use crate::history::{Answer, Data, History, Operation, Outcome, Verb};
use std::collections::BTreeMap;

/// How many operations may be performed for each one in the history, while unknown outcomes are tried.
const STEPS_PER_OPERATION: u64 = 64;
/// How many may be performed in any case.
const STEPS_MIN: u64 = 100_000;

/// Why there is no order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// There is none.
    Illegal(Illegal),
    /// The history tells no revisions, or too much is open.
    Undecided(String),
}

/// An order that replays, if there is one.
pub fn order(history: &History) -> Result<Vec<usize>, Failure> {
    let steps = steps(history)?;
    in_time(history, &steps).map_err(Failure::Illegal)?;
    Search::new(history, steps).run()
}

/// A place in the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// This operation.
    Known(usize),
    /// Whatever made this revision, for which nobody was answered.
    Gap(u64),
}

/// Lines up all operations that are done, by revision: what made it, then what saw it.
fn steps(history: &History) -> Result<Vec<Step>, Failure> {
    let operations = history.operations();
    let mut makers: BTreeMap<u64, usize> = BTreeMap::new();
    let mut viewers = Vec::new();
    let mut highest = (0, None);
    for (id, operation) in operations.iter().enumerate() {
        let Outcome::Done { revision, answers } = &operation.outcome else { continue };
        let Some(revision) = *revision else {
            return Err(Failure::Undecided(format!("operation {id} tells no revision")));
        };
        if revision > highest.0 {
            highest = (revision, Some(id));
        }
        if !answers.iter().any(Answer::changed) {
            viewers.push((revision, operation.earliest(), id));
        } else if let Some(other) = makers.insert(revision, id) {
            let why = format!("both claim to have made revision {revision}");
            return Err(Failure::Illegal(Illegal { operations: vec![other, id], why, layer: Layer::Revision }));
        }
    }
    let unknown = operations.iter().filter(|operation| may_fill(operation)).count();
    let (last, shown) = highest;
    if last > (makers.len() + unknown) as u64 {
        let (makers, id) = (makers.len(), shown.expect("some operation has the highest revision"));
        let why = format!("revision {last} is shown; {makers} changes are known and {unknown} more are possible");
        return Err(Failure::Illegal(Illegal { operations: vec![id], why, layer: Layer::Revision }));
    }
    if let Some(id) = makers.get(&0) {
        let why = "a change has no revision of its own".to_string();
        return Err(Failure::Illegal(Illegal { operations: vec![*id], why, layer: Layer::Revision }));
    }
    viewers.sort_unstable();
    let mut viewers = viewers.into_iter().peekable();
    let mut steps = Vec::with_capacity(operations.len() + unknown);
    for revision in 0..=last {
        if revision > 0 {
            steps.push(makers.get(&revision).map_or(Step::Gap(revision), |id| Step::Known(*id)));
        }
        let seen = std::iter::from_fn(|| viewers.next_if(|(at, ..)| *at == revision));
        steps.extend(seen.map(|(.., id)| Step::Known(id)));
    }
    Ok(steps)
}

/// Whether an operation may have made a revision that nobody was answered for.
fn may_fill(operation: &Operation) -> bool {
    operation.outcome == Outcome::Unknown && !operation.is_read()
}

/// Checks the order of what is known against real time.
fn in_time(history: &History, steps: &[Step]) -> Result<(), Illegal> {
    let operations = history.operations();
    let mut latest: Option<usize> = None;
    for step in steps {
        let Step::Known(id) = *step else { continue };
        if let Some(before) = latest.filter(|before| operations[*before].earliest() > operations[id].deadline()) {
            let why = format!("by their revisions, {AFTER_ITS_END}");
            return Err(Illegal { operations: vec![before, id], why, layer: Layer::Revision });
        }
        if latest.is_none_or(|before| operations[before].earliest() < operations[id].earliest()) {
            latest = Some(id);
        }
    }
    Ok(())
}

/// What answers tell of a gap: keys whose last write it was, with the value if shown.
type Evidence<'a> = Vec<(&'a Data, Option<&'a Data>)>;

struct Search<'a> {
    replay: Replay<'a>,
    steps: Vec<Step>,
    /// For each gap: operations that may have made it, likeliest first.
    fillers: BTreeMap<u64, Vec<usize>>,
    used: Vec<bool>,
    order: Vec<usize>,
    open: Vec<Choice>,
    /// The farthest contradiction.
    farthest: Option<(usize, Illegal)>,
}

/// A gap with one of its fillers in place.
#[derive(Clone, Copy, Debug)]
struct Choice {
    /// Which step.
    step: usize,
    /// Which filler, as a place in its list.
    filler: usize,
    /// The state before it.
    mark: Mark,
}

impl<'a> Search<'a> {
    fn new(history: &'a History, steps: Vec<Step>) -> Self {
        let fillers = fillers(history, &steps);
        Self {
            replay: Replay::new(history),
            order: Vec::with_capacity(steps.len()),
            used: vec![false; history.operations().len()],
            open: Vec::new(),
            farthest: None,
            fillers,
            steps,
        }
    }

    fn run(mut self) -> Result<Vec<usize>, Failure> {
        let budget = STEPS_MIN.max(STEPS_PER_OPERATION * self.steps.len() as u64);
        while self.order.len() < self.steps.len() {
            let at = self.order.len();
            let advanced = match self.steps[at] {
                Step::Known(id) => self.known(at, id),
                Step::Gap(revision) => self.fill(at, revision, 0, self.replay.mark()),
            };
            if !advanced && !self.backtrack() {
                let (_, illegal) = self.farthest.expect("a search ends at a contradiction");
                return Err(Failure::Illegal(illegal));
            }
            if self.replay.steps > budget {
                let gaps = self.fillers.len();
                return Err(Failure::Undecided(format!("{gaps} revisions of unknown origin fit in too many ways")));
            }
        }
        Ok(self.order)
    }

    fn known(&mut self, at: usize, id: usize) -> bool {
        match self.replay.step(id) {
            Ok(()) => {
                self.order.push(id);
                true
            }
            Err(mismatch) => {
                self.contradiction(at, |search| search.explain(mismatch));
                false
            }
        }
    }

    /// Puts the first filler from `from` on that changes something into a gap.
    fn fill(&mut self, at: usize, revision: u64, from: usize, mark: Mark) -> bool {
        for filler in from..self.fillers[&revision].len() {
            let id = self.fillers[&revision][filler];
            if self.used[id] || self.tried_alike(revision, filler) {
                continue;
            }
            let fits = self.replay.step(id).is_ok();
            if fits && self.replay.store.revision() == revision {
                self.used[id] = true;
                self.order.push(id);
                self.open.push(Choice { step: at, filler, mark });
                return true;
            }
            self.replay.back_to(mark);
        }
        self.contradiction(at, |search| {
            let behind = search.steps[at..].iter().find_map(|step| match step {
                Step::Known(id) => Some(*id),
                Step::Gap(_) => None,
            });
            Illegal {
                operations: behind.into_iter().collect(),
                why: format!("revision {revision} is shown, and nothing can have made it"),
                layer: Layer::Revision,
            }
        });
        false
    }

    /// Whether an unused filler before this one asks for the same: trying both leads nowhere new.
    fn tried_alike(&self, revision: u64, filler: usize) -> bool {
        let operations = self.replay.history.operations();
        let fillers = &self.fillers[&revision];
        let request = &operations[fillers[filler]].request;
        fillers[..filler].iter().any(|id| !self.used[*id] && operations[*id].request == *request)
    }

    /// Takes the last choice back and makes the next one in its place; false if there is none left.
    fn backtrack(&mut self) -> bool {
        while let Some(Choice { step, filler, mark }) = self.open.pop() {
            let Step::Gap(revision) = self.steps[step] else { unreachable!("choices are made at gaps") };
            self.used[self.fillers[&revision][filler]] = false;
            self.order.truncate(step);
            self.replay.back_to(mark);
            if self.fill(step, revision, filler + 1, mark) {
                return true;
            }
        }
        false
    }

    fn explain(&self, mismatch: Mismatch) -> Illegal {
        mismatch.explain(self.replay.history, &self.order)
    }

    /// Remembers what went wrong farthest along: the best hint if nothing goes right.
    fn contradiction(&mut self, at: usize, illegal: impl FnOnce(&Self) -> Illegal) {
        if self.farthest.as_ref().is_none_or(|(farthest, _)| at > *farthest) {
            self.farthest = Some((at, illegal(self)));
        }
    }
}

/// For each gap: writes of unknown outcome that began early enough and write what answers show of its revision.
fn fillers(history: &History, steps: &[Step]) -> BTreeMap<u64, Vec<usize>> {
    let operations = history.operations();
    let mut gaps: BTreeMap<u64, (u64, Evidence<'_>)> = BTreeMap::new();
    let mut deadline = u64::MAX;
    for step in steps.iter().rev() {
        match step {
            Step::Known(id) => deadline = deadline.min(operations[*id].deadline()),
            Step::Gap(revision) => {
                gaps.insert(*revision, (deadline, Evidence::new()));
            }
        }
    }
    if gaps.is_empty() {
        return BTreeMap::new();
    }
    for operation in operations {
        collect(operation, &mut |revision, key, value| {
            if let Some((_, evidence)) = gaps.get_mut(&revision).filter(|(_, seen)| !seen.contains(&(key, value))) {
                evidence.push((key, value));
            }
        });
    }
    let unknown: Vec<usize> = (0..operations.len()).filter(|id| may_fill(&operations[*id])).collect();
    let suits = |id: &usize, deadline: u64, evidence: &Evidence<'_>| {
        let operation = &operations[*id];
        operation.began.event < deadline && evidence.iter().all(|(key, value)| writes(operation, key, *value))
    };
    let mut fillers: BTreeMap<u64, Vec<usize>> = (gaps.iter())
        .map(|(revision, (deadline, evidence))| {
            (*revision, unknown.iter().copied().filter(|id| suits(id, *deadline, evidence)).collect())
        })
        .collect();
    // Where nothing is shown, what fits nowhere else is the better guess.
    let mut wanted = vec![false; operations.len()];
    for (_, ids) in fillers.iter().filter(|(revision, _)| !gaps[*revision].1.is_empty()) {
        ids.iter().for_each(|id| wanted[*id] = true);
    }
    for (_, ids) in fillers.iter_mut().filter(|(revision, _)| gaps[*revision].1.is_empty()) {
        ids.sort_by_key(|id| wanted[*id]);
    }
    fillers
}

/// Reports what the answers of an operation say about who wrote what at which revision.
fn collect<'a>(operation: &'a Operation, report: &mut impl FnMut(u64, &'a Data, Option<&'a Data>)) {
    let Outcome::Done { answers, .. } = &operation.outcome else { return };
    for (verb, answer) in operation.request.iter().zip(answers) {
        match (verb, answer) {
            (Verb::Get { key }, Answer::Value { value, marks: Some(marks) }) => {
                report(marks.modified, key, Some(value));
                report(marks.created, key, None);
            }
            (Verb::Exists { key }, Answer::Exists { modified: Some(modified), .. })
            | (Verb::Cas { key, .. }, Answer::NotSwapped { modified: Some(modified) }) => {
                report(*modified, key, None);
            }
            (Verb::List { .. }, Answer::List { pairs, .. }) => {
                for (key, value, marks) in pairs {
                    if let Some(marks) = marks {
                        report(marks.modified, key, Some(value));
                        report(marks.created, key, None);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether an operation may write this key, and this value if one is given.
fn writes(operation: &Operation, key: &Data, value: Option<&Data>) -> bool {
    operation.request.iter().any(|verb| match verb {
        Verb::Put { key: written, value: new } | Verb::Cas { key: written, value: new, .. } => {
            written == key && value.is_none_or(|value| value == new)
        }
        _ => false,
    })
}

//! The order in which a cluster says that it executed requests, completed by the reads it did not log.
//!
//! A read names the revision it saw, so it goes behind the request that made that revision and before the next that
//! changes anything. Among those that change nothing at one revision, only real time matters: they go by their begins.
//! One that may be stale counts as begun before all else.

use super::{Replay, ledger::Ledger};
use crate::history::{
    History,
    numbers::{Fate, NO_REVISION},
};

/// Puts operations that are done but were not `executed` where the revision they saw says. No order of its own is
/// tried; whether the result holds is for [`super::certify`] to say.
pub fn order(history: &History, executed: &[usize]) -> Vec<usize> {
    let operations = &history.numbers().operations;
    let quick = Ledger::new(history).and_then(|mut ledger| {
        line_up(history, executed, |id| {
            ledger.step(&operations[id])?;
            Some(ledger.revision())
        })
    });
    quick.unwrap_or_else(|| {
        let mut replay = Replay::new(history);
        let slow = line_up(history, executed, |id| {
            // A mismatch is found again, and told, when the whole order is certified.
            let _ = replay.step(id);
            Some(replay.store.revision())
        });
        slow.expect("the model knows how to perform everything")
    })
}

/// `perform` performs an operation and returns the revision after it, if it knows how.
fn line_up(history: &History, executed: &[usize], mut perform: impl FnMut(usize) -> Option<u64>) -> Option<Vec<usize>> {
    let operations = &history.numbers().operations;
    let reads = Reads::new(history, executed);
    let mut taken = 0;
    let mut order = Vec::with_capacity(operations.len());
    // Where the operations that changed nothing since the last change begin.
    let (mut group, mut before) = (0, 0);
    let by_begin = |id: &usize| operations[*id].earliest;
    for &id in executed {
        let revision = perform(id)?;
        if revision != before {
            let seen = reads.up_to(before);
            order.extend(reads.ids[taken..seen].iter().map(|id| *id as usize));
            taken = seen;
            order[group..].sort_by_key(by_begin);
            order.push(id);
            group = order.len();
        } else {
            order.push(id);
        }
        before = revision;
    }
    order.extend(reads.ids[taken..].iter().map(|id| *id as usize));
    order[group..].sort_by_key(by_begin);
    Some(order)
}

/// What is done and was not executed, by the revision it saw.
struct Reads {
    ids: Vec<u32>,
    /// Of each revision that can have been made, how many saw it or one before it.
    ends: Vec<u32>,
}

impl Reads {
    fn new(history: &History, executed: &[usize]) -> Reads {
        let operations = &history.numbers().operations;
        let mut logged = vec![false; operations.len()];
        executed.iter().for_each(|id| logged[*id] = true);
        // No more revisions are made than requests are executed; whoever saw a later one comes last.
        let most = executed.len() as u64 + 1;
        let reads = || {
            (0..).zip(operations).zip(&logged).filter_map(|((id, operation), logged)| match operation.fate {
                Fate::Done(_) if *logged => None,
                Fate::Done(NO_REVISION) => Some((0, id)),
                Fate::Done(revision) => Some((revision.min(most) as usize, id)),
                Fate::NotDone | Fate::Unknown => None,
            })
        };
        let mut ends = vec![0; most as usize + 1];
        reads().for_each(|(revision, _)| ends[revision] += 1);
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut ids = vec![0; begin as usize];
        for (revision, id) in reads() {
            ids[ends[revision] as usize] = id;
            ends[revision] += 1;
        }
        Reads { ids, ends }
    }

    /// How many saw this revision or one before it.
    fn up_to(&self, revision: u64) -> usize {
        self.ends[revision as usize] as usize
    }
}

//! The order in which a cluster says that it executed requests, completed by the reads it did not log.
//!
//! A read names the revision it saw, so it goes behind the request that made that revision and before the next that
//! changes anything. Among those that change nothing at one revision, only real time matters: they go by their begins.
//! One that may be stale counts as begun before all else.

use super::{Replay, ledger::Ledger};
use crate::history::{History, Outcome};

/// Puts operations that are done but were not `executed` where the revision they saw says. No order of its own is
/// tried; whether the result holds is for [`super::certify`] to say.
pub fn order(history: &History, executed: &[usize]) -> Vec<usize> {
    let mut ledger = Ledger::new(history);
    let quick = line_up(history, executed, |id| {
        ledger.step(&history.operations()[id])?;
        Some(ledger.revision())
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
    let operations = history.operations();
    let mut logged = vec![false; operations.len()];
    for &id in executed {
        logged[id] = true;
    }
    let mut reads: Vec<(u64, usize)> = (operations.iter().enumerate())
        .filter(|(id, _)| !logged[*id])
        .filter_map(|(id, operation)| match &operation.outcome {
            Outcome::Done { revision, .. } => Some((revision.unwrap_or(0), id)),
            _ => None,
        })
        .collect();
    reads.sort_unstable();
    let mut reads = reads.into_iter().peekable();
    let mut order = Vec::with_capacity(operations.len());
    // Where the operations that changed nothing since the last change begin.
    let (mut group, mut before) = (0, 0);
    let by_begin = |id: &usize| operations[*id].earliest();
    for &id in executed {
        let revision = perform(id)?;
        if revision != before {
            order.extend(std::iter::from_fn(|| reads.next_if(|(at, _)| *at <= before)).map(|(_, id)| id));
            order[group..].sort_by_key(by_begin);
            order.push(id);
            group = order.len();
        } else {
            order.push(id);
        }
        before = revision;
    }
    order.extend(reads.map(|(_, id)| id));
    order[group..].sort_by_key(by_begin);
    Some(order)
}

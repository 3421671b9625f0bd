//! The end of a run: is what clients were told linearizable?
//!
//! The order in which requests took effect, as the ghost saw it, is the first thing tried: if it replays against the
//! model, the clients' answers and real time, it is a proof, and cheap. A few percent of the runs, and every run whose
//! order does not replay, are judged by what clients saw alone.

use super::World;
use crate::{
    choice::Stream,
    linearize::{Verdict, judge, judge_with_witness},
    oracle::Oracle,
    outcome::Counter,
};
use std::collections::BTreeMap;

/// Chance, per million, that a run is judged without the order of execution.
const BLACK_BOX: u32 = 30_000;

impl World {
    /// Judges the history of a run in which nothing else was found.
    pub(super) fn judge(&mut self) {
        self.outcome.checks.count(Oracle::Linearizability);
        let verdict = if self.choose.chance(BLACK_BOX, Stream::Sample, &[2]) {
            judge(&self.history)
        } else {
            let executed = self.executed();
            judge_with_witness(&self.history, &executed)
        };
        match verdict {
            Verdict::Ok { .. } => {}
            Verdict::Illegal(illegal) => {
                let text = illegal.describe(&self.history);
                self.object(Oracle::Linearizability, text);
            }
            Verdict::Unknown { .. } => self.outcome.counters.count(Counter::Undecided),
        }
    }

    /// The operations that took effect, in the order of the log.
    fn executed(&mut self) -> Vec<usize> {
        let keyed = self.records.iter().enumerate().filter_map(|(place, record)| Some((record.key?, place)));
        let by_key: BTreeMap<_, usize> = keyed.collect();
        let order = self.ghost().order();
        order.iter().filter_map(|taken| by_key.get(&(taken.session, taken.sequence)).copied()).collect()
    }
}

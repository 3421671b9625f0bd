//! What a run has shown, for people and for programs.

use super::{load::Counts, plan::Fault, trouble::Bite};
use crate::{
    arguments::{Format, Global},
    exit::Failure,
    say::{data, line},
    verbs::columns,
};
use ios_core::time::{Span, Time};
use serde_json::{Value, json};
use sim::{
    history::History,
    linearize::{Verdict, judge},
};
use std::path::PathBuf;

/// One fault: when it began, when the cluster had got over it, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Round {
    /// Which.
    pub fault: Fault,
    /// When it began.
    pub began: Time,
    /// When all was well again.
    pub over: Time,
    /// What came of it.
    pub bite: Bite,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// Everything is as promised.
    Ok,
    /// A promise was broken, or may have been.
    Violation(String),
    /// All that was seen is as promised, and not every fault took effect, though that was required.
    Toothless(String),
    /// Somebody ended it early; all that was seen is as promised.
    Stopped,
}

/// A run that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What decided.
    pub seed: u64,
    /// Members.
    pub nodes: u8,
    /// From the first fault until all was well.
    pub lasted: Span,
    /// Which faults might strike.
    pub faults: Vec<Fault>,
    /// Those that did, in order.
    pub rounds: Vec<Round>,
    /// Operations by outcome.
    pub counts: Counts,
    /// The longest time in which nothing was answered that takes a quorum, and when it ended.
    pub longest_gap: (Span, Time),
    /// The longest time from the end of a fault until clients were answered again.
    pub longest_recovery: Span,
    /// How many keys were put once and for all.
    pub kept: usize,
    /// What the checker says, and how many operations it judged.
    pub judged: String,
    /// How it ended.
    pub end: End,
    /// Where everything is kept, if it is.
    pub kept_in: Option<PathBuf>,
}

/// How often a fault was tried and took effect, and the last thing said of it.
struct Tried<'r> {
    tried: usize,
    bitten: usize,
    last: &'r str,
}

/// What the checker says of a history, in a sentence; an error is a violation, or one that cannot be ruled out.
pub fn judged(history: &History) -> Result<String, String> {
    let operations = history.operations().len();
    match judge(history) {
        Verdict::Ok { layer, .. } => Ok(format!("{operations} operations are linearizable, by {layer}")),
        Verdict::Illegal(illegal) => Err(format!("the history is not linearizable: {}", illegal.describe(history))),
        Verdict::Unknown { why } => Err(format!("it cannot be decided whether the history is linearizable: {why}")),
    }
}

impl Report {
    /// The faults that were not seen to take effect, each with why.
    pub fn toothless(&self) -> Vec<String> {
        let without =
            self.faults.iter().map(|fault| (fault, self.tried(*fault))).filter(|(_, tried)| tried.bitten == 0);
        without.map(|(fault, tried)| format!("{fault} ({})", tried.last)).collect()
    }

    /// Prints it.
    pub fn print(&self, global: &Global) -> Result<(), Failure> {
        match global.output.unwrap_or(Format::Table) {
            Format::Json => line(self.to_json()),
            Format::Table | Format::Simple => data(self.to_text().as_bytes()),
        }
    }

    fn tried(&self, fault: Fault) -> Tried<'_> {
        let rounds = || self.rounds.iter().filter(|round| round.fault == fault);
        let tried = rounds().filter(|round| !matches!(round.bite, Bite::Skipped(_))).count();
        let bitten = rounds().filter(|round| matches!(round.bite, Bite::Bitten(_))).count();
        let last = rounds().next_back().map_or("its turn did not come", |round| match &round.bite {
            Bite::Bitten(told) | Bite::Missed(told) | Bite::Skipped(told) => told,
        });
        Tried { tried, bitten, last }
    }

    /// How many faults were tried.
    fn struck(&self) -> usize {
        self.rounds.iter().filter(|round| !matches!(round.bite, Bite::Skipped(_))).count()
    }

    /// The fault in or after which nothing was answered for longest.
    fn gap_cause(&self) -> Option<Fault> {
        let ended = self.longest_gap.1;
        self.rounds.iter().rfind(|round| round.began <= ended).map(|round| round.fault)
    }

    fn to_text(&self) -> String {
        let row = |fault: &Fault| {
            let Tried { tried, bitten, last } = self.tried(*fault);
            vec![fault.to_string(), tried.to_string(), bitten.to_string(), last.to_owned()]
        };
        let rows: Vec<Vec<String>> = self.faults.iter().map(row).collect();
        let Counts { done, not_done, unknown } = self.counts;
        let gap_cause = self.gap_cause().map_or(String::new(), |fault| format!(", at {fault}"));
        let mut text = columns(&["FAULT", "TRIED", "TOOK EFFECT", "LAST"], &rows);
        text += &format!(
            "\n{} members, {} faults in {}, seed {}\noperations: {done} done, {not_done} not done, {unknown} unknown\n\
             longest time without an answer: {}{gap_cause}; after the end of a fault: {}\n\
             keys that were acknowledged and never written again: {}\nhistory: {}\n",
            self.nodes,
            self.struck(),
            seconds(self.lasted),
            self.seed,
            seconds(self.longest_gap.0),
            seconds(self.longest_recovery),
            self.kept,
            self.judged,
        );
        text += &match &self.end {
            End::Ok => "verdict: ok\n".to_owned(),
            End::Stopped => "verdict: ok as far as it went; stopped early\n".to_owned(),
            End::Toothless(why) => format!("verdict: not enough was tried: {why}\n"),
            End::Violation(why) => format!("verdict: VIOLATION: {why}\n"),
        };
        if let Some(kept_in) = &self.kept_in {
            text += &format!("directories, logs and history.jsonl are in {}\n", kept_in.display());
        }
        text
    }

    fn to_json(&self) -> Value {
        let fault = |fault: &Fault| {
            let Tried { tried, bitten, last } = self.tried(*fault);
            json!({"name": fault.name(), "tried": tried, "bitten": bitten, "last": last})
        };
        let (verdict, why) = match &self.end {
            End::Ok => ("ok", None),
            End::Stopped => ("stopped", None),
            End::Toothless(why) => ("toothless", Some(why)),
            End::Violation(why) => ("violation", Some(why)),
        };
        json!({
            "seed": self.seed,
            "members": self.nodes,
            "lasted_ns": self.lasted.0,
            "faults": self.faults.iter().map(fault).collect::<Vec<_>>(),
            "rounds": self.struck(),
            "done": self.counts.done,
            "not_done": self.counts.not_done,
            "unknown": self.counts.unknown,
            "longest_gap_ns": self.longest_gap.0.0,
            "longest_gap_at": self.gap_cause().map(Fault::name),
            "longest_recovery_ns": self.longest_recovery.0,
            "kept": self.kept,
            "judged": self.judged,
            "verdict": verdict,
            "why": why,
            "kept_in": self.kept_in,
        })
    }
}

/// A length of time for people.
pub fn seconds(span: Span) -> String {
    format!("{:.1} s", span.0 as f64 / 1e9)
}

#[cfg(test)]
mod tests;

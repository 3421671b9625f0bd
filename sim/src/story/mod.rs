//! A run as a story: which faults mattered, what happened in sentences, and what went wrong.
//!
//! What mattered is found out by trying: a line of the scenario mattered if the run no longer fails in the same way
//! without it. The rest of the story leaves out what every run has (heartbeats, syncs, each single acceptance) and sums
//! up what lies between two events worth a sentence ([`narrator`]).

mod narrator;

use crate::{
    guard::run_caught,
    outcome::Outcome,
    scenario::Scenario,
    shrink::Draft,
    world::{self, World},
};
use narrator::Narrator;

/// More lines than that are not tried one by one: such a scenario wants shrinking first.
const TRIED_MAX: usize = 64;

/// A run, told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Story {
    /// The story, several paragraphs of plain text.
    pub text: String,
    /// What the run came to.
    pub outcome: Outcome,
}

/// Runs a scenario and tells its story. `name` is what the story calls it.
pub fn tell(name: &str, scenario: &Scenario) -> Story {
    let (narrator, outcome) = world::listen(scenario, Narrator::new(scenario), Narrator::hear);
    let mut text = setting(name, scenario);
    text += &mattered(scenario, &outcome);
    text += "\nWhat happened\n";
    text += &narrator.end();
    text += &verdict(&outcome);
    Story { text, outcome }
}

fn setting(name: &str, scenario: &Scenario) -> String {
    let cluster = &scenario.cluster;
    format!(
        "{name}: {} ({}, window {}), {}, seed {}\n",
        counted(u64::from(cluster.nodes), "member"),
        cluster.quorum,
        cluster.window,
        counted(u64::from(cluster.clients), "client"),
        scenario.seed
    )
}

/// Which lines of the scenario the failure needs.
fn mattered(scenario: &Scenario, outcome: &Outcome) -> String {
    let Some(violation) = &outcome.violation else { return String::new() };
    let mut text = format!("\nWhat went wrong\n  {violation}\n\nWhat mattered\n");
    let draft = Draft::of(scenario);
    let lines = draft.lines();
    if lines.len() > TRIED_MAX {
        return text + &format!("  {} lines are too many to try one by one: `sim shrink` first.\n", lines.len());
    }
    let mut world = World::default();
    let same = (violation.oracle, violation.property());
    let mut fails_without = |line: usize| {
        let Some(without) = draft.without_lines(&[line]).read() else { return false };
        let violation = run_caught(&mut |scenario| world.run(scenario), &without).violation;
        violation.is_some_and(|violation| (violation.oracle, violation.property()) == same)
    };
    let needed: Vec<usize> = lines.into_iter().filter(|line| !fails_without(*line)).collect();
    if needed.is_empty() {
        text += "  No single line of the scenario: whichever is taken out, the same property is violated.\n";
    }
    for line in needed {
        text += &format!("  Without this line all is well, or something else fails: {}\n", draft.line(line));
    }
    text
}

fn verdict(outcome: &Outcome) -> String {
    let end = moment(outcome.ended);
    match &outcome.violation {
        Some(violation) => {
            format!("  {} VIOLATION of {}: {}\n", moment(violation.time), violation.oracle, violation.text)
        }
        None => format!("  {end} The run ends. No property was violated.\n"),
    }
}

/// A time in a column of its own.
fn moment(time: ios_core::time::Time) -> String {
    format!("{:>9}.{:03} ms ", time.0 / 1_000_000, time.0 / 1000 % 1000)
}

/// `1 member`, `3 members`.
fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;

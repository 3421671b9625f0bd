//! What became of the planted bugs, as the page `sim/PLANTED.md`.
//!
//! A row says all there is to say of its bug, and reads back: who renews some rows keeps the others.

use super::Trial;
use std::collections::BTreeMap;

const HEAD: &str = "\
# Planted bugs

Made by `cargo run --release -p sim -- planted --table sim/PLANTED.md`, which with names of bugs renews their rows only;
not to be edited by hand.

Each bug is a file in `sim/planted/`. It is built into a copy of the tree, and three campaigns from different first
seeds run on one core until each has caught it. Seeds and seconds are the medians of the three, building not counted;
*caught by* names the oracles that were the first to notice. `sim/src/planted/mod.rs` says how it works.
";

const TABLE: &str = "\
| bug | what is wrong | where it happened | caught by | seeds | seconds |
| --- | --- | --- | --- | ---: | ---: |
";

const HARMLESS: &str = "\n## Harmless variants\n\nChanges that break no property: every seed must stay green.\n\n";

/// Who notices what is harmless.
const NOBODY: &str = "nobody";
/// What the cell begins with where something is not as it should be.
const WRONG: &str = "WRONG: ";

/// One line of the table.
#[derive(Clone, PartialEq, Debug)]
struct Row {
    name: String,
    /// What is wrong, and where it happened.
    told: [String; 2],
    caught: String,
    seeds: u64,
    seconds: f64,
}

impl Row {
    fn of(trial: &Trial) -> Self {
        let cell = |text: &str| text.trim().replace('|', "/").replace('\n', " ");
        let told = [cell(&trial.spec.about), cell(&trial.spec.history)];
        let name = trial.spec.name.clone();
        Self { name, told, caught: caught(trial), seeds: trial.median_seeds(), seconds: trial.median_seconds() }
    }

    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = line.split(" | ").collect();
        let [name, about, history, caught, seeds, seconds] = cells[..] else { return None };
        let (seeds, seconds) = (seeds.parse().ok()?, seconds.parse().ok()?);
        Some(Self { name: name.into(), told: [about.into(), history.into()], caught: caught.into(), seeds, seconds })
    }

    fn line(&self) -> String {
        let Self { name, told: [about, history], caught, seeds, seconds } = self;
        format!("| {name} | {about} | {history} | {caught} | {seeds} | {seconds:.2} |\n")
    }
}

/// One line on a trial, for whoever waits.
pub fn verdict(trial: &Trial) -> String {
    let (seeds, seconds) = (trial.median_seeds(), trial.median_seconds());
    format!("{}: {} ({seeds} seeds, {seconds:.2} s)", trial.spec.name, caught(trial))
}

/// The whole page: a row for each trial, and what the page said `before` of others that there still is a file for.
pub fn page(trials: &[Trial], before: &str, exists: impl Fn(&str) -> bool) -> String {
    let kept = before.lines().filter_map(Row::parse).filter(|row| exists(&row.name));
    let rows = kept.chain(trials.iter().map(Row::of)).map(|row| (row.name.clone(), row));
    let rows: BTreeMap<String, Row> = rows.collect();
    let (harmless, bugs): (Vec<&Row>, Vec<&Row>) = rows.values().partition(|row| row.name.starts_with("harmless-"));
    let lines = |rows: &[&Row]| rows.iter().map(|row| row.line()).collect::<String>();
    let well = bugs.iter().filter(|row| !row.caught.starts_with(WRONG)).count();
    let (seeds, seconds) = medians(&bugs);
    let summary =
        format!("{well} of {} bugs are caught; the median bug takes {seeds} seeds and {seconds:.2} s.", bugs.len());
    format!("{HEAD}\n{summary}\n\n{TABLE}{}{HARMLESS}{TABLE}{}", lines(&bugs), lines(&harmless))
}

/// The oracles that fired, each once, in the order of the campaigns; or what is not as it should be.
fn caught(trial: &Trial) -> String {
    if let Some(problem) = trial.problem() {
        return format!("{WRONG}{problem}");
    }
    let mut names: Vec<&str> = Vec::new();
    for oracle in trial.oracles() {
        if !names.contains(&oracle) {
            names.push(oracle);
        }
    }
    if names.is_empty() { NOBODY.into() } else { names.join(", ") }
}

fn medians(rows: &[&Row]) -> (u64, f64) {
    let mut seeds: Vec<u64> = rows.iter().map(|row| row.seeds).collect();
    let mut seconds: Vec<f64> = rows.iter().map(|row| row.seconds).collect();
    seeds.sort_unstable();
    seconds.sort_by(f64::total_cmp);
    let middle = rows.len() / 2;
    (seeds.get(middle).copied().unwrap_or(0), seconds.get(middle).copied().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::{super::bench::tests::trial, *};

    #[test]
    fn the_page_has_a_row_for_each_and_keeps_those_that_were_not_run_again() {
        let trials = [
            trial("one", &["commit"], &[(9, 3.0, Some("commit")), (7, 1.0, Some("commit"))]),
            trial("two", &["commit"], &[(100, 4.0, None)]),
            trial("harmless-three", &[], &[(100, 4.0, None)]),
        ];
        let first = page(&trials, "", |_| true);
        assert!(first.contains("1 of 2 bugs are caught; the median bug takes 100 seeds and 4.00 s."), "{first}");
        assert!(first.contains("| one | It is wrong. | A / family. | commit | 9 | 3.00 |"), "{first}");
        assert!(first.contains("| WRONG: caught in 0 campaigns, missed in the next | 100 |"), "{first}");
        assert!(first.ends_with("| harmless-three | It is wrong. | A / family. | nobody | 100 | 4.00 |\n"), "{first}");
        assert_eq!(page(&[], &first, |_| true), first, "a page reads back");

        let again = [trial("two", &["commit"], &[(5, 1.0, Some("commit"))])];
        let second = page(&again, &first, |name| name != "harmless-three");
        assert!(second.contains("2 of 2 bugs are caught; the median bug takes 9 seeds and 3.00 s."), "{second}");
        assert!(!second.contains("harmless-three"), "{second}");
        assert_eq!(verdict(&trials[0]), "one: commit (9 seeds, 3.00 s)");
        assert!(verdict(&trials[1]).contains("two: WRONG: caught in 0 campaigns"));
    }
}

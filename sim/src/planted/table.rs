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
*caught by* names the oracles that were the first to notice. The first failing scenario is then made small, and seen to
fail by the same oracle: *lines* is how many directives are left, *to shrink* how many seconds that took.
`sim/src/planted/mod.rs` says how it works.
";

const TABLE: &str = "\
| bug | what is wrong | where it happened | caught by | seeds | seconds | lines | to shrink |
| --- | --- | --- | --- | ---: | ---: | ---: | ---: |
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
    /// Lines of the small scenario, and the seconds it took; where something was caught.
    small: Option<(usize, f64)>,
}

impl Row {
    fn of(trial: &Trial) -> Self {
        let cell = |text: &str| text.trim().replace('|', "/").replace('\n', " ");
        let told = [cell(&trial.spec.about), cell(&trial.spec.history)];
        let name = trial.spec.name.clone();
        let small = trial.small.as_ref().map(|small| (small.lines, small.seconds));
        Self { name, told, caught: caught(trial), seeds: trial.median_seeds(), seconds: trial.median_seconds(), small }
    }

    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = line.split(" | ").collect();
        let [name, about, history, caught, seeds, seconds, lines, shrinking] = cells[..] else { return None };
        let (seeds, seconds) = (seeds.parse().ok()?, seconds.parse().ok()?);
        let small = lines.parse().ok().zip(shrinking.parse().ok());
        let told = [about.into(), history.into()];
        Some(Self { name: name.into(), told, caught: caught.into(), seeds, seconds, small })
    }

    fn line(&self) -> String {
        let Self { name, told: [about, history], caught, seeds, seconds, small } = self;
        let small = small.map_or_else(|| "- | -".to_string(), |(lines, seconds)| format!("{lines} | {seconds:.2}"));
        format!("| {name} | {about} | {history} | {caught} | {seeds} | {seconds:.2} | {small} |\n")
    }
}

/// One line on a trial, for whoever waits.
pub fn verdict(trial: &Trial) -> String {
    let (seeds, seconds) = (trial.median_seeds(), trial.median_seconds());
    let small = trial.small.as_ref().map(|small| format!("; {} lines in {:.2} s", small.lines, small.seconds));
    let small = small.unwrap_or_default();
    format!("{}: {} ({seeds} seeds, {seconds:.2} s{small})", trial.spec.name, caught(trial))
}

/// The whole page: a row for each trial, and what the page said `before` of others that there still is a file for.
pub fn page(trials: &[Trial], before: &str, exists: impl Fn(&str) -> bool) -> String {
    let kept = before.lines().filter_map(Row::parse).filter(|row| exists(&row.name));
    let rows = kept.chain(trials.iter().map(Row::of)).map(|row| (row.name.clone(), row));
    let rows: BTreeMap<String, Row> = rows.collect();
    let (harmless, bugs): (Vec<&Row>, Vec<&Row>) = rows.values().partition(|row| row.name.starts_with("harmless-"));
    let lines = |rows: &[&Row]| rows.iter().map(|row| row.line()).collect::<String>();
    let well = bugs.iter().filter(|row| !row.caught.starts_with(WRONG)).count();
    let seeds = median(bugs.iter().map(|row| row.seeds as f64));
    let seconds = median(bugs.iter().map(|row| row.seconds));
    let small = |part: fn(&(usize, f64)) -> f64| median(bugs.iter().filter_map(|row| row.small.as_ref().map(part)));
    let summary = format!(
        "{well} of {} bugs are caught; the median bug takes {seeds} seeds and {seconds:.2} s, and shrinks to {} lines \
         in {:.2} s.",
        bugs.len(),
        small(|(lines, _)| *lines as f64),
        small(|(_, seconds)| *seconds)
    );
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

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
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
        assert!(
            first.contains(
                "1 of 2 bugs are caught; the median bug takes 100 seeds and 4.00 s, and shrinks to 7 lines in 1.50 s."
            ),
            "{first}"
        );
        assert!(first.contains("| one | It is wrong. | A / family. | commit | 9 | 3.00 | 7 | 1.50 |"), "{first}");
        assert!(first.contains("| WRONG: caught in 0 campaigns, missed in the next | 100 |"), "{first}");
        assert!(
            first.ends_with("| harmless-three | It is wrong. | A / family. | nobody | 100 | 4.00 | - | - |\n"),
            "{first}"
        );
        assert_eq!(page(&[], &first, |_| true), first, "a page reads back");

        let again = [trial("two", &["commit"], &[(5, 1.0, Some("commit"))])];
        let second = page(&again, &first, |name| name != "harmless-three");
        assert!(
            second.contains(
                "2 of 2 bugs are caught; the median bug takes 9 seeds and 3.00 s, and shrinks to 7 lines in 1.50 s."
            ),
            "{second}"
        );
        assert!(!second.contains("harmless-three"), "{second}");
        assert_eq!(verdict(&trials[0]), "one: commit (9 seeds, 3.00 s; 7 lines in 1.50 s)");
        assert!(verdict(&trials[1]).contains("two: WRONG: caught in 0 campaigns"));
    }
}

//! What is printed: one run for people, a campaign for people and for scripts.

use crate::{
    marks::Mark,
    oracle::Oracle,
    outcome::{Counter, CounterKind, Outcome, Sent},
    scenario::{Expect, Scenario},
    sweep::{Campaign, Shard},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    ops::Range,
};

/// One run: what was injected, what happened, what was checked, and the verdict.
pub fn run(name: &str, scenario: &Scenario, outcome: &Outcome) -> String {
    let mut text = String::new();
    head(&mut text, name, scenario).expect("a string takes all");
    for (place, line) in scenario.plan.iter().enumerate() {
        // The generated workload is not in the plan, so what is left unsaid here did not happen.
        let mark = if outcome.fired.get(place).copied().unwrap_or(false) { "did " } else { "not " };
        writeln!(text, "  {mark} {line}").expect("a string takes all");
    }
    for (place, over) in scenario.overrides.iter().enumerate() {
        let mark = if outcome.used.get(place).copied().unwrap_or(false) { "did " } else { "not " };
        writeln!(text, "  {mark} {over}").expect("a string takes all");
    }
    counts(&mut text, outcome, false).expect("a string takes all");
    let verdict = match &outcome.violation {
        None => "ok".to_string(),
        Some(violation) => format!("VIOLATION of {violation}"),
    };
    write!(
        text,
        "verdict {verdict}\n        {} events, {} operations, {} checks, {} of simulated time, digest {:016x}\n",
        outcome.events,
        outcome.operations,
        outcome.checks.total(),
        rounded(outcome.ended.0),
        outcome.digest,
    )
    .expect("a string takes all");
    text
}

fn head(text: &mut String, name: &str, scenario: &Scenario) -> fmt::Result {
    let cluster = &scenario.cluster;
    writeln!(
        text,
        "{name}: {} nodes, quorum {}, window {}, {} clients, {} generated operations, seed {}",
        cluster.nodes, cluster.quorum, cluster.window, cluster.clients, scenario.workload.ops, scenario.seed
    )?;
    let settings = scenario.to_string();
    for line in settings.lines().filter(|line| {
        ["network ", "client-network ", "disk ", "clocks "].iter().any(|directive| line.starts_with(directive))
    }) {
        writeln!(text, "  {line}")?;
    }
    Ok(())
}

/// Milliseconds are precise enough for people.
fn rounded(nanos: u64) -> String {
    format!("{}.{:03} s", nanos / 1_000_000_000, nanos / 1_000_000 % 1000)
}

fn counts(text: &mut String, outcome: &Outcome, zeros: bool) -> fmt::Result {
    let Outcome { counters, sent, checks, .. } = outcome;
    for (kind, title) in
        [(CounterKind::Fault, "injected"), (CounterKind::Protocol, "happened"), (CounterKind::Client, "clients")]
    {
        let of_kind = counters.iter().filter(|(counter, count)| counter.kind() == kind && (zeros || *count > 0));
        columns(text, title, of_kind.map(|(counter, count)| (counter.name(), count)))?;
    }
    columns(text, "sent", sent.iter().filter(|(_, count)| zeros || *count > 0))?;
    columns(
        text,
        "checks",
        checks.iter().filter(|(_, count)| zeros || *count > 0).map(|(oracle, n)| (oracle.name(), n)),
    )
}

/// Three pairs of name and number a line.
fn columns<'a>(text: &mut String, title: &str, pairs: impl Iterator<Item = (&'a str, u64)>) -> fmt::Result {
    let cells: Vec<String> = pairs.map(|(name, count)| format!("{name:<24}{count:>9}")).collect();
    if cells.is_empty() {
        return writeln!(text, "{title:<9} nothing");
    }
    for (row, chunk) in cells.chunks(3).enumerate() {
        writeln!(text, "{:<9} {}", if row == 0 { title } else { "" }, chunk.join("   "))?;
    }
    Ok(())
}

/// What went wrong in one run of a campaign.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violated {
    /// The seed.
    pub seed: u64,
    /// The oracle's name.
    pub oracle: String,
    /// The file that replays it.
    pub scenario: String,
    /// A small file that fails in the same way, if one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<String>,
}

impl fmt::Display for Violated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.small.as_ref().map_or_else(String::new, |small| format!(", and made small as {small}"));
        write!(f, "{}{small}", self.scenario)
    }
}

/// A campaign as scripts see it. The keys are stable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Runs.
    pub clusters: u64,
    /// Agenda items taken.
    pub events: u64,
    /// Client operations begun.
    pub operations: u64,
    /// What failed, by seed.
    pub violations: Vec<Violated>,
    /// Every [`Counter`] by name, and `check_ORACLE` for how often each oracle looked.
    pub counters: BTreeMap<String, u64>,
    /// In how many runs each situation was met, by the name of its [`Mark`].
    #[serde(default)]
    pub marks: BTreeMap<String, u64>,
    /// Which seeds, as `A..B`.
    pub seeds: String,
    /// Which shards of them, as `K/M`; several joined as `K+L/M`.
    pub shard: String,
    /// Real seconds; of joined reports, of the longest.
    pub wall_s: f64,
    /// Events per real second, on all threads together.
    pub events_per_s: f64,
    /// The share of the time that checking took, of a few runs; of joined reports, of the first that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checking_share: Option<f64>,
    /// The order-free digest, in hexadecimal.
    pub digest: String,
}

impl Summary {
    /// The summary of a campaign, with the files in which its failures are saved.
    pub fn new(campaign: &Campaign, seeds: &Range<u64>, shard: Shard, wall_s: f64, violations: Vec<Violated>) -> Self {
        let counters = campaign.counters.iter().map(|(counter, count)| (counter.name().to_string(), count));
        let sent = campaign.sent.iter().map(|(kind, count)| (sent_name(kind), count));
        let checks = campaign.checks.iter().map(|(oracle, count)| (check_name(oracle), count));
        Self {
            clusters: campaign.clusters,
            events: campaign.events,
            operations: campaign.operations,
            violations,
            counters: counters.chain(sent).chain(checks).collect(),
            marks: campaign.met.iter().map(|(mark, runs)| (mark.name().to_string(), runs)).collect(),
            seeds: format!("{}..{}", seeds.start, seeds.end),
            shard: format!("{}/{}", shard.index, shard.of),
            wall_s,
            events_per_s: rate(campaign.events, wall_s),
            checking_share: None,
            digest: format!("{:016x}", campaign.digest),
        }
    }

    /// Adds the report of a chunk of the same shard, which was run before or after what is in here.
    pub fn append(&mut self, chunk: &Summary) -> Result<(), String> {
        self.wall_s += chunk.wall_s;
        self.add(chunk)?;
        self.events_per_s = rate(self.events, self.wall_s);
        Ok(())
    }

    /// Joins the reports of shards of one campaign.
    pub fn merge(parts: Vec<Summary>) -> Result<Summary, String> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().ok_or("there is nothing to join")?;
        for part in parts {
            whole.join(part)?;
        }
        let (mut shards, of) = shards(&whole.shard)?;
        shards.sort_unstable();
        if let Some(twice) = shards.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("shard {}/{of} is given twice", twice[0]));
        }
        whole.shard = if shards.len() as u64 == of {
            "0/1".into()
        } else {
            let names: Vec<String> = shards.iter().map(u64::to_string).collect();
            format!("{}/{of}", names.join("+"))
        };
        whole.violations.sort_by_key(|violation| violation.seed);
        whole.events_per_s = rate(whole.events, whole.wall_s);
        Ok(whole)
    }

    fn join(&mut self, other: Summary) -> Result<(), String> {
        if self.seeds != other.seeds {
            return Err(format!("seeds {} and {} are different campaigns", self.seeds, other.seeds));
        }
        let ((mine, of), (theirs, others_of)) = (shards(&self.shard)?, shards(&other.shard)?);
        if of != others_of {
            return Err(format!("shards {} and {} divide the seeds differently", self.shard, other.shard));
        }
        let all: Vec<String> = mine.iter().chain(&theirs).map(u64::to_string).collect();
        self.shard = format!("{}/{of}", all.join("+"));
        self.wall_s = self.wall_s.max(other.wall_s);
        self.add(&other)
    }

    fn add(&mut self, other: &Summary) -> Result<(), String> {
        self.clusters += other.clusters;
        self.events += other.events;
        self.operations += other.operations;
        self.violations.extend(other.violations.iter().cloned());
        self.checking_share = self.checking_share.or(other.checking_share);
        for (mine, theirs) in [(&mut self.counters, &other.counters), (&mut self.marks, &other.marks)] {
            for (name, count) in theirs {
                *mine.entry(name.clone()).or_default() += count;
            }
        }
        self.digest = format!("{:016x}", digest(&self.digest)?.wrapping_add(digest(&other.digest)?));
        Ok(())
    }

    /// The summary for people.
    pub fn text(&self) -> String {
        let count = |name: &str| self.counters.get(name).copied().unwrap_or(0);
        let mut text = format!(
            "seeds {}, shard {}: {} clusters, {} events, {} operations\n",
            self.seeds, self.shard, self.clusters, self.events, self.operations
        );
        let mut table = |title: &str, names: &mut dyn Iterator<Item = (&'static str, String)>| {
            let pairs: Vec<_> = names.map(|(name, key)| (name, count(&key))).collect();
            columns(&mut text, title, pairs.into_iter()).expect("a string takes all");
        };
        for (kind, title) in
            [(CounterKind::Fault, "injected"), (CounterKind::Protocol, "happened"), (CounterKind::Client, "clients")]
        {
            let of_kind = Counter::ALL.iter().filter(|counter| counter.kind() == kind);
            table(title, &mut of_kind.map(|counter| (counter.name(), counter.name().to_string())));
        }
        table("sent", &mut Sent::default().iter().map(|(kind, _)| (kind, sent_name(kind))));
        table("checks", &mut Oracle::ALL.iter().map(|oracle| (oracle.name(), check_name(*oracle))));
        for violation in &self.violations {
            let Violated { seed, oracle, .. } = violation;
            writeln!(text, "seed {seed}: VIOLATION of {oracle}, saved as {violation}").expect("a string takes all");
        }
        writeln!(
            text,
            "verdict {}\n        {:.1} s, {:.0} events/s, {:.0} clusters/s{}, digest {}",
            if self.violations.is_empty() { "ok".into() } else { format!("{} VIOLATIONS", self.violations.len()) },
            self.wall_s,
            self.events_per_s,
            rate(self.clusters, self.wall_s),
            self.checking_share.map_or(String::new(), |share| format!(", checking {:.1} % of the time", share * 100.0)),
            self.digest
        )
        .expect("a string takes all");
        text
    }
}

fn sent_name(kind: &str) -> String {
    format!("sent_{kind}")
}

fn check_name(oracle: Oracle) -> String {
    format!("check_{}", oracle.name().replace('-', "_"))
}

fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds).round() } else { 0.0 }
}

fn digest(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| format!("\"{text}\" is no digest"))
}

fn shards(text: &str) -> Result<(Vec<u64>, u64), String> {
    let parsed = text.split_once('/').and_then(|(indexes, of)| {
        let indexes: Option<Vec<u64>> = indexes.split('+').map(|index| index.parse().ok()).collect();
        Some((indexes?, of.parse().ok()?))
    });
    parsed.ok_or_else(|| format!("\"{text}\" is no shard, such as 0/2"))
}

/// What none of these reports has met: situations and counts, each with what it stands for.
pub fn never_met(reports: &[Summary]) -> Vec<(&'static str, &'static str)> {
    let met = |name: &str| {
        let of = |report: &Summary| report.marks.get(name).or(report.counters.get(name)).copied();
        reports.iter().any(|report| of(report).is_some_and(|count| count > 0))
    };
    let marks = Mark::ALL.iter().map(|mark| (mark.name(), mark.about()));
    let counters = Counter::ALL.iter().filter(|counter| counter.is_wanted());
    let counters = counters.map(|counter| (counter.name(), counter.about()));
    marks.chain(counters).filter(|(name, _)| !met(name)).collect()
}

/// What a replayed file says against its `expect`; `None` if it holds.
pub fn against_expectation(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    match (&scenario.expect, &outcome.violation) {
        (Expect::Ok, None) => None,
        (Expect::Violation(oracle), Some(violation)) if *oracle == violation.oracle => None,
        (expect, None) => Some(format!("expected {expect}, but nothing was violated")),
        (expect, Some(violation)) => Some(format!("expected {expect}, but got a violation of {violation}")),
    }
}

/// The first part of a scenario that never came to act, which makes whatever it shows worthless. A run ends where it is
/// violated: what lay beyond had no chance.
pub fn idle_part(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    if outcome.violation.is_some() {
        return None;
    }
    let lines = scenario.plan.iter().zip(&outcome.fired).filter(|(_, fired)| !**fired);
    let overrides = scenario.overrides.iter().zip(&outcome.used).filter(|(_, used)| !**used);
    let lines = lines.map(|(line, _)| format!("never happened: {line}"));
    lines.chain(overrides.map(|(over, _)| format!("decided nothing: {over}"))).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{oracle::Violation, sweep::Sweep};
    use ios_core::time::Time;

    fn pretend(scenario: &Scenario) -> Outcome {
        let mut outcome = Outcome { events: 10, operations: 2, digest: scenario.seed, ..Outcome::default() };
        outcome.counters.count(Counter::Pauses);
        outcome.checks.count(Oracle::Commit);
        outcome
    }

    fn summary(shard: Shard) -> Summary {
        let sweep = Sweep { profile: crate::generator::Profile::Calm, seeds: 0..9, shard, jobs: 1 };
        let campaign = sweep.run(|| pretend, &|| false, &|_| {});
        let scenario = format!("seed-{}.ios", shard.index);
        let violated = Violated { seed: shard.index, oracle: "window".into(), scenario, small: None };
        Summary::new(&campaign, &sweep.seeds, shard, 2.0, vec![violated])
    }

    #[test]
    fn shards_join_to_the_whole_in_any_order_and_nothing_else_does() {
        let parts: Vec<Summary> = [2, 0, 1].into_iter().map(|index| summary(Shard { index, of: 3 })).collect();
        let joined = Summary::merge(parts.clone()).unwrap();
        let whole = summary(Shard::WHOLE);
        assert_eq!((&joined.digest, joined.clusters, joined.events), (&whole.digest, 9, 90));
        assert_eq!((joined.shard.as_str(), &joined.counters), ("0/1", &whole.counters));
        assert_eq!(joined.violations.iter().map(|violation| violation.seed).collect::<Vec<_>>(), [0, 1, 2]);

        let some = Summary::merge(parts[..2].to_vec()).unwrap();
        assert_eq!(some.shard, "0+2/3");
        assert_eq!(Summary::merge(vec![some.clone(), parts[2].clone()]), Ok(joined));
        assert!(Summary::merge(vec![some, parts[0].clone()]).unwrap_err().contains("shard 2/3 is given twice"));
        assert!(Summary::merge(vec![whole.clone(), parts[0].clone()]).unwrap_err().contains("divide"));
        let other = Summary { seeds: "0..8".into(), ..whole.clone() };
        assert!(Summary::merge(vec![whole, other]).unwrap_err().contains("different campaigns"));
        assert!(Summary::merge(Vec::new()).is_err());
    }

    #[test]
    fn json_reads_back_and_has_the_stable_keys() {
        let summary = summary(Shard::WHOLE);
        let json = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys.join(" "),
            "clusters counters digest events events_per_s marks operations seeds shard violations wall_s"
        );
        assert_eq!(value["violations"][0]["oracle"], "window");
        assert_eq!(value["counters"]["pauses"], 9);
        assert_eq!(value["counters"]["check_commit"], 9);
        assert_eq!(value["counters"]["crashes_power"], 0);
        assert_eq!(value["events_per_s"], 45.0);
        let text = summary.text();
        assert!(text.contains("VIOLATION of window, saved as seed-0.ios") && text.contains("crashes_power"), "{text}");
    }

    #[test]
    fn expectations_and_idle_lines_are_judged() {
        let text = "ios-scenario 1\nat 1ms heal\nwhen any leads nth=9 heal\nset drop any>any Accept\n";
        let scenario: Scenario = text.parse().unwrap();
        let mut outcome = pretend(&scenario);
        (outcome.fired, outcome.used) = (vec![true, true], vec![true]);
        assert_eq!((against_expectation(&scenario, &outcome), idle_part(&scenario, &outcome)), (None, None));
        outcome.used[0] = false;
        assert!(idle_part(&scenario, &outcome).unwrap().contains("set drop any>any Accept"));
        outcome.fired[1] = false;
        assert!(idle_part(&scenario, &outcome).unwrap().contains("when any leads nth=9"));

        let failing = Scenario { expect: Expect::Violation(Oracle::Window), ..scenario };
        assert!(against_expectation(&failing, &outcome).unwrap().contains("nothing was violated"));
        for (oracle, holds) in [(Oracle::Window, true), (Oracle::Commit, false)] {
            outcome.violation = Some(Violation { oracle, time: Time(1_002_003), text: "seen".into() });
            assert_eq!(against_expectation(&failing, &outcome).is_none(), holds);
            assert_eq!(idle_part(&failing, &outcome), None);
        }
        let report = run("name", &failing, &outcome);
        assert!(
            report.contains("not  when any leads") && report.contains("VIOLATION of commit at 1002us: seen"),
            "{report}"
        );
    }
}

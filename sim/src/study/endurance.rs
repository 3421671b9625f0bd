//! Endurance: one cluster, a million commits. What a commit costs, and what a cluster holds, must not grow with how
//! much it has done.
//!
//! The run is cut into ten stretches of equal work. Counts are exact and judged: events, messages, bytes and disk
//! operations per commit, latency in virtual time, and what lies on the disks. Memory is judged as well: a leak shows
//! whatever else the machine does. Processor time is printed beside them, for it depends on the machine's other work.

use super::{
    cluster::Cluster,
    findings::Finding,
    meter::Figures,
    setup::{Conditions, MODES, Setup, Trouble},
};
use ios_core::time::Span;
use std::fmt::Write;

/// How many stretches a run is cut into.
const STRETCHES: u64 = 10;
/// Figures of the first and the last stretch may differ by this share: sessions are as old as the cluster, and numbers
/// take more bytes.
const DRIFT: f64 = 0.05;
/// Bytes of a log segment. Small, so that what is not dropped shows soon.
const SEGMENT: u64 = 128 << 10;
/// Snapshots and segments come and go: as much more may lie on a disk at one moment than at another.
const DISK_SLACK: u64 = 4 * SEGMENT;
/// Memory beyond the first stretch's that is no growth: allocators keep what they had, and the largest need comes late.
const MEMORY_SLACK: u64 = 16 << 20;

/// What the process used so far, as far as the system tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Processor time in nanoseconds.
    pub processor: Option<u64>,
    /// Memory in use, in bytes.
    pub memory: Option<u64>,
}

/// A tenth of the run.
#[derive(Clone, PartialEq, Debug)]
pub struct Stretch {
    /// What was counted.
    pub figures: Figures,
    /// Agenda items taken.
    pub events: u64,
    /// Snapshots taken, of all members.
    pub snapshots: u64,
    /// Bytes of all files of the member that has most of them, at the end.
    pub disk: u64,
    /// Processor time it took.
    pub processor: Option<u64>,
    /// Memory in use at the end.
    pub memory: Option<u64>,
}

/// Three members, one request a batch, on a network and disks of a machine room.
pub fn setup(snapshot_interval: u64, seed: u64) -> Setup {
    let conditions = Conditions {
        bits_per_second: 10_000_000_000,
        hop: Span::micros(20),
        sync: Span::micros(100),
        outstanding: 32,
        payload: 64,
        snapshot_interval,
        segment: (SEGMENT, 512),
        ..Conditions::default()
    };
    Setup { nodes: 3, replication: 2, mode: MODES[0], trouble: Trouble::None, conditions, seed }
}

/// Runs a cluster for so many commits, in stretches. `usage` is asked after each.
pub fn run(setup: &Setup, commits: u64, usage: &dyn Fn() -> Usage) -> Vec<Stretch> {
    let mut cluster = Cluster::new(setup);
    cluster.warm_up();
    let mut before = usage();
    let mut stretches = Vec::new();
    for nth in 0..STRETCHES {
        let requests = commits * (nth + 1) / STRETCHES - commits * nth / STRETCHES;
        let events = cluster.events();
        let (figures, snapshots) = cluster.stretch(requests);
        let now = usage();
        let processor = now.processor.zip(before.processor).map(|(now, before)| now.saturating_sub(before));
        let (events, disk) = (cluster.events() - events, cluster.disk_bytes());
        stretches.push(Stretch { figures, events, snapshots, disk, processor, memory: now.memory });
        before = now;
    }
    stretches
}

/// A count per commit, as it is shown and compared.
struct Column {
    name: &'static str,
    of: fn(&Stretch) -> f64,
}

const COLUMNS: [Column; 5] = [
    Column { name: "events", of: |it| it.figures.per_commit(it.events) },
    Column { name: "messages", of: |it| it.figures.per_commit(it.figures.messages) },
    Column { name: "leader out B", of: |it| it.figures.per_commit(it.figures.leader_sent) },
    Column { name: "disk ops", of: |it| it.figures.per_commit(it.figures.syncs) },
    Column { name: "p99 us", of: |it| it.figures.latency[2].0 as f64 / 1e3 },
];

/// Whether the last stretch is like the first.
pub fn findings(stretches: &[Stretch]) -> Vec<Finding> {
    let [first, .., last] = stretches else { return Vec::new() };
    let mut findings: Vec<Finding> = COLUMNS
        .iter()
        .map(|Column { name, of }| {
            let (before, after) = (of(first), of(last));
            let claim = format!("{name}: at most {:.0} % more in the last tenth than in the first", DRIFT * 100.0);
            Finding { claim, found: format!("{before:.2} and {after:.2}"), holds: after <= before * (1.0 + DRIFT) }
        })
        .collect();
    let disk = ("disk", Some(first.disk), Some(last.disk), DISK_SLACK);
    let memory = ("memory", first.memory, last.memory, MEMORY_SLACK);
    for (name, before, after, slack) in [disk, memory] {
        let (Some(before), Some(after)) = (before, after) else { continue };
        findings.push(Finding {
            claim: format!("{name}: at most {:.1} MiB more after the last tenth than after the first", mib(slack)),
            found: format!("{:.1} and {:.1} MiB", mib(before), mib(after)),
            holds: after <= before + slack,
        });
    }
    findings.push(Finding {
        claim: "every tenth took snapshots, and no request failed".into(),
        found: format!("{} snapshots", stretches.iter().map(|stretch| stretch.snapshots).sum::<u64>()),
        holds: stretches.iter().all(|stretch| stretch.snapshots > 0 && stretch.figures.failed == 0),
    });
    findings
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// All stretches as a table, and what was found.
pub fn text(stretches: &[Stretch], findings: &[Finding]) -> String {
    let mut text = format!("{:>8}{:>9}", "tenth", "commits");
    COLUMNS.iter().for_each(|column| text += &format!("{:>14}", column.name));
    text += &format!("{:>11}{:>10}{:>12}{:>10}\n", "snapshots", "disk MiB", "memory MiB", "CPU us");
    for (nth, stretch) in (1..).zip(stretches) {
        let _ = write!(text, "{nth:>8}{:>9}", stretch.figures.commits);
        COLUMNS.iter().for_each(|column| text += &format!("{:>14.2}", (column.of)(stretch)));
        let shown = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2}"));
        let processor = stretch.processor.map(|nanos| stretch.figures.per_commit(nanos) / 1e3);
        let (disk, memory) = (mib(stretch.disk), shown(stretch.memory.map(mib)));
        let _ = writeln!(text, "{:>11}{disk:>10.2}{memory:>12}{:>10}", stretch.snapshots, shown(processor));
    }
    text += "\nEvents, messages, bytes, disk operations and processor time are per commit.\n\n";
    for finding in findings {
        let verdict = if finding.holds { "holds" } else { "FAILS" };
        let _ = writeln!(text, "{verdict}  {}: {}", finding.claim, finding.found);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(snapshot_interval: u64) -> Vec<Stretch> {
        run(&setup(snapshot_interval, 1), 4_000, &Usage::default)
    }

    #[test]
    fn a_cluster_with_snapshots_is_as_light_at_the_end_as_at_the_begin() {
        let stretches = short(100);
        let findings = findings(&stretches);
        assert!(findings.iter().all(|finding| finding.holds), "{}", text(&stretches, &findings));
        assert_eq!(stretches, short(100), "it is a function of its setup");
    }

    #[test]
    fn a_cluster_without_snapshots_grows_and_is_said_to() {
        let stretches = short(0);
        let findings = findings(&stretches);
        let fails = |name: &str| findings.iter().any(|finding| finding.claim.starts_with(name) && !finding.holds);
        assert!(fails("disk") && fails("every tenth"), "{}", text(&stretches, &findings));
        assert!(!fails("events"), "{}", text(&stretches, &findings));
    }

    #[test]
    fn memory_that_grows_is_said_to() {
        let mut stretches = short(100);
        for (nth, stretch) in (0..).zip(&mut stretches) {
            stretch.memory = Some(nth * MEMORY_SLACK / 8);
        }
        assert!(findings(&stretches).iter().any(|finding| finding.claim.starts_with("memory") && !finding.holds));
    }
}

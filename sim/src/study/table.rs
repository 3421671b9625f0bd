//! The figures as tables: aligned text for people, lines for scripts.

use super::{
    Part, Run, Study,
    findings::{Finding, gaps_in_timeouts},
    setup::{Setup, Trouble},
};
use ios_core::time::Span;

/// Rows of cells under a head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// What it is about.
    pub title: String,
    /// The columns' names.
    pub head: Vec<&'static str>,
    /// Cells, as many in each row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns aligned: the first to the left if it is text, numbers to the right.
    pub fn text(&self) -> String {
        let lines = || std::iter::once(self.head.iter().map(ToString::to_string).collect()).chain(self.rows.clone());
        let width = |column: usize| lines().map(|cells: Vec<String>| cells[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = format!("{}\n", self.title);
        for cells in lines() {
            let mut line = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                let padded =
                    if self.is_text(column) { format!("  {cell:<width$}") } else { format!("  {cell:>width$}") };
                line += &padded;
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// Whether a column holds words.
    pub fn is_text(&self, column: usize) -> bool {
        let numeric = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit());
        !self.rows.iter().all(|cells| numeric(&cells[column]))
    }
}

/// Every table that a study has something for.
pub fn tables(study: &Study) -> Vec<Table> {
    let all = [grid(study), outages(study), followers(study)];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

/// The study for people: its conditions, its tables, what was found.
pub fn text(study: &Study, findings: &[Finding]) -> String {
    let mut text = format!("{}\n\n", conditions(study));
    for table in tables(study) {
        text += &format!("{}\n", table.text());
    }
    text += "what was found\n";
    for finding in findings {
        let verdict = if finding.holds { "holds" } else { "FAILS" };
        text += &format!("  {verdict}  {}: {}\n", finding.claim, finding.found);
    }
    text + &format!("{} runs, digest {:016x}\n", study.runs.len(), study.digest())
}

/// What all runs had in common, in a sentence.
pub fn conditions(study: &Study) -> String {
    let at = &study.plan.conditions;
    format!(
        "Each machine has an uplink and a downlink of {} kbit/s to a switch {} away, shared by all it talks to; \
         a disk operation takes about {}; {} clients, each waiting for one put of {} bytes at a time; at most {} a \
         batch; measured for {} of virtual time; seed {}.",
        at.bits_per_second / 1000,
        at.hop,
        at.sync,
        at.outstanding,
        at.payload,
        at.batch,
        at.measured,
        study.plan.seed
    )
}

/// A span in milliseconds.
pub fn millis(span: Span) -> f64 {
    span.0 as f64 / 1e6
}

fn grid(study: &Study) -> Table {
    let row = |Run { setup, figures, .. }: &Run| {
        let mut cells = cluster_cells(setup).to_vec();
        cells.push(format!("{:.1}", figures.throughput()));
        cells.extend(figures.latency.map(|latency| format!("{:.1}", millis(latency))));
        cells.push(format!("{:.2}", figures.per_commit(figures.messages)));
        cells.push(format!("{:.0}", figures.per_commit(figures.busiest)));
        cells.push(format!("{:.0}", figures.per_commit(figures.leader_sent)));
        cells.push(format!("{:.2}", figures.per_commit(figures.syncs)));
        cells
    };
    Table {
        title: "what a commit costs: requests a second, latency in ms; and for each commit: messages between members, \
                bytes in and out of the busiest member, bytes out of the leader, disk operations of all members"
            .to_string(),
        head: vec![
            "n",
            "Q2",
            "Q1",
            "mode",
            "commits/s",
            "p50",
            "p90",
            "p99",
            "messages",
            "busiest",
            "leader out",
            "syncs",
        ],
        rows: study.part(Part::Grid).map(row).collect(),
    }
}

fn cluster_cells(setup: &Setup) -> [String; 4] {
    let recovery = setup.nodes + 1 - setup.replication;
    [setup.nodes.to_string(), setup.replication.to_string(), recovery.to_string(), setup.mode.name.to_string()]
}

fn outages(study: &Study) -> Table {
    let mut rows = Vec::new();
    for (run, gaps) in gaps_in_timeouts(study) {
        let mut cells = vec![run.setup.trouble.name().to_string()];
        cells.extend(cluster_cells(&run.setup));
        cells.push(format!("{:.2}", gaps[gaps.len() / 2]));
        cells.push(format!("{:.2}", gaps[gaps.len() - 1]));
        cells.push(gaps.len().to_string());
        rows.push(cells);
    }
    Table {
        title: "the longest time without any answer after something befell the leader, as its clients see it, in \
                election timeouts"
            .to_string(),
        head: vec!["trouble", "n", "Q2", "Q1", "mode", "median", "worst", "tries"],
        rows,
    }
}

fn followers(study: &Study) -> Table {
    let runs: Vec<&Run> = study.part(Part::Followers).collect();
    let row = |runs: &[&Run]| {
        let p99 = |place: usize| millis(runs[place].figures.latency[2]);
        let mut cells = cluster_cells(&runs[0].setup).to_vec();
        cells.push(format!("{:.1}", p99(0)));
        for place in 1..runs.len() {
            cells.push(format!("{:.1}", p99(place)));
            cells.push(format!("{:.2}", p99(place) / p99(0)));
        }
        cells
    };
    assert!(runs.chunks(3).all(|runs| runs[0].setup.trouble == Trouble::None), "the healthy run comes first");
    Table {
        title: "99th percentile of latency in ms with one follower dead, or ten times slower, and how many times the \
                healthy one that is"
            .to_string(),
        head: vec!["n", "Q2", "Q1", "mode", "healthy", "dead", "times", "slow", "times"],
        rows: runs.chunks(3).map(row).collect(),
    }
}

/// One line a run, with everything that was counted.
pub fn csv(study: &Study) -> String {
    let mut text = String::from(
        "part,n,q2,q1,mode,trouble,seed,commits,measured_ns,commits_per_s,p50_ns,p90_ns,p99_ns,messages,\
         busiest_bytes,leader_out_bytes,syncs,longest_gap_ns,failed,elections\n",
    );
    for Run { part, setup, figures } in &study.runs {
        let [nodes, replication, recovery, mode] = cluster_cells(setup);
        let [p50, p90, p99] = figures.latency.map(|latency| latency.0);
        text += &format!(
            "{},{nodes},{replication},{recovery},{mode},\"{}\",{},{},{},{:.3},{p50},{p90},{p99},{},{},{},{},{},{},{}\n",
            part.name(),
            setup.trouble.name(),
            setup.seed,
            figures.commits,
            figures.measured.0,
            figures.throughput(),
            figures.messages,
            figures.busiest,
            figures.leader_sent,
            figures.syncs,
            figures.gap.0,
            figures.failed,
            figures.elections,
        );
    }
    text
}

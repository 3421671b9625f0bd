//! `ios quorum`: what a quorum system means for so many members, or why it cannot be used.

use crate::{
    arguments::{Format, Global, Quorum},
    exit::{Exit, Failure},
    say::{data, line},
    verbs::columns,
};
use ios_core::{
    ids::{NodeId, NodeSet},
    replica::quorum::{QuorumSpec, QuorumSystem, subsets},
};
use serde_json::{Value, json};

/// Prints what `asked` comes to.
pub fn run(global: &Global, asked: &Quorum) -> Result<Exit, Failure> {
    let wrong = |error| Failure::new(Exit::Usage, format!("{error}"));
    let spec: QuorumSpec = asked.spec.parse().map_err(wrong)?;
    let members = (0..asked.nodes).map(NodeId).collect();
    let system = QuorumSystem::new(&spec, members).map_err(wrong)?;
    let report = Report::new(&spec, &system);
    match global.output.unwrap_or(Format::Table) {
        Format::Json => line(report.to_json()),
        Format::Table => data(report.to_table().as_bytes()),
        Format::Simple => report.to_lines().iter().try_for_each(line),
    }?;
    Ok(Exit::Ok)
}

/// What is said about a quorum system.
struct Report {
    spec: QuorumSpec,
    phases: [Phase; 2],
    /// Of a thousand batches that each go to one smallest replication quorum, all of these in turn, how many each
    /// member stores.
    load: Vec<(NodeId, usize)>,
}

/// The quorums of one phase.
struct Phase {
    name: &'static str,
    /// How many sets suffice of which no member can be left out.
    quorums: usize,
    /// Members of the smallest such set, and of the largest.
    sizes: (usize, usize),
    /// So many failures are survived whoever fails, and so many if the right ones fail.
    survives: (usize, usize),
}

impl Report {
    fn new(spec: &QuorumSpec, system: &QuorumSystem) -> Self {
        let members = system.members();
        let replication = smallest(members, |nodes| system.has_replication_quorum(nodes));
        let recovery = smallest(members, |nodes| system.has_recovery_quorum(nodes));
        let stored = |node: NodeId| replication.iter().filter(|quorum| quorum.contains(node)).count();
        let load = members.iter().map(|node| (node, stored(node) * 1000 / replication.len())).collect();
        let phases = [
            Phase::new("replication", members, &replication, |nodes| system.has_replication_quorum(nodes)),
            Phase::new("recovery", members, &recovery, |nodes| system.has_recovery_quorum(nodes)),
        ];
        Self { spec: spec.clone(), phases, load }
    }

    fn to_table(&self) -> String {
        let heading = ["PHASE", "QUORUMS", "MEMBERS", "SURVIVES AT WORST", "SURVIVES AT BEST"];
        let rows = self.phases.each_ref().map(|phase| {
            let (smallest, largest) = phase.sizes;
            let members = if smallest == largest { smallest.to_string() } else { format!("{smallest} to {largest}") };
            let [quorums, worst, best] = [phase.quorums, phase.survives.0, phase.survives.1].map(|n| n.to_string());
            vec![phase.name.to_owned(), quorums, members, worst, best]
        });
        let load: Vec<Vec<String>> =
            self.load.iter().map(|(node, load)| vec![node.to_string(), percent(*load)]).collect();
        format!("{}\n{}", columns(&heading, &rows), columns(&["NODE", "LOAD"], &load))
    }

    fn to_lines(&self) -> Vec<String> {
        let phase = |phase: &Phase| {
            let Phase { name, quorums, sizes: (smallest, largest), survives: (worst, best) } = phase;
            format!(
                "{name} quorums={quorums} smallest={smallest} largest={largest} survives_at_worst={worst} \
                 survives_at_best={best}"
            )
        };
        let load = self.load.iter().map(|(node, load)| format!("{node} load={}", percent(*load)));
        self.phases.iter().map(phase).chain(load).collect()
    }

    fn to_json(&self) -> Value {
        let phase = |phase: &Phase| {
            json!({
                "quorums": phase.quorums,
                "smallest": phase.sizes.0,
                "largest": phase.sizes.1,
                "survives_at_worst": phase.survives.0,
                "survives_at_best": phase.survives.1,
            })
        };
        let load = self.load.iter().map(|(node, load)| json!({ "node": node.0, "load_per_mille": load }));
        json!({
            "quorum": self.spec.to_string(),
            "members": self.load.len(),
            "replication": phase(&self.phases[0]),
            "recovery": phase(&self.phases[1]),
            "load": load.collect::<Vec<_>>(),
        })
    }
}

impl Phase {
    fn new(name: &'static str, members: NodeSet, smallest: &[NodeSet], suffices: impl Fn(NodeSet) -> bool) -> Self {
        let least = smallest.iter().map(|quorum| quorum.len()).min().expect("a checked system has quorums");
        let most = smallest.iter().map(|quorum| quorum.len()).max().expect("a checked system has quorums");
        let fatal = subsets(members).filter(|failed| !suffices(members.difference(*failed)));
        let fewest_fatal = fatal.map(|failed| failed.len()).min().expect("nobody suffices when all have failed");
        let survives = (fewest_fatal - 1, members.len() - least);
        Self { name, quorums: smallest.len(), sizes: (least, most), survives }
    }
}

/// Sets that suffice, but not without any one of their members.
fn smallest(members: NodeSet, suffices: impl Fn(NodeSet) -> bool) -> Vec<NodeSet> {
    let needed = |set: NodeSet| set.iter().all(|node| !suffices(set.without(node)));
    subsets(members).filter(|set| suffices(*set) && needed(*set)).collect()
}

fn percent(per_mille: usize) -> String {
    format!("{}.{}%", per_mille / 10, per_mille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(spec: &str, nodes: u8, expect: Expect) {
        let spec = spec.parse().unwrap();
        let system = QuorumSystem::new(&spec, (0..nodes).map(NodeId).collect()).unwrap();
        expect.assert_eq(&Report::new(&spec, &system).to_table());
    }

    #[test]
    fn counting_systems_bear_load_evenly() {
        check(
            "fixed:2",
            5,
            expect![[r#"
            PHASE        QUORUMS  MEMBERS  SURVIVES AT WORST  SURVIVES AT BEST
            replication  10       2        3                  3
            recovery     5        4        1                  1

            NODE  LOAD
            n0    40.0%
            n1    40.0%
            n2    40.0%
            n3    40.0%
            n4    40.0%
        "#]],
        );
    }

    #[test]
    fn a_heavy_member_is_in_most_quorums_and_is_missed_most() {
        check(
            "weighted:3,1,1,1/q2=4/q1=3",
            4,
            expect![[r#"
            PHASE        QUORUMS  MEMBERS  SURVIVES AT WORST  SURVIVES AT BEST
            replication  3        2        0                  2
            recovery     2        1 to 3   1                  3

            NODE  LOAD
            n0    100.0%
            n1    33.3%
            n2    33.3%
            n3    33.3%
        "#]],
        );
    }

    #[test]
    fn a_grid_survives_whole_columns_and_not_one_of_each() {
        check(
            "grid:2x3",
            6,
            expect![[r#"
            PHASE        QUORUMS  MEMBERS  SURVIVES AT WORST  SURVIVES AT BEST
            replication  3        2        2                  4
            recovery     2        3        1                  3

            NODE  LOAD
            n0    33.3%
            n1    33.3%
            n2    33.3%
            n3    33.3%
            n4    33.3%
            n5    33.3%
        "#]],
        );
        check(
            "grid:2x3/transposed",
            6,
            expect![[r#"
            PHASE        QUORUMS  MEMBERS  SURVIVES AT WORST  SURVIVES AT BEST
            replication  2        3        1                  3
            recovery     3        2        2                  4

            NODE  LOAD
            n0    50.0%
            n1    50.0%
            n2    50.0%
            n3    50.0%
            n4    50.0%
            n5    50.0%
        "#]],
        );
    }

    #[test]
    fn sets_of_different_sizes_are_told_apart() {
        check(
            "explicit:q2=0+1,0+2+3,0+1+2/q1=0,1+2,1+3",
            4,
            expect![[r#"
            PHASE        QUORUMS  MEMBERS  SURVIVES AT WORST  SURVIVES AT BEST
            replication  2        2 to 3   0                  2
            recovery     3        1 to 2   1                  3

            NODE  LOAD
            n0    100.0%
            n1    50.0%
            n2    50.0%
            n3    50.0%
        "#]],
        );
    }
}

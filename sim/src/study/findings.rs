//! What a study should show, and whether it does: the published shape of flexible quorums, thrift and delegation, and
//! bounds on what a lost leader or a bad follower costs.

use super::{
    Part, Run, Study,
    meter::Figures,
    setup::{MODES, Mode, Setup, Trouble},
};
use ios_core::options::Participant;

/// The longest a cluster may be without a leader, in election timeouts.
pub const OUTAGE_MAX: f64 = 4.0;
/// How many times the healthy latency one bad follower may cost.
pub const FOLLOWER_MAX: f64 = 2.0;
/// Two figures closer than this are taken for equal.
const NOISE: f64 = 0.03;

/// One thing that should be so.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// What should be so.
    pub claim: String,
    /// What was seen.
    pub found: String,
    /// Whether that is what should be.
    pub holds: bool,
}

/// All that the runs of a study say something about.
pub fn findings(study: &Study) -> Vec<Finding> {
    let mut all = Vec::new();
    for mode in &study.plan.modes {
        all.extend(smaller_is_better(study, *mode));
        all.extend(growth(study, *mode));
    }
    all.extend(thrift(study));
    all.extend(outages(study));
    all.extend(followers(study));
    all
}

/// A named mode, if it is part of the study.
pub fn mode(study: &Study, name: &str) -> Option<Mode> {
    MODES.iter().find(|mode| mode.name == name && study.plan.modes.contains(mode)).copied()
}

/// A ratio with the cluster it was seen in.
struct Ratio {
    value: f64,
    at: String,
}

/// The least and the greatest of several ratios, in words.
fn range(ratios: &[Ratio]) -> String {
    let least = ratios.iter().min_by(|a, b| a.value.total_cmp(&b.value)).expect("there are some");
    let most = ratios.iter().max_by(|a, b| a.value.total_cmp(&b.value)).expect("there are some");
    format!("{:.2} ({}) to {:.2} ({})", least.value, least.at, most.value, most.at)
}

/// Compares two cells in every cluster size that has both, and a majority of more than one.
fn compare(study: &Study, cells: impl Fn(u8) -> [Option<(u8, Mode)>; 2], of: fn(&Figures) -> f64) -> Vec<Ratio> {
    let figures = |nodes: u8, cell: Option<(u8, Mode)>| {
        let (replication, mode) = cell?;
        study.cell(nodes, replication, mode).map(of)
    };
    let ratio = |nodes: &u8| {
        let [one, other] = cells(*nodes);
        Some(Ratio { value: figures(*nodes, one)? / figures(*nodes, other)?, at: format!("n={nodes}") })
    };
    study.plan.nodes.iter().filter(|nodes| Setup::majority(**nodes) > 1).filter_map(ratio).collect()
}

/// The smallest replication quorum against a majority, in one mode and every cluster size: never worse, and better
/// wherever there is a member less to wait for. (A delegate waits for nobody but the leader in a majority of three.)
fn smaller_is_better(study: &Study, mode: Mode) -> Vec<Finding> {
    let cells = |nodes: u8| [Some((1, mode)), Some((Setup::majority(nodes), mode))];
    let throughput = compare(study, cells, Figures::throughput);
    let latency = compare(study, cells, |figures| figures.latency[0].0 as f64);
    if throughput.is_empty() {
        return Vec::new();
    }
    let name = mode.name;
    let better = |ratio: f64, nodes: &Ratio| ratio > 1.0 + NOISE || mode.growth_max.is_some() && nodes.at == "n=3";
    vec![
        Finding {
            claim: format!("{name}: Q2 = 1 commits more than a majority does, times"),
            found: range(&throughput),
            holds: throughput.iter().all(|ratio| ratio.value > 1.0 - NOISE && better(ratio.value, ratio)),
        },
        Finding {
            claim: format!("{name}: at less latency (median), times"),
            found: range(&latency),
            holds: latency.iter().all(|ratio| ratio.value < 1.0 + NOISE && better(1.0 / ratio.value, ratio)),
        },
    ]
}

/// Thrift against a broadcast to everyone, both with a majority.
fn thrift(study: &Study) -> Vec<Finding> {
    let cells =
        |nodes: u8| ["thrifty", "simple"].map(|name| mode(study, name).map(|mode| (Setup::majority(nodes), mode)));
    let throughput = compare(study, cells, Figures::throughput);
    let leader = compare(study, cells, |figures| figures.per_commit(figures.leader_sent));
    let Some(largest) = throughput.last() else { return Vec::new() };
    vec![
        Finding {
            claim: "thrifty: less leaves the leader for each commit than with a broadcast, times".to_string(),
            found: range(&leader),
            holds: leader.iter().all(|ratio| ratio.value < 1.0 - NOISE),
        },
        Finding {
            claim: "thrifty: a majority commits more than with a broadcast where the leader's uplink is full, times"
                .to_string(),
            found: range(&throughput),
            holds: largest.value > 1.0 + NOISE || !is_uplink_full(study),
        },
    ]
}

/// Whether the largest cluster's leader, broadcasting, sends for at least half of the time.
fn is_uplink_full(study: &Study) -> bool {
    let (Some(simple), Some(nodes)) = (mode(study, "simple"), study.plan.nodes.iter().max()) else { return false };
    let Some(figures) = study.cell(*nodes, Setup::majority(*nodes), simple) else { return false };
    let sending = figures.leader_sent as f64 * 8.0 / study.plan.conditions.bits_per_second as f64;
    sending > figures.measured.0 as f64 / 2e9
}

/// How the leader's outgoing bytes grow from the smallest to the largest cluster, with a majority.
fn growth(study: &Study, mode: Mode) -> Option<Finding> {
    let (least, most) = (study.plan.nodes.iter().min()?, study.plan.nodes.iter().max()?);
    let sent = |nodes: u8| study.cell(nodes, Setup::majority(nodes), mode).map(|it| it.per_commit(it.leader_sent));
    let grown = sent(*most)? / sent(*least)?;
    let copies = f64::from(most - 1) / f64::from((*least).max(2) - 1);
    let growth_max = mode.growth_max.filter(|_| least < most)?;
    Some(Finding {
        claim: format!("{}: what leaves the leader for each commit hardly grows with the cluster, times", mode.name),
        found: format!("{grown:.2} from n={least} to n={most}, where the others are {copies:.2} times as many"),
        holds: grown < growth_max,
    })
}

/// Per outage and cluster: its first run, and the longest gaps of all tries in election timeouts, ascending.
pub fn gaps_in_timeouts(study: &Study) -> Vec<(&Run, Vec<f64>)> {
    let mut groups: Vec<(&Run, Vec<f64>)> = Vec::new();
    for run in study.part(Part::Outages) {
        let gap = run.figures.gap.0 as f64 / run.setup.options().election_timeout.0 as f64;
        let same = |first: &Run| Setup { seed: first.setup.seed, ..run.setup.clone() } == first.setup;
        match groups.last_mut().filter(|(first, _)| same(first)) {
            Some((_, gaps)) => gaps.push(gap),
            None => groups.push((run, vec![gap])),
        }
    }
    groups.iter_mut().for_each(|(_, gaps)| gaps.sort_by(f64::total_cmp));
    groups
}

fn outages(study: &Study) -> Option<Finding> {
    let worst = |(run, gaps): (&Run, Vec<f64>)| {
        let Setup { nodes, replication, mode, trouble, .. } = &run.setup;
        Ratio {
            value: gaps[gaps.len() - 1],
            at: format!("{}, n={nodes}, Q2={replication}, {}", trouble.name(), mode.name),
        }
    };
    let worst: Vec<Ratio> = gaps_in_timeouts(study).into_iter().map(worst).collect();
    (!worst.is_empty()).then(|| Finding {
        claim: format!("clients are answered again within {OUTAGE_MAX} election timeouts, worst of each outage"),
        found: range(&worst),
        holds: worst.iter().all(|ratio| ratio.value <= OUTAGE_MAX),
    })
}

fn followers(study: &Study) -> Vec<Finding> {
    let runs: Vec<&Run> = study.part(Part::Followers).collect();
    let about = |trouble: Trouble| {
        let ratio = |runs: &[&Run]| {
            let healthy = runs[0].figures.latency[2].0 as f64;
            let bad = runs.iter().find(|run| run.setup.trouble == trouble)?;
            // Clients of the slow member itself wait as long as it takes to talk to it.
            if bad.setup.options().participant == Participant::Forward && trouble == Trouble::FollowerSlow {
                return None;
            }
            let Setup { replication, mode, .. } = &bad.setup;
            Some(Ratio {
                value: bad.figures.latency[2].0 as f64 / healthy,
                at: format!("Q2={replication}, {}", mode.name),
            })
        };
        let ratios: Vec<Ratio> = runs.chunks(3).filter_map(ratio).collect();
        (!ratios.is_empty()).then(|| Finding {
            claim: format!("{}: 99th percentile within {FOLLOWER_MAX} times the healthy one", trouble.name()),
            found: range(&ratios),
            holds: ratios.iter().all(|ratio| ratio.value <= FOLLOWER_MAX),
        })
    };
    [Trouble::FollowerDead, Trouble::FollowerSlow].into_iter().filter_map(about).collect()
}

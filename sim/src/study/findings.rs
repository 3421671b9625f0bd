//! What a study should show, and whether it does: the published shape of flexible quorums, thrift and delegation, and
//! bounds on what a lost leader or a bad follower costs.

use super::{
    Part, Run, Study,
    meter::Figures,
    setup::{MODES, Mode, Setup, Trouble},
};

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
    }
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

/// The smallest replication quorum against a majority, in one mode and every cluster size.
fn smaller_is_better(study: &Study, mode: Mode) -> Vec<Finding> {
    let compare = |of: &dyn Fn(&Figures) -> f64| -> Vec<Ratio> {
        let ratio = |nodes: &u8| {
            let small = study.cell(*nodes, 1, mode)?;
            let majority = study.cell(*nodes, Setup::majority(*nodes), mode)?;
            Some(Ratio { value: of(small) / of(majority), at: format!("n={nodes}") })
        };
        study.plan.nodes.iter().filter(|nodes| Setup::majority(**nodes) > 1).filter_map(ratio).collect()
    };
    let throughput = compare(&Figures::throughput);
    let latency = compare(&|figures| figures.latency[0].0 as f64);
    if throughput.is_empty() {
        return Vec::new();
    }
    let name = mode.name;
    vec![
        Finding {
            claim: format!("{name}: Q2 = 1 commits more than a majority does, times"),
            found: range(&throughput),
            holds: throughput.iter().all(|ratio| ratio.value > 1.0 + NOISE),
        },
        Finding {
            claim: format!("{name}: at less latency (median), times"),
            found: range(&latency),
            holds: latency.iter().all(|ratio| ratio.value < 1.0 - NOISE),
        },
    ]
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

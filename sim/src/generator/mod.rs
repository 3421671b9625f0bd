//! `generate(seed) -> Scenario`: what is thrown at a cluster.
//!
//! Swarm testing (Groce et al. 2012): each seed switches every kind of fault off with probability one half, so that
//! some runs see one kind alone and at full strength, and others see many together. Rates are log-uniform, sizes and
//! options favour the tiny limits at which bookkeeping breaks (window 1, batches of 1, segments of a few KiB).
//!
//! `rand_chacha` drives the generator, one sequence per seed: `--seed N` means the same within one commit, and a
//! scenario *file* means the same for ever.

mod cluster;
mod faults;
mod draw;
mod links;
mod points;

use crate::scenario::{Cluster, Scenario, Workload};
use cluster::{clocks, cluster, disk, links, workload};
use draw::Draw;
use faults::{beyond, late_answers, lease, liveness, plan, wiped_outsider};
use ios_core::time::Span;
use links::queue;
use points::few_points;

/// What kind of scenarios a sweep runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// Every kind of fault, within what the protocol promises to survive.
    #[default]
    Swarm,
    /// As swarm, with more damage than the protocol promises to survive: whatever is served has to be true.
    Beyond,
    /// No faults: what is left must be fast and clean.
    Calm,
    /// No faults, and a large workload: how fast the simulator is.
    Perf,
}

impl Profile {
    /// All profiles with their names.
    pub const NAMES: [(Profile, &'static str); 4] =
        [(Profile::Swarm, "swarm"), (Profile::Beyond, "beyond"), (Profile::Calm, "calm"), (Profile::Perf, "perf")];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(profile, _)| *profile == self).expect("every profile has a name").1
    }
}

/// The scenario of a seed.
pub fn generate(profile: Profile, seed: u64) -> Scenario {
    let mut draw = Draw::new(seed);
    let scenario = match profile {
        Profile::Swarm => swarm(&mut draw, seed),
        Profile::Beyond => {
            let mut scenario = swarm(&mut draw, seed);
            beyond(&mut draw, &mut scenario);
            scenario
        }
        Profile::Calm => {
            let cluster = cluster(&mut draw);
            let run = Scenario::default().run;
            let workload = workload(&mut draw, &cluster, run);
            Scenario { cluster, workload, seed, run, ..Scenario::default() }
        }
        Profile::Perf => Scenario {
            cluster: Cluster { window: 64, clients: 8, ..Cluster::default() },
            workload: Workload {
                ops: 20_000,
                keys: 64,
                think: (Span::ZERO, Span::micros(100)),
                in_flight: 32,
                ..Workload::default()
            },
            seed,
            ..Scenario::default()
        },
    };
    debug_assert_eq!(crate::scenario::check::problem(&scenario), None, "seed {seed}:\n{scenario}");
    scenario
}

/// Which kinds of fault a seed may use.
struct Kinds {
    links: bool,
    client_links: bool,
    partitions: bool,
    rivals: bool,
    processes: bool,
    power: bool,
    mid_step: bool,
    pauses: bool,
    disks: bool,
    disk_errors: bool,
    full_disks: bool,
    rot: bool,
    clocks: bool,
    slow: bool,
    clients: bool,
    clogs: bool,
    /// None of these where a lease is: it states no bound on leaps, and what attacks it needs its messages in time.
    leaps: bool,
    order: bool,
    queues: bool,
}

fn swarm(draw: &mut Draw, seed: u64) -> Scenario {
    let calm = draw.one_in(16);
    let leased = draw.one_in(3);
    let mut on = || draw.coin() && !calm;
    let kinds = Kinds {
        links: on(),
        client_links: on(),
        partitions: on(),
        rivals: on(),
        processes: on(),
        power: on(),
        mid_step: on(),
        pauses: on(),
        disks: on(),
        disk_errors: on() && on(),
        full_disks: on() && on(),
        rot: on(),
        clocks: on(),
        slow: on(),
        clients: on(),
        clogs: on(),
        leaps: on() && !leased,
        order: on() && !leased,
        queues: on() && !leased,
    };
    let cluster = cluster(draw);
    let timeout = cluster.options.election_timeout;
    let run = Span(draw.log_time(Span::millis(800).0, Span::millis(4000).0));
    let mut scenario = Scenario {
        seed,
        network: links(draw, timeout, kinds.links),
        client_network: links(draw, timeout, kinds.client_links),
        disk: disk(draw, timeout, kinds.disks),
        workload: workload(draw, &cluster, run),
        run,
        cluster,
        ..Scenario::default()
    };
    if kinds.clocks {
        scenario.clocks = clocks(draw, scenario.cluster.nodes);
    }
    be_patient(&mut scenario, kinds.slow || kinds.order);
    plan(draw, &kinds, &mut scenario);
    if leased {
        lease(draw, &mut scenario);
    }
    scenario.liveness = liveness(draw, &scenario.cluster);
    if draw.coin() {
        scenario.cluster.before_force = draw.log(1, 8) as u32;
    }
    if kinds.links && draw.one_in(6) {
        scenario.network.damage = draw.log(500, 20_000) as u32;
    }
    if kinds.client_links && draw.one_in(6) {
        scenario.client_network.damage = draw.log(500, 20_000) as u32;
    }
    if !calm {
        wiped_outsider(&mut Draw::aside(seed), &mut scenario);
    }
    for family in [&mut scenario.network, &mut scenario.client_network] {
        if kinds.queues && draw.coin() {
            family.queue = queue(draw);
        }
    }
    match draw.range(0, 7) {
        0 if !calm => few_points(draw, &mut scenario),
        1 if !calm => late_answers(draw, &mut scenario),
        _ => {}
    }
    scenario
}

/// A client that gives every try up before an answer can reach it gets nothing done even when all is well: a try
/// lasts at
/// least twice as long as a request there, a round with a few syncs, and the answer back may take; an operation and a
/// session last until every client has had its turns in a narrow window, with a sign of life for each operation.
fn be_patient(scenario: &mut Scenario, slow: bool) {
    let Scenario { network, client_network, disk, cluster, .. } = scenario;
    let options = &cluster.options;
    let once = (client_network.delay.1.0 + network.delay.1.0) * 2 + disk.latency.1.0 * 6 + options.batch_interval.0;
    // A batch of a few bytes holds one request, whatever the count says.
    let batch = if options.max_batch_bytes < 1024 { 1 } else { options.max_batch as u64 };
    let turns = (2 * u64::from(cluster.clients)).div_ceil(cluster.window * batch);
    cluster.client_retry = cluster.client_retry.max(Span(once * 2));
    cluster.client_deadline = cluster.client_deadline.max(cluster.client_retry).max(Span(once * (1 + turns)));
    // Links of a leader outside the core may be slow for ever.
    let least = if slow { Span::secs(2) } else { Span::ZERO };
    cluster.session_ttl = cluster.session_ttl.max(Span(once * (1 + turns) * 2)).max(least);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Action, Condition, Line, Liveness, Who, check};

    #[test]
    fn every_generated_scenario_is_legal_and_reads_back() {
        for (profile, _) in Profile::NAMES {
            for seed in 0..500 {
                let scenario = generate(profile, seed);
                assert_eq!(check::problem(&scenario), None, "seed {seed}:\n{scenario}");
                let text = scenario.to_string();
                assert_eq!(text.parse(), Ok(scenario.clone()), "seed {seed}:\n{text}");
                assert_eq!(generate(profile, seed), scenario);
            }
        }
    }

    #[test]
    fn a_few_faults_fall_on_points_that_exist() {
        let few = |scenario: &Scenario| {
            let at_point = |line: &Line| match &line.condition {
                Condition::Event(trigger) => matches!(trigger.who, Who::Node(_)) && trigger.delay == Span::ZERO,
                _ => false,
            };
            (1..=4).contains(&scenario.plan.len()) && scenario.plan.iter().all(at_point)
        };
        let mut world = crate::world::World::default();
        let runs = (0..200).map(|seed| generate(Profile::Swarm, seed)).filter(few);
        let first: Vec<bool> = runs.map(|scenario| world.run(&scenario).fired.contains(&true)).collect();
        assert!(first.len() > 10, "{} of 200", first.len());
        assert!(first.iter().all(|fired| *fired), "at least the first of them comes to pass");
    }

    #[test]
    fn beyond_what_is_survived_disks_are_wiped_and_nothing_has_to_finish() {
        let band: Vec<Scenario> = (0..100).map(|seed| generate(Profile::Beyond, seed)).collect();
        let wipes = |scenario: &Scenario| scenario.plan.iter().any(|line| matches!(line.action, Action::Wipe { .. }));
        assert!(band.iter().any(wipes) && band.iter().any(|scenario| !wipes(scenario)));
        assert!(band.iter().all(|scenario| scenario.disk.beyond && scenario.liveness == Liveness::Off));
        let mut world = crate::world::World::default();
        let mut sum = crate::outcome::Counters::default();
        for scenario in &band[..40] {
            let outcome = world.run(scenario);
            assert_eq!(outcome.violation, None, "{scenario}");
            sum.merge(&outcome.counters);
        }
        use crate::outcome::Counter::{OpensRefused, RotRefused, RottenFound};
        assert!(sum.get(OpensRefused) > 0 && sum.get(RottenFound) > 0, "damage shows");
        assert_eq!(sum.get(RotRefused), 0, "and knows no measure");
    }

    /// What a band of seeds is made of, settings and actions.
    const WORDS: &[&str] = &[
        "quorum=non-strict-majority",
        "quorum=all-in",
        "quorum=one-in",
        "quorum=fixed:",
        "quorum=weighted:",
        "quorum=grid:",
        "/transposed",
        "quorum=explicit:",
        "participant_read=on",
        "before_force=",
        "participant=forward",
        "delegate=",
        "delegate=forwarder",
        "thrifty=on",
        "index_exclusivity=on",
        "implicit_commit=on",
        "stop ",
        "lease=",
        " participant=",
        " stale=",
        "window=1 ",
        "seal=eager",
        "max_batch=1 ",
        "drop=",
        "duplicate=",
        "reorder=",
        "late=",
        "damage=",
        "slow=",
        "clocks n",
        "crash all",
        "crash leader",
        " process",
        " power",
        "pause n",
        "pause c",
        "disconnect c",
        "crash c",
        "partition n",
        "oneway",
        "isolate",
        "cut n",
        "clog n",
        "clog c",
        " times=",
        "queue=",
        "order priorities links",
        "order priorities nodes",
        "order slow-link",
        "rerank",
        "jump n",
        "set duplicate any>any Accepted ",
        "rot n",
        "wipe n",
        " body ",
        " slot ",
        " identity ",
        "skew n",
        " disk ",
        " links ",
        "fail n",
        "full n",
        " misdirected",
        " unreadable",
        "before any",
        "before leader sends Accept",
        "when leader",
        "core=",
    ];

    #[test]
    fn a_band_of_seeds_uses_every_size_quorum_system_and_kind_of_line() {
        let band: Vec<Scenario> = (0..500).map(|seed| generate(Profile::Swarm, seed)).collect();
        for nodes in 1..=7 {
            assert!(band.iter().any(|scenario| scenario.cluster.nodes == nodes), "{nodes} nodes");
        }
        let text: String = band.iter().map(Scenario::to_string).collect();
        for word in WORDS {
            assert!(text.contains(word), "{word} appears in no scenario of 500");
        }
        let calm = band.iter().filter(|scenario| scenario.plan.is_empty()).count();
        assert!(calm > 0, "some seeds have no plan at all");
    }
}

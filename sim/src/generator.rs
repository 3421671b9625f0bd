//! `generate(seed) -> Scenario`: what is thrown at a cluster.
//!
//! Swarm testing (Groce et al. 2012): each seed switches every kind of fault off with probability one half, so that
//! some runs see one kind alone and at full strength, and others see many together. Rates are log-uniform, sizes and
//! options favour the tiny limits at which bookkeeping breaks (window 1, batches of 1, segments of a few KiB).
//!
//! `rand_chacha` drives the generator, one sequence per seed: `--seed N` means the same within one commit, and a
//! scenario *file* means the same for ever.

use crate::scenario::{
    Action, Cluster, Condition, Damage, Disk, End, EventKind, Line, Links, Liveness, MessageKind, Percent, RotPart,
    Scenario, Slow, Target, Trigger, Who, Workload,
};
use ios_core::{
    configuration::Lease,
    ids::{NodeId, NodeSet},
    journal::segment_bytes_min,
    options::{Delegate, Options, Participant, Seal},
    replica::quorum::QuorumSpec,
    time::{Span, Time},
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// What kind of scenarios a sweep runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Profile {
    /// Every kind of fault, within what the protocol promises to survive.
    #[default]
    Swarm,
    /// No faults: what is left must be fast and clean.
    Calm,
    /// No faults, and a large workload: how fast the simulator is.
    Perf,
}

impl Profile {
    /// All profiles with their names.
    pub const NAMES: [(Profile, &'static str); 3] =
        [(Profile::Swarm, "swarm"), (Profile::Calm, "calm"), (Profile::Perf, "perf")];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(profile, _)| *profile == self).expect("every profile has a name").1
    }
}

/// The scenario of a seed.
pub fn generate(profile: Profile, seed: u64) -> Scenario {
    let mut draw = Draw { rng: ChaCha8Rng::seed_from_u64(seed) };
    let scenario = match profile {
        Profile::Swarm => swarm(&mut draw, seed),
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
    rot: bool,
    clocks: bool,
    slow: bool,
    clients: bool,
}

fn swarm(draw: &mut Draw, seed: u64) -> Scenario {
    let calm = draw.one_in(16);
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
        rot: on(),
        clocks: on(),
        slow: on(),
        clients: on(),
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
    be_patient(&mut scenario, kinds.slow);
    plan(draw, &kinds, &mut scenario);
    if draw.one_in(3) {
        lease(draw, &mut scenario);
    }
    scenario.liveness = liveness(draw, &scenario.cluster);
    if draw.coin() {
        scenario.cluster.before_force = draw.log(1, 8) as u32;
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

fn cluster(draw: &mut Draw) -> Cluster {
    let mut cluster = Cluster { nodes: *draw.pick(&[1, 2, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7]), ..Cluster::default() };
    let nodes = u64::from(cluster.nodes);
    cluster.quorum = match draw.range(0, 12) {
        0..=3 => QuorumSpec::Majority,
        4 => QuorumSpec::NonStrictMajority,
        5 => QuorumSpec::AllIn,
        6 => QuorumSpec::OneIn,
        7..=9 => QuorumSpec::Fixed(draw.range(1, nodes) as i64),
        10 => weighted(draw, nodes),
        11 => grid(draw, cluster.nodes),
        _ => explicit(draw, cluster.nodes),
    };
    cluster.window = if draw.one_in(4) { 1 } else { draw.log(1, 64) };
    cluster.index_exclusivity = draw.one_in(3);
    cluster.implicit_commit = draw.one_in(3);
    cluster.clients = draw.log(1, 6) as u8;
    cluster.told = if draw.one_in(4) { 1 } else { cluster.told };
    if draw.one_in(3) {
        cluster.session_ttl = Span(draw.log_time(Span::millis(200).0, Span::secs(5).0));
    }
    cluster.client_retry = Span(draw.log_time(Span::millis(40).0, Span::millis(500).0));
    let deadline = draw.log_time(Span::millis(200).0, Span::secs(8).0);
    cluster.client_deadline = Span(deadline.max(cluster.client_retry.0));

    let options = &mut cluster.options;
    options.heartbeat = Span(draw.log_time(Span::millis(10).0, Span::millis(60).0));
    options.election_timeout = options.heartbeat.times(draw.range(4, 12));
    options.max_batch = if draw.one_in(3) { 1 } else { draw.log(1, 64) as usize };
    options.max_batch_bytes = if draw.one_in(4) { draw.log(1, 256) as usize } else { options.max_batch_bytes };
    options.batch_interval = if draw.one_in(3) { Span(draw.log_time(100_000, 5_000_000)) } else { Span::ZERO };
    options.explicit_commit = draw.coin();
    options.thrifty = draw.one_in(3);
    options.participant = if draw.one_in(3) { Participant::Forward } else { Participant::Redirect };
    options.delegate = match draw.range(0, 5) {
        0..=2 => Delegate::None,
        3..=4 => Delegate::Rotate(draw.range(1, nodes) as u8),
        _ => Delegate::Forwarder,
    };
    options.participant_read = draw.coin();
    options.queue_max = if draw.one_in(5) { draw.log(1, 16) as usize } else { options.queue_max };
    options.reads_max = if draw.one_in(5) { draw.log(1, 16) as usize } else { options.reads_max };
    options.snapshot_interval = if draw.one_in(4) { 0 } else { draw.log(1, 64) };
    options.length = if draw.one_in(3) { draw.log(32, 512) } else { options.length };
    options.snapshot_block = draw.log(64, 1024) as u32;
    let journal = &mut options.journal;
    journal.segment_records = draw.log(16, 128) as u32;
    journal.segment_bytes = segment_bytes_min(journal.segment_records) + draw.log(1 << 12, 1 << 16);
    journal.seal = if draw.one_in(3) { Seal::Eager } else { Seal::Lazy };
    journal.seal_idle = Span(draw.log_time(Span::millis(1).0, Span::millis(20).0));
    cluster
}

/// Thresholds that together exceed the whole, by one or by more: with equal weights this is any legal pair of sizes.
fn weighted(draw: &mut Draw, nodes: u64) -> QuorumSpec {
    let equal = draw.coin();
    let mut weights: Vec<u16> = (0..nodes).map(|_| if equal { 1 } else { draw.range(0, 4) as u16 }).collect();
    // Somebody must have a say.
    weights[0] = weights[0].max(1);
    let total = weights.iter().copied().map(u64::from).sum();
    let replication = draw.range(1, total);
    let least = total + 1 - replication;
    let recovery = if draw.coin() { least } else { draw.range(least, total) };
    QuorumSpec::Weighted { weights, replication: replication as u32, recovery: recovery as u32 }
}

fn grid(draw: &mut Draw, nodes: u8) -> QuorumSpec {
    let divisors: Vec<u8> = (1..=nodes).filter(|rows| nodes.is_multiple_of(*rows)).collect();
    let rows = *draw.pick(&divisors);
    QuorumSpec::Grid { rows, columns: nodes / rows, transposed: draw.coin() }
}

/// A few sets for one phase, and for the other what takes one member of each of them, so that all pairs meet.
fn explicit(draw: &mut Draw, nodes: u8) -> QuorumSpec {
    let sets = |draw: &mut Draw| {
        let one = |draw: &mut Draw| {
            let least = NodeId(draw.range(0, u64::from(nodes) - 1) as u8);
            (0..nodes).map(NodeId).filter(|node| *node == least || draw.coin()).collect::<NodeSet>()
        };
        (0..draw.range(1, 4)).map(|_| one(draw)).collect::<Vec<_>>()
    };
    let one = sets(draw);
    let across = |draw: &mut Draw| {
        let meet = |set: &NodeSet| *draw.pick(&set.iter().collect::<Vec<_>>());
        one.iter().map(meet).collect::<NodeSet>()
    };
    let other = (0..draw.range(1, 4)).map(|_| across(draw)).collect();
    if draw.coin() {
        QuorumSpec::Explicit { replication: one, recovery: other }
    } else {
        QuorumSpec::Explicit { replication: other, recovery: one }
    }
}

/// Three times in four clients pace themselves so that their operations fill the run, else they hurry.
fn workload(draw: &mut Draw, cluster: &Cluster, run: Span) -> Workload {
    let ops = draw.log(16, 300);
    let in_flight = if draw.one_in(3) { 1 } else { draw.log(1, 16) };
    let pace = run.0 * u64::from(cluster.clients) * in_flight / ops;
    let think = if draw.one_in(4) { Span::millis(1).0 } else { (pace * 3 / 2).max(1) };
    Workload {
        ops: ops as u32,
        keys: draw.log(1, 16) as u32,
        reads: Percent(*draw.pick(&[0, 10, 30, 50, 90])),
        participant: Percent(if cluster.options.participant_read { *draw.pick(&[10, 50, 100]) } else { 0 }),
        stale: Percent(*draw.pick(&[0, 0, 20, 50])),
        deletes: Percent(*draw.pick(&[0, 5, 20])),
        cas: Percent(*draw.pick(&[0, 10, 40])),
        multi: Percent(*draw.pick(&[0, 5, 30])),
        value: draw.log(1, 200) as u32,
        think: (Span::ZERO, Span(two_digits(think))),
        in_flight: in_flight as u8,
    }
}

/// Delays stay well below the election timeout: a cluster that cannot elect anyone tests little.
fn links(draw: &mut Draw, timeout: Span, faults: bool) -> Links {
    let low = draw.log_time(50_000, (timeout.0 / 40).max(100_000));
    let mut links = Links { delay: (Span(low), Span(low * draw.range(1, 4))), ..Links::default() };
    if faults {
        for rate in [&mut links.drop, &mut links.duplicate, &mut links.reorder, &mut links.late] {
            *rate = if draw.coin() { draw.log(1_000, 200_000) as u32 } else { 0 };
        }
        let late = draw.log_time(timeout.0, timeout.0 * 8);
        links.late_by = (Span(late / 2), Span(late));
    }
    links
}

fn disk(draw: &mut Draw, timeout: Span, faults: bool) -> Disk {
    let low = draw.log_time(20_000, timeout.0 / 80);
    let mut disk = Disk { latency: (Span(low), Span(low * draw.range(1, 4))), ..Disk::default() };
    disk.lost = *draw.pick(&[0, 100_000, 500_000, 900_000, 1_000_000]);
    disk.torn = *draw.pick(&[0, 200_000, 500_000, 1_000_000]);
    if faults {
        disk.slow = draw.log(1_000, 100_000) as u32;
        disk.slow_by = (Span(timeout.0 / 20), Span(draw.log_time(timeout.0 / 10, timeout.0 * 2)));
    }
    disk
}

/// At most 500 millionths: quartz is within 100, and the oracle of log time wants the bound stated.
fn clocks(draw: &mut Draw, nodes: u8) -> Vec<(NodeId, i32)> {
    let mut clocks = Vec::new();
    for node in 0..nodes {
        if draw.coin() {
            let ppm = draw.log(10, 500) as i32;
            clocks.push((NodeId(node), if draw.coin() { ppm } else { -ppm }));
        }
    }
    clocks
}

/// A lease, and clocks that are as wrong as it states: often far worse than any quartz.
fn lease(draw: &mut Draw, scenario: &mut Scenario) {
    let worst = if draw.coin() { draw.log(1_000, 100_000) as i32 } else { 100_000 };
    if draw.coin() {
        let nodes = (0..scenario.cluster.nodes).map(NodeId);
        scenario.clocks = nodes.map(|node| (node, *draw.pick(&[-worst, worst, worst / 2]))).collect();
    }
    let Options { heartbeat, election_timeout, .. } = scenario.cluster.options;
    let mut duration = draw.log_time(heartbeat.0 * 2, election_timeout.0 * 2);
    if draw.coin() && scenario.cluster.nodes > 1 {
        usurpers(draw, scenario, worst);
        // Where it ends just when the others begin to miss their leader, it is needed most.
        if draw.coin() {
            duration = two_digits(draw.range(election_timeout.0 * 9 / 10, election_timeout.0 * 11 / 10));
        }
    }
    let later = scenario.plan.iter().filter_map(|line| match line.action {
        Action::Skew { ppm, .. } => Some(ppm),
        _ => None,
    });
    let errors = scenario.clocks.iter().map(|(_, ppm)| *ppm).chain(later).map(i32::unsigned_abs);
    let clock_error_ppm = errors.max().unwrap_or(0);
    let duration = Span(duration.max(heartbeat.0 * 2));
    scenario.cluster.lease = Some(Lease { duration, clock_error_ppm });
}

/// Whoever leads has a slow clock, all others fast ones, and comes to be cut off. Clients go on to talk to both sides:
/// one reads what the old leader has, and others write to whoever comes next. Some of the peers forget at that moment
/// what they have granted, while one that heard nothing of it for long is waiting for them.
fn usurpers(draw: &mut Draw, scenario: &mut Scenario, worst: i32) {
    let Scenario { cluster, workload, run, plan, clocks, .. } = scenario;
    let timeout = cluster.options.election_timeout.0;
    let nodes = cluster.members();
    *clocks = nodes.iter().map(|node| (*node, worst)).collect();
    let captive = cluster.clients > 1 || draw.coin();
    for leader in &nodes {
        let mut act = |delay: u64, action: Action| {
            let (who, event) = (Who::Node(*leader), EventKind::Leads);
            let delay = Span(delay);
            let trigger = Trigger { who, event, index: None, view: None, peer: None, nth: 1, before: false, delay };
            plan.push(Line { condition: Condition::Event(trigger), action });
        };
        act(0, Action::Skew { node: Target::It, ppm: -worst });
        let mut others: Vec<NodeId> = nodes.iter().copied().filter(|node| node != leader).collect();
        let mut sides = [vec![End::Node(*leader)], others.iter().copied().map(End::Node).collect::<Vec<_>>()];
        if captive {
            sides[0].push(End::Client(0));
            sides[1].extend((1..cluster.clients).map(End::Client));
        }
        let (at, back) = (draw.log_time(timeout / 8, timeout * 2), Some(Span(draw.log_time(timeout, timeout * 4))));
        if draw.coin() {
            let heir = others.swap_remove(draw.range(0, others.len() as u64 - 1) as usize);
            let groups = vec![vec![End::Node(*leader)], vec![End::Node(heir)]];
            act(at - at / 2, Action::Partition { groups, oneway: false, back });
            let power = draw.coin();
            for other in others {
                let back = Some(Span(draw.log_time(50_000, 2_000_000)));
                act(at, Action::Crash { node: Target::Node(other), power, back });
            }
        }
        act(at, Action::Partition { groups: sides.into(), oneway: draw.one_in(4), back });
    }
    workload.reads = Percent(*draw.pick(&[50, 90, 98]));
    workload.ops = 400;
    let pace = run.0 * u64::from(cluster.clients) * u64::from(workload.in_flight) / 400;
    workload.think = (Span::ZERO, Span(two_digits(pace.max(10))));
}

/// Heals everyone, or only a smallest set of nodes that contains both kinds of quorum.
fn liveness(draw: &mut Draw, cluster: &Cluster) -> Liveness {
    let within = Span::secs(30);
    let mut core = cluster.members();
    if draw.coin() {
        return Liveness::Core { nodes: Vec::new(), within };
    }
    let configuration = cluster.configuration().expect("the generator makes legal clusters");
    let quorums = configuration.quorums();
    for _ in 0..cluster.nodes {
        let out = draw.range(0, core.len() as u64 - 1) as usize;
        let rest: NodeSet = core.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, node)| *node).collect();
        if quorums.has_recovery_quorum(rest) && quorums.has_replication_quorum(rest) {
            core.remove(out);
        }
    }
    Liveness::Core { nodes: core, within }
}

fn plan(draw: &mut Draw, kinds: &Kinds, scenario: &mut Scenario) {
    let nodes = scenario.cluster.nodes;
    let mut lines = Vec::new();
    let mut times = |draw: &mut Draw, wanted: bool, most: u64, act: &mut dyn FnMut(&mut Draw, Span) -> Action| {
        for _ in 0..if wanted { draw.range(1, most) } else { 0 } {
            let at = Time(draw.time(0, scenario.run.0 * 9 / 10));
            let back = Span(draw.log_time(Span::millis(2).0, scenario.run.0 / 2));
            lines.push((at, act(draw, back)));
        }
    };
    times(draw, kinds.processes, 4, &mut |draw, back| crash(draw, nodes, false, back));
    times(draw, kinds.power, 4, &mut |draw, back| crash(draw, nodes, true, back));
    times(draw, kinds.pauses, 4, &mut |draw, back| Action::Pause { node: draw.node(nodes), back: Some(back) });
    times(draw, kinds.partitions && nodes > 1, 4, &mut |draw, back| partition(draw, nodes, back));
    times(draw, kinds.slow, 3, &mut |draw, back| Action::Slow {
        node: draw.node(nodes),
        what: if draw.coin() { Slow::Disk } else { Slow::Links },
        by: Span(draw.log_time(Span::millis(1).0, Span::millis(200).0)),
        back: Some(back),
    });
    times(draw, kinds.disk_errors, 2, &mut |draw, back| Action::FailDisk { node: draw.node(nodes), back: Some(back) });
    times(draw, kinds.clocks, 2, &mut |draw, _| Action::Skew {
        node: Target::Node(NodeId(draw.range(0, u64::from(nodes) - 1) as u8)),
        ppm: draw.range(0, 1000) as i32 - 500,
    });
    let clients = scenario.cluster.clients;
    times(draw, kinds.clients, 4, &mut |draw, back| {
        let client = draw.range(0, u64::from(clients) - 1) as u8;
        match draw.range(0, 2) {
            0 => Action::PauseClient { client, back: Some(back) },
            1 => Action::Disconnect { client },
            _ => Action::CrashClient { client },
        }
    });
    lines.sort_by_key(|(at, _)| *at);
    scenario.plan.extend(lines.into_iter().map(|(at, action)| Line { condition: Condition::At(at), action }));
    if kinds.mid_step {
        for _ in 0..draw.range(1, 4) {
            scenario.plan.push(mid_step(draw, scenario.run));
        }
    }
    if kinds.power {
        for _ in 0..draw.range(0, 3) {
            scenario.plan.push(mid_write(draw, scenario));
        }
    }
    if kinds.rivals && nodes > 1 {
        rivals(draw, scenario);
    }
    if kinds.rot {
        for _ in 0..draw.range(1, 4) {
            rot(draw, scenario);
        }
    }
}

/// One time in eight the node stays down until the liveness phase, or for ever if that leaves it out.
fn crash(draw: &mut Draw, nodes: u8, power: bool, back: Span) -> Action {
    let back = if draw.one_in(8) { None } else { Some(back) };
    if draw.one_in(6) {
        Action::CrashAll { power, back: back.or(Some(Span::millis(50))) }
    } else if draw.one_in(4) {
        Action::Stop { node: if draw.coin() { Target::Leader } else { draw.node(nodes) }, back }
    } else {
        Action::Crash { node: draw.node(nodes), power, back }
    }
}

fn partition(draw: &mut Draw, nodes: u8, back: Span) -> Action {
    let back = if draw.one_in(8) { None } else { Some(back) };
    let mut ends: Vec<End> = (0..nodes).map(|node| End::Node(NodeId(node))).collect();
    for last in (1..ends.len()).rev() {
        ends.swap(last, draw.range(0, last as u64) as usize);
    }
    match draw.range(0, 5) {
        0 => Action::Isolate { node: draw.node(nodes), back },
        1 => Action::Cut { from: ends[0], to: ends[1], back },
        2 if nodes >= 3 => {
            // A bridge: the last node hears both sides, which do not hear each other.
            let middle = ends.len() / 2;
            ends.pop();
            let right = ends.split_off(middle);
            Action::Partition { groups: vec![ends, right], oneway: false, back }
        }
        shape => {
            let right = ends.split_off(draw.range(1, u64::from(nodes) - 1) as usize);
            Action::Partition { groups: vec![ends, right], oneway: shape == 5, back }
        }
    }
}

/// A crash at a protocol event, in the midst of the node's step.
fn mid_step(draw: &mut Draw, run: Span) -> Line {
    let clients = |kind: &MessageKind| matches!(kind, MessageKind::Request | MessageKind::Response);
    let between: Vec<MessageKind> =
        MessageKind::NAMES.map(|(kind, _)| kind).into_iter().filter(|kind| !clients(kind)).collect();
    let event = match draw.range(0, 9) {
        0 => EventKind::Sends(*draw.pick(&between)),
        1 => EventKind::Receives(*draw.pick(&between)),
        2..=4 => EventKind::Outputs,
        _ => draw.pick(&EventKind::NAMES).0,
    };
    let most = if event == EventKind::Outputs { 4000 } else { 60 };
    let trigger = Trigger {
        who: if draw.one_in(3) { Who::Leader } else { Who::Any },
        event,
        index: None,
        view: None,
        peer: None,
        nth: draw.log(1, most) as u32,
        before: draw.coin(),
        delay: if draw.one_in(4) { Span(draw.log_time(10_000, 10_000_000)) } else { Span::ZERO },
    };
    let back = Some(Span(draw.log_time(Span::millis(2).0, run.0 / 4)));
    Line { condition: Condition::Event(trigger), action: Action::Crash { node: Target::It, power: draw.coin(), back } }
}

/// The power goes while a disk operation is under way: only then is there anything that can be lost or torn.
fn mid_write(draw: &mut Draw, scenario: &Scenario) -> Line {
    let trigger = Trigger {
        who: if draw.one_in(3) { Who::Leader } else { Who::Any },
        event: EventKind::Writes,
        index: None,
        view: None,
        peer: None,
        nth: draw.log(1, 600) as u32,
        before: false,
        delay: Span(draw.log_time(1_000, scenario.disk.latency.1.0)),
    };
    let back = Some(Span(draw.log_time(Span::millis(2).0, scenario.run.0 / 4)));
    Line { condition: Condition::Event(trigger), action: Action::Crash { node: Target::It, power: true, back } }
}

/// Leaders that are lost in the midst of a broadcast, one after the other, and come back later: each may leave a
/// batch of
/// its own at one index, held by few. Which of them counts is what choosing the highest view is about.
fn rivals(draw: &mut Draw, scenario: &mut Scenario) {
    let timeout = scenario.cluster.options.election_timeout.0;
    let mut nth = 0;
    for _ in 0..draw.range(2, 8) {
        nth += draw.log(1, 32) as u32;
        let trigger = Trigger {
            who: Who::Leader,
            event: EventKind::Sends(MessageKind::Accept),
            index: None,
            view: None,
            peer: None,
            nth,
            before: true,
            delay: Span::ZERO,
        };
        let back = Some(Span(draw.log_time(timeout, timeout * 4)));
        let action = match draw.range(0, 3) {
            0 => Action::Crash { node: Target::It, power: draw.coin(), back },
            1 => Action::Pause { node: Target::It, back },
            _ => Action::Isolate { node: Target::It, back },
        };
        scenario.plan.push(Line { condition: Condition::Event(trigger), action });
    }
}

/// Damage is noticed when a node starts, so a crash follows soon.
fn rot(draw: &mut Draw, scenario: &mut Scenario) {
    let node = Target::Node(NodeId(draw.range(0, u64::from(scenario.cluster.nodes) - 1) as u8));
    let at = Time(draw.time(scenario.run.0 / 10, scenario.run.0 * 8 / 10));
    let crash = at + Span(draw.log_time(10_000, Span::millis(50).0));
    for _ in 0..draw.log(1, 6) {
        use RotPart::{Body, Identity, Slot, Snapshot};
        let part = *draw.pick(&[Body, Body, Body, Slot, Identity, Snapshot]);
        let damage = *draw.pick(&[Damage::Bit, Damage::Bit, Damage::Whole, Damage::Zero]);
        let index = if matches!(part, Body | Slot) && draw.coin() { Some(draw.log(1, 64)) } else { None };
        let action = Action::Rot { node, part, index, damage };
        scenario.plan.push(Line { condition: Condition::At(at), action });
    }
    let back = Some(Span(draw.log_time(Span::millis(2).0, Span::millis(200).0)));
    let action = Action::Crash { node, power: draw.coin(), back };
    scenario.plan.push(Line { condition: Condition::At(crash), action });
}

fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.ilog10().saturating_sub(1));
    number / unit * unit
}

/// Integer draws from one sequence.
struct Draw {
    rng: ChaCha8Rng,
}

impl Draw {
    /// From `low` to `high`, both included.
    fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range {low}..={high}");
        low + ((u128::from(self.rng.next_u64()) * (u128::from(high - low) + 1)) >> 64) as u64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.range(1, n) == 1
    }

    fn coin(&mut self) -> bool {
        self.one_in(2)
    }

    /// From `low` to `high`, every factor of two equally likely. `low` is above zero.
    fn log(&mut self, low: u64, high: u64) -> u64 {
        if low >= high {
            return low;
        }
        let from = low << self.range(0, u64::from((high / low).ilog2()));
        self.range(from, high.min(from.saturating_mul(2)))
    }

    /// As `log`, of two significant digits: people read it.
    fn log_time(&mut self, low: u64, high: u64) -> u64 {
        two_digits(self.log(low, high)).max(low)
    }

    /// As `range`, in whole tenths of milliseconds.
    fn time(&mut self, low: u64, high: u64) -> u64 {
        self.range(low.div_ceil(100_000), high / 100_000) * 100_000
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.range(0, from.len() as u64 - 1) as usize]
    }

    /// A node to do something to; the leader often, since that hurts most.
    fn node(&mut self, nodes: u8) -> Target {
        if self.one_in(3) { Target::Leader } else { Target::Node(NodeId(self.range(0, u64::from(nodes) - 1) as u8)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::check;

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
    fn a_band_of_seeds_uses_every_size_quorum_system_and_kind_of_line() {
        let band: Vec<Scenario> = (0..500).map(|seed| generate(Profile::Swarm, seed)).collect();
        for nodes in 1..=7 {
            assert!(band.iter().any(|scenario| scenario.cluster.nodes == nodes), "{nodes} nodes");
        }
        let text: String = band.iter().map(Scenario::to_string).collect();
        for word in [
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
            "rot n",
            " body ",
            " slot ",
            " identity ",
            "skew n",
            " disk ",
            " links ",
            "fail n",
            "before any",
            "before leader sends Accept",
            "when leader",
            "core=",
        ] {
            assert!(text.contains(word), "{word} appears in no scenario of 500");
        }
        let calm = band.iter().filter(|scenario| scenario.plan.is_empty()).count();
        assert!(calm > 0, "some seeds have no plan at all");
    }
}

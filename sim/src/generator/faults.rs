//! What befalls the cluster of a seed: the lines of its plan, leases with what attacks them, and how much of it heals.

use super::{
    Kinds,
    draw::{Draw, two_digits},
    links::{clog, leaps, order, partition},
};
use crate::scenario::{
    Action, Cluster, Condition, Damage, End, EventKind, Line, Liveness, MessageFate, MessageKind, Override, Percent,
    RotPart, Scenario, Slow, Target, Trigger, Who,
};
use ios_core::{
    configuration::Lease,
    ids::{NodeId, NodeSet},
    options::Options,
    time::{Span, Time},
};

/// A lease, and clocks that are as wrong as it states: often far worse than any quartz.
pub(super) fn lease(draw: &mut Draw, scenario: &mut Scenario) {
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
            act(at - at / 2, Action::Partition { groups, oneway: false, back, flap: None });
            let power = draw.coin();
            for other in others {
                let back = Some(Span(draw.log_time(50_000, 2_000_000)));
                act(at, Action::Crash { node: Target::Node(other), power, back });
            }
        }
        act(at, Action::Partition { groups: sides.into(), oneway: draw.one_in(4), back, flap: None });
    }
    workload.reads = Percent(*draw.pick(&[50, 90, 98]));
    workload.ops = 400;
    let pace = run.0 * u64::from(cluster.clients) * u64::from(workload.in_flight) / 400;
    workload.think = (Span::ZERO, Span(two_digits(pace.max(10))));
}

/// Heals everyone, or only a smallest set of nodes that contains both kinds of quorum.
pub(super) fn liveness(draw: &mut Draw, cluster: &Cluster) -> Liveness {
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

pub(super) fn plan(draw: &mut Draw, kinds: &Kinds, scenario: &mut Scenario) {
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
    times(draw, kinds.clogs && nodes > 1, 4, &mut |draw, back| clog(draw, &scenario.cluster, back));
    times(draw, kinds.slow, 3, &mut |draw, back| Action::Slow {
        node: draw.node(nodes),
        what: if draw.coin() { Slow::Disk } else { Slow::Links },
        by: Span(draw.log_time(Span::millis(1).0, Span::millis(200).0)),
        back: Some(back),
    });
    times(draw, kinds.disk_errors, 2, &mut |draw, back| Action::FailDisk { node: draw.node(nodes), back: Some(back) });
    times(draw, kinds.full_disks, 3, &mut |draw, back| Action::Full { node: draw.node(nodes), back: Some(back) });
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
    if kinds.leaps {
        lines.extend(leaps(draw, scenario));
    }
    if kinds.order && nodes > 1 {
        lines.extend(order(draw, scenario));
    }
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
        for _ in 0..if scenario.cluster.options.snapshot_interval > 0 { draw.range(0, 3) } else { 0 } {
            scenario.plan.push(mid_snapshot(draw, scenario));
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
    } else if draw.one_in(6) {
        let to = draw.coin().then(|| NodeId(draw.range(0, u64::from(nodes) - 1) as u8));
        Action::Transfer { node: Target::Leader, to }
    } else {
        Action::Crash { node: draw.node(nodes), power, back }
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

/// The power goes while a snapshot takes the place of what it stands for, which is several disk operations.
fn mid_snapshot(draw: &mut Draw, scenario: &Scenario) -> Line {
    use EventKind::{BeginsSnapshot, Installs, ReceivesSnapshot, TakesSnapshot};
    let trigger = Trigger {
        who: Who::Any,
        event: *draw.pick(&[BeginsSnapshot, BeginsSnapshot, TakesSnapshot, ReceivesSnapshot, Installs]),
        index: None,
        view: None,
        peer: None,
        nth: draw.log(1, 32) as u32,
        before: false,
        delay: Span(draw.log_time(1_000, scenario.disk.latency.1.0 * 8)),
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
            _ => Action::Isolate { node: Target::It, back, flap: None },
        };
        scenario.plan.push(Line { condition: Condition::Event(trigger), action });
    }
}

/// A member that is not needed in the end may lose its disk: it never votes again.
pub(super) fn wiped_outsider(draw: &mut Draw, scenario: &mut Scenario) {
    let core = scenario.core();
    let outsiders: Vec<NodeId> = scenario.cluster.members().into_iter().filter(|node| !core.contains(node)).collect();
    if !outsiders.is_empty() && draw.one_in(4) {
        let (node, at) = (*draw.pick(&outsiders), Time(draw.time(0, scenario.run.0 * 9 / 10)));
        scenario.plan.push(Line { condition: Condition::At(at), action: Action::Wipe { node } });
    }
}

/// More damage than the protocol promises to survive, on any member, soon noticed; then time to serve what is false.
pub(super) fn beyond(draw: &mut Draw, scenario: &mut Scenario) {
    (scenario.disk.beyond, scenario.liveness) = (true, Liveness::Off);
    for _ in 0..draw.range(2, 8) {
        if draw.one_in(5) {
            let node = NodeId(draw.range(0, u64::from(scenario.cluster.nodes) - 1) as u8);
            let at = Time(draw.time(scenario.run.0 / 10, scenario.run.0));
            scenario.plan.push(Line { condition: Condition::At(at), action: Action::Wipe { node } });
        } else {
            rot(draw, scenario);
        }
    }
    if draw.coin() {
        let at = Time(draw.time(scenario.run.0 / 2, scenario.run.0 * 9 / 10));
        let action = Action::CrashAll { power: draw.coin(), back: Some(Span::millis(5)) };
        scenario.plan.push(Line { condition: Condition::At(at), action });
    }
}

/// Every message of one kind arrives a second time, after about as long as it takes to lose a leader and get one, while
/// leaders are being lost: whoever does not match an answer with its question counts it for another one.
pub(super) fn late_answers(draw: &mut Draw, scenario: &mut Scenario) {
    use MessageKind::{Accepted, CanvassReply, Chosen, Entries, HeartbeatAck, HighWater, Promise, Reject};
    let kind = *draw.pick(&[
        Accepted,
        Accepted,
        Accepted,
        Promise,
        Reject,
        Chosen,
        Entries,
        HeartbeatAck,
        HighWater,
        CanvassReply,
    ]);
    let timeout = scenario.cluster.options.election_timeout.0;
    let late = Span(draw.log_time(timeout / 2, timeout * 4));
    scenario.overrides.push(Override::Message {
        from: None,
        to: None,
        kind: Some(kind),
        view: None,
        index: None,
        nth: None,
        fate: MessageFate::Duplicate(late),
    });
    if scenario.cluster.nodes > 1 {
        rivals(draw, scenario);
    }
}

/// Damage is noticed when a node starts, so a crash follows soon.
fn rot(draw: &mut Draw, scenario: &mut Scenario) {
    use Damage::{Bit, Misdirected, Unreadable, Whole, Zero};
    use RotPart::{Body, Identity, Slot, Snapshot};
    let node = Target::Node(NodeId(draw.range(0, u64::from(scenario.cluster.nodes) - 1) as u8));
    let at = Time(draw.time(scenario.run.0 / 10, scenario.run.0 * 8 / 10));
    let crash = at + Span(draw.log_time(10_000, Span::millis(50).0));
    for _ in 0..draw.log(1, 6) {
        let part = *draw.pick(&[Body, Body, Body, Slot, Identity, Snapshot]);
        let damage = *draw.pick(&[Bit, Bit, Whole, Zero, Misdirected, Unreadable]);
        let index = if matches!(part, Body | Slot) && draw.coin() { Some(draw.log(1, 64)) } else { None };
        let action = Action::Rot { node, part, index, damage };
        scenario.plan.push(Line { condition: Condition::At(at), action });
    }
    let back = Some(Span(draw.log_time(Span::millis(2).0, Span::millis(200).0)));
    let action = Action::Crash { node, power: draw.coin(), back };
    scenario.plan.push(Line { condition: Condition::At(crash), action });
}

//! Whether a scenario makes sense: everything named exists, every number is within its bounds.

use super::{
    Action, CLIENTS_MAX, Cluster, Condition, End, EventKind, Flap, Line, Links, Liveness, MessageKind, NODES_MAX,
    Operation, Order, Override, QUEUE_MAX, RotPart, Scenario, Target, Trigger, Who,
};
use ios_core::{
    configuration::{Configuration, ConfigurationDraft},
    ids::{NodeId, NodeSet},
    message::ReadMode,
    time::{Span, Time},
};

/// Where a problem lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the directive of this name.
    Directive(&'static str),
    /// In this line of the plan, from 0.
    Plan(usize),
    /// In this override, from 0.
    Override(usize),
}

/// The longest time a scenario may name: a run is simulated, but not for free.
pub const TIME_MAX: Span = Span::secs(3600);
/// The most operations of a generated workload.
pub const OPERATIONS_MAX: u32 = 1_000_000;
/// The most keys of a generated workload, and the most bytes of a key or value.
pub const KEYS_MAX: u32 = 1 << 16;
/// How often a fault may come again.
pub const FLAPS_MAX: u32 = 1000;
/// The largest rate error of a clock, in millionths.
pub const SKEW_MAX: i32 = 100_000;

impl Cluster {
    /// The members.
    pub fn members(&self) -> Vec<NodeId> {
        (0..self.nodes).map(NodeId).collect()
    }

    /// The configuration the cluster is founded with, or why it cannot be.
    pub fn configuration(&self) -> Result<Configuration, String> {
        let draft = ConfigurationDraft {
            members: self.members(),
            quorum: self.quorum.clone(),
            window: self.window,
            index_exclusivity: self.index_exclusivity,
            implicit_commit: self.implicit_commit,
            lease: self.lease,
            session_ttl: self.session_ttl,
            ..ConfigurationDraft::default()
        };
        Configuration::new(draft).map_err(|error| error.to_string())
    }
}

/// The first thing that is wrong with a scenario, if any is.
pub fn problem(scenario: &Scenario) -> Option<(Place, String)> {
    directives(scenario)
        .map_err(|(name, problem)| (Place::Directive(name), problem))
        .and_then(|()| {
            scenario.plan.iter().enumerate().try_for_each(|(place, line)| {
                plan_line(scenario, line).map_err(|problem| (Place::Plan(place), problem))
            })
        })
        .and_then(|()| {
            scenario.overrides.iter().enumerate().try_for_each(|(place, over)| {
                override_line(scenario, over).map_err(|problem| (Place::Override(place), problem))
            })
        })
        .err()
}

fn require(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

fn directives(scenario: &Scenario) -> Result<(), (&'static str, String)> {
    let at = |name| move |problem| (name, problem);
    cluster(&scenario.cluster).map_err(at("cluster"))?;
    links(&scenario.network).map_err(at("network"))?;
    links(&scenario.client_network).map_err(at("client-network"))?;
    order(scenario).map_err(at("order"))?;
    disk(scenario).map_err(at("disk"))?;
    clocks(scenario).map_err(at("clocks"))?;
    workload(scenario).map_err(at("workload"))?;
    require(scenario.run > Span::ZERO, || "a run takes some time".into()).map_err(at("run"))?;
    time(scenario.run).map_err(at("run"))?;
    liveness(scenario).map_err(at("liveness"))
}

fn cluster(cluster: &Cluster) -> Result<(), String> {
    require((1..=NODES_MAX).contains(&cluster.nodes), || {
        format!("nodes={} is not within 1 to {NODES_MAX}", cluster.nodes)
    })?;
    require(cluster.clients <= CLIENTS_MAX, || format!("clients={} is above {CLIENTS_MAX}", cluster.clients))?;
    require((1..=NODES_MAX).contains(&cluster.told), || {
        format!("told={} is not within 1 to {NODES_MAX}", cluster.told)
    })?;
    let configuration = cluster.configuration()?;
    cluster.options.check().map_err(|error| error.to_string())?;
    cluster.options.check_for(&configuration).map_err(|error| error.to_string())?;
    require(cluster.options.journal.segment_bytes <= 16 << 20, || {
        "segment_bytes: a simulated disk is memory, so at most 16777216".into()
    })?;
    require(cluster.client_retry > Span::ZERO, || "client_retry must be longer than nothing".into())?;
    require(cluster.client_deadline >= cluster.client_retry, || {
        "client_deadline must not be below client_retry".into()
    })?;
    let options = &cluster.options;
    [cluster.client_deadline, cluster.session_ttl, options.election_timeout, options.journal.seal_idle]
        .into_iter()
        .try_for_each(time)
}

fn time(span: Span) -> Result<(), String> {
    require(span <= TIME_MAX, || format!("{span} is longer than the longest time of a scenario, {TIME_MAX}"))
}

fn million(name: &str, chance: u32) -> Result<(), String> {
    require(chance <= 1_000_000, || format!("{name}={chance} is above a million, and means per million"))
}

fn range(name: &str, (low, high): (Span, Span)) -> Result<(), String> {
    require(low <= high, || format!("{name}={low}..{high} is upside down"))?;
    time(high)
}

fn links(links: &Links) -> Result<(), String> {
    range("delay", links.delay)?;
    range("late_by", links.late_by)?;
    million("drop", links.drop)?;
    million("duplicate", links.duplicate)?;
    million("reorder", links.reorder)?;
    million("late", links.late)?;
    million("damage", links.damage)?;
    require((1..=QUEUE_MAX).contains(&links.queue), || format!("queue={} is not within 1 to {QUEUE_MAX}", links.queue))
}

fn order(scenario: &Scenario) -> Result<(), String> {
    let (named, by) = scenario.order.named();
    named.map_or(Ok(()), |(from, to)| link(scenario, Some(from), Some(to)))?;
    time(by)
}

fn disk(scenario: &Scenario) -> Result<(), String> {
    let disk = &scenario.disk;
    range("latency", disk.latency)?;
    range("slow_by", disk.slow_by)?;
    million("lost", disk.lost)?;
    million("torn", disk.torn)?;
    million("slow", disk.slow)?;
    require(!disk.beyond || scenario.liveness == Liveness::Off, || {
        "with damage beyond what the protocol survives nothing has to finish: that wants \"liveness off\"".into()
    })
}

fn clocks(scenario: &Scenario) -> Result<(), String> {
    for (place, (node, ppm)) in scenario.clocks.iter().enumerate() {
        member(scenario, *node)?;
        skew(*ppm)?;
        let before = place.checked_sub(1).map(|before| scenario.clocks[before].0);
        require(before.is_none_or(|before| before < *node), || format!("the clock of {node} is set twice"))?;
    }
    Ok(())
}

fn skew(ppm: i32) -> Result<(), String> {
    require((-SKEW_MAX..=SKEW_MAX).contains(&ppm), || {
        format!("a clock's rate error {ppm} is beyond {SKEW_MAX} millionths")
    })
}

fn workload(scenario: &Scenario) -> Result<(), String> {
    let workload = &scenario.workload;
    require(workload.ops <= OPERATIONS_MAX, || format!("ops={} is above {OPERATIONS_MAX}", workload.ops))?;
    require(workload.ops == 0 || scenario.cluster.clients > 0, || "operations want clients to begin them".into())?;
    require((1..=KEYS_MAX).contains(&workload.keys), || {
        format!("keys={} is not within 1 to {KEYS_MAX}", workload.keys)
    })?;
    require((1..=64).contains(&workload.in_flight), || "in_flight is not within 1 to 64".into())?;
    require(workload.value <= KEYS_MAX, || format!("value={} is above {KEYS_MAX}", workload.value))?;
    require(workload.deletes.0 + workload.cas.0 <= 100, || "deletes and cas are above 100% together".into())?;
    range("think", workload.think)
}

fn liveness(scenario: &Scenario) -> Result<(), String> {
    let Liveness::Core { nodes, within } = &scenario.liveness else { return Ok(()) };
    time(*within)?;
    require(nodes.is_sorted_by(|a, b| a < b), || "a node of the core is named twice".into())?;
    nodes.iter().try_for_each(|node| member(scenario, *node))?;
    let core: NodeSet = scenario.core().into_iter().collect();
    let configuration = scenario.cluster.configuration()?;
    let quorums = configuration.quorums();
    require(quorums.has_recovery_quorum(core) && quorums.has_replication_quorum(core), || {
        format!("the core {core} lacks a recovery or a replication quorum, so nothing could be asked of it")
    })
}

impl Scenario {
    /// The members that heal for the liveness phase; none if nothing is asked of it.
    pub fn core(&self) -> Vec<NodeId> {
        match &self.liveness {
            Liveness::Off => Vec::new(),
            Liveness::Core { nodes, .. } if nodes.is_empty() => self.cluster.members(),
            Liveness::Core { nodes, .. } => nodes.clone(),
        }
    }
}

fn plan_line(scenario: &Scenario, line: &Line) -> Result<(), String> {
    match &line.condition {
        Condition::At(at) => {
            require(*at <= Time(scenario.run.0), || format!("{at} lies behind the end of the run, {}", scenario.run))?;
        }
        Condition::After { client: name, operation } => {
            client(scenario, *name)?;
            require(*operation >= 1, || "operations of a client are counted from 1".into())?;
        }
        Condition::Event(trigger) => self::trigger(scenario, trigger)?,
    }
    let triggered = matches!(line.condition, Condition::Event(_));
    action(scenario, &line.action, triggered)
}

fn trigger(scenario: &Scenario, trigger: &Trigger) -> Result<(), String> {
    if let Who::Node(node) = trigger.who {
        member(scenario, node)?;
    }
    if let Some(peer) = trigger.peer {
        member(scenario, peer)?;
        let between_members = match trigger.event {
            EventKind::Sends(kind) => kind != MessageKind::Response,
            EventKind::Receives(kind) => kind != MessageKind::Request,
            _ => false,
        };
        require(between_members, || "only messages between members have a member at the other end".into())?;
    }
    if let EventKind::Sends(MessageKind::Request) | EventKind::Receives(MessageKind::Response) = trigger.event {
        return Err("members receive Requests and send Responses, not the other way round".into());
    }
    require(trigger.nth >= 1, || "nth is counted from 1".into())?;
    time(trigger.delay)
}

fn action(scenario: &Scenario, action: &Action, triggered: bool) -> Result<(), String> {
    action.back().map_or(Ok(()), time)?;
    if let Some(Flap { times, gap }) = action.flap() {
        require((2..=FLAPS_MAX).contains(&times), || format!("times={times} is not within 2 to {FLAPS_MAX}"))?;
        time(gap)?;
        let hold = action.back().unwrap_or(Span::ZERO);
        require(hold > Span::ZERO && gap > Span::ZERO, || "what comes and goes takes some time for each".into())?;
    }
    match action {
        Action::Client { client: name, operation } => {
            client(scenario, *name)?;
            verbs(operation)
        }
        Action::PauseClient { client: name, .. }
        | Action::Disconnect { client: name }
        | Action::CrashClient { client: name } => client(scenario, *name),
        Action::Crash { node, .. }
        | Action::Stop { node, .. }
        | Action::Restart { node }
        | Action::Pause { node, .. }
        | Action::Resume { node }
        | Action::Isolate { node, .. }
        | Action::FailDisk { node, .. }
        | Action::Full { node, .. } => target(scenario, *node, triggered),
        Action::Transfer { node, to } => {
            target(scenario, *node, triggered)?;
            to.map_or(Ok(()), |to| member(scenario, to))
        }
        Action::Rot { node, part, index, .. } => {
            target(scenario, *node, triggered)?;
            require(*part != RotPart::Identity || index.is_none(), || "the identity has no index".into())?;
            require(*part != RotPart::Snapshot || index.is_none(), || "there is one snapshot at most".into())?;
            require(*index != Some(0), || "log indexes are counted from 1".into())
        }
        Action::Wipe { node } => {
            member(scenario, *node)?;
            require(!scenario.core().contains(node), || {
                format!("{node} never comes back from that: it must not be of the core (liveness core=...)")
            })
        }
        Action::Skew { node, ppm } => {
            target(scenario, *node, triggered)?;
            skew(*ppm)
        }
        Action::Slow { node, by, .. } => {
            target(scenario, *node, triggered)?;
            time(*by)
        }
        Action::Jump { node, by, .. } => {
            target(scenario, *node, triggered)?;
            time(*by)?;
            // A lease rests on clocks whose rate is wrong by so much at most, and states no bound on leaps.
            require(scenario.cluster.lease.is_none(), || {
                "a clock that jumps is further off than any lease allows: that wants lease=off".into()
            })
        }
        other => links_action(scenario, other),
    }
}

fn links_action(scenario: &Scenario, action: &Action) -> Result<(), String> {
    match action {
        Action::Partition { groups, .. } => {
            require(groups.len() >= 2 && groups.iter().all(|group| !group.is_empty()), || {
                "a partition names at least two groups, as in n0 n1 | n2".into()
            })?;
            let mut ends: Vec<End> = groups.concat();
            ends.sort_unstable();
            if let Some(twice) = ends.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("{} is on two sides", twice[0]));
            }
            ends.iter().try_for_each(|end| existing(scenario, *end))
        }
        Action::Cut { links, .. } | Action::Clog { links, .. } => {
            let mut sorted = links.clone();
            sorted.sort_unstable();
            if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("{}>{} is named twice", twice[0].0, twice[0].1));
            }
            links.iter().try_for_each(|(from, to)| link(scenario, Some(*from), Some(*to)))
        }
        Action::Rerank => require(matches!(scenario.order, Order::Priorities { .. }), || {
            "there are no priorities to change: that wants \"order priorities links step=20ms\" or the like".into()
        }),
        _ => Ok(()),
    }
}

fn verbs(operation: &Operation) -> Result<(), String> {
    require((1..=Operation::VERBS_MAX).contains(&operation.verbs.len()), || {
        format!("a request has 1 to {} verbs", Operation::VERBS_MAX)
    })?;
    require(operation.mode == ReadMode::Leader || operation.is_read(), || {
        format!("\"{operation}\" writes, so it cannot be a {} read", operation.mode)
    })
}

fn override_line(scenario: &Scenario, over: &Override) -> Result<(), String> {
    match over {
        Override::Message { from, to, nth, fate, .. } => {
            link(scenario, *from, *to)?;
            require(*nth != Some(0), || "nth is counted from 1".into())?;
            match fate {
                super::MessageFate::Delay(span) | super::MessageFate::Duplicate(span) => time(*span),
                super::MessageFate::Drop => Ok(()),
            }
        }
        Override::Sync { node, nth, fate } => {
            member(scenario, *node)?;
            require(*nth >= 1, || "nth is counted from 1".into())?;
            if let super::SyncFate::Latency(span) = fate { time(*span) } else { Ok(()) }
        }
    }
}

fn link(scenario: &Scenario, from: Option<End>, to: Option<End>) -> Result<(), String> {
    from.map_or(Ok(()), |end| existing(scenario, end))?;
    to.map_or(Ok(()), |end| existing(scenario, end))?;
    if let (Some(from), Some(to)) = (from, to) {
        require(from != to, || format!("{from} has no link to itself"))?;
        let clients = matches!((from, to), (End::Client(_), End::Client(_)));
        require(!clients, || format!("clients have no links to each other, so there is no {from}>{to}"))?;
    }
    Ok(())
}

fn existing(scenario: &Scenario, end: End) -> Result<(), String> {
    match end {
        End::Node(node) => member(scenario, node),
        End::Client(name) => client(scenario, name),
    }
}

fn member(scenario: &Scenario, node: NodeId) -> Result<(), String> {
    let nodes = scenario.cluster.nodes;
    require(node.0 < nodes, || format!("there is no {node}: the cluster has {nodes} nodes, counted from n0"))
}

fn client(scenario: &Scenario, client: u8) -> Result<(), String> {
    let clients = scenario.cluster.clients;
    require(client < clients, || format!("there is no c{client}: the cluster has {clients} clients, counted from c0"))
}

fn target(scenario: &Scenario, target: Target, triggered: bool) -> Result<(), String> {
    match target {
        Target::Node(node) => member(scenario, node),
        Target::It if !triggered => Err("\"it\" is the node of a triggering event, so it wants when or before".into()),
        Target::It | Target::Leader => Ok(()),
    }
}

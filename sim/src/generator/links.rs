//! What befalls the links and clocks of a seed: partitions of all shapes, clogs, the order of messages, leaps.

use super::draw::Draw;
use crate::scenario::{Action, Cluster, End, Flap, Order, RankedBy, Scenario, Target};
use ios_core::{
    ids::NodeId,
    time::{Span, Time},
};

/// One time in eight it stays until the liveness phase, and for ever around whom that leaves out; one time in four it
/// comes and goes.
pub(super) fn partition(draw: &mut Draw, nodes: u8, back: Span) -> Action {
    let (back, flap) = lasting(draw, back);
    let mut ends: Vec<End> = (0..nodes).map(|node| End::Node(NodeId(node))).collect();
    for last in (1..ends.len()).rev() {
        ends.swap(last, draw.range(0, last as u64) as usize);
    }
    match draw.range(0, 8) {
        0 => Action::Isolate { node: draw.node(nodes), back, flap },
        1 => Action::Cut { links: vec![(ends[0], ends[1])], back, flap },
        2 if nodes >= 3 => {
            // A bridge: the last node hears both sides, which do not hear each other.
            let middle = ends.len() / 2;
            ends.pop();
            let right = ends.split_off(middle);
            Action::Partition { groups: vec![ends, right], oneway: false, back, flap }
        }
        3 if nodes >= 4 => Action::Cut { links: off_the_ring(draw, &ends), back, flap },
        4..=5 => Action::Cut { links: any_links(draw, &ends), back, flap },
        shape => {
            let right = ends.split_off(draw.range(1, u64::from(nodes) - 1) as usize);
            Action::Partition { groups: vec![ends, right], oneway: shape == 8, back, flap }
        }
    }
}

fn lasting(draw: &mut Draw, back: Span) -> (Option<Span>, Option<Flap>) {
    if draw.one_in(8) {
        return (None, None);
    }
    if !draw.one_in(4) {
        return (Some(back), None);
    }
    let times = draw.log(2, 16) as u32;
    let hold = Span(draw.log_time(Span::millis(2).0, (back.0 / u64::from(times)).max(Span::millis(4).0)));
    let gap = Span(draw.log_time(Span::millis(1).0, hold.0.max(Span::millis(2).0)));
    (Some(hold), Some(Flap { times, gap }))
}

/// All links but those of a ring, which one time in three is open (a chain), or goes round in one direction only.
fn off_the_ring(draw: &mut Draw, ends: &[End]) -> Vec<(End, End)> {
    let (open, oneway) = (draw.one_in(3), draw.one_in(3));
    let last = ends.len() - 1;
    let next = |one: usize, other: usize| one + 1 == other || !open && (one, other) == (last, 0);
    let on = |one: usize, other: usize| next(one, other) || !oneway && next(other, one);
    pairs(ends).filter(|((one, _), (other, _))| !on(*one, *other)).map(|((_, from), (_, to))| (from, to)).collect()
}

/// Each link for itself, few or many; at least one.
fn any_links(draw: &mut Draw, ends: &[End]) -> Vec<(End, End)> {
    let sparse = draw.range(2, 5);
    let mut links = vec![(ends[0], ends[1])];
    let others = pairs(ends).map(|((_, from), (_, to))| (from, to)).filter(|link| *link != (ends[0], ends[1]));
    links.extend(others.filter(|_| draw.one_in(sparse)));
    links
}

/// Every end with every other one, with their places.
fn pairs(ends: &[End]) -> impl Iterator<Item = ((usize, End), (usize, End))> {
    let placed = || ends.iter().copied().enumerate();
    placed().flat_map(move |from| placed().filter(move |to| to.0 != from.0).map(move |to| (from, to)))
}

/// A few links, clients' among them, or all that somebody sends or gets.
pub(super) fn clog(draw: &mut Draw, cluster: &Cluster, back: Span) -> Action {
    let (back, flap) = lasting(draw, back);
    let mut ends: Vec<End> = (0..cluster.nodes).map(|node| End::Node(NodeId(node))).collect();
    let hub = ends.swap_remove(draw.range(0, ends.len() as u64 - 1) as usize);
    let links = match draw.range(0, 4) {
        0 => ends.iter().map(|end| (hub, *end)).collect(),
        1 => ends.iter().map(|end| (*end, hub)).collect(),
        2 => {
            let client = End::Client(draw.range(0, u64::from(cluster.clients) - 1) as u8);
            if draw.coin() { vec![(hub, client)] } else { vec![(client, hub)] }
        }
        3 => {
            ends.push(hub);
            any_links(draw, &ends)
        }
        _ => vec![(hub, *draw.pick(&ends))],
    };
    Action::Clog { links, back, flap }
}

/// Sets in which order messages arrive; the moments at which priorities change.
pub(super) fn order(draw: &mut Draw, scenario: &mut Scenario) -> Vec<(Time, Action)> {
    let nodes = u64::from(scenario.cluster.nodes);
    let timeout = scenario.cluster.options.election_timeout.0;
    if draw.one_in(3) {
        let from = draw.range(0, nodes - 1);
        let to = (from + draw.range(1, nodes - 1)) % nodes;
        let by = Span(draw.log_time(Span::millis(1).0, timeout));
        scenario.order = Order::SlowLink { from: NodeId(from as u8), to: NodeId(to as u8), by };
        return Vec::new();
    }
    let by = if draw.coin() { RankedBy::Links } else { RankedBy::Nodes };
    scenario.order = Order::Priorities { by, step: Span(draw.log_time(Span::millis(1).0, timeout / 3)) };
    (0..draw.range(0, 4)).map(|_| (Time(draw.time(0, scenario.run.0 * 9 / 10)), Action::Rerank)).collect()
}

/// A bound on what is under way on a link.
pub(super) fn queue(draw: &mut Draw) -> u32 {
    draw.log(1, 64) as u32
}

/// Leaps ahead, leaps back (time stands still), both again and again, and pauses after which much more time has gone by
/// than the pause took.
pub(super) fn leaps(draw: &mut Draw, scenario: &Scenario) -> Vec<(Time, Action)> {
    let nodes = scenario.cluster.nodes;
    let mut lines = Vec::new();
    for _ in 0..draw.range(1, 3) {
        let at = Time(draw.time(0, scenario.run.0 * 9 / 10));
        let node = Target::Node(NodeId(draw.range(0, u64::from(nodes) - 1) as u8));
        let ahead = Span(draw.log_time(Span::millis(1).0, Span::secs(20).0));
        let behind = Span(draw.log_time(Span::millis(1).0, scenario.run.0 / 2));
        let hold = Span(draw.log_time(Span::millis(1).0, Span::millis(200).0));
        let jump = |backward, by, back, flap| Action::Jump { node, backward, by, back, flap };
        match draw.range(0, 5) {
            0..=1 => lines.push((at, jump(false, ahead, None, None))),
            2..=3 => lines.push((at, jump(true, behind, draw.coin().then_some(hold), None))),
            4 => {
                let flap = Flap { times: draw.log(2, 16) as u32, gap: Span(draw.log_time(Span::millis(1).0, hold.0)) };
                lines.push((at, jump(draw.coin(), behind, Some(hold), Some(flap))));
            }
            _ => {
                lines.push((at, Action::Pause { node, back: Some(hold) }));
                lines.push((at, jump(false, ahead, None, None)));
            }
        }
    }
    lines
}

//! A few faults at points that a dry run has shown to exist.
//!
//! Most bugs need few faults, each at the right place (PCT: Burckhardt et al. 2010; its bound is one over the number of
//! places, per fault). Faults at random times fall where time is spent, not where a protocol takes its steps. So the
//! run is made once without a plan, every protocol event in it is a point, and of those a few are drawn, all with the
//! same chance. The run that follows is the same up to the first of them.

use super::draw::Draw;
use crate::{
    scenario::{Action, Condition, EventKind, Line, Scenario, Target, Trigger, Who},
    world::{Moment, World},
};
use ios_core::time::Span;
use std::collections::BTreeMap;

/// The most points of a run.
const POINTS_MAX: u64 = 4;

/// Replaces the plan by faults at a few points of a dry run.
pub(super) fn few_points(draw: &mut Draw, scenario: &mut Scenario) {
    scenario.plan.clear();
    let moments = World::default().moments(scenario);
    let mut seen: BTreeMap<(EventKind, u8), u32> = BTreeMap::new();
    let points: Vec<(Moment, u32)> = moments
        .into_iter()
        .map(|moment| {
            let nth = seen.entry((moment.happening.event, moment.happening.node.0)).or_insert(0);
            *nth += 1;
            (moment, *nth)
        })
        .collect();
    if points.is_empty() {
        return;
    }
    for _ in 0..draw.range(1, POINTS_MAX) {
        let (moment, nth) = draw.pick(&points);
        let trigger = Trigger {
            who: Who::Node(moment.happening.node),
            event: moment.happening.event,
            index: None,
            view: None,
            peer: None,
            nth: *nth,
            before: draw.coin(),
            delay: Span::ZERO,
        };
        let action = fault(draw, scenario);
        scenario.plan.push(Line { condition: Condition::Event(trigger), action });
    }
}

/// What happens to the node whose step it is. How long it takes is on the scale of an election.
fn fault(draw: &mut Draw, scenario: &Scenario) -> Action {
    let timeout = scenario.cluster.options.election_timeout.0;
    let back = Some(Span(draw.log_time(Span::millis(2).0, timeout * 4)));
    let node = Target::It;
    match draw.range(0, 5) {
        0..=1 => Action::Crash { node, power: true, back },
        2 => Action::Crash { node, power: false, back },
        3 => Action::Pause { node, back },
        _ => Action::Isolate { node, back, flap: None },
    }
}

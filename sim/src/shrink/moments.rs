//! Protocol events that a time in a plan may stand for.

use crate::{
    scenario::{Action, Condition, EventKind, Line, Scenario, Target, Trigger, Who},
    world::Moment,
};
use ios_core::time::Span;

/// How many events before the time are considered.
const LAST: usize = 6;
/// Beyond that, counting tells a reader less than an index does.
const COUNTED: u32 = 3;

/// Lines that do the same as a timed line of the plan, after an event that came shortly before that time; the latest
/// event first. Nothing if the line waits for something else already, or begins an operation.
pub(super) fn lines(scenario: &Scenario, place: usize, moments: &[Moment]) -> Vec<Line> {
    let Line { condition: Condition::At(time), action } = &scenario.plan[place] else { return Vec::new() };
    if matches!(action, Action::Client { .. } | Action::Rot { .. }) {
        return Vec::new();
    }
    let node = match action.target() {
        Some(Target::Node(node)) => Some(node),
        _ => None,
    };
    let before = moments.partition_point(|moment| moment.time <= *time);
    let about = |moment: &&Moment| node.is_none_or(|node| node == moment.happening.node) && is_telling(moment);
    let last: Vec<&Moment> = moments[..before].iter().rev().filter(about).take(LAST).collect();
    let line = |moment: &&Moment| {
        let trigger = trigger(moment, &moments[..before], node.map_or(Who::Any, Who::Node));
        Line { condition: Condition::Event(trigger), action: action.clone() }
    };
    last.iter().map(line).collect()
}

/// Every step has outputs, writes and syncs, and heartbeats never stop.
fn is_telling(moment: &Moment) -> bool {
    use crate::scenario::MessageKind::{Heartbeat, HeartbeatAck, Request, Response};
    match moment.happening.event {
        EventKind::Outputs | EventKind::Writes | EventKind::Syncs => false,
        EventKind::Sends(kind) | EventKind::Receives(kind) => {
            !matches!(kind, Heartbeat | HeartbeatAck | Request | Response)
        }
        _ => true,
    }
}

/// A trigger that this event, the last of `moments` of its kind, sets off: counted while the count is small.
fn trigger(moment: &Moment, moments: &[Moment], who: Who) -> Trigger {
    let this = &moment.happening;
    let plain = Trigger {
        who,
        event: this.event,
        index: None,
        view: None,
        peer: None,
        nth: 1,
        before: false,
        delay: Span::ZERO,
    };
    let narrow = Trigger { index: this.index.map(|index| index.0), peer: this.peer, ..plain.clone() };
    let count = |trigger: &Trigger| {
        let matching = |other: &&Moment| {
            let that = &other.happening;
            other.number <= moment.number
                && that.event == this.event
                && (who == Who::Any || that.node == this.node)
                && (trigger.index.is_none() || that.index == this.index)
                && (trigger.peer.is_none() || that.peer == this.peer)
        };
        moments.iter().filter(matching).count() as u32
    };
    let nth = count(&plain);
    if nth <= COUNTED { Trigger { nth, ..plain } } else { Trigger { nth: count(&narrow).max(1), ..narrow } }
}

//! The plan at work: which of its lines wait for what, and which of them an event sets off.
//!
//! A line acts at most once. Lines that wait for a time are agenda items and none of this module's business; those that
//! wait for a protocol event or for the end of a client's operation are kept here. Most events set nothing off, so the
//! first question is one bit test.

use crate::scenario::{Condition, EventKind, Line, Trigger, Who};
use ios_core::ids::{Index, NodeId, View};

/// A protocol event, as far as triggers can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Happening {
    /// What happened.
    pub event: EventKind,
    /// To whom.
    pub node: NodeId,
    /// In which view, if it names one.
    pub view: Option<View>,
    /// At which index, if it names one.
    pub index: Option<Index>,
    /// The other end of a message.
    pub peer: Option<NodeId>,
}

/// A line that waits for an event.
#[derive(Debug)]
struct Waiting {
    line: usize,
    trigger: Trigger,
    seen: u32,
}

/// The lines that have not acted yet.
#[derive(Debug, Default)]
pub struct Plan {
    waiting: Vec<Waiting>,
    /// Lines that wait for the end of an operation: client, number, line.
    after: Vec<(u8, u32, usize)>,
    /// One bit for each kind of event some line waits for.
    wanted: u128,
    /// Whether somebody wants to see every event.
    all: bool,
}

impl Plan {
    /// Takes over a scenario's lines. With `all`, every kind of event is wanted, whatever they wait for.
    pub fn reset(&mut self, lines: &[Line], all: bool) {
        self.all = all;
        self.waiting.clear();
        self.after.clear();
        for (place, line) in lines.iter().enumerate() {
            match &line.condition {
                Condition::At(_) => {}
                Condition::Event(trigger) => {
                    self.waiting.push(Waiting { line: place, trigger: trigger.clone(), seen: 0 });
                }
                Condition::After { client, operation } => self.after.push((*client, *operation, place)),
            }
        }
        self.want();
    }

    /// Lets nothing act any more.
    pub fn clear(&mut self) {
        self.reset(&[], false);
    }

    /// Whether any line waits for this kind of event.
    pub fn wants(&self, event: EventKind) -> bool {
        self.wanted != 0 && self.wanted & bit(event) != 0
    }

    /// The lines that this event sets off, in the order of the plan, each with its delay. `before` asks for those that
    /// act before the event takes effect; either way an event is told once. `leads` says whether its node leads.
    pub fn set_off(&mut self, happening: &Happening, leads: bool, before: bool) -> Vec<(usize, Trigger)> {
        let mut lines = Vec::new();
        self.waiting.retain_mut(|waiting| {
            let trigger = &waiting.trigger;
            if trigger.before != before || !matches(trigger, happening, leads) {
                return true;
            }
            waiting.seen += 1;
            let now = waiting.seen == trigger.nth;
            if now {
                lines.push((waiting.line, trigger.clone()));
            }
            !now
        });
        if !lines.is_empty() {
            self.want();
        }
        lines
    }

    /// The lines that the end of a client's operation sets off.
    pub fn ended(&mut self, client: u8, number: u32) -> Vec<usize> {
        let (now, later) = self.after.iter().partition(|after| (after.0, after.1) == (client, number));
        self.after = later;
        let now: Vec<(u8, u32, usize)> = now;
        now.into_iter().map(|after| after.2).collect()
    }

    fn want(&mut self) {
        let all = if self.all { u128::MAX } else { 0 };
        self.wanted = self.waiting.iter().fold(all, |wanted, waiting| wanted | bit(waiting.trigger.event));
    }
}

fn matches(trigger: &Trigger, happening: &Happening, leads: bool) -> bool {
    let who = match trigger.who {
        Who::Node(node) => node == happening.node,
        Who::Any => true,
        Who::Leader => leads,
    };
    who && trigger.event == happening.event
        && trigger.index.is_none_or(|index| happening.index == Some(Index(index)))
        && trigger.view.is_none_or(|view| happening.view == Some(view))
        && trigger.peer.is_none_or(|peer| happening.peer == Some(peer))
}

/// One bit for each kind of event.
fn bit(event: EventKind) -> u128 {
    1 << event.place()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Action, MessageKind};
    use ios_core::time::Span;

    fn trigger(who: Who, event: EventKind, nth: u32, before: bool) -> Line {
        let trigger = Trigger { who, event, index: None, view: None, peer: None, nth, before, delay: Span::ZERO };
        Line { condition: Condition::Event(trigger), action: Action::Heal }
    }

    fn accept(node: u8) -> Happening {
        let event = EventKind::Sends(MessageKind::Accept);
        Happening { event, node: NodeId(node), view: None, index: Some(Index(3)), peer: Some(NodeId(9)) }
    }

    #[test]
    fn a_line_waits_for_its_nth_match_and_acts_once() {
        let mut plan = Plan::default();
        let event = EventKind::Sends(MessageKind::Accept);
        plan.reset(&[trigger(Who::Any, event, 2, false), trigger(Who::Node(NodeId(1)), event, 1, true)], false);
        assert!(plan.wants(event) && !plan.wants(EventKind::Receives(MessageKind::Accept)));
        let mut fired = |node, before| {
            plan.set_off(&accept(node), false, before).into_iter().map(|(line, _)| line).collect::<Vec<_>>()
        };
        assert!(fired(0, false).is_empty());
        assert!(fired(0, true).is_empty());
        assert_eq!(fired(1, true), [1]);
        assert_eq!(fired(1, false), [0]);
        assert!(fired(1, false).is_empty());
        assert!(!plan.wants(event));
    }

    #[test]
    fn whoever_wants_to_see_all_sees_what_no_line_waits_for_until_the_plan_is_over() {
        let mut plan = Plan::default();
        let event = EventKind::Sends(MessageKind::Accept);
        plan.reset(&[trigger(Who::Any, event, 1, false)], true);
        assert_eq!(plan.set_off(&accept(0), false, false).len(), 1);
        assert!(plan.wants(event) && plan.wants(EventKind::Outputs), "though nothing waits any more");
        plan.clear();
        assert!(!plan.wants(event) && !plan.wants(EventKind::Outputs));
    }

    #[test]
    fn every_part_of_a_trigger_narrows_it() {
        let check = |change: fn(&mut Trigger), fires: bool| {
            let mut line = trigger(Who::Leader, EventKind::Sends(MessageKind::Accept), 1, false);
            let Condition::Event(trigger) = &mut line.condition else { unreachable!() };
            change(trigger);
            let mut plan = Plan::default();
            plan.reset(&[line], false);
            assert_eq!(!plan.set_off(&accept(1), true, false).is_empty(), fires);
        };
        check(|_| {}, true);
        check(|trigger| trigger.index = Some(3), true);
        check(|trigger| trigger.index = Some(4), false);
        check(|trigger| trigger.peer = Some(NodeId(9)), true);
        check(|trigger| trigger.peer = Some(NodeId(8)), false);
        check(|trigger| trigger.view = Some(View::ZERO), false);
        check(|trigger| trigger.who = Who::Node(NodeId(0)), false);
    }

    #[test]
    fn the_end_of_an_operation_sets_off_what_waits_for_it() {
        let mut plan = Plan::default();
        let line = |client, operation| Line { condition: Condition::After { client, operation }, action: Action::Heal };
        plan.reset(&[line(0, 1), line(1, 1), line(0, 1)], false);
        assert!(plan.ended(0, 2).is_empty());
        assert_eq!(plan.ended(0, 1), [0, 2]);
        assert!(plan.ended(0, 1).is_empty());
    }
}

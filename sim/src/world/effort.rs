//! What the liveness phase may cost: messages among members, in proportion to what there was to do.
//!
//! There are two reasons to speak. Time passes: with each heartbeat every member may say a little to every other. And
//! there is something to know: an index that somebody of the core has yet to execute, an index that is new, an
//! operation. Over 20,000 seeds the busiest run needed 1.1 messages for each of these and each member, half of all
//! runs 0.3 or fewer. Who answers every answer, or asks again and again for what nobody has, is beyond any such
//! measure, even if in the end everything gets done.

use super::World;
use crate::oracle::Oracle;
use ios_core::{ids::Index, time::Time};

/// Messages for each reason there is.
const MESSAGES_PER_REASON: u64 = 4;
/// Reasons that every run has: links come up, somebody gets to lead.
const REASONS_BASE: u64 = 20;

/// How far a run had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Effort {
    at: Time,
    sent: u64,
    /// Operations that have ended.
    ended: u64,
    /// Indexes executed, by all of the core together.
    executed: u64,
    furthest: Index,
}

impl World {
    /// How far the run has come.
    pub(super) fn effort(&self) -> Effort {
        let pending: usize = self.customers.iter().map(|customer| customer.pending.len()).sum();
        Effort {
            at: self.now(),
            sent: self.outcome.sent.total(),
            ended: (self.records.len() - pending) as u64,
            executed: self.core_applied().map(|index| index.0).sum(),
            furthest: self.core_applied().max().unwrap_or(Index::ZERO),
        }
    }

    /// Everything is done: with how many messages?
    pub(super) fn judge_effort(&mut self) {
        let (before, now) = (self.healing, self.effort());
        let (sent, most) = (now.sent - before.sent, self.messages_max(before, now));
        if sent > most {
            let took = now.at.since(before.at);
            let text = format!("everything is done after {took}, but with {sent} messages; {most} would be many");
            self.object(Oracle::Liveness, text);
        }
    }

    fn messages_max(&self, before: Effort, now: Effort) -> u64 {
        let nodes = self.processes.len() as u64;
        let beats = now.at.since(before.at).0 / self.scenario.cluster.options.heartbeat.0.max(1) + 1;
        // A member that starts anew executes again what it had executed.
        let learned = now.executed.saturating_sub(before.executed);
        let news = now.furthest.0.saturating_sub(before.furthest.0) + (now.ended - before.ended);
        MESSAGES_PER_REASON * nodes * (REASONS_BASE + nodes * beats + learned + 2 * news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        generator::{Profile, generate},
        scenario::MessageKind,
    };

    #[test]
    fn too_many_messages_are_a_violation_although_everything_is_done() {
        let mut world = World::default();
        let outcome = world.run(&generate(Profile::Calm, 1));
        assert_eq!(outcome.violation, None);
        let spare = world.messages_max(world.healing, world.effort());
        let sent = outcome.sent.total() - world.healing.sent;
        assert!(world.healing.sent > 0 && sent < spare, "{sent} of {spare}, {:?}", world.healing);
        // The outcome has been handed out, so that what is counted now is all that counts.
        world.healing.sent = 0;
        for (count, violated) in [(spare, false), (1, true)] {
            (0..count).for_each(|_| world.outcome.sent.count(MessageKind::Hello));
            world.judge_effort();
            assert_eq!(world.outcome.violation.is_some(), violated, "{:?}", world.outcome.violation);
        }
    }
}

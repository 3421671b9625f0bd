//! What a node says happened inside it. A note is believed in nothing: it is what is being checked.

use super::{Effect, Finding, Ghost, Outcome, Taken, member::FirstStamp};
use crate::oracle::Oracle;
use ios_core::{
    ids::{Index, NodeId},
    interface::Note,
    time::{Span, Time},
};

/// Slack for log time: clocks that never show a moment twice run ahead by a nanosecond for each extra reading.
const STAMP_SLACK_NANOS: u64 = 1_000_000;

impl Ghost {
    pub(super) fn check_note(&mut self, now: Time, node: NodeId, note: &Note) -> Result<(), Finding> {
        match *note {
            Note::Opened { incarnation, promised, .. } => {
                self.checks.count(Oracle::Promise);
                let at = self.events;
                self.member(node).open(promised, incarnation, at)
            }
            Note::Candidate { view } => self.leads(node, view, "is a candidate for"),
            Note::Leading { view, .. } => {
                self.member(node).life.led = Some(view);
                self.leads(node, view, "leads")?;
                self.recovery_quorum(node, view)
            }
            Note::WindowOpened { view, floor } => {
                self.leads(node, view, "opens the window of")?;
                self.floor(node, "WindowOpened", floor)
            }
            Note::Promised { view } => {
                self.checks.count(Oracle::Promise);
                let at = self.events;
                self.member(node).promise(view, at)
            }
            Note::Assigned { view, index, digest, .. } => {
                self.leads(node, view, "assigns in")?;
                self.checks.count(Oracle::Window);
                self.checks.count(Oracle::Proposal);
                self.checks.count(Oracle::Agreement);
                let (members, everyone) = (&self.members, self.quorums.members());
                let may_accept = |node: &NodeId, below| members[usize::from(node.0)].promised <= below;
                self.log.assign(now, view, index, digest, |below| {
                    everyone.iter().filter(|node| may_accept(node, below)).collect()
                })
            }
            Note::Accepted { view, index, digest } => self.holds(node, "counts", view, index, digest),
            Note::Chosen { index, digest, .. } => self.chosen(node, "counts as chosen", index, digest),
            Note::Committed { index, digest, .. } => self.chosen(node, "commits", index, digest),
            Note::Applied { index, digest, log_time, state_hash } => {
                self.applied(now, node, index, Outcome { digest, log_time, state_hash })
            }
            Note::Restored { index, state_hash } => {
                self.is_state(node, "opens with", index, state_hash)?;
                self.member(node).restore(index)
            }
            Note::Installed { index, state_hash } => {
                self.compacted(node, "installs", index)?;
                self.is_state(node, "installs", index, state_hash)?;
                self.member(node).restore(index)
            }
            Note::LeaseRead { .. } => self.leases(node),
            Note::SnapshotTaken { index, .. } => self.compacted(node, "notes", index),
            Note::Executed { index, position, session, sequence } => {
                self.executed(node, Taken { index, position, session, sequence })
            }
            Note::Repeated { session, sequence } => {
                self.checks.count(Oracle::Once);
                match self.effects.get(&(session, sequence)) {
                    Some(_) => Ok(()),
                    None => Err((
                        Oracle::Once,
                        format!("{node} takes request {sequence} of {session} for a repetition; it never took effect"),
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn applied(&mut self, now: Time, node: NodeId, index: Index, outcome: Outcome) -> Result<(), Finding> {
        self.chosen(node, "executes", index, outcome.digest)?;
        self.checks.count(Oracle::Application);
        self.member(node).apply(index)?;
        self.executed = self.executed.max(index);
        if self.log.execute(node, index, outcome)? {
            self.log_time(now, node, index, outcome.log_time)?;
        }
        Ok(())
    }

    /// Log time after an index that nobody executed before.
    fn log_time(&mut self, now: Time, node: NodeId, index: Index, log_time: Time) -> Result<(), Finding> {
        self.checks.count(Oracle::LogTime);
        let before = self.log_time;
        if log_time < before {
            return Err((
                Oracle::LogTime,
                format!("{node} at {index}: log time goes from {before} back to {log_time}"),
            ));
        }
        self.log_time = log_time;
        if log_time == Time::ZERO {
            return Ok(());
        }
        let assigned = self.log.assigned(index).unwrap_or(now);
        let first = *self.first_stamp.get_or_insert(FirstStamp { real: assigned, log: log_time });
        let (real, log) = (now.since(first.real), log_time.since(first.log));
        let drift = u128::from(real.0) * u128::from(self.rate_ppm) / 1_000_000;
        let limit = u128::from(real.0) + drift + u128::from(self.leapt.0) + u128::from(STAMP_SLACK_NANOS);
        if u128::from(log.0) > limit {
            let ppm = self.rate_ppm;
            return Err((
                Oracle::LogTime,
                format!(
                    "{node} at {index}: {log} of log time in {real}, with clocks at most {ppm} ppm fast{}",
                    if self.leapt > Span::ZERO { format!(" that leapt by {}", self.leapt) } else { String::new() }
                ),
            ));
        }
        Ok(())
    }

    fn executed(&mut self, node: NodeId, taken: Taken) -> Result<(), Finding> {
        self.checks.count(Oracle::Once);
        let Taken { index, position, session, sequence } = taken;
        self.member(node).execute(index, position)?;
        let effect = Effect { index, position, reply: None };
        let first = *self.effects.entry((session, sequence)).or_insert(effect);
        if (first.index, first.position) != (index, position) {
            return Err((
                Oracle::Once,
                format!(
                    "request {sequence} of {session} takes effect at {index}/{position} on {node} and at {}/{} \
                     elsewhere or before",
                    first.index, first.position
                ),
            ));
        }
        Ok(())
    }
}

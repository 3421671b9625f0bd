//! Where the situations of [`crate::marks`] are met.

use super::{World, driver::OPENING, process::Process};
use crate::marks::{Mark, sometimes};
use ios_core::{
    batch::Batch,
    ids::{Index, NodeId},
    interface::{DiskAction, FileId, Ignored, Learned, Note, StepDown},
    journal::Fact,
    message::{ClientResponse, Refusal},
};

impl World {
    /// A node says what happened inside it; what follows from that has not been done yet.
    pub(super) fn mark_note(&mut self, id: NodeId, note: &Note) {
        match note {
            Note::Leading { recovered, .. } => self.mark_leader(id, *recovered),
            Note::Assigned { index, recovered: false, .. } => {
                let full = index.0 - self.applied(id).0.min(index.0) >= self.scenario.cluster.window;
                sometimes!(self.outcome, WindowFull, full);
            }
            Note::Assigned { digest, recovered: true, .. } => {
                sometimes!(self.outcome, HoleFilled, *digest == Batch::noop().digest());
            }
            Note::Repaired { .. } => {
                sometimes!(self.outcome, LeaderRepaired, self.processes[usize::from(id.0)].leading.is_some());
            }
            Note::Opened { unknown, loss, .. } => sometimes!(self.outcome, RottenAndLost, *unknown > 0 && *loss),
            Note::SteppedDown { why, .. } => self.outcome.marks.insert(of_step_down(*why)),
            Note::Committed { how, .. } => {
                of_learned(*how).into_iter().for_each(|mark| self.outcome.marks.insert(mark))
            }
            Note::Ignored(reason) => self.outcome.marks.extend(of_ignored(*reason)),
            _ => {}
        }
    }

    fn mark_leader(&mut self, id: NodeId, recovered: Index) {
        let rival = |other: &Process| other.id != id && other.runs() && other.leading.is_some();
        sometimes!(self.outcome, TwoLeaders, self.processes.iter().any(rival));
        let applied = self.applied(id);
        sometimes!(self.outcome, LeaderBehind, applied < self.ghost().chosen_prefix());
        sometimes!(self.outcome, LongRecovery, recovered > applied.next());
    }

    fn applied(&self, id: NodeId) -> Index {
        self.processes[usize::from(id.0)].node.as_ref().map_or(Index::ZERO, |node| node.applied())
    }

    /// A process is about to die.
    pub(super) fn mark_death(&mut self, id: NodeId) {
        let early =
            self.processes[usize::from(id.0)].leading.is_some() && self.applied(id) < self.ghost().chosen_prefix();
        sometimes!(self.outcome, LeaderDiesEarly, early);
        for (op, action) in self.processes[usize::from(id.0)].disk.under_way() {
            let mark = match (action, action.file()) {
                (DiskAction::Create { .. }, FileId::Segment(_)) if op == OPENING => Mark::DiesInOpening,
                (DiskAction::Create { .. }, FileId::Segment(_)) => Mark::DiesInCreation,
                (DiskAction::Create { .. } | DiskAction::Write { .. }, FileId::Snapshot(_)) => Mark::DiesInSnapshot,
                (DiskAction::Write { .. }, FileId::Segment(_)) => Mark::DiesInRound,
                (DiskAction::Write { .. }, FileId::Identity) => Mark::DiesInIdentity,
                (DiskAction::Remove { .. }, _) => Mark::DiesInRemoval,
                _ => continue,
            };
            self.outcome.marks.insert(mark);
        }
        let others = self.processes.iter().any(|process| process.id != id && process.runs());
        sometimes!(self.outcome, NobodyRuns, !others && self.processes.len() > 1);
    }

    /// A paused node is about to go on.
    pub(super) fn mark_waking(&mut self, id: NodeId) {
        let view = self.processes[usize::from(id.0)].leading;
        let higher = |other: &Process| other.runs() && other.leading > view;
        sometimes!(self.outcome, DeposedLeaderWakes, view.is_some() && self.processes.iter().any(higher));
    }

    /// The core is about to heal.
    pub(super) fn mark_healing(&mut self) {
        let core = self.atlas.core();
        let outside = |process: &Process| process.runs() && process.leading.is_some() && !core.contains(process.id);
        sometimes!(self.outcome, LeaderOutsideCore, self.processes.iter().any(outside));
    }

    /// This is about to become durable.
    pub(super) fn mark_durable(&mut self, id: NodeId, fact: &Fact) {
        if let Fact::Accepted { view, index, digest } = *fact
            && !self.outcome.marks.contains(Mark::Overwritten)
        {
            sometimes!(self.outcome, Overwritten, self.ghost().replaces(id, view, index, digest));
        }
    }

    /// A node answers a client.
    pub(super) fn mark_answer(&mut self, response: &ClientResponse) {
        let ClientResponse::Refused { refusal, .. } = response else { return };
        self.outcome.marks.insert(match refusal {
            Refusal::NotLeader { leader: Some(_) } => Mark::RefusedNotLeader,
            Refusal::NotLeader { leader: None } => Mark::RefusedNoLeader,
            Refusal::NotReady => Mark::RefusedNotReady,
            Refusal::Overloaded => Mark::RefusedOverloaded,
            Refusal::Deposed { .. } => Mark::RefusedDeposed,
            Refusal::Expired => Mark::RefusedExpired,
            Refusal::NotServed { .. } => Mark::RefusedNotServed,
            Refusal::Invalid(_) | Refusal::TooLarge { .. } | Refusal::Stale | Refusal::NoTransfer(_) => return,
        });
    }
}

fn of_step_down(why: StepDown) -> Mark {
    match why {
        StepDown::HigherView => Mark::GaveUpHigherView,
        StepDown::NoQuorum => Mark::GaveUpNoQuorum,
        StepDown::DiskStalled => Mark::GaveUpDiskStalled,
        StepDown::HigherPromise => Mark::GaveUpHigherPromise,
        StepDown::Renewed => Mark::GaveUpRenewed,
        StepDown::TimedOut => Mark::GaveUpTimedOut,
        StepDown::Overtaken => Mark::GaveUpOvertaken,
        StepDown::Stopping => Mark::GaveUpStopping,
        StepDown::Transferred => Mark::GaveUpTransferred,
    }
}

/// None for the rarest.
fn of_learned(how: Learned) -> Option<Mark> {
    Some(match how {
        Learned::Counted => Mark::LearnedCounted,
        Learned::Chosen => Mark::LearnedChosen,
        Learned::Floor => Mark::LearnedFloor,
        Learned::Fetched => Mark::LearnedFetched,
        Learned::Recovered => Mark::LearnedRecovered,
        Learned::Implied => Mark::LearnedImplied,
        Learned::Journal => return None,
    })
}

/// None for the rarest, and for what no member does to another one that is not malicious.
fn of_ignored(reason: Ignored) -> Option<Mark> {
    Some(match reason {
        Ignored::NotRunning => Mark::IgnoredNotRunning,
        Ignored::Unverified => Mark::IgnoredUnverified,
        Ignored::Unasked => Mark::IgnoredUnasked,
        Ignored::OldView => Mark::IgnoredOldView,
        Ignored::Unassigned => Mark::IgnoredUnassigned,
        Ignored::Duplicate => Mark::IgnoredDuplicate,
        Ignored::OtherLife => Mark::IgnoredOtherLife,
        Ignored::Leased => Mark::IgnoredLeased,
        Ignored::Hollow | Ignored::Stranger | Ignored::Impostor | Ignored::OutOfRange | Ignored::UnknownOp => {
            return None;
        }
    })
}

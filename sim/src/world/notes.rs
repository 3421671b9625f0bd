//! What nodes say happened inside them, counted for the report.

use super::World;
use crate::outcome::Counter;
use ios_core::{
    batch::Batch,
    interface::{Ignored, Learned, Note, StepDown},
};

impl World {
    /// Counts a note.
    pub(super) fn count_note(&mut self, note: &Note) {
        if let Note::Chosen { index, .. } = note
            && *index > self.ghost().chosen_prefix()
        {
            self.outcome.counters.count(Counter::ChosenOutOfOrder);
        }
        if let Note::Opened { unknown, loss, .. } = note {
            self.outcome.counters.add(Counter::RottenFound, *unknown);
            self.outcome.counters.add(Counter::LossesFound, u64::from(*loss));
            return;
        }
        match note {
            Note::Assigned { recovered: true, .. } => self.outcome.counters.count(Counter::Recovered),
            Note::Assigned { digest, .. }
                if self.scenario.cluster.index_exclusivity && *digest == Batch::noop().digest() =>
            {
                self.outcome.counters.count(Counter::GapsFilled);
            }
            Note::SteppedDown { why: StepDown::Transferred, .. } => self.outcome.counters.count(Counter::Transfers),
            Note::Committed { how: Learned::Implied, .. } => self.outcome.counters.count(Counter::ImplicitCommits),
            Note::Suggested { heeded: true } => self.outcome.counters.count(Counter::HintsHeeded),
            Note::BarrierPassed { high, floor } if high > floor => {
                self.outcome.counters.count(Counter::BarriersWaited);
            }
            _ => {}
        }
        if let Some(counter) = counter_of(note) {
            self.outcome.counters.count(counter);
        }
    }
}

fn counter_of(note: &Note) -> Option<Counter> {
    Some(match note {
        Note::Opened { .. }
        | Note::Founded { .. }
        | Note::Verified { .. }
        | Note::Promised { .. }
        | Note::SnapshotBegun { .. }
        | Note::Suggested { .. }
        | Note::StateDiffers { .. } => {
            return None;
        }
        Note::Whole => Counter::LossesRepaired,
        Note::DiskFull { .. } => Counter::FilesWithoutRoom,
        Note::RefusedLink { .. } => Counter::LinksRefused,
        Note::Ignored(Ignored::Leased) => Counter::LeasesHeeded,
        Note::Ignored(_) => Counter::Ignored,
        Note::Canvassed { .. } => Counter::Canvasses,
        Note::Candidate { .. } => Counter::Candidacies,
        Note::Leading { .. } => Counter::ViewChanges,
        Note::WindowOpened { .. } => Counter::WindowsOpened,
        Note::SteppedDown { .. } => Counter::StepDowns,
        Note::Assigned { .. } => Counter::Assigned,
        Note::Accepted { .. } => Counter::Accepted,
        Note::Chosen { .. } => Counter::Chosen,
        Note::Committed { .. } => Counter::Committed,
        Note::Applied { .. } => Counter::Applied,
        Note::Executed { .. } => Counter::Executed,
        Note::Repeated { .. } => Counter::Repeated,
        Note::Expired { .. } => Counter::SessionsExpired,
        Note::ReadNoted { .. } => Counter::ReadsNoted,
        Note::BarrierPassed { .. } => Counter::Barriers,
        Note::LeaseRead { .. } => Counter::LeaseReads,
        Note::ReadReferred { .. } => Counter::ReadsReferred,
        Note::LeaseLapsed { .. } => Counter::LeasesLapsed,
        Note::Repaired { .. } => Counter::RottenRepaired,
        Note::Fetching { .. } => Counter::Fetches,
        Note::Retransmitted { .. } => Counter::Retransmissions,
        Note::ForwardTaken { .. } => Counter::Forwards,
        Note::ForwardPlaced { .. } => Counter::ForwardsPlaced,
        Note::Widened { .. } => Counter::ThriftyWidened,
        Note::Reassigned { .. } => Counter::DelegatesReplaced,
        Note::SnapshotTaken { .. } => Counter::SnapshotsTaken,
        Note::SnapshotLost { .. } => Counter::SnapshotsLost,
        Note::Restored { .. } => Counter::SnapshotsRestored,
        Note::Receiving { number: 0, .. } => Counter::SnapshotTransfers,
        Note::Receiving { .. } => Counter::SnapshotsResumed,
        Note::Installed { .. } => Counter::Installs,
        Note::TransferGivenUp { .. } => Counter::SnapshotsGivenUp,
    })
}

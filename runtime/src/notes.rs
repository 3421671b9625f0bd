//! What becomes of a node's notes: counters, and log lines at a level that fits how often they come.

use ios_core::interface::Note;
use std::fmt;

/// How often each kind of note came. There are a few for every request, so counting one must cost next to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters([u64; NAMES.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; NAMES.len()])
    }
}

impl Counters {
    /// Counts one note and logs it.
    pub fn take(&mut self, note: &Note) {
        self.0[kind(note) as usize] += 1;
        log(note);
    }

    /// How often notes of this name came.
    pub fn get(&self, name: &str) -> u64 {
        self.iter().find(|(counted, _)| *counted == name).map_or(0, |(_, count)| count)
    }

    /// What came at all, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.iter().copied().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, count)) in self.iter().enumerate() {
            write!(f, "{}{name}={count}", if place == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Numbers the kinds of notes, and gives each a name.
macro_rules! kinds {
    ($($kind:ident $name:literal,)+) => {
        #[derive(Clone, Copy)]
        enum Kind {
            $($kind,)+
        }

        const NAMES: &[&str] = &[$($name,)+];

        fn kind(note: &Note) -> Kind {
            match note {
                $(Note::$kind { .. } => Kind::$kind,)+
            }
        }
    };
}

kinds! {
    Opened "opened",
    Founded "founded",
    Verified "verified",
    RefusedLink "refused_link",
    Ignored "ignored",
    Canvassed "canvassed",
    Candidate "candidate",
    Leading "leading",
    WindowOpened "window_opened",
    SteppedDown "stepped_down",
    Promised "promised",
    Assigned "assigned",
    Accepted "accepted",
    Chosen "chosen",
    Committed "committed",
    Applied "applied",
    Executed "executed",
    Repeated "repeated",
    Expired "expired",
    ReadNoted "read_noted",
    BarrierPassed "barrier_passed",
    LeaseRead "lease_read",
    LeaseLapsed "lease_lapsed",
    Repaired "repaired",
    Whole "whole",
    DiskFull "disk_full",
    Fetching "fetching",
    Retransmitted "retransmitted",
    ForwardTaken "forward_taken",
    ForwardPlaced "forward_placed",
    Widened "widened",
    Reassigned "reassigned",
    SnapshotBegun "snapshot_begun",
    SnapshotTaken "snapshot_taken",
    SnapshotLost "snapshot_lost",
    Restored "restored",
    Receiving "receiving",
    Installed "installed",
    TransferGivenUp "transfer_given_up",
    StateDiffers "state_differs",
    Suggested "suggested",
    ReadReferred "read_referred",
}

/// What an operator should see goes to `info` or above, what explains a view change or a repair to `debug`, and what
/// comes with every request to `trace`.
fn log(note: &Note) {
    match note {
        Note::Opened { incarnation, promised, unknown, loss } => {
            tracing::info!(%incarnation, %promised, unknown, loss, "opened");
            if *loss || *unknown > 0 {
                tracing::warn!(unknown, loss, "the disk lost records; they will be repaired from the other members");
            }
        }
        Note::Founded { cluster } => tracing::info!(%cluster, "the cluster is founded"),
        Note::Verified { peer, incarnation } => tracing::info!(%peer, %incarnation, "connected to peer"),
        Note::RefusedLink { peer, why } => tracing::warn!(%peer, %why, "refused a peer"),
        Note::Leading { view, recovered } => tracing::info!(%view, %recovered, "leading"),
        Note::WindowOpened { view, floor } => tracing::info!(%view, %floor, "taking requests"),
        Note::SteppedDown { view, why } => tracing::info!(%view, ?why, "stepped down"),
        Note::Expired { session } => tracing::info!(%session, "session expired"),
        Note::Whole => tracing::info!("whatever the disk lost is repaired"),
        Note::DiskFull { file } => {
            tracing::error!(%file, "the disk is full: free some space, or this member soon takes nothing new in");
        }
        Note::SnapshotTaken { index, .. } => tracing::info!(%index, "took a snapshot"),
        Note::SnapshotLost { index } => {
            tracing::warn!(%index, "the disk lost a snapshot; another one will take its place");
        }
        Note::Restored { index, .. } => tracing::info!(%index, "opened with the state of a snapshot"),
        Note::Receiving { from, index, number } => tracing::info!(%from, %index, number, "receiving a snapshot"),
        Note::Installed { index, .. } => tracing::info!(%index, "installed a peer's snapshot"),
        Note::StateDiffers { from, index } => {
            tracing::error!(%from, %index, "a follower's state differs; whom a majority contradicts stops");
        }
        Note::Ignored(_)
        | Note::Canvassed { .. }
        | Note::Candidate { .. }
        | Note::Promised { .. }
        | Note::Repeated { .. }
        | Note::Repaired { .. }
        | Note::Fetching { .. }
        | Note::SnapshotBegun { .. }
        | Note::TransferGivenUp { .. }
        | Note::Retransmitted { .. }
        | Note::ForwardTaken { .. }
        | Note::ForwardPlaced { .. }
        | Note::Widened { .. }
        | Note::Suggested { .. }
        | Note::Reassigned { .. } => tracing::debug!(?note),
        Note::Assigned { .. }
        | Note::Accepted { .. }
        | Note::Chosen { .. }
        | Note::Committed { .. }
        | Note::Applied { .. }
        | Note::Executed { .. }
        | Note::ReadNoted { .. }
        | Note::BarrierPassed { .. }
        | Note::ReadReferred { .. }
        | Note::LeaseRead { .. }
        | Note::LeaseLapsed { .. } => tracing::trace!(?note),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ios_core::interface::Ignored;

    #[test]
    fn notes_are_counted_by_name() {
        let mut counters = Counters::default();
        for note in [Note::Whole, Note::Ignored(Ignored::Stranger), Note::Ignored(Ignored::OldView)] {
            counters.take(&note);
        }
        assert_eq!(counters.to_string(), "ignored=2 whole=1");
        assert_eq!((counters.get("ignored"), counters.get("founded")), (2, 0));
    }
}

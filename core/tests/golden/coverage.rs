//! Which notes, and which reasons to ignore something, no script shows.

use ios_core::interface::{Ignored, Note};

macro_rules! names {
    ($all:ident, $type:ident { $($variant:ident $fields:tt),* }) => {
        const $all: &[&str] = &[$(stringify!($variant)),*];
        const _: fn(&$type) = |value| match value {
            // A variant that is missing here does not compile.
            $($type::$variant $fields => {})*
        };
    };
}

names!(NOTES, Note {
    Opened { .. }, Founded { .. }, Verified { .. }, RefusedLink { .. }, Ignored(..), Canvassed { .. },
    Candidate { .. }, Leading { .. }, WindowOpened { .. }, SteppedDown { .. }, Promised { .. }, Assigned { .. },
    Accepted { .. }, Chosen { .. }, Committed { .. }, Applied { .. }, Executed { .. }, Repeated { .. }, Expired { .. },
    ReadNoted { .. }, Repaired { .. }, Whole {}, Fetching { .. }, Retransmitted { .. },
    ForwardTaken { .. }, ForwardPlaced { .. }, Widened { .. }, Reassigned { .. }, BarrierPassed { .. },
    SnapshotBegun { .. }, SnapshotTaken { .. }, SnapshotLost { .. }, Restored { .. }, Receiving { .. },
    Installed { .. }, TransferGivenUp { .. }, StateDiffers { .. }, LeaseRead { .. }, LeaseLapsed { .. },
    Suggested { .. }, ReadReferred { .. }, DiskFull { .. }
});

names!(REASONS, Ignored {
    NotRunning {}, Unverified {}, Stranger {}, Unasked {}, OldView {}, Unassigned {}, Impostor {}, OutOfRange {},
    Duplicate {}, OtherLife {}, UnknownOp {}, Hollow {}, Leased {}
});

/// Names that no line of `text` (all scripts) shows as a note of a node.
pub fn missing(text: &str) -> Vec<String> {
    let notes: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    n"))
        .filter_map(|line| Some(line.split_once(' ')?.1))
        .collect();
    let unseen = |name: &str| !notes.iter().any(|note| *note == name || note.starts_with(&format!("{name} ")));
    let reasons = REASONS.iter().map(|reason| format!("Ignored {reason}"));
    NOTES.iter().map(ToString::to_string).chain(reasons).filter(|name| unseen(name)).collect()
}

//! What a member's notes, and a client's, come to in a diagram: a word, a rank, a sentence.

use crate::scenario::MessageKind;
use ios_core::{
    client::ClientNote,
    ids::{Index, View},
    interface::Note,
};

/// A moment on a lane, before it has one.
pub struct Moment {
    /// What, in one word.
    pub what: &'static str,
    /// How much it matters.
    pub rank: u8,
    /// In words.
    pub text: String,
    /// Where in the log.
    pub index: Option<Index>,
    /// In which view.
    pub view: Option<View>,
}

/// What a note comes to. What other lines of the diagram say already ranks lowest.
pub fn of_note(note: &Note) -> Moment {
    let (what, rank, view, index) = match note {
        Note::Leading { view, recovered } => ("leads", 1, Some(*view), Some(*recovered)),
        Note::SteppedDown { view, .. } => ("steps down", 1, Some(*view), None),
        Note::Candidate { view } => ("stands", 1, Some(*view), None),
        Note::Installed { index, .. } => ("installs", 1, None, Some(*index)),
        Note::StateDiffers { index, .. } => ("differs", 1, None, Some(*index)),
        Note::SnapshotLost { index } => ("snapshot lost", 1, None, Some(*index)),
        Note::Opened { promised, loss: true, .. } => ("loss", 1, Some(*promised), None),
        Note::Opened { promised, .. } => ("opens", 2, Some(*promised), None),
        Note::Founded { .. } => ("founded", 2, None, None),
        Note::Canvassed { view } => ("canvasses", 2, Some(*view), None),
        Note::WindowOpened { view, floor } => ("window", 2, Some(*view), Some(*floor)),
        Note::Promised { view } => ("promises", 2, Some(*view), None),
        Note::Assigned { view, index, .. } => ("assigns", 2, Some(*view), Some(*index)),
        Note::Accepted { view, index, .. } => ("accepts", 2, Some(*view), Some(*index)),
        Note::Chosen { view, index, .. } => ("counts", 2, Some(*view), Some(*index)),
        Note::Committed { index, .. } => ("commits", 2, None, Some(*index)),
        Note::Applied { index, .. } => ("applies", 2, None, Some(*index)),
        Note::SnapshotTaken { index, .. } => ("snapshot", 2, None, Some(*index)),
        Note::Restored { index, .. } => ("restores", 2, None, Some(*index)),
        Note::Repaired { index } => ("repairs", 2, None, Some(*index)),
        Note::Retransmitted { index } => ("sends again", 2, None, Some(*index)),
        Note::Repeated { .. } => ("repeated", 2, None, None),
        Note::Fetching { from, .. } => ("fetches", 2, None, Some(*from)),
        Note::LeaseRead { index } => ("lease read", 2, None, Some(*index)),
        Note::BarrierPassed { high, .. } => ("barrier", 2, None, Some(*high)),
        Note::Executed { index, .. } => ("executes", 3, None, Some(*index)),
        Note::ReadNoted { index } | Note::ReadReferred { index, .. } => ("reads", 3, None, Some(*index)),
        Note::ForwardPlaced { index } | Note::Widened { index } | Note::Reassigned { index, .. } => {
            ("note", 3, None, Some(*index))
        }
        _ => ("note", 3, None, None),
    };
    Moment { what, rank, text: note.to_string(), index, view }
}

/// What a client's note comes to; `None` for what its connections show.
pub fn of_client_note(note: &ClientNote) -> Option<Moment> {
    let (what, rank, text) = match note {
        ClientNote::Retried { operation, attempt } => ("retries", 2, format!("operation {operation}, try {attempt}")),
        ClientNote::TimedOut { .. } => ("no answer", 2, "a try is given up as lost".to_string()),
        ClientNote::GaveUpSession { session, expired } => {
            ("session over", 1, format!("{session}{}", if *expired { " has expired" } else { "" }))
        }
        ClientNote::Suggested { .. } => ("suggests", 2, "asks a member to look for another leader".to_string()),
        ClientNote::Registered { session } => ("session", 3, format!("{session} is open")),
        ClientNote::Moved { redirected: true, .. } => ("redirected", 3, "a member named the leader".to_string()),
        _ => return None,
    };
    Some(Moment { what, rank, text, index: None, view: None })
}

/// What a kind of message is for.
pub fn family(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Canvass
        | MessageKind::CanvassReply
        | MessageKind::Prepare
        | MessageKind::Promise
        | MessageKind::Reject
        | MessageKind::Transfer
        | MessageKind::Released => "election",
        MessageKind::Accept
        | MessageKind::Accepted
        | MessageKind::Assign
        | MessageKind::Forward
        | MessageKind::Forwarded => "replication",
        MessageKind::Chosen | MessageKind::Fetch | MessageKind::Entries => "commit",
        MessageKind::Heartbeat | MessageKind::HeartbeatAck => "heartbeat",
        MessageKind::Barrier | MessageKind::HighWater | MessageKind::ReadIndexAsk | MessageKind::ReadIndex => "read",
        MessageKind::SnapshotAsk
        | MessageKind::SnapshotOffer
        | MessageKind::SnapshotAck
        | MessageKind::SnapshotChunk
        | MessageKind::Diverged => "snapshot",
        MessageKind::Hello | MessageKind::Refused => "link",
        MessageKind::Request | MessageKind::Response => "client",
    }
}

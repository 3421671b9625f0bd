//! Protocol events a plan can wait for, and what a message is about: its kind, view and index.

use ios_core::{
    ids::{Index, View},
    interface::Note,
    message::{ForwardOutcome, PeerMessage},
};

/// The kinds of messages, by the names of their variants; client messages are one kind each way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[expect(missing_docs, reason = "named after the message variants, where they are documented")]
pub enum MessageKind {
    Hello,
    Refused,
    Canvass,
    CanvassReply,
    Prepare,
    Promise,
    Reject,
    Accept,
    Accepted,
    Chosen,
    Heartbeat,
    HeartbeatAck,
    Fetch,
    Entries,
    /// Any message from a client to a member.
    Request,
    /// Any message from a member to a client.
    Response,
    // Choices are keyed by the place of a kind: what is new goes to the end.
    Assign,
    Forward,
    Forwarded,
    Barrier,
    HighWater,
    Transfer,
    SnapshotAsk,
    SnapshotOffer,
    SnapshotAck,
    SnapshotChunk,
    Diverged,
    Released,
    ReadIndexAsk,
    ReadIndex,
}

impl MessageKind {
    /// All kinds, with their names.
    pub const NAMES: [(MessageKind, &'static str); 30] = [
        (MessageKind::Hello, "Hello"),
        (MessageKind::Refused, "Refused"),
        (MessageKind::Canvass, "Canvass"),
        (MessageKind::CanvassReply, "CanvassReply"),
        (MessageKind::Prepare, "Prepare"),
        (MessageKind::Promise, "Promise"),
        (MessageKind::Reject, "Reject"),
        (MessageKind::Accept, "Accept"),
        (MessageKind::Accepted, "Accepted"),
        (MessageKind::Chosen, "Chosen"),
        (MessageKind::Heartbeat, "Heartbeat"),
        (MessageKind::HeartbeatAck, "HeartbeatAck"),
        (MessageKind::Fetch, "Fetch"),
        (MessageKind::Entries, "Entries"),
        (MessageKind::Request, "Request"),
        (MessageKind::Response, "Response"),
        (MessageKind::Assign, "Assign"),
        (MessageKind::Forward, "Forward"),
        (MessageKind::Forwarded, "Forwarded"),
        (MessageKind::Barrier, "Barrier"),
        (MessageKind::HighWater, "HighWater"),
        (MessageKind::Transfer, "Transfer"),
        (MessageKind::SnapshotAsk, "SnapshotAsk"),
        (MessageKind::SnapshotOffer, "SnapshotOffer"),
        (MessageKind::SnapshotAck, "SnapshotAck"),
        (MessageKind::SnapshotChunk, "SnapshotChunk"),
        (MessageKind::Diverged, "Diverged"),
        (MessageKind::Released, "Released"),
        (MessageKind::ReadIndexAsk, "ReadIndexAsk"),
        (MessageKind::ReadIndex, "ReadIndex"),
    ];
}

/// What a message is about, as far as triggers, overrides and keyed choices care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// Its kind.
    pub kind: MessageKind,
    /// The view it names, if any.
    pub view: Option<View>,
    /// The index it names, if any; the first of a range.
    pub index: Option<Index>,
}

impl Subject {
    /// What a message between members is about.
    pub fn of(message: &PeerMessage) -> Self {
        let (kind, view, index) = match message {
            PeerMessage::Hello(_) => (MessageKind::Hello, None, None),
            PeerMessage::Refused { .. } => (MessageKind::Refused, None, None),
            PeerMessage::Canvass { view } => (MessageKind::Canvass, Some(*view), None),
            PeerMessage::CanvassReply { view, .. } => (MessageKind::CanvassReply, Some(*view), None),
            PeerMessage::Prepare { view, from } => (MessageKind::Prepare, Some(*view), Some(*from)),
            PeerMessage::Promise(promise) => (MessageKind::Promise, Some(promise.view), Some(promise.from)),
            PeerMessage::Reject { view, .. } => (MessageKind::Reject, Some(*view), None),
            PeerMessage::Accept { view, index, .. } => (MessageKind::Accept, Some(*view), Some(*index)),
            PeerMessage::Assign { view, index, .. } => (MessageKind::Assign, Some(*view), Some(*index)),
            PeerMessage::Forward { .. } => (MessageKind::Forward, None, None),
            PeerMessage::Transfer { view } => (MessageKind::Transfer, Some(*view), None),
            PeerMessage::Released { view } => (MessageKind::Released, Some(*view), None),
            PeerMessage::ReadIndexAsk { .. } => (MessageKind::ReadIndexAsk, None, None),
            PeerMessage::ReadIndex { index, .. } => (MessageKind::ReadIndex, None, *index),
            PeerMessage::Forwarded { outcome: ForwardOutcome::Placed { index, .. }, .. } => {
                (MessageKind::Forwarded, None, Some(*index))
            }
            PeerMessage::Forwarded { outcome: ForwardOutcome::Refused { .. }, .. } => {
                (MessageKind::Forwarded, None, None)
            }
            PeerMessage::Accepted { view, index, .. } => (MessageKind::Accepted, Some(*view), Some(*index)),
            PeerMessage::Chosen { view, index, .. } => (MessageKind::Chosen, Some(*view), Some(*index)),
            PeerMessage::Heartbeat { view, .. } => (MessageKind::Heartbeat, Some(*view), None),
            PeerMessage::HeartbeatAck { view, .. } => (MessageKind::HeartbeatAck, Some(*view), None),
            PeerMessage::Fetch { from, .. } => (MessageKind::Fetch, None, Some(*from)),
            PeerMessage::Entries { entries, .. } => (MessageKind::Entries, None, entries.first().map(|entry| entry.0)),
            PeerMessage::Barrier { .. } => (MessageKind::Barrier, None, None),
            PeerMessage::HighWater { view, high, .. } => (MessageKind::HighWater, Some(*view), Some(*high)),
            PeerMessage::SnapshotAsk { above } => (MessageKind::SnapshotAsk, None, Some(*above)),
            PeerMessage::SnapshotOffer { seal } => (MessageKind::SnapshotOffer, None, Some(seal.index)),
            PeerMessage::SnapshotAck { seal, .. } => (MessageKind::SnapshotAck, None, Some(seal.index)),
            PeerMessage::SnapshotChunk { seal, .. } => (MessageKind::SnapshotChunk, None, Some(seal.index)),
            PeerMessage::Diverged { index, .. } => (MessageKind::Diverged, None, Some(*index)),
        };
        Self { kind, view, index }
    }
}

/// What a node does that a plan can wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EventKind {
    /// `sends KIND`: a message leaves, to one receiver.
    Sends(MessageKind),
    /// `receives KIND`: a message is taken in.
    Receives(MessageKind),
    /// `outputs`: any output at all is performed; the finest grain of crash points.
    Outputs,
    /// `writes`: a disk operation begins.
    Writes,
    /// `syncs`: a disk operation is done and the node is about to be (or has been) told.
    Syncs,
    /// `opens`: [`Note::Opened`].
    Opens,
    /// `founds`: [`Note::Founded`].
    Founds,
    /// `canvasses`: [`Note::Canvassed`].
    Canvasses,
    /// `stands`: [`Note::Candidate`].
    Stands,
    /// `leads`: [`Note::Leading`].
    Leads,
    /// `opens-window`: [`Note::WindowOpened`].
    OpensWindow,
    /// `steps-down`: [`Note::SteppedDown`].
    StepsDown,
    /// `promises`: [`Note::Promised`].
    Promises,
    /// `assigns`: [`Note::Assigned`].
    Assigns,
    /// `accepts`: [`Note::Accepted`].
    Accepts,
    /// `chooses`: [`Note::Chosen`].
    Chooses,
    /// `commits`: [`Note::Committed`].
    Commits,
    /// `applies`: [`Note::Applied`].
    Applies,
    /// `fetches`: [`Note::Fetching`].
    Fetches,
    /// `repairs`: [`Note::Repaired`].
    Repairs,
    /// `retransmits`: [`Note::Retransmitted`].
    Retransmits,
    /// `repeats`: [`Note::Repeated`].
    Repeats,
    /// `notes-read`: [`Note::ReadNoted`].
    NotesRead,
    /// `passes-barrier`: [`Note::BarrierPassed`].
    PassesBarrier,
    /// `begins-snapshot`: [`Note::SnapshotBegun`].
    BeginsSnapshot,
    /// `takes-snapshot`: [`Note::SnapshotTaken`].
    TakesSnapshot,
    /// `receives-snapshot`: [`Note::Receiving`].
    ReceivesSnapshot,
    /// `installs`: [`Note::Installed`].
    Installs,
}

impl EventKind {
    /// Names of the events that carry no kind of message.
    pub const NAMES: [(EventKind, &'static str); 26] = [
        (EventKind::Outputs, "outputs"),
        (EventKind::Writes, "writes"),
        (EventKind::Syncs, "syncs"),
        (EventKind::Opens, "opens"),
        (EventKind::Founds, "founds"),
        (EventKind::Canvasses, "canvasses"),
        (EventKind::Stands, "stands"),
        (EventKind::Leads, "leads"),
        (EventKind::OpensWindow, "opens-window"),
        (EventKind::StepsDown, "steps-down"),
        (EventKind::Promises, "promises"),
        (EventKind::Assigns, "assigns"),
        (EventKind::Accepts, "accepts"),
        (EventKind::Chooses, "chooses"),
        (EventKind::Commits, "commits"),
        (EventKind::Applies, "applies"),
        (EventKind::Fetches, "fetches"),
        (EventKind::Repairs, "repairs"),
        (EventKind::Retransmits, "retransmits"),
        (EventKind::Repeats, "repeats"),
        (EventKind::NotesRead, "notes-read"),
        (EventKind::PassesBarrier, "passes-barrier"),
        (EventKind::BeginsSnapshot, "begins-snapshot"),
        (EventKind::TakesSnapshot, "takes-snapshot"),
        (EventKind::ReceivesSnapshot, "receives-snapshot"),
        (EventKind::Installs, "installs"),
    ];

    /// A number below 128 for each event, those of messages by the message's kind.
    pub fn place(self) -> u32 {
        match self {
            EventKind::Sends(kind) => kind as u32,
            EventKind::Receives(kind) => 40 + kind as u32,
            EventKind::Outputs => 80,
            EventKind::Writes => 81,
            EventKind::Syncs => 82,
            EventKind::Opens => 83,
            EventKind::Founds => 84,
            EventKind::Canvasses => 85,
            EventKind::Stands => 86,
            EventKind::Leads => 87,
            EventKind::OpensWindow => 88,
            EventKind::StepsDown => 89,
            EventKind::Promises => 90,
            EventKind::Assigns => 91,
            EventKind::Accepts => 92,
            EventKind::Chooses => 93,
            EventKind::Commits => 94,
            EventKind::Applies => 95,
            EventKind::Fetches => 96,
            EventKind::Repairs => 97,
            EventKind::Retransmits => 98,
            EventKind::Repeats => 99,
            EventKind::NotesRead => 100,
            EventKind::PassesBarrier => 101,
            EventKind::BeginsSnapshot => 110,
            EventKind::TakesSnapshot => 111,
            EventKind::ReceivesSnapshot => 112,
            EventKind::Installs => 113,
        }
    }

    /// The event a note tells of, with its view and index; `None` for notes no plan can wait for.
    pub fn of_note(note: &Note) -> Option<(EventKind, Option<View>, Option<Index>)> {
        Some(match note {
            Note::Opened { promised, .. } => (EventKind::Opens, Some(*promised), None),
            Note::Founded { .. } => (EventKind::Founds, None, None),
            Note::Canvassed { view } => (EventKind::Canvasses, Some(*view), None),
            Note::Candidate { view } => (EventKind::Stands, Some(*view), None),
            Note::Leading { view, recovered } => (EventKind::Leads, Some(*view), Some(*recovered)),
            Note::WindowOpened { view, floor } => (EventKind::OpensWindow, Some(*view), Some(*floor)),
            Note::SteppedDown { view, .. } => (EventKind::StepsDown, Some(*view), None),
            Note::Promised { view } => (EventKind::Promises, Some(*view), None),
            Note::Assigned { view, index, .. } => (EventKind::Assigns, Some(*view), Some(*index)),
            Note::Accepted { view, index, .. } => (EventKind::Accepts, Some(*view), Some(*index)),
            Note::Chosen { view, index, .. } => (EventKind::Chooses, Some(*view), Some(*index)),
            Note::Committed { index, .. } => (EventKind::Commits, None, Some(*index)),
            Note::Applied { index, .. } => (EventKind::Applies, None, Some(*index)),
            Note::Fetching { from, .. } => (EventKind::Fetches, None, Some(*from)),
            Note::Repaired { index } => (EventKind::Repairs, None, Some(*index)),
            Note::Retransmitted { index } => (EventKind::Retransmits, None, Some(*index)),
            Note::Repeated { .. } => (EventKind::Repeats, None, None),
            Note::ReadNoted { index } => (EventKind::NotesRead, None, Some(*index)),
            Note::BarrierPassed { high, .. } => (EventKind::PassesBarrier, None, Some(*high)),
            Note::SnapshotBegun { index } => (EventKind::BeginsSnapshot, None, Some(*index)),
            Note::SnapshotTaken { index, .. } => (EventKind::TakesSnapshot, None, Some(*index)),
            Note::Receiving { index, .. } => (EventKind::ReceivesSnapshot, None, Some(*index)),
            Note::Installed { index, .. } => (EventKind::Installs, None, Some(*index)),
            Note::Verified { .. }
            | Note::RefusedLink { .. }
            | Note::Ignored(_)
            | Note::Executed { .. }
            | Note::LeaseRead { .. }
            | Note::LeaseLapsed { .. }
            | Note::Expired { .. }
            | Note::ForwardTaken { .. }
            | Note::ForwardPlaced { .. }
            | Note::Widened { .. }
            | Note::Reassigned { .. }
            | Note::SnapshotLost { .. }
            | Note::Restored { .. }
            | Note::TransferGivenUp { .. }
            | Note::StateDiffers { .. }
            | Note::Suggested { .. }
            | Note::ReadReferred { .. }
            | Note::DiskFull { .. }
            | Note::Whole => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_event_has_a_place_of_its_own_below_128() {
        let kinds = MessageKind::NAMES.iter().map(|(kind, _)| *kind);
        let of_messages = kinds.flat_map(|kind| [EventKind::Sends(kind), EventKind::Receives(kind)]);
        let events: Vec<_> = EventKind::NAMES.iter().map(|(event, _)| *event).chain(of_messages).collect();
        let places: BTreeSet<u32> = events.iter().map(|event| event.place()).collect();
        assert_eq!(places.len(), events.len());
        assert!(places.iter().all(|place| *place < 128));
    }
}

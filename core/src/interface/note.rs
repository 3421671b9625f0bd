//! What happened inside a node.

use super::FileId;
use crate::{
    ids::{ClusterId, Digest, Incarnation, Index, NodeId, Sequence, SessionId, View},
    message::LinkRefusal,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// What happened inside a node: for traces, metrics and the simulator's oracles. Nothing depends on a note.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Note {
    /// The disk was read.
    Opened {
        /// The life that begins.
        incarnation: Incarnation,
        /// The promise it begins with.
        promised: View,
        /// Entries known by name only.
        unknown: u64,
        /// Whether records were lost that cannot be named.
        loss: bool,
    },
    /// Every first member's disk is known.
    Founded {
        /// The cluster they make.
        cluster: ClusterId,
    },
    /// A peer's `Hello` was accepted.
    Verified {
        /// Who.
        peer: NodeId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A link was refused.
    RefusedLink {
        /// Whose.
        peer: NodeId,
        /// Why.
        why: LinkRefusal,
    },
    /// Input that no rule has a use for.
    Ignored(Ignored),
    /// The leader is missed; others are being asked.
    Canvassed {
        /// The view in mind.
        view: View,
    },
    /// A view of one's own is durable; promises are being collected.
    Candidate {
        /// The view.
        view: View,
    },
    /// A recovery quorum promised; the recovered range is being proposed again.
    Leading {
        /// The view.
        view: View,
        /// The last index of the recovered range.
        recovered: Index,
    },
    /// The recovered range is committed; new batches may be assigned.
    WindowOpened {
        /// The view.
        view: View,
        /// The floor it opens with.
        floor: Index,
    },
    /// A leader or candidate gave up its view.
    SteppedDown {
        /// The view.
        view: View,
        /// Why.
        why: StepDown,
    },
    /// A promise binds in memory (it is not durable yet).
    Promised {
        /// The view.
        view: View,
    },
    /// The leader gave a batch its place.
    Assigned {
        /// The leader's view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
        /// Whether it comes from the recovered range.
        recovered: bool,
    },
    /// This node's own acceptance is durable.
    Accepted {
        /// In which view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
    },
    /// A replication quorum of acceptances was counted here.
    Chosen {
        /// In which view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
    },
    /// This node knows what is chosen at an index.
    Committed {
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
        /// By which rule.
        how: Learned,
    },
    /// A batch was executed.
    Applied {
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
        /// Log time after it.
        log_time: Time,
        /// Hash of the state after it.
        state_hash: u64,
    },
    /// A client's request took effect for the first time.
    Executed {
        /// Where.
        index: Index,
        /// Its place in the batch.
        position: u32,
        /// Whose.
        session: SessionId,
        /// Which.
        sequence: Sequence,
    },
    /// A request was a repetition and got the first reply.
    Repeated {
        /// Whose.
        session: SessionId,
        /// Which.
        sequence: Sequence,
    },
    /// A session expired.
    Expired {
        /// Which.
        session: SessionId,
    },
    /// A read waits for a confirmation that begins after this.
    ReadNoted {
        /// Up to where the log must be applied.
        index: Index,
    },
    /// An unknown or missing entry was repaired from a peer.
    Repaired {
        /// Where.
        index: Index,
    },
    /// Everything that could have been lost is committed here.
    Whole,
    /// Committed entries are missing and are asked for.
    Fetching {
        /// First.
        from: Index,
        /// Last.
        to: Index,
    },
    /// An assignment was sent again because too few answered.
    Retransmitted {
        /// Where.
        index: Index,
    },
    /// The leader took commands that a participant forwarded.
    ForwardTaken {
        /// From whom.
        from: NodeId,
        /// How many.
        commands: u32,
    },
    /// The leader named a place for commands forwarded here.
    ForwardPlaced {
        /// Where.
        index: Index,
    },
    /// A thrifty coordinator asks everyone, because those it had asked took too long.
    Widened {
        /// Where.
        index: Index,
    },
    /// A coordinator took too long: the leader gave the same assignment to another.
    Reassigned {
        /// Where.
        index: Index,
        /// Who took too long.
        from: NodeId,
        /// Who is to see to it now; the leader itself last.
        to: NodeId,
    },
    /// A recovery quorum told how far its logs go: participant reads are answered when `high` is executed here.
    BarrierPassed {
        /// The farthest that any of them goes.
        high: Index,
        /// Everything up to here is committed already.
        floor: Index,
    },
    /// A snapshot of the state is being taken.
    SnapshotBegun {
        /// The last batch in it.
        index: Index,
    },
    /// It is durable, and what it stands for goes.
    SnapshotTaken {
        /// The last batch in it.
        index: Index,
        /// Hash of the state in it.
        state_hash: u64,
    },
    /// A snapshot that was durable cannot be read any more.
    SnapshotLost {
        /// The last batch in it.
        index: Index,
    },
    /// The node opens with the state of its snapshot.
    Restored {
        /// The last batch in it.
        index: Index,
        /// Hash of the state in it.
        state_hash: u64,
    },
    /// A peer's snapshot is being received, or goes on to be.
    Receiving {
        /// Whose.
        from: NodeId,
        /// The last batch in it.
        index: Index,
        /// From which block on.
        number: u64,
    },
    /// A peer's snapshot has taken the place of the state.
    Installed {
        /// The last batch in it.
        index: Index,
        /// Hash of the state in it.
        state_hash: u64,
    },
    /// A snapshot that was being received makes no sense, or is no longer needed.
    TransferGivenUp {
        /// The last batch in it.
        index: Index,
    },
    /// A follower's state is not this leader's.
    StateDiffers {
        /// Whose.
        from: NodeId,
        /// After which index.
        index: Index,
    },
    /// A leader answers a read by its lease.
    LeaseRead {
        /// Up to where the log must be applied.
        index: Index,
    },
    /// A leader's lease is over when a read arrives, so that the read has to be confirmed by a round.
    LeaseLapsed {
        /// Since when, by the leader's clock.
        at: Time,
    },
    /// A leader tells a participant up to where its clients' leader reads must see.
    ReadReferred {
        /// Whom.
        to: NodeId,
        /// Up to where the log must be applied.
        index: Index,
    },
    /// A client suggests that this node look for another leader.
    Suggested {
        /// Whether it does.
        heeded: bool,
    },
    /// The disk has no room for this file. It is done without, and made again later.
    DiskFull {
        /// Which.
        file: FileId,
    },
}

/// Input without use, by the rule that says so. Each is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Ignored {
    /// The node has stopped, or has not finished opening.
    NotRunning,
    /// From a node that has not said a valid `Hello` on this link.
    Unverified,
    /// From a node that is no member, or from the node itself.
    Stranger,
    /// An answer to a question that is no longer asked.
    Unasked,
    /// Of a view that is over.
    OldView,
    /// An acceptance, choice or entry of something that was never assigned here.
    Unassigned,
    /// A leader's message that names a view the sender cannot lead.
    Impostor,
    /// An index of zero, an inverted range, or one farther ahead than any window allows.
    OutOfRange,
    /// The same again.
    Duplicate,
    /// A refusal that names another life of this node.
    OtherLife,
    /// A disk completion that no operation waits for.
    UnknownOp,
    /// A question that cannot be answered by a node that lost records it cannot name.
    Hollow,
    /// A request for a promise while another leader may hold a lease that this node granted.
    Leased,
}

/// Why a leader or candidate gave up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum StepDown {
    /// A leader's message of a higher view arrived.
    HigherView,
    /// No replication quorum answered for an election timeout.
    NoQuorum,
    /// The disk did not answer for an election timeout.
    DiskStalled,
    /// A higher promise ended the candidacy.
    HigherPromise,
    /// Leading goes on in a higher view of its own.
    Renewed,
    /// The recovery quorum did not answer for an election timeout.
    TimedOut,
    /// Something above the recovered range was learned from elsewhere: another leader is at work.
    Overtaken,
    /// The node stops.
    Stopping,
    /// It has handed its place to another member.
    Transferred,
}

/// How a replica learned that something is chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Learned {
    /// It counted the acceptances itself.
    Counted,
    /// A `Chosen` of a view not above its own acceptance.
    Chosen,
    /// The floor of the view it accepted in.
    Floor,
    /// A peer's committed entry.
    Fetched,
    /// A committed entry found in a promise.
    Recovered,
    /// Its own journal.
    Journal,
    /// An `Accept` a window above it, of the view it accepted in.
    Implied,
}

/// Which timer a deadline belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Work gathered during a driver's turn is due: assign, confirm reads, start a disk round.
    Turn,
    /// The first queued request has waited for its batch interval.
    Batch,
    /// The journal's slots have been idle long enough, or a full disk is tried again.
    Seal,
    /// A leader's sign of life is due.
    Heartbeat,
    /// The leader has been silent for too long, or a canvass went unanswered.
    Election,
    /// Something unanswered is to be sent again.
    Retry,
    /// A session may have expired; log time needs a tick.
    Tick,
}

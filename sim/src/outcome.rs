//! What a run came to: counts, a digest, and the first violation if there is one.

use crate::{
    marks::Marks,
    oracle::{Checks, Violation},
    scenario::MessageKind,
};
use ios_core::time::Time;

/// What a counter tells of; sweeps report a [`CounterKind::Fault`] that stayed zero as a kind never injected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum CounterKind {
    /// A fault that was injected.
    Fault,
    /// What the cluster did.
    Protocol,
    /// What the clients saw.
    Client,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident: $kind:ident = $text:literal,)*) => {
        /// What is counted in every run.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(usize)]
        pub enum Counter {
            $($(#[doc = $doc])* $name,)*
        }

        impl Counter {
            /// All of them, in the order of their discriminants.
            pub const ALL: &'static [Counter] = &[$(Counter::$name,)*];

            /// The fixed name in reports.
            pub fn name(self) -> &'static str {
                match self { $(Counter::$name => $text,)* }
            }

            /// What it tells of.
            pub fn kind(self) -> CounterKind {
                match self { $(Counter::$name => CounterKind::$kind,)* }
            }

            /// Whether a campaign should have met it. What is left is what ought not to be.
            pub fn is_wanted(self) -> bool {
                !matches!(self, Counter::Invalid | Counter::Undecided)
            }

            /// What it counts, in words.
            pub fn about(self) -> &'static str {
                match self { $(Counter::$name => concat!($($doc),*),)* }
            }
        }
    };
}

counters! {
    /// Messages lost by chance or by an override.
    MessagesDropped: Fault = "messages_dropped",
    /// Messages delivered twice.
    MessagesDuplicated: Fault = "messages_duplicated",
    /// Messages taken out of their link's order.
    MessagesReordered: Fault = "messages_reordered",
    /// Messages delivered a second time much later.
    MessagesLate: Fault = "messages_late",
    /// Messages whose bytes changed on their way.
    FramesDamaged: Fault = "frames_damaged",
    /// Messages lost because their link held as many as it may.
    MessagesOverflowed: Fault = "messages_overflowed",
    /// Messages that a clogged link held up.
    MessagesStuck: Fault = "messages_stuck",
    /// Messages that were later because others have priority, or their link is the slow one.
    MessagesOutranked: Fault = "messages_outranked",
    /// Messages lost to a partition, an isolation or a cut.
    MessagesCutOff: Fault = "messages_cut_off",
    /// Partitions both ways, isolations included.
    Partitions: Fault = "partitions",
    /// Partitions and cuts one way.
    PartitionsOneWay: Fault = "partitions_one_way",
    /// Cuts of several links, each for itself: rings, random graphs.
    PartitionsPartial: Fault = "partitions_partial",
    /// Times that a partition, an isolation, a cut or a clog came again after it was over.
    PartitionsAgain: Fault = "partitions_again",
    /// Times that links were clogged.
    LinksClogged: Fault = "links_clogged",
    /// Times that messages got other priorities in the midst of a run.
    PrioritiesChanged: Fault = "priorities_changed",
    /// Crashes of a process: the page cache stays.
    CrashesProcess: Fault = "crashes_process",
    /// Power losses.
    CrashesPower: Fault = "crashes_power",
    /// Crashes in the midst of a node's step, with outputs still to perform.
    CrashesMidStep: Fault = "crashes_mid_step",
    /// Nodes asked to stop in good order.
    Stops: Fault = "stops",
    /// Nodes commanded to hand their leadership over.
    TransfersCommanded: Fault = "transfers_commanded",
    /// Starts of a node after its first.
    Restarts: Fault = "restarts",
    /// Nodes paused.
    Pauses: Fault = "pauses",
    /// Unsynced writes that a power loss took.
    WritesLost: Fault = "writes_lost",
    /// Unsynced writes that survived a power loss.
    WritesKept: Fault = "writes_kept",
    /// Unsynced writes that a power loss tore.
    WritesTorn: Fault = "writes_torn",
    /// Power losses that kept a write and lost an earlier one.
    WritesReordered: Fault = "writes_reordered",
    /// Disk operations that were stuck, by chance or by a slow disk.
    DiskSlow: Fault = "disk_slow",
    /// Disk operations that ended in an error.
    DiskErrors: Fault = "disk_errors",
    /// Files that a full disk had no room for.
    FilesWithoutRoom: Fault = "files_without_room",
    /// Record bodies that rotted.
    RotBody: Fault = "rot_body",
    /// Id slots that rotted.
    RotSlot: Fault = "rot_slot",
    /// Identity slots that rotted.
    RotIdentity: Fault = "rot_identity",
    /// Snapshots that rotted.
    RotSnapshot: Fault = "rot_snapshot",
    /// Disks that lost everything.
    DisksWiped: Fault = "disks_wiped",
    /// Nodes whose clock ran at a wrong rate.
    ClocksSkewed: Fault = "clocks_skewed",
    /// Clocks that leapt ahead.
    ClocksLeapt: Fault = "clocks_leapt",
    /// Clocks that leapt back, and stood still for their node.
    ClocksHeldBack: Fault = "clocks_held_back",
    /// Nodes whose links were slow.
    LinksSlow: Fault = "links_slow",
    /// Clients paused.
    ClientPauses: Fault = "client_pauses",
    /// Clients whose connections broke.
    ClientDisconnects: Fault = "client_disconnects",
    /// Clients whose process died.
    ClientCrashes: Fault = "client_crashes",

    /// Rot that the fault atlas did not allow.
    RotRefused: Protocol = "rot_refused",
    /// Canvasses begun.
    Canvasses: Protocol = "canvasses",
    /// Hints of clients that made a node look for another leader.
    HintsHeeded: Protocol = "hints_heeded",
    /// Candidacies.
    Candidacies: Protocol = "candidacies",
    /// View changes: candidates that became leaders.
    ViewChanges: Protocol = "view_changes",
    /// Windows opened by leaders.
    WindowsOpened: Protocol = "windows_opened",
    /// Leaders and candidates that gave up their view.
    StepDowns: Protocol = "step_downs",
    /// Batches given a place by a leader, recovered ones included.
    Assigned: Protocol = "assigned",
    /// Batches proposed again by a new leader.
    Recovered: Protocol = "recovered",
    /// Acceptances that became durable.
    Accepted: Protocol = "accepted",
    /// Batches a coordinator counted as chosen.
    Chosen: Protocol = "chosen",
    /// Batches chosen while an earlier index was not.
    ChosenOutOfOrder: Protocol = "chosen_out_of_order",
    /// Batches that nodes learned to be committed.
    Committed: Protocol = "committed",
    /// Batches that nodes executed.
    Applied: Protocol = "applied",
    /// Fetches of missing entries.
    Fetches: Protocol = "fetches",
    /// Assignments sent again.
    Retransmissions: Protocol = "retransmissions",
    /// Leaders that handed their place to another member.
    Transfers: Protocol = "transfers",
    /// Messages with commands of their clients that leaders took from participants.
    Forwards: Protocol = "forwards",
    /// Places that leaders named for some of those commands.
    ForwardsPlaced: Protocol = "forwards_placed",
    /// Assignments that a thrifty coordinator sent to everyone in the end.
    ThriftyWidened: Protocol = "thrifty_widened",
    /// No-ops that a new leader put before its first batch, for index exclusivity.
    GapsFilled: Protocol = "gaps_filled",
    /// Commits implied by an `Accept` a window above.
    ImplicitCommits: Protocol = "implicit_commits",
    /// Assignments handed to a delegate.
    Delegated: Protocol = "delegated",
    /// Assignments taken from a coordinator that was too slow, and given to another.
    DelegatesReplaced: Protocol = "delegates_replaced",
    /// Unknown entries found at a start: a body rotted, its slot told the name.
    RottenFound: Protocol = "rotten_found",
    /// Starts that found records lost without a name.
    LossesFound: Protocol = "losses_found",
    /// Unknown or missing entries repaired from peers.
    RottenRepaired: Protocol = "rotten_repaired",
    /// Nodes whose unlocated loss was made good.
    LossesRepaired: Protocol = "losses_repaired",
    /// Snapshots that nodes took of their own state.
    SnapshotsTaken: Protocol = "snapshots_taken",
    /// Starts with the state of a snapshot.
    SnapshotsRestored: Protocol = "snapshots_restored",
    /// Snapshots found to be damaged, at a start or when a peer asked for them.
    SnapshotsLost: Protocol = "snapshots_lost",
    /// Transfers of snapshots begun.
    SnapshotTransfers: Protocol = "snapshot_transfers",
    /// Transfers that went on in their midst, after silence or with another sender.
    SnapshotsResumed: Protocol = "snapshots_resumed",
    /// Transfers given up.
    SnapshotsGivenUp: Protocol = "snapshots_given_up",
    /// Snapshots of peers installed.
    Installs: Protocol = "installs",
    /// Segments removed because a snapshot stands for them.
    SegmentsRemoved: Protocol = "segments_removed",
    /// Peer messages that no rule had a use for.
    Ignored: Protocol = "ignored",
    /// Links refused.
    LinksRefused: Protocol = "links_refused",
    /// Leader reads noted.
    ReadsNoted: Protocol = "reads_noted",
    /// Questions about leader reads of participants' clients that leaders answered.
    ReadsReferred: Protocol = "reads_referred",
    /// Rounds of participant reads that a recovery quorum answered.
    Barriers: Protocol = "barriers",
    /// Those of them after which the reads had to wait for the log.
    BarriersWaited: Protocol = "barriers_waited",
    /// Leader reads answered by lease.
    LeaseReads: Protocol = "lease_reads",
    /// Leader reads that arrived after the lease had lapsed, as after a pause.
    LeasesLapsed: Protocol = "leases_lapsed",
    /// Promises refused for the sake of a lease.
    LeasesHeeded: Protocol = "leases_heeded",
    /// Requests that executed.
    Executed: Protocol = "executed",
    /// Repeated requests that got the first reply.
    Repeated: Protocol = "repeated",
    /// Sessions expired.
    SessionsExpired: Protocol = "sessions_expired",
    /// Starts that nodes refused, as a disk too damaged entitled them to.
    OpensRefused: Protocol = "opens_refused",
    /// Nodes that stopped themselves, as a fault entitled them to.
    Fenced: Protocol = "fenced",

    /// Operations answered.
    Answered: Client = "answered",
    /// Operations answered that were reads.
    ReadsAnswered: Client = "reads_answered",
    /// Those asked for as participant reads.
    ParticipantReads: Client = "participant_reads",
    /// Those asked for as stale reads.
    StaleReads: Client = "stale_reads",
    /// Tries after the first one of an operation.
    Retries: Client = "retries",
    /// Refusals that named another leader, or none.
    Redirects: Client = "redirects",
    /// Hints of clients that a view change might be due.
    HintsSent: Client = "hints_sent",
    /// Addresses of members that clients were not told of and learned.
    AddressesLearned: Client = "addresses_learned",
    /// Operations that ended not done.
    NotDone: Client = "not_done",
    /// Operations that ended with an unknown outcome.
    OutcomeUnknown: Client = "outcome_unknown",
    /// Operations invalid by the service's own word.
    Invalid: Client = "invalid",
    /// Histories that no layer of the checker could decide.
    Undecided: Client = "undecided",
}

/// One number per [`Counter`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Counters {
    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        self.0[counter as usize] += 1;
    }

    /// Counts several.
    pub fn add(&mut self, counter: Counter, by: u64) {
        self.0[counter as usize] += by;
    }

    /// The number so far.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Adds another run's counts.
    pub fn merge(&mut self, other: &Counters) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Every counter with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|counter| (*counter, self.get(*counter)))
    }
}

/// How many messages of each kind members sent to each other, receivers counted apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent([u64; MessageKind::NAMES.len()]);

impl Default for Sent {
    fn default() -> Self {
        Self([0; MessageKind::NAMES.len()])
    }
}

impl Sent {
    /// Counts one message to one member.
    pub fn count(&mut self, kind: MessageKind) {
        self.0[kind as usize] += 1;
    }

    /// Adds another run's counts.
    pub fn merge(&mut self, other: &Sent) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Messages of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every kind with its name and number.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let between_members = |kind: &MessageKind| !matches!(kind, MessageKind::Request | MessageKind::Response);
        let kinds = MessageKind::NAMES.iter().filter(move |(kind, _)| between_members(kind));
        kinds.map(|(kind, name)| (*name, self.0[*kind as usize]))
    }
}

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// Agenda items taken: deliveries, timers, disk completions, faults, client actions.
    pub events: u64,
    /// Client operations begun.
    pub operations: u64,
    /// Simulated time at the end.
    pub ended: Time,
    /// What happened how often.
    pub counters: Counters,
    /// Which situations it was in.
    pub marks: Marks,
    /// What members said to each other.
    pub sent: Sent,
    /// How often each oracle looked.
    pub checks: Checks,
    /// Which lines of the plan acted, by their place in it.
    pub fired: Vec<bool>,
    /// Which overrides decided something, by their place in the scenario.
    pub used: Vec<bool>,
    /// A hash over every event: equal for equal runs.
    pub digest: u64,
    /// The first property found broken; the run ends there.
    pub violation: Option<Violation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_names_of_their_own_and_add_up() {
        let mut names: Vec<_> = Counter::ALL.iter().map(|counter| counter.name()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        let (mut one, mut two) = (Counters::default(), Counters::default());
        one.count(Counter::Pauses);
        two.add(Counter::Pauses, 4);
        two.count(Counter::Invalid);
        one.merge(&two);
        assert_eq!((one.get(Counter::Pauses), one.get(Counter::Invalid), one.get(Counter::Fetches)), (5, 1, 0));
        for (place, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, place);
        }
    }
}

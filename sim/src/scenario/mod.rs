//! A scenario: everything one simulated run depends on, as a value.
//!
//! `seed -> Scenario -> World -> Outcome` are pure functions. A [`Scenario`] prints to text and parses back to the same
//! value, so a failing seed is saved as a file that anyone can read, replay, cut down and edit. Two runs of equal
//! scenarios on the same code are equal, event by event.
//!
//! ```text
//! ios-scenario 1
//! # A leader that crashes between choosing and telling must not lose the write.
//! expect ok
//! cluster nodes=3 quorum=majority window=8 explicit_commit=on clients=2
//! seed 0x51c3
//! network delay=1ms..5ms drop=1000
//! at 300ms c0 put k1 a
//! after c0.1 c1 cas k1 a b
//! before any sends Chosen nth=2 crash it power for=80ms
//! run 2s
//! ```
//!
//! A plan is a list of [`Line`]s, each a condition and an action. Conditions are times, protocol events (which survive
//! changes of the code far better than times do), or the end of a client's operation. Small decisions (delays, losses,
//! what a crash leaves on a disk) are keyed choices, see [`crate::choice`]; an [`Override`] sets a single one by hand.
//!
//! Deliberately absent: anything the world does not perform. A directive exists when both sides exist.

pub mod check;
pub mod event;
pub mod fields;
mod line;
pub mod operation;
pub mod order;
pub mod parse;
pub mod plan;
mod print;
pub mod words;

pub use event::{EventKind, MessageKind};
pub use fields::Percent;
pub use operation::{Operation, Verb, Workload};
pub use order::{Order, RankedBy};
pub use parse::ParseError;
pub use plan::{
    Action, Condition, Damage, End, Flap, Line, MessageFate, Override, RotPart, Slow, SyncFate, Target, Trigger, Who,
};

use crate::oracle::Oracle;
use ios_core::{
    configuration::Lease,
    ids::NodeId,
    options::{JournalOptions, Options, Seal},
    replica::quorum::QuorumSpec,
    time::Span,
};

/// The version of the text form, in its first line.
pub const FORMAT: u32 = 1;

/// The most nodes of a simulated cluster. The protocol allows more; nothing new happens beyond.
pub const NODES_MAX: u8 = 9;
/// The most clients of a simulated cluster.
pub const CLIENTS_MAX: u8 = 16;

/// The most messages under way on one link.
pub const QUEUE_MAX: u32 = 4096;

/// One whole run, before it happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// What the run must end in.
    pub expect: Expect,
    /// Who takes part, and how they are set up.
    pub cluster: Cluster,
    /// Keys every small decision of the run.
    pub seed: u64,
    /// Links between members.
    pub network: Links,
    /// Links between clients and members, both ways.
    pub client_network: Links,
    /// In which order messages of different links between members arrive.
    pub order: Order,
    /// Every node's disk.
    pub disk: Disk,
    /// How far each node's clock is off its rate, in millionths; absent means exact. Ascending by node. A node's clock
    /// advances by `elapsed + elapsed * ppm / 1_000_000`.
    pub clocks: Vec<(NodeId, i32)>,
    /// What clients do besides the plan's operations.
    pub workload: Workload,
    /// Conditions and actions, in the order written. Lines that become due at once act in this order.
    pub plan: Vec<Line>,
    /// Decisions set by hand. The first that matches counts.
    pub overrides: Vec<Override>,
    /// How long the safety phase lasts: anything goes. Lines of the plan do not act after it.
    pub run: Span,
    /// What must happen afterwards.
    pub liveness: Liveness,
}

/// What a run must end in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expect {
    /// No oracle objects.
    Ok,
    /// This oracle objects.
    Violation(Oracle),
}

/// Who takes part, and how they are set up. Members are `n0..`, clients `c0..`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// How many members, 1 to [`NODES_MAX`].
    pub nodes: u8,
    /// Their quorum system.
    pub quorum: QuorumSpec,
    /// The window W.
    pub window: u64,
    /// No index ever carries two different batches of clients.
    pub index_exclusivity: bool,
    /// An `Accept` commits what lies a window before it.
    pub implicit_commit: bool,
    /// Whether leaders may answer reads by lease, and how wrong clocks are at most.
    pub lease: Option<Lease>,
    /// After how much silence, in log time, a session expires.
    pub session_ttl: Span,
    /// Every member's own settings.
    pub options: Options,
    /// How many clients, 0 to [`CLIENTS_MAX`].
    pub clients: u8,
    /// How many members each client is told of, at most; the others it learns from those. If not all, they are of the
    /// core, or a client could be told of nobody who lives.
    pub told: u8,
    /// How long a client waits for an answer before it tries again, elsewhere.
    pub client_retry: Span,
    /// How long a client tries before it gives an operation up (not done, or unknown).
    pub client_deadline: Span,
    /// After how many failed tries of an operation a client hints at a view change; 0 for never.
    pub before_force: u32,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            nodes: 3,
            quorum: QuorumSpec::Majority,
            window: 8,
            index_exclusivity: false,
            implicit_commit: false,
            lease: None,
            session_ttl: Span::secs(60),
            options: Options {
                // A disk of the simulator is memory: segments are small, so that some are filled within a run.
                journal: JournalOptions {
                    segment_bytes: 64 << 10,
                    segment_records: 128,
                    seal: Seal::Lazy,
                    seal_idle: Span::millis(5),
                    ..JournalOptions::default()
                },
                max_batch: 64,
                max_batch_bytes: 4 << 10,
                queue_max: 1024,
                reads_max: 1024,
                ..Options::default()
            },
            clients: 2,
            told: NODES_MAX,
            client_retry: Span::millis(300),
            client_deadline: Span::secs(5),
            before_force: 0,
        }
    }
}

/// A family of links. Chances are per million messages.
///
/// Messages of one link arrive in the order sent, except those that `reorder` or `late` picks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Links {
    /// Least and greatest delay of a message.
    pub delay: (Span, Span),
    /// Lost.
    pub drop: u32,
    /// Delivered a second time, with a delay of its own.
    pub duplicate: u32,
    /// Overtaken: delayed by up to ten times `delay` more, while the link's later messages go on.
    pub reorder: u32,
    /// Delivered a second time, much later: after `late_by`.
    pub late: u32,
    /// How late those are.
    pub late_by: (Span, Span),
    /// Damaged: bytes of its frame change on their way, so its receiver closes the connection.
    pub damage: u32,
    /// How many messages are under way on one link at most, 1 to [`QUEUE_MAX`]. What exceeds that is lost, as by a
    /// sender whose buffer is full. In the safety phase only.
    pub queue: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            delay: (Span::millis(1), Span::millis(5)),
            drop: 0,
            duplicate: 0,
            reorder: 0,
            late: 0,
            late_by: (Span::millis(200), Span::millis(2000)),
            damage: 0,
            queue: QUEUE_MAX,
        }
    }
}

/// Every node's disk. Chances are per million.
///
/// A process crash keeps what was written, synced or not. A power loss decides for each unsynced write by itself: lost
/// with chance `lost`, else torn with chance `torn` (some of its sectors reach the disk), else kept. So any subset, in
/// any order, may survive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// Least and greatest time an operation takes, sync included.
    pub latency: (Span, Span),
    /// Chance that a power loss loses an unsynced write.
    pub lost: u32,
    /// Chance that it tears one that it does not lose.
    pub torn: u32,
    /// Chance that an operation is stuck for `slow_by` more.
    pub slow: u32,
    /// For how long it is then stuck.
    pub slow_by: (Span, Span),
    /// Damage goes beyond what the protocol promises to survive: as much as can be noticed, on any member. Then nothing
    /// has to finish, but nothing false may be served either.
    pub beyond: bool,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            latency: (Span::micros(100), Span::micros(500)),
            lost: 500_000,
            torn: 200_000,
            slow: 0,
            slow_by: (Span::millis(20), Span::millis(200)),
            beyond: false,
        }
    }
}

/// What must happen after the safety phase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Liveness {
    /// Nothing.
    Off,
    /// The core heals: its nodes restart and resume, links among them and with clients work, disks and clocks behave.
    /// The rest stays as it is for ever. Everything clients have begun must finish within the bound.
    Core {
        /// Its nodes, which must contain a Q1 and a Q2; all if empty.
        nodes: Vec<NodeId>,
        /// The bound, from the end of the safety phase.
        within: Span,
    },
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            expect: Expect::Ok,
            cluster: Cluster::default(),
            seed: 0,
            network: Links::default(),
            client_network: Links::default(),
            order: Order::default(),
            disk: Disk::default(),
            clocks: Vec::new(),
            workload: Workload::default(),
            plan: Vec::new(),
            overrides: Vec::new(),
            run: Span::secs(2),
            liveness: Liveness::Core { nodes: Vec::new(), within: Span::secs(20) },
        }
    }
}

#[cfg(test)]
mod tests;

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
pub mod parse;
mod print;
pub mod words;

pub use event::{EventKind, MessageKind};
pub use fields::Percent;
pub use operation::{Operation, Verb, Workload};
pub use parse::ParseError;

use crate::oracle::Oracle;
use ios_core::{
    ids::{NodeId, View},
    options::{JournalOptions, Options, Seal},
    replica::quorum::QuorumSpec,
    time::{Span, Time},
};

/// The version of the text form, in its first line.
pub const FORMAT: u32 = 1;

/// The most nodes of a simulated cluster. The protocol allows more; nothing new happens beyond.
pub const NODES_MAX: u8 = 9;
/// The most clients of a simulated cluster.
pub const CLIENTS_MAX: u8 = 16;

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
    /// After how much silence, in log time, a session expires.
    pub session_ttl: Span,
    /// Every member's own settings.
    pub options: Options,
    /// How many clients, 0 to [`CLIENTS_MAX`].
    pub clients: u8,
    /// How long a client waits for an answer before it tries again, elsewhere.
    pub client_retry: Span,
    /// How long a client tries before it gives an operation up (not done, or unknown).
    pub client_deadline: Span,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            nodes: 3,
            quorum: QuorumSpec::Majority,
            window: 8,
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
            client_retry: Span::millis(300),
            client_deadline: Span::secs(5),
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
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            latency: (Span::micros(100), Span::micros(500)),
            lost: 500_000,
            torn: 200_000,
            slow: 0,
            slow_by: (Span::millis(20), Span::millis(200)),
        }
    }
}

/// One line of the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When.
    pub condition: Condition,
    /// What.
    pub action: Action,
}

/// When a line acts. Each line acts at most once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// `at TIME`.
    At(Time),
    /// `when WHO EVENT ...` or `before WHO EVENT ...`.
    Event(Trigger),
    /// `after cX.N`: the N-th operation of a client, counted from 1 in the order they were begun, has ended in any way
    /// (answered, refused, or given up).
    After {
        /// The client.
        client: u8,
        /// Which of its operations, from 1.
        operation: u32,
    },
}

/// A protocol event that is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trigger {
    /// Whose event.
    pub who: Who,
    /// Which.
    pub event: EventKind,
    /// Only of this index.
    pub index: Option<u64>,
    /// Only of this view.
    pub view: Option<View>,
    /// For messages: only to (`sends`) or from (`receives`) this member. A broadcast counts once for each receiver.
    pub peer: Option<NodeId>,
    /// Only the n-th that matches all of the above, from 1.
    pub nth: u32,
    /// `before`: act before the event takes effect (the message is handed to the network, the input is taken, the disk
    /// operation begins). `when`: right after it, before the node's next output.
    ///
    /// If the action stops the node, the outputs that remain of its step are never performed.
    pub before: bool,
    /// How long after the event the action follows (`in=TIME`); zero: in the midst of the node's step.
    pub delay: Span,
}

/// Whose event triggers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// This member's.
    Node(NodeId),
    /// Any member's.
    Any,
    /// That of a member that leads at that moment (by its own notes: from `Leading` to `SteppedDown`).
    Leader,
}

/// To whom something is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// This member.
    Node(NodeId),
    /// The member that leads in the highest view at that moment. If none does, the line does nothing and has not fired.
    Leader,
    /// The member whose event triggered the line.
    It,
}

/// An end of a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// A member.
    Node(NodeId),
    /// A client.
    Client(u8),
}

/// What is done.
///
/// Where there is a `back`, the effect ends by itself after that time (`for=TIME`); without it, at an explicit opposite
/// or when the liveness phase heals the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// `cX OPERATION`: a client begins an operation now, besides whatever else it has in flight.
    Client {
        /// Which client.
        client: u8,
        /// What it asks.
        operation: Operation,
    },
    /// `crash NODE process|power`: stops a node between two outputs. A crashed node stays so if crashed again.
    Crash {
        /// Which node.
        node: Target,
        /// Of the process (the page cache stays), or of the whole machine (unsynced writes are in doubt).
        power: bool,
        /// When it starts again.
        back: Option<Span>,
    },
    /// `crash all process|power`: the whole cluster at once.
    CrashAll {
        /// As above.
        power: bool,
        /// When all start again.
        back: Option<Span>,
    },
    /// `restart NODE`: starts a crashed node; nothing if it runs.
    Restart {
        /// Which node.
        node: Target,
    },
    /// `pause NODE`: the node takes no input; messages and completions wait, time goes on.
    Pause {
        /// Which node.
        node: Target,
        /// When it goes on.
        back: Option<Span>,
    },
    /// `resume NODE`.
    Resume {
        /// Which node.
        node: Target,
    },
    /// `pause cX`: a client takes no input.
    PauseClient {
        /// Which client.
        client: u8,
        /// When it goes on.
        back: Option<Span>,
    },
    /// `disconnect cX`: all connections of a client break; it makes new ones and goes on.
    Disconnect {
        /// Which client.
        client: u8,
    },
    /// `crash cX`: a client's process dies with everything it has in flight (outcome unknown) and a new one starts in
    /// its place, with a new session.
    CrashClient {
        /// Which client.
        client: u8,
    },
    /// `partition a b | c d [oneway]`: nothing sent from a group to another one from now on arrives. Ends that are
    /// named in no group are cut off from nobody.
    Partition {
        /// At least two disjoint groups.
        groups: Vec<Vec<End>>,
        /// Only messages from an earlier group to a later one are lost.
        oneway: bool,
        /// When it heals.
        back: Option<Span>,
    },
    /// `isolate NODE`: cuts a node off from all others and from clients, both ways.
    Isolate {
        /// Which node.
        node: Target,
        /// When it heals.
        back: Option<Span>,
    },
    /// `cut a>b`: nothing sent from `from` to `to` from now on arrives.
    Cut {
        /// The sender.
        from: End,
        /// The receiver.
        to: End,
        /// When it heals.
        back: Option<Span>,
    },
    /// `heal`: ends every partition, isolation and cut.
    Heal,
    /// `rot NODE body|slot|identity ...`: damages durable bytes of a node, as far as the fault atlas allows. Nothing,
    /// and not fired, if there is nothing of the kind. A node reads its disk only when it starts.
    Rot {
        /// Whose disk.
        node: Target,
        /// What is damaged.
        part: RotPart,
        /// Of which log index (of its newest record); by a keyed choice if absent. Not for `identity`.
        index: Option<u64>,
        /// How much of it.
        damage: Damage,
    },
    /// `fail NODE`: the next disk operation of the node that ends, ends in an input/output error; what it wrote can be
    /// read, but no later sync writes it. The node stops itself.
    FailDisk {
        /// Whose disk.
        node: Target,
        /// When the node starts again, counted from its stop.
        back: Option<Span>,
    },
    /// `skew NODE PPM`: from now on the node's clock runs at this rate error.
    Skew {
        /// Whose clock.
        node: Target,
        /// In millionths.
        ppm: i32,
    },
    /// `slow NODE disk|links TIME`: every disk operation or every message from and to the node takes this much longer.
    Slow {
        /// Which node.
        node: Target,
        /// What is slow.
        what: Slow,
        /// By how much.
        by: Span,
        /// When it ends.
        back: Option<Span>,
    },
}

/// Which bytes rot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RotPart {
    /// A record's body.
    Body,
    /// A record's id slot.
    Slot,
    /// One of the four identity slots.
    Identity,
}

/// How much rots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// One bit.
    Bit,
    /// Everything that belongs to it, with random bytes.
    Whole,
    /// Everything that belongs to it, with zeros.
    Zero,
}

/// What is slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slow {
    /// Disk operations.
    Disk,
    /// Messages.
    Links,
}

/// A decision set by hand, instead of by the seed. Holds in the safety phase only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Override {
    /// `set delay|drop|duplicate FROM>TO KIND ...`: of messages.
    Message {
        /// The sender; any if absent.
        from: Option<End>,
        /// The receiver; any if absent.
        to: Option<End>,
        /// The kind of message; any if absent.
        kind: Option<MessageKind>,
        /// Only of this view.
        view: Option<View>,
        /// Only of this index.
        index: Option<u64>,
        /// Only the n-th that matches all of the above, from 1; every one if absent.
        nth: Option<u32>,
        /// What becomes of it.
        fate: MessageFate,
    },
    /// `set sync NODE nth=K ...`: of a node's disk operations.
    Sync {
        /// Whose disk.
        node: NodeId,
        /// Which operation of the whole run, from 1, restarts included.
        nth: u32,
        /// What becomes of it.
        fate: SyncFate,
    },
}

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageFate {
    /// It takes exactly this long, whatever the order of its link.
    Delay(Span),
    /// It is lost.
    Drop,
    /// It arrives as usual, and once more this long after it was sent.
    Duplicate(Span),
}

/// What becomes of a disk operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncFate {
    /// It takes exactly this long.
    Latency(Span),
    /// If the power goes before it is done, none of its writes reached the disk.
    Lost,
    /// If the power goes before it is done, all of them did.
    Kept,
    /// If the power goes before it is done, each of them is torn.
    Torn,
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

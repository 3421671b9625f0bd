//! The plan of a scenario: what happens when, and which small decisions are set by hand.

use super::{EventKind, MessageKind, Operation};
use ios_core::{
    ids::{NodeId, View},
    time::{Span, Time},
};

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
    /// `stop NODE`: asks a node to stop in good order; a leader hands its place over first.
    Stop {
        /// Which node.
        node: Target,
        /// How long after it has stopped it starts again.
        back: Option<Span>,
    },
    /// `transfer NODE [NODE]`: an operator commands a node to hand its leadership over, to whom it likes or to another
    /// node.
    Transfer {
        /// Which node.
        node: Target,
        /// To whom.
        to: Option<NodeId>,
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
        /// Whether it comes again.
        flap: Option<Flap>,
    },
    /// `isolate NODE`: cuts a node off from all others and from clients, both ways.
    Isolate {
        /// Which node.
        node: Target,
        /// When it heals.
        back: Option<Span>,
        /// Whether it comes again.
        flap: Option<Flap>,
    },
    /// `cut a>b ...`: nothing sent along these links from now on arrives. A ring, a chain, a random graph: every shape
    /// that groups cannot say is a list of links.
    Cut {
        /// Each from its sender to its receiver.
        links: Vec<(End, End)>,
        /// When it heals.
        back: Option<Span>,
        /// Whether it comes again.
        flap: Option<Flap>,
    },
    /// `clog a>b ...`: what is on these links, or sent along them from now on, waits there, and comes in order and all
    /// at once when that is over. New connections, and the news that one broke, pass by.
    Clog {
        /// Each from its sender to its receiver.
        links: Vec<(End, End)>,
        /// When it is over.
        back: Option<Span>,
        /// Whether it comes again.
        flap: Option<Flap>,
    },
    /// `heal`: ends every partition, isolation, cut and clog.
    Heal,
    /// `rerank`: messages get other priorities. Wants `order priorities`.
    Rerank,
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
    /// `full NODE`: there is no room for another file or a longer one on the disk of the node: making one fails, and
    /// part of it may be left. Several do not add up: there is room when the first of them ends.
    Full {
        /// Whose disk.
        node: Target,
        /// When there is room again.
        back: Option<Span>,
    },
    /// `wipe nX`: the machine loses power, and its disk everything. It has to refuse to start from then on, so it is
    /// none of the core. Without `disk beyond=on` nothing happens before the cluster is founded.
    Wipe {
        /// Whose disk.
        node: NodeId,
    },
    /// `skew NODE PPM`: from now on the node's clock runs at this rate error.
    Skew {
        /// Whose clock.
        node: Target,
        /// In millionths.
        ppm: i32,
    },
    /// `jump NODE [-]TIME`: the clock of the node's machine leaps. Whoever reads it for the node, here as in `runtime`,
    /// never goes back: after a leap back the node's time stands still until its machine's has caught up, but for the
    /// nanosecond from one reading to the next. With `for` the clock leaps the other way after that time.
    Jump {
        /// Whose clock.
        node: Target,
        /// Back, not ahead.
        backward: bool,
        /// By how much.
        by: Span,
        /// When it leaps the other way.
        back: Option<Span>,
        /// Whether both come again.
        flap: Option<Flap>,
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

impl Action {
    /// The member that it is done to, if it is done to one.
    pub fn target(&self) -> Option<Target> {
        match self {
            Action::Crash { node, .. }
            | Action::Stop { node, .. }
            | Action::Transfer { node, .. }
            | Action::Restart { node }
            | Action::Pause { node, .. }
            | Action::Resume { node }
            | Action::Isolate { node, .. }
            | Action::Rot { node, .. }
            | Action::Skew { node, .. }
            | Action::Jump { node, .. }
            | Action::FailDisk { node, .. }
            | Action::Full { node, .. }
            | Action::Slow { node, .. } => Some(*node),
            Action::Wipe { node } => Some(Target::Node(*node)),
            Action::Client { .. }
            | Action::CrashAll { .. }
            | Action::PauseClient { .. }
            | Action::Disconnect { .. }
            | Action::CrashClient { .. }
            | Action::Partition { .. }
            | Action::Cut { .. }
            | Action::Clog { .. }
            | Action::Rerank
            | Action::Heal => None,
        }
    }
}

/// How a fault that ends by itself comes again: `times=K gap=TIME`, after `for=TIME`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flap {
    /// How often it comes in all, from 2.
    pub times: u32,
    /// How long it is away in between.
    pub gap: Span,
}

/// Which bytes rot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RotPart {
    /// Part of the newest snapshot.
    Snapshot,
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
    /// Everything that belongs to it, with zeros: a write that was lost.
    Zero,
    /// Everything that belongs to it, with bytes of another one of its kind: a write that went to the wrong place.
    Misdirected,
    /// Nothing is changed, and nothing of it can be read until it is written again.
    Unreadable,
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

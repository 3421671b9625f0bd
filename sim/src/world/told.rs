//! What a run tells whoever traces it: a stream of typed events, in the order in which they happen.
//!
//! A trace is made for two readers. A program (the diagram, the story) matches on the variants and follows a message by
//! its letter and a disk operation by its number; a person reads the lines that [`Told`] prints. Both get the world's
//! view, which is above that of any node: what was chosen in truth stands beside what nodes believe.
//!
//! ```text
//! Sent ──┬─> Delivered                       a letter is delivered as often as it arrives,
//!        ├─> Held ──> Delivered              after a pause of its receiver if there is one,
//!        ├─> Stuck ─> Delivered              or after its link was clogged,
//!        ├─> Lost                            or lost: on the way, or because nobody is there to take it
//!        └─> (nothing)                       and what is on its way when the run ends is never heard of again
//!
//! Written ──┬─> Synced, Durable              a disk operation ends well,
//!           ├─> SyncFailed                   or badly,
//!           └─> Crashed / Fenced / Stopped   or not at all; PowerLost says what became of unsynced writes
//! ```
//!
//! Nothing here is made unless somebody traces, and nothing that happens depends on it.

use super::{disk::Aftermath, item::Life, network::BlockId};
use crate::{
    history::{Answer, Outcome},
    oracle::Violation,
    scenario::{Action, Damage, End, Operation, RotPart, Slow, event::Subject},
};
use ios_core::{
    client::ClientNote,
    ids::{Digest, Index, NodeId, NodeSet, OpId, View},
    interface::{DiskError, Fault, FileId, Note},
    journal::Fact,
    time::{Span, Time},
};
use std::fmt;

pub use super::customer::Origin;

/// Takes the events of a trace, each with its moment.
pub type Tell = Box<dyn FnMut(Time, &Told)>;

/// Names one message of a run, whoever gets how many copies of it. A broadcast is one letter for each receiver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct LetterId(pub u32);

/// Why a message does not arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// A partition, isolation or cut was in its way when it was sent.
    CutOff,
    /// Chance or the scenario lost it.
    Dropped,
    /// Its link held as many as it may.
    LinkFull,
    /// It arrived at a member that did not run.
    Down,
    /// It arrived on a connection that one of its ends has given up, or at another life of the member.
    Gone,
    /// Too much was waiting already for its paused receiver.
    Full,
    /// Bytes of it changed on the way, so its receiver closed the connection.
    Damaged,
}

/// What a disk operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskWork {
    /// Makes a file.
    Create,
    /// Writes and syncs.
    Write,
    /// Removes a file.
    Remove,
    /// Reads.
    Read,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    // ---- Messages.
    /// A message was handed to the network.
    Sent {
        /// Names it in what follows.
        letter: LetterId,
        /// The sender.
        from: End,
        /// The receiver.
        to: End,
        /// Its kind, view and index.
        subject: Subject,
        /// The message, in words.
        text: String,
    },
    /// It will arrive this often, and not once.
    Repeated {
        /// Which.
        letter: LetterId,
        /// How often in all.
        copies: u8,
    },
    /// It, or this copy of it, never reaches anyone.
    Lost {
        /// Which.
        letter: LetterId,
        /// Why.
        why: Loss,
    },
    /// It arrived at a receiver that is paused, and waits.
    Held {
        /// Which.
        letter: LetterId,
    },
    /// It arrived at the end of a clogged link, and waits.
    Stuck {
        /// Which.
        letter: LetterId,
    },
    /// Its receiver takes it.
    Delivered {
        /// Which.
        letter: LetterId,
    },

    // ---- Members and their machines.
    /// A member begins to run.
    Started {
        /// Which.
        node: NodeId,
        /// Which of its lives, from 1.
        life: Life,
    },
    /// A member refuses to start from what its disk holds.
    Refused {
        /// Which.
        node: NodeId,
        /// Why.
        why: String,
    },
    /// A member was stopped from outside.
    Crashed {
        /// Which.
        node: NodeId,
        /// The machine lost power; else only the process died, and what it had written stays readable.
        power: bool,
    },
    /// What a power loss made of everything unsynced; right after `Crashed`.
    PowerLost {
        /// Whose.
        node: NodeId,
        /// Writes lost, kept, torn.
        aftermath: Aftermath,
    },
    /// A member stopped itself because of this.
    Fenced {
        /// Which.
        node: NodeId,
        /// Why.
        fault: Fault,
    },
    /// A member stopped in good order, as it was asked to.
    Stopped {
        /// Which.
        node: NodeId,
    },
    /// A member or a client takes no input for now.
    Paused {
        /// Which.
        end: End,
    },
    /// It goes on.
    Resumed {
        /// Which.
        end: End,
    },
    /// A member's deadline, or the end of its turn.
    Woken {
        /// Whose.
        node: NodeId,
        /// The end of a turn, in which work was gathered.
        turn: bool,
    },
    /// A member learns that its link to a peer works or is broken.
    Link {
        /// Who learns it.
        node: NodeId,
        /// Whose link.
        peer: NodeId,
        /// Whether it works.
        up: bool,
    },
    /// A member says what happened inside it: promises, acceptances, commits, who leads. A belief, not a fact.
    Noted {
        /// Who.
        node: NodeId,
        /// What.
        note: Note,
    },
    /// A batch is chosen in truth: a replication quorum holds it durably, whether or not anybody knows.
    Chosen {
        /// In which view.
        view: View,
        /// Where.
        index: Index,
        /// What.
        digest: Digest,
    },
    /// A member was stopped in the midst of a step: what it still had to do is never done.
    Unperformed {
        /// Who.
        node: NodeId,
        /// How many outputs.
        outputs: usize,
    },

    // ---- Disks.
    /// A disk operation was handed in: readable from now on, not durable.
    Written {
        /// Whose.
        node: NodeId,
        /// In which life.
        life: Life,
        /// Names it within that life.
        op: OpId,
        /// Which file.
        file: FileId,
        /// What it does.
        work: DiskWork,
        /// What it says, as far as it is the journal's.
        facts: Vec<Fact>,
    },
    /// It ended well, and what it wrote is durable.
    Synced {
        /// Whose.
        node: NodeId,
        /// In which life.
        life: Life,
        /// Which.
        op: OpId,
    },
    /// It ended in an error.
    SyncFailed {
        /// Whose.
        node: NodeId,
        /// In which life.
        life: Life,
        /// Which.
        op: OpId,
        /// What the disk says.
        error: DiskError,
    },
    /// What a disk holds from now on, whatever happens to the member; right after `Synced`.
    Durable {
        /// Whose.
        node: NodeId,
        /// What.
        facts: Vec<Fact>,
    },

    // ---- Faults.
    /// A line of the plan acts. What comes of it follows.
    Acted {
        /// Its place in the plan.
        line: usize,
        /// What it does.
        action: Action,
        /// The member whose event set it off.
        it: Option<NodeId>,
    },
    /// That had no effect.
    InVain {
        /// Its place in the plan.
        line: usize,
    },
    /// Links are cut: what is sent along them is lost.
    CutOff {
        /// Names the cut.
        block: BlockId,
        /// From whom to whom.
        links: Vec<(End, End)>,
    },
    /// A cut is over.
    Joined {
        /// Which; every one if absent.
        block: Option<BlockId>,
    },
    /// Links are clogged: what is on them waits.
    Clogged {
        /// Names the clog.
        block: BlockId,
        /// From whom to whom.
        links: Vec<(End, End)>,
    },
    /// A clog is over.
    Flows {
        /// Which.
        block: BlockId,
    },
    /// Messages have these priorities from now on.
    Ranked {
        /// By how much the messages of a link are later than they would be; of all others, not at all.
        behind: Vec<((End, End), Span)>,
    },
    /// Durable bytes changed by themselves.
    Rotted {
        /// Whose.
        node: NodeId,
        /// Where.
        file: FileId,
        /// Of what.
        part: RotPart,
        /// How much.
        damage: Damage,
    },
    /// There is no more room on a disk, or there is again.
    Filled {
        /// Whose.
        node: NodeId,
        /// Whether it is full.
        full: bool,
    },
    /// A disk lost everything.
    Wiped {
        /// Whose.
        node: NodeId,
    },
    /// A member's disk or links are slower by so much; zero when that is over.
    Slowed {
        /// Whose.
        node: NodeId,
        /// What is slow.
        what: Slow,
        /// By how much.
        by: Span,
    },
    /// A member's clock runs at another rate.
    Skewed {
        /// Whose.
        node: NodeId,
        /// Its error in millionths.
        ppm: i64,
    },
    /// The clock of a member's machine leapt.
    Leapt {
        /// Whose.
        node: NodeId,
        /// Back, so that for the node it stands still until it has caught up.
        backward: bool,
        /// By how much.
        by: Span,
    },
    /// The safety phase is over: these members are out of reach of faults for good. Links among them and those of all
    /// clients work.
    Healed {
        /// Who.
        nodes: NodeSet,
    },

    // ---- Clients.
    /// A client begins an operation.
    Begun {
        /// Which client.
        client: u8,
        /// Which of its operations, from 1.
        number: u32,
        /// What it asks.
        operation: Operation,
        /// Who asked for it.
        origin: Origin,
    },
    /// It has ended, as far as the client knows.
    Ended {
        /// Which client.
        client: u8,
        /// Which of its operations.
        number: u32,
        /// How.
        outcome: Outcome,
        /// Why it was not done, or is unknown.
        why: Option<String>,
    },
    /// A client says what it does: it tries again, or elsewhere.
    ClientNoted {
        /// Which.
        client: u8,
        /// What.
        note: ClientNote,
    },
    /// A client calls a member.
    Called {
        /// Which client.
        client: u8,
        /// Whom.
        node: NodeId,
    },
    /// A client has a connection.
    Connected {
        /// Which client.
        client: u8,
        /// With whom.
        node: NodeId,
    },
    /// A client's connection is broken.
    Broken {
        /// Which client.
        client: u8,
        /// With whom.
        node: NodeId,
    },
    /// A client's process died, and a new one takes its place. What it had in hand ends as unknown.
    ClientCrashed {
        /// Which.
        client: u8,
    },
    /// All connections of a client break.
    Disconnected {
        /// Which.
        client: u8,
    },

    // ---- The end.
    /// A property does not hold. Nothing follows.
    Violated(Violation),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::CutOff => "cut off",
            Loss::Dropped => "dropped",
            Loss::LinkFull => "link full",
            Loss::Down => "receiver down",
            Loss::Gone => "connection gone",
            Loss::Full => "receiver's buffer full",
            Loss::Damaged => "damaged",
        })
    }
}

impl fmt::Display for DiskWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskWork::Create => "creates",
            DiskWork::Write => "writes",
            DiskWork::Remove => "removes",
            DiskWork::Read => "reads",
        })
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Sent { .. }
            | Told::Repeated { .. }
            | Told::Lost { .. }
            | Told::Held { .. }
            | Told::Stuck { .. }
            | Told::Delivered { .. } => self.write_message(f),
            Told::Written { .. } | Told::Synced { .. } | Told::SyncFailed { .. } | Told::Durable { .. } => {
                self.write_disk(f)
            }
            Told::Begun { .. }
            | Told::Ended { .. }
            | Told::ClientNoted { .. }
            | Told::Called { .. }
            | Told::Connected { .. }
            | Told::Broken { .. }
            | Told::ClientCrashed { .. }
            | Told::Disconnected { .. } => self.write_client(f),
            Told::Acted { .. }
            | Told::InVain { .. }
            | Told::CutOff { .. }
            | Told::Joined { .. }
            | Told::Clogged { .. }
            | Told::Flows { .. }
            | Told::Ranked { .. }
            | Told::Rotted { .. }
            | Told::Filled { .. }
            | Told::Wiped { .. }
            | Told::Slowed { .. }
            | Told::Skewed { .. }
            | Told::Leapt { .. }
            | Told::Healed { .. }
            | Told::Violated(_) => self.write_fault(f),
            _ => self.write_member(f),
        }
    }
}

impl Told {
    fn write_message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Sent { letter, from, to, text, .. } => write!(f, "{from} sends {to} {letter} {text}"),
            Told::Repeated { letter, copies } => write!(f, "{letter} will arrive {copies} times"),
            Told::Lost { letter, why } => write!(f, "{letter} is lost: {why}"),
            Told::Held { letter } => write!(f, "{letter} waits for its paused receiver"),
            Told::Stuck { letter } => write!(f, "{letter} waits on its clogged link"),
            Told::Delivered { letter } => write!(f, "{letter} arrives"),
            other => unreachable!("{other:?} is about no message"),
        }
    }

    fn write_member(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Started { node, life } => write!(f, "{node} starts, life {life}"),
            Told::Refused { node, why } => write!(f, "{node} refuses to start: {why}"),
            Told::Crashed { node, power: true } => write!(f, "{node} loses power"),
            Told::Crashed { node, power: false } => write!(f, "{node} crashes, its machine does not"),
            Told::PowerLost { node, aftermath: Aftermath { lost, kept, torn, .. } } => {
                write!(f, "{node} unsynced writes: {lost} lost, {kept} kept, {torn} torn")
            }
            Told::Fenced { node, fault } => write!(f, "{node} stops itself: {fault}"),
            Told::Stopped { node } => write!(f, "{node} has stopped in good order"),
            Told::Paused { end } => write!(f, "{end} pauses"),
            Told::Resumed { end } => write!(f, "{end} goes on"),
            Told::Woken { node, turn: true } => write!(f, "{node} ends its turn"),
            Told::Woken { node, turn: false } => write!(f, "{node} reaches a deadline"),
            Told::Link { node, peer, up } => write!(f, "{node} link to {peer} {}", if *up { "up" } else { "down" }),
            Told::Noted { node, note } => write!(f, "    {node} {note}"),
            Told::Chosen { view, index, digest } => write!(f, "    chosen in truth: {view} {index} {digest}"),
            Told::Unperformed { node, outputs } => write!(f, "    {node} never performs {outputs} more outputs"),
            other => unreachable!("{other:?} is about no member"),
        }
    }

    fn write_disk(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, facts: &[Fact]| facts.iter().try_for_each(|fact| write!(f, "; {fact}"));
        match self {
            Told::Written { node, op, file, work, facts, .. } => {
                write!(f, "    {node} disk {}: {work} {file}", op.0)?;
                list(f, facts)
            }
            Told::Synced { node, op, .. } => write!(f, "{node} disk {}: done", op.0),
            Told::SyncFailed { node, op, error, .. } => write!(f, "{node} disk {}: FAILS, {error}", op.0),
            Told::Durable { node, facts } => {
                write!(f, "    {node} holds durably")?;
                list(f, facts)
            }
            other => unreachable!("{other:?} is about no disk"),
        }
    }

    fn write_fault(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Acted { action, .. } => write!(f, "  plan: {action}"),
            Told::InVain { .. } => f.write_str("  plan: that changes nothing"),
            Told::CutOff { links, .. } => {
                f.write_str("cut off:")?;
                links.iter().try_for_each(|(from, to)| write!(f, " {from}>{to}"))
            }
            Told::Joined { block: Some(_) } => f.write_str("a cut is over"),
            Told::Joined { block: None } => f.write_str("every cut is over"),
            Told::Clogged { links, .. } => {
                f.write_str("clogged:")?;
                links.iter().try_for_each(|(from, to)| write!(f, " {from}>{to}"))
            }
            Told::Flows { .. } => f.write_str("a clog is over"),
            Told::Ranked { behind } => {
                f.write_str("later than the rest:")?;
                behind.iter().try_for_each(|((from, to), by)| write!(f, " {from}>{to} by {by}"))
            }
            Told::Rotted { node, file, part, damage } => write!(f, "{node} {file} rots: {part} {damage}"),
            Told::Filled { node, full: true } => write!(f, "{node} disk full"),
            Told::Filled { node, full: false } => write!(f, "{node} disk has room"),
            Told::Wiped { node } => write!(f, "{node} disk loses everything"),
            Told::Slowed { node, what, by: Span::ZERO } => write!(f, "{node} {what} as fast as ever"),
            Told::Slowed { node, what, by } => write!(f, "{node} {what} slower by {by}"),
            Told::Skewed { node, ppm } => write!(f, "{node} clock off by {ppm} ppm"),
            Told::Leapt { node, backward: false, by } => write!(f, "{node} clock leaps ahead by {by}"),
            Told::Leapt { node, by, .. } => write!(f, "{node} clock leaps back by {by}, and stands still meanwhile"),
            Told::Healed { nodes } => write!(f, "{nodes} heal for good"),
            Told::Violated(violation) => write!(f, "VIOLATION of {violation}"),
            other => unreachable!("{other:?} is no fault"),
        }
    }

    fn write_client(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Begun { client, number, operation, .. } => write!(f, "c{client}.{number} begins: {operation}"),
            Told::Ended { client, number, outcome, why } => {
                write!(f, "c{client}.{number} ends: {}", Reply(outcome))?;
                why.iter().try_for_each(|why| write!(f, ": {why}"))
            }
            Told::ClientNoted { client, note } => write!(f, "    c{client} {note:?}"),
            Told::Called { client, node } => write!(f, "c{client} calls {node}"),
            Told::Connected { client, node } => write!(f, "c{client} is connected to {node}"),
            Told::Broken { client, node } => write!(f, "c{client} has lost its connection to {node}"),
            Told::ClientCrashed { client } => write!(f, "c{client} crashes"),
            Told::Disconnected { client } => write!(f, "c{client} is disconnected"),
            other => unreachable!("{other:?} is about no client"),
        }
    }
}

/// What a client was told, in a few words.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a>(pub &'a Outcome);

impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (revision, answers) = match self.0 {
            Outcome::NotDone => return f.write_str("not done"),
            Outcome::Unknown => return f.write_str("unknown"),
            Outcome::Done { revision, answers } => (revision, answers),
        };
        for (place, answer) in answers.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "; " })?;
            match answer {
                Answer::Value { value, .. } => write!(f, "{value}")?,
                Answer::Missing => f.write_str("nothing there")?,
                Answer::Omitted { size } => write!(f, "{size} bytes, too many")?,
                Answer::Exists { there, .. } => f.write_str(if *there { "there" } else { "nothing there" })?,
                Answer::Count(count) => write!(f, "{count}")?,
                Answer::List { pairs, .. } => write!(f, "{} pairs", pairs.len())?,
                Answer::Written { .. } => f.write_str("ok")?,
                Answer::Deleted { found } => f.write_str(if *found { "deleted" } else { "nothing there" })?,
                Answer::Swapped { .. } => f.write_str("swapped")?,
                Answer::NotSwapped { .. } => f.write_str("not as expected")?,
                Answer::Error(why) => write!(f, "refused: {why}")?,
                Answer::Untold => f.write_str("done")?,
            }
        }
        revision.map_or(Ok(()), |revision| write!(f, " @ revision {revision}"))
    }
}

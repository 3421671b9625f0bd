//! The one text form of what a node is told and what it says: traces of the simulator, golden scripts and logs all
//! print it, so that a line of one can be searched for in another.
//!
//! A line begins with the variant's name; what everybody knows by position (view, index, digest) follows bare, the rest
//! as `key=value`, and a flag is a word that is there or not. Payloads are given by their length alone.

use crate::{
    ids::{Incarnation, Index},
    interface::{DiskAction, DiskResult, FileId, Ignored, Input, Learned, Note, Output, StepDown},
    journal::{Extent, Fact, SnapshotSeal, extents},
    message::{
        ClientRequest, ClientResponse, ForwardOutcome, Hello, PeerMessage, Promise, PromiseEntry, RequestKey, Unknown,
    },
};
use core::fmt::{Debug, Display, Formatter, Result};

/// A word that is printed or not.
fn flag(f: &mut Formatter<'_>, name: &str, set: bool) -> Result {
    if set { write!(f, " {name}") } else { Ok(()) }
}

fn option(f: &mut Formatter<'_>, key: &str, value: Option<impl Display>) -> Result {
    value.map_or(Ok(()), |value| write!(f, " {key}={value}"))
}

macro_rules! by_name {
    ($($type:ty),*) => {$(
        impl Display for $type {
            fn fmt(&self, f: &mut Formatter<'_>) -> Result {
                Debug::fmt(self, f)
            }
        }
    )*};
}

by_name!(Ignored, StepDown, Learned);

impl Display for Note {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Note::Opened { incarnation, promised, unknown, loss } => {
                write!(f, "Opened incarnation={incarnation} promised={promised} unknown={unknown}")?;
                flag(f, "loss", *loss)
            }
            Note::Founded { cluster } => write!(f, "Founded {cluster}"),
            Note::Verified { peer, incarnation } => write!(f, "Verified {peer} incarnation={incarnation}"),
            Note::RefusedLink { peer, why } => write!(f, "RefusedLink {peer} {why:?}"),
            Note::Ignored(why) => write!(f, "Ignored {why}"),
            Note::Canvassed { view } => write!(f, "Canvassed {view}"),
            Note::Candidate { view } => write!(f, "Candidate {view}"),
            Note::Leading { view, recovered } => write!(f, "Leading {view} recovered={recovered}"),
            Note::WindowOpened { view, floor } => write!(f, "WindowOpened {view} floor={floor}"),
            Note::SteppedDown { view, why } => write!(f, "SteppedDown {view} {why}"),
            Note::Promised { view } => write!(f, "Promised {view}"),
            Note::Assigned { view, index, digest, recovered } => {
                write!(f, "Assigned {view} {index} {digest}")?;
                flag(f, "recovered", *recovered)
            }
            Note::Accepted { view, index, digest } => write!(f, "Accepted {view} {index} {digest}"),
            Note::Chosen { view, index, digest } => write!(f, "Chosen {view} {index} {digest}"),
            Note::Committed { index, digest, how } => write!(f, "Committed {index} {digest} how={how}"),
            Note::Applied { index, digest, log_time, state_hash } => {
                write!(f, "Applied {index} {digest} log_time={log_time} state={state_hash:016x}")
            }
            Note::Executed { index, position, session, sequence } => {
                write!(f, "Executed {index}/{position} session={session} sequence={sequence}")
            }
            Note::Repeated { session, sequence } => write!(f, "Repeated session={session} sequence={sequence}"),
            Note::Expired { session } => write!(f, "Expired session={session}"),
            Note::ReadNoted { index } => write!(f, "ReadNoted {index}"),
            Note::ReadReferred { to, index } => write!(f, "ReadReferred {index} to={to}"),
            Note::LeaseRead { index } => write!(f, "LeaseRead {index}"),
            Note::LeaseLapsed { at } => write!(f, "LeaseLapsed at={at}"),
            Note::BarrierPassed { high, floor } => write!(f, "BarrierPassed {high} floor={floor}"),
            Note::Repaired { index } => write!(f, "Repaired {index}"),
            Note::Whole => f.write_str("Whole"),
            Note::DiskFull { file } => write!(f, "DiskFull {file}"),
            Note::Fetching { from, to } => write!(f, "Fetching {from}..={to}"),
            Note::Retransmitted { index } => write!(f, "Retransmitted {index}"),
            Note::ForwardTaken { from, commands } => write!(f, "ForwardTaken from={from} commands={commands}"),
            Note::ForwardPlaced { index } => write!(f, "ForwardPlaced {index}"),
            Note::Widened { index } => write!(f, "Widened {index}"),
            Note::Reassigned { index, from, to } => write!(f, "Reassigned {index} from={from} to={to}"),
            Note::SnapshotBegun { index } => write!(f, "SnapshotBegun {index}"),
            Note::SnapshotTaken { index, state_hash } => write!(f, "SnapshotTaken {index} state={state_hash:016x}"),
            Note::SnapshotLost { index } => write!(f, "SnapshotLost {index}"),
            Note::Restored { index, state_hash } => write!(f, "Restored {index} state={state_hash:016x}"),
            Note::Receiving { from, index, number } => write!(f, "Receiving {index} from={from} number={number}"),
            Note::Installed { index, state_hash } => write!(f, "Installed {index} state={state_hash:016x}"),
            Note::TransferGivenUp { index } => write!(f, "TransferGivenUp {index}"),
            Note::StateDiffers { from, index } => write!(f, "StateDiffers {index} from={from}"),
            Note::Suggested { heeded } => {
                f.write_str("Suggested")?;
                flag(f, "heeded", *heeded)
            }
        }
    }
}

impl<P: Display> Display for PeerMessage<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            PeerMessage::Hello(hello) => Display::fmt(hello, f),
            PeerMessage::Refused { nonce, incarnation, why } => {
                write!(f, "Refused nonce={nonce} incarnation={incarnation} {why:?}")
            }
            PeerMessage::Canvass { view } => write!(f, "Canvass {view}"),
            PeerMessage::CanvassReply { view, missing_leader, promised } => {
                write!(f, "CanvassReply {view} promised={promised}")?;
                flag(f, "missing_leader", *missing_leader)
            }
            PeerMessage::Prepare { view, from } => write!(f, "Prepare {view} from={from}"),
            PeerMessage::Promise(promise) => Display::fmt(promise, f),
            PeerMessage::Reject { view, promised } => write!(f, "Reject {view} promised={promised}"),
            PeerMessage::Accept { view, index, batch, floor, coordinator } => {
                write!(f, "Accept {view} {index} {batch} floor={floor} coordinator={coordinator}")
            }
            PeerMessage::Accepted { view, index, digest, incarnation } => {
                write!(f, "Accepted {view} {index} {digest} incarnation={incarnation}")
            }
            PeerMessage::Chosen { view, index, digest } => write!(f, "Chosen {view} {index} {digest}"),
            PeerMessage::Heartbeat { view, round, floor } => write!(f, "Heartbeat {view} round={round} floor={floor}"),
            PeerMessage::HeartbeatAck { view, round, hollow_until, checkpoint } => {
                write!(f, "HeartbeatAck {view} round={round}")?;
                option(f, "hollow_until", *hollow_until)?;
                checkpoint.iter().try_for_each(|at| write!(f, " state={:016x} at={}", at.1, at.0))
            }
            PeerMessage::Fetch { nonce: (incarnation, counter), from, to } => {
                write!(f, "Fetch {from}..={to} nonce={incarnation}/{counter}")
            }
            PeerMessage::Entries { nonce: (incarnation, counter), leading, entries } => {
                write!(f, "Entries nonce={incarnation}/{counter}")?;
                if let Some((view, floor)) = leading.as_deref() {
                    write!(f, " leading={view} floor={floor}")?;
                }
                list(f, entries.iter().map(|(index, batch)| Committed(*index, batch)))
            }
            PeerMessage::Assign { view, index, batch, floor } => {
                write!(f, "Assign {view} {index} {batch} floor={floor}")
            }
            PeerMessage::Transfer { view } => write!(f, "Transfer {view}"),
            PeerMessage::Released { view } => write!(f, "Released {view}"),
            PeerMessage::Forward { nonce: (incarnation, counter), batch } => {
                write!(f, "Forward nonce={incarnation}/{counter} {batch}")
            }
            PeerMessage::Forwarded { nonce: (incarnation, counter), outcome } => {
                write!(f, "Forwarded nonce={incarnation}/{counter} ")?;
                match outcome {
                    ForwardOutcome::Placed { index, digest, at, first, count } => {
                        write!(f, "{first}+{count} at {index}/{at} {digest}")
                    }
                    ForwardOutcome::Refused { count } => write!(f, "0+{count} refused"),
                }
            }
            PeerMessage::Barrier { nonce } => write!(f, "Barrier {}", Nonce(nonce)),
            PeerMessage::HighWater { nonce: (incarnation, counter), high, floor, view } => {
                write!(f, "HighWater {high} nonce={incarnation}/{counter} floor={floor} promised={view}")
            }
            PeerMessage::ReadIndexAsk { nonce } => write!(f, "ReadIndexAsk {}", Nonce(nonce)),
            PeerMessage::ReadIndex { nonce, index } => {
                write!(f, "ReadIndex {}", Nonce(nonce))?;
                option(f, "index", *index)
            }
            PeerMessage::SnapshotAsk { above } => write!(f, "SnapshotAsk above={above}"),
            PeerMessage::SnapshotOffer { seal } => write!(f, "SnapshotOffer {seal}"),
            PeerMessage::SnapshotAck { seal, next } => write!(f, "SnapshotAck {seal} next={next}"),
            PeerMessage::SnapshotChunk { seal, number, data } => {
                write!(f, "SnapshotChunk {seal} number={number} bytes={}", data.len())
            }
            PeerMessage::Diverged { index, state_hash } => write!(f, "Diverged {index} state={state_hash:016x}"),
        }
    }
}

impl Display for SnapshotSeal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} blocks={}", self.index, self.blocks())
    }
}

/// What an answer is matched by.
struct Nonce<'a>(&'a (Incarnation, u64));

impl Display for Nonce<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (incarnation, counter) = self.0;
        write!(f, "nonce={incarnation}/{counter}")
    }
}

/// One of `Entries`.
struct Committed<'a, P>(Index, &'a P);

impl<P: Display> Display for Committed<'_, P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

fn list(f: &mut Formatter<'_>, items: impl Iterator<Item = impl Display>) -> Result {
    f.write_str(" {")?;
    for (place, item) in items.enumerate() {
        write!(f, "{}{item}", if place == 0 { "" } else { ", " })?;
    }
    f.write_str("}")
}

impl Display for Hello {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Hello {} nonce={} incarnation={}", self.node, self.nonce, self.incarnation)?;
        option(f, "founded", self.founded.as_ref().map(|(cluster, _)| cluster))?;
        flag(f, "complete", self.complete)?;
        flag(f, "answer", self.answer)
    }
}

impl<P: Display> Display for Promise<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Promise {} covers={}..{} end={}", self.view, self.from, self.to, self.end)?;
        write!(f, " floor={} compacted={}", self.floor, self.compacted_below)?;
        flag(f, "loss", self.loss)?;
        list(f, self.entries.iter())
    }
}

impl<P: Display> Display for PromiseEntry<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}:", self.index)?;
        match &self.accepted {
            Some((_, batch)) if self.committed => write!(f, " committed {batch}")?,
            Some((view, batch)) => write!(f, " {view} {batch}")?,
            None => {}
        }
        if let Some(Unknown { view, digest, committed }) = self.unknown {
            write!(f, " unknown {view} {digest}")?;
            flag(f, "committed", committed)?;
        }
        flag(f, "uncertain", !self.certain)
    }
}

impl Display for RequestKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            RequestKey::Tag(tag) => write!(f, "tag={tag}"),
            RequestKey::Write(session, sequence) => write!(f, "session={session} sequence={sequence}"),
        }
    }
}

impl<P: AsRef<[u8]>> Display for ClientRequest<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            ClientRequest::Hello { tag } => write!(f, "Hello tag={tag}"),
            ClientRequest::Register { tag } => write!(f, "Register tag={tag}"),
            ClientRequest::Write { session, sequence, acked, payload } => {
                let bytes = payload.as_ref().len();
                write!(f, "Write session={session} sequence={sequence} acked={acked} bytes={bytes}")
            }
            ClientRequest::KeepAlive { tag, session } => write!(f, "KeepAlive tag={tag} session={session}"),
            ClientRequest::Close { tag, session } => write!(f, "Close tag={tag} session={session}"),
            ClientRequest::Read { tag, payload } => write!(f, "Read tag={tag} bytes={}", payload.as_ref().len()),
            ClientRequest::Status { tag } => write!(f, "Status tag={tag}"),
            ClientRequest::Members { tag } => write!(f, "Members tag={tag}"),
            ClientRequest::Suggest { tag } => write!(f, "Suggest tag={tag}"),
            ClientRequest::Transfer { tag, to } => {
                write!(f, "Transfer tag={tag}")?;
                option(f, "to", *to)
            }
            ClientRequest::ParticipantRead { tag, payload } => {
                write!(f, "ParticipantRead tag={tag} bytes={}", payload.as_ref().len())
            }
            ClientRequest::StaleRead { tag, payload } => {
                write!(f, "StaleRead tag={tag} bytes={}", payload.as_ref().len())
            }
        }
    }
}

impl<P: AsRef<[u8]>> Display for ClientResponse<P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            ClientResponse::Welcome { tag, node, leader } => {
                write!(f, "Welcome tag={tag} node={node}")?;
                option(f, "leader", *leader)
            }
            ClientResponse::Registered { tag, session, ttl } => {
                write!(f, "Registered tag={tag} session={session} ttl={ttl}")
            }
            ClientResponse::Written { session, sequence, revision, payload } => {
                let bytes = payload.as_ref().len();
                write!(f, "Written session={session} sequence={sequence} revision={revision} bytes={bytes}")
            }
            ClientResponse::Done { tag } => write!(f, "Done tag={tag}"),
            ClientResponse::Read { tag, revision, payload } => {
                write!(f, "Read tag={tag} revision={revision} bytes={}", payload.as_ref().len())
            }
            ClientResponse::Refused { request, refusal } => write!(f, "Refused {request}: {refusal}"),
            ClientResponse::Status { tag, .. } => write!(f, "Status tag={tag}"),
            ClientResponse::Members { tag, members } => {
                write!(f, "Members tag={tag}")?;
                members.iter().try_for_each(|(node, address)| write!(f, " {node}={address}"))
            }
        }
    }
}

impl Display for Fact {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Fact::Accepted { view, index, digest } => write!(f, "accepted {view} {index} {digest}"),
            Fact::Committed { index, digest } => write!(f, "committed {index} {digest}"),
            Fact::Floor { index } => write!(f, "floor {index}"),
            Fact::Unknown { view, index, digest, committed } => {
                write!(f, "unknown {view} {index} {digest}")?;
                flag(f, "committed", *committed)
            }
            Fact::Loss => f.write_str("loss"),
            Fact::Whole => f.write_str("whole"),
            Fact::Slot { ordinal, .. } => write!(f, "slot {ordinal}"),
            Fact::Identity(identity) => {
                write!(f, "incarnation={} promised={}", identity.incarnation, identity.promised)?;
                flag(f, "founded", identity.founded.is_some())
            }
            Fact::Newest { segment } => write!(f, "newest={segment}"),
            Fact::Snapshot { index, .. } => write!(f, "snapshot={index}"),
        }
    }
}

impl Display for Extent {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        Display::fmt(&self.fact, f)
    }
}

impl Display for DiskAction {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            DiskAction::Create { file, size, .. } => write!(f, "create {file} bytes={size}"),
            DiskAction::Write { file: file @ FileId::Snapshot(_), writes } => {
                let bytes: usize = writes.iter().map(|(_, bytes)| bytes.len()).sum();
                write!(f, "write {file} bytes={bytes}")
            }
            DiskAction::Write { file, writes } => {
                write!(f, "write {file}")?;
                list(f, extents(*file, writes).into_iter())
            }
            DiskAction::Remove { file } => write!(f, "remove {file}"),
            DiskAction::Read { file, offset, length } => write!(f, "read {file} offset={offset} bytes={length}"),
        }
    }
}

impl Display for Output {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Output::Send { to, message } => write!(f, "-> {to} {message}"),
            Output::Reply { connection, response } => write!(f, "=> {connection} {response}"),
            Output::Close { connection, why } => write!(f, "close {connection} {why:?}"),
            Output::Disk { op, action } => write!(f, "{op} {action}"),
            Output::Note(note) => Display::fmt(note, f),
            Output::Fence(fault) => write!(f, "Fence: {fault}"),
            Output::Stopped => f.write_str("Stopped"),
        }
    }
}

impl Display for Input {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Input::Peer { from, message } => write!(f, "<- {from} {message}"),
            Input::Link { peer, up } => write!(f, "link {peer} {}", if *up { "up" } else { "down" }),
            Input::Client { connection, request } => write!(f, "<= {connection} {request}"),
            Input::Gone { connection } => write!(f, "gone {connection}"),
            Input::Disk { op, result: DiskResult::Done } => write!(f, "{op} done"),
            Input::Disk { op, result: DiskResult::Failed(error) } => write!(f, "{op} failed: {error}"),
            Input::Disk { op, result: DiskResult::Read(bytes) } => write!(f, "{op} read bytes={}", bytes.len()),
            Input::Wake => f.write_str("wake"),
            Input::Shutdown => f.write_str("shutdown"),
        }
    }
}

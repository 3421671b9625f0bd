//! Snapshots: asked for, offered, and sent block by block to whoever misses what is no longer in anybody's log.
//!
//! ```text
//!   receiver                                   sender
//!   Fetch (of what is gone there), Accept ...
//!   or SnapshotAsk (its own state is lost) ──>
//!                                          <── SnapshotOffer: its newest snapshot, by seal
//!   SnapshotAck (blocks below `next` are durable here: send that one) ──>
//!                                          <── SnapshotChunk
//!   ... and so on; the identity seals it; then it takes the place of the state
//! ```
//! # Why it is safe
//! A snapshot that counts is durable, and what is in it was applied, hence chosen: an offer says no more. What
//! is received is written aside and built up apart from the state in use. Only when every block is durable, the
//! checksum and the hash of the state are the ones that were offered, and the identity names it durably, it is
//! installed: in one step, which keeps what the log holds above it. A crash before that leaves a file that nobody looks
//! at, a crash after it a node that opens with the snapshot. An older one never replaces a newer state.
//!
//! A snapshot does not tell which batches are in it, so a leader cannot know whether they are those it proposed:
//! before it learns anything from one, it stops leading (H1), and it does so only if it has waited in vain for
//! acceptances there. For a candidate an install is a way to learn what is committed like any other. It has to know
//! what is at or below the compaction mark of whoever promised: those no longer tell what they accepted there (H6).
//!
//! An `Accept` at or below the base is not answered: the replica no longer knows whether it is of the batch it knew to
//! be committed. It offers its snapshot instead, which tells a leader that still needs an answer all there is to know.
//! If the snapshot has rotted, asking for one tells that everything up to the base is chosen: the leader recovers once
//! more, and then knows which batches those are ([`super::choice`]). A replica without its state leads nobody.
//!
//! # Why it ends
//! Blocks are asked for one at a time, by the receiver, again and again until they come; whoever offers the very same
//! snapshot can take over at the block that is missing. A sender does not replace its snapshot by a newer one while it
//! is being asked for blocks, unless its log grows too long.

use super::{Replica, Role, commit::next_after, turn::Turn};
use crate::{
    ids::{Index, NodeId, NodeSet},
    interface::{Ignored, Note, StepDown},
    journal::SnapshotSeal,
    message::PeerMessage,
    options::{Persistence, SNAPSHOT_BLOCK_MAX},
    time::{Span, Time},
};
use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use bytes::Bytes;

/// Most entries of the log forgotten in one step.
const COMPACT_MAX: u64 = 4096;
/// After so many retries without an answer somebody else is asked.
const STALLS_MAX: u32 = 2;

/// What is on its way, and what has become superfluous.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshots {
    receiving: Option<Receiving>,
    /// What the node has to build the received state from.
    arrived: VecDeque<Arrived>,
    /// The state up to the base was lost with its snapshot: nothing can be executed before another one is here.
    lost: bool,
    /// Who was asked last for a snapshot.
    asked: Option<NodeId>,
    /// Blocks that peers wait for, while they are being read.
    sending: Vec<(NodeId, SnapshotSeal, u64)>,
    /// When a peer last asked for a block.
    served: Option<Time>,
    /// A peer needs a snapshot of at least this.
    wanted: Index,
    /// Up to where the log is in a durable snapshot; up to where it is to be forgotten.
    newest: Index,
    compact_to: Index,
}

#[derive(Clone, Debug)]
struct Receiving {
    seal: SnapshotSeal,
    from: NodeId,
    /// Blocks that have arrived.
    next: u64,
    /// Whether the next block has been asked for.
    asked: bool,
    /// When something last arrived, and how often nothing did.
    at: Time,
    stalls: u32,
}

/// What the node does with a snapshot that arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Arrived {
    /// Begin a state of its own for it, whatever was begun before.
    Begin,
    /// The next bytes of its stream.
    Block(Bytes),
}

impl Replica {
    // ---- Asking.

    /// Whether the state up to the base was lost.
    pub fn has_lost_state(&self) -> bool {
        self.snapshots.lost
    }

    pub(super) fn lose_state(&mut self) {
        self.snapshots.lost = true;
    }

    /// Whether what is missing here is on its way in a snapshot, so that there is no need to fetch it.
    pub(super) fn receives_snapshot(&self) -> bool {
        self.snapshots.receiving.as_ref().is_some_and(|receiving| receiving.stalls < STALLS_MAX)
    }

    /// Asks for the next block, or for a snapshot, again.
    pub(super) fn retry_snapshot(&mut self, turn: &mut Turn) {
        let interval = self.retry_interval();
        if let Some(receiving) = &mut self.snapshots.receiving {
            if turn.now.since(receiving.at) < interval {
                return;
            }
            // A block that this disk still writes is nobody else's delay.
            if receiving.asked {
                receiving.stalls = receiving.stalls.saturating_add(1);
                let (seal, next) = (receiving.seal, receiving.next);
                turn.send(NodeSet::only(receiving.from), PeerMessage::SnapshotAck { seal, next });
            }
        }
        if self.snapshots.lost && !self.receives_snapshot() {
            let last = self.snapshots.asked.or(self.following);
            self.snapshots.asked = next_after(self.links.verified(), last);
            if let Some(peer) = self.snapshots.asked {
                turn.send(NodeSet::only(peer), PeerMessage::SnapshotAsk { above: self.log.base() });
            }
        }
    }

    /// Takes an offer.
    pub(super) fn snapshot_offered(&mut self, turn: &mut Turn, from: NodeId, seal: SnapshotSeal) {
        let plausible = (64..=SNAPSHOT_BLOCK_MAX).contains(&seal.block) && (1..u64::MAX / 2).contains(&seal.length);
        if !plausible || !(1..u64::MAX / 2).contains(&seal.index.0) {
            return turn.ignore(Ignored::OutOfRange);
        }
        self.learner.hear_of_all(seal.index);
        self.learner.forget_fetch_from(from);
        if !self.can_use(&seal) || turn.journal.is_sealing() || !turn.journal.keeps_snapshots() {
            return turn.ignore(Ignored::Duplicate);
        }
        let overtaken = match &self.role {
            Role::Leader(leader) => seal.index > self.log.floor() && leader.waits_in_vain(seal.index),
            _ => false,
        };
        if overtaken {
            self.become_follower(turn, StepDown::Overtaken);
        } else if matches!(self.role, Role::Leader(_)) && seal.index > self.log.floor() {
            return turn.ignore(Ignored::Duplicate);
        }
        match &mut self.snapshots.receiving {
            Some(receiving) if receiving.seal == seal => {
                if receiving.from != from && receiving.stalls == 0 {
                    return turn.ignore(Ignored::Duplicate);
                }
                (receiving.from, receiving.at, receiving.stalls) = (from, turn.now, 0);
                receiving.asked = false;
            }
            Some(receiving) if receiving.from != from && receiving.stalls < STALLS_MAX => {
                return turn.ignore(Ignored::Duplicate);
            }
            _ => {
                let (index, state_hash) = (seal.index, seal.state_hash);
                turn.journal.draft_snapshot(index, state_hash, seal.block, turn.out);
                self.snapshots.arrived = VecDeque::from([Arrived::Begin]);
                let at = turn.now;
                self.snapshots.receiving = Some(Receiving { seal, from, next: 0, asked: false, at, stalls: 0 });
            }
        }
        let number = self.snapshots.receiving.as_ref().map_or(0, |receiving| receiving.next);
        turn.note(Note::Receiving { from, index: seal.index, number });
        self.go_on_receiving(turn);
    }

    /// Whether a snapshot is newer than what is here, or brings back what was lost.
    fn can_use(&self, seal: &SnapshotSeal) -> bool {
        if self.snapshots.lost { seal.index >= self.log.base() } else { seal.index > self.log.floor() }
    }

    /// Takes a block.
    pub(super) fn snapshot_chunk(
        &mut self,
        turn: &mut Turn,
        from: NodeId,
        seal: SnapshotSeal,
        number: u64,
        data: Bytes,
    ) {
        let Some(receiving) = &mut self.snapshots.receiving else { return turn.ignore(Ignored::Unasked) };
        if receiving.seal != seal || receiving.from != from {
            return turn.ignore(Ignored::Unasked);
        }
        if receiving.next != number || !receiving.asked || number >= seal.blocks() {
            return turn.ignore(Ignored::Duplicate);
        }
        if data.len() != seal.bytes_of(number) {
            return turn.ignore(Ignored::OutOfRange);
        }
        (receiving.at, receiving.stalls, receiving.asked) = (turn.now, 0, false);
        receiving.next += 1;
        turn.journal.write_block(&data, turn.out);
        self.snapshots.arrived.push_back(Arrived::Block(data));
    }

    /// Asks for the next block once what has arrived is durable; gives the transfer up when it has become superfluous.
    #[inline]
    pub fn go_on_receiving(&mut self, turn: &mut Turn) {
        if let Some(Receiving { seal, .. }) = self.snapshots.receiving {
            self.ask_for_next(turn, seal);
        }
    }

    fn ask_for_next(&mut self, turn: &mut Turn, seal: SnapshotSeal) {
        if !self.can_use(&seal) && !turn.journal.is_sealing() {
            return self.give_snapshot_up(turn);
        }
        let Some(receiving) = &mut self.snapshots.receiving else { return };
        if turn.journal.wants_block() && !receiving.asked && receiving.next < seal.blocks() {
            receiving.asked = true;
            let next = receiving.next;
            turn.send(NodeSet::only(receiving.from), PeerMessage::SnapshotAck { seal, next });
        }
    }

    /// Whether a peer's snapshot is on its way.
    pub fn is_receiving(&self) -> bool {
        self.snapshots.receiving.is_some()
    }

    /// What has arrived and the node has not seen.
    pub fn take_arrived(&mut self) -> Option<Arrived> {
        self.snapshots.arrived.pop_front()
    }

    /// The snapshot of which every block is here and durable, so that only its seal is missing.
    pub fn received(&self, turn: &Turn) -> Option<SnapshotSeal> {
        let receiving = self.snapshots.receiving.as_ref()?;
        let whole = receiving.next == receiving.seal.blocks() && turn.journal.wants_block();
        whole.then_some(receiving.seal)
    }

    /// What was being received is of no use: it makes no sense, or is no longer needed.
    pub fn give_snapshot_up(&mut self, turn: &mut Turn) {
        let Some(receiving) = self.snapshots.receiving.take() else { return };
        self.snapshots.arrived.clear();
        turn.journal.abandon_snapshot(turn.out);
        turn.note(Note::TransferGivenUp { index: receiving.seal.index });
    }

    /// The state is now that of a snapshot which is durable here.
    pub fn install(&mut self, turn: &mut Turn, seal: &SnapshotSeal) {
        let (index, state_hash) = (seal.index, seal.state_hash);
        if matches!(self.role, Role::Leader(_)) && index > self.log.floor() {
            self.become_follower(turn, StepDown::Overtaken);
        }
        let from = self.snapshots.receiving.take().map(|receiving| receiving.from);
        self.snapshots.lost = false;
        turn.note(Note::Installed { index, state_hash });
        if index > self.log.floor() {
            self.log.install(index);
        }
        self.forget_states();
        let leader = self.following.filter(|leader| *leader != self.me);
        self.assignments.pass_over(turn, index, leader);
        self.forwards.pass_over(turn, index, leader);
        self.learner.hear_of_all(index);
        self.compact_to(index);
        self.after_floor(turn);
        self.conclude_promises(turn);
        if let Some(from) = from {
            self.fetch_if_missing(turn, from);
        }
    }

    // ---- Giving.

    pub(super) fn snapshot_asked(&mut self, turn: &mut Turn, from: NodeId, above: Index) {
        if above == Index::ZERO || above.0 >= u64::MAX / 2 {
            return turn.ignore(Ignored::OutOfRange);
        }
        self.learner.hear_of_all(above);
        if turn.journal.snapshot().is_none_or(|seal| seal.index < above) {
            self.snapshots.wanted = self.snapshots.wanted.max(above);
        }
        self.offer_snapshot(turn, from);
        if matches!(&self.role, Role::Leader(leader) if leader.waits_in_vain(above)) {
            // Its sender can neither vote there any more nor say what is committed. The next recovery knows that
            // something is, and need not ask for votes.
            let promised = self.promised;
            self.told_of_higher_promise(turn, promised);
        }
    }

    /// Offers what there is to a peer that needs what is no longer in the log.
    pub(super) fn offer_snapshot(&mut self, turn: &mut Turn, to: NodeId) {
        if let Some(seal) = turn.journal.snapshot().copied().filter(|_| to != self.me) {
            turn.send(NodeSet::only(to), PeerMessage::SnapshotOffer { seal });
        }
    }

    /// A peer has everything below block `next` and waits for that one.
    pub(super) fn snapshot_acked(&mut self, turn: &mut Turn, from: NodeId, seal: SnapshotSeal, next: u64) {
        if turn.journal.snapshot() != Some(&seal) {
            return self.offer_snapshot(turn, from);
        }
        self.snapshots.served = Some(turn.now);
        if self.snapshots.sending.iter().any(|(to, _, _)| *to == from) {
            return turn.ignore(Ignored::Duplicate);
        }
        if turn.journal.read_block(next, turn.out) {
            self.snapshots.sending.push((from, seal, next));
        }
    }

    /// Sends the blocks that have been read.
    pub fn send_blocks(&mut self, turn: &mut Turn) {
        while let Some((seal, number, data)) = turn.journal.take_read() {
            if data.is_none() {
                turn.journal.distrust_snapshot(&seal);
                turn.note(Note::SnapshotLost { index: seal.index });
            }
            let waits = |(_, of, which): &mut (NodeId, SnapshotSeal, u64)| *of == seal && *which == number;
            let Some((to, _, _)) = self.snapshots.sending.extract_if(.., waits).next() else { continue };
            if let Some(data) = data {
                turn.send(NodeSet::only(to), PeerMessage::SnapshotChunk { seal: Box::new(seal), number, data });
            }
        }
    }

    // ---- When to take one, and what it makes superfluous.

    /// Whether a snapshot of the state at `applied` is due.
    #[inline]
    pub fn snapshot_is_due(&self, turn: &Turn, applied: Index) -> bool {
        let journal = &turn.journal;
        let newest = || journal.snapshot().map_or(Index::ZERO, |seal| seal.index);
        journal.keeps_snapshots()
            && !self.snapshots.lost
            && journal.drafting().is_none()
            && applied > newest()
            && self.wants_snapshot(turn.now, newest(), applied)
    }

    fn wants_snapshot(&self, now: Time, newest: Index, applied: Index) -> bool {
        let interval = self.options.snapshot_interval;
        let by_count = interval > 0 && applied.0 / interval > newest.0 / interval;
        let sending = self.is_sending(now);
        let most = if sending { self.options.length } else { self.options.length.div_ceil(2) };
        let by_length = self.log.len() >= most && !self.wants_compaction();
        let by_need = newest < self.snapshots.wanted && self.snapshots.wanted <= applied;
        by_length || !sending && (by_count || by_need || newest < self.log.base())
    }

    /// Whether a peer is in the midst of a transfer from here.
    fn is_sending(&self, now: Time) -> bool {
        let patience = Span(self.options.election_timeout.0.saturating_mul(2));
        self.snapshots.served.is_some_and(|at| now.since(at) < patience)
    }

    /// Whether the log is as long as it may be, so that nothing new is let in.
    pub(super) fn is_at_length(&self) -> bool {
        self.options.journal.persistence != Persistence::None && self.log.len() >= self.options.length
    }

    /// Everything up to `index` is in a durable snapshot. What followed the one before stays if there is room:
    /// whoever is a little behind fetches batches rather than a state.
    pub fn compact_to(&mut self, index: Index) {
        let before = core::mem::replace(&mut self.snapshots.newest, index);
        let roomy = self.log.len() < self.options.length.div_ceil(2);
        let to = if roomy { before } else { index };
        self.snapshots.compact_to = self.snapshots.compact_to.max(to);
    }

    /// Whether there is something to forget.
    pub fn wants_compaction(&self) -> bool {
        self.log.base() < self.snapshots.compact_to
    }

    /// Forgets some of what is in a durable snapshot.
    pub fn compact(&mut self) {
        if self.wants_compaction() {
            self.log.compact(self.snapshots.compact_to, COMPACT_MAX);
        }
    }
}

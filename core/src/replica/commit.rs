//! Learning what is chosen: `Chosen`, floors, and fetching what is missing.
//!
//! A replica marks index k committed iff
//! - it hears `Chosen{v, k}` and its own accepted view at k is >= v: from v on only the chosen batch is proposed at k.
//!   With an older acceptance, or none, it only knows that k is chosen, and fetches the batch (H2); or
//! - k <= the floor of a message of view v and its own accepted view at k *equals* v: in one view an index has one
//!   batch. Otherwise it fetches k; or
//! - with *implicit commit*, the same for k <= j - W and an `Accept` of index j in view v, which then names no floor:
//!   its leader assigned j only when everything up to j - W was committed, the recovered range included (H9); or
//! - a peer sends it k as committed, or a snapshot that k is in. That beats every acceptance and is never overwritten
//!   (H5).
//!
//! A leader's floor covers only what its own view knows committed: it is not told to anyone before the recovered range
//! is through, and a leader that is given a committed batch other than its own proposal there, or where it has proposed
//! nothing, has been overtaken by a later view and stops leading first (H1). If the batch is its own proposal, its
//! floor stays true whoever chose it: who accepted in this leader's view at that index accepted that batch.

use super::{Replica, Role, log::Log, turn::Turn};
use crate::{
    batch::Batch,
    ids::{Digest, Incarnation, Index, NodeId, NodeSet, View},
    interface::{Ignored, Learned, Note, StepDown},
    journal::Record,
    message::PeerMessage,
    time::{Span, Time},
};
use alloc::{boxed::Box, vec::Vec};

/// Most entries in one answer to `Fetch`.
const FETCH_ENTRIES: u64 = 256;
/// Most payload bytes in one answer, but for a single larger entry: whoever catches up must not keep what commits
/// waiting behind its answers for long, and one round trip for each is quick enough.
const FETCH_BYTES: usize = 32 << 10;
/// How long somebody who had nothing and took long to say so, or said nothing, is not asked, in election timeouts.
const SILENCE: u64 = 16;
/// The longest wait for an answer, in election timeouts.
const PATIENCE_MAX: u64 = 4;

/// What is known to be chosen beyond what is here.
#[derive(Clone, Debug)]
pub(super) struct Learner {
    /// Everything up to here is chosen, here or not.
    floor: Index,
    /// The highest index heard of as chosen.
    chosen: Index,
    /// The highest floor of one view heard so far, and that view.
    view_floor: (View, Index),
    fetch: Option<Fetch>,
    counter: u64,
    /// How far around the ring of [`Replica::neighbour`] nothing was to be had, since something last was.
    passed: u8,
    /// Members that are not asked first: they left a question unanswered, or took long to say that they have nothing.
    silent: NodeSet,
    /// When the first of them was found to be so.
    silent_since: Time,
    /// How long an answer may take, if longer than a retry: twice as long as the last one took, and doubled by every
    /// one that came too late. Answers may be large and links slow: who always asks elsewhere before an answer is
    /// through throws it away, and loads the links with the same again, for ever.
    patience: Span,
}

#[derive(Clone, Debug)]
struct Fetch {
    counter: u64,
    asked: NodeId,
    at: Time,
}

/// Records were lost that cannot be named. Every index may have held one, until everything a leader can have assigned
/// by then is committed here: its floor, asked for in this life, and a window more.
#[derive(Clone, Debug, Default)]
pub(super) struct Hollow {
    until: Option<Index>,
}

impl Learner {
    pub(super) fn new(floor: Index) -> Self {
        Self {
            floor,
            chosen: floor,
            view_floor: (View::ZERO, Index::ZERO),
            fetch: None,
            counter: 0,
            passed: 0,
            silent: NodeSet::EMPTY,
            silent_since: Time::ZERO,
            patience: Span::ZERO,
        }
    }

    /// Something at this index is chosen.
    pub(super) fn hear_of(&mut self, index: Index) {
        self.chosen = self.chosen.max(index);
    }

    /// The floor heard of `view`.
    pub(super) fn floor_of(&self, view: View) -> Index {
        let (heard, floor) = self.view_floor;
        if heard == view { floor } else { Index::ZERO }
    }

    /// Everything up to here is chosen.
    pub(super) fn hear_of_all(&mut self, floor: Index) {
        self.floor = self.floor.max(floor);
        self.hear_of(floor);
    }

    /// An answer came that is no entries.
    pub(super) fn forget_fetch_from(&mut self, peer: NodeId) {
        self.fetch.take_if(|fetch| fetch.asked == peer);
    }

    /// Everything up to here is known chosen.
    pub(super) fn known_floor(&self, log: &Log) -> Index {
        self.floor.max(log.floor())
    }
}

/// Whom to ask after `last`: the next of `peers`, round and round.
pub(super) fn next_after(peers: NodeSet, last: Option<NodeId>) -> Option<NodeId> {
    peers.iter().find(|node| last.is_none_or(|last| *node > last)).or_else(|| peers.iter().next())
}

impl Replica {
    // ---- Learning.

    /// Marks a batch at hand committed.
    pub(super) fn commit(&mut self, turn: &mut Turn, index: Index, how: Learned) {
        self.mark_committed(turn, index, how);
        self.after_floor(turn);
    }

    fn mark_committed(&mut self, turn: &mut Turn, index: Index, how: Learned) {
        let Some((batch, was_certain)) = self.log.commit(index) else { return };
        turn.note(Note::Committed { index, digest: batch.digest(), how });
        if !was_certain {
            // A floor vouches only for what was recorded after the loss.
            turn.journal.append(Record::Committed { index, batch: batch.clone() });
        }
    }

    /// What follows from a floor that may have moved.
    pub(super) fn after_floor(&mut self, turn: &mut Turn) {
        let floor = self.log.floor();
        if let Role::Leader(leader) = &mut self.role {
            leader.window.retire(floor);
            if !leader.plan.is_empty() {
                self.recover(turn);
            }
        }
        if self.hollow.as_ref().and_then(|hollow| hollow.until).is_some_and(|until| floor >= until) {
            self.hollow = None;
            self.log.make_certain();
            self.recorded_floor = floor;
            turn.journal.append(Record::Floor { index: floor });
            turn.journal.append(Record::Whole);
            turn.note(Note::Whole);
        }
    }

    pub(super) fn chosen(&mut self, turn: &mut Turn, from: NodeId, view: View, index: Index, digest: Digest) {
        if index == Index::ZERO {
            return turn.ignore(Ignored::OutOfRange);
        }
        if view > self.promised && view.node == self.me {
            return turn.ignore(Ignored::Impostor);
        }
        if view >= self.promised {
            self.hear_of_view(turn, from, view);
        }
        if let Role::Leader(leader) = &mut self.role
            && leader.view == view
            && let Some(slot) = leader.window.at(index).filter(|slot| slot.digest == digest)
        {
            if slot.is_first_try() && !slot.chosen {
                leader.pace.chosen_within(turn.now.since(slot.sent));
            }
            leader.window.choose(index);
        }
        let entry = self.log.at(index);
        if entry.committed || index <= self.log.base() {
            return turn.ignore(Ignored::Duplicate);
        }
        self.learner.hear_of(index);
        let held = entry.accepted.as_ref().filter(|_| entry.unknown.is_none());
        match held {
            Some((accepted, batch)) if *accepted >= view && batch.digest() == digest => {
                self.commit(turn, index, Learned::Chosen);
            }
            _ => self.fetch_if_missing(turn, from),
        }
    }

    /// Learns from an `Accept`, or an `Assign`: its floor, and that it was within the window.
    pub(super) fn learn_from_accept(&mut self, turn: &mut Turn, view: View, index: Index, floor: Index) {
        let configuration = self.history.configuration_at(index);
        let implied = Index(index.0.saturating_sub(configuration.window()));
        if configuration.implicit_commit() && implied > floor {
            self.learn_floor_as(turn, view, implied, Learned::Implied);
        } else {
            self.learn_floor(turn, view, floor);
        }
    }

    /// Learns from the floor of a message of `view`.
    pub(super) fn learn_floor(&mut self, turn: &mut Turn, view: View, floor: Index) {
        self.learn_floor_as(turn, view, floor, Learned::Floor);
    }

    fn learn_floor_as(&mut self, turn: &mut Turn, view: View, floor: Index, how: Learned) {
        let scanned = self.learner.floor_of(view);
        if floor <= scanned {
            return;
        }
        self.learner.view_floor = (view, floor);
        self.learner.floor = self.learner.floor.max(floor);
        self.learner.hear_of(floor);
        let first = scanned.max(self.log.floor()).next();
        for at in first.0..=floor.0.min(self.log.last().0) {
            self.commit_if_accepted_in(turn, view, Index(at), how);
        }
        self.after_floor(turn);
        self.fetch_if_missing(turn, view.node);
    }

    /// A batch that arrives after the floor that covers it.
    pub(super) fn commit_if_below_learned_floor(&mut self, turn: &mut Turn, view: View, index: Index) {
        if self.learner.view_floor.0 == view && index <= self.learner.view_floor.1 {
            self.commit_if_accepted_in(turn, view, index, Learned::Floor);
        }
        self.after_floor(turn);
    }

    fn commit_if_accepted_in(&mut self, turn: &mut Turn, view: View, index: Index, how: Learned) {
        let entry = self.log.at(index);
        let in_view = entry.accepted.as_ref().is_some_and(|(accepted, _)| *accepted == view);
        if in_view && entry.unknown.is_none() {
            self.mark_committed(turn, index, how);
        }
    }

    // ---- Fetching.

    /// Asks `peer` for what is chosen and not here, unless an answer is under way. With thrifty quorums `peer` is only
    /// a proposal: see [`Replica::neighbour`].
    pub(super) fn fetch_if_missing(&mut self, turn: &mut Turn, peer: NodeId) {
        let hollow = self.hollow.as_ref().is_some_and(|hollow| hollow.until.is_none());
        let missing = self.learner.chosen > self.log.floor() || hollow;
        // What is fetched is written down: while the disk is behind it can be had again later.
        if self.learner.fetch.is_some() || !missing || self.receives_snapshot() || turn.journal.is_behind() {
            return;
        }
        let peer = if self.options.thrifty && !hollow { self.neighbour(turn.now).unwrap_or(peer) } else { peer };
        if peer == self.me {
            return;
        }
        self.learner.counter += 1;
        let from = self.log.floor().next();
        let to = self.learner.chosen.max(from);
        self.learner.fetch = Some(Fetch { counter: self.learner.counter, asked: peer, at: turn.now });
        turn.note(Note::Fetching { from, to });
        let nonce = (self.incarnation, self.learner.counter);
        turn.send(NodeSet::only(peer), PeerMessage::Fetch { nonce, from, to });
    }

    /// The next one to ask in the ring of those within reach, which begins before this member and goes backwards. Those
    /// who left a question unanswered, or took long to have nothing, are passed over for a while, or until a round has
    /// brought nothing: the next one visits all.
    ///
    /// A thrifty leader leaves members out, who all lack the same. If they all asked the leader, thrift would gain
    /// nothing: every batch would leave it as often as without. Asking each other, they pass a batch on around the
    /// ring, and the leader hands it to one of them. Whoever finds nothing there comes by the leader in the end.
    fn neighbour(&mut self, now: Time) -> Option<NodeId> {
        if now.since(self.learner.silent_since) >= self.options.election_timeout.times(SILENCE) {
            self.learner.silent = NodeSet::EMPTY;
        }
        let within_reach = self.links.verified();
        let answering = within_reach.difference(self.learner.silent);
        let step = |node: &NodeId| ring_step(self.me, *node);
        let further = answering.iter().filter(|node| step(node) > self.learner.passed).min_by_key(step);
        further.or_else(|| {
            (self.learner.silent, self.learner.passed) = (NodeSet::EMPTY, 0);
            within_reach.iter().min_by_key(step)
        })
    }

    /// `node` had nothing, or said nothing.
    fn pass_by(&mut self, node: NodeId) {
        self.learner.passed = ring_step(self.me, node);
    }

    /// `node` is not to be asked first for a while. What is missing meanwhile piles up, and is too much at once for
    /// the links of whoever has it.
    fn pass_over(&mut self, node: NodeId, now: Time) {
        if self.learner.silent == NodeSet::EMPTY {
            self.learner.silent_since = now;
        }
        self.learner.silent.insert(node);
    }

    /// Asks again, somebody else, when no answer came.
    pub(super) fn retry_fetch(&mut self, turn: &mut Turn) {
        let last = self.learner.fetch.as_ref().map(|fetch| fetch.asked);
        let patience = self.learner.patience.max(self.retry_interval());
        if self.learner.fetch.as_ref().is_some_and(|fetch| turn.now.since(fetch.at) >= patience) {
            self.learner.fetch = None;
            if let Some(silent) = last {
                self.pass_over(silent, turn.now);
                self.pass_by(silent);
            }
        }
        // The bound of a loss is told by the leader alone; entries are told by anyone.
        let hollow = self.hollow.as_ref().is_some_and(|hollow| hollow.until.is_none());
        let leader = self.following.filter(|leader| *leader != self.me && (hollow || Some(*leader) != last));
        if let Some(peer) = leader.or_else(|| next_after(self.links.verified(), last)) {
            self.fetch_if_missing(turn, peer);
        }
        self.measure_own_loss(turn);
    }

    pub(super) fn fetch_asked(
        &mut self,
        turn: &mut Turn,
        from: NodeId,
        nonce: (Incarnation, u64),
        first: Index,
        last: Index,
    ) {
        if first == Index::ZERO || last < first {
            return turn.ignore(Ignored::OutOfRange);
        }
        if first <= self.log.base() {
            // What is asked for first is gone: only a snapshot can help.
            return self.offer_snapshot(turn, from);
        }
        let mut entries: Vec<(Index, Batch)> = Vec::new();
        let mut bytes = 0;
        let end = last.0.min(self.log.last().0).min(first.plus(FETCH_ENTRIES - 1).0);
        for at in first.0..=end {
            if bytes >= FETCH_BYTES {
                break;
            }
            if let Some(batch) = self.log.committed(Index(at)) {
                bytes += batch.bytes().len();
                entries.push((Index(at), batch.clone()));
            }
        }
        let leading = match &self.role {
            Role::Leader(leader) if leader.opened => Some(Box::new((leader.view, self.log.floor()))),
            _ => None,
        };
        turn.send(NodeSet::only(from), PeerMessage::Entries { nonce, leading, entries });
    }

    pub(super) fn entries_received(
        &mut self,
        turn: &mut Turn,
        from: NodeId,
        nonce: (Incarnation, u64),
        leading: Option<Box<(View, Index)>>,
        entries: Vec<(Index, Batch)>,
    ) {
        self.learner.silent = self.learner.silent.without(from);
        let longest = self.options.election_timeout.times(PATIENCE_MAX);
        let fetch = self.learner.fetch.as_ref();
        let asked = fetch.filter(|fetch| nonce == (self.incarnation, fetch.counter) && fetch.asked == from);
        let Some(took) = asked.map(|fetch| turn.now.since(fetch.at)) else {
            if nonce.0 == self.incarnation {
                self.learner.patience = self.learner.patience.max(self.retry_interval()).times(2).min(longest);
            }
            return turn.ignore(Ignored::Unasked);
        };
        self.learner.fetch = None;
        let slow = took > self.learner.patience.max(self.options.heartbeat);
        self.learner.patience = took.times(2).min(longest);
        if let Role::Leader(leader) = &self.role
            && entries.iter().any(|(index, batch)| leader.is_overtaken_by(*index, batch))
        {
            self.become_follower(turn, StepDown::Overtaken);
        }
        let before = self.log.floor();
        for (index, batch) in &entries {
            if self.log.within_reach(*index) {
                self.learn_batch(turn, *index, batch, Learned::Fetched);
            }
        }
        if let Some((view, floor)) = leading.as_deref().copied()
            && view.node == from
            && view >= self.promised
        {
            self.measure_loss(floor);
        }
        self.after_floor(turn);
        if self.log.floor() > before {
            self.learner.passed = 0;
            self.fetch_if_missing(turn, from);
            self.conclude_promises(turn);
        } else {
            self.pass_by(from);
            if slow {
                self.pass_over(from, turn.now);
            }
        }
    }

    // ---- Losses that cannot be named.

    /// A leader with an open window, asked in this life, has this floor. Whatever was lost before was assigned by it or
    /// by a leader of an earlier view, whose floor at the time is within this one's recovered range; so it lies within
    /// a window above.
    fn measure_loss(&mut self, floor: Index) {
        let window = self.history.configuration_at(floor.plus(1)).window();
        if let Some(hollow) = &mut self.hollow {
            hollow.until.get_or_insert(floor.plus(window));
        }
    }

    fn measure_own_loss(&mut self, turn: &mut Turn) {
        let floor = self.log.floor();
        if matches!(&self.role, Role::Leader(leader) if leader.opened) {
            self.measure_loss(floor);
            let until = self.hollow_until();
            if let Role::Leader(leader) = &mut self.role {
                leader.fill_until(until);
            }
            self.after_floor(turn);
        }
    }

    /// Up to where everything must be committed for this replica to be whole again.
    pub(super) fn hollow_until(&self) -> Option<Index> {
        self.hollow.as_ref().and_then(|hollow| hollow.until)
    }
}

/// How many ids `node` is before `me`, counted around.
pub(super) fn ring_step(me: NodeId, node: NodeId) -> u8 {
    (me.0 + NodeId::LIMIT - node.0) % NodeId::LIMIT
}

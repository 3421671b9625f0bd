//! Clients' commands that arrive at a participant and go on to the leader: `Forward`, `Forwarded`.
//!
//! With `participant = forward` a replica that follows a leader takes commands too. What gathers during a driver's turn
//! goes to the leader as one batch; the leader queues the commands among its own and tells where each came to stand.
//! The reply goes out from here, when the batch at that place has been executed here.
//!
//! # Why it is honest
//! A command that was forwarded may be executed whatever becomes of the answer: it is never refused as *not queued*
//! from then on, but only as *outcome open* (H15): when the leader refuses it (a copy of the message may have been
//! taken), when no place is named in time, when this replica learns of another view, or when another batch is executed
//! at the place that was named. A client that asks again is told what its request did: sessions remember, and a copy
//! that was queued twice is executed once.

use super::{
    Replica, Role,
    assignment::{Waiter, refuse},
    turn::Turn,
};
use crate::{
    batch::{Batch, BatchBuilder, Command},
    ids::{ConnectionId, Digest, Incarnation, Index, NodeId, NodeSet},
    interface::{Ignored, Note},
    message::{ForwardOutcome, PeerMessage, Refusal},
    options::{Delegate, Options, Participant},
    time::Time,
};
use alloc::{collections::BTreeMap, vec::Vec};

/// Commands of this replica's clients that another one is to give a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Forwards {
    /// Gathered in this turn.
    batch: BatchBuilder,
    waiters: Vec<Waiter>,
    /// Numbers the messages of this life.
    counter: u64,
    /// On their way to a place, by the number of their message.
    sent: BTreeMap<u64, Sent>,
    /// By the index at which they are to be executed.
    placed: BTreeMap<Index, Placed>,
    /// How many wait in all.
    waiting: usize,
    /// Everything up to here has been executed.
    applied: Index,
}

#[derive(Clone, Debug)]
struct Sent {
    to: NodeId,
    at: Time,
    /// Who waits for each command; nobody once it has a place, or when the connection is gone.
    waiters: Vec<Option<Waiter>>,
}

#[derive(Clone, Debug)]
struct Placed {
    digest: Digest,
    /// Where in the batch, and who waits for it.
    waiters: Vec<(usize, Waiter)>,
}

impl Forwards {
    /// Forgets those of a connection that is gone.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        let stays = |waiter: &Waiter| waiter.connection() != Some(connection);
        if self.waiting == 0 {
            return;
        }
        let mut places = self.waiters.iter();
        self.batch.retain(|_| stays(places.next().expect("every command has a waiter")));
        self.waiters.retain(stays);
        for sent in self.sent.values_mut() {
            for waiter in &mut sent.waiters {
                *waiter = waiter.take().filter(stays);
            }
        }
        for placed in self.placed.values_mut() {
            placed.waiters.retain(|(_, waiter)| stays(waiter));
        }
        self.count();
    }

    /// Drops what nobody waits for, and counts the rest.
    fn count(&mut self) {
        self.sent.retain(|_, sent| sent.waiters.iter().any(Option::is_some));
        self.placed.retain(|_, placed| !placed.waiters.is_empty());
        let sent = self.sent.values().flat_map(|sent| &sent.waiters).flatten().count();
        let placed: usize = self.placed.values().map(|placed| placed.waiters.len()).sum();
        self.waiting = self.waiters.len() + sent + placed;
    }

    /// Refuses whoever waits for a batch up to `index`: a snapshot has taken its place, and what it did is not known.
    pub(super) fn pass_over(&mut self, turn: &mut Turn, index: Index, leader: Option<NodeId>) {
        self.applied = self.applied.max(index);
        while let Some(entry) = self.placed.first_entry().filter(|entry| *entry.key() <= index) {
            for (_, waiter) in entry.remove().waiters {
                refuse(turn, waiter, Refusal::Deposed { leader });
            }
        }
        self.count();
    }

    /// Ends all waiting: whatever left this replica may still take effect.
    pub(super) fn refuse_all(&mut self, turn: &mut Turn, leader: Option<NodeId>) {
        if self.waiting == 0 {
            return;
        }
        self.batch = BatchBuilder::default();
        for waiter in self.waiters.drain(..) {
            refuse(turn, waiter, Refusal::NotLeader { leader });
        }
        let sent = core::mem::take(&mut self.sent).into_values().flat_map(|sent| sent.waiters).flatten();
        let placed = core::mem::take(&mut self.placed).into_values().flat_map(|placed| placed.waiters);
        for waiter in sent.chain(placed.map(|(_, waiter)| waiter)) {
            refuse(turn, waiter, Refusal::Deposed { leader });
        }
        self.waiting = 0;
    }
}

impl Replica {
    // ---- The participant.

    /// Whom to forward a command to, or to ask about a read, if this replica does that at all.
    pub(super) fn forwards_to(&self) -> Option<NodeId> {
        let leader = self.following.filter(|leader| *leader != self.me && self.is_running());
        // One that canvasses because a client suggested it still believes that its leader may be there.
        let leader = leader.filter(|_| matches!(self.role, Role::Follower | Role::Canvassing(_)));
        leader.filter(|leader| self.options.participant == Participant::Forward && self.links.is_verified(*leader))
    }

    /// Takes a command for the leader; false if this replica leaves that to the client.
    pub(super) fn forward(&mut self, turn: &mut Turn, waiter: Waiter, command: &Command) -> bool {
        let Some(leader) = self.forwards_to() else { return false };
        if self.forwards.waiting >= self.options.queue_max {
            refuse(turn, waiter, Refusal::Overloaded);
            return true;
        }
        let batch = &self.forwards.batch;
        let fits = batch.len() < self.options.max_batch
            && (batch.is_empty() || batch.size() + command.size() <= self.options.max_batch_bytes);
        if !fits {
            self.send_forwards(turn, leader);
        }
        self.forwards.batch.push(command);
        self.forwards.waiters.push(waiter);
        self.forwards.waiting += 1;
        true
    }

    pub(super) fn wants_forward(&self) -> bool {
        !self.forwards.waiters.is_empty()
    }

    /// Sends what has gathered.
    pub(super) fn forward_gathered(&mut self, turn: &mut Turn) {
        match self.forwards_to() {
            Some(leader) if self.wants_forward() => self.send_forwards(turn, leader),
            Some(_) => {}
            None => self.forwards.refuse_all(turn, self.following.filter(|leader| *leader != self.me)),
        }
    }

    fn send_forwards(&mut self, turn: &mut Turn, leader: NodeId) {
        let forwards = &mut self.forwards;
        forwards.counter += 1;
        let (nonce, batch) = ((self.incarnation, forwards.counter), forwards.batch.finish(Time::ZERO));
        let waiters = forwards.waiters.drain(..).map(Some).collect();
        forwards.sent.insert(forwards.counter, Sent { to: leader, at: turn.now, waiters });
        turn.send(NodeSet::only(leader), PeerMessage::Forward { nonce, batch });
    }

    /// Gives up on commands that the leader has named no place for.
    pub(super) fn retry_forwards(&mut self, turn: &mut Turn) {
        if self.forwards.waiting == 0 {
            return;
        }
        let patience = self.options.election_timeout.times(2);
        let leader = self.following.filter(|leader| *leader != self.me);
        let now = turn.now;
        for sent in self.forwards.sent.values_mut().filter(|sent| now.since(sent.at) >= patience) {
            for waiter in sent.waiters.iter_mut().filter_map(Option::take) {
                refuse(turn, waiter, Refusal::Deposed { leader });
            }
        }
        self.forwards.count();
    }

    pub(super) fn forwarded(
        &mut self,
        turn: &mut Turn,
        from: NodeId,
        nonce: (Incarnation, u64),
        outcome: ForwardOutcome,
    ) {
        let leader = self.following.filter(|leader| *leader != self.me);
        let forwards = &mut self.forwards;
        let sent = forwards.sent.get_mut(&nonce.1).filter(|sent| nonce.0 == self.incarnation && sent.to == from);
        let Some(sent) = sent else { return turn.ignore(Ignored::Unasked) };
        let (first, count) = outcome.range();
        let Some(waiters) = sent.waiters.get_mut(first..first.saturating_add(count)) else {
            return turn.ignore(Ignored::OutOfRange);
        };
        let waiters = waiters.iter_mut().enumerate().filter_map(|(place, waiter)| Some((place, waiter.take()?)));
        let waiters: Vec<_> = waiters.collect();
        if sent.waiters.iter().all(Option::is_none) {
            forwards.sent.remove(&nonce.1);
        }
        if let ForwardOutcome::Placed { index, digest, at, .. } = outcome
            && index > forwards.applied
        {
            turn.note(Note::ForwardPlaced { index });
            let placed = forwards.placed.entry(index).or_insert(Placed { digest, waiters: Vec::new() });
            if placed.digest == digest {
                return placed.waiters.extend(waiters.iter().map(|(place, waiter)| (at as usize + place, *waiter)));
            }
        }
        // Refused, or sent to a place where another batch is, or executed before this was heard: what it answered is
        // gone from here, but the session remembers.
        forwards.waiting -= waiters.len();
        waiters.into_iter().for_each(|(_, waiter)| refuse(turn, waiter, Refusal::Deposed { leader }));
    }

    /// Who waits here for the batch executed at `index`, each with the place of its command in it. Whoever the leader
    /// sent to the wrong place is told that its outcome is open.
    pub fn take_placed(&mut self, turn: &mut Turn, index: Index) -> Vec<(usize, Waiter)> {
        self.forwards.applied = index;
        if self.forwards.placed.is_empty() {
            return Vec::new();
        }
        let Some(placed) = self.forwards.placed.remove(&index) else { return Vec::new() };
        self.forwards.waiting -= placed.waiters.len();
        let batch = self.log.committed(index).expect("what is executed is committed");
        let leader = self.following.filter(|leader| *leader != self.me);
        let commands: Vec<_> = batch.commands().collect();
        let right = |(place, waiter): &(usize, Waiter)| {
            placed.digest == batch.digest() && commands.get(*place).is_some_and(|it| waiter.asked_for(it))
        };
        let (right, wrong): (Vec<_>, Vec<_>) = placed.waiters.iter().copied().partition(right);
        wrong.into_iter().for_each(|(_, waiter)| refuse(turn, waiter, Refusal::Deposed { leader }));
        right
    }

    // ---- The leader.

    /// Queues what a participant forwards, or refuses all of it.
    pub(super) fn forward_asked(&mut self, turn: &mut Turn, from: NodeId, nonce: (Incarnation, u64), batch: &Batch) {
        let leads = matches!(self.role, Role::Leader(_)) && self.successor().is_none();
        if !leads || self.is_at_length() || self.assignments.queued() + batch.len() > self.options.queue_max {
            let outcome = ForwardOutcome::Refused { count: batch.len() as u32 };
            return turn.send(NodeSet::only(from), PeerMessage::Forwarded { nonce, outcome });
        }
        turn.note(Note::ForwardTaken { from, commands: batch.len() as u32 });
        for (place, command) in (0..).zip(batch.owned_commands()) {
            let waiter = Waiter::Forwarder { node: from, nonce, place };
            self.assignments.enqueue(turn.now, &self.options, waiter, &command);
        }
    }
}

/// Tells those who forwarded commands of the batch at `index` where they stand; `waiters` has who waits for each.
pub(super) fn tell_places<'a>(
    turn: &mut Turn,
    index: Index,
    digest: Digest,
    waiters: impl Iterator<Item = &'a Waiter>,
) {
    let mut waiters = waiters.peekable();
    let mut at = 0;
    while let Some(waiter) = waiters.next() {
        let mut count = 1;
        if let Waiter::Forwarder { node, nonce, place: first } = *waiter {
            let next = |count| Waiter::Forwarder { node, nonce, place: first + count };
            while waiters.next_if(|waiter| **waiter == next(count)).is_some() {
                count += 1;
            }
            let outcome = ForwardOutcome::Placed { index, digest, at, first, count };
            turn.send(NodeSet::only(node), PeerMessage::Forwarded { nonce, outcome });
        }
        at += count;
    }
}

/// Who forwarded what `waiter` waits for, if batches of different origins are to be kept apart.
pub(super) fn origin_of(options: &Options, waiter: Waiter) -> Option<NodeId> {
    match options.delegate {
        Delegate::Forwarder => waiter.forwarder(),
        Delegate::None | Delegate::Rotate(_) => None,
    }
}

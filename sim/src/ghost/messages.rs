//! What may leave a node: messages to peers, answers to clients.

use super::{
    Finding, Ghost,
    member::{AskedRead, Held, Told, describe},
};
use crate::oracle::Oracle;
use ios_core::{
    batch::{Batch, REQUEST_OVERHEAD},
    ids::{ConnectionId, Index, NodeId, NodeSet, View},
    journal::SnapshotSeal,
    message::{ClientResponse, Hello, PeerMessage, Promise, ReadMode, RequestKey},
};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes that open every batch of clients.
const BATCH_HEAD: usize = 13;

/// Above every view.
pub(super) const EVERY_VIEW: View = View { round: u64::MAX, node: NodeId(u8::MAX) };

/// What a node tells about, after a restart or in a promise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// The first index.
    pub(super) from: Index,
    /// The first index it no longer tells about.
    pub(super) to: Index,
    /// Only acceptances in views below this one have to be told.
    pub(super) below: View,
    /// Only records of commits that were durable by this event have to be told.
    pub(super) until: u64,
    /// Whatever is not told as certain counts as unknown.
    pub(super) loss: bool,
}

impl Ghost {
    pub(super) fn check_message(&mut self, node: NodeId, to: NodeSet, message: &PeerMessage) -> Result<(), Finding> {
        self.events += 1;
        if to.contains(node) {
            return Err((Oracle::Bounds, format!("{node} sends to itself")));
        }
        match message {
            PeerMessage::Hello(hello) => self.hello(node, hello),
            PeerMessage::Canvass { view } => self.owns(node, *view, "canvasses for"),
            PeerMessage::Transfer { view } | PeerMessage::Released { view } => self.owns(node, *view, "hands over"),
            PeerMessage::Prepare { view, .. } => {
                self.owns(node, *view, "prepares")?;
                self.vouch(node, *view, "Prepare")
            }
            PeerMessage::Promise(promise) => self.promise(node, promise),
            PeerMessage::Accept { view, index, batch, floor, coordinator } => {
                if *coordinator != node {
                    return Err((Oracle::Leadership, format!("{node} sends an Accept that {coordinator} shall count")));
                }
                self.floor(node, "Accept", *floor)?;
                self.proposes(node, *view, *index, batch)?;
                if view.node == node { self.vouch(node, *view, "Accept") } else { Ok(()) }
            }
            PeerMessage::Assign { view, index, batch, floor } => {
                self.owns(node, *view, "assigns in")?;
                self.floor(node, "Assign", *floor)?;
                self.proposes(node, *view, *index, batch)?;
                self.vouch(node, *view, "Assign")
            }
            PeerMessage::Accepted { view, index, digest, incarnation } => {
                self.checks.count(Oracle::Proposal);
                self.log.propose(*view, *index, *digest)?;
                self.holds(node, "acknowledges", *view, *index, *digest)?;
                self.lives(node, *incarnation)?;
                self.vouch(node, *view, "Accepted")
            }
            PeerMessage::Chosen { index, digest, .. } => self.chosen(node, "tells", *index, *digest),
            PeerMessage::Heartbeat { view, floor, .. } => {
                self.owns(node, *view, "sends heartbeats of")?;
                self.vouch(node, *view, "Heartbeat")?;
                self.floor(node, "Heartbeat", *floor)
            }
            PeerMessage::Entries { leading, entries, .. } => {
                for (index, batch) in entries {
                    self.chosen(node, "hands out", *index, batch.digest())?;
                }
                leading.as_deref().map_or(Ok(()), |(_, floor)| self.floor(node, "Entries", *floor))
            }
            PeerMessage::Diverged { index, state_hash } => self.is_state(node, "vouches for", *index, *state_hash),
            PeerMessage::HeartbeatAck { view, checkpoint, .. } => {
                self.follows(node, *view, checkpoint.as_deref().copied())
            }
            PeerMessage::HighWater { high, floor, .. } => {
                let at = self.events;
                self.member(node).told.extend(to.iter().map(|reader| (reader, at)));
                self.floor(node, "HighWater", *floor)?;
                self.covers(node, *high)
            }
            PeerMessage::ReadIndex { index: Some(index), .. } => self.refers(node, to, *index),
            // A promise named here only makes the receiver ask above it: nothing rests on its being durable.
            PeerMessage::CanvassReply { .. } | PeerMessage::Reject { .. } => Ok(()),
            PeerMessage::Forward { batch, .. } => self.batch(node, batch),
            PeerMessage::SnapshotOffer { seal } => self.offers(node, seal),
            PeerMessage::SnapshotChunk { seal, .. } => self.offers(node, seal),
            PeerMessage::Refused { .. }
            | PeerMessage::ReadIndexAsk { .. }
            | PeerMessage::ReadIndex { index: None, .. }
            | PeerMessage::Fetch { .. }
            | PeerMessage::Forwarded { .. }
            | PeerMessage::Barrier { .. }
            | PeerMessage::SnapshotAsk { .. }
            | PeerMessage::SnapshotAck { .. } => Ok(()),
        }
    }

    /// A snapshot, or a part of it, goes out.
    fn offers(&mut self, node: NodeId, seal: &SnapshotSeal) -> Result<(), Finding> {
        self.compacted(node, "offers", seal.index)?;
        self.is_state(node, "offers", seal.index, seal.state_hash)
    }

    /// A heartbeat is acknowledged.
    fn follows(&mut self, node: NodeId, view: View, checkpoint: Option<(Index, u64)>) -> Result<(), Finding> {
        let at = self.events;
        self.member(node).followed.insert(view.node, (view, at));
        if let Some((index, state_hash)) = checkpoint {
            self.is_state(node, "reports", index, state_hash)?;
        }
        self.vouch(node, view, "HeartbeatAck")
    }

    /// A batch goes out to be accepted.
    fn proposes(&mut self, node: NodeId, view: View, index: Index, batch: &Batch) -> Result<(), Finding> {
        self.batch(node, batch)?;
        self.checks.count(Oracle::Proposal);
        self.log.propose(view, index, batch.digest())?;
        self.carries(index, batch)
    }

    fn hello(&mut self, node: NodeId, hello: &Hello) -> Result<(), Finding> {
        self.lives(node, hello.incarnation)?;
        let nonce = *self.member(node).nonce.get_or_insert(hello.nonce);
        if nonce != hello.nonce {
            return Err((
                Oracle::Leadership,
                format!("{node} says it runs on disk {}, before on {nonce}", hello.nonce),
            ));
        }
        Ok(())
    }

    fn promise(&mut self, node: NodeId, promise: &Promise) -> Result<(), Finding> {
        self.vouch(node, promise.view, "Promise")?;
        self.floor(node, "Promise", promise.floor)?;
        self.checks.count(Oracle::Recovery);
        let told = promise.entries.iter().map(|entry| Told {
            index: entry.index,
            accepted: entry.accepted.as_ref().map(|(view, batch)| (*view, batch.digest())),
            committed: entry.committed,
            unknown: entry.unknown,
            certain: entry.certain,
        });
        self.compacted(node, "promises", promise.compacted_below)?;
        // What is up to its floor is told as a whole; what was accepted in its own view or above came after it.
        let from = promise.from.max(promise.floor.max(promise.compacted_below).next());
        let until = self.member(node).life.promised_at(promise.view);
        let answer = Answer { from, to: promise.to, below: promise.view, until, loss: promise.loss };
        self.tells(node, answer, told, "promises")?;
        for entry in &promise.entries {
            let Some((view, batch)) = &entry.accepted else { continue };
            if entry.committed {
                self.chosen(node, "promises", entry.index, batch.digest())?;
            } else {
                self.holds(node, "promises", *view, entry.index, batch.digest())?;
            }
        }
        Ok(())
    }

    /// Checks what a node tells, in ascending order, against what is durable there.
    pub(super) fn tells(
        &self,
        node: NodeId,
        answer: Answer,
        told: impl Iterator<Item = Told>,
        does: &str,
    ) -> Result<(), Finding> {
        let mut told = told.peekable();
        let end = answer.to.min(self.log.last().next());
        for index in (answer.from.0..end.0).map(Index) {
            while told.next_if(|entry| entry.index < index).is_some() {}
            let entry = told.next_if(|entry| entry.index == index);
            let accepted = self.log.accepted(node, index, answer.below);
            let committed = self.members[usize::from(node.0)].committed_by(index, answer.until);
            let held = Held { accepted, committed };
            if !held.is_told_by(entry, answer.loss) {
                let told = describe(entry);
                return Err((Oracle::Recovery, format!("{node} {does} {index} as {told}; durable is {held}")));
            }
        }
        Ok(())
    }

    /// A node says that its log goes no farther than `high`.
    fn covers(&mut self, node: NodeId, high: Index) -> Result<(), Finding> {
        self.checks.count(Oracle::Read);
        let mut above = (high.next().0..self.log.last().next().0).map(Index);
        match above.find(|index| self.log.accepted(node, *index, EVERY_VIEW).is_some()) {
            None => Ok(()),
            Some(index) => {
                Err((Oracle::Read, format!("{node} says that its log ends at {high}; it has accepted {index} durably")))
            }
        }
    }

    fn batch(&mut self, node: NodeId, batch: &Batch) -> Result<(), Finding> {
        let commands = batch.len();
        self.bounded(node, "batch", commands, self.options.max_batch)?;
        let bytes = batch.bytes().len().saturating_sub(commands.saturating_mul(REQUEST_OVERHEAD));
        // One request larger than the limit gets a batch of its own.
        let limit = if commands > 1 { self.options.max_batch_bytes + BATCH_HEAD } else { usize::MAX };
        self.bounded(node, "batch bytes", bytes, limit)
    }

    fn carries(&mut self, index: Index, batch: &Batch) -> Result<(), Finding> {
        if batch.is_empty() || !self.exclusive {
            return Ok(());
        }
        self.checks.count(Oracle::Exclusivity);
        self.log.carry(index, batch.digest())
    }

    // ---- Answers to clients.

    pub(super) fn check_reply(
        &mut self,
        node: NodeId,
        connection: ConnectionId,
        response: &ClientResponse,
    ) -> Result<(), Finding> {
        match response {
            ClientResponse::Read { tag, .. } => self.read(node, connection, *tag),
            ClientResponse::Refused { request: RequestKey::Tag(tag), .. } => {
                self.member(node).life.refuse(connection, *tag);
                Ok(())
            }
            ClientResponse::Written { session, sequence, revision, payload } => {
                self.checks.count(Oracle::Once);
                let reply = (*revision, xxh3_64(payload));
                let Some(effect) = self.effects.get_mut(&(*session, *sequence)) else {
                    return Err((
                        Oracle::Once,
                        format!("{node} answers request {sequence} of {session}, which never took effect"),
                    ));
                };
                let first = *effect.reply.get_or_insert(reply);
                let index = effect.index;
                if first != reply {
                    return Err((
                        Oracle::Once,
                        format!(
                            "{node} answers request {sequence} of {session} differently than it was answered before"
                        ),
                    ));
                }
                self.answers(node, index)
            }
            ClientResponse::Registered { session, .. } => self.answers(node, session.index),
            _ => Ok(()),
        }
    }

    /// A read is answered, in one of the modes in which it was asked for.
    fn read(&mut self, node: NodeId, connection: ConnectionId, tag: u64) -> Result<(), Finding> {
        self.checks.count(Oracle::Read);
        let mut last = None;
        for asked in self.member(node).life.asked(connection, tag) {
            let found = match asked.mode {
                // The history of what clients were told shows whether such a state ever was.
                ReadMode::Stale => Ok(()),
                ReadMode::Participant => {
                    let otherwise = || self.confirmed(node, asked).or_else(|_| self.referred(node, asked));
                    self.surveyed(node, asked).or_else(|why| otherwise().map_err(|_| why))
                }
                ReadMode::Leader => {
                    self.confirmed(node, asked).or_else(|why| self.referred(node, asked).map_err(|_| why))
                }
            };
            if found.is_ok() {
                self.member(node).life.answer(connection, tag, asked);
                return Ok(());
            }
            last = Some(found);
        }
        let unasked = || (Oracle::Read, format!("{node} answers read {tag} of {connection}, which nobody asked"));
        last.unwrap_or_else(|| Err(unasked()))
    }

    /// Whoever answers a linearizable read has executed what anybody had when it arrived.
    fn sees(&self, node: NodeId, asked: AskedRead) -> Result<(), Finding> {
        let (applied, executed) = (self.members[usize::from(node.0)].life.applied, asked.executed);
        if applied >= executed {
            return Ok(());
        }
        Err((
            Oracle::Read,
            format!("{node} answers a read from the state after {applied}; {executed} was executed when it arrived"),
        ))
    }

    /// After a participant read arrived, a recovery quorum told its reader how far their logs go. A leader may also
    /// have confirmed it like a read of its own, or one that arrived at a participant.
    fn surveyed(&self, node: NodeId, asked: AskedRead) -> Result<(), Finding> {
        self.sees(node, asked)?;
        let tells = |id: &NodeId| {
            *id == node || self.members[usize::from(id.0)].told.get(&node).is_some_and(|at| *at > asked.at)
        };
        let told: NodeSet = self.quorums.members().iter().filter(tells).collect();
        if self.quorums.recover(told) {
            return Ok(());
        }
        Err((Oracle::Read, format!("{node} answers a participant read; only {told} told how far their logs go")))
    }

    /// Whoever led when a read arrived may have been replaced unnoticed since its last heartbeat; it had not if, after
    /// that, a replication quorum still followed it, or it had a lease.
    fn confirmed(&self, node: NodeId, asked: AskedRead) -> Result<(), Finding> {
        self.sees(node, asked)?;
        let Some(view) = self.members[usize::from(node.0)].life.led else {
            return Err((Oracle::Read, format!("{node} answers a read without ever having led")));
        };
        if self.members[usize::from(node.0)].life.leased.is_some_and(|at| at >= asked.at) {
            return Ok(());
        }
        let follows = |id: &NodeId| {
            let last = self.members[usize::from(id.0)].followed.get(&node);
            *id == node || last.is_some_and(|(followed, at)| *followed == view && *at > asked.at)
        };
        let followers: NodeSet = self.quorums.members().iter().filter(follows).collect();
        if self.quorums.replicate(followers) {
            return Ok(());
        }
        Err((Oracle::Read, format!("{node} answers a read in {view} that only {followers} followed since it arrived")))
    }

    /// A leader tells members up to where their reads must see: those that had arrived before a replication quorum last
    /// followed it, or before it last relied on its lease.
    fn refers(&mut self, node: NodeId, to: NodeSet, index: Index) -> Result<(), Finding> {
        self.checks.count(Oracle::Read);
        let Some(view) = self.member(node).life.led else {
            return Err((Oracle::Read, format!("{node} tells {to} to read up to {index} without ever having led")));
        };
        let followed = |id: &NodeId| match self.members[usize::from(id.0)].followed.get(&node) {
            _ if *id == node => Some(self.events),
            Some((followed, at)) if *followed == view => Some(*at),
            _ => None,
        };
        let everyone: Vec<(NodeId, u64)> =
            self.quorums.members().iter().filter_map(|id| Some((id, followed(&id)?))).collect();
        let since = |event: u64| everyone.iter().filter(|(_, at)| *at >= event).map(|(id, _)| *id).collect::<NodeSet>();
        let by_round = everyone.iter().map(|(_, at)| *at).filter(|at| self.quorums.replicate(since(*at))).max();
        let by_lease = self.members[usize::from(node.0)].life.leased;
        let Some(event) = by_round.max(by_lease) else {
            return Err((Oracle::Read, format!("{node} tells {to} to read up to {index}, and nobody follows it")));
        };
        for reader in to.iter() {
            let life = &mut self.member(reader).life;
            life.referred = life.referred.max(event);
        }
        Ok(())
    }

    /// After a read arrived at a participant, a leader was confirmed, and told how far it must see.
    fn referred(&self, node: NodeId, asked: AskedRead) -> Result<(), Finding> {
        self.sees(node, asked)?;
        if asked.at < self.members[usize::from(node.0)].life.referred {
            return Ok(());
        }
        Err((Oracle::Read, format!("{node} answers a read that no leader has confirmed since it arrived")))
    }

    /// A leader takes a read that has just arrived as confirmed by its lease. What clocks have to do with it is not
    /// looked at, only what a lease is for: nobody else may lead by now.
    pub(super) fn leases(&mut self, node: NodeId) -> Result<(), Finding> {
        self.checks.count(Oracle::Read);
        let Some(view) = self.member(node).life.led.filter(|_| self.lease) else {
            return Err((Oracle::Read, format!("{node} relies on a lease that it cannot have")));
        };
        let at = self.events;
        self.member(node).life.leased = Some(at);
        let lost = |id: &NodeId| self.members[usize::from(id.0)].promised > view;
        let lost: NodeSet = self.quorums.members().iter().filter(lost).collect();
        if !self.quorums.recover(lost) {
            return Ok(());
        }
        Err((Oracle::Read, format!("{node} relies on a lease of {view}; {lost} have promised higher views")))
    }

    /// A reply that says what the log did up to `index`.
    fn answers(&mut self, node: NodeId, index: Index) -> Result<(), Finding> {
        self.checks.count(Oracle::Commit);
        let (applied, prefix) = (self.member(node).life.applied, self.log.prefix());
        if index <= applied.min(prefix) {
            return Ok(());
        }
        Err((
            Oracle::Commit,
            format!("{node} answers what {index} did; it has executed up to {applied}, chosen is up to {prefix}"),
        ))
    }
}

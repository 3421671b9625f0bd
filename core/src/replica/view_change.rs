//! Who leads: asking around (`Canvass`), asking for promises (`Prepare`, `Promise`), and what a higher promise
//! elsewhere means (`Reject`).
//!
//! # Why it is safe
//! A view is owned by the node it names, and a node opens only views above everything it has promised; the promise of
//! its own view is durable before `Prepare` leaves, so no view is led twice, not even after a crash. A promise binds in
//! memory at once (from then on lower Accepts are refused) and is answered only when it and all acceptances journalled
//! before it are durable (H4): an acceptance in flight is either in the answer or refused. `Prepare` is answered in
//! chunks that name what they cover; each is complete for views below the promised one whenever it is made, because
//! nothing below can be accepted any more. What to propose is decided by [`super::choice`] alone.
//!
//! # Why it is live
//! A canvass changes nothing. It goes on only if the repliers that also miss their leader contain a recovery quorum (a
//! half-connected node cannot depose a healthy leader) and all repliers contain a replication quorum (nobody leads who
//! could choose nothing). A leader that is told of a higher promise while a replication quorum still follows it moves
//! itself above it, at most once per election timeout: a stale `Prepare` never deposes, and a replica stranded on a
//! high promise is brought back (H16).
//!
//! # What a client may suggest
//! A client that gets nothing done may suggest a view change. It is a hint to canvass before the election timer says
//! so, and cannot harm, whoever sends it and however often:
//! - A follower heeds it only when its leader has been silent for [`MISSED_HEARTBEATS`], or, where it knows of no
//!   leader, for an election timeout since it last promised anything: a candidate at work is left alone.
//! - The canvass that follows needs what every canvass needs: a recovery quorum that misses its leader. Whoever heard
//!   it lately, and was not told the same by a client in the same silence, does not. So a leader whose heartbeats
//!   arrive is deposed by no number of clients, and one that is gone is replaced sooner: the hint takes away the wait
//!   that chance adds to the election timeout, or, where clients try all members, most of that timeout.
//! - Only a follower heeds it, and by that becomes a canvasser until it hears a leader or its own timer is due. So it
//!   is heeded once in so long a silence, that is at most once in that many heartbeats, and costs a message to each
//!   peer.
//! - It leaves the election timer as it is, and does not overrule a lease. Clients are still sent to the leader last
//!   heard, for it may be there: a hint proves nothing.

use super::{
    Replica, Role,
    assignment::Leader,
    choice::{Answer, Decision, decide, tail_is_clear},
    jitter,
    log::GAP_MAX,
    turn::{Effect, Turn},
};
use crate::{
    ids::{Index, NodeId, NodeSet, View},
    interface::{Ignored, Learned, Note, StepDown},
    journal::Record,
    message::{PeerMessage, Promise},
    time::Time,
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::mem;

/// Most entries in one chunk of a promise.
const CHUNK_ENTRIES: usize = 128;
/// Most payload bytes in one chunk, but for a single larger entry.
const CHUNK_BYTES: usize = 1 << 20;

/// After so many heartbeats without a sign of its leader a follower heeds a client's hint.
const MISSED_HEARTBEATS: u64 = 3;

/// Asking whether a view would find promises.
#[derive(Clone, Debug)]
pub(super) struct Canvass {
    view: View,
    /// Who answered and misses its leader too; this node included.
    missing: NodeSet,
    /// Who answered; this node included.
    replied: NodeSet,
}

/// Collecting promises.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) view: View,
    /// Whether the view is durable here, so that promises may be asked for.
    durable: bool,
    /// First index asked about.
    from: Index,
    /// Everything up to here was known to be chosen before anyone was asked.
    known: Index,
    answers: BTreeMap<NodeId, Answer>,
}

impl Replica {
    // ---- Canvass.

    /// Nobody was heard for an election timeout, or the last attempt came to nothing.
    pub(super) fn election_due(&mut self, turn: &mut Turn) {
        if let Role::Candidate(_) = self.role {
            self.become_follower(turn, StepDown::TimedOut);
        }
        self.put_off_election(turn);
        // Clients must not be sent after a leader that is not there.
        self.following = None;
        let bound = self.bound_until(self.me);
        if turn.now < bound {
            // A lease that this node granted may be relied on, so it cannot promise a view of its own. All followers
            // were bound by the same heartbeat: they must not all stand at once.
            self.election_at = bound + jitter(turn.rng, self.options.heartbeat);
            return;
        }
        // A node whose disk does not answer could not make its view durable, and one that has lost its state could
        // execute nothing.
        if !self.disk_stalls(turn) && !self.has_lost_state() {
            self.canvass(turn);
        }
    }

    /// A client gets nothing done, and hints that a leader is to be looked for.
    pub fn suggested(&mut self, turn: &mut Turn) {
        let patience = match self.following {
            Some(_) => self.options.heartbeat.times(MISSED_HEARTBEATS),
            None => self.options.election_timeout,
        };
        let heeded = self.is_running()
            && matches!(self.role, Role::Follower)
            && turn.now.since(self.quiet_since) >= patience
            && turn.now >= self.bound_until(self.me)
            && !self.disk_stalls(turn)
            && !self.has_lost_state();
        turn.note(Note::Suggested { heeded });
        if heeded {
            self.canvass(turn);
        }
    }

    fn canvass(&mut self, turn: &mut Turn) {
        let view = View { round: self.highest_round + 1, node: self.me };
        let me = NodeSet::only(self.me);
        self.become_canvassing(Canvass { view, missing: me, replied: me });
        turn.note(Note::Canvassed { view });
        turn.send(self.others(), PeerMessage::Canvass { view });
        self.conclude_canvass(turn);
    }

    pub(super) fn canvass_asked(&mut self, turn: &mut Turn, from: NodeId, view: View) {
        if view.node != from {
            return turn.ignore(Ignored::Impostor);
        }
        let missing_leader = self.misses_leader(turn.now) && turn.now >= self.bound_until(from);
        let reply = PeerMessage::CanvassReply { view, missing_leader, promised: self.promised };
        turn.send(NodeSet::only(from), reply);
    }

    pub(super) fn canvass_answered(
        &mut self,
        turn: &mut Turn,
        from: NodeId,
        view: View,
        missing_leader: bool,
        promised: View,
    ) {
        self.highest_round = self.highest_round.max(promised.round);
        let Role::Canvassing(canvass) = &mut self.role else {
            return turn.ignore(Ignored::Unasked);
        };
        if canvass.view != view {
            return turn.ignore(Ignored::Unasked);
        }
        if promised > view {
            // The view in mind is taken: ask again above it. Each time the round grows to at least the one named.
            return self.canvass(turn);
        }
        canvass.replied.insert(from);
        if missing_leader {
            canvass.missing.insert(from);
        }
        self.conclude_canvass(turn);
    }

    fn conclude_canvass(&mut self, turn: &mut Turn) {
        let Role::Canvassing(canvass) = &self.role else { return };
        let quorums = self.configuration_ahead().quorums();
        if quorums.has_recovery_quorum(canvass.missing) && quorums.has_replication_quorum(canvass.replied) {
            self.stand(turn, canvass.view);
        }
    }

    /// Whether this node, too, hears from no leader. A leader misses itself when no replication quorum answers it.
    fn misses_leader(&self, now: Time) -> bool {
        match &self.role {
            Role::Leader(leader) => !self.has_followers(leader, now),
            Role::Candidate(_) | Role::Canvassing(_) => true,
            Role::Follower => self.following.is_none() || now.since(self.contact) >= self.options.election_timeout,
        }
    }

    // ---- Candidate.

    /// Makes `view`, one of this node's own, durable, to ask promises for it.
    pub(super) fn stand(&mut self, turn: &mut Turn, view: View) {
        assert!(view > self.promised, "a view is opened once, above every promise");
        assert!(turn.now >= self.bound_until(self.me), "nobody stands against a leader that may hold a lease");
        let from = self.log.floor().next();
        self.bind(turn, view);
        self.reads.confirm_again();
        self.referrals.confirm_again();
        let known = self.learner.known_floor(&self.log);
        self.become_candidate(Candidate { view, durable: false, from, known, answers: BTreeMap::new() });
        self.put_off_election(turn);
        self.withheld.push(turn.journal, || Effect::Candidacy { view });
    }

    pub(super) fn candidacy_durable(&mut self, turn: &mut Turn, view: View) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        if candidate.view != view {
            return;
        }
        candidate.durable = true;
        let from = candidate.from;
        turn.note(Note::Candidate { view });
        turn.send(self.others(), PeerMessage::Prepare { view, from });
        self.conclude_promises(turn);
    }

    /// Asks those again who have not told everything.
    pub(super) fn retry_promises(&mut self, turn: &mut Turn) {
        let Role::Candidate(candidate) = &self.role else { return };
        if !candidate.durable {
            return;
        }
        for peer in self.others().iter() {
            let answer = candidate.answers.get(&peer);
            if !answer.is_some_and(|answer| answer.complete) {
                let from = answer.map_or(candidate.from, |answer| answer.covered);
                turn.send(NodeSet::only(peer), PeerMessage::Prepare { view: candidate.view, from });
            }
        }
    }

    pub(super) fn promise_received(&mut self, turn: &mut Turn, from: NodeId, promise: Promise) {
        let reach = self.log.last().plus(GAP_MAX);
        let Role::Candidate(candidate) = &mut self.role else {
            return turn.ignore(Ignored::Unasked);
        };
        if candidate.view != promise.view || !candidate.durable {
            return turn.ignore(Ignored::Unasked);
        }
        if promise.end > reach {
            // Too far behind to lead: fetch first, while this candidacy times out.
            self.learner.hear_of(promise.floor);
            return turn.ignore(Ignored::OutOfRange);
        }
        let first = candidate.from;
        let answer = candidate.answers.entry(from).or_insert_with(|| Answer { covered: first, ..Answer::default() });
        if answer.complete || promise.from != answer.covered {
            return turn.ignore(Ignored::Duplicate);
        }
        let in_range = |index: Index| index >= promise.from && index < promise.to;
        if promise.to < promise.from || promise.entries.iter().any(|entry| !in_range(entry.index)) {
            return turn.ignore(Ignored::OutOfRange);
        }
        answer.covered = promise.to;
        answer.end = answer.end.max(promise.end);
        answer.floor = answer.floor.max(promise.floor);
        answer.compacted_below = answer.compacted_below.max(promise.compacted_below);
        answer.loss |= promise.loss;
        answer.entries.extend(promise.entries.into_iter().map(|entry| (entry.index, entry)));
        answer.complete = answer.covered >= answer.end;
        if answer.complete {
            self.conclude_promises(turn);
        } else {
            let prepare = PeerMessage::Prepare { view: promise.view, from: promise.to };
            turn.send(NodeSet::only(from), prepare);
        }
    }

    /// Leads, if what was told by now decides every index.
    pub(super) fn conclude_promises(&mut self, turn: &mut Turn) {
        let Role::Candidate(candidate) = &self.role else { return };
        if !candidate.durable {
            return;
        }
        let (view, known) = (candidate.view, candidate.known);
        let mut answers = candidate.answers.clone();
        answers.insert(self.me, self.own_answer());
        let complete: NodeSet = answers.iter().filter(|(_, answer)| answer.complete).map(|(node, _)| *node).collect();
        let end = answers.values().filter(|answer| answer.complete).map(|answer| answer.end).max().expect("own answer");
        let mut plan = VecDeque::new();
        let mut index = self.log.floor().next();
        while index < end {
            let quorums = self.history.configuration_at(index).quorums();
            if !quorums.has_recovery_quorum(complete) {
                return;
            }
            match decide(index, quorums, known, &answers) {
                Decision::Wait => return,
                Decision::Install(node) => {
                    self.learner.hear_of(answers[&node].compacted_below);
                    return self.fetch_if_missing(turn, node);
                }
                decision => plan.push_back((index, decision)),
            }
            index = index.next();
        }
        let quorums = self.history.configuration_at(index).quorums();
        if quorums.has_recovery_quorum(complete) && tail_is_clear(quorums, &answers) {
            self.lead(turn, view, plan);
        }
    }

    /// What this node itself would promise: it has, durably.
    fn own_answer(&self) -> Answer {
        let first = self.log.floor().next();
        let end = self.log.last().next().max(first);
        let entries = (first.0..end.0).filter_map(|at| Some((Index(at), self.log.promise_entry(Index(at))?)));
        Answer {
            covered: end,
            end,
            compacted_below: self.log.base(),
            floor: self.learner.known_floor(&self.log),
            loss: self.hollow.is_some(),
            entries: entries.collect(),
            complete: true,
        }
    }

    /// Proposes the recovered range in the new view. The window opens when all of it is committed.
    fn lead(&mut self, turn: &mut Turn, view: View, plan: VecDeque<(Index, Decision)>) {
        let leader = Leader::new(view, self.log.floor().next(), plan, turn.now);
        let recovered = leader.recovered;
        self.become_leader(leader);
        turn.note(Note::Leading { view, recovered });
        self.recover(turn);
        self.heartbeat_due(turn);
    }

    /// Goes on with the recovered range: all at once, or within the window where an `Accept` commits what lies a window
    /// before it, which must then be so (H9).
    pub(super) fn recover(&mut self, turn: &mut Turn) {
        let Role::Leader(leader) = &mut self.role else { return };
        // While this goes on, what follows from it does not go on with it too.
        let mut plan = mem::take(&mut leader.plan);
        while let Some((index, _)) = plan.front()
            && (!self.history.configuration_at(*index).implicit_commit() || self.has_room())
        {
            match plan.pop_front().expect("just seen") {
                (index, Decision::Committed(batch)) => {
                    // Followers that lack it fetch it once the floor is past it.
                    self.learn_batch(turn, index, &batch, Learned::Recovered);
                    self.keep_recovered(turn.now, &batch);
                }
                (index, Decision::Propose(batch)) => self.propose_recovered(turn, index, batch),
                (_, Decision::Wait | Decision::Install(_)) => unreachable!("a plan has no open index"),
            }
        }
        let Role::Leader(leader) = &mut self.role else { unreachable!("recovering ends no view") };
        leader.plan = plan;
    }

    // ---- The other side.

    pub(super) fn prepare(&mut self, turn: &mut Turn, from: NodeId, view: View, first: Index) {
        if view.node != from {
            return turn.ignore(Ignored::Impostor);
        }
        if first == Index::ZERO {
            return turn.ignore(Ignored::OutOfRange);
        }
        if view < self.promised {
            let promised = self.promised;
            return turn.send(NodeSet::only(from), PeerMessage::Reject { view, promised });
        }
        if view > self.promised && turn.now < self.bound_until(from) {
            return turn.ignore(Ignored::Leased);
        }
        if let Role::Leader(leader) = &self.role
            && view > self.promised
            && self.has_followers(leader, turn.now)
        {
            // Its sender canvassed before this leader was heard, or long ago. Promising would depose a healthy leader.
            return self.told_of_higher_promise(turn, view);
        }
        self.adopt(turn, view, None);
        if self.withheld.is_full() {
            return turn.ignore(Ignored::NotRunning);
        }
        let message = PeerMessage::Promise(Box::new(self.promise_chunk(view, first)));
        self.withheld.push(turn.journal, || Effect::Send { to: from, message: Box::new(message) });
    }

    fn promise_chunk(&self, view: View, from: Index) -> Promise {
        let end = self.log.last().next().max(from);
        let mut entries = Vec::new();
        let mut bytes = 0;
        // What is compacted is covered by saying so.
        let mut to = from.max(self.log.base().next()).min(end);
        while to < end && entries.len() < CHUNK_ENTRIES && bytes < CHUNK_BYTES {
            if let Some(entry) = self.log.promise_entry(to) {
                bytes += entry.accepted.as_ref().map_or(0, |(_, batch)| batch.bytes().len());
                entries.push(entry);
            }
            to = to.next();
        }
        Promise {
            view,
            from,
            to,
            end,
            compacted_below: self.log.base(),
            floor: self.learner.known_floor(&self.log),
            loss: self.hollow.is_some(),
            entries,
        }
    }

    pub(super) fn rejected(&mut self, turn: &mut Turn, view: View, promised: View) {
        self.highest_round = self.highest_round.max(promised.round);
        if view != self.promised || promised <= view {
            return turn.ignore(Ignored::OldView);
        }
        match &self.role {
            Role::Leader(_) => self.told_of_higher_promise(turn, promised),
            Role::Candidate(_) => {
                // Try again above it, soon but not at once: the holder of that promise may be about to lead.
                self.become_follower(turn, StepDown::HigherPromise);
                self.election_at = turn.now + self.options.heartbeat + jitter(turn.rng, self.options.election_timeout);
            }
            Role::Follower | Role::Canvassing(_) => turn.ignore(Ignored::Unasked),
        }
    }

    /// A leader goes on above a higher promise, by a full recovery, at most once per election timeout.
    pub(super) fn told_of_higher_promise(&mut self, turn: &mut Turn, promised: View) {
        self.highest_round = self.highest_round.max(promised.round);
        let Role::Leader(leader) = &self.role else { return };
        let lately = self.renewed.is_some_and(|at| turn.now.since(at) < self.options.election_timeout);
        if lately || !self.has_followers(leader, turn.now) {
            return turn.ignore(Ignored::Duplicate);
        }
        self.renewed = Some(turn.now);
        turn.note(Note::SteppedDown { view: leader.view, why: StepDown::Renewed });
        let view = View { round: self.highest_round + 1, node: self.me };
        // Requests already assigned keep their places and their clients: the recovery proposes them again.
        self.stand(turn, view);
    }

    /// Hands a committed batch to log and journal.
    pub(super) fn learn_batch(&mut self, turn: &mut Turn, index: Index, batch: &crate::batch::Batch, how: Learned) {
        let entry = self.log.at(index);
        let (was_unknown, certain) = (entry.unknown.is_some(), entry.certain);
        match self.log.learn(index, batch) {
            Err(diverged) => self.diverged(diverged),
            Ok((false, _)) => {}
            Ok((true, new_batch)) => {
                if new_batch || was_unknown || !certain {
                    turn.journal.append(Record::Committed { index, batch: batch.clone() });
                }
                if was_unknown {
                    turn.note(Note::Repaired { index });
                }
                turn.note(Note::Committed { index, digest: batch.digest(), how });
            }
        }
    }
}

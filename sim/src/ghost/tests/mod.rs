//! Teeth: every oracle is shown a sequence that it must pass, and the same with one thing wrong.

mod choice;
mod durable;

use super::*;
use ios_core::{
    batch::{Batch, BatchBuilder, Command},
    configuration::ConfigurationDraft,
    ids::{ConnectionId, Digest, DiskNonce, Incarnation},
    interface::{Learned, StepDown},
    journal::{Identity, RecoveredEntry},
    message::{Hello, Promise, PromiseEntry, Refusal, RequestKey, Unknown},
    replica::quorum::QuorumSpec,
    time::Span,
};

const N0: NodeId = NodeId(0);
const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const SESSION: SessionId = SessionId { index: Index(1), position: 0 };

fn view(round: u64, node: NodeId) -> View {
    View { round, node }
}

/// A batch that no other number gives, stamped with so many milliseconds.
fn batch(number: u64) -> Batch {
    BatchBuilder::default().finish(Time::ZERO + Span::millis(number))
}

/// A batch with a client's command in it.
fn client_batch(number: u64) -> Batch {
    let mut batch = BatchBuilder::default();
    batch.push(&Command::Register);
    batch.finish(Time::ZERO + Span::millis(number))
}

fn digest(number: u64) -> Digest {
    batch(number).digest()
}

/// Three members, majorities, a window of two, and their ghost.
struct Play {
    ghost: Ghost,
    now: Time,
}

impl Play {
    /// All members have opened for the first time.
    fn new(quorum: QuorumSpec) -> Play {
        let members = vec![N0, N1, N2];
        let (session_ttl, index_exclusivity) = (Span::secs(1), true);
        let draft = ConfigurationDraft {
            members,
            quorum,
            window: 2,
            session_ttl,
            index_exclusivity,
            ..ConfigurationDraft::default()
        };
        let configuration = Configuration::new(draft).unwrap();
        let options = Options { max_batch: 2, max_batch_bytes: 100, ..Options::default() };
        let mut play = Play { ghost: Ghost::new(&configuration, &options, 1_000), now: Time::ZERO };
        for node in [N0, N1, N2] {
            play.opens(node, View::ZERO, 1);
            play.identity(node, View::ZERO, 1);
        }
        play
    }

    /// `leader` leads `round` with the promise of `follower`.
    fn led(leader: NodeId, follower: NodeId, round: u64) -> Play {
        let mut play = Play::new(QuorumSpec::Majority);
        play.elect(leader, follower, round, Vec::new());
        play
    }

    fn elect(&mut self, leader: NodeId, follower: NodeId, round: u64, told: Vec<PromiseEntry>) {
        let view = view(round, leader);
        self.note(leader, Note::Promised { view });
        self.identity(leader, view, 1);
        self.note(leader, Note::Candidate { view });
        self.sends(leader, PeerMessage::Prepare { view, from: Index(1) });
        self.note(follower, Note::Promised { view });
        self.identity(follower, view, 1);
        self.promises(follower, view, told);
        self.note(leader, Note::Leading { view, recovered: Index::ZERO });
        self.note(leader, Note::WindowOpened { view, floor: Index::ZERO });
    }

    fn note(&mut self, node: NodeId, note: Note) {
        self.ghost.note(self.now, node, &note);
    }

    fn sends(&mut self, node: NodeId, message: PeerMessage) {
        let others = [N0, N1, N2].into_iter().filter(|other| *other != node).collect();
        self.ghost.sent(self.now, node, others, &message);
    }

    fn durable(&mut self, node: NodeId, fact: Fact) {
        self.ghost.durable(self.now, node, &fact);
    }

    fn identity(&mut self, node: NodeId, promised: View, incarnation: u64) {
        self.durable(node, Fact::Identity(identity(node, promised, incarnation)));
    }

    fn opens(&mut self, node: NodeId, promised: View, incarnation: u64) {
        let incarnation = Incarnation(incarnation);
        self.note(node, Note::Opened { incarnation, promised, unknown: 0, loss: false });
    }

    fn stores(&mut self, node: NodeId, view: View, index: u64, number: u64) {
        self.durable(node, Fact::Accepted { view, index: Index(index), digest: digest(number) });
    }

    fn assigns(&mut self, view: View, index: u64, number: u64) {
        let (index, digest) = (Index(index), digest(number));
        self.note(view.node, Note::Assigned { view, index, digest, recovered: false });
        self.accept(view, index.0, number, 0);
    }

    fn accept(&mut self, view: View, index: u64, number: u64, floor: u64) {
        let (index, floor, batch) = (Index(index), Index(floor), batch(number));
        self.sends(view.node, PeerMessage::Accept { view, index, batch, floor, coordinator: view.node });
    }

    fn acknowledges(&mut self, node: NodeId, view: View, index: u64, number: u64) {
        let (index, digest) = (Index(index), digest(number));
        self.sends(node, PeerMessage::Accepted { view, index, digest, incarnation: Incarnation(1) });
    }

    fn promises(&mut self, node: NodeId, view: View, entries: Vec<PromiseEntry>) {
        self.sends(node, PeerMessage::Promise(Box::new(promise(view, entries))));
    }

    /// Assigned by n0 in 1.n0 and stored by it and n1.
    fn chooses(&mut self, index: u64, number: u64) {
        let view = view(1, N0);
        self.assigns(view, index, number);
        self.stores(N0, view, index, number);
        self.stores(N1, view, index, number);
    }

    fn commits(&mut self, node: NodeId, index: u64, number: u64) {
        let (index, digest) = (Index(index), digest(number));
        self.note(node, Note::Committed { index, digest, how: Learned::Counted });
    }

    fn applies(&mut self, node: NodeId, index: u64, number: u64, log_time: Span, state_hash: u64) {
        let (index, digest, log_time) = (Index(index), digest(number), Time::ZERO + log_time);
        self.note(node, Note::Applied { index, digest, log_time, state_hash });
    }

    fn executes(&mut self, node: NodeId, index: u64, position: u32, sequence: u64) {
        let sequence = Sequence(sequence);
        self.note(node, Note::Executed { index: Index(index), position, session: SESSION, sequence });
    }

    fn answers(&mut self, node: NodeId, sequence: u64, revision: u64) {
        let (sequence, revision) = (Sequence(sequence), Revision(revision));
        let response = ClientResponse::Written { session: SESSION, sequence, revision, payload: "ok".into() };
        self.ghost.replied(self.now, node, ConnectionId(0), &response);
    }

    /// Nothing was found wrong.
    fn fine(&self) {
        assert_eq!(self.ghost.violation(), None);
    }

    /// This oracle, and no other before it, found something wrong.
    fn found(&self, oracle: Oracle, text: &str) {
        let violation = self.ghost.violation().expect("something is wrong");
        assert_eq!(violation.oracle, oracle, "{violation}");
        assert!(violation.text.contains(text), "{violation}");
        assert!(self.ghost.checks().get(oracle) > 0 || oracle == Oracle::Window, "{oracle} counts its looks");
    }
}

fn identity(node: NodeId, promised: View, incarnation: u64) -> Identity {
    let (nonce, incarnation) = (DiskNonce(u128::from(node.0)), Incarnation(incarnation));
    Identity { node, nonce, incarnation, promised, genesis: 0, founded: None }
}

fn promise(view: View, entries: Vec<PromiseEntry>) -> Promise {
    Promise {
        view,
        from: Index(1),
        to: Index(10),
        end: Index(10),
        compacted_below: Index::ZERO,
        floor: Index::ZERO,
        loss: false,
        entries,
    }
}

fn entry(index: u64, accepted: Option<(View, u64)>) -> PromiseEntry {
    let accepted = accepted.map(|(view, number)| (view, batch(number)));
    PromiseEntry { index: Index(index), accepted, committed: false, unknown: None, certain: true }
}

#[test]
fn an_ordinary_life_is_fine_and_every_oracle_has_looked() {
    let mut play = Play::led(N0, N1, 1);
    let (mine, view) = (1, view(1, N0));
    play.chooses(1, mine);
    play.note(N0, Note::Accepted { view, index: Index(1), digest: digest(mine) });
    play.acknowledges(N1, view, 1, mine);
    play.note(N0, Note::Chosen { view, index: Index(1), digest: digest(mine) });
    play.commits(N0, 1, mine);
    play.executes(N0, 1, 0, 1);
    play.applies(N0, 1, mine, Span::millis(1), 7);
    play.answers(N0, 1, 1);
    play.ghost.asked(N0, ConnectionId(0), &ClientRequest::Read { tag: 1, payload: "".into() });
    play.sends(N0, PeerMessage::Heartbeat { view, round: 1, floor: Index(1) });
    play.sends(N1, PeerMessage::HeartbeatAck { view, round: 1, hollow_until: None, checkpoint: None });
    let answer = ClientResponse::Read { tag: 1, revision: Revision(1), payload: "".into() };
    play.ghost.replied(play.now, N0, ConnectionId(0), &answer);
    play.sends(N0, PeerMessage::Chosen { view, index: Index(1), digest: digest(mine) });
    play.sends(N0, PeerMessage::Assign { view, index: Index(2), batch: client_batch(2), floor: Index(1) });
    let nonce = (Incarnation(1), 1);
    let entries = vec![(Index(1), batch(mine))];
    play.sends(N0, PeerMessage::Entries { nonce, leading: Some(Box::new((view, Index(1)))), entries });
    play.durable(N2, Fact::Committed { index: Index(1), digest: digest(mine) });
    play.durable(N2, Fact::Floor { index: Index(1) });
    play.executes(N2, 1, 0, 1);
    play.applies(N2, 1, mine, Span::millis(1), 7);
    play.note(N2, Note::Repeated { session: SESSION, sequence: Sequence(1) });
    play.note(N0, Note::SteppedDown { view, why: StepDown::Stopping });
    play.fine();
    let taken = Taken { index: Index(1), position: 0, session: SESSION, sequence: Sequence(1) };
    assert_eq!(play.ghost.order(), [taken]);
    assert_eq!(play.ghost.chosen_prefix(), Index(1));
    for (oracle, looks) in play.ghost.checks().iter() {
        let at_the_end = [Oracle::Linearizability, Oracle::Liveness, Oracle::Health, Oracle::Encoding];
        let elsewhere = at_the_end.contains(&oracle) || oracle == Oracle::Determinism;
        assert!(looks > 0 || elsewhere, "{oracle} never looked");
    }
}

//! Teeth: every oracle is shown a sequence that it must pass, and the same with one thing wrong.

use super::*;
use ios_core::{
    batch::BatchBuilder,
    configuration::ConfigurationDraft,
    ids::DiskNonce,
    interface::{Learned, StepDown},
    journal::{Identity, RecoveredEntry},
    message::{PromiseEntry, Unknown},
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
    BatchBuilder::new(Time::ZERO + Span::millis(number), 0).finish()
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
        let draft = ConfigurationDraft { members, quorum, window: 2, session_ttl: Span::secs(1), ..Default::default() };
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
        self.sends(node, PeerMessage::Promise(promise(view, entries)));
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
        self.ghost.replied(self.now, node, &response);
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
    play.sends(N0, PeerMessage::Heartbeat { view, round: 1, floor: Index(1) });
    play.sends(N1, PeerMessage::HeartbeatAck { view, round: 1, hollow_until: None });
    play.sends(N0, PeerMessage::Chosen { view, index: Index(1), digest: digest(mine) });
    let nonce = (Incarnation(1), 1);
    let entries = vec![(Index(1), batch(mine))];
    play.sends(N0, PeerMessage::Entries { nonce, leading: Some((view, Index(1))), entries });
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

#[test]
fn two_batches_of_one_view_and_index_are_found() {
    for (number, good) in [(1, true), (2, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.assigns(view(1, N0), 1, 1);
        play.accept(view(1, N0), 1, number, 0);
        if good { play.fine() } else { play.found(Oracle::Proposal, "1.n0 stands for") }
    }
}

#[test]
fn a_promise_that_is_not_durable_is_found_in_whatever_relies_on_it() {
    let higher = view(2, N1);
    let relies = [
        PeerMessage::Promise(promise(higher, Vec::new())),
        PeerMessage::HeartbeatAck { view: higher, round: 1, hollow_until: None },
        PeerMessage::Prepare { view: higher, from: Index(1) },
        PeerMessage::Heartbeat { view: higher, round: 1, floor: Index::ZERO },
        PeerMessage::Accept { view: higher, index: Index(1), batch: batch(1), floor: Index::ZERO, coordinator: N1 },
    ];
    for message in relies {
        for good in [true, false] {
            let mut play = Play::new(QuorumSpec::Majority);
            play.note(N1, Note::Promised { view: higher });
            if good {
                play.identity(N1, higher, 1);
            }
            play.sends(N1, message.clone());
            if good { play.fine() } else { play.found(Oracle::Promise, "only the promise of 0.n0 is durable") }
        }
    }
}

#[test]
fn a_promise_that_goes_back_is_found_in_memory_and_over_a_restart() {
    let (low, high) = (view(1, N1), view(2, N0));
    for (next, good) in [(view(3, N0), true), (low, false)] {
        let mut play = Play::new(QuorumSpec::Majority);
        play.note(N1, Note::Promised { view: high });
        play.note(N1, Note::Promised { view: next });
        if good { play.fine() } else { play.found(Oracle::Promise, "after 2.n0") }
    }
    for (promised, incarnation, text) in [(high, 2, ""), (low, 2, "2.n0 was durable"), (high, 1, "incarnation 1")] {
        let mut play = Play::new(QuorumSpec::Majority);
        play.identity(N1, high, 1);
        play.opens(N1, promised, incarnation);
        if text.is_empty() { play.fine() } else { play.found(Oracle::Promise, text) }
    }
}

#[test]
fn a_life_that_is_not_durable_is_found_when_it_speaks() {
    for (durable, good) in [(2, true), (1, false)] {
        let mut play = Play::new(QuorumSpec::Majority);
        play.opens(N1, View::ZERO, 2);
        play.identity(N1, View::ZERO, durable);
        let (nonce, incarnation) = (DiskNonce(1), Incarnation(2));
        let hello = Hello {
            versions: (1, 1),
            node: N1,
            nonce,
            incarnation,
            founded: None,
            complete: false,
            genesis: 0,
            answer: true,
        };
        play.sends(N1, PeerMessage::Hello(hello));
        if good { play.fine() } else { play.found(Oracle::Promise, "speaks as incarnation 2") }
    }
}

#[test]
fn an_acceptance_below_a_given_promise_is_found_and_one_from_before_is_not() {
    for good in [true, false] {
        let mut play = Play::led(N0, N1, 1);
        let (old, new) = (view(1, N0), view(2, N2));
        play.assigns(old, 1, 1);
        let before = vec![entry(1, Some((old, 1)))];
        if good {
            play.stores(N1, old, 1, 1);
        }
        play.note(N1, Note::Promised { view: new });
        play.identity(N1, new, 1);
        play.promises(N1, new, if good { before } else { Vec::new() });
        // A tail that is rewritten after a restart says nothing new.
        play.stores(N1, old, 1, 1);
        if good { play.fine() } else { play.found(Oracle::Acceptance, "after it has vouched for 2.n2") }
    }
}

#[test]
fn an_acceptance_is_found_that_is_told_or_counted_before_it_is_durable() {
    for counted in [true, false] {
        for good in [true, false] {
            let mut play = Play::led(N0, N1, 1);
            let view = view(1, N0);
            play.assigns(view, 1, 1);
            let node = if counted { N0 } else { N1 };
            if good {
                play.stores(node, view, 1, 1);
            }
            if counted {
                play.note(N0, Note::Accepted { view, index: Index(1), digest: digest(1) });
            } else {
                play.acknowledges(N1, view, 1, 1);
            }
            if good { play.fine() } else { play.found(Oracle::Durability, "not durable there") }
        }
    }
}

#[test]
fn a_batch_held_from_another_view_stands_in_only_once_it_is_chosen() {
    for good in [true, false] {
        let mut play = Play::led(N0, N1, 1);
        let (old, new) = (view(1, N0), view(2, N2));
        play.assigns(old, 1, 1);
        play.stores(N1, old, 1, 1);
        if good {
            play.stores(N0, old, 1, 1);
        }
        play.identity(N1, new, 1);
        play.acknowledges(N1, new, 1, 1);
        if good { play.fine() } else { play.found(Oracle::Durability, "acknowledges") }
    }
}

#[test]
fn a_promise_that_keeps_an_acceptance_back_is_found() {
    let (old, older, new) = (view(1, N0), view(0, N1), view(2, N2));
    let unknown = |view| Unknown { view, digest: digest(1), committed: false };
    let cases = [
        (vec![entry(1, Some((old, 1)))], false, true),
        (vec![], false, false),
        (vec![], true, true),
        (vec![PromiseEntry { certain: false, ..entry(1, None) }], true, true),
        (vec![entry(1, None)], true, false),
        (vec![PromiseEntry { unknown: Some(unknown(old)), ..entry(1, None) }], false, true),
        (vec![PromiseEntry { unknown: Some(unknown(older)), ..entry(1, None) }], false, false),
    ];
    for (entries, loss, good) in cases {
        let mut play = Play::led(N0, N1, 1);
        play.assigns(old, 1, 1);
        play.stores(N1, old, 1, 1);
        play.identity(N1, new, 1);
        play.sends(N1, PeerMessage::Promise(Promise { loss, ..promise(new, entries.clone()) }));
        if good { play.fine() } else { play.found(Oracle::Recovery, "accepted") }
    }
}

/// A promise that was asked for again may leave after its view has got going.
#[test]
fn a_promise_need_not_tell_what_its_own_view_proposed() {
    for (view, good) in [(view(2, N2), true), (view(2, N0), false)] {
        let mut play = Play::led(N0, N1, 1);
        play.elect(N2, N1, 2, Vec::new());
        play.stores(N1, view, 1, 1);
        play.promises(N1, View { round: 2, node: N2 }, Vec::new());
        if good { play.fine() } else { play.found(Oracle::Acceptance, "") }
    }
}

#[test]
fn what_was_durable_must_be_found_again_by_a_restart() {
    let (old, new) = (view(1, N0), view(2, N0));
    let held = |accepted: Option<(View, u64)>, committed| RecoveredEntry {
        index: Index(1),
        accepted: accepted.map(|(view, number)| (view, batch(number))),
        committed,
        unknown: None,
        certain: true,
    };
    let cases = [
        (false, vec![held(Some((old, 1)), false)], true),
        (false, vec![held(Some((new, 1)), false)], true),
        (false, vec![], false),
        (true, vec![held(Some((old, 1)), true)], true),
        (true, vec![held(Some((old, 1)), false)], false),
    ];
    for (committed, entries, good) in cases {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        if committed {
            play.durable(N1, Fact::Committed { index: Index(1), digest: digest(1) });
        }
        let identity = identity(N1, old, 1);
        let recovered = Recovered { identity, entries, floor: Index::ZERO, loss: false, divergence: None };
        play.ghost.restarted(play.now, N1, &recovered);
        if good { play.fine() } else { play.found(Oracle::Recovery, "n1 recovers 1") }
    }
}

#[test]
fn whatever_differs_from_what_is_chosen_is_found_whichever_comes_first() {
    let (old, new) = (view(1, N0), view(2, N2));
    for (number, good) in [(1, true), (2, false)] {
        for proposed_first in [true, false] {
            let mut play = Play::led(N0, N1, 1);
            play.assigns(old, 1, 1);
            play.stores(N0, old, 1, 1);
            play.elect(N2, N0, 2, vec![entry(1, Some((old, 1)))]);
            if proposed_first {
                play.assigns(new, 1, number);
                play.stores(N1, old, 1, 1);
            } else {
                play.stores(N1, old, 1, 1);
                play.assigns(new, 1, number);
            }
            if good { play.fine() } else { play.found(Oracle::Agreement, "chosen in 1.n0") }
        }
    }
}

#[test]
fn a_choice_counts_the_members_of_one_view_only() {
    let (old, new) = (view(1, N0), view(2, N1));
    for good in [true, false] {
        let mut play = Play::led(N0, N1, 1);
        play.assigns(old, 1, 1);
        play.stores(N0, old, 1, 1);
        let in_view = if good { old } else { new };
        play.stores(N1, in_view, 1, 1);
        play.commits(N0, 1, 1);
        if good { play.fine() } else { play.found(Oracle::Commit, "nothing is chosen there") }
    }
}

#[test]
fn whoever_takes_as_committed_what_is_not_chosen_is_found() {
    let takes: [fn(&mut Play, u64); 6] = [
        |play, number| play.commits(N2, 1, number),
        |play, number| play.applies(N2, 1, number, Span::ZERO, 0),
        |play, number| play.durable(N2, Fact::Committed { index: Index(1), digest: digest(number) }),
        |play, number| {
            let chosen =
                PeerMessage::Chosen { view: View { round: 1, node: N0 }, index: Index(1), digest: digest(number) };
            play.sends(N0, chosen);
        },
        |play, number| {
            let entries = vec![(Index(1), batch(number))];
            play.sends(N2, PeerMessage::Entries { nonce: (Incarnation(1), 1), leading: None, entries });
        },
        |play, number| {
            let told = PromiseEntry { committed: true, ..entry(1, Some((View::ZERO, number))) };
            play.promises(N2, View::ZERO, vec![told]);
        },
    ];
    for take in takes {
        for (number, good) in [(1, true), (2, false)] {
            let mut play = Play::led(N0, N1, 1);
            play.chooses(1, 1);
            take(&mut play, number);
            if good { play.fine() } else { play.found(Oracle::Commit, "is chosen there") }
        }
    }
}

#[test]
fn a_reply_before_its_index_is_executed_is_found() {
    for good in [true, false] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.executes(N0, 1, 0, 1);
        if good {
            play.applies(N0, 1, 1, Span::ZERO, 0);
        }
        play.answers(N0, 1, 1);
        if good { play.fine() } else { play.found(Oracle::Commit, "has executed up to 0") }
    }
}

#[test]
fn a_floor_above_the_chosen_prefix_is_found_in_every_message_that_has_one() {
    let view = view(1, N0);
    let nonce = (Incarnation(1), 1);
    for (floor, good) in [(Index(1), true), (Index(2), false)] {
        let floors = [
            PeerMessage::Heartbeat { view, round: 1, floor },
            PeerMessage::Accept { view, index: Index(3), batch: batch(3), floor, coordinator: N0 },
            PeerMessage::Entries { nonce, leading: Some((view, floor)), entries: Vec::new() },
            PeerMessage::Promise(Promise { floor, ..promise(view, Vec::new()) }),
        ];
        for message in floors {
            let mut play = Play::led(N0, N1, 1);
            play.chooses(1, 1);
            play.sends(N0, message);
            if good { play.fine() } else { play.found(Oracle::Floor, "has floor 2") }
        }
    }
}

#[test]
fn a_hole_ends_the_chosen_prefix() {
    let mut play = Play::led(N0, N1, 1);
    play.chooses(2, 2);
    assert_eq!(play.ghost.chosen_prefix(), Index::ZERO);
    play.chooses(1, 1);
    assert_eq!(play.ghost.chosen_prefix(), Index(2));
    play.fine();
}

#[test]
fn leading_without_a_recovery_quorum_is_found() {
    // Two of three replicate, so two must recover; with `fixed:1` all three must.
    for (quorum, good) in [(QuorumSpec::Majority, true), (QuorumSpec::Fixed(1), false), (QuorumSpec::OneIn, false)] {
        let mut play = Play::new(quorum);
        play.elect(N0, N1, 1, Vec::new());
        if good { play.fine() } else { play.found(Oracle::Leadership, "which only {n0 n1} have promised") }
    }
}

#[test]
fn leading_the_view_of_another_or_of_an_earlier_life_is_found() {
    let owned = view(1, N0);
    for (node, good) in [(N0, true), (N1, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.note(node, Note::WindowOpened { view: owned, floor: Index::ZERO });
        if good { play.fine() } else { play.found(Oracle::Leadership, "a view of n0") }
    }
    for (round, good) in [(2, true), (1, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.opens(N0, owned, 2);
        play.note(N0, Note::Candidate { view: view(round, N0) });
        if good { play.fine() } else { play.found(Oracle::Leadership, "its life 1 led that view") }
    }
}

#[test]
fn executing_out_of_order_is_found_and_so_is_a_state_of_its_own() {
    for (node, first, good) in [(N0, 1, true), (N0, 2, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.chooses(2, 2);
        play.applies(node, first, first, Span::ZERO, 0);
        if good { play.fine() } else { play.found(Oracle::Application, "executes 2 right after 0") }
    }
    for (hash, good) in [(7, true), (8, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.applies(N0, 1, 1, Span::ZERO, 7);
        play.applies(N1, 1, 1, Span::ZERO, hash);
        // A restart executes everything again.
        play.opens(N0, view(1, N0), 2);
        play.applies(N0, 1, 1, Span::ZERO, 7);
        if good { play.fine() } else { play.found(Oracle::Application, "elsewhere") }
    }
}

#[test]
fn assigning_beyond_the_window_is_found() {
    for (index, good) in [(3, true), (4, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.assigns(view(1, N0), index, 9);
        if good { play.fine() } else { play.found(Oracle::Window, "the window ends at 3") }
    }
    let mut play = Play::led(N0, N1, 1);
    play.stores(N1, view(1, N0), u64::MAX, 1);
    play.found(Oracle::Window, "is named");
}

#[test]
fn a_request_that_takes_effect_twice_is_found() {
    // Where the same request turns up again: elsewhere, in another life, or in this one.
    for (node, index, position, restarted, good) in [
        (N1, 1, 0, false, true),
        (N1, 2, 0, false, false),
        (N1, 1, 1, false, false),
        (N0, 1, 0, true, true),
        (N0, 1, 0, false, false),
        (N0, 2, 0, false, false),
    ] {
        let mut play = Play::led(N0, N1, 1);
        play.executes(N0, 1, 0, 1);
        if restarted {
            play.opens(N0, view(1, N0), 2);
        }
        play.executes(node, index, position, 1);
        if good { play.fine() } else { play.found(Oracle::Once, "") }
    }
}

#[test]
fn a_second_answer_that_differs_is_found_and_so_is_one_for_nothing() {
    for (sequence, revision, good) in [(1, 1, true), (1, 2, false), (2, 1, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.executes(N0, 1, 0, 1);
        play.applies(N0, 1, 1, Span::ZERO, 0);
        play.answers(N0, 1, 1);
        play.answers(N0, sequence, revision);
        if good { play.fine() } else { play.found(Oracle::Once, "") }
    }
    let mut play = Play::led(N0, N1, 1);
    play.note(N0, Note::Repeated { session: SESSION, sequence: Sequence(1) });
    play.found(Oracle::Once, "never took effect");
}

#[test]
fn log_time_that_outruns_real_time_or_goes_back_is_found() {
    // A second of real time; clocks at most 1000 ppm fast, and a millisecond of slack.
    for (log_time, good) in [(1_000, true), (1_101, true), (1_103, false), (99, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.applies(N0, 1, 1, Span::millis(100), 0);
        play.now = play.now + Span::secs(1);
        play.chooses(2, 2);
        play.applies(N0, 2, 2, Span::millis(log_time), 0);
        if good { play.fine() } else { play.found(Oracle::LogTime, "") }
    }
}

#[test]
fn batches_and_queues_over_their_bounds_are_found() {
    let keep_alive = ios_core::batch::Command::KeepAlive { session: SESSION };
    for (commands, good) in [(2, true), (3, false)] {
        let mut builder = BatchBuilder::new(Time::ZERO, 0);
        (0..commands).for_each(|_| builder.push(&keep_alive));
        let mut play = Play::led(N0, N1, 1);
        let (view, index, batch) = (view(1, N0), Index(1), builder.finish());
        play.sends(N0, PeerMessage::Accept { view, index, batch, floor: Index::ZERO, coordinator: N0 });
        if good { play.fine() } else { play.found(Oracle::Bounds, "batch holds 3") }
    }
    for (length, good) in [(5, true), (6, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.ghost.queue(play.now, N0, "requests", length, 5);
        if good { play.fine() } else { play.found(Oracle::Bounds, "requests holds 6") }
    }
    let mut play = Play::led(N0, N1, 1);
    let ack = PeerMessage::HeartbeatAck { view: view(1, N0), round: 1, hollow_until: None };
    play.ghost.sent(play.now, N0, NodeSet::only(N0), &ack);
    assert_eq!(play.ghost.violation().map(|violation| violation.oracle), Some(Oracle::Bounds));
}

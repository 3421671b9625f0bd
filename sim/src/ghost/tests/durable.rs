//! What is said relies on what is durable: promises, acceptances, and their being told again.

use super::*;

#[test]
fn a_promise_that_is_not_durable_is_found_in_whatever_relies_on_it() {
    let higher = view(2, N1);
    let relies = [
        PeerMessage::Promise(Box::new(promise(higher, Vec::new()))),
        PeerMessage::HeartbeatAck { view: higher, round: 1, hollow_until: None, checkpoint: None },
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
        play.sends(N1, PeerMessage::Hello(Box::new(hello)));
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
        play.sends(N1, PeerMessage::Promise(Box::new(Promise { loss, ..promise(new, entries.clone()) })));
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

/// A promise waits for its sync, and what the node learns meanwhile is not part of it.
#[test]
fn a_promise_tells_of_commits_recorded_before_it_was_made_and_of_no_others() {
    for (recorded_before, good) in [(true, false), (false, true)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        let (new, record) = (view(2, N1), Fact::Committed { index: Index(1), digest: digest(1) });
        if recorded_before {
            play.durable(N2, record.clone());
        }
        play.note(N2, Note::Promised { view: new });
        if !recorded_before {
            play.durable(N2, record);
        }
        play.identity(N2, new, 1);
        play.promises(N2, new, Vec::new());
        if good { play.fine() } else { play.found(Oracle::Recovery, "committed") }
    }
}

/// Swarm seed 1081369: with a slow disk, a promise left only after the node had promised a higher view as well, and was
/// held to what had become durable by then.
#[test]
fn a_promise_is_held_to_what_was_durable_when_it_was_made_and_not_when_the_next_one_was() {
    for (recorded_between, good) in [(true, true), (false, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        let (made, next, record) = (view(2, N1), view(3, N1), Fact::Committed { index: Index(1), digest: digest(1) });
        if !recorded_between {
            play.durable(N2, record.clone());
        }
        play.note(N2, Note::Promised { view: made });
        if recorded_between {
            play.durable(N2, record);
        }
        play.note(N2, Note::Promised { view: next });
        play.identity(N2, made, 1);
        play.promises(N2, made, Vec::new());
        if good { play.fine() } else { play.found(Oracle::Recovery, "committed") }
    }
}

fn recovers(identity: Identity, base: Index, entries: Vec<RecoveredEntry>) -> Recovered {
    Recovered { identity, base, snapshot: None, entries, floor: base, loss: false, divergence: None }
}

#[test]
fn only_a_durable_snapshot_of_the_true_state_stands_for_the_log() {
    let played = || {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.applies(N0, 1, 1, Span::millis(1), 77);
        play
    };
    let snapshot = |state_hash| Fact::Snapshot { index: Index(1), state_hash };
    let restart = |play: &mut Play| {
        let recovered = recovers(identity(N1, view(1, N0), 1), Index(1), Vec::new());
        play.ghost.restarted(play.now, N1, &recovered);
    };
    let mut good = played();
    good.durable(N1, snapshot(77));
    restart(&mut good);
    good.fine();

    let mut none = played();
    restart(&mut none);
    none.found(Oracle::Durability, "n1 recovers what is compacted up to 1");

    let mut wrong = played();
    wrong.durable(N1, snapshot(78));
    wrong.found(Oracle::Application, "n1 has a snapshot of state");

    let installed = Note::Installed { index: Index(1), state_hash: 77 };
    let mut early = played();
    early.note(N1, installed.clone());
    early.found(Oracle::Durability, "n1 installs what is compacted up to 1");

    let mut back = played();
    back.durable(N0, snapshot(77));
    back.note(N0, installed);
    back.found(Oracle::Application, "n0 goes from 1 back to a snapshot of 1");
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
        let recovered = recovers(identity, Index::ZERO, entries);
        play.ghost.restarted(play.now, N1, &recovered);
        if good { play.fine() } else { play.found(Oracle::Recovery, "n1 recovers 1") }
    }
}

//! What is chosen stays so, and everything that follows from it: commits, floors, execution, replies, log time.

use super::*;

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
            PeerMessage::Entries { nonce, leading: Some(Box::new((view, floor))), entries: Vec::new() },
            PeerMessage::Promise(Box::new(Promise { floor, ..promise(view, Vec::new()) })),
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
fn a_second_batch_of_clients_at_an_index_is_found() {
    for (second, good) in [(client_batch(1), true), (batch(2), true), (Batch::noop(), true), (client_batch(2), false)] {
        let mut play = Play::led(N0, N1, 1);
        let (floor, index) = (Index::ZERO, Index(1));
        let view = view(1, N0);
        play.sends(N0, PeerMessage::Accept { view, index, batch: client_batch(1), floor, coordinator: N0 });
        play.elect(N1, N2, 2, Vec::new());
        let view = super::view(2, N1);
        play.sends(N1, PeerMessage::Assign { view, index, batch: second, floor });
        if good { play.fine() } else { play.found(Oracle::Exclusivity, "it has carried") }
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

/// What is not chosen yet may still be: by those who accepted it and those who may yet accept it.
#[test]
fn a_proposal_beside_one_that_may_yet_be_chosen_is_found() {
    let (old, new) = (view(1, N0), view(2, N2));
    // n0 alone accepted. n1 has promised the new view or, holding nothing, may still accept in the old one.
    for (promised, number, good) in [(true, 2, true), (false, 1, true), (false, 2, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.assigns(old, 1, 1);
        play.stores(N0, old, 1, 1);
        play.identity(N2, new, 1);
        if promised {
            play.identity(N1, new, 1);
        }
        play.note(N2, Note::Assigned { view: new, index: Index(1), digest: digest(number), recovered: true });
        if good { play.fine() } else { play.found(Oracle::Agreement, "may be chosen in 1.n0, by {n0 n1}") }
    }
}

#[test]
fn a_read_that_no_quorum_confirmed_after_it_arrived_is_found() {
    let view = view(1, N0);
    let connection = ConnectionId(3);
    let read = ClientRequest::Read { tag: 5, payload: "".into() };
    let answer = |tag| ClientResponse::Read { tag, revision: Revision(0), payload: "".into() };
    let ack = |view| PeerMessage::HeartbeatAck { view, round: 1, hollow_until: None, checkpoint: None };
    // What happens between the read's arrival and its answer, and the tag answered.
    for (followed, restarts, tag, good) in [
        (Some(view), false, 5, true),
        (None, false, 5, false),
        (Some(View::ZERO), false, 5, false),
        (Some(view), false, 6, false),
        (Some(view), true, 5, false),
    ] {
        let mut play = Play::led(N0, N1, 1);
        play.sends(N1, ack(view));
        play.ghost.asked(N0, connection, &read);
        if let Some(followed) = followed {
            play.sends(N1, ack(followed));
        }
        if restarts {
            play.opens(N0, view, 2);
        }
        play.ghost.replied(play.now, N0, connection, &answer(tag));
        if good { play.fine() } else { play.found(Oracle::Read, "") }
    }
}

#[test]
fn a_read_at_a_participant_whose_leader_was_not_confirmed_after_it_arrived_is_found() {
    let (view, connection) = (view(1, N0), ConnectionId(3));
    let read = ClientRequest::Read { tag: 5, payload: "".into() };
    let answer = ClientResponse::Read { tag: 5, revision: Revision(0), payload: "".into() };
    let ack = || PeerMessage::HeartbeatAck { view, round: 1, hollow_until: None, checkpoint: None };
    let index = |index| PeerMessage::ReadIndex { nonce: (Incarnation(1), 1), index };
    // Whether the leader is followed after the read arrived at n2, who tells how far it must see, and what.
    for (followed, teller, told, good) in [
        (true, N0, Some(Index::ZERO), true),
        (false, N0, Some(Index::ZERO), false),
        (true, N1, Some(Index::ZERO), false),
        (true, N0, None, false),
    ] {
        let mut play = Play::led(N0, N1, 1);
        play.sends(N1, ack());
        play.ghost.asked(N2, connection, &read);
        if followed {
            play.sends(N1, ack());
        }
        play.ghost.sent(play.now, teller, NodeSet::only(N2), &index(told));
        play.ghost.replied(play.now, N2, connection, &answer);
        if good { play.fine() } else { play.found(Oracle::Read, "") }
    }
}

#[test]
fn a_participant_read_that_asked_too_few_or_sees_too_little_is_found() {
    let connection = ConnectionId(3);
    let read = ClientRequest::ParticipantRead { tag: 5, payload: "".into() };
    let answer = ClientResponse::Read { tag: 5, revision: Revision(0), payload: "".into() };
    let told = |high| {
        let (nonce, high, floor, view) = ((Incarnation(1), 1), Index(high), Index::ZERO, view(1, N0));
        PeerMessage::HighWater { nonce, high, floor, view }
    };
    // Who told its reader n2 before it arrived, who after it, whether n2 executed what n0 had, and what is wrong.
    for (before, after, executes, wrong) in [
        (None, Some((N1, 1)), true, None),
        (Some((N1, 1)), None, true, Some("only {n2} told")),
        (None, Some((N1, 0)), true, Some("it has accepted 1 durably")),
        (None, Some((N1, 1)), false, Some("from the state after 0; 1 was executed when it arrived")),
    ] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.applies(N0, 1, 1, Span::ZERO, 0);
        let tell = |play: &mut Play, teller: Option<(NodeId, u64)>| {
            if let Some((node, high)) = teller {
                play.ghost.sent(play.now, node, NodeSet::only(N2), &told(high));
            }
        };
        tell(&mut play, before);
        play.ghost.asked(N2, connection, &read);
        tell(&mut play, after);
        if executes {
            play.applies(N2, 1, 1, Span::ZERO, 0);
        }
        play.ghost.replied(play.now, N2, connection, &answer);
        match wrong {
            None => play.fine(),
            Some(words) => play.found(Oracle::Read, words),
        }
    }
}

/// An impatient client repeats a read; the repetition is refused, the first one is answered.
#[test]
fn a_refused_repetition_takes_nothing_from_the_read_that_waits() {
    let (view, connection) = (view(1, N0), ConnectionId(3));
    let read = ClientRequest::Read { tag: 5, payload: "".into() };
    let refused = ClientResponse::Refused { request: RequestKey::Tag(5), refusal: Refusal::Overloaded };
    let answer = ClientResponse::Read { tag: 5, revision: Revision(0), payload: "".into() };
    for (answers, good) in [(1, true), (2, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.ghost.asked(N0, connection, &read);
        play.sends(N1, PeerMessage::HeartbeatAck { view, round: 1, hollow_until: None, checkpoint: None });
        play.ghost.asked(N0, connection, &read);
        play.ghost.replied(play.now, N0, connection, &refused);
        for _ in 0..answers {
            play.ghost.replied(play.now, N0, connection, &answer);
        }
        if good { play.fine() } else { play.found(Oracle::Read, "nobody asked") }
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
fn log_time_may_leap_with_a_clock_by_as_much_and_no_more() {
    for (log_time, good) in [(5_101, true), (5_103, false)] {
        let mut play = Play::led(N0, N1, 1);
        play.chooses(1, 1);
        play.applies(N0, 1, 1, Span::millis(100), 0);
        play.now = play.now + Span::secs(1);
        play.ghost.leapt(Span::secs(4));
        play.chooses(2, 2);
        play.applies(N0, 2, 2, Span::millis(log_time), 0);
        if good { play.fine() } else { play.found(Oracle::LogTime, "that leapt by 4s") }
    }
}

#[test]
fn batches_over_their_bounds_and_messages_to_oneself_are_found() {
    let keep_alive = Command::KeepAlive { session: SESSION };
    for (commands, good) in [(2, true), (3, false)] {
        let mut builder = BatchBuilder::default();
        (0..commands).for_each(|_| builder.push(&keep_alive));
        let mut play = Play::led(N0, N1, 1);
        let (view, index, batch) = (view(1, N0), Index(1), builder.finish(Time::ZERO));
        play.sends(N0, PeerMessage::Accept { view, index, batch, floor: Index::ZERO, coordinator: N0 });
        if good { play.fine() } else { play.found(Oracle::Bounds, "batch holds 3") }
    }
    let mut play = Play::led(N0, N1, 1);
    let ack = PeerMessage::HeartbeatAck { view: view(1, N0), round: 1, hollow_until: None, checkpoint: None };
    play.ghost.sent(play.now, N0, NodeSet::only(N0), &ack);
    assert_eq!(play.ghost.violation().map(|violation| violation.oracle), Some(Oracle::Bounds));
}

//! What is reported: every row of the outcome table, and hole H15 in all its shapes.

use super::*;
use expect_test::expect;

#[test]
fn h15_a_write_refused_everywhere_is_not_done() {
    let mut rig = Rig::new(1);
    rig.in_session();
    // The deadline finds it waiting for its third try.
    rig.refuse_write(0, 1, NOBODY_LEADS).wake().refuse_write(0, 1, Refusal::NotReady).pass(Span::secs(10));
    rig.check(expect![[r#"
        > e0 says refused: no leader is known
        > wake
          (Retried { operation: OperationId(0), attempt: 2 })
          e0 <- write 1/0 #1 acked 0: p0
        > e0 says refused: the node is still opening
        > 10s pass
          o0 not done: no node took it in time; last heard: the node is still opening
          e0 <- keep alive 1/0 (4)
    "#]]);
}

#[test]
fn h15_a_write_in_flight_at_its_deadline_is_unknown() {
    let mut rig = Rig::with(1, ClientOptions { try_timeout: Span::secs(60), ..options() });
    rig.in_session();
    rig.wake().written(0, 1, 1);
    rig.check(expect![[r#"
        > wake
          o0 unknown: it was sent, but no answer came in time
          e0 <- keep alive 1/0 (4)
        > e0 says written 1/0 #1
          (Ignored(Unasked))
    "#]]);
}

#[test]
fn h15_a_refusal_after_a_timeout_leaves_the_outcome_unknown() {
    let mut rig = Rig::new(2);
    rig.in_session();
    rig.wake().wake().up(1).wake().refuse_write(1, 1, NOBODY_LEADS).pass(Span::secs(10));
    rig.check(expect![[r#"
        > wake
          (TimedOut { endpoint: EndpointId(0) })
          disconnect e0
          (Moved { to: EndpointId(1), redirected: false })
        > wake
          connect e1
        > e1 is up
          e1 <- hello (4)
          e1 <- members (4)
        > wake
          (Retried { operation: OperationId(0), attempt: 2 })
          e1 <- write 1/0 #1 acked 0: p0
        > e1 says refused: no leader is known
          (Moved { to: EndpointId(0), redirected: false })
          connect e0
          disconnect e1
        > 10s pass
          o0 unknown: it was sent, but no answer came in time
          disconnect e0
          (Moved { to: EndpointId(1), redirected: false })
    "#]]);
}

#[test]
fn h15_a_late_refusal_of_an_earlier_try_settles_nothing_while_another_is_open() {
    let mut rig = Rig::new(2);
    // A second write keeps e0 in use, and an answer keeps it from being taken for dead.
    rig.in_session();
    rig.pass(Span::millis(500)).write(1).welcome(0, 0).pass(Span::millis(500)).up(1).wake();
    rig.refuse_write(0, 1, NOBODY_LEADS).refuse_write(1, 1, NOBODY_LEADS).pass(Span::secs(20));
    rig.check(expect![[r#"
        > 500ms pass
        > submit o1 Write
          e0 <- write 1/0 #2 acked 0: p1
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > 500ms pass
          (TimedOut { endpoint: EndpointId(0) })
          (Moved { to: EndpointId(1), redirected: false })
          connect e1
        > e1 is up
          e1 <- hello (5)
          e1 <- members (5)
        > wake
          (Retried { operation: OperationId(0), attempt: 2 })
          e1 <- write 1/0 #1 acked 0: p0
        > e0 says refused: no leader is known
          (Ignored(EarlierTry))
        > e1 says refused: no leader is known
          (Moved { to: EndpointId(0), redirected: false })
          disconnect e1
        > 20s pass
          o0 unknown: it was sent, but no answer came in time
          o1 unknown: it was sent, but no answer came in time
          e0 <- keep alive 1/0 (6)
    "#]]);
}

#[test]
fn h15_a_refusal_on_another_life_of_the_connection_settles_nothing() {
    let mut rig = Rig::new(1);
    rig.in_session();
    rig.down(0).refuse_write(0, 1, NOBODY_LEADS).wake().up(0).refuse_write(0, 1, NOBODY_LEADS);
    rig.wake().refuse_write(0, 1, NOBODY_LEADS).pass(Span::secs(10));
    rig.check(expect![[r#"
        > e0 is down
        > e0 says refused: no leader is known
          (Ignored(NotConnected))
        > wake
          connect e0
        > e0 is up
          e0 <- hello (4)
          e0 <- members (4)
        > e0 says refused: no leader is known
          (Ignored(EarlierTry))
        > wake
          (Retried { operation: OperationId(0), attempt: 2 })
          e0 <- write 1/0 #1 acked 0: p0
        > e0 says refused: no leader is known
        > 10s pass
          o0 unknown: it was sent, but no answer came in time
          e0 <- keep alive 1/0 (5)
    "#]]);
}

#[test]
fn h15_invalid_after_a_lost_try_is_unknown_and_without_one_not_done() {
    let invalid = || Refusal::Invalid("no such verb".to_string());
    let mut rig = Rig::new(1);
    rig.in_session();
    rig.refuse_write(0, 1, invalid()).write(1).down(0).wake().up(0).wake().refuse_write(0, 2, invalid());
    rig.check(expect![[r#"
        > e0 says refused: invalid request: no such verb
          o0 not done: invalid request: no such verb
        > submit o1 Write
          e0 <- write 1/0 #2 acked 1: p1
        > e0 is down
        > wake
          connect e0
        > e0 is up
          e0 <- hello (5)
          e0 <- members (5)
        > wake
          (Retried { operation: OperationId(1), attempt: 2 })
          e0 <- write 1/0 #2 acked 1: p1
        > e0 says refused: invalid request: no such verb
          o1 unknown: an earlier try of it may have been taken; the last was not: invalid request: no such verb
    "#]]);
}

#[test]
fn h15_a_deposed_leader_may_have_left_the_write_behind() {
    let mut rig = Rig::new(1);
    rig.in_session();
    rig.refuse_write(0, 1, Refusal::Deposed { leader: None }).wake().refuse_write(0, 1, NOBODY_LEADS);
    rig.pass(Span::secs(10));
    rig.check(expect![[r#"
        > e0 says refused: the leader lost its place; the outcome is open
        > wake
          (Retried { operation: OperationId(0), attempt: 2 })
          e0 <- write 1/0 #1 acked 0: p0
        > e0 says refused: no leader is known
        > 10s pass
          o0 unknown: it was sent, but no answer came in time
          e0 <- keep alive 1/0 (4)
    "#]]);
}

#[test]
fn the_result_counts_whenever_and_wherever_it_comes_and_once() {
    let mut rig = Rig::new(2);
    rig.in_session();
    rig.wake().wake().up(1).written(1, 1, 1).written(1, 1, 1);
    rig.check(expect![[r#"
        > wake
          (TimedOut { endpoint: EndpointId(0) })
          disconnect e0
          (Moved { to: EndpointId(1), redirected: false })
        > wake
          connect e1
        > e1 is up
          e1 <- hello (4)
          e1 <- members (4)
        > e1 says written 1/0 #1
          o0 done at 1: OK
        > e1 says written 1/0 #1
          (Ignored(Unasked))
    "#]]);
}

#[test]
fn stale_for_what_is_still_asked_is_unknown() {
    let mut rig = Rig::new(1);
    rig.in_session();
    rig.refuse_write(0, 1, Refusal::Stale);
    rig.check(expect![[r#"
        > e0 says refused: answered before
          o0 unknown: an earlier try of it may have been taken; the last was not: answered before
    "#]]);
}

#[test]
fn answers_that_nothing_waits_for_are_noted_and_change_nothing() {
    let mut rig = Rig::new(2);
    rig.in_session();
    rig.up(0).down(1).up(1).registered(0, 2).written(0, 2, 1).written(0, 1, 2);
    for tag in 1..=5 {
        let (revision, payload) = (Revision(1), Bytes::new());
        rig.receive(0, &format!("read ({tag})"), ClientResponse::Read { tag, revision, payload });
        rig.receive(0, &format!("done ({tag})"), ClientResponse::Done { tag });
        rig.refuse(0, RequestKey::Tag(tag), NOBODY_LEADS);
    }
    let ignored = rig.script.matches("Ignored").count();
    assert_eq!((ignored, rig.script.lines().count()), (21, 43), "{}", rig.script);
    rig.script.clear();
    rig.written(0, 1, 1);
    rig.check(expect![[r#"
        > e0 says written 1/0 #1
          o0 done at 1: OK
    "#]]);
}

#[test]
fn a_participant_read_is_tried_as_such_once_and_a_stale_one_always() {
    let mut rig = Rig::new(2);
    rig.read_as(1, ReadMode::Participant).read_as(2, ReadMode::Stale).up(0).welcome(0, 0);
    rig.refuse_read(0, 1, NOBODY_LEADS).refuse_read(0, 2, Refusal::Overloaded).up(1).wake().wake();
    rig.check(expect![[r#"
        > submit o1 participant read
          connect e0
        > submit o2 stale read
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          e0 <- participant read (1): p1
          e0 <- stale read (2): p2
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > e0 says refused: no leader is known
          (Moved { to: EndpointId(1), redirected: false })
          connect e1
        > e0 says refused: overloaded: too many requests are waiting
          disconnect e0
        > e1 is up
          e1 <- hello (4)
          e1 <- members (4)
        > wake
          (Retried { operation: OperationId(2), attempt: 2 })
          e1 <- stale read (2): p2
        > wake
          (Retried { operation: OperationId(1), attempt: 2 })
          e1 <- read (1): p1
    "#]]);
}

#[test]
fn a_read_of_a_mode_that_is_not_served_is_not_done() {
    let mut rig = Rig::new(1);
    rig.read_as(1, ReadMode::Participant).up(0);
    rig.refuse_read(0, 1, Refusal::NotServed { mode: ReadMode::Participant });
    rig.check(expect![[r#"
        > submit o1 participant read
          connect e0
        > e0 is up
          e0 <- hello (2)
          e0 <- members (2)
          e0 <- participant read (1): p1
        > e0 says refused: this member serves no participant reads (option participant_read)
          o1 not done: this member serves no participant reads (option participant_read)
    "#]]);
}

//! Sessions: opening, the window and its mark, expiry, keeping alive, closing.

use super::*;
use expect_test::expect;

#[test]
fn the_first_write_opens_a_session_and_a_read_needs_none() {
    let mut rig = Rig::new(3);
    rig.read(1).up(0).welcome(0, 0).value(0, 1);
    rig.write(2).registered(0, 1).written(0, 1, 1);
    rig.check(expect![[r#"
        > submit o1 Read
          connect e0
        > e0 is up
          e0 <- hello (2)
          e0 <- members (2)
          e0 <- read (1): p1
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > e0 says o1 read
          o1 done at 9: v
        > submit o2 Write
          e0 <- register (4)
        > e0 says registered 1/0
          (Registered { session: 1/0 })
          e0 <- write 1/0 #1 acked 0: p2
        > e0 says written 1/0 #1
          o2 done at 1: OK
    "#]]);
}

#[test]
fn writes_beyond_the_window_wait_and_the_mark_rises_without_gaps() {
    let mut rig = Rig::new(1);
    rig.in_session();
    rig.write(1).write(2).written(0, 1, 2).written(0, 1, 1).write(3);
    rig.check(expect![[r#"
        > submit o1 Write
          e0 <- write 1/0 #2 acked 0: p1
        > submit o2 Write
        > e0 says written 1/0 #2
          o1 done at 2: OK
        > e0 says written 1/0 #1
          o0 done at 1: OK
          e0 <- write 1/0 #3 acked 2: p2
        > submit o3 Write
          e0 <- write 1/0 #4 acked 2: p3
    "#]]);
}

#[test]
fn sixty_four_in_flight_complete_in_any_order() {
    let mut rig = Rig::with(1, ClientOptions { in_flight_max: 64, operations_max: 65, ..options() });
    rig.in_session();
    for operation in 1..=64 {
        rig.write(operation);
    }
    let sent = rig.script.matches("<- write").count();
    assert_eq!(sent, 63, "o0 is in flight too, so the last has to wait");
    for sequence in (0..65).map(|step| step * 27 % 65 + 1).filter(|sequence| *sequence <= 64) {
        rig.written(0, 1, sequence);
    }
    rig.written(0, 1, 65);
    let done = (0..=64).filter(|operation| rig.script.contains(&format!("  o{operation} done"))).count();
    assert_eq!((done, rig.client.outstanding()), (65, 0));
    rig.script.clear();
    rig.write(65);
    rig.check(expect![[r#"
        > submit o65 Write
          e0 <- write 1/0 #66 acked 65: p65
    "#]]);
}

#[test]
fn a_registration_is_tried_again_under_a_new_tag_and_only_its_answer_counts() {
    let mut rig = Rig::new(2);
    rig.write(1).up(0).wake().wake().up(1).receive(1, "registered 1/0", late_answer());
    rig.registered(1, 2).registered(1, 3);
    rig.check(expect![[r#"
        > submit o1 Write
          connect e0
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          e0 <- register (2)
        > wake
          (TimedOut { endpoint: EndpointId(0) })
          disconnect e0
          (Moved { to: EndpointId(1), redirected: false })
        > wake
          connect e1
        > e1 is up
          e1 <- hello (5)
          e1 <- members (5)
          e1 <- register (4)
        > e1 says registered 1/0
          (Ignored(Unasked))
        > e1 says registered 2/0
          (Registered { session: 2/0 })
          e1 <- write 2/0 #1 acked 0: p1
        > e1 says registered 3/0
          (Ignored(Unasked))
    "#]]);
}

fn late_answer() -> ClientResponse {
    ClientResponse::Registered { tag: 2, session: id(1), ttl: TTL }
}

#[test]
fn a_registration_under_way_is_awaited_for_the_writes_to_come() {
    let mut rig = Rig::with(1, ClientOptions { try_timeout: Span::secs(2), ..options() });
    rig.submit(1, Access::Write, Span::secs(1)).up(0).wake().registered(0, 1).write(2);
    rig.check(expect![[r#"
        > submit o1 Write
          connect e0
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          e0 <- register (2)
        > wake
          o1 not done: no node answered in time
        > e0 says registered 1/0
          (Registered { session: 1/0 })
        > submit o2 Write
          e0 <- write 1/0 #1 acked 0: p2
    "#]]);
}

#[test]
fn after_expiry_what_was_sent_is_unknown_and_what_was_not_goes_on() {
    let mut rig = Rig::with(1, ClientOptions { in_flight_max: 3, ..options() });
    // o0 and o2 are sent, o1 refused and waiting, o3 queued.
    rig.in_session().write(1).write(2).write(3).refuse_write(0, 2, NOBODY_LEADS);
    rig.refuse_write(0, 3, Refusal::Expired).registered(0, 8).written(0, 1, 1).written(0, 8, 1).written(0, 8, 2);
    rig.check(expect![[r#"
        > submit o1 Write
          e0 <- write 1/0 #2 acked 0: p1
        > submit o2 Write
          e0 <- write 1/0 #3 acked 0: p2
        > submit o3 Write
        > e0 says refused: no leader is known
        > e0 says refused: the session has expired
          (GaveUpSession { session: 1/0, expired: true })
          o0 unknown: it was sent, but the session expired before an answer came
          o2 unknown: it was sent, but the session expired before an answer came
          e0 <- register (7)
        > e0 says registered 8/0
          (Registered { session: 8/0 })
          (Retried { operation: OperationId(1), attempt: 2 })
          e0 <- write 8/0 #1 acked 0: p1
          e0 <- write 8/0 #2 acked 0: p3
        > e0 says written 1/0 #1
          (Ignored(Unasked))
        > e0 says written 8/0 #1
          o1 done at 1: OK
        > e0 says written 8/0 #2
          o3 done at 2: OK
    "#]]);
}

#[test]
fn an_idle_session_is_kept_alive() {
    let mut rig = Rig::new(1);
    rig.in_session().written(0, 1, 1);
    rig.wake().done(0).wake();
    rig.check(expect![[r#"
        > e0 says written 1/0 #1
          o0 done at 1: OK
        > wake
          e0 <- keep alive 1/0 (4)
        > e0 says done
        > wake
          e0 <- keep alive 1/0 (5)
    "#]]);
    assert_eq!(rig.now, Time::ZERO + Span::millis(19_800), "twice 33 percent of the lifetime");
}

#[test]
fn a_write_spares_the_keep_alive() {
    let mut rig = Rig::new(1);
    rig.in_session().written(0, 1, 1);
    // Due by now, but the write comes first; and a session known late is due at once.
    rig.now = Time::ZERO + Span::millis(9_900);
    rig.down(0)
        .write(1)
        .wake()
        .up(0)
        .written(0, 1, 2)
        .pass(Span::secs(60))
        .write(2)
        .pass(Span::millis(900))
        .registered(0, 2);
    assert!(!rig.script.contains("keep alive"), "{}", rig.script);
}

#[test]
fn a_session_that_nobody_keeps_alive_is_not_trusted_with_another_write() {
    let mut rig = Rig::new(1);
    rig.in_session().written(0, 1, 1).down(0).pass(Span::secs(29)).write(1).up(0);
    rig.check(expect![[r#"
        > e0 says written 1/0 #1
          o0 done at 1: OK
        > e0 is down
        > 29s pass
          (GaveUpSession { session: 1/0, expired: false })
        > submit o1 Write
          connect e0
        > e0 is up
          e0 <- hello (6)
          e0 <- members (6)
          e0 <- register (5)
    "#]]);
}

#[test]
fn a_doubtful_session_takes_no_new_writes_while_an_old_one_is_open_in_it() {
    let mut rig = Rig::with(1, ClientOptions { try_timeout: Span::secs(60), ..options() });
    rig.submit(0, Access::Write, Span::secs(40)).up(0).registered(0, 1).pass(Span::secs(29));
    rig.submit(1, Access::Write, Span::secs(60));
    rig.pass(Span::secs(11)).registered(0, 2);
    rig.check(expect![[r#"
        > submit o0 Write
          connect e0
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          e0 <- register (2)
        > e0 says registered 1/0
          (Registered { session: 1/0 })
          e0 <- write 1/0 #1 acked 0: p0
        > 29s pass
        > submit o1 Write
        > 11s pass
          o0 unknown: it was sent, but no answer came in time
          (GaveUpSession { session: 1/0, expired: false })
          e0 <- register (5)
        > e0 says registered 2/0
          (Registered { session: 2/0 })
          e0 <- write 2/0 #1 acked 0: p1
    "#]]);
}

#[test]
fn a_session_lost_while_idle_is_replaced_only_when_a_write_needs_it() {
    let mut rig = Rig::new(1);
    rig.in_session().written(0, 1, 1).wake();
    let keep_alive = RequestKey::Tag(rig.errand_tag(0));
    rig.refuse(0, keep_alive, Refusal::Expired);
    assert_eq!(rig.client.deadline(), None);
    rig.write(1);
    rig.check(expect![[r#"
        > e0 says written 1/0 #1
          o0 done at 1: OK
        > wake
          e0 <- keep alive 1/0 (4)
        > e0 says refused: the session has expired
          (GaveUpSession { session: 1/0, expired: true })
        > submit o1 Write
          e0 <- register (6)
    "#]]);
}

#[test]
fn closing_finishes_what_is_outstanding_then_ends_the_session() {
    let mut rig = Rig::new(1);
    rig.in_session().close().write(1).written(0, 1, 1).done(0).write(2).up(0);
    rig.check(expect![[r#"
        > close
        > submit o1 Write
          o1 not done: the client is closing
        > e0 says written 1/0 #1
          o0 done at 1: OK
          e0 <- close 1/0 (4)
        > e0 says done
          disconnect e0
          closed
        > submit o2 Write
          o2 not done: the client is closing
        > e0 is up
          (Ignored(NotConnected))
          disconnect e0
    "#]]);
    assert_eq!(rig.client.deadline(), None);
}

#[test]
fn closing_ends_at_its_deadline_whatever_the_nodes_do() {
    let mut rig = Rig::new(1);
    rig.in_session().close().pass(Span::secs(5));
    rig.check(expect![[r#"
        > close
        > 5s pass
          (TimedOut { endpoint: EndpointId(0) })
          disconnect e0
          o0 unknown: it was sent, but no answer came in time
          closed
    "#]]);
    let mut unanswered = Rig::new(1);
    unanswered.in_session().written(0, 1, 1).close().pass(Span::secs(5));
    unanswered.check(expect![[r#"
        > e0 says written 1/0 #1
          o0 done at 1: OK
        > close
          e0 <- close 1/0 (4)
        > 5s pass
          (TimedOut { endpoint: EndpointId(0) })
          disconnect e0
          closed
    "#]]);
    let mut unused = Rig::new(1);
    unused.close();
    unused.check(expect![[r#"
        > close
          closed
    "#]]);
}

#[test]
fn a_full_client_and_an_oversized_request_are_refused_before_anything_is_sent() {
    let mut rig = Rig::with(1, ClientOptions { operations_max: 2, payload_max: 2, ..options() });
    rig.write(1).read(2).read(3).pass(Span::secs(20)).write(10);
    rig.check(expect![[r#"
        > submit o1 Write
          connect e0
        > submit o2 Read
        > submit o3 Read
          o3 not done: 2 operations are outstanding; wait for some of them
        > 20s pass
          o1 not done: no node answered in time
          o2 not done: no node answered in time
          disconnect e0
        > submit o10 Write
          o10 not done: 3 bytes are over the limit of 2
    "#]]);
}

#[test]
fn options_out_of_bounds_are_named() {
    let good = ClientOptions::default;
    assert_eq!(good().check(), Ok(()));
    for (name, bad) in [
        ("try_timeout", ClientOptions { try_timeout: Span::ZERO, ..good() }),
        ("backoff_min", ClientOptions { backoff_min: Span::ZERO, ..good() }),
        ("backoff_max", ClientOptions { backoff_max: Span::millis(1), ..good() }),
        ("in_flight_max", ClientOptions { in_flight_max: 65, ..good() }),
        ("operations_max", ClientOptions { operations_max: 0, ..good() }),
        ("payload_max", ClientOptions { payload_max: 0, ..good() }),
        ("keep_alive_percent", ClientOptions { keep_alive_percent: 51, ..good() }),
    ] {
        assert_eq!(bad.check().map_err(|error| error.name), Err(name));
    }
}

#[test]
fn f19_the_first_write_of_every_session_is_number_one() {
    let mut rig = Rig::new(1);
    rig.write(0).up(0).welcome(0, 0).registered(0, 1).written(0, 1, 0).written(0, 1, 1);
    // The session is lost, and the next one begins with the same number.
    rig.write(1).refuse_write(0, 2, Refusal::Expired).write(2).registered(0, 5).written(0, 5, 1);
    rig.check(expect![[r#"
        > submit o0 Write
          connect e0
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          e0 <- register (2)
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > e0 says registered 1/0
          (Registered { session: 1/0 })
          e0 <- write 1/0 #1 acked 0: p0
        > e0 says written 1/0 #0
          (Ignored(Unasked))
        > e0 says written 1/0 #1
          o0 done at 1: OK
        > submit o1 Write
          e0 <- write 1/0 #2 acked 1: p1
        > e0 says refused: the session has expired
          (GaveUpSession { session: 1/0, expired: true })
          o1 unknown: it was sent, but the session expired before an answer came
        > submit o2 Write
          e0 <- register (6)
        > e0 says registered 5/0
          (Registered { session: 5/0 })
          e0 <- write 5/0 #1 acked 0: p2
        > e0 says written 5/0 #1
          o2 done at 1: OK
    "#]]);
}

#[test]
fn f20_a_client_that_comes_back_opens_a_session_of_its_own() {
    let mut before = Rig::new(1);
    before.in_session().check(expect![""]);
    // The next life is the very same value, with the same seed, tags and numbers, and no memory. What its predecessor
    // asked for may still be answered, in the predecessor's session.
    let mut rig = Rig::new(1);
    rig.write(9).up(0).welcome(0, 0).written(0, 1, 1).registered(0, 7).written(0, 1, 1).written(0, 7, 1);
    rig.check(expect![[r#"
        > submit o9 Write
          connect e0
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          e0 <- register (2)
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > e0 says written 1/0 #1
          (Ignored(Unasked))
        > e0 says registered 7/0
          (Registered { session: 7/0 })
          e0 <- write 7/0 #1 acked 0: p9
        > e0 says written 1/0 #1
          (Ignored(Unasked))
        > e0 says written 7/0 #1
          o9 done at 1: OK
    "#]]);
}

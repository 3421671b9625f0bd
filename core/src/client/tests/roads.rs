//! Where tries go: redirects, dead endpoints, overload.

use super::*;
use expect_test::expect;

#[test]
fn a_redirect_to_a_named_leader_moves_everything_there_at_once() {
    let mut rig = Rig::new(3);
    // e1 turns out to be n2, which e2 names later.
    rig.read(1).up(0).down(0).wake().wake().up(1).welcome(1, 2).value(1, 1).down(1).read(2).read(3).wake().up(2);
    rig.script.clear();
    rig.refuse_read(2, 2, leader_is(2)).up(1).read(4).refuse_read(2, 3, leader_is(2));
    rig.check(expect![[r#"
        > e2 says refused: not the leader; n2 leads
          (Moved { to: EndpointId(1), redirected: true })
          connect e1
        > e1 is up
          e1 <- hello (7)
          (Retried { operation: OperationId(2), attempt: 2 })
          e1 <- read (4): p2
        > submit o4 Read
          e1 <- read (8): p4
        > e2 says refused: not the leader; n2 leads
          (Retried { operation: OperationId(3), attempt: 2 })
          e1 <- read (5): p3
          disconnect e2
    "#]]);
}

#[test]
fn a_redirect_to_a_leader_at_an_unknown_endpoint_asks_those_not_identified_first() {
    let mut rig = Rig::new(3);
    rig.in_session();
    rig.refuse_write(0, 1, leader_is(7)).up(1).welcome(1, 1).refuse_write(1, 1, leader_is(7));
    rig.check(expect![[r#"
        > e0 says refused: not the leader; n7 leads
          (Moved { to: EndpointId(1), redirected: false })
          connect e1
          disconnect e0
        > e1 is up
          e1 <- hello (4)
          (Retried { operation: OperationId(0), attempt: 2 })
          e1 <- write 1/0 #1 acked 0: p0
        > e1 says welcome to n1
          (Identified { endpoint: EndpointId(1), node: n1 })
        > e1 says refused: not the leader; n7 leads
          (Moved { to: EndpointId(2), redirected: false })
          connect e2
          disconnect e1
    "#]]);
}

#[test]
fn two_nodes_that_name_each_other_are_not_asked_in_a_frenzy() {
    let mut rig = Rig::new(2);
    rig.in_session();
    rig.refuse_write(0, 1, leader_is(1)).up(1).welcome(1, 1).refuse_write(1, 1, leader_is(0)).up(0);
    assert_eq!(rig.script.matches("<- write").count(), 1, "{}", rig.script);
    rig.wake();
    assert_eq!(rig.script.matches("<- write").count(), 2, "{}", rig.script);
}

#[test]
fn a_node_that_names_itself_is_left() {
    let mut rig = Rig::new(2);
    rig.in_session();
    rig.refuse_write(0, 1, leader_is(0));
    assert_eq!(rig.client.links.current(), EndpointId(1));
}

#[test]
fn an_overloaded_leader_is_asked_again_before_anybody_else() {
    let mut rig = Rig::new(2);
    rig.in_session();
    for _ in 0..3 {
        rig.refuse_write(0, 1, Refusal::Overloaded).wake();
    }
    assert_eq!((rig.client.links.current(), rig.script.matches("<- write").count()), (EndpointId(0), 3));
    rig.refuse_write(0, 1, Refusal::Overloaded);
    assert_eq!(rig.client.links.current(), EndpointId(1));
}

#[test]
fn endpoints_that_are_all_dead_leave_everything_not_done_at_its_deadline() {
    let mut rig = Rig::new(3);
    rig.submit(1, Access::Write, Span::millis(20)).submit(2, Access::Read, Span::millis(20));
    rig.down(0).wake().down(1).pass(Span::millis(20));
    rig.check(expect![[r#"
        > submit o1 Write
          connect e0
        > submit o2 Read
        > e0 is down
          (Moved { to: EndpointId(1), redirected: false })
        > wake
          connect e1
        > e1 is down
          (Moved { to: EndpointId(2), redirected: false })
        > 20ms pass
          o1 not done: no node answered in time
          o2 not done: no node answered in time
    "#]]);
    assert_eq!(rig.client.deadline(), None, "nothing is left to wait for");
}

#[test]
fn connections_that_are_never_made_are_given_up_and_tried_ever_more_rarely() {
    let mut rig = Rig::new(3);
    rig.submit(1, Access::Read, Span::secs(3600));
    for _ in 0..200 {
        rig.wake();
    }
    let given_up = rig.script.matches("  disconnect").count();
    assert_eq!((rig.script.matches("  connect").count(), given_up), (101, 100));
    assert!(rig.now > Time::ZERO + Span::secs(100) + Span::millis(250 * 90), "too fast: {}", rig.now);
}

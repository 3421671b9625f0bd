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
          e1 <- members (7)
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

/// What the nodes of a made-up cluster answer, by endpoint: `None` is silence.
fn finds_the_leader(answers: &[Option<Refusal>], leader: usize) -> usize {
    let mut rig = Rig::with(answers.len(), ClientOptions { try_timeout: Span::millis(100), ..options() });
    rig.submit(1, Access::Read, Span::secs(3600));
    let (mut calls, mut asked) = (1, 0);
    while rig.client.outstanding() > 0 && calls < 100 {
        let lines: Vec<String> = rig.script.lines().map(String::from).collect();
        rig.script.clear();
        for line in lines {
            if let Some(endpoint) = line.strip_prefix("  connect e") {
                calls += 1;
                rig.up(endpoint.parse().unwrap());
            } else if let Some((endpoint, request)) = line.trim().split_once(" <- ") {
                let endpoint: usize = endpoint[1..].parse().unwrap();
                match (&answers[endpoint], request) {
                    (None, _) => {}
                    (Some(_), hello) if hello.starts_with("hello") => {
                        rig.welcome(endpoint, endpoint as u8);
                    }
                    (Some(_), members) if members.starts_with("members") => {}
                    _ if endpoint == leader => {
                        rig.value(endpoint, 1);
                    }
                    (Some(refusal), _) => {
                        asked += 1;
                        rig.refuse_read(endpoint, 1, refusal.clone());
                    }
                }
            }
        }
        if !rig.script.contains("connect e") && !rig.script.contains(" <- ") && rig.client.outstanding() > 0 {
            rig.wake();
        }
    }
    assert_eq!(rig.client.outstanding(), 0, "the leader is never found in {calls} calls");
    asked
}

#[test]
fn whatever_the_others_believe_the_leader_is_found() {
    let nobody = || Some(NOBODY_LEADS);
    let names = |node| Some(leader_is(node));
    assert_eq!(finds_the_leader(&[nobody(), nobody(), nobody(), nobody(), nobody()], 4), 4);
    // Two that name each other, whom the walk meets first.
    assert!(finds_the_leader(&[names(1), names(0), nobody(), nobody(), nobody()], 4) <= 10);
    // One names another, which knows of nobody and comes after it in the ring; or before it.
    assert!(finds_the_leader(&[names(1), nobody(), names(1), names(1), nobody()], 4) <= 10);
    assert!(finds_the_leader(&[nobody(), names(0), names(0), names(0), nobody()], 4) <= 10);
    // One names a node that no endpoint is known for, and the endpoints not identified are dead.
    assert!(finds_the_leader(&[names(9), nobody(), None, None, nobody()], 1) <= 3);
    assert!(finds_the_leader(&[names(2), names(2), None, names(2), nobody()], 4) <= 10);
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
fn one_member_is_enough_to_find_the_leader_and_whoever_leads_after_it() {
    let mut rig = Rig::new(1);
    let all = [(0, "a0"), (1, "far1"), (2, "far2")];
    rig.write(1).up(0).welcome(0, 0).members(0, &all);
    let tag = rig.last(0, |request| if let ClientRequest::Register { tag } = request { Some(*tag) } else { None });
    rig.refuse(0, RequestKey::Tag(tag), leader_is(2)).up(2).welcome(2, 2).members(2, &all).registered(2, 1);
    rig.written(2, 1, 1).read(2).down(2).wake();
    rig.check(expect![[r#"
        > submit o1 Write
          connect e0
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          e0 <- register (2)
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > e0 says where the members are
          e1 is at far1
          e2 is at far2
        > e0 says refused: not the leader; n2 leads
          (Moved { to: EndpointId(2), redirected: true })
          connect e2
          disconnect e0
        > e2 is up
          e2 <- hello (4)
          e2 <- members (4)
          e2 <- register (2)
        > e2 says welcome to n2
          (Identified { endpoint: EndpointId(2), node: n2 })
        > e2 says where the members are
        > e2 says registered 1/0
          (Registered { session: 1/0 })
          e2 <- write 1/0 #1 acked 0: p1
        > e2 says written 1/0 #1
          o1 done at 1: OK
        > submit o2 Read
          e2 <- read (5): p2
        > e2 is down
          (Moved { to: EndpointId(1), redirected: false })
        > wake
          connect e1
    "#]]);
}

#[test]
fn what_is_said_about_members_is_bounded_and_believed_once_a_connection() {
    let mut rig = Rig::new(1);
    rig.read(1).up(0).welcome(0, 0);
    rig.script.clear();
    let long = "x".repeat(262);
    rig.members(0, &[(1, "far1"), (2, ""), (3, "with space"), (4, &long), (5, "\u{1b}[2J"), (6, "a0")]);
    rig.members(0, &[(1, "elsewhere")]);
    // The walk goes on to where n1 is said to be, and back; by then n1 has moved.
    rig.down(0).wake().down(1).reach(0).welcome(0, 0).members(0, &[(1, "moved1")]).down(0);
    rig.check(expect![[r#"
        > e0 says where the members are
          e1 is at far1
          (Ignored(BadAddress))
          (Ignored(BadAddress))
          (Ignored(BadAddress))
          (Ignored(BadAddress))
        > e0 says where the members are
          (Ignored(Unasked))
        > e0 is down
          (Moved { to: EndpointId(1), redirected: false })
        > wake
          connect e1
        > e1 is down
          (Moved { to: EndpointId(0), redirected: false })
        > wake
        > wake
          connect e0
        > e0 is up
          e0 <- hello (3)
          e0 <- members (3)
          (Retried { operation: OperationId(1), attempt: 2 })
          e0 <- read (1): p1
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > e0 says where the members are
          e1 is at moved1
        > e0 is down
          (Moved { to: EndpointId(1), redirected: false })
    "#]]);
    rig.reach(1);
    rig.script.clear();
    let many: Vec<(u8, String)> = (0..40).map(|node| (node, format!("b{node}"))).collect();
    rig.members(1, &many.iter().map(|(node, address)| (*node, address.as_str())).collect::<Vec<_>>());
    let counts = [" is at ", "BadAddress"].map(|what| rig.script.matches(what).count());
    assert_eq!(counts, [16, 24], "{}", rig.script);
}

#[test]
fn a_learned_address_that_nobody_answers_at_keeps_no_one_from_the_given_ones() {
    let mut rig = Rig::new(2);
    rig.submit(1, Access::Read, Span::secs(3600)).up(0).welcome(0, 0).members(0, &[(0, "x0"), (1, "x1")]);
    // n1 leads and is not where the members say, but at e1.
    rig.refuse_read(0, 1, leader_is(1));
    assert_eq!(rig.client.links.current(), EndpointId(3));
    rig.down(3).reach(1).welcome(1, 1).members(1, &[(0, "x0"), (1, "x1")]).value(1, 1);
    rig.script.clear();
    // From now on it is known there, and the ring leaves the other address out.
    rig.read(2).refuse_read(1, 2, NOBODY_LEADS).reach(0).welcome(0, 0).wake();
    rig.refuse_read(0, 2, NOBODY_LEADS).reach(1);
    rig.check(expect![[r#"
        > submit o2 Read
          e1 <- read (4): p2
        > e1 says refused: no leader is known
          (Moved { to: EndpointId(0), redirected: false })
          connect e0
          disconnect e1
        > e0 is up
          e0 <- hello (5)
          e0 <- members (5)
        > e0 says welcome to n0
          (Identified { endpoint: EndpointId(0), node: n0 })
        > wake
          (Retried { operation: OperationId(2), attempt: 2 })
          e0 <- read (4): p2
        > e0 says refused: no leader is known
          (Moved { to: EndpointId(1), redirected: false })
          connect e1
          disconnect e0
        > e1 is up
          e1 <- hello (6)
          e1 <- members (6)
    "#]]);
}

/// Neither a lost answer nor a leader that is new keeps a client for ever with the one member it was told of.
#[test]
fn a_leader_whose_address_nobody_told_is_asked_about_again() {
    let mut rig = Rig::new(1);
    rig.submit(1, Access::Read, Span::secs(3600)).up(0).welcome(0, 0);
    let asked = |rig: &Rig| rig.script.matches("e0 <- members").count();
    assert_eq!(asked(&rig), 1, "with the connection");
    rig.refuse_read(0, 1, leader_is(1)).refuse_read(0, 1, leader_is(1));
    assert_eq!(asked(&rig), 1, "the answer may be under way");
    let mut refusals = 0;
    while asked(&rig) == 1 && refusals < 20 {
        rig.wake().refuse_read(0, 1, leader_is(1));
        refusals += 1;
    }
    assert_eq!(asked(&rig), 2, "no answer came");
    rig.members(0, &[(0, "x0"), (1, "x1")]).wake().refuse_read(0, 1, leader_is(1));
    assert_eq!(rig.client.links.current(), EndpointId(2));
    assert_eq!(asked(&rig), 2, "it is known now");
}

/// Nor does a lost answer where nobody is known to lead: another member may know better.
#[test]
fn a_lost_answer_about_members_is_asked_for_again_even_if_no_leader_is_known() {
    let mut rig = Rig::new(1);
    rig.submit(1, Access::Read, Span::secs(3600)).up(0).welcome(0, 0);
    let asked = |rig: &Rig| rig.script.matches("e0 <- members").count();
    let nobody_leads = Refusal::NotLeader { leader: None };
    let mut refusals = 0;
    while asked(&rig) == 1 && refusals < 20 {
        rig.wake().refuse_read(0, 1, nobody_leads.clone());
        refusals += 1;
    }
    assert_eq!(asked(&rig), 2, "no answer came");
    rig.members(0, &[(0, "x0"), (1, "x1")]).wake().refuse_read(0, 1, nobody_leads);
    assert_ne!(rig.client.links.current(), EndpointId(0));
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

#[test]
fn a_node_farther_away_than_a_try_may_take_is_heard_in_the_end() {
    let mut rig = Rig::with(1, ClientOptions { try_timeout: Span::millis(100), ..options() });
    rig.submit(1, Access::Read, Span::secs(10)).up(0).welcome(0, 0);
    // Its answers to reads take 700 ms, and what is on its way when the connection is given up is lost.
    let mut tries = Vec::new();
    while rig.client.outstanding() > 0 {
        let sent = rig.now;
        let patience = rig.client.deadline().unwrap().since(sent);
        assert_eq!(rig.script.matches(": p1\n").count(), tries.len() + 1);
        tries.push(patience);
        if patience > Span::millis(700) {
            rig.now = sent + Span::millis(700);
            rig.value(0, 1);
        } else {
            // The timeout, then the pauses before a connection and before the try.
            while rig.script.matches(": p1\n").count() == tries.len() {
                rig.wake();
                if rig.script.ends_with("  connect e0\n") {
                    rig.up(0).welcome(0, 0);
                }
            }
        }
    }
    assert_eq!(tries, [100, 200, 400, 800].map(Span::millis));
    // Twice what the answer took is what the next one may take.
    rig.read(2);
    assert_eq!(rig.client.deadline(), Some(rig.now + Span::millis(1400)));
    rig.value(0, 2).read(3);
    assert_eq!(rig.client.deadline(), Some(rig.now + Span::millis(700)));
}

#[test]
fn a_silent_node_is_left_even_if_no_operation_waits_as_long_as_a_try_may() {
    let mut rig = Rig::with(2, ClientOptions { try_timeout: Span::millis(100), ..options() });
    rig.read(0).up(0).welcome(0, 0).value(0, 0);
    rig.script.clear();
    for operation in 1..=3 {
        rig.submit(operation, Access::Read, Span::millis(40)).pass(Span::millis(40));
    }
    rig.check(expect![[r#"
        > submit o1 Read
          e0 <- read (3): p1
        > 40ms pass
          o1 not done: no node answered in time
        > submit o2 Read
          e0 <- read (4): p2
        > 40ms pass
          o2 not done: no node answered in time
        > submit o3 Read
          e0 <- read (5): p3
        > 40ms pass
          (TimedOut { endpoint: EndpointId(0) })
          disconnect e0
          (Moved { to: EndpointId(1), redirected: false })
          o3 not done: no node answered in time
    "#]]);
}

#[test]
fn after_so_many_failed_tries_the_next_node_is_told_and_not_again_at_once() {
    let mut rig = Rig::with(1, ClientOptions { before_force: 2, ..options() });
    rig.in_session();
    rig.write(1);
    for _ in 0..2 {
        rig.refuse_write(0, 1, NOBODY_LEADS).wake();
    }
    let suggestions = |rig: &Rig| rig.script.matches("<- suggest").count();
    assert_eq!(suggestions(&rig), 1, "{}", rig.script);
    let last = "(Retried { operation: OperationId(0), attempt: 3 })\n  e0 <- write 1/0 #1 acked 0: p0\n";
    assert!(rig.script.ends_with(last), "{}", rig.script);
    // That it was heard answers nothing, and the other write fails too without being told of.
    let life = rig.last(0, |request| if let ClientRequest::Suggest { tag } = request { Some(*tag) } else { None });
    rig.script.clear();
    rig.receive(0, "done", ClientResponse::Done { tag: life });
    assert_eq!(rig.script, "> e0 says done\n");
    for _ in 0..2 {
        rig.refuse_write(0, 2, NOBODY_LEADS).wake();
    }
    assert_eq!(suggestions(&rig), 0, "{}", rig.script);
    rig.pass(Span::millis(500));
    for _ in 0..2 {
        rig.refuse_write(0, 1, NOBODY_LEADS).wake();
    }
    assert_eq!(suggestions(&rig), 1, "{}", rig.script);

    let mut rig = Rig::with(1, ClientOptions { before_force: 0, ..options() });
    rig.in_session();
    for _ in 0..20 {
        rig.refuse_write(0, 1, NOBODY_LEADS).wake();
    }
    assert_eq!(suggestions(&rig), 0, "{}", rig.script);
}

#[test]
fn a_session_that_cannot_be_opened_is_a_reason_to_suggest_too() {
    let mut rig = Rig::with(1, ClientOptions { before_force: 2, ..options() });
    rig.submit(0, Access::Write, Span::secs(100)).up(0).welcome(0, 0);
    for _ in 0..2 {
        rig.down(0).reach(0);
    }
    assert_eq!(rig.script.matches("<- suggest").count(), 1, "{}", rig.script);
}

//! What becomes of lines, with a node that is asked and says nothing.

use super::*;
use ios_core::{
    client::WhyUnknown,
    ids::{Index, Revision},
    message::ClientRequest,
    options::{Options, Participant},
    service::{Application, Applied, Service},
};

/// All that lines need, and what was said to which connection.
struct Side {
    lines: Lines,
    inside: Inside,
    node: VecDeque<Input>,
    now: Time,
    leader: Option<NodeId>,
}

fn side(change: impl FnOnce(&mut Options)) -> Side {
    let mut options = Options::default();
    options.client_addresses.insert(NodeId(2), "10.0.0.3:7200".to_owned());
    change(&mut options);
    let manners = Manners::new("kv-store".parse().unwrap(), &options);
    let (lines, inside) = (Lines::new(manners), Inside::new(1, Time(1)));
    Side { lines, inside, node: VecDeque::new(), now: Time(1), leader: None }
}

impl Side {
    /// What is said at once to connection 1 about a line.
    fn say(&mut self, line: &str) -> String {
        self.say_on(1, line)
    }

    fn say_on(&mut self, connection: u64, line: &str) -> String {
        let heard = Heard { connection, line: Ok(line.to_owned().into()) };
        self.lines.hear(self.now, heard, self.leader, &mut self.inside, &mut self.node);
        self.said()
    }

    /// A write or read by client 7.
    fn ask(&mut self, request: i64, text: &str) -> String {
        self.say(&line(request, text))
    }

    fn end(&mut self, ticket: u64, outcome: Outcome) -> String {
        self.lines.complete(self.now, ticket, &outcome);
        self.said()
    }

    fn said(&mut self) -> String {
        let mut text = String::new();
        for (connection, saying) in self.lines.said() {
            let said = match saying {
                Saying::Answer(line) => String::from_utf8(line.to_vec()).unwrap(),
                Saying::Last(line) => format!("last {}", String::from_utf8(line.to_vec()).unwrap()),
                Saying::HangUp => "hang up\n".to_owned(),
            };
            text.push_str(&format!("{connection} <- {said}"));
        }
        text
    }
}

fn line(request: i64, text: &str) -> String {
    format!("{{\"ClientID\":7,\"RequestID\":{request},\"ReadOnly\":true,\"Request\":\"{text}\"}}\n")
}

fn answered(request: i64, success: bool, text: &str) -> String {
    format!("1 <- {{\"ClientID\":7,\"RequestID\":{request},\"Success\":{success},\"Response\":\"{text}\"}}\n")
}

/// As a store in which nothing else was ever done.
fn done(text: &str) -> Outcome {
    let mut store: Application = "kv-store".parse().unwrap();
    let (_, request) = store.parse_line(text).unwrap();
    let at = Applied { index: Index(1), position: 0, revision: Revision(1), log_time: Time::ZERO };
    let mut reply = Vec::new();
    store.apply(&at, &request, &mut reply);
    Outcome::Done { revision: Revision(1), reply: reply.into() }
}

fn not_done(last: Option<Refusal>) -> Outcome {
    Outcome::NotDone { why: WhyNotDone::Deadline { last } }
}

#[test]
fn each_outcome_is_said_as_a_go_client_understands_it() {
    let mut side = side(|_| ());
    let too_large = Outcome::NotDone { why: WhyNotDone::Refused(Refusal::TooLarge { limit: 4096, actual: 5000 }) };
    let nobody = "not done: no node took it in time; last heard: no leader is known";
    for (request, (text, outcome, said)) in (0..).zip([
        ("update A 1", done("update A 1"), answered(0, true, "OK")),
        ("get A", done("get A"), answered(1, true, "key not found")),
        ("update A 1; print", done("update A 1; print"), answered(2, true, "OK; A, 1\\n")),
        ("update A 2", too_large, answered(3, true, "error: 5000 bytes are over the limit of 4096")),
        ("update A 3", not_done(Some(Refusal::NotLeader { leader: None })), answered(4, false, nobody)),
        ("update A 4", Outcome::Unknown { why: WhyUnknown::Deadline }, "1 <- hang up\n".to_owned()),
    ]) {
        assert_eq!(side.ask(request, text), "", "{text}");
        assert_eq!(side.end(request as u64, outcome), said, "{text}");
    }
    assert_eq!((side.lines.under_way.len(), side.lines.bytes), (0, 0));
    side.node.clear();
    assert_eq!(side.ask(9, "update A"), answered(9, true, "Invalid command"));
    assert!(side.say("{}\n").starts_with("1 <- last {\"ClientID\":-1,\"RequestID\":-1,\"Success\":false,"));
    let heard = Heard { connection: 1, line: Err(TooLong) };
    side.lines.hear(side.now, heard, None, &mut side.inside, &mut side.node);
    assert!(side.said().contains("not done: the line is longer than the limit of 9441280 bytes"));
    assert!(side.node.is_empty(), "the node hears nothing of these");
}

#[test]
fn a_write_that_is_repeated_is_begun_once_and_every_try_gets_its_answer() {
    let mut side = side(|_| ());
    let write = line(1, "cas A 1 2");
    assert_eq!(side.say_on(1, &write) + &side.say_on(2, &write) + &side.say_on(2, &write), "");
    assert_eq!(side.lines.under_way.len(), 1);
    let said = side.end(0, done("cas A 1 2"));
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines.len() == 3 && lines[0].starts_with("1 <- ") && lines[1..].iter().all(|line| line.starts_with("2 <-"))
    );
    // Wherever the leader is by now, whatever the options say, and on whichever connection.
    side.leader = Some(NodeId(2));
    assert_eq!(side.say_on(1, &write), answered(1, true, "false"));
    side.leader = None;
    side.now = side.now + memory::REMEMBERED_FOR;
    assert_eq!(
        (side.say_on(1, &write), side.lines.under_way.len()),
        (String::new(), 1),
        "a minute later it is a new one"
    );
}

#[test]
fn f20_the_ids_of_an_earlier_life_with_another_text_name_another_write() {
    let mut side = side(|_| ());
    assert_eq!(side.ask(1, "update A 1"), "");
    assert_eq!(side.end(0, done("update A 1")), answered(1, true, "OK"));
    // The client was started again, and counts from the beginning.
    assert_eq!((side.ask(1, "cas A 1 2"), side.lines.under_way.len()), (String::new(), 1));
    assert_eq!(side.end(1, done("cas A 1 2")), answered(1, true, "false"));
}

#[test]
fn what_was_not_done_is_tried_again_and_what_nobody_knows_is_not() {
    let mut side = side(|_| ());
    assert_eq!(side.ask(1, "delete A"), "");
    side.end(0, not_done(None));
    assert_eq!((side.ask(1, "delete A"), side.lines.under_way.len()), (String::new(), 1));
    side.end(1, Outcome::Unknown { why: WhyUnknown::Expired });
    // Above all nobody is told that it was not done, as somebody else leads now.
    side.leader = Some(NodeId(2));
    assert_eq!(side.ask(1, "delete A"), "1 <- hang up\n");
    assert_eq!(side.lines.under_way.len(), 0);
}

#[test]
fn a_read_is_what_the_text_says_and_is_done_each_time() {
    let mut side = side(|_| ());
    assert_eq!(side.ask(1, "get A") + &side.ask(1, "get A"), "");
    assert_eq!(side.lines.under_way.len(), 2);
    let reads = side.node.iter().filter(|input| {
        matches!(input, Input::Client { request: ClientRequest::Read { .. } | ClientRequest::Register { .. }, .. })
    });
    assert_eq!(reads.count(), 2, "{:?}", side.node);
    side.node.clear();
    // The word `ReadOnly` is in every line here.
    assert_eq!(side.ask(2, "get A; update A 1"), "");
    let registers = |input: &Input| matches!(input, Input::Client { request: ClientRequest::Register { .. }, .. });
    assert!(side.node.iter().any(registers), "a write wants a session: {:?}", side.node);
}

#[test]
fn a_member_that_does_not_lead_names_the_leader_or_asks_as_its_options_say() {
    let mut redirecting = side(|_| ());
    redirecting.leader = Some(NodeId(2));
    let there = "not done: n2 leads, which serves clients at 10.0.0.3:7200, not this member";
    assert_eq!(redirecting.ask(1, "update A 1"), answered(1, false, there));
    assert_eq!(redirecting.ask(2, "get A"), answered(2, false, there));
    redirecting.leader = Some(NodeId(1));
    assert_eq!(redirecting.ask(1, "update A 1"), answered(1, false, "not done: n1 leads, not this member"));
    assert!(redirecting.node.is_empty());
    let mut forwarding = side(|options| options.participant = Participant::Forward);
    forwarding.leader = Some(NodeId(2));
    assert_eq!((forwarding.ask(1, "update A 1"), forwarding.lines.under_way.len()), (String::new(), 1));
}

#[test]
fn a_wish_for_another_leader_reaches_the_node_before_the_request() {
    let mut side = side(|_| ());
    let said = "{\"ClientID\":7,\"RequestID\":1,\"ForceViewChange\":true,\"Request\":\"get A\"}\n";
    assert_eq!(side.say(said), "");
    let first = side.node.pop_front();
    assert!(matches!(first, Some(Input::Client { request: ClientRequest::Suggest { .. }, .. })), "{first:?}");
    assert!(!side.node.is_empty());
}

#[test]
fn more_than_can_be_under_way_is_refused_and_the_room_comes_back() {
    let mut side = side(|_| ());
    let overloaded = "not done: overloaded: too many requests are under way";
    for request in 0..UNDER_WAY_MAX as i64 {
        assert_eq!(side.ask(request, "get A"), "");
    }
    assert_eq!(side.ask(-1, "get A"), answered(-1, false, overloaded));
    for ticket in 0..UNDER_WAY_MAX as u64 {
        side.end(ticket, not_done(None));
    }
    let large = format!("update A {}", "x".repeat(1 << 20));
    let mut taken = 0;
    while side.ask(taken, &large).is_empty() {
        taken += 1;
    }
    assert_eq!(taken, 63, "with their keys 64 are a little more than 64 MiB");
    assert_eq!(side.ask(taken, "get A"), "", "a small one has room");
}

//! When messages arrive, and whether.

use super::*;

fn scenario() -> Scenario {
    let mut scenario = Scenario { seed: 7, ..Scenario::default() };
    scenario.cluster.nodes = 3;
    scenario.cluster.clients = 1;
    scenario
}

fn network(scenario: &Scenario) -> Network {
    let mut network = Network::default();
    network.reset(scenario);
    network
}

fn letter(index: u64) -> Letter {
    let view = Some(View { round: 1, node: NodeId(0) });
    Letter { subject: Subject { kind: MessageKind::Accept, view, index: Some(Index(index)) }, number: 0 }
}

fn send(network: &mut Network, now: u64, link: (u8, u8), index: u64) -> Vec<Time> {
    network.send(Time(now), link, letter(index), &mut Counters::default(), &mut []).iter().collect()
}

#[test]
fn a_decision_depends_on_the_message_and_not_on_what_else_was_sent() {
    let mut scenario = scenario();
    scenario.network.drop = 300_000;
    scenario.network.duplicate = 300_000;
    scenario.network.reorder = 1_000_000;
    let (mut one, mut two) = (network(&scenario), network(&scenario));
    let all: Vec<_> = (0..50).map(|index| send(&mut one, 0, (0, 1), index)).collect();
    for index in (0..50).step_by(2) {
        send(&mut two, 0, (2, 1), index);
        assert_eq!(send(&mut two, 0, (0, 1), index), all[index as usize], "message {index}");
    }
    assert!(all.iter().any(Vec::is_empty) && all.iter().any(|times| times.len() == 2));
    let again: Vec<_> = (0..50).map(|index| send(&mut one, 0, (0, 1), index)).collect();
    assert_ne!(all, again, "a second attempt is decided anew");
}

#[test]
fn a_link_keeps_its_order_unless_chance_says_otherwise() {
    let mut network = network(&scenario());
    let times: Vec<_> = (0..100).flat_map(|index| send(&mut network, index, (0, 1), index)).collect();
    assert!(times.is_sorted() && times.len() == 100);
}

#[test]
fn a_clients_stream_neither_repeats_nor_reorders() {
    let mut scenario = scenario();
    let links = &mut scenario.client_network;
    (links.duplicate, links.reorder, links.late) = (500_000, 500_000, 100_000);
    let mut network = network(&scenario);
    let times: Vec<_> = (0..100).flat_map(|index| send(&mut network, index, (3, 1), index)).collect();
    assert!(times.is_sorted() && times.len() == 100);
}

#[test]
fn blocks_overlap_and_each_ends_by_itself() {
    let mut network = network(&scenario());
    let ends = |ends: &[u8]| ends.iter().map(|end| End::Node(NodeId(*end))).collect::<Vec<_>>();
    let oneway = Action::Partition { groups: vec![ends(&[0]), ends(&[1, 2])], oneway: true, back: None, flap: None };
    let first = network.block(&oneway, None);
    assert_eq!((network.is_blocked(0, 2), network.is_blocked(2, 0), network.is_blocked(1, 2)), (true, false, false));
    let isolate = Action::Isolate { node: crate::scenario::Target::It, back: None, flap: None };
    let second = network.block(&isolate, Some(NodeId(2)));
    network.unblock(first);
    assert_eq!((network.is_blocked(0, 1), network.is_blocked(0, 2)), (false, true));
    assert!(network.is_blocked(3, 2), "the client as well");
    assert!(send(&mut network, 0, (0, 2), 1).is_empty());
    network.heal_for_ever([NodeId(0), NodeId(2)].into_iter().collect());
    assert!(!network.is_blocked(0, 2));
    network.unblock(second);
    assert_eq!(send(&mut network, 0, (0, 1), 1).len(), 1);
}

#[test]
fn a_block_comes_and_goes_until_it_has_ended() {
    let mut network = network(&scenario());
    let link = (End::Node(NodeId(0)), End::Node(NodeId(1)));
    let cut = network.block(&Action::Cut { links: vec![link], back: None, flap: None }, None);
    let clog = network.block(&Action::Clog { links: vec![link], back: None, flap: None }, None);
    assert_eq!((network.clogs(cut), network.clogs(clog)), (false, true));
    assert!(network.put_up(cut, false) && network.put_up(cut, false), "twice is once");
    assert_eq!((network.is_blocked(0, 1), network.is_clogged(0, 1), network.is_clogged(1, 0)), (false, true, false));
    assert!(network.put_up(cut, true) && network.is_blocked(0, 1));
    network.unblock(cut);
    assert!(!network.put_up(cut, true) && !network.is_blocked(0, 1));
    network.heal();
    assert!(!network.is_clogged(0, 1) && !network.is_clogged_somewhere());
}

#[test]
fn what_has_no_priority_is_later_and_who_has_changes() {
    let mut scenario = scenario();
    scenario.network.delay = (Span::millis(1), Span::millis(1));
    let delays = |scenario: &Scenario, rankings: usize| {
        let mut network = network(scenario);
        (1..rankings).for_each(|_| network.rank());
        [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (3, 0)]
            .map(|link| send(&mut network, 0, link, 1)[0].0 / 1_000_000)
    };
    let step = Span::millis(100);
    scenario.order = Order::Priorities { by: RankedBy::Links, step };
    let first = delays(&scenario, 1);
    assert!(first[..6].iter().all(|delay| delay % 100 == 1 && *delay <= 301), "{first:?}");
    assert!(first[..6].iter().any(|delay| *delay > 1) && first[6] < 10, "{first:?}: clients have none");
    assert_ne!(first, delays(&scenario, 2));
    scenario.order = Order::Priorities { by: RankedBy::Nodes, step };
    for rankings in 1..4 {
        let [a, b, c, d, e, f, _] = delays(&scenario, rankings);
        assert_eq!((a, c, e), (b, d, f), "a sender's links are equal");
    }
    scenario.order = Order::SlowLink { from: NodeId(1), to: NodeId(2), by: step };
    assert_eq!(delays(&scenario, 1)[..6], [1, 1, 1, 101, 1, 1]);
}

#[test]
fn a_link_holds_as_many_as_it_may_while_the_safety_phase_lasts() {
    let mut scenario = scenario();
    scenario.network.queue = 2;
    let mut network = network(&scenario);
    let mut counters = Counters::default();
    let mut send = |network: &mut Network| network.send(Time(0), (0, 1), letter(1), &mut counters, &mut []).full;
    assert_eq!([send(&mut network), send(&mut network), send(&mut network)], [false, false, true]);
    network.arrived(0, 1);
    assert_eq!([send(&mut network), send(&mut network)], [false, true]);
    network.heal_for_ever([NodeId(2)].into_iter().collect());
    assert!(!send(&mut network), "even where nothing healed");
    assert_eq!((counters.get(Counter::MessagesOverflowed), counters.get(Counter::MessagesDropped)), (2, 0));
}

#[test]
fn the_first_matching_override_decides_and_counts_its_matches() {
    let mut scenario = scenario();
    let rule = |nth, fate| Override::Message {
        from: Some(End::Node(NodeId(0))),
        to: None,
        kind: Some(MessageKind::Accept),
        view: None,
        index: None,
        nth,
        fate,
    };
    scenario.overrides = vec![rule(Some(2), MessageFate::Drop), rule(None, MessageFate::Duplicate(Span::millis(500)))];
    let mut network = network(&scenario);
    let mut used = [false; 2];
    let mut counters = Counters::default();
    let mut count = |link| network.send(Time(0), link, letter(1), &mut counters, &mut used).iter().count();
    assert_eq!((count((0, 1)), count((0, 2)), count((1, 2))), (2, 0, 1));
    assert_eq!(used, [true, true]);
}

#[test]
fn a_link_holds_so_many_messages_and_no_more() {
    let mut network = network(&scenario());
    for index in 0..u64::from(LINK_MAX) {
        assert_eq!(send(&mut network, 0, (0, 1), index).len(), 1);
    }
    assert!(send(&mut network, 0, (0, 1), 9).is_empty());
    network.arrived(0, 1);
    assert_eq!(send(&mut network, 0, (0, 1), 9).len(), 1);
}

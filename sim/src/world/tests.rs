//! Whole runs: that they are deterministic, and that a healthy cluster works.

use super::*;
use crate::{
    choice::mix,
    generator::{Profile, generate},
    history::{Answer, Data, Marks, Outcome as Past, Verb},
    scenario::{Liveness, Workload},
};
use ios_core::{
    ids::{ClusterId, ConnectionId, Incarnation, Index, Revision},
    interface::{DiskError, Fault, FileId},
    message::{ClientRequest, ClientResponse, Hello, PeerMessage},
    replica::quorum::QuorumSpec,
};

fn calm() -> Scenario {
    Scenario { seed: 7, workload: Workload { ops: 40, ..Workload::default() }, ..Scenario::default() }
}

#[test]
fn a_healthy_cluster_elects_one_leader_and_answers_every_client() {
    let outcome = run(&calm());
    assert_eq!(outcome.violation, None);
    let get = |counter| outcome.counters.get(counter);
    assert_eq!((get(Counter::ViewChanges), get(Counter::StepDowns), get(Counter::OutcomeUnknown)), (1, 0, 0));
    // The generated ones, and two of each client in the liveness phase.
    assert_eq!((outcome.operations, get(Counter::Answered)), (44, 44));
}

#[test]
fn equal_scenarios_give_equal_runs_whatever_ran_before_them() {
    let mut world = World::default();
    for seed in 0..6 {
        let scenario = generate(Profile::Swarm, seed);
        let first = run(&scenario);
        assert_eq!(first, world.run(&scenario), "seed {seed} in a used world");
    }
}

#[test]
fn a_trace_changes_nothing_and_every_letter_comes_to_its_end() {
    let untraced = run(&calm());
    let (traced, told) = told_of(&calm());
    assert_eq!(traced, untraced);
    let count = |is: fn(&Told) -> bool| told.iter().filter(|told| is(told)).count() as u64;
    let sent = count(|told| matches!(told, Told::Sent { .. }));
    let [delivered, lost] =
        [count(|told| matches!(told, Told::Delivered { .. })), count(|told| matches!(told, Told::Lost { .. }))];
    assert!(sent > 300 && delivered + lost <= sent && sent - delivered - lost < 50, "{sent}, {delivered}, {lost}");
    assert_eq!(count(|told| matches!(told, Told::Begun { .. })), traced.operations);
    assert_eq!(count(|told| matches!(told, Told::Ended { .. })), traced.operations);
    assert!(count(|told| matches!(told, Told::Chosen { .. })) > 10);
}

#[test]
fn a_trace_of_hostile_runs_changes_nothing_and_is_in_order() {
    for seed in 0..12 {
        let scenario = generate(Profile::Swarm, seed);
        let (traced, told) = told_of(&scenario);
        assert_eq!(traced, run(&scenario), "seed {seed}");
        let mut sent = std::collections::BTreeSet::new();
        for told in &told {
            match told {
                Told::Sent { letter, .. } => assert!(sent.insert(*letter), "{told} twice"),
                Told::Delivered { letter } | Told::Lost { letter, .. } | Told::Held { letter } => {
                    assert!(sent.contains(letter), "{told}, and was never sent");
                }
                _ => assert!(!told.to_string().is_empty()),
            }
        }
    }
}

/// A run and what it told.
fn told_of(scenario: &Scenario) -> (Outcome, Vec<Told>) {
    let (told, outcome) = listen(scenario, Vec::new(), |all, _, told: &Told| all.push(told.clone()));
    (outcome, told)
}

#[test]
fn another_seed_is_another_run() {
    let mut scenario = calm();
    let first = run(&scenario).digest;
    scenario.seed = mix(scenario.seed);
    assert_ne!(first, run(&scenario).digest);
}

/// A run of a plan, given as the text of a scenario's lines.
fn planned(lines: &str) -> Outcome {
    let text = format!("ios-scenario 1\nexpect ok\ncluster clients=1\nseed 3\nworkload ops=20\n{lines}\nrun 2s\n");
    run(&text.parse().unwrap_or_else(|error| panic!("{error}\n{text}")))
}

fn check(lines: &str, counters: &[(Counter, u64)]) -> Outcome {
    let outcome = planned(lines);
    assert_eq!(outcome.violation, None, "{lines}");
    assert!(outcome.fired.iter().all(|fired| *fired), "{lines}: {:?}", outcome.fired);
    for (counter, expected) in counters {
        assert_eq!(outcome.counters.get(*counter), *expected, "{lines}: {}", counter.name());
    }
    outcome
}

#[test]
fn a_crash_falls_between_two_outputs_and_loses_the_rest_of_the_step() {
    use Counter::{CrashesMidStep, CrashesPower, Restarts};
    let before = "before any sends Accept nth=1 crash it power for=50ms";
    check(before, &[(CrashesPower, 1), (CrashesMidStep, 1), (Restarts, 1)]);
    check("when any receives Accept nth=3 crash it power for=50ms", &[(CrashesMidStep, 1), (Restarts, 1)]);
}

#[test]
fn each_kind_of_fault_is_injected_and_counted() {
    use Counter::*;
    check("at 1200ms crash leader process for=100ms", &[(CrashesProcess, 1), (Restarts, 1)]);
    check("at 1200ms crash all power for=10ms", &[(CrashesPower, 3), (Restarts, 3)]);
    check("at 1200ms pause leader for=600ms", &[(Pauses, 1)]);
    check("at 1200ms isolate leader for=600ms", &[(Partitions, 1)]);
    check("at 1200ms partition n0 | n1 n2 oneway for=500ms", &[(PartitionsOneWay, 1)]);
    check("at 1200ms fail leader for=100ms", &[(DiskErrors, 1), (Fenced, 1), (Restarts, 1)]);
    check("at 1200ms skew n1 400", &[(ClocksSkewed, 1)]);
    check("at 1200ms slow n1 links 20ms for=100ms", &[(LinksSlow, 1)]);
    check("at 1200ms cut n0>n1 n1>n2 n2>n0 for=100ms", &[(PartitionsPartial, 1)]);
    check("at 1200ms isolate n1 for=10ms times=5 gap=20ms", &[(Partitions, 1), (PartitionsAgain, 4)]);
    check("at 1200ms clog n0>n1 for=100ms times=2 gap=1ms", &[(LinksClogged, 1), (PartitionsAgain, 1)]);
    check("order priorities links step=3ms\nat 1200ms rerank\nat 1300ms rerank", &[(PrioritiesChanged, 2)]);
    check("at 1200ms jump n1 5s", &[(ClocksLeapt, 1)]);
    check("at 1200ms jump n1 -50ms for=20ms times=3 gap=30ms", &[(ClocksLeapt, 3), (ClocksHeldBack, 3)]);
    check("at 1200ms crash c0", &[(ClientCrashes, 1)]);
    check("at 1200ms disconnect c0", &[(ClientDisconnects, 1)]);
    check("at 1200ms pause c0 for=300ms", &[(ClientPauses, 1)]);
}

#[test]
fn a_clogged_link_delivers_in_order_and_at_once() {
    // Whoever leads sends to both others; n0's links hold everything from 1200 to 1300 ms.
    let text = "ios-scenario 1\nexpect ok\ncluster clients=1\nseed 3\nworkload ops=20\n\
                at 1200ms clog n0>n1 n1>n0 n0>n2 n2>n0 c0>n0 n0>c0 for=100ms\nrun 2s\n";
    let (mut sent, mut stuck, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    let scenario = text.parse().unwrap();
    let (events, outcome) = listen(&scenario, Vec::new(), |all, time, told: &Told| all.push((time, told.clone())));
    assert_eq!(outcome.violation, None);
    for (time, told) in events {
        match told {
            Told::Sent { letter, from, to, .. } => sent.push((letter, (from, to))),
            Told::Stuck { letter } => stuck.push(letter),
            Told::Delivered { letter } if stuck.contains(&letter) => {
                assert_eq!(time, Time(1_300_000_000));
                taken.push(letter);
            }
            _ => {}
        }
    }
    assert!(taken.len() > 3, "{taken:?}");
    assert_eq!(outcome.counters.get(Counter::MessagesStuck), stuck.len() as u64);
    let on = |letters: &[LetterId], link| -> Vec<LetterId> {
        let of = |letter: &LetterId| sent.iter().find(|(name, _)| name == letter).expect("it was sent").1;
        letters.iter().copied().filter(|letter| of(letter) == link).collect()
    };
    for (_, link) in &sent {
        assert!(on(&taken, *link).is_sorted(), "{link:?}");
    }
}

#[test]
fn a_clog_changes_nothing_but_what_it_holds_and_ends_with_heal_and_with_the_safety_phase() {
    let before = check("at 1200ms heal", &[(Counter::MessagesStuck, 0)]);
    let healed = check("at 1200ms clog n0>n1 n1>n0\nat 1300ms heal", &[(Counter::LinksClogged, 1)]);
    let kept = check("at 1200ms clog n0>n1 n1>n0", &[(Counter::LinksClogged, 1)]);
    let stuck = |outcome: &Outcome| outcome.counters.get(Counter::MessagesStuck);
    assert!(0 < stuck(&healed) && stuck(&healed) < stuck(&kept));
    assert_ne!(before.digest, healed.digest);
}

#[test]
fn a_full_link_loses_what_exceeds_it() {
    let lines = "network queue=1";
    let outcome = check(lines, &[(Counter::MessagesDropped, 0)]);
    assert!(outcome.counters.get(Counter::MessagesOverflowed) > 0);
}

#[test]
fn a_leap_ahead_makes_a_follower_stand_and_one_back_makes_it_patient() {
    let lone = |lines: &str| check(lines, &[]).counters.get(Counter::Canvasses);
    let calm = lone("at 1200ms heal");
    // One canvass at once; its timer restarts from the new time.
    assert!(lone("at 1200ms jump n0 2s\nat 1200ms jump n1 2s\nat 1200ms jump n2 2s") > calm);
    // Nobody hears anything, and for half a second nobody's time goes on.
    let cut = "at 1200ms cut n0>n1 n1>n0 n0>n2 n2>n0 n1>n2 n2>n1 for=600ms";
    let still: String = (0..3).map(|node| format!("\nat 1200ms jump n{node} -700ms")).collect();
    assert!(lone(&format!("{cut}{still}")) < lone(cut));
}

#[test]
fn a_lone_leaders_leap_takes_log_time_along_and_ends_sessions() {
    let run_of = |line: &str| {
        let text = format!(
            "ios-scenario 1\ncluster nodes=1 session_ttl=1s\nseed 3\nworkload ops=30 think=0s..200ms\n{line}\nrun 2s"
        );
        run(&text.parse().unwrap())
    };
    for (line, expired) in [("at 1200ms heal", 0), ("at 1200ms jump n0 30s", 2), ("at 1200ms jump n0 -30s", 0)] {
        let outcome = run_of(line);
        assert_eq!(outcome.violation, None, "{line}: it heals, stood still or not");
        assert_eq!(outcome.counters.get(Counter::SessionsExpired), expired, "{line}");
    }
}

#[test]
fn a_rotten_record_is_found_at_the_next_start_and_repaired_from_peers() {
    use Counter::*;
    let lines = "at 1500ms rot n1 body index=2 bit\nat 1501ms crash n1 power for=50ms";
    check(lines, &[(RotBody, 1), (RottenFound, 1), (RottenRepaired, 1)]);
    let lines =
        "at 1500ms rot n1 body index=2 whole\nat 1500ms rot n1 slot index=2 whole\nat 1501ms crash n1 power for=50ms";
    check(lines, &[(RotBody, 1), (RotSlot, 1), (LossesFound, 1), (LossesRepaired, 1)]);
}

#[test]
fn damage_that_reads_as_something_else_or_not_at_all_is_found_as_well() {
    use Counter::*;
    let lines = "at 1500ms rot n1 body index=2 misdirected\nat 1501ms crash n1 power for=50ms";
    check(lines, &[(RotBody, 1), (RottenFound, 1), (RottenRepaired, 1)]);
    let lines = "at 1500ms rot n1 body index=2 unreadable\nat 1501ms crash n1 power for=50ms";
    let outcome = check(lines, &[(RotBody, 1), (LossesFound, 0)]);
    let (found, repaired) = (outcome.counters.get(RottenFound), outcome.counters.get(RottenRepaired));
    assert!(found > 1 && repaired == found, "a sector holds more than one record");
    let lines = "at 1500ms rot n1 identity unreadable\nat 1501ms crash n1 power for=50ms";
    check(lines, &[(RotIdentity, 1), (OpensRefused, 0), (Restarts, 1)]);
}

#[test]
fn a_full_disk_keeps_nobody_from_what_has_its_room_already() {
    use Counter::*;
    // Small segments: n1 needs another one soon, is left behind, and catches up once there is room.
    let filled = |lines: &str| {
        let cluster = "cluster clients=2 segment_records=16 segment_bytes=700000 snapshot_interval=4";
        let text = format!(
            "ios-scenario 1\nexpect ok\n{cluster}\nseed 3\nworkload ops=400 think=1ms..5ms\n{lines}\nrun 3s\n\
             liveness within=5s\n"
        );
        let outcome = run(&text.parse().unwrap_or_else(|error| panic!("{error}\n{text}")));
        assert_eq!(outcome.violation, None, "{lines}");
        outcome.counters
    };
    let counters = filled("at 1200ms full n1 for=1200ms");
    assert!(counters.get(FilesWithoutRoom) > 1 && counters.get(Fenced) == 0, "{counters:?}");
    // A leader without room for what it is asked to store leaves leading to others.
    let counters = filled("at 1200ms full leader for=2s");
    assert!(counters.get(ViewChanges) == 2 && counters.get(Fenced) == 0);
    // Who is told to stop does not wait for room, and comes back when there is some.
    let counters = filled("at 1200ms full n1 for=1500ms\nat 1900ms stop n1 for=300ms");
    assert!(counters.get(Stops) == 1 && counters.get(Restarts) > 0);
    // A life begins with a segment of its own.
    let counters = filled("at 1200ms full n1 for=600ms\nat 1300ms crash n1 process for=10ms");
    assert!(counters.get(Fenced) > 0);
}

#[test]
fn a_cluster_without_quorum_misses_its_bound() {
    // The core is healed, but its links cannot carry an answer in so short a time.
    let mut scenario = calm();
    scenario.liveness = Liveness::Core { nodes: Vec::new(), within: ios_core::time::Span::micros(10) };
    let violation = run(&scenario).violation.expect("nothing gets done in no time");
    assert_eq!(violation.oracle, Oracle::Liveness);
}

#[test]
fn a_core_whose_members_are_not_level_in_the_end_is_found() {
    // All that clients wanted is done, and one of the core has lost what it knew.
    let mut world = World::default();
    assert_eq!(world.run(&calm()).violation, None);
    world.settled = Some(world.now());
    assert!(world.is_done());
    world.processes[1].node = None;
    assert!(!world.is_done());
    world.turn_phase();
    assert_eq!(found(&world), Some(Oracle::Liveness));
}

/// A world in which nothing has happened yet, but that n0 has started.
fn newborn() -> (World, NodeId) {
    let mut world = World::default();
    world.reset(&calm());
    world.begin();
    world.start(NodeId(0));
    assert_eq!(world.outcome.violation, None);
    (world, NodeId(0))
}

fn found(world: &World) -> Option<Oracle> {
    world.outcome.violation.as_ref().map(|violation| violation.oracle)
}

#[test]
fn a_node_stops_itself_for_a_failed_disk_and_for_nothing_else() {
    let disk = Fault::Disk { file: FileId::Identity, error: DiskError::Io };
    let other = Fault::Divergence { index: Index(1) };
    for (failed, fault, expected) in
        [(true, disk.clone(), None), (false, disk, Some(Oracle::Health)), (true, other, Some(Oracle::Health))]
    {
        let (mut world, n0) = newborn();
        world.processes[0].failed = failed.then_some(None);
        assert!(!world.perform(n0, world.processes[0].life, Output::Fence(fault)));
        assert_eq!(found(&world), expected);
    }
    let (mut world, n0) = newborn();
    world.perform(n0, world.processes[0].life, Output::Stopped);
    assert_eq!(found(&world), Some(Oracle::Health));
}

#[test]
fn a_node_opens_what_its_disk_holds_unless_more_of_it_rotted_than_may() {
    for (slots, expected) in [(1, None), (6, Some(Oracle::Health))] {
        let (mut world, n0) = newborn();
        world.stop(n0, false, None);
        for slot in 0..slots {
            assert!(world.processes[0].disk.damage(FileId::Identity, slot * 4096, &[0xff; 4096]));
        }
        world.start(n0);
        assert_eq!(found(&world), expected);
    }
}

#[test]
fn a_message_that_does_not_survive_its_encoding_is_found() {
    // One that names so many disks is too large for a frame.
    for (disks, expected) in [(3, None), (1 << 20, Some(Oracle::Encoding))] {
        let (mut world, n0) = newborn();
        world.encoder = Some(Encoder::default());
        let (nonce, incarnation) = (DiskNonce(u128::MAX), Incarnation(1));
        let founded = Some((ClusterId(1), vec![nonce; disks]));
        let hello = Hello {
            versions: (1, 1),
            node: n0,
            nonce,
            incarnation,
            founded,
            complete: false,
            genesis: 1,
            answer: true,
        };
        let (to, message) = (NodeSet::only(NodeId(1)), PeerMessage::Hello(Box::new(hello)));
        world.perform(n0, world.processes[0].life, Output::Send { to, message });
        assert_eq!(found(&world), expected);
        assert_eq!(world.outcome.checks.get(Oracle::Encoding), 1);
    }
}

#[test]
fn what_clients_say_and_are_told_goes_through_its_encoding_too() {
    // More than a frame of either kind holds.
    for (bytes, expected) in [(3, None), (33 << 20, Some(Oracle::Encoding))] {
        let payload = bytes::Bytes::from(vec![7; bytes]);
        let connected = || {
            let (mut world, n0) = newborn();
            world.encoder = Some(Encoder::default());
            let node = (n0, world.processes[0].life);
            world.connections.push(Connection { client: (0, 1), endpoint: 0, node, broken: false, closed: false });
            (world, node, ConnectionId(0))
        };
        let (mut world, (n0, life), connection) = connected();
        let response = ClientResponse::Read { tag: 1, revision: Revision(1), payload: payload.clone() };
        world.perform(n0, life, Output::Reply { connection, response });
        assert_eq!((found(&world), world.outcome.checks.get(Oracle::Encoding)), (expected, 1));
        let (mut world, _, connection) = connected();
        world.send_request(connection, ClientRequest::Read { tag: 1, payload });
        assert_eq!((found(&world), world.outcome.checks.get(Oracle::Encoding)), (expected, 1));
    }
}

#[test]
fn a_damaged_frame_that_somebody_understands_is_found() {
    let request = ClientRequest::Status { tag: 1 };
    let frame = Encoder::default().encode(&request).unwrap().concat();
    let mut world = World::default();
    for bits in 0..4000 {
        world.refuse_damaged(&request, mix(bits));
    }
    assert_eq!(found(&world), None);
    world.refuse::<ClientRequest>(frame);
    assert_eq!((found(&world), world.outcome.checks.get(Oracle::Encoding)), (Some(Oracle::Encoding), 4001));
}

#[test]
fn whom_damaged_frames_part_find_each_other_again() {
    let text = "ios-scenario 1\nseed 5\nnetwork delay=1ms..2ms damage=10000\n\
                client-network delay=1ms..2ms damage=20000\nworkload ops=300 think=1ms..10ms\nrun 3s\n";
    let scenario = text.parse().unwrap();
    let (outcome, told) = told_of(&scenario);
    assert_eq!(outcome.violation, None);
    let count = |wanted: fn(&Told) -> bool| told.iter().filter(|told| wanted(told)).count();
    let damaged = count(|told| matches!(told, Told::Lost { why: told::Loss::Damaged, .. }));
    assert_eq!(outcome.counters.get(Counter::FramesDamaged), damaged as u64);
    assert!(damaged > 20, "{damaged} frames");
    assert!(count(|told| matches!(told, Told::Link { up: false, .. })) > 10, "links break");
    assert!(count(|told| matches!(told, Told::Broken { .. })) > 0, "connections break");
    assert!(outcome.counters.get(Counter::Answered) > 200, "and others are made");
}

#[test]
fn a_value_that_nobody_wrote_is_found_when_the_run_is_judged() {
    for (value, expected) in [("a", None), ("b", Some(Oracle::Linearizability))] {
        let (mut world, _) = newborn();
        let data = |text: &str| Data(text.to_string().into());
        let put = world.history.invoke(1, 0, vec![Verb::Put { key: data("k"), value: data("a") }]);
        let answers = vec![Answer::Written { modified: Some(1) }];
        world.history.end(2, put, Past::Done { revision: Some(1), answers });
        let get = world.history.invoke(3, 0, vec![Verb::Get { key: data("k") }]);
        let marks = Some(Marks { created: 1, modified: 1, version: 1 });
        let answers = vec![Answer::Value { value: data(value), marks }];
        world.history.end(4, get, Past::Done { revision: Some(1), answers });
        world.judge();
        assert_eq!(found(&world), expected);
        assert_eq!(world.outcome.checks.get(Oracle::Linearizability), 1);
    }
}

#[test]
fn a_band_of_seeds_injects_every_kind_of_fault() {
    let mut counters = crate::outcome::Counters::default();
    let mut world = World::default();
    for seed in 0..150 {
        let outcome = world.run(&generate(Profile::Swarm, seed));
        assert_eq!(outcome.violation, None, "seed {seed}");
        counters.merge(&outcome.counters);
    }
    let never: Vec<_> = counters
        .iter()
        .filter(|(counter, count)| counter.kind() == crate::outcome::CounterKind::Fault && *count == 0)
        .map(|(counter, _)| counter.name())
        .collect();
    assert!(never.is_empty(), "never injected: {never:?}");
}

/// Each pair of sizes of which any two sets meet, from one member to seven, under a plan that the swarm draws for so
/// many members.
#[test]
fn every_legal_pair_of_quorum_sizes_survives_a_swarm_of_faults() {
    let mut world = World::default();
    let mut seeds = (0..).map(|seed| generate(Profile::Swarm, seed));
    for nodes in 1..=7_u8 {
        let pairs = (1..=nodes).flat_map(|q2| (nodes + 1 - q2..=nodes).map(move |q1| (q2, q1)));
        for (q2, q1) in pairs {
            let mut scenario = seeds.find(|scenario| scenario.cluster.nodes == nodes).expect("seeds do not end");
            let (replication, recovery) = (u32::from(q2), u32::from(q1));
            scenario.cluster.quorum =
                QuorumSpec::Weighted { weights: vec![1; usize::from(nodes)], replication, recovery };
            let Liveness::Core { within, .. } = scenario.liveness else { panic!("a swarm has to end") };
            scenario.liveness = Liveness::Core { nodes: Vec::new(), within };
            let outcome = world.run(&scenario);
            assert_eq!(outcome.violation, None, "n = {nodes}, Q2 = {q2}, Q1 = {q1}, seed {}", scenario.seed);
        }
    }
}

/// The first leader's clock runs slow and its followers' fast; it is cut off together with a client that reads, while
/// another one writes through the next leader. With clocks as wrong as the lease states nobody is led astray; with an
/// error that it does not state, somebody is, and is found out.
#[test]
fn a_lease_holds_with_clocks_as_wrong_as_stated_and_breaks_beyond() {
    let mut first_leader = String::new();
    for (node, others) in [("n0", "n1 n2"), ("n1", "n0 n2"), ("n2", "n0 n1")] {
        first_leader += &format!(
            "when {node} leads view=1.{node} skew {node} -100000\n\
             when {node} leads view=1.{node} in=500ms partition {node} c0 | {others} c1\n"
        );
    }
    for (stated, good) in [("100000ppm", true), ("0ppm", false)] {
        let (mut lease_reads, mut misled) = (0, 0);
        for seed in 0..80 {
            let text = format!(
                "ios-scenario 1\ncluster clients=2 lease=3s/{stated} client_retry=100ms client_deadline=300ms \
                 heartbeat=100ms election_timeout=3s\nseed {seed}\nclocks n0=100000 n1=100000 n2=100000\n\
                 workload ops=2000 keys=1 reads=100% think=10ms..30ms\n{first_leader}\
                 when any leads nth=2 crash c1\nwhen any leads nth=2 in=1ms c1 put k1 x\n\
                 when any leads nth=2 in=120ms crash c0\nrun 9s\n"
            );
            let outcome = run(&text.parse().unwrap());
            lease_reads += outcome.counters.get(Counter::LeaseReads);
            if let Some(violation) = outcome.violation {
                assert_eq!((violation.oracle, good), (Oracle::Read, false), "seed {seed}: {}", violation.text);
                misled += 1;
            }
        }
        assert!(lease_reads > 1_000, "{stated}: {lease_reads} reads by lease");
        assert_eq!(misled > 0, !good, "{stated}: {misled} runs in which a read misses a write");
    }
}

/// A leader that is paused for longer than its lease answers no read by it when it goes on.
#[test]
fn a_paused_leader_finds_its_lease_over() {
    let lines = "clocks n0=300\nwhen any leads in=600ms pause it for=700ms";
    let text = format!(
        "ios-scenario 1\ncluster lease=300ms/500ppm heartbeat=20ms election_timeout=300ms client_retry=200ms\nseed 3\n\
         workload ops=400 keys=2 reads=80% think=1ms..5ms in_flight=4\n{lines}\nrun 4s\n"
    );
    let outcome = run(&text.parse().unwrap());
    assert_eq!(outcome.violation, None);
    assert!(outcome.counters.get(Counter::LeaseReads) > 0 && outcome.counters.get(Counter::LeasesLapsed) > 0);
}

//! Whole runs: that they are deterministic, and that a healthy cluster works.

use super::*;
use crate::{
    choice::mix,
    generator::{Profile, generate},
    scenario::Workload,
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
fn a_trace_changes_nothing_and_tells_every_event() {
    let lines = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let told = lines.clone();
    let traced = trace(&calm(), Box::new(move |line| told.borrow_mut().push(line.to_string())));
    assert_eq!(traced.digest, run(&calm()).digest);
    // What a node or a client asks for is indented below its event.
    let events = lines.borrow().iter().filter(|line| !line[EVENT_COLUMN..].starts_with(' ')).count();
    assert!(events as u64 >= traced.events && traced.events > 500, "{events} lines for {} events", traced.events);
}

/// Where the text of an event begins in a line of a trace.
const EVENT_COLUMN: usize = 13;

#[test]
fn another_seed_is_another_run() {
    let mut scenario = calm();
    let first = run(&scenario).digest;
    scenario.seed = mix(scenario.seed);
    assert_ne!(first, run(&scenario).digest);
}

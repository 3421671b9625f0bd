//! Shrinking a pretended world to what matters, and a real one to a file that fails in the same way.

use super::*;
use crate::{
    generator::{Profile, generate},
    scenario::{Action, End, Line, Liveness},
};
use ios_core::{
    ids::NodeId,
    time::{Span, Time},
};

/// A world in which a property fails as the function says.
struct Pretend(fn(&Scenario) -> Option<Violation>);

impl Runner for Pretend {
    fn run(&mut self, scenario: &Scenario) -> Outcome {
        Outcome {
            events: 100,
            violation: (self.0)(scenario),
            fired: vec![true; scenario.plan.len()],
            used: vec![true; scenario.overrides.len()],
            ..Outcome::default()
        }
    }

    fn moments(&mut self, _: &Scenario) -> Vec<Moment> {
        Vec::new()
    }
}

fn violation(oracle: Oracle, text: &str) -> Option<Violation> {
    Some(Violation { oracle, time: Time(50_000_000), text: text.into() })
}

fn read(text: &str) -> Scenario {
    format!("ios-scenario 1\n{text}\n").parse().unwrap()
}

fn text(scenario: &Scenario) -> String {
    scenario.to_string().lines().skip(1).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_matters_stays_and_nothing_else() {
    let mut world = Pretend(|scenario| {
        let cut = scenario.plan.iter().any(|line| matches!(line.action, Action::Cut { .. }));
        let crash = scenario.plan.iter().any(|line| matches!(line.action, Action::CrashAll { .. }));
        let narrow = scenario.cluster.window <= 4;
        (cut && crash && narrow).then(|| violation(Oracle::Window, "n1 went beyond 17")).flatten()
    });
    let before = read(
        "cluster nodes=5 window=3 clients=4 thrifty=on\nseed 77\nnetwork drop=4321\nclocks n1=7\nworkload ops=90\n\
         at 12345us crash n0 power for=3ms\nat 22345us cut n4>n3\nat 33345us crash all power\nat 40ms isolate n1\n\
         run 500ms\nliveness core=n0,n1,n2 within=9s",
    );
    let shrunk = shrink(&before, BUDGET, &mut world).unwrap();
    let after = "expect violation window\ncluster window=3\nseed 0\nat 20ms cut n2>n1\nat 30ms crash all power\n\
                 run 51ms";
    assert_eq!(text(&shrunk.scenario), after);
    assert_eq!((shrunk.sizes.0.lines, shrunk.sizes.1.lines, shrunk.cut_short), (13, 7, false));
    assert!(shrunk.story("seed 77").ends_with("Shrunk from 13 lines of seed 77."));
}

#[test]
fn of_a_list_of_links_those_that_matter_stay() {
    let mut world = Pretend(|scenario| {
        let link = (End::Node(NodeId(2)), End::Node(NodeId(0)));
        let cut = |line: &Line| matches!(&line.action, Action::Cut { links, .. } if links.contains(&link));
        scenario.plan.iter().any(cut).then(|| violation(Oracle::Window, "n1 went beyond 17")).flatten()
    });
    let before = read(
        "order priorities links step=4ms\nat 10ms cut n0>n1 n2>n0 n1>n2 for=2ms times=3 gap=1ms\n\
         at 20ms rerank\nrun 500ms",
    );
    let shrunk = shrink(&before, BUDGET, &mut world).unwrap();
    assert_eq!(text(&shrunk.scenario).lines().nth(2), Some("at 10ms cut n2>n0 for=2ms"));
    assert_eq!(shrunk.sizes.1.lines, 5, "{}", shrunk.scenario);
}

#[test]
fn another_property_is_noted_and_not_followed() {
    let mut world = Pretend(|scenario| match scenario.plan.len() {
        2.. => violation(Oracle::Commit, "n1 commits 5, which nobody has accepted"),
        1 => violation(Oracle::Commit, "n1 commits 5 twice"),
        _ => violation(Oracle::Health, "an assertion does not hold"),
    });
    let before = read("at 1ms crash n0 power\nat 2ms crash n1 power\nat 3ms crash n2 power\nrun 500ms");
    let shrunk = shrink(&before, BUDGET, &mut world).unwrap();
    assert_eq!(shrunk.scenario.plan.len(), 2);
    assert!(shrunk.violation.text.contains("nobody"));
    assert_eq!(shrunk.others.keys().copied().collect::<Vec<_>>(), [Oracle::Health]);
}

#[test]
fn the_budget_is_kept_and_said() {
    let mut world = Pretend(|_| violation(Oracle::Window, "too far"));
    let scenario = generate(Profile::Swarm, 3);
    let shrunk = shrink(&scenario, 500, &mut world).unwrap();
    assert!(shrunk.cut_short && shrunk.runs <= 4, "{} runs", shrunk.runs);
    assert_eq!(shrink(&scenario, BUDGET, &mut Pretend(|_| None)).map(|shrunk| shrunk.runs), None);
}

#[test]
fn how_long_the_second_phase_may_take_is_not_touched() {
    // Any run fails that is given less time than it had, which says nothing about what is wrong with this one.
    let mut world = Pretend(|scenario| match scenario.liveness {
        Liveness::Core { within, .. } if within <= Span::millis(9345) => violation(Oracle::Liveness, "not done"),
        _ => None,
    });
    let shrunk = shrink(&read("seed 5\nrun 500ms\nliveness core=n0,n1 within=9345ms"), BUDGET, &mut world).unwrap();
    assert_eq!(text(&shrunk.scenario), "expect violation liveness\nseed 0\nrun 2ms\nliveness core=n0,n1 within=9345ms");
}

#[test]
fn a_real_run_shrinks_to_a_file_that_fails_in_the_same_way() {
    // Nobody can answer within a microsecond.
    let before = read(
        "expect violation liveness\ncluster nodes=5 clients=3\nworkload ops=60\nat 100ms crash n1 process for=80ms\n\
         at 200ms pause leader for=50ms\nat 900ms c0 put a b\nrun 905ms\nliveness within=1us",
    );
    let mut world = World::default();
    let shrunk = shrink(&before, 1_000_000, &mut world).unwrap();
    assert!(shrunk.sizes.1.lines <= 7, "{}", shrunk.scenario);
    let again: Scenario = shrunk.scenario.with_story(&shrunk.story("a test")).parse().unwrap();
    assert_eq!(again, shrunk.scenario);
    assert_eq!(world.run(&again).violation, Some(shrunk.violation));
    let twice = shrink(&before, 1_000_000, &mut World::default()).unwrap();
    assert_eq!(twice.scenario, again, "shrinking is as repeatable as running");
}

#[test]
fn a_time_becomes_the_event_it_stood_for() {
    let scenario = read("at 300ms c0 put a b\nat 700ms crash n0 process\nat 800ms heal\nrun 1s");
    let mut world = World::default();
    let moments = Runner::moments(&mut world, &scenario);
    assert!(moments.windows(2).all(|pair| pair[0].time <= pair[1].time && pair[0].number + 1 == pair[1].number));
    assert!(moments::lines(&scenario, 0, &moments).is_empty(), "an operation may begin whenever it likes");
    let lines: Vec<String> = moments::lines(&scenario, 1, &moments).iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("when n0 ") && lines[0].ends_with(" crash n0 process"), "{lines:?}");
    let replaced: Scenario = scenario.to_string().replace("at 700ms crash n0 process", &lines[0]).parse().unwrap();
    let outcome = world.run(&replaced);
    assert_eq!(outcome.fired, [true; 3], "the event comes to pass again");
}

#[test]
fn fresh_tiny_runs_are_tiny_and_legal() {
    let of = Scenario { expect: Expect::Violation(Oracle::Commit), ..generate(Profile::Swarm, 3) };
    let drafts: Vec<Draft> = (0..100).filter_map(|number| passes::tiny(&of, number)).collect();
    assert!(drafts.len() > 80, "{} of 100", drafts.len());
    for scenario in drafts.iter().map(|draft| draft.read().expect("it has been checked")) {
        let Scenario { cluster, workload, run, expect, .. } = &scenario;
        assert!(
            cluster.nodes <= 3 && cluster.clients <= 2 && workload.ops <= 10 && run.0 <= 1_000_000_000,
            "{scenario}"
        );
        assert_eq!((expect, &scenario.liveness), (&of.expect, &Liveness::Off));
    }
}

//! Small studies: that they are deterministic, show the published shape, and come out in every form.

use super::{
    findings::{Finding, findings},
    setup::MODES,
    *,
};
use ios_core::time::Span;

fn small(parts: &[Part], nodes: &[u8]) -> Plan {
    Plan {
        parts: parts.to_vec(),
        nodes: nodes.to_vec(),
        modes: MODES.to_vec(),
        tries: 1,
        conditions: Conditions { measured: Span::secs(2), ..Conditions::default() },
        seed: 7,
    }
}

#[test]
fn a_study_is_the_same_on_any_number_of_threads_and_another_with_another_seed() {
    let plan = small(&[Part::Grid], &[3]);
    let one = plan.clone().run(1, &|| {});
    assert_eq!(one, plan.clone().run(3, &|| {}));
    assert_ne!(one.digest(), Plan { seed: 8, ..plan }.run(1, &|| {}).digest());
}

#[test]
fn the_published_shape_of_small_quorums_thrift_and_delegation() {
    let study = small(&[Part::Grid], &[3, 5, 9]).run(2, &|| {});
    let majority = |nodes, mode| study.cell(nodes, Setup::majority(nodes), mode).unwrap();
    for mode in MODES {
        let (one, three) = (study.cell(5, 1, mode).unwrap(), majority(5, mode));
        assert!(one.throughput() > three.throughput(), "{}", mode.name);
        assert!(one.latency[0] < three.latency[0], "{}", mode.name);
    }
    let [simple, thrifty, delegated] = [MODES[0], MODES[1], MODES[2]];
    let round_trips = table::millis(majority(5, simple).latency[0]);
    assert!((40.0..60.0).contains(&round_trips), "two round trips and some sending, not {round_trips} ms");
    let out = |nodes, mode| majority(nodes, mode).per_commit(majority(nodes, mode).leader_sent);
    assert!((4.0 * 464.0..5.0 * 600.0).contains(&out(5, simple)), "four copies of the value, not {}", out(5, simple));
    assert!((4.0 * 464.0..5.0 * 600.0).contains(&out(9, thrifty)), "four, not {}", out(9, thrifty));
    assert!(majority(9, thrifty).throughput() > majority(9, simple).throughput());
    assert!((464.0..2.0 * 464.0).contains(&out(9, delegated)), "one, not {}", out(9, delegated));
    assert!(findings(&study).iter().all(|finding| finding.holds), "{:?}", findings(&study));
}

#[test]
fn a_claim_that_does_not_hold_is_said_to_fail() {
    let mut study = small(&[Part::Grid], &[3]).run(2, &|| {});
    study.runs.iter_mut().for_each(|run| run.figures.commits = 5);
    let findings: Vec<Finding> = findings(&study);
    assert!(!findings[0].holds, "{findings:?}");
    assert!(table::text(&study, &findings).contains("FAILS"));
    assert!(page::html(&study, &findings).contains("fails"));
}

#[test]
fn clients_are_answered_again_after_the_leader_is_lost() {
    let plan = Plan {
        modes: vec![MODES[0]],
        conditions: Conditions { measured: Span::secs(5), ..Conditions::default() },
        ..small(&[Part::Outages, Part::Followers], &[])
    };
    let study = plan.run(2, &|| {});
    let dead = |run: &&Run| matches!(run.setup.trouble, Trouble::LeaderKilled | Trouble::LeaderMute);
    assert!(study.part(Part::Outages).filter(dead).all(|run| run.figures.elections > 0), "somebody else leads");
    assert!(findings(&study).iter().all(|finding| finding.holds), "{:?}", findings(&study));
}

#[test]
fn text_csv_and_page_hold_every_run() {
    let study = small(&[Part::Grid, Part::Followers], &[3, 4]).run(2, &|| {});
    let findings = findings(&study);
    let text = table::text(&study, &findings);
    assert!(text.contains("commits/s") && text.contains("healthy") && text.contains("digest"), "{text}");
    let csv = table::csv(&study);
    let columns = |line: &str| line.split(',').count();
    assert_eq!(csv.lines().count(), 1 + study.runs.len());
    assert!(csv.lines().all(|line| columns(line) == columns(csv.lines().next().unwrap())), "{csv}");
    let page = page::html(&study, &findings);
    assert!(page.contains("<svg") && page.contains("<table>") && !page.contains("http"), "{page}");
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

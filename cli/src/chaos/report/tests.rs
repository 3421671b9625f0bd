//! What a run is told as, and that what must not be is called a violation.

use super::*;
use expect_test::expect;
use sim::history::{Answer, Outcome, Verb};

fn report() -> Report {
    let round = |fault, began, bite| Round { fault, began: Time(began), over: Time(began + 5), bite };
    Report {
        seed: 7,
        nodes: 3,
        lasted: Span::secs(61),
        faults: vec![Fault::Kill, Fault::Slow, Fault::ClockJump, Fault::Flip],
        rounds: vec![
            round(Fault::Kill, 10, Bite::Bitten("n0 was away".to_owned())),
            round(Fault::Slow, 20, Bite::Missed("nothing was sent".to_owned())),
            round(Fault::ClockJump, 30, Bite::Skipped("there is no library".to_owned())),
        ],
        counts: Counts { done: 900, not_done: 2, unknown: 3 },
        longest_gap: (Span::millis(1234), Time(17)),
        longest_recovery: Span::millis(456),
        kept: 45,
        judged: "905 operations are linearizable, by revision".to_owned(),
        end: End::Ok,
        kept_in: None,
    }
}

#[test]
fn a_report_counts_what_took_effect_and_names_what_did_not() {
    expect![[r#"
        FAULT       TRIED  TOOK EFFECT  LAST
        kill        1      1            n0 was away
        slow        1      0            nothing was sent
        clock-jump  0      0            there is no library
        flip        0      0            its turn did not come

        3 members, 2 faults in 61.0 s, seed 7
        operations: 900 done, 2 not done, 3 unknown
        longest time without an answer: 1.2 s, at kill; after the end of a fault: 0.5 s
        keys that were acknowledged and never written again: 45
        history: 905 operations are linearizable, by revision
        verdict: ok
    "#]]
    .assert_eq(&report().to_text());
    let toothless = ["slow (nothing was sent)", "clock-jump (there is no library)", "flip (its turn did not come)"];
    assert_eq!(report().toothless(), toothless);
    let value = report().to_json();
    assert_eq!((&value["verdict"], &value["faults"][0]["bitten"]), (&"ok".into(), &1.into()));
}

#[test]
fn a_history_in_which_an_acknowledged_write_is_gone_is_a_violation() {
    let mut history = History::new();
    let put = history.invoke(1, 0, vec![Verb::Put { key: "k".into(), value: "v".into() }]);
    history.end(2, put, Outcome::Done { revision: Some(1), answers: vec![Answer::Written { modified: Some(1) }] });
    assert_eq!(judged(&history), Ok("1 operations are linearizable, by revision".to_owned()));
    let get = history.invoke(3, 1, vec![Verb::Get { key: "k".into() }]);
    history.end(4, get, Outcome::Done { revision: Some(1), answers: vec![Answer::Missing] });
    let why = judged(&history).unwrap_err();
    assert!(why.starts_with("the history is not linearizable: ") && why.contains("process 1 asks"), "{why}");
}

//! Stories of small runs: what is said, in which order, and what is left out.

use super::*;
use crate::oracle::Oracle;

fn story(lines: &str) -> Story {
    tell("a test", &format!("ios-scenario 1\n{lines}\n").parse().unwrap())
}

fn says(story: &Story, sentences: &[&str]) {
    let mut rest = story.text.as_str();
    for sentence in sentences {
        let at =
            rest.find(sentence).unwrap_or_else(|| panic!("\"{sentence}\" is not said, or not there:\n{}", story.text));
        rest = &rest[at + sentence.len()..];
    }
}

#[test]
fn what_happened_is_told_in_order_and_in_sentences() {
    let story = story(
        "at 1600ms c0 put k v\nafter c0.1 partition n0 | n1 n2 for=20ms\nat 1700ms crash n2 power for=50ms\n\
         at 1800ms pause n0 for=10ms\nat 1900ms slow n1 disk 3ms for=5ms\nrun 2s\nliveness off",
    );
    assert_eq!(story.outcome.violation, None);
    says(
        &story,
        &["a test: 3 members (majority, window 8), 2 clients, seed 0", "What happened", "start.", "stands for view"],
    );
    says(
        &story,
        &["leads view", "c0 asks: put k v (c0.1).", "chosen in view", "c0.1 has its answer: ok @ revision 1."],
    );
    says(
        &story,
        &["What is sent from n1 and n2 to n0, and from n0 to n1 and n2 from now on is lost.", "A cut is over."],
    );
    says(&story, &["1700.000 ms  n2 loses power.", "1750.000 ms  n2 starts again, its life 2."]);
    says(&story, &["n0 is paused", "n0 goes on", "n1's disk becomes slower by 3ms.", "n1's disk is as fast as ever."]);
    says(&story, &["2000.000 ms  The run ends. No property was violated."]);
    assert!(!story.text.contains("What mattered"));
}

#[test]
fn faults_of_links_and_clocks_are_told() {
    let story = story(
        "network queue=1\norder slow-link n0>n1 9ms\nat 1500ms clog n0>n1 n0>n2 for=90ms times=2 gap=5ms\n\
         at 1700ms cut n1>n0 n0>n1 for=5ms times=2 gap=3ms\nat 1800ms jump n1 2s\nat 1810ms jump n2 -30ms\nrun 2s\n\
         liveness off",
    );
    says(&story, &["From now on messages are later than they would be: from n0 to n1 by 9ms."]);
    says(&story, &["What is sent from n0 to n1 and n2 from now on waits on its way."]);
    says(&story, &["A clog is over: what waited arrives in order and at once.", "from now on waits", "A clog is over"]);
    says(&story, &["from now on is lost.", "A cut is over.", "1708.000 ms  What is sent", "A cut is over."]);
    says(
        &story,
        &["n1's clock leaps ahead by 2s.", "n2's machine sets its clock back by 30ms: for n2 it stands still"],
    );
    says(&story, &["lost on"]);
}

#[test]
fn many_operations_are_summed_up() {
    let story = story("workload ops=40\nrun 2s\nliveness off");
    says(&story, &["leads view", "operations answered, indexes 1 to "]);
    assert!(story.text.lines().count() < 20, "{}", story.text);
}

#[test]
fn what_mattered_comes_first_and_the_last_steps_last() {
    let story = story(
        "expect violation liveness\nat 100ms c0 put k v\nat 300ms pause n0 for=3ms\nrun 500ms\nliveness within=1us",
    );
    assert_eq!(story.outcome.violation.as_ref().unwrap().oracle, Oracle::Liveness);
    says(&story, &["What went wrong", "liveness at ", "What mattered", "Without this line", "liveness within=1us"]);
    says(&story, &["What happened", "Step by step, at last", "VIOLATION of liveness"]);
    assert!(!story.text.contains("something else fails: at 300ms pause"), "{}", story.text);
}

#[test]
fn without_a_fault_that_matters_the_story_says_so() {
    // There is no line to take out.
    let scenario: Scenario = "ios-scenario 1\nrun 300ms\n".parse().unwrap();
    let violation =
        crate::oracle::Violation { oracle: Oracle::Health, time: ios_core::time::Time(5), text: "no".into() };
    let outcome = Outcome { violation: Some(violation), ..Outcome::default() };
    says(&Story { text: mattered(&scenario, &outcome), outcome }, &["What mattered", "No single line"]);
}

//! The data of a page agrees with the run, its text with the rules of HTML, and it is bounded.

use super::{
    model::{Diagram, How, State},
    *,
};
use crate::{
    generator::{Profile, generate},
    world::told::Told,
};

const HOSTILE: &str = "ios-scenario 1
# A story with a </script> in it.
#
# And a second paragraph.
expect ok
cluster nodes=3 clients=2
seed 7
network delay=1ms..5ms drop=20000 duplicate=20000
workload ops=30 keys=3
at 400ms crash n1 power for=100ms
at 600ms partition n0 n1 | n2 c0 for=200ms
at 700ms pause n2 for=50ms
at 900ms c0 put \"</script><!--\" \"<b>&\\x00\"
run 1500ms
";

fn drawn(text: &str, window: Window) -> Diagram {
    let scenario: Scenario = text.parse().expect("the scenario is well formed");
    diagram("a.ios", text, &scenario, window).0
}

#[test]
fn every_message_is_taken_lost_or_still_on_its_way() {
    for seed in 0..8 {
        let scenario = generate(Profile::Swarm, seed);
        let (counts, outcome) = world::listen(&scenario, [0; 3], |counts, _, told| match told {
            Told::Sent { .. } => counts[0] += 1,
            Told::Delivered { .. } => counts[1] += 1,
            Told::Lost { .. } => counts[2] += 1,
            _ => {}
        });
        let (diagram, again) = diagram("", "", &scenario, Window { most: usize::MAX, ..Window::default() });
        assert_eq!(outcome, again, "seed {seed}: drawing changes nothing");
        let ends = |how| diagram.messages.iter().flat_map(|one| &one.ends).filter(|end| end.how == how).count();
        assert_eq!([diagram.messages.len(), ends(How::Taken), ends(How::Lost)], counts, "seed {seed}");
        for message in &diagram.messages {
            assert!(!message.ends.is_empty() && message.last() <= diagram.ended, "{message:?}");
            assert!(message.ends.iter().all(|end| end.at >= message.sent), "{message:?}");
            assert!(message.ends.iter().all(|end| end.held.is_none_or(|held| held <= end.at)), "{message:?}");
        }
    }
}

#[test]
fn faults_and_leaders_are_spans_of_their_lanes() {
    let diagram = drawn(HOSTILE, Window::default());
    let names: Vec<&str> = diagram.lanes.iter().map(|lane| lane.name.as_str()).collect();
    assert_eq!(names, ["n0", "n1", "n2", "c0", "c1"]);
    let counts = diagram.counts();
    // Each member was not there at first, and one lost power.
    assert_eq!((counts.downs, counts.pauses, counts.cuts), (4, 1, 1), "{counts:?}");
    assert!(counts.leaders > 0 && counts.crosses > 0 && counts.operations > 30, "{counts:?}");
    let cut = &diagram.cuts[0];
    assert_eq!((cut.from, cut.to, cut.links.len()), (600_000_000, 800_000_000, 8));
    let down = diagram.spans.iter().find(|span| span.text == "power lost").expect("n1 loses power");
    assert_eq!((down.lane, down.from, down.to), (1, 400_000_000, 500_000_000));
    for span in &diagram.spans {
        assert!(span.from <= span.to && span.to <= diagram.ended, "{span:?}");
        let beside = |other: &&model::Span| {
            span.what == State::Down
                && other.what != State::Down
                && other.what != State::Slow
                && other.lane == span.lane
        };
        for other in diagram.spans.iter().filter(beside) {
            assert!(other.to <= span.from || span.to <= other.from, "{other:?} while {span:?}");
        }
    }
    assert!(diagram.writes.iter().all(|write| write.from <= write.to));
    assert_eq!(diagram.story, ["A story with a </script> in it.", "And a second paragraph."]);
    assert_eq!((diagram.left_out, counts.violations), (None, 0));
}

#[test]
fn what_does_not_hold_is_told_with_its_time() {
    let text = HOSTILE.replace("run 1500ms", "run 950ms\nliveness within=1ms");
    let diagram = drawn(&text, Window::default());
    assert_eq!((diagram.verdict.oracle, diagram.verdict.time), (Some("liveness"), Some(951_000_000)));
    assert_eq!((diagram.counts().violations, diagram.ended), (1, 951_000_000));
    assert!(diagram.verdict.expected.is_some(), "the scenario says that nothing is violated");
}

#[test]
fn no_value_becomes_markup() {
    let diagram = drawn(HOSTILE, Window::default());
    let page = html(&diagram);
    assert!(diagram.operations.iter().any(|operation| operation.asked.contains("</script><!--")));
    assert_eq!((page.matches("</script").count(), page.matches("<!--").count()), (2, 0));
    let (_, rest) = page.split_once("id=\"data\">").expect("the page has data");
    let (json, _) = rest.split_once("</script>").expect("it ends");
    let data: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
    assert_eq!(data["scenario"].as_str(), Some(HOSTILE));
    for reference in ["http:", "https:", "url(", "@import", " src="] {
        assert!(!page.contains(reference), "{reference} reaches out of the page");
    }
    assert_eq!(page, html(&drawn(HOSTILE, Window::default())), "the same run is the same page");
}

#[test]
fn a_page_is_bounded_and_says_what_is_left_out() {
    let whole = drawn(HOSTILE, Window::default());
    let few = drawn(HOSTILE, Window { most: 100, ..Window::default() });
    assert!(few.size() <= 100 && few.size() > 50, "{}", few.size());
    let left_out = few.left_out.as_deref().expect("it says so");
    let numbers = format!("{} of {} events are left out", whole.size() - few.size(), whole.size());
    assert!(left_out.contains(&numbers) && left_out.contains("100 at most"), "{left_out}");
    assert_eq!(few.shown.1, few.ended, "the end is what is kept");

    let part = drawn(HOSTILE, Window { from: 650_000_000, to: 750_000_000, ..Window::default() });
    assert_eq!(part.shown, (650_000_000, 750_000_000));
    assert!(part.left_out.expect("it says so").contains("asked for"));
    assert!(part.marks.iter().all(|mark| (650_000_000..=750_000_000).contains(&mark.at)));
    assert_eq!(part.cuts.len(), 1, "what lasts is there if some of it is");
}

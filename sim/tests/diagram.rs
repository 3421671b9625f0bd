//! The page of `sim diagram` in a real browser: it draws what the data holds, and its handlers are quick.
//!
//! Opened with `#selftest`, the page shows everything, counts what it draws, zooms, filters and searches, and writes
//! what it saw into itself; the browser prints the page as it is then. Where there is no browser nothing is looked at,
//! which is said, and is a failure if `IOS_BROWSER_REQUIRED` says anything.

use sim::{
    diagram::{Window, diagram, html, model::Counts},
    scenario::Scenario,
};
use std::{path::Path, process::Command};

/// Names under which a browser that can do this is found.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"];

/// The most that a handler may take, in milliseconds.
const HANDLER_MAX: f64 = 50.0;

const BUSY: &str = "ios-scenario 1
# Everything that can be drawn, five thousand times and more.
expect ok
cluster nodes=5 clients=3
seed 7
network delay=1ms..5ms drop=20000 duplicate=20000
workload ops=120 keys=5 in_flight=2
at 400ms crash n1 power for=100ms
at 600ms partition n0 n1 | n2 n3 n4 for=200ms
at 700ms pause n3 for=50ms
at 900ms cut n0>n2 for=50ms
at 950ms c0 put \"</script>\" \"<b>&\"
run 2s
";

const BROKEN: &str = "ios-scenario 1
expect violation liveness
cluster nodes=3 clients=1
seed 1
at 20ms crash n1 process
run 100ms
liveness within=1ms
";

#[derive(serde::Deserialize)]
struct Seen {
    even: Counts,
    linear: Counts,
    measured: std::collections::BTreeMap<String, f64>,
    events: usize,
}

#[test]
fn a_browser_draws_what_the_data_holds_and_answers_at_once() {
    let Some(browser) = BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok()) else {
        assert!(
            std::env::var_os("IOS_BROWSER_REQUIRED").is_none_or(|asked| asked.is_empty()),
            "none of {BROWSERS:?} is here, and one must be"
        );
        return println!("skipped: none of {BROWSERS:?} is here");
    };
    for (text, least) in [(BUSY, 5_000), (BROKEN, 50)] {
        let scenario: Scenario = text.parse().expect("the scenario is well formed");
        let (diagram, _) = diagram("test.ios", text, &scenario, Window::default());
        let page = html(&diagram);
        let mut seen = look(browser, &page);
        // Whoever shares the machine may slow all of one look down, hardly of three.
        for _ in 0..2 {
            if seen.measured.values().any(|took| *took >= HANDLER_MAX) {
                seen = look(browser, &page);
            }
        }
        assert!(diagram.size() >= least, "{} events", diagram.size());
        assert_eq!(seen.events, diagram.size());
        assert_eq!(seen.even, diagram.counts(), "with idle time shortened");
        assert_eq!(seen.linear, diagram.counts(), "in true time");
        println!("{} events: {:?}; medians in ms: {:?}", seen.events, seen.even, seen.measured);
        for handler in ["zoom", "filter", "search", "pan", "point"] {
            let took = seen.measured[handler];
            assert!(took < HANDLER_MAX, "{handler} takes {took} ms at {} events", seen.events);
        }
    }
}

/// What the page saw of itself.
fn look(browser: &str, page: &str) -> Seen {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("page.html");
    std::fs::write(&file, page).expect("the page can be written");
    let mut said = String::new();
    // A browser on a machine that is short of everything may not come up, or not in time, and then says nothing.
    for _ in 0..3 {
        let dom = dump(browser, &folder.path().join("profile"), &file);
        if let Some((_, rest)) = dom.split_once("<pre id=\"selftest\">") {
            let (json, _) = rest.split_once("</pre>").expect("an element ends");
            return serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
        }
        said = dom;
    }
    panic!("the page did not test itself: {}", &said[..said.len().min(2000)]);
}

fn dump(browser: &str, profile: &Path, file: &Path) -> String {
    let quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync \
                 --disable-background-networking --disable-component-update --disable-dev-shm-usage";
    let output = Command::new(browser)
        .args(quiet.split_whitespace())
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--window-size=1500,950", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("file://{}#selftest", file.display()))
        .output()
        .expect("the browser starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

//! Scenario files.

use sim::scenario::Scenario;
use std::str::from_utf8;

/// A text is a scenario or is refused with a reason; a scenario prints to a text that parses to the same scenario.
pub fn scenario_text(bytes: &[u8]) {
    let Ok(text) = from_utf8(bytes) else { return };
    match text.parse::<Scenario>() {
        Ok(scenario) => {
            let printed = scenario.to_string();
            assert_eq!(printed.parse().as_ref(), Ok(&scenario), "printed as\n{printed}");
        }
        Err(error) => {
            assert!((1..=text.lines().count().max(1)).contains(&error.line), "there is no line {}", error.line);
            assert!(!error.problem.is_empty(), "refused without a reason");
        }
    }
}

/// Scenarios that between them use every directive.
pub fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let texts = [
        ("least", "ios-scenario 1\n"),
        (
            "setting",
            "ios-scenario 1\nexpect violation agreement\ncluster nodes=5 quorum=fixed:2 window=8 clients=3 \
             session_ttl=2s\nseed 0x51c3\nnetwork delay=1ms..5ms drop=1000 duplicate=20 late=4 late_by=1s..2s\n\
             client-network delay=1ms\ndisk latency=1ms..2ms lost=0 torn=1000000\nclocks n0=200 n4=-300\n\
             workload ops=200 keys=8 reads=10% cas=20% think=0s..20ms\nrun 2s\n",
        ),
        (
            "plan",
            "ios-scenario 1\n# What happens when.\ncluster clients=2\nat 1ms c0 put k1 \"\\x00 \\\"\\\\\\n\"\n\
             after c0.1 c1 cas k1 a b ; get k1 ; count\nat 12ms partition n0 c0 | n1 n2 oneway for=10ms\n\
             when n1 sends Prepare crash n1 power\nbefore any sends Chosen to=n1 view=3.n0 index=7 nth=2 in=5ms \
             crash it process for=80ms\nwhen leader receives Accepted from=n2 pause leader for=1ms\n\
             at 90ms restart n1\n\
             at 95ms heal\n",
        ),
    ];
    texts.map(|(name, text)| (name, text.as_bytes().to_vec())).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_are_scenarios() {
        for (name, text) in samples() {
            let scenario = from_utf8(&text).unwrap().parse::<Scenario>();
            assert!(scenario.is_ok(), "{name}: {}", scenario.unwrap_err());
        }
    }
}

//! A run in which an assertion of the core does not hold is a finding, not the end of a sweep.

use crate::{
    choice::mix,
    oracle::{Oracle, Violation},
    outcome::Outcome,
    scenario::Scenario,
};
use ios_core::time::Time;
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Once,
};

thread_local! {
    /// What the panic under way on this thread says, while a run is guarded.
    static GUARDED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs a scenario; a panic inside (an assertion of the core that did not hold) is a violation like any other.
pub fn run_caught(run: &mut impl FnMut(&Scenario) -> Outcome, scenario: &Scenario) -> Outcome {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let guarded = GUARDED.with_borrow_mut(|text| text.as_mut().map(|text| *text = info.to_string()).is_some());
            if !guarded {
                usual(info);
            }
        }));
    });
    GUARDED.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(|| run(scenario)));
    let said = GUARDED.take().unwrap_or_default().replace('\n', " ");
    let text = format!("an assertion does not hold: {said}");
    match result {
        Ok(mut outcome) => {
            // The world notices a broken node itself, but not where it broke.
            if let Some(violation) = outcome.violation.as_mut().filter(|_| !said.is_empty()) {
                violation.text = text;
            }
            outcome
        }
        Err(_) => Outcome {
            digest: mix(scenario.seed),
            fired: vec![false; scenario.plan.len()],
            used: vec![false; scenario.overrides.len()],
            violation: Some(Violation { oracle: Oracle::Health, time: Time::ZERO, text }),
            ..Outcome::default()
        },
    }
}

//! `cargo fuzz` entry of `fuzz::scenario::scenario_text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::scenario::scenario_text(bytes));

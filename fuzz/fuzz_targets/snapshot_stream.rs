//! `cargo fuzz` entry of `fuzz::snapshot::snapshot_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::snapshot::snapshot_stream(bytes));

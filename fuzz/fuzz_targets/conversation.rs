//! `cargo fuzz` entry of `fuzz::conversation::conversation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::conversation::conversation(bytes));

//! `cargo fuzz` entry of `fuzz::journal::journal_image`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::journal::journal_image(bytes));

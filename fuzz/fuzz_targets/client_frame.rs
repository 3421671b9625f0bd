//! `cargo fuzz` entry of `fuzz::frame::client_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::frame::client_frame(bytes));

//! `cargo fuzz` entry of `fuzz::frame::peer_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::frame::peer_frame(bytes));

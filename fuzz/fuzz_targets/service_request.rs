//! `cargo fuzz` entry of `fuzz::service::service_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::service::service_request(bytes));

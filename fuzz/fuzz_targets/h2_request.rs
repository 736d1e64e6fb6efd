//! `evenkeel_sim::parsers::h2_request` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::h2_request(bytes));

//! `evenkeel_sim::parsers::h1_request` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::h1_request(bytes));

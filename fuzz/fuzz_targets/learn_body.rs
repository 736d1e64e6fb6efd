//! `evenkeel_sim::parsers::learn_body` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::learn_body(bytes));

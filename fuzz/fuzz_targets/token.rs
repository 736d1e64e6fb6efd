//! `evenkeel_sim::parsers::token` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::token(bytes));

//! `evenkeel_sim::parsers::h1_forwarded` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::h1_forwarded(bytes));

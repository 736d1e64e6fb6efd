//! `evenkeel_sim::parsers::session_file` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::session_file(bytes));

//! `evenkeel_sim::parsers::proxy_header` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::proxy_header(bytes));

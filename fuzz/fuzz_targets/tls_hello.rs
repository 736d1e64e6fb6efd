//! `evenkeel_sim::parsers::tls_hello` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::tls_hello(bytes));

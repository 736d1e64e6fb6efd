//! `evenkeel_sim::parsers::dns_zone` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::dns_zone(bytes));

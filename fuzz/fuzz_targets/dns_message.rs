//! `evenkeel_sim::parsers::dns_message` under the fuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| evenkeel_sim::parsers::dns_message(bytes));

//! The proofs in their short form: each as `cargo xtask prove` runs it, with fewer rounds.

use std::time::Duration;

use evenkeel_e2e::over::Over;
use evenkeel_e2e::proof::logs::OwnLog;
use evenkeel_e2e::proof::{Size, hang, kill, logs, reloads, soak};

#[test]
fn reloads_lose_no_request() {
    reloads::run(Size { rounds: 12, between: 40 }, Over::Clear).expect_holds();
}

#[test]
fn servers_that_die_in_turn_cost_no_request_that_may_be_sent_again() {
    kill::run(Size { rounds: 4, between: 60 }, Over::Clear).expect_holds();
}

#[test]
fn servers_that_hang_cost_no_request_that_may_be_sent_again() {
    hang::run(Size { rounds: 2, between: 60 }, Over::Clear).expect_holds();
}

#[test]
fn nothing_of_that_is_otherwise_over_tls() {
    reloads::run(Size { rounds: 6, between: 30 }, Over::Tls).expect_holds();
    kill::run(Size { rounds: 2, between: 40 }, Over::Tls).expect_holds();
    hang::run(Size { rounds: 1, between: 40 }, Over::Tls).expect_holds();
}

#[test]
fn nothing_of_that_is_otherwise_over_http2() {
    reloads::run(Size { rounds: 6, between: 30 }, Over::Http2).expect_holds();
    kill::run(Size { rounds: 2, between: 40 }, Over::Http2).expect_holds();
    hang::run(Size { rounds: 1, between: 40 }, Over::Http2).expect_holds();
}

#[test]
fn full_logs_cost_lines_and_no_request() {
    logs::run(Size { rounds: 1, between: 100 }, OwnLog::Full).expect_holds();
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    logs::run(Size { rounds: 2, between: 100 }, OwnLog::Stalled).expect_holds();
}

#[test]
fn a_short_soak_leaves_nothing_behind() {
    let soaked = soak::run(Duration::from_secs(8));
    // So short a time says nothing of growth; what is left behind afterwards does.
    let faults: Vec<&String> = soaked.faults.iter().filter(|fault| !fault.contains("grew")).collect();
    assert!(faults.is_empty(), "{soaked}");
}

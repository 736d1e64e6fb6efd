//! Does every attack and oddity that the files of vectors hold get its right answer, however it is cut?

use evenkeel_e2e::vectors::replay::Cuts;
use evenkeel_e2e::vectors::stand::Product;
use evenkeel_e2e::vectors::table::{self, Result};

/// Fails with everything that is not right.
fn expect_right(results: &[Result]) {
    let wrong: Vec<&Result> = results.iter().filter(|result| !result.faults.is_empty()).collect();
    for result in wrong.iter().take(60) {
        eprintln!("{}: {} ({})", result.name, result.faults.join("; "), result.shown);
    }
    assert!(wrong.is_empty(), "{} of {} are not right", wrong.len(), results.len());
}

#[test]
fn whatever_a_client_sends_a_server_sees_what_it_may_see() {
    let cuts = if std::env::var_os("EVENKEEL_EVERY_CUT").is_some() { Cuts::Every } else { Cuts::Few };
    let began = std::time::Instant::now();
    let (count, results) = table::ours(cuts);
    println!("{count} sendings in {:?}", began.elapsed());
    assert!(results.len() > 400, "only {} cases", results.len());
    expect_right(&results);
}

#[test]
fn whatever_a_server_sends_harms_its_own_exchange_alone() {
    let results = table::servers(Product::Evenkeel);
    assert!(results.len() > 120, "only {} cases", results.len());
    expect_right(&results);
}

//! Do real resolvers find a living node, and do judges of delegations find nothing to say of it?

use evenkeel_e2e::is_root_or_skips;
use evenkeel_e2e::proof::dns;
use evenkeel_e2e::resolvers::{Lab, NAME};

#[test]
fn resolvers_find_the_node_that_lives() {
    if !is_root_or_skips("resolvers_find_the_node_that_lives", "to make a network") {
        return;
    }
    let found = dns::run(3);
    println!("{}", found.table);
    assert!(found.faults.is_empty(), "{}", found.faults.join("\n"));
}

#[test]
fn zonemaster_finds_no_error_in_a_delegation_to_nodes() {
    if !is_root_or_skips("zonemaster_finds_no_error_in_a_delegation_to_nodes", "to make a network") {
        return;
    }
    let lab = Lab::start();
    let hints = lab.hints();
    let (_, said) = lab.inside(
        "zonemaster-cli",
        &["--hints", &hints, "--no-ipv6", "--level", "NOTICE", "--show-testcase", "--no-progress", "--raw", NAME],
    );
    println!("{said}");
    let errors: Vec<&str> =
        said.lines().filter(|line| line.contains(" ERROR ") || line.contains(" CRITICAL ")).collect();
    assert!(errors.is_empty(), "{said}");
    let timers: Vec<&str> = said.lines().filter(|line| line.contains("REFRESH_") || line.contains("RETRY_")).collect();
    assert!(timers.is_empty(), "the timers of the SOA: {timers:?}");
    // It has looked at the zone: what it cannot reach it has nothing to say of.
    assert!(said.contains("NOTICE") || said.contains("WARNING"), "{said}");
}

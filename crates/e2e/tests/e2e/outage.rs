//! Servers that both nodes of a cluster need: their end is no reason to move anything from one node to the other.

use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};

use crate::pair::{CLIENT, LISTENER, Pair, service_line};

/// What the cluster knows of this node's capacity, in percent.
fn await_score(pair: &Pair, node: u8, wanted: u64) {
    await_for(&format!("lb{node} to be known for {wanted} %"), PATIENCE * 2, || {
        let score = pair.report(3 - node)?["nodes"][0]["score"].as_u64();
        (score == Some(wanted)).then_some(())
    });
}

#[test]
fn servers_that_both_nodes_lose_and_get_back_move_no_group() {
    if !is_root_or_skips("servers_that_both_nodes_lose_and_get_back_move_no_group", "for network namespaces") {
        return;
    }
    // Each node asks at its own moments, seconds apart.
    let top = "http :81 {\n    route * to=shop\n}\npool shop {\n    check tcp every=3s timeout=1s rise=2 fall=2\n    \
               server a 10.77.0.3:82\n}\n";
    let top = format!("{top}{LISTENER}");
    // Time enough for a busy machine: twice that, and what the checks take, is what the owner gives the other.
    let mut pair = Pair::lay(&top, "beat every=200ms warn=1s dead=3s", service_line);
    let serve = |pair: &Pair| {
        let space = pair.network.space(CLIENT);
        let words = ["netns", "exec", &space, "python3", "-m", "http.server", "82", "--bind", "10.77.0.3"];
        Process::start("server", "ip".as_ref(), &words, pair.scratch.path(), pair.scratch.file("served"))
    };
    let mut server = serve(&pair);
    pair.launch_both();
    for _ in 0..2 {
        (1..=2).for_each(|node| await_score(&pair, node, 100));
        server.kill();
        (1..=2).for_each(|node| await_score(&pair, node, 0));
        server = serve(&pair);
    }
    (1..=2).for_each(|node| await_score(&pair, node, 100));
    pair.await_owner(1);
    let claims: usize = pair.nodes.iter().map(|node| node.output().matches("group web is claimed").count()).sum();
    assert_eq!(claims, 1, "{}\n{}", pair.nodes[0].output(), pair.nodes[1].output());
}

#[test]
fn a_server_that_is_down_counts_no_more_while_it_is_set_aside() {
    if !is_root_or_skips("a_server_that_is_down_counts_no_more_while_it_is_set_aside", "for network namespaces") {
        return;
    }
    // Nobody listens there.
    let pool = "pool shop {\n    check tcp every=1s timeout=1s rise=1 fall=1\n    server a 10.77.0.3:82\n}\n";
    let top = format!("http :81 {{\n    route * to=shop\n}}\n{pool}http :80 {{\n    respond 200\n}}\n");
    let mut pair = Pair::lay(&top, "", service_line);
    // Who sees first that nobody listens leaves the group to the other one.
    pair.nodes = vec![pair.launch(1), pair.launch(2)];
    let await_scores = |wanted: u64| (1..=2).for_each(|node| await_score(&pair, node, wanted));
    await_scores(0);
    // Then traffic sees nothing new of the orders that follow. The other node hears of them from the first one.
    assert!(pair.command(1, &["weight", "shop/a", "0"]));
    for (order, score) in [("drain", 100), ("ready", 0), ("maint", 100), ("ready", 0)] {
        assert!(pair.command(1, &[order, "shop/a"]));
        await_scores(score);
    }
}

//! Does one node of a cluster order for all, whichever of them the authority asks, and does the next one when that one dies?
//!
//! Nodes on addresses of the loopback; the hosts' addresses are the last node's, and the first one orders.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use evenkeel_e2e::authority::{Authority, ISSUER, Manner};
use evenkeel_e2e::balancer::text;
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::{PATIENCE, await_for};
use serde_json::Value;

use crate::acme::{LONG, order_of, serial, shown};
use crate::sharing::{Twins, home};

/// Where everything is, on each node.
struct Places {
    http: u16,
    https: u16,
    dns: u16,
    /// The node that the authority asks.
    last: usize,
}

impl Places {
    fn of(nodes: usize) -> Self {
        Self { http: free().port(), https: free().port(), dns: free().port(), last: nodes - 1 }
    }

    fn https(&self, node: usize) -> SocketAddr {
        (home(node), self.https).into()
    }

    /// An authority that asks the last node, and nobody else.
    fn manner(&self) -> Manner {
        let host = home(self.last);
        Manner::new((host, self.http).into(), self.https(self.last), (host, self.dns).into())
    }

    fn zone(&self, scratch: &Scratch) -> String {
        let host = home(self.last);
        let records = format!(
            "$TTL 60\n@ SOA ns root 1 1h 15m 4w 30\n@ NS ns\nns A {host}\nshop A {host}\nwww A {host}\nlast A {host}\n"
        );
        scratch.write("example.com.db", &records).display().to_string()
    }

    fn config(&self, node: usize, hosts: &str, acme: &str, zone: &str) -> String {
        let (own, Self { http, https, dns, .. }) = (home(node), self);
        format!(
            "http {own}:{http} {{\n    redirect https\n}}\nhttps {own}:{https} {hosts} {{\n    {acme}\n    respond 200 well\n}}\n\
             dns {own}:{dns} {{\n    rate off\n    zone example.com file={zone}\n}}\n"
        )
    }
}

fn job(twins: &Twins, node: usize) -> Option<Value> {
    Some(twins.json(node, &["status"])?["acme"][0].clone())
}

/// Waits until these nodes show the same certificate of the authority for that host, and gives its serial number.
fn await_same_of(places: &Places, nodes: &[usize], host: &str) -> String {
    await_for(&format!("nodes {nodes:?} to show one certificate for {host}"), LONG, || {
        let asked = host.replace('*', "any");
        let all: Vec<String> = nodes.iter().map(|node| shown(places.https(*node), &asked)).collect();
        let is_given = all.iter().all(|shown| shown.contains(ISSUER) && shown.contains(&format!("DNS:{host}")));
        let first = serial(all.first()?);
        (is_given && all.iter().all(|shown| serial(shown) == first)).then_some(first)
    })
}

/// The same of a pair.
fn await_same(places: &Places, host: &str) -> String {
    await_same_of(places, &[0, 1], host)
}

fn reload_both(twins: &Twins, config: impl Fn(usize) -> String) {
    // The second one first: for a moment it is the only one that has the order.
    for node in [1, 0] {
        twins.write(node, &config(node));
        twins.order(node, &["reload"]);
    }
}

/// Sees that the first node has ordered, and that this one knows.
fn expect_first_to_order(twins: &Twins, node: usize) {
    let job = await_for("the order to be over", PATIENCE, || {
        job(twins, node).filter(|it| it["expires"].is_u64() && it["orderer"].is_string())
    });
    assert_eq!((&job["orderer"], &job["is_kept"], &job["failures"]), (&"lb1".into(), &true.into(), &0.into()), "{job}");
    assert_eq!(job["from"].as_str(), [None, Some("lb1")][node], "{job}");
    let told = text(&twins.run(node, &["status"]));
    assert!(told.contains("lb1 orders for this cluster"), "{told}");
    let names = fs::read_dir(twins.scratch.file(&format!("{node}.state"))).unwrap().flatten();
    let kept: Vec<_> = names.filter(|it| it.file_name().to_string_lossy().starts_with("acme-")).collect();
    assert_eq!(kept.len(), 2 - node, "the second one has no account: {kept:?}");
    for file in kept {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn one_node_orders_for_all_and_the_next_one_when_it_dies() {
    let (ca, places) = (Scratch::new("acme-pair"), Places::of(2));
    let authority = Authority::start(&ca, &places.manner());
    let zone = places.zone(&ca);
    let with = |hosts: &'static str, challenge: &str| {
        let acme = order_of(&authority.directory(), authority.ca(), &format!("challenge={challenge}"));
        let (places, zone) = (&places, &zone);
        move |node: usize| places.config(node, hosts, &acme, zone)
    };
    let mut twins = Twins::start_bare(Scratch::new("acme-twins"), with("shop.example.com", "http"));
    let first = await_same(&places, "shop.example.com");
    assert_eq!(authority.given(), 1, "{}", authority.log());
    (0..2).for_each(|node| expect_first_to_order(&twins, node));

    // In TLS, and by DNS, the authority asks the other node as well.
    reload_both(&twins, with("www.example.com", "alpn"));
    assert_ne!(await_same(&places, "www.example.com"), first);
    reload_both(&twins, with("*.example.com", "dns"));
    await_same(&places, "*.example.com");
    for node in 0..2 {
        assert_eq!(job(&twins, node).unwrap()["failures"], 0);
    }

    // From now on they live half a minute. Whoever orders dies.
    let (at, directory, root) = (authority.at(), authority.directory(), authority.ca().to_owned());
    drop(authority);
    let _authority = Authority::start_at(&ca, &Manner { life: 30, ..places.manner() }, at);
    let acme = order_of(&directory, &root, "");
    reload_both(&twins, |node| places.config(node, "last.example.com", &acme, &zone));
    await_same(&places, "last.example.com");
    twins.kill(0);
    await_for("the second node to order", LONG, || job(&twins, 1).filter(|it| it["orderer"] == "lb2"));
    let before = serial(&shown(places.https(1), "last.example.com"));
    await_for("a certificate that the second node had itself", LONG, || {
        let now = shown(places.https(1), "last.example.com");
        (now.contains(ISSUER) && serial(&now) != before).then_some(())
    });
    await_for("it to be its own", PATIENCE, || job(&twins, 1).filter(|it| it["from"].is_null()));

    // The first one is back, and takes what there is.
    twins.launch(0);
    await_same(&places, "last.example.com");
    await_for("the first node to order again", LONG, || job(&twins, 1).filter(|it| it["orderer"] == "lb1"));
}

#[test]
fn of_three_nodes_the_next_one_orders_for_all_that_are_left() {
    let (ca, places) = (Scratch::new("acme-three"), Places::of(3));
    let authority = Authority::start(&ca, &places.manner());
    let (acme, zone) = (order_of(&authority.directory(), authority.ca(), ""), places.zone(&ca));
    let file = |node: usize, hosts: &str| places.config(node, hosts, &acme, &zone);
    let mut nodes = Twins::start_all(3, Scratch::new("acme-triplets"), |node| file(node, "shop.example.com"));
    await_same_of(&places, &[0, 1, 2], "shop.example.com");
    assert_eq!(authority.given(), 1, "{}", authority.log());

    // One after the other dies, and those that are left are told of another host.
    for (dead, hosts, left) in [(0, "www.example.com", &[1, 2][..]), (1, "last.example.com", &[2])] {
        nodes.kill(dead);
        let next = format!("lb{}", dead + 2);
        await_for("the next node to order", LONG, || job(&nodes, 2).filter(|it| it["orderer"] == *next));
        for &node in left.iter().rev() {
            nodes.write(node, &file(node, hosts));
            nodes.order(node, &["reload"]);
        }
        await_same_of(&places, left, hosts);
        await_for("the last node to say whence it has it", PATIENCE, || {
            job(&nodes, 2).filter(|it| it["from"].as_str() == [Some("lb2"), None][dead])
        });
    }
    assert_eq!(authority.given(), 3, "{}", authority.log());

    // Those that come back take what there is, and order nothing anew.
    for node in [0, 1] {
        nodes.write(node, &file(node, "last.example.com"));
        nodes.launch(node);
    }
    await_same_of(&places, &[0, 1, 2], "last.example.com");
    await_for("the first node to order again", LONG, || job(&nodes, 2).filter(|it| it["orderer"] == "lb1"));
    assert_eq!(authority.given(), 3, "{}", authority.log());
}

//! Does it stay what it was: no memory, descriptor or request lost over many changes?

use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::load::{Load, Plan};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::origin::{Manner, Origin};
use evenkeel_e2e::place::free;
use evenkeel_e2e::wire::{self, Connection};
use evenkeel_e2e::{PATIENCE, await_for};

use crate::setting::{QUICK_CHECK, named, pool, shop};

#[test]
fn a_hundred_reloads_leave_no_descriptor_and_no_memory_behind() {
    let servers = Nginx::start_many(2);
    let (at, extra) = (free(), free());
    let with = |count: u32| {
        let more = if count.is_multiple_of(2) {
            String::new()
        } else {
            format!("http {extra} {{\n    route * to=more\n}}\n{}", pool("more", QUICK_CHECK, &named(&servers)))
        };
        shop(at, &format!("retry {} elsewhere\n{QUICK_CHECK}", count % 3), &named(&servers)) + &more
    };
    let mut balancer = Balancer::start(&with(0));
    let mut reload = |count: u32| {
        let output = balancer.reload(&with(count));
        assert!(output.status.success(), "{}", text(&output));
        (balancer.process().descriptors(), balancer.process().memory())
    };
    // Ten rounds warm up what grows once.
    let before = (1..=10).map(&mut reload).last().unwrap();
    let after = (11..=110).map(&mut reload).last().unwrap();
    assert!(after.0 <= before.0 + 8, "descriptors: {} then {}", before.0, after.0);
    assert!(after.1 <= before.1 + 4096, "KiB: {} then {}", before.1, after.1);
    Load::start(&Plan { most: 10, ..Plan::get(at, 4) }).finish().expect_clean(40);
}

#[test]
fn rolling_restarts_of_every_server_cost_no_request_that_may_be_sent_again() {
    let mut servers = Nginx::start_many(3);
    let at = free();
    // Checks alone judge here: live traffic would hold a server out for longer than its restart takes.
    let balancer = Balancer::start(&shop(at, &format!("eject off\n{QUICK_CHECK}"), &named(&servers)));
    let load = Load::start(&Plan::get(at, 5));
    for round in 0..9 {
        let victim = round % servers.len();
        let name = servers[victim].name.clone();
        servers[victim].kill();
        load.await_more(60);
        servers[victim].restore();
        balancer.await_state("shop", &name, "up");
    }
    load.stop().expect_clean(500);
}

#[test]
fn a_large_upload_streams_and_is_never_held_whole() {
    const MEGABYTE: usize = 1 << 20;
    let servers = Nginx::start_many(1);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    assert_eq!(wire::get(at, "/").unwrap().status, 200);
    let before = balancer.process().memory();
    let mut connection = Connection::open(at, PATIENCE).unwrap();
    connection
        .send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 64 * MEGABYTE).as_bytes())
        .unwrap();
    let piece = vec![b'x'; MEGABYTE];
    let mut most = 0;
    for _ in 0..64 {
        connection.send(&piece).unwrap();
        most = most.max(balancer.process().memory());
    }
    assert_eq!(connection.answer("POST").unwrap().status, 200);
    assert!(most <= before + 4096, "KiB: {before} and then {most} while 64 MiB went through");
}

#[test]
fn an_early_answer_to_a_large_upload_reaches_its_client() {
    let origin = Origin::start("o", Manner::Answer);
    let at = free();
    let _balancer = Balancer::start(&format!("max body=64k\n{}", shop(at, "check off", &[("o", origin.at)])));
    let mut connection = Connection::open(at, PATIENCE).unwrap();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n";
    connection.send(head.as_bytes()).unwrap();
    // The rest is sent without looking, as many clients do; what we answered must not be lost by a reset.
    let _ = connection.send(&vec![b'x'; 200_000]);
    assert_eq!(connection.answer("POST").unwrap().status, 413);
    assert_eq!(origin.total_heads(), 0);
}

#[test]
fn connections_that_idle_hold_almost_nothing() {
    let servers = Nginx::start_many(1);
    let at = free();
    let mut balancer = Balancer::start(&shop(at, QUICK_CHECK, &named(&servers)));
    let open = || {
        let mut connection = Connection::open(at, PATIENCE).unwrap();
        connection.send(&wire::request(at, "GET", "/", "", b"")).unwrap();
        assert_eq!(connection.answer("GET").unwrap().status, 200);
        connection
    };
    let warm: Vec<_> = (0..50).map(|_| open()).collect();
    let before = balancer.process().memory();
    let held: Vec<_> = (0..400).map(|_| open()).collect();
    let after = balancer.process().memory();
    let each = after.saturating_sub(before) * 1024 / 400;
    assert!(each < 12 * 1024, "{each} bytes for each idle connection of an unoptimised build");
    drop((warm, held));
    await_for("their end to be seen", PATIENCE, || {
        let status = balancer.status();
        let connections: u64 =
            status["listeners"].as_array()?.iter().filter_map(|one| one["connections"].as_u64()).sum();
        (connections == 0).then_some(())
    });
}

#[test]
fn a_server_that_closes_what_it_said_it_would_keep_costs_no_get_and_doubles_no_post() {
    let origin = Origin::start("o", Manner::AnswerAndClose);
    let at = free();
    let _balancer = Balancer::start(&shop(at, "check off\neject off\nretry 2 same budget=100%", &[("o", origin.at)]));
    let plan = Plan { most: 100, ..Plan::get(at, 4) };
    Load::start(&plan).finish().expect_clean(400);
    let account = Load::start(&Plan { method: "POST", body: b"x".to_vec(), ..plan }).finish();
    let executed = origin.executed();
    for record in &account.records {
        let count = executed.get(&record.number).copied().unwrap_or(0);
        assert!(count <= 1 && (count == 1 || !record.outcome.is_good()), "{count} times: {record:?}");
    }
    let lost = account.failures().len();
    assert!(lost <= 40, "{lost} of 400 met a connection that was closing\n{account}");
}

//! Verdicts across configurations, names and restarts.

use evenkeel_balance::Failure;
use evenkeel_model::ServerName;
use evenkeel_model::config::{Check, Standing};

use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn id(server: &str) -> ServerId {
    ServerId { pool: PoolName::new("shop").unwrap(), server: ServerName::new(server).unwrap() }
}

fn server(name: &str, host: &str) -> Server {
    let host = host.parse().map_or_else(|_| Host::Name(host.to_owned()), Host::Ip);
    Server::new(ServerName::new(name).unwrap(), ServerAddr { host, port: 80 })
}

fn config(servers: Vec<Server>) -> Config {
    let mut pool = Pool::new(PoolName::new("shop").unwrap(), servers);
    pool.check = Some(Check { rise: 2, fall: 1, ..Check::default() });
    Config { pools: vec![pool], ..Config::default() }
}

fn passed() -> CheckOutcome {
    CheckOutcome::Passed { answer: Some("HTTP/1.1 200 OK".to_owned()) }
}

fn refused() -> CheckOutcome {
    let at = "10.0.0.1:80".to_owned();
    CheckOutcome::Failed(Failure { reason: Reason::ConnectRefused, at, detail: None, answer: None })
}

fn state(keeper: &Keeper, name: &str) -> Option<State> {
    keeper.verdict(&id(name)).map(|verdict| verdict.state)
}

#[test]
fn a_reload_keeps_verdicts_and_a_moved_server_begins_anew() {
    let mut keeper = Keeper::default();
    keeper.adopt(&config(vec![server("a", "10.0.0.1"), server("b", "10.0.0.2")]), NOW);
    for name in ["a", "b"] {
        keeper.checked(&id(name), refused(), NOW);
    }
    assert_eq!(state(&keeper, "a"), Some(State::Down));

    keeper.adopt(&config(vec![server("a", "10.0.0.1"), server("b", "10.0.0.9"), server("c", "10.0.0.3")]), NOW);
    assert_eq!(state(&keeper, "a"), Some(State::Down));
    assert_eq!(state(&keeper, "b"), Some(State::Unknown));
    assert_eq!(state(&keeper, "c"), Some(State::Unknown));

    keeper.adopt(&config(vec![server("c", "10.0.0.3")]), NOW);
    assert_eq!(state(&keeper, "a"), None);
}

#[test]
fn a_configured_drain_is_a_transition_like_any_other() {
    let mut keeper = Keeper::default();
    keeper.adopt(&config(vec![server("a", "10.0.0.1"), server("b", "10.0.0.2")]), NOW);
    keeper.checked(&id("a"), passed(), NOW);
    let drained = Server { standing: Standing::Drain, ..server("a", "10.0.0.1") };
    let noted = keeper.adopt(&config(vec![drained, server("b", "10.0.0.2")]), NOW);
    assert_eq!(noted.len(), 1);
    assert_eq!((noted[0].from, noted[0].verdict.state), (State::Up, State::Draining));
    assert_eq!(keeper.views(NOW)[&id("a")].state, State::Draining);
}

#[test]
fn a_name_without_an_answer_is_down_until_it_has_one() {
    let mut keeper = Keeper::default();
    keeper.adopt(&config(vec![server("a", "web.example")]), NOW);
    assert_eq!(keeper.hosts(), ["web.example"]);
    assert!(keeper.addrs(&id("a")).is_empty());

    let noted = keeper.resolved("web.example", Err("no such name".to_owned()), NOW);
    assert_eq!(noted.first().map(|noted| noted.verdict.reason), Some(Reason::Dns));

    let noted = keeper.resolved("web.example", Ok(vec!["10.0.0.7".parse().unwrap()]), NOW);
    assert_eq!(noted.len(), 1);
    assert_eq!(*keeper.addrs(&id("a")), ["10.0.0.7:80".parse().unwrap()]);

    let unchanged = keeper.resolved("web.example", Err("name server is silent".to_owned()), NOW);
    assert_eq!(unchanged, []);
    assert_eq!(keeper.addrs(&id("a")).len(), 1, "what was known stays known");
}

#[test]
fn a_name_is_news_when_it_moves_and_once_when_it_fails() {
    let mut keeper = Keeper::default();
    keeper.adopt(&config(vec![server("a", "web.example")]), NOW);
    let addrs = |texts: &[&str]| Ok(texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>());
    let silent = || Err("name server is silent".to_owned());
    let cases = [
        (addrs(&["10.0.0.7", "10.0.0.8"]), None),
        (addrs(&["10.0.0.8", "10.0.0.7"]), None),
        (silent(), Some(NameNews::Stale("name server is silent".to_owned()))),
        (silent(), None),
        (addrs(&["10.0.0.7", "10.0.0.8"]), Some(NameNews::Fresh)),
        (addrs(&["10.0.0.9"]), addrs(&["10.0.0.9"]).ok().map(NameNews::Moved)),
        (addrs(&[]), Some(NameNews::Stale("it has no address".to_owned()))),
    ];
    for (answer, news) in cases {
        assert_eq!(keeper.news("web.example", &answer), news, "{answer:?}");
        keeper.resolved("web.example", answer, NOW);
    }
}

#[test]
fn traffic_ejects_until_its_time_is_over() {
    let mut keeper = Keeper::default();
    keeper.adopt(&config(vec![server("a", "10.0.0.1"), server("b", "10.0.0.2")]), NOW);
    for name in ["a", "b"] {
        keeper.checked(&id(name), passed(), NOW);
    }
    let failure = (Reason::TrafficFailing, Some(500));
    let noted: Vec<Noted> = (1..=5).filter_map(|count| keeper.failed(&id("a"), failure, count, NOW)).collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(state(&keeper, "a"), Some(State::Down));

    let end = keeper.next_timeout().unwrap();
    assert!(keeper.elapsed(end - Duration::from_millis(1)).is_empty());
    assert_eq!(keeper.elapsed(end).first().map(|noted| noted.verdict.state), Some(State::Up));
}

#[test]
fn verdicts_survive_a_restart_on_the_same_address_while_fresh() {
    let servers = || config(vec![server("a", "10.0.0.1"), server("b", "10.0.0.2")]);
    let mut keeper = Keeper::default();
    keeper.adopt(&servers(), NOW);
    keeper.checked(&id("a"), refused(), NOW);
    keeper.checked(&id("b"), refused(), NOW);
    let unix = Duration::from_secs(1_800_000_000);
    let json = keeper.save(NOW, unix).to_json();

    let cases = [
        (Duration::from_secs(5), "10.0.0.1", State::Down),
        (Duration::from_secs(61), "10.0.0.1", State::Unknown),
        (Duration::from_secs(5), "10.0.0.8", State::Unknown),
    ];
    for (age, host, expected) in cases {
        let saved = SavedVerdicts::from_json(&json).unwrap().aged(unix + age);
        let mut next = Keeper::new(saved);
        next.adopt(&config(vec![server("a", host)]), NOW);
        assert_eq!(state(&next, "a"), Some(expected), "{age:?} later at {host}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_records_worthless() {
    let mut keeper = Keeper::default();
    keeper.adopt(&config(vec![server("a", "10.0.0.1")]), NOW);
    keeper.checked(&id("a"), refused(), NOW);
    let saved = keeper.save(NOW, Duration::from_secs(500)).aged(Duration::from_secs(400));
    let mut next = Keeper::new(saved);
    next.adopt(&config(vec![server("a", "10.0.0.1")]), NOW);
    assert_eq!(state(&next, "a"), Some(State::Unknown));
}

#[test]
fn only_what_may_look_otherwise_is_looked_at_again() {
    let mut keeper = Keeper::default();
    keeper.adopt(&config(vec![server("a", "10.0.0.1"), server("b", "10.0.0.2")]), NOW);
    assert_eq!(keeper.touched_views(NOW).len(), 2);
    assert!(keeper.touched_views(NOW).is_empty());
    keeper.checked(&id("a"), refused(), NOW);
    let touched = keeper.touched_views(NOW);
    assert_eq!((touched.len(), touched[&id("a")].state), (1, State::Down));
    // More of the same changes nothing that traffic sees.
    keeper.checked(&id("a"), refused(), NOW);
    assert!(keeper.touched_views(NOW).is_empty());
    assert_eq!(keeper.views(NOW)[&id("b")].state, State::Unknown);
}

#[test]
fn the_next_timeout_is_that_of_the_servers() {
    let mut keeper = Keeper::default();
    let mut slow = config(vec![server("a", "10.0.0.1"), server("b", "10.0.0.2")]);
    slow.pools[0].slow_start = Duration::from_secs(20);
    keeper.adopt(&slow, NOW);
    let soonest = |keeper: &Keeper| keeper.servers.values().filter_map(|kept| kept.health.poll_timeout()).min();
    let mut now = NOW;
    for outcome in [refused(), passed(), passed()] {
        keeper.checked(&id("a"), outcome, now);
        assert_eq!(keeper.next_timeout(), soonest(&keeper));
        now += Duration::from_secs(1);
    }
    let before = keeper.views(now)[&id("a")].ramp_per_mille;
    assert!(keeper.next_timeout().is_some() && before < 1000);
    keeper.touched_views(now);
    for _ in 0..40 {
        now += Duration::from_secs(1);
        keeper.elapsed(now);
        assert_eq!(keeper.next_timeout(), soonest(&keeper));
    }
    assert_eq!(keeper.next_timeout(), None);
    assert_eq!(keeper.touched_views(now)[&id("a")].ramp_per_mille, 1000);
}

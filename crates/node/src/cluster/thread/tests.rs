use std::net::Ipv4Addr;
use std::path::Path as FilePath;
use std::sync::mpsc::sync_channel;

use evenkeel_cluster::{BootId, Group, Key, Member, Mode, Resource, Settings, Timing};
use tokio::sync::mpsc;

use super::*;
use crate::cluster::config;
use crate::scratch::Scratch;
use crate::supervisor;
use crate::tasks::Ending;

const SECOND: Duration = Duration::from_secs(1);

/// What the guard was told before it heard nothing more.
const FILLER: &[u8] = &[b'?'; 1000];

/// Groups of one address each, by their names and the last part of their addresses.
type Groups<'a> = &'a [(&'a str, u8)];

fn settings(groups: Groups<'_>) -> Settings {
    let member = |name: &str| Member { name: name.into(), is_witness: false };
    let group = |(name, last): &(&str, u8)| Group {
        name: (*name).into(),
        prefer: vec![0],
        failback: None,
        mode: Mode::Available,
        resources: vec![Resource { name: format!("10.8.0.{last}").into(), is_address: true, timeout: SECOND }],
    };
    let timing = Timing { every: SECOND / 5, warn: SECOND / 2, dead: SECOND, init: SECOND, lifetime: SECOND };
    Settings::new("edge", 0, vec![member("lb1"), member("lb2")], timing, groups.iter().map(group).collect()).unwrap()
}

fn addresses(groups: Groups<'_>) -> Vec<Vec<Option<Address>>> {
    let address = |last| Address { addr: Ipv4Addr::new(10, 8, 0, last).into(), prefix: Some(24), device: None };
    groups.iter().map(|(_, last)| vec![Some(address(*last))]).collect()
}

fn news(groups: Groups<'_>) -> News {
    let text = "http :80 {\n    respond 200\n}\ncluster edge key=file:/nonexistent {\n    node lb1 10.0.0.1\n    node lb2 10.0.0.2\n    \
                group web {\n        ip 10.8.0.1/24\n    }\n}\n";
    let origin = crate::Origin::Text { name: "test".to_owned(), text: text.to_owned() };
    let loaded = origin.load(&evenkeel_config::Options::default()).loaded.config.unwrap();
    let config: config::Cluster = loaded.cluster.unwrap();
    News {
        config: Arc::new(config),
        settings: settings(groups),
        claims: Vec::new(),
        addresses: addresses(groups),
        dead: SECOND,
        lifetime: SECOND,
        pings: None,
    }
}

/// A heart with a guard that hears nothing until there is a file `go`, and then writes down all that it was told.
fn heart(dir: &FilePath, groups: Groups<'_>) -> (Heart, mpsc::Receiver<supervisor::Event>) {
    let shown = dir.display();
    // Where there is nothing to read at the moment, `cat` ends in an error.
    let guard = format!(
        "until [ -e {shown}/go ]; do sleep 0.02; done; until cat >> {shown}/heard 2> {shown}/why; do sleep 0.02; done"
    );
    heart_with(&guard, groups)
}

/// The same, with this line of the shell as its guard.
fn heart_with(guard: &str, groups: Groups<'_>) -> (Heart, mpsc::Receiver<supervisor::Event>) {
    let keys = Keyring::new(vec![Key::derive(&[b'k'; 32]).unwrap()]).unwrap();
    let (events, told) = mpsc::channel(64);
    let heart = Heart {
        node: Node::new(settings(groups), keys, BootId([1; 16]), clock::now()),
        paths: Vec::new(),
        peers: vec![Vec::new()],
        guard: Companion::start(FilePath::new("sh"), &["-c", guard]).unwrap(),
        addresses: addresses(groups),
        pings: Vec::new(),
        need: 0,
        dead: SECOND,
        commands: sync_channel(1).1,
        bell: Arc::new(Bell::new().unwrap()),
        teller: Teller::new(events),
        _keeping: None,
        _token: Ending::new().token(),
    };
    (heart, told)
}

fn has_lost_guard(told: &mut mpsc::Receiver<supervisor::Event>) -> bool {
    std::iter::from_fn(|| told.try_recv().ok())
        .any(|event| matches!(event, supervisor::Event::Cluster(told) if matches!(*told, Told::GuardLost)))
}

#[test]
fn a_guard_that_did_not_hear_of_other_places_is_ordered_nothing_more() {
    let dir = Scratch::new();
    let (mut heart, mut told) = heart(dir.path(), &[("web", 1), ("mail", 2)]);
    let mut turn = Turn::default();
    heart.act(&mut turn);
    while heart.guard.tie.send(FILLER).is_ok() {}
    // The places of both change, and the guard has no room to hear of it.
    heart.change_settings(news(&[("mail", 2), ("web", 1)]), &mut turn);
    heart.act(&mut turn);
    assert!(turn.is_guard_lost && has_lost_guard(&mut told), "whoever serves has to end");

    std::fs::write(dir.path().join("go"), "").unwrap();
    let until = clock::now() + SECOND * 30;
    while heart.guard.tie.send(FILLER).is_err() {
        assert!(clock::now() < until, "the guard does not begin to read");
        let _ = wait(&mut [], Duration::from_millis(10));
    }
    // In its places this would be the other group.
    heart.say(&mut turn, &Order::Withdraw { group: 0 });
    heart.say_of(&mut turn, 1, |group| Order::Renew { group });
    heart.guard.finish();
    let heard = std::fs::read(dir.path().join("heard")).unwrap();
    let orders = heard.rsplit(|byte| *byte == b'?').next().unwrap();
    assert_eq!(orders, b"", "what it was told after it had missed the other places");
}

#[test]
fn a_report_that_was_on_its_way_names_its_group_where_that_is_now() {
    let dir = Scratch::new();
    let (mut heart, _told) = heart(dir.path(), &[("web", 1), ("mail", 2), ("old", 3)]);
    let mut turn = Turn::default();
    heart.act(&mut turn);
    let place = |turn: &Turn, group| turn.place(Report::CarrierLost { group });
    let at = |group| Some((Report::CarrierLost { group }, Some(group)));
    assert_eq!(place(&turn, 2), at(2));
    // Two reloads, of which the guard has not heard yet.
    heart.change_settings(news(&[("mail", 2), ("web", 1)]), &mut turn);
    heart.act(&mut turn);
    heart.change_settings(news(&[("new", 4), ("mail", 2), ("web", 1)]), &mut turn);
    heart.act(&mut turn);
    assert!(!turn.is_guard_lost);
    assert_eq!([0, 1, 2].map(|group| place(&turn, group)), [at(2), at(1), None]);
    // It has heard of the first of them.
    turn.arranged.pop_front();
    assert_eq!([0, 1].map(|group| place(&turn, group)), [at(1), at(2)]);
    turn.arranged.pop_front();
    assert_eq!([0, 1, 2].map(|group| place(&turn, group)), [0, 1, 2].map(at));
    std::fs::write(dir.path().join("go"), "").unwrap();
    heart.guard.finish();
    let heard = String::from_utf8_lossy(&std::fs::read(dir.path().join("heard")).unwrap()).into_owned();
    assert_eq!(heard.matches("\"origins\":").count(), 2, "{heard}");
}

#[test]
fn who_began_absent_is_present_by_the_guards_first_look() {
    // The address came between the look of the start and the guard's.
    let report = serde_json::to_string(&Report::Missing { addrs: Vec::new() }).unwrap();
    let (mut heart, _told) = heart_with(&format!("printf '%s' '{report}' >&0"), &[("web", 1)]);
    heart.node.begin_absent(clock::now());
    let refusal = |heart: &Heart| heart.node.refusal(clock::now(), Change::Takeover { group: 0 });
    assert!(refusal(&heart).is_some_and(|why| why.contains("no own address")));
    wait(&mut [readable(heart.guard.tie.as_fd())], SECOND * 30).unwrap();
    heart.hear_guard(&mut vec![0; caps::GUARD_REPORT_BYTES], &mut Turn::default());
    assert_eq!(refusal(&heart), None);
}

#[test]
fn nodes_agree_on_networks_and_may_call_their_devices_otherwise() {
    let of = |address: &str| {
        let text = format!(
            "http :80 {{\n    respond 200\n}}\ncluster edge key=file:/nonexistent {{\n    node lb1 10.0.0.1\n    node lb2 10.0.0.2\n    \
             group web {{\n        ip {address}\n    }}\n}}\n"
        );
        let origin = crate::Origin::Text { name: "test".to_owned(), text };
        let config = origin.load(&evenkeel_config::Options::default()).loaded.config.unwrap();
        crate::cluster::settings(&config.cluster.unwrap(), 0).unwrap()
    };
    assert_eq!(of("10.8.0.1/24"), of("10.8.0.1/24 dev=eth1"));
    assert_ne!(of("10.8.0.1/24"), of("10.8.0.1/25"));
    assert_ne!(of("10.8.0.1/24"), of("10.8.0.1"));
}

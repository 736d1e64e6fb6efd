//! Is every request in the log, whatever happens to the file?

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use evenkeel_e2e::balancer::Balancer;
use evenkeel_e2e::load::{Load, Plan};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips, wire};
use rustix::process::Signal;

/// A listener with that log, in front of that server.
fn logged(at: std::net::SocketAddr, server: &Nginx, log: &str) -> String {
    format!("http {at} {{\n    to {}\n    check off\n    log {log}\n}}\n", server.at)
}

/// The numbers in a file of lines that begin with one.
fn numbers(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| u64::from_str_radix(line.split(' ').next()?, 16).ok()).collect()
}

#[test]
fn moving_the_file_and_reopening_loses_no_line() {
    let server = Nginx::start("a");
    let scratch = Scratch::new("log");
    let path = scratch.file("access.log");
    let at = free();
    let log = format!("{} {{\n        format \"$request.x-number $status $server $t_total\"\n    }}", path.display());
    let mut balancer = Balancer::start(&logged(at, &server, &log));
    let load = Load::start(&Plan::get(at, 4));
    for count in 0..5 {
        load.await_more(100);
        fs::rename(&path, scratch.file(&format!("access.log.{count}"))).unwrap();
        balancer.signal(Signal::USR1);
        await_for("the file to be there again", PATIENCE, || path.exists().then_some(()));
    }
    load.await_more(50);
    let account = load.stop();
    account.expect_clean(500);
    let written = || {
        let files = (0..5).map(|count| scratch.file(&format!("access.log.{count}"))).chain([path.clone()]);
        files.flat_map(|file| numbers(&fs::read_to_string(file).unwrap_or_default())).collect::<Vec<_>>()
    };
    await_for("every line", PATIENCE, || (written().len() >= account.records.len()).then_some(()));
    let (written, sent): (Vec<_>, HashSet<_>) =
        (written(), account.records.iter().map(|record| record.number).collect());
    assert_eq!(written.len(), sent.len(), "a line was written twice, or is of nobody");
    assert_eq!(written.into_iter().collect::<HashSet<_>>(), sent);
}

#[test]
fn a_full_disk_loses_lines_that_are_counted_and_no_request() {
    if !is_root_or_skips("a_full_disk_loses_lines_that_are_counted_and_no_request", "to mount a small tmpfs") {
        return;
    }
    let Some(disk) = SmallDisk::mount() else {
        println!("\nSKIPPED a_full_disk_loses_lines_that_are_counted_and_no_request: a tmpfs cannot be mounted here");
        return;
    };
    let server = Nginx::start("a");
    let at = free();
    let balancer = Balancer::start(&logged(at, &server, &format!("{}/access.log", disk.0.path().display())));
    let plan = Plan { most: 400, pause: Duration::ZERO, ..Plan::get(at, 4) };
    Load::start(&plan).finish().expect_clean(1600);
    let lost = |status: &serde_json::Value| find_number(status, "log_lines_lost").filter(|count| *count > 0);
    await_for("the count of lost lines", PATIENCE, || lost(&balancer.status()));
}

/// The first number under that key, however deep.
fn find_number(value: &serde_json::Value, key: &str) -> Option<u64> {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().find_map(|(name, inner)| if name == key { inner.as_u64() } else { find_number(inner, key) })
        }
        serde_json::Value::Array(all) => all.iter().find_map(|inner| find_number(inner, key)),
        _ => None,
    }
}

/// A disk of 64 KiB, gone with its owner.
struct SmallDisk(Scratch);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let scratch = Scratch::new("disk");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(scratch.path()).status();
        status.is_ok_and(|status| status.success()).then_some(Self(scratch))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn what_the_known_formats_hold_and_what_is_left_out() {
    let server = Nginx::start("a");
    let scratch = Scratch::new("log");
    let [json, combined, haproxy] = ["json", "combined", "haproxy"].map(|name| scratch.file(name));
    let at = free();
    let logs: String = [("json", &json), ("combined", &combined), ("haproxy", &haproxy)]
        .iter()
        .map(|(format, path)| {
            format!("    log {} {{\n        format {format}\n        skip path=/check\n    }}\n", path.display())
        })
        .collect();
    let _balancer = Balancer::start(&format!("http {at} {{\n    to {}\n    check off\n{logs}}}\n", server.at));
    for target in ["/check", "/a?b=1", "/check"] {
        assert_eq!(wire::get(at, target).unwrap().status, 200);
    }
    let only = |path: &std::path::Path| {
        await_for("a line", PATIENCE, || fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')))
    };
    let text = only(&json);
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(line["status"], 200, "{line}");
    assert!(only(&combined).contains("\"GET /a?b=1 HTTP/1.1\" 200 "), "{}", only(&combined));
    assert!(only(&haproxy).contains(" 200 "), "{}", only(&haproxy));
    for path in [&json, &combined, &haproxy] {
        assert_eq!(only(path).lines().count(), 1, "{}", only(path));
    }
}

//! Accounts from text of our own; giving up privileges for real where the tests run as root.

use super::identity::{become_on_this_thread, find};
use super::service::states;
use super::*;
use crate::NetError;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      a broken line\n\
                      www-data:x:33:33:www:/var/www:/usr/sbin/nologin\n\
                      evenkeel:x:900:901::/nonexistent:/bin/false\n";
const GROUPS: &str = "root:x:0:\nwww-data:x:33:\nadm:x:4:syslog,evenkeel\nevenkeel:x:901:\nssl-cert:x:110:evenkeel\n";

#[test]
fn users_and_groups_are_found_by_name_and_number() {
    for (user, group, uid, gid, groups) in [
        ("evenkeel", None, 900, 901, &[4, 110, 901][..]),
        ("evenkeel", Some("www-data"), 900, 33, &[4, 33, 110]),
        ("900", Some("4"), 900, 4, &[4, 110]),
        ("www-data", None, 33, 33, &[33]),
        ("12345", None, 12345, 12345, &[12345]),
        ("12345", Some("adm"), 12345, 4, &[4]),
    ] {
        let found = find(user, group, PASSWD, GROUPS).unwrap();
        assert_eq!((found.uid, found.gid, &*found.groups), (uid, gid, groups), "{user} {group:?}");
    }
}

#[test]
fn an_unknown_name_is_named() {
    let error = find("nobodyhere", None, PASSWD, GROUPS).unwrap_err();
    assert_eq!(error.to_string(), "no user `nobodyhere` in /etc/passwd");
    let error = find("evenkeel", Some("nogroup"), PASSWD, GROUPS).unwrap_err();
    assert_eq!(error.to_string(), "no group `nogroup` in /etc/group");
    assert!(error.hint().unwrap().contains("groupadd --system nogroup"));
}

#[test]
fn what_was_given_up_cannot_be_had_back() {
    if !is_root() {
        eprintln!("not run: giving up privileges needs root");
        return;
    }
    let user = User { name: "test".to_owned(), uid: 65_533, gid: 65_532, groups: vec![65_531, 65_532] };
    // The kernel keeps these per thread, so that a thread of its own leaves the other tests alone.
    let outcome = std::thread::spawn(move || {
        become_on_this_thread(&user)?;
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        Ok::<_, NetError>(status)
    });
    let status = outcome.join().unwrap().unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(field("Uid:"), "65533 65533 65533 65533");
    assert_eq!(field("Gid:"), "65532 65532 65532 65532");
    assert_eq!(field("Groups:"), "65531 65532");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
}

#[test]
fn privileges_are_not_given_up_by_one_thread_of_several() {
    let user = User { name: "test".to_owned(), uid: 65_533, gid: 65_532, groups: vec![65_532] };
    // The test harness runs this in a thread beside its own.
    let error = become_user(&user).unwrap_err();
    assert!(error.to_string().contains("threads run already"), "{error}");
}

#[test]
fn becoming_root_is_not_giving_up_root() {
    let root = find("root", None, PASSWD, GROUPS).unwrap();
    assert_eq!((root.uid, root.gid), (0, 0));
}

#[test]
fn the_descriptor_limit_goes_up_and_never_down() {
    let before = getrlimit(Resource::Nofile);
    let raised = raise_descriptor_limit(Ceiling::FromSystem).unwrap();
    assert!(raised >= before.current.unwrap_or(u64::MAX));
    assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), raised);
    assert_eq!(raise_descriptor_limit(Ceiling::Fixed(16)).unwrap(), raised);
}

#[test]
fn a_reload_tells_its_time_so_that_the_service_manager_does_not_wait() {
    let told = |notice| states(notice).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told(Notice::Ready("2 servers up")), ["READY=1", "STATUS=2 servers up"]);
    assert_eq!(told(Notice::Stopping), ["STOPPING=1"]);
    assert_eq!(told(Notice::Alive), ["WATCHDOG=1"]);
    let reloading = told(Notice::Reloading);
    assert_eq!(reloading[0], "RELOADING=1");
    let micros: u64 = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!(micros > 0);
}

#[test]
fn the_machine_has_a_name_and_a_core() {
    assert!(!host_name().is_empty());
    assert!(core_count().get() >= 1);
}

#[test]
fn what_is_tied_to_us_is_killed_when_its_thread_is_gone() {
    let start = || {
        let mut command = std::process::Command::new("sleep");
        end_with_us(command.arg("600"));
        command.spawn().unwrap()
    };
    let mut child = std::thread::spawn(start).join().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL), "{status}");
    // As long as the thread lives, so does the child.
    let mut child = start();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
}

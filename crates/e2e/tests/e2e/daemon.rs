//! Does it keep house as a daemon: privileges, notifications, what it leaves to its next run?

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use evenkeel_e2e::balancer::{Balancer, command, program, text};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips, wire};
use rustix::process::Signal;

use crate::setting::{QUICK_CHECK, shop};

#[test]
fn root_becomes_the_user_after_binding_and_cannot_come_back() {
    if !is_root_or_skips("root_becomes_the_user_after_binding_and_cannot_come_back", "to have privileges to drop") {
        return;
    }
    let at = free();
    let mut balancer = Balancer::start(&format!("user nobody\nhttp {at} {{\n    respond 200 x\n}}\n"));
    assert_eq!(wire::get(at, "/").unwrap().status, 200);
    let process = balancer.process();
    assert_ne!(process.status("Uid"), "0");
    assert_ne!(process.status("Gid"), "0");
    assert_eq!(process.status("CapEff"), "0000000000000000");
    let again = balancer.reload(&format!("user nobody\nhttp {at} {{\n    respond 200 y\n}}\n"));
    assert!(again.status.success(), "it reloads as that user: {}", text(&again));
}

#[test]
fn what_is_kept_as_a_user_is_that_users_and_what_root_has_left_is_named() {
    let test = "what_is_kept_as_a_user_is_that_users_and_what_root_has_left_is_named";
    if !is_root_or_skips(test, "to have privileges to drop") {
        return;
    }
    let scratch = Scratch::new("user");
    let key = scratch.write("cluster.key", &"8f".repeat(32));
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let (state, control) = (scratch.file("a/b/state"), scratch.file("control.sock"));
    let config = format!(
        "user nobody\nstate {}\ncontrol {}\nhttp {} {{\n    respond 200 x\n}}\n\
             cluster edge key=file:{} {{\n    port {}\n    node lb1 127.0.0.1\n    node lb2 127.0.0.2\n}}\n",
        state.display(),
        control.display(),
        free(),
        key.display(),
        free().port()
    );
    let file = scratch.write("evenkeel.conf", &config);
    let words = ["run", "--node", "lb1", file.to_str().unwrap()];
    let mut process = Process::start("evenkeel", program(), &words, scratch.path(), scratch.file("output"));
    let asked = ["status", "--control", control.to_str().unwrap()];
    await_for("evenkeel to be ready", PATIENCE, || {
        process.expect_running();
        command(&asked).status.success().then_some(())
    });
    let user = std::fs::metadata(&state).unwrap().uid();
    assert_ne!(user, 0);
    for name in ["cluster.seed", "sticky.key", "last-good.json"] {
        assert_eq!(std::fs::metadata(state.join(name)).unwrap().uid(), user, "{name}");
    }
    process.signal(Signal::TERM);
    assert_eq!(process.end(PATIENCE).code(), Some(0), "{}", process.output());

    for root in [state.join("sticky.key"), state.clone()] {
        chown(&root, Some(0), None).unwrap();
        let refused = command(&words);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        let wanted = format!("run `chown -R nobody {}`", state.display());
        assert!(text(&refused).contains(&wanted), "{}", text(&refused));
    }
}

#[test]
fn the_ordinary_state_directory_that_root_has_left_is_named_too() {
    let test = "the_ordinary_state_directory_that_root_has_left_is_named_too";
    if !is_root_or_skips(test, "to have privileges to drop") {
        return;
    }
    let scratch = Scratch::new("user");
    let control = scratch.file("control.sock");
    let listener = format!("http {} {{\n    respond 200 x\n}}\n", free());
    let file = scratch.write("evenkeel.conf", &format!("user nobody\ncontrol {}\n{listener}", control.display()));
    // A `/var/lib` of its own, in which root has been before.
    let line = "mount -t tmpfs tmpfs /var/lib && mkdir -m 0700 /var/lib/evenkeel && exec timeout 20 \"$0\" run \"$1\"";
    let refused =
        Command::new("unshare").args(["--mount", "sh", "-c", line]).arg(program()).arg(file).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("run `chown -R nobody /var/lib/evenkeel`"), "{}", text(&refused));
}

#[test]
fn a_supervisor_is_told_of_start_reload_and_stop() {
    let scratch = Scratch::new("notify");
    let path = scratch.file("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = free();
    let control = scratch.file("control.sock");
    let file = scratch.write("evenkeel.conf", &format!("state off\nhttp {at} {{\n    respond 200 x\n}}\n"));
    let words = ["run", "--control", control.to_str().unwrap(), file.to_str().unwrap()];
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let output = scratch.file("output");
    let mut process = Process::start_with("evenkeel", program(), &words, scratch.path(), output, &environment);
    let hears = |wanted: &str| {
        let mut heard = String::new();
        await_for(&format!("{wanted} from evenkeel"), PATIENCE, || {
            let mut piece = [0; 4096];
            let count = socket.recv(&mut piece).ok()?;
            heard.push_str(&String::from_utf8_lossy(&piece[..count]));
            heard.contains(wanted).then_some(())
        });
        heard
    };
    hears("READY=1");
    assert_eq!(wire::get(at, "/").unwrap().status, 200, "ready means that it serves");
    let reloaded = command(&["reload", "--control", control.to_str().unwrap()]);
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    assert!(hears("RELOADING=1").contains("MONOTONIC_USEC="));
    hears("READY=1");
    process.signal(Signal::TERM);
    hears("STOPPING=1");
    assert_eq!(process.end(PATIENCE).code(), Some(0));
}

#[test]
fn a_second_daemon_does_not_take_the_socket_of_the_first_and_a_crash_leaves_no_obstacle() {
    let at = free();
    let mut first = Balancer::start(&format!("http {at} {{\n    respond 200 first\n}}\n"));
    let path = first.scratch().file("evenkeel.conf");
    let other = free();
    let control = first.scratch().file("control.sock");
    let config = format!("state off\ncontrol {}\nhttp {other} {{\n    respond 200 second\n}}\n", control.display());
    let file = first.scratch().write("second.conf", &config);
    let refused = command(&["run", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains(control.to_str().unwrap()), "{}", text(&refused));
    assert!(first.run("status", &[]).status.success(), "the first one still answers");
    first.process().kill();
    let output = first.scratch().file("again");
    let folder = first.scratch().path().to_owned();
    let mut again = Process::start("evenkeel", program(), &["run", path.to_str().unwrap()], &folder, output);
    await_for("an answer after the crash", PATIENCE, || {
        again.expect_running();
        wire::get(at, "/").ok()
    });
}

#[test]
fn a_reader_of_the_standard_error_that_leaves_takes_nothing_with_it() {
    let scratch = Scratch::new("deaf");
    let at = free();
    let control = scratch.file("control.sock");
    let file = scratch.write("evenkeel.conf", &format!("state off\nhttp {at} {{\n    respond 200 x\n}}\n"));
    // The reader takes one line of the start and leaves, as a log's collector that dies.
    let line = "\"$1\" run --control \"$2\" \"$3\" 2>&1 | head -n 1 >/dev/null";
    let words = ["-c", line, "sh", program().to_str().unwrap(), control.to_str().unwrap(), file.to_str().unwrap()];
    let output = scratch.file("output");
    let mut shell = Process::start("sh", Path::new("sh"), &words, scratch.path(), output);
    await_for("an answer", PATIENCE, || {
        shell.expect_running();
        wire::get(at, "/").ok()
    });
    for _ in 0..2 {
        let reloaded = command(&["reload", "--control", control.to_str().unwrap()]);
        assert!(reloaded.status.success(), "a reload says so on the standard error: {}", text(&reloaded));
    }
    let stopped = command(&["stop", "--control", control.to_str().unwrap()]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert_eq!(shell.end(PATIENCE).code(), Some(0));
}

#[test]
fn sessions_survive_a_restart_and_so_do_fresh_verdicts() {
    let servers = Nginx::start_many(2);
    let gone = free();
    let at = free();
    let all = [("a", servers[0].at), ("b", servers[1].at), ("gone", gone)];
    // Once at the start and then never again: what is known after the restart was kept.
    let check = "check GET /check every=1h timeout=1s rise=1 fall=1";
    let mut balancer = Balancer::start(&shop(at, &format!("sticky\n{check}"), &all));
    balancer.await_state("shop", "gone", "down");
    let answer = wire::get(at, "/").unwrap();
    let cookie = answer.field("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let own = answer.field("x-server").unwrap().to_owned();
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.end(PATIENCE), 0);
    let path = balancer.scratch().file("evenkeel.conf");
    let output = balancer.scratch().file("again");
    let folder = balancer.scratch().path().to_owned();
    let mut again = Process::start("evenkeel", program(), &["run", path.to_str().unwrap()], &folder, output);
    await_for("an answer after the restart", PATIENCE, || {
        again.expect_running();
        wire::get(at, "/").ok()
    });
    for _ in 0..10 {
        let answer = wire::ask(at, "GET", "/", &format!("Cookie: {cookie}\r\n"), b"").unwrap();
        assert_eq!(answer.field("x-server"), Some(own.as_str()));
    }
}

#[test]
fn a_name_that_does_not_resolve_stops_nothing_but_its_server() {
    let servers = Nginx::start_many(1);
    let at = free();
    let config = format!(
        "http {at} {{\n    route * to=shop\n}}\npool shop {{\n    {QUICK_CHECK}\n    server a {}\n    server b no-such-host.invalid:80\n}}\n",
        servers[0].at
    );
    let balancer = Balancer::start(&config);
    balancer.await_state("shop", "b", "down");
    let status = balancer.status();
    let server = &status["pools"][0]["servers"][1];
    assert_eq!(server["reason"], "dns", "{server:#}");
    for _ in 0..20 {
        assert_eq!(wire::get(at, "/").unwrap().text(), "a\n");
    }
    let path = balancer.scratch().file("evenkeel.conf");
    let checked = command(&["check", path.to_str().unwrap()]);
    assert!(checked.status.success(), "a warning, not an error: {}", text(&checked));
    assert!(text(&checked).contains("no-such-host.invalid"), "{}", text(&checked));
}

#[test]
fn two_reloads_at_one_time_are_both_answered_and_the_last_file_holds() {
    let at = free();
    let with = |count: u32| format!("http {at} {{\n    respond 200 version-{count}\n}}\n");
    let balancer = Balancer::start(&with(0));
    for round in 1..=5 {
        balancer.rewrite(&with(round));
        std::thread::scope(|scope| {
            for reload in [0; 2].map(|_| scope.spawn(|| balancer.run("reload", &[]))) {
                let output = reload.join().unwrap();
                assert!(output.status.success(), "{}", text(&output));
            }
        });
        assert!(balancer.run("reload", &[]).status.success());
        assert_eq!(wire::get(at, "/").unwrap().text().trim(), format!("version-{round}"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! Does the zone-file checker keep real name servers in step, and every edit of everybody whole?

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use evenkeel_e2e::balancer::{program, text};
use evenkeel_e2e::named::{KEY, NameServer, Role, ZONE};
use evenkeel_e2e::place::{Scratch, address, free, free_at_home};
use evenkeel_e2e::process::Process;
use evenkeel_e2e::{PATIENCE, await_for, is_root_or_skips};

/// Two addresses of this process's own with one port: what two balanced records name.
fn pair() -> [SocketAddr; 2] {
    let first = free();
    let IpAddr::V4(ip) = address() else { panic!("loopback is IPv4") };
    let [a, b, c, d] = ip.octets();
    [first, SocketAddr::new(Ipv4Addr::new(a, b + 20, c, d).into(), first.port())]
}

/// A zone with one balanced set of those two.
fn zone(targets: &[SocketAddr; 2], ns: SocketAddr) -> String {
    format!(
        "$TTL 60\n@\tIN SOA ns root (\n\t2026010101 ; serial\n\t1h 15m 4w 30 )\n@\tNS ns\nns\tA {}\n\n;; BALANCED_AUTOCHECK::{}\nwww\t60\tIN\tA\t{}\nwww\t60\tIN\tA\t{}   ; the second\n\nmail\tA 192.0.2.9\n",
        ns.ip(),
        targets[0].port(),
        targets[0].ip(),
        targets[1].ip()
    )
}

fn run(scratch: &Scratch, arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .env("XDG_STATE_HOME", scratch.file("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn without_serial(text: &str) -> String {
    text.lines().filter(|line| !line.contains("; serial")).collect::<Vec<_>>().join("\n")
}

#[test]
fn bind_and_its_secondary_follow_the_servers() {
    let scratch = Scratch::new("zonefile");
    let targets = pair();
    let (at, other) = (free_at_home(), free_at_home());
    let text_before = zone(&targets, at);
    let primary = NameServer::bind(at, Role::Primary(Some(other)), &text_before);
    let secondary = NameServer::bind(other, Role::Secondary(at), &text_before);
    let file = primary.file("example.org.db");
    let path = file.to_str().unwrap();
    let fix = || run(&scratch, &["zonefile", "fix", "--timeout", "300ms", "--then", &primary.reload(), path]);

    let first = TcpListener::bind(targets[0]).unwrap();
    let output = fix();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let alone = vec![targets[0].ip().to_string()];
    await_for("both servers to answer without the dead one", PATIENCE, || {
        (primary.dig("www.example.org", "A") == alone && secondary.dig("www.example.org", "A") == alone).then_some(())
    });
    assert_eq!(primary.serial(), secondary.serial());
    let parked = fs::read_to_string(&file).unwrap();
    assert!(parked.contains(&format!("\n;;www\t60\tIN\tA\t{}   ; the second\n", targets[1].ip())), "{parked}");

    // Nothing more to do: nothing is written, and no command runs.
    let output = fix();
    assert!(output.status.success() && !text(&output).contains("succeeded"), "{}", text(&output));

    let _second = TcpListener::bind(targets[1]).unwrap();
    assert!(fix().status.success());
    await_for("the second server to be back everywhere", PATIENCE, || {
        (secondary.dig("www.example.org", "A").len() == 2).then_some(())
    });
    assert_eq!(without_serial(&fs::read_to_string(&file).unwrap()), without_serial(&text_before));

    // All dead at once: the checker holds itself for blind.
    drop((first, _second));
    let output = fix();
    assert_eq!((output.status.code(), text(&output).contains("cut off")), (Some(1), true), "{}", text(&output));
    assert_eq!(primary.dig("www.example.org", "A").len(), 2);
}

#[test]
fn a_command_that_failed_runs_the_next_time() {
    let scratch = Scratch::new("zonefile-owed");
    let targets = pair();
    let path = scratch.write("example.org.db", &zone(&targets, free()));
    let _first = TcpListener::bind(targets[0]).unwrap();
    let (file, mark) = (path.to_str().unwrap(), scratch.file("mark"));
    let command = format!("test -e {}", mark.display());
    let fix = || run(&scratch, &["zonefile", "fix", "--timeout", "200ms", "--then", &command, file]);
    let output = fix();
    assert_eq!((output.status.code(), text(&output).contains("is owed")), (Some(3), true), "{}", text(&output));
    assert_eq!(fix().status.code(), Some(3));
    fs::write(&mark, "").unwrap();
    let output = fix();
    assert!(output.status.success() && text(&output).contains("succeeded"), "{}", text(&output));
    assert!(!text(&fix()).contains("succeeded"));
}

#[test]
fn the_old_scripts_command_line_still_works() {
    let scratch = Scratch::new("zonefile-old");
    let targets = pair();
    let _first = TcpListener::bind(targets[0]).unwrap();
    fs::create_dir(scratch.file("zones")).unwrap();
    let path = scratch.write("zones/example.org.db", &zone(&targets, free()));
    scratch.write("zones/plain.db", "$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\na A 192.0.2.1\n");
    let named = scratch.file("bind9_check_balancer");
    std::os::unix::fs::symlink(program(), &named).unwrap();
    let zones = scratch.file("zones");
    let command = format!("echo ran >> {}", scratch.file("ran").display());
    let old = |arguments: &[&str]| {
        let state = scratch.file("state");
        Command::new(&named).args(arguments).env("XDG_STATE_HOME", state).stdin(Stdio::null()).output().unwrap()
    };
    for _ in 0..2 {
        let output = old(&["-c", &command, "-t", "1", zones.to_str().unwrap()]);
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), ""));
    }
    assert!(fs::read_to_string(&path).unwrap().contains("\n;;www\t60\tIN\tA\t"));
    assert_eq!(fs::read_to_string(scratch.file("ran")).unwrap(), "ran\n");
    assert_eq!(old(&["-t", "1", zones.to_str().unwrap()]).status.code(), Some(2));
    let missing = old(&["-c", "true", "/nonexistent/zone"]);
    assert_eq!((missing.status.code(), text(&missing).contains("no such file")), (Some(1), true));
}

#[test]
fn a_dry_run_shows_the_lines_and_changes_nothing() {
    let scratch = Scratch::new("zonefile-dry");
    let targets = pair();
    let _first = TcpListener::bind(targets[0]).unwrap();
    let before = zone(&targets, free());
    let path = scratch.write("example.org.db", &before);
    let output = run(&scratch, &["zonefile", "fix", "--dry-run", "--timeout", "200ms", path.to_str().unwrap()]);
    assert!(output.status.success() && text(&output).contains("+;;www"), "{}", text(&output));
    let output = run(&scratch, &["zonefile", "check", "--json", "--timeout", "200ms", path.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sheet = &report["sheets"][0];
    assert_eq!((&sheet["outcome"], &sheet["zone"]), (&"would_change".into(), &"example.org.".into()));
    assert_eq!(sheet["sets"][0]["records"][1]["state"], "down");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    // A journal beside it: the server owns the file.
    scratch.write("example.org.db.jnl", "");
    let output = run(&scratch, &["zonefile", "fix", "--timeout", "200ms", path.to_str().unwrap()]);
    assert_eq!((output.status.code(), text(&output).contains("dynamic update")), (Some(1), true), "{}", text(&output));
}

/// Updates go to a live server; the file of records is read and never written.
fn updates_follow(server: &NameServer, targets: &[SocketAddr; 2]) {
    let scratch = Scratch::new("zonefile-update");
    let mut kept = zone(targets, server.at);
    let path = scratch.write("balanced.example.org", &kept);
    let key = scratch.write("key", KEY);
    let (file, key, at) = (path.to_str().unwrap(), key.to_str().unwrap(), server.at.to_string());
    let fix = |key: &str| {
        run(&scratch, &["zonefile", "fix", "--timeout", "300ms", "--update", &at, "--key", key, "--zone", ZONE, file])
    };
    let first = TcpListener::bind(targets[0]).unwrap();
    let serial = server.serial();
    let output = fix(key);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(server.dig("www.example.org", "A"), [targets[0].ip().to_string()]);
    assert!(server.serial() > serial);
    let serial = server.serial();
    assert!(fix(key).status.success());
    assert_eq!(server.serial(), serial, "nothing was to be done, and something was");

    let second = TcpListener::bind(targets[1]).unwrap();
    assert!(fix(key).status.success());
    assert_eq!(server.dig("www.example.org", "A").len(), 2);
    drop((first, second));
    assert_eq!(fix(key).status.code(), Some(1));
    assert_eq!(server.dig("www.example.org", "A").len(), 2);

    let wrong = scratch.write("wrong", &KEY.replace("c2Vj", "c2Vk"));
    let stranger = scratch.write("stranger", &KEY.replace("lb-key", "other"));
    let _first = TcpListener::bind(targets[0]).unwrap();
    for (key, fault) in [(wrong, "BADSIG"), (stranger, "BADKEY")] {
        let output = fix(key.to_str().unwrap());
        assert_eq!((output.status.code(), text(&output).contains(fault)), (Some(1), true), "{}", text(&output));
    }
    // The set is another one by now; what is not the file's stays.
    kept = kept.replace(&targets[1].ip().to_string(), "192.0.2.77");
    fs::write(&path, &kept).unwrap();
    let output = fix(key);
    assert!(output.status.success(), "{}", text(&output));
    assert!(server.dig("www.example.org", "A").contains(&targets[1].ip().to_string()));
    assert_eq!(fs::read_to_string(&path).unwrap(), kept);
}

#[test]
fn updates_keep_a_live_bind_in_step() {
    let (targets, at) = (pair(), free_at_home());
    updates_follow(&NameServer::bind(at, Role::Dynamic, &zone(&targets, at)), &targets);
}

#[test]
fn updates_make_a_set_where_only_a_wildcard_answers() {
    let (scratch, targets, at) = (Scratch::new("zonefile-wildcard"), pair(), free_at_home());
    let server = NameServer::bind(at, Role::Dynamic, &format!("{}*\tA 192.0.2.77\n", zone(&targets, at)));
    let [one, two] = targets;
    let records = format!(";; BALANCED_AUTOCHECK::{}\nnew 60 A {}\nnew 60 A {}\n", one.port(), one.ip(), two.ip());
    let path = scratch.write("balanced.example.org", &records);
    let key = scratch.write("key", KEY);
    let (file, key, at) = (path.to_str().unwrap(), key.to_str().unwrap(), server.at.to_string());
    let words = ["zonefile", "fix", "--timeout", "300ms", "--update", &at, "--key", key, "--zone", ZONE, file];
    assert_eq!(server.dig("new.example.org", "A"), ["192.0.2.77"]);
    let _alive = TcpListener::bind(one).unwrap();
    for _ in 0..2 {
        let output = run(&scratch, &words);
        assert!(output.status.success() && !text(&output).contains("SOA"), "{}", text(&output));
        assert_eq!(server.dig("new.example.org", "A"), [one.ip().to_string()]);
    }
    assert_eq!(server.dig("other.example.org", "A"), ["192.0.2.77"]);
}

#[test]
fn updates_keep_a_live_knot_in_step() {
    let targets = pair();
    updates_follow(&NameServer::knot(&zone(&targets, targets[0])), &targets);
}

fn is_sound(path: &Path) -> bool {
    let checked = Command::new("named-checkzone").args(["-q", ZONE]).arg(path).stdin(Stdio::null()).output().unwrap();
    checked.status.success()
}

/// The daemon's status says that the second record is parked, and why.
fn await_said(scratch: &Scratch) {
    let socket = scratch.file("sock");
    await_for("the status to say that it is parked, and why", PATIENCE, || {
        let output = run(scratch, &["status", "--json", "--control", socket.to_str().unwrap()]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let record = &status["zonefiles"][0]["sheets"][0]["sets"][0]["records"][1];
        (record["parked"] == true && record["why"] == "connection refused").then_some(())
    });
}

/// The daemon parks and puts back while a script edits the same file in both ways that editors have, and is killed again
/// and again.
#[test]
fn no_edit_is_lost_while_servers_die_and_the_daemon_is_killed() {
    const EDITS: usize = 60;
    let scratch = Scratch::new("zonefile-editor");
    let targets = pair();
    let path = scratch.write("example.org.db", &zone(&targets, free()));
    let config = scratch.write(
        "evenkeel.conf",
        &format!(
            "state {}\ncontrol {}\nzonefile {} every=1s timeout=100ms {{\n    check tcp rise=1 fall=1\n    then true\n}}\n",
            scratch.file("state").display(),
            scratch.file("sock").display(),
            path.display()
        ),
    );
    let start = || {
        let arguments = ["run", config.to_str().unwrap()];
        Process::start("evenkeel", program(), &arguments, scratch.path(), scratch.file("log"))
    };
    let _first = TcpListener::bind(targets[0]).unwrap();
    let mut second = None;
    let mut daemon = start();
    let mut parked = 0;
    for number in 0..EDITS {
        let line = format!("host{number}\tA 192.0.2.{}\n", number % 250);
        if number % 2 == 0 {
            fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(line.as_bytes()).unwrap();
        } else {
            let fresh = scratch.file("edited");
            fs::write(&fresh, format!("{}{line}", fs::read_to_string(&path).unwrap())).unwrap();
            fs::rename(&fresh, &path).unwrap();
        }
        if number % 10 == 4 {
            second = second.is_none().then(|| TcpListener::bind(targets[1]).unwrap());
        }
        if number % 20 == 13 {
            daemon.kill();
            daemon = start();
        }
        std::thread::sleep(Duration::from_millis(120));
        let text = fs::read_to_string(&path).unwrap();
        parked += usize::from(text.contains("\n;;www"));
        assert!(is_sound(&path), "{text}");
    }
    drop(second);
    await_for("the daemon to park the dead server's record at last", PATIENCE, || {
        fs::read_to_string(&path).unwrap().contains("\n;;www").then_some(())
    });
    daemon.expect_running();
    await_said(&scratch);
    let text = fs::read_to_string(&path).unwrap();
    for number in 0..EDITS {
        assert!(text.contains(&format!("\nhost{number}\tA ")), "the edit {number} is lost:\n{text}");
    }
    assert!(parked > 0 && is_sound(&path), "{text}");
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    let _ = daemon;
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".evenkeel")), "{left:?}");
}

#[test]
fn a_full_disk_leaves_the_zone_as_it_is() {
    if !is_root_or_skips("a_full_disk_leaves_the_zone_as_it_is", "to mount a small file system") {
        return;
    }
    let scratch = Scratch::new("zonefile-full");
    let targets = pair();
    let _first = TcpListener::bind(targets[0]).unwrap();
    let before = zone(&targets, free());
    let source = scratch.write("source", &before);
    fs::create_dir(scratch.file("disk")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64k none {disk} && cp {source} {disk}/example.org.db && (cat /dev/zero > {disk}/fill; \
         {program} zonefile fix --timeout 200ms {disk}/example.org.db; echo \"exit $?\"; ls -A {disk}; cmp {source} {disk}/example.org.db && echo same)",
        disk = scratch.file("disk").display(),
        source = source.display(),
        program = program().display()
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .env("XDG_STATE_HOME", scratch.file("state"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&output);
    assert!(said.contains("cannot be written: no space left") && said.contains("exit 1"), "{said}");
    assert!(said.contains("same") && !said.contains(".evenkeel\n"), "{said}");
}

#[test]
fn check_refuses_the_zones_that_name_servers_refuse() {
    let scratch = Scratch::new("zonefile-whole");
    let good = zone(&pair(), free());
    let cases = [
        ("good", good.clone(), true),
        ("no address of a name server", good.replace("@\tNS ns", "@\tNS gone"), false),
        ("beside a CNAME", format!("{good}x CNAME mail\nx A 192.0.2.1\n"), false),
        ("no SOA", "$TTL 1\n@ IN NS ns\nns A 192.0.2.1\n".to_owned(), false),
        ("a wrong address", format!("{good}x A 192.0.2.256\n"), false),
    ];
    for (what, zone, is_good) in cases {
        let path = scratch.write("example.org.db", &zone);
        let output = run(&scratch, &["check", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(if is_good { 0 } else { 2 }), "{what}: {}", text(&output));
        assert_eq!(is_sound(&path), is_good, "{what}: named-checkzone");
        let knot = Command::new("kzonecheck").args(["-o", ZONE]).arg(&path).stdin(Stdio::null()).output().unwrap();
        assert_eq!(knot.status.success(), is_good, "{what}: kzonecheck {}", text(&knot));
    }
}

//! The commands that need no daemon, as a script sees them: exit code, output, and what they leave on disk.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const GOOD: &str = "http 127.0.0.1:8080 {\n    to 127.0.0.1:9001 127.0.0.1:9002\n    sticky\n}\n";
const WARNS: &str = "http 127.0.0.1:8080 {\n    to 127.0.0.1:9001\n}\npool unused {\n    server a 127.0.0.1:9001\n}\n";

fn evenkeel(args: &[&str]) -> Output {
    fed(args, "")
}

fn fed(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A directory that goes with its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("evenkeel-commands-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_check_ends_with_the_code_of_its_verdict_and_a_last_line() {
    let cases = [(GOOD, "", 0), (GOOD, "--strict", 0), (WARNS, "", 0), (WARNS, "--strict", 3), ("lisen 80\n", "", 2)];
    for (config, option, expected) in cases {
        let args: Vec<&str> = ["check", "-", "--offline", option].into_iter().filter(|arg| !arg.is_empty()).collect();
        let output = fed(&args, config);
        assert_eq!(code(&output), expected, "{config}{option}");
        assert!(stdout(&output).lines().last().is_some_and(|last| last.starts_with("stdin: ")), "{}", stdout(&output));
    }
}

#[test]
fn a_check_for_programs_is_json_alone() {
    let output = fed(&["check", "-", "--offline", "--format", "json"], "lisen 80\nbogus\n");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 2, "every mistake at once: {found}");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("2 errors"));
    let short = fed(&["check", "-", "--offline", "--format", "short"], "lisen 80\n");
    assert!(stdout(&short).starts_with("stdin:1:1: error["), "{}", stdout(&short));
}

#[test]
fn a_missing_file_says_how_to_do_without() {
    let output = evenkeel(&["run", "/nonexistent/evenkeel.conf"]);
    assert_eq!(code(&output), 2);
    let said = stderr(&output);
    assert!(said.contains("no such file") && said.contains("--listen :8080 --to"), "{said}");
}

#[test]
fn flags_amount_to_a_configuration_that_is_good() {
    let args = [
        "run",
        "--listen",
        ":8080",
        "--to",
        "10.0.0.1:80,10.0.0.2:80",
        "--sticky=SRV",
        "--check",
        "/up",
        "--print-config",
    ];
    let output = evenkeel(&args);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let config = stdout(&output);
    assert!(config.contains("10.0.0.2:80") && config.contains("SRV") && config.contains("/up"), "{config}");
    assert_eq!(code(&fed(&["check", "-", "--offline", "--strict"], &config)), 0);
    assert_eq!(code(&evenkeel(&["run", "--listen", ":8080", "--to", "not an address", "--print-config"])), 2);
}

#[test]
fn fmt_rewrites_only_what_is_not_in_form_and_keeps_the_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Scratch::new("fmt");
    let path = dir.file("a.conf", "http 127.0.0.1:8080 {\n to 127.0.0.1:9001 # why\n}\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let checked = evenkeel(&["fmt", "--check", text(&path)]);
    assert_eq!((code(&checked), stdout(&checked).trim()), (1, text(&path)));

    assert_eq!(code(&evenkeel(&["fmt", text(&path)])), 0);
    assert!(fs::read_to_string(&path).unwrap().contains("    to 127.0.0.1:9001"));
    assert!(fs::read_to_string(&path).unwrap().contains("# why"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(code(&evenkeel(&["fmt", "--check", text(&path)])), 0);
    assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 1, "nothing is left beside it");
    assert_eq!(code(&evenkeel(&["fmt", "/nonexistent/a.conf"])), 1);
}

#[test]
fn fmt_without_a_file_or_with_a_dash_is_a_filter() {
    for args in [&["fmt"][..], &["fmt", "-"]] {
        let output = fed(args, "http 127.0.0.1:8080 {\n to 127.0.0.1:9001\n}\n");
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "http 127.0.0.1:8080 {\n    to 127.0.0.1:9001\n}\n", "{args:?}");
    }
}

#[test]
fn what_is_shown_is_a_configuration_again_in_both_forms() {
    let dir = Scratch::new("show");
    let path = dir.file("a.conf", GOOD);
    let shown = stdout(&evenkeel(&["config", "show", text(&path)]));
    assert_eq!(code(&fed(&["check", "-", "--offline"], &shown)), 0, "{shown}");
    let json = evenkeel(&["config", "show", "--json", text(&path)]);
    assert!(serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap().is_object());
    assert_eq!(code(&fed(&["check", "-", "--offline"], &stdout(&json))), 0);
    assert!(stdout(&evenkeel(&["config", "show", "--defaults", text(&path)])).contains("# default"));
    assert_eq!(code(&evenkeel(&["config", "show", "/nonexistent/a.conf"])), 2);
    let schema = evenkeel(&["config", "schema"]);
    assert!(serde_json::from_slice::<serde_json::Value>(&schema.stdout).unwrap().is_object());
}

#[test]
fn without_a_daemon_its_commands_end_with_four() {
    let dir = Scratch::new("nobody");
    let socket = dir.0.join("control.sock");
    for command in ["status", "reload", "stop"] {
        let output = evenkeel(&[command, "--control", text(&socket)]);
        assert_eq!(code(&output), 4, "{command}: {}", stderr(&output));
        assert!(stderr(&output).contains(text(&socket)));
    }
}

#[test]
fn wrong_usage_ends_with_two_and_unknown_words_with_one() {
    for args in [&["bogus"][..], &["run", "--listen"], &["check", "--format", "xml"], &[]] {
        assert_eq!(code(&evenkeel(args)), 2, "{args:?}");
    }
    assert_eq!(code(&evenkeel(&["explain", "bogus"])), 1);
    assert!(stdout(&evenkeel(&["explain", "sticky"])).contains("sticky"));
    assert!(stdout(&evenkeel(&["version"])).starts_with("evenkeel "));
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let dir = Scratch::new("man");
    assert_eq!(code(&evenkeel(&["man", text(&dir.0)])), 0);
    let help = stdout(&evenkeel(&["--help"]));
    let completions = stdout(&evenkeel(&["completions", "bash"]));
    for command in ["run", "demo", "check", "fmt", "reload", "status", "stop", "explain", "config"] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        assert!(completions.contains(command));
        assert!(dir.0.join(format!("evenkeel-{command}.1")).exists(), "{command}");
    }
    assert!(stdout(&evenkeel(&["man"])).contains(".TH"));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["config", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn check_reads_what_a_start_would_read_and_makes_nothing() {
    let scratch = Scratch::new("resources");
    let key = scratch.file("key", "0123456789abcdef0123456789abcdef").display().to_string();
    let short = scratch.file("short", "short").display().to_string();
    fs::create_dir(scratch.0.join("errors")).unwrap();
    let place = |name: &str| scratch.0.join(name).display().to_string();
    let (log, errors) = (place("access.log"), place("errors"));
    let checked = |key: &str, log: &str, errors: &str, options: &[&str]| {
        let text = format!(
            "http 127.0.0.1:8080 {{\n    errors {errors}\n    log {log}\n    route * to=shop\n}}\n\
             pool shop {{\n    sticky key={key}\n    server a 127.0.0.1:9001\n}}\n"
        );
        let file = scratch.file("evenkeel.conf", &text).display().to_string();
        let words: Vec<&str> = ["check", &file].into_iter().chain(options.iter().copied()).collect();
        let output = evenkeel(&words);
        (code(&output), stdout(&output))
    };
    let file = |path: &str| format!("file:{path}");
    let (status, said) = checked(&file(&key), &log, &errors, &["--strict"]);
    assert_eq!((status, said.contains("ok")), (0, true), "{said}");
    assert!(!Path::new(&log).exists(), "a check made the log");
    for (key, log, errors, wanted) in [
        (file(&place("none")), log.clone(), errors.clone(), "E415"),
        (file(&short), log.clone(), errors.clone(), "E415"),
        (file(&key), place("none/access.log"), errors.clone(), "E428"),
        (file(&key), errors.clone(), errors.clone(), "E428"),
        (file(&key), log.clone(), place("none"), "E428"),
    ] {
        let (status, said) = checked(&key, &log, &errors, &[]);
        assert!(status == 2 && said.contains(wanted), "{key} {log} {errors}: {status} {said}");
        assert_eq!(checked(&key, &log, &errors, &["--offline"]).0, 0, "{key} {log} {errors}");
    }
    // What only the service has is not wrong here.
    for key in ["cred:sticky", "env:EVENKEEL_TEST_UNSET"] {
        let (status, said) = checked(key, &log, &errors, &[]);
        assert!(status == 0 && said.contains("W514") && said.contains("was not looked at"), "{status} {said}");
        assert_eq!(checked(key, &log, &errors, &["--strict"]).0, 3);
    }
}

#[test]
fn what_is_doubtful_about_a_zone_file_is_told_with_its_configuration() {
    let scratch = Scratch::new("doubtful");
    let records = "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww HTTPS 1 . ipv4hint=192.0.2.9\nwww A 192.0.2.2\nwww 30 A 192.0.2.3\n";
    let zone = scratch.file("zone", records).display().to_string();
    let named = "{\n        name www answer=self address=192.0.2.9\n    }";
    let text = format!(
        "http 127.0.0.1:8080 {{\n    to 127.0.0.1:9001\n}}\ndns 127.0.0.1:5300 {{\n    zone a.example file={zone} {named}\n}}\n"
    );
    let file = scratch.file("evenkeel.conf", &text).display().to_string();
    let output = evenkeel(&["check", &file]);
    let said = stdout(&output);
    assert_eq!(code(&output), 0, "{said}");
    for wanted in ["W515", &format!("{zone}:7:"), "ipv4hint", "2 warnings"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    assert_eq!(code(&evenkeel(&["check", "--strict", &file])), 3);
}

/// A check that ends whatever it meets: one that waits for a pipe is ended, by code 124.
fn checked_in_time(file: &Path) -> (Option<i32>, String) {
    let output = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_evenkeel"), "check", text(file)])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code(), stdout(&output))
}

#[test]
fn no_named_file_is_waited_for() {
    let scratch = Scratch::new("pipes");
    fs::create_dir(scratch.0.join("errors")).unwrap();
    let pipes = ["pipe", "errors/502.html", "pipe.conf"].map(|name| scratch.0.join(name));
    assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
    let [pipe, _, entry] = &pipes;
    let (pipe, dir) = (text(pipe), text(&scratch.0));
    for (line, what) in [
        (format!("include {pipe}\nhttp 127.0.0.1:8080 {{\n respond 204\n}}"), "a pipe"),
        (format!("http 127.0.0.1:8080 {{\n errors {dir}/errors\n respond 204\n}}"), "a pipe"),
        (format!("https 127.0.0.1:8443 {{\n cert {pipe} key={pipe}\n respond 204\n}}"), "a pipe"),
        (format!("https 127.0.0.1:8443 {{\n cert {dir} key={pipe}\n respond 204\n}}"), "a directory"),
        (format!("http 127.0.0.1:8080 {{\n to 127.0.0.1:9001\n sticky key=file:{pipe}\n}}"), "a pipe"),
        (format!("dns 127.0.0.1:5353 {{\n zone example.org file={pipe}\n}}"), "a pipe"),
        ("http 127.0.0.1:8080 {\n to 127.0.0.1:9001\n sticky key=file:/dev/null\n}".to_owned(), "a device"),
    ] {
        let (status, said) = checked_in_time(&scratch.file("evenkeel.conf", &format!("{line}\n")));
        let wanted = format!("it is {what}, not a regular file");
        assert!(status == Some(2) && said.contains(&wanted), "{line}: {status:?} {said}");
    }
    let (status, said) = checked_in_time(entry);
    assert!(status == Some(2) && said.contains("it is a pipe"), "{status:?} {said}");
}

#[test]
fn a_configuration_may_be_handed_over_by_a_shell() {
    for script in ["exec \"$0\" check /dev/stdin", "exec \"$0\" check <(cat)"] {
        let mut child = Command::new("bash")
            .args(["-c", script, env!("CARGO_BIN_EXE_evenkeel")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(GOOD.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{script}: {}", stdout(&output));
        assert!(stdout(&output).contains("ok: 1 listener, 1 pool, 2 servers"), "{}", stdout(&output));
    }
}

#[test]
fn what_is_there_is_not_to_be_made() {
    let scratch = Scratch::new("pages");
    fs::create_dir_all(scratch.0.join("errors/502.html")).unwrap();
    for (dir, help) in [("errors", "mend that, or name another one"), ("none", "make it, or name another one")] {
        let dir = scratch.0.join(dir);
        let text = format!("http 127.0.0.1:8080 {{\n errors {}\n respond 204\n}}\n", dir.display());
        let (status, said) = checked_in_time(&scratch.file("evenkeel.conf", &text));
        assert!(status == Some(2) && said.contains(help), "{status:?} {said}");
    }
}

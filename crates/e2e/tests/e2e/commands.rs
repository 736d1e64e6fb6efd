//! Do the commands keep their contract: exit codes, and what they say?

use evenkeel_e2e::balancer::{NO_DAEMON, command, text};
use evenkeel_e2e::place::Scratch;

const GOOD: &str = "http 127.0.0.1:8080 {\n    to 127.0.0.1:9001 127.0.0.1:9002\n}\n";
const BAD: &str = "http 127.0.0.1:8080 {\n    to 127.0.0.1:9001\n    timeot head=2\n}\npool x {\n}\n";
const WARNS: &str =
    "http 127.0.0.1:8080 {\n    route * to=a\n    route /never to=a\n}\npool a {\n    server s 127.0.0.1:9001\n}\n";

#[test]
fn exit_codes_are_as_promised() {
    let scratch = Scratch::new("codes");
    let [good, bad, warns] = [("good.conf", GOOD), ("bad.conf", BAD), ("warns.conf", WARNS)]
        .map(|(name, config)| scratch.write(name, config).to_string_lossy().into_owned());
    let nowhere = scratch.file("no.sock").to_string_lossy().into_owned();
    let missing = scratch.file("missing.conf").to_string_lossy().into_owned();
    let cases: &[(&[&str], i32)] = &[
        (&["version"], 0),
        (&["check", "--offline", &good], 0),
        (&["check", "--offline", &warns], 0),
        (&["check", "--offline", "--strict", &warns], 3),
        (&["check", "--offline", &bad], 2),
        (&["check", "--offline", "--format", "json", &bad], 2),
        (&["check", &missing], 2),
        (&["run", &bad], 2),
        (&["no-such-command"], 2),
        (&["check", "--no-such-flag"], 2),
        (&["explain", "sticky"], 0),
        (&["fmt", "--check", &good], 0),
        (&["completions", "bash"], 0),
        (&["config", "show", &good], 0),
        (&["config", "show", "--json", &good], 0),
        (&["config", "schema"], 0),
        (&["status", "--control", &nowhere], NO_DAEMON),
        (&["reload", "--control", &nowhere], NO_DAEMON),
        (&["stop", "--control", &nowhere], NO_DAEMON),
    ];
    for (arguments, wanted) in cases {
        let output = command(arguments);
        assert_eq!(output.status.code(), Some(*wanted), "evenkeel {arguments:?}\n{}", text(&output));
    }
}

#[test]
fn every_mistake_is_shown_at_once_with_its_place() {
    let scratch = Scratch::new("mistakes");
    let bad = scratch.write("bad.conf", BAD);
    let output = command(&["check", "--offline", bad.to_str().unwrap()]);
    let said = text(&output);
    for wanted in ["bad.conf:3:", "`timeot`", "did you mean `timeout`", "bad.conf:5:"] {
        assert!(said.contains(wanted), "no {wanted:?} in\n{said}");
    }
}

#[test]
fn a_file_and_its_json_twin_are_the_same_configuration() {
    let scratch = Scratch::new("twin");
    let good = scratch.write("good.conf", GOOD);
    let json = command(&["config", "show", "--json", good.to_str().unwrap()]);
    let twin = scratch.write("twin.json", &String::from_utf8_lossy(&json.stdout));
    let checked = command(&["check", "--offline", twin.to_str().unwrap()]);
    assert!(checked.status.success(), "{}", text(&checked));
    let [one, two] =
        [&good, &twin].map(|path| command(&["config", "show", "--json", "--defaults", path.to_str().unwrap()]).stdout);
    assert_eq!(String::from_utf8_lossy(&one), String::from_utf8_lossy(&two));
}

#[test]
fn a_broken_pipe_is_quiet() {
    let scratch = Scratch::new("pipe");
    let good = scratch.write("good.conf", GOOD);
    let line = format!(
        "{} config show --defaults {} | head -n 1",
        evenkeel_e2e::balancer::program().display(),
        good.display()
    );
    let output = std::process::Command::new("bash").args(["-o", "pipefail", "-c", &line]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", text(&output));
}

//! Does every configuration that a reader may copy pass `check`?

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel_e2e::balancer::{command, text};
use evenkeel_e2e::place::Scratch;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every page, however deep.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}

/// The blocks fenced as evenkeel's, each with the line that it begins on.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut is_inside = false;
    for (at, line) in text.lines().enumerate() {
        if is_inside && line.trim() == "```" {
            is_inside = false;
        } else if is_inside {
            let (_, block) = found.last_mut().expect("a block was opened");
            block.push_str(line);
            block.push('\n');
        } else if line.trim() == "```evenkeel" {
            is_inside = true;
            found.push((at + 2, String::new()));
        }
    }
    found
}

#[test]
fn every_configuration_in_the_papers_passes_check() {
    let mut files = vec![root().join("README.md")];
    pages(&root().join("docs"), &mut files);
    let scratch = Scratch::new("papers");
    let mut failed = Vec::new();
    let mut count = 0;
    for file in &files {
        for (line, block) in blocks(&fs::read_to_string(file).unwrap()) {
            let path = scratch.write("block.conf", &block);
            let output = command(&["check", "--offline", path.to_str().unwrap()]);
            count += 1;
            if !output.status.success() {
                failed.push(format!("{}:{line}\n{block}\n{}", file.display(), text(&output)));
            }
        }
    }
    let packaged = root().join("pkg/evenkeel.conf");
    let output = command(&["check", "--offline", "--strict", packaged.to_str().unwrap()]);
    if !output.status.success() {
        failed.push(text(&output));
    }
    assert!(count > 10, "only {count} blocks were found");
    assert!(failed.is_empty(), "{} of {count} blocks fail:\n{}", failed.len(), failed.join("\n----\n"));
}

#[test]
fn the_page_of_commands_is_what_the_program_prints() {
    let page = fs::read_to_string(root().join("docs/src/reference/commands.md")).unwrap();
    let general = text(&command(&["--help"]));
    assert!(page.contains(&general), "out of step; run `cargo xtask docs`");
    let names = general.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<_> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        let help = text(&command(&[name, "--help"]));
        assert!(page.contains(&help), "`evenkeel {name}` is out of step; run `cargo xtask docs`");
    }
}

#[test]
fn every_promise_of_security_names_a_test_that_there_is() {
    let paper = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut sources = String::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            match path.extension().and_then(|kind| kind.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("rs") => sources += &fs::read_to_string(&path).unwrap(),
                _ => {}
            }
        }
    }
    let mut count = 0;
    for line in paper.lines().filter(|line| line.starts_with("| ")) {
        let shown = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or("");
        for name in shown.split('`').skip(1).step_by(2) {
            count += 1;
            assert!(sources.contains(&format!("fn {name}(")), "no test is called `{name}`");
        }
    }
    assert!(count > 25, "only {count} tests are named");
}

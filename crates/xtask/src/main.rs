//! The house's own tasks: one command that says whether the tree is sound, and what it is made of.
//!
//! `cargo xtask` alone lists them. It uses the standard library and cargo, so that a fresh machine needs nothing
//! before it. Its invariant: every task can be repeated, and a second run right after the first changes nothing.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::disallowed_methods)] // a tool for developers: it may read the clock and wait

mod bench;
mod docs;
mod fuzz;
mod manifest;
mod papers;
mod pipeline;
mod prove;
mod setup;
mod sim;
mod source;
mod steps;
mod suite;
mod tidy;
mod tree;

use std::process::ExitCode;

/// One task: its words, what it does, and how.
struct Task {
    name: &'static str,
    arguments: &'static str,
    does: &'static str,
    run: fn(&[String]) -> bool,
}

const TASKS: &[Task] = &[
    Task {
        name: "test",
        arguments: "",
        does: "everything: packages, fmt, tidy, clippy, deny, tests, end-to-end",
        run: test,
    },
    Task { name: "setup", arguments: "", does: "installs the Debian packages that the tests need", run: setup },
    Task { name: "tidy", arguments: "", does: "checks the fences of the house", run: tidy },
    Task { name: "rules", arguments: "", does: "lists the fences of the house", run: rules },
    Task {
        name: "docs",
        arguments: "[--check]",
        does: "writes, or compares, the generated pages of the manual",
        run: docs,
    },
    Task { name: "papers", arguments: "", does: "writes man pages and completions into target/papers", run: papers },
    Task {
        name: "fuzz",
        arguments: "[--minutes N] [--write]",
        does: "fuzzes every parser, N minutes over all of them, 15 by default",
        run: fuzz,
    },
    Task {
        name: "prove",
        arguments: "WHAT [--write]",
        does: "attacks, reloads, deaths, hangs, full logs: what each costs, counted request by request; `all` for all",
        run: prove::prove,
    },
    Task {
        name: "soak",
        arguments: "[--minutes N] [--write]",
        does: "everything at once for N minutes, 30 by default, with memory, descriptors, threads and tasks sampled",
        run: prove::soak,
    },
    Task {
        name: "sim",
        arguments: "[--seeds N]",
        does: "runs simulated clusters through bad luck, a million by default",
        run: sim::run,
    },
    Task {
        name: "bench",
        arguments: "http|https|overload",
        does: "measures the proxy against a relay, nginx and HAProxy; or at three times its capacity; and writes the tables",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let named = words.first().and_then(|word| TASKS.iter().find(|task| task.name == word));
    let Some(task) = named else {
        if let Some(word) = words.first() {
            eprintln!("`{word}` is not a task");
        }
        for Task { name, arguments, does, .. } in TASKS {
            println!("cargo xtask {:<32} {does}", format!("{name} {arguments}"));
        }
        return ExitCode::from(2);
    };
    if let Err(error) = std::env::set_current_dir(tree::root()) {
        eprintln!("the root of the repository cannot be entered: {error}");
        return ExitCode::FAILURE;
    }
    if (task.run)(&words[1..]) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn test(_: &[String]) -> bool {
    pipeline::run()
}

fn setup(_: &[String]) -> bool {
    let mut steps = steps::Steps::default();
    steps.run("packages", setup::packages);
    steps.run("axe", setup::axe);
    steps.summary()
}

fn tidy(_: &[String]) -> bool {
    match tree::Tree::read(&tree::root()) {
        Ok(tree) => tidy::report(&tree),
        Err(error) => {
            eprintln!("the repository cannot be read: {error}");
            false
        }
    }
}

fn rules(_: &[String]) -> bool {
    for rule in tidy::RULES {
        println!("{:<15} {}", rule.name, rule.keeps);
    }
    true
}

fn docs(arguments: &[String]) -> bool {
    let is_check = arguments.iter().any(|word| word == "--check");
    let made = match is_check {
        true => docs::run(docs::Mode::Check),
        false => docs::run(docs::Mode::Write).and_then(|()| docs::write_commands()),
    };
    match made {
        Ok(()) => true,
        Err(why) => {
            eprintln!("{why}");
            false
        }
    }
}

fn papers(_: &[String]) -> bool {
    let mut steps = steps::Steps::default();
    steps.run("papers", papers::write);
    steps.summary()
}

fn fuzz(arguments: &[String]) -> bool {
    fuzz::run(arguments)
}

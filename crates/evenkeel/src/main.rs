//! `evenkeel`: the command line.
//!
//! It parses arguments, calls the crate that does the work, prints what comes back, and ends with a code of [`exit`].
//! What must not be here: anything that a second program (the demo, a test) would have to do again to run a node.
//!
//! The one invariant: a command that says it is done is done; its exit code alone tells how it went.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod cluster_view;
mod commands;
mod control;
mod demo;
mod exit;
mod logging;
mod looking;
mod opening;
mod output;
mod sessions;
mod steering;
mod terminal;
mod topology;
mod zonefiles;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use commands::{check, cluster, config, dns, fmt, papers, passwd, remote, run, session, steer, top, zonefile};
use exit::Exit;

/// The name of the script that `zonefile` replaces.
const BALANCER: &str = "bind9_check_balancer";

fn main() -> ExitCode {
    let exit = match parse().command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::demo(&args),
        Command::Check(args) => check::check(&args),
        Command::Fmt(args) => fmt::fmt(&args),
        Command::Reload(args) => remote::reload(&args),
        Command::Status(args) => remote::status(&args),
        Command::Top(args) => top::top(&args),
        Command::Stop(args) => remote::stop(&args),
        Command::Explain { word } => explain(&word),
        Command::Drain(args) => steer::drain(&args),
        Command::Maint(args) => steer::maint(&args),
        Command::Ready(args) => steer::ready(&args),
        Command::Weight(args) => steer::weight(&args),
        Command::Session(command) => session::session(&command),
        Command::Route(args) => remote::route(&args),
        Command::Cluster(command) => cluster::cluster(&command),
        Command::AddressGuard => address_guard(),
        Command::Passwd(args) => passwd::passwd(&args),
        Command::Config(command) => config::config(&command),
        Command::Dns(command) => dns::dns(&command),
        Command::Completions { shell } => papers::completions(shell),
        Command::Man { dir } => papers::man(dir.as_deref()),
        Command::Zonefile(command) => zonefile::zonefile(&command),
        Command::Balancer(args) => zonefile::balancer(&args),
        Command::Version => output::print(concat!("evenkeel ", env!("CARGO_PKG_VERSION"))),
    };
    exit.into()
}

fn address_guard() -> Exit {
    // On the standard error of the process that it accompanies.
    logging::start(args::LogLevel::Warn);
    match evenkeel_node::cluster::run_address_guard() {
        Ok(()) => Exit::Done,
        Err(error) => output::fail(format_args!("the address guard: {error}")),
    }
}

/// The command line. Called by the name of the script that it replaces, the program takes that script's words.
fn parse() -> Cli {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let called = words.first().and_then(|first| Path::new(first).file_name()).map(OsString::from);
    if called.is_some_and(|name| name == BALANCER) {
        words.insert(1, BALANCER.into());
    }
    Cli::parse_from(words)
}

fn explain(word: &str) -> Exit {
    if let Some(code) = evenkeel_admin::problem::Code::named(word) {
        return output::print(format_args!("{}: {}\n\n{}", code.as_str(), code.title(), code.more()));
    }
    match evenkeel_config::explain(word) {
        Some(text) => output::print(text),
        None => {
            let next = match evenkeel_config::meant(word) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`evenkeel config schema` has every word".to_owned(),
            };
            output::fail(format_args!(
                "`{word}` is neither a word of the configuration nor a code of a diagnostic; {next}"
            ))
        }
    }
}

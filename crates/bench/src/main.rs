//! Measures evenkeel against its peers on one machine, in one run.
//!
//! It never judges: it prints ratios to a do-nothing relay with the same topology, so that the machine's own speed
//! falls out. The relay, the server behind the proxies and the load are subcommands of this program, each a process
//! of its own with a bounded life.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // it measures: it reads the clock and waits

mod account;
mod cpu;
mod dns;
mod http;
mod http2;
mod https;
mod learning;
mod load;
mod memory;
mod options;
mod origin;
mod overload;
mod page;
mod peers;
mod reactor;
mod relay;
mod sticky;
mod tcp;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use options::Options;

/// The longest life of a helper process, should its parent die.
const LIMIT: Duration = Duration::from_secs(3600);

const USAGE: &str = "usage: evenkeel-bench http [--short] [--rounds N] [--seconds N] [--only TEXT] [--no-counts] [--write FILE] [--evenkeel PROGRAM]
       evenkeel-bench tcp [--short] [--rounds N] [--seconds N] [--only TEXT] [--write FILE] [--evenkeel PROGRAM]
       evenkeel-bench http2 [--short] [--rounds N] [--seconds N] [--write FILE] [--evenkeel PROGRAM]
       evenkeel-bench overload [--seconds N] [--write FILE] [--evenkeel PROGRAM]
       evenkeel-bench sticky [--short] [--rounds N] [--seconds N] [--write FILE] [--evenkeel PROGRAM]
       evenkeel-bench https [--short] [--rounds N] [--seconds N] [--write FILE] [--evenkeel PROGRAM]
       evenkeel-bench dns [--short] [--rounds N] [--seconds N] [--only TEXT] [--write FILE] [--evenkeel PROGRAM]
       evenkeel-bench origin ADDR | reflect ADDR | relay ADDR SERVER | load ADDR CONNECTIONS RATE SECONDS PATH";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["origin", addr] => parse(addr).and_then(|addr| text(origin::serve(addr, LIMIT))),
        ["relay", addr, server] => {
            parse(addr).and_then(|addr| parse(server).and_then(|server| text(relay::serve(addr, server, LIMIT))))
        }
        ["load", addr, connections, rate, seconds, path] => load_once(addr, connections, rate, seconds, path),
        ["reflect", addr] => parse(addr).and_then(|addr| text(dns::reflect::serve(addr, LIMIT))),
        ["dns", options @ ..] => bench_dns(options),
        ["tcp", options @ ..] => bench_tcp(options),
        ["http", options @ ..] => bench_http(options),
        ["http2", options @ ..] => bench_http2(options),
        ["https", options @ ..] => bench_https(options),
        ["overload", options @ ..] => bench_overload(options),
        ["sticky", options @ ..] => bench_sticky(options),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn text(result: std::io::Result<()>) -> Result<(), String> {
    result.map_err(|error| error.to_string())
}

fn parse<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` does not fit here\n{USAGE}"))
}

fn load_once(addr: &str, connections: &str, rate: &str, seconds: &str, path: &str) -> Result<(), String> {
    let load = load::Load {
        addr: parse::<SocketAddr>(addr)?,
        connections: parse(connections)?,
        rate: parse(rate)?,
        time: Duration::from_secs(parse(seconds)?),
        path,
        cookies: false,
    };
    let outcome = load::run(load).map_err(|error| error.to_string())?;
    println!(
        "{} answered, {} refused, {} failed, p50 {} µs, p99 {} µs",
        outcome.answered,
        outcome.refused,
        outcome.failed,
        outcome.quantile(0.5),
        outcome.quantile(0.99)
    );
    Ok(())
}

/// A program that was built with this one.
fn beside_this(name: &str) -> PathBuf {
    std::env::current_exe().map(|path| path.with_file_name(name)).unwrap_or_else(|_| PathBuf::from(name))
}

fn bench_http(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 5, 2, &["--short", "--rounds", "--only", "--no-counts"])?;
    let found = http::run(&options).map_err(|error| error.to_string())?;
    options.give_page(&page::page(&found, &options.evenkeel))
}

fn bench_tcp(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 5, 2, &["--short", "--rounds", "--only"])?;
    options.give_page(&tcp::run(&options).map_err(|error| error.to_string())?)
}

fn bench_http2(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 7, 3, &["--short", "--rounds"])?;
    http2::is_possible()?;
    options.give_page(&http2::run(&options).map_err(|error| error.to_string())?)
}

fn bench_https(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 5, 2, &["--short", "--rounds"])?;
    let found = https::run(&options.evenkeel, options.rounds, options.time).map_err(|error| error.to_string())?;
    options.give_table("https", &found)
}

fn bench_overload(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 1, 10, &[])?;
    let found = overload::run(&options.evenkeel, options.time).map_err(|error| error.to_string())?;
    options.give_table("overload", &found)
}

fn bench_sticky(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 7, 2, &["--short", "--rounds"])?;
    let found = sticky::run(&options.evenkeel, options.rounds, options.time).map_err(|error| error.to_string())?;
    options.give_table("stickiness", &found)
}

fn bench_dns(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 5, 3, &["--short", "--rounds", "--only"])?;
    let found = dns::run(&options).map_err(|error| error.to_string())?;
    options.give_page(&dns::page(&found, &options.evenkeel))
}

/// As many descriptors as the system allows: thousands of connections are held, and what is started inherits it.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

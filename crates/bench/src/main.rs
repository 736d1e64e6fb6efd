//! Measures evenkeel against its peers on one machine, in one run.
//!
//! It never judges: it prints ratios to a do-nothing relay with the same topology, so that the machine's own speed
//! falls out. The relay, the server behind the proxies and the load are subcommands of this program, each a process
//! of its own with a bounded life.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // it measures: it reads the clock and waits

mod cpu;
mod http;
mod load;
mod origin;
mod peers;
mod reactor;
mod relay;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The longest life of a helper process, should its parent die.
const LIMIT: Duration = Duration::from_secs(3600);

const USAGE: &str = "usage: evenkeel-bench http [--evenkeel PROGRAM] [--rounds N] [--seconds N] [--write FILE]
       evenkeel-bench origin ADDR | relay ADDR SERVER | load ADDR CONNECTIONS RATE SECONDS PATH";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["origin", addr] => parse(addr).and_then(|addr| text(origin::serve(addr, LIMIT))),
        ["relay", addr, server] => {
            parse(addr).and_then(|addr| parse(server).and_then(|server| text(relay::serve(addr, server, LIMIT))))
        }
        ["load", addr, connections, rate, seconds, path] => load_once(addr, connections, rate, seconds, path),
        ["http", options @ ..] => bench_http(options),
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
    };
    let outcome = load::run(load).map_err(|error| error.to_string())?;
    println!(
        "{} answered, {} failed, p50 {} µs, p99 {} µs",
        outcome.answered,
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
    let mut options = http::Options { evenkeel: beside_this("evenkeel"), rounds: 6, time: Duration::from_secs(5) };
    let mut write = None;
    for pair in words.chunks(2) {
        match pair {
            ["--evenkeel", path] => options.evenkeel = PathBuf::from(path),
            ["--rounds", rounds] => options.rounds = parse(rounds)?,
            ["--seconds", seconds] => options.time = Duration::from_secs(parse(seconds)?),
            ["--write", path] => write = Some(PathBuf::from(path)),
            _ => return Err(USAGE.to_owned()),
        }
    }
    let table = http::run(&options).map_err(|error| error.to_string())?;
    println!("{table}");
    match write {
        Some(path) => std::fs::write(&path, page(&table)).map_err(|error| format!("{}: {error}", path.display())),
        None => Ok(()),
    }
}

/// The manual's page around a table.
fn page(table: &str) -> String {
    format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench http`. Absolute figures are this machine's; the ratio to the \
         relay is what holds elsewhere. The relay\nmoves bytes between two sockets and understands none of them, so it is \
         the least that a proxy with kept connections on both sides can cost.\n\nCPU is the proxy's alone, all its \
         threads, by the scheduler's own account. Each proxy has one worker on one core; load and server share the\n\
         other. Requests come at a fixed rate and are due at their time whatever the proxy does, so that latencies hide no \
         stall. All proxies add\nthe same fields. The order of the proxies turns with each round; the table has medians.\n\n\
         {table}"
    )
}

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
mod origin;
mod overload;
mod page;
mod peers;
mod reactor;
mod relay;
mod sticky;
mod tcp;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

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

/// What a bench is told.
struct Options {
    evenkeel: PathBuf,
    rounds: usize,
    time: Duration,
    only: String,
    counts: bool,
    write: Option<PathBuf>,
}

impl Options {
    /// Reads them. Those of another bench than this one are refused: `knows` holds the ones that it has, beside
    /// `--evenkeel`, `--seconds` and `--write`, which all have.
    fn read(words: &[&str], rounds: usize, seconds: u64, knows: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            evenkeel: beside_this("evenkeel"),
            rounds,
            time: Duration::from_secs(seconds),
            only: String::new(),
            counts: true,
            write: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().ok_or_else(|| format!("`{word}` wants a value\n{USAGE}"));
            match *word {
                "--evenkeel" => options.evenkeel = PathBuf::from(value()?),
                "--seconds" => options.time = Duration::from_secs_f64(parse(value()?)?),
                "--write" => options.write = Some(PathBuf::from(value()?)),
                word if !knows.contains(&word) => return Err(format!("`{word}` is no option of it\n{USAGE}")),
                "--rounds" => options.rounds = parse(value()?)?,
                "--only" => options.only = value()?.to_owned(),
                "--no-counts" => options.counts = false,
                _ => (options.rounds, options.time, options.counts) = (2, Duration::from_secs(1), false),
            }
        }
        raise_descriptors();
        Ok(options)
    }

    /// Shows a page, and writes it where that was asked for.
    fn give_page(&self, page: &str) -> Result<(), String> {
        println!("{page}");
        match &self.write {
            Some(path) => std::fs::write(path, page).map_err(|error| format!("{}: {error}", path.display())),
            None => Ok(()),
        }
    }

    /// Shows a table, and puts it into its place on a page where that was asked for.
    fn give_table(&self, place: &str, found: &str) -> Result<(), String> {
        println!("{found}");
        self.write.as_ref().map_or(Ok(()), |path| put(path, place, found))
    }
}

fn bench_http(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 5, 2, &["--short", "--rounds", "--only", "--no-counts"])?;
    let asked = http::Options {
        evenkeel: options.evenkeel.clone(),
        rounds: options.rounds,
        time: options.time,
        only: options.only.clone(),
        counts: options.counts,
    };
    let found = http::run(&asked).map_err(|error| error.to_string())?;
    options.give_page(&page::page(&found, &asked.evenkeel))
}

fn bench_tcp(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 5, 2, &["--short", "--rounds", "--only"])?;
    let asked = http::Options {
        evenkeel: options.evenkeel.clone(),
        rounds: options.rounds,
        time: options.time,
        only: options.only.clone(),
        counts: false,
    };
    options.give_page(&tcp::run(&asked).map_err(|error| error.to_string())?)
}

fn bench_http2(words: &[&str]) -> Result<(), String> {
    let options = Options::read(words, 7, 3, &["--short", "--rounds"])?;
    http2::is_possible()?;
    let asked = http2::Options { evenkeel: options.evenkeel.clone(), rounds: options.rounds, time: options.time };
    options.give_page(&http2::run(&asked).map_err(|error| error.to_string())?)
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
    let asked = dns::Options {
        evenkeel: options.evenkeel.clone(),
        rounds: options.rounds,
        time: options.time,
        only: options.only.clone(),
    };
    let found = dns::run(&asked).map_err(|error| error.to_string())?;
    options.give_page(&dns::page(&found, &asked.evenkeel))
}

/// Puts a table into its place on a page.
fn put(path: &Path, place: &str, found: &str) -> Result<(), String> {
    let fault = |why: &str| format!("{}: {why}", path.display());
    let old = std::fs::read_to_string(path).map_err(|error| fault(&error.to_string()))?;
    let (begin, end) = (format!("<!-- {place} -->\n"), format!("<!-- end of {place} -->"));
    let from = old.find(&begin).ok_or_else(|| fault("it has no place for it"))? + begin.len();
    let to = old[from..].find(&end).ok_or_else(|| fault("it has no place for it"))? + from;
    let new = format!("{}\n{}\n\n{}", &old[..from], found.trim(), &old[to..]);
    std::fs::write(path, new).map_err(|error| fault(&error.to_string()))
}

/// As many descriptors as the system allows: thousands of connections are held, and what is started inherits it.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

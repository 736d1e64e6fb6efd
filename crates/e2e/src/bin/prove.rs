//! The proofs as a command of their own: `cargo xtask prove` and `cargo xtask soak` call it.
//!
//! It prints tables for people, and with `--write FILE` puts them between the marks of that page. The invariant: its
//! exit code is the verdict.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // it drives real processes

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use evenkeel_e2e::lab::{self, page};
use evenkeel_e2e::over::Over;
use evenkeel_e2e::proof::{self, Report, Size, logs::OwnLog};
use evenkeel_e2e::vectors::replay::Cuts;
use evenkeel_e2e::vectors::stand::Product;
use evenkeel_e2e::vectors::table::{self, Result};

const USAGE: &str = "usage: prove vectors|reloads|kill|hang|logs|dns|all [--rounds N] [--between N] [--over clear|tls|h2] [--write FILE]\n\
                     \x20      prove soak [--minutes N] [--write FILE]\n\
                     \x20      prove failover [--times N] [--only TEXT] [--at-once N] [--write FILE]";

/// What was asked for.
#[derive(Debug, Default)]
struct Asked {
    what: String,
    rounds: Option<usize>,
    between: Option<usize>,
    over: Option<Over>,
    minutes: Option<u64>,
    times: Option<usize>,
    only: String,
    at_once: Option<usize>,
    write: Option<String>,
}

fn main() -> ExitCode {
    let Some(asked) = read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut holds = true;
    let all = ["vectors", "reloads", "kill", "hang", "logs", "dns"];
    let wanted: Vec<&str> = if asked.what == "all" { all.to_vec() } else { vec![asked.what.as_str()] };
    for what in wanted {
        println!("## {what}\n");
        let (text, is_right) = match what {
            "vectors" => vectors(),
            "reloads" => asked.over_each(|over| proof::reloads::run(asked.size(100, 150), over)),
            "kill" => asked.over_each(|over| proof::kill::run(asked.size(50, 200), over)),
            "hang" => asked.over_each(|over| proof::hang::run(asked.size(12, 300), over)),
            "logs" => joined([OwnLog::Full, OwnLog::Stalled].map(|own| proof::logs::run(asked.size(10, 500), own))),
            "dns" => {
                let found = proof::dns::run(asked.rounds.unwrap_or(20));
                found.faults.iter().for_each(|fault| println!("{fault}"));
                (found.table, found.faults.is_empty())
            }
            "soak" => {
                let soaked = proof::soak::run(Duration::from_secs(60 * asked.minutes.unwrap_or(30)));
                (soaked.to_string(), soaked.faults.is_empty())
            }
            "failover" => failover(&asked),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        };
        println!("{text}");
        println!("{what}: {}\n", if is_right { "holds" } else { "DOES NOT HOLD" });
        holds &= is_right;
        if let Some(page) = &asked.write
            && let Err(error) = put(page, what, &text)
        {
            eprintln!("{page}: {error}");
            holds = false;
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(mut words: impl Iterator<Item = String>) -> Option<Asked> {
    let mut asked = Asked { what: words.next()?, ..Asked::default() };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--rounds" => asked.rounds = Some(value.parse().ok().filter(|count| *count > 0)?),
            "--between" => asked.between = Some(value.parse().ok().filter(|count| *count > 0)?),
            "--minutes" => asked.minutes = Some(value.parse().ok().filter(|count| *count > 0)?),
            "--times" => asked.times = Some(value.parse().ok().filter(|count| *count > 0)?),
            "--at-once" => asked.at_once = Some(value.parse().ok().filter(|count| *count > 0)?),
            "--over" => asked.over = Some(value.parse().ok()?),
            "--only" => asked.only = value,
            "--write" => asked.write = Some(value),
            _ => return None,
        }
    }
    Some(asked)
}

impl Asked {
    /// A proof, over whatever was asked for, or over everything.
    fn over_each(&self, run: impl FnMut(Over) -> Report) -> (String, bool) {
        let wanted = Over::ALL.into_iter().filter(|over| self.over.is_none_or(|asked| asked == *over));
        joined(wanted.map(run))
    }

    fn size(&self, rounds: usize, between: usize) -> Size {
        Size { rounds: self.rounds.unwrap_or(rounds), between: self.between.unwrap_or(between) }
    }
}

/// Reports, one below the other, and whether all hold.
fn joined(reports: impl IntoIterator<Item = Report>) -> (String, bool) {
    let mut holds = true;
    let texts: Vec<String> = reports
        .into_iter()
        .map(|report| {
            holds &= report.faults.is_empty();
            report.to_string()
        })
        .collect();
    (texts.join("\n"), holds)
}

/// Every fault with every system. It holds where each of ours was served at the end, by one owner.
fn failover(asked: &Asked) -> (String, bool) {
    let plan =
        lab::Plan { times: asked.times.unwrap_or(3), only: asked.only.clone(), at_once: asked.at_once.unwrap_or(2) };
    let cells = lab::run(&plan);
    let ours = cells.iter().filter(|cell| cell.system.is_ours());
    let is_right = ours
        .clone()
        .all(|cell| cell.failed.is_empty() && cell.trials.iter().all(|trial| trial.is_served && !trial.is_still_two));
    let times = plan.times;
    let text =
        format!("Each fault {times} times, {} at once on one machine.\n\n{}", plan.at_once, page::tables(&cells));
    (text, is_right && ours.count() > 0)
}

/// Every case with all three balancers; ours at every cut.
fn vectors() -> (String, bool) {
    let (count, clients) = table::ours(Cuts::Every);
    let servers = table::servers(Product::Evenkeel);
    for result in clients.iter().chain(&servers).filter(|result| !result.faults.is_empty()) {
        println!("{}: {} ({})", result.name, result.faults.join("; "), result.shown);
    }
    let is_right = clients.iter().chain(&servers).all(|result| result.faults.is_empty());
    let others = [Product::Nginx, Product::Haproxy];
    let name = |product: Product| format!("{} {}", product.name(), product.version());
    let columns = |own: Vec<Result>, run: fn(Product) -> Vec<Result>| {
        let ours = (name(Product::Evenkeel), own);
        [ours].into_iter().chain(others.map(|product| (name(product), run(product)))).collect::<Vec<_>>()
    };
    let clients = columns(clients, table::theirs);
    let servers = columns(servers, table::servers);
    let text = format!(
        "What clients send; evenkeel got it {count} times, whole and cut at every byte, the others whole:\n\n{}\n\
         What servers send:\n\n{}",
        table::write(&clients),
        table::write(&servers)
    );
    (text, is_right)
}

/// Replaces what stands between `<!-- NAME -->` and `<!-- end of NAME -->` in a page.
fn put(page: &str, name: &str, text: &str) -> std::io::Result<()> {
    let old = fs::read_to_string(page)?;
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let missing = || std::io::Error::other(format!("it has no place for `{name}`"));
    let from = old.find(&begin).ok_or_else(missing)? + begin.len();
    let to = old[from..].find(&end).ok_or_else(missing)? + from;
    fs::write(page, format!("{}\n{}\n{}", &old[..from], text.trim(), &old[to..]))
}

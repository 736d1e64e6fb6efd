//! Runs every case against a balancer, and writes what came out as a table for people.
//!
//! The invariant: every case is counted, in one row each.

use std::fmt::Write;
use std::time::Duration;

use super::hostile::{self, play};
use super::judge::judge;
use super::read::{self, Case};
use super::recorder::Recorder;
use super::replay::{Cuts, replay, sendings};
use super::stand::{Product, Stand};

/// The files of what clients send.
pub const CLIENT_FILES: [(&str, &str); 2] =
    [("framing", include_str!("../../vectors/framing.txt")), ("identity", include_str!("../../vectors/identity.txt"))];

/// The file of what servers send.
pub const ANSWERS: &str = include_str!("../../vectors/answers.txt");

/// How one case went with one balancer.
#[derive(Debug, Clone)]
pub struct Result {
    /// The row.
    pub group: String,
    /// The case.
    pub name: String,
    /// What happened, in a few words.
    pub shown: String,
    /// What of it is not right.
    pub faults: Vec<String>,
}

/// Every case of clients.
pub fn client_cases() -> Vec<Case> {
    CLIENT_FILES.iter().flat_map(|(_, text)| read::cases(text)).collect()
}

/// How long a client waits for what does not come, before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long other balancers are waited for: they answer at once, or not at all.
const SHORT_PATIENCE: Duration = Duration::from_millis(700);

/// Sends every case of clients to ours, in that many ways; how often, and what went wrong.
pub fn ours(cuts: Cuts) -> (usize, Vec<Result>) {
    let recorder = Recorder::start();
    let stand = Stand::start(Product::Evenkeel, recorder.at);
    let cases = client_cases();
    let sendings = sendings(&cases, cuts);
    let outcomes = replay(stand.at, &sendings, PATIENCE);
    // What a server is told late is told now.
    std::thread::sleep(Duration::from_millis(300));
    let mut results = Vec::new();
    for (sending, outcome) in sendings.iter().zip(&outcomes) {
        let judged = judge(sending.case, outcome, &recorder);
        if !judged.faults.is_empty() || sending.cut == sending.case.bytes.len() {
            let mut name = sending.case.name.clone();
            if sending.cut < sending.case.bytes.len() {
                write!(name, " (cut at {})", sending.cut).expect("a string takes all");
            }
            let group = sending.case.group.clone();
            results.push(Result { group, name, shown: judged.shown, faults: judged.faults });
        }
    }
    for (_, fault) in recorder.faults() {
        let group = "what the server saw".to_owned();
        results.push(Result { name: group.clone(), group, shown: fault.clone(), faults: vec![fault] });
    }
    (sendings.len(), results)
}

/// Sends every case of clients to one of the others, whole and one at a time, so that what its server saw belongs to it.
pub fn theirs(product: Product) -> Vec<Result> {
    let recorder = Recorder::start();
    let stand = Stand::start(product, recorder.at);
    let cases = client_cases();
    let mut results = Vec::new();
    for sending in sendings(&cases, Cuts::None) {
        let before = recorder.faults().len();
        let outcomes = replay(stand.at, &[sending], SHORT_PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
        let judged = judge(sending.case, &outcomes[0], &recorder);
        let mut faults = judged.faults;
        let mut shown = judged.shown;
        let seen: Vec<String> = recorder.faults().split_off(before).into_iter().map(|(_, fault)| fault).collect();
        if !seen.is_empty() {
            shown.push_str(", in a form that servers may misread");
        }
        faults.extend(seen);
        let case = sending.case;
        results.push(Result { group: case.group.clone(), name: case.name.clone(), shown, faults });
    }
    results
}

/// Has every case of servers played through a balancer, at once and byte by byte where that is bearable.
pub fn servers(product: Product) -> Vec<Result> {
    let recorder = Recorder::start();
    let stand = Stand::start(product, recorder.at);
    let patience = if product == Product::Evenkeel { PATIENCE } else { SHORT_PATIENCE * 4 };
    let mut results = Vec::new();
    for case in hostile::cases(ANSWERS) {
        let (outcome, mut faults) = play(stand.at, &recorder, &case, false, patience);
        if product == Product::Evenkeel && case.bytes.len() < 2000 {
            let (_, dripped) = play(stand.at, &recorder, &case, true, patience);
            faults.extend(dripped.into_iter().map(|fault| format!("byte by byte: {fault}")));
        }
        results.push(Result { group: case.group, name: case.name, shown: outcome.shown(), faults });
    }
    results
}

/// The table: a row for each group, a column for each balancer.
pub fn write(columns: &[(String, Vec<Result>)]) -> String {
    let mut text = String::new();
    let heads: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    writeln!(text, "| what is sent | cases | {} |", heads.join(" | ")).expect("a string takes all");
    writeln!(text, "|---|---:|{}", "---|".repeat(columns.len())).expect("a string takes all");
    let mut groups: Vec<&str> = Vec::new();
    for result in columns.iter().flat_map(|(_, results)| results) {
        if !groups.contains(&result.group.as_str()) {
            groups.push(&result.group);
        }
    }
    for group in groups {
        let count = columns[0].1.iter().filter(|result| result.group == group).count();
        let cells: Vec<String> = columns.iter().map(|(_, results)| cell(results, group)).collect();
        writeln!(text, "| {group} | {count} | {} |", cells.join(" | ")).expect("a string takes all");
    }
    let sums: Vec<String> = columns
        .iter()
        .map(|(_, results)| {
            let right = results.iter().filter(|result| result.faults.is_empty()).count();
            format!("**{right} of {}**", results.len())
        })
        .collect();
    writeln!(text, "| **all, as wanted** | **{}** | {} |", columns[0].1.len(), sums.join(" | "))
        .expect("a string takes all");
    text
}

fn cell(results: &[Result], group: &str) -> String {
    let all: Vec<&Result> = results.iter().filter(|result| result.group == group).collect();
    let others: Vec<&&Result> = all.iter().filter(|result| !result.faults.is_empty()).collect();
    if others.is_empty() {
        return "as wanted".to_owned();
    }
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for result in &others {
        match kinds.iter_mut().find(|(shown, _)| *shown == result.shown) {
            Some((_, count)) => *count += 1,
            None => kinds.push((result.shown.clone(), 1)),
        }
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1));
    let shown: Vec<String> = kinds
        .iter()
        .take(3)
        .map(|(shown, count)| if all.len() == 1 { shown.clone() } else { format!("{count}× {shown}") })
        .collect();
    let rest = if kinds.len() > 3 { "; …" } else { "" };
    format!("{}{rest}", shown.join("; ")).replace('|', "\\|")
}

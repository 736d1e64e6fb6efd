//! Compares what happened with what is right.
//!
//! The invariant: a request that the server saw and the case does not name is a fault, whatever the client got.

use super::read::{CLIENT, Case, End, Seen};
use super::recorder::{Entry, Recorder};
use super::replay::{Outcome, PROBE_TARGET};

/// What happened, in a few words for a table, and what of it is not right.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What happened.
    pub shown: String,
    /// What is not right; nothing where all is.
    pub faults: Vec<String>,
}

/// Judges one case.
pub fn judge(case: &Case, outcome: &Outcome, recorder: &Recorder) -> Judged {
    let mut entries = recorder.of(outcome.client);
    let mut faults: Vec<String> = outcome.fault.iter().cloned().collect();
    if outcome.end == End::Keep && entries.last().is_some_and(|entry| entry.request.target == PROBE_TARGET) {
        entries.pop();
    }
    let verdict = &case.verdict;
    let is_any = verdict.end == End::Any && outcome.end != End::Wait;
    if outcome.end != verdict.end && !is_any {
        faults.push(format!("the connection: {}, not {}", word(outcome.end), word(verdict.end)));
    }
    let fits = outcome.statuses.len() == verdict.answers.len()
        && outcome
            .statuses
            .iter()
            .zip(&verdict.answers)
            .all(|(status, answer)| answer.statuses.iter().any(|range| range.contains(status)));
    if !fits {
        faults.push(format!("the answers: {:?}", outcome.statuses));
    }
    faults.extend(compare(&verdict.seen, &entries, &outcome.client.to_string()));
    Judged { shown: shown(outcome, &entries), faults }
}

/// What of the requests that came is not as named.
fn compare(wanted: &[Seen], entries: &[Entry], client: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut rest = entries.iter().peekable();
    for seen in wanted {
        if seen.is_optional && rest.peek().is_none_or(|entry| !entry.is_whole || !is_same(seen, entry)) {
            rest.next_if(|entry| is_same(seen, entry));
            continue;
        }
        let Some(body) = &seen.body else { continue };
        let Some(entry) = rest.next() else {
            faults.push(format!("the server missed {} {}", seen.method, seen.target));
            continue;
        };
        if !is_same(seen, entry) || !entry.is_whole {
            faults.push(format!("the server got {}, not {} {}", name(entry), seen.method, seen.target));
        } else if entry.request.body != *body {
            let shown = entry.request.body[..entry.request.body.len().min(60)].escape_ascii();
            faults.push(format!("the body is {shown}"));
        }
        faults.extend(fields(seen, entry, client));
    }
    faults.extend(rest.map(|entry| format!("the server got {} as well", name(entry))));
    faults
}

fn is_same(seen: &Seen, entry: &Entry) -> bool {
    entry.request.method == seen.method && entry.request.target == seen.target
}

fn fields(seen: &Seen, entry: &Entry, client: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, value) in &seen.has {
        let value = value.replace(CLIENT, client);
        let values: Vec<_> =
            entry.request.values(name).map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        if values != [value.clone()] {
            faults.push(format!("{name} is {values:?}, not {value:?}"));
        }
    }
    for name in &seen.lacks {
        if entry.request.values(name).next().is_some() || entry.request.trailers.iter().any(|(key, _)| key == name) {
            faults.push(format!("{name} came through"));
        }
    }
    faults
}

fn name(entry: &Entry) -> String {
    let target: String = entry.request.target.chars().take(40).collect();
    format!("{}{} {target}", if entry.is_whole { "" } else { "a part of " }, entry.request.method)
}

fn word(end: End) -> &'static str {
    match end {
        End::Close => "closed",
        End::Keep => "kept",
        End::Any => "kept or closed",
        End::Wait => "waiting",
    }
}

fn shown(outcome: &Outcome, entries: &[Entry]) -> String {
    let statuses: Vec<String> = outcome.statuses.iter().map(u16::to_string).collect();
    let mut text = if statuses.is_empty() { word(outcome.end).to_owned() } else { statuses.join(" ") };
    let whole = entries.iter().filter(|entry| entry.is_whole).count();
    match (whole, entries.len()) {
        (0, 0) => {}
        (0, _) => text.push_str(", a part passed on"),
        (1, _) => text.push_str(", passed on"),
        (whole, _) => text.push_str(&format!(", {whole} passed on")),
    }
    text
}

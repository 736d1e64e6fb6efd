//! Do the resolvers that people run find a node that lives, and how long does it take them, whatever becomes of the
//! other one?
//!
//! Each look-up is of a name that was never asked for, so that no cache has it; the resolvers know the delegation, and
//! remember how the name servers were. The invariant: every look-up stands in the table.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::resolvers::{Lab, NAME, NODES, RESOLVERS};
use crate::{PATIENCE, await_for};

/// What becomes of the first node.
const CASES: [&str; 4] = ["both up", "one draining", "one stopped (SIGSTOP)", "one dead (kill -9)"];

/// What was found.
pub struct Found {
    /// The table.
    pub table: String,
    /// What must not be.
    pub faults: Vec<String>,
}

/// The look-ups of one resolver in one case.
struct Row {
    case: &'static str,
    resolver: &'static str,
    took: Vec<Duration>,
    answered: usize,
    /// Answers with an address that they should not have.
    wrong: usize,
    /// Look-ups of AAAA, which the name does not have, that were answered so.
    nodata: usize,
    asked: usize,
}

/// Asks so many times for each row. Needs the rights to make a network.
pub fn run(times: usize) -> Found {
    let begun = Instant::now();
    let mut lab = Lab::start();
    let mut rows = Vec::new();
    for case in CASES {
        befall(&mut lab, case);
        let allowed = if case == "both up" { &NODES[..] } else { &NODES[1..] };
        for (resolver, address) in RESOLVERS {
            rows.push(look_up(&lab, (case, allowed), (resolver, address), times));
        }
    }
    let mut faults = Vec::new();
    let trace = trace(&lab);
    faults.extend(trace.as_ref().err().cloned());
    for row in &rows {
        if row.answered < row.asked || row.wrong > 0 || row.nodata < row.asked {
            let Row { case, resolver, answered, asked, wrong, nodata, .. } = row;
            faults.push(format!(
                "{case}, {resolver}: {answered} of {asked} answered, {wrong} wrong, {nodata} without AAAA"
            ));
        }
    }
    Found { table: table(&rows, times, trace.is_ok(), begun.elapsed()), faults }
}

/// Brings the first node into a state.
fn befall(lab: &mut Lab, case: &str) {
    match case {
        "one draining" => {
            lab.hold(0);
            lab.node_process(0).signal(Signal::TERM);
            await_for("the node that drains to answer with its peer", PATIENCE, || {
                (lab.ask(NODES[0], NAME, "A").records == [NODES[1]]).then_some(())
            });
        }
        "one stopped (SIGSTOP)" => {
            lab.node_process(0).kill();
            lab.node(0);
            await_for("the node to be back", PATIENCE, || {
                (lab.ask(NODES[0], NAME, "A").records == [NODES[0]]).then_some(())
            });
            lab.node_process(0).signal(Signal::STOP);
        }
        "one dead (kill -9)" => {
            lab.node_process(0).signal(Signal::CONT);
            lab.node_process(0).kill();
        }
        _ => {}
    }
}

fn look_up(
    lab: &Lab,
    (case, allowed): (&'static str, &[&str]),
    (resolver, address): (&'static str, &str),
    times: usize,
) -> Row {
    let mut row = Row { case, resolver, took: Vec::new(), answered: 0, wrong: 0, nodata: 0, asked: times };
    let label: String = case.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    for number in 0..times {
        let said = lab.ask(address, &format!("{label}{number}.{NAME}"), "A");
        row.took.push(said.took);
        row.answered += usize::from(said.status == "NOERROR" && said.records.len() == 1);
        row.wrong += said.records.iter().filter(|record| !allowed.contains(&record.as_str())).count();
        let six = lab.ask(address, &format!("{label}{number}.{NAME}"), "AAAA");
        row.nodata += usize::from(six.status == "NOERROR" && six.records.is_empty());
        row.took.push(six.took);
    }
    row
}

/// Whether `dig +trace` comes from the root to a node.
fn trace(lab: &Lab) -> Result<(), String> {
    let (_, said) = lab.inside("dig", &["+trace", "+nodnssec", "+time=3", "+tries=2", NAME, "A"]);
    let comes_from = |zone: &str| said.lines().any(|line| line.starts_with(zone) && line.contains("\tNS\t"));
    let ends = said.lines().any(|line| line.starts_with(NAME) && line.contains("\tA\t") && line.ends_with(NODES[1]));
    match comes_from("example.com.") && comes_from("api.example.com.") && ends {
        true => Ok(()),
        false => Err(format!("`dig +trace` does not come from the root to the node that lives:\n{said}")),
    }
}

fn table(rows: &[Row], times: usize, traced: bool, took: Duration) -> String {
    let mut text = String::from(
        "| the first of two nodes | resolver | A answered | with a node that must not be | AAAA: none, rightly | median, ms | 95 in 100, ms | worst, ms |\n\
         |---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let mut took = row.took.clone();
        took.sort_unstable();
        let at = |share: usize| took.get((took.len().saturating_sub(1)) * share / 100).map_or(0, Duration::as_millis);
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {} | {} of {} | {} | {} | {} |",
            row.case,
            row.resolver,
            row.answered,
            row.asked,
            row.wrong,
            row.nodata,
            row.asked,
            at(50),
            at(95),
            at(100)
        );
    }
    let trace = if traced { "comes from the root to the node that lives" } else { "does not come to a node" };
    let _ = writeln!(
        text,
        "\n{times} new names for each row, A and then AAAA; `dig +trace` with the first node dead {trace}. {} s in all.",
        took.as_secs()
    );
    text
}

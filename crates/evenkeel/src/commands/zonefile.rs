//! `zonefile check|fix` and the old script's command line: one round over zone files, and what came of it.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use evenkeel_model::config::{CheckKind, HttpCheck, SecretRef, StatusRange, Then, Update, Zonefile};
use evenkeel_model::defaults;
use evenkeel_node::zonefile::{self, Mode, Outcome, SheetReport, ThenReport, ZonefileReport};

use crate::args::{BalancerArgs, ZonefileArgs, ZonefileCommand};
use crate::exit::Exit;
use crate::output;

/// Where a command that is owed is remembered from one run to the next, for root.
const OWED: &str = "/var/lib/evenkeel-zonefile/owed.json";
/// The same for others, in their state directory.
const OWN_OWED: &str = "evenkeel/zonefile-owed.json";

pub(crate) fn zonefile(command: &ZonefileCommand) -> Exit {
    match command {
        ZonefileCommand::Check(args) => once(args, Mode::Look, None),
        ZonefileCommand::Fix(fix) => {
            let then = fix.then.as_ref().map(|words| Then {
                words: words.split_whitespace().map(str::to_owned).collect(),
                timeout: fix.then_timeout.0,
            });
            once(&fix.round, if fix.dry_run { Mode::Look } else { Mode::Fix }, then)
        }
    }
}

/// The old script's way: silent unless something is wrong.
pub(crate) fn balancer(args: &BalancerArgs) -> Exit {
    let mut block = Zonefile::new(args.files.clone());
    block.timeout = std::time::Duration::from_secs(args.timeout.into());
    let words = ["sh", "-c", &args.command].map(str::to_owned).to_vec();
    block.then = Some(Then { words, timeout: defaults::THEN_TIMEOUT });
    let report = match zonefile::once(block, Mode::Fix, owed_place()) {
        Ok(report) => report,
        Err(error) => return output::fail(error),
    };
    complain(&report);
    // The old script took files without a header, too.
    exit_of(&report, |outcome| outcome.is_good() || outcome == Outcome::NoHeader)
}

fn once(args: &ZonefileArgs, mode: Mode, then: Option<Then>) -> Exit {
    let mut block = Zonefile::new(args.files.clone());
    block.timeout = args.timeout.0;
    block.rise = args.rise;
    block.fall = args.fall;
    block.then = then;
    block.check = args.http.as_ref().map(|path| {
        CheckKind::Http(HttpCheck {
            method: "GET".to_owned(),
            target: path.clone(),
            http10: false,
            host: args.host.clone(),
            fields: Vec::new(),
            expect: vec![StatusRange { first: 200, last: 399 }],
            body: None,
        })
    });
    block.update = args.update.zip(args.key.as_ref()).map(|(server, key)| Update {
        server,
        zone: args.zone.clone(),
        key: SecretRef::File(key.clone()),
    });
    let place = if mode == Mode::Fix { owed_place() } else { None };
    let report = match zonefile::once(block, mode, place) {
        Ok(report) => report,
        Err(error) => return output::fail(error),
    };
    let printed = if args.json {
        output::print_json(&report)
    } else {
        complain(&report);
        output::print(show(&report))
    };
    if printed != Exit::Done {
        return printed;
    }
    if report.sheets.is_empty() {
        return output::fail("no file there holds a `;; BALANCED_AUTOCHECK::PORT` line");
    }
    exit_of(&report, Outcome::is_good)
}

/// All good, none, or some; a command that failed leaves it done in part.
fn exit_of(report: &ZonefileReport, is_good: impl Fn(Outcome) -> bool) -> Exit {
    let good = report.sheets.iter().filter(|sheet| is_good(sheet.outcome)).count();
    let is_owed = report.then.iter().any(|then| then.owed);
    match (good == report.sheets.len() && report.problems.is_empty(), good) {
        (true, _) if is_owed => Exit::Partial,
        (true, _) => Exit::Done,
        (false, 0) => Exit::Failed,
        (false, _) => Exit::Partial,
    }
}

/// What is wrong, on the standard error.
fn complain(report: &ZonefileReport) {
    for problem in &report.problems {
        output::say(problem);
    }
    for sheet in report.sheets.iter().filter(|sheet| !sheet.outcome.is_good()) {
        for problem in &sheet.problems {
            let is_placed = problem.starts_with(&sheet.file);
            output::say(if is_placed { problem.clone() } else { format!("{}: {problem}", sheet.file) });
        }
    }
    for then in &report.then {
        if let Some(failure) = then.failure.as_ref().filter(|_| then.owed) {
            output::say(format_args!("`{}` failed and is owed: {failure}", then.command));
        }
    }
}

fn show(report: &ZonefileReport) -> String {
    let mut out = String::new();
    for sheet in &report.sheets {
        show_sheet(sheet, &mut out);
    }
    for ThenReport { command, owed, .. } in report.then.iter().filter(|then| then.last_run.is_some()) {
        out.push_str(&format!("`{command}` {}\n", if *owed { "failed" } else { "succeeded" }));
    }
    out.trim_end().to_owned()
}

fn show_sheet(sheet: &SheetReport, out: &mut String) {
    let zone = sheet.zone.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
    out.push_str(&format!("{}{zone}: {}\n", sheet.file, sheet.outcome.as_str()));
    for set in &sheet.sets {
        out.push_str(&format!("  {} {}, header in line {}\n", set.owner, set.kind, set.line));
        for record in &set.records {
            let parked = if record.parked { ", parked" } else { "" };
            let (address, port, state) = (record.address.to_string(), record.port, &record.state);
            out.push_str(&format!("    {address:<15} port {port:<5} {state}{parked}: {}\n", record.why));
        }
    }
    if sheet.outcome.is_good() {
        for warning in sheet.problems.iter().chain(&sheet.held) {
            out.push_str(&format!("  note: {warning}\n"));
        }
    }
    for line in &sheet.diff {
        out.push_str(&format!("  {line}\n"));
    }
}

/// Where commands that are owed are kept; none where there is no such place for this user.
fn owed_place() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = variable("XDG_STATE_HOME").map(|dir| dir.join(OWN_OWED));
    let of_system = || Some(PathBuf::from(OWED)).filter(|place| is_made(place));
    let of_user = || variable("HOME").map(|home| home.join(".local/state").join(OWN_OWED));
    named.or_else(of_system).or_else(of_user).filter(|place| is_made(place))
}

/// Whether the directory of it is there by now.
fn is_made(place: &Path) -> bool {
    let Some(directory) = place.parent() else { return false };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).is_ok()
}

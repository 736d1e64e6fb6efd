//! `check`: everything that is to say about a configuration, and always a last line that sums it up.

use std::path::Path;

use evenkeel_config::{Diagnostic, Loaded, Severity, Style, render, summary};

use super::{begin_of, load};
use crate::args::{CheckArgs, Format};
use crate::exit::Exit;
use crate::output;

pub(crate) fn check(args: &CheckArgs) -> Exit {
    if let Some(path) = zone_file(args) {
        return check_zone(path, args);
    }
    let mut loaded = match load(args.file.as_deref()) {
        Ok(loading) => loading.loaded,
        Err(cause) => return output::fail(cause),
    };
    let zones = evenkeel_node::dns_problems(&loaded);
    add(zones, &mut loaded);
    if !args.offline {
        // What start and reload would say of certificates and keys.
        let certificates = evenkeel_node::tls_problems(&loaded);
        add(certificates, &mut loaded);
        // What is wrong with the files that a start would read or open.
        let resources = evenkeel_node::resource_problems(&loaded);
        add(resources, &mut loaded);
        look_up(&mut loaded);
    }
    let style = match args.format {
        Format::Human => Style::Human { color: output::stdout_has_colour() },
        Format::Json => Style::Json,
        Format::Short => Style::Short,
    };
    let text = render(&loaded.diagnostics, &loaded.sources, style);
    let printed = match args.format {
        // A program reads the array alone.
        Format::Json => {
            output::say(summary(&loaded));
            output::print(text)
        }
        Format::Human | Format::Short => output::print(format_args!("{text}{}", summary(&loaded))),
    };
    if printed == Exit::Done { verdict(&loaded, args.strict) } else { printed }
}

/// Adds what was found. What cannot be used is not good, however well it reads.
fn add(found: Vec<Diagnostic>, loaded: &mut Loaded) {
    if found.iter().any(Diagnostic::is_error) {
        loaded.config = None;
    }
    loaded.diagnostics.extend(found);
}

/// The file, where it is a zone's.
fn zone_file(args: &CheckArgs) -> Option<&Path> {
    let path = args.file.as_deref().filter(|path| *path != Path::new("-"))?;
    // What is handed over can be read once, and a pipe is waited for by whoever opens it.
    let is_one = || path.is_file() && begin_of(path).is_ok_and(|bytes| evenkeel_node::zonefile::is_zone(&bytes));
    (args.zone.is_some() || (!evenkeel_node::is_handed_over(path) && is_one())).then_some(path)
}

/// Everything that is to be said of a zone file. One with an error is refused.
fn check_zone(path: &Path, args: &CheckArgs) -> Exit {
    let judged = match evenkeel_node::zonefile::judge_zone(path, args.zone.as_deref()) {
        Ok(judged) => judged,
        Err(cause) => {
            output::say(format_args!("evenkeel: {}: {cause}", path.display()));
            return Exit::Bad;
        }
    };
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let sum = match (judged.errors, judged.warnings) {
        (0, 0) => "ok".to_owned(),
        (0, warnings) => format!("ok, {}", count(warnings, "warning")),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    let sum = format!("{}: zone {}: {sum}", path.display(), judged.zone);
    let printed = match args.format {
        Format::Json => {
            output::say(sum);
            output::print_json(&judged.lines)
        }
        Format::Human | Format::Short => {
            output::print(judged.lines.iter().chain([&sum]).map(String::as_str).collect::<Vec<_>>().join("\n"))
        }
    };
    match (printed, judged.errors, judged.warnings) {
        (Exit::Done, 0, 0) => Exit::Done,
        (Exit::Done, 0, _) => {
            if args.strict {
                Exit::Partial
            } else {
                Exit::Done
            }
        }
        (Exit::Done, ..) => Exit::Bad,
        (printed, ..) => printed,
    }
}

/// Adds a warning for every server whose name does not resolve.
fn look_up(loaded: &mut Loaded) {
    let Some(config) = &loaded.config else { return };
    let warnings: Vec<_> =
        evenkeel_node::unresolved(config).iter().map(|(id, cause)| loaded.unresolved(id, cause)).collect();
    loaded.diagnostics.extend(warnings);
}

fn verdict(loaded: &Loaded, strict: bool) -> Exit {
    let warns = loaded.diagnostics.iter().any(|found| found.severity == Severity::Warning);
    match &loaded.config {
        None => Exit::Bad,
        Some(_) if strict && warns => Exit::Partial,
        Some(_) => Exit::Done,
    }
}

//! `check`: everything that is to say about a configuration, and always a last line that sums it up.

use evenkeel_config::{Loaded, Severity, Style, render, summary};

use super::load;
use crate::args::{CheckArgs, Format};
use crate::exit::Exit;
use crate::output;

pub(crate) fn check(args: &CheckArgs) -> Exit {
    let mut loaded = match load(args.file.as_deref()) {
        Ok(loading) => loading.loaded,
        Err(cause) => return output::fail(cause),
    };
    if !args.offline {
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

//! Zone files on a terminal: a row for each record, and what needs a look.

use std::fmt::{self, Write};

use super::table::Table;
use super::words::plain;
use super::{Colour, coloured};
use crate::report::StatusReport;

/// A table of the records, where zone files are kept.
pub(super) fn records(to: &mut String, report: &StatusReport, colour: Colour) -> fmt::Result {
    let mut table = Table::new(&["RECORD", "ADDRESS", "STATE", "IN THE ZONE", "FILE"], 5);
    let mut is_empty = true;
    for sheet in report.zonefiles.iter().flat_map(|block| &block.sheets) {
        for set in &sheet.sets {
            for record in &set.records {
                is_empty = false;
                table.row([
                    format!("{} {}", plain(&set.owner), plain(&set.kind)),
                    format!("{} port {}", plain(&record.address), record.port),
                    coloured(&record.state, colour),
                    if record.parked { "parked" } else { "yes" }.to_owned(),
                    plain(&sheet.file),
                ]);
            }
        }
    }
    if is_empty { Ok(()) } else { write!(to, "\n{table}") }
}

/// What an operator should look at, a line each.
pub(super) fn concerns(report: &StatusReport) -> Vec<String> {
    let mut lines = Vec::new();
    for block in &report.zonefiles {
        if block.blind {
            lines.push(format!(
                "every target of {} fails: the checker holds itself for cut off and changes nothing",
                plain(&block.files.join(" "))
            ));
        }
        lines.extend(block.problems.iter().map(|problem| plain(problem)));
        for sheet in &block.sheets {
            let why =
                if sheet.is_good() { sheet.held.first() } else { sheet.problems.first().or(Some(&sheet.outcome)) };
            lines.extend(why.map(|why| format!("zone file {}: {}", plain(&sheet.file), plain(why))));
        }
        for then in block.then.iter().filter(|then| then.owed) {
            let why = then.failure.as_deref().unwrap_or("it was not run yet");
            lines.push(format!("`{}` is owed after a change: {}", plain(&then.command), plain(why)));
        }
    }
    lines
}

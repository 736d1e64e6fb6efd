//! What DNS answers, on a terminal.

use std::fmt::{self, Write};

use super::plain;
use super::table::Table;
use crate::report::{DnsAnswerReport, ZoneReport};

/// What a query gets now, as text: records as `dig` shows them, then why.
pub fn dns_answer(report: &DnsAnswerReport) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_answer(&mut text, report);
    text
}

fn write_answer(to: &mut String, report: &DnsAnswerReport) -> fmt::Result {
    writeln!(to, "{} -> {}", plain(&report.question), plain(&report.rcode))?;
    for record in &report.answer {
        writeln!(to, "  {}", plain(record))?;
    }
    for record in &report.authority {
        writeln!(to, "  {}  (authority)", plain(record))?;
    }
    report.why.iter().try_for_each(|why| writeln!(to, "because {}", plain(why)))
}

/// The zones as text.
pub fn zones(zones: &[ZoneReport]) -> String {
    if zones.is_empty() {
        return "no zones: the configuration has no `dns` block\n".to_owned();
    }
    let mut table = Table::new(&["ZONE", "ADDRESSES", "SERIAL", "NAMES"], 2);
    for zone in zones {
        let cells =
            [plain(&zone.name), plain(&zone.listeners.join(" ")), zone.serial.to_string(), zone.names.to_string()];
        table.row(cells);
    }
    let mut text = table.to_string();
    let balanced: Vec<_> = zones.iter().flat_map(|zone| &zone.balanced).collect();
    if balanced.is_empty() {
        return text;
    }
    let mut table = Table::new(&["NAME BY HEALTH", "ANSWER", "NOW", "TTL"], 3);
    for name in balanced {
        table.row([plain(&name.name), plain(&name.answer), plain(&name.answered()), name.ttl.to_string()]);
    }
    text.push('\n');
    text.push_str(&table.to_string());
    text
}

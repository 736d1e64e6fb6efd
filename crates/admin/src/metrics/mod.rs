//! Metrics as text, for Prometheus and whoever reads its format.
//!
//! One [`catalogue`] has a row for each family: name, kind, labels, help, and where its numbers come from. The page, the
//! manual's table and the tests are made of it. Everything is read from the report that `status` shows, so that both
//! say the same.
//!
//! The invariant: a label's value is a name that the configuration gives, or a word of a closed set; never a path, a
//! host or a client, so that the number of series follows from the configuration alone.

mod catalogue;
mod write;

use crate::report::StatusReport;

use write::Sink;

pub use catalogue::{FAMILIES, Family, Kind};
pub use write::Format;

/// Every metric of a node.
pub fn text(report: &StatusReport, format: Format) -> String {
    let servers: usize = report.pools.iter().map(|pool| pool.servers.len()).sum();
    let mut sink = Sink::new(format, servers);
    for family in FAMILIES {
        sink.begin(family);
        (family.read)(report, &mut sink);
    }
    sink.end()
}

/// The manual's table of metrics, as Markdown.
pub fn markdown() -> String {
    let mut text = "# Metrics\n\n\
        `GET /metrics` on the admin listener or the control socket answers in Prometheus's text format, or in OpenMetrics where the\n\
        `Accept` field asks for it. Counters grow from the start of the process and survive every reload; rates are made by whoever\n\
        reads them. Labels are names of the configuration and words of closed sets, so that the number of series follows from the\n\
        configuration alone.\n\n\
        | metric | kind | labels | what it is |\n|---|---|---|---|\n"
        .to_owned();
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "-".to_owned() } else { labels.join(" ") };
        text.push_str(&format!("| `{}` | {} | {labels} | {} |\n", family.name, family.kind.as_str(), family.help));
    }
    text
}

#[cfg(test)]
mod tests;

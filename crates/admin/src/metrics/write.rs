//! The text format: `# HELP`, `# TYPE`, and a line for each sample.
//!
//! Prometheus's format 0.0.4 and OpenMetrics 1.0 differ in the name of a counter's family, and in the last line.
//! Invariant: values of labels are escaped, so that no name can begin a line of its own.

use std::fmt::Write;
use std::time::Duration;

use evenkeel_model::Histogram;

use super::catalogue::{Family, Kind};

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` field asks for.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Room for the text, for each server and in all: a server has some 15 lines of 100 bytes.
const SERVER_TEXT: usize = 2 * 1024;
const OTHER_TEXT: usize = 32 * 1024;

/// The bounds of every histogram: those that OpenTelemetry's semantic conventions give for the durations of requests. Each is
/// a bound of [`Histogram`], hence exact.
pub(super) const BOUNDS: [Duration; 14] = {
    let millis = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000];
    let mut bounds = [Duration::ZERO; 14];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = Duration::from_millis(millis[at]);
        at += 1;
    }
    bounds
};

/// The text that grows.
pub(super) struct Sink {
    format: Format,
    family: &'static str,
    labels: &'static [&'static str],
    text: String,
}

impl Sink {
    pub(super) fn new(format: Format, servers: usize) -> Self {
        let room = servers.saturating_mul(SERVER_TEXT).saturating_add(OTHER_TEXT);
        Self { format, family: "", labels: &[], text: String::with_capacity(room) }
    }

    /// Begins a family.
    pub(super) fn begin(&mut self, family: &Family) {
        let name = match (self.format, family.kind) {
            (Format::OpenMetrics, Kind::Counter) => family.name.strip_suffix("_total").unwrap_or(family.name),
            _ => family.name,
        };
        self.family = family.name;
        self.labels = family.labels;
        // Writing into a string cannot fail, here and below.
        let _ = write!(self.text, "# HELP {name} {}\n# TYPE {name} {}\n", family.help, family.kind.as_str());
    }

    /// A sample with the values of the family's labels, in their order.
    pub(super) fn put(&mut self, values: &[&str], value: u64) {
        self.name("", values, None);
        let _ = writeln!(self.text, "{value}");
    }

    /// As [`put`](Self::put), of a number that is not whole.
    pub(super) fn put_real(&mut self, values: &[&str], value: f64) {
        self.name("", values, None);
        let _ = writeln!(self.text, "{value}");
    }

    /// A histogram.
    pub(super) fn histogram(&mut self, values: &[&str], latency: &Histogram) {
        for bound in BOUNDS {
            self.name("_bucket", values, Some(bound.as_secs_f64()));
            let _ = writeln!(self.text, "{}", latency.at_most(bound));
        }
        self.name("_bucket", values, Some(f64::INFINITY));
        let _ = writeln!(self.text, "{}", latency.total());
        self.name("_sum", values, None);
        let _ = writeln!(self.text, "{}", latency.sum().as_secs_f64());
        self.name("_count", values, None);
        let _ = writeln!(self.text, "{}", latency.total());
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn name(&mut self, suffix: &str, values: &[&str], bound: Option<f64>) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        let mut gap = '{';
        for (label, value) in self.labels.iter().zip(values) {
            let _ = write!(self.text, "{gap}{label}=\"");
            escape(value, &mut self.text);
            self.text.push('"');
            gap = ',';
        }
        match bound {
            Some(bound) if bound.is_infinite() => {
                let _ = write!(self.text, "{gap}le=\"+Inf\"");
                gap = ',';
            }
            Some(bound) => {
                // OpenMetrics wants a point in every number; readers of the older format do not mind.
                let _ = write!(self.text, "{gap}le=\"{bound:?}\"");
                gap = ',';
            }
            None => {}
        }
        self.text.push_str(if gap == ',' { "} " } else { " " });
    }
}

/// Appends a label's value with backslash, quote and line feed escaped.
fn escape(value: &str, to: &mut String) {
    // Nearly every name is as it is, and a page of a thousand servers has forty thousand of them.
    if !value.contains(['\\', '"', '\n']) {
        to.push_str(value);
        return;
    }
    for c in value.chars() {
        match c {
            '\\' => to.push_str("\\\\"),
            '"' => to.push_str("\\\""),
            '\n' => to.push_str("\\n"),
            c => to.push(c),
        }
    }
}

//! Numbers, states and spans of time as they stand on a page.

use std::fmt::{self, Display};

/// A count with its thousands apart: `12 345 678`.
pub(super) struct Count(pub(super) u64);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str("\u{202f}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A rate: `0`, `0.4`, `12.3`, `1 234`.
pub(super) struct Rate(pub(super) f64);

impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rate if rate < 0.05 => f.write_str("0"),
            rate if rate < 99.95 => write!(f, "{rate:.1}"),
            // A rate of more than the largest count does not happen.
            rate => Count(rate.round() as u64).fmt(f),
        }
    }
}

/// Milliseconds, or a dash: `0.4 ms`, `12 ms`, `1.5 s`.
pub(super) struct Millis(pub(super) Option<f64>);

impl Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("–"),
            Some(ms) if ms < 9.95 => write!(f, "{ms:.1} ms"),
            Some(ms) if ms < 999.5 => write!(f, "{ms:.0} ms"),
            Some(ms) => write!(f, "{:.1} s", ms / 1000.0),
        }
    }
}

/// Bytes: `512 B`, `1.5 KB`, `23 MB`, in steps of 1024.
pub(super) struct Bytes(pub(super) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let units = ["B", "KB", "MB", "GB", "TB", "PB"];
        let mut unit = 0;
        while value >= 1023.5 && unit + 1 < units.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(unit > 0 && value < 9.95);
        write!(f, "{value:.digits$} {}", units.get(unit).copied().unwrap_or_default())
    }
}

/// Milliseconds since 1970 as a date and a time of day in UTC: `2026-11-21 16:00:00Z`.
pub(super) struct Moment(pub(super) u64);

impl Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        let (year, month, day) = evenkeel_model::date_of(seconds / 86_400);
        let of_day = seconds % 86_400;
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
    }
}

/// How a state looks: the class of its colour, its icon and its word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) class: &'static str,
    pub(super) icon: &'static str,
    pub(super) word: &'static str,
}

/// The look of a state's word, slow start told apart.
pub(super) fn look(state: &str, ramp_percent: u8) -> Look {
    match state {
        "up" if ramp_percent < 100 => Look { class: "slow", icon: "▲", word: "slow start" },
        "up" => Look { class: "up", icon: "✓", word: "up" },
        "down" => Look { class: "down", icon: "✕", word: "down" },
        "draining" => Look { class: "drain", icon: "◐", word: "draining" },
        "maintenance" => Look { class: "maint", icon: "‖", word: "maintenance" },
        _ => Look { class: "unknown", icon: "?", word: "unknown" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_exact_enough() {
        let counts = [(0, "0"), (999, "999"), (1000, "1\u{202f}000"), (12_345_678, "12\u{202f}345\u{202f}678")];
        assert!(counts.iter().all(|(count, text)| Count(*count).to_string() == *text));
        let rates = [(0.0, "0"), (0.44, "0.4"), (99.94, "99.9"), (99.96, "100"), (1234.4, "1\u{202f}234")];
        assert!(rates.iter().all(|(rate, text)| Rate(*rate).to_string() == *text));
        let times = [(None, "–"), (Some(0.44), "0.4 ms"), (Some(12.4), "12 ms"), (Some(1500.0), "1.5 s")];
        assert!(times.iter().all(|(ms, text)| Millis(*ms).to_string() == *text));
        let sizes = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (15 << 20, "15 MB"), (u64::MAX, "16384 PB")];
        for (bytes, text) in sizes {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}

//! A wall-clock time as RFC 3339 writes it, in UTC, to the microsecond.

use std::fmt;
use std::time::Duration;

use evenkeel_model::date_of;

/// The time since 1970-01-01 00:00 UTC, shown as `2026-03-01T12:34:56.000007Z`.
pub(super) struct Rfc3339(pub(super) Duration);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = date_of(seconds / 86_400);
        let of_day = seconds % 86_400;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let micros = self.0.subsec_micros();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

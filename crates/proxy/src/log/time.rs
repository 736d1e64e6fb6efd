//! Times of day in the forms that logs use, in UTC, from seconds since 1970.

use std::time::Duration;

use evenkeel_model::date_of;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment in the calendar.
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    milli: u32,
}

impl Moment {
    /// The date and time of a moment, for years from 1970 on.
    fn of(unix: Duration) -> Self {
        let seconds = unix.as_secs();
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date_of(days);
        Self {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            milli: unix.subsec_millis(),
        }
    }

    fn month_name(&self) -> &'static str {
        usize::try_from(self.month - 1).ok().and_then(|place| MONTHS.get(place)).copied().unwrap_or("Jan")
    }
}

/// `21/Nov/2026:01:12:43 +0000`
pub(crate) fn write_common(unix: Duration, out: &mut Vec<u8>) {
    write_clf(&Moment::of(unix), out);
    out.extend_from_slice(b" +0000");
}

/// `21/Nov/2026:01:12:43.123`
pub(crate) fn write_haproxy(unix: Duration, out: &mut Vec<u8>) {
    let m = Moment::of(unix);
    write_clf(&m, out);
    out.push(b'.');
    padded(out, u64::from(m.milli), 3);
}

fn write_clf(m: &Moment, out: &mut Vec<u8>) {
    padded(out, m.day, 2);
    out.push(b'/');
    out.extend_from_slice(m.month_name().as_bytes());
    for (mark, part, width) in [(b'/', m.year, 4), (b':', m.hour, 2), (b':', m.minute, 2), (b':', m.second, 2)] {
        out.push(mark);
        padded(out, part, width);
    }
}

/// `2026-11-21T01:12:43.123Z`
pub(crate) fn write_iso(unix: Duration, out: &mut Vec<u8>) {
    let m = Moment::of(unix);
    padded(out, m.year, 4);
    for (mark, part) in [(b'-', m.month), (b'-', m.day), (b'T', m.hour), (b':', m.minute), (b':', m.second)] {
        out.push(mark);
        padded(out, part, 2);
    }
    out.push(b'.');
    padded(out, u64::from(m.milli), 3);
    out.push(b'Z');
}

/// `1795223563.123`
pub(crate) fn write_unix(unix: Duration, out: &mut Vec<u8>) {
    number(out, unix.as_secs());
    out.push(b'.');
    padded(out, u64::from(unix.subsec_millis()), 3);
}

/// Appends a number. Log lines are full of them, and the general formatting costs more than the rest of the line.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    padded(out, value, 1);
}

/// Appends a number with at least so many digits.
pub(crate) fn padded(out: &mut Vec<u8>, value: u64, width: usize) {
    // 20 digits hold every 64-bit number.
    let mut digits = [b'0'; 20];
    let (mut left, mut used) = (value, 0);
    for digit in digits.iter_mut().rev() {
        if left == 0 && used >= width {
            break;
        }
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        used += 1;
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for value in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            for width in [1, 2, 4, 20] {
                let mut out = Vec::new();
                padded(&mut out, value, width);
                assert_eq!(String::from_utf8(out).unwrap(), format!("{value:0width$}"));
            }
        }
    }

    #[test]
    fn a_moment_is_written_in_each_form() {
        for (seconds, common, iso) in [
            (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.123Z"),
            (951_782_399, "28/Feb/2000:23:59:59 +0000", "2000-02-28T23:59:59.123Z"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000", "2000-02-29T00:00:00.123Z"),
            (1_795_223_563, "21/Nov/2026:01:12:43 +0000", "2026-11-21T01:12:43.123Z"),
            (4_107_542_399, "28/Feb/2100:23:59:59 +0000", "2100-02-28T23:59:59.123Z"),
            (4_107_542_400, "01/Mar/2100:00:00:00 +0000", "2100-03-01T00:00:00.123Z"),
        ] {
            let unix = Duration::new(seconds, 123_456_789);
            let text = |write: fn(Duration, &mut Vec<u8>)| {
                let mut out = Vec::new();
                write(unix, &mut out);
                String::from_utf8(out).unwrap()
            };
            assert_eq!(text(write_common), common);
            assert_eq!(text(write_iso), iso);
            assert_eq!(text(write_unix), format!("{seconds}.123"));
            assert_eq!(text(write_haproxy), common.replace(" +0000", ".123"));
        }
    }
}

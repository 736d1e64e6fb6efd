//! Dates as HTTP writes them (`IMF-fixdate`, RFC 9110 section 5.6.7). Not here: a clock.

/// How many bytes such a date has.
pub const DATE_BYTES: usize = 29;

const SECONDS_PER_DAY: u64 = 86_400;
/// The last second whose year has four digits.
const LAST: u64 = 253_402_300_799;

/// Writes the time, in seconds since 1970, as `Sat, 21 Nov 2026 01:12:43 GMT`. Times past the year 9999 give its end.
pub fn format_http_date(unix_secs: u64, out: &mut [u8; DATE_BYTES]) {
    const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let time = unix_secs.min(LAST);
    let days = time / SECONDS_PER_DAY;
    let second = time % SECONDS_PER_DAY;
    let (year, month, day) = civil(days);
    let name = |table: &[&'static [u8; 3]], index: u64| {
        usize::try_from(index).ok().and_then(|index| table.get(index).copied()).unwrap_or(b"???")
    };
    let [w1, w2, w3] = *name(&DAYS, days % 7);
    let [d1, d2] = pair(day);
    let [m1, m2, m3] = *name(&MONTHS, month.saturating_sub(1));
    let ([y1, y2], [y3, y4]) = (pair(year / 100), pair(year % 100));
    let ([h1, h2], [i1, i2], [s1, s2]) = (pair(second / 3600), pair(second / 60 % 60), pair(second % 60));
    *out = [
        w1, w2, w3, b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', y1, y2, y3, y4, b' ', h1, h2, b':', i1, i2, b':', s1,
        s2, b' ', b'G', b'M', b'T',
    ];
}

fn pair(number: u64) -> [u8; 2] {
    let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or(0);
    [digit(number / 10), digit(number)]
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar, counted in years that begin in March, so
/// that the leap day is a year's last (the algorithm is H. Hinnant's `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(time: u64) -> String {
        let mut out = [0; DATE_BYTES];
        format_http_date(time, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (time, wanted) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_795_223_563, "Sat, 21 Nov 2026 01:12:43 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(date(time), wanted);
        }
    }
}

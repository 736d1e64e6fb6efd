//! Dates as HTTP writes them (`IMF-fixdate`, RFC 9110 section 5.6.7). Not here: a clock.

use evenkeel_model::date_of;

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
    let (year, month, day) = date_of(days);
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

/// Reads a date of a cookie's `Expires` by the forgiving rules of RFC 6265 section 5.1.1, in seconds since 1970; one
/// before that is 0. `None` for what browsers would ignore.
pub fn parse_cookie_date(text: &[u8]) -> Option<u64> {
    let is_delimiter = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b':';
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none() && token.contains(&b':') {
            time = Some(time_of_day(token)?);
        } else if month.is_none() && token.first().is_some_and(u8::is_ascii_alphabetic) {
            month = month_of(token);
        } else if day.is_none() && token.len() <= 2 {
            day = Some(number(token)?);
        } else if year.is_none() && matches!(token.len(), 2 | 4) {
            year = number(token);
        }
    }
    let (day, month) = (day?, month?);
    let year = match year? {
        short @ 70..=99 => short + 1900,
        short @ 0..=69 => short + 2000,
        year => year,
    };
    let is_date = (1..=31).contains(&day) && (1601..=9999).contains(&year);
    is_date.then(|| days_before(year, month, day).map_or(0, |days| days * SECONDS_PER_DAY + time.unwrap_or(0)))
}

fn number(token: &[u8]) -> Option<u64> {
    let fold = |sum: u64, digit: &u8| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'));
    if token.len() <= 4 { token.iter().try_fold(0, fold) } else { None }
}

fn time_of_day(token: &[u8]) -> Option<u64> {
    let mut parts = token.split(|byte| *byte == b':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

fn month_of(token: &[u8]) -> Option<u64> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let place = MONTHS.iter().position(|name| token.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(*name)))?;
    u64::try_from(place).ok().map(|place| place + 1)
}

/// Days from 1970-01-01 to a date, `None` for one before (H. Hinnant's `days_from_civil`).
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
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

    #[test]
    fn dates_of_cookies_are_read_as_browsers_do() {
        for (text, wanted) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01-Jan-1970 00:00:01 GMT", Some(1)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Mon, 01-Mar-2100 00:00:00 GMT", Some(4_107_542_400)),
            ("Fri, 31 Dec 1601 23:59:59 GMT", Some(0)),
            ("0", None),
            ("", None),
            ("Sat, 21 Nov", None),
            ("Sat, 99 Nov 2026 01:12:43 GMT", None),
            ("Sat, 21 Nov 2026 25:12:43 GMT", None),
        ] {
            assert_eq!(parse_cookie_date(text.as_bytes()), wanted, "{text}");
        }
        for time in [86_399, 951_782_400, 1_709_251_199, 1_795_223_563] {
            assert_eq!(parse_cookie_date(date(time).as_bytes()), Some(time));
        }
    }
}

//! The zone's serial: one step on, in the style it is written in, by the arithmetic of RFC 1982.
//!
//! The invariant: the new serial is newer than the old one for every secondary.

/// The moment of a change, as far as serials go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// Year, month and day as one number: 20261121.
    pub date: u32,
    /// Seconds since 1970.
    pub unix: u32,
}

/// How a serial is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `YYYYMMDDnn`.
    Date,
    /// Seconds since 1970.
    Unix,
    /// A plain count.
    Plain,
}

/// The serial after `serial`: today's first or the next one where it is a date, now where it is a time, else one
/// more.
pub fn bump(serial: u32, when: When) -> u32 {
    let wished = match style(serial, when) {
        Style::Date => when.date.checked_mul(100),
        Style::Unix => Some(when.unix),
        Style::Plain => None,
    };
    wished.filter(|wished| is_newer(*wished, serial)).unwrap_or_else(|| next(serial))
}

/// One more. Zero is left out: some secondaries take it for `no serial`.
fn next(serial: u32) -> u32 {
    serial.wrapping_add(1).max(1)
}

/// RFC 1982, 3.2: newer by less than half of the circle.
fn is_newer(a: u32, b: u32) -> bool {
    let ahead = a.wrapping_sub(b);
    ahead != 0 && ahead < 1 << 31
}

fn style(serial: u32, when: When) -> Style {
    let (year, month, day) = (serial / 1_000_000, serial / 10_000 % 100, serial / 100 % 100);
    // Seconds since 1970 look like years before 1990 until 2033, so the two do not meet before.
    if (1990..=2199).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day) {
        return Style::Date;
    }
    // From 2001 on, up to a day ahead of our clock.
    if (1_000_000_000..=when.unix.saturating_add(86_400)).contains(&serial) { Style::Unix } else { Style::Plain }
}

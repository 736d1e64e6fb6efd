//! Dates behind a name, as HAProxy's `maxidle` and `maxlife` write them: `NAME|LAST|FIRST`, each date five base64 digits,
//! the most significant first, of the seconds since 1970 divided by four.
//!
//! They are neither sealed nor signed: a client can turn them. That is why a token is the default.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// What one step of a date stands for, in seconds.
const STEP: u64 = 4;
/// Bits of a date.
const BITS: u32 = 30;
/// How far ahead of ours a clock may be: as for tokens.
const SKEW: u64 = 300;

/// A name with its dates, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated<'a> {
    /// The name.
    pub name: &'a [u8],
    /// When the client was last seen; `None` where the value does not tell.
    pub last: Option<u64>,
    /// When it was first seen; `None` where the value does not tell.
    pub first: Option<u64>,
}

impl<'a> Dated<'a> {
    /// Reads a value. A name alone has no dates, and what is no date counts as none.
    pub fn read(value: &'a [u8], now_unix: u64) -> Self {
        let mut parts = value.split(|byte| *byte == b'|');
        let name = parts.next().unwrap_or_default();
        let mut date = || parts.next().and_then(|text| read_date(text, now_unix));
        Self { name, last: date(), first: date() }
    }

    /// Appends the value.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name);
        for date in [self.last, self.first].into_iter().flatten() {
            out.push(b'|');
            write_date(date, out);
        }
    }

    /// Whether neither date is too long ago. One that is not there never is.
    pub fn is_current(&self, now_unix: u64, idle: u64, life: u64) -> bool {
        // A date is cut to its step, so that it may look as much older than it is.
        let within = |date: Option<u64>, most: u64| {
            date.is_none_or(|date| {
                date <= now_unix.saturating_add(SKEW) && now_unix.saturating_sub(date) <= most.saturating_add(STEP)
            })
        };
        within(self.last, idle) && within(self.first, life)
    }
}

fn write_date(unix: u64, out: &mut Vec<u8>) {
    let steps = unix / STEP;
    for place in (0..5).rev() {
        let digit = steps >> (6 * place) & 63;
        out.push(DIGITS.get(digit as usize).copied().unwrap_or(b'A'));
    }
}

/// The date next to now that has these 30 bits: they come round every 136 years.
fn read_date(text: &[u8], now_unix: u64) -> Option<u64> {
    let digits: [u8; 5] = text.try_into().ok()?;
    let mut steps = 0;
    for digit in digits {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        steps = steps << 6 | value as u64;
    }
    let round = 1_u64 << BITS;
    let base = (now_unix / STEP) & !(round - 1);
    Some((base | steps).saturating_mul(STEP))
}

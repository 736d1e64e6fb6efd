//! `$GENERATE start-stop[/step] owner [ttl] [class] type data`: one line that stands for many records.
//!
//! The invariant: a range makes at most [`caps::DNS_GENERATE_RECORDS`] lines.

use evenkeel_model::caps;

use crate::rdata::lossy;

/// The numbers of a `$GENERATE` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    start: u32,
    stop: u32,
    step: u32,
}

impl Range {
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let wrong = || format!("`{}` is no range; write START-STOP or START-STOP/STEP, rising", lossy(text));
        let text_utf8 = std::str::from_utf8(text).map_err(|_| wrong())?;
        let (range, step) = text_utf8.split_once('/').unwrap_or((text_utf8, "1"));
        let (start, stop) = range.split_once('-').ok_or_else(wrong)?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            if plain { digits.parse::<u32>().ok() } else { None }
        };
        let (start, stop) = (number(start).ok_or_else(wrong)?, number(stop).ok_or_else(wrong)?);
        let step = number(step).filter(|step| *step > 0).ok_or_else(wrong)?;
        let count = stop.checked_sub(start).ok_or_else(wrong)? / step;
        if usize::try_from(count).map_or(true, |count| count >= caps::DNS_GENERATE_RECORDS) {
            return Err(format!("the range makes {count} records; at most {} are allowed", caps::DNS_GENERATE_RECORDS));
        }
        Ok(Self { start, stop, step })
    }

    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(self.start), move |n| n.checked_add(self.step)).take_while(move |n| *n <= self.stop)
    }
}

/// The template with every `$` and `${offset,width,base}` replaced. `\$` stays a dollar, `$$` too.
pub(super) fn fill(template: &[u8], number: u32) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.split_first()) {
            (b'\\', Some((&next, after))) => {
                if next != b'$' {
                    out.push(byte);
                }
                out.push(next);
                rest = after;
            }
            (b'$', Some((b'$', after))) => {
                out.push(b'$');
                rest = after;
            }
            (b'$', Some((b'{', after))) => {
                let end = after.iter().position(|b| *b == b'}').ok_or("`${` is never closed; write `}`")?;
                out.extend(modified(after.get(..end).unwrap_or_default(), number)?);
                rest = after.get(end.saturating_add(1)..).unwrap_or_default();
            }
            (b'$', _) => out.extend_from_slice(number.to_string().as_bytes()),
            _ => out.push(byte),
        }
    }
    Ok(out)
}

/// `offset[,width[,base]]`, base one of `d o x X n N`.
fn modified(text: &[u8], number: u32) -> Result<Vec<u8>, String> {
    let wrong =
        || format!("`${{{}}}` is wrong; write ${{OFFSET,WIDTH,BASE}} with base d, o, x, X, n or N", lossy(text));
    let text_utf8 = std::str::from_utf8(text).map_err(|_| wrong())?;
    let mut parts = text_utf8.split(',');
    let offset: i64 = parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
    let width: usize = parts.next().map_or(Ok(0), str::parse).map_err(|_| wrong())?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() || width > 255 {
        return Err(wrong());
    }
    let value = i64::from(number).checked_add(offset).filter(|value| *value >= 0).ok_or_else(|| {
        format!("{number} with offset {offset} is below 0; choose the offset so that every number stays at 0 or above")
    })?;
    let shown = match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        "n" => nibbles(&format!("{value:x}"), width),
        "N" => nibbles(&format!("{value:X}"), width),
        _ => return Err(wrong()),
    };
    Ok(shown.into_bytes())
}

/// The digits backwards, each with a dot behind it, as reverse names of IPv6 need them. The width counts digits and dots;
/// as in BIND, where an even one is not filled by digits the last place is a dot's.
fn nibbles(digits: &str, width: usize) -> String {
    let mut shown = String::with_capacity(width.max(16));
    let (mut digits, mut left) = (digits.chars().rev().peekable(), width);
    loop {
        shown.push(digits.next().unwrap_or('0'));
        left = left.saturating_sub(1);
        if digits.peek().is_some() || left > 0 {
            shown.push('.');
            left = left.saturating_sub(1);
        }
        if digits.peek().is_none() && left == 0 {
            return shown;
        }
    }
}

//! Durations, sizes, numbers, shares and statuses. Units are always written.

use std::time::Duration;

use evenkeel_model::config::StatusRange;

use crate::syntax::Word;
use crate::{Code, Diagnostics, print};

/// The digits in front, and what follows them.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The number that digits are; one that no number holds is as large as one can be, and out of every range.
fn whole(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().unwrap_or(u64::MAX))
}

pub(super) fn duration(word: &Word, least: Duration, most: Duration, out: &mut Diagnostics) -> Option<Duration> {
    let (digits, unit) = split(&word.text);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0u64,
    };
    let value = whole(digits).map(|number| Duration::from_millis(number.saturating_mul(millis)));
    match value.filter(|_| millis > 0) {
        Some(value) if (least..=most).contains(&value) => Some(value),
        Some(_) => {
            let range = format!("{} to {}", print::duration(least), print::duration(most));
            out.report(Code::E301, word.span, format!("`{}` is out of range: {range}", word.text));
            None
        }
        None => {
            complain_of_duration(word, out);
            None
        }
    }
}

fn complain_of_duration(word: &Word, out: &mut Diagnostics) {
    let text = &word.text;
    let (digits, unit) = split(text);
    if !digits.is_empty() && unit.is_empty() {
        out.report(Code::E301, word.span, format!("a duration without a unit: `{text}`"))
            .help(format!("write `{text}s` for seconds or `{text}ms` for milliseconds"));
        return;
    }
    let report = out.report(Code::E301, word.span, format!("`{text}` is not a duration"));
    let tenths = text.strip_suffix('s').and_then(|number| number.parse::<f64>().ok()).filter(|_| unit.starts_with('.'));
    match tenths {
        Some(seconds) if (0.0..1e9).contains(&seconds) => {
            report.help(format!("write `{:.0}ms`: durations are whole numbers", seconds * 1000.0));
        }
        _ if long_unit(unit).is_some() && !digits.is_empty() => {
            report.help(format!("write `{digits}{}`", long_unit(unit).unwrap_or_default()));
        }
        _ => {
            report.note("a duration is a whole number and a unit: `ms`, `s`, `m` (minutes), `h`, `d`");
        }
    }
}

/// The unit that a longer word for it stands for.
fn long_unit(unit: &str) -> Option<&'static str> {
    match unit.trim().to_ascii_lowercase().trim_end_matches('s') {
        "" if unit.trim().eq_ignore_ascii_case("s") => Some("s"),
        "sec" | "second" => Some("s"),
        "milli" | "msec" | "millisecond" | "m" if unit.len() > 1 => Some("ms"),
        "min" | "minute" => Some("m"),
        "h" | "hr" | "hour" => Some("h"),
        "d" | "day" => Some("d"),
        _ => None,
    }
}

pub(super) fn size(word: &Word, least: u64, most: u64, out: &mut Diagnostics) -> Option<u64> {
    let (digits, unit) = split(&word.text);
    let bytes = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "k" | "kb" | "kib" => 1u64 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => 0,
    };
    // One spelling for each size: `16k`. The longer ones are named in the help.
    let canonical = unit.len() == 1 && unit.chars().all(|c| c.is_ascii_lowercase());
    match whole(digits).map(|number| number.saturating_mul(bytes)).filter(|_| canonical && bytes > 0) {
        Some(value) if (least..=most).contains(&value) => Some(value),
        Some(_) => {
            let range = format!("{} to {}", print::size(least), print::size(most));
            out.report(Code::E302, word.span, format!("`{}` is out of range: {range}", word.text));
            None
        }
        None => {
            let text = &word.text;
            if unit.is_empty() && !digits.is_empty() {
                out.report(Code::E302, word.span, format!("a size without a unit: `{text}`"))
                    .help(format!("write `{text}b` for bytes, or `k`, `m`, `g` for 1024 times as much each"));
            } else {
                let report = out.report(Code::E302, word.span, format!("`{text}` is not a size"));
                report.note("a size is a whole number and a unit: `b`, `k`, `m`, `g`");
                if bytes > 0 {
                    report.help(format!("write `{digits}{}`", unit.to_ascii_lowercase().get(..1).unwrap_or_default()));
                }
            }
            None
        }
    }
}

pub(super) fn integer(word: &Word, least: u64, most: u64, out: &mut Diagnostics) -> Option<u64> {
    match whole(&word.text) {
        Some(number) if (least..=most).contains(&number) => Some(number),
        Some(_) => {
            out.report(Code::E303, word.span, format!("`{}` is out of range: {least} to {most}", word.text));
            None
        }
        None => {
            let message = format!("`{}` is not a whole number from {least} to {most}", word.text);
            out.report(Code::E303, word.span, message);
            None
        }
    }
}

pub(super) fn percent(word: &Word, least: u16, most: u16, out: &mut Diagnostics) -> Option<u16> {
    let number = word.text.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    match number.and_then(whole).map(|number| u16::try_from(number).unwrap_or(u16::MAX)) {
        Some(number) if (least..=most).contains(&number) => Some(number),
        Some(_) => {
            out.report(Code::E304, word.span, format!("`{}` is out of range: {least}% to {most}%", word.text));
            None
        }
        None => {
            let report = out.report(Code::E304, word.span, format!("`{}` is not a share in percent", word.text));
            if word.text.parse::<u16>().is_ok() {
                report.help(format!("write `{}%`", word.text));
            } else {
                report.note(format!("a share is whole percent with a `%`, {least}% to {most}%"));
            }
            None
        }
    }
}

pub(super) fn status(word: &Word, least: u16, most: u16, out: &mut Diagnostics) -> Option<u16> {
    let status = parse_status(&word.text).filter(|status| (least..=most).contains(status));
    if status.is_none() {
        let message = format!("`{}` is not a status from {least} to {most}", word.text);
        out.report(Code::E316, word.span, message);
    }
    status
}

pub(crate) fn statuses(word: &Word, out: &mut Diagnostics) -> Option<StatusRange> {
    let (first, last) = word.text.split_once("..").unwrap_or((&word.text, &word.text));
    let range = parse_status(first).zip(parse_status(last)).map(|(first, last)| StatusRange { first, last });
    match range.filter(|range| range.first >= 100 && range.last <= 599 && range.first <= range.last) {
        Some(range) => Some(range),
        None => {
            let report =
                out.report(Code::E316, word.span, format!("`{}` is not a status or a range of them", word.text));
            let class = word.text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
            match (class, word.text.split_once('-')) {
                (Some(class @ 1..=5), _) => report.help(format!("write `{class}00..{class}99`")),
                (None, Some((first, last))) => report.help(format!("write `{first}..{last}`")),
                _ => report.note("a status is 100 to 599, a range is two of them: `200..399`"),
            };
            None
        }
    }
}

fn parse_status(text: &str) -> Option<u16> {
    text.parse::<u16>().ok().filter(|_| text.len() == 3)
}

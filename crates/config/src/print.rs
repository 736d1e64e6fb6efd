//! Values of the model as they are written in a configuration: the other way round from `value`.
//!
//! The invariant: what is printed here is read back as the same value.

use std::time::Duration;

use evenkeel_model::config::{SecretRef, StatusRange};

/// A duration in the largest unit in which it is whole: `2s`, `500ms`, `1h`.
pub fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    match units.iter().find(|(_, size)| millis > 0 && millis.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", millis / size),
        None if millis == 0 => "0s".to_owned(),
        None => format!("{millis}ms"),
    }
}

/// A size in the largest unit in which it is whole: `16k`, `512b`.
pub fn size(bytes: u64) -> String {
    let units = [("g", 1u64 << 30), ("m", 1 << 20), ("k", 1 << 10)];
    match units.iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size)) {
        Some((unit, size)) => format!("{}{unit}", bytes / size),
        None => format!("{bytes}b"),
    }
}

/// `200` or `200..399`.
pub fn statuses(range: StatusRange) -> String {
    if range.first == range.last { range.first.to_string() } else { format!("{}..{}", range.first, range.last) }
}

/// `file:/path`, `env:NAME` or `cred:NAME`.
pub fn secret(secret: &SecretRef) -> String {
    match secret {
        SecretRef::File(path) => format!("file:{}", path.display()),
        SecretRef::Env(name) => format!("env:{name}"),
        SecretRef::Credential(name) => format!("cred:{name}"),
    }
}

//! `zonefile`: which files, what is asked, and where changes go.

use evenkeel_model::PoolName;
use evenkeel_model::config::{Then, Update, Zonefile};
use evenkeel_model::defaults;

use super::Building;
use super::pool::{check::check as read_check, set};
use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics};

/// Adds the block to the configuration.
pub(super) fn block(building: &mut Building<'_>, entry: &Entry) {
    let path = |value: &Value| match value {
        Value::Path(path) => Some(path.clone()),
        _ => None,
    };
    let mut zonefile = Zonefile::new(entry.read_values().filter_map(path).collect());
    set(entry, "every", &mut zonefile.every);
    set(entry, "timeout", &mut zonefile.timeout);
    if let Some(check) = entry.entry("check") {
        ask(&mut zonefile, check, building.out);
    }
    zonefile.then = entry.entry("then").map(then);
    if let Some(update) = entry.entry("update") {
        zonefile.update = self::update(update, building.out);
        building.places.update_keys.extend(zonefile.update.iter().map(|it| (it.key.clone(), update.span)));
    }
    if let (Some(then), Some(_)) = (entry.entry("then"), entry.entry("update")) {
        building
            .out
            .report(Code::E411, then.span, "`then` follows a change of a file, and with `update` none is ever changed")
            .help("take `then` out: the server that takes an update answers by it and tells its secondaries itself");
    }
    if let Some(named) = entry.entry("pool")
        && let Some(Value::Text(name)) = named.value(0)
        && let (Ok(name), Some(argument)) = (PoolName::new(name), named.values.first())
    {
        building.wanted.push((argument.word.clone(), name.clone()));
        zonefile.pool = Some(name);
    }
    building.config.zonefiles.push(zonefile);
}

fn ask(zonefile: &mut Zonefile, check: &Entry, out: &mut Diagnostics) {
    if check.values.iter().any(|argument| argument.word.text == "off") {
        out.report(Code::E411, check.span, "records that nobody checks stay as they are")
            .help("take the `zonefile` block out");
        return;
    }
    let number = |option: &str| match check.option(option) {
        Some(Value::Integer(number)) => u16::try_from(*number).ok(),
        _ => None,
    };
    zonefile.rise = number("rise").unwrap_or(zonefile.rise);
    zonefile.fall = number("fall").unwrap_or(zonefile.fall);
    // `check rise=3` alone leaves what is asked to the headers.
    if !check.values.is_empty() {
        zonefile.check = read_check(check, out).map(|check| check.kind);
    }
}

fn then(entry: &Entry) -> Then {
    let word = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    let mut then = Then { words: entry.read_values().filter_map(word).collect(), timeout: defaults::THEN_TIMEOUT };
    set(entry, "timeout", &mut then.timeout);
    then
}

fn update(entry: &Entry, out: &mut Diagnostics) -> Option<Update> {
    let Some(Value::Secret(key)) = entry.option("key") else {
        if entry.entry("key").is_none() && !entry.flawed {
            out.report(Code::E205, entry.span, "an update has to be signed")
                .help("name the key: `key=file:/etc/evenkeel/ddns.key` (`tsig-keygen` makes one)");
        }
        return None;
    };
    let Some(Value::Socket(server)) = entry.value(0) else { return None };
    let zone = match entry.option("zone") {
        Some(Value::Text(zone)) => Some(zone.clone()),
        _ => None,
    };
    Some(Update { server: *server, zone, key: key.clone() })
}

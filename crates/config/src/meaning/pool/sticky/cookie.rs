//! `sticky cookie` and its many options.

use evenkeel_model::PoolName;
use evenkeel_model::config::{
    CookieAttributes, CookieValue, DigestOf, Insert, SameSite, SecretRef, SetBy, StickyCookie,
};

use super::super::set;
use super::misplaced;
use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics};

pub(super) fn cookie(entry: &Entry, pool: &PoolName, out: &mut Diagnostics) -> StickyCookie {
    let mut cookie = match (entry.values.first(), entry.value(1)) {
        (Some(_), Some(Value::Text(name))) => StickyCookie::new(name.clone()),
        (Some(argument), None) if entry.values.len() == 1 => {
            out.report(Code::E205, argument.word.span, "`sticky cookie` needs the cookie's NAME")
                .help("write `sticky cookie NAME`, or `sticky` alone");
            StickyCookie::of_pool(pool)
        }
        _ => StickyCookie::of_pool(pool),
    };
    cookie.set_by = set_by(entry, out);
    values(entry, &mut cookie, out);
    cookie.key = secret(entry, "key");
    cookie.previous = secret(entry, "previous");
    cookie.hmac_key = secret(entry, "hmac-key");
    set(entry, "idle", &mut cookie.idle);
    set(entry, "life", &mut cookie.life);
    if let Some(Value::Text(name)) = entry.option("bond") {
        cookie.bond = Some(name.clone());
    }
    if let Some(Value::Integer(most)) = entry.option("rate") {
        cookie.rate = u32::try_from(*most).ok();
    }
    cookie.insert = match entry.option("insert") {
        Some(Value::Choice("post")) => Insert::Post,
        Some(Value::Choice("session")) => Insert::Session,
        _ => Insert::Always,
    };
    cookie.preserve = entry.entry("preserve").is_some();
    cookie.strip = is_on(entry, "strip", true);
    cookie.private = is_on(entry, "private", true);
    cookie.attributes = attributes(entry);
    contradictions(entry, &cookie, out);
    cookie
}

fn set_by(entry: &Entry, out: &mut Diagnostics) -> SetBy {
    let ways = [("rewrite", SetBy::Rewrite), ("prefix", SetBy::Prefix), ("suffix", SetBy::Suffix)];
    let mut given = ways.iter().filter_map(|(name, way)| Some((entry.entry(name)?, *way)));
    let first = given.next();
    if let Some(((first, _), (other, _))) = first.zip(given.next()) {
        out.report(Code::E411, other.span, "two ways to use one cookie").also(first.span, "the other").help("keep one");
    }
    let is_server = matches!(entry.option("set-by"), Some(Value::Choice("server")));
    match (is_server, first) {
        (false, Some((word, _))) => {
            let name = word.directive.name;
            out.report(Code::E411, word.span, format!("`{name}` is for a cookie that the server sets"))
                .help(format!("write `set-by=server {name}`"));
            SetBy::Us
        }
        (false, None) => SetBy::Us,
        (true, Some((_, way))) => way,
        (true, None) => SetBy::Server,
    }
}

fn values(entry: &Entry, cookie: &mut StickyCookie, out: &mut Diagnostics) {
    let form = |value: &Value| match value {
        Value::Choice(word) => CookieValue::of_word(word),
        _ => None,
    };
    let is_read_only = matches!(cookie.set_by, SetBy::Server | SetBy::Suffix);
    if is_read_only {
        cookie.value = CookieValue::Name;
    }
    if let Some(given) = entry.option("value").and_then(form) {
        cookie.value = given;
    }
    if let Some(word) = entry.entry("value").filter(|_| is_read_only && cookie.value == CookieValue::Token) {
        out.report(Code::E411, word.span, "a server cannot set a token of ours")
            .help("leave `value` out: the cookie then holds what the server is `known-as`");
    }
    if let Some(read) = entry.entry("read") {
        cookie.read = read.read_values().filter_map(form).collect();
    }
    cookie.of = match entry.option("of") {
        Some(Value::Choice("address")) => DigestOf::Address,
        Some(Value::Choice("written")) => DigestOf::Written,
        _ => DigestOf::SocketAddress,
    };
}

fn attributes(entry: &Entry) -> CookieAttributes {
    let mut attributes = CookieAttributes::default();
    if let Some(Value::Text(domain)) = entry.option("domain") {
        attributes.domain = Some(domain.clone());
    }
    if let Some(Value::Text(path)) = entry.option("path") {
        attributes.path.clone_from(path);
    }
    attributes.secure = match entry.option("secure") {
        Some(Value::Choice("on")) => Some(true),
        Some(Value::Choice("off")) => Some(false),
        _ => None,
    };
    attributes.http_only = is_on(entry, "http-only", true);
    attributes.same_site = match entry.option("same-site") {
        Some(Value::Choice("lax")) => SameSite::Lax,
        Some(Value::Choice("strict")) => SameSite::Strict,
        Some(Value::Choice("none")) => SameSite::None,
        Some(Value::Choice("off")) => SameSite::Off,
        _ => SameSite::Auto,
    };
    if let Some(Value::Duration(expires)) = entry.option("expires") {
        attributes.expires = Some(*expires);
    }
    attributes
}

/// Words that are about what this cookie is not.
fn contradictions(entry: &Entry, cookie: &StickyCookie, out: &mut Diagnostics) {
    const OURS: [&str; 11] = [
        "domain",
        "path",
        "secure",
        "http-only",
        "same-site",
        "expires",
        "insert",
        "preserve",
        "strip",
        "private",
        "bond",
    ];
    let has = |is_it: fn(CookieValue) -> bool| cookie.knows(is_it);
    let is_token = has(|form| form == CookieValue::Token);
    let has_dates = is_token || has(|form| form == CookieValue::Dated);
    let has_digest = has(|form| matches!(form, CookieValue::Digest(_)));
    let has_keyed = has(CookieValue::is_keyed);
    for word in &entry.entries {
        match word.directive.name {
            "key" | "previous" | "rate" | "bond" if !is_token => misplaced(word, "a cookie without tokens", out),
            "idle" | "life" if !has_dates => misplaced(word, "a cookie without tokens or dates", out),
            "of" if !has_digest => misplaced(word, "a cookie without digests", out),
            "hmac-key" if !has_keyed => misplaced(word, "a cookie without `hmac-md5` and `hmac-sha1`", out),
            name if OURS.contains(&name) && cookie.set_by != SetBy::Us => {
                misplaced(word, "a cookie that the server sets", out);
            }
            _ => {}
        }
    }
    if has_keyed && cookie.hmac_key.is_none() && entry.is_sound() {
        out.report(Code::E205, entry.span, "digests with a key need `hmac-key`")
            .help("write `hmac-key=file:/etc/evenkeel/NAME.key`, with the key that the other program has");
    }
    if let Some(word) = entry.entry("insert").filter(|_| cookie.insert == Insert::Session && cookie.bond.is_none()) {
        out.report(Code::E205, word.span, "`insert=session` needs to know the application's session cookie")
            .help("name it: `bond=PHPSESSID`");
    }
    if let Some(idle) = entry.entry("idle").or_else(|| entry.entry("life")).filter(|_| cookie.idle > cookie.life) {
        let (idle_text, life) = (crate::print::duration(cookie.idle), crate::print::duration(cookie.life));
        out.report(Code::W509, idle.span, format!("`idle` of {idle_text} is never reached: `life` is {life}"))
            .help("make `life` longer, or `idle` shorter");
    }
    browsers(entry, cookie, out);
}

/// What browsers would refuse.
fn browsers(entry: &Entry, cookie: &StickyCookie, out: &mut Diagnostics) {
    let attributes = &cookie.attributes;
    let word = |name: &str| entry.entry(name).map_or(entry.span, |word| word.span);
    if attributes.same_site == SameSite::None && attributes.secure == Some(false) {
        out.report(Code::E411, word("secure"), "browsers drop a cookie with `SameSite=None` and without `Secure`")
            .help("write `secure=on`, or another `same-site`");
    }
    let is_bound_to_host = cookie.name.starts_with("__Host-");
    let is_prefixed = is_bound_to_host || cookie.name.starts_with("__Secure-");
    if !is_prefixed || cookie.set_by != SetBy::Us {
        return;
    }
    let mut refuse = |what: &str| {
        let prefix = if is_bound_to_host { "__Host-" } else { "__Secure-" };
        out.report(Code::E411, word(what), format!("browsers drop a cookie `{prefix}…` with this `{what}`"))
            .help(format!("leave `{what}` out, or give the cookie another name"));
    };
    if attributes.secure == Some(false) {
        refuse("secure");
    }
    if is_bound_to_host && attributes.domain.is_some() {
        refuse("domain");
    }
    if is_bound_to_host && attributes.path != "/" {
        refuse("path");
    }
}

fn secret(entry: &Entry, name: &str) -> Option<SecretRef> {
    match entry.option(name) {
        Some(Value::Secret(secret)) => Some(secret.clone()),
        _ => None,
    }
}

fn is_on(entry: &Entry, name: &str, otherwise: bool) -> bool {
    match entry.option(name) {
        Some(Value::Choice(word)) => *word == "on",
        _ => otherwise,
    }
}

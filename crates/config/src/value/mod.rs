//! Words to values, by the kinds of the directive table. Each value is read alone; what values mean together is in `meaning`.
//!
//! The invariant: a value that cannot be read gives exactly one diagnostic, at its own place.

mod address;
mod host;
mod number;
mod path;
pub(crate) mod template;
mod text;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use evenkeel_model::Template;
use evenkeel_model::config::{
    ClientField, FieldMatch, HostPattern, ListenAddr, LogFormat, LogTarget, NameServer, Network, PathPattern, RetryOn,
    SecretRef, ServerAddr, StatusRange,
};

use crate::syntax::Word;
use crate::table::Kind;
use crate::{Code, Diagnostics};

pub(crate) use number::statuses;
pub(crate) use text::{bytes, is_token};

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Off,
    Text(String),
    Choice(&'static str),
    Path(PathBuf),
    Listen(ListenAddr),
    Server(ServerAddr),
    /// A server that is spoken to over TLS.
    SecureServer(ServerAddr),
    /// `self`
    OwnCertificate,
    Socket(SocketAddr),
    Ip(IpAddr),
    NameServer(NameServer),
    ServiceAddress(IpAddr, Option<u8>),
    Network(Network),
    Duration(Duration),
    Size(u64),
    Integer(u64),
    Percent(u16),
    Statuses(StatusRange),
    Bytes(Vec<u8>),
    Status(u16),
    RetryOn(RetryOn),
    ClientField(ClientField),
    PathPattern(PathPattern),
    HostPattern(HostPattern),
    Condition(FieldMatch),
    Secret(SecretRef),
    Template(Template),
    LogTarget(LogTarget),
    LogFormat(LogFormat),
}

/// Reads one value. `None` where it cannot be read, which is then reported.
// long: a table, one row a kind
pub(crate) fn read(kind: Kind, word: &Word, out: &mut Diagnostics) -> Option<Value> {
    let off = word.text == "off";
    Some(match kind {
        Kind::PathOrOff
        | Kind::DurationOrOff(..)
        | Kind::SizeOrOff(..)
        | Kind::IntegerOrOff(..)
        | Kind::TextOrOff
        | Kind::ClientField
        | Kind::LogTarget
            if off =>
        {
            Value::Off
        }
        Kind::Text | Kind::TextOrOff => Value::Text(word.text.clone()),
        Kind::Ip => Value::Ip(address::ip(word, out)?),
        Kind::DnsName => Value::Text(host::dns_name(word, out)?),
        Kind::NameServer => Value::NameServer(host::name_server(word, out)?),
        Kind::Choice(words) => Value::Choice(choice(words, word, out)?),
        Kind::Name => Value::Text(text::name(word, out)?),
        Kind::Account => Value::Text(text::account(word, out)?),
        Kind::Path | Kind::PathOrOff => Value::Path(path::absolute(word, out)?),
        Kind::Glob => Value::Text(word.text.clone()),
        Kind::Listen => Value::Listen(address::listen(word, out)?),
        Kind::Server => Value::Server(address::server(word, out)?),
        Kind::ServerOrUrl => match address::of_url(word) {
            Some(bare) => Value::SecureServer(address::server(&bare, out)?),
            None => Value::Server(address::server(word, out)?),
        },
        Kind::CertificateFile if word.text == "self" => Value::OwnCertificate,
        Kind::CertificateFile => Value::Path(path::absolute(word, out)?),
        Kind::Resolver => Value::Socket(address::resolver(word, out)?),
        Kind::ServiceAddress => {
            let (addr, prefix) = address::service(word, out)?;
            Value::ServiceAddress(addr, prefix)
        }
        Kind::Network => Value::Network(address::network(word, out)?),
        Kind::Duration(least, most) | Kind::DurationOrOff(least, most) => {
            Value::Duration(number::duration(word, least, most, out)?)
        }
        Kind::Size(least, most) | Kind::SizeOrOff(least, most) => Value::Size(number::size(word, least, most, out)?),
        Kind::Integer(least, most) | Kind::IntegerOrOff(least, most) => {
            Value::Integer(number::integer(word, least, most, out)?)
        }
        Kind::Percent(least, most) => Value::Percent(number::percent(word, least, most, out)?),
        Kind::Statuses => Value::Statuses(statuses(word, out)?),
        Kind::Bytes => Value::Bytes(bytes(word, out)?),
        // What it is depends on what is asked.
        Kind::Expected => Value::Text(word.text.clone()),
        Kind::Status(least, most) => Value::Status(number::status(word, least, most, out)?),
        Kind::RetryOn => Value::RetryOn(retry_on(word, out)?),
        Kind::Method => Value::Text(text::method(word, out)?),
        Kind::Field => Value::Text(text::token(word, "header field", out)?),
        Kind::Cookie => Value::Text(text::token(word, "cookie", out)?),
        Kind::CookieValue => Value::Text(text::cookie_value(word, out)?),
        Kind::CookiePath => Value::Text(text::cookie_path(word, out)?),
        Kind::Domain => Value::Text(host::domain(word, out)?),
        Kind::ClientField => Value::ClientField(client_field(word, out)?),
        Kind::PathPattern => Value::PathPattern(path::pattern(word, out)?),
        Kind::HostPattern => Value::HostPattern(host::pattern(word, out)?),
        Kind::Host => Value::Text(host::name(word, out)?),
        Kind::Authority => Value::Text(host::authority(word, out)?),
        Kind::UrlPath => Value::Text(path::url_path(word, out)?),
        Kind::Condition => Value::Condition(text::condition(word)),
        Kind::FieldLine => Value::Condition(text::field_line(word, out)?),
        Kind::Secret => Value::Secret(text::secret(word, out)?),
        Kind::Template(phase) => Value::Template(template::read(word, phase, out)?),
        Kind::LogTarget => Value::LogTarget(path::log_target(word, out)?),
        Kind::LogFormat => Value::LogFormat(template::log_format(word, out)?),
        Kind::MediaType => Value::Text(text::media_type(word, out)?),
        Kind::Protocol => Value::Text(text::protocol(word, out)?),
    })
}

/// The one of these words that it is.
pub(crate) fn choice(words: &'static [&'static str], word: &Word, out: &mut Diagnostics) -> Option<&'static str> {
    if let Some(found) = words.iter().find(|candidate| **candidate == word.text) {
        return Some(found);
    }
    let report = out.report(Code::E309, word.span, format!("`{}` is not allowed here", word.text));
    if let Some(near) = nearest(&word.text, words.iter().copied()) {
        report.help(format!("did you mean `{near}`?"));
    }
    report.note(allowed(words.iter().copied()));
    None
}

/// `allowed: a, b, c`.
pub(crate) fn allowed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    format!("allowed: {}", words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
}

/// The candidate that was probably meant, if one is near enough.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase().replace('_', "-");
    let far = |candidate: &str| candidate.len().div_ceil(3).min(3);
    let length = lower.chars().count();
    candidates
        // Each character more or less is a step: a look at the lengths spares most of the work.
        .filter(|candidate| length.abs_diff(candidate.chars().count()) <= far(candidate))
        .map(|candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= far(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn retry_on(word: &Word, out: &mut Diagnostics) -> Option<RetryOn> {
    match word.text.as_str() {
        "lost" => Some(RetryOn::Lost),
        "timeout" => Some(RetryOn::Timeout),
        "malformed" => Some(RetryOn::Malformed),
        text if text.starts_with(|c: char| c.is_ascii_digit()) => {
            number::status(word, 400, 599, out).map(RetryOn::Status)
        }
        text => {
            let report = out.report(Code::E309, word.span, format!("`{text}` is nothing to retry on"));
            if let Some(near) = nearest(text, ["lost", "timeout", "malformed"].into_iter()) {
                report.help(format!("did you mean `{near}`?"));
            }
            report.note("allowed: `lost`, `timeout`, `malformed`, and statuses from 400 to 599");
            None
        }
    }
}

fn client_field(word: &Word, out: &mut Diagnostics) -> Option<ClientField> {
    if let Some(field) = ClientField::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(&word.text)) {
        return Some(field);
    }
    choice(&["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "off"], word, out);
    None
}

#[cfg(test)]
mod tests;

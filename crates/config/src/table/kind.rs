//! The kinds of values. How each is read is in `value`.
//!
//! The invariant: what [`Kind::describe`] says is what is accepted.

use std::time::Duration;

use crate::print;

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Any text, or `off`.
    TextOrOff,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The name of a pool or a server.
    Name,
    /// The name of a user or a group of the system.
    Account,
    /// A path from the root.
    Path,
    /// A path from the root, or `off`.
    PathOrOff,
    /// The file of a certificate, or `self`.
    CertificateFile,
    /// A pattern for files, from the root or from the file that it stands in.
    Glob,
    /// `:PORT` or `ADDRESS:PORT`.
    Listen,
    /// `HOST:PORT`.
    Server,
    /// `HOST:PORT`, or `https://HOST:PORT`.
    ServerOrUrl,
    /// An address with an optional port, of a name server.
    Resolver,
    /// An address.
    Ip,
    /// An address that moves, with its prefix.
    ServiceAddress,
    /// An address or a range of them.
    Network,
    /// A duration within these bounds.
    Duration(Duration, Duration),
    /// A duration within these bounds, or `off`.
    DurationOrOff(Duration, Duration),
    /// Bytes within these bounds.
    Size(u64, u64),
    /// Bytes within these bounds, or `off`.
    SizeOrOff(u64, u64),
    /// A whole number within these bounds.
    Integer(u64, u64),
    /// A whole number within these bounds, or `off`.
    IntegerOrOff(u64, u64),
    /// A name of DNS.
    DnsName,
    /// A name server's name, with its addresses.
    NameServer,
    /// Percent within these bounds.
    Percent(u16, u16),
    /// Statuses and ranges of them.
    Statuses,
    /// Bytes, as a text with escapes.
    Bytes,
    /// Statuses and ranges of them, or bytes: by what is asked.
    Expected,
    /// A status within these bounds.
    Status(u16, u16),
    /// What a retry may answer to.
    RetryOn,
    /// A request method.
    Method,
    /// The name of a field.
    Field,
    /// The name of a cookie.
    Cookie,
    /// The value of a cookie.
    CookieValue,
    /// The `Path` of a cookie.
    CookiePath,
    /// A domain of cookies.
    Domain,
    /// `X-Forwarded-For` and its like, or `off`.
    ClientField,
    /// A pattern for paths.
    PathPattern,
    /// A pattern for hosts.
    HostPattern,
    /// The name of a host or a zone.
    Host,
    /// `HOST` or `HOST:PORT`.
    Authority,
    /// A path of a URL.
    UrlPath,
    /// `NAME` or `NAME:VALUE`.
    Condition,
    /// `NAME:VALUE`, a field.
    FieldLine,
    /// A reference to a secret.
    Secret,
    /// A text with variables, of which those known in that phase may be used.
    Template(Phase),
    /// Where a log goes.
    LogTarget,
    /// A log's form.
    LogFormat,
    /// A media type.
    MediaType,
    /// The name of a protocol inside of TLS.
    Protocol,
}

/// When a text is put together, which decides the variables that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the request goes to a server.
    Request,
    /// With the head of the answer.
    Answer,
    /// When all is over.
    Log,
}

impl Kind {
    /// What it accepts, for messages and the manual.
    // long: a table, one row a kind
    pub fn describe(self) -> String {
        let fixed = match self {
            Self::Choice(words) => return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" | "),
            Self::Duration(least, most) => return durations(least, most),
            Self::DurationOrOff(least, most) => return format!("{}, or `off`", durations(least, most)),
            Self::Size(least, most) => return format!("a size, {} to {}", print::size(least), print::size(most)),
            Self::SizeOrOff(least, most) => {
                return format!("a size, {} to {}, or `off`", print::size(least), print::size(most));
            }
            Self::Integer(least, most) => return format!("a whole number, {least} to {most}"),
            Self::IntegerOrOff(least, most) => return format!("a whole number, {least} to {most}, or `off`"),
            Self::Percent(least, most) => return format!("percent, {least}% to {most}%"),
            Self::Status(least, most) => return format!("a status, {least} to {most}"),
            Self::Text => "a text",
            Self::TextOrOff => "a text, or `off`",
            Self::Ip => "an address",
            Self::DnsName => "a name of DNS such as `api.example.com`",
            Self::NameServer => "`NAME`, or `NAME=ADDRESS`, with further addresses after commas",
            Self::Name => "a name: letters, digits, `-`, `_`, `.`",
            Self::Account => "a name of the system's users or groups",
            Self::Path => "a path from the root",
            Self::PathOrOff => "a path from the root, or `off`",
            Self::CertificateFile => "a path from the root, or `self`",
            Self::Glob => "a path in which `*` and `?` may stand for parts of file names",
            Self::Listen => "`:PORT`, `ADDRESS:PORT` or `[IPV6]:PORT`",
            Self::Server => "`ADDRESS:PORT`, `[IPV6]:PORT` or `NAME:PORT`",
            Self::ServerOrUrl => "`ADDRESS:PORT`, `[IPV6]:PORT` or `NAME:PORT`, with `https://` before it for TLS",
            Self::Resolver => "`ADDRESS`, `ADDRESS:PORT` or `[IPV6]:PORT`",
            Self::ServiceAddress => "an address such as `10.8.0.1`, or one with its prefix such as `10.8.0.1/24`",
            Self::Network => "an address, or a range such as `10.0.0.0/8`",
            Self::Statuses => "statuses and ranges of them: `200`, `200..399`",
            Self::Bytes => "a text, in which `\\r`, `\\n`, `\\t`, `\\xNN` and `\\\\` stand for bytes",
            Self::Expected => "statuses and ranges of them (`200`, `200..399`); with `tcp` a text with escapes",
            Self::RetryOn => "`lost`, `timeout`, `malformed`, or a status from 400 to 599",
            Self::Method => "a method such as `GET`",
            Self::Field => "the name of a header field",
            Self::Cookie => "the name of a cookie",
            Self::CookieValue => "a value that cookies may have: no blank, quote, comma, semicolon or backslash",
            Self::Domain => "a domain such as `example.com`",
            Self::ClientField => {
                "`x-forwarded-for`, `x-forwarded-proto`, `x-forwarded-host`, `x-real-ip`, `forwarded`, or `off` alone"
            }
            Self::PathPattern => "`*`, `/exact`, `/prefix/*` or a glob such as `/img/*.png`",
            Self::HostPattern => "`shop.example.com` or `*.example.com`",
            Self::Host => "a name such as `example.org`",
            Self::Authority => "a host, with `:PORT` where it is not the usual one",
            Self::UrlPath | Self::CookiePath => "a path that begins with `/`",
            Self::Condition => "`NAME`, which must be there, or `NAME:VALUE`",
            Self::FieldLine => "`NAME:VALUE`",
            Self::Secret => "`file:/PATH`, `env:NAME` or `cred:NAME`",
            Self::Template(Phase::Request) => "a text, in which `$variables` of the request may stand",
            Self::Template(Phase::Answer) => {
                "a text, in which `$variables` of the request and the answer's head may stand"
            }
            Self::Template(Phase::Log) => "a text, in which `$variables` may stand",
            Self::LogTarget => {
                "a path from the root, `stdout`, `syslog`, `syslog:/path`, `syslog:ADDRESS:PORT`, or `off`"
            }
            Self::LogFormat => "`json`, `combined`, `haproxy`, or a text with `$variables`",
            Self::MediaType => "a media type such as `text/plain`",
            Self::Protocol => "a protocol as ALPN calls it, such as `h2`, `http/1.1` or `postgresql`",
        };
        fixed.to_owned()
    }
}

fn durations(least: Duration, most: Duration) -> String {
    format!("a duration, {} to {}", print::duration(least), print::duration(most))
}

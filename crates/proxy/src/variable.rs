//! What each `$variable` is worth for one exchange.
//!
//! Not here: escaping (`log::escape`), as the same value goes into fields, pages and logs. A value is the bytes as
//! they came or were sent; nothing is decoded.

use std::io::Write as _;
use std::time::Duration;

use evenkeel_http::cookie;
use evenkeel_http::{Known, Version, uri};
use evenkeel_model::{Template, TemplatePart, Variable};
use evenkeel_net::tls::{ClientCertificate, TlsFacts};

use crate::buffer::Buffer;
use crate::exchange::Exchange;
use crate::log::time;
use crate::route::TRACE_PARENT;
use evenkeel_http::RequestHead;
use tokio::time::Instant;

/// What a request that came in a stream says it speaks.
const HTTP2: &[u8] = b"HTTP/2.0";

/// One exchange, as templates see it.
pub(crate) struct Scene<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) request: &'a RequestHead,
    pub(crate) input: &'a Buffer,
    /// The time of day, since 1970.
    pub(crate) unix: Duration,
    /// The moment at which spans of time end.
    pub(crate) now: Instant,
}

/// Appends what a variable is worth of a client's TLS; `false` where it has no value, or is about something else.
pub(crate) fn write_tls(tls: &TlsFacts, variable: &Variable, out: &mut Vec<u8>) -> bool {
    let client = tls.client.as_deref();
    let of_client = |part: fn(&ClientCertificate) -> &String| client.map(|it| part(it).as_bytes());
    match variable {
        Variable::SslProtocol => bytes(out, Some(tls.protocol.as_bytes())),
        Variable::SslCipher => bytes(out, word(tls.cipher)),
        Variable::SslServerName => bytes(out, tls.server_name.as_ref().map(String::as_bytes)),
        Variable::SslAlpnProtocol => bytes(out, tls.application.as_ref().map(String::as_bytes)),
        Variable::SslSessionReused => bytes(out, Some(if tls.is_resumed { b"r" } else { b"." })),
        Variable::SslClientVerify => bytes(out, Some(if client.is_some() { b"SUCCESS" } else { b"NONE" })),
        Variable::SslClientSubject => bytes(out, of_client(|it| &it.subject)),
        Variable::SslClientIssuer => bytes(out, of_client(|it| &it.issuer)),
        Variable::SslClientSerial => bytes(out, of_client(|it| &it.serial)),
        Variable::SslClientFingerprint => bytes(out, of_client(|it| &it.fingerprint)),
        _ => false,
    }
}

/// Appends a template's text. Variables without a value add nothing.
pub(crate) fn render(template: &Template, scene: &Scene<'_>, out: &mut Vec<u8>) {
    for part in &template.parts {
        match part {
            TemplatePart::Text(text) => out.extend_from_slice(text.as_bytes()),
            TemplatePart::Variable(variable) => {
                scene.write(variable, out);
            }
        }
    }
}

impl Scene<'_> {
    fn buf(&self) -> &[u8] {
        self.input.written()
    }

    /// A request's field.
    pub(crate) fn field(&self, known: Known) -> Option<&[u8]> {
        self.request.fields().first(self.buf(), known)
    }

    /// Appends a variable's value; `false` where it has none.
    pub(crate) fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let said = self.write_request_part(variable, out)
            || self.write_tls_part(variable, out)
            || self.write_late_part(variable, out)
            || self.write_time_part(variable, out);
        said && out.len() > before
    }

    fn write_request_part(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let (exchange, request, buf) = (self.exchange, self.request, self.buf());
        match variable {
            Variable::Client => number(out, exchange.client),
            Variable::ClientPort => number(out, exchange.peer.port()),
            Variable::Peer => number(out, exchange.peer.ip()),
            Variable::Xff => bytes(out, self.field(Known::XForwardedFor)),
            Variable::User => self.field(Known::Authorization).is_some_and(|value| write_basic_user(value, out)),
            Variable::Request if exchange.is_stream => {
                let parts = [request.method_text(buf), b" ", request.target(buf), b" ", HTTP2];
                parts.into_iter().for_each(|part| out.extend_from_slice(part));
                true
            }
            Variable::Request => bytes(out, Some(request.line(buf))),
            Variable::Method => bytes(out, Some(request.method_text(buf))),
            Variable::Target => bytes(out, Some(request.target(buf))),
            Variable::Path => bytes(out, Some(request.path(buf))),
            Variable::QueryString => bytes(out, request.query(buf)),
            Variable::Host => {
                out.extend(request.host(buf).iter().map(u8::to_ascii_lowercase));
                true
            }
            Variable::Scheme => bytes(out, Some(if exchange.is_secure { b"https" } else { b"http" })),
            Variable::Protocol => bytes(out, Some(self.protocol())),
            Variable::Listener => bytes(out, self.listener_name().map(str::as_bytes)),
            Variable::RequestId => bytes(out, Some(exchange.id.as_bytes())),
            Variable::TraceParent => match &exchange.trace {
                Some(trace) => bytes(out, Some(trace.as_bytes())),
                None => bytes(out, request.fields().find(buf, TRACE_PARENT)),
            },
            Variable::Referer => bytes(out, self.field(Known::Referer)),
            Variable::UserAgent => bytes(out, self.field(Known::UserAgent)),
            Variable::RequestField(name) => bytes(out, request.fields().find(buf, name.as_bytes())),
            Variable::Cookie(name) => bytes(out, cookie::values(request.fields(), buf, name.as_bytes()).next()),
            Variable::Query(name) => {
                bytes(out, request.query(buf).and_then(|query| uri::query_value(query, name.as_bytes())))
            }
            _ => false,
        }
    }

    fn write_tls_part(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.exchange.tls.as_deref().is_some_and(|tls| write_tls(tls, variable, out))
    }

    fn write_late_part(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let exchange = self.exchange;
        match variable {
            Variable::Route => bytes(out, self.route_name().map(str::as_bytes)),
            Variable::Pool => bytes(out, self.pool_name().map(str::as_bytes)),
            Variable::Server => bytes(out, self.server_name().map(str::as_bytes)),
            Variable::ServerAddr => exchange.server_addr.is_some_and(|addr| number(out, addr)),
            Variable::Status => number(out, exchange.status),
            Variable::Bytes => number(out, exchange.sent),
            Variable::BodyBytes => number(out, exchange.body_sent),
            Variable::BytesIn => number(out, exchange.received),
            Variable::Sticky => bytes(out, Some(exchange.stuck.outcome.as_str().as_bytes())),
            Variable::StickyBy => bytes(out, word(exchange.stuck.by().as_str())),
            Variable::StickyWhy => bytes(out, word(exchange.stuck.why().as_str())),
            Variable::Retries => number(out, exchange.retries),
            Variable::End => bytes(out, Some(exchange.end.as_bytes())),
            Variable::ConnRequests => number(out, exchange.conn_requests),
            Variable::ResponseField(name) => {
                let found = exchange.answer_fields.iter().find(|(known, _)| known == name);
                bytes(out, found.map(|(_, value)| value.as_slice()))
            }
            _ => false,
        }
    }

    fn write_time_part(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let span: fn(&Spans) -> Option<Duration> = match variable {
            Variable::Time => return some(out, |out| time::write_common(self.unix, out)),
            Variable::TimeIso => return some(out, |out| time::write_iso(self.unix, out)),
            Variable::TimeUnix => return some(out, |out| time::write_unix(self.unix, out)),
            Variable::TimeHead => |spans| Some(spans.head),
            Variable::TimeQueue => |spans| spans.queue,
            Variable::TimeConnect => |spans| spans.connect,
            Variable::TimeFirst => |spans| spans.first,
            Variable::TimeTotal => |spans| Some(spans.total),
            _ => return false,
        };
        span(&self.spans()).is_some_and(|span| number(out, span.as_millis()))
    }

    /// How long each part took.
    pub(crate) fn spans(&self) -> Spans {
        let times = &self.exchange.times;
        let first = times.first.zip(times.despatched).map(|(first, despatched)| first.duration_since(despatched));
        Spans {
            head: times.head.duration_since(times.started),
            queue: self.exchange.pool.as_ref().map(|_| times.queue),
            connect: times.connect,
            first,
            total: self.now.duration_since(times.started),
        }
    }

    /// What the client speaks, as request lines have it.
    pub(crate) fn protocol(&self) -> &'static [u8] {
        match (self.exchange.is_stream, self.request.version()) {
            (true, _) => HTTP2,
            (false, Version::Http10) => b"HTTP/1.0",
            (false, Version::Http11) => b"HTTP/1.1",
        }
    }

    pub(crate) fn listener_name(&self) -> Option<&str> {
        self.exchange.snapshot.listener(self.exchange.place.listener).map(|(config, _)| config.name.as_str())
    }

    pub(crate) fn route_name(&self) -> Option<&str> {
        let place = self.exchange.place;
        self.exchange.snapshot.route(place.listener, place.site?, place.route?).map(|route| route.name.as_str())
    }

    pub(crate) fn pool_name(&self) -> Option<&str> {
        self.exchange.pool.as_ref().map(|pool| pool.config.name.as_str())
    }

    pub(crate) fn server_name(&self) -> Option<&str> {
        self.exchange.server_part().map(|server| server.id.server.as_str())
    }
}

/// How long the parts of an exchange took; `None` for one that it did not come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    pub(crate) head: Duration,
    pub(crate) queue: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) first: Option<Duration>,
    pub(crate) total: Duration,
}

fn bytes(out: &mut Vec<u8>, value: Option<&[u8]>) -> bool {
    if let Some(value) = value {
        out.extend_from_slice(value);
    }
    value.is_some()
}

/// A word, unless it is empty.
pub(crate) fn word(word: &'static str) -> Option<&'static [u8]> {
    (!word.is_empty()).then_some(word.as_bytes())
}

fn number(out: &mut Vec<u8>, value: impl std::fmt::Display) -> bool {
    // Writing into a Vec cannot fail.
    write!(out, "{value}").is_ok()
}

fn some(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    write(out);
    true
}

/// Appends the user of `Basic` credentials (RFC 7617), never what follows the colon.
pub(crate) fn write_basic_user(credentials: &[u8], out: &mut Vec<u8>) -> bool {
    let Some((scheme, encoded)) = credentials.split_at_checked(6) else { return false };
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return false;
    }
    let before = out.len();
    let mut gathered = 0u32;
    let mut bits = 0u32;
    for symbol in encoded.trim_ascii() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        gathered = (gathered << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let byte = (gathered >> bits & 0xff) as u8;
            if byte == b':' {
                return true;
            }
            out.push(byte);
        }
    }
    // Without a colon the whole may be a password.
    out.truncate(before);
    false
}

#[cfg(test)]
mod tests {
    use super::write_basic_user;

    #[test]
    fn of_basic_credentials_the_user_alone_is_shown() {
        for (credentials, wanted) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some("Aladdin")),
            ("basic dTo=", Some("u")),
            ("Basic c2VjcmV0", None),
            ("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", None),
            ("Basic", None),
            ("Basic ====", None),
        ] {
            let mut out = Vec::new();
            let said = write_basic_user(credentials.as_bytes(), &mut out);
            assert_eq!(said.then(|| String::from_utf8(out).unwrap()).as_deref(), wanted, "{credentials}");
        }
    }
}

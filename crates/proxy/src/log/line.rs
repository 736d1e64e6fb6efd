//! What a line of the access log looks like, by format.
//!
//! Not here: whether a line is written (`record`). The invariant: whatever a client sends, a line stays one line.

use std::io::Write as _;
use std::time::Duration;

use evenkeel_http::Known;
use evenkeel_model::config::LogFormat;
use evenkeel_model::{TemplatePart, Variable};

use super::{escape, time};
use crate::variable::{Scene, word};

// Writing into a Vec cannot fail, so that the results of `write!` below carry nothing.

/// Appends one line with its newline.
pub(crate) fn write(format: &LogFormat, scene: &Scene<'_>, out: &mut Vec<u8>) {
    match format {
        LogFormat::Json => json(scene, out),
        LogFormat::Combined => combined(scene, out),
        LogFormat::Haproxy => haproxy(scene, out),
        LogFormat::Custom(template) => {
            for part in &template.parts {
                match part {
                    TemplatePart::Text(text) => {
                        let from = out.len();
                        out.extend_from_slice(text.as_bytes());
                        // A template's own line end would make two lines of one.
                        out.iter_mut()
                            .skip(from)
                            .filter(|byte| matches!(byte, b'\n' | b'\r'))
                            .for_each(|byte| *byte = b' ');
                    }
                    TemplatePart::Variable(variable) => value(variable, scene, out),
                }
            }
        }
    }
    out.push(b'\n');
}

/// Appends a variable's value made harmless, or `-`.
fn value(variable: &Variable, scene: &Scene<'_>, out: &mut Vec<u8>) {
    let from = out.len();
    if scene.write(variable, out) {
        escape::text_since(from, out);
    } else {
        out.truncate(from);
        out.push(b'-');
    }
}

/// `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"` of the Apache family.
fn combined(scene: &Scene<'_>, out: &mut Vec<u8>) {
    value(&Variable::Client, scene, out);
    out.extend_from_slice(b" - ");
    value(&Variable::User, scene, out);
    out.extend_from_slice(b" [");
    time::write_common(scene.unix, out);
    out.extend_from_slice(b"] \"");
    value(&Variable::Request, scene, out);
    out.extend_from_slice(b"\" ");
    time::number(out, u64::from(scene.exchange.status));
    out.push(b' ');
    match scene.exchange.body_sent {
        0 => out.push(b'-'),
        bytes => time::number(out, bytes),
    }
    for variable in [Variable::Referer, Variable::UserAgent] {
        out.extend_from_slice(b" \"");
        value(&variable, scene, out);
        out.push(b'"');
    }
}

/// The line of `option httplog`: client, date, frontend, backend/server, `TR/Tw/Tc/Tr/Ta`, status, bytes, cookies,
/// termination state, five counters, two queues and the request. What has no counterpart here is `-` or 0.
fn haproxy(scene: &Scene<'_>, out: &mut Vec<u8>) {
    let exchange = scene.exchange;
    let spans = scene.spans();
    let _ = write!(out, "{}:{} [", exchange.client, exchange.peer.port());
    time::write_haproxy(scene.unix.saturating_sub(spans.total), out);
    let listener = scene.listener_name().unwrap_or("-");
    let pool = scene.pool_name().unwrap_or(listener);
    let server = scene.server_name().unwrap_or("<NOSRV>");
    let _ = write!(out, "] {listener} {pool}/{server} {}/", spans.head.as_millis());
    for span in [spans.queue, spans.connect, spans.first] {
        match span {
            Some(span) => {
                let _ = write!(out, "{}/", span.as_millis());
            }
            None => out.extend_from_slice(b"-1/"),
        }
    }
    let _ = write!(
        out,
        "{} {} {} - - {} {}/{}/{}/{}/{} 0/0 \"",
        spans.total.as_millis(),
        exchange.status,
        exchange.sent,
        termination(exchange.end),
        0,
        0,
        0,
        0,
        exchange.retries
    );
    value(&Variable::Request, scene, out);
    out.push(b'"');
}

/// HAProxy's two letters of how an exchange ended, and two of cookies that we do not speak of.
fn termination(end: &str) -> &'static str {
    match end {
        "ok" => "----",
        "client-abort" => "CD--",
        "client-timeout" => "cD--",
        "client-error" | "unsupported" => "PR--",
        "server-timeout" => "sH--",
        "connect-timeout" => "sC--",
        "connect-failed" | "no-server" | "maintenance" => "SC--",
        "queue-timeout" => "sQ--",
        "queue-full" => "PQ--",
        "server-abort" => "SD--",
        "server-lost" | "server-status" => "SH--",
        "server-malformed" => "PH--",
        _ => "L---",
    }
}

fn json(scene: &Scene<'_>, out: &mut Vec<u8>) {
    let exchange = scene.exchange;
    let (request, buf) = (scene.request, scene.input.written());
    out.extend_from_slice(b"{\"time\":\"");
    time::write_iso(scene.unix, out);
    let _ = write!(out, "\",\"client\":\"{}\"", exchange.client);
    text(out, "id", Some(exchange.id.as_bytes()));
    text(out, "method", Some(request.method_text(buf)));
    text(out, "host", Some(request.host(buf)));
    text(out, "target", Some(request.target(buf)));
    text(out, "protocol", (!request.line(buf).is_empty()).then(|| scene.protocol()));
    count(out, "status", u64::from(exchange.status));
    count(out, "bytes", exchange.sent);
    count(out, "body_bytes", exchange.body_sent);
    count(out, "bytes_in", exchange.received);
    text(out, "listener", scene.listener_name().map(str::as_bytes));
    text(out, "route", scene.route_name().map(str::as_bytes));
    text(out, "pool", scene.pool_name().map(str::as_bytes));
    text(out, "server", scene.server_name().map(str::as_bytes));
    if let Some(addr) = exchange.server_addr {
        let _ = write!(out, ",\"server_addr\":\"{addr}\"");
    }
    text(out, "sticky", Some(exchange.stuck.outcome.as_str().as_bytes()));
    text(out, "sticky_by", word(exchange.stuck.by().as_str()));
    text(out, "sticky_why", word(exchange.stuck.why().as_str()));
    count(out, "retries", u64::from(exchange.retries));
    text(out, "end", Some(exchange.end.as_bytes()));
    count(out, "conn_requests", u64::from(exchange.conn_requests));
    let spans = scene.spans();
    span(out, "t_head", Some(spans.head));
    span(out, "t_queue", spans.queue);
    span(out, "t_connect", spans.connect);
    span(out, "t_first", spans.first);
    span(out, "t_total", Some(spans.total));
    text(out, "referer", scene.field(Known::Referer));
    text(out, "user_agent", scene.field(Known::UserAgent));
    out.push(b'}');
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

pub(super) fn text(out: &mut Vec<u8>, called: &str, value: Option<&[u8]>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        name(out, called);
        escape::json(value, out);
    }
}

pub(super) fn count(out: &mut Vec<u8>, called: &str, value: u64) {
    name(out, called);
    time::number(out, value);
}

/// Milliseconds, with the microseconds that matter inside a data centre.
pub(super) fn span(out: &mut Vec<u8>, called: &str, span: Option<Duration>) {
    if let Some(span) = span {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        count(out, called, micros / 1000);
        out.push(b'.');
        time::padded(out, micros % 1000, 3);
    }
}

//! What a line about a connection of a TCP listener looks like, by format.
//!
//! Not here: lines about requests (`line`). The invariant: as there, whatever a client sends, a line stays one line.

use std::io::Write as _;
use std::time::Duration;

use evenkeel_model::config::LogFormat;
use evenkeel_model::{TemplatePart, Variable};
use evenkeel_net::clock;

use super::line::{count, span, text};
use super::{escape, time};
use crate::serve::tcp::Passage;
use crate::variable;

// Writing into a Vec cannot fail, so that the results of `write!` below carry nothing.

/// Appends one line with its newline.
pub(crate) fn write(format: &LogFormat, passage: &Passage, out: &mut Vec<u8>) {
    let scene = Scene { passage, unix: clock::unix_now(), total: passage.times.started.elapsed() };
    match format {
        LogFormat::Json => scene.json(out),
        LogFormat::Haproxy => scene.haproxy(out),
        LogFormat::Combined => scene.combined(out),
        LogFormat::Custom(template) => {
            for part in &template.parts {
                match part {
                    TemplatePart::Text(text) => out.extend(text.bytes().map(|byte| match byte {
                        // A template's own line end would make two lines of one.
                        b'\n' | b'\r' => b' ',
                        byte => byte,
                    })),
                    TemplatePart::Variable(variable) => scene.value(variable, out),
                }
            }
        }
    }
    out.push(b'\n');
}

/// A connection at the moment of its line.
struct Scene<'a> {
    passage: &'a Passage,
    /// The time of day, since 1970.
    unix: Duration,
    total: Duration,
}

impl Scene<'_> {
    /// Appends a variable's value made harmless, or `-`.
    fn value(&self, variable: &Variable, out: &mut Vec<u8>) {
        let from = out.len();
        self.raw(variable, out);
        match out.len() == from {
            true => out.push(b'-'),
            false => escape::text_since(from, out),
        }
    }

    /// Appends what a connection has of it.
    fn raw(&self, variable: &Variable, out: &mut Vec<u8>) {
        let passage = self.passage;
        match variable {
            Variable::Time => return time::write_common(self.unix, out),
            Variable::TimeIso => return time::write_iso(self.unix, out),
            Variable::TimeUnix => return time::write_unix(self.unix, out),
            _ => {}
        }
        if self.tls(variable, out) {
            return;
        }
        let _ = match variable {
            Variable::Client | Variable::Peer => write!(out, "{}", passage.peer.ip()),
            Variable::ClientPort => write!(out, "{}", passage.peer.port()),
            Variable::Listener => write!(out, "{}", self.listener()),
            Variable::Route => write!(out, "{}", self.route().unwrap_or_default()),
            Variable::Pool => write!(out, "{}", self.pool().unwrap_or_default()),
            Variable::Server => write!(out, "{}", self.server().unwrap_or_default()),
            Variable::ServerAddr => passage.server_addr.map_or(Ok(()), |addr| write!(out, "{addr}")),
            Variable::Host => write!(out, "{}", passage.facts.authority.as_deref().unwrap_or_default()),
            Variable::Protocol => write!(out, "TCP"),
            Variable::Bytes | Variable::BodyBytes => write!(out, "{}", passage.sent),
            Variable::BytesIn => write!(out, "{}", passage.received),
            Variable::Retries => write!(out, "{}", passage.retries),
            Variable::End => write!(out, "{}", passage.end),
            Variable::TimeQueue if passage.pool.is_some() => write!(out, "{}", passage.times.queue.as_millis()),
            Variable::TimeConnect => passage.times.connect.map_or(Ok(()), |took| write!(out, "{}", took.as_millis())),
            Variable::TimeFirst => self.first().map_or(Ok(()), |took| write!(out, "{}", took.as_millis())),
            Variable::TimeTotal => write!(out, "{}", self.total.as_millis()),
            _ => Ok(()),
        };
    }

    /// Appends what it is of TLS that ended here; whether it is of TLS.
    fn tls(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        self.passage.tls.as_deref().is_some_and(|tls| variable::write_tls(tls, variable, out))
    }

    fn json(&self, out: &mut Vec<u8>) {
        let passage = self.passage;
        out.extend_from_slice(b"{\"time\":\"");
        time::write_iso(self.unix, out);
        let _ = write!(out, "\",\"client\":\"{}\"", passage.peer.ip());
        count(out, "client_port", u64::from(passage.peer.port()));
        text(out, "protocol", Some(b"TCP"));
        text(out, "tls", passage.tls.as_deref().map(|tls| tls.protocol.as_bytes()));
        text(out, "sni", passage.facts.authority.as_deref().map(str::as_bytes));
        count(out, "bytes", passage.sent);
        count(out, "bytes_in", passage.received);
        text(out, "listener", Some(self.listener().as_bytes()));
        text(out, "route", self.route().map(str::as_bytes));
        text(out, "pool", self.pool().map(str::as_bytes));
        text(out, "server", self.server().map(str::as_bytes));
        if let Some(addr) = passage.server_addr {
            let _ = write!(out, ",\"server_addr\":\"{addr}\"");
        }
        count(out, "retries", u64::from(passage.retries));
        text(out, "end", Some(passage.end.as_bytes()));
        span(out, "t_queue", passage.pool.as_ref().map(|_| passage.times.queue));
        span(out, "t_connect", passage.times.connect);
        span(out, "t_first", self.first());
        span(out, "t_total", Some(self.total));
        out.push(b'}');
    }

    /// The line of `option tcplog`: client, date, frontend, backend/server, `Tw/Tc/Tt`, bytes, termination state, five
    /// counters and two queues. What has no counterpart here is 0.
    fn haproxy(&self, out: &mut Vec<u8>) {
        let passage = self.passage;
        let _ = write!(out, "{}:{} [", passage.peer.ip(), passage.peer.port());
        time::write_haproxy(self.unix.saturating_sub(self.total), out);
        let listener = self.listener();
        let (pool, server) = (self.pool().unwrap_or(listener), self.server().unwrap_or("<NOSRV>"));
        let _ = write!(out, "] {listener} {pool}/{server} ");
        for span in [passage.pool.as_ref().map(|_| passage.times.queue), passage.times.connect] {
            let _ = match span {
                Some(span) => write!(out, "{}/", span.as_millis()),
                None => write!(out, "-1/"),
            };
        }
        let (total, end) = (self.total.as_millis(), termination(passage.end));
        let _ = write!(out, "{total} {} {end} 0/0/0/0/{} 0/0", passage.sent, passage.retries);
    }

    /// The form of web servers, for a log at the top that requests share: no request, no status.
    fn combined(&self, out: &mut Vec<u8>) {
        let _ = write!(out, "{} - - [", self.passage.peer.ip());
        time::write_common(self.unix, out);
        let _ = write!(out, "] \"-\" - {} \"-\" \"-\"", self.passage.sent);
    }

    fn listener(&self) -> &str {
        let passage = self.passage;
        passage.snapshot.listener(passage.listener).map_or("-", |(config, _)| config.name.as_str())
    }

    fn route(&self) -> Option<&str> {
        let passage = self.passage;
        let tcp = passage.snapshot.listener(passage.listener)?.0.tcp.as_ref()?;
        Some(tcp.routes.get(passage.route?)?.name.as_str())
    }

    fn pool(&self) -> Option<&str> {
        self.passage.pool.as_ref().map(|pool| pool.config.name.as_str())
    }

    fn server(&self) -> Option<&str> {
        let pool = self.passage.pool.as_ref()?;
        Some(pool.server(self.passage.server?)?.id.server.as_str())
    }

    /// From the connection's begin to the server's first byte.
    fn first(&self) -> Option<Duration> {
        let times = &self.passage.times;
        times.first.map(|first| first.saturating_duration_since(times.started))
    }
}

/// HAProxy's two letters of how a connection ended.
fn termination(end: &str) -> &'static str {
    match end {
        "ok" => "--",
        "client-abort" => "CD",
        "client-timeout" | "idle-timeout" => "cD",
        "client-error" | "no-route" => "PR",
        "fin-timeout" => "sD",
        "connect-timeout" => "sC",
        "connect-failed" | "no-server" | "maintenance" => "SC",
        "queue-timeout" => "sQ",
        "queue-full" => "PQ",
        "server-abort" => "SD",
        "server-down" => "DD",
        "cut" => "KD",
        _ => "L-",
    }
}

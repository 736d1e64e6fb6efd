//! What is remembered of an exchange: counters, reports to the health keeper, the access log.
//!
//! Not here: what a line looks like (`log::line`). The invariant: a fault of a client is never counted against a
//! server, nor reported.

use std::sync::atomic::Ordering;

use evenkeel_http::matching;
use evenkeel_model::Reason;
use evenkeel_model::config::{LogRule, LogSubject};
use evenkeel_net::clock;

use crate::buffer::Desk;
use crate::error::{ProxyError, Side};
use crate::exchange::Exchange;
use crate::log::line;
use crate::serve::h1::Client;
use crate::shared::{TrafficOutcome, TrafficReport, add};
use crate::snapshot::PoolPart;
use crate::{respond, route};

/// Counts a request that came to a pool.
pub(crate) fn arrival(client: &Client, pool: &PoolPart) {
    add(&pool.shared.requests, 1);
    client.worker.with_budget(&pool.config.name, |budget, now| {
        budget.on_request(now);
        true
    });
}

/// Counts and reports a failed attempt, where the server is to blame.
pub(crate) fn failure(client: &Client, exchange: &Exchange, pool: &PoolPart, error: &ProxyError) {
    // That a kept connection was closed in the moment of its use is nobody's fault.
    let is_race = exchange.was_reused && error.kind == crate::error::Kind::ServerLost;
    if error.side != Side::Server || is_race {
        return;
    }
    let Some((reason, status)) = error.server_reason() else { return };
    blame(client, exchange, pool, reason, status);
}

/// Notes the status of the answer that is about to be passed on.
pub(crate) fn status(client: &Client, exchange: &mut Exchange, pool: &PoolPart, status: u16) {
    exchange.status = status;
    let Some(server) = exchange.server.and_then(|index| pool.server(index)) else { return };
    if status >= 500 {
        add(&server.shared.errors_5xx, 1);
    }
    if exchange.sticky == evenkeel_balance::sticky::StickyOutcome::Hit {
        add(&server.shared.sticky_hits, 1);
    }
    if matches!(status, 500 | 502 | 503 | 504) {
        blame(client, exchange, pool, Reason::StatusMismatch, Some(status));
    }
}

fn blame(client: &Client, exchange: &Exchange, pool: &PoolPart, reason: Reason, status: Option<u16>) {
    let Some(server) = exchange.server.and_then(|index| pool.server(index)) else { return };
    server.shared.load.count_failure();
    client.worker.shared.report(TrafficReport {
        server: server.id.clone(),
        outcome: TrafficOutcome::Failed { reason, status },
        at: clock::now(),
    });
}

/// Counts a finished exchange, and writes its log lines.
pub(crate) fn exchange(client: &Client, desk: &Desk, exchange: &Exchange) {
    let counters = &client.worker.counters;
    add(&counters.requests, 1);
    if let Some(class) = counters.by_class.get(usize::from(exchange.status / 100).saturating_sub(1)) {
        class.fetch_add(1, Ordering::Relaxed);
    }
    add(&counters.bytes_in, exchange.received);
    add(&counters.bytes_out, exchange.sent);
    if let Some((_, part)) = exchange.snapshot.listener(exchange.place.listener) {
        add(&part.shared.requests, 1);
    }
    if let Some(server) = exchange.server_part() {
        add(&server.shared.bytes_in, exchange.received);
        add(&server.shared.bytes_out, exchange.sent);
    }
    write_logs(client, desk, exchange);
}

fn write_logs(client: &Client, desk: &Desk, exchange: &Exchange) {
    let place = exchange.place;
    // A request that came to no site is logged where the listener's first site is.
    let Some((_, part)) = exchange.snapshot.site(place.listener, place.site.unwrap_or(0)) else { return };
    if part.logs.is_empty() {
        return;
    }
    let scene = respond::scene(desk, exchange);
    for log in &part.logs {
        if is_left_out(client, desk, exchange, &log.config.rules) {
            continue;
        }
        let written = client.worker.batches.append(&log.sink, |out| line::write(&log.config.format, &scene, out));
        client.worker.count_lost_lines(written.lost);
        if written.is_first {
            client.worker.poke();
        }
    }
}

/// Whether the first rule that fits leaves the line out.
fn is_left_out(client: &Client, desk: &Desk, exchange: &Exchange, rules: &[LogRule]) -> bool {
    let rule = rules.iter().find(|rule| rule.subjects.iter().all(|subject| fits(desk, exchange, subject)));
    rule.is_some_and(|rule| {
        let percent = u64::from(rule.keep_percent);
        percent < 100 && (client.worker.chance() >> 33) % 100 >= percent
    })
}

fn fits(desk: &Desk, exchange: &Exchange, subject: &LogSubject) -> bool {
    match subject {
        LogSubject::Path(pattern) => matching::path_fits(pattern, route::normal_path(desk)),
        LogSubject::Status(range) => range.contains(exchange.status),
        LogSubject::Method(method) => desk.request.method_text(desk.input.written()) == method.as_bytes(),
    }
}

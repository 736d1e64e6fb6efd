//! What is remembered of an exchange: counters, reports to the health keeper, the access log.
//!
//! Not here: what a line looks like (`log::line`). The invariant: a fault of a client is never counted against a
//! server, nor reported.

use evenkeel_balance::ServerIndex;
use evenkeel_balance::sticky::StickyOutcome;
use evenkeel_http::matching;
use evenkeel_model::config::{LogRule, LogSubject};
use evenkeel_model::{Histogram, Reason};
use evenkeel_net::clock;
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::counts::TrafficCounts;
use crate::error::{ProxyError, Side};
use crate::exchange::Exchange;
use crate::hold::HeldPool;
use crate::log::line;
use crate::serve::h1::Client;
use crate::server::Attempt;
use crate::shared::{TrafficOutcome, TrafficReport};
use crate::worker::Worker;
use crate::{respond, route, stick};

/// Counts a request that came to a pool.
pub(crate) fn arrival(pool: &HeldPool) {
    pool.counts().traffic.requests.add(1);
    pool.memory().budget.borrow_mut().on_request(clock::now());
}

/// Counts an attempt that goes over a kept connection.
pub(crate) fn reuse(attempt: &Attempt<'_>) {
    if let Some(counts) = attempt.pool.server_counts(attempt.index) {
        counts.reused.add(1);
    }
}

/// Counts an attempt to connect.
pub(crate) fn connect((pool, index): (&HeldPool, ServerIndex), is_made: bool) {
    if let Some(counts) = pool.server_counts(index) {
        let count = if is_made { &counts.connects } else { &counts.connect_failures };
        count.add(1);
    }
}

/// Counts a request that goes to a server.
pub(crate) fn despatch(attempt: &Attempt<'_>) {
    if let Some(counts) = attempt.pool.server_counts(attempt.index) {
        counts.traffic.requests.add(1);
    }
}

/// Counts a server's answer, whether or not it is passed on.
pub(crate) fn answer(exchange: &Exchange, attempt: &Attempt<'_>, status: u16) {
    let Some(counts) = attempt.pool.server_counts(attempt.index) else { return };
    counts.traffic.add_status(status);
    if let Some((first, despatched)) = exchange.times.first.zip(exchange.times.despatched) {
        counts.traffic.times.add(first.saturating_duration_since(despatched));
    }
}

/// Counts and reports a failed attempt, where the server is to blame.
pub(crate) fn failure(client: &Client, exchange: &Exchange, pool: &HeldPool, error: &ProxyError) {
    // That a kept connection was closed in the moment of its use is nobody's fault.
    let is_race = exchange.was_reused && error.kind == crate::error::Kind::ServerLost;
    if error.side != Side::Server || is_race {
        return;
    }
    let Some((reason, status)) = error.server_reason() else { return };
    blame(client, exchange, pool, reason, status);
}

/// Notes the status of the answer that is about to be passed on.
pub(crate) fn status(client: &Client, exchange: &mut Exchange, pool: &HeldPool, status: u16) {
    exchange.status = status;
    session(exchange, pool);
    if matches!(status, 500 | 502 | 503 | 504) {
        blame(client, exchange, pool, Reason::StatusMismatch, Some(status));
    }
}

/// Counts how the session was found: what a server served on the one that did, what it lost on the one that had it.
fn session(exchange: &Exchange, pool: &HeldPool) {
    stick::count(exchange, pool);
    let answered = || exchange.server.and_then(|index| pool.server_counts(index));
    let own = || exchange.stuck.seen.bond.server().and_then(|index| pool.server_counts(index));
    match exchange.stuck.outcome {
        StickyOutcome::Hit => answered().into_iter().for_each(|counts| counts.sticky_hits.add(1)),
        StickyOutcome::New => answered().into_iter().for_each(|counts| counts.sticky_new.add(1)),
        StickyOutcome::Moved => own().into_iter().for_each(|counts| counts.sticky_moved.add(1)),
        StickyOutcome::Lost => own().into_iter().for_each(|counts| counts.sticky_lost.add(1)),
        StickyOutcome::None => {}
    }
}

fn blame(client: &Client, exchange: &Exchange, pool: &HeldPool, reason: Reason, status: Option<u16>) {
    if let Some(index) = exchange.server {
        report(&client.worker, (pool, index), reason, status);
    }
}

/// Counts a failure against a server, and reports it.
pub(crate) fn report(worker: &Worker, (pool, index): (&HeldPool, ServerIndex), reason: Reason, status: Option<u16>) {
    let Some((server, counts)) = pool.server(index).zip(pool.server_counts(index)) else { return };
    counts.failures.add(1);
    worker.shared.report(TrafficReport {
        server: server.id.clone(),
        outcome: TrafficOutcome::Failed { reason, status },
        at: clock::now(),
    });
}

/// Counts a finished exchange, and writes its log lines.
pub(crate) fn exchange(client: &Client, desk: &Desk, exchange: &Exchange) {
    let ended = exchange.times.ended.unwrap_or_else(Instant::now);
    let took = ended.saturating_duration_since(exchange.times.started);
    let step = Histogram::step(took);
    let (received, sent, status) = (exchange.received, exchange.sent, exchange.status);
    // What an upgraded connection took says nothing of how fast anyone answers.
    let is_timed = status != 101;
    // Whoever left before an answer began has a line in the log and is in no class.
    let class = Some(status).filter(|_| exchange.is_answered).unwrap_or(0);
    let finish = |traffic: &TrafficCounts| {
        traffic.add_status(class);
        traffic.add_bytes(received, sent);
        if is_timed {
            traffic.times.add_at(step, took);
        }
    };
    if let Some(counts) = exchange.snapshot.listener_counts(exchange.place.listener) {
        counts.traffic.requests.add(1);
        finish(&counts.traffic);
    }
    if let Some(pool) = &exchange.pool {
        finish(&pool.counts().traffic);
        if let Some(counts) = exchange.server.and_then(|index| pool.server_counts(index)) {
            counts.traffic.add_bytes(received, sent);
        }
    }
    let counts = &client.worker.counts;
    counts.requests.add(1);
    if let Some(class) = usize::from(class / 100).checked_sub(1).and_then(|class| counts.by_class.get(class)) {
        class.add(1);
    }
    counts.bytes_in.add(received);
    counts.bytes_out.add(sent);
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

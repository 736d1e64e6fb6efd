//! Heads of answers, and answers of our own.
//!
//! Not here: how a head is serialised (`evenkeel_http::write`) and what pages exist (`pages`). The invariant: after an
//! answer of our own the connection is kept only if the request's body was read to its end.

use std::future::poll_fn;
use std::net::IpAddr;
use std::time::Duration;

use arrayvec::ArrayVec;
use evenkeel_http::{BodyDecoder, ConnectionField, Edit, Framing, Keep, Known, Method, OwnResponse, ResponseOut};
use evenkeel_http::{RunState, Version, grpc, write_own_response, write_response};
use evenkeel_model::caps;
use evenkeel_model::config::{Action, FieldEdit, Redirect, RedirectTo};
use evenkeel_net::clock;
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError, Reaction};
use crate::exchange::{Exchange, Next, Rest};
use crate::pages::{self, Reader};
use crate::serve::h1::Client;
use crate::server::Attempt;
use crate::server::h1::site_id_field;
use crate::snapshot::HTTPS_PORT;
use crate::stick;
use crate::variable::{Scene, render};
use crate::wire::{Wire, WriteFailed, write_all};

/// How long the rest of a body that nobody wants may take to arrive.
const DISCARD_WITHIN: Duration = Duration::from_secs(1);

/// Below which path authorities look whether a host is ours (RFC 8555 section 8.3).
const PROOFS: &[u8] = b"/.well-known/acme-challenge/";

/// Methods that routes and servers may be asked with; `CONNECT` and `TRACE` are refused.
const ALLOWED: &[u8] = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Edits that are gathered without asking the allocator; more than a careful operator writes.
const FEW_EDITS: usize = 16;

/// Renders the values of edits into `text`, and notes in `ends` where each ends.
pub(crate) fn render_edits(desk: &mut Desk, exchange: &Exchange, site: &[FieldEdit], route: &[FieldEdit]) {
    let mut text = std::mem::take(&mut desk.text);
    let mut ends = std::mem::take(&mut desk.ends);
    text.clear();
    ends.clear();
    if !(site.is_empty() && route.is_empty()) {
        let scene = scene(desk, exchange);
        for edit in site.iter().chain(route) {
            if let FieldEdit::Set(_, template) | FieldEdit::Add(_, template) = edit {
                render(template, &scene, &mut text);
            }
            ends.push(text.len());
        }
    }
    desk.text = text;
    desk.ends = ends;
}

/// Calls `work` with the rendered edits, behind one of our own if there is one.
pub(crate) fn with_edits<'a>(
    own: impl IntoIterator<Item = Edit<'a>>,
    site: &'a [FieldEdit],
    route: &'a [FieldEdit],
    text: &'a [u8],
    ends: &[usize],
    work: impl FnOnce(&[Edit<'_>]),
) {
    let mut from = 0;
    let rendered = site.iter().chain(route).zip(ends).map(|(edit, end)| {
        let value = text.get(from..*end).unwrap_or_default();
        from = *end;
        match edit {
            FieldEdit::Set(name, _) => Edit::set(name.as_bytes(), value),
            FieldEdit::Add(name, _) => Edit::add(name.as_bytes(), value),
            FieldEdit::Remove(name) => Edit::remove(name.as_bytes()),
        }
    });
    let mut all = own.into_iter().chain(rendered);
    // Filled where it stands: it is larger than what most answers put into it.
    let mut few = ArrayVec::<_, FEW_EDITS>::new();
    few.extend(all.by_ref().take(FEW_EDITS));
    match all.next() {
        None => work(&few),
        Some(next) => work(&few.into_iter().chain([next]).chain(all).collect::<Vec<_>>()),
    }
}

/// What a template sees of the exchange as it stands.
pub(crate) fn scene<'a>(desk: &'a Desk, exchange: &'a Exchange) -> Scene<'a> {
    Scene { exchange, request: &desk.request, input: &desk.input, unix: clock::unix_now(), now: Instant::now() }
}

/// Writes the head of the server's answer for the client into `reply`.
pub(crate) fn write_head(
    client: &Client,
    desk: &mut Desk,
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    (framing, connection): (Framing, ConnectionField),
) {
    let snapshot = std::rc::Rc::clone(&exchange.snapshot);
    let place = exchange.place;
    let Some((site, part)) = place.site.and_then(|site| snapshot.site(place.listener, site)) else { return };
    let Some(way) = place.route.and_then(|route| site.routes.get(route)) else { return };
    render_edits(desk, exchange, &site.response_edits, &way.response_edits);
    let mut text = std::mem::take(&mut desk.text);
    let settled = stick::settle(client, desk, exchange, attempt.pool, attempt.index, &mut text);
    desk.text = text;
    desk.reply.clear();
    let Desk { answer, response, reply, text, ends, .. } = desk;
    let id = part.id_field.as_deref().map(|name| Edit::set(name.as_bytes(), exchange.id.as_bytes()));
    let tokens = settled.own(text).map(|value| Edit::add(b"Set-Cookie", value));
    // A cache that kept the answer would hand one client's bond to all.
    let private =
        (settled.is_private && !is_private(response, answer.filled())).then(|| Edit::add(b"Cache-Control", b"private"));
    // RFC 9110 section 6.6.1: who has a clock dates what comes without a date.
    let date = (response.status() >= 200 && !response.fields().has(Known::Date))
        .then(|| client.worker.date(clock::unix_now()));
    let date = date.as_ref().map(|date| Edit::add(b"Date", date));
    let own = id.into_iter().chain(tokens).chain(private).chain(date);
    let mut rules = ArrayVec::<_, { 2 * caps::STICKY_METHODS }>::new();
    rules.extend(settled.rules(&attempt.pool.sticky, text).take(2 * caps::STICKY_METHODS));
    with_edits(own, &site.response_edits, &way.response_edits, text, ends, |edits| {
        let how = ResponseOut { framing, connection, edits, set_cookies: &rules };
        write_response(reply, response, answer.filled(), &how);
    });
    exchange.answer_fields.clear();
    for name in &part.logged_fields {
        if let Some(value) = find_field(&desk.reply, name.as_bytes()) {
            exchange.answer_fields.push((name.clone(), value.to_vec()));
        }
    }
}

fn is_private(response: &evenkeel_http::ResponseHead, buf: &[u8]) -> bool {
    let mut values = response.fields().known(buf, Known::CacheControl);
    values.any(|value| memchr::memmem::find(value, b"private").or(memchr::memmem::find(value, b"no-store")).is_some())
}

/// A field of a head that we wrote, for logs.
fn find_field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let at = memchr::memchr(b':', line)?;
        let (found, value) = line.split_at_checked(at)?;
        found.eq_ignore_ascii_case(name).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// What a client is told of its connection.
pub(crate) fn connection_field(keep: bool, version: Version) -> ConnectionField {
    match (keep, version) {
        (false, _) => ConnectionField::Close,
        (true, Version::Http10) => ConnectionField::KeepAlive,
        (true, Version::Http11) => ConnectionField::Silent,
    }
}

/// What a write to the client that did not happen means.
pub(crate) fn write_fault(failed: WriteFailed) -> Kind {
    match failed {
        WriteFailed::Gone => Kind::ClientGone,
        WriteFailed::Stalled => Kind::SendTimeout,
    }
}

/// Answers as a route says, without a server.
pub(crate) async fn by_route(
    client: &mut Client,
    desk: &mut Desk,
    exchange: &mut Exchange,
) -> Result<Next, ProxyError> {
    let snapshot = std::rc::Rc::clone(&exchange.snapshot);
    let place = exchange.place;
    let Some((site, _)) = place.site.and_then(|site| snapshot.site(place.listener, site)) else {
        return Err(Kind::NoRoute.into());
    };
    let Some(route) = place.route.and_then(|route| site.routes.get(route)) else { return Err(Kind::NoRoute.into()) };
    let mut fields = Vec::new();
    let (status, body) = match &route.action {
        Action::Redirect(redirect) => {
            fields.push((b"Location".to_vec(), location(client, desk, exchange, redirect)));
            (redirect.status, Vec::new())
        }
        Action::Respond(respond) => {
            let mut body = Vec::new();
            render(&respond.body, &scene(desk, exchange), &mut body);
            fields.push((b"Content-Type".to_vec(), respond.content_type.clone().into_bytes()));
            (respond.status, body)
        }
        Action::To(_) => return Err(Kind::NoRoute.into()),
    };
    edit(&mut fields, desk, exchange, &site.response_edits, &route.response_edits);
    Ok(send(client, desk, exchange, status, &fields, &body).await)
}

/// What an authority is to be told, where the request asks for a token that we were given. Any other one is the routes'.
pub(crate) fn proof(client: &Client, desk: &Desk) -> Option<String> {
    let token = desk.request.path(desk.input.written()).strip_prefix(PROOFS)?;
    let asks = matches!(desk.request.method(), Method::Get | Method::Head);
    client.worker.shared.proof(token).filter(|_| asks)
}

/// Tells it.
pub(crate) async fn with_proof(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange, proof: &str) -> Next {
    let fields = [(b"Content-Type".to_vec(), b"application/octet-stream".to_vec())];
    send(client, desk, exchange, 200, &fields, proof.as_bytes()).await
}

/// Answers with an error page.
pub(crate) async fn with_error(
    client: &mut Client,
    desk: &mut Desk,
    exchange: &mut Exchange,
    reaction: &Reaction,
) -> Next {
    if reaction.status == 499 {
        exchange.status = reaction.status;
        return Next::Close;
    }
    if exchange.is_grpc {
        return fail_call(client, desk, exchange, reaction).await;
    }
    let snapshot = std::rc::Rc::clone(&exchange.snapshot);
    let place = exchange.place;
    let reader = Reader::of(desk.request.fields().first(desk.input.written(), Known::Accept));
    let site = place.site.and_then(|site| snapshot.site(place.listener, site));
    // Who could not be told where its request belongs gets the pages of the listener's first block, and nothing else of it.
    let paged = site.or_else(|| snapshot.site(place.listener, 0));
    let pages = paged.and_then(|(_, part)| part.pages.as_ref());
    let mut body = Vec::new();
    match pages.and_then(|pages| pages.find(reaction.status, reaction.is_maintenance, reader)) {
        Some(page) => body.extend_from_slice(page),
        None => pages::write_default(&mut body, reaction.status, reader, exchange.id.as_bytes()),
    }
    exchange.keep &= !reaction.close;
    let mut fields = vec![
        (b"Content-Type".to_vec(), reader.media_type().to_vec()),
        (b"Cache-Control".to_vec(), b"no-store".to_vec()),
    ];
    if reaction.status == 405 {
        // RFC 9110 section 15.5.6 asks for it.
        fields.push((b"Allow".to_vec(), ALLOWED.to_vec()));
    }
    if let Some((site, _)) = site {
        let route = place.route.and_then(|route| site.routes.get(route));
        let own = route.map(|route| route.response_edits.as_slice()).unwrap_or_default();
        edit(&mut fields, desk, exchange, &site.response_edits, own);
    }
    send(client, desk, exchange, reaction.status, &fields, &body).await
}

/// Answers an OPTIONS that may go no further: it is meant for us (RFC 9110 section 7.6.2).
pub(crate) async fn with_options(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange) -> Next {
    let snapshot = std::rc::Rc::clone(&exchange.snapshot);
    let place = exchange.place;
    // No server has a part in it.
    exchange.pool = None;
    let mut fields = vec![(b"Allow".to_vec(), ALLOWED.to_vec())];
    if let Some((site, _)) = place.site.and_then(|site| snapshot.site(place.listener, site)) {
        let route = place.route.and_then(|route| site.routes.get(route));
        let own = route.map(|route| route.response_edits.as_slice()).unwrap_or_default();
        edit(&mut fields, desk, exchange, &site.response_edits, own);
    }
    send(client, desk, exchange, 200, &fields, b"").await
}

/// Tells a call by gRPC that it failed, in a head that is all of the answer ("Trailers-Only"): its client understands no
/// page, and tries again what is said to be unavailable. Counters and logs keep the status that says what happened.
async fn fail_call(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange, reaction: &Reaction) -> Next {
    exchange.keep &= !reaction.close;
    let fields = [
        (b"Content-Type".to_vec(), b"application/grpc".to_vec()),
        (b"grpc-status".to_vec(), grpc::status_of(reaction.status).as_bytes().to_vec()),
        (b"grpc-message".to_vec(), reaction.code.as_bytes().to_vec()),
    ];
    let next = send(client, desk, exchange, 200, &fields, b"").await;
    exchange.status = reaction.status;
    next
}

/// Edits the fields of an answer of our own as those of a server's answer are.
fn edit(
    fields: &mut Vec<(Vec<u8>, Vec<u8>)>,
    desk: &mut Desk,
    exchange: &Exchange,
    site: &[FieldEdit],
    route: &[FieldEdit],
) {
    render_edits(desk, exchange, site, route);
    let mut from = 0;
    for (edit, end) in site.iter().chain(route).zip(&desk.ends) {
        let value = desk.text.get(from..*end).unwrap_or_default();
        from = *end;
        let (FieldEdit::Set(name, _) | FieldEdit::Add(name, _) | FieldEdit::Remove(name)) = edit;
        if !matches!(edit, FieldEdit::Add(..)) {
            fields.retain(|(held, _)| !held.eq_ignore_ascii_case(name.as_bytes()));
        }
        if !matches!(edit, FieldEdit::Remove(_)) {
            fields.push((name.clone().into_bytes(), value.to_vec()));
        }
    }
}

/// Where a redirection leads.
fn location(client: &Client, desk: &Desk, exchange: &Exchange, redirect: &Redirect) -> Vec<u8> {
    let mut out = Vec::new();
    let scene = scene(desk, exchange);
    let buf = desk.input.written();
    match &redirect.to {
        RedirectTo::Location(template) => render(template, &scene, &mut out),
        RedirectTo::Parts { scheme, host, path } => {
            let kept = if exchange.is_over_tls(desk) { "https" } else { "http" };
            out.extend_from_slice(scheme.as_deref().unwrap_or(kept).as_bytes());
            out.extend_from_slice(b"://");
            match (host, scheme) {
                (Some(host), _) => out.extend_from_slice(host.as_bytes()),
                // The port belongs to the scheme that is being left.
                (None, Some(_)) => out.extend_from_slice(desk.request.host(buf)),
                (None, None) => out.extend_from_slice(desk.request.authority(buf)),
            }
            if out.ends_with(b"://") {
                let host = match client.stream.local_addr().ip().to_canonical() {
                    IpAddr::V4(addr) => addr.to_string(),
                    IpAddr::V6(addr) => format!("[{addr}]"),
                };
                out.extend_from_slice(host.as_bytes());
            }
            let port = exchange.snapshot.https_port();
            if host.is_none() && scheme.as_deref() == Some("https") && port != HTTPS_PORT {
                out.extend_from_slice(format!(":{port}").as_bytes());
            }
            match path {
                Some(template) => render(template, &scene, &mut out),
                // That of `OPTIONS *` is none that could stand behind a host.
                None if desk.request.path(buf) == b"*" => out.push(b'/'),
                None => out.extend_from_slice(desk.request.path(buf)),
            }
            if let Some(query) = desk.request.query(buf) {
                out.push(b'?');
                out.extend_from_slice(query);
            }
        }
    }
    out
}

/// Sends an answer of our own, then sees to what is left of the request's body.
async fn send(
    client: &mut Client,
    desk: &mut Desk,
    exchange: &mut Exchange,
    status: u16,
    fields: &[(Vec<u8>, Vec<u8>)],
    body: &[u8],
) -> Next {
    exchange.keep = exchange.keep && may_discard(desk, exchange) && client.may_stay(Instant::now());
    exchange.status = status;
    let mut all: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    if let Some(name) = site_id_field(exchange) {
        all.push((name.as_bytes(), exchange.id.as_bytes()));
    }
    let date = client.worker.date(clock::unix_now());
    desk.reply.clear();
    let how = OwnResponse {
        status,
        date: &date,
        fields: &all,
        length: Some(body.len() as u64),
        connection: connection_field(exchange.keep, desk.request.version()),
    };
    write_own_response(&mut desk.reply, &how);
    let bodiless = desk.request.method() == Method::Head || matches!(status, 204 | 304);
    let body = if bodiless { &[] } else { body };
    exchange.is_answered = true;
    let patience = client.timeouts.send;
    if let Err(failed) = write_all(&mut client.stream, &mut client.timer, [&desk.reply, body], patience).await {
        exchange.end = crate::error::reaction(&write_fault(failed).into()).end;
        return Next::Close;
    }
    exchange.sent += (desk.reply.len() + body.len()) as u64;
    exchange.body_sent = body.len() as u64;
    match exchange.keep && (exchange.is_read || discard_body(client, desk, exchange).await) {
        true => Next::Keep,
        false => Next::Linger,
    }
}

/// Whether the rest of the body is little enough to be worth reading.
fn may_discard(desk: &Desk, exchange: &Exchange) -> bool {
    exchange.is_read
        || match desk.request.framing() {
            // Whoever waits for a word before sending may take the answer for it and send nothing, or the body.
            _ if desk.request.expects_continue() => false,
            Framing::Length(length) => length <= caps::DRAIN_BYTES,
            Framing::Chunked => true,
            Framing::None | Framing::UntilClose => false,
        }
}

/// Reads the request's body and throws it away, within bounds; whether its end was reached.
async fn discard_body(client: &mut Client, desk: &mut Desk, exchange: &mut Exchange) -> bool {
    let head = desk.request.len();
    let deadline = Instant::now() + DISCARD_WITHIN;
    let mut decoder = BodyDecoder::new(desk.request.framing());
    let (mut at, mut total) = (head, 0u64);
    loop {
        while at < desk.input.end {
            let Ok(run) = decoder.run(desk.input.slice(at, desk.input.end), Keep::Data) else { return false };
            at += run.consumed;
            total += run.consumed as u64;
            match run.state {
                RunState::Again => {}
                RunState::More => break,
                RunState::End => {
                    exchange.rest = Rest::At(at);
                    exchange.received += total;
                    return true;
                }
            }
        }
        if total > caps::DRAIN_BYTES {
            return false;
        }
        let left = desk.input.end.saturating_sub(at);
        desk.input.shift(at, at + left, head);
        desk.input.end = head + left;
        at = head;
        let (stream, input) = (&mut client.stream, &mut desk.input);
        match client.timer.until(deadline, poll_fn(|cx| stream.poll_read(cx, input.room(usize::MAX)))).await {
            Ok(Ok(count)) if count > 0 => desk.input.grow(count),
            _ => return false,
        }
    }
}

//! Which site and route take a request, and what it is called.
//!
//! Not here: the rules of matching (`evenkeel_http::matching`) and what a route does. The first site whose hosts fit
//! decides, then the first of its routes that fits; nothing else is looked at.

use evenkeel_http::{authority, matching, uri};
use evenkeel_model::config::{Action, Listener, RedirectTo, RequestId, Route, Site};

use crate::buffer::Desk;
use crate::error::Kind;
use crate::exchange::{Exchange, Flow, RequestIdText};
use crate::guard;
use crate::serve::h1::Client;
use crate::trace::{self, TraceParent};

/// The field in which a trace travels.
pub(crate) const TRACE_PARENT: &[u8] = b"traceparent";

/// Finds the request's place in the configuration.
pub(crate) fn choose(client: &Client, desk: &mut Desk, exchange: &mut Exchange) -> Flow {
    let snapshot = std::rc::Rc::clone(&exchange.snapshot);
    let Some((listener, part)) = snapshot.listener(exchange.place.listener) else {
        return Flow::Fail(Kind::NoSite.into());
    };
    let Some(site_at) = site_of(listener, desk) else {
        return Flow::Fail(Kind::NoSite.into());
    };
    exchange.place.site = Some(site_at);
    let Some((site, site_part)) = listener.sites.get(site_at).zip(part.sites.get(site_at)) else {
        return Flow::Fail(Kind::NoSite.into());
    };
    let Desk { request, input, .. } = &*desk;
    let buf = input.written();
    if let Err(error) = guard::stand_for(&part.door, exchange, request.host(buf)) {
        return Flow::Fail(error);
    }
    if let RequestId::Field(name) = &site.request_id {
        exchange.id = request_id(client, exchange.is_trusted, request.fields().find(buf, name.as_bytes()));
    }
    if let Some(percent) = site.trace {
        exchange.trace = begin_trace(client, percent, request.fields().find(buf, TRACE_PARENT));
    }
    let is_over_tls = exchange.is_over_tls(desk);
    let found = route_of(site, desk, is_over_tls);
    let Some(route) = found.and_then(|at| site.routes.get(at)) else {
        return Flow::Fail(Kind::NoRoute.into());
    };
    exchange.place.route = found;
    match &route.action {
        Action::Redirect(_) | Action::Respond(_) => Flow::Respond,
        Action::To(_) => {
            let pool = found.and_then(|at| site_part.pools.get(at).copied().flatten());
            exchange.pool = pool.and_then(|place| snapshot.pool(place)).cloned();
            match exchange.pool {
                Some(_) => Flow::Next,
                None => Flow::Fail(Kind::NoRoute.into()),
            }
        }
    }
}

/// The first site of the listener that is for the request's host.
pub(crate) fn site_of(listener: &Listener, desk: &Desk) -> Option<usize> {
    let host = desk.request.host(desk.input.written());
    listener.sites.iter().position(|site| matching::hosts_fit(&site.hosts, host))
}

/// The first route of the site that the request fits. One that would send it back to where it came, because it came over TLS
/// already, is not for it.
pub(crate) fn route_of(site: &Site, desk: &mut Desk, is_over_tls: bool) -> Option<usize> {
    let Desk { request, input, normal, .. } = desk;
    let buf = input.written();
    let mut scratch = std::mem::take(normal);
    let path = uri::normal_path(request.path(buf), &mut scratch);
    let fits = |route: &Route| {
        matching::matcher_fits(&route.matcher, request, buf, path)
            && !(is_over_tls && leads_back(route, request.host(buf)))
    };
    let found = site.routes.iter().position(fits);
    // Logs look at the normal form again, so that it is kept where it differs.
    let is_raw = path == request.path(buf);
    *normal = scratch;
    if is_raw {
        normal.clear();
    }
    found
}

/// Whether a route sends a request for that host, which came over TLS, to the very place that it came to. Ports play no part,
/// as in the choice of sites and routes.
pub(crate) fn leads_back(route: &Route, asked: &[u8]) -> bool {
    let Action::Redirect(redirect) = &route.action else { return false };
    let RedirectTo::Parts { host, .. } = &redirect.to else { return false };
    let is_own = |host: &String| authority::host_of(host.as_bytes()).eq_ignore_ascii_case(asked);
    redirect.only_secures() && host.as_ref().is_none_or(is_own)
}

/// The path in normal form: kept apart where it differs from the one in the request.
pub(crate) fn normal_path(desk: &Desk) -> &[u8] {
    match desk.normal.is_empty() {
        true => desk.request.path(desk.input.written()),
        false => &desk.normal,
    }
}

/// A trace, where the request carries none that is well-formed; so many percent are marked as sampled.
fn begin_trace(client: &Client, percent: u8, given: Option<&[u8]>) -> Option<TraceParent> {
    if given.is_some_and(trace::is_well_formed) {
        return None;
    }
    let chance = || client.worker.chance();
    // The upper half is the better chance.
    let is_sampled = (chance() >> 33) % 100 < u64::from(percent);
    Some(TraceParent::begin((chance(), chance()), chance(), is_sampled))
}

/// A trusted proxy's id is kept, so that one request has one id all the way; any other is replaced.
fn request_id(client: &Client, is_trusted: bool, given: Option<&[u8]>) -> RequestIdText {
    let taken = given.filter(|_| is_trusted).and_then(RequestIdText::given);
    taken.unwrap_or_else(|| RequestIdText::made(client.worker.chance(), client.worker.chance()))
}

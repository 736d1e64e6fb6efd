//! What would become of a request at this moment, and why: its listener, site, route, pool and server, with those that lose.
//!
//! Nothing is sent, counted or taken. The invariant: what decides here are the functions that decide for requests from the
//! wire, so that the two cannot differ but by chance and by time.

use std::net::IpAddr;
use std::sync::Arc;

use evenkeel_balance::sticky::{Bond, By, Why};
use evenkeel_balance::{Ask, Loads, Pick, Picker, Plan, Rng, ServerIndex, ServerSet};
use evenkeel_http::{forwarded, matching};
use evenkeel_model::config::{
    Action, Balance, FieldMatch, HostPattern, Listener, PathPattern, Route, Server, Tcp, TcpRoute, WhenDown,
};
use evenkeel_model::{PoolName, ServerName, State};
use evenkeel_net::clock;

use crate::buffer::Desk;
use crate::hold::HeldPool;
use crate::snapshot::{PoolPart, Snapshot};
use crate::stick::{Purpose, Stuck, Vigil};
use crate::{pick, route, stick};

/// A request that did not come.
#[derive(Debug, Clone)]
pub struct Question {
    /// The listener's name, if one is given.
    pub listener: Option<String>,
    /// The port of the request's URL, for want of a name.
    pub port: u16,
    /// Whether the URL names that port, so that no other listener will do.
    pub is_port_given: bool,
    /// The request's head, with its empty line.
    pub head: Vec<u8>,
    /// The client.
    pub client: IpAddr,
}

/// What would become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The listener that takes it.
    pub listener: String,
    /// The hosts of the site that takes it; `None` where none does. Empty takes every host.
    pub hosts: Option<Vec<String>>,
    /// The routes that were looked at, in order; the last one takes it unless it has a misfit, too.
    pub routes: Vec<RouteTried>,
    /// What happens.
    pub outcome: Outcome,
}

/// A route that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTried {
    /// Its pattern.
    pub pattern: String,
    /// Why it does not take the request; `None` where it does.
    pub misfit: Option<String>,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// We answer it, for this reason.
    Answered {
        /// The answer's status.
        status: u16,
        /// In a sentence.
        why: String,
    },
    /// It goes to a server of this pool.
    Pool {
        /// The pool.
        pool: PoolName,
        /// What the request says of a session, in a sentence.
        session: String,
        /// How a server is chosen, in a sentence.
        rule: String,
        /// Every server, in the pool's order.
        servers: Vec<ServerTried>,
        /// Where none may serve it: the answer's status and why.
        refusal: Option<(u16, &'static str)>,
    },
}

/// A server that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTried {
    /// Its name.
    pub name: ServerName,
    /// What it is held for.
    pub state: State,
    /// Its chance of getting the request, in per mille.
    pub chance: u32,
    /// Why it gets it, may get it or does not.
    pub why: String,
}

impl Snapshot {
    /// What would become of a request.
    ///
    /// # Errors
    /// In a sentence, where no listener fits the question.
    pub fn explain(&self, question: &Question) -> Result<Explanation, String> {
        let place = self.place_of(question)?;
        let Some((listener, part)) = self.listener(place) else { return Err("the listener has just gone".to_owned()) };
        let name = part.name.to_string();
        if let Some(tcp) = &listener.tcp {
            return self.explain_passage(name, tcp, question);
        }
        let answered = |hosts, routes, (status, why): (u16, String)| Explanation {
            listener: name.clone(),
            hosts,
            routes,
            outcome: Outcome::Answered { status, why },
        };
        let mut desk = Desk::with_request(&question.head);
        if let Err(error) = desk.request.parse(desk.input.filled(), &part.limits) {
            return Ok(answered(None, Vec::new(), (error.status(), error.to_string())));
        }
        let Some(site_at) = route::site_of(listener, &desk) else {
            return Ok(answered(None, Vec::new(), (421, no_site(listener))));
        };
        let Some((site, site_part)) = self.site(place, site_at) else {
            return Err("the site has just gone".to_owned());
        };
        let hosts = Some(site.hosts.iter().map(host).collect());
        let says_tls = forwarded::says_tls(desk.request.fields(), desk.input.written());
        let is_believed = forwarded::is_trusted(question.client, &listener.trusted);
        let is_over_tls = listener.tls.is_some() || (is_believed && says_tls);
        let found = route::route_of(site, &mut desk, is_over_tls);
        let looked_at = found.map_or(site.routes.len(), |at| at.saturating_add(1));
        let routes = site
            .routes
            .iter()
            .take(looked_at)
            .map(|route| RouteTried { pattern: route.name.clone(), misfit: misfit(route, &desk, is_over_tls) });
        let routes: Vec<RouteTried> = routes.collect();
        let Some((at, route)) = found.and_then(|at| site.routes.get(at).map(|route| (at, route))) else {
            return Ok(answered(hosts, routes, (404, "no route takes it".to_owned())));
        };
        let outcome = match &route.action {
            Action::Redirect(redirect) => {
                Outcome::Answered { status: redirect.status, why: "the route redirects it".to_owned() }
            }
            Action::Respond(respond) => {
                Outcome::Answered { status: respond.status, why: "the route answers it".to_owned() }
            }
            Action::To(_) => {
                let pool = site_part.pools.get(at).copied().flatten().and_then(|place| self.pools().get(place));
                let Some(pool) = pool else { return Err("the route's pool has just gone".to_owned()) };
                in_pool(pool, &desk, question.client)
            }
        };
        Ok(Explanation { listener: name, hosts, routes, outcome })
    }

    /// What would become of a connection; the URL's host is the name that its TLS hello would ask for.
    fn explain_passage(&self, listener: String, tcp: &Tcp, question: &Question) -> Result<Explanation, String> {
        let mut desk = Desk::with_request(&question.head);
        let asked = desk.request.parse(&question.head, &evenkeel_http::Limits::default()).is_ok();
        let name = if asked { desk.request.host(desk.input.written()).to_ascii_lowercase() } else { Vec::new() };
        let fits = |route: &TcpRoute| matching::hosts_fit(&route.names, &name);
        let found = tcp.routes.iter().position(fits);
        let looked_at = found.map_or(tcp.routes.len(), |at| at.saturating_add(1));
        let tried = |route: &TcpRoute| RouteTried {
            pattern: route.name.clone(),
            misfit: (!fits(route)).then(|| {
                let names: Vec<String> = route.names.iter().map(host).collect();
                format!("its name (SNI) is not {}", names.join(" or "))
            }),
        };
        let routes: Vec<RouteTried> = tcp.routes.iter().take(looked_at).map(tried).collect();
        let Some(route) = found.and_then(|at| tcp.routes.get(at)) else {
            let why = "no route takes it: the connection is closed".to_owned();
            return Ok(Explanation { listener, hosts: None, routes, outcome: Outcome::Answered { status: 0, why } });
        };
        let place = self.pool_place(&route.to);
        let Some(pool) = place.and_then(|place| self.pools().get(place)) else {
            return Err("the route's pool has just gone".to_owned());
        };
        let outcome = in_pool(pool, &Desk::with_request(&[]), question.client);
        Ok(Explanation { listener, hosts: None, routes, outcome })
    }

    /// The listener of that name, or of that port; where the URL names none, the first with a site for its host.
    fn place_of(&self, question: &Question) -> Result<usize, String> {
        let listeners = &self.config().listeners;
        let names: Vec<String> = listeners.iter().map(|listener| listener.name.to_string()).collect();
        let known = || format!("listeners: {}", names.join(", "));
        if let Some(wanted) = &question.listener {
            let place = names.iter().position(|name| name == wanted);
            return place.ok_or_else(|| format!("there is no listener `{wanted}`; {}", known()));
        }
        if let Some(place) = listeners.iter().position(|listener| listener.addr.port() == question.port) {
            return Ok(place);
        }
        if question.is_port_given {
            return Err(format!("no listener has port {}; {}", question.port, known()));
        }
        let mut desk = Desk::with_request(&question.head);
        if desk.request.parse(desk.input.filled(), &evenkeel_http::Limits::default()).is_err() {
            return if listeners.is_empty() { Err("there is no listener".to_owned()) } else { Ok(0) };
        }
        let takes = |listener: &Listener| route::site_of(listener, &desk).is_some();
        let place = listeners.iter().position(takes);
        place.ok_or_else(|| format!("no listener has a site for that host; {}", known()))
    }
}

fn no_site(listener: &Listener) -> String {
    let hosts: Vec<String> = listener.sites.iter().flat_map(|site| site.hosts.iter().map(host)).collect();
    format!("no site of the listener is for that host; its hosts: {}", hosts.join(", "))
}

fn in_pool(pool: &Arc<PoolPart>, desk: &Desk, client: IpAddr) -> Outcome {
    let now = clock::unix_now().as_secs();
    let held = HeldPool::aside(Arc::clone(pool));
    let purpose = Purpose::Explaining;
    let stuck = stick::read(stick::Reading { purpose, desk, pool: &held, now, is_secure: false, client });
    let vigil = stick::vigil(&stuck, pool);
    let is_refused = vigil.is_some_and(|vigil| vigil.then == WhenDown::Fail);
    let key = stuck.client_key.or_else(|| pick::key(desk, client, pool));
    let plan = pool.client_plan.as_ref().filter(|_| stuck.client_key.is_some()).unwrap_or(&pool.plan);
    let chosen = if is_refused { Pick::None } else { choose(pool, plan, key, &stuck) };
    let by_hash = stuck.client_key.is_some() || matches!(pool.config.balance, Balance::Hash { .. }) && key.is_some();
    let is_certain = stuck.bound().is_some() || is_refused || by_hash;
    let is_elsewhere = stuck.bound().is_some() || is_refused;
    let is_spared = |index: ServerIndex| stuck.spared() == Some(index) && chosen != Pick::Server(index);
    let eligible: Vec<ServerIndex> = plan.eligible().filter(|index| !is_spared(*index)).collect();
    let share = |index: ServerIndex| {
        let view = pool.view(index);
        view.map_or(0, |view| u64::from(view.weight) * u64::from(view.ramp_per_mille.max(1)))
    };
    let whole: u64 = eligible.iter().map(|index| share(*index)).sum();
    let candidate = |(at, server): (usize, &Server)| {
        let index = ServerIndex(u16::try_from(at).unwrap_or(u16::MAX));
        let is_chosen = chosen == Pick::Server(index);
        let may = eligible.contains(&index);
        let chance = match (is_certain, is_chosen, may) {
            (true, chosen, _) => 1000 * u32::from(chosen),
            (false, _, true) => u32::try_from(share(index) * 1000 / whole.max(1)).unwrap_or(0),
            (false, _, false) => 0,
        };
        let why = reason(pool, server, index, (is_certain && is_chosen, may), is_elsewhere);
        ServerTried { name: server.name.clone(), state: pool.state(index).unwrap_or(State::Unknown), chance, why }
    };
    Outcome::Pool {
        pool: pool.config.name.clone(),
        session: session(pool, &stuck, vigil),
        rule: rule(pool, by_hash, stuck.bound().is_some(), plan.fails_open()),
        servers: pool.config.servers.iter().enumerate().map(candidate).collect(),
        refusal: match chosen {
            Pick::Server(_) => None,
            _ if is_refused => Some((503, "only the session's own server may serve it, which is down (`down=fail`)")),
            Pick::AllFull => Some((
                503,
                "every server is full: it waits in the queue, and is answered 503 if none gets free in time",
            )),
            Pick::None if pool.is_in_maintenance => Some((503, "the whole pool is in maintenance")),
            Pick::None => Some((503, "no server of the pool can serve")),
        },
    }
}

/// The server that has the session, or the one whose turn it would be.
fn choose(pool: &PoolPart, plan: &Plan, key: Option<u64>, stuck: &Stuck) -> Pick {
    if let Some(index) = stuck.bound() {
        return Pick::Server(index);
    }
    let pick = |tried: &ServerSet| {
        let mut rng = Rng::new(clock::unix_now().subsec_nanos().into());
        Picker::new().pick(plan, &Ask { key, tried, loads: pool }, &mut rng)
    };
    let mut spared = ServerSet::new();
    stuck.spared().into_iter().for_each(|index| spared.insert(index));
    match pick(&spared) {
        chosen @ Pick::Server(_) => chosen,
        _ => pick(&ServerSet::new()),
    }
}

/// What the request says of its session.
fn session(pool: &PoolPart, stuck: &Stuck, vigil: Option<Vigil>) -> String {
    if pool.sticky.is_empty() {
        return "the pool keeps no sessions".to_owned();
    }
    let name = |index: ServerIndex| pool.server(index).map(|server| server.id.server.to_string()).unwrap_or_default();
    let by = match stuck.by() {
        By::Nothing => "the request".to_owned(),
        by => format!("the request's {}", by.as_str()),
    };
    match (stuck.seen.bond, stuck.seen.why) {
        (Bond::Bound(index), _) if stuck.spared().is_some() => {
            format!(
                "{by} binds it to {}, which has more than its share ({}): another serves this one",
                name(index),
                Why::Busy.as_str()
            )
        }
        (Bond::Bound(index), _) => format!("{by} binds it to {}", name(index)),
        (Bond::Lost(Some(index)), why) => {
            format!("{by} binds it to {}, which may not serve ({}): {}", name(index), why.as_str(), after(vigil))
        }
        (Bond::Lost(None), _) => format!("{by} binds it to a server that is gone: it is bound anew"),
        (Bond::Unbound, _) if stuck.client_key.is_some() => "its client's address decides".to_owned(),
        (Bond::Unbound, Why::Plain) => "it names no session: it gets a new one".to_owned(),
        (Bond::Unbound, why) => format!("{by} names no valid session ({}): it gets a new one", why.as_str()),
    }
}

/// What becomes of a request whose own server may not serve.
fn after(vigil: Option<Vigil>) -> String {
    let end = match vigil.map(|vigil| vigil.then) {
        None | Some(WhenDown::Elsewhere) => "it is bound anew",
        Some(WhenDown::Fail) => "it is refused",
    };
    match vigil.map(|vigil| vigil.patience).filter(|patience| !patience.is_zero()) {
        None => end.to_owned(),
        Some(patience) => format!("it waits up to {patience:?} for that to change, then {end}"),
    }
}

fn rule(pool: &PoolPart, by_hash: bool, is_bound: bool, fails_open: bool) -> String {
    let text = match (&pool.config.balance, by_hash) {
        _ if is_bound => "its session decides",
        (_, true) => "a hash of the request decides",
        (Balance::RoundRobin, _) => "in turn, by weight",
        (Balance::LeastConn, _) => "the one with the fewest requests for its weight",
        (Balance::Random, _) => "two at random, then the less loaded",
        (Balance::Hash { .. }, _) => "in turn, by weight, since the request lacks what the pool hashes",
    };
    match fails_open {
        true => format!("{text}; every server is down, so that all are tried (`fail-open`)"),
        false => text.to_owned(),
    }
}

/// Why a server gets the request, may get it, or does not.
fn reason(
    pool: &PoolPart,
    server: &Server,
    index: ServerIndex,
    (is_chosen, may): (bool, bool),
    is_elsewhere: bool,
) -> String {
    let view = pool.view(index);
    let weight = view.map_or(0, |view| view.weight);
    let carries = pool.in_flight(index);
    match view.map(|view| view.state) {
        _ if is_chosen && is_elsewhere => "it has the session".to_owned(),
        _ if is_chosen => "the hash leads to it".to_owned(),
        Some(State::Draining) => "it drains: sessions that it has, no new ones".to_owned(),
        Some(State::Maintenance) => "it is in maintenance".to_owned(),
        Some(State::Down) if !may => "it is down".to_owned(),
        _ if view.is_some_and(|view| view.addrs.is_empty()) => "its name does not resolve".to_owned(),
        _ if weight == 0 => "its weight is 0: sessions that it has, no new ones".to_owned(),
        _ if !may && server.backup => "a backup: it serves when no primary is left".to_owned(),
        _ if pool.is_full(index) => format!("it is full: {carries} requests"),
        _ if may && is_elsewhere => "it could, but the session is elsewhere".to_owned(),
        _ if may => format!("weight {weight}, {carries} requests at present"),
        _ => "others come first".to_owned(),
    }
}

/// What of a route the request does not fit; `None` where it fits.
fn misfit(route: &Route, desk: &Desk, is_over_tls: bool) -> Option<String> {
    let (request, buf, matcher) = (&desk.request, desk.input.written(), &route.matcher);
    if !matching::path_fits(&matcher.path, route::normal_path(desk)) {
        return Some(format!("its path is not {}", path(&matcher.path)));
    }
    let method = request.method_text(buf);
    if !matcher.methods.is_empty() && !matcher.methods.iter().any(|wanted| wanted.as_bytes() == method) {
        return Some(format!("its method is not {}", matcher.methods.join(" or ")));
    }
    if !matching::hosts_fit(&matcher.hosts, request.host(buf)) {
        let hosts: Vec<String> = matcher.hosts.iter().map(host).collect();
        return Some(format!("its host is not {}", hosts.join(" or ")));
    }
    let field = matcher.fields.iter().find(|wanted| !matching::field_fits(wanted, request.fields(), buf));
    let query = matcher.query.iter().find(|wanted| !matching::query_fits(wanted, request.query(buf)));
    let lacks = |kind: &str, wanted: &FieldMatch| {
        let value = wanted.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
        format!("it has no {kind} `{}{value}`", wanted.name)
    };
    let lack =
        field.map(|wanted| lacks("field", wanted)).or_else(|| query.map(|wanted| lacks("query parameter", wanted)));
    let is_back = is_over_tls && route::leads_back(route, request.host(buf));
    lack.or_else(|| is_back.then(|| "it came over TLS already".to_owned()))
}

fn path(pattern: &PathPattern) -> String {
    match pattern {
        PathPattern::Any => "*".to_owned(),
        PathPattern::Exact(path) | PathPattern::Glob(path) => path.clone(),
        PathPattern::Below(path) => format!("{}/*", path.trim_end_matches('/')),
    }
}

fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
    }
}

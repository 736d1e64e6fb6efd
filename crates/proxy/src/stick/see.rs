//! Reading what a request says of its server.

use std::net::IpAddr;

use evenkeel_balance::Token;
use evenkeel_balance::sticky::{Bond, By, Dated, Why, app_session, keep_first, keep_server, resolve};
use evenkeel_http::{Known, cookie, matching, uri};
use evenkeel_model::State;
use evenkeel_model::config::{Carrier, CookieValue, Learn, SetBy, StickyCookie, StickyMethod, StickySkip};

use super::part::MethodPart;
use crate::buffer::Desk;
use crate::hold::HeldPool;
use crate::learn::Recalled;
use crate::route;
use crate::snapshot::PoolPart;

/// Cookies of our name that are tried: a browser sends two when paths or domains overlap, anything beyond is noise.
const COOKIES_TRIED: usize = 4;

/// What one method read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// Where the client belongs.
    pub(crate) bond: Bond,
    /// What told.
    pub(crate) by: By,
    /// Why it told nothing, or why the server may not serve.
    pub(crate) why: Why,
    /// The token, where it was one.
    pub(crate) token: Option<Token>,
    /// The dates that stood with a name: last seen, first seen.
    pub(super) dates: (Option<u64>, Option<u64>),
    /// The learned session that the request brought.
    pub(crate) recalled: Option<Recalled>,
    /// Whether the client's cookie is just what we would write for that server, its age aside.
    pub(super) is_own_form: bool,
}

impl Seen {
    /// Nothing was there.
    pub(crate) const NOTHING: Self = Self {
        bond: Bond::Unbound,
        by: By::Nothing,
        why: Why::Plain,
        token: None,
        dates: (None, None),
        recalled: None,
        is_own_form: false,
    };

    fn nothing(by: By, why: Why) -> Self {
        Self { by, why, ..Self::NOTHING }
    }

    /// Says why a server that was named may not serve.
    fn explained(mut self, pool: &PoolPart) -> Self {
        if let Bond::Lost(index) = self.bond {
            self.why = match index {
                None => Why::Gone,
                Some(index) if pool.state(index) == Some(State::Maintenance) => Why::Maintenance,
                Some(_) => Why::Down,
            };
        }
        self
    }
}

/// What a request is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be served: a session that it brings lives on.
    Serving,
    /// To say what would become of it: nothing is changed or counted.
    Explaining,
}

/// A request that is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) desk: &'a Desk,
    pub(crate) pool: &'a HeldPool,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Whether the client came over TLS.
    pub(crate) is_secure: bool,
    /// The client's address.
    pub(crate) client: IpAddr,
}

/// Whether the method leaves the request alone.
pub(super) fn is_skipped(desk: &Desk, part: &MethodPart) -> bool {
    part.config.skip.iter().any(|skip| fits(desk, skip))
}

fn fits(desk: &Desk, skip: &StickySkip) -> bool {
    let fits_path = |pattern| matching::path_fits(pattern, route::normal_path(desk));
    let fits_agent = |text: &String| {
        let agent = desk.request.fields().first(desk.input.written(), Known::UserAgent).unwrap_or_default();
        let text = text.as_bytes();
        agent.windows(text.len().max(1)).any(|window| window.eq_ignore_ascii_case(text))
    };
    skip.path.as_ref().is_none_or(fits_path) && skip.agent.as_ref().is_none_or(fits_agent)
}

/// What the method reads in the request.
pub(super) fn see(reading: Reading<'_>, part: &MethodPart) -> Seen {
    let seen = match &part.config.method {
        StickyMethod::Cookie(cookie) => see_cookie(reading, part, cookie),
        StickyMethod::Named(carrier) => see_named(reading, part, carrier),
        StickyMethod::Learned(learn) => see_learned(reading, learn),
        StickyMethod::Client => Seen::NOTHING,
    };
    seen.explained(reading.pool)
}

fn see_learned(reading: Reading<'_>, learn: &Learn) -> Seen {
    let learning = reading.pool.learning.as_ref();
    let recalled = learning.and_then(|learning| learning.recall(reading, &learn.carrier));
    let by = match &learn.carrier {
        Carrier::Cookie(_) => By::Server,
        Carrier::Query(_) => By::Query,
        Carrier::Field(_) => By::Header,
        Carrier::Path(_) => By::Path,
    };
    let Some(recalled) = recalled else { return Seen::nothing(by, Why::Plain) };
    let bond = recalled.server.map_or(Bond::Unbound, |server| keep_server(server, &reading.pool.plan));
    let why = if recalled.server.is_none() { Why::Foreign } else { Why::Plain };
    Seen { bond, recalled: Some(recalled), ..Seen::nothing(by, why) }
}

fn see_named(reading: Reading<'_>, part: &MethodPart, carrier: &Carrier) -> Seen {
    let (request, buf) = (&reading.desk.request, reading.desk.input.written());
    let (by, value) = match carrier {
        Carrier::Cookie(name) => (By::Server, cookie::values(request.fields(), buf, name.as_bytes()).next()),
        Carrier::Query(name) => {
            (By::Query, request.query(buf).and_then(|query| uri::query_value(query, name.as_bytes())))
        }
        Carrier::Field(name) => (By::Header, request.fields().find(buf, name.as_bytes())),
        Carrier::Path(name) => (By::Path, uri::path_parameter(request.path(buf), name.as_bytes())),
    };
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Seen::nothing(by, Why::Plain) };
    match part.values.find(value) {
        Some((_, servers)) => Seen { bond: keep_first(servers, &reading.pool.plan), ..Seen::nothing(by, Why::Plain) },
        None => Seen::nothing(by, Why::Foreign),
    }
}

/// The first of the request's cookies that is good; where none is, why the last was not.
fn see_cookie(reading: Reading<'_>, part: &MethodPart, cookie: &StickyCookie) -> Seen {
    let (fields, buf) = (reading.desk.request.fields(), reading.desk.input.written());
    let mut seen = Seen::nothing(By::Nothing, Why::Plain);
    for name in part.names() {
        for value in cookie::values(fields, buf, name).take(COOKIES_TRIED) {
            let Some(value) = own_part(value, cookie.set_by).filter(|value| !value.is_empty()) else { continue };
            seen = see_value(reading, part, cookie, value);
            // Only under the name that we would give it is a cookie what we would write.
            seen.is_own_form &= part.name_over(cookie, reading.is_secure) == name;
            if seen.bond != Bond::Unbound {
                return seen;
            }
        }
    }
    seen
}

/// The part of a value that is about the server.
fn own_part(value: &[u8], set_by: SetBy) -> Option<&[u8]> {
    match set_by {
        SetBy::Us | SetBy::Server | SetBy::Rewrite => Some(value),
        SetBy::Prefix => memchr::memchr(b'~', value).and_then(|at| value.get(..at)),
        SetBy::Suffix => memchr::memchr(b'.', value).and_then(|at| value.get(at + 1..)),
    }
}

fn see_value(reading: Reading<'_>, part: &MethodPart, cookie: &StickyCookie, value: &[u8]) -> Seen {
    let Reading { desk, pool, now, .. } = reading;
    let mut refused = Why::Foreign;
    if let Some(sealer) = &part.sealer {
        match pool
            .memory()
            .tokens
            .borrow_mut()
            .open(sealer, value, now)
            .and_then(|token| still_bonded(desk, cookie, token))
        {
            Ok(token) => {
                let bond = resolve(Some(&token), &pool.plan);
                return Seen {
                    bond,
                    token: Some(token),
                    is_own_form: cookie.value == CookieValue::Token,
                    ..Seen::nothing(By::Token, Why::Plain)
                };
            }
            Err(why) => refused = why,
        }
    }
    let dated = match cookie.knows(|form| form == CookieValue::Dated) {
        true => Dated::read(value, now),
        false => Dated { name: value, last: None, first: None },
    };
    let Some((by, servers)) = part.values.find(dated.name) else {
        let by = if part.sealer.is_some() { By::Token } else { By::Nothing };
        return Seen::nothing(by, refused);
    };
    let by = if matches!(cookie.set_by, SetBy::Server | SetBy::Suffix) { By::Server } else { by };
    if !dated.is_current(now, cookie.idle.as_secs(), cookie.life.as_secs()) {
        return Seen::nothing(by, Why::Expired);
    }
    let bond = keep_first(servers, &pool.plan);
    let ours = bond.server().and_then(|index| part.values.written(index));
    let is_own_form = cookie.value != CookieValue::Token && ours == Some(dated.name);
    Seen { bond, dates: (dated.last, dated.first), is_own_form, ..Seen::nothing(by, Why::Plain) }
}

/// Refuses a token whose application session is over.
fn still_bonded(desk: &Desk, cookie: &StickyCookie, token: Token) -> Result<Token, Why> {
    let Some(name) = cookie.bond.as_ref().filter(|_| token.bond != 0) else { return Ok(token) };
    let (fields, buf) = (desk.request.fields(), desk.input.written());
    let mut values = cookie::values(fields, buf, name.as_bytes());
    values.any(|value| app_session(value) == token.bond).then_some(token).ok_or(Why::Ended)
}

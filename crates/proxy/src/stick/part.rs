//! What a snapshot holds for each sticky method of a pool.

use evenkeel_balance::sticky::{Known, Values};
use evenkeel_balance::{MethodKeys, Sealer};
use evenkeel_http::cookie::CookieRule;
use evenkeel_model::config::{Carrier, CookieValue, DigestOf, Pool, SetBy, Sticky, StickyCookie, StickyMethod};

use crate::snapshot::ServerView;

/// One method, ready to be asked.
pub(crate) struct MethodPart {
    pub(crate) config: Sticky,
    /// Opens and seals the tokens of a cookie that has them.
    pub(super) sealer: Option<Sealer>,
    /// The values that name servers in the open.
    pub(super) values: Values,
    /// The cookie's name with `__Host-` before it, where we may choose it.
    pub(super) host_name: Option<Vec<u8>>,
}

/// The methods of a pool.
pub(crate) fn parts(pool: &Pool, views: &[ServerView], keys: Option<&[MethodKeys]>) -> Vec<MethodPart> {
    let method = |(place, config): (usize, &Sticky)| {
        let keys = keys.and_then(|keys| keys.get(place)).cloned().unwrap_or_default();
        let cookie = config.cookie();
        let sealer = cookie.zip(keys.token).map(|(cookie, keys)| Sealer::new(keys, &pool.name, cookie));
        MethodPart {
            sealer,
            values: values(pool, views, &config.method, &keys.hmac),
            host_name: cookie
                .filter(|cookie| cookie.host_prefix)
                .map(|cookie| [b"__Host-", cookie.name.as_bytes()].concat()),
            config: config.clone(),
        }
    };
    pool.sticky.iter().enumerate().map(method).collect()
}

impl MethodPart {
    /// What becomes of the method's cookies on their way to a server.
    pub(crate) fn cookie_rules(&self) -> impl Iterator<Item = CookieRule<'_>> {
        let until = self.config.cookie().and_then(|cookie| match cookie.set_by {
            SetBy::Us if cookie.strip => Some(None),
            SetBy::Prefix => Some(Some(b'~')),
            SetBy::Us | SetBy::Server | SetBy::Rewrite | SetBy::Suffix => None,
        });
        until.into_iter().flat_map(|until| self.names().map(move |name| CookieRule { name, until }))
    }

    /// The names under which the method's cookie may come.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        let plain = self.config.cookie().map(|cookie| cookie.name.as_bytes());
        self.host_name.as_deref().into_iter().chain(plain)
    }

    /// What an answer to a client over TLS, or not, calls the cookie.
    pub(super) fn name_over<'a>(&'a self, cookie: &'a StickyCookie, is_over_tls: bool) -> &'a [u8] {
        let attributes = &cookie.attributes;
        let is_secure = is_over_tls && attributes.secure.unwrap_or(true);
        let is_allowed = is_secure && attributes.domain.is_none() && attributes.path == "/";
        self.host_name.as_deref().filter(|_| is_allowed).unwrap_or(cookie.name.as_bytes())
    }
}

fn values(pool: &Pool, views: &[ServerView], method: &StickyMethod, hmac: &[u8]) -> Values {
    let (write, read, of) = match method {
        StickyMethod::Cookie(cookie) => (cookie.value, cookie.read.as_slice(), cookie.of),
        StickyMethod::Named(Carrier::Cookie(_) | Carrier::Query(_) | Carrier::Field(_) | Carrier::Path(_)) => {
            (CookieValue::Name, [].as_slice(), DigestOf::Address)
        }
        StickyMethod::Learned(_) | StickyMethod::Client => return Values::default(),
    };
    let names: Vec<Vec<String>> = pool
        .servers
        .iter()
        .map(|server| match server.known_as.as_slice() {
            [] => vec![server.name.as_str().to_owned()],
            names => names.to_vec(),
        })
        .collect();
    let written: Vec<String> = pool.servers.iter().map(|server| server.addr.to_string()).collect();
    let known: Vec<Known<'_>> = names
        .iter()
        .zip(&written)
        .zip(views)
        .map(|((names, written), view)| Known { names, written, addrs: &view.addrs })
        .collect();
    Values::new(write, read, (of, hmac), &known)
}

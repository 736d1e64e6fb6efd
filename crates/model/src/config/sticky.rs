//! How clients are kept on their servers: the methods of a pool, in the order in which they are asked.

use std::time::Duration;

use super::{PathPattern, SecretRef};
use crate::{PoolName, defaults};

/// One way to tell which server a client belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// What tells.
    pub method: StickyMethod,
    /// What becomes of a request whose server cannot be asked, once it has waited.
    pub down: WhenDown,
    /// How long a request waits for its server to come back. Zero: not at all.
    pub wait: Duration,
    /// A server above this many percent of the average load lends its clients to others. `None`: no bound.
    pub bound: Option<u16>,
    /// Requests that this method leaves alone.
    pub skip: Vec<StickySkip>,
}

/// What tells which server a client belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickyMethod {
    /// A cookie.
    Cookie(Box<StickyCookie>),
    /// A value elsewhere in the request that names the server.
    Named(Carrier),
    /// A session's id that an answer told us.
    Learned(Learn),
    /// The client's address: the same client finds the same server while it lives, without any memory.
    Client,
}

/// What becomes of a request whose server cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenDown {
    /// Another server serves it.
    Elsewhere,
    /// It is answered 503.
    Fail,
}

/// Requests that need no session. All that is given must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickySkip {
    /// The path.
    pub path: Option<PathPattern>,
    /// A text within `User-Agent`, in lower case; the case of the field's letters does not count.
    pub agent: Option<String>,
}

/// A cookie that tells the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyCookie {
    /// Its name.
    pub name: String,
    /// Whether `__Host-` goes before the name where browsers allow it: the name is ours to choose.
    pub host_prefix: bool,
    /// Who sets it, and what we do with it.
    pub set_by: SetBy,
    /// What its value is.
    pub value: CookieValue,
    /// Further forms that are understood: those of the program that set the cookies before.
    pub read: Vec<CookieValue>,
    /// What digests are taken of.
    pub of: DigestOf,
    /// The secret of keyed digests.
    pub hmac_key: Option<SecretRef>,
    /// The secret from which the sealing key is derived; balancers that share it understand each other's tokens.
    /// `None`: one is made and kept in the state directory.
    pub key: Option<SecretRef>,
    /// The secret before: its tokens are still understood.
    pub previous: Option<SecretRef>,
    /// A value with dates that was not seen for so long is void.
    pub idle: Duration,
    /// A value with dates that is older than this is void.
    pub life: Duration,
    /// The application's own session cookie: a token is void without it, or with another value of it.
    pub bond: Option<String>,
    /// Requests a second that one token may send to its server.
    pub rate: Option<u32>,
    /// When it is set.
    pub insert: Insert,
    /// Whether one of that name that the server sets goes to the client in place of ours.
    pub preserve: bool,
    /// Whether it is taken out of what the server sees.
    pub strip: bool,
    /// Whether caches are told that an answer with it is one client's own.
    pub private: bool,
    /// What browsers are told of it.
    pub attributes: CookieAttributes,
}

/// Who sets a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetBy {
    /// We do.
    Us,
    /// The server, and we only read it.
    Server,
    /// The server, and its value is replaced by ours.
    Rewrite,
    /// The server, and our value stands before its own, parted by `~`. The server sees its own alone.
    Prefix,
    /// The server, which puts its name behind a dot, as Tomcat's `jvmRoute` does; we only read it.
    Suffix,
}

/// What a cookie's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CookieValue {
    /// A sealed token.
    Token,
    /// What the server is known as.
    Name,
    /// The same with dates behind it, as HAProxy's `maxidle` and `maxlife` have them.
    Dated,
    /// The server's position in the pool, from 0.
    Index,
    /// The server's address and port.
    Address,
    /// A digest in hexadecimal digits.
    Digest(Digest),
}

/// A digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// MD5
    Md5,
    /// SHA-1
    Sha1,
    /// MD5 with a key (RFC 2104).
    HmacMd5,
    /// SHA-1 with a key (RFC 2104).
    HmacSha1,
}

/// What a digest is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestOf {
    /// The address as the kernel has it: 16 bytes for IPv4, 28 for IPv6.
    SocketAddress,
    /// The address as text, with its port.
    Address,
    /// The address as the configuration has it, which may be a name.
    Written,
}

/// When a cookie of ours is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Insert {
    /// Whenever a client needs one.
    Always,
    /// On answers to `POST`.
    Post,
    /// Once the application's own session cookie is there.
    Session,
}

/// What browsers are told of a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieAttributes {
    /// `Domain`; the answering host alone where there is none.
    pub domain: Option<String>,
    /// `Path`
    pub path: String,
    /// `Secure`. `None`: where the client came over TLS.
    pub secure: Option<bool>,
    /// `HttpOnly`
    pub http_only: bool,
    /// `SameSite`
    pub same_site: SameSite,
    /// `Max-Age`. `None`: until the browser closes.
    pub expires: Option<Duration>,
}

/// Which sites' requests carry a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// `Lax`, but for a page embedded by another site over TLS, which gets `None` and `Partitioned`.
    Auto,
    /// `Lax`
    Lax,
    /// `Strict`
    Strict,
    /// `None`
    None,
    /// The attribute is left out.
    Off,
}

/// Where a request carries a value that tells the server or the session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// A cookie.
    Cookie(String),
    /// The query parameter of that name.
    Query(String),
    /// The field of that name, in lower case.
    Field(String),
    /// The path parameter of that name: `/cart;jsessionid=…`.
    Path(String),
}

/// A session's id that is learned from answers, and then found in requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learn {
    /// Where requests carry it.
    pub carrier: Carrier,
    /// Where answers tell it.
    pub from: Vec<LearnFrom>,
    /// A session not seen for so long is forgotten.
    pub idle: Duration,
    /// A session older than this is forgotten.
    pub life: Duration,
}

/// Where an answer tells a session's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LearnFrom {
    /// `Set-Cookie`
    SetCookie,
    /// `Location` and its like.
    Location,
    /// The field of that name, in lower case.
    Field(String),
    /// Links, forms and hidden inputs of an HTML body.
    Body,
}

impl Sticky {
    /// A method with every default.
    pub fn new(method: StickyMethod) -> Self {
        Self { method, down: WhenDown::Elsewhere, wait: Duration::ZERO, bound: None, skip: Vec::new() }
    }

    /// A sealed token in a cookie of that name.
    pub fn token(name: &str) -> Self {
        Self::new(StickyMethod::Cookie(Box::new(StickyCookie::new(name.to_owned()))))
    }

    /// How long a session may sleep: until then its client may come back to the server.
    pub fn idle(&self) -> Duration {
        match &self.method {
            StickyMethod::Cookie(cookie) => cookie.idle,
            StickyMethod::Learned(learn) => learn.idle,
            StickyMethod::Named(_) | StickyMethod::Client => Duration::ZERO,
        }
    }

    /// Its cookie, if it is one.
    pub fn cookie(&self) -> Option<&StickyCookie> {
        match &self.method {
            StickyMethod::Cookie(cookie) => Some(cookie),
            _ => None,
        }
    }
}

impl StickyCookie {
    /// A sealed token in a cookie of that name.
    pub fn new(name: String) -> Self {
        Self {
            name,
            host_prefix: false,
            set_by: SetBy::Us,
            value: CookieValue::Token,
            read: Vec::new(),
            of: DigestOf::SocketAddress,
            hmac_key: None,
            key: None,
            previous: None,
            idle: defaults::STICKY_IDLE,
            life: defaults::STICKY_LIFE,
            bond: None,
            rate: None,
            insert: Insert::Always,
            preserve: false,
            strip: true,
            private: true,
            attributes: CookieAttributes::default(),
        }
    }

    /// A sealed token in the pool's own cookie.
    pub fn of_pool(pool: &PoolName) -> Self {
        Self { host_prefix: true, ..Self::new(default_name(pool)) }
    }

    /// Whether any form that is written or read is that one.
    pub fn knows(&self, is_it: impl Fn(CookieValue) -> bool) -> bool {
        is_it(self.value) || self.read.iter().copied().any(is_it)
    }
}

impl Default for CookieAttributes {
    fn default() -> Self {
        Self {
            domain: None,
            path: "/".to_owned(),
            secure: None,
            http_only: true,
            same_site: SameSite::Auto,
            expires: None,
        }
    }
}

impl CookieValue {
    /// Every form with its word.
    pub const ALL: [(&str, Self); 9] = [
        ("token", Self::Token),
        ("name", Self::Name),
        ("dated", Self::Dated),
        ("index", Self::Index),
        ("address", Self::Address),
        ("md5", Self::Digest(Digest::Md5)),
        ("sha1", Self::Digest(Digest::Sha1)),
        ("hmac-md5", Self::Digest(Digest::HmacMd5)),
        ("hmac-sha1", Self::Digest(Digest::HmacSha1)),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// The form of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
    }

    /// Whether it needs a key of keyed digests.
    pub fn is_keyed(self) -> bool {
        matches!(self, Self::Digest(Digest::HmacMd5 | Digest::HmacSha1))
    }
}

/// A name of its own for each pool: two pools of one site would overwrite each other's cookie. It tells nothing of
/// the pool's name but whether two are equal (FNV-1a, folded to 16 bits).
fn default_name(pool: &PoolName) -> String {
    let hash =
        pool.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{}-{:04x}", defaults::STICKY_COOKIE, (hash >> 16) ^ (hash & 0xffff))
}

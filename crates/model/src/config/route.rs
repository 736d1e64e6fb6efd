//! Listeners, sites and routes: which request goes where.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{AccessLog, ListenerTls, Tcp};
use crate::{ListenerName, PoolName, Template, defaults};

/// An address that traffic comes in at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address as the operator wrote it.
    pub name: ListenerName,
    /// The address to bind.
    pub addr: ListenAddr,
    /// TLS towards its clients. `None`: it speaks in the clear.
    pub tls: Option<ListenerTls>,
    /// How long clients may take.
    pub timeouts: ClientTimeouts,
    /// How much clients may send.
    pub limits: ClientLimits,
    /// The most client connections at one time. `None`: as many as the process takes.
    pub max_conns: Option<u32>,
    /// Proxies in front of us whose word on the client's address counts.
    pub trusted: Vec<Network>,
    /// Proxies in front of us that begin each connection with a PROXY header. Empty: none does. Otherwise a connection
    /// from one of them without such a header is refused, and so is one from anybody else.
    pub proxied: Vec<Network>,
    /// The blocks that share this address, in written order; the first whose hosts fit takes the request. A request
    /// that no site's hosts fit is answered 421. Empty where `tcp` is set, and only there.
    pub sites: Vec<Site>,
    /// What becomes of connections that are passed on as they are.
    pub tcp: Option<Tcp>,
}

/// An address to bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// `:80`: every address of the machine, both families.
    Every(u16),
    /// One address.
    One(SocketAddr),
}

impl ListenAddr {
    /// The port.
    pub fn port(self) -> u16 {
        match self {
            Self::Every(port) => port,
            Self::One(addr) => addr.port(),
        }
    }
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// The whole of a request's head.
    pub head: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// On a kept connection, until the next request's first byte.
    pub idle: Duration,
    /// Without taking one byte of its answer.
    pub send: Duration,
    /// Bytes a second that a client has to move while it is waited for; below it the time for a pause runs out, too.
    /// `None`: any byte will do.
    pub rate: Option<u64>,
    /// On an upgraded connection, without a byte either way.
    pub tunnel: Duration,
    /// The age past which a kept connection is closed after its answer.
    pub life: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            head: defaults::CLIENT_HEAD_TIMEOUT,
            body: defaults::CLIENT_BODY_TIMEOUT,
            idle: defaults::CLIENT_IDLE_TIMEOUT,
            send: defaults::CLIENT_SEND_TIMEOUT,
            rate: Some(defaults::CLIENT_RATE),
            tunnel: defaults::TUNNEL_TIMEOUT,
            life: defaults::CLIENT_LIFE,
        }
    }
}

/// How much a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// Bytes of a request's head, at most 16 KiB; more is answered 431.
    pub head: u64,
    /// Fields of a request's head, at most 1000; more is answered 431.
    pub fields: u16,
    /// Bytes of a request's target; more is answered 414.
    pub target: u64,
    /// Bytes of a request's body; more is answered 413. `None` means no bound.
    pub body: Option<u64>,
    /// Requests on one connection; the last one's answer closes it.
    pub requests: u32,
    /// Requests at one time on one HTTP/2 connection; more are refused unread.
    pub streams: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            head: defaults::MAX_HEAD,
            fields: defaults::MAX_FIELDS,
            target: defaults::MAX_TARGET,
            body: None,
            requests: defaults::MAX_REQUESTS,
            streams: defaults::MAX_STREAMS,
        }
    }
}

/// A range of addresses, `10.0.0.0/8` or `2001:db8::/32`; the bits past the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    /// The first address.
    pub addr: IpAddr,
    /// How many leading bits count: 0 to 32, or 0 to 128.
    pub prefix: u8,
}

impl Network {
    /// Whether the address lies in the range. An IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn contains(&self, addr: IpAddr) -> bool {
        fn bits(addr: IpAddr) -> (u128, u8) {
            match addr {
                IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
                IpAddr::V6(v6) => (u128::from(v6), 128),
            }
        }
        let (own, family) = bits(self.addr);
        let (other, other_family) = bits(addr.to_canonical());
        let shift = 128u32.saturating_sub(u32::from(self.prefix));
        family == other_family && own.checked_shr(shift) == other.checked_shr(shift)
    }
}

/// One `http` block: the hosts it serves and the routes in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// Hosts that the block is for. Empty takes every host.
    pub hosts: Vec<HostPattern>,
    /// The routes in written order; the first that fits decides. A request that none fits is answered 404.
    pub routes: Vec<Route>,
    /// `errors DIR`: the site's own error pages.
    pub errors: Option<PathBuf>,
    /// The access logs. Each gets every line that its own rules leave in.
    pub logs: Vec<AccessLog>,
    /// What we tell servers about the client.
    pub forwarded: ForwardedFields,
    /// How requests are numbered.
    pub request_id: RequestId,
    /// Whether a trace is begun for requests that carry none, and how many percent of them are marked as sampled.
    pub trace: Option<u8>,
    /// Edits of every request, in order, before the route's own.
    pub request_edits: Vec<FieldEdit>,
    /// Edits of every answer, in order, before the route's own.
    pub response_edits: Vec<FieldEdit>,
}

/// A pattern for host names, all in lower case and without a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `shop.example.com`
    Exact(String),
    /// `*.example.com`: one or more labels before the suffix; the text is `.example.com`.
    Below(String),
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What the route is called in logs: its path pattern as written, `*` for one that takes every path.
    pub name: String,
    /// Which requests it takes.
    pub matcher: Matcher,
    /// What happens to the path on its way to the server.
    pub rewrite: PathRewrite,
    /// Edits of its requests, in order, after the site's.
    pub request_edits: Vec<FieldEdit>,
    /// Edits of its answers, in order, after the site's.
    pub response_edits: Vec<FieldEdit>,
    /// What it does with a request.
    pub action: Action,
}

/// Which requests a route takes: all of these must fit; an empty list fits every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// The path. It is compared with the request's path in normal form (RFC 3986 section 6.2.2); what is forwarded
    /// stays as the client wrote it.
    pub path: PathPattern,
    /// Hosts, any of them.
    pub hosts: Vec<HostPattern>,
    /// Methods in upper case, any of them.
    pub methods: Vec<String>,
    /// Request fields, all of them. Names are in lower case.
    pub fields: Vec<FieldMatch>,
    /// Query parameters, all of them.
    pub query: Vec<FieldMatch>,
}

/// A pattern for paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// `*`: every path.
    Any,
    /// `/exact`: this path alone.
    Exact(String),
    /// `/prefix/*`: everything below, and `/prefix` itself. The text is `/prefix`; `/*` is [`PathPattern::Any`].
    Below(String),
    /// `/img/*.png`: `*` stands for any bytes but `/`, `**` for any bytes, `?` for one byte that is not `/`.
    Glob(String),
}

/// A condition on a named value: a request field or a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldMatch {
    /// The name.
    pub name: String,
    /// The value it must have, exactly; `None` means that it is there at all.
    pub value: Option<String>,
}

/// What happens to a path on its way to the server. Both may be given: first the prefix goes, then the other comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathRewrite {
    /// `strip-prefix /api`: taken off the front where it stands there as whole segments.
    pub strip: Option<String>,
    /// `add-prefix /v1`: put before.
    pub add: Option<String>,
}

/// An edit of a message's fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldEdit {
    /// Replace every field of that name by one with this value.
    Set(String, Template),
    /// Add one more field of that name.
    Add(String, Template),
    /// Take every field of that name away.
    Remove(String),
}

/// What a route does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send it to a server of the pool.
    To(PoolName),
    /// Answer with a redirection.
    Redirect(Redirect),
    /// Answer ourselves.
    Respond(Respond),
}

/// A redirection. What is not given stays as in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
    /// The target.
    pub to: RedirectTo,
}

impl Redirect {
    /// Whether nothing but the scheme becomes `https`, and the host maybe another one.
    pub fn only_secures(&self) -> bool {
        matches!(&self.to, RedirectTo::Parts { scheme: Some(scheme), path: None, .. } if scheme == "https")
    }
}

/// Where a [`Redirect`] leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectTo {
    /// `redirect https` or `redirect host=… path=…`: the request's own URL with parts replaced.
    Parts {
        /// `http` or `https`.
        scheme: Option<String>,
        /// The host, with a port where it is not the scheme's own.
        host: Option<String>,
        /// The path; the request's query is kept.
        path: Option<Template>,
    },
    /// `redirect https://other.example/$path`: a whole location.
    Location(Template),
}

/// An answer of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// The status, 200 to 599.
    pub status: u16,
    /// The body's media type.
    pub content_type: String,
    /// The body.
    pub body: Template,
}

/// Which fields tell a server about the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedFields {
    /// The fields, each once. Those of them that a client sent itself are replaced, or appended to where the
    /// connection comes from a trusted proxy; those not in the list are removed if the client is not trusted.
    pub fields: Vec<ClientField>,
}

impl Default for ForwardedFields {
    fn default() -> Self {
        Self { fields: vec![ClientField::XForwardedFor, ClientField::XForwardedProto, ClientField::XForwardedHost] }
    }
}

/// A field that tells a server about the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientField {
    /// `X-Forwarded-For`: the addresses, client first.
    XForwardedFor,
    /// `X-Forwarded-Proto`: `http` or `https`.
    XForwardedProto,
    /// `X-Forwarded-Host`: the host that the client asked for.
    XForwardedHost,
    /// `X-Real-IP`: the client's address alone.
    XRealIp,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ClientField {
    /// Every one of them.
    pub const ALL: [Self; 5] =
        [Self::XForwardedFor, Self::XForwardedProto, Self::XForwardedHost, Self::XRealIp, Self::Forwarded];

    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::XForwardedProto => "X-Forwarded-Proto",
            Self::XForwardedHost => "X-Forwarded-Host",
            Self::XRealIp => "X-Real-IP",
            Self::Forwarded => "Forwarded",
        }
    }
}

/// How requests are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// No id is made or passed on by us.
    Off,
    /// The id travels in this field, both ways. A trusted proxy's id is kept, any other is replaced.
    Field(String),
}

impl Default for RequestId {
    fn default() -> Self {
        Self::Field(defaults::REQUEST_ID.to_owned())
    }
}

//! The validated configuration: what the operator wrote, with every default filled in and every name resolved.
//!
//! It is a value: it holds no handle, no socket and no running part, and two that are equal behave alike.

mod admin;
mod cluster;
mod dns;
mod log;
mod pool;
mod process;
mod route;
mod sticky;
mod tcp;
mod tls;
mod zonefile;

pub use admin::{Admin, AdminUser, Role};
pub use cluster::{
    Beat, Cluster, ClusterNode, Group, GroupMode, GroupResource, Ping, ResourceKind, ServiceAddress, Spread,
};
pub use dns::{
    BalancedName, Dns, DnsAnswer, DnsCookies, DnsFallback, DnsListener, DnsLog, DnsMode, DnsRate, DnsSpread, DnsTcp,
    DnsZone, MadeZone, NameServer, Notify, Transfer, ZoneSource,
};
pub use log::{AccessLog, LogFormat, LogRule, LogSubject, LogTarget};
pub use pool::{
    Balance, BodyMatch, Check, CheckKind, Eject, HashKey, Host, HttpCheck, OnDown, Pool, PoolTimeouts, ProxyVersion,
    Queue, RedisRole, Retry, RetryOn, Reuse, Server, ServerAddr, ServerProtocol, Standing, StatusRange, TalkCheck,
    called,
};
pub use process::{Ceiling, Process, SecretRef, Workers};
pub use route::{
    Action, ClientField, ClientLimits, ClientTimeouts, FieldEdit, FieldMatch, ForwardedFields, HostPattern, ListenAddr,
    Listener, Matcher, Network, PathPattern, PathRewrite, Redirect, RedirectTo, RequestId, Respond, Route, Site,
};
pub use tcp::{Tcp, TcpRoute, TcpTimeouts};
pub use tls::{
    AccountBinding, Acme, AcmeChallenge, CertificateSource, ClientCertificates, ListenerTls, PoolTls, TlsMin,
};
pub use zonefile::{Then, Update, Zonefile};

pub use sticky::{
    Carrier, CookieAttributes, CookieValue, Digest, DigestOf, Insert, Learn, LearnFrom, SameSite, SetBy, Sticky,
    StickyCookie, StickyMethod, StickySkip, WhenDown,
};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// What concerns the process as a whole.
    pub process: Process,
    /// The admin listener, if there is one.
    pub admin: Option<Admin>,
    /// The cluster that this node belongs to, if there is one.
    pub cluster: Option<Cluster>,
    /// Where traffic comes in, in written order; one for each address.
    pub listeners: Vec<Listener>,
    /// The pools, in written order; those that listeners' own `to` lines make come where the listener stands.
    pub pools: Vec<Pool>,
    /// The zone files that are kept in step, in written order.
    pub zonefiles: Vec<Zonefile>,
    /// Where DNS is answered, in written order.
    pub dns: Vec<Dns>,
}

impl Config {
    /// The pool of that name.
    pub fn pool(&self, name: &crate::PoolName) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == *name)
    }

    /// Every server of every pool, in written order.
    pub fn server_ids(&self) -> impl Iterator<Item = crate::ServerId> {
        self.pools.iter().flat_map(|pool| pool.servers.iter().map(|server| pool.id_of(server)))
    }

    /// The listener of that name.
    pub fn listener(&self, name: &crate::ListenerName) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.name == *name)
    }
}

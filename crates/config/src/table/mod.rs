//! The directive table: every word of the language with its place, values, default and text. Parser, errors, `explain`,
//! completions, manual and JSON schema all read it, and none of them knows a word that is not here.
//!
//! The invariant: a word is described once, and what is described is what is obeyed.

mod admin;
mod cluster;
mod dns;
mod http;
mod kind;
mod pool;
mod route;
mod sticky;
mod strangers;
mod tcp;
mod tls;
mod top;
mod zonefile;

use std::fmt;

pub use kind::{Kind, Phase};
pub use strangers::{FOREIGN, Foreign, LATER};

/// A place where words may stand: a kind of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// Outside of every block.
    Top,
    /// `limits`
    Limits,
    /// `admin`
    Admin,
    /// `user` in an `admin` block.
    AdminUser,
    /// `cluster`
    Cluster,
    /// `beat`
    Beat,
    /// `ping`
    Ping,
    /// `multicast` and `broadcast` of a cluster.
    Spread,
    /// `group` in a `cluster`.
    Group,
    /// `ip` in a `group`.
    ServiceIp,
    /// `unit` and `script` in a `group`.
    GroupService,
    /// `http`
    Http,
    /// `route` in an `http` block.
    Route,
    /// `redirect`
    Redirect,
    /// `respond`
    Respond,
    /// `log`
    Log,
    /// `skip` in a `log`
    Skip,
    /// `timeout` of clients
    ClientTimeout,
    /// `max`
    Max,
    /// `cert`
    Cert,
    /// `acme`
    Acme,
    /// `tls` of clients
    ClientTls,
    /// `tls` of servers
    ServerTls,
    /// `pool`
    Pool,
    /// `server` in a `pool`
    Server,
    /// `balance`
    Balance,
    /// `sticky`
    Sticky,
    /// `skip` in a `sticky`
    StickySkip,
    /// `check`
    Check,
    /// `eject`
    Eject,
    /// `retry`
    Retry,
    /// `timeout` of servers
    ServerTimeout,
    /// `queue`
    Queue,
    /// `zonefile`
    Zonefile,
    /// `check` in a `zonefile`
    ZoneCheck,
    /// `then` in a `zonefile`
    Then,
    /// `update` in a `zonefile`
    Update,
    /// `sessions`
    Sessions,
    /// `dns`
    Dns,
    /// `zone` in a `dns` block.
    Zone,
    /// `name` in a `zone`.
    ZoneName,
    /// `transfer`
    Transfer,
    /// `notify`
    Notify,
    /// `rate` of `dns`.
    DnsRate,
    /// `cookies`
    DnsCookies,
    /// `tcp` of `dns`.
    DnsTcp,
    /// `log` of `dns`.
    DnsLog,
    /// `tcp`
    Tcp,
    /// `route` in a `tcp` block.
    TcpRoute,
    /// `timeout` of a `tcp` block.
    TcpTimeout,
    /// `proxy-protocol` of a listener.
    ProxyProtocol,
}

impl Context {
    /// Every context, outermost first.
    pub const ALL: [Self; 51] = [
        Self::Top,
        Self::Limits,
        Self::Admin,
        Self::AdminUser,
        Self::Cluster,
        Self::Beat,
        Self::Ping,
        Self::Spread,
        Self::Group,
        Self::ServiceIp,
        Self::GroupService,
        Self::Http,
        Self::Route,
        Self::Redirect,
        Self::Respond,
        Self::Log,
        Self::Skip,
        Self::ClientTimeout,
        Self::Max,
        Self::Cert,
        Self::Acme,
        Self::ClientTls,
        Self::ServerTls,
        Self::Pool,
        Self::Server,
        Self::Balance,
        Self::Sticky,
        Self::StickySkip,
        Self::Check,
        Self::Eject,
        Self::Retry,
        Self::ServerTimeout,
        Self::Queue,
        Self::Zonefile,
        Self::ZoneCheck,
        Self::Then,
        Self::Update,
        Self::Sessions,
        Self::Dns,
        Self::Zone,
        Self::ZoneName,
        Self::Transfer,
        Self::Notify,
        Self::DnsRate,
        Self::DnsCookies,
        Self::DnsTcp,
        Self::DnsLog,
        Self::Tcp,
        Self::TcpRoute,
        Self::TcpTimeout,
        Self::ProxyProtocol,
    ];

    /// The word whose block it is; empty at the top.
    pub fn word(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Limits => "limits",
            Self::Admin => "admin",
            Self::AdminUser => "user",
            Self::Cluster => "cluster",
            Self::Beat => "beat",
            Self::Ping => "ping",
            Self::Spread => "multicast",
            Self::Group => "group",
            Self::ServiceIp => "ip",
            Self::GroupService => "unit",
            Self::Http => "http",
            Self::Route | Self::TcpRoute => "route",
            Self::Redirect => "redirect",
            Self::Respond => "respond",
            Self::Log => "log",
            Self::Skip | Self::StickySkip => "skip",
            Self::ClientTimeout | Self::ServerTimeout | Self::TcpTimeout => "timeout",
            Self::Max => "max",
            Self::Cert => "cert",
            Self::Acme => "acme",
            Self::ClientTls | Self::ServerTls => "tls",
            Self::Pool => "pool",
            Self::Server => "server",
            Self::Balance => "balance",
            Self::Sticky => "sticky",
            Self::Check | Self::ZoneCheck => "check",
            Self::Eject => "eject",
            Self::Retry => "retry",
            Self::Queue => "queue",
            Self::Zonefile => "zonefile",
            Self::Then => "then",
            Self::Update => "update",
            Self::Sessions => "sessions",
            Self::Dns => "dns",
            Self::Zone => "zone",
            Self::ZoneName => "name",
            Self::Transfer => "transfer",
            Self::Notify => "notify",
            Self::DnsRate => "rate",
            Self::DnsCookies => "cookies",
            Self::DnsTcp | Self::Tcp => "tcp",
            Self::ProxyProtocol => "proxy-protocol",
            Self::DnsLog => "log",
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("the top of the file"),
            Self::AdminUser => f.write_str("`user` of `admin`"),
            Self::ClientTimeout => f.write_str("`timeout` of clients"),
            Self::ServerTimeout => f.write_str("`timeout` of a pool"),
            Self::GroupService => f.write_str("`unit` and `script` of a group"),
            Self::ClientTls => f.write_str("`tls` of clients"),
            Self::ServerTls => f.write_str("`tls` of a pool"),
            Self::StickySkip => f.write_str("`skip` of `sticky`"),
            Self::ZoneCheck => f.write_str("`check` of zone files"),
            Self::ZoneName => f.write_str("`name` of a zone"),
            Self::DnsRate => f.write_str("`rate` of `dns`"),
            Self::DnsTcp => f.write_str("`tcp` of `dns`"),
            Self::DnsLog => f.write_str("`log` of `dns`"),
            Self::TcpRoute => f.write_str("`route` of `tcp`"),
            Self::ProxyProtocol => f.write_str("`proxy-protocol` of a listener"),
            Self::TcpTimeout => f.write_str("`timeout` of `tcp`"),
            other => write!(f, "`{}`", other.word()),
        }
    }
}

/// One word of the language.
#[derive(Debug)]
pub struct Directive {
    /// The word.
    pub name: &'static str,
    /// Where it may stand.
    pub within: &'static [Context],
    /// Its values, in order.
    pub args: &'static [Arg],
    /// The kind of block that it opens, whose words are also its options.
    pub opens: Option<Context>,
    /// How often it may stand in one block.
    pub repeat: Repeat,
    /// What holds where it is not given, as it would be written after the word; `None` for what is off or empty.
    pub default: Option<fn() -> String>,
    /// What holds where it is not given, in words, where it cannot be written as a value.
    pub otherwise: &'static str,
    /// The first version that knows it.
    pub since: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// What else there is to know, in a paragraph.
    pub more: &'static str,
    /// One use of it.
    pub example: &'static str,
}

/// A value of a word.
#[derive(Debug)]
pub struct Arg {
    /// What it is called in usage lines.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// How many there may be.
    pub count: Count,
}

impl Arg {
    /// Whether several may be written as one word with commas. A text may hold commas of its own, and a name server has them
    /// between its addresses.
    pub fn is_list(&self) -> bool {
        matches!(self.count, Count::Many | Count::Any)
            && !matches!(self.kind, Kind::Text | Kind::NameServer | Kind::Expected)
    }
}

/// How many of a value there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Exactly one.
    One,
    /// None or one.
    Optional,
    /// One or more; also as one word with commas.
    Many,
    /// None or more.
    Any,
}

/// How often a word may stand in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Once.
    Once,
    /// As often as wanted; order counts.
    Many,
    /// As often as wanted, each time with another name as its first value.
    Named,
}

/// What rows are made from.
const ROW: Directive = Directive {
    name: "",
    within: &[],
    args: &[],
    opens: None,
    repeat: Repeat::Once,
    default: None,
    otherwise: "",
    since: "0.1",
    doc: "",
    more: "",
    example: "",
};

const fn one(name: &'static str, kind: Kind) -> Arg {
    Arg { name, kind, count: Count::One }
}

const fn optional(name: &'static str, kind: Kind) -> Arg {
    Arg { name, kind, count: Count::Optional }
}

const fn many(name: &'static str, kind: Kind) -> Arg {
    Arg { name, kind, count: Count::Many }
}

const fn any(name: &'static str, kind: Kind) -> Arg {
    Arg { name, kind, count: Count::Any }
}

static TABLE: [&[Directive]; 11] = [
    top::ROWS,
    admin::ROWS,
    cluster::ROWS,
    http::ROWS,
    tcp::ROWS,
    tls::ROWS,
    route::ROWS,
    pool::ROWS,
    sticky::ROWS,
    zonefile::ROWS,
    dns::ROWS,
];

/// Every word of the language.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    TABLE.iter().flat_map(|rows| rows.iter())
}

/// The words that may stand in a place, in the order of the manual.
pub fn words_in(context: Context) -> impl Iterator<Item = &'static Directive> {
    directives().filter(move |directive| directive.within.contains(&context))
}

/// What a word means in a place.
pub fn find(name: &str, context: Context) -> Option<&'static Directive> {
    directives().find(|directive| directive.name == name && directive.within.contains(&context))
}

impl Directive {
    /// Whether it is a bare word that says all by being there (`backup`).
    pub fn is_flag(&self) -> bool {
        self.args.is_empty() && self.opens.is_none()
    }

    /// The fewest values that it takes.
    pub fn fewest(&self) -> usize {
        self.args.iter().filter(|arg| matches!(arg.count, Count::One | Count::Many)).count()
    }

    /// The most values that it takes; `None` for no bound.
    pub fn most(&self) -> Option<usize> {
        let unbound = self.args.iter().any(|arg| matches!(arg.count, Count::Many | Count::Any));
        (!unbound).then_some(self.args.len())
    }

    /// The value at a position, counted from 0.
    pub fn arg(&self, index: usize) -> Option<&'static Arg> {
        let args: &'static [Arg] = self.args;
        args.get(index).or_else(|| args.last().filter(|last| matches!(last.count, Count::Many | Count::Any)))
    }

    /// How it is written: `check [METHOD] PATH [HTTP/1.0] [every=DURATION] …`.
    pub fn usage(&self) -> String {
        let mut out = self.name.to_owned();
        for arg in self.args {
            out.push(' ');
            out.push_str(&match arg.count {
                Count::One => arg.name.to_owned(),
                Count::Optional => format!("[{}]", arg.name),
                Count::Many => format!("{}…", arg.name),
                Count::Any => format!("[{}…]", arg.name),
            });
        }
        for child in self.opens.into_iter().filter(|context| context.has_options()).flat_map(words_in) {
            match child.args {
                [] => out.push_str(&format!(" [{}]", child.name)),
                [arg, ..] => out.push_str(&format!(" [{}={}]", child.name, arg.name)),
            }
        }
        if self.opens.is_some_and(|context| !context.has_options()) {
            out.push_str(" { … }");
        }
        out
    }
}

impl Context {
    /// Whether its words are few and small, so that they are commonly written as options on one line.
    pub fn has_options(self) -> bool {
        !matches!(
            self,
            Self::Top
                | Self::Admin
                | Self::Cluster
                | Self::Group
                | Self::Http
                | Self::Route
                | Self::Pool
                | Self::Log
                | Self::Dns
                | Self::Zone
                | Self::Tcp
        )
    }
}

#[cfg(test)]
mod tests;

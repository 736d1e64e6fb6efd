//! Words of a `pool`, and their options. A catalogue.

use std::time::Duration;

use evenkeel_model::{caps, defaults};

use super::{Context, Directive, Kind, ROW, Repeat, any, many, one, optional};
use crate::print;

const CHECKS: &[Context] = &[Context::Check, Context::ZoneCheck];
const SHORTEST: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A pool's words also stand in a block with a `to` of its own.
pub(super) const POOLS: &[Context] = &[Context::Pool, Context::Http, Context::Tcp];
/// Those of them that are about requests.
const HTTP_POOLS: &[Context] = &[Context::Pool, Context::Http];

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "pool",
        within: &[Context::Top],
        args: &[one("NAME", Kind::Name)],
        opens: Some(Context::Pool),
        repeat: Repeat::Named,
        otherwise: "none",
        doc: "Interchangeable servers, and how they are used.",
        more: "Routes lead to it by its name. State, logs and commands know a server as `POOL/SERVER`, so that renaming one makes it a new one.",
        example: "pool shop {\n    check  GET /check.txt\n    server a 10.0.0.11:8080\n    server b 10.0.0.12:8080\n}",
        ..ROW
    },
    Directive {
        name: "server",
        within: &[Context::Pool],
        args: &[one("NAME", Kind::Name), one("ADDRESS", Kind::Server)],
        opens: Some(Context::Server),
        repeat: Repeat::Named,
        otherwise: "none",
        doc: "One server of the pool.",
        more: "An address or a name with its port. A name is resolved while running, again and again by its time to live.",
        example: "server a 10.0.0.11:8080 weight=3",
        ..ROW
    },
    Directive {
        name: "weight",
        within: &[Context::Server],
        args: &[one("NUMBER", Kind::Integer(0, defaults::WEIGHT_MAX as u64))],
        default: Some(|| defaults::WEIGHT.to_string()),
        doc: "The server's share next to the others.",
        more: "A server of weight 0 keeps its sessions and gets no new ones.",
        example: "server a 10.0.0.11:8080 weight=3",
        ..ROW
    },
    Directive {
        name: "backup",
        within: &[Context::Server],
        otherwise: "the server is a primary one",
        doc: "Is used only when no primary server is left.",
        more: "Several backups share the traffic as primaries do.",
        example: "server d 10.0.0.99:8080 backup",
        ..ROW
    },
    Directive {
        name: "drain",
        within: &[Context::Server],
        otherwise: "the server takes new sessions",
        doc: "Keeps the sessions that it has and gets no new ones.",
        more: "For a planned stop. `evenkeel drain POOL/SERVER` does the same without touching the file.",
        example: "server c 10.0.0.13:8080 drain",
        ..ROW
    },
    Directive {
        name: "maint",
        within: &[Context::Server],
        otherwise: "the server serves",
        doc: "Gets no traffic at all.",
        more: "Its users go to other servers. `evenkeel maint POOL/SERVER` does the same without touching the file.",
        example: "server c 10.0.0.13:8080 maint",
        ..ROW
    },
    Directive {
        name: "max-conns",
        within: &[Context::Server],
        args: &[one("NUMBER", Kind::Integer(1, 1_000_000))],
        otherwise: "no bound",
        doc: "Requests that the server gets at one time.",
        more: "Exact over all workers. Past it, requests go to other servers, or wait in the pool's `queue`.",
        example: "server a 10.0.0.11:8080 max-conns=200",
        ..ROW
    },
    Directive {
        name: "known-as",
        within: &[Context::Server],
        args: &[many("VALUE", Kind::CookieValue)],
        otherwise: "its name",
        doc: "What the server is called in cookies and parameters that name servers.",
        more: "For `sticky` methods whose values are in the open. The first is written, all are understood. Several servers may be known as one: \
               the first that may serve has the session.",
        example: "server a 10.0.0.11:8080 known-as=backend1",
        ..ROW
    },
    Directive {
        name: "balance",
        within: POOLS,
        args: &[
            one("METHOD", Kind::Choice(&["round-robin", "least-conn", "random", "hash"])),
            optional("KEY", Kind::Choice(&["client", "header", "cookie", "query", "path"])),
            optional("NAME", Kind::Text),
        ],
        opens: Some(Context::Balance),
        default: Some(|| "round-robin".to_owned()),
        doc: "How a server is chosen for a request without a session.",
        more: "`round-robin` in turn by weight; `least-conn` the one with the fewest requests for its weight; `random` the less loaded of two taken by chance; \
               `hash client`, `hash path` or `hash header|cookie|query NAME` the same server for the same key, while it lives. Adding one server to \
               n moves about one key in n.",
        example: "balance hash client",
        ..ROW
    },
    Directive {
        name: "bound",
        within: &[Context::Balance],
        args: &[one("PERCENT", Kind::Percent(100, 1000))],
        default: Some(|| format!("{}%", defaults::HASH_BOUND)),
        doc: "With `hash`: the most load of one server, in percent of the average.",
        more: "Past it, and above 32 requests at one time, the key's next server is taken, so that one busy key does not drown one server.",
        example: "balance hash cookie user bound=150%",
        ..ROW
    },
    Directive {
        name: "check",
        within: POOLS,
        args: &[any("PROBE", Kind::Text)],
        opens: Some(Context::Check),
        default: Some(|| "tcp".to_owned()),
        doc: "Probes each server again and again.",
        more: "`tcp` connects, and with `expect` listens; `redis`, `postgres` and `mysql` ask whether a database takes connections; `PATH`, `METHOD PATH` or `METHOD PATH HTTP/1.0` asks and looks at the answer; `off` leaves it to live traffic. A server that failed \
               `fall` times in a row is down, one that passed `rise` times is up again.",
        example: "check GET /check.txt every=2s rise=2 fall=3 expect=200",
        ..ROW
    },
    Directive {
        name: "every",
        within: &[Context::Check],
        args: &[one("DURATION", Kind::Duration(Duration::from_millis(50), DAY))],
        default: Some(|| print::duration(defaults::CHECK_EVERY)),
        doc: "From one probe's start to the next one's.",
        more: "Up to a tenth is added or taken by chance, so that probes spread.",
        example: "check tcp every=5s",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::Check],
        args: &[one("DURATION", Kind::Duration(SHORTEST, HOUR))],
        default: Some(|| print::duration(defaults::CHECK_TIMEOUT)),
        doc: "For the whole probe, connection included.",
        more: "A probe that takes longer has failed.",
        example: "check tcp timeout=500ms",
        ..ROW
    },
    Directive {
        name: "rise",
        within: &[Context::Check],
        args: &[one("NUMBER", Kind::Integer(1, 1000))],
        default: Some(|| defaults::CHECK_RISE.to_string()),
        doc: "Probes passed in a row before a server that was down gets traffic.",
        more: "One answer may be luck.",
        example: "check tcp rise=3",
        ..ROW
    },
    Directive {
        name: "fall",
        within: &[Context::Check],
        args: &[one("NUMBER", Kind::Integer(1, 1000))],
        default: Some(|| defaults::CHECK_FALL.to_string()),
        doc: "Probes failed in a row before a server is down.",
        more: "One failure may be chance.",
        example: "check tcp fall=2",
        ..ROW
    },
    Directive {
        name: "port",
        within: &[Context::Check],
        args: &[one("PORT", Kind::Integer(1, 65535))],
        otherwise: "the port of the traffic",
        doc: "Another port to probe.",
        more: "For programs that answer checks elsewhere.",
        example: "check GET /health port=9000",
        ..ROW
    },
    Directive {
        name: "host",
        within: CHECKS,
        args: &[one("HOST", Kind::Authority)],
        otherwise: "the server's own address; none with `HTTP/1.0`",
        doc: "The `Host` field of the probe.",
        more: "For servers that answer by name.",
        example: "check GET /health host=shop.example.com",
        ..ROW
    },
    Directive {
        name: "header",
        within: CHECKS,
        args: &[one("FIELD", Kind::FieldLine)],
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "One more header field of the probe.",
        more: "May be given more than once.",
        example: "check GET /health header=\"User-Agent: evenkeel-check\"",
        ..ROW
    },
    Directive {
        name: "expect",
        within: CHECKS,
        args: &[many("STATUS|TEXT", Kind::Expected)],
        default: Some(|| "200..399".to_owned()),
        doc: "The statuses that pass; of `tcp`, the text that the server must say.",
        more: "Statuses and ranges with commas between them, both ends of a range included. The text of `tcp` may come anywhere in the first 64k; `\\r`, `\\n`, \
               `\\t` and `\\xNN` stand for bytes. In quotes a backslash is written twice.",
        example: "check GET /health expect=200,204",
        ..ROW
    },
    Directive {
        name: "send",
        within: CHECKS,
        args: &[one("TEXT", Kind::Bytes)],
        otherwise: "nothing: the server speaks first",
        doc: "Of `tcp`: what is sent before the answer is awaited.",
        more: "Escapes as with `expect`.",
        example: "check tcp send=PING\\r\\n expect=+PONG",
        ..ROW
    },
    Directive {
        name: "role",
        within: CHECKS,
        args: &[one("ROLE", Kind::Choice(&["primary", "replica"]))],
        otherwise: "any role",
        doc: "Of `redis`: the role that the server must have.",
        more: "Asked with `ROLE`, so that after a failover by Redis itself connections follow the primary.",
        example: "check redis role=primary",
        ..ROW
    },
    Directive {
        name: "user",
        within: CHECKS,
        args: &[one("NAME", Kind::Text)],
        default: Some(|| defaults::CHECK_USER.to_owned()),
        doc: "Of `postgres` and `mysql`: the user that is asked for.",
        more: "It need not exist: a login that is turned down shows a server that serves. One that exists, without rights and without a password, \
               keeps the server's log quiet.",
        example: "check postgres user=monitor",
        ..ROW
    },
    Directive {
        name: "body",
        within: CHECKS,
        args: &[one("TEXT", Kind::Text)],
        otherwise: "the body is not looked at",
        doc: "A text that the answer's body must hold.",
        more: "Byte for byte, within the first 64k.",
        example: "check GET /health body=\"all is well\"",
        ..ROW
    },
    Directive {
        name: "eject",
        within: POOLS,
        args: &[optional("off", Kind::Choice(&["off"]))],
        opens: Some(Context::Eject),
        doc: "Takes a server out when live traffic fails on it.",
        more: "Refused, timed-out and broken connections count, unusable answers, and the statuses 500, 502, 503 and 504 of the server itself. What a client \
               does never counts. `off` leaves it to checks.",
        example: "eject errors=5 within=10s",
        ..ROW
    },
    Directive {
        name: "errors",
        within: &[Context::Eject],
        args: &[one("NUMBER", Kind::Integer(1, 10_000))],
        default: Some(|| defaults::EJECT_ERRORS.to_string()),
        doc: "How many failures take a server out.",
        more: "Counted within `within`.",
        example: "eject errors=10",
        ..ROW
    },
    Directive {
        name: "within",
        within: &[Context::Eject],
        args: &[one("DURATION", Kind::Duration(Duration::from_millis(100), HOUR))],
        default: Some(|| print::duration(defaults::EJECT_WITHIN)),
        doc: "Within how long the failures must come.",
        more: "Failures further apart are everyday life.",
        example: "eject errors=5 within=10s",
        ..ROW
    },
    Directive {
        name: "for",
        within: &[Context::Eject],
        args: &[one("DURATION", Kind::Duration(Duration::from_millis(100), DAY))],
        default: Some(|| print::duration(defaults::EJECT_FOR)),
        doc: "How long the server stays out.",
        more: "Twice as long each time that it fails again soon after.",
        example: "eject for=30s",
        ..ROW
    },
    Directive {
        name: "most",
        within: &[Context::Eject],
        args: &[one("PERCENT", Kind::Percent(1, 100))],
        default: Some(|| format!("{}%", defaults::EJECT_MOST)),
        doc: "How much of the pool may be out by live traffic at one time.",
        more: "When all servers fail at once, the fault is elsewhere.",
        example: "eject most=30%",
        ..ROW
    },
    Directive {
        name: "retry",
        within: POOLS,
        args: &[one("NUMBER", Kind::Integer(0, 10)), optional("WHERE", Kind::Choice(&["elsewhere", "same"]))],
        opens: Some(Context::Retry),
        default: Some(|| format!("{} elsewhere", defaults::RETRIES)),
        doc: "How often a request that failed is tried again.",
        more: "Only where it cannot be done twice: nothing of it was sent, or its method allows it and no byte of an answer came. `elsewhere` asks only \
               servers not tried yet, `same` may ask the same one again.",
        example: "retry 2 elsewhere on=lost,timeout,503",
        ..ROW
    },
    Directive {
        name: "on",
        within: &[Context::Retry],
        args: &[many("FAILURE", Kind::RetryOn)],
        default: Some(|| "lost".to_owned()),
        doc: "What counts as failed, beyond connections that were never made.",
        more: "`lost`: broken before the answer; `timeout`: no answer in time; `malformed`: the answer was not HTTP; or a status.",
        example: "retry 2 on=lost,timeout,503",
        ..ROW
    },
    Directive {
        name: "budget",
        within: &[Context::Retry],
        args: &[one("PERCENT", Kind::Percent(1, 100))],
        default: Some(|| format!("{}%", defaults::RETRY_BUDGET)),
        doc: "Retries in percent of the requests of the last ten seconds.",
        more: "So that retries do not make an outage worse. A handful is always allowed, and what reached no server costs nothing.",
        example: "retry 2 budget=10%",
        ..ROW
    },
    Directive {
        name: "replay",
        within: &[Context::Retry],
        args: &[one("SIZE", Kind::Size(0, 16 << 20))],
        default: Some(|| print::size(defaults::REPLAY)),
        doc: "Bytes of a request's body that are kept to send it again.",
        more: "A request with a longer body is sent once.",
        example: "retry 2 replay=16k",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::Pool],
        opens: Some(Context::ServerTimeout),
        doc: "How long servers may take.",
        more: "How long clients may take stands in the `http` block.",
        example: "timeout connect=1s answer=30s",
        ..ROW
    },
    Directive {
        name: "connect",
        within: &[Context::ServerTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, HOUR))],
        default: Some(|| print::duration(defaults::CONNECT_TIMEOUT)),
        doc: "To accept a connection.",
        more: "Then another server is tried.",
        example: "timeout connect=1s",
        ..ROW
    },
    Directive {
        name: "answer",
        within: &[Context::ServerTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::ANSWER_TIMEOUT)),
        doc: "From the end of the request to the head of the answer.",
        more: "Then 504.",
        example: "timeout answer=30s",
        ..ROW
    },
    Directive {
        name: "idle",
        within: &[Context::ServerTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::SERVER_IDLE_TIMEOUT)),
        doc: "Between two pieces of an answer's body.",
        more: "Then the answer is cut off, since its head is already with the client.",
        example: "timeout idle=2m",
        ..ROW
    },
    Directive {
        name: "keep",
        within: &[Context::ServerTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::SERVER_KEEP)),
        doc: "How long an unused connection to a server is kept.",
        more: "Shorter than the servers keep theirs, so that ours is the side that closes.",
        example: "timeout keep=30s",
        ..ROW
    },
    Directive {
        name: "total",
        within: &[Context::ServerTimeout],
        args: &[one("DURATION", Kind::DurationOrOff(SHORTEST, DAY))],
        default: Some(|| "off".to_owned()),
        doc: "From sending the request to the last byte of the answer.",
        more: "Off by default, since downloads take as long as they take.",
        example: "timeout total=5m",
        ..ROW
    },
    Directive {
        name: "queue",
        within: POOLS,
        opens: Some(Context::Queue),
        doc: "Where requests wait when every server is at its `max-conns`, or takes no more on its connections of HTTP/2.",
        more: "In the order of their coming, for connections of HTTP/2 on each worker. One that finds no place, or waits too long, is \
               answered 503.",
        example: "queue max=200 timeout=5s",
        ..ROW
    },
    Directive {
        name: "max",
        within: &[Context::Queue],
        args: &[one("NUMBER", Kind::Integer(0, caps::QUEUE_PER_POOL as u64))],
        default: Some(|| defaults::QUEUE_MAX.to_string()),
        doc: "How many requests may wait for the pool, on all workers.",
        more: "0 answers 503 at once.",
        example: "queue max=200",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::Queue],
        args: &[one("DURATION", Kind::Duration(SHORTEST, HOUR))],
        default: Some(|| print::duration(defaults::QUEUE_TIMEOUT)),
        doc: "How long a request waits, all its waits together.",
        more: "Longer than users wait helps nobody.",
        example: "queue timeout=5s",
        ..ROW
    },
    Directive {
        name: "sessions",
        within: HTTP_POOLS,
        opens: Some(Context::Sessions),
        doc: "The table of sessions that answers told.",
        more: "For `sticky` methods that learn. It is kept over reloads and, in the state directory, over restarts.",
        example: "sessions max=1000000",
        ..ROW
    },
    Directive {
        name: "max",
        within: &[Context::Sessions],
        args: &[one("NUMBER", Kind::Integer(1, caps::SESSIONS_PER_POOL as u64))],
        default: Some(|| defaults::SESSIONS_MAX.to_string()),
        doc: "How many sessions are known at once.",
        more: "Each takes up to 64 bytes. Where there are more, those go first that no request has ever brought, as crawlers leave them behind; \
               then those that were not seen for longest.",
        example: "sessions max=1000000",
        ..ROW
    },
    Directive {
        name: "slow-start",
        within: POOLS,
        args: &[one("DURATION", Kind::Duration(Duration::ZERO, HOUR))],
        default: Some(|| "0s".to_owned()),
        doc: "How long a server that comes back takes to get its full share.",
        more: "For programs that begin with cold caches.",
        example: "slow-start 30s",
        ..ROW
    },
    Directive {
        name: "reuse",
        within: HTTP_POOLS,
        args: &[one("WHEN", Kind::Choice(&["never", "safe", "always"]))],
        default: Some(|| "safe".to_owned()),
        doc: "When a kept connection to a server is used again.",
        more: "`safe` sends the first request of a client over a kept connection only if it may be sent again, should the server have closed meanwhile. `always` \
               does so with each, `never` gives each request its own connection.",
        example: "reuse never",
        ..ROW
    },
    Directive {
        name: "proxy-protocol",
        within: &[Context::Pool],
        args: &[one("VERSION", Kind::Choice(&["v1", "v2", "off"]))],
        default: Some(|| "off".to_owned()),
        doc: "Begins each connection to a server with a PROXY header that tells whose it is.",
        more: "The server must await it (`listen … proxy_protocol` in nginx, `accept-proxy` in HAProxy). `v2` also tells the name that a TLS client \
               asked for. Checks speak for themselves (`LOCAL`, `UNKNOWN`). With HTTP a kept connection is then used again for the same client alone.",
        example: "proxy-protocol v2",
        ..ROW
    },
    Directive {
        name: "proxy-protocol",
        within: &[Context::Server],
        args: &[one("VERSION", Kind::Choice(&["v1", "v2", "off"]))],
        otherwise: "what the pool says",
        doc: "Begins each connection to this server with a PROXY header.",
        more: "For pools in which not all servers await the same.",
        example: "server a 10.0.0.11:8080 proxy-protocol=v1",
        ..ROW
    },
    Directive {
        name: "on-down",
        within: POOLS,
        args: &[one("WHAT", Kind::Choice(&["keep", "close"]))],
        default: Some(|| "keep".to_owned()),
        doc: "What becomes of a server's connections when it goes down.",
        more: "Those of `tcp` listeners, and upgraded ones (WebSocket). `close` ends them, so that their clients connect anew and get a server that \
               lives; also when the server is put into `maint` or leaves the configuration. `keep` leaves them to their own end.",
        example: "on-down close",
        ..ROW
    },
    Directive {
        name: "failback",
        within: POOLS,
        args: &[one("SWITCH", Kind::Choice(&["on", "off"]))],
        default: Some(|| "on".to_owned()),
        doc: "Whether primary servers that come back get the traffic back from the backups.",
        more: "With `off`, backups that took over keep it until none of them can serve, or until they are put into `maint`: a database that was dead \
               lacks what the other has written since. It is not remembered over a restart of evenkeel.",
        example: "failback off",
        ..ROW
    },
    Directive {
        name: "protocol",
        within: POOLS,
        args: &[one("PROTOCOL", Kind::Choice(&["http/1.1", "h2"]))],
        default: Some(|| "http/1.1".to_owned()),
        doc: "What is spoken to the servers.",
        more: "`h2` is HTTP/2 without asking first, as gRPC servers speak it: requests share few connections. Checks by HTTP speak HTTP/1.1; a server that \
               does not gets `check tcp`.",
        example: "protocol h2",
        ..ROW
    },
    Directive {
        name: "fail-open",
        within: POOLS,
        args: &[one("SWITCH", Kind::Choice(&["on", "off"]))],
        default: Some(|| "on".to_owned()),
        doc: "With every server down by checks: try them all, or answer 503.",
        more: "When all checks fail at once, the check is more often wrong than the servers.",
        example: "fail-open off",
        ..ROW
    },
];

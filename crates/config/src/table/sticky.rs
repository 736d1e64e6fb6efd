//! `sticky` of a pool, and its options. A catalogue.

use std::time::Duration;

use evenkeel_model::defaults;

use super::pool::POOLS;
use super::{Context, Directive, Kind, ROW, Repeat, many, one, optional};
use crate::print;

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a cookie may hold: the words of `CookieValue`.
const FORMS: &[&str] = &["token", "name", "dated", "index", "address", "md5", "sha1", "hmac-md5", "hmac-sha1"];

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "sticky",
        within: POOLS,
        args: &[
            optional("METHOD", Kind::Choice(&["cookie", "query", "header", "path", "client", "learn"])),
            optional("NAME", Kind::Cookie),
        ],
        opens: Some(Context::Sticky),
        repeat: Repeat::Many,
        otherwise: "off",
        doc: "Keeps each client on the server that it had.",
        more: "Alone or with `cookie`: by a cookie of ours that holds a sealed token, so that the client cannot read or change which server it has; \
               balancers with the same `key` understand each other's. `query`, `header` and `path NAME`: the value of that query parameter, \
               field or path parameter is what the server is `known-as`. With `learn=` it is the application's session id instead, and answers tell where it lives; \
               `learn NAME` does so with the application's own cookie. `client`: by the client's address, for those who take no cookie. \
               Several lines are asked in written order: the first that knows a server which may serve counts. Clients of a server \
               that dies go to another one.",
        example: "sticky cookie SRV key=cred:sticky",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::Sticky],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "one is made and kept in the state directory",
        doc: "The secret that seals the cookies.",
        more: "Give it where several balancers share the clients. 32 bytes or more; `openssl rand -base64 32` makes one.",
        example: "sticky key=file:/etc/evenkeel/sticky.key",
        ..ROW
    },
    Directive {
        name: "idle",
        within: &[Context::Sticky],
        args: &[one("DURATION", Kind::Duration(Duration::from_secs(1), YEAR))],
        default: Some(|| print::duration(defaults::STICKY_IDLE)),
        doc: "A client that was away for so long is balanced anew.",
        more: "Set it as long as the servers keep their sessions.",
        example: "sticky idle=30m",
        ..ROW
    },
    Directive {
        name: "life",
        within: &[Context::Sticky],
        args: &[one("DURATION", Kind::Duration(Duration::from_secs(1), YEAR))],
        default: Some(|| print::duration(defaults::STICKY_LIFE)),
        doc: "A client is balanced anew after so long, even if it never was away.",
        more: "Not below `idle`.",
        example: "sticky life=12h",
        ..ROW
    },
    Directive {
        name: "previous",
        within: &[Context::Sticky],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "none",
        doc: "The secret before this one: its cookies are still understood.",
        more: "For a change of `key` without losing a session: the old one stands here for as long as `idle`. A reload keeps the old one by itself, a restart does not.",
        example: "sticky key=file:/etc/evenkeel/new.key previous=file:/etc/evenkeel/old.key",
        ..ROW
    },
    Directive {
        name: "bond",
        within: &[Context::Sticky],
        args: &[one("COOKIE", Kind::Cookie)],
        otherwise: "tokens last by `idle` and `life` alone",
        doc: "The application's own session cookie: our token ends with that session.",
        more: "A token is void once the client no longer has the session that it was sealed for, and is deleted when the server deletes that cookie.",
        example: "sticky cookie SRV bond=JSESSIONID",
        ..ROW
    },
    Directive {
        name: "value",
        within: &[Context::Sticky],
        args: &[one("FORM", Kind::Choice(FORMS))],
        otherwise: "`token`; `name` where the server sets the cookie",
        doc: "What our cookie holds.",
        more: "`token`: sealed, different for each client. The others are in the open, for a change from or beside another program: `name` (what the server is `known-as`), `dated` (the same with HAProxy's dates of `maxidle` and `maxlife`), `index`, `address`, and digests of the address (`of`, `hmac-key`).",
        example: "sticky cookie SERVERID value=name",
        ..ROW
    },
    Directive {
        name: "read",
        within: &[Context::Sticky],
        args: &[many("FORM", Kind::Choice(FORMS))],
        otherwise: "none",
        doc: "Further forms that are understood.",
        more: "For a change of balancer: the cookies that clients have still count, and are replaced by ours.",
        example: "sticky cookie route read=md5",
        ..ROW
    },
    Directive {
        name: "of",
        within: &[Context::Sticky],
        args: &[one("WHAT", Kind::Choice(&["socket", "address", "written"]))],
        otherwise: "`socket`",
        doc: "What digests are taken of.",
        more: "`socket`: the address in the kernel's form, as nginx-sticky-module up to 1.2 has it; `address`: `ADDRESS:PORT` as text, as nginx's own `sticky cookie` and the module's `text=` have it; `written`: the server as the configuration has it, as later versions of the module do.",
        example: "sticky cookie route value=md5 of=address",
        ..ROW
    },
    Directive {
        name: "hmac-key",
        within: &[Context::Sticky],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "none; it must be given for those",
        doc: "The key of `hmac-md5` and `hmac-sha1`.",
        more: "The module's `hmac_key`.",
        example: "sticky cookie route value=hmac-sha1 hmac-key=file:/etc/evenkeel/route.key",
        ..ROW
    },
    Directive {
        name: "set-by",
        within: &[Context::Sticky],
        args: &[one("WHO", Kind::Choice(&["evenkeel", "server"]))],
        otherwise: "`evenkeel`",
        doc: "Who sets the cookie.",
        more: "With `server` it is only read: its value is what the server is `known-as`, and every balancer understands it. A value that names no server, or one that is down, falls back to balancing. See also `rewrite`, `prefix`, `suffix`.",
        example: "sticky cookie backend set-by=server",
        ..ROW
    },
    Directive {
        name: "rewrite",
        within: &[Context::Sticky],
        otherwise: "the value passes as it is",
        doc: "The server sets the cookie, and its value is replaced by ours.",
        more: "With `set-by=server`: the server decides who gets a session.",
        example: "sticky cookie SRV set-by=server rewrite value=name",
        ..ROW
    },
    Directive {
        name: "prefix",
        within: &[Context::Sticky],
        otherwise: "the value passes as it is",
        doc: "Our value goes before the server's own, with a `~` between.",
        more: "With `set-by=server`: one cookie for both. The server gets back its own part alone.",
        example: "sticky cookie JSESSIONID set-by=server prefix value=name",
        ..ROW
    },
    Directive {
        name: "suffix",
        within: &[Context::Sticky],
        otherwise: "the whole value is the server's",
        doc: "The server puts what it is `known-as` behind its value, after a dot.",
        more: "With `set-by=server`: what Tomcat's `jvmRoute` does.",
        example: "sticky cookie JSESSIONID set-by=server suffix",
        ..ROW
    },
    Directive {
        name: "domain",
        within: &[Context::Sticky],
        args: &[one("DOMAIN", Kind::Domain)],
        otherwise: "none: only the host that answered gets it back",
        doc: "`Domain` of the cookie.",
        more: "Also other hosts below it get the cookie.",
        example: "sticky cookie SRV domain=example.com",
        ..ROW
    },
    Directive {
        name: "path",
        within: &[Context::Sticky],
        args: &[one("PATH", Kind::CookiePath)],
        otherwise: "`/`",
        doc: "`Path` of the cookie.",
        more: "The browser sends the cookie for this path and below.",
        example: "sticky cookie SRV path=/shop",
        ..ROW
    },
    Directive {
        name: "secure",
        within: &[Context::Sticky],
        args: &[one("WHEN", Kind::Choice(&["auto", "on", "off"]))],
        otherwise: "`auto`",
        doc: "`Secure` of the cookie.",
        more: "`auto`: where the client came over TLS, to us or, by `X-Forwarded-Proto`, to a proxy that we `trust`.",
        example: "sticky cookie SRV secure=on",
        ..ROW
    },
    Directive {
        name: "http-only",
        within: &[Context::Sticky],
        args: &[one("SWITCH", Kind::Choice(&["on", "off"]))],
        otherwise: "`on`",
        doc: "`HttpOnly` of the cookie.",
        more: "Scripts of the page do not see it.",
        example: "sticky cookie SRV http-only=off",
        ..ROW
    },
    Directive {
        name: "same-site",
        within: &[Context::Sticky],
        args: &[one("RULE", Kind::Choice(&["auto", "lax", "strict", "none", "off"]))],
        otherwise: "`auto`",
        doc: "`SameSite` of the cookie.",
        more: "`auto` is `Lax`, but `None` with `Partitioned` for a page that another site embeds over TLS; `off` leaves the attribute out. `none` needs `secure=on`, or browsers drop the cookie.",
        example: "sticky cookie SRV same-site=strict",
        ..ROW
    },
    Directive {
        name: "expires",
        within: &[Context::Sticky],
        args: &[one("DURATION", Kind::Duration(Duration::from_secs(1), YEAR))],
        otherwise: "until the browser is closed",
        doc: "How long browsers keep the cookie (`Max-Age`).",
        more: "It is sent anew in time while the client comes back. For tokens `idle` and `life` count all the same.",
        example: "sticky cookie SRV expires=1h",
        ..ROW
    },
    Directive {
        name: "insert",
        within: &[Context::Sticky],
        args: &[one("WHEN", Kind::Choice(&["always", "post", "session"]))],
        otherwise: "`always`",
        doc: "When a new client gets a cookie.",
        more: "`post`: with the answer to a `POST`; `session`: once it has the application's session cookie, named by `bond`.",
        example: "sticky cookie SRV bond=PHPSESSID insert=session",
        ..ROW
    },
    Directive {
        name: "preserve",
        within: &[Context::Sticky],
        otherwise: "the server's is left out",
        doc: "A cookie of that name that the server sets goes to the client in place of ours.",
        more: "Servers can then end a session's stickiness themselves.",
        example: "sticky cookie SRV preserve",
        ..ROW
    },
    Directive {
        name: "strip",
        within: &[Context::Sticky],
        args: &[one("SWITCH", Kind::Choice(&["on", "off"]))],
        otherwise: "`on` for cookies of ours",
        doc: "Whether the cookie is taken out of what servers see.",
        more: "`off` is HAProxy's `insert` without `indirect`.",
        example: "sticky cookie SRV strip=off",
        ..ROW
    },
    Directive {
        name: "private",
        within: &[Context::Sticky],
        args: &[one("SWITCH", Kind::Choice(&["on", "off"]))],
        otherwise: "`on`",
        doc: "Whether an answer with a cookie of ours gets `Cache-Control: private`.",
        more: "A cache that kept the answer would hand one client's session to all.",
        example: "sticky cookie SRV private=off",
        ..ROW
    },
    Directive {
        name: "rate",
        within: &[Context::Sticky],
        args: &[one("REQUESTS", Kind::Integer(1, 1_000_000))],
        otherwise: "no bound",
        doc: "The most requests a second that one token sends to its server.",
        more: "What comes beyond is served by any server, and binds nobody: a token that was copied to many machines cannot drown one server.",
        example: "sticky rate=200",
        ..ROW
    },
    Directive {
        name: "bound",
        within: &[Context::Sticky],
        args: &[one("PERCENT", Kind::Percent(100, 1000))],
        otherwise: "no bound but `max-conns`",
        doc: "The most load of one server by sessions, in percent of the average.",
        more: "Past it, and above 32 requests at one time, requests are lent to other servers, while their session stays bound where it is.",
        example: "sticky cookie SRV bound=200%",
        ..ROW
    },
    Directive {
        name: "down",
        within: &[Context::Sticky],
        args: &[one("WHAT", Kind::Choice(&["elsewhere", "fail"]))],
        otherwise: "`elsewhere`",
        doc: "What becomes of a request whose server is down.",
        more: "`elsewhere`: another server takes the session over; `fail`: it is answered 503, or with the failure itself where the server fails it. Sessions of a server that is in maintenance, or that the pool has no more, go elsewhere in any case.",
        example: "sticky cookie SRV down=fail",
        ..ROW
    },
    Directive {
        name: "wait",
        within: &[Context::Sticky],
        args: &[one("DURATION", Kind::Duration(Duration::from_millis(1), Duration::from_secs(60)))],
        otherwise: "not at all",
        doc: "How long a request waits for its server that is down, before `down` counts.",
        more: "For servers that are back within seconds and keep their sessions.",
        example: "sticky cookie SRV wait=2s",
        ..ROW
    },
    Directive {
        name: "learn",
        within: &[Context::Sticky],
        args: &[one("WHERE", Kind::Choice(&["head", "body"]))],
        otherwise: "the value names the server, and nothing is learned",
        doc: "The value is the application's own session id, which answers tell.",
        more: "For `query`, `path` and `header`. `head`: from fields of the answer (`Location` and its like, a `Set-Cookie` of that name, or the field \
               itself); `body`: from those, and from links, forms and hidden inputs of HTML pages that lead to the same site, compressed ones \
               included. Pages are read as they pass and not changed. An id that is known goes to its server; an unknown one is balanced.",
        example: "sticky query sid learn=body idle=30m",
        ..ROW
    },
    Directive {
        name: "skip",
        within: &[Context::Sticky],
        opens: Some(Context::StickySkip),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Requests that need no session.",
        more: "All that is given on one line must fit. They are balanced like any other, and get no cookie.",
        example: "sticky cookie SRV {\n    skip path=/static/*\n    skip agent=bot\n}",
        ..ROW
    },
    Directive {
        name: "path",
        within: &[Context::StickySkip],
        args: &[one("PATTERN", Kind::PathPattern)],
        otherwise: "every path",
        doc: "Requests whose path fits.",
        more: "Patterns are those of `route`.",
        example: "skip path=/static/*",
        ..ROW
    },
    Directive {
        name: "agent",
        within: &[Context::StickySkip],
        args: &[one("TEXT", Kind::Text)],
        otherwise: "every client",
        doc: "Requests whose `User-Agent` holds the text.",
        more: "In any case of letters.",
        example: "skip agent=bot",
        ..ROW
    },
];

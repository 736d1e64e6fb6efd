//! Words that are not ours, or not yet: what to say to somebody who writes them. A catalogue.

/// Words of the language whose feature this version does not have, with what they are for.
pub static LATER: &[(&str, &str)] = &[
    ("udp", "balancing UDP"),
    ("cache", "keeping answers"),
    ("compress", "compressing answers"),
    ("files", "serving files"),
    ("learn", "sessions learned from answers"),
];

/// A word of another program.
#[derive(Debug)]
pub struct Foreign {
    /// The word.
    pub word: &'static str,
    /// Whose it is.
    pub of: &'static str,
    /// What to write here.
    pub ours: &'static str,
}

const fn foreign(word: &'static str, of: &'static str, ours: &'static str) -> Foreign {
    Foreign { word, of, ours }
}

/// Words of other programs that people know by heart.
pub static FOREIGN: &[Foreign] = &[
    foreign("upstream", "nginx", "`pool NAME { server NAME ADDRESS:PORT }`"),
    foreign("backend", "HAProxy", "`pool NAME { server NAME ADDRESS:PORT }`"),
    foreign("frontend", "HAProxy", "`http :PORT { route * to=POOL }`"),
    foreign("bind", "HAProxy", "the address after `http`: `http :80 { … }`"),
    foreign("defaults", "HAProxy", "`timeout`, `max`, `log` and `errors` at the top of the file"),
    foreign("global", "HAProxy", "`user`, `group`, `state` and `limits` at the top of the file"),
    foreign("listen", "nginx and HAProxy", "the address after `http`: `http :80 { … }`"),
    foreign("server_name", "nginx", "hosts after the address: `http :80 shop.example.com { … }`"),
    foreign("location", "nginx", "`route /path/* to=POOL`"),
    foreign("proxy_pass", "nginx", "`to ADDRESS:PORT`, or `route /path/* to=POOL`"),
    foreign("default_backend", "HAProxy", "`route * to=POOL`"),
    foreign("use_backend", "HAProxy", "`route /path/* to=POOL`"),
    foreign("reverse_proxy", "Caddy", "`to ADDRESS:PORT`"),
    foreign("ip_hash", "nginx", "`balance hash client`"),
    foreign("least_conn", "nginx", "`balance least-conn`"),
    foreign("leastconn", "HAProxy", "`balance least-conn`"),
    foreign("roundrobin", "HAProxy", "`balance round-robin`"),
    foreign("cookie", "HAProxy", "`sticky cookie NAME`"),
    foreign("option", "HAProxy", "the feature's own word: `check GET /path`, `forward`, `log`"),
    foreign("maxconn", "HAProxy", "`limits conns=N` for the process, `max-conns=N` on a server"),
    foreign("retries", "HAProxy", "`retry N`"),
    foreign("access_log", "nginx", "`log /path`"),
    foreign("log_format", "nginx", "`format \"…\"` in the block of `log`"),
    foreign("error_page", "nginx", "`errors DIR`"),
    foreign("errorfile", "HAProxy", "`errors DIR`"),
    foreign("client_max_body_size", "nginx", "`max body=10m`"),
    foreign("proxy_set_header", "nginx", "`request-header set NAME VALUE`"),
    foreign("add_header", "nginx", "`response-header add NAME VALUE`"),
    foreign("worker_processes", "nginx", "`limits workers=N`"),
    foreign("set_real_ip_from", "nginx", "`trust RANGE…`"),
    foreign("return", "nginx", "`respond STATUS TEXT` or `redirect URL`"),
    foreign("rewrite", "nginx", "`strip-prefix`, `add-prefix` or `redirect`"),
];

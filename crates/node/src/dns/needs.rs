//! Which pools must have a server left for this node to answer a name with itself, where the name does not say.
//!
//! Whoever looks the name up is about to ask this node for it, so it is the pools that those requests go to. A pool beside
//! them (an interface's, another site's, mail's) may die without the node being left, and may live without its being asked
//! for what it cannot serve. The invariant: with any pool that traffic is sent to there is an answer; none means always.

use evenkeel_http::matching::{host_fits, hosts_fit, path_fits};
use evenkeel_model::PoolName;
use evenkeel_model::config::{Action, Config, Dns, HostPattern, Listener, Matcher, Site, ZoneSource};

/// The names of a zone or of its lines, each with whether it stands for all below it.
type Named<'a> = (&'a str, bool);

/// The pools of which one must have a server left, where a name of `config` does not say which.
pub(super) fn of(config: &Config, (name, has_wildcard): Named<'_>) -> Vec<PoolName> {
    let hosts = hosts(config, name, has_wildcard);
    let steps: [&dyn Fn() -> Vec<PoolName>; 3] = [
        &|| distinct(hosts.iter().flat_map(|host| of_host(config, host, host == name))),
        &|| {
            distinct(
                config.listeners.iter().flat_map(|listener| hosts.iter().filter_map(|host| passage(listener, host))),
            )
        },
        &|| every(config),
    ];
    steps.iter().map(|step| step()).find(|pools| !pools.is_empty()).unwrap_or_default()
}

/// The pools of the sites that are for a host; for the name itself, where there are none, of those that serve any host.
fn of_host(config: &Config, host: &str, is_name: bool) -> Vec<PoolName> {
    let sites = |is_named: bool| {
        let all = config.listeners.iter().filter_map(move |listener| site(listener, host));
        all.filter(move |site| site.hosts.is_empty() != is_named)
    };
    // What serves any host serves all below the name, too, and says nothing of them.
    let kinds: &[bool] = if is_name { &[true, false] } else { &[true] };
    let steps = kinds.iter().flat_map(|is_named| {
        [
            // What the first page of the site comes from is what the site is.
            distinct(sites(*is_named).filter_map(|site| first_page(site, host))),
            // A first page of our own, such as a redirection, says nothing.
            distinct(sites(*is_named).flat_map(pools)),
        ]
    });
    steps.into_iter().find(|pools| !pools.is_empty()).unwrap_or_default()
}

/// The same for each name of a block that does not say which: what its zones are made of, beside their lines.
pub(super) fn of_block(config: &Config, dns: &Dns) -> Vec<Vec<PoolName>> {
    let apex = |source: &ZoneSource| matches!(source, ZoneSource::Made(made) if made.wildcard);
    let zones = dns.zones.iter().map(|zone| (zone.name.as_str(), apex(&zone.source)));
    let names = dns.zones.iter().flat_map(|zone| &zone.names).map(|name| (name.name.as_str(), false));
    zones.chain(names).map(|named| of(config, named)).collect()
}

/// The hosts that clients of a name ask for: the name, and with a wildcard those below it that sites are for, and any other.
fn hosts(config: &Config, name: &str, has_wildcard: bool) -> Vec<String> {
    let mut hosts = vec![name.to_owned()];
    if !has_wildcard {
        return hosts;
    }
    let below = HostPattern::Below(format!(".{name}"));
    let sites = config.listeners.iter().flat_map(|listener| &listener.sites);
    for pattern in sites.flat_map(|site| &site.hosts) {
        match pattern {
            HostPattern::Exact(host) if host_fits(&below, host.as_bytes()) => hosts.push(host.clone()),
            HostPattern::Exact(_) | HostPattern::Below(_) => {}
        }
    }
    hosts.push(format!("any.{name}"));
    hosts
}

fn site<'a>(listener: &'a Listener, host: &str) -> Option<&'a Site> {
    listener.sites.iter().find(|site| hosts_fit(&site.hosts, host.as_bytes()))
}

/// The pool that a browser's first request goes to.
fn first_page(site: &Site, host: &str) -> Option<PoolName> {
    let fits = |matcher: &Matcher| {
        path_fits(&matcher.path, b"/")
            && hosts_fit(&matcher.hosts, host.as_bytes())
            && (matcher.methods.is_empty() || matcher.methods.iter().any(|method| method == "GET"))
            && matcher.fields.is_empty()
            && matcher.query.is_empty()
    };
    match &site.routes.iter().find(|route| fits(&route.matcher))?.action {
        Action::To(pool) => Some(pool.clone()),
        Action::Redirect(_) | Action::Respond(_) => None,
    }
}

fn pools(site: &Site) -> impl Iterator<Item = PoolName> {
    site.routes.iter().filter_map(|route| match &route.action {
        Action::To(pool) => Some(pool.clone()),
        Action::Redirect(_) | Action::Respond(_) => None,
    })
}

/// The pool that a connection passes on to.
fn passage(listener: &Listener, host: &str) -> Option<PoolName> {
    let routes = &listener.tcp.as_ref()?.routes;
    routes.iter().find(|route| hosts_fit(&route.names, host.as_bytes())).map(|route| route.to.clone())
}

/// Every pool that traffic is sent to.
pub(crate) fn every(config: &Config) -> Vec<PoolName> {
    let of_requests = config.listeners.iter().flat_map(|listener| &listener.sites).flat_map(pools);
    let passages = config.listeners.iter().filter_map(|listener| listener.tcp.as_ref()).flat_map(|tcp| &tcp.routes);
    distinct(of_requests.chain(passages.map(|route| route.to.clone())))
}

fn distinct(pools: impl Iterator<Item = PoolName>) -> Vec<PoolName> {
    let mut found = Vec::new();
    for pool in pools {
        if !found.contains(&pool) {
            found.push(pool);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use evenkeel_config::{MemorySource, Options, load_text};

    use super::*;

    const POOLS: &str = "pool shop {\n    server a 10.0.0.1:80\n}\npool api {\n    server a 10.0.0.2:80\n}\n\
                         pool mail {\n    server a 10.0.0.3:25\n}\npool blog {\n    server a 10.0.0.4:80\n}\n";

    fn needs(lines: &str, name: Named<'_>) -> String {
        let text = format!("{POOLS}{lines}");
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        let config = loaded.config.as_ref().unwrap_or_else(|| panic!("{:?}\n{text}", loaded.diagnostics));
        of(config, name).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_name_needs_the_pools_that_its_requests_go_to() {
        let shop = "http :80 shop.example.com {\n    route /api/* to=api\n    route / method=POST to=api\n    route * to=shop\n}\n";
        let others = "http :80 blog.example.com {\n    route * to=blog\n}\ntcp :25 {\n    route to=mail\n}\n";
        let first = "http :80 {\n    redirect https\n}\nhttp :8443 shop.example.com {\n    route * to=shop\n}\n";
        let inner =
            "http :80 shop.example.com {\n    route /app/* to=api\n    route * {\n        respond 404\n    }\n}\n";
        let below = "http :80 a.shop.example.com {\n    route * to=api\n}\nhttp :80 *.shop.example.com {\n    route * to=blog\n}\n";
        let inside = "http :80 api.shop.example.com {\n    route * to=api\n}\n";
        let every = format!("{below}{others}");
        let cases = [
            (
                "the first page counts, not a path beside it",
                format!("{shop}{others}"),
                ("shop.example.com", false),
                "shop",
            ),
            (
                "what serves any host is not the site, where one is for the name",
                format!("{shop}http 127.0.0.1:8081 {{\n    route * to=mail\n}}\n"),
                ("shop.example.com", false),
                "shop",
            ),
            (
                "and is it where none is",
                "http 127.0.0.1:8081 {\n    route * to=mail\n}\n".to_owned(),
                ("shop.example.com", false),
                "mail",
            ),
            ("each name has its own", format!("{shop}{others}"), ("BLOG.example.com", false), "blog"),
            ("a redirection to TLS says nothing", first.to_owned(), ("shop.example.com", false), "shop"),
            ("a page of our own neither", inner.to_owned(), ("shop.example.com", false), "api"),
            (
                "with a wildcard the names below count",
                format!("{shop}{below}"),
                ("shop.example.com", true),
                "shop api blog",
            ),
            (
                "a site for one of them does not hide what serves the name itself",
                format!("{inside}http :80 {{\n    route * to=shop\n}}\n"),
                ("shop.example.com", true),
                "shop api",
            ),
            ("and without one they do not", format!("{shop}{below}"), ("shop.example.com", false), "shop"),
            ("connections, where no site is for it", every, ("shop.example.com", false), "mail"),
            ("everything, where nothing is for it", below.to_owned(), ("elsewhere.example", false), "api blog"),
            (
                "nothing, where nothing is served",
                "dns :53 {\n    zone a.example {\n        ns lb1.example.com\n    }\n}\n".to_owned(),
                ("shop.example.com", false),
                "",
            ),
        ];
        for (case, lines, name, wanted) in cases {
            assert_eq!(needs(&lines, name), wanted, "{case}");
        }
    }
}

//! The routes of a listener in the words of the API: which requests each takes, and what it does with them.

use std::fmt::Write;

use evenkeel_admin::report::RouteReport;
use evenkeel_model::config::{Action, HostPattern, Listener, Matcher, TcpRoute};

/// The routes of every site of a listener, in written order.
pub(crate) fn routes(listener: &Listener) -> Vec<RouteReport> {
    let mut routes: Vec<RouteReport> = listener.tcp.iter().flat_map(|tcp| &tcp.routes).map(passage).collect();
    for site in &listener.sites {
        for route in &site.routes {
            let hosts = if route.matcher.hosts.is_empty() { &site.hosts } else { &route.matcher.hosts };
            let (does, pool) = does(&route.action);
            routes.push(RouteReport {
                hosts: hosts.iter().map(host).collect(),
                pattern: route.name.clone(),
                also: also(&route.matcher),
                does,
                pool,
            });
        }
    }
    routes
}

/// A route of connections.
fn passage(route: &TcpRoute) -> RouteReport {
    RouteReport {
        hosts: route.names.iter().map(host).collect(),
        pattern: "*".to_owned(),
        also: (!route.names.is_empty()).then(|| "SNI".to_owned()),
        does: format!("to {}", route.to),
        pool: Some(route.to.to_string()),
    }
}

fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Below(suffix) => format!("*{suffix}"),
    }
}

/// The conditions beside host and path.
fn also(matcher: &Matcher) -> Option<String> {
    let mut text = matcher.methods.join(" ");
    for (kind, wanted) in [("field", &matcher.fields), ("query", &matcher.query)] {
        for condition in wanted {
            let value = condition.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
            let gap = if text.is_empty() { "" } else { " " };
            // Writing into a string cannot fail.
            let _ = write!(text, "{gap}{kind} {}{value}", condition.name);
        }
    }
    (!text.is_empty()).then_some(text)
}

fn does(action: &Action) -> (String, Option<String>) {
    match action {
        Action::To(pool) => (format!("to {pool}"), Some(pool.to_string())),
        Action::Redirect(redirect) => (format!("redirect, {}", redirect.status), None),
        Action::Respond(respond) => (format!("answer {}", respond.status), None),
    }
}

//! The dashboard's views, and the table of numbers for tools that read HAProxy's.

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::{Call, Gives, Needs, Operation, ROW, Reply, SIGN_IN};
use super::{config, dns, log};
use crate::access;
use crate::control::{SessionChoice, SessionsRefused};
use crate::lines::Wanted;
use crate::page::{self, Asked, ConfigFacts, DnsFacts, Facts, LogFacts, SessionFacts, View};
use crate::payload::{self, Payload};
use crate::problem::Problem;
use crate::report::{StatusReport, TimelineReport};

/// The fields that keep a page to itself, beside the policy.
const GUARDS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
];

const PAGE: Operation = Operation { noun: "pages", gives: Gives::Text, ..ROW };

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/",
        id: "showOverview",
        doc: "The dashboard: listeners, routes, pools and servers, as a page.",
        run: |call| Box::pin(show(call, View::Overview)),
        ..PAGE
    },
    Operation {
        path: "/servers",
        id: "showServers",
        doc: "Every server in one table, as a page.",
        run: |call| Box::pin(show(call, View::Servers)),
        ..PAGE
    },
    Operation {
        path: "/health",
        id: "showHealth",
        doc: "What every server was held for in the last day, as a page.",
        run: |call| Box::pin(show(call, View::Health)),
        ..PAGE
    },
    Operation {
        path: "/sessions",
        id: "showSessions",
        doc: "Sessions that answers told, as a page.",
        run: |call| Box::pin(show(call, View::Sessions)),
        ..PAGE
    },
    Operation {
        path: "/events",
        id: "showEvents",
        doc: "What has happened lately, as a page.",
        run: |call| Box::pin(show(call, View::Events)),
        ..PAGE
    },
    Operation {
        path: "/zonefiles",
        id: "showZonefiles",
        doc: "The zone files that are kept in step, as a page.",
        run: |call| Box::pin(show(call, View::Zonefiles)),
        ..PAGE
    },
    Operation {
        path: "/cluster",
        id: "showCluster",
        doc: "The cluster as this node sees it, as a page.",
        run: |call| Box::pin(show(call, View::Cluster)),
        ..PAGE
    },
    Operation {
        path: "/dns",
        id: "showDns",
        doc: "What DNS answers now, as a page.",
        run: |call| Box::pin(show(call, View::Dns)),
        ..PAGE
    },
    Operation {
        path: "/config",
        id: "showConfig",
        doc: "What runs, what a reload would change, and what was before, as a page.",
        run: |call| Box::pin(show(call, View::Config)),
        ..PAGE
    },
    Operation {
        path: "/log",
        id: "showLog",
        doc: "The latest requests, as a page; lines only for who may see them.",
        run: |call| Box::pin(show(call, View::Log)),
        ..PAGE
    },
    Operation {
        path: SIGN_IN,
        id: "showSignIn",
        doc: "Where one signs in, as a page.",
        needs: Needs::Nobody,
        run: |call| Box::pin(sign_in(call)),
        ..PAGE
    },
    Operation {
        path: "/;csv",
        id: "getCsv",
        doc: "Listeners, servers and pools in the columns of HAProxy's statistics.",
        run: |call| Box::pin(csv(call)),
        ..PAGE
    },
    Operation {
        path: "/stats;csv",
        id: "getStatsCsv",
        doc: "The same as `/;csv`, at the path that tools ask by habit.",
        run: |call| Box::pin(csv(call)),
        ..PAGE
    },
];

async fn show(call: Call<'_>, view: View) -> Reply {
    let asked = Asked { view, query: call.query.clone() };
    let report = call.control.status().await;
    let facts = Facts {
        log: (view == View::Log && log::NEEDS <= Needs::Role(call.caller.role)).then(|| log_facts(&call)),
        timeline: if asked.shows_day() { call.control.timeline(&report) } else { TimelineReport::default() },
        sessions: match view {
            View::Sessions => Some(session_facts(&call).await),
            _ => None,
        },
        dns: match view {
            View::Dns => Some(dns_facts(&call, &report).await),
            _ => None,
        },
        config: match view {
            View::Config => Some(config_facts(&call).await),
            _ => None,
        },
        events: if asked.shows_events() { call.control.events().recent(0) } else { Vec::new() },
        report,
        role: call.caller.role,
        user: call.caller.to_string(),
        is_signed_in: access::has_login(call.head),
    };
    Ok(sealed(page::page(&asked, &facts)))
}

async fn session_facts(call: &Call<'_>) -> SessionFacts {
    let tables = call.control.sessions().tables().await;
    let given = |name: &str| call.query(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let client = given("client").map(|text| text.parse());
    let Ok(client) = client.transpose() else {
        let refused = Some("The client is no address.".to_owned());
        return SessionFacts { tables, refused, ..SessionFacts::default() };
    };
    let choice = SessionChoice { pool: given("pool"), server: given("on"), client, session: given("session") };
    match call.control.sessions().list(choice, page::SESSIONS).await {
        Ok(list) => SessionFacts { tables, list, refused: None },
        Err(why) => {
            let refused = match why {
                SessionsRefused::Pool(pool) => format!("There is no pool {pool} that learns sessions."),
                SessionsRefused::Server { server, pool } => format!("The pool {pool} has no server {server}."),
                SessionsRefused::Stopping => "The node is ending.".to_owned(),
            };
            SessionFacts { tables, refused: Some(refused), ..SessionFacts::default() }
        }
    }
}

async fn dns_facts(call: &Call<'_>, report: &StatusReport) -> DnsFacts {
    let view = dns::view(call.control, report).await;
    let is_asked = call.query("name").is_some_and(|name| !name.is_empty());
    let answer = match is_asked.then(|| dns::question(call)) {
        None => None,
        Some(Err(problem)) => Some(Err(problem.detail)),
        Some(Ok(question)) => Some(call.control.dns().query(question).await),
    };
    DnsFacts { view, answer }
}

async fn config_facts(call: &Call<'_>) -> ConfigFacts {
    let given = |name: &str, otherwise: &'static str| {
        config::which(call.query(name).filter(|value| !value.is_empty()).unwrap_or(otherwise))
    };
    let (configs, said) = (call.control.configs(), |problem: Problem| problem.detail);
    let diff = match given("from", "running").and_then(|from| Ok((from, given("to", "file")?))) {
        Ok((from, to)) => configs.compare(from, to).await.map_err(|why| said(config::missing(why))),
        Err(problem) => Err(said(problem)),
    };
    let name = call.query("text").filter(|name| !name.is_empty()).unwrap_or("running");
    let text = match config::which(name) {
        Ok(which) => configs.text(which).await.map_err(|why| said(config::missing(why))),
        Err(problem) => Err(said(problem)),
    };
    ConfigFacts { diff, text: (name.to_owned(), text), history: configs.history().await }
}

fn log_facts(call: &Call<'_>) -> LogFacts {
    let text = |name: &str| call.query(name).unwrap_or_default();
    let wanted = Wanted::new(text("q"), text("only")).unwrap_or_default();
    let open = text("line").parse().ok().filter(|number| *number > 0).and_then(|number: u64| {
        let after = call.control.log(number - 1, usize::MAX, &|_| true);
        after.into_iter().find(|line| line.number == number)
    });
    LogFacts { lines: call.control.log(0, page::LINES, &|line| wanted.fits(line)), open }
}

async fn sign_in(call: Call<'_>) -> Reply {
    let to = call.query("to").filter(|to| to.starts_with('/')).unwrap_or("/");
    Ok(sealed(page::login_page(to, call.query("failed"))))
}

/// A page with what keeps it to itself.
fn sealed(text: String) -> Response<Payload> {
    let mut response = payload::typed(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = HeaderValue::from_static(page::content_policy());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in GUARDS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

async fn csv(call: Call<'_>) -> Reply {
    let text = page::csv::text(&call.control.status().await);
    Ok(payload::typed(StatusCode::OK, "text/plain; charset=utf-8", text))
}

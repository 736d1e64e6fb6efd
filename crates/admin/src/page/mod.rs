//! The dashboard: what `status` says, as pages that a browser shows.
//!
//! Every view is made here, whole, from the same reports that the API answers with; the script in it only asks for the
//! view again and puts in place what changed, and sends what an operator orders to the API. Without script the pages can
//! be read and followed, and nothing can be changed.
//!
//! The invariant: a page names no other host, and its policy (`policy`) lets it load and run nothing but what is in it.

mod asked;
mod cluster;
mod config;
mod dns;
mod events;
mod health;
mod html;
mod log;
mod login;
mod overview;
mod panel;
mod parts;
mod policy;
mod servers;
mod sessions;
mod words;
mod zonefiles;

pub(crate) mod csv;

pub(crate) use asked::{Asked, View};
pub(crate) use config::ConfigFacts;
pub(crate) use dns::DnsFacts;
pub(crate) use log::{LINES, LogFacts};
pub(crate) use login::page as login_page;
pub(crate) use policy::content_policy;
pub(crate) use sessions::{SESSIONS, SessionFacts};

use evenkeel_model::config::Role;

use crate::render;
use crate::report::{EventReport, StatusReport, TimelineReport};

use asked::VIEWS;
use html::Html;
use parts::Standing;
use words::Count;

/// How it looks, and what moves it.
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What a page is made of.
pub(crate) struct Facts {
    /// The node.
    pub(crate) report: StatusReport,
    /// Its servers' day, where [`Asked::shows_day`].
    pub(crate) timeline: TimelineReport,
    /// Learned sessions, for the view that shows them.
    pub(crate) sessions: Option<SessionFacts>,
    /// What has happened, oldest first, where [`Asked::shows_events`].
    pub(crate) events: Vec<EventReport>,
    /// The latest requests, for the view that shows them and for who may see them.
    pub(crate) log: Option<LogFacts>,
    /// Zones and an answer, for the view that shows them.
    pub(crate) dns: Option<DnsFacts>,
    /// Configurations, for the view that shows them.
    pub(crate) config: Option<ConfigFacts>,
    /// What whoever looks may do.
    pub(crate) role: Role,
    /// Who looks.
    pub(crate) user: String,
    /// Whether it is somebody who can sign out again.
    pub(crate) is_signed_in: bool,
}

/// A view as a whole document.
pub(crate) fn page(asked: &Asked, facts: &Facts) -> String {
    let mut html = Html::default();
    let standing = Standing::of(&facts.report);
    head(&mut html, asked, facts, standing);
    html.raw("<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n");
    top(&mut html, facts, standing);
    html.raw("<div class=\"frame\">\n");
    rail(&mut html, asked);
    html.raw("<main id=\"main\" tabindex=\"-1\">\n");
    concerns(&mut html, asked, facts);
    match asked.view {
        View::Overview => overview::write(&mut html, asked, facts),
        View::Servers => servers::write(&mut html, asked, facts),
        View::Health => health::write(&mut html, asked, facts),
        View::Sessions => sessions::write(&mut html, asked, facts),
        View::Cluster => cluster::write(&mut html, facts),
        View::Dns => dns::write(&mut html, asked, facts),
        View::Config => config::write(&mut html, asked, facts),
        View::Events => events::write(&mut html, asked, &facts.events),
        View::Zonefiles => zonefiles::write(&mut html, facts),
        View::Log => log::write(&mut html, asked, facts.log.as_ref()),
    }
    html.raw("</main>\n");
    match asked.server() {
        Some(_) => panel::write(&mut html, asked, facts),
        None => log::panel(&mut html, asked, facts.log.as_ref()),
    }
    html.raw("</div>\n");
    foot(&mut html, facts);
    html.raw("<script>").raw(SCRIPT).raw("</script>\n</body>\n</html>\n");
    html.into_text()
}

fn head(html: &mut Html, asked: &Asked, facts: &Facts, standing: Standing) {
    let title = VIEWS.iter().find(|(view, ..)| *view == asked.view).map_or("", |(.., title)| title);
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    match standing {
        Standing::Well => html.raw("✓ "),
        Standing::Doubtful => html.raw("! "),
        Standing::Down(down) => html.raw("✕ ").text(down).raw(" · "),
    };
    html.text(&facts.report.node).raw(" · ").text(title).raw("</title>\n");
    // Its colour tells how the node is, so that a row of tabs can be read.
    icon(html, standing.look().1);
    if asked.value("line").is_none() && !matches!(asked.view, View::Sessions | View::Config) {
        html.raw("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\n");
    }
    html.raw("<style>").raw(STYLE).raw("</style>\n</head>\n");
}

/// A hull of this colour, for the tab.
fn icon(html: &mut Html, colour: &'static str) {
    html.raw(
        "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E",
    );
    html.raw("%3Cpath d='M1 6h14c-1 5-4 7-7 7S2 11 1 6z' fill='%23").raw(colour);
    html.raw("'/%3E%3Cpath d='M7 1h2v4H7z' fill='%23888'/%3E%3C/svg%3E\">\n");
}

fn top(html: &mut Html, facts: &Facts, standing: Standing) {
    let report = &facts.report;
    html.raw("<header class=\"top\">\n<a class=\"mark\" href=\"/\" aria-label=\"evenkeel, overview\">");
    html.raw("<svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path class=\"hull\" d=\"M2 11h20c-1 6-5 9-10 9S3 17 2 11z\"/>");
    html.raw("<path class=\"mast\" d=\"M11 2h2v7h-2z\"/><path class=\"level\" d=\"M5 13h14v1.6H5z\"/></svg><b>evenkeel</b></a>\n");
    html.raw("<p class=\"node\">").text(&report.node).raw("</p>\n");
    let (_, ordered) = parts::missing(report);
    let servers: usize = report.pools.iter().map(|pool| pool.servers.len()).sum();
    // It says so aloud when it changes, and is silent while only numbers do.
    html.raw("<p id=\"said\" role=\"status\" class=\"said ").raw(standing.look().0).raw("\">");
    let plural = if servers == 1 { " server" } else { " servers" };
    match (standing, servers) {
        _ if report.stopping => html.raw("◐ stopping"),
        _ if report.drained.is_some() => html.raw("◐ drained"),
        (Standing::Well, 0) => html.raw("no servers"),
        (Standing::Well, _) => html.raw("✓ all well, ").text(servers).raw(plural),
        (Standing::Doubtful, 0) => html.raw("! something to look at"),
        (Standing::Doubtful, _) => html.raw("! something to look at, ").text(servers).raw(plural).raw(" up"),
        (Standing::Down(down), _) => html.raw("✕ ").text(down).raw(" of ").text(servers).raw(plural).raw(" down"),
    };
    if ordered > 0 {
        html.raw(", ").text(ordered).raw(" out by order");
    }
    html.raw("</p>\n<p class=\"config\">configuration ").text(report.config.generation).raw("</p>\n");
    html.raw("<p class=\"live\"><span id=\"live\">as of the last load</span></p>\n");
    html.raw("<p class=\"tools\"><button type=\"button\" id=\"theme\" class=\"quiet script\" hidden>Theme: system</button></p>\n");
    if facts.is_signed_in {
        html.raw("<form class=\"tools\" method=\"post\" action=\"/api/v1/logout\"><button class=\"quiet\">Sign out</button></form>\n");
    }
    html.raw("</header>\n");
}

fn rail(html: &mut Html, asked: &Asked) {
    html.raw("<nav class=\"rail\" aria-label=\"Views\"><ul>\n");
    for (view, path, title) in VIEWS {
        html.raw("<li><a").attribute("href", path);
        if view == asked.view {
            html.raw(" aria-current=\"page\"");
        }
        html.raw(">").raw(title).raw("</a></li>\n");
    }
    html.raw("</ul></nav>\n");
}

/// What `status` says first: what is wrong, and what is as somebody ordered it.
fn concerns(html: &mut Html, asked: &Asked, facts: &Facts) {
    let head =
        "<section class=\"concerns\" aria-labelledby=\"concerns\"><h2 id=\"concerns\">What needs a look</h2>\n<ul>\n";
    // The cluster's view has a box of its own for the cluster's.
    match asked.view {
        View::Cluster => lines(html, head, &render::own_concerns(&facts.report)),
        _ => lines(html, head, &render::concerns(&facts.report)),
    }
    let head = "<section class=\"by-order\" aria-labelledby=\"by-order\"><h2 id=\"by-order\">By order</h2>\n<ul>\n";
    lines(html, head, &render::orders(&facts.report));
}

/// A box with a line each, where there are any.
fn lines(html: &mut Html, head: &'static str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    html.raw(head);
    for line in lines.iter().take(parts::CONCERNS) {
        html.element("<li>", line, "</li>\n");
    }
    if let Some(more @ 1..) = lines.len().checked_sub(parts::CONCERNS) {
        html.raw("<li>and ").text(more).raw(" more</li>\n");
    }
    html.raw("</ul></section>\n");
}

fn foot(html: &mut Html, facts: &Facts) {
    let report = &facts.report;
    html.raw("<footer class=\"foot\"><p>evenkeel ").text(&report.version).raw(" · process ").text(report.pid);
    html.raw(" · up ").text(render::age(report.uptime_s)).raw(" · ").text(&report.config.path);
    html.raw(" · ").text(Count(report.totals.requests)).raw(" requests answered</p>\n<p>");
    html.text(&facts.user).raw(", role ").text(facts.role);
    html.raw(" · <a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/openapi.json\">API</a> · ");
    html.raw("<a href=\"/;csv\">CSV</a></p></footer>\n");
}

#[cfg(test)]
mod tests;

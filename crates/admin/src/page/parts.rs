//! Parts that several views share.

use super::asked::Asked;
use super::html::Html;
use super::words::{Look, Millis, Rate, look};
use crate::render;
use crate::report::{LiveReport, ServerReport, StatusReport, TrafficReport};

/// Most lines on what is wrong: the tables show the rest.
pub(super) const CONCERNS: usize = 8;

/// Servers that are down, and those that an operator took out, for the title and the head.
pub(super) fn missing(report: &StatusReport) -> (usize, usize) {
    let servers = || report.pools.iter().flat_map(|pool| &pool.servers).filter(|server| !server.is_serving());
    let ordered = servers().filter(|server| matches!(server.state.as_str(), "draining" | "maintenance")).count();
    (servers().count().saturating_sub(ordered), ordered)
}

/// How a node is as a whole, for the title, its icon and the head of every view: what the views below say is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Well,
    /// Every server serves, and there is something to look at.
    Doubtful,
    /// So many servers are down.
    Down(usize),
}

impl Standing {
    pub(super) fn of(report: &StatusReport) -> Self {
        match missing(report).0 {
            0 if render::concerns(report).is_empty() => Self::Well,
            0 => Self::Doubtful,
            down => Self::Down(down),
        }
    }

    /// The style of the head, and the colour of the icon.
    pub(super) fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Well => ("up", "1a7f4b"),
            Self::Doubtful => ("doubtful", "b7791f"),
            Self::Down(_) => ("down", "c62b34"),
        }
    }
}

/// The name of a pool; one that a listener made for itself is called by its address.
pub(super) fn pool_name(name: &str) -> &str {
    name.strip_prefix('@').unwrap_or(name)
}

/// A state as icon and word, in its colour.
pub(super) fn state(html: &mut Html, server: &ServerReport) {
    badge(html, look(&server.state, server.ramp_percent));
}

/// A look as icon and word, in its colour.
pub(super) fn badge(html: &mut Html, Look { class, icon, word }: Look) {
    html.raw("<span class=\"state ").raw(class).raw("\"><i aria-hidden=\"true\">").raw(icon).raw("</i> ");
    html.raw(word).raw("</span>");
}

/// A link to a server's panel beside the view.
pub(super) fn server_link(html: &mut Html, asked: &Asked, pool: &str, server: &ServerReport, class: &'static str) {
    let id = format!("{pool}/{}", server.name);
    html.raw("<a").attribute("class", class).attribute("href", asked.with(&[("server", &id)]));
    html.attribute("data-keep", format_args!("server-{id}"));
    if asked.server() == Some((pool, &server.name)) {
        html.raw(" aria-current=\"true\"");
    }
    html.raw(">");
}

/// `12.3 req/s · 3 ms / 12 ms`, once it was watched.
pub(super) fn live(html: &mut Html, traffic: &TrafficReport) {
    let Some(live) = &traffic.live else {
        html.raw("<span class=\"live-numbers\">–</span>");
        return;
    };
    html.raw("<span class=\"live-numbers\"><b>").text(Rate(live.requests_per_s)).raw("</b> req/s");
    if live.p50_ms.is_some() {
        html.raw(" <span class=\"dim\">p50</span> ").text(Millis(live.p50_ms));
        html.raw(" <span class=\"dim\">p95</span> ").text(Millis(live.p95_ms));
    }
    html.raw("</span>");
}

/// Size of a small graph, in units of its own.
const SPARK: (f64, f64) = (120.0, 24.0);

/// The last minutes as a small graph.
pub(super) fn spark(html: &mut Html, traffic: Option<&LiveReport>, class: &'static str) {
    let recent = traffic.map(|live| live.recent.as_slice()).unwrap_or_default();
    let (wide, high) = SPARK;
    let most = recent.iter().copied().fold(1.0, f64::max);
    let step = wide / (evenkeel_model::caps::LIVE_RATES - 1) as f64;
    html.raw("<svg class=\"spark ")
        .raw(class)
        .raw("\" viewBox=\"0 0 120 24\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    if recent.len() > 1 {
        let x = |at: usize| wide - step * (recent.len() - 1 - at) as f64;
        let y = |rate: f64| high - 1.0 - (high - 2.0) * rate / most;
        html.raw("<path class=\"area\" d=\"M").text(format_args!("{:.1} {high}", x(0)));
        for (at, rate) in recent.iter().enumerate() {
            html.text(format_args!("L{:.1} {:.1}", x(at), y(*rate)));
        }
        html.text(format_args!("L{wide} {high}Z")).raw("\"/><path class=\"line\" d=\"");
        for (at, rate) in recent.iter().enumerate() {
            html.text(format_args!("{}{:.1} {:.1}", if at == 0 { 'M' } else { 'L' }, x(at), y(*rate)));
        }
        html.raw("\"/>");
    }
    html.raw("</svg>");
}

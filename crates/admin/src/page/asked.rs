//! What a request asks of the page: which view, how it is sorted, which server is open beside it.
//!
//! The URL holds all of it, so that a view can be sent to somebody else and works without script.

use std::fmt::{self, Display};

use super::html::Percent;

/// One of the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Listeners, routes, pools and servers.
    Overview,
    /// One dense table.
    Servers,
    /// A day of states.
    Health,
    /// Sessions that answers told.
    Sessions,
    /// Nodes and groups.
    Cluster,
    /// What DNS answers now.
    Dns,
    /// Zone files and their records.
    Zonefiles,
    /// What has happened.
    Events,
    /// The latest requests.
    Log,
    /// What runs, what the file says, what was before.
    Config,
}

/// Every view with its path and its name.
pub(super) const VIEWS: [(View, &str, &str); 10] = [
    (View::Overview, "/", "Overview"),
    (View::Servers, "/servers", "Servers"),
    (View::Health, "/health", "Health"),
    (View::Sessions, "/sessions", "Sessions"),
    (View::Cluster, "/cluster", "Cluster"),
    (View::Dns, "/dns", "DNS"),
    (View::Zonefiles, "/zonefiles", "Zone files"),
    (View::Events, "/events", "Events"),
    (View::Log, "/log", "Log"),
    (View::Config, "/config", "Configuration"),
];

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) view: View,
    /// The parameters of the query, in order.
    pub(crate) query: Vec<(String, String)>,
}

impl Asked {
    /// The first parameter of that name, if it is not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether it takes what servers were held for in the last day.
    pub(crate) fn shows_day(&self) -> bool {
        self.view == View::Health || self.server().is_some()
    }

    /// Whether it takes what has happened lately.
    pub(crate) fn shows_events(&self) -> bool {
        matches!(self.view, View::Health | View::Events | View::Cluster) || self.server().is_some()
    }

    /// The server that is open beside the view: pool and name.
    pub(super) fn server(&self) -> Option<(&str, &str)> {
        self.value("server")?.rsplit_once('/')
    }

    /// The URL of this view with other values for some parameters; an empty value takes one away.
    pub(super) fn with<'a>(&'a self, changes: &'a [(&'a str, &'a str)]) -> Link<'a> {
        Link { asked: self, changes }
    }
}

/// A URL.
pub(super) struct Link<'a> {
    asked: &'a Asked,
    changes: &'a [(&'a str, &'a str)],
}

impl Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = VIEWS.iter().find(|(view, ..)| *view == self.asked.view).map_or("/", |(_, path, _)| path);
        f.write_str(path)?;
        let is_changed = |name: &str| self.changes.iter().any(|(changed, _)| *changed == name);
        let kept = self.asked.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let kept = kept.filter(|(name, _)| !is_changed(name)).chain(self.changes.iter().copied());
        let mut gap = '?';
        for (name, value) in kept.filter(|(_, value)| !value.is_empty()) {
            write!(f, "{gap}{}={}", Percent(name), Percent(value))?;
            gap = '&';
        }
        Ok(())
    }
}

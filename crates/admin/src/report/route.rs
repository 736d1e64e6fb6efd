//! What would become of a request, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What would become of a request at this moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteFinding {
    /// The listener that takes it.
    pub listener: String,
    /// The hosts of the site that takes it, empty for one that takes every host; absent where none takes it.
    pub hosts: Option<Vec<String>>,
    /// The routes that were looked at, in order.
    pub routes: Vec<RouteLooked>,
    /// The status of the answer, where it goes to no server.
    pub status: Option<u16>,
    /// What happens, in a sentence.
    pub text: String,
    /// The pool, where it goes to one.
    pub pool: Option<String>,
    /// What the request says of a session.
    pub session: String,
    /// How one of the servers is chosen.
    pub rule: String,
    /// The pool's servers in written order.
    pub servers: Vec<ServerFinding>,
}

/// A route that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteLooked {
    /// Its pattern.
    pub pattern: String,
    /// Why it does not take the request; absent where it does.
    pub misfit: Option<String>,
}

/// A server that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerFinding {
    /// Its name.
    pub name: String,
    /// What it is held for.
    pub state: String,
    /// Its chance of getting the request, in percent.
    pub chance_percent: f64,
    /// Why it gets it, may get it, or does not.
    pub why: String,
}

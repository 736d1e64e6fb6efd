//! The API: one catalogue of operations, from which requests are routed and the OpenAPI description is made.
//!
//! A noun is a module here with its rows ([`Operation`]); [`NOUNS`] names it, and a small trait in `control` says what it
//! asks of the node. The invariant: what is not in the catalogue is not served, and what is in it is described.

mod certificates;
pub mod cluster;
mod config;
pub(crate) mod dns;
pub mod events;
mod health;
mod listeners;
mod log;
mod login;
mod metrics;
pub mod node;
pub mod openapi;
mod pages;
mod pools;
mod process;
mod routes;
pub mod servers;
pub mod sessions;
mod status;
mod timeline;
mod zonefiles;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use evenkeel_model::config::Role;
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Response, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{Access, Guard};
use crate::payload::{self, Payload};
use crate::problem::{Code, Problem};
use crate::{Answer, Caller, Control};

/// Every noun's operations. A new noun is a module and a line here.
static NOUNS: &[&[Operation]] = &[
    health::OPERATIONS,
    status::OPERATIONS,
    login::OPERATIONS,
    listeners::OPERATIONS,
    certificates::OPERATIONS,
    pools::OPERATIONS,
    servers::OPERATIONS,
    sessions::OPERATIONS,
    routes::OPERATIONS,
    config::OPERATIONS,
    cluster::OPERATIONS,
    node::OPERATIONS,
    events::OPERATIONS,
    zonefiles::OPERATIONS,
    process::OPERATIONS,
    dns::OPERATIONS,
    pages::OPERATIONS,
    log::OPERATIONS,
    metrics::OPERATIONS,
    timeline::OPERATIONS,
    openapi::OPERATIONS,
];

/// One thing that can be asked.
pub(crate) struct Operation {
    /// The method.
    pub(crate) method: Method,
    /// The path; `{name}` stands for one segment.
    pub(crate) path: &'static str,
    /// The name by which programs made from the description call it.
    pub(crate) id: &'static str,
    /// The noun that it belongs to.
    pub(crate) noun: &'static str,
    /// What it does, in one line.
    pub(crate) doc: &'static str,
    /// Who may.
    pub(crate) needs: Needs,
    /// The parameters of the query.
    pub(crate) query: &'static [Parameter],
    /// The body that it takes.
    pub(crate) takes: Option<Shape>,
    /// Whether the body may be a form, as a page without script sends it.
    pub(crate) takes_forms: bool,
    /// What a success looks like.
    pub(crate) gives: Gives,
    /// The problems that it may meet besides those of every operation.
    pub(crate) problems: &'static [Code],
    /// Does it.
    pub(crate) run: Run,
}

/// What rows are made from.
pub(crate) const ROW: Operation = Operation {
    method: Method::GET,
    path: "",
    id: "",
    noun: "",
    doc: "",
    needs: Needs::Role(Role::Read),
    query: &[],
    takes: None,
    takes_forms: false,
    gives: Gives::Text,
    problems: &[],
    run: |_| Box::pin(async { Err(Problem::new(Code::A101, "nothing is here")) }),
};

/// Does an operation.
pub(crate) type Run = for<'a> fn(Call<'a>) -> Answer<'a, Reply>;

/// What stands in a path for the names of its pattern.
pub(crate) type PathValues = Vec<(&'static str, String)>;

/// What an operation answers.
pub(crate) type Reply = Result<Response<Payload>, Problem>;

/// Who may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// Everybody, unknown ones included.
    Nobody,
    /// Who has at least this role.
    Role(Role),
}

/// A parameter of the query.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// What a success looks like.
pub(crate) enum Gives {
    /// Plain text.
    Text,
    /// JSON with status 200.
    Json(Shape),
    /// JSON with status 202: it has begun.
    Accepted(Shape),
    /// A stream of server-sent events.
    Events,
}

/// A type, as the description shows it.
#[derive(Clone, Copy)]
pub(crate) struct Shape(pub(crate) fn(&mut SchemaGenerator) -> Schema);

impl Shape {
    pub(crate) const fn of<T: JsonSchema>() -> Self {
        Self(SchemaGenerator::subschema_for::<T>)
    }
}

/// The type of a form's body.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The page at which one signs in.
pub(crate) const SIGN_IN: &str = "/login";

/// Where users come in.
#[derive(Clone, Copy)]
pub(crate) struct Gate<'a> {
    pub(crate) guard: &'a Guard,
    pub(crate) access: &'a Access,
    pub(crate) from: IpAddr,
}

/// A request for an operation, let in already.
pub(crate) struct Call<'a> {
    pub(crate) control: &'a dyn Control,
    pub(crate) caller: &'a Caller,
    /// Where users come in; the control socket has none.
    pub(crate) gate: Option<Gate<'a>>,
    pub(crate) head: &'a HeaderMap,
    pub(crate) path: PathValues,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Call<'_> {
    /// The value of a `{name}` in the path.
    pub(crate) fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The first parameter of that name in the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// Where it is another type's.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| Problem::new(Code::A103, format!("the body: {error}")))
    }
}

/// A success with JSON.
pub(crate) fn json(value: &impl Serialize) -> Response<Payload> {
    payload::json(StatusCode::OK, "application/json", value)
}

/// Why a request belongs to no operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stray {
    /// There is no such path.
    Unknown,
    /// The path takes these methods.
    Misused(Vec<Method>),
}

/// The operation of a request, with the values that stand in its path. `HEAD` is a `GET` whose body nobody wants.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Operation, PathValues), Stray> {
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    let mut allowed = Vec::new();
    for operation in operations() {
        let Some(values) = fit(operation.path, path) else { continue };
        if operation.method == *wanted {
            return Ok((operation, values));
        }
        allowed.push(operation.method.clone());
    }
    Err(if allowed.is_empty() { Stray::Unknown } else { Stray::Misused(allowed) })
}

/// Every operation.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    NOUNS.iter().flat_map(|rows| rows.iter())
}

/// The values of a pattern's names in a path, if it fits.
fn fit(pattern: &'static str, path: &str) -> Option<PathValues> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    for part in pattern.split('/') {
        let segment = segments.next()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => values.push((name, decoded(segment).filter(|value| !value.is_empty())?)),
            None if part == segment => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(values)
}

/// The parameters of a query, in order.
pub(crate) fn parameters(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        })
        .collect()
}

/// Percent signs undone (RFC 3986 section 2.1); `None` where they are wrong, or what they stand for is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(if byte == b'%' { digit()? << 4 | digit()? } else { byte });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

//! The client's end of the control socket, for the command line: blocking, one connection for each request.
//!
//! It speaks only to our own server: a status line, fields, and a body of stated length. Invariant: an answer that is
//! cut short is an error, never a shorter answer.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_net::{clock, control};
use serde::de::DeserializeOwned;

use crate::cluster::GroupWish;
use crate::node::NodeWish;
use crate::problem::Problem;
use crate::report::{
    AsideReport, ClusterReport, ConfigDiff, ConfigText, HistoryEntry, ReloadReport, RouteFinding, ServerReport,
    SessionListReport, SessionTableReport, SessionsChanged, StatusReport,
};
use crate::servers::ServerWish;
use crate::sessions::SessionOrder;

/// How long an answer to a question may take.
const QUESTION: Duration = Duration::from_secs(5);

/// How long an answer to a command may take: a reload reads files, resolves names and waits for every worker.
const COMMAND: Duration = Duration::from_secs(60);

/// A running daemon, by its control socket.
#[derive(Debug, Clone)]
pub struct Client {
    configured: Option<PathBuf>,
}

/// An answer of the API, not yet looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer, or not the one hoped for.
#[derive(Debug)]
pub enum ClientError {
    /// No daemon listens at the socket. The command line exits with 4.
    NoDaemon {
        /// The socket that was tried.
        path: PathBuf,
    },
    /// The socket is there, and we may not use it.
    Forbidden {
        /// The socket that was tried.
        path: PathBuf,
    },
    /// The connection broke, or the answer took too long.
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What came is not an answer of the control API.
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The daemon refused.
    Refused(Box<Problem>),
}

impl Client {
    /// The daemon at a control socket, or at the first of the customary places where one answers.
    pub fn new(control: Option<&Path>) -> Self {
        Self { configured: control.map(Path::to_owned) }
    }

    /// How the node is.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn status(&self) -> Result<StatusReport, ClientError> {
        self.get("/api/v1/status")?.parsed()
    }

    /// Has the node read its configuration anew; returns when traffic sees it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reasons where the configuration is bad, or where there is no answer.
    pub fn reload(&self) -> Result<ReloadReport, ClientError> {
        self.post("/api/v1/reload")?.parsed()
    }

    /// Has the node begin to stop; returns when it has begun.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn stop(&self) -> Result<(), ClientError> {
        self.post("/api/v1/stop")?.accepted().map(drop)
    }

    /// Waits until no daemon answers any more. Returns whether that came within `limit`.
    pub fn wait_until_gone(&self, limit: Duration) -> bool {
        let end = clock::now().saturating_add(limit);
        loop {
            let mut stream = match control::connect(self.configured.as_deref()) {
                Ok((stream, _)) => stream,
                Err(failure) => return matches!(no_connection(failure), ClientError::NoDaemon { .. }),
            };
            let left = end.saturating_sub(clock::now());
            if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
                return false;
            }
            // A connection that says nothing ends with the daemon, or with its patience; then we look again.
            let _ = stream.read(&mut [0; 256]);
        }
    }

    /// One server.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is none, or where there is no answer.
    pub fn server(&self, pool: &str, server: &str) -> Result<ServerReport, ClientError> {
        self.get(&place(pool, server))?.parsed()
    }

    /// Orders something of a server; returns when all traffic sees it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, or where there is no answer.
    pub fn order(&self, pool: &str, server: &str, wish: &ServerWish) -> Result<ServerReport, ClientError> {
        // A wish is made of text and numbers, which are always JSON.
        let body = serde_json::to_string(wish).unwrap_or_default();
        self.request("PATCH", &place(pool, server), &body, COMMAND)?.parsed()
    }

    /// The sessions that fit, at most `limit` of them. Here `session` may be an id of the application.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is no such pool, or where there is no answer.
    pub fn sessions(&self, choice: &SessionOrder, limit: usize) -> Result<SessionListReport, ClientError> {
        let SessionOrder { pool, server, client, session, .. } = choice;
        let parts = [("pool", pool), ("server", server), ("client", client), ("session", session)];
        let parts = parts.iter().filter_map(|(name, value)| Some(format!("&{name}={}", encoded(value.as_ref()?))));
        self.request("GET", &format!("/api/v1/sessions?limit={limit}{}", parts.collect::<String>()), "", COMMAND)?
            .parsed()
    }

    /// The tables of the pools that learn sessions.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn session_tables(&self) -> Result<Vec<SessionTableReport>, ClientError> {
        self.get("/api/v1/sessions/tables")?.parsed()
    }

    /// Moves the sessions that fit, or forgets them where the order says no server.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, or where there is no answer.
    pub fn order_sessions(&self, order: &SessionOrder) -> Result<SessionsChanged, ClientError> {
        let verb = if order.to.is_some() { "move" } else { "drop" };
        // An order is made of text, which is always JSON.
        let body = serde_json::to_string(order).unwrap_or_default();
        self.request("POST", &format!("/api/v1/sessions/{verb}"), &body, COMMAND)?.parsed()
    }

    /// What would become of a request: `url`, `method`, `field`, `from` and `listener`, as the API takes them.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, or where there is no answer.
    pub fn route(&self, question: &[(&str, &str)]) -> Result<RouteFinding, ClientError> {
        self.get(&with_query("/api/v1/routes/find", question))?.parsed()
    }

    /// What a configuration was made of: `running`, `file` or a number of the history.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is none, or where there is no answer.
    pub fn config_text(&self, which: &str) -> Result<ConfigText, ClientError> {
        self.get(&format!("/api/v1/config/text/{}", encoded(which)))?.parsed()
    }

    /// Two configurations beside each other.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where there is none of one, or where there is no answer.
    pub fn config_diff(&self, from: &str, to: &str) -> Result<ConfigDiff, ClientError> {
        self.get(&with_query("/api/v1/config/diff", &[("from", from), ("to", to)]))?.parsed()
    }

    /// The configurations that were applied, oldest first.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn history(&self) -> Result<Vec<HistoryEntry>, ClientError> {
        self.get("/api/v1/config/history")?.parsed()
    }

    /// Applies a configuration of the history again; returns when all traffic sees it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, or where there is no answer.
    pub fn roll_back(&self, number: u64) -> Result<ReloadReport, ClientError> {
        let body = format!("{{\"number\":{number}}}");
        self.request("POST", "/api/v1/config/rollback", &body, COMMAND)?.parsed()
    }

    /// The cluster as the node sees it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] without a cluster, or where there is no answer.
    pub fn cluster(&self) -> Result<ClusterReport, ClientError> {
        self.request("GET", "/api/v1/cluster", "", QUESTION)?.parsed()
    }

    /// Orders something of a group.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, or where there is no answer.
    pub fn order_group(&self, group: &str, wish: GroupWish) -> Result<ClusterReport, ClientError> {
        let body = serde_json::to_string(&wish).unwrap_or_default();
        self.request("POST", &format!("/api/v1/cluster/groups/{}", encoded(group)), &body, COMMAND)?.parsed()
    }

    /// Whether the node is drained, and what is left on it.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn node(&self) -> Result<AsideReport, ClientError> {
        self.request("GET", "/api/v1/node", "", QUESTION)?.parsed()
    }

    /// Drains the node, or has it ready again.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason, or where there is no answer.
    pub fn order_node(&self, wish: &NodeWish) -> Result<AsideReport, ClientError> {
        let body = serde_json::to_string(wish).unwrap_or_default();
        self.request("PATCH", "/api/v1/node", &body, COMMAND)?.parsed()
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn get(&self, path: &str) -> Result<Reply, ClientError> {
        self.request("GET", path, "", QUESTION)
    }

    /// Commands, without a body.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn post(&self, path: &str) -> Result<Reply, ClientError> {
        self.request("POST", path, "", COMMAND)
    }

    fn request(&self, method: &str, path: &str, body: &str, timeout: Duration) -> Result<Reply, ClientError> {
        let (stream, socket) = control::connect(self.configured.as_deref()).map_err(no_connection)?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: evenkeel\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
            body.len()
        );
        let bytes = exchange(stream, &head, timeout).map_err(|source| ClientError::Broken { path: socket, source })?;
        parse(&bytes)
    }
}

impl Reply {
    /// The body as a report, where the answer is a success.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where it is none; `Malformed` where the body is something else, such as that of
    /// another version.
    pub fn parsed<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(self.accepted()?).map_err(|_| ClientError::Malformed { what: "the report" })
    }

    /// The body, where the answer is a success.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where it is none.
    pub fn accepted(&self) -> Result<&[u8], ClientError> {
        if (200..300).contains(&self.status) {
            return Ok(&self.body);
        }
        let problem = serde_json::from_slice(&self.body).unwrap_or_else(|_| Problem {
            title: "the daemon refused".to_owned(),
            status: self.status,
            detail: format!("it answered {}", self.status),
            ..Problem::default()
        });
        Err(ClientError::Refused(Box::new(problem)))
    }
}

/// Text as it stands in paths and queries: what is no letter or digit as `%` and two digits.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }).collect()
}

fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// The path of a server.
fn place(pool: &str, server: &str) -> String {
    format!("/api/v1/pools/{}/servers/{}", encoded(pool), encoded(server))
}

fn no_connection((path, source): (PathBuf, io::Error)) -> ClientError {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoDaemon { path },
        io::ErrorKind::PermissionDenied => ClientError::Forbidden { path },
        _ => ClientError::Broken { path, source },
    }
}

fn exchange(mut stream: UnixStream, head: &str, timeout: Duration) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(caps::CONTROL_ANSWER_BYTES).unwrap_or(u64::MAX);
    stream.take(bound).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Reply, ClientError> {
    let malformed = |what| ClientError::Malformed { what };
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| malformed("the head"))?;
    let (head, body) = bytes.split_at(end);
    let body = body.get(4..).unwrap_or_default();
    let head = str::from_utf8(head).map_err(|_| malformed("the head"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|rest| rest.get(..3));
    let status = status.and_then(|digits| digits.parse().ok()).ok_or_else(|| malformed("the status line"))?;
    let length = lines.filter_map(|line| line.split_once(':'));
    let length = length
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse::<usize>().ok());
    if length != Some(body.len()) {
        return Err(malformed("the length: it is cut short, or longer than we read"));
    }
    Ok(Reply { status, body: body.to_vec() })
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDaemon { path } => write!(
                f,
                "no running evenkeel answers at {}; start one with `evenkeel run`, or name its socket with `--control`",
                path.display()
            ),
            Self::Forbidden { path } => write!(
                f,
                "the control socket {} may be used by its owner and group only; run as root or join its group",
                path.display()
            ),
            Self::Broken { path, source } if is_timeout(source) => {
                write!(f, "the daemon at {} did not answer in time", path.display())
            }
            Self::Broken { path, source } => write!(f, "the connection to {} broke: {source}", path.display()),
            Self::Malformed { what } => {
                write!(f, "the daemon's answer cannot be read: {what}; it may be of another version")
            }
            Self::Refused(problem) => write!(f, "{problem}"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken { source, .. } => Some(source),
            _ => None,
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests;

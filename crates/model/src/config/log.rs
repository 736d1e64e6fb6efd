//! Where requests are logged, in which form, and which are left out.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{PathPattern, StatusRange};
use crate::Template;

/// One access log of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where the lines go.
    pub to: LogTarget,
    /// What a line looks like.
    pub format: LogFormat,
    /// Which requests are left out or sampled; the first rule that fits decides, none means the line is written.
    pub rules: Vec<LogRule>,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogTarget {
    /// The process's standard output.
    Stdout,
    /// A file, appended to, opened anew on the reopen signal.
    File(PathBuf),
    /// A syslog daemon's unix datagram socket, RFC 5424 lines. `syslog` alone means `/dev/log`.
    SyslogUnix(PathBuf),
    /// A syslog daemon by UDP, RFC 5426.
    SyslogUdp(SocketAddr),
}

/// What a log line looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, all facts.
    Json,
    /// The Combined Log Format of the NCSA and Apache family.
    Combined,
    /// The HTTP format of HAProxy (`option httplog`), for parsers that exist.
    Haproxy,
    /// The operator's own.
    Custom(Template),
}

/// A request that this rule fits is logged only so often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRule {
    /// What the rule looks at; every one of them must fit.
    pub subjects: Vec<LogSubject>,
    /// How many of those requests are logged all the same, in percent (0 to 100). 0 for a plain `skip`.
    pub keep_percent: u8,
}

/// What a [`LogRule`] looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSubject {
    /// The request's path.
    Path(PathPattern),
    /// The answer's status.
    Status(StatusRange),
    /// The request's method, in upper case.
    Method(String),
}

//! Paths of files and of URLs, patterns for the latter, and where logs go.

use std::net::SocketAddr;
use std::path::PathBuf;

use evenkeel_model::config::{LogTarget, PathPattern};

use crate::syntax::Word;
use crate::{Code, Diagnostics};

/// Where syslog daemons take local messages.
const SYSLOG: &str = "/dev/log";

pub(super) fn absolute(word: &Word, out: &mut Diagnostics) -> Option<PathBuf> {
    if word.text.starts_with('/') && !word.text.contains('\0') {
        return Some(PathBuf::from(&word.text));
    }
    let report = out.report(Code::E320, word.span, format!("`{}` does not begin at the root", word.text));
    report.help("write the whole path from `/` on: the program has a working directory of its own");
    None
}

pub(super) fn log_target(word: &Word, out: &mut Diagnostics) -> Option<LogTarget> {
    let text = word.text.as_str();
    match text {
        "stdout" => return Some(LogTarget::Stdout),
        "syslog" => return Some(LogTarget::SyslogUnix(PathBuf::from(SYSLOG))),
        _ => {}
    }
    if let Some(at) = text.strip_prefix("syslog:") {
        if at.starts_with('/') {
            return Some(LogTarget::SyslogUnix(PathBuf::from(at)));
        }
        if let Ok(addr) = at.parse::<SocketAddr>() {
            return Some(LogTarget::SyslogUdp(addr));
        }
    }
    if text.starts_with('/') {
        return Some(LogTarget::File(PathBuf::from(text)));
    }
    out.report(Code::E322, word.span, format!("`{text}` is not a place for a log"))
        .note("a log goes to `/path`, `stdout`, `syslog`, `syslog:/path` or `syslog:ADDRESS:PORT`; `off` writes none");
    None
}

pub(super) fn pattern(word: &Word, out: &mut Diagnostics) -> Option<PathPattern> {
    let text = word.text.as_str();
    if matches!(text, "*" | "/*") {
        return Some(PathPattern::Any);
    }
    let mut wrong = |message: String, help: String| {
        out.report(Code::E312, word.span, message).help(help);
        None
    };
    if !text.starts_with('/') {
        return wrong(
            format!("the pattern `{text}` does not begin with `/`"),
            match text {
                "" => "write `*` for every path".to_owned(),
                _ if text.contains("://") => "a pattern is a path; hosts go in `host=`".to_owned(),
                _ => format!("write `/{text}`, or `*` for every path"),
            },
        );
    }
    if text.contains('#') || text.split_once('?').is_some_and(|(_, query)| query.contains('=')) {
        return wrong(
            format!("the pattern `{text}` has more than a path"),
            "a pattern fits paths; conditions on the query go in `query=NAME:VALUE`".to_owned(),
        );
    }
    if let Some(odd) = text.chars().find(|c| c.is_control() || c.is_whitespace() || !c.is_ascii()) {
        return wrong(
            format!("the pattern `{text}` has a character that no path has: {odd:?}"),
            "write it percent-encoded, as it stands in URLs (`%20`)".to_owned(),
        );
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return wrong(
            format!("the pattern `{text}` never fits"),
            "paths are compared with `.` and `..` resolved: write it without".to_owned(),
        );
    }
    let wild = |text: &str| text.contains(['*', '?']);
    if let Some(prefix) = text.strip_suffix("/*").filter(|prefix| !wild(prefix)) {
        return Some(PathPattern::Below(prefix.to_owned()));
    }
    if wild(text) { Some(PathPattern::Glob(text.to_owned())) } else { Some(PathPattern::Exact(text.to_owned())) }
}

pub(super) fn url_path(word: &Word, out: &mut Diagnostics) -> Option<String> {
    let text = word.text.as_str();
    let clean = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'*'));
    if text.starts_with('/') && clean {
        return Some(text.trim_end_matches('/').to_owned()).filter(|path| !path.is_empty()).or_else(|| {
            out.report(Code::E312, word.span, "a prefix of `/` changes nothing").help("take it away");
            None
        });
    }
    out.report(Code::E312, word.span, format!("`{text}` is not a prefix of paths"))
        .help("a prefix begins with `/` and has no pattern, query or fragment: `/api`");
    None
}

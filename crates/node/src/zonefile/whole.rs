//! A zone file judged as a whole, with what it includes: whether a name server would take it.
//!
//! The invariant: what `named-checkzone` and `kzonecheck` both refuse is refused.

use std::path::{Path, PathBuf};

use evenkeel_dns::Name;
use evenkeel_dns::zone::{self, Head, Severity, Source, ZoneText};
use evenkeel_model::caps;
use evenkeel_net::files;

use super::sheet::zone_in;
use crate::origin::{is_handed_over, words};

/// What is to be said of a zone file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneJudgement {
    /// The zone.
    pub zone: String,
    /// Every problem as a line: `file:line:column: error: sentence (code)`.
    pub lines: Vec<String>,
    /// How many of them are errors.
    pub errors: usize,
    /// How many are warnings.
    pub warnings: usize,
}

/// Whether the bytes are those of a zone file, and not of a configuration: some line is a record with its class, or a
/// SOA, or a directive of zone files.
pub fn is_zone(bytes: &[u8]) -> bool {
    let text = ZoneText::new(bytes);
    text.lines.iter().filter(|line| line.fault.is_none()).any(|line| {
        let words: Vec<_> = line.words().map(|token| token.word(bytes)).collect();
        // A comment of a configuration may read like a record.
        let Some(first) = words.first().filter(|first| !first.text.starts_with(b"#")) else { return false };
        let directive = [&b"$ORIGIN"[..], b"$TTL", b"$INCLUDE", b"$GENERATE"];
        directive.iter().any(|word| first.text.eq_ignore_ascii_case(word))
            || Head::read(&words, line.inherits_owner())
                .is_ok_and(|head| head.class.is_some() || head.kind.1 == evenkeel_dns::Type::SOA)
    })
}

/// Judges a zone file.
///
/// # Errors
/// Where it cannot be read, or its zone is neither given nor told by the file.
pub fn judge_zone(path: &Path, zone: Option<&str>) -> Result<ZoneJudgement, String> {
    let read = if is_handed_over(path) { files::read_bounded } else { files::read_plain };
    let bytes = read(path, caps::DNS_ZONE_BYTES).map_err(|error| words(&error))?;
    let origin = match zone {
        Some(text) => {
            Name::from_text(text.as_bytes(), Some(&Name::root())).map_err(|error| format!("`{text}`: {error}"))?
        }
        None => told(path, &bytes).ok_or(
            "the file does not tell its zone by a SOA with an absolute owner, nor by its name; add --zone NAME",
        )?,
    };
    let loaded = zone::load(&path.display().to_string(), bytes, &origin, &mut Beside);
    let count = |severity| loaded.problems.iter().filter(|problem| problem.severity == severity).count();
    Ok(ZoneJudgement {
        zone: origin.to_string(),
        lines: loaded.report(),
        errors: count(Severity::Error).max(usize::from(loaded.zone.is_none())),
        warnings: count(Severity::Warning),
    })
}

fn told(path: &Path, bytes: &[u8]) -> Option<Name> {
    let name = path.file_name()?.to_string_lossy();
    let by_name = || Name::from_text(zone_in(&name)?.as_bytes(), Some(&Name::root())).ok();
    evenkeel_dns::checker::survey(bytes, None).zone.or_else(by_name)
}

/// Included files: from the root, or beside the file that includes them.
struct Beside;

impl Source for Beside {
    fn read(&mut self, from: &str, file: &str) -> Result<(String, Vec<u8>), String> {
        let path: PathBuf = Path::new(from).parent().unwrap_or(Path::new(".")).join(file);
        let bytes = files::read_plain(&path, caps::DNS_ZONE_BYTES).map_err(|error| words(&error))?;
        Ok((path.display().to_string(), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_told_from_a_configuration() {
        let zones =
            ["$TTL 1h\n", "; c\n@ IN SOA a b 1 1 1 1 1\n", "example. 500 IN A 192.0.2.1\n", "x SOA a. b. 1 1 1 1 1"];
        for text in zones {
            assert!(is_zone(text.as_bytes()), "{text}");
        }
        let others = ["http :80 {\n to 10.0.0.1:80\n}\n", "# IN A zone\n", "zonefile /x {\n then rndc\n}\n", ""];
        for text in others {
            assert!(!is_zone(text.as_bytes()), "{text}");
        }
    }
}

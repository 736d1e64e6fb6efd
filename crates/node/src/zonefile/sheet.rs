//! One zone file as it was read: its bytes, what the checker sees in them, and whether it may be edited.
//!
//! The invariant: survey and bytes belong together.

use std::path::{Path, PathBuf};

use evenkeel_dns::Name;
use evenkeel_dns::checker::{self, Refusal, SetOptions, Survey};
use evenkeel_model::caps;
use evenkeel_model::config::Zonefile;
use evenkeel_net::files;

use super::find::Found;
use crate::origin::words;

/// A file that holds a header, or was named and holds none.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) survey: Survey,
    /// The zone, where it can be told.
    pub(super) zone: Option<Name>,
    pub(super) refusal: Option<Refusal>,
}

/// Ends of names that zone files have.
const ENDS: [&str; 5] = [".db", ".zone", ".hosts", ".master", ".txt"];

/// Reads a file. `None` where it is none of the checker's business.
pub(super) fn read(found: &Found, block: &Zonefile) -> Option<Result<Sheet, String>> {
    let read = files::read_plain(&found.path, caps::ZONEFILE_BYTES);
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => return Some(Err(words(&error))),
    };
    if !found.is_named && !contains_header(&bytes) {
        return None;
    }
    let sheet = of_bytes(&found.path, bytes, block);
    (found.is_named || !sheet.refusal.is_some_and(Refusal::is_silent)).then_some(Ok(sheet))
}

/// Reads a file's bytes.
pub(super) fn of_bytes(path: &Path, bytes: Vec<u8>, block: &Zonefile) -> Sheet {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let options = SetOptions { rise: block.rise.into(), fall: block.fall.into(), ..SetOptions::default() };
    let told = block.update.as_ref().and_then(|update| update.zone.as_deref());
    let guessed =
        told.or_else(|| zone_in(&name)).and_then(|text| Name::from_text(text.as_bytes(), Some(&Name::root())).ok());
    let plain = checker::survey_with(&bytes, None, &options);
    let zone = match (&plain.zone, told) {
        (Some(zone), None) => Some(zone.clone()),
        _ => guessed,
    };
    let mut survey = zone.as_ref().map_or(plain, |zone| checker::survey_with(&bytes, Some(zone), &options));
    if block.update.is_some() {
        survey.without_serial();
    }
    let refusal = refusal(path, &name, &bytes, &survey, block);
    Sheet { path: path.to_owned(), bytes, survey, zone, refusal }
}

/// The zone's name in that of its file: `example.org.db`, `db.example.org`, `example.org`.
pub(super) fn zone_in(file: &str) -> Option<&str> {
    let bare = ENDS.iter().find_map(|end| file.strip_suffix(end)).unwrap_or(file);
    let bare = bare.strip_prefix("db.").unwrap_or(bare);
    (!bare.is_empty() && !bare.starts_with('.')).then_some(bare)
}

/// Whether the words of a header stand anywhere: what a directory's other files are told by, without reading them as
/// zones.
fn contains_header(bytes: &[u8]) -> bool {
    const WORD: &[u8] = b"BALANCED_AUTOCHECK";
    bytes.windows(WORD.len()).any(|window| window == WORD)
}

fn refusal(path: &Path, name: &str, bytes: &[u8], survey: &Survey, block: &Zonefile) -> Option<Refusal> {
    let beside = if block.update.is_some() { Vec::new() } else { beside(path, name) };
    let beside: Vec<&str> = beside.iter().map(String::as_str).collect();
    match checker::refusal(name, &beside, bytes, survey) {
        // A file that is never written may hold what it likes.
        Some(Refusal::Signed | Refusal::Dynamic) if block.update.is_some() => None,
        other => other,
    }
}

/// The names beside the file that begin with its own.
fn beside(path: &Path, name: &str) -> Vec<String> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|other| other.starts_with(name)).collect()
}

#[cfg(test)]
mod tests {
    use evenkeel_model::config::{SecretRef, Update};

    use super::*;

    #[test]
    fn a_files_name_tells_its_zone() {
        let cases = [
            ("example.org.db", Some("example.org")),
            ("db.example.org", Some("example.org")),
            ("example.org", Some("example.org")),
            ("2.0.192.in-addr.arpa.zone", Some("2.0.192.in-addr.arpa")),
            (".db", None),
        ];
        for (file, zone) in cases {
            assert_eq!(zone_in(file), zone, "{file}");
        }
    }

    #[test]
    fn a_file_for_updates_needs_no_serial() {
        let text = "$TTL 60\n;; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n";
        let update = Update { server: ([127, 0, 0, 1], 53).into(), zone: None, key: SecretRef::File("key".into()) };
        let path = Path::new("/z/db.example.org");
        let mut block = Zonefile::new(Vec::new());
        let edited = of_bytes(path, text.into(), &block).survey.problems;
        assert!(edited.iter().any(|problem| problem.text.contains("no SOA")), "{edited:?}");
        block.update = Some(update);
        assert_eq!(of_bytes(path, text.into(), &block).survey.problems, []);
        let twice = format!("@ SOA ns root x 1 1 1 1\n{text}");
        assert!(of_bytes(path, twice.into(), &block).survey.is_broken(), "what is wrong is told all the same");
    }

    #[test]
    fn names_are_below_the_zone_that_the_file_says() {
        let text = "$TTL 60\n@ SOA ns root 1 1 1 1 1\n;; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n";
        let block = Zonefile::new(Vec::new());
        let sheet = of_bytes(Path::new("/z/db.example.org"), text.into(), &block);
        assert_eq!(sheet.survey.sets[0].owner.to_string(), "www.example.org.");
        let sheet = of_bytes(Path::new("/z/db.example.org"), format!("$ORIGIN other.net.\n{text}").into(), &block);
        assert_eq!(sheet.survey.sets[0].owner.to_string(), "www.other.net.");
    }
}

//! Certificates that the program makes itself: made once for a set of hosts, and kept, so that who has accepted one is not
//! asked again after a restart.
//!
//! The invariant: one that is found again is for these very hosts, and not near its end.

use std::sync::Arc;

use evenkeel_model::is_ending;
use evenkeel_net::clock;
use evenkeel_net::tls::Certificate;

use crate::acme::{Papers, file_name};
use crate::state::State;

/// How their files begin.
const KIND: &str = "self-certificate-";

/// The one that is kept for these hosts, or a new one, kept if there is where.
///
/// # Errors
/// In a sentence, where a host is none.
pub(super) fn find_or_make(state: &State, hosts: &[String]) -> Result<Arc<Certificate>, String> {
    let name = file_name(KIND, hosts.iter().map(String::as_str));
    if let Some(found) = find(state, &name).filter(|it| is_usable(it) && it.facts().names.hosts == hosts) {
        return Ok(found);
    }
    let (chain, key) = Certificate::self_signed_pem(hosts).map_err(|error| error.to_string())?;
    let papers = Papers::new(chain, key);
    if let Ok(bytes) = serde_json::to_vec(&papers) {
        // Where it is not kept, the next start makes another one.
        let _is_written = state.write(&name, &bytes);
    }
    papers.certificate()
}

/// Whether it is not near its end.
pub(super) fn is_usable(certificate: &Certificate) -> bool {
    let facts = certificate.facts();
    let left = facts.not_after.saturating_sub(clock::unix_now().as_secs());
    !is_ending(i64::try_from(left).unwrap_or(i64::MAX), facts.not_after.saturating_sub(facts.not_before))
}

fn find(state: &State, name: &str) -> Option<Arc<Certificate>> {
    let papers: Papers = serde_json::from_slice(&state.read(name)?).ok()?;
    papers.certificate().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_same_hosts_get_the_same_certificate_and_nobody_else_reads_its_key() {
        let dir = Scratch::new();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let state = State::open(dir.path(), None).unwrap();
        let hosts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (one, two) = (hosts(&["a.example"]), hosts(&["a.example", "b.example"]));
        let first = find_or_make(&state, &one).unwrap();
        assert!(is_usable(&first));
        assert_eq!(find_or_make(&state, &one).unwrap().mark(), first.mark());
        assert_ne!(find_or_make(&state, &two).unwrap().mark(), first.mark());
        let names = state.names(KIND);
        assert_eq!(names.len(), 2);
        for name in &names {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600);
            // What is torn is made anew.
            std::fs::write(dir.path().join(name), "{").unwrap();
        }
        assert_ne!(find_or_make(&state, &one).unwrap().mark(), first.mark());
        let nowhere = State::none();
        assert_ne!(find_or_make(&nowhere, &one).unwrap().mark(), find_or_make(&nowhere, &one).unwrap().mark());
    }
}

//! Certificates that the program makes itself: made once for a set of hosts, and kept, so that who has accepted one is not
//! asked again after a restart.
//!
//! The invariant: one that is found again is for these very hosts, and not near its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::until_ending;
use evenkeel_net::tls::Certificate;

use crate::acme::{Papers, file_name};
use crate::state::State;

/// How their files begin.
const KIND: &str = "self-certificate-";

/// The one that is kept for these hosts, or a new one, kept if there is where. Now is given since 1970.
///
/// # Errors
/// In a sentence, where a host is none.
pub(super) fn find_or_make(state: &State, hosts: &[String], now: Duration) -> Result<Arc<Certificate>, String> {
    let name = file_name(KIND, hosts.iter().map(String::as_str));
    if let Some(found) = find(state, &name).filter(|it| is_usable(it, now) && is_for(it, hosts)) {
        return Ok(found);
    }
    let (chain, key) = Certificate::self_signed_pem(hosts, now).map_err(|error| error.to_string())?;
    let papers = Papers::new(chain, key);
    if let Ok(bytes) = serde_json::to_vec(&papers) {
        // Where it is not kept, the next start makes another one.
        let _is_written = state.write(&name, &bytes);
    }
    papers.certificate()
}

/// Whether it is not near its end.
pub(super) fn is_usable(certificate: &Certificate, now: Duration) -> bool {
    !usable_for(certificate, now).is_zero()
}

/// How long it takes until it is near its end.
pub(super) fn usable_for(certificate: &Certificate, now: Duration) -> Duration {
    let facts = certificate.facts();
    let left = facts.not_after.saturating_sub(now.as_secs());
    let life = facts.not_after.saturating_sub(facts.not_before);
    Duration::from_secs(until_ending(i64::try_from(left).unwrap_or(i64::MAX), life))
}

/// Whether it is for these hosts, in their order, and for no other.
fn is_for(certificate: &Certificate, hosts: &[String]) -> bool {
    let names = &certificate.facts().names;
    let is_address = |host: &&String| host.parse::<IpAddr>().is_ok();
    let addresses = hosts.iter().filter_map(|host| host.parse::<IpAddr>().ok());
    names.hosts.iter().eq(hosts.iter().filter(|host| !is_address(host)))
        && names.addresses.iter().copied().eq(addresses)
}

fn find(state: &State, name: &str) -> Option<Arc<Certificate>> {
    let papers: Papers = serde_json::from_slice(&state.read(name)?).ok()?;
    papers.certificate().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use evenkeel_net::clock;

    use super::*;
    use crate::scratch::Scratch;

    fn hosts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn state(dir: &Scratch) -> State {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        State::open(dir.path(), None).unwrap()
    }

    #[test]
    fn the_same_hosts_get_the_same_certificate_and_nobody_else_reads_its_key() {
        let (dir, now) = (Scratch::new(), clock::unix_now());
        let state = state(&dir);
        let sets = [&["a.example"][..], &["a.example", "b.example"], &["192.0.2.1"], &["2001:db8::1", "a.example"]];
        let mut marks = Vec::new();
        for set in sets {
            let first = find_or_make(&state, &hosts(set), now).unwrap();
            assert!(is_usable(&first, now));
            assert_eq!(find_or_make(&state, &hosts(set), now).unwrap().mark(), first.mark(), "{set:?}");
            marks.push(*first.mark());
        }
        marks.sort_unstable();
        marks.dedup();
        let names = state.names(KIND);
        assert_eq!((names.len(), marks.len()), (sets.len(), sets.len()));
        for name in &names {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600);
            // What is torn is made anew.
            std::fs::write(dir.path().join(name), "{").unwrap();
        }
        for set in sets {
            assert!(!marks.contains(find_or_make(&state, &hosts(set), now).unwrap().mark()));
        }
        let nowhere = State::none();
        let made = || *find_or_make(&nowhere, &hosts(sets[0]), now).unwrap().mark();
        assert_ne!(made(), made());
    }

    #[test]
    fn one_that_ends_soon_is_made_anew_and_none_is_valid_for_longer_than_clients_bear() {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let (dir, now) = (Scratch::new(), clock::unix_now());
        let state = state(&dir);
        let one = hosts(&["a.example"]);
        let first = find_or_make(&state, &one, now).unwrap();
        let facts = first.facts();
        assert!(facts.not_before < now.as_secs() && facts.not_after == (now + 397 * DAY).as_secs());
        let later = find_or_make(&state, &one, now + 375 * DAY).unwrap();
        assert_eq!(later.mark(), first.mark());
        let ending = now + 377 * DAY;
        assert!(!is_usable(&first, ending));
        let next = find_or_make(&state, &one, ending).unwrap();
        assert!(next.mark() != first.mark() && is_usable(&next, ending));
        assert_eq!(find_or_make(&state, &one, ending).unwrap().mark(), next.mark());
    }
}

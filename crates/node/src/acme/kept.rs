//! What outlives the process: accounts with authorities, and certificates with their keys, in the state directory.
//!
//! The invariant: a chain and its key are one file, which is replaced whole, so that they always fit; what is read again
//! can be used, or is not there.

use std::sync::Arc;

use evenkeel_net::tls::Certificate;
use serde::{Deserialize, Serialize};

use super::Key;
use crate::state::State;

const ACCOUNT: &str = "acme-account-";
const CERTIFICATE: &str = "acme-certificate-";
const ENDING: &str = ".json";

/// A certificate as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Papers {
    /// The whole chain, in PEM.
    pub(super) chain: String,
    /// Its private key, in PEM.
    pub(super) key: String,
}

impl Papers {
    /// Both in PEM.
    pub(crate) fn new(chain: String, key: String) -> Self {
        Self { chain, key }
    }

    /// The certificate.
    ///
    /// # Errors
    /// In a sentence, where it cannot be used.
    pub(crate) fn certificate(&self) -> Result<Arc<Certificate>, String> {
        let read = Certificate::read(self.chain.as_bytes(), self.key.as_bytes(), None);
        read.map(Arc::new).map_err(|error| error.to_string())
    }
}

/// The name of a file (FNV-1a, 64 bits; Fowler, Noll, Vo). Files of other words would be other files.
pub(crate) fn file_name<'a>(kind: &str, words: impl Iterator<Item = &'a str>) -> String {
    let bytes = words.flat_map(|word| word.bytes().chain([0]));
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{kind}{hash:016x}{ENDING}")
}

/// One for each authority and person, and the account with the authority that it is bound to.
fn account_file(key: &Key) -> String {
    let bound = key.binding.as_ref().map(|binding| binding.id.as_str());
    file_name(ACCOUNT, [key.directory.as_str(), &key.mail].into_iter().chain(bound))
}

/// One for each authority and set of hosts, in whatever order they are written.
fn certificate_file(key: &Key) -> String {
    let mut hosts: Vec<&str> = key.hosts.iter().map(String::as_str).collect();
    hosts.sort_unstable();
    file_name(CERTIFICATE, std::iter::once(key.directory.as_str()).chain(hosts))
}

/// The account with the authority.
pub(super) fn account(state: &State, key: &Key) -> Option<Vec<u8>> {
    state.read(&account_file(key))
}

/// Keeps it. Says whether that was done.
pub(super) fn keep_account(state: &State, key: &Key, bytes: &[u8]) -> bool {
    state.write(&account_file(key), bytes)
}

/// The papers of a job's certificate, if they can still be used.
pub(super) fn papers(state: &State, key: &Key) -> Option<(Papers, Arc<Certificate>)> {
    let found = read(state, &certificate_file(key))?;
    uncovered(&key.hosts, &found.1).is_none().then_some(found)
}

/// Keeps a certificate.
///
/// # Errors
/// In a sentence; the file is what it was then.
pub(super) fn keep_papers(state: &State, key: &Key, papers: &Papers) -> Result<(), String> {
    let bytes = serde_json::to_vec(papers).map_err(|error| error.to_string())?;
    state.replace(&certificate_file(key), &bytes)
}

/// What is best shown until a job has its own: of all that is kept and not over, the one for most of its hosts.
pub(super) fn next_best(state: &State, key: &Key, now: u64) -> Option<Arc<Certificate>> {
    let names = state.names(CERTIFICATE);
    let all = names.iter().filter_map(|name| read(state, name)).map(|(_, certificate)| certificate);
    let worth = |certificate: &Certificate| {
        let facts = certificate.facts();
        let count = key.hosts.iter().filter(|host| facts.names.hosts.contains(host)).count();
        (count, facts.not_after)
    };
    let of_use = all.filter(|it| it.facts().not_after > now && worth(it).0 > 0);
    of_use.max_by_key(|certificate| worth(certificate))
}

/// The first of these hosts that a certificate is not for.
pub(super) fn uncovered<'a>(hosts: &'a [String], certificate: &Certificate) -> Option<&'a String> {
    hosts.iter().find(|host| !certificate.facts().names.hosts.contains(host))
}

fn read(state: &State, name: &str) -> Option<(Papers, Arc<Certificate>)> {
    let bytes = state.read(name)?;
    let read = serde_json::from_slice::<Papers>(&bytes).map_err(|error| error.to_string());
    let read = read.and_then(|papers| papers.certificate().map(|certificate| (papers, certificate)));
    read.map_err(|cause| tracing::warn!("`{name}` in the state directory is not used: {cause}")).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use evenkeel_model::ListenerName;
    use evenkeel_model::config::AcmeChallenge;
    use evenkeel_net::clock;

    use super::*;
    use crate::scratch::Scratch;

    fn key(hosts: &[&str]) -> Key {
        Key {
            listener: ListenerName::of_address(":443"),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            mail: "ops@example.com".to_owned(),
            directory: "https://ca.example/dir".to_owned(),
            ca: None,
            challenge: AcmeChallenge::Http,
            binding: None,
        }
    }

    fn papers_for(hosts: &[&str]) -> Papers {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let (chain, key) = Certificate::self_signed_pem(&hosts, clock::unix_now()).unwrap();
        Papers { chain, key }
    }

    fn state(dir: &Scratch) -> State {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        State::open(dir.path(), None).unwrap()
    }

    #[test]
    fn what_is_kept_is_read_again_and_nobody_else_reads_it() {
        let dir = Scratch::new();
        let state = state(&dir);
        let (key, other) = (key(&["a.example", "b.example"]), key(&["b.example", "a.example"]));
        assert!(papers(&state, &key).is_none() && account(&state, &key).is_none());
        let kept = papers_for(&["a.example", "b.example"]);
        assert!(keep_papers(&state, &key, &kept).is_ok() && keep_account(&state, &key, b"{}"));
        assert_eq!(papers(&state, &key).unwrap().0, kept);
        assert_eq!(papers(&state, &other).unwrap().0, kept, "the order of hosts means nothing");
        assert_eq!(account(&state, &key).as_deref(), Some(&b"{}"[..]));
        let mut count = 0;
        for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
            count += 1;
        }
        assert_eq!(count, 2);
    }

    #[test]
    fn what_is_torn_or_for_others_is_as_none() {
        let dir = Scratch::new();
        let state = state(&dir);
        let key = key(&["a.example"]);
        let kept = papers_for(&["b.example"]);
        keep_papers(&state, &key, &kept).unwrap();
        assert!(papers(&state, &key).is_none(), "for another host");
        let mixed = Papers { key: papers_for(&["a.example"]).key, ..papers_for(&["a.example"]) };
        keep_papers(&state, &key, &mixed).unwrap();
        assert!(papers(&state, &key).is_none(), "the key is another's");
        for bytes in [&b""[..], b"{", b"{\"chain\":\"\",\"key\":\"\"}", &[0xff; 64]] {
            assert!(state.write(&certificate_file(&key), bytes));
            assert!(papers(&state, &key).is_none());
            assert!(next_best(&state, &key, 0).is_none());
        }
    }

    #[test]
    fn until_there_is_the_right_one_the_nearest_is_shown() {
        let dir = Scratch::new();
        let state = state(&dir);
        let wanted = key(&["a.example", "b.example", "c.example"]);
        assert!(next_best(&state, &wanted, 0).is_none());
        for hosts in [&["a.example"][..], &["a.example", "b.example"], &["x.example", "y.example"]] {
            keep_papers(&state, &key(hosts), &papers_for(hosts)).unwrap();
        }
        let best = next_best(&state, &wanted, 0).unwrap();
        assert_eq!(best.facts().names.hosts, ["a.example", "b.example"]);
        assert!(next_best(&state, &wanted, u64::MAX).is_none(), "all are over");
        assert!(next_best(&state, &key(&["z.example"]), 0).is_none());
    }

    #[test]
    fn without_a_directory_nothing_is_kept_and_that_is_said() {
        let key = key(&["a.example"]);
        let error = keep_papers(&State::none(), &key, &papers_for(&["a.example"])).unwrap_err();
        assert!(error.contains("no state directory"), "{error}");
        assert!(next_best(&State::none(), &key, 0).is_none());
    }
}

//! The secrets that nodes made for themselves: of session tokens whose pools name none.
//!
//! A node alone has one. The nodes of a cluster tell each other theirs; the one that was made first is the current one of
//! all, and the others are accepted, so that a session that began on one node is read by every other. The invariant:
//! nodes that have told each other what they know have the same secrets in the same order.

use evenkeel_model::caps;
use serde::{Deserialize, Serialize};

/// The secrets, the current one first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnSecrets {
    made: Vec<Made>,
    /// Grows with each change.
    #[serde(skip)]
    version: u64,
}

/// A secret, ordered by its age.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Made {
    /// When, in seconds since 1970, by the clock of the node that made it.
    at: u64,
    secret: Vec<u8>,
}

impl OwnSecrets {
    /// The one that this node made, at that second since 1970.
    pub(crate) fn of(secret: Vec<u8>, at: u64) -> Self {
        Self { made: vec![Made { at, secret }], version: 0 }
    }

    /// Takes those that another node, or an earlier process, knew. Whether anything has changed. Of more than there is room
    /// for the youngest are left out.
    pub(crate) fn merge(&mut self, others: &Self) -> bool {
        let before = self.made.clone();
        self.made.extend(others.made.iter().filter(|made| made.secret.len() == SECRET_BYTES).cloned());
        self.made.sort_unstable();
        // The same secret is as old as its oldest mention.
        let mut seen: Vec<Vec<u8>> = Vec::new();
        self.made.retain(|made| {
            let is_new = !seen.contains(&made.secret);
            seen.push(made.secret.clone());
            is_new
        });
        self.made.truncate(caps::TOKEN_SECRETS);
        let has_changed = self.made != before;
        self.version += u64::from(has_changed);
        has_changed
    }

    /// The secret under which tokens are made.
    pub(crate) fn current(&self) -> &[u8] {
        self.made.first().map_or(&[], |made| &made.secret)
    }

    /// Those under which they are accepted beside it.
    pub(crate) fn others(&self) -> impl Iterator<Item = &[u8]> {
        self.made.iter().skip(1).map(|made| made.secret.as_slice())
    }

    /// Another number after each change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The bytes of a file or a paper.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("lists of numbers are JSON")
    }

    /// What they hold.
    pub(crate) fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}

/// The bytes of a secret that a node makes.
pub(crate) const SECRET_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn made(byte: u8, at: u64) -> OwnSecrets {
        OwnSecrets::of(vec![byte; SECRET_BYTES], at)
    }

    #[test]
    fn nodes_that_have_told_each_other_make_tokens_alike_and_read_all() {
        let (mut one, mut two, mut three) = (made(1, 300), made(2, 100), made(3, 200));
        assert!(one.merge(&two) && two.merge(&three) && three.merge(&one));
        for _ in 0..2 {
            let all = [one.clone(), two.clone(), three.clone()];
            for node in [&mut one, &mut two, &mut three] {
                for other in &all {
                    node.merge(other);
                }
            }
        }
        for node in [&one, &two, &three] {
            assert_eq!(node.current(), [2; SECRET_BYTES]);
            let others: Vec<u8> = node.others().filter_map(|secret| secret.first().copied()).collect();
            assert_eq!(others, [3, 1]);
        }
        let version = one.version();
        assert!(!one.merge(&two) && one.version() == version);
    }

    #[test]
    fn a_node_that_forgot_its_own_takes_up_that_of_the_others() {
        let mut old = made(1, 100);
        let mut fresh = made(2, 500);
        assert!(fresh.merge(&old) && old.merge(&fresh));
        assert_eq!((fresh.current(), old.current()), (&[1; SECRET_BYTES][..], &[1; SECRET_BYTES][..]));
        let read = OwnSecrets::from_json(&fresh.to_json()).unwrap();
        assert_eq!(read.current(), fresh.current());
    }

    #[test]
    fn of_too_many_the_youngest_are_left_out() {
        let mut node = made(0, 1);
        for byte in 1..=200 {
            node.merge(&made(byte, 1 + u64::from(byte)));
        }
        assert_eq!(node.made.len(), caps::TOKEN_SECRETS);
        assert_eq!(node.current(), [0; SECRET_BYTES]);
        assert!(!node.merge(&OwnSecrets::of(b"short".to_vec(), 0)), "what is no secret of ours");
    }
}

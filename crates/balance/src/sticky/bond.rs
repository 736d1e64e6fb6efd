//! The bond of a token to the application's own session: it ends when that session ends.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// What an answer does with the application's session cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// Nothing.
    Silent,
    /// It sets the cookie: the session with that mark begins or goes on.
    Set(u64),
    /// It deletes the cookie: the session is over.
    Over,
}

/// What stands in a token for a session of the application, never 0. It is only ever seen sealed, so that its key is no
/// secret, and the same on every balancer and under every sealing key.
pub fn app_session(value: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(b"evenkeel session");
    hasher.write(value);
    hasher.finish().max(1)
}

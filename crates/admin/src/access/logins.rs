//! Who is signed in: sessions of the dashboard, each proven by a random token in a cookie.
//!
//! The invariant: only the tokens' hashes are held, and never more than [`caps::ADMIN_LOGINS`].

use std::collections::HashMap;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use evenkeel_model::caps;

/// The cookie's name.
pub(crate) const COOKIE: &str = "evenkeel-admin";

/// A login that was not used for so long is over.
const IDLE: Duration = Duration::from_secs(8 * 3600);

/// A login is over after so long, however much it is used.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Those who are signed in.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    held: HashMap<blake3::Hash, Login>,
}

#[derive(Debug)]
struct Login {
    user: String,
    /// Which proof it was made with: another password ends it.
    mark: blake3::Hash,
    began: Duration,
    used: Duration,
}

impl Logins {
    /// Signs somebody in, and gives the token.
    pub(crate) fn begin(&mut self, user: &str, mark: blake3::Hash, chance: &[u8; 32], now: Duration) -> String {
        self.held.retain(|_, login| login.is_good(now));
        if self.held.len() >= caps::ADMIN_LOGINS {
            let oldest = self.held.iter().min_by_key(|(_, login)| login.used).map(|(token, _)| *token);
            oldest.and_then(|token| self.held.remove(&token));
        }
        let token = Base64UrlUnpadded::encode_string(chance);
        let login = Login { user: user.to_owned(), mark, began: now, used: now };
        self.held.insert(blake3::hash(token.as_bytes()), login);
        token
    }

    /// Who holds the token, with the mark of the proof that it was made with.
    pub(crate) fn find(&mut self, token: &str, now: Duration) -> Option<(String, blake3::Hash)> {
        let login = self.held.get_mut(&blake3::hash(token.as_bytes())).filter(|login| login.is_good(now))?;
        login.used = now;
        Some((login.user.clone(), login.mark))
    }

    /// Signs the holder of the token out.
    pub(crate) fn end(&mut self, token: &str) {
        self.held.remove(&blake3::hash(token.as_bytes()));
    }
}

impl Login {
    fn is_good(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) < IDLE && now.saturating_sub(self.began) < LIFE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_lasts_while_it_is_used_and_not_for_ever() {
        let mut logins = Logins::default();
        let mark = blake3::hash(b"x");
        let token = logins.begin("ops", mark, &[1; 32], Duration::ZERO);
        assert_eq!(logins.find(&token, IDLE / 2), Some(("ops".to_owned(), mark)));
        assert!(logins.find(&token, IDLE).is_some());
        assert_eq!(logins.find(&token, IDLE * 2), None);
        assert_eq!(logins.find("other", Duration::ZERO), None);

        let token = logins.begin("ops", mark, &[2; 32], Duration::ZERO);
        let mut now = Duration::ZERO;
        while logins.find(&token, now).is_some() {
            now += IDLE / 2;
        }
        assert_eq!(now, LIFE);
    }

    #[test]
    fn signing_out_ends_it_and_the_oldest_makes_room() {
        let mut logins = Logins::default();
        let mark = blake3::hash(b"x");
        let token = logins.begin("ops", mark, &[1; 32], Duration::ZERO);
        logins.end(&token);
        assert_eq!(logins.find(&token, Duration::ZERO), None);
        for number in 0..caps::ADMIN_LOGINS + 5 {
            let mut chance = [0; 32];
            chance[..8].copy_from_slice(&number.to_le_bytes());
            logins.begin("ops", mark, &chance, Duration::from_secs(u64::try_from(number).unwrap()));
        }
        assert_eq!(logins.held.len(), caps::ADMIN_LOGINS);
    }
}

//! The proof of a session that a client carries in a cookie: which server it is bound to, sealed.
//!
//! On the wire: base64url, without padding, of `version (1) | key id (1) | nonce (24) | sealed (28) | tag (16)`, 94 characters.
//! Sealed with XChaCha20-Poly1305 under the pool's and the cookie's name: two tokens for one server share no bit, so
//! that clients can neither count servers, nor aim at one, nor turn its dates back. The long nonce may be drawn
//! at random by many balancers that share a key. A token carries no authority and nothing about the user.
//!
//! The invariant: whatever is wrong with a token, it counts as absent; nothing a client sends is an error.

mod base64url;
mod key;
mod memo;

#[cfg(test)]
mod tests;

use std::hash::Hasher;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Tag, XNonce};
use evenkeel_model::config::{SetBy, StickyCookie};
use evenkeel_model::{PoolName, ServerName};
use siphasher::sip::SipHasher24;

use crate::sticky::Why;

pub use self::key::{Key, Keys, MethodKeys, WeakSecret};
pub use self::memo::TokenMemo;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const SEALED: usize = 28;
const BODY: usize = 2 + NONCE;
const TAG: usize = BODY + SEALED;
const WIRE: usize = TAG + 16;

/// How far a balancer's clock may run ahead of ours before its tokens count as forged: the widest skew that a machine
/// without time service shows within a year, and short against any `idle`.
const SKEW: u64 = 300;

/// The identity of a server in tokens: a hash of its name, the same on every balancer and after every restart. It is
/// only ever seen sealed, so its key is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerUid(u64);

impl ServerUid {
    /// The identity of the server of that name.
    pub fn of(name: &ServerName) -> Self {
        let mut hasher = SipHasher24::new_with_key(b"evenkeel server.");
        hasher.write(name.as_str().as_bytes());
        Self(hasher.finish())
    }

    /// The identity as a number, where it is stored.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The identity that [`to_bits`](Self::to_bits) gave.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// A client's bond to a server. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The server.
    pub server: ServerUid,
    /// When this token was sealed.
    pub issued: u32,
    /// When the session's first token was sealed.
    pub first: u32,
    /// A random number that stays with the session, for counting and limiting sessions.
    pub client: u32,
    /// The application's session that it is bound to ([`app_session`](crate::sticky::app_session)); 0 for none.
    pub bond: u64,
}

impl Token {
    /// The first token of a session. `client` is drawn by the caller, anew whenever a client is bound anew.
    pub fn new(server: ServerUid, client: u32, now_unix: u64) -> Self {
        let now = seconds(now_unix);
        Self { server, issued: now, first: now, client, bond: 0 }
    }

    /// The same bond, seen again now.
    pub fn renewed(self, now_unix: u64) -> Self {
        Self { issued: seconds(now_unix), ..self }
    }
}

/// Seals and opens the tokens of one pool.
#[derive(Debug, Clone)]
pub struct Sealer {
    keys: Keys,
    bound_to: Vec<u8>,
    idle: u64,
    life: u64,
    /// The age from which a token is sent anew.
    due: u64,
    /// A hash of the keys and of what they are bound to: tells sealers apart that open different tokens.
    mark: u64,
}

impl Sealer {
    /// A sealer for the tokens of a pool's cookie.
    pub fn new(keys: Keys, pool: &PoolName, cookie: &StickyCookie) -> Self {
        // No name holds a zero byte, so that no two pairs of names read alike.
        let bound_to = [pool.as_str().as_bytes(), &[0], cookie.name.as_bytes()].concat();
        // A cookie that the server sets is not ours to send anew: only its life counts.
        let idle = match cookie.set_by {
            SetBy::Us => cookie.idle,
            SetBy::Server | SetBy::Rewrite | SetBy::Prefix | SetBy::Suffix => cookie.life,
        };
        // More often than four times in `idle` would add a `Set-Cookie` to most answers and tell no more.
        let due = cookie.attributes.expires.map_or(idle, |expires| expires.min(idle)).as_secs() / 4;
        let mark = mark(&keys, &bound_to);
        Self { keys, bound_to, idle: idle.as_secs(), life: cookie.life.as_secs(), due, mark }
    }

    /// Appends the token's text to `out`. `nonce` must be random, from the system's source.
    pub fn seal(&self, token: &Token, nonce: [u8; 24], out: &mut Vec<u8>) {
        let mut wire = [0; WIRE];
        wire[0] = VERSION;
        wire[1] = self.keys.current.id();
        wire[2..BODY].copy_from_slice(&nonce);
        wire[BODY..TAG].copy_from_slice(&packed(token));
        let tag = self
            .keys
            .current
            .cipher()
            .encrypt_inout_detached(&XNonce::from(nonce), &self.bound_to, (&mut wire[BODY..TAG]).into())
            .expect("28 bytes are far below the cipher's bound");
        wire[TAG..].copy_from_slice(&tag);
        base64url::encode(&wire, out);
    }

    /// The token in a cookie's value, if it is one of ours for this pool and cookie, and neither idle nor too old.
    ///
    /// # Errors
    /// [`Why::Foreign`] where it is none of ours, [`Why::Expired`] where its time is over.
    pub fn open(&self, value: &[u8], now_unix: u64) -> Result<Token, Why> {
        let token = self.unsealed(value).ok_or(Why::Foreign)?;
        self.current(token, now_unix)
    }

    /// Whether the token is to be sent anew, so that it does not go idle: it is older than a quarter of `idle`, or of
    /// the time for which browsers keep it.
    pub fn is_due(&self, token: &Token, now_unix: u64) -> bool {
        now_unix.saturating_sub(u64::from(token.issued)) > self.due
    }

    fn unsealed(&self, value: &[u8]) -> Option<Token> {
        let wire: [u8; WIRE] = base64url::decode(value)?;
        let [version, key_id, ..] = wire;
        if version != VERSION {
            return None;
        }
        let keys = std::iter::once(&self.keys.current).chain(&self.keys.previous);
        keys.filter(|key| key.id() == key_id).find_map(|key| self.unseal(key, wire))
    }

    fn unseal(&self, key: &Key, mut wire: [u8; WIRE]) -> Option<Token> {
        let nonce = XNonce::try_from(wire.get(2..BODY)?).ok()?;
        let tag = Tag::try_from(wire.get(TAG..)?).ok()?;
        let sealed = wire.get_mut(BODY..TAG)?;
        key.cipher().decrypt_inout_detached(&nonce, &self.bound_to, sealed.into(), &tag).ok()?;
        unpacked(wire.get(BODY..TAG)?)
    }

    fn current(&self, token: Token, now_unix: u64) -> Result<Token, Why> {
        if self.is_current(&token, now_unix) { Ok(token) } else { Err(Why::Expired) }
    }

    fn is_current(&self, token: &Token, now_unix: u64) -> bool {
        let issued = u64::from(token.issued);
        let first = u64::from(token.first);
        first <= issued
            && issued <= now_unix.saturating_add(SKEW)
            && now_unix.saturating_sub(issued) <= self.idle
            && now_unix.saturating_sub(first) <= self.life
    }
}

fn mark(keys: &Keys, bound_to: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(b"evenkeel sealer.");
    for key in std::iter::once(&keys.current).chain(&keys.previous) {
        hasher.write_u64(key.mark());
    }
    hasher.write(bound_to);
    hasher.finish()
}

fn packed(token: &Token) -> [u8; SEALED] {
    let mut plain = [0; SEALED];
    plain[..8].copy_from_slice(&token.server.0.to_be_bytes());
    plain[8..12].copy_from_slice(&token.issued.to_be_bytes());
    plain[12..16].copy_from_slice(&token.first.to_be_bytes());
    plain[16..20].copy_from_slice(&token.client.to_be_bytes());
    plain[20..].copy_from_slice(&token.bond.to_be_bytes());
    plain
}

fn unpacked(plain: &[u8]) -> Option<Token> {
    let (server, rest) = plain.split_first_chunk()?;
    let (issued, rest) = rest.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let (client, rest) = rest.split_first_chunk()?;
    let bond = rest.first_chunk()?;
    Some(Token {
        server: ServerUid(u64::from_be_bytes(*server)),
        issued: u32::from_be_bytes(*issued),
        first: u32::from_be_bytes(*first),
        client: u32::from_be_bytes(*client),
        bond: u64::from_be_bytes(*bond),
    })
}

/// Seconds since 1970 in 32 bits, which end in 2106; later times stand still there.
fn seconds(now_unix: u64) -> u32 {
    u32::try_from(now_unix).unwrap_or(u32::MAX)
}

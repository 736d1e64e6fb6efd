//! Session tickets: a client that comes again shows one and saves both sides the dear part of a handshake.
//!
//! The keys are made of one secret and the time of day, so that all who have the secret open each other's tickets without
//! a word between them. The invariant: a ticket is opened under the rules that it was made under (who clients have to be),
//! and never after two periods.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rustls::server::ProducesTickets;

use crate::{clock, rng};

/// How long a key makes tickets. It opens them for as long again.
const PERIOD: Duration = Duration::from_secs(6 * 3600);

/// Bytes of a nonce: long enough to be drawn by chance.
const NONCE: usize = 24;

/// What ticket keys are made of. Cheap to clone.
#[derive(Clone)]
pub struct TicketKeys {
    secret: Arc<[u8; 32]>,
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys")
    }
}

impl TicketKeys {
    /// Keys of this process alone.
    pub fn of_chance() -> Self {
        Self { secret: Arc::new(rng::seed()) }
    }

    /// Keys of all who have the secret.
    pub fn derive(secret: &[u8]) -> Self {
        Self { secret: Arc::new(blake3::derive_key("evenkeel 2026-11 session tickets: secret", secret)) }
    }

    /// The maker of tickets for listeners with the same rules of who may connect.
    pub(super) fn maker(&self, rules: &[u8; 32]) -> Arc<TicketMaker> {
        Arc::new(TicketMaker { secret: Arc::clone(&self.secret), rules: *rules })
    }
}

/// Makes and opens tickets.
pub(super) struct TicketMaker {
    secret: Arc<[u8; 32]>,
    /// Who clients have to be: a ticket of a listener that asks for no certificate must not open one that does.
    rules: [u8; 32],
}

impl fmt::Debug for TicketMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketMaker")
    }
}

impl TicketMaker {
    fn period(now: Duration) -> u64 {
        now.as_secs() / PERIOD.as_secs()
    }

    fn cipher(&self, period: u64) -> XChaCha20Poly1305 {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(&self.rules);
        hasher.update(&period.to_le_bytes());
        XChaCha20Poly1305::new(hasher.finalize().as_bytes().into())
    }

    pub(super) fn seal_at(&self, now: Duration, plain: &[u8]) -> Option<Vec<u8>> {
        let period = Self::period(now);
        let seed = rng::seed();
        let nonce = seed.get(..NONCE)?;
        let sealed = self.cipher(period).encrypt(XNonce::try_from(nonce).ok().as_ref()?, plain).ok()?;
        // One byte tells which key it was: four periods before it comes again are more than are ever open.
        let mut ticket = Vec::with_capacity(1 + NONCE + sealed.len());
        ticket.push((period & 0xff) as u8);
        ticket.extend_from_slice(nonce);
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    pub(super) fn open_at(&self, now: Duration, ticket: &[u8]) -> Option<Vec<u8>> {
        let (&mark, rest) = ticket.split_first()?;
        let (nonce, sealed) = rest.split_at_checked(NONCE)?;
        let period = Self::period(now);
        // The next one, too: another node's clock may be ahead.
        let candidates = [period, period.saturating_sub(1), period.saturating_add(1)];
        let period = candidates.into_iter().find(|period| (period & 0xff) as u8 == mark)?;
        self.cipher(period).decrypt(XNonce::try_from(nonce).ok().as_ref()?, sealed).ok()
    }
}

impl ProducesTickets for TicketMaker {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        // What a key surely opens.
        u32::try_from(PERIOD.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal_at(clock::unix_now(), plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open_at(clock::unix_now(), cipher)
    }
}

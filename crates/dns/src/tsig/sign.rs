//! Signing: requests, responses, and the messages of a transfer one after the other.
//!
//! The invariant: each signature covers the one before it in the exchange, so that no answer fits another question.

use std::time::Duration;

use super::key::Key;
use super::record::{Signature, blank, id_of, put_on};
use super::{FUDGE, Mac};

/// Signs a request; `now` is the time since 1970. The signature that comes back is what the response is bound to.
pub fn sign_request(message: &mut Vec<u8>, key: &Key, now: Duration) -> Mac {
    let signature = blank(key.name(), key.algorithm(), now, FUDGE, id_of(message));
    let mac = key.mac(&[message, &signature.variables()]);
    finish(message, signature, mac)
}

/// Signs the response to a request with that signature.
pub fn sign_response(message: &mut Vec<u8>, key: &Key, request: &Mac, now: Duration) -> Mac {
    let signature = blank(key.name(), key.algorithm(), now, FUDGE, id_of(message));
    sign_bound(message, key, request, signature)
}

/// Signs a message as the response to a request; the signature says more than usual.
pub(super) fn sign_bound(message: &mut Vec<u8>, key: &Key, request: &Mac, signature: Signature) -> Mac {
    let mac = key.mac(&[&length_of(request), &request.0, message, &signature.variables()]);
    finish(message, signature, mac)
}

/// The length of a signature, as it is put before it.
pub(super) fn length_of(mac: &Mac) -> [u8; 2] {
    u16::try_from(mac.0.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn finish(message: &mut Vec<u8>, mut signature: Signature, mac: Mac) -> Mac {
    signature.mac.clone_from(&mac.0);
    put_on(message, &signature);
    mac
}

/// The messages of one answer, such as a transfer's, each signed (RFC 8945, 5.3.1).
#[derive(Debug, Clone)]
pub struct Stream {
    key: Key,
    previous: Mac,
    is_first: bool,
}

impl Stream {
    /// The answer to a request with that signature.
    pub fn new(key: &Key, request: &Mac) -> Self {
        Self { key: key.clone(), previous: request.clone(), is_first: true }
    }

    /// Signs the next message.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: Duration) {
        if std::mem::take(&mut self.is_first) {
            self.previous = sign_response(message, &self.key, &self.previous, now);
            return;
        }
        let signature = blank(self.key.name(), self.key.algorithm(), now, FUDGE, id_of(message));
        let parts: [&[u8]; 4] = [&length_of(&self.previous), &self.previous.0, message, &signature.timers()];
        let mac = self.key.mac(&parts);
        self.previous = finish(message, signature, mac);
    }
}

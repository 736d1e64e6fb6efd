//! Verifying, in the order of RFC 8945, 5.2: the key, the signature, the time, the cut.
//!
//! The invariant: nothing but the key's name is believed before the signature fits.

use std::time::Duration;

use super::key::Key;
use super::record::{Signature, Signed, blank, id_of, put_on, take_off, time_bytes};
use super::sign::{length_of, sign_bound};
use super::{FUDGE, Fault, Mac};
use crate::kind::Rcode;

/// A request whose signature fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'k> {
    /// The key that signed it.
    pub key: &'k Key,
    /// What the response is to be bound to.
    pub mac: Mac,
}

/// A request that is not believed, and what its answer has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub fault: Fault,
    signature: Option<Signature>,
    /// The key, where the signature fitted and only the time did not.
    key: Option<Key>,
}

impl Rejected {
    /// The response code (RFC 8945, 5.2).
    pub fn rcode(&self) -> Rcode {
        if self.fault == Fault::Malformed { Rcode::FormErr } else { Rcode::NotAuth }
    }

    /// Puts on the response what tells the client why: signed where only the time was wrong (RFC 8945, 5.2.3).
    pub fn finish(&self, response: &mut Vec<u8>, now: Duration) {
        let (Some(theirs), Some(code)) = (&self.signature, self.fault.code()) else { return };
        let id = id_of(response);
        match &self.key {
            Some(key) => {
                let mut signature = blank(key.name(), key.algorithm(), Duration::from_secs(theirs.time), FUDGE, id);
                signature.error = code;
                signature.other = time_bytes(now.as_secs()).to_vec();
                sign_bound(response, key, &Mac(theirs.mac.clone()), signature);
            }
            None => {
                let signature = Signature { mac: Vec::new(), other: Vec::new(), id, error: code, ..theirs.clone() };
                put_on(response, &signature);
            }
        }
    }
}

/// Verifies a request; `None` where it is not signed. `now` is the time since 1970.
///
/// # Errors
/// Where it is signed and not to be believed.
pub fn verify_request<'k>(
    message: &[u8],
    keys: &'k [Key],
    now: Duration,
) -> Result<Option<Request<'k>>, Box<Rejected>> {
    let malformed = |_| Box::new(Rejected { fault: Fault::Malformed, signature: None, key: None });
    let Some(Signed { message, signature }) = take_off(message).map_err(malformed)? else { return Ok(None) };
    let rejected = |fault, key: Option<&Key>| {
        Err(Box::new(Rejected { fault, signature: Some(signature.clone()), key: key.cloned() }))
    };
    let is_it =
        |key: &&Key| *key.name() == signature.name && signature.known_algorithm().is_some_and(|a| a == key.algorithm());
    let Some(key) = keys.iter().find(is_it) else { return rejected(Fault::BadKey, None) };
    if signature.mac.len() > key.algorithm().mac_bytes() || signature.mac.len() < shortest(key) {
        return rejected(Fault::Malformed, None);
    }
    if !key.fits(&[&message, &signature.variables()], &signature.mac) {
        return rejected(Fault::BadSig, None);
    }
    match judge(&signature, key, now) {
        Ok(()) => Ok(Some(Request { key, mac: Mac(signature.mac) })),
        Err(fault @ Fault::BadTime(_)) => rejected(fault, Some(key)),
        Err(fault) => rejected(fault, None),
    }
}

/// Verifies the response to a request that was signed with that key and has that signature.
///
/// # Errors
/// Where it is not to be believed, or where the other side says that it does not believe us.
pub fn verify_response(message: &[u8], key: &Key, request: &Mac, now: Duration) -> Result<(), Fault> {
    let Signed { message, signature } = take_off(message).map_err(|_| Fault::Malformed)?.ok_or(Fault::Unsigned)?;
    if signature.name != *key.name() || signature.known_algorithm() != Some(key.algorithm()) {
        return Err(Fault::BadKey);
    }
    let theirs = Fault::from_code(signature.error, signature.other_time());
    let parts: [&[u8]; 4] = [&length_of(request), &request.0, &message, &signature.variables()];
    if signature.mac.len() < shortest(key) || !key.fits(&parts, &signature.mac) {
        // What refuses our key or signature cannot be signed; it is told, and changes nothing.
        return Err(theirs.filter(|_| signature.mac.is_empty()).unwrap_or(Fault::BadSig));
    }
    theirs.map_or(Ok(()), Err)?;
    judge(&signature, key, now)
}

/// Fewest bytes of a signature, however it is cut (RFC 8945, 5.2.2.1).
fn shortest(key: &Key) -> usize {
    key.algorithm().mac_bytes().div_ceil(2).max(10)
}

/// What is left to judge once the signature fits: the time, and whether it is cut, which nobody does unasked.
fn judge(signature: &Signature, key: &Key, now: Duration) -> Result<(), Fault> {
    if now.as_secs().abs_diff(signature.time) > u64::from(signature.fudge) {
        return Err(Fault::BadTime(Some(Duration::from_secs(signature.time))));
    }
    if signature.mac.len() < key.algorithm().mac_bytes() {
        return Err(Fault::BadTrunc);
    }
    Ok(())
}

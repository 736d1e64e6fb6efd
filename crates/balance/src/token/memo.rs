//! Tokens that one worker opened lately: a browser sends the same one with every request, and opening it is dear.
//!
//! The invariant: what is remembered was opened by the very keys that are asked for, and its times are looked at anew each
//! time. A value that was never opened is never found.

use evenkeel_model::caps;

use super::{Sealer, Token, base64url};
use crate::sticky::Why;

/// Letters of a token's text.
const TEXT: usize = base64url::letters(super::WIRE);

/// Tokens by where their text falls; one that falls on another takes its place.
#[derive(Debug, Default)]
pub struct TokenMemo {
    places: Vec<Option<Box<Opened>>>,
}

#[derive(Debug)]
struct Opened {
    /// Which keys opened it, for which pool and cookie.
    mark: u64,
    text: [u8; TEXT],
    token: Token,
}

impl TokenMemo {
    /// As [`Sealer::open`], without the work where that very text was opened before.
    ///
    /// # Errors
    /// As there.
    pub fn open(&mut self, sealer: &Sealer, value: &[u8], now_unix: u64) -> Result<Token, Why> {
        let Ok(text) = <[u8; TEXT]>::try_from(value) else { return sealer.open(value, now_unix) };
        let place = place(&text);
        if let Some(Some(opened)) = self.places.get(place)
            && opened.mark == sealer.mark
            && opened.text == text
        {
            return sealer.current(opened.token, now_unix);
        }
        let token = sealer.open(value, now_unix)?;
        if self.places.is_empty() {
            self.places.resize_with(caps::TOKENS_REMEMBERED, || None);
        }
        if let Some(slot) = self.places.get_mut(place) {
            let opened = Opened { mark: sealer.mark, text, token };
            match slot {
                Some(held) => **held = opened,
                None => *slot = Some(Box::new(opened)),
            }
        }
        Ok(token)
    }
}

/// The last letters are of the seal, which is as good as chance.
fn place(text: &[u8; TEXT]) -> usize {
    let hash =
        text.iter().rev().take(8).fold(0_u64, |hash, letter| hash.wrapping_mul(64).wrapping_add(u64::from(*letter)));
    (crate::rng::scatter(hash) % caps::TOKENS_REMEMBERED as u64) as usize
}

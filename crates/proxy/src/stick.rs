//! Keeping a client on its server: the token in, the token out.
//!
//! Not here: what a token is (`evenkeel_balance`). Any fault of a token counts as none, so that a client learns nothing
//! by making tokens up.

use evenkeel_balance::sticky::{StickyOutcome, resolve};
use evenkeel_balance::{Sealer, ServerIndex, Token};
use evenkeel_http::cookie::{self, SetCookie};
use evenkeel_model::config::{Sticky, StickyCookie};
use evenkeel_net::clock;

use crate::buffer::Desk;
use crate::exchange::Exchange;
use crate::serve::h1::Client;
use crate::snapshot::PoolPart;

/// Cookies of our name that are tried: a browser sends two when paths or domains overlap, anything beyond is noise.
const TOKENS_TRIED: usize = 4;

/// Finds out where the client belongs.
pub(crate) fn recognise(_client: &Client, desk: &Desk, exchange: &mut Exchange, pool: &PoolPart) {
    let Some((sealer, sticky)) = pool.sealer.as_ref().zip(own_cookie(pool)) else { return };
    let now = clock::unix_now().as_secs();
    let buf = desk.input.written();
    exchange.token = cookie::values(desk.request.fields(), buf, sticky.name.as_bytes())
        .take(TOKENS_TRIED)
        .find_map(|value| sealer.open(value, now));
    exchange.bond = resolve(exchange.token.as_ref(), &pool.plan);
}

/// Notes how the session was found, and appends the `Set-Cookie` value that the answer needs; `false` where it needs
/// none.
pub(crate) fn write_token(
    client: &Client,
    exchange: &mut Exchange,
    pool: &PoolPart,
    answered: ServerIndex,
    out: &mut Vec<u8>,
) -> bool {
    let Some((sealer, sticky)) = pool.sealer.as_ref().zip(own_cookie(pool)) else { return false };
    exchange.sticky = exchange.bond.outcome(answered);
    let now = clock::unix_now().as_secs();
    let Some(token) = next_token(client, exchange, pool, answered, sealer, now) else { return false };
    let mut value = Vec::with_capacity(96);
    sealer.seal(&token, client.worker.nonce(), &mut value);
    SetCookie::new(sticky.name.as_bytes(), &value).write(out);
    true
}

fn next_token(
    client: &Client,
    exchange: &Exchange,
    pool: &PoolPart,
    answered: ServerIndex,
    sealer: &Sealer,
    now: u64,
) -> Option<Token> {
    match (exchange.sticky, exchange.token) {
        (StickyOutcome::Hit, Some(token)) => sealer.is_due(&token, now).then(|| token.renewed(now)),
        (StickyOutcome::None, _) => None,
        _ => {
            let uid = pool.server(answered)?.uid;
            // 32 bits by chance tell sessions apart for counting; they prove nothing.
            Some(Token::new(uid, (client.worker.chance() >> 32) as u32, now))
        }
    }
}

/// The pool's cookie of ours.
pub(crate) fn own_cookie(pool: &PoolPart) -> Option<&StickyCookie> {
    pool.config.sticky.iter().find_map(Sticky::cookie)
}

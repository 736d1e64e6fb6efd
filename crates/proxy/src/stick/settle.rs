//! Writing into an answer where its client belongs.

use evenkeel_balance::sticky::{Answered, Bond, Dated, StickyOutcome, app_session};
use evenkeel_balance::{ServerIndex, Token};
use evenkeel_http::cookie::{self, SameSite, SetCookie, SetCookieAction, SetCookieRule, Told};
use evenkeel_http::{Known, Method};
use evenkeel_model::caps;
use evenkeel_model::config::{CookieValue, Insert, SameSite as Rule, SetBy, StickyCookie};
use evenkeel_net::clock;

use super::Seen;
use super::part::MethodPart;
use super::see::{Purpose, Reading, see};
use crate::buffer::Desk;
use crate::exchange::Exchange;
use crate::hold::HeldPool;
use crate::serve::h1::Client;

/// What an answer says of its session: pieces of the desk's text, by method.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pieces: [Option<Piece>; caps::STICKY_METHODS],
    /// Whether caches are to be told that the answer is one client's own.
    pub(crate) is_private: bool,
}

/// One piece of text: a whole `Set-Cookie` value, or what goes into one of the server's.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from: usize,
    to: usize,
    is_own: bool,
}

impl Settled {
    /// The `Set-Cookie` values to add.
    pub(crate) fn own<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let own = self.pieces.iter().flatten().filter(|piece| piece.is_own);
        own.filter_map(|piece| text.get(piece.from..piece.to))
    }

    /// What becomes of the server's own cookies; two for a method at most.
    pub(crate) fn rules<'a>(
        &'a self,
        methods: &'a [MethodPart],
        text: &'a [u8],
    ) -> impl Iterator<Item = SetCookieRule<'a>> + use<'a> {
        methods.iter().zip(&self.pieces).flat_map(move |(part, piece)| {
            let value = piece.filter(|piece| !piece.is_own).and_then(|piece| text.get(piece.from..piece.to));
            let action = part.config.cookie().and_then(|cookie| match (cookie.set_by, value) {
                (SetBy::Us, _) if !cookie.preserve => Some(SetCookieAction::Drop),
                (SetBy::Rewrite, Some(value)) => Some(SetCookieAction::Replace(value)),
                (SetBy::Prefix, Some(value)) => Some(SetCookieAction::Prefix(value)),
                _ => None,
            });
            action.into_iter().flat_map(|action| part.names().map(move |name| SetCookieRule { name, action }))
        })
    }
}

/// Notes how the session was found, and appends to `text` what the answer is to say of it.
pub(crate) fn settle(
    client: &Client,
    desk: &Desk,
    exchange: &mut Exchange,
    pool: &HeldPool,
    answered: ServerIndex,
    text: &mut Vec<u8>,
) -> Settled {
    let mut settled = Settled::default();
    if pool.sticky.is_empty() {
        return settled;
    }
    let writer = Writer { client, desk, exchange, pool, answered, now: clock::unix_now().as_secs() };
    let mut writes = false;
    for (place, (part, slot)) in pool.sticky.iter().zip(&mut settled.pieces).enumerate() {
        let Some(cookie) = part.config.cookie().filter(|_| !exchange.stuck.is_skipped(place)) else { continue };
        let from = text.len();
        let is_own = cookie.set_by == SetBy::Us;
        writes |= is_own;
        let is_written = match is_own {
            true => writer.write_own(place, part, cookie, text),
            false => writer.write_into(part, cookie, text),
        };
        if is_written {
            *slot = Some(Piece { from, to: text.len(), is_own });
            settled.is_private |= is_own && cookie.private;
        } else {
            text.truncate(from);
        }
    }
    let is_met = exchange.stuck.skipped.count_ones() as usize == pool.sticky.len();
    let outcome = match (exchange.stuck.seen.bond, exchange.stuck.client_key) {
        _ if is_met => StickyOutcome::None,
        // Without a cookie of ours the address alone binds the client, now as before.
        (Bond::Unbound, Some(_)) if !writes => StickyOutcome::Hit,
        // One that was lent out may have come to its own server all the same, where no other can serve.
        (bond, _) => bond.outcome(answered),
    };
    exchange.stuck.outcome = outcome;
    settled
}

struct Writer<'a> {
    client: &'a Client,
    desk: &'a Desk,
    exchange: &'a Exchange,
    pool: &'a HeldPool,
    answered: ServerIndex,
    now: u64,
}

impl<'a> Writer<'a> {
    fn reading(&self) -> Reading<'a> {
        let is_secure = self.exchange.is_over_tls(self.desk);
        Reading {
            purpose: Purpose::Serving,
            desk: self.desk,
            pool: self.pool,
            now: self.now,
            is_secure,
            client: self.exchange.client,
        }
    }

    /// Appends the `Set-Cookie` value of a cookie of ours, if the answer needs one.
    fn write_own(&self, place: usize, part: &MethodPart, cookie: &StickyCookie, text: &mut Vec<u8>) -> bool {
        // A request that another server serves for once leaves its bond as it was.
        if self.exchange.stuck.lent.is_some() || (cookie.preserve && self.server_sets(part)) {
            return false;
        }
        let seen = match self.exchange.stuck.method == Some(place) {
            true => self.exchange.stuck.seen,
            false => see(self.reading(), part),
        };
        let session = self.session(cookie, seen.token.as_ref());
        if session == Answered::Over {
            return seen.is_own_form && self.write_deletion(part, cookie, text);
        }
        let is_kept = seen.bond == Bond::Bound(self.answered) && seen.is_own_form;
        if seen.bond == Bond::Unbound && !self.may_insert(cookie, session) {
            return false;
        }
        let from = text.len();
        let is_needed = match cookie.value {
            CookieValue::Token => self.write_token(part, (seen, is_kept), session, text),
            CookieValue::Dated => self.write_dated(part, cookie, (seen, is_kept), text),
            // One that the browser forgets by itself is sent with each answer, as its time runs anew.
            _ => (!is_kept || cookie.attributes.expires.is_some()) && self.write_value(part, text),
        };
        if !is_needed {
            return false;
        }
        let value = text.split_off(from);
        self.set_cookie(part, cookie, &value).write(text);
        true
    }

    /// Appends what goes into a cookie of the server's, if the answer sets it.
    fn write_into(&self, part: &MethodPart, cookie: &StickyCookie, text: &mut Vec<u8>) -> bool {
        if !matches!(cookie.set_by, SetBy::Rewrite | SetBy::Prefix) || !self.server_sets(part) {
            return false;
        }
        let session = self.session(cookie, None);
        let is_written = match cookie.value {
            CookieValue::Token => self.write_token(part, (Seen::NOTHING, false), session, text),
            CookieValue::Dated => self.write_dated(part, cookie, (Seen::NOTHING, false), text),
            _ => self.write_value(part, text),
        };
        if is_written && cookie.set_by == SetBy::Prefix {
            text.push(b'~');
        }
        is_written
    }

    fn write_token(
        &self,
        part: &MethodPart,
        (seen, is_kept): (Seen, bool),
        session: Answered,
        text: &mut Vec<u8>,
    ) -> bool {
        let Some(sealer) = &part.sealer else { return false };
        let Some(uid) = self.pool.server(self.answered).map(|server| server.uid) else { return false };
        let bond = match session {
            Answered::Set(mark) => mark,
            Answered::Silent | Answered::Over => 0,
        };
        let held = seen.token.filter(|token| seen.bond == Bond::Bound(self.answered) && token.server == uid);
        let token = match held {
            Some(token) if is_kept && token.bond == bond && !sealer.is_due(&token, self.now) => return false,
            Some(token) => Token { bond, ..token.renewed(self.now) },
            // 32 bits by chance tell sessions apart for counting; they prove nothing.
            None => Token { bond, ..Token::new(uid, (self.client.worker.chance() >> 32) as u32, self.now) },
        };
        sealer.seal(&token, self.client.worker.nonce(), text);
        true
    }

    fn write_dated(
        &self,
        part: &MethodPart,
        cookie: &StickyCookie,
        (seen, is_kept): (Seen, bool),
        text: &mut Vec<u8>,
    ) -> bool {
        let Some(name) = part.values.written(self.answered) else { return false };
        let (last, first) = seen.dates;
        let is_young = last.is_some_and(|last| self.now.saturating_sub(last) <= cookie.idle.as_secs() / 4);
        if is_kept && is_young {
            return false;
        }
        let first = first.filter(|_| is_kept).unwrap_or(self.now);
        Dated { name, last: Some(self.now), first: Some(first) }.write(text);
        true
    }

    fn write_value(&self, part: &MethodPart, text: &mut Vec<u8>) -> bool {
        let value = part.values.written(self.answered);
        text.extend_from_slice(value.unwrap_or_default());
        value.is_some()
    }

    fn write_deletion(&self, part: &MethodPart, cookie: &StickyCookie, text: &mut Vec<u8>) -> bool {
        SetCookie { max_age: Some(0), ..self.set_cookie(part, cookie, b"") }.write(text);
        true
    }

    fn set_cookie<'v>(&'v self, part: &'v MethodPart, cookie: &'v StickyCookie, value: &'v [u8]) -> SetCookie<'v> {
        let attributes = &cookie.attributes;
        let is_over_tls = self.exchange.is_over_tls(self.desk);
        let is_secure = attributes.secure.unwrap_or(is_over_tls);
        let is_embedded = is_over_tls && is_secure && self.is_embedded();
        SetCookie {
            name: part.name_over(cookie, is_over_tls),
            value,
            path: attributes.path.as_bytes(),
            domain: attributes.domain.as_deref().map(str::as_bytes),
            max_age: attributes.expires.map(|expires| expires.as_secs()),
            secure: is_secure,
            http_only: attributes.http_only,
            same_site: match attributes.same_site {
                Rule::Auto if is_embedded => Some(SameSite::None),
                Rule::Auto | Rule::Lax => Some(SameSite::Lax),
                Rule::Strict => Some(SameSite::Strict),
                Rule::None => Some(SameSite::None),
                Rule::Off => None,
            },
            partitioned: attributes.same_site == Rule::Auto && is_embedded,
        }
    }

    /// Whether the browser says that another site's page embeds what it asks for (W3C Fetch Metadata).
    fn is_embedded(&self) -> bool {
        let (fields, buf) = (self.desk.request.fields(), self.desk.input.written());
        let says = |name: &[u8], word: &[u8]| fields.find(buf, name) == Some(word);
        says(b"sec-fetch-site", b"cross-site")
            && (says(b"sec-fetch-dest", b"iframe") || says(b"sec-fetch-dest", b"frame"))
    }

    /// Whether a client without a bond may get one with this answer.
    fn may_insert(&self, cookie: &StickyCookie, session: Answered) -> bool {
        match cookie.insert {
            Insert::Always => true,
            Insert::Post => self.desk.request.method() == Method::Post,
            Insert::Session => matches!(session, Answered::Set(_)),
        }
    }

    /// Whether the answer sets the method's cookie itself.
    fn server_sets(&self, part: &MethodPart) -> bool {
        let mut fields = self.desk.response.fields().known(self.desk.answer.filled(), Known::SetCookie);
        fields.any(|value| cookie::set_name(value).is_some_and(|set| part.names().any(|name| name == set)))
    }

    /// The application's session as it will be after this answer, to which a token may be bonded by `held`.
    fn session(&self, cookie: &StickyCookie, held: Option<&Token>) -> Answered {
        let Some(name) = cookie.bond.as_ref().map(String::as_bytes) else { return Answered::Silent };
        match cookie::told(self.desk.response.fields(), self.desk.answer.filled(), name, self.now) {
            Told::Set(value) => Answered::Set(app_session(value)),
            Told::Deleted => Answered::Over,
            Told::Nothing => {
                let (fields, buf) = (self.desk.request.fields(), self.desk.input.written());
                let brought = || cookie::values(fields, buf, name).map(app_session);
                // Of several cookies the one counts that the token goes with already: another path may bring it alone.
                let kept = held.map(|token| token.bond).filter(|bond| brought().any(|mark| mark == *bond));
                kept.or_else(|| brought().next()).map_or(Answered::Silent, Answered::Set)
            }
        }
    }
}

//! Writing heads: a parsed one with our changes, or one of our own.
//!
//! Not here: bodies and chunks (`encode`), and which changes to make. What is neither about the one connection it came
//! over nor edited goes out with the bytes, the order and the case in which it came. The invariant: what is written has
//! exactly one framing and, in a request, exactly one host, and no byte in it could end a line early: an edit that would
//! break this is left out.

use evenkeel_model::config::ClientField;

use crate::cookie::{CookieRule, SetCookieRule};
use crate::encode::{CRLF, write_number};
use crate::fields::{Fields, Row, Span};
use crate::forwarded::{self, Client};
use crate::known::Known;
use crate::message::{Framing, Method};
use crate::request::RequestHead;
use crate::response::ResponseHead;
use crate::{authority, cookie, field, status};

/// What an [`Edit`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditAction {
    /// Replace every field of that name.
    Set,
    /// Write one more.
    Add,
    /// Take every field of that name away.
    Remove,
}

/// One edit of a message's fields, its value ready to be written.
///
/// Edits apply in order. Names compare in any case, and a field that came with underscores for an edit's hyphens counts
/// as that field. Edits of fields that frame the message or are about one connection have no effect; nor has taking the
/// `Host` away, adding a second one, or setting it to what is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edit<'a> {
    /// What is done.
    pub action: EditAction,
    /// The field's name, written as it stands here.
    pub name: &'a [u8],
    /// Its value; of no meaning for [`EditAction::Remove`].
    pub value: &'a [u8],
}

impl<'a> Edit<'a> {
    /// Replaces every field of that name by one.
    pub fn set(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { action: EditAction::Set, name, value }
    }

    /// Adds one more field of that name.
    pub fn add(name: &'a [u8], value: &'a [u8]) -> Self {
        Self { action: EditAction::Add, name, value }
    }

    /// Takes every field of that name away.
    pub fn remove(name: &'a [u8]) -> Self {
        Self { action: EditAction::Remove, name, value: b"" }
    }

    /// Whether fields of that name that came before this edit go.
    fn replaces(&self, name: &[u8]) -> bool {
        self.action != EditAction::Add && field::is_same_or_alias(name, self.name) && self.is_effective()
    }

    fn is_effective(&self) -> bool {
        let known = Known::of(self.name);
        let is_sound = self.action == EditAction::Remove || (field::is_token(self.name) && field::is_value(self.value));
        let host_stays =
            known != Known::Host || (self.action == EditAction::Set && authority::split(self.value).is_some());
        is_sound && host_stays && !known.is_framing()
    }
}

/// The `Connection` field of a message that we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionField {
    /// None: the version's own rule holds.
    #[default]
    Silent,
    /// `keep-alive`, for HTTP/1.0 clients.
    KeepAlive,
    /// `close`
    Close,
    /// `upgrade`, with `Upgrade: websocket`.
    Upgrade,
}

/// How a request is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestOut<'a> {
    /// A path in place of the request's own; the query stays.
    pub path: Option<&'a [u8]>,
    /// The `Host` of a request that came without one.
    pub fallback_host: &'a [u8],
    /// The framing of the body as it will be sent.
    pub framing: Framing,
    /// What is said about the connection.
    pub connection: ConnectionField,
    /// Whether the server is told that trailers are taken, since the client takes them (RFC 9110 section 10.1.4).
    pub takes_trailers: bool,
    /// Edits, in order. They win over what `client` writes.
    pub edits: &'a [Edit<'a>],
    /// Cookies that stay with us, or of which a part does.
    pub cookies: &'a [CookieRule<'a>],
    /// What the server is told of the client. With `None`, forwarding fields pass as they came.
    pub client: Option<Client<'a>>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseOut<'a> {
    /// The framing of the body as it will be sent. [`Framing::None`] for answers to HEAD and 304, whose length tells of
    /// a body that does not come, keeps that length.
    pub framing: Framing,
    /// What is said about the connection.
    pub connection: ConnectionField,
    /// Edits, in order.
    pub edits: &'a [Edit<'a>],
    /// Cookies of the server's that do not pass as they came.
    pub set_cookies: &'a [SetCookieRule<'a>],
}

/// An answer of our own.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnResponse<'a> {
    /// The status, 100 to 599.
    pub status: u16,
    /// The date as `format_http_date` writes it; none where empty.
    pub date: &'a [u8],
    /// Further fields, name and value. Those that frame are ours to write and left out.
    pub fields: &'a [(&'a [u8], &'a [u8])],
    /// Bytes of the body that follows, or would follow but for HEAD. Never written for 1xx, 204 and 304.
    pub length: Option<u64>,
    /// What is said about the connection.
    pub connection: ConnectionField,
}

/// Appends a request's head as a server gets it: origin-form, HTTP/1.1, without what was between us and the client.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], how: &RequestOut<'_>) {
    write_request_line(out, head, buf, how);
    if !head.fields().has(Known::Host) && !replaced(b"Host", how.edits) {
        let asked = head.authority(buf);
        write_field(out, b"Host", if asked.is_empty() { how.fallback_host } else { asked });
    }
    let mut length_written = false;
    let mut passing = Passing::default();
    for row in head.fields().rows() {
        match row.known() {
            // We answer the expectation ourselves.
            Known::Expect => {}
            Known::ContentLength if holds(head.framing(), how.framing) => {
                passing.add(out, row, buf);
                length_written = true;
            }
            Known::ContentLength => {}
            known if known.is_hop_by_hop() => {}
            known if known.is_forwarding() && drops_forwarding(known, how.client.as_ref()) => {}
            known if named_by_connection(row, buf, head.fields(), head.names_fields(), known) => {}
            _ if replaced(row.name(buf), how.edits) => {}
            Known::Cookie if !how.cookies.is_empty() => {
                passing.end(out, buf);
                write_or_drop(out, row, buf, |out, value| cookie::write_ruled(out, value, how.cookies));
            }
            Known::MaxForwards if head.method() == Method::Options => {
                passing.end(out, buf);
                write_hops(out, row, buf);
            }
            _ => passing.add(out, row, buf),
        }
    }
    passing.end(out, buf);
    write_framing(out, how.framing, length_written);
    match (how.takes_trailers, how.connection) {
        (true, ConnectionField::Silent) => out.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n"),
        (true, ConnectionField::Close) => out.extend_from_slice(b"Connection: close, TE\r\nTE: trailers\r\n"),
        (_, connection) => write_connection(out, connection),
    }
    if let Some(client) = &how.client {
        write_client(out, client, head.fields(), buf, how.edits);
    }
    write_edits(out, how.edits);
    out.extend_from_slice(CRLF);
}

/// Appends an answer's head as a client gets it, be it an interim, the final or the switching one.
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead, buf: &[u8], how: &ResponseOut<'_>) {
    write_status_line(out, head.status(), head.reason(buf));
    let mut length_written = false;
    let mut passing = Passing::default();
    for row in head.fields().rows() {
        match row.known() {
            Known::ContentLength if how.framing == Framing::None && head.describes_length() => {
                passing.add(out, row, buf);
            }
            Known::ContentLength if holds(head.framing(), how.framing) => {
                passing.add(out, row, buf);
                length_written = true;
            }
            Known::ContentLength => {}
            known if known.is_hop_by_hop() && known != Known::Alias => {}
            known if named_by_connection(row, buf, head.fields(), head.names_fields(), known) => {}
            _ if replaced(row.name(buf), how.edits) => {}
            Known::SetCookie | Known::SetCookie2 if !how.set_cookies.is_empty() => {
                passing.end(out, buf);
                write_or_drop(out, row, buf, |out, value| cookie::write_ruled_set(out, value, how.set_cookies));
            }
            _ => passing.add(out, row, buf),
        }
    }
    passing.end(out, buf);
    write_framing(out, how.framing, length_written);
    write_connection(out, how.connection);
    write_edits(out, how.edits);
    out.extend_from_slice(CRLF);
}

/// Appends the head of an answer of our own. The body, if one is due, is the caller's to append.
pub fn write_own_response(out: &mut Vec<u8>, how: &OwnResponse<'_>) {
    write_status_line(out, how.status, status::reason(how.status).as_bytes());
    if !how.date.is_empty() {
        write_field(out, b"Date", how.date);
    }
    for (name, value) in how.fields {
        if !Known::of(name).is_framing() && field::is_token(name) && field::is_value(value) {
            write_field(out, name, value);
        }
    }
    let bodiless = matches!(how.status, 100..=199 | 204 | 304);
    if let Some(length) = how.length.filter(|_| !bodiless) {
        write_framing(out, Framing::Length(length), false);
    }
    write_connection(out, how.connection);
    out.extend_from_slice(CRLF);
}

fn write_request_line(out: &mut Vec<u8>, head: &RequestHead, buf: &[u8], how: &RequestOut<'_>) {
    out.extend_from_slice(head.method_text(buf));
    out.push(b' ');
    out.extend_from_slice(how.path.unwrap_or_else(|| head.path(buf)));
    if let Some(query) = head.query(buf) {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(CRLF);
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(CRLF);
}

/// Fields that go out as they came. Those that lie behind one another are one piece, since to copy many small ones costs
/// more than their bytes.
#[derive(Default)]
struct Passing(Option<Span>);

impl Passing {
    /// Adds a field that follows those added before.
    fn add(&mut self, out: &mut Vec<u8>, row: &Row, buf: &[u8]) {
        // Two bytes between a value and the next name are the line's end: there are no blanks that would have to go.
        match self.0.and_then(|piece| piece.joined(row.line())) {
            Some(piece) => self.0 = Some(piece),
            None => {
                self.end(out, buf);
                self.0 = Some(row.line());
            }
        }
    }

    /// Writes what was added.
    fn end(&mut self, out: &mut Vec<u8>, buf: &[u8]) {
        if let Some(piece) = self.0.take() {
            out.extend_from_slice(piece.of(buf));
            out.extend_from_slice(CRLF);
        }
    }
}

/// Appends a field as it came.
fn write_row(out: &mut Vec<u8>, row: &Row, buf: &[u8]) {
    out.extend_from_slice(row.line().of(buf));
    out.extend_from_slice(CRLF);
}

/// Over how many servers an OPTIONS request may still go (RFC 9110 section 7.6.2); `None` where it does not say, or is another
/// request: `TRACE` is refused, and for all others the field means nothing.
pub fn hops_left(head: &RequestHead, buf: &[u8]) -> Option<u64> {
    let is_options = head.method() == Method::Options;
    is_options.then(|| head.fields().first(buf, Known::MaxForwards)).flatten().and_then(hops)
}

/// The value of `Max-Forwards`; what is more than a number holds is as good as endless.
fn hops(value: &[u8]) -> Option<u64> {
    let value = field::trim(value);
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_number
        .then(|| value.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// Appends `Max-Forwards` for the next server. One that cannot be read goes on as it came, as one of another method does.
fn write_hops(out: &mut Vec<u8>, row: &Row, buf: &[u8]) {
    let Some(left) = hops(row.value(buf)) else { return write_row(out, row, buf) };
    out.extend_from_slice(row.name(buf));
    out.extend_from_slice(b": ");
    write_number(out, left.saturating_sub(1));
    out.extend_from_slice(CRLF);
}

/// Whether a length that came is still true.
fn holds(came: Framing, goes: Framing) -> bool {
    came == goes && matches!(goes, Framing::Length(_))
}

fn write_framing(out: &mut Vec<u8>, framing: Framing, length_written: bool) {
    match framing {
        Framing::Length(length) if !length_written => {
            out.extend_from_slice(b"Content-Length: ");
            write_number(out, length);
            out.extend_from_slice(CRLF);
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::Length(_) | Framing::UntilClose => {}
    }
}

fn write_connection(out: &mut Vec<u8>, connection: ConnectionField) {
    out.extend_from_slice(match connection {
        ConnectionField::Silent => b"",
        ConnectionField::KeepAlive => b"Connection: keep-alive\r\n",
        ConnectionField::Close => b"Connection: close\r\n",
        ConnectionField::Upgrade => b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    });
}

/// Appends a field whose value `write` makes, or nothing where it says so.
fn write_or_drop(out: &mut Vec<u8>, row: &Row, buf: &[u8], write: impl FnOnce(&mut Vec<u8>, &[u8]) -> bool) {
    let begin = out.len();
    out.extend_from_slice(row.name(buf));
    out.extend_from_slice(b": ");
    if write(out, row.value(buf)) {
        out.extend_from_slice(CRLF);
    } else {
        out.truncate(begin);
    }
}

/// Whether a forwarding field that came is left out: all of an untrusted peer's, and those that we write anew.
fn drops_forwarding(known: Known, client: Option<&Client<'_>>) -> bool {
    client.is_some_and(|client| !client.trusted || client.fields.iter().any(|field| known_of(*field) == known))
}

fn known_of(field: ClientField) -> Known {
    match field {
        ClientField::XForwardedFor => Known::XForwardedFor,
        ClientField::XForwardedProto => Known::XForwardedProto,
        ClientField::XForwardedHost => Known::XForwardedHost,
        ClientField::XRealIp => Known::XRealIp,
        ClientField::Forwarded => Known::Forwarded,
    }
}

fn write_client(out: &mut Vec<u8>, client: &Client<'_>, fields: &Fields, buf: &[u8], edits: &[Edit<'_>]) {
    for field in client.fields {
        let name = field.name().as_bytes();
        if replaced(name, edits) {
            continue;
        }
        let begin = out.len();
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        let value = out.len();
        forwarded::write_value(out, *field, client, fields, buf);
        if out.len() > value {
            out.extend_from_slice(CRLF);
        } else {
            // An HTTP/1.0 client may have asked for no host.
            out.truncate(begin);
        }
    }
}

/// Whether the field goes because `Connection` names it (RFC 9110 section 7.6.1) and nothing relies on it.
fn named_by_connection(row: &Row, buf: &[u8], fields: &Fields, names_fields: bool, known: Known) -> bool {
    names_fields
        && known.is_removable()
        && fields
            .known(buf, Known::Connection)
            .flat_map(field::members)
            .any(|option| option.eq_ignore_ascii_case(row.name(buf)))
}

fn replaced(name: &[u8], edits: &[Edit<'_>]) -> bool {
    edits.iter().any(|edit| edit.replaces(name))
}

fn write_edits(out: &mut Vec<u8>, edits: &[Edit<'_>]) {
    let mut rest = edits;
    while let [edit, later @ ..] = rest {
        rest = later;
        if edit.action != EditAction::Remove && edit.is_effective() && !replaced(edit.name, later) {
            write_field(out, edit.name, edit.value);
        }
    }
}

#[cfg(test)]
mod tests;

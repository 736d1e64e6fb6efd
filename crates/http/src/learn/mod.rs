//! Learning which session an answer names: from its head's fields and, where asked for, from the links and forms of its
//! page as it passes.
//!
//! Not here: what is done with an id, and whether it is believed (`evenkeel_balance::sessions`). Nothing is changed or
//! held back. It is no parser of HTML: a find of a parameter's name is looked at where it stands, in attributes, scripts
//! and comments alike, since a wrong find costs an entry that nobody presents, and a missed one costs a session.
//! The invariants: every cut of the same body gives the same ids; no bytes make it panic, loop or hold more than a few
//! kilobytes.

mod brotli;
mod decode;
mod hit;
mod link;
mod names;
mod scan;
mod tag;

#[cfg(test)]
mod tests;

pub mod id;

pub use self::decode::{Coding, PageReader, write_readable};
pub use self::link::OwnHosts;
pub use self::names::IdNames;
pub use self::scan::{SEARCHED, Scanner, TOLD};

use crate::fields::Fields;
use crate::known::Known;
use crate::response::ResponseHead;

/// Tells the ids that the links of an answer's head carry: `Location`, `Content-Location`, `Refresh` and `Link`.
pub fn in_head_links(fields: &Fields, buf: &[u8], names: &IdNames, own: &OwnHosts, tell: &mut dyn FnMut(&[u8])) {
    for field in fields.iter(buf) {
        let is_link = field.known == Known::Location
            || [&b"content-location"[..], b"refresh", b"link"].iter().any(|name| field.name.eq_ignore_ascii_case(name));
        if is_link {
            // A field is as a page of one link: what ends there ends.
            let mut scanner = Scanner::new(own.clone());
            scanner.feed(names, field.value, tell);
            scanner.finish(names, tell);
        }
    }
}

/// Whether the body of an answer is a page that may be searched: whole, HTML, and a final answer that is no error.
pub fn is_page(head: &ResponseHead, buf: &[u8]) -> bool {
    let fields = head.fields();
    let kind = fields.first(buf, Known::ContentType).unwrap_or_default();
    let kind = crate::field::trim(kind.split(|&b| b == b';').next().unwrap_or_default());
    matches!(head.status(), 200..=205 | 207..=303 | 305..=399)
        && (kind.eq_ignore_ascii_case(b"text/html") || kind.eq_ignore_ascii_case(b"application/xhtml+xml"))
        && head.framing().has_body()
}

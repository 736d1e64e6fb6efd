//! A start tag's attributes, read as far as learning needs: first of a name wins, case of names does not count, values may be
//! quoted or not (HTML, section 13.2.5, the states of attributes).

/// What reading a tag came to.
pub(super) enum Tag<'t> {
    /// It is read to its end.
    Read(Attributes<'t>),
    /// It goes on behind the text.
    Cut,
}

/// The attributes that learning asks for, as written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attributes<'t> {
    pub(super) kind: Option<&'t [u8]>,
    pub(super) name: Option<&'t [u8]>,
    pub(super) value: Option<&'t [u8]>,
    pub(super) href: Option<&'t [u8]>,
}

/// Reads what follows a tag's name.
pub(super) fn read(text: &[u8]) -> Tag<'_> {
    let mut found = Attributes::default();
    let mut rest = text;
    loop {
        rest = skip(rest, |b| is_blank(b) || b == b'/');
        match rest.first() {
            None => return Tag::Cut,
            Some(b'>') => return Tag::Read(found),
            Some(_) => {}
        }
        let Some((name, value, after)) = attribute(rest) else { return Tag::Cut };
        for (known, slot) in [
            (&b"type"[..], &mut found.kind),
            (b"name", &mut found.name),
            (b"value", &mut found.value),
            (b"href", &mut found.href),
        ] {
            if name.eq_ignore_ascii_case(known) {
                slot.get_or_insert(value);
            }
        }
        rest = after;
    }
}

/// One attribute's name and value, and what follows; `None` where its end is not there.
fn attribute(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    // An `=` at the front belongs to the name.
    let begins = usize::from(text.first() == Some(&b'='));
    let is_end = |&b: &u8| is_blank(b) || matches!(b, b'/' | b'>' | b'=');
    let length = text.get(begins..)?.iter().position(is_end)?.saturating_add(begins);
    let (name, rest) = text.split_at_checked(length)?;
    let after_name = skip(rest, is_blank);
    let Some(rest) = after_name.strip_prefix(b"=") else {
        return (!after_name.is_empty()).then_some((name, &[][..], after_name));
    };
    let rest = skip(rest, is_blank);
    match rest.first()? {
        quote @ (b'"' | b'\'') => {
            let inner = rest.get(1..)?;
            let end = memchr::memchr(*quote, inner)?;
            Some((name, inner.get(..end)?, inner.get(end.saturating_add(1)..)?))
        }
        _ => {
            let end = rest.iter().position(|&b| is_blank(b) || b == b'>')?;
            let (value, rest) = rest.split_at_checked(end)?;
            Some((name, value, rest))
        }
    }
}

fn skip(text: &[u8], is_skipped: impl Fn(u8) -> bool) -> &[u8] {
    let from = text.iter().position(|&b| !is_skipped(b)).unwrap_or(text.len());
    text.get(from..).unwrap_or_default()
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

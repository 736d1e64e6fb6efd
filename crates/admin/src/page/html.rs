//! Text of HTML that grows, with everything from outside escaped.
//!
//! The invariant: only text that stands in our sources is written as it is; a name, an address or a line of a log goes
//! through [`Html::text`], which leaves nothing that ends a text, an attribute or a tag.

use std::fmt::{self, Display, Write};

/// A page or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html {
    out: String,
}

impl Html {
    /// Markup of our own.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    /// Something to read, in a text or within an attribute's quotes.
    pub(super) fn text(&mut self, value: impl Display) -> &mut Self {
        // Writing into a string cannot fail.
        let _ = write!(Escape(&mut self.out), "{value}");
        self
    }

    /// An attribute with a value, after a blank.
    pub(super) fn attribute(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.raw(" ").raw(name).raw("=\"").text(value).raw("\"")
    }

    /// An element around a text.
    pub(super) fn element(&mut self, open: &'static str, value: impl Display, close: &'static str) -> &mut Self {
        self.raw(open).text(value).raw(close)
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.out
    }
}

/// Escapes what is written into it.
struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                // Control characters, and the marks that turn the direction of writing around.
                c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                    self.0.push('\u{fffd}');
                }
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// A text as a part of a URL: everything but letters, digits and `-._~` as percent signs.
pub(super) struct Percent<'a>(pub(super) &'a str);

impl Display for Percent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    f.write_char(char::from(byte))?
                }
                byte => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

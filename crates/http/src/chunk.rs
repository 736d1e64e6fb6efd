//! Chunk extensions: checked byte by byte against their grammar, and thrown away (RFC 9112 section 7.1.1).
//!
//! Not here: sizes and data (`body`). Blanks, which the grammar allows around `;` and `=` for the sake of old senders,
//! are refused: smuggled requests have hidden behind them.

use crate::field;

/// Where in `;name=value;name="quoted"` the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// A name's first byte comes.
    Begin,
    /// In a name.
    Name,
    /// A value's first byte comes.
    Value,
    /// In a value that is a token.
    Token,
    /// In a quoted value.
    Quoted,
    /// After a backslash in a quoted value.
    Escaped,
    /// After a quoted value.
    Closed,
}

impl Extension {
    /// The state after a byte, `None` where the byte may not stand there.
    pub(crate) fn after(self, byte: u8) -> Option<Self> {
        let is_text = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
        match (self, byte) {
            (Self::Name | Self::Token | Self::Closed, b';') => Some(Self::Begin),
            (Self::Name, b'=') => Some(Self::Value),
            (Self::Begin | Self::Name, _) if field::is_token_byte(byte) => Some(Self::Name),
            (Self::Value, b'"') => Some(Self::Quoted),
            (Self::Value | Self::Token, _) if field::is_token_byte(byte) => Some(Self::Token),
            (Self::Quoted, b'"') => Some(Self::Closed),
            (Self::Quoted, b'\\') => Some(Self::Escaped),
            (Self::Quoted | Self::Escaped, _) if is_text => Some(Self::Quoted),
            _ => None,
        }
    }

    /// Whether the line may end here.
    pub(crate) fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::Token | Self::Closed)
    }
}

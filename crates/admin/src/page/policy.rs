//! What a browser lets the pages do (Content Security Policy, level 3).
//!
//! The script and the style stand in the page and are allowed by their digest, so that nothing that slips into a page runs.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use super::{SCRIPT, STYLE};

static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        digest(SCRIPT),
        digest(STYLE)
    )
});

/// The value of `Content-Security-Policy` for every page.
pub(crate) fn content_policy() -> &'static str {
    &POLICY
}

/// The SHA-256 digest in base64 (RFC 4648 section 4).
fn digest(text: &str) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in Sha256::digest(text.as_bytes()).chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let symbol = SYMBOLS.get((bits >> (18 - 6 * place) & 63) as usize);
            out.push(if place > three.len() { '=' } else { symbol.map_or('=', |symbol| char::from(*symbol)) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn digests_are_as_browsers_make_them() {
        // From `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`.
        assert_eq!(super::digest("alert(1)"), "bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=");
    }
}

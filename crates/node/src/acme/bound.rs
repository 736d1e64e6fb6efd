//! The key by which an account with an authority is bound to one that somebody has there already (external account binding,
//! RFC 8555 section 7.3.4).
//!
//! The invariant: its bytes are in no message, and a text that is no key makes none.

use base64ct::{Base64Url, Base64UrlUnpadded, Encoding};
use evenkeel_model::config::AccountBinding;
use instant_acme::ExternalAccountKey;

use crate::secrets;

/// The fewest bytes that are taken for a key: authorities give 32 or more.
const LEAST_BYTES: usize = 16;

/// Reads the key.
///
/// # Errors
/// In a sentence, where it cannot be read, or is none.
pub(crate) fn key(binding: &AccountBinding) -> Result<ExternalAccountKey, String> {
    let text = secrets::read_private(&binding.key)?;
    let wrong = |what: &str| format!("the key of `eab={}` {what}", binding.id);
    let bytes = decode(&String::from_utf8_lossy(text.trim_ascii())).ok_or_else(|| {
        wrong("is not base64url, the form in which authorities give it: letters, digits, `-` and `_` on one line")
    })?;
    if bytes.len() < LEAST_BYTES {
        return Err(wrong(&format!("has {} bytes, and authorities give {LEAST_BYTES} or more", bytes.len())));
    }
    Ok(ExternalAccountKey::new(binding.id.clone(), &bytes))
}

/// Base64 with either alphabet (RFC 4648 sections 4 and 5), padded or not: authorities' pages show both.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.replace('+', "-").replace('/', "_");
    if text.ends_with('=') { Base64Url::decode_vec(&text) } else { Base64UrlUnpadded::decode_vec(&text) }.ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use evenkeel_model::config::SecretRef;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn both_alphabets_are_read_padded_or_not_and_nothing_else() {
        // RFC 4648 section 10.
        for (text, bytes) in
            [("", ""), ("Zg", "f"), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode("-_-_"), decode("+/+/"));
        for text in ["Z", "Zg=", "Zg===", "Zh", "Zm9v=", "Zm 9v", "Zm9v\n", "=", "Zm=v", "Zm9\u{e9}", "."] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_without_its_text() {
        let dir = Scratch::new();
        let path = dir.path().join("eab");
        let binding = AccountBinding { id: "kid-1".to_owned(), key: SecretRef::File(path.clone()) };
        let read = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            key(&binding).map(|_| ())
        };
        assert_eq!(read("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG4\n", 0o600), Ok(()));
        for (text, mode, wanted) in [
            ("swordfish!", 0o600, "not base64url"),
            ("Zm9vYmFy", 0o600, "6 bytes"),
            ("zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG4", 0o644, "chmod 0600"),
        ] {
            let error = read(text, mode).unwrap_err();
            assert!(error.contains(wanted) && !error.contains(text), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(key(&binding).is_err());
    }
}

//! The page that a toy shows to a browser: whose it is can be seen across the room.

use super::Character;

/// The page, complete in itself.
pub(super) fn page(character: Character, number: u64, path: &str) -> String {
    let Character { name, colour, .. } = character;
    let path = escaped(path);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{margin:0;min-height:100vh;display:grid;place-content:center;text-align:center;\
         background:{colour};font:1.2rem system-ui,sans-serif}}h1{{font-size:5rem;margin:0}}</style>\
         <h1>{name}</h1><p>answered <code>{path}</code>, its request number {number}.\
         <p>Reload: the cookie brings you back to {name} for as long as it is well.</html>\n"
    )
}

/// Text that stays text within HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

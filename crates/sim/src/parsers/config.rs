//! The configuration.

use evenkeel_config::{Diagnostic, MemorySource, Options, Show, Style, load_text, render, show};

use super::shown;

/// A configuration: it is read without a panic, its formatted text is its own and means the same, and so does its twin.
pub fn config(bytes: &[u8]) {
    let load = |bytes: &[u8]| load_text("fuzz", bytes, &MemorySource::default(), &Options::default());
    let loaded = load(bytes);
    assert_eq!(loaded.config.is_none(), loaded.diagnostics.iter().any(Diagnostic::is_error));
    for style in [Style::Human { color: true }, Style::Short, Style::Json] {
        let rendered = render(&loaded.diagnostics, &loaded.sources, style);
        assert!(!rendered.is_empty() || loaded.diagnostics.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let once = evenkeel_config::format(text);
        assert_eq!(evenkeel_config::format(&once), once, "{} formats to another text", shown(bytes));
        assert_eq!(load(once.as_bytes()).config, loaded.config, "{} means something else when formatted", shown(bytes));
    }
    if loaded.config.is_some() {
        for (json, defaults) in [(false, false), (true, false), (false, true)] {
            let text = show(&loaded, Show { json, defaults });
            assert_eq!(load(text.as_bytes()).config, loaded.config, "{} is shown as something else", shown(bytes));
        }
    }
}

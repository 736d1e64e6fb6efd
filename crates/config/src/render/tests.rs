//! Renderings that golden files do not show.

use super::{Style, render, summary};
use crate::{Code, Diagnostic, MemorySource, Options, SourceMap, Span, load_text};

#[test]
fn a_long_file_is_shown_by_its_lines_alone() {
    let text = format!("{}user -x\n{}http :80 {{\n respond 204\n}}\n", "# a\n".repeat(5000), "# b\n".repeat(5000));
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    let shown = render(&loaded.diagnostics, &loaded.sources, Style::Human { color: false });
    assert!(shown.contains("t:5001:6") && shown.contains("5001 | user -x"), "{shown}");
    assert!(!shown.contains("# a") && !shown.contains("# b"), "{shown}");
}

#[test]
fn a_secret_is_shown_in_no_form() {
    let text = "http :80 {\n to 10.0.0.1\n sticky cookie a:b key=hunter2\n}\n";
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    assert!(loaded.diagnostics.len() > 1);
    for style in [Style::Human { color: false }, Style::Human { color: true }, Style::Short, Style::Json] {
        let shown = render(&loaded.diagnostics, &loaded.sources, style);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let loaded = load_text("t", b"x\n", &MemorySource::default(), &Options::default());
    let plain = render(&loaded.diagnostics, &loaded.sources, Style::Human { color: false });
    let coloured = render(&loaded.diagnostics, &loaded.sources, Style::Human { color: true });
    assert!(!plain.contains('\u{1b}') && coloured.contains('\u{1b}'));
}

#[test]
fn a_place_that_is_no_place_of_the_file_breaks_nothing() {
    let mut sources = SourceMap::default();
    let file = sources.add("t", "ä\n");
    let other = SourceMap::default().add("u", "");
    for (file, start, end) in [(file, 0, 2), (file, 3, 3), (file, 2, 1), (file, 50, 60), (other, 0, 0)] {
        let diagnostic = Diagnostic::new(Code::E201, Span { file, start, end }, "m");
        assert!(render(&[diagnostic], &sources, Style::Human { color: false }).contains("error[E201]: m"));
    }
}

#[test]
fn the_summary_counts_in_words() {
    let of = |text: &str| summary(&load_text("f", text.as_bytes(), &MemorySource::default(), &Options::default()));
    assert_eq!(of("http :80 {\n to 10.0.0.1:80 10.0.0.2:80\n}\n"), "f: ok: 1 listener, 1 pool, 2 servers");
    assert_eq!(of("x\ny\n"), "f: 2 errors");
    assert_eq!(of("http :80 {\n respond 204\n}\ninclude x*\n"), "f: ok (1 warning): 1 listener, 0 pools, 0 servers");
}

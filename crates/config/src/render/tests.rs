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
fn a_report_has_a_bound_and_says_how_much_it_leaves_out() {
    let line = "10.1.2.3 - - [22/Nov/2026:10:00:00 +0000] \"GET /x HTTP/1.1\" 200 5\n";
    let text = format!("http :80 {{\n{}respond 204\n}}\n", line.repeat(6_000));
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    assert_eq!(loaded.diagnostics.len(), 6_000);
    let shown = |style| render(&loaded.diagnostics, &loaded.sources, style);
    for style in [Style::Human { color: false }, Style::Short] {
        let shown = shown(style);
        assert!(shown.trim_end().ends_with("… and 5900 more"), "{}", &shown[shown.len() - 200..]);
        assert!(shown.contains("t:101:1") && !shown.contains("t:102:1"));
        assert_eq!(shown.matches("error[E201]").count(), 100);
    }
    let list: serde_json::Value = serde_json::from_str(&shown(Style::Json)).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(100));
    assert_eq!(list[99]["place"]["line"], 101);
    assert_eq!(summary(&loaded), "t: 6000 errors");
}

#[test]
fn a_word_as_long_as_its_file_is_shown_by_its_ends() {
    let text = format!("ä{}ö", "x".repeat(1_000_000));
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    for style in [Style::Human { color: false }, Style::Short, Style::Json] {
        let shown = render(&loaded.diagnostics, &loaded.sources, style);
        assert!(shown.contains("unknown word `äxxx") && shown.contains("xxx … xxx") && shown.contains("xxxö`"));
        assert!(shown.len() < 20_000, "{}", shown.len());
    }
}

#[test]
fn no_warning_takes_the_place_of_an_error() {
    let text = format!("{}user -x\nhttp :80 {{\n respond 204\n}}\n", "include none*\n".repeat(150));
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    let shown = render(&loaded.diagnostics, &loaded.sources, Style::Short);
    assert_eq!(shown.lines().count(), 101);
    assert!(shown.contains("t:151:6: error[") && shown.ends_with("… and 51 more\n"), "{shown}");
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

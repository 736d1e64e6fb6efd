//! What the scanner takes for code, and what not.

use super::{Source, blank};

#[test]
fn comments_and_literals_are_blanked_and_lines_stay() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("x(\"a\\\"b\") + y", "x(      ) + y"),
        ("x(r#\"a\"b\"#)", "x(        )"),
        ("let c = 'x'; let l: &'a str;", "let c =    ; let l: &'a str;"),
        ("b'\\n' b\"q\" br\"z\" '\\''", "                       "),
        ("for 'outer: loop {}", "for 'outer: loop {}"),
    ];
    for (text, wanted) in cases {
        let got = blank(text);
        assert_eq!(got.trim_end(), wanted.trim_end(), "{text}");
        assert_eq!(got.len(), text.len(), "{text}");
    }
}

#[test]
fn use_trees_are_written_out() {
    let source = Source::new("a.rs", "use std::{fs, io::{self, Read as R}};\nfn f() { tokio::spawn(x) }");
    let paths: Vec<_> = source.paths().into_iter().map(|(_, path)| path).collect();
    for wanted in ["std::fs", "std::io", "std::io::Read", "tokio::spawn"] {
        assert!(paths.iter().any(|path| path == wanted), "{wanted} in {paths:?}");
    }
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let source =
        Source::new("a.rs", "trait T { fn a(); }\nfn b(x: [u8; 2]) -> u8\nwhere\n{\n  \"}\"\n}\ntype F = fn(u8);\n");
    let found: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.line, f.length)).collect();
    assert_eq!(found, [("b".to_owned(), 2, 5)]);
}

#[test]
fn lines_of_tests_are_known() {
    let source = Source::new("crates/x/src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n");
    let marks: Vec<_> = (1..=6).map(|line| source.is_test(line)).collect();
    assert_eq!(marks, [false, true, true, true, true, false]);
    assert!(Source::new("crates/x/src/a/tests.rs", "fn a() {}\n").is_test(1));
}

#[test]
fn what_stands_above_a_line_is_found() {
    let source = Source::new("a.rs", "x;\n// long: because\n#[inline]\nfn a() {}\n");
    assert_eq!(source.above(4), ["#[inline]", "// long: because"]);
}

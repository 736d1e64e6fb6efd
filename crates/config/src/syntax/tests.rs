//! The five rules, shown.

use super::{Form, Tree};
use crate::{Code, Diagnostics, SourceMap};

/// The statements as nested text: `name/arg/arg{child child}`; and the codes reported.
fn read(text: &str) -> (String, Vec<Code>) {
    let mut map = SourceMap::default();
    let file = map.add("t", text);
    let mut diagnostics = Diagnostics::default();
    let tree = Tree::parse(file, text, &mut diagnostics);
    assert_eq!(tree.text(), text);
    let codes = diagnostics.into_sorted().iter().map(|diagnostic| diagnostic.code).collect();
    (outline(&tree.statements), codes)
}

fn outline(statements: &[super::Statement]) -> String {
    let one = |statement: &super::Statement| {
        let words = statement.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join("/");
        match &statement.block {
            Some(block) => format!("{words}{{{}}}", outline(&block.statements)),
            None => words,
        }
    };
    statements.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_five_rules_hold() {
    let cases = [
        ("a b c\nd", "a/b/c d"),
        ("a b \\\n  c\nd", "a/b/c d"),
        ("a \\ # why\n b", "a/b"),
        ("a {\n b\n}\nc", "a{b} c"),
        ("a {b} c{d}e f", "a/{b}/c{d}e/f"),
        ("a #b\nc#d http://h/#x", "a c#d/http://h/#x"),
        ("a \"b c\" \"d\\\"e\\\\\"", "a/b c/d\"e\\"),
        ("a k=\"b c\" \"\"", "a/k=b c/"),
        ("a \"{\" \"}\"\nb", "a/{/} b"),
        ("\u{feff}a\r\nb\r\n", "a b"),
        ("a {\n}", "a{}"),
        ("", ""),
    ];
    for (text, expected) in cases {
        let (outline, codes) = read(text);
        assert_eq!((outline.as_str(), codes.as_slice()), (expected, [].as_slice()), "{text:?}");
    }
}

#[test]
fn a_broken_line_gives_one_diagnostic_and_is_read_as_it_was_meant() {
    let cases = [
        ("a { b }\nc", Code::E108, "a{b} c"),
        ("a\n{\n b\n}\nc", Code::E110, "a{b} c"),
        ("a {\n b }\nc", Code::E109, "a{b} c"),
        ("a{\n b\n}\nc", Code::E108, "a{b} c"),
        ("a {\n b", Code::E106, "a{b}"),
        ("a\n}\nb", Code::E107, "a b"),
        ("a b;\nc", Code::E113, "a/b c"),
        ("a \"b c\nd", Code::E103, "a/b c d"),
        ("a \"b\"c\nd", Code::E104, "a/b d"),
        ("a \"b\rc\"", Code::E102, "a/bc"),
        ("a \"b\r\nc", Code::E103, "a/b c"),
        ("a \\ b", Code::E112, "a/b"),
        ("a b\\\nc", Code::E112, "a/b/c"),
        ("a b\"c d\" e", Code::E104, "a/bc d/e"),
        ("a \"\\q\"", Code::E105, "a/"),
        ("a b\u{a0}c", Code::E102, "a/b/c"),
    ];
    for (text, code, expected) in cases {
        assert_eq!(read(text), (expected.to_owned(), vec![code]), "{text:?}");
    }
}

#[test]
fn an_option_is_a_key_an_equals_sign_and_the_rest() {
    let cases = [
        ("x every=2s", Some(("every", "2s"))),
        ("x a=b=c", Some(("a", "b=c"))),
        ("x k=\"a b\"", Some(("k", "a b"))),
        ("x \"a=b\"", None),
        ("x http://h/?a=b", None),
        ("x A=b", None),
        ("x =b", None),
    ];
    for (text, expected) in cases {
        let mut map = SourceMap::default();
        let file = map.add("t", text);
        let tree = Tree::parse(file, text, &mut Diagnostics::default());
        let option = tree.statements[0].words[1].option();
        let got = option.as_ref().map(|(key, value)| (key.text.as_str(), value.text.as_str()));
        assert_eq!(got, expected, "{text}");
        if let Some((key, value)) = &option {
            assert_eq!(map.text(key.span), key.text);
            assert_eq!(value.form == Form::Quoted, text.contains('"'));
        }
    }
}

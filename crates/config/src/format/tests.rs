//! Formatting, shown on whole texts and on random ones.

use proptest::prelude::*;

use super::format;
use crate::syntax::{Statement, Tree};
use crate::{Diagnostics, SourceMap};

fn outline(text: &str) -> (String, usize) {
    fn walk(statements: &[Statement], out: &mut String) {
        for statement in statements {
            for word in &statement.words {
                out.push_str(&format!("{:?}/{:?} ", word.text, word.form));
            }
            if let Some(block) = &statement.block {
                out.push_str("{ ");
                walk(&block.statements, out);
                out.push_str("} ");
            }
        }
    }
    let mut diagnostics = Diagnostics::default();
    let file = SourceMap::default().add("t", text);
    let tree = Tree::parse(file, text, &mut diagnostics);
    let mut out = String::new();
    walk(&tree.statements, &mut out);
    (out, diagnostics.len())
}

#[test]
fn names_values_and_comments_are_aligned_by_paragraph() {
    let written = "\
state /var/lib/evenkeel # what outlives us
user    evenkeel # after binding


pool shop {

  balance least-conn
  sticky cookie SRV   key=cred:sticky # shared
  server a 10.0.0.11:8080 weight=3
  server long 10.0.0.12:8080 drain


  # the spare one
  server d \\
   10.0.0.99:8080 \\ # far away
  backup

}
http :80 {
to 10.0.0.11:8080
sticky
}
";
    let expected = "\
state   /var/lib/evenkeel  # what outlives us
user    evenkeel           # after binding

pool shop {
    balance least-conn
    sticky  cookie  SRV key=cred:sticky  # shared
    server  a     10.0.0.11:8080 weight=3
    server  long  10.0.0.12:8080 drain

    # the spare one
    server d \\
        10.0.0.99:8080 \\  # far away
        backup
}
http :80 {
    to 10.0.0.11:8080
    sticky
}
";
    let expected = expected.replace("cookie  SRV", "cookie SRV");
    assert_eq!(format(written), expected);
    assert_eq!(format(&expected), expected);
}

#[test]
fn a_text_that_breaks_the_rules_stays_as_it_is() {
    for text in ["a {\n  b", "a { b }", "}\n", "{\n \"http\": []\n}"] {
        assert_eq!(format(text), text);
    }
}

/// Texts of the pieces that matter to the rules of writing.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "server",
        "k=v",
        "k=\"v w\"",
        "\"x y\"",
        "\"\"",
        " ",
        "  ",
        "\t",
        "\n",
        "\n\n",
        " {\n",
        "\n}\n",
        " \\\n",
        " # c\n",
        "#",
        "\\",
        "\"",
        "{",
        "}",
        "\r\n",
        ";",
        "\u{a0}",
        "é",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn formatting_is_idempotent_and_changes_no_meaning(text in texts()) {
        let once = format(&text);
        prop_assert_eq!(&format(&once), &once);
        prop_assert_eq!(outline(&once), outline(&text));
        let comments = |text: &str| text.matches('#').count();
        prop_assert_eq!(comments(&once), comments(&text));
    }

    #[test]
    fn every_text_is_read_without_loss(text in texts()) {
        let file = SourceMap::default().add("t", text.as_str());
        let tree = Tree::parse(file, &text, &mut Diagnostics::default());
        prop_assert_eq!(tree.text(), text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(text in "\\PC*") {
        let file = SourceMap::default().add("t", text.as_str());
        let tree = Tree::parse(file, &text, &mut Diagnostics::default());
        prop_assert_eq!(tree.text(), text);
    }
}

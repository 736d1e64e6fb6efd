//! The reference of the language, made from the directive table: a chapter of the manual, and the man page of the file.

use crate::Code;
use crate::explain::default_text;
use crate::table::{self, Context, Directive};

/// The reference as Markdown.
pub fn markdown() -> String {
    let mut out = String::from("# The words of the configuration\n\n");
    for context in Context::ALL {
        let title = match context {
            Context::Top => "At the top of the file".to_owned(),
            other => format!("In {other}"),
        };
        out.push_str(&format!("## {title}\n\n"));
        for directive in table::words_in(context) {
            out.push_str(&entry(directive));
        }
    }
    out.push_str("# Codes of diagnostics\n\n| code | what |\n|---|---|\n");
    for code in Code::ALL {
        out.push_str(&format!("| {code} | {} |\n", code.title()));
    }
    out
}

fn entry(directive: &Directive) -> String {
    let mut out = format!(
        "### `{}`\n\n```text\n{}\n```\n\n{} {}\n\n",
        directive.name,
        directive.usage(),
        directive.doc,
        directive.more
    );
    for arg in directive.args {
        out.push_str(&format!("- {}: {}\n", arg.name, arg.kind.describe()));
    }
    if let Some(default) = default_text(directive) {
        let default = if directive.default.is_some() { format!("`{default}`") } else { default };
        out.push_str(&format!("- default: {default}\n"));
    }
    out.push_str(&format!("- since {}\n\n```text\n{}\n```\n\n", directive.since, directive.example));
    out
}

/// The man page `evenkeel.conf(5)` as roff source.
pub fn man() -> String {
    let mut out =
        String::from(".TH EVENKEEL.CONF 5\n.SH NAME\nevenkeel.conf \\- configuration of evenkeel\n.SH DESCRIPTION\n");
    out.push_str(
        "A statement is words to the end of the line; a \\\\ as last word joins the next one. A { as last word opens a block, a } alone closes it. A # at the \
         start of a word begins a comment. Quotes are needed for blanks only. key=value on a line means key value inside its block.\n",
    );
    for context in Context::ALL {
        let title = if context == Context::Top { "TOP".to_owned() } else { context.to_string().to_uppercase() };
        out.push_str(&format!(".SH {}\n", roff(&title)));
        for directive in table::words_in(context) {
            let default = default_text(directive).map(|default| format!(" Default: {default}.")).unwrap_or_default();
            let text = format!("{} {}{default}", directive.doc, directive.more);
            out.push_str(&format!(".TP\n.B {}\n{}\n", roff(&directive.usage()), roff(&text)));
        }
    }
    out
}

/// A text with what roff would take for its own made literal.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('`', "").replace('\n', " ");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use crate::table;

    #[test]
    fn every_word_is_in_the_manual_and_the_man_page() {
        let (markdown, man) = (super::markdown(), super::man());
        for directive in table::directives() {
            assert!(markdown.contains(&format!("### `{}`", directive.name)));
            assert!(man.contains(&super::roff(directive.doc)), "{}", directive.name);
        }
    }
}

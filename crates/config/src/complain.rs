//! What to say of words that are not known, and of lines with too much or too little on them.
//!
//! The invariant: whoever wrote the line learns from the message alone what to write instead.

use evenkeel_model::caps;

use crate::entry::Entry;
use crate::syntax::{Form, Statement, Word};
use crate::table::{self, Context, Count, Directive, FOREIGN, LATER};
use crate::value::{allowed, nearest};
use crate::{Code, Diagnostic, Diagnostics};

/// A word that may not stand here.
pub(crate) fn of_unknown(statement: &Statement, context: Context, out: &mut Diagnostics) {
    let Some(name) = statement.words.first() else { return };
    if is_option_line(name, context, out) {
        return;
    }
    let text = name.text.as_str();
    if let Some((_, what)) = LATER.iter().find(|(word, _)| *word == text) {
        out.report(Code::E203, name.span, format!("`{text}` is not in this version yet"))
            .label(what.to_string())
            .help("take it out; `evenkeel version` tells which version this is");
        return;
    }
    if out.len() > caps::DIAGNOSTICS_HELPED {
        out.report(Code::E201, name.span, format!("unknown word `{text}`{}", place(context)));
        return;
    }
    let near = nearest(text, table::words_in(context).map(|directive| directive.name));
    let elsewhere: Vec<&Directive> = table::directives().filter(|directive| directive.name == text).collect();
    if !elsewhere.is_empty() {
        return in_the_wrong_place(name, context, &elsewhere, out);
    }
    if let Some(foreign) = FOREIGN.iter().find(|foreign| foreign.word == text) {
        out.report(Code::E204, name.span, format!("`{text}` is a word of {}", foreign.of))
            .help(format!("here it is {}", foreign.ours));
        return;
    }
    let report = out.report(Code::E201, name.span, format!("unknown word `{text}`{}", place(context)));
    match near {
        Some(near) => report.help(format!("did you mean `{near}`?")),
        None => report,
    };
    note_allowed(report, context);
}

/// `every=2s` as a line of its own: an option needs a line to stand on.
fn is_option_line(name: &Word, context: Context, out: &mut Diagnostics) -> bool {
    let Some((key, value)) = name.option().filter(|(key, _)| table::find(&key.text, context).is_some()) else {
        return false;
    };
    out.report(Code::E201, name.span, format!("`{}` begins a line", name.text)).help(format!(
        "within a block write `{} {}`",
        key.text,
        value.written()
    ));
    true
}

fn in_the_wrong_place(name: &Word, context: Context, elsewhere: &[&Directive], out: &mut Diagnostics) {
    let places: Vec<String> =
        elsewhere.iter().flat_map(|directive| directive.within.iter()).map(ToString::to_string).collect();
    let here = if context == Context::Top { "at" } else { "in" };
    let report = out.report(Code::E202, name.span, format!("`{}` does not belong {here} {context}", name.text));
    if places.iter().all(|place| *place == Context::Top.to_string()) {
        report.help("it belongs at the top of the file: is a `}` missing above?");
    } else {
        report.help(format!("it belongs in {}", places.join(" or ")));
    }
    note_allowed(report, context);
}

fn place(context: Context) -> String {
    if context == Context::Top { String::new() } else { format!(" in {context}") }
}

fn note_allowed(report: &mut Diagnostic, context: Context) {
    report.note(allowed(table::words_in(context).map(|directive| directive.name)));
}

/// Options or a block where none may be.
pub(crate) fn of_options(statement: &Statement, directive: &Directive, inner: &[Statement], out: &mut Diagnostics) {
    let name = directive.name;
    let option = statement.words.iter().find(|word| word.option().is_some());
    match (option, &statement.block) {
        (Some(option), _) => {
            let report = out.report(Code::E207, option.span, format!("`{name}` takes no options"));
            report.help(format!(
                "if it is part of the value, put it in quotes: `{}`",
                crate::syntax::write_word(&option.text, true)
            ));
            report.note(format!("usage: {}", directive.usage()));
        }
        (None, Some(block)) => {
            let span = inner.first().map_or(block.open, Statement::head);
            out.report(Code::E207, span, format!("`{name}` has no block"))
                .note(format!("usage: {}", directive.usage()));
        }
        (None, None) => {}
    }
}

/// Values past the last.
pub(crate) fn of_extra(entry: &Entry, extra: &[Word], out: &mut Diagnostics) {
    let Some((first, last)) = extra.first().zip(extra.last()) else { return };
    let directive = entry.directive;
    let message = if directive.is_flag() {
        format!("`{}` takes no value", directive.name)
    } else {
        format!("`{}` is one word too many for `{}`", first.text, directive.name)
    };
    let options: Vec<&str> = directive.opens.into_iter().flat_map(table::words_in).map(|word| word.name).collect();
    let near = nearest(&first.text, options.iter().copied());
    let option = options.into_iter().find(|name| *name == first.text);
    let text_last =
        directive.args.last().is_some_and(|arg| matches!(arg.kind, table::Kind::Template(_) | table::Kind::LogFormat));
    let report = out.report(Code::E206, first.span.to(last.span), message);
    let value = extra.get(1).map_or("VALUE", |word| word.text.as_str());
    match (option, near) {
        _ if directive.is_flag() => report.help(format!("write `{}` alone, or leave it out", directive.name)),
        (Some(option), _) => report.help(format!("an option is one word: `{option}={value}`")),
        (None, Some(near)) => report.help(format!("did you mean `{near}`?")),
        (None, None) if text_last && first.form == Form::Bare => report.help("put a text with blanks in quotes"),
        _ => report,
    };
    report.note(format!("usage: {}", directive.usage()));
}

/// Fewer values than needed.
pub(crate) fn of_missing(entry: &Entry, given: usize, out: &mut Diagnostics) {
    let directive = entry.directive;
    let missing = directive.args.iter().filter(|arg| matches!(arg.count, Count::One | Count::Many)).nth(given);
    let Some(arg) = missing else { return };
    out.report(Code::E205, entry.span, format!("`{}` needs {}", directive.name, with_article(arg.name)))
        .note(format!("{}: {}", arg.name, arg.kind.describe()))
        .note(format!("usage: {}", directive.usage()));
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!("{article} {name}")
}

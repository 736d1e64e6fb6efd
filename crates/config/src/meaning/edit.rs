//! Edits of header fields.

use evenkeel_model::config::FieldEdit;
use evenkeel_model::{Template, TemplatePart};

use crate::entry::Entry;
use crate::value::Value;
use crate::{Code, Diagnostics, Span};

/// Fields that say where a message ends or belong to one connection (RFC 9110 section 7.6.1): they are ours alone.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The edits of a block, in written order.
pub(super) fn all(block: &Entry, word: &str, out: &mut Diagnostics) -> Vec<FieldEdit> {
    block.all(word).filter_map(|entry| one(entry, out)).collect()
}

fn one(entry: &Entry, out: &mut Diagnostics) -> Option<FieldEdit> {
    let (Some(Value::Choice(edit)), Some(Value::Text(name))) = (entry.value(0), entry.value(1)) else { return None };
    let word = entry.directive.name;
    let argument = entry.values.get(2);
    if OURS.contains(&name.to_ascii_lowercase().as_str()) {
        let span = entry.values.get(1).map_or(entry.span, |argument| argument.word.span);
        out.report(Code::E412, span, format!("`{name}` is not yours to edit"))
            .help("take the line out: the field is set anew for each connection")
            .note(format!("the same holds for {}", OURS.map(|field| format!("`{field}`")).join(", ")));
        return None;
    }
    match (*edit, argument) {
        ("remove", None) => Some(FieldEdit::Remove(name.clone())),
        ("remove", Some(argument)) => {
            out.report(Code::E206, argument.word.span, format!("`{word} remove` takes no value"))
                .help("every field of that name is removed");
            None
        }
        (edit, None) => {
            out.report(Code::E205, entry.span, format!("`{word} {edit}` needs a VALUE"))
                .help(format!("write `{word} {edit} {name} VALUE`, or `{word} remove {name}`"));
            None
        }
        (edit, Some(argument)) => {
            let Some(Value::Template(value)) = &argument.value else { return None };
            is_one_line(value, argument.word.span, out).then(|| match edit {
                "set" => FieldEdit::Set(name.clone(), value.clone()),
                _ => FieldEdit::Add(name.clone(), value.clone()),
            })
        }
    }
}

/// Whether a text may stand in a header field; reported where not.
pub(super) fn is_one_line(template: &Template, span: Span, out: &mut Diagnostics) -> bool {
    let odd = |part: &TemplatePart| match part {
        TemplatePart::Text(text) => text.chars().any(|c| c.is_control() && c != '\t'),
        TemplatePart::Variable(_) => false,
    };
    let clean = !template.parts.iter().any(odd);
    if !clean {
        out.report(Code::E324, span, "a line break or control character in a header field")
            .help("take it out: it would end the field and begin another");
    }
    clean
}

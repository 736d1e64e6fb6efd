//! `explain WORD|CODE`: what a word does, what a code means.

use evenkeel_model::Variable;

use crate::Code;
use crate::table::{self, Context, Directive, FOREIGN, LATER, Phase};
use crate::value::nearest;
use crate::value::template::{NAMED, known};

/// The text for a word of the language, a path of words (`pool.check.every`), a code, or `variables`. `None` for what is none of them.
pub fn explain(topic: &str) -> Option<String> {
    if let Some(code) = Code::find(topic) {
        return Some(format!("{code}: {}\n\n{}\n", code.title(), code.text()));
    }
    if topic == "variables" {
        return Some(variables());
    }
    if let Some(name) = topic.strip_prefix('$') {
        return Variable::PLAIN.iter().any(|(word, _, _)| *word == name).then(variables);
    }
    let found = find(topic);
    if !found.is_empty() {
        let texts: Vec<String> = found.into_iter().map(|(directive, within)| word(directive, &within)).collect();
        return Some(texts.join("\n"));
    }
    if let Some((later, what)) = LATER.iter().find(|(later, _)| *later == topic) {
        return Some(format!("{later}: {what}. Part of the language, and not in this version yet.\n"));
    }
    let foreign = FOREIGN.iter().find(|foreign| foreign.word == topic)?;
    Some(format!("{}: a word of {}. Here it is {}.\n", foreign.word, foreign.of, foreign.ours))
}

/// The word of the language or of another program that was probably meant, if one is near enough.
pub fn meant(topic: &str) -> Option<&'static str> {
    let name = topic.rsplit('.').next().unwrap_or_default();
    let words = table::directives().map(|directive| directive.name);
    nearest(name, words.chain(FOREIGN.iter().map(|foreign| foreign.word)))
}

/// Every meaning of a word, or the one at the end of a path.
fn find(topic: &str) -> Vec<(&'static Directive, Vec<Context>)> {
    let mut path = topic.rsplit('.');
    let name = path.next().unwrap_or_default();
    let around: Vec<&str> = path.collect();
    let fits = |context: &Context| around.first().is_none_or(|word| context.word() == *word);
    table::directives()
        .filter(|directive| directive.name == name)
        .map(|directive| (directive, directive.within.iter().copied().filter(fits).collect::<Vec<_>>()))
        .filter(|(_, within)| !within.is_empty())
        .collect()
}

fn word(directive: &Directive, within: &[Context]) -> String {
    let places: Vec<String> = within.iter().map(ToString::to_string).collect();
    let mut out = format!(
        "{} (in {})\n\n    {}\n\n{}\n{}\n",
        directive.name,
        places.join(" and "),
        directive.usage(),
        directive.doc,
        directive.more
    );
    out.push('\n');
    for arg in directive.args {
        out.push_str(&format!("{:<10} {}\n", arg.name, arg.kind.describe()));
    }
    match default_text(directive) {
        Some(default) => out.push_str(&format!("default    {default}\n")),
        None => out.push_str("default    see its options\n"),
    }
    for option in directive.opens.into_iter().flat_map(table::words_in) {
        out.push_str(&format!("{:<16} {}\n", option.name, option.doc));
    }
    out.push_str("\nexample\n");
    for line in directive.example.lines() {
        out.push_str(&format!("    {line}\n"));
    }
    out
}

/// What holds where a word is not given.
pub(crate) fn default_text(directive: &Directive) -> Option<String> {
    match directive.default {
        Some(default) => Some(default()),
        None => Some(directive.otherwise.to_owned()).filter(|text| !text.is_empty()),
    }
}

fn variables() -> String {
    let mut out = String::from(
        "Variables of texts: `$name` or `${name}`; a dollar sign is `$$`. R: may stand in requests, redirects and answers of our own; \
         A: in answers' fields, too; L: in logs.\n\n",
    );
    let phases = |variable: &Variable| {
        let mark = |phase: Phase, mark: &'static str| if known(variable, phase) { mark } else { "-" };
        format!("{}{}{}", mark(Phase::Request, "R"), mark(Phase::Answer, "A"), mark(Phase::Log, "L"))
    };
    for (word, variable, _) in Variable::PLAIN {
        out.push_str(&format!("{}  ${word}\n", phases(variable)));
    }
    for group in NAMED {
        let marks = if group == "response" { "--L" } else { "RAL" };
        out.push_str(&format!("{marks}  ${group}.NAME\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_every_code_is_explained() {
        for directive in table::directives() {
            let text = explain(directive.name).unwrap();
            assert!(text.contains(directive.doc), "{}", directive.name);
            assert!(
                !directive.doc.is_empty() && !directive.more.is_empty() && !directive.example.is_empty(),
                "{}",
                directive.name
            );
        }
        for code in Code::ALL {
            assert!(explain(code.as_str()).unwrap().contains(code.text()));
            assert!(explain(&code.as_str().to_lowercase()).is_some());
        }
    }

    #[test]
    fn a_path_of_words_tells_meanings_apart() {
        assert!(explain("check.timeout").unwrap().contains("whole probe"));
        assert!(!explain("check.timeout").unwrap().contains("How long clients may take"));
        assert!(explain("upstream").unwrap().contains("pool NAME"));
        assert!(explain("cache").unwrap().contains("not in this version"));
        assert!(explain("variables").unwrap().contains("$t_total"));
        assert_eq!(explain("nonsense"), None);
    }
}

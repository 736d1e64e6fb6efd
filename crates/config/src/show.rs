//! `config show`: a configuration as it is obeyed, included files in their places, as text or JSON, with or without what holds by default.
//!
//! The invariant: what is shown, read again, is the same configuration.

use crate::syntax::{Block, Form, Statement, Word};
use crate::table::{self, Context, Directive, Repeat};
use crate::{Loaded, json};

/// What to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Show {
    /// As the JSON twin.
    pub json: bool,
    /// With every default, marked `# default` in the text form.
    pub defaults: bool,
}

/// Shows a configuration.
pub fn show(loaded: &Loaded, what: Show) -> String {
    let mut lines = shown(&loaded.statements, Context::Top);
    if what.defaults {
        add_defaults(&mut lines, Context::Top);
    }
    if what.json {
        return json::to_json(&lines.iter().map(Line::statement).collect::<Vec<_>>());
    }
    let mut out = String::new();
    for line in &lines {
        line.write(0, &mut out);
    }
    crate::format(&out)
}

/// A statement with its options in its block, and the mark of a default.
struct Line {
    words: Vec<Word>,
    inner: Vec<Line>,
    is_default: bool,
}

fn shown(statements: &[Statement], context: Context) -> Vec<Line> {
    let line = |statement: &Statement| {
        let opens =
            statement.words.first().and_then(|name| table::find(&name.text, context)).and_then(|found| found.opens);
        let mut words = Vec::new();
        let mut options = Vec::new();
        for word in &statement.words {
            match word.option().filter(|_| opens.is_some()) {
                Some((key, value)) => options.push(Statement { words: vec![key, value], block: None }),
                None => words.push(word.clone()),
            }
        }
        options.extend(statement.block.iter().flat_map(|block| block.statements.iter().cloned()));
        let inner = opens.map(|opens| shown(&options, opens)).unwrap_or_default();
        Line { words, inner, is_default: false }
    };
    statements.iter().map(line).collect()
}

/// Adds what holds by default to the lines of a place, and to those within.
fn add_defaults(lines: &mut Vec<Line>, context: Context) {
    for line in lines.iter_mut() {
        let Some(directive) = line.name().and_then(|name| table::find(name, context)) else { continue };
        if let Some(opens) = directive.opens.filter(|_| !line.is_off()) {
            let inherits = context != Context::Top && directive.within.contains(&Context::Top);
            // What a block does not say of such a word, the top says, or its default, which is shown there.
            if !inherits {
                add_defaults(&mut line.inner, opens);
                let irrelevant = line.irrelevant();
                line.inner
                    .retain(|inner| !inner.is_default || !inner.name().is_some_and(|name| irrelevant.contains(&name)));
            }
        }
    }
    let has_servers = lines.iter().any(|line| line.name() == Some("to"));
    for directive in table::words_in(context) {
        let given = lines.iter().any(|line| line.name() == Some(directive.name));
        let is_block = matches!(context, Context::Http | Context::Tcp);
        let inherited = is_block && directive.within.contains(&Context::Top);
        let idle = is_block && directive.within.contains(&Context::Pool) && !has_servers;
        if given || inherited || idle || directive.repeat != Repeat::Once {
            continue;
        }
        if let Some(line) = default_line(directive) {
            lines.push(line);
        }
    }
}

fn default_line(directive: &Directive) -> Option<Line> {
    let values = directive.default.map(|default| default());
    let mut inner = Vec::new();
    if let Some(opens) = directive.opens.filter(|opens| opens.has_options()) {
        inner.extend(table::words_in(opens).filter(|option| option.repeat == Repeat::Once).filter_map(default_line));
    }
    let said = values.is_some() || (directive.args.is_empty() && !inner.is_empty()) || directive.name == "eject";
    if !said {
        return None;
    }
    let mut words = vec![word(directive.name)];
    match directive.args {
        // A text with blanks is one value; several values are parted by them.
        [only] if matches!(only.kind, table::Kind::MediaType) => words.extend(values.map(|text| word(&text))),
        _ => words.extend(values.iter().flat_map(|text| text.split(' ')).map(word)),
    }
    let mut line = Line { words, inner, is_default: true };
    let irrelevant = line.irrelevant();
    line.inner.retain(|inner| !inner.name().is_some_and(|name| irrelevant.contains(&name)));
    Some(line)
}

fn word(text: &str) -> Word {
    // The places of words that nobody wrote are never shown.
    let span = crate::SourceMap::default().add("", "");
    Word { text: text.to_owned(), span: crate::Span { file: span, start: 0, end: 0 }, form: Form::Bare }
}

impl Line {
    fn name(&self) -> Option<&str> {
        self.words.first().map(|word| word.text.as_str())
    }

    fn is_off(&self) -> bool {
        self.words.get(1).is_some_and(|word| word.text == "off")
    }

    /// Options whose default says nothing beside these values.
    fn irrelevant(&self) -> &'static [&'static str] {
        let value = self.words.get(1).map(|word| word.text.as_str());
        if self.name() == Some("zone") && self.inner.iter().any(|inner| inner.name() == Some("file")) {
            return &["answer", "ttl", "ttl-min", "most", "min", "min-percent", "fallback", "spread", "ns-ttl"];
        }
        match (self.name(), value) {
            (Some("balance"), Some("hash")) => &[],
            (Some("balance"), _) => &["bound"],
            (Some("check"), Some("postgres" | "mysql")) => &["expect"],
            (Some("check"), None | Some("tcp" | "redis")) => &["expect", "user"],
            (Some("check"), _) => &["user"],
            _ => &[],
        }
    }

    fn statement(&self) -> Statement {
        let span = self.words.first().map_or_else(|| word("").span, |word| word.span);
        let statements: Vec<Statement> = self.inner.iter().map(Self::statement).collect();
        let block = (!statements.is_empty()).then_some(Block { open: span, statements });
        Statement { words: self.words.clone(), block }
    }

    /// The line as text. Options that are short stand on the line, with the names of those that hold by default behind it.
    fn write(&self, depth: usize, out: &mut String) {
        let indent = "    ".repeat(depth);
        let mut words: Vec<String> = self.words.iter().map(Word::written).collect();
        let small = self.inner.iter().all(|inner| inner.inner.is_empty() && inner.words.len() <= 2);
        let name = self.name().unwrap_or_default();
        if self.inner.is_empty() || (small && !matches!(name, "http" | "https" | "tcp" | "pool" | "log")) {
            words.extend(self.inner.iter().map(Self::as_option));
            out.push_str(&format!("{indent}{}{}\n", words.join(" "), self.mark()));
            return;
        }
        out.push_str(&format!("{indent}{} {{\n", words.join(" ")));
        for inner in &self.inner {
            inner.write(depth.saturating_add(1), out);
        }
        out.push_str(&format!("{indent}}}\n"));
    }

    fn mark(&self) -> String {
        let defaults: Vec<&str> = self.inner.iter().filter(|inner| inner.is_default).filter_map(Self::name).collect();
        match (self.is_default, defaults.as_slice()) {
            (true, _) => "  # default".to_owned(),
            (false, []) => String::new(),
            (false, names) => format!("  # default: {}", names.join(" ")),
        }
    }

    fn as_option(&self) -> String {
        match self.words.as_slice() {
            [name, value] => format!("{}={}", name.text, value.written()),
            words => words.iter().map(Word::written).collect::<Vec<_>>().join(" "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Show, show};
    use crate::{MemorySource, Options, load, load_text};

    fn load_of(text: &str) -> crate::Loaded {
        load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default())
    }

    #[test]
    fn what_is_shown_is_the_same_configuration() {
        let texts = [
            "http :80 {\n to 10.0.0.1:80\n sticky\n}\n",
            "timeout head=5s\nlog stdout {\n skip path=/x status=200..399 keep=10%\n}\nhttp :80 {\n timeout body=3s\n log off\n route /a/* to=p header=x:y\n redirect https code=301\n}\npool p {\n balance hash client\n check GET /x every=5s\n eject off\n retry 0\n server a 10.0.0.1:80 backup weight=2\n server b [::1]:80\n}\n",
        ];
        for text in texts {
            let loaded = load_of(text);
            let config = loaded.config.clone();
            assert!(config.is_some(), "{:?}", loaded.diagnostics);
            for json in [false, true] {
                for defaults in [false, true] {
                    let shown = show(&loaded, Show { json, defaults });
                    let again = load_of(&shown);
                    assert_eq!(
                        again.config,
                        config,
                        "{shown}\n{}",
                        crate::render(&again.diagnostics, &again.sources, crate::Style::Short)
                    );
                }
            }
        }
    }

    #[test]
    fn defaults_are_marked_and_given_values_are_not() {
        let shown = show(
            &load_of("http :80 {\n to 10.0.0.1:80\n check tcp every=5s\n}\n"),
            Show { json: false, defaults: true },
        );
        assert!(shown.contains("every=5s") && shown.contains("# default: timeout rise fall"), "{shown}");
        assert!(shown.contains("# default"), "{shown}");
        let line = shown.lines().find(|line| line.trim_start().starts_with("balance")).unwrap();
        assert!(line.contains("round-robin") && line.ends_with("# default"), "{line}");
        assert!(
            shown.lines().any(|line| line.starts_with("timeout head=10s") && line.ends_with("# default")),
            "{shown}"
        );
    }

    #[test]
    fn included_files_are_shown_in_their_places() {
        let source = MemorySource::default()
            .with("/etc/e.conf", "include d/*.conf\nhttp :80 {\n route * to=b\n}\n")
            .with("/etc/d/a.conf", "pool b {\n server a 10.0.0.1:80\n}\n");
        let loaded = load("/etc/e.conf".as_ref(), &source, &Options::default());
        assert!(show(&loaded, Show::default()).starts_with("pool b {\n    server a 10.0.0.1:80\n}\nhttp :80 {"));
    }
}

//! Statements with their meaning looked up: known words in known places, with as many values as they take, each value read. What
//! they mean together is not looked at here.
//!
//! The invariant: what is not an [`Entry`] was reported, and an entry around something that was reported is `flawed`, so that nobody
//! complains of what is only missing because it was misspelt.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};

use crate::complain;
use crate::syntax::{Form, Statement, Word};
use crate::table::{self, Arg, Context, Directive, Repeat};
use crate::value::{self, Value};
use crate::{Code, Diagnostics, Span};

/// A statement that is known.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What it is.
    pub directive: &'static Directive,
    /// Its values.
    pub values: Vec<Argument>,
    /// Its options and the statements of its block, in written order.
    pub entries: Vec<Entry>,
    /// Whether something in it was dropped.
    pub flawed: bool,
    /// Its place, without the block.
    pub span: Span,
}

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Argument {
    /// The word that it was read from.
    pub word: Word,
    /// What it is; `None` if it cannot be read, which was reported.
    pub value: Option<Value>,
}

/// What a list of statements became.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries {
    /// Those that are known.
    pub list: Vec<Entry>,
    /// Whether some were dropped.
    pub flawed: bool,
}

/// Looks up the statements of a place.
pub(crate) fn resolve(statements: &[Statement], context: Context, out: &mut Diagnostics) -> Entries {
    let mut entries = Entries::default();
    for statement in statements {
        match one(statement, context, out) {
            Some(entry) => entries.list.push(entry),
            None => entries.flawed = true,
        }
    }
    drop_duplicates(&mut entries, out);
    entries
}

fn one(statement: &Statement, context: Context, out: &mut Diagnostics) -> Option<Entry> {
    let (name, rest) = statement.words.split_first()?;
    let Some(directive) = table::find(&name.text, context) else {
        complain::of_unknown(statement, context, out);
        return None;
    };
    let mut entry = Entry { directive, values: Vec::new(), entries: Vec::new(), flawed: false, span: statement.head() };
    let (words, mut inner) = split_options(rest);
    if directive.opens.is_none() && !inner.is_empty() {
        // Whether the rest is all of its values cannot be known.
        complain::of_options(statement, directive, &inner, out);
        return None;
    }
    let words = take_flags(words, directive, &mut inner);
    entry.flawed |= !read_values(&mut entry, &words, out);
    if let Some(block) = &statement.block {
        inner.extend(block.statements.iter().cloned());
    }
    match directive.opens {
        Some(opened) => {
            let resolved = resolve(&inner, opened, out);
            entry.entries = resolved.list;
            entry.flawed |= resolved.flawed;
        }
        None if inner.is_empty() && statement.block.is_none() => {}
        None => {
            complain::of_options(statement, directive, &inner, out);
            entry.flawed = true;
        }
    }
    Some(entry)
}

/// Tells values from options: `key=value` becomes the statement `key value` of the block.
fn split_options(words: &[Word]) -> (Vec<Word>, Vec<Statement>) {
    let mut values = Vec::new();
    let mut options = Vec::new();
    for word in words {
        match word.option() {
            Some((key, value)) => {
                // `key=` without a value is a statement without values, which is reported as such.
                let empty = value.text.is_empty() && value.form == Form::Bare;
                let words = if empty { vec![key] } else { vec![key, value] };
                options.push(Statement { words, block: None });
            }
            None => values.push(word.clone()),
        }
    }
    (values, options)
}

/// Takes the bare words at the end that are flags of the block: `server c 10.0.0.13:8080 drain`.
fn take_flags(mut words: Vec<Word>, directive: &Directive, inner: &mut Vec<Statement>) -> Vec<Word> {
    let Some((opened, most)) = directive.opens.zip(directive.most()) else { return words };
    if words.len() <= most {
        return words;
    }
    let mut values = words.drain(..most).collect::<Vec<_>>();
    for word in words {
        let flag = table::find(&word.text, opened).is_some_and(Directive::is_flag) && word.form == Form::Bare;
        if flag {
            inner.push(Statement { words: vec![word], block: None });
        } else {
            values.push(word);
        }
    }
    values
}

/// Reads the values. `false` where their number is wrong.
fn read_values(entry: &mut Entry, words: &[Word], out: &mut Diagnostics) -> bool {
    let directive = entry.directive;
    if let Some(extra) = directive.most().and_then(|most| words.get(most..)).filter(|extra| !extra.is_empty()) {
        complain::of_extra(entry, extra, out);
        return false;
    }
    if words.len() < directive.fewest() {
        complain::of_missing(entry, words.len(), out);
        return false;
    }
    for (index, word) in words.iter().enumerate() {
        let Some(arg) = directive.arg(index) else { continue };
        for piece in pieces(arg, word) {
            let value = value::read(arg.kind, &piece, out);
            entry.values.push(Argument { word: piece, value });
        }
    }
    true
}

fn pieces(arg: &Arg, word: &Word) -> Vec<Word> {
    if arg.is_list() { word.pieces() } else { vec![word.clone()] }
}

/// Reports what is given twice, and keeps the first.
fn drop_duplicates(entries: &mut Entries, out: &mut Diagnostics) {
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.list.len());
    // By word and, where that has names, by name: where the first one is.
    let mut firsts: HashMap<(&'static str, Option<String>), usize> = HashMap::new();
    for entry in entries.list.drain(..) {
        let name = match entry.directive.repeat {
            Repeat::Many => {
                kept.push(entry);
                continue;
            }
            Repeat::Once => None,
            Repeat::Named => entry.key().map(str::to_owned),
        };
        let first = match firsts.entry((entry.directive.name, name)) {
            Occupied(first) => kept.get(*first.get()),
            Vacant(place) => {
                place.insert(kept.len());
                None
            }
        };
        let Some(first) = first else {
            kept.push(entry);
            continue;
        };
        let word = entry.directive.name;
        match (entry.directive.repeat, entry.key()) {
            (Repeat::Named, Some(key)) => out
                .report(Code::E209, entry.key_span(), format!("a second {word} with the name `{key}`"))
                .also(first.key_span(), "the first one")
                .help("give it another name, or put both together"),
            _ => out
                .report(Code::E208, entry.span, format!("`{word}` is given twice"))
                .also(first.span, "first given here")
                .help("keep one of them"),
        };
    }
    entries.list = kept;
}

impl Entries {
    /// Says that something may be missing anywhere, because the text could not be read as a whole.
    pub(crate) fn mark_flawed(&mut self) {
        fn mark(entry: &mut Entry) {
            entry.flawed = true;
            entry.entries.iter_mut().for_each(mark);
        }
        self.flawed = true;
        self.list.iter_mut().for_each(mark);
    }
}

impl Entry {
    /// The statement or option of that name in its block.
    pub(crate) fn entry(&self, name: &str) -> Option<&Self> {
        self.entries.iter().find(|entry| entry.directive.name == name)
    }

    /// Every one of that name, in written order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.entries.iter().filter(move |entry| entry.directive.name == name)
    }

    /// The value at that position.
    pub(crate) fn value(&self, index: usize) -> Option<&Value> {
        self.values.get(index).and_then(|argument| argument.value.as_ref())
    }

    /// The one value of an option.
    pub(crate) fn option(&self, name: &str) -> Option<&Value> {
        self.entry(name).and_then(|entry| entry.value(0))
    }

    /// Every value that could be read.
    pub(crate) fn read_values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().filter_map(|argument| argument.value.as_ref())
    }

    /// Whether all that it holds could be read.
    pub(crate) fn is_sound(&self) -> bool {
        !self.flawed
            && self.values.iter().all(|argument| argument.value.is_some())
            && self.entries.iter().all(Self::is_sound)
    }

    fn key(&self) -> Option<&str> {
        self.values.first().map(|argument| argument.word.text.as_str())
    }

    fn key_span(&self) -> Span {
        self.values.first().map_or(self.span, |argument| argument.word.span)
    }
}

//! Diagnostics as text: for people with the lines shown, one to a line for editors, JSON for scripts.
//!
//! The invariants: nothing that a diagnostic says is left out of the human and JSON forms, but the middle of what is too long; a report has a bound, whatever file
//! was taken for a configuration, and no warning takes the place of an error in it.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use evenkeel_model::caps;
use serde_json::{Value, json};

use crate::{Code, Diagnostic, Label, Loaded, Note, Severity, SourceMap, Span};

/// The form of a rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// With the lines shown.
    Human {
        /// Whether to use the terminal's colours.
        color: bool,
    },
    /// One line each: `file:line:column: error[E201]: message`.
    Short,
    /// One JSON list.
    Json,
}

/// Renders diagnostics, at most [`caps::DIAGNOSTICS_SHOWN`] of them, errors before warnings, in the order they have here. The
/// text forms say how many more there are; the JSON form is a list of diagnostics and nothing else. Ends with a line break
/// unless there are none.
pub fn render(diagnostics: &[Diagnostic], sources: &SourceMap, style: Style) -> String {
    let sources = &masked(diagnostics, sources);
    let shown = shown(diagnostics);
    let more = match diagnostics.len().saturating_sub(shown.len()) {
        0 => String::new(),
        hidden => format!("… and {hidden} more\n"),
    };
    match style {
        Style::Human { color } => {
            let text: String = shown.iter().map(|diagnostic| human(diagnostic, sources, color)).collect();
            if more.is_empty() { text } else { format!("{text}{more}\n") }
        }
        Style::Short => {
            let text: String = shown.iter().map(|diagnostic| short(diagnostic, sources)).collect();
            text + &more
        }
        Style::Json => {
            let list: Vec<Value> = shown.iter().map(|diagnostic| object(diagnostic, sources)).collect();
            format!("{:#}\n", Value::Array(list))
        }
    }
}

/// Those that a report has room for: the first errors, and the first warnings where that leaves room.
fn shown(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let mut errors_left = errors.min(caps::DIAGNOSTICS_SHOWN);
    let mut warnings_left = caps::DIAGNOSTICS_SHOWN.saturating_sub(errors_left);
    let has_room = |diagnostic: &&Diagnostic| {
        let left = if diagnostic.is_error() { &mut errors_left } else { &mut warnings_left };
        let has_room = *left > 0;
        *left = left.saturating_sub(1);
        has_room
    };
    diagnostics.iter().filter(has_room).collect()
}

/// A text that may quote a word of the file, of which too long a middle is left out: a word can be as long as its file.
fn fit(text: &str) -> Cow<'_, str> {
    if text.len() <= caps::DIAGNOSTIC_BYTES {
        return Cow::Borrowed(text);
    }
    let half = caps::DIAGNOSTIC_BYTES / 2;
    let front = text.get(..boundary(text, half)).unwrap_or_default();
    let back = text.get(boundary(text, text.len().saturating_sub(half))..).unwrap_or_default();
    Cow::Owned(format!("{front} … {back}"))
}

/// The files with the secrets made unreadable that were found in them: what is rendered ends in logs.
fn masked<'a>(diagnostics: &[Diagnostic], sources: &'a SourceMap) -> Cow<'a, SourceMap> {
    let mut sources = Cow::Borrowed(sources);
    let secrets = diagnostics.iter().filter(|diagnostic| diagnostic.code == Code::E311);
    for span in secrets.filter_map(|diagnostic| diagnostic.label.as_ref()).map(|label| label.span) {
        sources.to_mut().mask(span);
    }
    sources
}

/// The last line of a report: `evenkeel.conf: 2 errors, 1 warning`, or what the configuration holds.
pub fn summary(loaded: &Loaded) -> String {
    let name = &loaded.name;
    let (errors, warnings) = (loaded.count(Severity::Error), loaded.count(Severity::Warning));
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(counted(errors, "error"));
    }
    if warnings > 0 {
        parts.push(counted(warnings, "warning"));
    }
    match &loaded.config {
        Some(config) => {
            let servers = config.pools.iter().map(|pool| pool.servers.len()).sum();
            let holds = [
                counted(config.listeners.len(), "listener"),
                counted(config.pools.len(), "pool"),
                counted(servers, "server"),
            ];
            let with = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
            format!("{name}: ok{with}: {}", holds.join(", "))
        }
        None => format!("{name}: {}", parts.join(", ")),
    }
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn short(diagnostic: &Diagnostic, sources: &SourceMap) -> String {
    let place = diagnostic.label.as_ref().map(|label| format!("{}: ", sources.place(label.span))).unwrap_or_default();
    format!("{place}{}[{}]: {}\n", diagnostic.severity, diagnostic.code, fit(&diagnostic.message))
}

fn human(diagnostic: &Diagnostic, sources: &SourceMap, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(fit(&diagnostic.message)).id(diagnostic.code.as_str()));
    for snippet in snippets(diagnostic, sources) {
        group = group.element(snippet);
    }
    for note in &diagnostic.notes {
        group = group.element(match note {
            Note::Help(text) => Level::HELP.message(fit(text)),
            Note::Note(text) => Level::NOTE.message(fit(text)),
        });
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    format!("{}\n\n", renderer.render(&[group]).trim_end())
}

/// One snippet for each file that the diagnostic shows, the primary place's file first.
fn snippets<'a>(
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut labels: Vec<(&Label, AnnotationKind)> = Vec::new();
    labels.extend(diagnostic.label.iter().map(|label| (label, AnnotationKind::Primary)));
    labels.extend(diagnostic.others.iter().map(|label| (label, AnnotationKind::Context)));
    let mut files: Vec<_> = labels.iter().map(|(label, _)| label.span.file).collect();
    files.dedup();
    let mut out = Vec::new();
    for (index, id) in files.iter().enumerate() {
        let Some(file) = sources.file(*id).filter(|_| !files.iter().take(index).any(|earlier| earlier == id)) else {
            continue;
        };
        let own: Vec<_> = labels.iter().filter(|(label, _)| label.span.file == *id).collect();
        let window = window(&file.text, own.iter().map(|(label, _)| label.span));
        let Some(text) = file.text.get(window.start..window.end) else { continue };
        let (first_line, _) = file.line(window.start);
        let annotations = own.iter().map(|(label, kind)| {
            let start = boundary(text, label.span.start.saturating_sub(window.start));
            let end = boundary(text, label.span.end.saturating_sub(window.start)).max(start);
            kind.span(start..end).label(Some(label.text.as_str()).filter(|text| !text.is_empty()))
        });
        out.push(
            Snippet::source(text)
                .path(file.name.as_str())
                .line_start(first_line)
                .annotations(annotations.collect::<Vec<_>>()),
        );
    }
    out
}

/// The place itself, or the next one before it that lies in the text and between two characters.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The whole lines that hold all of these places: a renderer that gets only them does not care how long the file is.
fn window(text: &str, spans: impl Iterator<Item = Span> + Clone) -> std::ops::Range<usize> {
    let first = spans.clone().map(|span| span.start).min().unwrap_or(0).min(text.len());
    let last = spans.map(|span| span.end).max().unwrap_or(0).clamp(first, text.len());
    let start = text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |at| at.saturating_add(1));
    let end = text.get(last..).and_then(|after| after.find('\n')).map_or(text.len(), |at| last.saturating_add(at));
    start..end
}

fn object(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let notes: Vec<Value> = diagnostic
        .notes
        .iter()
        .map(|note| match note {
            Note::Help(text) => json!({ "kind": "help", "text": fit(text) }),
            Note::Note(text) => json!({ "kind": "note", "text": fit(text) }),
        })
        .collect();
    json!({
        "severity": diagnostic.severity.as_str(),
        "code": diagnostic.code.as_str(),
        "message": fit(&diagnostic.message),
        "place": diagnostic.label.as_ref().map(|label| place(label, sources)),
        "others": diagnostic.others.iter().map(|label| place(label, sources)).collect::<Vec<_>>(),
        "notes": notes,
    })
}

fn place(label: &Label, sources: &SourceMap) -> Value {
    let (line, column) = sources.line_column(label.span);
    let (end_line, end_column) = sources.line_column(Span { start: label.span.end, ..label.span });
    json!({
        "file": sources.file(label.span.file).map(|file| file.name.as_str()),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "label": label.text,
    })
}

#[cfg(test)]
mod tests;

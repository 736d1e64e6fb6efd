//! The generated part of the manual: pages that follow from the directive table, the codes, and the variables.
//!
//! What is written by hand is left alone. Its invariant: a generated page in the tree is what this writes; the ordinary
//! tests compare.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use evenkeel_config::{Code, Severity};

use crate::tree::root;

/// A generated page: where it lies from the root, and what is in it.
struct Page {
    path: &'static str,
    text: fn(&Path) -> Result<String, String>,
}

const PAGES: &[Page] = &[
    Page { path: "docs/src/reference/words.md", text: words },
    Page { path: "docs/src/reference/messages.md", text: messages },
    Page { path: "docs/src/reference/variables.md", text: variables },
    Page { path: "docs/src/reference/metrics.md", text: metrics },
];

/// The page that the built program writes.
const COMMANDS: &str = "docs/src/reference/commands.md";

/// What stands at the head of every generated page.
const NOTE: &str = "<!-- written by `cargo xtask docs`; changes belong to the tables in the sources -->\n\n";

/// Whether pages are written or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Written.
    Write,
    /// Compared with what is there.
    Check,
}

/// Writes or compares every generated page.
///
/// # Errors
/// Where a page cannot be made, or is out of step.
pub(crate) fn run(mode: Mode) -> Result<(), String> {
    let mut stale = Vec::new();
    for page in PAGES {
        let path = root().join(page.path);
        let text = format!("{NOTE}{}", (page.text)(&root())?);
        match mode {
            Mode::Write => fs::write(&path, text).map_err(|error| format!("{}: {error}", page.path))?,
            Mode::Check if fs::read_to_string(&path).ok().as_deref() != Some(&text) => stale.push(page.path),
            Mode::Check => {}
        }
    }
    match stale.as_slice() {
        [] => Ok(()),
        pages => Err(format!("out of step with the sources: {}; run `cargo xtask docs`", pages.join(", "))),
    }
}

/// Every word of the language.
#[allow(clippy::unnecessary_wraps)] // pages that read a source can fail
fn words(_: &Path) -> Result<String, String> {
    Ok(evenkeel_config::reference::markdown())
}

/// Every metric.
#[allow(clippy::unnecessary_wraps)] // pages that read a source can fail
fn metrics(_: &Path) -> Result<String, String> {
    Ok(evenkeel_admin::metrics::markdown())
}

/// Every message of `check`, by code.
#[allow(clippy::unnecessary_wraps)] // pages that read a source can fail
fn messages(_: &Path) -> Result<String, String> {
    let mut text = "# Messages of `check`\n\nEach has a code that never changes its meaning. `evenkeel explain CODE` prints the same.\n".to_owned();
    for code in Code::ALL {
        let kind = if code.severity() == Severity::Warning { "A warning. " } else { "" };
        let _ = writeln!(text, "\n## {code}: {}\n\n{kind}{}", code.title(), code.text());
    }
    Ok(text)
}

/// The help of the program and of each of its commands, as the built program prints it. The end-to-end tests compare.
///
/// # Errors
/// Where the program does not build, or the page cannot be written.
pub(crate) fn write_commands() -> Result<(), String> {
    let general = help(&[])?;
    let mut text = format!("{NOTE}# Commands\n\n```text\n{general}```\n");
    for command in commands(&general) {
        let _ = write!(text, "\n## `evenkeel {command}`\n\n```text\n{}```\n", help(&[command])?);
        for inner in commands(&help(&[command])?) {
            let _ = write!(text, "\n### `evenkeel {command} {inner}`\n\n```text\n{}```\n", help(&[command, inner])?);
        }
    }
    fs::write(root().join(COMMANDS), text).map_err(|error| format!("{COMMANDS}: {error}"))
}

/// The names under `Commands:` in a help text.
fn commands(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

fn help(words: &[&str]) -> Result<String, String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--locked", "--package", "evenkeel", "--"])
        .args(words)
        .arg("--help")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("`evenkeel {} --help` ended with {}", words.join(" "), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| "a help text that is no text".to_owned())
}

/// Every `$variable`, with the words of its documentation.
fn variables(root: &Path) -> Result<String, String> {
    const SOURCE: &str = "crates/model/src/template.rs";
    let source = fs::read_to_string(root.join(SOURCE)).map_err(|error| format!("{SOURCE}: {error}"))?;
    let mut text = "# Variables\n\nThey stand in log formats, values of fields, redirects and answers. Those marked *log* are known only when the \
                    answer is, so they stand in log formats alone. Without a value, a log has `-` and other texts nothing.\n\n\
                    | variable | what it is | where |\n|---|---|---|\n"
        .to_owned();
    let mut doc = String::new();
    let mut count = 0;
    for line in source.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("///") {
            doc = [doc.trim(), words.trim()].join(" ").trim().to_owned();
        } else if let Some((word, phase)) = plain_variable(line) {
            let place = if phase == "early" { "everywhere" } else { "log" };
            let _ = writeln!(text, "| `${word}` | {} | {place} |", doc.trim_end_matches('.'));
            count += 1;
            doc.clear();
        } else if line.ends_with("(String),") && doc.starts_with("`$") {
            let (word, rest) = doc.split_once(':').unwrap_or((&doc, ""));
            let place = if rest.contains("Logs only") { "log" } else { "everywhere" };
            let meaning = rest.trim().trim_end_matches(" Logs only.").trim_end_matches('.');
            let _ = writeln!(text, "| {word} | {meaning} | {place} |");
            doc.clear();
        } else {
            doc.clear();
        }
    }
    if count < 20 {
        return Err(format!("{SOURCE}: only {count} variables were found; its form has changed"));
    }
    Ok(text)
}

/// `Status = "status", late;` gives the word and the phase.
fn plain_variable(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(" = \"")?;
    let (word, phase) = rest.strip_suffix(';')?.split_once("\", ")?;
    name.chars().all(char::is_alphanumeric).then_some((word, phase))
}

#[cfg(test)]
mod tests {
    use super::{Mode, commands, plain_variable, run};

    #[test]
    fn commands_are_read_from_a_help_text() {
        let text = "Usage: x\n\nCommands:\n  run    Serve\n  help   Print this\n\nOptions:\n  -h  Help\n";
        assert_eq!(commands(text), ["run"]);
        assert_eq!(commands("Usage: x\n\nOptions:\n  -h  Help\n"), [""; 0]);
    }

    #[test]
    fn generated_pages_are_in_step() {
        run(Mode::Check).unwrap();
    }

    #[test]
    fn the_page_of_ends_has_every_word_of_the_table_of_reactions() {
        let read = |path: &str| std::fs::read_to_string(crate::tree::root().join(path)).unwrap();
        let (source, page) = (read("crates/proxy/src/error.rs"), read("docs/src/reference/log-ends.md"));
        let rows = source.lines().map(str::trim).filter(|line| line.starts_with("Kind::") && line.contains(" => ("));
        let ends: Vec<_> = rows.filter_map(|line| line.split('"').nth(1)).collect();
        assert!(ends.len() > 15, "the table of reactions has another form: {ends:?}");
        for end in ends {
            assert!(page.contains(&format!("| `{end}` |")), "`{end}` is not in docs/src/reference/log-ends.md");
        }
    }

    #[test]
    fn rows_of_the_variables_table_are_known() {
        assert_eq!(plain_variable("Status = \"status\", late;"), Some(("status", "late")));
        assert_eq!(plain_variable("let word = \"x\";"), None);
    }
}

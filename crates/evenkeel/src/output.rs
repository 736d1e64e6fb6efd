//! Writing to the terminal, or to whatever stands in its place.
//!
//! The invariant: a reader that goes away early (`evenkeel status | head -1`) is no error and gets no message.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::exit::Exit;

/// Writes a text to the standard output, ended by one newline.
pub(crate) fn print(text: impl Display) -> Exit {
    let text = text.to_string();
    let text = text.strip_suffix('\n').unwrap_or(&text);
    match writeln!(io::stdout().lock(), "{text}").and_then(|()| io::stdout().flush()) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => fail(format_args!("the standard output takes nothing: {error}")),
    }
}

/// Writes a value to the standard output as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Exit {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(text),
        Err(error) => fail(format_args!("this cannot be written as JSON: {error}")),
    }
}

/// Writes a message to the standard error, ended by one newline. Where that is closed, nobody wants to know.
pub(crate) fn say(text: impl Display) {
    let text = text.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", text.strip_suffix('\n').unwrap_or(&text));
}

/// Says what failed.
pub(crate) fn fail(cause: impl Display) -> Exit {
    say(format_args!("evenkeel: {cause}"));
    Exit::Failed
}

/// Whether the standard output wants colours.
pub(crate) fn stdout_has_colour() -> bool {
    io::stdout().is_terminal() && wants_colour()
}

/// Whether the standard error wants colours.
pub(crate) fn stderr_has_colour() -> bool {
    io::stderr().is_terminal() && wants_colour()
}

/// <https://no-color.org>: set and not empty means none.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

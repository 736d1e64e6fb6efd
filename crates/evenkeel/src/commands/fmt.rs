//! `fmt`: configuration files in the customary form.
//!
//! The invariant: a file is replaced whole or not at all, and keeps its mode.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use evenkeel_config::format;

use crate::args::FmtArgs;
use crate::exit::Exit;
use crate::output;

pub(crate) fn fmt(args: &FmtArgs) -> Exit {
    if args.files.is_empty() || args.files.as_slice() == [Path::new("-")] {
        return fmt_stdin(args.check);
    }
    let mut differing = Vec::new();
    for file in &args.files {
        match fmt_file(file, args.check) {
            Ok(true) => differing.push(file.display().to_string()),
            Ok(false) => {}
            Err(error) => return output::fail(format_args!("{}: {error}", file.display())),
        }
    }
    if args.check && !differing.is_empty() {
        output::print(differing.join("\n"));
        return Exit::Failed;
    }
    Exit::Done
}

fn fmt_stdin(check: bool) -> Exit {
    let mut text = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut text) {
        return output::fail(format_args!("the standard input cannot be read: {error}"));
    }
    let formatted = format(&text);
    match check {
        true if formatted == text => Exit::Done,
        true => Exit::Failed,
        false => output::print(formatted),
    }
}

/// Says whether the file is not in form, and puts it there unless it is only to be checked.
fn fmt_file(file: &Path, check: bool) -> io::Result<bool> {
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; `-` is the standard input"));
    }
    let text = fs::read_to_string(file)?;
    let formatted = format(&text);
    let differs = formatted != text;
    if differs && !check {
        replace(file, &formatted)?;
    }
    Ok(differs)
}

fn replace(file: &Path, text: &str) -> io::Result<()> {
    // A link stays one; what it points to is replaced.
    let target = fs::canonicalize(file)?;
    let mode = fs::metadata(&target)?.permissions();
    let beside = beside(&target);
    let written = fs::write(&beside, text)
        .and_then(|()| fs::set_permissions(&beside, mode))
        .and_then(|()| fs::rename(&beside, &target));
    if written.is_err() {
        // What is left over of a failure is of use to nobody, and the failure is told.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    file.with_file_name(std::format!(".{name}.{}", std::process::id()))
}

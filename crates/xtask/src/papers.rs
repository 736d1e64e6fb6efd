//! Man pages and shell completions, written by the program itself into `target/papers`.
//!
//! Packages take them from there. Its invariant: nothing here knows a word of the command line; the program does.

use std::fs;
use std::process::{Command, Stdio};

use crate::steps::{Outcome, command};

/// Where they go.
const FOLDER: &str = "target/papers";

/// The shells that the program writes completions for, and the file names that their packages use.
const SHELLS: &[(&str, &str)] = &[("bash", "evenkeel"), ("zsh", "_evenkeel"), ("fish", "evenkeel.fish")];

/// Builds the program and has it write its papers.
pub(crate) fn write() -> Outcome {
    let man = format!("{FOLDER}/man");
    if let Err(error) = fs::create_dir_all(&man) {
        return Outcome::Failed(format!("{man} cannot be made: {error}"));
    }
    for (shell, file) in SHELLS {
        let path = format!("{FOLDER}/{file}");
        let output = Command::new("cargo")
            .args(["run", "--quiet", "--locked", "-p", "evenkeel", "--", "completions", shell])
            .stderr(Stdio::inherit())
            .output();
        let text = match output {
            Ok(output) if output.status.success() && !output.stdout.is_empty() => output.stdout,
            Ok(output) => return Outcome::Failed(format!("completions for {shell}: {}", output.status)),
            Err(error) => return Outcome::Failed(format!("cargo did not start: {error}")),
        };
        if let Err(error) = fs::write(&path, text) {
            return Outcome::Failed(format!("{path} cannot be written: {error}"));
        }
        println!("{path}");
    }
    command(&["cargo", "run", "--quiet", "--locked", "-p", "evenkeel", "--", "man", &man])
}

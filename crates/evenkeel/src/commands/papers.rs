//! Completions and man pages, made of the same definitions as the command line and the configuration themselves.

use std::fs;
use std::io;
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use evenkeel_config::{Code, reference, table};

use crate::args::Cli;
use crate::exit::Exit;
use crate::output;

pub(crate) fn completions(shell: Shell) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut with_words(Cli::command()), "evenkeel", &mut text);
    output::print(String::from_utf8_lossy(&text))
}

/// The command line with every word and code that `explain` knows, so that a shell can offer them. It is not for
/// parsing: what `explain` does not know it answers better itself.
fn with_words(command: Command) -> Command {
    let mut words: Vec<&str> = table::directives().map(|directive| directive.name).collect();
    words.sort_unstable();
    words.dedup();
    words.extend(Code::ALL.iter().map(|code| code.as_str()));
    command.mut_subcommand("explain", |explain| {
        explain.mut_arg("word", |word| word.value_parser(PossibleValuesParser::new(words)))
    })
}

pub(crate) fn man(dir: Option<&Path>) -> Exit {
    let written = match dir {
        Some(dir) => write_all(dir),
        None => {
            return page(&Cli::command())
                .map_or_else(output::fail, |page| output::print(String::from_utf8_lossy(&page)));
        }
    };
    written.map_or_else(output::fail, |()| Exit::Done)
}

/// One page for the program, one for each command (`evenkeel-run.1`), and one for the file (`evenkeel.conf.5`).
fn write_all(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)?;
    fs::write(dir.join("evenkeel.conf.5"), reference::man())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_offers_the_words_and_codes_that_explain_knows() {
        let mut text = Vec::new();
        clap_complete::generate(Shell::Bash, &mut with_words(Cli::command()), "evenkeel", &mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("slow-start"), "a word of the table");
        assert!(text.contains("E201"), "a code");
    }
}

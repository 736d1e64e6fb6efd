//! What a bench is told on the command line, and where its tables go.
//!
//! The invariant: a word that a bench does not know is refused, so that nobody takes a run for another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{USAGE, beside_this, parse, raise_descriptors};

/// What a bench is told.
pub(crate) struct Options {
    pub(crate) evenkeel: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) only: String,
    pub(crate) counts: bool,
    write: Option<PathBuf>,
}

impl Options {
    /// Reads them. Those of another bench than this one are refused: `knows` holds the ones that it has, beside
    /// `--evenkeel`, `--seconds` and `--write`, which all have.
    pub(crate) fn read(words: &[&str], rounds: usize, seconds: u64, knows: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            evenkeel: beside_this("evenkeel"),
            rounds,
            time: Duration::from_secs(seconds),
            only: String::new(),
            counts: true,
            write: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().copied().ok_or_else(|| format!("`{word}` wants a value\n{USAGE}"));
            match *word {
                "--evenkeel" => options.evenkeel = PathBuf::from(value()?),
                "--seconds" => options.time = Duration::from_secs_f64(parse(value()?)?),
                "--write" => options.write = Some(PathBuf::from(value()?)),
                word if !knows.contains(&word) => return Err(format!("`{word}` is no option of it\n{USAGE}")),
                "--rounds" => options.rounds = parse(value()?)?,
                "--only" => options.only = value()?.to_owned(),
                "--no-counts" => options.counts = false,
                _ => (options.rounds, options.time, options.counts) = (2, Duration::from_secs(1), false),
            }
        }
        raise_descriptors();
        Ok(options)
    }

    /// Shows a page, and writes it where that was asked for.
    pub(crate) fn give_page(&self, page: &str) -> Result<(), String> {
        println!("{page}");
        match &self.write {
            Some(path) => std::fs::write(path, page).map_err(|error| format!("{}: {error}", path.display())),
            None => Ok(()),
        }
    }

    /// Shows a table, and puts it into its place on a page where that was asked for.
    pub(crate) fn give_table(&self, place: &str, found: &str) -> Result<(), String> {
        println!("{found}");
        self.write.as_ref().map_or(Ok(()), |path| put(path, place, found))
    }
}

/// Puts a table into its place on a page.
fn put(path: &Path, place: &str, found: &str) -> Result<(), String> {
    let fault = |why: &str| format!("{}: {why}", path.display());
    let old = std::fs::read_to_string(path).map_err(|error| fault(&error.to_string()))?;
    let (begin, end) = (format!("<!-- {place} -->\n"), format!("<!-- end of {place} -->"));
    let from = old.find(&begin).ok_or_else(|| fault("it has no place for it"))? + begin.len();
    let to = old[from..].find(&end).ok_or_else(|| fault("it has no place for it"))? + from;
    let new = format!("{}\n{}\n\n{}", &old[..from], found.trim(), &old[to..]);
    std::fs::write(path, new).map_err(|error| fault(&error.to_string()))
}

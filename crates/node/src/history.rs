//! The history: the configurations that were applied, with their texts, for whoever wants one back.
//!
//! It lies in the state directory, a file each. The invariant: a number is given once, also over restarts; the oldest go
//! first, and never more than [`caps::HISTORY_KEPT`] are there.

use std::path::PathBuf;

use evenkeel_model::caps;
use evenkeel_net::files;
use serde::{Deserialize, Serialize};

use crate::origin::{Texts, words};

/// The mode of an entry: whoever reads the configuration's files may read it, and nobody else.
const FILE_MODE: u32 = 0o600;

/// A configuration that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number, from 1.
    pub number: u64,
    /// When it was applied first, in seconds since 1970.
    pub at: u64,
    /// By whom or what.
    pub by: String,
    /// What it changed.
    pub changes: Vec<String>,
    /// What it was made of.
    pub texts: Texts,
}

/// The history. Without a directory it holds nothing.
#[derive(Debug, Clone)]
pub(crate) struct History {
    dir: Option<PathBuf>,
}

impl History {
    /// The history in that directory.
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// Every entry that can be read, oldest first.
    pub(crate) fn all(&self) -> Vec<Kept> {
        let mut all: Vec<Kept> = self.numbers().into_iter().filter_map(|number| self.read(number)).collect();
        all.sort_by_key(|kept| kept.number);
        all
    }

    /// The entry of that number.
    pub(crate) fn read(&self, number: u64) -> Option<Kept> {
        let bytes = std::fs::read(self.path(number)?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Keeps what was applied, unless it is what was applied last. Gives its number; 0 where nothing is kept.
    pub(crate) fn keep(&self, texts: &Texts, (at, by): (u64, &str), changes: Vec<String>) -> u64 {
        let numbers = self.numbers();
        let last = numbers.iter().copied().max().unwrap_or(0);
        if self.read(last).is_some_and(|kept| kept.texts == *texts) {
            return last;
        }
        let number = last.saturating_add(1);
        let kept = Kept { number, at, by: by.to_owned(), changes, texts: texts.clone() };
        match self.write(&kept) {
            Ok(true) => {}
            Ok(false) => return 0,
            Err(cause) => {
                tracing::warn!("configuration {number} is not kept in the history: {cause}");
                return 0;
            }
        }
        for old in numbers.iter().filter(|old| number - **old >= caps::HISTORY_KEPT) {
            // What cannot be removed is removed the next time.
            let _ = self.path(*old).map(std::fs::remove_file);
        }
        number
    }

    fn write(&self, kept: &Kept) -> Result<bool, String> {
        let Some((dir, path)) = self.dir.as_ref().zip(self.path(kept.number)) else { return Ok(false) };
        if !dir.is_dir() {
            std::fs::create_dir(dir).map_err(|error| words(&error))?;
        }
        let bytes = serde_json::to_vec(kept).map_err(|error| error.to_string())?;
        files::write_atomic(&path, &bytes, FILE_MODE).map_err(|error| words(&error))?;
        Ok(true)
    }

    fn path(&self, number: u64) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(format!("{number:08}.json")))
    }

    fn numbers(&self) -> Vec<u64> {
        let listed = self.dir.as_ref().and_then(|dir| std::fs::read_dir(dir).ok());
        let number = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_suffix(".json")?.parse().ok()
        };
        listed.into_iter().flatten().filter_map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_config::Options;

    use super::*;
    use crate::Origin;
    use crate::scratch::Scratch;

    fn texts(word: &str) -> Texts {
        let origin = Origin::Text { name: "t".to_owned(), text: format!("# {word}\nhttp :1 {{\n respond 200\n}}\n") };
        origin.load(&Options::default()).texts
    }

    #[test]
    fn what_was_applied_is_found_again_and_what_is_the_same_is_kept_once() {
        let dir = Scratch::new();
        let history = History::new(Some(dir.path().join("history")));
        assert_eq!(history.keep(&texts("one"), (1, "start"), Vec::new()), 1);
        assert_eq!(history.keep(&texts("one"), (2, "reload"), Vec::new()), 1);
        assert_eq!(history.keep(&texts("two"), (3, "reload"), vec!["x changed".to_owned()]), 2);
        // Another process goes on counting.
        let history = History::new(Some(dir.path().join("history")));
        assert_eq!(history.keep(&texts("one"), (4, "rollback"), Vec::new()), 3);
        let all = history.all();
        assert_eq!(all.iter().map(|kept| kept.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(history.read(2).unwrap().changes, ["x changed"]);
        assert_eq!(history.read(1).unwrap().texts, texts("one"));
        assert_eq!(history.read(9), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let dir = Scratch::new();
        let history = History::new(Some(dir.path().join("history")));
        for at in 0..caps::HISTORY_KEPT + 3 {
            history.keep(&texts(&at.to_string()), (at, "reload"), Vec::new());
        }
        let numbers: Vec<u64> = history.all().iter().map(|kept| kept.number).collect();
        assert_eq!((numbers.len() as u64, numbers[0]), (caps::HISTORY_KEPT, 4));
    }

    #[test]
    fn a_broken_entry_is_as_none_and_without_a_directory_nothing_is_kept() {
        let dir = Scratch::new();
        let history = History::new(Some(dir.path().join("history")));
        history.keep(&texts("one"), (1, "start"), Vec::new());
        std::fs::write(dir.path().join("history/00000001.json"), "{").unwrap();
        assert_eq!(history.all(), []);
        assert_eq!(history.keep(&texts("one"), (1, "start"), Vec::new()), 2);
        assert_eq!(History::new(None).keep(&texts("one"), (1, "start"), Vec::new()), 0);
    }
}

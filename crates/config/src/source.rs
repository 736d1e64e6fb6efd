//! Where files come from. This crate opens none: the binary implements [`Source`] on the file system, tests on a map.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads configuration files.
pub trait Source {
    /// The bytes of a file. An implementation stops reading past [`evenkeel_model::caps::CONFIG_FILE_BYTES`] + 1 bytes.
    ///
    /// # Errors
    /// The cause in words, as the system gives it (`no such file or directory`).
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The files that a pattern with `*` and `?` fits, in any order. A pattern without those is the file itself, if it is there.
    ///
    /// # Errors
    /// The cause in words, where a directory cannot be read.
    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String>;
}

/// Files held in memory: for tests, and for a configuration made of flags.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl MemorySource {
    /// Adds a file.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }
}

impl Source for MemorySource {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.files.get(path).cloned().ok_or_else(|| "no such file or directory".to_owned())
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let pattern = pattern.to_string_lossy();
        Ok(self.files.keys().filter(|path| glob_fits(&pattern, &path.to_string_lossy())).cloned().collect())
    }
}

/// Whether a text fits a pattern in which `*` stands for any characters but `/` and `?` for one such character.
/// One state a character of the pattern, so that no pattern takes longer than its length times the text's.
fn glob_fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // Positions in the pattern that the text read so far may have led to.
    let mut reached = vec![false; pattern.len().saturating_add(1)];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    let skip_stars = |reached: &mut [bool]| {
        for (at, mark) in pattern.iter().enumerate() {
            if *mark == '*' && reached.get(at) == Some(&true) {
                reached.iter_mut().skip(at.saturating_add(1)).take(1).for_each(|next| *next = true);
            }
        }
    };
    skip_stars(&mut reached);
    for c in text.chars() {
        let mut next = vec![false; reached.len()];
        for (at, mark) in pattern.iter().enumerate().filter(|(at, _)| reached.get(*at) == Some(&true)) {
            let to = match mark {
                '*' if c != '/' => at,
                '?' if c != '/' => at.saturating_add(1),
                literal if *literal == c => at.saturating_add(1),
                _ => continue,
            };
            next.iter_mut().skip(to).take(1).for_each(|slot| *slot = true);
        }
        reached = next;
        skip_stars(&mut reached);
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::glob_fits;

    #[test]
    fn stars_and_question_marks_stop_at_slashes() {
        let fitting = [
            ("a", "a"),
            ("*", ""),
            ("*", "abc"),
            ("a*c", "abbc"),
            ("d/*.conf", "d/x.conf"),
            ("?b", "ab"),
            ("**", "a"),
            ("*a*a*", "xaya"),
        ];
        let unfitting = [
            ("a", "b"),
            ("", "a"),
            ("a", ""),
            ("d/*.conf", "d/e/x.conf"),
            ("?", "/"),
            ("*", "a/b"),
            ("d/*", "d"),
            ("a*c", "abcd"),
        ];
        for (pattern, text) in fitting {
            assert!(glob_fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in unfitting {
            assert!(!glob_fits(pattern, text), "{pattern} {text}");
        }
        assert!(!glob_fits(&"*a".repeat(30), &"a".repeat(29)));
    }
}

//! Which files: those that are named, those that a pattern fits, those in a directory.
//!
//! The invariant: a hidden file is never found, and no walk is endless.

use std::path::{Path, PathBuf};

use evenkeel_config::Source;
use evenkeel_model::caps;

use crate::origin::{Disk, words};

/// A file to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Whether it was named itself, so that its being no zone file is worth a word.
    pub(super) is_named: bool,
}

/// Finds the files, each once, with what went wrong.
pub(super) fn find(patterns: &[PathBuf]) -> (Vec<Found>, Vec<String>) {
    let mut walk = Walk { found: Vec::new(), problems: Vec::new() };
    for pattern in patterns {
        if is_wild_above(pattern) && !pattern.exists() {
            let shown = pattern.display();
            walk.problems.push(format!(
                "{shown}: `*` and `?` stand for names of files, not of directories; name the directory above, or each one"
            ));
        } else if pattern.is_dir() {
            walk.directory(pattern, 0);
        } else if pattern.file_name().is_some_and(|name| name.to_string_lossy().contains(['*', '?']))
            && !pattern.exists()
        {
            walk.pattern(pattern);
        } else {
            walk.add(pattern.clone(), true);
        }
    }
    (walk.found, walk.problems)
}

struct Walk {
    found: Vec<Found>,
    problems: Vec<String>,
}

impl Walk {
    fn pattern(&mut self, pattern: &Path) {
        match Disk.glob(pattern) {
            Ok(mut files) => {
                files.sort();
                if files.is_empty() {
                    self.problems.push(format!("no file fits {}", pattern.display()));
                }
                for file in files {
                    self.add(file, false);
                }
            }
            Err(cause) => self.problems.push(format!("cannot look for {}: {cause}", pattern.display())),
        }
    }

    fn directory(&mut self, directory: &Path, depth: usize) {
        if depth > caps::ZONEFILE_DEPTH {
            return self.problems.push(format!("{} lies too deep and is not looked at", directory.display()));
        }
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => {
                return self.problems.push(format!("cannot read {}: {}", directory.display(), words(&error)));
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths.into_iter().filter(|path| !is_hidden(path)) {
            // A link to a directory may lead round in a circle; the directory itself is found where it is.
            if path.is_dir() && !path.is_symlink() {
                self.directory(&path, depth + 1);
            } else if path.is_file() {
                self.add(path, false);
            }
        }
    }

    fn add(&mut self, path: PathBuf, is_named: bool) {
        if self.found.iter().any(|found| found.path == path) {
            return;
        }
        if self.found.len() >= caps::ZONEFILE_FILES {
            if self.found.len() == caps::ZONEFILE_FILES && self.problems.len() < caps::ZONEFILE_FILES {
                self.problems.push(format!(
                    "more than {} files; {} is not looked at",
                    caps::ZONEFILE_FILES,
                    path.display()
                ));
            }
            return;
        }
        self.found.push(Found { path, is_named });
    }
}

/// Whether a directory of the path has a wildcard in its name.
fn is_wild_above(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.to_string_lossy().contains(['*', '?']))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_wildcard_stands_for_files_and_says_so_elsewhere() {
        let dir = Scratch::new();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/one.db"), "").unwrap();
        let (found, problems) = find(&[dir.path().join("a/*.db")]);
        assert_eq!((found.len(), problems.len()), (1, 0));
        let (found, problems) = find(&[dir.path().join("*/one.db")]);
        assert!(found.is_empty() && problems[0].contains("not of directories"), "{problems:?}");
    }
}

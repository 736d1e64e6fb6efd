//! Configurations beside each other: the one that runs, the file as it is now, and those of the history.
//!
//! The invariant: looking changes nothing; a file that is broken can be compared all the same, with what is wrong with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use evenkeel_config::{Options, Style, diff, render, unified};
use evenkeel_model::config::Config;

use crate::history::History;
use crate::origin::{Loading, Origin, Texts};

/// A configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that runs.
    Running,
    /// The file, or whatever a reload would read, as it is now.
    File,
    /// The one of that number in the history.
    Kept(u64),
}

/// Why there is nothing to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSuch {
    /// The history does not hold that number.
    Kept(u64),
    /// The node has ended.
    Gone,
}

/// Two configurations beside each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The texts' difference, in the unified form; empty where there is none.
    pub text: String,
    /// What it comes to, as a reload would say it; empty where one of them has errors.
    pub changes: Vec<String>,
    /// What is wrong with the second, a line each.
    pub errors: Vec<String>,
}

/// What configurations there are.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) origin: Origin,
    pub(crate) config: Arc<Config>,
    pub(crate) texts: Arc<Texts>,
    pub(crate) kept_as: u64,
    pub(crate) history: History,
}

/// A configuration that was read.
pub(crate) struct Read {
    pub(crate) texts: Texts,
    config: Option<Config>,
    errors: Vec<String>,
}

impl Sources {
    /// Two configurations beside each other. It reads files.
    pub(crate) fn compare(&self, from: Which, to: Which) -> Result<Comparison, NoSuch> {
        let (before, after) = (self.read(from)?, self.read(to)?);
        let changes = before.config.as_ref().zip(after.config.as_ref());
        let changes = changes.map(|(before, after)| diff(before, after)).unwrap_or_default();
        Ok(Comparison {
            text: self.text((from, &before.texts), (to, &after.texts)),
            changes: changes.iter().map(ToString::to_string).collect(),
            errors: after.errors,
        })
    }

    /// A configuration, with what it was made of. It reads files.
    pub(crate) fn read(&self, which: Which) -> Result<Read, NoSuch> {
        let loading = match which {
            Which::Running => {
                let (texts, config) = ((*self.texts).clone(), Some((*self.config).clone()));
                return Ok(Read { texts, config, errors: Vec::new() });
            }
            Which::File => self.origin.load(&Options::default()),
            Which::Kept(number) => {
                let texts = self.history.read(number).ok_or(NoSuch::Kept(number))?.texts;
                Loading { loaded: texts.load(&Options::default()), texts }
            }
        };
        let Loading { loaded, texts } = loading;
        let found: Vec<_> = loaded.diagnostics.iter().filter(|found| found.is_error()).cloned().collect();
        let errors = render(&found, &loaded.sources, Style::Short).lines().map(str::to_owned).collect();
        Ok(Read { texts, config: loaded.config, errors })
    }

    /// The difference of every file that one of them has, the entry first.
    fn text(&self, (from, before): (Which, &Texts), (to, after): (Which, &Texts)) -> String {
        let name = |which: Which, path: &Path| match which {
            Which::Running => format!("{} (running)", path.display()),
            Which::File => path.display().to_string(),
            Which::Kept(number) => format!("{} (configuration {number})", path.display()),
        };
        let find = |texts: &Texts, path: &Path| {
            texts.files().find(|(known, _)| *known == path).map(|(_, text)| text.to_owned()).unwrap_or_default()
        };
        let mut seen = BTreeSet::new();
        let paths =
            before.files().chain(after.files()).map(|(path, _)| path).filter(|path| seen.insert(path.to_owned()));
        paths
            .map(|path| unified((&name(from, path), &find(before, path)), (&name(to, path), &find(after, path))))
            .collect()
    }
}

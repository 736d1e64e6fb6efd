//! Where a configuration comes from: a file with its includes, or a text made of flags; and the copy of the last one
//! that was applied.
//!
//! The invariant: what was read is kept along with what was made of it, so that the copy holds exactly the bytes that
//! were applied and not what the files say a moment later.

use std::cell::RefCell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evenkeel_config::{Loaded, MemorySource, Options, Source, load, load_text};
use evenkeel_model::caps;
use evenkeel_net::files;
use serde::{Deserialize, Serialize};

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file, read anew at each reload.
    File(PathBuf),
    /// A text that stays what it is, such as one made of flags.
    Text {
        /// What it is called in messages: `command line`.
        name: String,
        /// The text.
        text: String,
    },
    /// A text that its holder may replace between reloads.
    Live {
        /// What it is called in messages.
        name: String,
        /// The text.
        text: LiveText,
    },
    /// What was applied once.
    Kept {
        /// What it is called in messages.
        name: String,
        /// What it was made of.
        texts: Box<Texts>,
    },
}

/// A text shared with whoever may replace it.
#[derive(Debug, Clone)]
pub struct LiveText(Arc<Mutex<String>>);

impl LiveText {
    /// A text for now.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Mutex::new(text)))
    }

    /// Replaces it; the next reload reads the new one.
    pub fn set(&self, text: String) {
        *self.lock() = text;
    }

    fn get(&self) -> String {
        self.lock().clone()
    }

    /// The text is replaced whole, so that a panic elsewhere cannot leave half of it.
    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A configuration that was read, with the bytes that it was made of.
#[derive(Debug)]
pub struct Loading {
    /// The configuration, or what is wrong with it.
    pub loaded: Loaded,
    /// The bytes.
    pub texts: Texts,
}

impl Origin {
    /// Reads the configuration.
    pub fn load(&self, options: &Options) -> Loading {
        match self {
            Self::File(path) => {
                let source = Recording { inner: &Disk, read: RefCell::default() };
                let loaded = load(path, &source, options);
                let entry = path.to_string_lossy().into_owned();
                Loading { loaded, texts: Texts { entry, is_file: true, files: source.read.into_inner() } }
            }
            Self::Text { name, text } => load_named(name, text.clone(), options),
            Self::Live { name, text } => load_named(name, text.get(), options),
            Self::Kept { texts, .. } => Loading { loaded: texts.load(options), texts: (**texts).clone() },
        }
    }

    /// The file's path, or what the text is called.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text { name, .. } | Self::Live { name, .. } | Self::Kept { name, .. } => name.clone(),
        }
    }
}

fn load_named(name: &str, text: String, options: &Options) -> Loading {
    let source = Recording { inner: &Disk, read: RefCell::default() };
    let loaded = load_text(name, text.as_bytes(), &source, options);
    let mut files = source.read.into_inner();
    files.insert(0, TextFile { path: PathBuf::from(name), text });
    Loading { loaded, texts: Texts { entry: name.to_owned(), is_file: false, files } }
}

/// Every text that a configuration was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    entry: String,
    is_file: bool,
    files: Vec<TextFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TextFile {
    path: PathBuf,
    text: String,
}

impl Texts {
    /// The text of the entry file.
    pub fn entry(&self) -> &str {
        self.files.first().map(|file| file.text.as_str()).unwrap_or_default()
    }

    /// Every file with its text, the entry first.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().map(|file| (file.path.as_path(), file.text.as_str()))
    }

    /// Makes a configuration of the texts again, without looking at the files.
    pub fn load(&self, options: &Options) -> Loaded {
        let memory = self
            .files
            .iter()
            .fold(MemorySource::default(), |memory, file| memory.with(&file.path, file.text.as_bytes()));
        if self.is_file {
            load(Path::new(&self.entry), &memory, options)
        } else {
            load_text(&self.entry, self.entry().as_bytes(), &memory, options)
        }
    }
}

/// The file system.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let file = files::open_plain(path).map_err(|error| words(&error))?;
        let most = u64::try_from(caps::CONFIG_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).map_err(|error| words(&error))?;
        Ok(bytes)
    }

    /// Stars are for file names: those in the directories' part of a pattern are not looked at.
    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.contains(['*', '?']) {
            return Ok(if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() });
        }
        let parent = pattern.parent().filter(|parent| !parent.as_os_str().is_empty());
        let listed = std::fs::read_dir(parent.unwrap_or(Path::new("."))).map_err(|error| words(&error))?;
        let mut there = MemorySource::default();
        for entry in listed {
            let entry = entry.map_err(|error| words(&error))?;
            let path = parent.map_or_else(|| PathBuf::from(entry.file_name()), |parent| parent.join(entry.file_name()));
            // A hidden file (an editor's, a package manager's) is not meant by a star.
            if path.is_file() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                there = there.with(path, Vec::new());
            }
        }
        there.glob(pattern)
    }
}

/// Whether a path is a descriptor that whoever started this program gave it, as `<(…)` of a shell is: it can be read once,
/// and waiting for it is meant.
pub fn is_handed_over(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || ["/dev/fd", "/proc/self/fd"].iter().any(|place| path.starts_with(place))
}

struct Recording<'a> {
    inner: &'a dyn Source,
    read: RefCell<Vec<TextFile>>,
}

impl Source for Recording<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let bytes = self.inner.read(path)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.read.borrow_mut().push(TextFile { path: path.to_owned(), text });
        Ok(bytes)
    }

    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        self.inner.glob(pattern)
    }
}

/// A system's error in words, without its number: `no such file or directory`.
pub(crate) fn words(error: &std::io::Error) -> String {
    // Whoever runs it need not know at what byte, nor which layer of ours noticed.
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return "it went away".to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn errors_are_told_in_the_words_of_who_reads_them() {
        let of_library = "peer closed connection without sending TLS close_notify: https://docs.rs/a/library";
        let gone = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, of_library);
        assert_eq!(words(&gone), "it went away");
        assert_eq!(words(&std::io::Error::from_raw_os_error(2)), "no such file or directory");
    }

    const GOOD: &str = "http 127.0.0.1:8080 {\n    to 127.0.0.1:9001\n}\n";

    #[test]
    fn a_copy_holds_the_bytes_that_were_applied() {
        let dir = Scratch::new();
        let (entry, part) = (dir.path().join("a.conf"), dir.path().join("part.conf"));
        std::fs::write(&entry, format!("include {}/p*.conf\n", dir.path().display())).unwrap();
        std::fs::write(&part, GOOD).unwrap();
        let loading = Origin::File(entry).load(&Options::default());
        let config = loading.loaded.config.clone().unwrap();

        std::fs::write(&part, "nonsense\n").unwrap();
        let kept: Texts = serde_json::from_str(&serde_json::to_string(&loading.texts).unwrap()).unwrap();
        assert_eq!(kept.load(&Options::default()).config, Some(config));
    }

    #[test]
    fn a_text_of_flags_loads_without_a_file() {
        let origin = Origin::Text { name: "command line".to_owned(), text: GOOD.to_owned() };
        let loading = origin.load(&Options::default());
        let config = loading.loaded.config.unwrap();
        assert_eq!(config.listeners.len(), 1);
        assert_eq!(loading.texts.load(&Options::default()).config, Some(config));
    }

    #[test]
    fn a_star_finds_files_by_name_but_no_hidden_ones() {
        let dir = Scratch::new();
        for name in ["a.conf", "b.conf", ".c.conf", "d.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let mut found = Disk.glob(&dir.path().join("*.conf")).unwrap();
        found.sort();
        assert_eq!(found, [dir.path().join("a.conf"), dir.path().join("b.conf")]);
        assert_eq!(Disk.glob(&dir.path().join("none.conf")).unwrap(), Vec::<PathBuf>::new());
        assert!(Disk.glob(&dir.path().join("absent/*.conf")).unwrap_err().contains("no such file"));
    }
}

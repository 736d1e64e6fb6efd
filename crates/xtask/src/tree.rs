//! The repository's own files, read once: what tidy looks at.
//!
//! Not what `cargo` builds from other places, nor anything under `target`. Its invariant: paths are relative to the
//! root, with `/`, in sorted order.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::Manifest;
use crate::source::Source;

/// Folders that hold nothing of ours.
const FOREIGN: &[&str] = &["target", ".git", "artifacts", "book"];

/// Endings of files that are read as text.
const TEXTS: &[&str] = &["rs", "toml", "md", "conf", "service", "sh", "txt", "json", "lock"];

/// The files of the repository.
pub(crate) struct Tree {
    /// Every text file: path and content.
    pub(crate) texts: Vec<(String, String)>,
    /// The Rust files.
    pub(crate) sources: Vec<Source>,
    /// The manifests.
    pub(crate) manifests: Vec<Manifest>,
}

impl Tree {
    /// Reads the repository at the root.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut texts = Vec::new();
        collect(root, root, &mut texts)?;
        Ok(Self::from_texts(texts))
    }

    /// A tree of the given files: path and content.
    pub(crate) fn from_texts(mut texts: Vec<(String, String)>) -> Self {
        texts.sort();
        let ending = |wanted: &'static str| move |(path, _): &&(String, String)| path.ends_with(wanted);
        let sources = texts.iter().filter(ending(".rs")).map(|(path, text)| Source::new(path, text)).collect();
        let manifests =
            texts.iter().filter(ending("Cargo.toml")).map(|(path, text)| Manifest::new(path, text)).collect();
        Self { texts, sources, manifests }
    }

    /// The content of a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str())
    }
}

/// The root of the repository: two levels above this crate's manifest.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).expect("this crate lies in crates/xtask").to_owned()
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || FOREIGN.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, texts)?;
        } else if is_text(&path, &name) {
            let inside = path.strip_prefix(root).expect("the walk began at the root");
            if let Ok(text) = fs::read_to_string(&path) {
                texts.push((inside.to_string_lossy().into_owned(), text));
            }
        }
    }
    Ok(())
}

fn is_text(path: &Path, name: &str) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    TEXTS.contains(&ending.as_str()) || name.starts_with("LICENSE") || name == "run"
}

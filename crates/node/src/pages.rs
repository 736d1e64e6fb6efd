//! Error pages: the files of `errors DIR`, read whole when a configuration is prepared.
//!
//! The invariant: once a configuration runs, no request waits for the disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_model::caps;
use evenkeel_model::config::Config;
use evenkeel_net::files;
use evenkeel_proxy::ErrorPages;

use crate::origin::words;

/// Error pages by directory.
pub(crate) type Pages = HashMap<PathBuf, Arc<ErrorPages>>;

/// Most files of one directory: one of each kind for every status that we send is far below it.
const MOST_FILES: usize = 256;

/// Reads the pages that a configuration names.
///
/// # Errors
/// Every directory or file that cannot be read, and every file over the cap, in words.
pub(crate) fn read(config: &Config) -> Result<Pages, Vec<String>> {
    let mut pages = Pages::new();
    let mut wrong = Vec::new();
    for dir in config.listeners.iter().flat_map(|listener| &listener.sites).filter_map(|site| site.errors.as_ref()) {
        if pages.contains_key(dir) {
            continue;
        }
        match read_dir(dir) {
            Ok(files) => {
                pages.insert(dir.clone(), Arc::new(ErrorPages::new(files)));
            }
            Err(cause) => wrong.push(cause),
        }
    }
    if wrong.is_empty() { Ok(pages) } else { Err(wrong) }
}

/// The pages of one directory by file name, in the names' order.
pub(crate) fn read_dir(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, String> {
    let fail = |path: &Path, error: &std::io::Error| format!("error pages in `{}`: {}", path.display(), words(error));
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| fail(dir, &error))? {
        let entry = entry.map_err(|error| fail(dir, &error))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if !path.extension().is_some_and(|kind| kind == "html" || kind == "json") {
            continue;
        }
        let size = std::fs::metadata(&path).map_err(|error| fail(&path, &error))?.len();
        if usize::try_from(size).map_or(true, |size| size > caps::ERROR_PAGE_BYTES) {
            return Err(format!(
                "error page `{}` has {size} bytes, and a page has at most {}",
                path.display(),
                caps::ERROR_PAGE_BYTES
            ));
        }
        if pages.len() == MOST_FILES {
            return Err(format!("`{}` has more than {MOST_FILES} error pages", dir.display()));
        }
        pages.push((name, files::read_plain(&path, caps::ERROR_PAGE_BYTES).map_err(|error| fail(&path, &error))?));
    }
    pages.sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn only_pages_are_read_and_in_order() {
        let dir = Scratch::new();
        for (name, text) in [("503.html", "busy"), ("5xx.json", "{}"), ("README", "x")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let files = read_dir(dir.path()).unwrap();
        assert_eq!(files, [("503.html".to_owned(), b"busy".to_vec()), ("5xx.json".to_owned(), b"{}".to_vec())]);
    }

    #[test]
    fn a_page_over_the_cap_is_refused_by_name() {
        let dir = Scratch::new();
        std::fs::write(dir.path().join("500.html"), vec![b'x'; caps::ERROR_PAGE_BYTES + 1]).unwrap();
        let cause = read_dir(dir.path()).unwrap_err();
        assert!(cause.contains("500.html") && cause.contains("262145"), "{cause}");
    }

    #[test]
    fn an_absent_directory_is_named() {
        assert!(read_dir(Path::new("/nonexistent/errors")).unwrap_err().contains("/nonexistent/errors"));
    }
}

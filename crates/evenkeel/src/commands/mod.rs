//! The commands, one file for each kind.

mod aside;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod dns;
pub(crate) mod fmt;
mod init;
pub(crate) mod papers;
pub(crate) mod passwd;
pub(crate) mod remote;
pub(crate) mod run;
pub(crate) mod session;
pub(crate) mod steer;
pub(crate) mod top;
pub(crate) mod zonefile;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use evenkeel_config::Options;
use evenkeel_model::caps;
use evenkeel_node::{Loading, Origin, is_handed_over};

use crate::args::DEFAULT_FILE;

/// The origin of a configuration: a file, the default one, or the standard input.
fn origin(file: Option<&Path>) -> Result<Origin, String> {
    match file {
        Some(file) if file == Path::new("-") => {
            let bytes = begin_of_stream(&mut io::stdin())
                .map_err(|error| format!("the standard input cannot be read: {error}"))?;
            Ok(Origin::Text { name: "stdin".to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
        }
        // What can be read once is a text: there is no file to read anew.
        Some(file) if is_handed_over(file) => {
            let bytes = begin_of(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
            let name = if file.ends_with("stdin") { "stdin" } else { "pipe" };
            Ok(Origin::Text { name: name.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
        }
        Some(file) => Ok(Origin::File(file.to_owned())),
        None => Ok(Origin::File(PathBuf::from(DEFAULT_FILE))),
    }
}

/// As much of a file as a configuration may have, and a byte more, so that one that is too large is known.
fn begin_of(file: &Path) -> io::Result<Vec<u8>> {
    begin_of_stream(&mut std::fs::File::open(file)?)
}

fn begin_of_stream(stream: &mut dyn Read) -> io::Result<Vec<u8>> {
    let most = u64::try_from(caps::CONFIG_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    stream.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads it.
fn load(file: Option<&Path>) -> Result<Loading, String> {
    Ok(origin(file)?.load(&Options::default()))
}

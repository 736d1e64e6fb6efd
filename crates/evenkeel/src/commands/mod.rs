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

use std::io::Read;
use std::path::{Path, PathBuf};

use evenkeel_config::Options;
use evenkeel_model::caps;
use evenkeel_node::{Loading, Origin};

use crate::args::DEFAULT_FILE;

/// The origin of a configuration: a file, the default one, or the standard input.
fn origin(file: Option<&Path>) -> Result<Origin, String> {
    match file {
        Some(file) if file == Path::new("-") => {
            let most = u64::try_from(caps::CONFIG_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            let mut bytes = Vec::new();
            std::io::stdin()
                .take(most)
                .read_to_end(&mut bytes)
                .map_err(|error| format!("the standard input cannot be read: {error}"))?;
            Ok(Origin::Text { name: "stdin".to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() })
        }
        Some(file) => Ok(Origin::File(file.to_owned())),
        None => Ok(Origin::File(PathBuf::from(DEFAULT_FILE))),
    }
}

/// Reads it.
fn load(file: Option<&Path>) -> Result<Loading, String> {
    Ok(origin(file)?.load(&Options::default()))
}

//! The recorded data that tests compare with. It lies beside the project, not in it.
//!
//! The invariant: absent data is said aloud, and is a failure where `EVENKEEL_SHARED` says that it is there.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

/// The cases of a data file; `None` where the file is not there and may be absent.
pub(crate) fn cases(file: &str) -> Option<Vec<Value>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let further = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared");
    let named = std::env::var_os("EVENKEEL_SHARED").map(PathBuf::from);
    let is_named = named.is_some();
    let roots = named.map_or_else(|| vec![beside, further], |root| vec![root]);
    let path = roots.iter().map(|root| root.join("data").join(file)).find(|path| path.is_file());
    let Some(path) = path else {
        assert!(!is_named, "{file} is not below the directory that EVENKEEL_SHARED names");
        eprintln!("NOT TESTED: {file} is absent; set EVENKEEL_SHARED to the directory above data/");
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A text field of a case.
pub(crate) fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case.get(field).and_then(Value::as_str).unwrap_or_default()
}

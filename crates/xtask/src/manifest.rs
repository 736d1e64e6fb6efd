//! What the tidy rules need of a `Cargo.toml`: who is depended on, and which tables stand in it.
//!
//! It is not a TOML parser: it reads tables, keys and the lines they stand on, which is all that manifests kept by
//! `cargo` itself need. Its invariant: every key of a dependency table is reported.

/// One manifest.
pub(crate) struct Manifest {
    /// Where it is, from the root of the repository.
    pub(crate) path: String,
    /// Every key, with the table that it stands in.
    pub(crate) keys: Vec<Key>,
}

/// A line `name = value` and its table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The table's name: `package`, `dependencies`, `target.'cfg(unix)'.dependencies`.
    pub(crate) table: String,
    /// The key without `.workspace`.
    pub(crate) name: String,
    /// What stands after `=`.
    pub(crate) value: String,
    /// The line, from 1.
    pub(crate) line: usize,
}

/// Which of a crate's dependencies are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Those of the crate itself and of its build script.
    Product,
    /// Those of its tests.
    Test,
}

impl Manifest {
    /// Reads the text of the manifest at that path.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut keys = Vec::new();
        let mut table = String::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.split(']').next()) {
                name.trim_matches('[').clone_into(&mut table);
                // `[dependencies.tokio]` says as much as a key `tokio` in `[dependencies]`.
                if let Some((outer, inner)) = table.clone().rsplit_once('.')
                    && outer.ends_with("dependencies")
                {
                    let (name, value) = (inner.to_owned(), String::new());
                    keys.push(Key { table: outer.to_owned(), name, value, line: at + 1 });
                }
            } else if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                let name = name.trim().trim_end_matches(".workspace").trim_matches('"').to_owned();
                keys.push(Key { table: table.clone(), name, value: value.trim().to_owned(), line: at + 1 });
            }
        }
        Self { path: path.to_owned(), keys }
    }

    /// The value of a key, quotes removed.
    pub(crate) fn value(&self, table: &str, name: &str) -> Option<&str> {
        let key = self.keys.iter().find(|key| key.table == table && key.name == name)?;
        Some(key.value.trim_matches('"'))
    }

    /// The dependencies of that kind.
    pub(crate) fn dependencies(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| {
            let table = key.table.rsplit('.').next().unwrap_or("");
            match kind {
                Kind::Product => {
                    matches!(table, "dependencies" | "build-dependencies") && !key.table.starts_with("workspace")
                }
                Kind::Test => table == "dev-dependencies",
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Manifest};

    #[test]
    fn every_form_of_a_dependency_is_seen() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\nc = \"1\"\n[target.'cfg(unix)'.dependencies]\n\
                    d = \"1\"\n[dependencies.e]\nversion = \"1\"\n[dev-dependencies]\nf = \"1\"\n# g = 1\n";
        let manifest = Manifest::new("crates/a/Cargo.toml", text);
        let names = |kind| manifest.dependencies(kind).map(|key| key.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(Kind::Product), ["b", "c", "d", "e"]);
        assert_eq!(names(Kind::Test), ["f"]);
        assert_eq!(manifest.value("package", "name"), Some("a"));
    }
}

//! Where the demo keeps what a node needs files for: its control socket, and the hash of the dashboard's password.
//!
//! The invariant: the folder is the user's alone, and goes away with the demo.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use evenkeel_admin::access;

/// The dashboard's user.
pub(super) const USER: &str = "demo";

/// The folder, and the password whose hash is in it.
pub(super) struct House {
    folder: PathBuf,
    password: String,
}

impl House {
    /// A new folder in the system's place for temporary ones.
    ///
    /// # Errors
    /// Where it, or its file, cannot be written.
    pub(super) fn build() -> io::Result<Self> {
        let chance = evenkeel_node::chance();
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (name, rest) = chance.split_at(4);
        let (password, rest) = rest.split_at(5);
        let folder = std::env::temp_dir().join(format!("evenkeel-demo-{}", digits(name)));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let house = Self { folder, password: digits(password) };
        let salt = rest.first_chunk::<16>().copied().unwrap_or_default();
        let hash = access::hash_password(house.password.as_bytes(), &salt).map_err(io::Error::other)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(house.hash())?;
        writeln!(file, "{hash}")?;
        Ok(house)
    }

    /// The file with the hash of the password.
    pub(super) fn hash(&self) -> PathBuf {
        self.folder.join("demo.pass")
    }

    /// The control socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }

    /// Another file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The access log, for the dashboard's view of it.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// What to type at the dashboard.
    pub(super) fn password(&self) -> &str {
        &self.password
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // The system clears its folder for temporary files in any case.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

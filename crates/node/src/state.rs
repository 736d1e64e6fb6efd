//! The state directory: what outlives the process. Keys, the last verdicts, the last configuration that was applied.
//!
//! The invariant: a file in it is either whole or absent (each is written beside its place and then moved there), and
//! nobody but the process's user can read a key.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use evenkeel_model::config::{Cluster, Group};
use evenkeel_net::process::User;
use evenkeel_net::{clock, files, process, rng};

use crate::history::History;
use crate::intents::Intents;
use crate::keeper::SavedVerdicts;
use crate::origin::{Texts, words};
use crate::secrets::{OwnSecrets, SECRET_BYTES};

/// The mode of the directory: it holds keys.
const DIR_MODE: u32 = 0o700;
/// The mode of those above it that are not there: they hold nothing of ours, and whoever the process becomes passes through.
const PARENT_MODE: u32 = 0o755;
/// The mode of what is in it.
const FILE_MODE: u32 = 0o600;
/// More bytes than a file of ours has; a larger one is not ours.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The secrets of tokens that the nodes of a cluster told each other.
const STICKY_KEYS: &str = "sticky.keys";
const STICKY_KEY: &str = "sticky.key";
const HASH_SEED: &str = "hash.seed";
/// The seed of the names of sessions that nodes share.
const CLUSTER_SEED: &str = "cluster.seed";
const VERDICTS: &str = "verdicts.json";
const INTENTS: &str = "intents.json";
const CLAIMS: &str = "claims.json";
const LAST_GOOD: &str = "last-good.json";
const ZONEFILE_DEBTS: &str = "zonefile-owed.json";
const SESSIONS: &str = "sessions.table";
/// What settings of the kernel were before the address guard changed them.
const SILENCED: &str = "silenced";
const HISTORY: &str = "history";

/// What has to be the process's own to be read and replaced. What the guard or a start as root leaves is not among them.
const OWN: [&str; 10] =
    [STICKY_KEYS, STICKY_KEY, HASH_SEED, VERDICTS, INTENTS, CLAIMS, LAST_GOOD, ZONEFILE_DEBTS, SESSIONS, HISTORY];

/// The state directory, or that there is none.
#[derive(Debug, Clone)]
pub(crate) struct State {
    dir: Option<PathBuf>,
    /// Held as long as the directory is ours.
    _lock: Option<Arc<File>>,
    /// Held by who changes the file of claims.
    claiming: Arc<Mutex<()>>,
}

/// Why a directory is not used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It cannot be made or opened, or another process has it.
    Unavailable(String),
    /// It is there, and this process could not keep things in it; the sentence says what mends that.
    Unfit(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unavailable(cause) | Self::Unfit(cause)) = self;
        f.write_str(cause)
    }
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(words(&error))
    }
}

/// The last configuration that was applied by a process with that state directory.
pub fn last_good(dir: &Path) -> Option<Texts> {
    let bytes = State { dir: Some(dir.to_owned()), ..State::none() }.read(LAST_GOOD)?;
    serde_json::from_slice(&bytes).ok()
}

impl State {
    /// Keeps nothing.
    pub(crate) fn none() -> Self {
        Self { dir: None, _lock: None, claiming: Arc::default() }
    }

    /// Whether there is a directory, so that anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.dir.is_some()
    }

    /// The directory, made with mode 0700 if it is not there. `owner` is who the process is to become later.
    ///
    /// # Errors
    /// Where it cannot be made, or it or what is in it belongs to somebody else, or others may write to it.
    pub(crate) fn open(dir: &Path, owner: Option<&User>) -> Result<Self, Unusable> {
        make(dir, owner)?;
        let mode = std::fs::metadata(dir)?.permissions().mode() & 0o777;
        if mode & 0o022 != 0 {
            let way_out = format!("others may write to it (mode {mode:04o}); run `chmod 0700 {}`", dir.display());
            return Err(Unusable::Unfit(way_out));
        }
        demand_own(dir, owner).map_err(Unusable::Unfit)?;
        // Root goes everywhere.
        if let Some(owner) = owner.filter(|owner| owner.uid != 0) {
            demand_way(dir, owner)?;
        }
        let Some(lock) = files::lock_dir(dir)? else {
            let held = "another evenkeel that runs uses it; each needs a directory of its own";
            return Err(Unusable::Unavailable(held.to_owned()));
        };
        Ok(Self { dir: Some(dir.to_owned()), _lock: Some(Arc::new(lock)), ..Self::none() })
    }

    /// The secrets from which keys of sticky cookies are derived where the configuration names none: one that is made once,
    /// and those of other nodes. Without a directory they last as long as the process.
    ///
    /// # Errors
    /// Where the file cannot be used, in words.
    pub(crate) fn sticky_secrets(&self) -> Result<OwnSecrets, String> {
        let secret = self.secret(STICKY_KEY)?;
        let made = self.path(STICKY_KEY).and_then(|path| std::fs::metadata(path).ok()?.modified().ok());
        let made = made.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_else(clock::unix_now);
        let mut all = OwnSecrets::of(secret, made.as_secs());
        match self.read(STICKY_KEYS).map(|bytes| OwnSecrets::from_json(&bytes)) {
            Some(Ok(known)) => {
                all.merge(&known);
            }
            Some(Err(error)) => {
                tracing::warn!("the other nodes' secrets in `{STICKY_KEYS}` are unreadable and not used: {error}");
            }
            None => {}
        }
        Ok(all)
    }

    /// Keeps what other nodes told of theirs.
    pub(crate) fn save_sticky_secrets(&self, secrets: &OwnSecrets) {
        let _is_written = self.write(STICKY_KEYS, &secrets.to_json());
    }

    /// The seed of hashes: the same over restarts, so that a hashed client finds the same server.
    ///
    /// # Errors
    /// Where the file cannot be used, in words.
    pub(crate) fn hash_seed(&self) -> Result<[u8; 16], String> {
        let secret = self.secret(HASH_SEED)?;
        let seed = secret.first_chunk::<16>().copied();
        seed.ok_or_else(|| format!("`{HASH_SEED}` is too short"))
    }

    /// Where the seed of the names of sessions that this node shares with others is kept.
    pub(crate) fn cluster_seed(&self) -> Option<PathBuf> {
        self.path(CLUSTER_SEED)
    }

    /// What the last process held the servers for; nothing where that is unknown or unreadable.
    pub(crate) fn verdicts(&self) -> SavedVerdicts {
        let Some(text) = self.read(VERDICTS) else { return SavedVerdicts::default() };
        SavedVerdicts::from_json(&text).unwrap_or_else(|error| {
            tracing::warn!("the saved verdicts are unreadable and not used: {error}");
            SavedVerdicts::default()
        })
    }

    /// Leaves the verdicts to the next process.
    pub(crate) fn save_verdicts(&self, verdicts: &SavedVerdicts) {
        let _is_written = self.write(VERDICTS, &verdicts.to_json());
    }

    /// What operators ordered of the last process and did not lift; nothing where that is unreadable. `me` is this node's
    /// id where orders are shared.
    pub(crate) fn intents(&self, me: Option<u32>) -> Intents {
        let kept = self.read(INTENTS).and_then(|text| match Intents::of_kept(&text, me) {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::error!("what operators ordered is unreadable in `{INTENTS}` and forgotten: {error}");
                None
            }
        });
        kept.unwrap_or_else(|| Intents::shared_as(me))
    }

    /// Keeps what operators order.
    ///
    /// # Errors
    /// In a sentence, where it could not be written; what was kept before stays then.
    pub(crate) fn save_intents(&self, intents: &Intents) -> Result<(), String> {
        self.replace(INTENTS, &intents.to_json())
    }

    /// Remembers a configuration that was applied.
    pub(crate) fn save_last_good(&self, texts: &Texts) {
        match serde_json::to_vec_pretty(texts) {
            Ok(bytes) => {
                let _is_written = self.write(LAST_GOOD, &bytes);
            }
            Err(error) => tracing::warn!("the applied configuration could not be kept: {error}"),
        }
    }

    /// Where learned sessions are kept, if anywhere.
    pub(crate) fn sessions(&self) -> Option<PathBuf> {
        self.path(SESSIONS)
    }

    /// The configurations that were applied.
    pub(crate) fn history(&self) -> History {
        History::new(self.path(HISTORY))
    }

    /// For each group of a cluster the highest claim that was kept; 0 where none was.
    pub(crate) fn claims(&self, cluster: &Cluster) -> Vec<u64> {
        let kept = self.kept_claims();
        let claim = |group: &Group| kept.get(&format!("{}/{}", cluster.name, group.name)).copied().unwrap_or(0);
        cluster.groups.iter().map(claim).collect()
    }

    /// Keeps a claim to a group, so that this node knows after a restart that it was made. It may be called from several
    /// threads at once, in any order, and waits for the disk.
    pub(crate) fn save_claim(&self, cluster: &str, group: &str, claim: u64) {
        // Whoever panicked here has at worst not written its claim.
        let _alone = self.claiming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claims = self.kept_claims();
        let known = claims.entry(format!("{cluster}/{group}")).or_default();
        if *known >= claim {
            return;
        }
        *known = claim;
        if let Ok(bytes) = serde_json::to_vec(&claims) {
            let _is_written = self.write(CLAIMS, &bytes);
        }
    }

    fn kept_claims(&self) -> BTreeMap<String, u64> {
        let text = self.read(CLAIMS);
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn secret(&self, name: &str) -> Result<Vec<u8>, String> {
        let Some(path) = self.path(name) else { return Ok(rng::seed().to_vec()) };
        match std::fs::metadata(&path) {
            Ok(meta) => {
                let mode = meta.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    let path = path.display();
                    return Err(format!("`{path}` can be read by others (mode {mode:04o}); run `chmod 0600 {path}`"));
                }
                let secret =
                    std::fs::read(&path).map_err(|error| format!("`{}`: {}", path.display(), words(&error)))?;
                if secret.len() < SECRET_BYTES {
                    return Err(format!(
                        "`{}` has {} bytes, not {SECRET_BYTES}; remove it",
                        path.display(),
                        secret.len()
                    ));
                }
                Ok(secret)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secret = rng::seed().to_vec();
                files::write_atomic(&path, &secret, FILE_MODE)
                    .map_err(|error| format!("`{}`: {}", path.display(), words(&error)))?;
                Ok(secret)
            }
            Err(error) => Err(format!("`{}`: {}", path.display(), words(&error))),
        }
    }

    /// Where the address guard notes what it changed of the kernel's settings.
    pub(crate) fn silenced(&self) -> Option<PathBuf> {
        self.path(SILENCED)
    }

    /// Where the zone-file checker keeps what it owes.
    pub(crate) fn zonefile_debts(&self) -> Option<PathBuf> {
        self.path(ZONEFILE_DEBTS)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(name))
    }

    /// A file of the directory, if it is there and of a size that ours have.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name)?;
        let size = std::fs::metadata(&path).ok()?.len();
        (size <= MOST_BYTES).then(|| std::fs::read(&path).ok()).flatten()
    }

    /// Replaces a file of the directory, and says whether that was done: a full disk costs what would have been
    /// remembered, and nothing else.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> bool {
        let written = self.replace(name, bytes);
        if let Err(cause) = &written
            && self.is_kept()
        {
            tracing::warn!("{cause}");
        }
        written.is_ok()
    }

    /// [`write`](Self::write) for who says himself what a failure means.
    ///
    /// # Errors
    /// In a sentence.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let path = self.path(name).ok_or("there is no state directory")?;
        let written = files::write_atomic(&path, bytes, FILE_MODE);
        written.map_err(|error| format!("`{}` could not be written: {}", path.display(), words(&error)))
    }

    /// The names of files that begin so, in their order.
    pub(crate) fn names(&self, beginning: &str) -> Vec<String> {
        let entries = self.dir.as_ref().and_then(|dir| std::fs::read_dir(dir).ok());
        let names = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(beginning)).collect();
        names.sort_unstable();
        names
    }
}

/// Makes what is not there of it, as the owner's.
fn make(dir: &Path, owner: Option<&User>) -> io::Result<()> {
    let is_absent = |it: &&Path| !it.as_os_str().is_empty() && !it.exists();
    let missing: Vec<&Path> = dir.ancestors().skip(1).take_while(is_absent).collect();
    for parent in missing.into_iter().rev() {
        DirBuilder::new().recursive(true).mode(PARENT_MODE).create(parent)?;
        if owner.is_some() {
            // The mask of whoever started us, who is somebody else, says nothing of who needs the way.
            std::fs::set_permissions(parent, Permissions::from_mode(PARENT_MODE))?;
        }
    }
    let is_made = !dir.exists();
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir)?;
    match owner {
        Some(owner) if is_made => chown(dir, Some(owner.uid), Some(owner.gid)),
        _ => Ok(()),
    }
}

/// That the directory and what we keep in it is the process's own: else it would start, and read and keep nothing.
fn demand_own(dir: &Path, owner: Option<&User>) -> Result<(), String> {
    let (uid, name) = match owner {
        Some(owner) => (owner.uid, owner.name.clone()),
        None => (process::uid(), process::uid().to_string()),
    };
    let holder = |path: &Path| std::fs::metadata(path).map(|meta| meta.uid()).ok().filter(|holder| *holder != uid);
    let all = || OWN.iter().map(|file| dir.join(file));
    let (what, holder) = match holder(dir) {
        Some(holder) => ("it".to_owned(), holder),
        // Root reads everything.
        None if uid == 0 => return Ok(()),
        None => match all().find_map(|path| holder(&path).map(|holder| (path, holder))) {
            Some((path, holder)) => (format!("`{}`", path.display()), holder),
            None => return Ok(()),
        },
    };
    let dir = dir.display();
    Err(format!("{what} belongs to user {holder}, and this process runs as {name}; run `chown -R {name} {dir}`"))
}

/// That whoever the process becomes passes through every directory above, as far as modes say. What an access list says of
/// a directory goes before its mode, and is not read.
fn demand_way(dir: &Path, owner: &User) -> Result<(), Unusable> {
    let whole = std::fs::canonicalize(dir)?;
    for above in whole.ancestors().skip(1) {
        if files::has_access_list(above) {
            continue;
        }
        let meta = std::fs::metadata(above)?;
        let way = match () {
            () if meta.uid() == owner.uid => 0o100,
            () if owner.groups.contains(&meta.gid()) => 0o010,
            () => 0o001,
        };
        let mode = meta.permissions().mode() & 0o777;
        if mode & way == 0 {
            let (name, above) = (&owner.name, above.display());
            let way_out =
                format!("user {name} does not come through `{above}` (mode {mode:04o}); run `chmod a+x {above}`");
            return Err(Unusable::Unfit(way_out));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_secret_is_made_once_and_only_ours_to_read() {
        let dir = Scratch::new();
        let path = dir.path().join("state");
        let state = State::open(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);

        let secret = state.sticky_secrets().unwrap();
        assert!(State::open(&path, None).unwrap_err().to_string().contains("another evenkeel"));
        drop(state);
        let state = State::open(&path, None).unwrap();
        assert!(state.sticky_secrets().unwrap() == secret);
        assert_eq!(state.hash_seed().unwrap(), state.hash_seed().unwrap());
        let key = path.join(STICKY_KEY);
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        assert!(state.sticky_secrets().err().unwrap().contains("chmod 0600"));
    }

    #[test]
    fn without_a_directory_secrets_last_as_long_as_their_holder() {
        let state = State::none();
        assert!(state.sticky_secrets().unwrap() != state.sticky_secrets().unwrap());
    }

    #[test]
    fn the_last_good_configuration_is_found_again() {
        let dir = Scratch::new();
        let path = dir.path().join("state");
        assert_eq!(last_good(&path), None);
        let text = "http :1 {\n    respond 200\n}\n".to_owned();
        let origin = crate::Origin::Text { name: "command line".to_owned(), text };
        let texts = origin.load(&evenkeel_config::Options::default()).texts;
        State::open(&path, None).unwrap().save_last_good(&texts);
        assert_eq!(last_good(&path), Some(texts));
    }

    #[test]
    fn of_claims_that_are_kept_at_once_none_is_lost() {
        let dir = Scratch::new();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let state = State::open(dir.path(), None).unwrap();
        let claims: Vec<(String, u64)> =
            (0..8).flat_map(|group| (1..=5).rev().map(move |claim| (format!("group{group}"), claim))).collect();
        let keep = |(group, claim): (String, u64)| {
            let state = state.clone();
            std::thread::spawn(move || state.save_claim("edge", &group, claim))
        };
        let threads: Vec<_> = claims.into_iter().map(keep).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let kept = state.kept_claims();
        let kept: Vec<u64> = (0..8).filter_map(|group| kept.get(&format!("edge/group{group}")).copied()).collect();
        assert_eq!(kept, [5; 8]);
    }

    #[test]
    fn a_directory_that_others_write_to_is_refused() {
        let dir = Scratch::new();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(State::open(dir.path(), None).unwrap_err().to_string().contains("mode 0777"));
    }

    /// A user without rights, as whom root may say that it goes on; says so where we are not root.
    fn nobody(test: &str) -> Option<User> {
        if process::uid() != 0 {
            eprintln!("SKIPPED {test}: needs root, to give files away");
            return None;
        }
        Some(User { name: "nobody".to_owned(), uid: 65534, gid: 65534, groups: vec![65534] })
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_stands_above_a_directory_that_is_made_lets_its_user_through() {
        let Some(user) = nobody("what_stands_above_a_directory_that_is_made_lets_its_user_through") else { return };
        let dir = Scratch::new();
        let whole = dir.path().join("a/b/state");
        let state = State::open(&whole, Some(&user)).unwrap();
        let above = whole.parent().unwrap();
        assert_eq!([mode(&dir.path().join("a")), mode(above), mode(&whole)], [0o755, 0o755, 0o700]);
        assert_eq!(std::fs::metadata(&whole).unwrap().uid(), user.uid);
        drop(state);
        std::fs::set_permissions(above, Permissions::from_mode(0o700)).unwrap();
        let refused = State::open(&whole, Some(&user)).unwrap_err().to_string();
        assert!(refused.contains(&format!("run `chmod a+x {}`", above.display())), "{refused}");
    }

    #[test]
    fn a_directory_that_an_access_list_opens_is_passed_through() {
        let test = "a_directory_that_an_access_list_opens_is_passed_through";
        let Some(user) = nobody(test) else { return };
        let dir = Scratch::new();
        let whole = dir.path().join("above/state");
        drop(State::open(&whole, Some(&user)).unwrap());
        let above = whole.parent().unwrap();
        std::fs::set_permissions(above, Permissions::from_mode(0o700)).unwrap();
        let given = Command::new("setfacl").args(["-m", "u:nobody:x"]).arg(above).output();
        if !given.is_ok_and(|given| given.status.success()) {
            return eprintln!("SKIPPED {test}: no `setfacl`, or a file system without access lists");
        }
        drop(State::open(&whole, Some(&user)).unwrap());
    }

    #[test]
    fn what_root_has_left_is_refused_with_the_way_out() {
        let Some(user) = nobody("what_root_has_left_is_refused_with_the_way_out") else { return };
        let dir = Scratch::new();
        let path = dir.path().join("state");
        let state = State::open(&path, None).unwrap();
        state.sticky_secrets().unwrap();
        drop(state);
        let way_out = format!("runs as nobody; run `chown -R nobody {}`", path.display());
        let refused = State::open(&path, Some(&user)).unwrap_err().to_string();
        assert!(refused.starts_with("it belongs to user 0") && refused.contains(&way_out), "{refused}");
        chown(&path, Some(user.uid), None).unwrap();
        let refused = State::open(&path, Some(&user)).unwrap_err().to_string();
        assert!(refused.contains("sticky.key` belongs to user 0") && refused.contains(&way_out), "{refused}");
        chown(path.join(STICKY_KEY), Some(user.uid), None).unwrap();
        drop(State::open(&path, Some(&user)).unwrap());
        let refused = State::open(&path, None).unwrap_err().to_string();
        assert!(refused.contains("belongs to user 65534, and this process runs as 0"), "{refused}");
    }

    #[test]
    fn a_broken_file_of_verdicts_is_as_none() {
        let dir = Scratch::new();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        std::fs::write(dir.path().join(VERDICTS), "{").unwrap();
        assert_eq!(State::open(dir.path(), None).unwrap().verdicts(), SavedVerdicts::default());
    }
}

//! What a configuration names outside of itself, looked at as a start would, and left as it is: secrets, error pages, logs.
//!
//! The invariant: nothing is made, changed or locked; what may not be read here, or is only there where the service runs, is
//! told as not looked at, and never as wrong.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use evenkeel_config::{Diagnostic, Loaded, Unseen};
use evenkeel_model::config::{AdminUser, Config, CookieValue, LogTarget, Pool, SecretRef};
use evenkeel_net::files;

use crate::cluster;
use crate::door;
use crate::logs;
use crate::origin::words;
use crate::pages;
use crate::secrets::{OwnSecrets, TokenKeys};

/// Stands for this node's own secret, which a pool without a `key=` uses.
const SOME_SECRET: [u8; 32] = [7; 32];

/// What is wrong with what a configuration names, and what could not be looked at.
pub fn problems(loaded: &Loaded) -> Vec<Diagnostic> {
    let Some(config) = &loaded.config else { return Vec::new() };
    let mut found: Vec<Diagnostic> = config.pools.iter().filter_map(|pool| of_pool(pool, loaded)).collect();
    let users = config.admin.iter().flat_map(|admin| &admin.users);
    found.extend(users.filter_map(|user| of_user(user, loaded)));
    found.extend(of_cluster(config, loaded));
    found.extend(of_pages(config, loaded));
    let targets = logs::targets(config);
    found.extend(targets.iter().filter_map(|target| match target {
        LogTarget::File(path) => of_log(path, loaded),
        LogTarget::Stdout | LogTarget::SyslogUnix(_) | LogTarget::SyslogUdp(_) => None,
    }));
    found
}

fn of_pool(pool: &Pool, loaded: &Loaded) -> Option<Diagnostic> {
    let cookies = pool.sticky.iter().filter_map(|sticky| sticky.cookie());
    let mut secrets = cookies.flat_map(|cookie| {
        let key = cookie.key.as_ref().filter(|_| cookie.knows(|form| form == CookieValue::Token));
        [key, cookie.previous.as_ref(), cookie.hmac_key.as_ref()].into_iter().flatten()
    });
    if let Some(cause) = secrets.find_map(unseen) {
        return Some(loaded.not_looked_at(&Unseen::Key(&pool.name), &cause));
    }
    let alone = Config { pools: vec![pool.clone()], ..Config::default() };
    let missing = TokenKeys::default().next(&alone, &OwnSecrets::of(SOME_SECRET.to_vec(), 0)).err()?;
    missing.first().map(|key| loaded.secret_unreadable(&key.pool, &key.cause))
}

fn of_user(user: &AdminUser, loaded: &Loaded) -> Option<Diagnostic> {
    if let Some(cause) = unseen(&user.pass) {
        return Some(loaded.not_looked_at(&Unseen::Pass(&user.name), &cause));
    }
    door::hash(user).err().map(|cause| loaded.pass_unreadable(&user.name, &cause))
}

fn of_cluster(config: &Config, loaded: &Loaded) -> Option<Diagnostic> {
    let cluster = config.cluster.as_ref()?;
    let hidden = std::iter::once(&cluster.key).chain(&cluster.accept).find_map(unseen);
    match hidden {
        Some(cause) => Some(loaded.not_looked_at(&Unseen::Cluster, &cause)),
        None => cluster::keys(cluster).err().map(|refused| loaded.cluster_key_unusable(&refused.cause)),
    }
}

/// Why nothing can be said of a secret from here.
fn unseen(secret: &SecretRef) -> Option<String> {
    match secret {
        SecretRef::File(path) => refused(files::open_plain(path)),
        SecretRef::Env(name) if std::env::var_os(name).is_none() => {
            Some(format!("the environment has no `{name}` here"))
        }
        SecretRef::Credential(name) if std::env::var_os("CREDENTIALS_DIRECTORY").is_none() => {
            Some(format!("only the service has the credential `{name}`"))
        }
        SecretRef::Env(_) | SecretRef::Credential(_) => None,
    }
}

/// Why something may not be looked at; `None` where it may, or is not there.
fn refused<T>(outcome: io::Result<T>) -> Option<String> {
    outcome.err().filter(|error| error.kind() == io::ErrorKind::PermissionDenied).map(|error| words(&error))
}

fn of_pages(config: &Config, loaded: &Loaded) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut seen: Vec<&Path> = Vec::new();
    let sites = config.listeners.iter().flat_map(|listener| &listener.sites);
    for dir in sites.filter_map(|site| site.errors.as_deref()) {
        if seen.contains(&dir) {
            continue;
        }
        seen.push(dir);
        let hidden = refused(fs::read_dir(dir)).or_else(|| {
            let mut pages = fs::read_dir(dir).into_iter().flatten().flatten();
            pages.find_map(|file| refused(files::open_plain(&file.path())))
        });
        match hidden {
            Some(cause) => found.push(loaded.not_looked_at(&Unseen::File(dir), &cause)),
            None => {
                found.extend(pages::read_dir(dir).err().map(|cause| loaded.file_unusable(dir, &cause, dir.exists())))
            }
        }
    }
    found
}

fn of_log(path: &Path, loaded: &Loaded) -> Option<Diagnostic> {
    let fail = |error: &io::Error| {
        let cause = format!("the log `{}` cannot be opened: {}", path.display(), words(error));
        loaded.file_unusable(path, &cause, error.kind() != io::ErrorKind::NotFound)
    };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        // A start makes the file, where there is a directory to make it in.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty())?;
            let inside = fs::metadata(dir).err()?;
            return Some(unwritable(path, &inside, loaded, fail));
        }
        Err(error) => return Some(unwritable(path, &error, loaded, fail)),
    };
    if meta.is_dir() {
        return Some(fail(&io::Error::from(io::ErrorKind::IsADirectory)));
    }
    // A pipe without a reader would hold up whoever opens it.
    let opened = meta.is_file().then(|| OpenOptions::new().append(true).open(path))?;
    opened.err().map(|error| unwritable(path, &error, loaded, fail))
}

fn unwritable(path: &Path, error: &io::Error, loaded: &Loaded, fail: impl Fn(&io::Error) -> Diagnostic) -> Diagnostic {
    match error.kind() {
        io::ErrorKind::PermissionDenied => loaded.not_looked_at(&Unseen::File(path), &words(error)),
        _ => fail(error),
    }
}

//! Secrets and the keys made of them: `file:`, `env:` and `cred:` references are followed here and nowhere else.
//!
//! The invariant: a secret's bytes are held no longer than it takes to derive the key, and appear in no message.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_balance::{Key, Keys};
use evenkeel_model::PoolName;
use evenkeel_model::config::{Config, SecretRef, Sticky};

use crate::origin::words;

/// The most bytes of a secret's file: a larger one is no secret but a mistake.
const MOST_BYTES: u64 = 64 * 1024;

/// Keys of sticky cookies, by pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenKeys {
    keys: HashMap<PoolName, Arc<Keys>>,
    /// Which secret each key was made of, to notice a changed one: a keyed hash that tells nothing else.
    marks: HashMap<PoolName, u64>,
    marker: RandomState,
}

/// A key that could not be had, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoKey {
    pub(crate) pool: PoolName,
    pub(crate) cause: String,
}

impl TokenKeys {
    /// The keys of every sticky pool; `own` is the secret of those that name none. A secret that is unchanged keeps its
    /// key. The key of a changed one stays as the previous, so that no session is lost by the change.
    ///
    /// # Errors
    /// Every pool whose secret cannot be read or is too short.
    pub(crate) fn next(&self, config: &Config, own: &[u8]) -> Result<Self, Vec<NoKey>> {
        let mut next = Self { marker: self.marker.clone(), ..Self::default() };
        let mut missing = Vec::new();
        for pool in &config.pools {
            let Some(cookie) = pool.sticky.iter().find_map(Sticky::cookie) else { continue };
            let secret = cookie.key.as_ref().map_or_else(|| Ok(own.to_vec()), read);
            match secret.and_then(|secret| self.key(&pool.name, &secret)) {
                Ok((mark, keys)) => {
                    next.marks.insert(pool.name.clone(), mark);
                    next.keys.insert(pool.name.clone(), keys);
                }
                Err(cause) => missing.push(NoKey { pool: pool.name.clone(), cause }),
            }
        }
        if missing.is_empty() { Ok(next) } else { Err(missing) }
    }

    /// The keys, as a snapshot takes them.
    pub(crate) fn by_pool(&self) -> &HashMap<PoolName, Arc<Keys>> {
        &self.keys
    }

    /// The pools whose secret is another one than `before`, in the order of their names.
    pub(crate) fn renewed<'a>(&'a self, before: &Self) -> Vec<&'a PoolName> {
        let other = |(pool, mark): &(&PoolName, &u64)| before.marks.get(*pool).is_some_and(|known| known != *mark);
        let mut renewed: Vec<&PoolName> = self.marks.iter().filter(other).map(|(pool, _)| pool).collect();
        renewed.sort_unstable();
        renewed
    }

    fn key(&self, pool: &PoolName, secret: &[u8]) -> Result<(u64, Arc<Keys>), String> {
        let mark = self.marker.hash_one(secret);
        let before = self.keys.get(pool);
        match before {
            Some(keys) if self.marks.get(pool) == Some(&mark) => Ok((mark, Arc::clone(keys))),
            _ => {
                let current = Key::derive(secret).map_err(|weak| weak.to_string())?;
                let previous = before.map(|keys| keys.current.clone());
                Ok((mark, Arc::new(Keys { current, previous })))
            }
        }
    }
}

/// Follows a reference. A trailing newline is the editor's and not the secret's.
pub(crate) fn read(secret: &SecretRef) -> Result<Vec<u8>, String> {
    match secret {
        SecretRef::File(path) => read_file(path),
        SecretRef::Env(name) => std::env::var_os(name)
            .map(|value| value.into_encoded_bytes())
            .ok_or_else(|| format!("the environment has no `{name}`")),
        SecretRef::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(dir) => read_file(&PathBuf::from(dir).join(name)),
            None => Err(format!(
                "there are no credentials: `cred:{name}` needs `LoadCredential={name}:PATH` in the systemd unit"
            )),
        },
    }
}

fn read_file(path: &PathBuf) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("`{}`: {}", path.display(), words(&error));
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > MOST_BYTES {
        return Err(format!("`{}` has {size} bytes, and a secret has at most {MOST_BYTES}", path.display()));
    }
    let mut bytes = std::fs::read(path).map_err(fail)?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use evenkeel_model::ServerName;
    use evenkeel_model::config::{Host, Pool, Server, ServerAddr, StickyCookie, StickyMethod};

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_file_gives_its_bytes_without_the_final_newline() {
        let dir = Scratch::new();
        let path = dir.path().join("key");
        std::fs::write(&path, "sixteen bytes at least\r\n").unwrap();
        assert_eq!(read(&SecretRef::File(path)), Ok(b"sixteen bytes at least".to_vec()));
    }

    fn sticky(name: &str, secret: SecretRef) -> Config {
        let host = Host::Ip("127.0.0.1".parse().unwrap());
        let server = Server::new(ServerName::new("a").unwrap(), ServerAddr { host, port: 80 });
        let mut pool = Pool::new(PoolName::new(name).unwrap(), vec![server]);
        let cookie = StickyCookie { key: Some(secret), ..StickyCookie::of_pool(&pool.name) };
        pool.sticky = vec![Sticky::new(StickyMethod::Cookie(Box::new(cookie)))];
        Config { pools: vec![pool], ..Config::default() }
    }

    #[test]
    fn an_unchanged_secret_keeps_its_key_and_a_changed_one_its_sessions() {
        let dir = Scratch::new();
        let path = dir.path().join("key");
        let config = sticky("shop", SecretRef::File(path.clone()));
        let shop = PoolName::new("shop").unwrap();
        std::fs::write(&path, "the first of two secrets").unwrap();
        let first = TokenKeys::default().next(&config, &[]).unwrap();
        let same = first.next(&config, &[]).unwrap();
        assert!(Arc::ptr_eq(&first.by_pool()[&shop], &same.by_pool()[&shop]));

        std::fs::write(&path, "the second of two secrets").unwrap();
        let second = same.next(&config, &[]).unwrap();
        assert!(second.by_pool()[&shop].previous.is_some());
        assert_eq!((same.renewed(&first), second.renewed(&same)), (vec![], vec![&shop]));
    }

    #[test]
    fn a_short_secret_is_refused_with_its_pool() {
        let dir = Scratch::new();
        let path = dir.path().join("key");
        std::fs::write(&path, "short").unwrap();
        let refused = TokenKeys::default().next(&sticky("shop", SecretRef::File(path)), &[]).unwrap_err();
        assert_eq!(refused.len(), 1);
        assert!(refused[0].pool.as_str() == "shop" && refused[0].cause.contains("5 bytes"), "{refused:?}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let absent = read(&SecretRef::File(PathBuf::from("/nonexistent/key"))).unwrap_err();
        assert!(absent.contains("/nonexistent/key") && absent.contains("no such file"), "{absent}");
        let unset = read(&SecretRef::Env("EVENKEEL_TEST_UNSET".to_owned())).unwrap_err();
        assert!(unset.contains("EVENKEEL_TEST_UNSET"), "{unset}");
    }
}

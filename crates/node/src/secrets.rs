//! Secrets and the keys made of them: `file:`, `env:` and `cred:` references are followed here and nowhere else.
//!
//! The invariant: a secret's bytes are held no longer than it takes to derive the key, and appear in no message.

mod own;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_balance::{Key, Keys, MethodKeys};
use evenkeel_dns::tsig;
use evenkeel_model::PoolName;
use evenkeel_model::config::{Config, CookieValue, Pool, SecretRef, Sticky, StickyCookie};
use evenkeel_net::{files, process};

use crate::origin::words;

pub(crate) use own::{OwnSecrets, SECRET_BYTES};

/// The most bytes of a secret's file: a larger one is no secret but a mistake.
const MOST_BYTES: u64 = 64 * 1024;

/// What the sticky methods of pools need of secrets, by pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct TokenKeys {
    keys: HashMap<PoolName, Arc<[MethodKeys]>>,
    /// Which secrets each method's keys were made of, to notice changed ones.
    marks: HashMap<PoolName, Vec<Mark>>,
    marker: RandomState,
    /// The version of the own secrets that they were made of.
    own: u64,
}

/// Which secrets a method's keys were made of: keyed hashes that tell nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Mark {
    /// The cookie's name: what a method is known by when its place in the pool changes.
    cookie: String,
    /// The current secret of tokens.
    token: u64,
    /// Those of other nodes.
    others: u64,
    /// What else the configuration refers to.
    rest: u64,
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
    pub(crate) fn next(&self, config: &Config, own: &OwnSecrets) -> Result<Self, Vec<NoKey>> {
        let mut next = Self { marker: self.marker.clone(), own: own.version(), ..Self::default() };
        let mut missing = Vec::new();
        for pool in config.pools.iter().filter(|pool| !pool.sticky.is_empty()) {
            match self.of_pool(pool, own) {
                Ok((marks, keys)) => {
                    next.marks.insert(pool.name.clone(), marks);
                    next.keys.insert(pool.name.clone(), keys);
                }
                Err(cause) => missing.push(NoKey { pool: pool.name.clone(), cause }),
            }
        }
        if missing.is_empty() { Ok(next) } else { Err(missing) }
    }

    /// The same keys with other own secrets. What the configuration refers to is read at a reload, and not here: operators
    /// change it on all nodes before they reload them.
    ///
    /// # Errors
    /// Every pool that takes own secrets where one of them is too short.
    pub(crate) fn with_own(&self, config: &Config, own: &OwnSecrets) -> Result<Self, Vec<NoKey>> {
        let mut next = Self { own: own.version(), ..self.clone() };
        let mut missing = Vec::new();
        for pool in config.pools.iter().filter(|pool| pool.sticky.iter().any(takes_own)) {
            let Some((keys, marks)) = self.keys.get(&pool.name).zip(self.marks.get(&pool.name)) else { continue };
            let held = pool.sticky.iter().zip(marks.iter().zip(keys.iter()));
            let adapted = held.map(|(sticky, (mark, keys))| match sticky.cookie().filter(|_| takes_own(sticky)) {
                Some(cookie) => Secrets::of_own(cookie, own).adapt(mark, keys, &self.marker),
                None => Ok((mark.clone(), keys.clone())),
            });
            match adapted.collect::<Result<(Vec<Mark>, Vec<MethodKeys>), String>>() {
                Ok((marks, keys)) => {
                    next.marks.insert(pool.name.clone(), marks);
                    next.keys.insert(pool.name.clone(), keys.into());
                }
                Err(cause) => missing.push(NoKey { pool: pool.name.clone(), cause }),
            }
        }
        if missing.is_empty() { Ok(next) } else { Err(missing) }
    }

    /// Whether the own secrets are still those that the keys were made of.
    pub(crate) fn are_of(&self, own: &OwnSecrets) -> bool {
        self.own == own.version()
    }

    /// The keys, as a snapshot takes them.
    pub(crate) fn by_pool(&self) -> &HashMap<PoolName, Arc<[MethodKeys]>> {
        &self.keys
    }

    /// The pools whose secret is another one than `before`, in the order of their names.
    pub(crate) fn renewed<'a>(&'a self, before: &Self) -> Vec<&'a PoolName> {
        let is_other = |pool: &&PoolName| {
            let (Some(now), Some(then)) = (self.marks.get(*pool), before.marks.get(*pool)) else { return false };
            now.iter().any(|mark| then.iter().any(|old| old.cookie == mark.cookie && old.token != mark.token))
        };
        let mut renewed: Vec<&PoolName> = self.marks.keys().filter(is_other).collect();
        renewed.sort_unstable();
        renewed
    }

    fn of_pool(&self, pool: &Pool, own: &OwnSecrets) -> Result<(Vec<Mark>, Arc<[MethodKeys]>), String> {
        let secrets = pool.sticky.iter().map(|sticky| Secrets::of(sticky, own)).collect::<Result<Vec<_>, _>>()?;
        let marks: Vec<Mark> = secrets.iter().map(|secrets| secrets.mark(&self.marker)).collect();
        let held = self.keys.get(&pool.name).zip(self.marks.get(&pool.name));
        if let Some((keys, _)) = held.filter(|(_, before)| **before == marks) {
            return Ok((marks, Arc::clone(keys)));
        }
        let mut keys = Vec::with_capacity(secrets.len());
        for (secrets, mark) in secrets.iter().zip(&marks) {
            let before = held.and_then(|(keys, marks)| {
                let place = marks.iter().position(|old| old.cookie == mark.cookie)?;
                Some((marks.get(place)?, keys.get(place)?.token.as_ref()?))
            });
            keys.push(secrets.keys(before.map(|(old, keys)| (old.token != mark.token, keys)))?);
        }
        Ok((marks, keys.into()))
    }
}

/// The secrets of one method.
#[derive(Default)]
struct Secrets {
    cookie: String,
    token: Option<Vec<u8>>,
    previous: Option<Vec<u8>>,
    /// Of the other nodes of the cluster, for who takes the own one.
    others: Vec<Vec<u8>>,
    hmac: Vec<u8>,
}

impl Secrets {
    /// `own` are the secrets of tokens whose method names none.
    fn of(sticky: &Sticky, own: &OwnSecrets) -> Result<Self, String> {
        let Some(cookie) = sticky.cookie() else { return Ok(Self::default()) };
        let secrets = if takes_own(sticky) {
            Self::of_own(cookie, own)
        } else {
            let is_wanted = |form| form == CookieValue::Token;
            let key = cookie.key.as_ref().filter(|_| cookie.knows(is_wanted));
            Self { cookie: cookie.name.clone(), token: key.map(read).transpose()?, ..Self::default() }
        };
        Ok(Self {
            previous: cookie.previous.as_ref().map(read).transpose()?,
            hmac: cookie.hmac_key.as_ref().map(read).transpose()?.unwrap_or_default(),
            ..secrets
        })
    }

    /// What a method that takes own secrets has of them, and nothing else.
    fn of_own(cookie: &StickyCookie, own: &OwnSecrets) -> Self {
        Self {
            cookie: cookie.name.clone(),
            token: Some(own.current().to_vec()),
            others: own.others().map(<[u8]>::to_vec).collect(),
            ..Self::default()
        }
    }

    fn mark(&self, marker: &RandomState) -> Mark {
        Mark {
            cookie: self.cookie.clone(),
            token: marker.hash_one(&self.token),
            others: marker.hash_one(&self.others),
            rest: marker.hash_one((&self.previous, &self.hmac)),
        }
    }

    /// The keys that are held, by these own secrets. What else they were made of stays: it is not read here.
    fn adapt(&self, mark: &Mark, held: &MethodKeys, marker: &RandomState) -> Result<(Mark, MethodKeys), String> {
        let mark = Mark { rest: mark.rest, ..self.mark(marker) };
        let mut made = self.keys(None)?;
        if let (Some(Keys { current, previous }), Some(before)) = (&mut made.token, &held.token) {
            for key in before.previous.iter().chain([&before.current]) {
                if key != current && !previous.contains(key) {
                    previous.push(key.clone());
                }
            }
        }
        Ok((mark, MethodKeys { hmac: held.hmac.clone(), ..made }))
    }

    /// The keys, with what was held before and whether its secret is another one: its key then opens tokens still.
    fn keys(&self, before: Option<(bool, &Keys)>) -> Result<MethodKeys, String> {
        let derive = |secret: &Vec<u8>| Key::derive(secret).map_err(|weak| weak.to_string());
        let Some(current) = self.token.as_ref().map(derive).transpose()? else {
            return Ok(MethodKeys { token: None, hmac: self.hmac.clone() });
        };
        let accepted = self.previous.iter().chain(&self.others);
        let mut previous = accepted.map(derive).collect::<Result<Vec<Key>, String>>()?;
        match before {
            Some((true, keys)) => previous.push(keys.current.clone()),
            Some((false, keys)) => previous.extend(keys.previous.last().cloned()),
            None => {}
        }
        Ok(MethodKeys { token: Some(Keys { current, previous }), hmac: self.hmac.clone() })
    }
}

/// Whether its tokens are sealed by the secret that this node made itself.
fn takes_own(sticky: &Sticky) -> bool {
    sticky.cookie().is_some_and(|it| it.key.is_none() && it.knows(|form| form == CookieValue::Token))
}

/// The key that signs transfers or updates, in the form that `tsig-keygen` writes.
pub(crate) fn tsig_key(secret: &SecretRef) -> Result<tsig::Key, String> {
    let text = String::from_utf8(read(secret)?).map_err(|_| "it is no text".to_owned())?;
    let mut keys = tsig::Key::read_all(&text).map_err(|error| error.to_string())?;
    match keys.len() {
        1 => Ok(keys.remove(0)),
        count => Err(format!("there are {count} keys in it; write each in a file of its own")),
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

/// [`read`] for a secret that is worth more than one client's session: a file that others can read is refused.
pub(crate) fn read_private(secret: &SecretRef) -> Result<Vec<u8>, String> {
    if let SecretRef::File(path) = secret {
        let fail = |error: std::io::Error| unreadable(path, &error);
        let mode = std::fs::metadata(path).map_err(fail)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(format!("the key `{path}` can be read by others (mode {mode:04o}): run `chmod 0600 {path}`"));
        }
    }
    read(secret)
}

/// Why a file cannot be read; where it may not be, for whom and what to do.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let (path, why) = (path.display(), words(error));
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return format!("`{path}`: {why}");
    }
    let user = process::uid();
    format!(
        "`{path}`: {why}: this process runs as user {user}: `chown {user} {path}`, and let that user into the folders above \
         it; or hand it over by `LoadCredential=NAME:{path}` in the systemd unit, and say `cred:NAME`"
    )
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| unreadable(path, &error);
    let meta = std::fs::metadata(path).map_err(fail)?;
    let (size, mode) = (meta.len(), meta.permissions().mode() & 0o777);
    if mode & 0o007 != 0 {
        let path = path.display();
        tracing::warn!("the secret `{path}` can be read by every user (mode {mode:04o}): run `chmod 0600 {path}`");
    }
    if size > MOST_BYTES {
        return Err(format!("`{}` has {size} bytes, and a secret has at most {MOST_BYTES}", path.display()));
    }
    let mut bytes = files::read_plain(path, usize::try_from(MOST_BYTES).unwrap_or(usize::MAX)).map_err(fail)?;
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
    use evenkeel_model::config::{Host, Server, ServerAddr, StickyMethod};

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_file_gives_its_bytes_without_the_final_newline() {
        let dir = Scratch::new();
        let path = dir.path().join("key");
        std::fs::write(&path, "sixteen bytes at least\r\n").unwrap();
        assert_eq!(read(&SecretRef::File(path)), Ok(b"sixteen bytes at least".to_vec()));
    }

    fn none() -> OwnSecrets {
        OwnSecrets::of(Vec::new(), 0)
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
        let first = TokenKeys::default().next(&config, &none()).unwrap();
        let same = first.next(&config, &none()).unwrap();
        assert!(Arc::ptr_eq(&first.by_pool()[&shop], &same.by_pool()[&shop]));

        std::fs::write(&path, "the second of two secrets").unwrap();
        let second = same.next(&config, &none()).unwrap();
        assert_eq!(second.by_pool()[&shop][0].token.as_ref().unwrap().previous.len(), 1);
        assert_eq!((same.renewed(&first), second.renewed(&same)), (vec![], vec![&shop]));
    }

    #[test]
    fn what_another_node_tells_has_no_file_read_anew() {
        let dir = Scratch::new();
        let path = dir.path().join("key");
        std::fs::write(&path, "the first of two secrets").unwrap();
        let file = || Some(SecretRef::File(path.clone()));
        let mut config = sticky("shop", SecretRef::File(path.clone()));
        let named = |name: &str| Pool { name: PoolName::new(name).unwrap(), ..config.pools[0].clone() };
        let with = |name: &str, change: fn(StickyCookie, Option<SecretRef>) -> StickyCookie| {
            let mut pool = without_key(named(name));
            let cookie = change(StickyCookie::of_pool(&pool.name), file());
            pool.sticky = vec![Sticky::new(StickyMethod::Cookie(Box::new(cookie)))];
            pool
        };
        let more = [
            with("cart", |cookie, _| cookie),
            with("book", |cookie, previous| StickyCookie { previous, ..cookie }),
            with("mail", |cookie, hmac_key| StickyCookie { hmac_key, ..cookie }),
        ];
        config.pools.extend(more);
        let [shop, cart, book, mail] = ["shop", "cart", "book", "mail"].map(|name| PoolName::new(name).unwrap());
        let mut own = OwnSecrets::of(b"a secret of this node, as it was".to_vec(), 2);
        let first = TokenKeys::default().next(&config, &own).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(own.merge(&OwnSecrets::of(b"a secret of the other node there".to_vec(), 3)));
        let then = first.with_own(&config, &own).unwrap();
        let accepted = |keys: &TokenKeys, pool| keys.by_pool()[pool][0].token.as_ref().unwrap().previous.len();
        assert!(Arc::ptr_eq(&first.by_pool()[&shop], &then.by_pool()[&shop]));
        assert_eq!([&cart, &book, &mail].map(|pool| accepted(&first, pool)), [0, 1, 0]);
        assert_eq!([&cart, &book, &mail].map(|pool| accepted(&then, pool)), [1, 2, 1]);
        assert_eq!(then.by_pool()[&mail][0].hmac, b"the first of two secrets");
        assert!(then.are_of(&own) && !first.are_of(&own) && then.renewed(&first).is_empty());

        // An older one becomes the one of all, and what was current is accepted still.
        assert!(own.merge(&OwnSecrets::of(b"the oldest secret of three nodes".to_vec(), 1)));
        let last = then.with_own(&config, &own).unwrap();
        assert_eq!([&cart, &book, &mail].map(|pool| accepted(&last, pool)), [2, 3, 2]);
        assert_eq!(last.renewed(&then), [&book, &cart, &mail]);
        // The files as they were: nothing is another than a reload makes it.
        std::fs::write(&path, "the first of two secrets").unwrap();
        let same = last.next(&config, &own).unwrap();
        assert!([&cart, &book, &mail].iter().all(|it| Arc::ptr_eq(&same.by_pool()[it], &last.by_pool()[it])));
    }

    #[test]
    fn a_key_that_is_taken_out_of_the_file_opens_tokens_still_also_beside_other_nodes_secrets() {
        let dir = Scratch::new();
        let path = dir.path().join("key");
        std::fs::write(&path, "the key of the file so far").unwrap();
        let config = sticky("shop", SecretRef::File(path));
        let mut own = OwnSecrets::of(b"a secret of this node, as it was".to_vec(), 1);
        own.merge(&OwnSecrets::of(b"a secret of the other node there".to_vec(), 2));
        let first = TokenKeys::default().next(&config, &own).unwrap();
        let shop = PoolName::new("shop").unwrap();
        let bare = Config { pools: config.pools.into_iter().map(without_key).collect(), ..Config::default() };
        let then = first.next(&bare, &own).unwrap();
        // That of the other node, and the file's.
        assert_eq!(then.by_pool()[&shop][0].token.as_ref().unwrap().previous.len(), 2);
    }

    fn without_key(pool: Pool) -> Pool {
        let cookie = StickyCookie::of_pool(&pool.name);
        Pool { sticky: vec![Sticky::new(StickyMethod::Cookie(Box::new(cookie)))], ..pool }
    }

    #[test]
    fn a_short_secret_is_refused_with_its_pool() {
        let dir = Scratch::new();
        let path = dir.path().join("key");
        std::fs::write(&path, "short").unwrap();
        let refused = TokenKeys::default().next(&sticky("shop", SecretRef::File(path)), &none()).unwrap_err();
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

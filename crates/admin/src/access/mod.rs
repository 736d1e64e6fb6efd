//! Who may come in at the admin listener, and what they may do.
//!
//! [`Access`] is what the configuration says and changes with it; [`Guard`] is what is remembered: who is signed in, who has failed, what
//! was found right a moment ago. The invariants: a password is hashed on a thread for slow work, a few at a time; how long an answer takes
//! says nothing about a user's being there or about where a password differs.

mod attempts;
mod logins;
mod origin;
mod proof;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use evenkeel_model::caps;
use evenkeel_model::config::{HostPattern, Role};
use evenkeel_net::{clock, rng};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE};
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};
use crate::{Caller, Via};
use attempts::Attempts;
use logins::Logins;
use proof::Proof;

pub(crate) use origin::{check_host, check_page};
pub use proof::{hash_password, look_at_hash, make_token};

/// How long a password that was found right need not be hashed again: scripts send it with each request.
const FRESH: Duration = Duration::from_secs(300);

/// What the configuration says of the admin listener.
#[derive(Debug, Clone, Default)]
pub struct Access {
    users: Vec<User>,
    hosts: Vec<HostPattern>,
    is_read_only: bool,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    role: Role,
    proof: Proof,
}

impl Access {
    /// Access for these users: name, role and hash.
    ///
    /// # Errors
    /// The user whose hash is none, and what is wrong with it.
    pub fn new(
        users: impl IntoIterator<Item = (String, Role, String)>,
        hosts: Vec<HostPattern>,
        is_read_only: bool,
    ) -> Result<Self, String> {
        let read = |(name, role, hash): (String, Role, String)| match Proof::read(&hash) {
            Ok(proof) => Ok(User { name, role, proof }),
            Err(wrong) => Err(format!("user `{name}`: {wrong}")),
        };
        Ok(Self { users: users.into_iter().map(read).collect::<Result<_, _>>()?, hosts, is_read_only })
    }

    /// Lets nobody in: there is no admin listener any more.
    pub(crate) fn nobody() -> Self {
        let user = User { name: String::new(), role: Role::Read, proof: Proof::Token(blake3::hash(&rng::seed())) };
        Self { users: vec![user], hosts: Vec::new(), is_read_only: true }
    }

    /// Whether there are users; without them everybody may look.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Names by which browsers may call.
    pub(crate) fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    /// Whether nobody may change anything.
    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}

/// What is remembered over requests and configurations.
#[derive(Debug)]
pub(crate) struct Guard {
    held: Mutex<Held>,
    /// Hashing takes a core and 19 MiB each.
    hashing: Semaphore,
    key: [u8; 32],
}

#[derive(Debug, Default)]
struct Held {
    attempts: Attempts,
    logins: Logins,
    /// Keyed hashes of what was found right, and when.
    fresh: HashMap<blake3::Hash, Duration>,
}

/// What somebody shows.
enum Shown {
    Nothing,
    Password { user: String, password: Vec<u8> },
    Token(Vec<u8>),
    Login(String),
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self { held: Mutex::default(), hashing: Semaphore::new(caps::ADMIN_HASHES), key: rng::seed() }
    }

    /// Who sends the request; `None` for somebody who shows nothing.
    ///
    /// # Errors
    /// Where what is shown is wrong, or too much was tried.
    pub(crate) async fn caller(
        &self,
        head: &HeaderMap,
        access: &Access,
        from: IpAddr,
    ) -> Result<Option<Caller>, Problem> {
        let via = Via::Listener(from);
        if access.users.is_empty() {
            return Ok(Some(Caller { name: "anybody".to_owned(), role: Role::Read, via }));
        }
        let user = match shown(head)? {
            Shown::Nothing => return Ok(None),
            Shown::Login(token) => match self.signed_in(&token, access) {
                Some(user) => user,
                // A login that is over is as none: the page asks for a new one.
                None => return Ok(None),
            },
            Shown::Token(token) => self.by_token(&token, access, from)?,
            Shown::Password { user, password } => self.by_password(&user, password, access, from).await?,
        };
        Ok(Some(Caller { name: user.name.clone(), role: user.role, via }))
    }

    /// Signs somebody in by password or token, and gives the token for the cookie.
    ///
    /// # Errors
    /// Where the two do not belong together, or too much was tried.
    pub(crate) async fn sign_in(
        &self,
        user: &str,
        password: &str,
        access: &Access,
        from: IpAddr,
    ) -> Result<(String, Role), Problem> {
        let user = self.by_password(user, password.as_bytes().to_vec(), access, from).await?;
        let token = self.lock().logins.begin(&user.name, mark(user), &rng::seed(), clock::now());
        Ok((token, user.role))
    }

    /// Signs the holder of a cookie out.
    pub(crate) fn sign_out(&self, head: &HeaderMap) {
        if let Some(token) = login_of(head) {
            self.lock().logins.end(&token);
        }
    }

    fn signed_in<'a>(&self, token: &str, access: &'a Access) -> Option<&'a User> {
        let (name, made_with) = self.lock().logins.find(token, clock::now())?;
        access.user(&name).filter(|user| mark(user) == made_with)
    }

    fn by_token<'a>(&self, token: &[u8], access: &'a Access, from: IpAddr) -> Result<&'a User, Problem> {
        self.attempt(from)?;
        // Every user is looked at, whoever it is.
        let fits = |user: &&User| matches!(user.proof, Proof::Token(_)) && user.proof.is_proven_by(token);
        let found = access.users.iter().filter(fits).fold(None, |_, user| Some(user));
        match found {
            Some(user) => {
                self.lock().attempts.give_back(from);
                Ok(user)
            }
            None => Err(wrong()),
        }
    }

    async fn by_password<'a>(
        &self,
        name: &str,
        password: Vec<u8>,
        access: &'a Access,
        from: IpAddr,
    ) -> Result<&'a User, Problem> {
        let user = access.user(name);
        // For somebody who is not there, or who has a token, the same work is done on somebody else's hash.
        let mut passwords = access.users.iter().filter(|user| matches!(user.proof, Proof::Password(_)));
        let decoy = passwords.next().map(|user| user.proof.clone());
        let own = user.map(|user| user.proof.clone());
        let Some(proof) = own.or_else(|| decoy.clone()).or_else(|| access.users.first().map(|user| user.proof.clone()))
        else {
            return Err(wrong());
        };
        let print = self.print(name, &password, &proof);
        // It is looked for whoever it is, so that nobody's being there shows in the time.
        let is_fresh = self.is_fresh(print);
        if let Some(user) = user.filter(|_| is_fresh) {
            return Ok(user);
        }
        self.attempt(from)?;
        let _permit = self.hashing.acquire().await;
        let prove = move || {
            let proven = proof.is_proven_by(&password);
            if let (Proof::Token(_), false, Some(decoy)) = (&proof, proven, decoy) {
                let _as_long = decoy.is_proven_by(&password);
            }
            proven
        };
        let proven = tokio::task::spawn_blocking(prove).await.unwrap_or(false);
        let user = user.filter(|_| proven).ok_or_else(wrong)?;
        let mut held = self.lock();
        held.attempts.give_back(from);
        let now = clock::now();
        held.fresh.retain(|_, since| now.saturating_sub(*since) < FRESH);
        if held.fresh.len() < caps::ADMIN_LOGINS {
            held.fresh.insert(print, now);
        }
        Ok(user)
    }

    fn attempt(&self, from: IpAddr) -> Result<(), Problem> {
        self.lock()
            .attempts
            .take(from, clock::now())
            .map_err(|wait| Problem::new(Code::A205, format!("try again in {} s", wait.as_secs().max(1))))
    }

    fn is_fresh(&self, print: blake3::Hash) -> bool {
        self.lock().fresh.get(&print).is_some_and(|since| clock::now().saturating_sub(*since) < FRESH)
    }

    fn print(&self, name: &str, password: &[u8], proof: &Proof) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let proof = match proof {
            Proof::Password(phc) => phc.as_bytes(),
            Proof::Token(hash) => hash.as_bytes(),
        };
        for part in [name.as_bytes(), proof, password] {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).update(part);
        }
        hasher.finalize()
    }

    /// Each holder makes one step, so that a panic leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the request shows a login of ours.
pub(crate) fn has_login(head: &HeaderMap) -> bool {
    login_of(head).is_some()
}

fn shown(head: &HeaderMap) -> Result<Shown, Problem> {
    let Some(value) = head.get(AUTHORIZATION) else {
        return Ok(login_of(head).map_or(Shown::Nothing, Shown::Login));
    };
    let unreadable = || {
        Problem::new(Code::A201, "`Authorization` is neither `Basic` with user and password nor `Bearer` with a token")
    };
    let value = value.to_str().map_err(|_| unreadable())?;
    let (scheme, rest) = value.split_once(' ').ok_or_else(unreadable)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        return Ok(Shown::Token(rest.as_bytes().to_vec()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(unreadable());
    }
    let bytes = Base64::decode_vec(rest).map_err(|_| unreadable())?;
    let colon = bytes.iter().position(|byte| *byte == b':').ok_or_else(unreadable)?;
    let (user, password) = bytes.split_at(colon);
    let user = String::from_utf8(user.to_vec()).map_err(|_| unreadable())?;
    Ok(Shown::Password { user, password: password.get(1..).unwrap_or_default().to_vec() })
}

fn login_of(head: &HeaderMap) -> Option<String> {
    let cookies = head.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == logins::COOKIE).map(|(_, token)| token.to_owned())
}

/// The `Set-Cookie` of a login; an empty token ends it. No `Secure`: the listener speaks plain HTTP.
pub(crate) fn cookie(token: &str) -> String {
    let life = if token.is_empty() { "; Max-Age=0" } else { "" };
    format!("{}={token}; Path=/; HttpOnly; SameSite=Strict{life}", logins::COOKIE)
}

fn mark(user: &User) -> blake3::Hash {
    match &user.proof {
        Proof::Password(phc) => blake3::hash(phc.as_bytes()),
        Proof::Token(hash) => *hash,
    }
}

/// The one answer to everything that does not fit.
fn wrong() -> Problem {
    Problem::new(Code::A201, "there is no such user, or it is another password")
}

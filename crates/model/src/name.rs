//! Names: how a thing stays the same thing across reloads, restarts and nodes.
//!
//! State (verdicts, counters, sessions, intents) hangs on these names and never on an address or a position
//! in a list. Names are cheap to clone: they share their text.

use std::fmt;
use std::sync::Arc;

/// A text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    /// The text that was offered.
    pub text: String,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` cannot be a name: 1 to {} letters, digits, `-`, `_` or `.`, beginning with a letter or a digit",
            self.text,
            crate::caps::NAME_BYTES
        )
    }
}

impl std::error::Error for InvalidName {}

fn is_name(text: &str) -> bool {
    let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    starts_well
        && text.len() <= crate::caps::NAME_BYTES
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

macro_rules! checked_name {
    ($name:ident) => {
        impl $name {
            /// A name from operator's text.
            ///
            /// # Errors
            /// Where the text is empty, too long, or has other characters than letters, digits, `-`, `_` and `.`.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                if is_name(text) { Ok(Self(Arc::from(text))) } else { Err(InvalidName { text: text.to_owned() }) }
            }
        }
    };
}

name! {
    /// The name of a pool, unique in a configuration.
    PoolName
}
name! {
    /// The name of a server, unique in its pool.
    ServerName
}
name! {
    /// What a listener is called in messages, logs and metrics: its address as the operator wrote it (`:80`).
    ListenerName
}

checked_name!(PoolName);
checked_name!(ServerName);

impl PoolName {
    /// The name of the pool that a listener's own `to` line makes. It holds a character that no written name may
    /// hold, so that the two never meet.
    pub fn of_listener(listener: &ListenerName) -> Self {
        Self(Arc::from(format!("@{listener}")))
    }

    /// The same for a block that serves only some hosts of its address, told apart by the first of them.
    pub fn of_site(listener: &ListenerName, host: &str) -> Self {
        Self(Arc::from(format!("@{listener},{host}")))
    }
}

impl ServerName {
    /// The name of a server that was given by address alone (`to 10.0.0.1:80`): the address as written.
    pub fn of_address(address: &str) -> Self {
        Self(Arc::from(address))
    }
}

impl ListenerName {
    /// The name of the listener at an address, as written.
    pub fn of_address(address: &str) -> Self {
        Self(Arc::from(address))
    }
}

/// A server's full name: `pool/server`, stable across reloads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId {
    /// The pool that the server belongs to.
    pub pool: PoolName,
    /// The server's name in that pool.
    pub server: ServerName,
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_letters_digits_and_three_marks() {
        for good in ["a", "shop", "web-1", "10.0.0.1", "a_b"] {
            assert!(PoolName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "a/b", "@x", "ä", &"x".repeat(65)] {
            assert!(PoolName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_pool_of_a_listener_has_a_name_that_cannot_be_written() {
        let made = PoolName::of_listener(&ListenerName::of_address(":80"));
        assert_eq!(made.as_str(), "@:80");
        assert!(PoolName::new(made.as_str()).is_err());
        let site = PoolName::of_site(&ListenerName::of_address(":80"), "shop.example.com");
        assert_eq!(site.as_str(), "@:80,shop.example.com");
        assert_ne!(site, made);
    }
}

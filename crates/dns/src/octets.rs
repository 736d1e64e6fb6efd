//! Rows of bytes that are mostly short, as names and data of records are.
//!
//! A large zone has a million of them, so that a short row is kept in place and asks for no memory of its own. The
//! invariant: how a row is kept follows from its length, and shows nowhere.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// Most bytes that are kept in place: as many as fit where a pointer with its length would stand, and a word beside it.
const IN_PLACE: usize = 22;

/// A row of bytes.
#[derive(Clone)]
pub(crate) enum Octets {
    /// So many of these.
    Short(u8, [u8; IN_PLACE]),
    /// More than fit in place.
    Long(Box<[u8]>),
}

impl Octets {
    /// A row of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut short = [0; IN_PLACE];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(bytes);
                Self::Short(length, short)
            }
            _ => Self::Long(bytes.into()),
        }
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Octets {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Octets {}

impl Hash for Octets {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialOrd for Octets {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Octets {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_length_are_what_they_were_made_of() {
        assert_eq!(size_of::<Octets>(), 24);
        let bytes: Vec<u8> = (0..=255).collect();
        let rows: Vec<Octets> = (0..bytes.len()).map(|length| Octets::of(&bytes[..length])).collect();
        for (length, row) in rows.iter().enumerate() {
            assert_eq!(&**row, &bytes[..length]);
            assert_eq!(*row, row.clone());
            assert!(rows[..length].iter().all(|shorter| shorter < row && shorter != row));
        }
    }
}

//! Positions of servers in a pool's list, and sets of them.
//!
//! A position means something within one snapshot only and is never stored beyond it: what lasts hangs on names.

#[cfg(test)]
mod tests;

/// A server's position in the server list of its pool, in the snapshot at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerIndex(pub u16);

impl ServerIndex {
    /// The position as an index of slices.
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of servers of one pool: those that a request has tried.
///
/// Pools of up to 64 servers cost no allocation; a larger one costs a bit for each server, once it is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSet {
    first: u64,
    rest: Vec<u64>,
}

impl ServerSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { first: 0, rest: Vec::new() }
    }

    /// Puts a server in.
    pub fn insert(&mut self, index: ServerIndex) {
        let (word, bit) = place(index);
        match word.checked_sub(1) {
            None => self.first |= bit,
            Some(word) => {
                if self.rest.len() <= word {
                    self.rest.resize(word + 1, 0);
                }
                self.rest[word] |= bit;
            }
        }
    }

    /// Takes every server out, and keeps the memory.
    pub fn clear(&mut self) {
        self.first = 0;
        self.rest.fill(0);
    }

    /// Whether the server is in.
    pub fn contains(&self, index: ServerIndex) -> bool {
        let (word, bit) = place(index);
        let held = match word.checked_sub(1) {
            None => self.first,
            Some(word) => self.rest.get(word).copied().unwrap_or(0),
        };
        held & bit != 0
    }

    /// How many servers are in.
    pub fn len(&self) -> usize {
        let ones: u32 = self.rest.iter().map(|word| word.count_ones()).sum();
        (self.first.count_ones() + ones) as usize
    }

    /// Whether none is in.
    pub fn is_empty(&self) -> bool {
        self.first == 0 && self.rest.iter().all(|word| *word == 0)
    }
}

fn place(index: ServerIndex) -> (usize, u64) {
    (index.at() / 64, 1 << (index.0 % 64))
}

//! Things that are made once and used again, and the rule for how many lie about.
//!
//! Not here: what they are. The invariant: a worker keeps what it needed at the busiest moment of the last turn of its
//! broom, and [`caps::SPARES_PER_WORKER`] besides, so that a steady load asks the allocator for nothing however many
//! requests are under way, and the memory of a crowd goes soon after it.

use std::cell::{Cell, RefCell};

use evenkeel_model::caps;

/// A worker's spare things of one kind, the latest used on top.
#[derive(Debug)]
pub(crate) struct Spares<T> {
    items: RefCell<Vec<T>>,
    /// The fewest that lay here since they were last trimmed: so many nobody needed.
    unneeded: Cell<usize>,
}

impl<T> Default for Spares<T> {
    fn default() -> Self {
        Self { items: RefCell::default(), unneeded: Cell::new(0) }
    }
}

impl<T> Spares<T> {
    /// One of them.
    pub(crate) fn take(&self) -> Option<T> {
        let mut items = self.items.borrow_mut();
        let item = items.pop();
        self.unneeded.set(self.unneeded.get().min(items.len()));
        item
    }

    /// Puts one back.
    pub(crate) fn put(&self, item: T) {
        self.items.borrow_mut().push(item);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.items.borrow().len()
    }

    /// Lets all of them go; how many went.
    pub(crate) fn clear(&self) -> usize {
        self.unneeded.set(0);
        self.items.take().len()
    }

    /// Lets those go that nobody needed since it was last asked, but for some; how many went.
    pub(crate) fn trim(&self) -> usize {
        let mut items = self.items.borrow_mut();
        let surplus = self.unneeded.get().saturating_sub(caps::SPARES_PER_WORKER).min(items.len());
        items.drain(..surplus);
        if surplus > 0 {
            items.shrink_to(2 * caps::SPARES_PER_WORKER);
        }
        self.unneeded.set(items.len());
        surplus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_steady_load_needs_stays_and_what_nobody_needs_goes() {
        let (spares, crowd) = (Spares::default(), 4 * caps::SPARES_PER_WORKER);
        (0..crowd).for_each(|item| spares.put(item));
        assert_eq!(spares.trim(), 0);
        for _ in 0..3 {
            // As many are under way at once as there are.
            let lent: Vec<usize> = std::iter::from_fn(|| spares.take()).collect();
            assert_eq!(lent.len(), crowd);
            lent.into_iter().for_each(|item| spares.put(item));
            assert_eq!(spares.trim(), 0);
        }
        // Half of them from now on, then none: the first ones to go are those that lay there longest.
        let lent: Vec<usize> = (0..crowd / 2).filter_map(|_| spares.take()).collect();
        lent.into_iter().for_each(|item| spares.put(item));
        assert_eq!(spares.trim(), crowd / 2 - caps::SPARES_PER_WORKER);
        assert_eq!(spares.trim(), crowd / 2);
        assert_eq!(spares.trim(), 0);
        assert_eq!(std::iter::from_fn(|| spares.take()).count(), caps::SPARES_PER_WORKER);
    }
}

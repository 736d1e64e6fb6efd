//! What runs on a machine for its node: addresses in its kernel, and scripts, by the places that the node was last heard to
//! mean.
//!
//! The invariant: an address that was started, and whose group is not withdrawn, is there as long as the guard lives; one
//! that is not renewed by anybody goes when its lifetime ends.

use std::time::Duration;

use super::layout::{Layout, Part};

/// One resource.
#[derive(Debug, Clone, Default)]
struct Held {
    /// Which address, if it is one.
    address: Option<usize>,
    /// Whether it was started, and not stopped since.
    runs: bool,
    /// Until when the kernel keeps the address.
    until: Option<Duration>,
}

/// One group.
#[derive(Debug, Clone)]
struct Kept {
    number: usize,
    resources: Vec<Held>,
    is_withdrawn: bool,
    /// Whether a reload has changed its resources: then some of them may be stopped that never ran.
    has_changed: bool,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    groups: Vec<Kept>,
}

impl Guard {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { groups: layout.parts.iter().map(Kept::new).collect() }
    }

    /// Follows to other groups: those that stood in them before stay as they are.
    pub(crate) fn arrange(&mut self, layout: &Layout, origins: &[Option<usize>]) {
        let mut before: Vec<Option<Kept>> = std::mem::take(&mut self.groups).into_iter().map(Some).collect();
        for (part, origin) in layout.parts.iter().zip(origins) {
            let mut kept = Kept::new(part);
            if let Some(known) = origin.and_then(|at| before.get_mut(at)?.take()) {
                let is_same =
                    known.resources.iter().map(|held| held.address).eq(kept.resources.iter().map(|it| it.address));
                if is_same {
                    kept.resources = known.resources;
                } else {
                    for held in &mut kept.resources {
                        let same = known.resources.iter().find(|known| known.address == held.address);
                        *held = same.cloned().unwrap_or_else(|| std::mem::take(held));
                    }
                }
                (kept.is_withdrawn, kept.has_changed) = (known.is_withdrawn, known.has_changed || !is_same);
            }
            self.groups.push(kept);
        }
    }

    /// Which address the resource is, if it is one.
    pub(crate) fn address(&self, group: usize, resource: usize) -> Option<usize> {
        self.groups.get(group)?.resources.get(resource)?.address
    }

    /// The group that the address stands in.
    pub(crate) fn group_with(&self, address: usize) -> Option<usize> {
        self.groups.iter().position(|kept| kept.resources.iter().any(|held| held.address == Some(address)))
    }

    /// The addresses of a group that were started.
    pub(crate) fn started(&self, group: usize) -> Vec<usize> {
        let held = self.groups.get(group).map_or(&[][..], |kept| &kept.resources);
        held.iter().filter(|held| held.runs).filter_map(|held| held.address).collect()
    }

    /// Starts a resource: an address until then, unless that fails. Whether it was its turn.
    pub(crate) fn start(&mut self, group: usize, resource: usize, until: Option<Duration>) -> bool {
        let Some(kept) = self.groups.get_mut(group) else { return false };
        let is_next = kept.resources.iter().take(resource).all(|held| held.runs);
        let Some(held) = kept.resources.get_mut(resource) else { return false };
        let is_next = is_next && (kept.has_changed || !held.runs);
        // What fails may run in part.
        held.runs = true;
        if held.address.is_some() && until.is_some() {
            (held.until, kept.is_withdrawn) = (until, false);
        }
        is_next
    }

    /// Stops a resource, unless it stays; whether it was its turn.
    pub(crate) fn stop(&mut self, group: usize, resource: usize, stays: bool) -> bool {
        let Some(kept) = self.groups.get_mut(group) else { return false };
        let is_last = kept.resources.iter().skip(resource + 1).all(|held| !held.runs);
        let Some(held) = kept.resources.get_mut(resource) else { return false };
        let is_last = is_last && (kept.has_changed || held.runs);
        held.runs &= stays;
        if !held.runs {
            held.until = None;
        }
        is_last
    }

    /// Takes the addresses of a group away, and remembers them.
    pub(crate) fn withdraw(&mut self, group: usize) {
        let Some(kept) = self.groups.get_mut(group) else { return };
        kept.is_withdrawn = true;
        kept.resources.iter_mut().for_each(|held| held.until = None);
    }

    /// Puts the addresses of a group back.
    pub(crate) fn restore(&mut self, group: usize, until: Duration) {
        if let Some(kept) = self.groups.get_mut(group) {
            kept.is_withdrawn = false;
        }
        self.renew(group, until);
    }

    /// Lets the addresses of a group live on.
    pub(crate) fn renew(&mut self, group: usize, until: Duration) {
        if let Some(kept) = self.groups.get_mut(group).filter(|kept| !kept.is_withdrawn) {
            kept.renew(|_| true, until);
        }
    }

    /// Puts back what the kernel has dropped although it should be there.
    pub(crate) fn put_back(&mut self, now: Duration, until: Duration) {
        for kept in self.groups.iter_mut().filter(|kept| !kept.is_withdrawn) {
            kept.renew(|held| held.until.is_some_and(|until| until <= now), until);
        }
    }

    /// Takes every address away, as with the end of the process that it worked for.
    pub(crate) fn withdraw_all(&mut self) {
        (0..self.groups.len()).for_each(|group| self.withdraw(group));
    }

    /// Stops everything else.
    pub(crate) fn stop_all(&mut self) {
        self.groups.iter_mut().flat_map(|kept| &mut kept.resources).for_each(|held| held.runs = false);
    }

    /// Whether nothing of the group of that number runs.
    pub(crate) fn is_stopped(&self, number: usize) -> bool {
        self.groups.iter().filter(|kept| kept.number == number).all(|kept| kept.resources.iter().all(|held| !held.runs))
    }

    /// Whether the kernel has that address.
    pub(crate) fn has(&self, now: Duration, address: usize) -> bool {
        self.held().any(|held| held.address == Some(address) && held.until.is_some_and(|until| now < until))
    }

    /// When the kernel drops an address, if nobody renews it.
    pub(crate) fn next_end(&self, now: Duration) -> Option<Duration> {
        self.held().filter_map(|held| held.until).filter(|until| *until > now).min()
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.groups.iter().flat_map(|kept| &kept.resources)
    }
}

impl Kept {
    fn new(part: &Part) -> Self {
        let held = |at: usize| Held { address: part.addresses.get(at).copied(), ..Held::default() };
        let resources = (0..part.len()).map(held).collect();
        Self { number: part.number, resources, is_withdrawn: false, has_changed: false }
    }

    fn renew(&mut self, which: impl Fn(&Held) -> bool, until: Duration) {
        for held in self.resources.iter_mut().filter(|held| held.runs && held.address.is_some() && which(held)) {
            held.until = Some(until);
        }
    }
}

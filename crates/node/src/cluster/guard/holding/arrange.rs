//! A reload that brings other groups, or other addresses in them.
//!
//! The invariant: an address that stays in its group stays on its device.

use super::super::super::hand::Arrangement;
use super::{Group, Held, Holding};

impl Holding {
    /// Other groups from now on. An address that stood in the group before stays as it is; one that does no more goes.
    pub(in super::super) fn arrange(&mut self, arrangement: Arrangement) {
        let mut before: Vec<Option<Group>> = std::mem::take(&mut self.groups).into_iter().map(Some).collect();
        let mut gone = Vec::new();
        for (addresses, origin) in arrangement.groups.into_iter().zip(arrangement.origins) {
            let mut group = Group::new(addresses);
            let known = origin.and_then(|at| before.get_mut(at)?.take());
            if let Some(Group { held, is_cut_off, is_withdrawn, sighted_at, from, lingers }) = known {
                let mut known: Vec<Held> = held.into_iter().flatten().collect();
                for held in group.held.iter_mut().flatten() {
                    if let Some(at) = known.iter().position(|known| known.configured == held.configured) {
                        *held = known.swap_remove(at);
                    }
                }
                gone.extend(known);
                group = Group { held: group.held, is_cut_off, is_withdrawn, sighted_at, from, lingers };
            }
            self.groups.push(group);
        }
        gone.extend(before.into_iter().flatten().flat_map(|group| group.held).flatten());
        for place in gone.into_iter().filter_map(|held| held.place) {
            // What cannot be taken away is renewed no more, and dropped by the kernel.
            let _ = self.kernel.remove(place);
        }
        self.find_homes(None);
        // What lacked a device may have others now.
        let back = self.carrier_back();
        self.aside.extend(back);
    }
}

//! A reload that brings other groups, or other addresses in them.
//!
//! The invariant: an address that stays in its group is here all the time, wherever the file wants it now.

use std::time::Duration;

use evenkeel_net::addresses::Place;

use super::super::super::hand::{Arrangement, Report};
use super::{Group, Held, Holding, keep_heirs, refused};

impl Holding {
    /// Other groups from now on. An address that stood in the group before stays, and goes to its new place where it has
    /// one; an address that does no more goes.
    pub(in super::super) fn arrange(&mut self, now: Duration, arrangement: Arrangement) {
        let mut before: Vec<Option<Group>> = std::mem::take(&mut self.groups).into_iter().map(Some).collect();
        let (mut gone, mut changed) = (Vec::new(), Vec::new());
        for (addresses, origin) in arrangement.groups.into_iter().zip(arrangement.origins) {
            let mut group = Group::new(addresses);
            let known = origin.and_then(|at| before.get_mut(at)?.take());
            if let Some(Group { held, is_cut_off, is_withdrawn, sighted_at, from, lingers }) = known {
                let mut known: Vec<Held> = held.into_iter().flatten().collect();
                for (resource, held) in group.held.iter_mut().enumerate() {
                    let Some(held) = held else { continue };
                    // By the address alone: under another prefix it is the same to clients.
                    let is_same = |known: &Held| known.configured.addr == held.configured.addr;
                    let Some(at) = known.iter().position(is_same) else { continue };
                    let known = known.swap_remove(at);
                    if known.configured == held.configured {
                        *held = known;
                    } else if known.place.is_some() {
                        changed.push((self.groups.len(), resource));
                        *held = Held { configured: held.configured.clone(), ..known };
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
        for (group, resource) in changed {
            self.shift(now, group, resource);
        }
        self.find_homes(None);
        // What lacked a device may have others now.
        let back = self.carrier_back();
        self.aside.extend(back);
    }

    /// Has an address that is here go where the file wants it now. Where it cannot, it stays where it is.
    fn shift(&mut self, now: Duration, group: usize, resource: usize) {
        let Some(held) = self.held(group, resource) else { return };
        let (configured, Some(from)) = (held.configured.clone(), held.place) else { return };
        let is_withdrawn = self.groups.get(group).is_some_and(|group| group.is_withdrawn);
        match self.find(&configured).and_then(|to| self.shift_to(from, to, is_withdrawn)) {
            Ok(to) => {
                let home = self.devices.get(&to.device).map(|device| device.name.clone());
                let Some(held) = self.held_mut(group, resource) else { return };
                (held.place, held.home) = (Some(to), home);
                if held.announcing.due().is_some() {
                    held.announcing.begin(now);
                }
            }
            Err(cause) => self.aside.push(Report::Stays { group, addr: configured.addr, cause }),
        }
    }

    fn shift_to(&mut self, from: Place, to: Place, is_withdrawn: bool) -> Result<Place, String> {
        let device = self.devices.get(&to.device).filter(|device| device.index != from.device && !device.is_up);
        if let Some(device) = device {
            return Err(format!("{} is down or has no carrier", device.name));
        }
        // What is withdrawn is in neither place.
        if !is_withdrawn {
            keep_heirs(&self.devices, to);
            self.kernel.shift(from, to, self.lifetime).map_err(|error| refused(&error))?;
        }
        Ok(to)
    }
}

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
                    if known.configured == held.configured && !self.is_astray(&known) {
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

    /// Whether it is elsewhere than the file wants it: it could not go there when that was asked for.
    fn is_astray(&self, held: &Held) -> bool {
        let Some(place) = held.place else { return false };
        let device = self.devices.get(&place.device).map(|device| device.name.as_str());
        held.configured.prefix.is_some_and(|prefix| prefix != place.prefix)
            || held.configured.device.as_deref().is_some_and(|name| device != Some(name))
    }

    /// Has what was to go to a device before go there, now that it is up.
    pub(super) fn bring_to(&mut self, now: Duration, device: &str) {
        let is_bound = |held: &Held| held.configured.device.as_deref() == Some(device) && self.is_astray(held);
        let mut bound = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let astray = group.held.iter().enumerate().filter(|(_, held)| held.as_ref().is_some_and(is_bound));
            bound.extend(astray.map(|(resource, _)| (index, resource)));
        }
        for (group, resource) in bound {
            self.shift(now, group, resource);
        }
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

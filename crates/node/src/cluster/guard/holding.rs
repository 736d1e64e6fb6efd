//! The addresses that are held, and what has to be done to keep them.
//!
//! The invariant: an address is on its device only if it was started, its group is not withdrawn, and the other side is
//! not silent.

mod arrange;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use evenkeel_net::addresses::{Addresses, Device, Place, by_index};
use evenkeel_net::announce::Announcer;

use super::super::hand::{Address, Report, Setup};
use super::announcing::Announcing;
use super::connections::Connections;
use super::heirs;
use super::silence::Silence;

/// The shortest time between two reports of foreign owners of a group: a neighbour at war with us is loud.
const SIGHTINGS: Duration = Duration::from_millis(200);

pub(super) struct Holding {
    kernel: Addresses,
    devices: HashMap<u32, Device>,
    announcers: HashMap<u32, Announcer>,
    /// Devices on which nothing can be announced, as far as was reported.
    mute: HashSet<u32>,
    /// Reports of what was found out in passing.
    aside: Vec<Report>,
    groups: Vec<Group>,
    lifetime: Duration,
    patience: Duration,
    is_silenced: bool,
    nodes: Vec<Vec<IpAddr>>,
    connections: Connections,
}

struct Group {
    held: Vec<Option<Held>>,
    /// Whether it lacks a device or its carrier, as far as was reported.
    is_cut_off: bool,
    is_withdrawn: bool,
    sighted_at: Option<Duration>,
    /// The node that it comes from in good order.
    from: Option<usize>,
    /// Whether it goes in good order.
    lingers: bool,
}

struct Held {
    configured: Address,
    /// The device where it is or would go, as last found: when that goes, the routes that led there go with it.
    home: Option<String>,
    /// Where it is, while it is started.
    place: Option<Place>,
    announcing: Announcing,
}

impl Held {
    fn new(configured: Address) -> Self {
        let home = configured.device.clone();
        Self { configured, home, place: None, announcing: Announcing::default() }
    }
}

impl Group {
    fn new(addresses: Vec<Option<Address>>) -> Self {
        let held = addresses.into_iter().map(|address| address.map(Held::new)).collect();
        Self { held, is_cut_off: false, is_withdrawn: false, sighted_at: None, from: None, lingers: false }
    }

    fn started(&self) -> impl Iterator<Item = Place> {
        self.held.iter().flatten().filter_map(|held| held.place)
    }
}

impl Holding {
    /// Begins with a clean machine: what a dead process left is taken away.
    pub(super) fn new(setup: Setup) -> io::Result<Self> {
        let mut kernel = Addresses::open()?;
        let devices = by_index(kernel.devices()?);
        for place in kernel.tagged()? {
            keep_heirs(&devices, place);
            kernel.remove(place)?;
        }
        let mut holding = Self::on(kernel, devices, setup);
        holding.find_homes(None);
        Ok(holding)
    }

    fn on(kernel: Addresses, devices: HashMap<u32, Device>, setup: Setup) -> Self {
        Self {
            kernel,
            devices,
            announcers: HashMap::new(),
            mute: HashSet::new(),
            aside: Vec::new(),
            groups: setup.groups.into_iter().map(Group::new).collect(),
            lifetime: setup.lifetime,
            patience: setup.patience,
            is_silenced: false,
            nodes: setup.nodes,
            connections: Connections::new(Silence::begin(setup.note)),
        }
    }

    /// Other times, in milliseconds, from the next renewal on.
    pub(super) fn set_times(&mut self, lifetime: u32, patience: u32) {
        self.lifetime = Duration::from_millis(lifetime.into());
        self.patience = Duration::from_millis(patience.into());
    }

    /// Notes where addresses that are not here would go by the routes: all of which nothing is known, and those that
    /// would go to the device that has come.
    fn find_homes(&mut self, come: Option<&str>) {
        let all = || self.groups.iter().flat_map(|group| &group.held).flatten();
        let is_sought = |held: &&Held| {
            let is_open = held.home.is_none() || come.is_some() && held.home.as_deref() != come;
            held.configured.device.is_none() && held.place.is_none() && is_open
        };
        let sought: Vec<IpAddr> = all().filter(is_sought).map(|held| held.configured.addr).collect();
        if sought.is_empty() {
            return;
        }
        // Of what the kernel does not tell nothing is known, and it is asked again.
        let found = self.kernel.places_by_route(&sought).unwrap_or_default();
        for place in found {
            let Some(name) = self.devices.get(&place.device).map(|device| &device.name) else { continue };
            let held = self.groups.iter_mut().flat_map(|group| &mut group.held).flatten();
            for held in held.filter(|held| held.place.is_none() && held.configured.addr == place.addr) {
                // Where nothing but the default route leads, it does because the route of its network went with its device.
                let is_nearer = come == Some(name) && place.prefix < whole(place.addr);
                if held.home.is_none() || is_nearer {
                    held.home = Some(name.clone());
                }
            }
        }
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn is_silenced(&self) -> bool {
        self.is_silenced
    }

    /// When the next announcement is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let announcements = self.groups.iter().flat_map(|group| &group.held).flatten();
        announcements.filter_map(|held| held.announcing.due()).chain(self.connections.due()).min()
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.announcers.values().flat_map(Announcer::sockets).chain(self.connections.sockets())
    }

    /// Puts an address there.
    pub(super) fn start(&mut self, now: Duration, group: usize, resource: usize) -> Result<(), String> {
        self.is_silenced = false;
        let configured = self.held(group, resource).map(|held| held.configured.clone());
        let configured = configured.ok_or_else(|| "there is no such address".to_owned())?;
        let place = match self.find(&configured) {
            Ok(place) => place,
            Err(cause) => {
                // Its network is still gone, which is no failure of its own.
                if self.groups.get(group).is_some_and(|group| group.is_cut_off) {
                    let lost = self.cut_off(&[group]);
                    self.aside.extend(lost);
                }
                return Err(cause);
            }
        };
        let device = self.devices.get(&place.device).cloned();
        if let (Some(held), Some(device)) = (self.held_mut(group, resource), &device) {
            held.home = Some(device.name.clone());
        }
        if let Some(device) = device.filter(|device| !device.is_up) {
            let lost = self.cut_off(&[group]);
            self.aside.extend(lost);
            return Err(format!("{} is down or has no carrier", device.name));
        }
        self.connections.come_back(&mut self.kernel, place.addr);
        self.keep_connections(now, group, place);
        keep_heirs(&self.devices, place);
        self.kernel.hold(place, self.lifetime).map_err(|error| refused(&error))?;
        if let Some(group) = self.groups.get_mut(group) {
            (group.is_withdrawn, group.lingers) = (false, false);
        }
        if let Some(held) = self.held_mut(group, resource) {
            held.place = Some(place);
            held.announcing.begin(now);
        }
        self.announce_due(now);
        Ok(())
    }

    /// What went wrong with an address, in words.
    pub(super) fn sentence(&self, group: usize, resource: usize, cause: &str) -> String {
        match self.held(group, resource) {
            Some(held) => format!("{}: {cause}", held.configured.addr),
            None => cause.to_owned(),
        }
    }

    /// The group comes from that node in good order, or from nobody.
    pub(super) fn inherit(&mut self, group: usize, from: Option<usize>) {
        if let Some(group) = self.groups.get_mut(group) {
            group.from = from;
        }
    }

    /// The group goes in good order.
    pub(super) fn linger(&mut self, group: usize) {
        if let Some(group) = self.groups.get_mut(group) {
            group.lingers = true;
        }
    }

    /// Has segments of connections that the last owner serves passed on to it, before the address comes.
    fn keep_connections(&mut self, now: Duration, group: usize, place: Place) {
        let from = self.groups.get(group).and_then(|group| group.from).and_then(|from| self.nodes.get(from));
        let device = self.devices.get(&place.device).cloned();
        let (Some(from), Some(device)) = (from, device) else { return };
        if let Err(error) = self.connections.pass_on(&mut self.kernel, now, place, &device, from) {
            tracing::warn!("connections to {} that are open with its last owner end: {error}", place.addr);
        }
    }

    /// Passes on what came, and ends what is over.
    pub(super) fn serve_connections(&mut self, now: Duration) {
        self.connections.serve(&mut self.kernel, now);
    }

    /// Whether connections go on here although their address is elsewhere.
    pub(super) fn is_lingering(&self) -> bool {
        self.connections.is_lingering()
    }

    /// Ends all that is done for connections.
    pub(super) fn forget_connections(&mut self) {
        self.connections.end_all(&mut self.kernel);
    }

    /// Takes an address away.
    pub(super) fn stop(&mut self, now: Duration, group: usize, resource: usize) -> Result<(), String> {
        let lingers = self.groups.get_mut(group).is_some_and(|group| {
            group.from = None;
            group.lingers
        });
        let Some(held) = self.held_mut(group, resource) else { return Ok(()) };
        held.announcing.end();
        let Some(place) = held.place else { return Ok(()) };
        let device = self.devices.get(&place.device).filter(|_| lingers);
        if let Some(device) = device
            && let Err(error) = self.connections.linger(&mut self.kernel, now, place, &device.name)
        {
            tracing::warn!("connections to {} that are open here end: {error}", place.addr);
        }
        self.kernel.remove(place).map_err(|error| refused(&error))?;
        // Only now: what could not be taken away is still here, and the next stop has to try again.
        if let Some(held) = self.held_mut(group, resource) {
            held.place = None;
            // What had to stay elsewhere goes where the file has it the next time.
            held.home = held.configured.device.clone().or(held.home.take());
        }
        Ok(())
    }

    /// Takes all addresses of the group away, and remembers them.
    pub(super) fn withdraw(&mut self, group: usize) {
        let Some(group) = self.groups.get_mut(group) else { return };
        group.is_withdrawn = true;
        for held in group.held.iter_mut().flatten() {
            held.announcing.end();
            if let Some(place) = held.place {
                // What stays although it should go is dropped by the kernel when its lifetime ends.
                let _ = self.kernel.remove(place);
            }
        }
    }

    pub(super) fn withdraw_all(&mut self) {
        (0..self.groups.len()).for_each(|group| self.withdraw(group));
    }

    /// The other side is silent: its addresses go until it decides over them.
    pub(super) fn silence(&mut self) {
        if !self.is_silenced {
            self.withdraw_all();
            self.is_silenced = true;
        }
    }

    /// Puts the group's addresses back.
    pub(super) fn restore(&mut self, now: Duration, group: usize) -> Vec<Report> {
        if let Some(group) = self.groups.get_mut(group) {
            group.is_withdrawn = false;
        }
        self.is_silenced = false;
        let reports = self.renew(group);
        self.announce(now, group);
        reports
    }

    /// Lets the group's addresses live on.
    pub(super) fn renew(&mut self, index: usize) -> Vec<Report> {
        let Some(group) = self.groups.get(index).filter(|group| !group.is_withdrawn) else { return Vec::new() };
        let mut reports = Vec::new();
        for place in group.started() {
            if let Err(error) = self.kernel.hold(place, self.lifetime) {
                reports.push(Report::Lost { group: index, addr: place.addr, cause: refused(&error) });
            }
        }
        reports
    }

    /// Announces the group's addresses from the beginning.
    pub(super) fn announce(&mut self, now: Duration, group: usize) {
        let Some(group) = self.groups.get_mut(group).filter(|group| !group.is_withdrawn) else { return };
        for held in group.held.iter_mut().flatten().filter(|held| held.place.is_some()) {
            held.announcing.begin(now);
        }
        self.announce_due(now);
    }

    /// Sends every announcement that is due.
    pub(super) fn announce_due(&mut self, now: Duration) {
        let all = self.groups.iter_mut().flat_map(|group| &mut group.held).flatten();
        let due: Vec<Place> = all.filter_map(|held| held.place.filter(|_| held.announcing.take(now))).collect();
        for place in due {
            self.open_announcer(place.device);
            if let Some(announcer) = self.announcers.get_mut(&place.device) {
                // A frame that does not leave is one of several; the device's state is watched on its own.
                let _ = announcer.announce(place.addr);
            }
        }
    }

    /// An address is gone from where it was: if it should be there, it is put back.
    pub(super) fn removed(&mut self, now: Duration, gone: Place) -> Vec<Report> {
        let mut reports = Vec::new();
        for (index, group) in self.groups.iter_mut().enumerate().filter(|(_, group)| !group.is_withdrawn) {
            for held in group.held.iter_mut().flatten().filter(|held| held.place == Some(gone)) {
                reports.push(match self.kernel.hold(gone, self.lifetime) {
                    Ok(()) => {
                        held.announcing.begin(now);
                        Report::Restored { group: index, addr: gone.addr }
                    }
                    Err(error) => Report::Lost { group: index, addr: gone.addr, cause: refused(&error) },
                });
            }
        }
        self.announce_due(now);
        reports
    }

    /// The kernel had more news than were read: every device is looked at, and everything is put there once more.
    pub(super) fn refresh(&mut self, now: Duration) -> Vec<Report> {
        let mut reports = Vec::new();
        if let Ok(devices) = self.kernel.devices() {
            let is_gone = |index: &u32| !devices.iter().any(|device| device.index == *index);
            let gone: Vec<u32> = self.devices.keys().copied().filter(is_gone).collect();
            reports.extend(gone.into_iter().flat_map(|index| self.device_gone(index)));
            reports.extend(devices.into_iter().flat_map(|device| self.device(now, device)));
        }
        reports.extend((0..self.groups.len()).flat_map(|group| self.renew(group)));
        reports
    }

    /// A device is there, or has changed.
    pub(super) fn device(&mut self, now: Duration, device: Device) -> Vec<Report> {
        let (index, is_up, mac, name) = (device.index, device.is_up, device.mac, device.name.clone());
        let before = self.devices.insert(index, device);
        let was_up = before.as_ref().is_some_and(|before| before.is_up);
        if let Some(before) = before.filter(|before| before.name != name) {
            self.rename(&before.name, &name);
        }
        // Neighbours know the addresses by the Ethernet address that the device had before.
        let is_renamed = self.announcers.get(&index).is_some_and(|announcer| Some(announcer.mac()) != mac);
        if is_renamed {
            self.announcers.remove(&index);
        }
        if was_up && !is_up {
            return self.carrier_lost(index, &name);
        }
        if is_up && !was_up {
            self.bring_to(now, &name);
            self.find_homes(Some(&name));
        }
        if is_up && (is_renamed || !was_up) {
            let back: Vec<usize> = self.groups_on(index).collect();
            back.into_iter().for_each(|group| self.announce(now, group));
        }
        if is_up { self.carrier_back() } else { Vec::new() }
    }

    fn rename(&mut self, before: &str, name: &str) {
        let held = self.groups.iter_mut().flat_map(|group| &mut group.held).flatten();
        let at_home = held.filter(|held| held.configured.device.is_none() && held.home.as_deref() == Some(before));
        at_home.for_each(|held| held.home = Some(name.to_owned()));
    }

    pub(super) fn device_gone(&mut self, index: u32) -> Vec<Report> {
        let Some(device) = self.devices.remove(&index) else { return Vec::new() };
        self.announcers.remove(&index);
        self.mute.remove(&index);
        // One that was down before has been missed already.
        if device.is_up { self.carrier_lost(index, &device.name) } else { Vec::new() }
    }

    /// Groups that are there, and those that would come there: they must not be claimed for want of news from others.
    fn carrier_lost(&mut self, index: u32, name: &str) -> Vec<Report> {
        // Those that had no way when they were looked for last may have one that is listed still.
        self.find_homes(None);
        let is_there = |held: &Held| match held.place {
            Some(place) => place.device == index,
            None => held.home.as_deref() == Some(name),
        };
        let is_lost = |group: &Group| group.held.iter().flatten().any(is_there);
        let groups = self.groups.iter().enumerate().filter(|(_, group)| is_lost(group));
        let lost: Vec<usize> = groups.map(|(index, _)| index).collect();
        self.cut_off(&lost)
    }

    fn cut_off(&mut self, groups: &[usize]) -> Vec<Report> {
        for group in groups {
            if let Some(group) = self.groups.get_mut(*group) {
                group.is_cut_off = true;
            }
        }
        groups.iter().map(|group| Report::CarrierLost { group: *group }).collect()
    }

    /// Groups of which every device is up again.
    fn carrier_back(&mut self) -> Vec<Report> {
        let Self { devices, groups, .. } = self;
        let is_up = |name: &String| devices.values().any(|device| device.is_up && device.name == *name);
        let mut back = Vec::new();
        for (index, group) in groups.iter_mut().enumerate().filter(|(_, group)| group.is_cut_off) {
            if group.held.iter().flatten().filter_map(|held| held.home.as_ref()).all(is_up) {
                group.is_cut_off = false;
                back.push(Report::CarrierBack { group: index });
            }
        }
        back
    }

    fn groups_on(&self, device: u32) -> impl Iterator<Item = usize> {
        let is_on = move |group: &Group| group.started().any(|place| place.device == device);
        self.groups.iter().enumerate().filter(move |(_, group)| is_on(group)).map(|(index, _)| index)
    }

    /// Other stations that claim an address of ours.
    pub(super) fn sightings(&mut self, now: Duration) -> Vec<Report> {
        let mut reports = Vec::new();
        for announcer in self.announcers.values() {
            while let Ok(Some(sighting)) = announcer.heard() {
                for (index, group) in self.groups.iter_mut().enumerate().filter(|(_, group)| !group.is_withdrawn) {
                    let is_ours = group.started().any(|place| place.addr == sighting.addr);
                    let is_news = group.sighted_at.is_none_or(|at| now.saturating_sub(at) >= SIGHTINGS);
                    if is_ours && is_news {
                        group.sighted_at = Some(now);
                        reports.push(Report::ForeignOwner { group: index, addr: sighting.addr, mac: sighting.mac });
                    }
                }
            }
        }
        reports
    }

    /// Where an address goes: as configured, and as the routes say where nothing is.
    fn find(&mut self, address: &Address) -> Result<Place, String> {
        let by_route = if address.prefix.is_none() || address.device.is_none() {
            self.kernel.place_by_route(address.addr).map_err(|error| refused(&error))?
        } else {
            None
        };
        let device = match &address.device {
            Some(name) => self.device_named(name)?,
            None => by_route
                .map(|place| place.device)
                .ok_or_else(|| format!("no route leads to {}: name its device with `dev=`", address.addr))?,
        };
        let routed = by_route.filter(|place| place.device == device).map(|place| place.prefix);
        let prefix = address.prefix.or(routed).unwrap_or_else(|| whole(address.addr));
        Ok(Place { addr: address.addr, prefix, device })
    }

    fn device_named(&mut self, name: &str) -> Result<u32, String> {
        let find =
            |devices: &HashMap<u32, Device>| devices.values().find(|device| device.name == name).map(|it| it.index);
        if let Some(index) = find(&self.devices) {
            return Ok(index);
        }
        self.devices = by_index(self.kernel.devices().map_err(|error| refused(&error))?);
        find(&self.devices).ok_or_else(|| format!("there is no device `{name}`"))
    }

    /// Makes sure that the device can announce, where it has an Ethernet address. Where it cannot, this is reported
    /// once, and tried again with the next announcement.
    fn open_announcer(&mut self, index: u32) {
        let device = self.devices.get(&index).and_then(|device| Some((device, device.mac?)));
        let Some((device, mac)) = device.filter(|_| !self.announcers.contains_key(&index)) else { return };
        let cause = match Announcer::open(device, mac) {
            Ok(announcer) => {
                self.announcers.insert(index, announcer);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        let is_news = if cause.is_some() { self.mute.insert(index) } else { self.mute.remove(&index) };
        if is_news {
            self.aside.push(Report::Mute { device: device.name.clone(), cause });
        }
    }

    /// Reports beside those that each call gives.
    pub(super) fn aside(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.aside)
    }

    fn held(&self, group: usize, resource: usize) -> Option<&Held> {
        self.groups.get(group)?.held.get(resource)?.as_ref()
    }

    fn held_mut(&mut self, group: usize, resource: usize) -> Option<&mut Held> {
        self.groups.get_mut(group)?.held.get_mut(resource)?.as_mut()
    }
}

/// Has the machine keep its other addresses when the service address goes.
fn keep_heirs(devices: &HashMap<u32, Device>, place: Place) {
    let Some(device) = devices.get(&place.device).filter(|_| place.addr.is_ipv4()) else { return };
    if let Err(error) = heirs::keep(&device.name) {
        tracing::warn!(
            "the machine's own address on {} may go together with {}: `promote_secondaries` cannot be set: {error}",
            device.name,
            place.addr
        );
    }
}

/// The prefix of an address that has no network.
fn whole(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

fn refused(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "this process may not change addresses: it needs CAP_NET_ADMIN and CAP_NET_RAW, or to be started by root"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;

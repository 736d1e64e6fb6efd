//! Service addresses of this machine over rtnetlink(7): held for a finite time, found again, watched.
//!
//! The kernel drops an address whose lifetime ends, whatever became of the process that put it there. Its clock for that
//! has whole seconds, and was measured to be late by up to 0.35 s. Every call waits for the kernel's own answer, which it
//! gives at once, without any disk or network.
//!
//! Invariant: no address is held without an end, and each carries [`TAG`].

mod wire;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use wire::{Conversation, family};

/// What our addresses carry as their origin (`IFA_PROTO`, Linux 5.18; older kernels leave it out). `ip address` shows
/// `proto 0xec`.
pub const TAG: u8 = 0xec;

/// The main routing table.
const MAIN_TABLE: u32 = 254;

/// An address on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The address.
    pub addr: IpAddr,
    /// Its prefix, in bits.
    pub prefix: u8,
    /// The device's index.
    pub device: u32,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address; `None` for what has none, as the loopback device.
    pub mac: Option<[u8; 6]>,
    /// Whether it is up and has a carrier.
    pub is_up: bool,
}

/// What the kernel tells of addresses and devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An address is gone from a device.
    Removed(Place),
    /// An address is there, newly or still.
    Added(Place),
    /// Duplicate address detection found another holder of an IPv6 address.
    Duplicate(Place),
    /// A device is there, or has changed.
    Device(Device),
    /// A device is gone.
    DeviceGone(u32),
    /// The kernel had more to tell than was read: everything has to be looked at again.
    Missed,
}

/// Speaks to the kernel of addresses. One for each thread.
pub struct Addresses {
    kernel: Conversation,
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses").finish_non_exhaustive()
    }
}

impl Addresses {
    /// Opens a conversation with the kernel.
    ///
    /// # Errors
    /// Where the system has no descriptor to give.
    pub fn open() -> io::Result<Self> {
        Ok(Self { kernel: Conversation::open()? })
    }

    /// Puts the address on its device for that long, or lets it live on from now. Seconds are rounded up.
    ///
    /// # Errors
    /// Where the kernel refuses: without `CAP_NET_ADMIN`, without the device, and for an address that somebody else put
    /// there for ever with another prefix.
    pub fn hold(&mut self, place: Place, lifetime: Duration) -> io::Result<()> {
        let mut message = describe(place);
        let seconds = u32::try_from(lifetime.as_millis().div_ceil(1000)).unwrap_or(u32::MAX - 1).max(1);
        let mut times = CacheInfo::default();
        times.ifa_valid = seconds;
        // Not preferred: the machine's own connections do not leave from an address that will move.
        times.ifa_preferred = if place.addr.is_ipv6() { 0 } else { seconds };
        message.attributes.push(AddressAttribute::CacheInfo(times));
        message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(TAG)));
        if place.addr.is_ipv6() {
            // Detection of duplicates takes a second, and gives the address up if its last owner is late to go.
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        self.kernel.ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE, |_| {})
    }

    /// Takes the address away. One that is not there is no error.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn remove(&mut self, place: Place) -> io::Result<()> {
        match self.kernel.ask(RouteNetlinkMessage::DelAddress(describe(place)), 0, |_| {}) {
            Err(error) if is_gone(&error) => Ok(()),
            outcome => outcome,
        }
    }

    /// Has an address that is held go to another place: under another prefix, or on another device. It is here all the
    /// time, but for a moment where it is one of IPv6 that stays on its device.
    ///
    /// # Errors
    /// Where the kernel refuses; the address is where it was then.
    pub fn shift(&mut self, from: Place, to: Place, lifetime: Duration) -> io::Result<()> {
        // A device has an address of IPv6 once, and its prefix cannot be changed.
        if from.addr.is_ipv6() && from.device == to.device && from.prefix != to.prefix {
            self.remove(from)?;
            return self.hold(to, lifetime).inspect_err(|_| {
                // Whoever renews it hears of it where it does not go back either.
                let _ = self.hold(from, lifetime);
            });
        }
        self.hold(to, lifetime)?;
        if from != to {
            // What cannot be taken away is renewed no more, and dropped by the kernel.
            let _ = self.remove(from);
        }
        Ok(())
    }

    /// Every address of the machine that carries our tag.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn tagged(&mut self) -> io::Result<Vec<Place>> {
        let mut places = Vec::new();
        self.kernel.ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer
                && message.attributes.contains(&AddressAttribute::Protocol(AddressProtocol::Other(TAG)))
            {
                places.extend(place_of(&message));
            }
        })?;
        Ok(places)
    }

    /// The device that has an address of the machine.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn device_with(&mut self, addr: IpAddr) -> io::Result<Option<u32>> {
        let mut found = None;
        let mut request = AddressMessage::default();
        request.header.family = family(addr);
        self.kernel.ask(RouteNetlinkMessage::GetAddress(request), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer
                && let Some(place) = place_of(&message).filter(|place| place.addr == addr)
            {
                found = Some(place.device);
            }
        })?;
        Ok(found)
    }

    /// Whether packets to the address are this machine's own: a route of type `local` leads to it, as it does to all of
    /// 127.0.0.0/8 and to what `ip route add local` names, or a device has it, in whatever table its routes are.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn is_local(&mut self, addr: IpAddr) -> io::Result<bool> {
        let mut request = RouteMessage::default();
        request.header.address_family = family(addr);
        request.header.destination_prefix_length = if addr.is_ipv4() { 32 } else { 128 };
        let destination = match addr {
            IpAddr::V4(addr) => RouteAddress::Inet(addr),
            IpAddr::V6(addr) => RouteAddress::Inet6(addr),
        };
        request.attributes.push(RouteAttribute::Destination(destination));
        let mut is_local = false;
        let asked = self.kernel.ask(RouteNetlinkMessage::GetRoute(request), 0, |answer| {
            is_local |= matches!(answer, RouteNetlinkMessage::NewRoute(route) if route.header.kind == RouteType::Local);
        });
        match asked {
            Ok(()) if is_local => Ok(true),
            // No route leads there, or another machine's.
            Ok(()) => self.is_on_device(addr),
            Err(error) if is_unreachable(&error) => self.is_on_device(addr),
            Err(error) => Err(error),
        }
    }

    /// Whether a device has the address, and may use it: one whose duplicates are still looked for, or were found, may not.
    fn is_on_device(&mut self, addr: IpAddr) -> io::Result<bool> {
        let mut found = false;
        let mut request = AddressMessage::default();
        request.header.family = family(addr);
        self.kernel.ask(RouteNetlinkMessage::GetAddress(request), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer {
                let is_it = place_of(&message).is_some_and(|place| place.addr == addr);
                found |= is_it && !is_duplicate(&message) && !is_tentative(&message);
            }
        })?;
        Ok(found)
    }

    /// Every device of the machine.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn devices(&mut self) -> io::Result<Vec<Device>> {
        let mut devices = Vec::new();
        self.kernel.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewLink(message) = answer {
                devices.push(device_of(&message));
            }
        })?;
        Ok(devices)
    }

    /// The Ethernet address of a neighbour on that device, if it was spoken to lately.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn neighbour(&mut self, addr: IpAddr, device: u32) -> io::Result<Option<[u8; 6]>> {
        let mut found = None;
        let mut request = NeighbourMessage::default();
        request.header.family = family(addr);
        let wanted = match addr {
            IpAddr::V4(addr) => NeighbourAddress::Inet(addr),
            IpAddr::V6(addr) => NeighbourAddress::Inet6(addr),
        };
        self.kernel.ask(RouteNetlinkMessage::GetNeighbour(request), NLM_F_DUMP, |answer| {
            let RouteNetlinkMessage::NewNeighbour(entry) = answer else { return };
            let is_it = entry
                .attributes
                .iter()
                .any(|attribute| matches!(attribute, NeighbourAttribute::Destination(addr) if *addr == wanted));
            if entry.header.ifindex != device || !is_it {
                return;
            }
            for attribute in &entry.attributes {
                if let NeighbourAttribute::LinkLayerAddress(bytes) = attribute {
                    found = <[u8; 6]>::try_from(bytes.as_slice()).ok().filter(|mac| *mac != [0; 6]).or(found);
                }
            }
        })?;
        Ok(found)
    }

    /// Where the routes of the main table would put the address: the device and prefix of the closest route to it. A
    /// default route gives its device, and the address alone as the prefix.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn place_by_route(&mut self, addr: IpAddr) -> io::Result<Option<Place>> {
        Ok(self.places_by_route(&[addr])?.into_iter().next())
    }

    /// The same for several addresses, those without any route left out. The routes are read once for each family.
    ///
    /// # Errors
    /// Where the kernel does not answer.
    pub fn places_by_route(&mut self, addrs: &[IpAddr]) -> io::Result<Vec<Place>> {
        let mut best: Vec<Option<(u8, u32, u32)>> = vec![None; addrs.len()];
        for is_ipv4 in [true, false] {
            let Some(one) = addrs.iter().find(|addr| addr.is_ipv4() == is_ipv4) else { continue };
            let mut request = RouteMessage::default();
            request.header.address_family = family(*one);
            self.kernel.ask(RouteNetlinkMessage::GetRoute(request), NLM_F_DUMP, |answer| {
                let RouteNetlinkMessage::NewRoute(route) = answer else { return };
                for (addr, best) in addrs.iter().zip(&mut best).filter(|(addr, _)| addr.is_ipv4() == is_ipv4) {
                    let Some((bits, metric, device)) = covering(&route, *addr) else { continue };
                    let is_closer = best.is_none_or(|(best, known, _)| bits > best || (bits == best && metric < known));
                    if is_closer {
                        *best = Some((bits, metric, device));
                    }
                }
            })?;
        }
        let place = |(addr, best): (&IpAddr, Option<(u8, u32, u32)>)| {
            let whole = if addr.is_ipv4() { 32 } else { 128 };
            best.map(|(bits, _, device)| Place { addr: *addr, prefix: if bits == 0 { whole } else { bits }, device })
        };
        Ok(addrs.iter().zip(best).filter_map(place).collect())
    }
}

/// Hears what the kernel tells of addresses and devices.
pub struct Watch {
    kernel: Conversation,
    waiting: Vec<News>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Watch {
    /// Begins to listen.
    ///
    /// # Errors
    /// Where the system has no descriptor to give.
    pub fn open() -> io::Result<Self> {
        Ok(Self { kernel: Conversation::open_watch()?, waiting: Vec::new() })
    }

    /// The next news, without waiting for any.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn poll(&mut self) -> io::Result<Option<News>> {
        while self.waiting.is_empty() {
            let waiting = &mut self.waiting;
            match self.kernel.hear(|answer| waiting.extend(news_of(&answer))) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => return Ok(Some(News::Missed)),
                Err(error) => return Err(error),
            }
        }
        Ok((!self.waiting.is_empty()).then(|| self.waiting.remove(0)))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}

fn describe(place: Place) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(place.addr);
    message.header.prefix_len = place.prefix;
    message.header.index = place.device;
    message.attributes.push(AddressAttribute::Address(place.addr));
    message.attributes.push(AddressAttribute::Local(place.addr));
    if let IpAddr::V4(addr) = place.addr
        && place.prefix < 31
    {
        let hosts = u32::MAX.checked_shr(place.prefix.into()).unwrap_or(0);
        message.attributes.push(AddressAttribute::Broadcast((u32::from(addr) | hosts).into()));
    }
    message
}

fn place_of(message: &AddressMessage) -> Option<Place> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(addr) => Some(*addr),
        _ => None,
    });
    let addr = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(addr) => Some(*addr),
            _ => None,
        })
    })?;
    Some(Place { addr, prefix: message.header.prefix_len, device: message.header.index })
}

fn device_of(message: &LinkMessage) -> Device {
    let mut device = Device {
        index: message.header.index,
        name: String::new(),
        mac: None,
        is_up: message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => device.name.clone_from(name),
            LinkAttribute::Address(bytes) => {
                device.mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().filter(|mac| *mac != [0; 6]);
            }
            _ => {}
        }
    }
    device
}

fn news_of(message: &RouteNetlinkMessage) -> Option<News> {
    match message {
        RouteNetlinkMessage::DelAddress(message) => place_of(message).map(News::Removed),
        RouteNetlinkMessage::NewAddress(message) if is_duplicate(message) => place_of(message).map(News::Duplicate),
        RouteNetlinkMessage::NewAddress(message) => place_of(message).map(News::Added),
        // A bridge tells of its ports by the same messages: one that leaves it is still a device.
        RouteNetlinkMessage::NewLink(message) | RouteNetlinkMessage::DelLink(message)
            if message.header.interface_family != AddressFamily::Unspec =>
        {
            None
        }
        RouteNetlinkMessage::NewLink(message) => Some(News::Device(device_of(message))),
        RouteNetlinkMessage::DelLink(message) => Some(News::DeviceGone(message.header.index)),
        _ => None,
    }
}

fn is_duplicate(message: &AddressMessage) -> bool {
    let in_attribute = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Dadfailed));
    message.header.flags.contains(AddressHeaderFlags::Dadfailed) || message.attributes.iter().any(in_attribute)
}

fn is_tentative(message: &AddressMessage) -> bool {
    let in_attribute = |attribute: &AddressAttribute| {
        matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Tentative)
            && !flags.contains(AddressFlags::Optimistic))
    };
    message.attributes.iter().any(in_attribute)
}

/// Bits, metric and device of a route that covers the address.
fn covering(route: &RouteMessage, addr: IpAddr) -> Option<(u8, u32, u32)> {
    let (mut device, mut metric, mut table) = (None, 0, u32::from(route.header.table));
    let mut destination = None;
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Priority(value) => metric = *value,
            RouteAttribute::Table(value) => table = *value,
            RouteAttribute::Destination(value) => destination = wire::ip_of(value),
            _ => {}
        }
    }
    let bits = route.header.destination_prefix_length;
    let is_covered = match destination {
        Some(net) => wire::share_prefix(net, addr, bits),
        None => bits == 0,
    };
    (is_covered && table == MAIN_TABLE).then_some((bits, metric, device?))
}

fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL | Errno::NODEV)
    )
}

fn is_gone(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ADDRNOTAVAIL | Errno::NODEV))
}

/// The descriptor of a netlink socket, which its library gives as a number alone.
fn borrow(socket: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: the descriptor belongs to `socket`, which stays borrowed, and thus open, as long as the result lives.
    #[allow(unsafe_code)]
    unsafe {
        BorrowedFd::borrow_raw(socket.as_raw_fd())
    }
}

/// Devices by their index.
pub fn by_index(devices: Vec<Device>) -> HashMap<u32, Device> {
    devices.into_iter().map(|device| (device.index, device)).collect()
}

#[cfg(test)]
mod tests;

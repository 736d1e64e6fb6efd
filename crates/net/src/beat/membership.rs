//! A path's place in a multicast group: taken on the device that has the path's own address, and taken again when that was
//! gone and came back. The kernel forgets it with the device, without a word to who has joined.
//!
//! It works on sockets that others read and write meanwhile. Joining waits where the kernel is busy with devices: that is
//! nothing for a thread that has heartbeats to send. Invariant: what is not lost is joined on the device of the own address.

use std::io;
use std::net::{IpAddr, UdpSocket};

use rustix::io::Errno;
use socket2::{InterfaceIndexOrAddress, SockRef};

use crate::addresses::{Addresses, News};

/// See the head of this file.
#[derive(Debug)]
pub struct Membership {
    own: IpAddr,
    group: IpAddr,
    mouth: UdpSocket,
    ears: Option<UdpSocket>,
    /// The device on which it was joined last.
    device: u32,
    is_lost: bool,
}

impl Membership {
    pub(super) fn new(own: IpAddr, group: IpAddr, mouth: UdpSocket, ears: Option<UdpSocket>) -> Self {
        Self { own, group, mouth, ears, device: 0, is_lost: true }
    }

    /// Takes what the kernel tells of addresses and devices. Whether the place is lost by it, or may be had again.
    pub fn follow(&mut self, news: &News) -> bool {
        match news {
            News::Removed(place) if (place.addr, place.device) == (self.own, self.device) => self.is_lost = true,
            News::DeviceGone(device) if *device == self.device => self.is_lost = true,
            News::Missed => self.is_lost = true,
            News::Added(place) if place.addr == self.own => {}
            _ => return false,
        }
        self.is_lost
    }

    /// Whether nothing goes to the group or comes from it.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// The own address, and the group.
    pub fn ends(&self) -> (IpAddr, IpAddr) {
        (self.own, self.group)
    }

    /// Takes the place on the device that has the own address now.
    ///
    /// # Errors
    /// Where none has it, or the kernel refuses. Then it is lost.
    pub fn renew(&mut self) -> io::Result<()> {
        self.is_lost = true;
        let device = Addresses::open()?.device_with(self.own)?.ok_or(Errno::ADDRNOTAVAIL)?;
        if let Some(ears) = &self.ears {
            join(&SockRef::from(ears), self.group, self.device, device)?;
        }
        let mouth = SockRef::from(&self.mouth);
        match self.own {
            IpAddr::V4(own) => mouth.set_multicast_if_v4(&own)?,
            IpAddr::V6(_) => mouth.set_multicast_if_v6(device)?,
        }
        (self.device, self.is_lost) = (device, false);
        Ok(())
    }
}

/// Joins the group on a device, and leaves it on the one before, which may be gone.
fn join(ears: &SockRef<'_>, group: IpAddr, before: u32, device: u32) -> io::Result<()> {
    // Where its place went with a device there is nothing to leave.
    let _ = match group {
        _ if before == 0 => Ok(()),
        IpAddr::V4(group) => ears.leave_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(before)),
        IpAddr::V6(group) => ears.leave_multicast_v6(&group, before),
    };
    let joined = match group {
        IpAddr::V4(group) => ears.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(device)),
        IpAddr::V6(group) => ears.join_multicast_v6(&group, device),
    };
    match joined {
        // We have it already.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => Ok(()),
        outcome => outcome,
    }
}

//! Connections that are open while their address moves in good order: they end where they began.
//!
//! ```text
//!   the last owner: the address stays on the loopback device, silent    the next owner: segments of connections that did
//!   to ARP, so that its sockets live on                                  not begin here are passed on to the last owner
//! ```
//!
//! A kernel that hears of a connection which it does not know resets it. The next owner's must not, so that its resets
//! for unknown connections are dropped meanwhile, by one rule of nftables whose element has a lifetime. All of it ends by
//! itself if this process dies. IPv4 alone.
//!
//! The invariant: after [`LONGEST`] everything is as it was before.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use evenkeel_net::addresses::{Addresses, Device, Place};
use evenkeel_net::passing::Passing;
use evenkeel_net::process;

use super::silence::Silence;

/// How long connections may take to end.
const LONGEST: Duration = Duration::from_secs(30);
/// The index of the loopback device, in every namespace.
const LOOPBACK: u32 = 1;
/// How long `nft` may take.
const NFT: Duration = Duration::from_millis(500);

/// What is done for connections at the moment.
pub(super) struct Connections {
    lingering: Vec<Lingering>,
    passing: Vec<(Duration, Passing)>,
    silence: Silence,
}

/// An address that left, and whose connections are still here.
struct Lingering {
    place: Place,
    until: Duration,
    device: String,
}

impl Connections {
    /// Nothing is done yet.
    pub(super) fn new(silence: Silence) -> Self {
        Self { lingering: Vec::new(), passing: Vec::new(), silence }
    }

    /// Keeps the connections of an address alive that goes now.
    pub(super) fn linger(
        &mut self,
        kernel: &mut Addresses,
        now: Duration,
        place: Place,
        device: &str,
    ) -> io::Result<()> {
        if place.addr.is_ipv6() {
            return Ok(());
        }
        let place = Place { addr: place.addr, prefix: 32, device: LOOPBACK };
        let lingering = Lingering { place, until: now + LONGEST, device: device.to_owned() };
        // A device that is not silent would answer for what the next owner has.
        if let Err(error) = self.silence.keep(device).and_then(|()| kernel.hold(place, LONGEST)) {
            self.end(kernel, vec![lingering]);
            return Err(error);
        }
        self.lingering.push(lingering);
        // What began here before an earlier move may still be passed on by way of this node.
        if let IpAddr::V4(addr) = place.addr
            && self.passing.iter().any(|(_, passing)| passing.addr() == addr)
        {
            keep_silent(addr)?;
        }
        Ok(())
    }

    /// Has segments of connections that the last owner of the address serves passed on to it.
    pub(super) fn pass_on(
        &mut self,
        kernel: &mut Addresses,
        now: Duration,
        place: Place,
        device: &Device,
        from: &[IpAddr],
    ) -> io::Result<()> {
        let IpAddr::V4(addr) = place.addr else { return Ok(()) };
        let Some(own) = device.mac else { return Ok(()) };
        let mut to = None;
        for candidate in from {
            to = to.or(kernel.neighbour(*candidate, device.index)?);
        }
        let to = to.ok_or_else(|| io::Error::other("it is no neighbour on that network"))?;
        let passing = Passing::open(device, own, to, addr)?;
        keep_silent(addr)?;
        self.passing.retain(|(_, other)| other.addr() != addr);
        self.passing.push((now + LONGEST, passing));
        Ok(())
    }

    /// The address comes back to this node: it is not silent any more.
    pub(super) fn come_back(&mut self, kernel: &mut Addresses, addr: IpAddr) {
        let (back, rest) = std::mem::take(&mut self.lingering).into_iter().partition(|it| it.place.addr == addr);
        self.lingering = rest;
        self.end(kernel, back);
    }

    /// Passes on what came, and ends what is over.
    pub(super) fn serve(&mut self, kernel: &mut Addresses, now: Duration) {
        let had = self.passing.len();
        self.passing.retain_mut(|(until, passing)| now < *until && passing.pass());
        if had > 0 && self.passing.is_empty() {
            reset_again();
        }
        let (over, rest) = std::mem::take(&mut self.lingering).into_iter().partition(|it| it.until <= now);
        self.lingering = rest;
        self.end(kernel, over);
    }

    /// Ends everything.
    pub(super) fn end_all(&mut self, kernel: &mut Addresses) {
        let all = std::mem::take(&mut self.lingering);
        self.end(kernel, all);
        if !std::mem::take(&mut self.passing).is_empty() {
            reset_again();
        }
    }

    pub(super) fn is_lingering(&self) -> bool {
        !self.lingering.is_empty()
    }

    /// When something is over.
    pub(super) fn due(&self) -> Option<Duration> {
        let passing = self.passing.iter().map(|(until, _)| *until);
        self.lingering.iter().map(|lingering| lingering.until).chain(passing).min()
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.passing.iter().map(|(_, passing)| passing.as_fd())
    }

    fn end(&mut self, kernel: &mut Addresses, these: Vec<Lingering>) {
        for lingering in these {
            // It has a lifetime: what cannot be taken away goes by itself.
            let _ = kernel.remove(lingering.place);
            if self.lingering.iter().all(|other| other.device != lingering.device) {
                self.silence.end(&lingering.device);
            }
        }
    }
}

/// Has the kernel reset no connection to the address that it does not know. Resets of its own connections carry an
/// acknowledgement, and go out.
fn keep_silent(addr: Ipv4Addr) -> io::Result<()> {
    let element = format!("element ip evenkeel moving {{ {addr} timeout {}s }}", LONGEST.as_secs());
    nft(&format!(
        "add table ip evenkeel; add set ip evenkeel moving {{ type ipv4_addr; flags timeout; }}; \
         add chain ip evenkeel out {{ type filter hook output priority 0; }}; flush chain ip evenkeel out; \
         add rule ip evenkeel out ip saddr @moving tcp flags & (rst | ack) == rst drop; \
         add {element}; delete element ip evenkeel moving {{ {addr} }}; add {element}"
    ))
}

fn reset_again() {
    // What stays has no elements, and does nothing.
    let _ = nft("delete table ip evenkeel");
}

fn nft(commands: &str) -> io::Result<()> {
    match process::run_briefly("nft", &[commands], NFT) {
        Ok(true) => Ok(()),
        Ok(false) => Err(io::Error::other("nftables refuses to hold resets back")),
        Err(error) => Err(io::Error::new(error.kind(), format!("`nft` of nftables cannot be run: {error}"))),
    }
}

//! What the heartbeat thread and the address guard say to each other: one message, one packet.
//!
//! The first byte says what it is; numbers follow in the machine's own order, since both ends are one program on one
//! machine. The invariant: bytes that are not exactly one message are none.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::resource::Managed;

/// The most bytes of a message: the setup of the largest cluster.
pub(super) const LARGEST: usize = 128 * 1024;

/// What the guard is told first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Setup {
    /// For each group, for each of its resources: the service address, where it is one.
    pub(super) groups: Vec<Vec<Option<Address>>>,
    /// For each group, for each of its resources: the unit or script, where it is one.
    pub(super) services: Vec<Vec<Option<Managed>>>,
    /// For each node, its own addresses.
    pub(super) nodes: Vec<Vec<IpAddr>>,
    /// How long the kernel keeps an address that is not renewed.
    pub(super) lifetime: Duration,
    /// How long the other side may be silent before the addresses are withdrawn.
    pub(super) patience: Duration,
    /// For each path: the own address, and the peers'.
    pub(super) paths: Vec<(SocketAddr, Vec<SocketAddr>)>,
    /// Where to note what the kernel's settings were, if anything is kept.
    pub(super) note: Option<PathBuf>,
}

/// Other groups, of which those with units and scripts are where they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arrangement {
    /// For each group, for each of its resources: the service address, where it is one.
    pub(super) groups: Vec<Vec<Option<Address>>>,
    /// For each group its place before, if it had one.
    pub(super) origins: Vec<Option<usize>>,
}

/// A service address as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) addr: IpAddr,
    pub(super) prefix: Option<u8>,
    pub(super) device: Option<String>,
}

/// An order to the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order<'a> {
    /// The first message.
    Setup(Setup),
    /// Put the address there and announce it, or start the unit or script; and report.
    Start { group: u8, resource: u8, number: u32 },
    /// Take the address away, or stop the unit or script; and report.
    Stop { group: u8, resource: u8, number: u32 },
    /// The group comes from that node, which serves open connections to its addresses for a while; or from nobody who
    /// does.
    Inherit { group: u8, from: Option<u8> },
    /// The group's addresses are elsewhere already: open connections to them go on here for a while.
    Linger { group: u8 },
    /// Take all started addresses of the group away, until they are restored.
    Withdraw { group: u8 },
    /// Put them back, and announce them.
    Restore { group: u8 },
    /// Announce them anew.
    Announce { group: u8 },
    /// They live on from now.
    Renew { group: u8 },
    /// A sign of life, with what is to be sent over every path if it was the last: while units and scripts are being
    /// stopped, if there are any, and when nothing runs any more.
    LastWords { notice: &'a [u8], resignation: &'a [u8] },
    /// How long the kernel keeps addresses, and how long the other side may be silent, from now on; milliseconds.
    Times { lifetime: u32, patience: u32 },
    /// Other groups from now on; report [`Report::Arranged`]. Addresses that are in none any more are taken away.
    Arrange(Arrangement),
    /// An orderly end: nothing is to be sent.
    Leave,
}

impl<'a> Order<'a> {
    /// Writes the order in the place of what `out` held.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        let mut step = |tag: u8, group: u8, resource: u8, number: u32| {
            out.extend([tag, group, resource]);
            out.extend(number.to_ne_bytes());
        };
        match self {
            Self::Setup(setup) => {
                out.push(b'U');
                out.extend(serde_json::to_vec(setup).unwrap_or_default());
            }
            Self::Start { group, resource, number } => step(b'S', *group, *resource, *number),
            Self::Stop { group, resource, number } => step(b'P', *group, *resource, *number),
            Self::Inherit { group, from } => out.extend([b'I', *group].into_iter().chain(*from)),
            Self::Linger { group } => out.extend([b'G', *group]),
            Self::Withdraw { group } => out.extend([b'W', *group]),
            Self::Restore { group } => out.extend([b'R', *group]),
            Self::Announce { group } => out.extend([b'A', *group]),
            Self::Renew { group } => out.extend([b'N', *group]),
            Self::LastWords { notice, resignation } => {
                out.push(b'B');
                // A packet of the network is far shorter.
                out.extend(u16::try_from(notice.len()).unwrap_or(u16::MAX).to_ne_bytes());
                out.extend(*notice);
                out.extend(*resignation);
            }
            Self::Times { lifetime, patience } => {
                out.push(b'T');
                out.extend(lifetime.to_ne_bytes());
                out.extend(patience.to_ne_bytes());
            }
            Self::Arrange(arrangement) => {
                out.push(b'E');
                out.extend(serde_json::to_vec(arrangement).unwrap_or_default());
            }
            Self::Leave => out.push(b'L'),
        }
    }

    /// Reads an order.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        Some(match (tag, rest) {
            (b'U', json) => Self::Setup(serde_json::from_slice(json).ok()?),
            (b'E', json) => Self::Arrange(serde_json::from_slice(json).ok()?),
            (b'S', [group, resource, a, b, c, d]) => {
                Self::Start { group: *group, resource: *resource, number: u32::from_ne_bytes([*a, *b, *c, *d]) }
            }
            (b'P', [group, resource, a, b, c, d]) => {
                Self::Stop { group: *group, resource: *resource, number: u32::from_ne_bytes([*a, *b, *c, *d]) }
            }
            (b'I', [group]) => Self::Inherit { group: *group, from: None },
            (b'I', [group, from]) => Self::Inherit { group: *group, from: Some(*from) },
            (b'G', [group]) => Self::Linger { group: *group },
            (b'W', [group]) => Self::Withdraw { group: *group },
            (b'R', [group]) => Self::Restore { group: *group },
            (b'A', [group]) => Self::Announce { group: *group },
            (b'N', [group]) => Self::Renew { group: *group },
            (b'T', [a, b, c, d, e, f, g, h]) => Self::Times {
                lifetime: u32::from_ne_bytes([*a, *b, *c, *d]),
                patience: u32::from_ne_bytes([*e, *f, *g, *h]),
            },
            (b'B', [a, b, words @ ..]) => {
                let (notice, resignation) = words.split_at_checked(u16::from_ne_bytes([*a, *b]).into())?;
                Self::LastWords { notice, resignation }
            }
            (b'L', []) => Self::Leave,
            _ => return None,
        })
    }
}

/// What the guard reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// A start or stop has ended; what failed, in words.
    Done { number: u32, failed: Option<String> },
    /// A unit or script that was started does not run any more; how that was seen.
    Broken { group: usize, resource: usize, why: String },
    /// The network of the group's addresses is gone here, or was not there when they were to be started.
    CarrierLost { group: usize },
    /// That network is back.
    CarrierBack { group: usize },
    /// Another station claims an address of the group.
    ForeignOwner { group: usize, addr: IpAddr, mac: [u8; 6] },
    /// An address had been taken away by somebody else, and is back.
    Restored { group: usize, addr: IpAddr },
    /// An address could not be put back or kept.
    Lost { group: usize, addr: IpAddr, cause: String },
    /// An address has another place by a reload, and cannot go there.
    Stays { group: usize, addr: IpAddr, cause: String },
    /// The addresses on a device are not announced, and why; without a cause they are again.
    Mute { device: String, cause: Option<String> },
    /// Those of the node's own addresses that are not on this machine: at first, and after that has changed.
    Missing { addrs: Vec<IpAddr> },
    /// Groups are named by their new places from now on.
    Arranged,
    /// A sign of life, for each that was heard.
    Alive,
}

impl Report {
    /// The group that it names, to be named anew.
    pub(super) fn group_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Broken { group, .. }
            | Self::CarrierLost { group }
            | Self::CarrierBack { group }
            | Self::ForeignOwner { group, .. }
            | Self::Restored { group, .. }
            | Self::Lost { group, .. }
            | Self::Stays { group, .. } => Some(group),
            Self::Done { .. } | Self::Mute { .. } | Self::Missing { .. } | Self::Arranged | Self::Alive => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_model::caps;

    use super::*;

    #[test]
    fn every_order_is_read_as_it_was_written() {
        let address = Address { addr: "10.8.0.1".parse().unwrap(), prefix: Some(24), device: None };
        let arrangement =
            Arrangement { groups: vec![vec![None], vec![Some(address.clone())]], origins: vec![None, Some(3)] };
        let setup = Setup {
            groups: vec![vec![Some(address), None]],
            services: Vec::new(),
            nodes: vec![vec!["10.0.0.1".parse().unwrap()]],
            lifetime: Duration::from_secs(1),
            patience: Duration::from_millis(80),
            paths: vec![("10.0.0.1:1".parse().unwrap(), vec!["[fe80::1]:2".parse().unwrap()])],
            note: Some("/var/lib/evenkeel/silenced".into()),
        };
        let orders = [
            Order::Setup(setup),
            Order::Start { group: 0, resource: 1, number: 7 },
            Order::Stop { group: 3, resource: 0, number: u32::MAX },
            Order::Inherit { group: 1, from: Some(2) },
            Order::Inherit { group: 7, from: None },
            Order::Linger { group: 5 },
            Order::Withdraw { group: 1 },
            Order::Restore { group: 2 },
            Order::Announce { group: 3 },
            Order::Renew { group: 4 },
            Order::LastWords { notice: b"", resignation: b"the last word" },
            Order::LastWords { notice: b"the last but one", resignation: b"the last word" },
            Order::Times { lifetime: 2000, patience: 80 },
            Order::Arrange(arrangement),
            Order::Leave,
        ];
        let mut bytes = Vec::new();
        for order in orders {
            order.write(&mut bytes);
            assert_eq!(Order::read(&bytes), Some(order));
        }
    }

    #[test]
    fn the_longest_report_fits_into_its_cap() {
        // A path at the system's bound and a line at ours, of what takes the most room when it is written down.
        let (path, line) = ("\u{1}".repeat(4095), "\u{1}".repeat(caps::COMMAND_LINE_CHARS));
        let why = format!("{path}: `{path}` can be changed by others than root, and would run as root: {line}");
        let report = Report::Broken { group: usize::MAX, resource: usize::MAX, why };
        assert!(serde_json::to_vec(&report).unwrap().len() <= caps::GUARD_REPORT_BYTES);
    }

    #[test]
    fn what_is_no_order_is_none() {
        for bytes in
            [&b""[..], b"S", b"S123", b"W", b"W12", b"I", b"I123", b"L1", b"B", b"B\xff\xff1", b"U{", b"E{}", b"?"]
        {
            assert_eq!(Order::read(bytes), None, "{bytes:?}");
        }
    }
}

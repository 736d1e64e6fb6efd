//! Who has a port: the socket's inode from `/proc/net/{tcp,udp}{,6}`, then the process that has it open.
//!
//! Best effort by nature: processes come and go meanwhile, and other users' descriptors are hidden from us.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use evenkeel_model::config::ListenAddr;

use super::Holder;

/// What a port is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Streams,
    Datagrams,
}

impl Kind {
    fn tables(self) -> [&'static str; 2] {
        match self {
            Self::Streams => ["net/tcp", "net/tcp6"],
            Self::Datagrams => ["net/udp", "net/udp6"],
        }
    }

    /// The state of a socket that takes what comes from anybody: `TCP_LISTEN`, and of datagrams the one without a peer.
    fn open_state(self) -> &'static str {
        match self {
            Self::Streams => "0A",
            Self::Datagrams => "07",
        }
    }
}

/// The process that listens where `addr` would.
pub(super) fn find(addr: ListenAddr, kind: Kind, proc: &Path) -> Option<Holder> {
    let mut inodes = Vec::new();
    for table in kind.tables() {
        let text = fs::read_to_string(proc.join(table)).unwrap_or_default();
        let open = text.lines().skip(1).filter_map(|line| listening(line, kind));
        inodes.extend(open.filter(|it| conflicts(addr, it)).map(|it| it.inode));
    }
    if inodes.is_empty() {
        return None;
    }
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    // Ours first: it is the one answer that other users' hidden descriptors cannot keep from us.
    let own = proc.join("self");
    if has_one_of(&own, &links) {
        return Some(Holder { pid: std::process::id(), program: program(&own) });
    }
    for entry in fs::read_dir(proc).ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if has_one_of(&entry.path(), &links) {
            return Some(Holder { pid, program: program(&entry.path()) });
        }
    }
    None
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) addr: IpAddr,
    pub(super) port: u16,
    pub(super) inode: u64,
}

/// One line of the table, where it is a listening socket: `sl local_address rem_address st … inode` (proc(5)).
pub(super) fn listening(line: &str, kind: Kind) -> Option<Listening> {
    let mut words = line.split_ascii_whitespace();
    let (addr, port) = words.nth(1)?.split_once(':')?;
    if words.nth(1)? != kind.open_state() {
        return None;
    }
    let inode = words.nth(5)?.parse().ok()?;
    Some(Listening { addr: address(addr)?, port: u16::from_str_radix(port, 16).ok()?, inode })
}

/// An address as the kernel prints it: words of 32 bits, each in the machine's byte order.
fn address(hex: &str) -> Option<IpAddr> {
    let mut bytes = [0u8; 16];
    let words = hex.len() / 8;
    for (word, slot) in bytes.chunks_exact_mut(4).take(words).enumerate() {
        let digits = hex.get(word * 8..word * 8 + 8)?;
        slot.copy_from_slice(&u32::from_str_radix(digits, 16).ok()?.to_ne_bytes());
    }
    match hex.len() {
        8 => bytes.first_chunk::<4>().map(|four| IpAddr::V4(Ipv4Addr::from(*four))),
        32 => Some(IpAddr::V6(Ipv6Addr::from(bytes))),
        _ => None,
    }
}

/// Whether the two could not both listen: same port, and the same address or a wildcard on either side.
fn conflicts(wanted: ListenAddr, found: &Listening) -> bool {
    if wanted.port() != found.port {
        return false;
    }
    match wanted {
        ListenAddr::Every(_) => true,
        ListenAddr::One(wanted) => {
            let (ours, theirs) = (wanted.ip().to_canonical(), found.addr.to_canonical());
            ours == theirs || ours.is_unspecified() || theirs.is_unspecified()
        }
    }
}

fn has_one_of(process: &Path, links: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|link| link.to_str().is_some_and(|link| links.iter().any(|wanted| wanted == link)))
}

fn program(process: &Path) -> String {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "an unnamed program".to_owned() } else { name.to_owned() }
}

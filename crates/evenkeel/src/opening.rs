//! The first words of a run: what it listens on, its servers with their first check, and how to stop it.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use evenkeel_model::config::{Admin, ListenAddr};
use evenkeel_node::{Handle, ListenerStatus, NodeStatus, PoolStatus};

/// How long the first checks are waited for: a little more than a check may take by default.
const PATIENCE: Duration = Duration::from_millis(2500);

/// How often is looked whether they are there.
const LOOK: Duration = Duration::from_millis(20);

/// Servers of a pool that are listed; the rest is counted.
const LISTED: usize = 12;

/// The status once every server has its first result, or as it is when that takes too long. `None` where the node has
/// ended meanwhile.
pub(crate) fn settled(handle: &Handle) -> Option<NodeStatus> {
    let look = async {
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let status = handle.status().await.ok()?;
            if status.is_settled() || tokio::time::Instant::now() >= patience {
                return Some(status);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    evenkeel_node::run_beside(look).ok().flatten()
}

/// The first words.
pub(crate) fn text(status: &NodeStatus, from_flags: bool) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut out, status, from_flags);
    out
}

fn write(out: &mut String, status: &NodeStatus, from_flags: bool) -> std::fmt::Result {
    let last_good = if status.config.is_last_good { " (the last good copy: the file is broken)" } else { "" };
    writeln!(out, "evenkeel {}, process {}", env!("CARGO_PKG_VERSION"), status.pid)?;
    writeln!(out, "  config   {}{last_good}", status.config.origin)?;
    for listener in &status.listeners {
        writeln!(out, "  listen   {}", listen(status, listener))?;
    }
    for dns in &status.running.dns {
        let addresses: Vec<String> = dns.listeners.iter().map(|listener| listener.name.to_string()).collect();
        let zones: Vec<&str> = dns.zones.iter().map(|zone| zone.name.as_str()).take(LISTED).collect();
        let more = if dns.zones.len() > zones.len() { ", …" } else { "" };
        writeln!(out, "  dns      {}  {}{more}", addresses.join(" "), zones.join(", "))?;
    }
    for pool in &status.pools {
        write_pool(out, pool)?;
    }
    if let Some(admin) = &status.running.admin {
        writeln!(out, "  admin    {}", dashboard(admin))?;
    }
    if let Some(control) = &status.control {
        writeln!(out, "  control  {} (`evenkeel status`, `evenkeel reload`)", control.display())?;
    }
    writeln!(out, "  stop     Ctrl-C or `evenkeel stop`")?;
    if from_flags {
        writeln!(out, "  as file  see it with --print-config")?;
    }
    Ok(())
}

/// The address with a URL that can be clicked.
fn listen(status: &NodeStatus, listener: &ListenerStatus) -> String {
    let name = &listener.name;
    let Some(bound) = listener.bound.map(reachable) else { return name.to_string() };
    match status.running.listener(name) {
        Some(listener) if listener.tcp.is_some() => format!("{name}  tcp {bound}"),
        Some(listener) if listener.tls.is_some() => format!("{name}  https://{bound}/"),
        _ => format!("{name}  http://{bound}/"),
    }
}

/// Where the dashboard is, and who gets in.
fn dashboard(admin: &Admin) -> String {
    let addr = match admin.addr {
        ListenAddr::Every(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        ListenAddr::One(addr) => reachable(addr),
    };
    let who = match admin.users.len() {
        0 => "the dashboard, to look at",
        _ => "the dashboard, for its users",
    };
    format!("http://{addr}/ ({who})")
}

/// An address that this machine reaches a listener at.
fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound.ip() {
        ip if ip == Ipv6Addr::UNSPECIFIED || ip == Ipv4Addr::UNSPECIFIED => {
            SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port()))
        }
        _ => bound,
    }
}

fn write_pool(out: &mut String, pool: &PoolStatus) -> std::fmt::Result {
    let pool_name = pool.name.to_string();
    writeln!(out, "  pool     {}", pool_name.strip_prefix('@').map_or(pool_name.clone(), |at| format!("of {at}")))?;
    let wide = pool.servers.iter().map(|server| server.id.server.as_str().len()).max().unwrap_or(0);
    for server in pool.servers.iter().take(LISTED) {
        let (name, address) = (server.id.server.as_str(), server.address.to_string());
        let at = if name == address { String::new() } else { format!("{address}  ") };
        writeln!(out, "    {name:wide$}  {at}{}: {}", server.verdict.state, server.verdict.text)?;
    }
    match pool.servers.len().checked_sub(LISTED) {
        Some(more @ 1..) => writeln!(out, "    and {more} more"),
        _ => Ok(()),
    }
}

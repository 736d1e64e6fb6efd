//! What stands in for the network of `demo --ha`: a relay at the address that clients know, which passes each connection
//! on to the node that has written down last that it has the address.
//!
//! On real machines a node puts the address on its own card and tells the neighbours so; that takes rights. The
//! invariant: where nobody has the address, nobody answers.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{NODES, SERVICE};

/// The file in which the owner stands.
pub(super) const OWNER: &str = "owner";

/// What the group of the nodes is: a script that writes down who has the address. The guard that calls it lives in the folder of
/// its node, by which the script knows whose it is.
pub(super) const SCRIPT: &str = "#!/bin/sh
# On real machines this is a line `ip 192.168.1.10/24` in the group.
mine=$(basename \"$(readlink \"/proc/$PPID/cwd\")\")
owner=$(dirname \"$0\")/owner
case $1 in
start) echo \"$mine\" > \"$owner.$mine\" && mv \"$owner.$mine\" \"$owner\" ;;
stop) [ \"$(cat \"$owner\" 2>/dev/null)\" != \"$mine\" ] || rm -f \"$owner\" ;;
status) [ \"$(cat \"$owner\" 2>/dev/null)\" = \"$mine\" ] || exit 3 ;;
esac
";

/// The relay. It ends when this is dropped.
pub(super) struct Network {
    file: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Network {
    /// Begins to relay. Must be called within a tokio runtime.
    pub(super) async fn start(file: PathBuf, port: u16) -> Result<Self, String> {
        let at = SocketAddr::from((SERVICE, port));
        let listener = TcpListener::bind(at).await.map_err(|error| format!("{at}: {error}"))?;
        let task = tokio::spawn(relay(listener, file.clone(), port));
        Ok(Self { file, task })
    }

    /// The node that has the address.
    pub(super) fn owner(&self) -> Option<String> {
        owner(&self.file)
    }
}

fn owner(file: &PathBuf) -> Option<String> {
    let name = fs::read_to_string(file).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

async fn relay(listener: TcpListener, file: PathBuf, port: u16) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        let node = match owner(&file).as_deref() {
            Some("lb1") => NODES[0],
            Some("lb2") => NODES[1],
            // As where nobody answers for an address, but sooner.
            _ => continue,
        };
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect((node, port)).await {
                // One of both ends has left; so does the other.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

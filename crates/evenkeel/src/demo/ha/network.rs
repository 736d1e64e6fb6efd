//! What stands in for the network of `demo --ha`: a relay at the address that clients know, which passes each connection
//! on to the node that has written down last that it has the address.
//!
//! On real machines a node puts the address on its own card and tells the neighbours so; that takes rights. There an
//! address that moves as planned stays with its old owner until the new one has it, while a script has to stop before it
//! starts elsewhere: so the relay goes on with the last owner, who serves as long as it lives. The invariant: a node that
//! is dead answers nobody.

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
    let mut last = None;
    loop {
        let Ok((mut client, _)) = listener.accept().await else { continue };
        last = match owner(&file).as_deref() {
            Some("lb1") => Some(NODES[0]),
            Some("lb2") => Some(NODES[1]),
            _ => last,
        };
        // As where nobody answers for an address, but sooner.
        let Some(node) = last else { continue };
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect((node, port)).await {
                // One of both ends has left; so does the other.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::demo::house::House;

    /// What whoever connects to the service hears.
    async fn heard(port: u16) -> String {
        let mut stream = TcpStream::connect((SERVICE, port)).await.unwrap();
        let mut text = String::new();
        // A connection that nobody takes over ends, in one way or another.
        let _ = stream.read_to_string(&mut text).await;
        text
    }

    /// A node that says its name to whoever connects.
    async fn node(at: Ipv4Addr, port: u16, name: &'static str) -> JoinHandle<()> {
        let listener = TcpListener::bind((at, port)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(name.as_bytes()).await;
            }
        })
    }

    #[tokio::test]
    async fn an_address_that_moves_is_served_until_the_next_owner_has_it() {
        let house = House::build().unwrap();
        let file = house.file(OWNER);
        let port = TcpListener::bind((SERVICE, 0)).await.unwrap().local_addr().unwrap().port();
        let _network = Network::start(file.clone(), port).await.unwrap();
        let lb1 = node(NODES[0], port, "lb1").await;
        let lb2 = node(NODES[1], port, "lb2").await;
        assert_eq!(heard(port).await, "", "nobody has had it yet");
        fs::write(&file, "lb2\n").unwrap();
        assert_eq!(heard(port).await, "lb2");
        fs::remove_file(&file).unwrap();
        assert_eq!(heard(port).await, "lb2", "it moves");
        fs::write(&file, "lb1\n").unwrap();
        assert_eq!(heard(port).await, "lb1");
        fs::remove_file(&file).unwrap();
        lb1.abort();
        assert!(lb1.await.unwrap_err().is_cancelled());
        assert_eq!(heard(port).await, "", "its last owner is dead");
        lb2.abort();
    }
}

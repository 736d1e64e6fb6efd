//! The floor: a socket that sends every datagram back with the bit set that makes it an answer.
//!
//! It receives and sends in batches, by the same calls as evenkeel, and understands nothing.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use evenkeel_model::config::ListenAddr;
use evenkeel_net::bell::Bell;
use evenkeel_net::listen::Presence;
use evenkeel_net::udp::{self, Batch, Patience};

/// Reflects until the time is over.
pub(crate) fn serve(addr: SocketAddr, limit: Duration) -> io::Result<()> {
    let ports = udp::bind(ListenAddr::One(addr), 1, Presence::Here).map_err(io::Error::other)?;
    let (mut batch, bell, end) = (Batch::new(), Bell::new()?, Instant::now() + limit);
    let Some(port) = ports.first() else { return Ok(()) };
    let mut patience = Patience::None;
    while Instant::now() < end {
        let count = batch.exchange(port, patience, &mut |_| {}, &mut |datagram, out| {
            let Some(room) = out.get_mut(..datagram.bytes.len()) else { return 0 };
            room.copy_from_slice(datagram.bytes);
            if let Some(flags) = room.get_mut(2) {
                *flags |= 0x80;
            }
            room.len()
        })?;
        patience = Patience::Short;
        if count == 0 {
            patience = Patience::None;
            udp::wait(ports.iter(), &bell, Duration::from_secs(1))?;
        }
    }
    Ok(())
}

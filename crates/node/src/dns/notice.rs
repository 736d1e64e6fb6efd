//! Notices to secondary servers that a zone has changed (NOTIFY, RFC 1996).
//!
//! The invariant: a secondary that does not answer is asked again a bounded number of times, and then said so once.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use evenkeel_dns::tsig::{Key, sign_request};
use evenkeel_dns::wire::{Question, write_query};
use evenkeel_dns::{Class, Name, Type};
use evenkeel_model::caps;
use evenkeel_net::{clock, rng};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::load::Told;

/// How long the first answer is waited for; doubled each time.
const PATIENCE: Duration = Duration::from_secs(1);

/// A notice to one secondary.
pub(super) struct Notice {
    pub(super) zone: Name,
    pub(super) serial: u32,
    pub(super) to: SocketAddr,
    pub(super) key: Option<Key>,
}

impl Told {
    /// The notice to one of its secondaries.
    pub(super) fn notice(&self, (to, key): &(SocketAddr, Option<Key>)) -> Notice {
        Notice { zone: self.name.clone(), serial: self.serial, to: *to, key: key.clone() }
    }
}

/// Tells, until there is an answer.
pub(super) async fn send(notice: Notice) {
    let Notice { zone, serial, to, .. } = &notice;
    let mut patience = PATIENCE;
    for _ in 0..caps::DNS_NOTIFY_TRIES {
        match timeout(patience, once(&notice)).await {
            Ok(Ok(0)) => return tracing::info!("{to} was told of `{zone}`, serial {serial}"),
            Ok(Ok(rcode)) => {
                return tracing::warn!("{to} was told of `{zone}`, serial {serial}, and answers with code {rcode}");
            }
            Ok(Err(_)) => tokio::time::sleep(patience).await,
            Err(_) => {}
        }
        patience = patience.saturating_mul(2);
    }
    tracing::warn!("{to} does not answer to the notice of `{zone}`, serial {serial}; it will see the change by itself");
}

/// One datagram out and its answer's code in. What does not belong to it is passed over.
async fn once(notice: &Notice) -> std::io::Result<u8> {
    let any = if notice.to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(notice.to).await?;
    let [high, low, ..] = rng::seed();
    let question = Question { name: notice.zone.clone(), kind: Type::SOA, class: Class::IN };
    let mut message = write_query(u16::from_be_bytes([high, low]), &question, false, None);
    if let Some(slot) = message.get_mut(2) {
        // Opcode 4, AA.
        *slot = 0x24;
    }
    if let Some(key) = &notice.key {
        sign_request(&mut message, key, clock::unix_now());
    }
    socket.send(&message).await?;
    let mut answer = [0; 512];
    loop {
        let length = socket.recv(&mut answer).await?;
        if let Some([a, b, flags, rcode, ..]) = answer.get(..length)
            && [*a, *b] == [high, low]
            && flags & 0xf8 == 0xa0
        {
            return Ok(rcode & 0x0f);
        }
    }
}

//! A query that is sent, and its answer: for the look at the parent zone, and for small programs beside a node.
//!
//! The invariant: an answer is taken only where it bears the number and the question of the query.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use evenkeel_dns::wire::{Message, Question, write_query};
use evenkeel_dns::{Class, Name, Type};
use evenkeel_net::rng;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The bits of a message's flags that hold the outcome.
pub(super) const RCODE: u16 = 0x0f;

/// The addresses of a name, as one name server answers them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// The IPv4 addresses, in the order of the answer.
    pub addresses: Vec<IpAddr>,
    /// Seconds that they may be kept.
    pub ttl: u32,
}

/// Asks a name server for the IPv4 addresses of a name.
///
/// # Errors
/// Where there is no answer, or one without them, in a sentence.
pub async fn look_up(server: SocketAddr, name: &str, patience: Duration) -> Result<LookedUp, String> {
    let asked: Name = name.parse().map_err(|error: evenkeel_dns::NameError| error.to_string())?;
    let message = ask(server, (&asked, Type::A), false, patience).await?;
    let records: Vec<_> = message.answer.iter().filter(|record| record.kind == Type::A).collect();
    let addresses: Vec<IpAddr> = records.iter().filter_map(|record| record.data.as_ip()).collect();
    match (addresses.is_empty(), message.flags & RCODE) {
        (false, _) => Ok(LookedUp { addresses, ttl: records.iter().map(|record| record.ttl).min().unwrap_or(0) }),
        (true, 0) => Err(format!("{server} knows no address of {name}")),
        (true, rcode) => Err(format!("{server} answers with response code {rcode}")),
    }
}

/// One query, one answer.
pub(super) async fn ask(
    to: SocketAddr,
    (name, kind): (&Name, Type),
    recursion: bool,
    patience: Duration,
) -> Result<Message, String> {
    match timeout(patience, exchange(to, name, kind, recursion)).await {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) => Err(format!("{to}: {error}")),
        Err(_) => Err(format!("{to} does not answer")),
    }
}

async fn exchange(to: SocketAddr, name: &Name, kind: Type, recursion: bool) -> io::Result<Message> {
    let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(to).await?;
    let [high, low, ..] = rng::seed();
    let id = u16::from_be_bytes([high, low]);
    let question = Question { name: name.clone(), kind, class: Class::IN };
    socket.send(&write_query(id, &question, recursion, Some(1232))).await?;
    let mut bytes = [0; 2048];
    loop {
        let length = socket.recv(&mut bytes).await?;
        let message = bytes.get(..length).and_then(Message::read);
        if let Some(message) = message.filter(|message| message.id == id && message.questions == [question.clone()]) {
            return Ok(message);
        }
    }
}

//! The PROXY header of a connection: whose it is, told by the proxy that made it.
//!
//! Not here: what a header looks like (`evenkeel_http::preface::proxy`). The invariant: a header is awaited from those
//! who are trusted with one and from nobody else, and not a byte behind it is taken.

use std::future::poll_fn;

use evenkeel_http::preface::proxy::{self, Facts};
use evenkeel_model::caps;
use evenkeel_model::config::Network;
use tokio::time::Instant;

use crate::error::{Kind, ProxyError};
use crate::serve::within;
use crate::wire::{Stream, Wire};
use crate::worker::Worker;

/// Reads the header, and has the stream speak of the ends that it announces.
pub(crate) async fn read(
    worker: &Worker,
    stream: &mut Stream,
    from: &[Network],
    deadline: Instant,
) -> Result<Facts, ProxyError> {
    let peer = stream.peer_addr().ip();
    if !from.iter().any(|range| range.contains(peer)) {
        return Err(Kind::Stranger.into());
    }
    let header = within(worker, deadline, take(stream)).await.unwrap_or(Err(Kind::HeaderTimeout.into()))?;
    if let Some(ends) = header.ends {
        stream.announce(ends.source, ends.destination);
    }
    Ok(header.facts)
}

/// Takes the header and nothing behind it: what is there is looked at first, and then as much of it taken as belongs
/// to the header.
async fn take(stream: &mut Stream) -> Result<proxy::Header, ProxyError> {
    let mut taken: Vec<u8> = Vec::new();
    let mut ahead = [0; caps::PROXY_HEADER_BYTES];
    loop {
        let seen = poll_fn(|cx| stream.poll_peek(cx, &mut ahead)).await.map_err(|_| Kind::ClientGone)?;
        if seen == 0 {
            return Err(Kind::ClientGone.into());
        }
        let before = taken.len();
        taken.extend_from_slice(ahead.get(..seen).unwrap_or_default());
        let parsed = proxy::parse(&taken).map_err(Kind::Header)?;
        let length = parsed.as_ref().map_or(taken.len(), |(length, _)| *length);
        discard(stream, length.saturating_sub(before)).await?;
        taken.truncate(length);
        if let Some((_, header)) = parsed {
            return Ok(header);
        }
    }
}

/// Takes so many bytes that are known to be there.
async fn discard(stream: &mut Stream, mut count: usize) -> Result<(), ProxyError> {
    let mut bin = [0; 512];
    while count > 0 {
        let room = count.min(bin.len());
        let read = poll_fn(|cx| stream.poll_read(cx, bin.get_mut(..room).unwrap_or_default())).await;
        match read {
            Ok(read) if read > 0 => count = count.saturating_sub(read),
            _ => return Err(Kind::ClientGone.into()),
        }
    }
    Ok(())
}

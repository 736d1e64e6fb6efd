//! After `101 Switching Protocols`: bytes both ways that mean nothing to us.
//!
//! The invariant: not a byte that the client sent behind its request reaches the server before the server switched.

use std::future::Future;
use std::future::poll_fn;
use std::io;
use std::io::IoSlice;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use evenkeel_http::{ConnectionField, Framing, ResponseOut, write_response};
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError};
use crate::exchange::{Exchange, Next};
use crate::forward::Pipe;
use crate::serve::h1::Client;
use crate::wire::{Stream, Wire, write_all};
use crate::{record, respond};

/// Tells the client that the server switched, and carries bytes until both have ended.
pub(crate) async fn run(
    client: &mut Client,
    mut server: Stream,
    desk: &mut Desk,
    exchange: &mut Exchange,
    upload: &Pipe,
) -> Result<Next, ProxyError> {
    let how = ResponseOut { framing: Framing::None, connection: ConnectionField::Upgrade, ..ResponseOut::default() };
    desk.reply.clear();
    write_response(&mut desk.reply, &desk.response, desk.answer.filled(), &how);
    exchange.keep = false;
    exchange.is_answered = true;
    exchange.sent += desk.reply.len() as u64;
    if let Some(pool) = exchange.pool.clone() {
        record::status(client, exchange, &pool, 101);
    }
    let patience = client.timeouts.send;
    let early = desk.answer.filled().get(desk.response.len()..).unwrap_or_default();
    let mut down = TunnelSide::with(early);
    let mut up = TunnelSide::with(upload.surplus(&desk.input));
    write_all(&mut client.stream, &mut client.timer, [&desk.reply, b""], patience)
        .await
        .map_err(respond::write_fault)?;
    desk.shrink(&client.worker.free);
    client.worker.counts.tunnels.add(1);
    let ended = carry(client, &mut server, &mut up, &mut down).await;
    exchange.received += up.moved;
    exchange.sent += down.moved;
    exchange.body_sent += down.moved;
    ended.map(|()| Next::Close)
}

async fn carry(
    client: &mut Client,
    server: &mut Stream,
    up: &mut TunnelSide,
    down: &mut TunnelSide,
) -> Result<(), ProxyError> {
    let worker = Rc::clone(&client.worker);
    let mut turned = pin!(worker.turn.notified());
    let mut progress = Instant::now();
    poll_fn(|cx| {
        let moved = {
            let mut scratch = worker.scratch.borrow_mut();
            let up = up.advance(cx, &mut client.stream, server, &mut scratch).map_err(|_| Kind::ClientGone);
            let down = down.advance(cx, server, &mut client.stream, &mut scratch).map_err(|_| Kind::ClientGone);
            match (up, down) {
                (Ok(up), Ok(down)) => up || down,
                // Whichever side broke, the other learns it by our closing.
                (Err(kind), _) | (_, Err(kind)) => return Poll::Ready(Err(kind.into())),
            }
        };
        if up.is_over() && down.is_over() {
            return Poll::Ready(Ok(()));
        }
        while turned.as_mut().poll(cx).is_ready() {
            turned.set(worker.turn.notified());
        }
        if worker.is_cut() {
            return Poll::Ready(Err(Kind::Cut.into()));
        }
        if moved {
            progress = Instant::now();
        }
        // A silent tunnel is an end like any other.
        client.timer.poll_passed(cx, progress + client.timeouts.tunnel).map(Ok)
    })
    .await
}

/// One direction of a tunnel: bytes that the sink did not take at once.
#[derive(Debug, Default)]
struct TunnelSide {
    pending: Vec<u8>,
    sent: usize,
    is_source_ended: bool,
    is_over: bool,
    /// Bytes written.
    moved: u64,
}

impl TunnelSide {
    /// A direction that begins with bytes in hand.
    fn with(bytes: &[u8]) -> Self {
        Self { pending: bytes.to_vec(), ..Self::default() }
    }

    /// Whether this direction has ended and the other end was told.
    fn is_over(&self) -> bool {
        self.is_over
    }

    /// Moves what can be moved, through `scratch`, which is free again afterwards: a silent tunnel holds no buffer.
    /// Returns whether a byte moved.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Stream,
        sink: &mut Stream,
        scratch: &mut [u8],
    ) -> io::Result<bool> {
        let mut moved = false;
        loop {
            while let Some(rest) = self.pending.get(self.sent..).filter(|rest| !rest.is_empty()) {
                let Poll::Ready(written) = sink.poll_write_vectored(cx, &[IoSlice::new(rest)]) else {
                    return Ok(moved);
                };
                let written = written?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.sent += written;
                self.moved += written as u64;
                moved = true;
            }
            self.pending = Vec::new();
            self.sent = 0;
            if self.is_over {
                return Ok(moved);
            }
            if self.is_source_ended {
                // Half-close: the other direction may go on.
                sink.shutdown_write()?;
                self.is_over = true;
                return Ok(true);
            }
            let Poll::Ready(read) = source.poll_read(cx, scratch) else { return Ok(moved) };
            let read = read?;
            moved = true;
            if read == 0 {
                self.is_source_ended = true;
                continue;
            }
            let fresh = scratch.get(..read).unwrap_or_default();
            match sink.poll_write_vectored(cx, &[IoSlice::new(fresh)]) {
                Poll::Ready(Ok(written)) => {
                    self.moved += written as u64;
                    self.pending.extend_from_slice(fresh.get(written..).unwrap_or_default());
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => self.pending.extend_from_slice(fresh),
            }
        }
    }
}

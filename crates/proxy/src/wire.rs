//! Reading and writing a stream, as the pipes do it.
//!
//! Not here: what the bytes mean, and the calls themselves (`evenkeel_net::stream`).

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenkeel_model::caps;
pub(crate) use evenkeel_net::stream::Stream;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::timer::Timer;

/// How long a closing connection is read from, so that the client gets the answer before a reset can destroy it.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// How much is read of one that goes on sending meanwhile.
pub(crate) const LINGER_BYTES: u64 = 4 * caps::DRAIN_BYTES;

/// Poll-wise reading and writing.
pub(crate) trait Wire {
    /// Reads into the room; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes from the parts, in their order.
    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Says that nothing more will be written. Ready once the system has all that is to be said for it.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Wire for Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, room)
    }

    fn poll_write_vectored(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match parts {
            [only] => AsyncWrite::poll_write(Pin::new(self), cx, only),
            several => AsyncWrite::poll_write_vectored(Pin::new(self), cx, several),
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(self), cx)
    }
}

/// Why a whole write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteFailed {
    /// The peer is gone.
    Gone,
    /// It took no byte in time.
    Stalled,
}

/// Writes both parts whole; `patience` is how long the peer may take no byte.
pub(crate) async fn write_all(
    stream: &mut Stream,
    timer: &mut Timer,
    parts: [&[u8]; 2],
    patience: Duration,
) -> Result<(), WriteFailed> {
    let [mut first, mut second] = parts;
    let mut progress = Instant::now();
    poll_fn(|cx| {
        while !(first.is_empty() && second.is_empty()) {
            let slices = [IoSlice::new(first), IoSlice::new(second)];
            let used = match (first.is_empty(), second.is_empty()) {
                (true, _) => slices.get(1..),
                (_, true) => slices.get(..1),
                _ => slices.get(..),
            };
            match stream.poll_write_vectored(cx, used.unwrap_or_default()) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(WriteFailed::Gone)),
                Poll::Ready(Ok(written)) => {
                    let of_first = written.min(first.len());
                    first = first.get(of_first..).unwrap_or_default();
                    second = second.get(written - of_first..).unwrap_or_default();
                    progress = Instant::now();
                }
                Poll::Pending => {
                    ready!(timer.poll_passed(cx, progress + patience));
                    return Poll::Ready(Err(WriteFailed::Stalled));
                }
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// Ends our side and reads on for a moment: closing with bytes unread would reset the connection, and the reset could
/// overtake the answer (RFC 9112 section 9.6).
pub(crate) async fn linger(mut stream: Stream, timer: &mut Timer, scratch: &RefCell<Box<[u8]>>) {
    let deadline = Instant::now() + LINGER;
    if !matches!(timer.until(deadline, poll_fn(|cx| stream.poll_end(cx))).await, Ok(Ok(()))) {
        return;
    }
    // A client that goes on sending is not waited for longer than that, nor read from more than that.
    let mut left = LINGER_BYTES;
    while left > 0 {
        let read = poll_fn(|cx| stream.poll_read(cx, &mut scratch.borrow_mut()));
        match timer.until(deadline, read).await {
            Ok(Ok(count)) if count > 0 => left = left.saturating_sub(count as u64),
            _ => break,
        }
    }
}

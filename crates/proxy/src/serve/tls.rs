//! The handshake of a client: within its time, and not more of them at once than there is room for.
//!
//! Not here: what is agreed on (`evenkeel_net::tls`). The invariant: a handshake that does not come to its end costs
//! nobody but the client that began it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use evenkeel_model::{ListenerName, caps};
use evenkeel_net::tls::{self, Acceptor, HandshakeError};
use tokio::time::Instant;

use crate::counts::ListenerCounts;
use crate::serve::head_patience;
use crate::sleepers::{Bed, Nap};
use crate::timer::Timer;
use crate::wire::{LINGER, Stream, linger, write_all};
use crate::worker::Worker;

/// The answer to HTTP without TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nThis port speaks HTTPS. Write https:// in the URL.\r\n";

/// Takes a client's handshake; `None` where it came to nothing.
pub(crate) async fn shake(
    worker: &Rc<Worker>,
    listener: &ListenerName,
    stream: Stream,
    acceptor: Arc<Acceptor>,
) -> Option<Stream> {
    Box::pin(shake_within(worker, listener, stream, acceptor)).await
}

async fn shake_within(
    worker: &Rc<Worker>,
    listener: &ListenerName,
    stream: Stream,
    acceptor: Arc<Acceptor>,
) -> Option<Stream> {
    let snapshot = worker.snapshot()?;
    let place = snapshot.listener_place(listener)?;
    let (config, part) = snapshot.listener(place)?;
    let deadline = Instant::now() + head_patience(config);
    let (patience, is_http) = (config.timeouts.send, config.tcp.is_none());
    let counts = part.shared.counts.of(worker.number);
    drop(snapshot);
    if worker.handshakes.count() >= caps::TLS_HANDSHAKES {
        // Who has taken longest is the least likely to come to an end.
        worker.handshakes.wake_oldest(Instant::now());
    }
    let bed = Rc::<Bed>::default();
    let mut timer = Timer::new(deadline);
    let peer = stream.peer_addr();
    let is_told_of_tls = stream.is_over_tls();
    let nap = worker.handshakes.lie_down(&bed, Instant::now());
    let done = unless_over(&mut timer, (&nap, deadline), tls::accept(stream, &acceptor)).await;
    let (word, stream) = match done {
        Some(Ok(mut stream)) => {
            count(&counts, &stream);
            if is_told_of_tls {
                stream.announce_tls();
            }
            return Some(stream);
        }
        Some(Err(HandshakeError::PlainHttp(stream))) if is_http => {
            counts.handshakes_failed.add(1);
            drop(nap);
            tell_plain(worker, stream, &mut timer, patience).await;
            return None;
        }
        Some(Err(error)) => {
            tracing::debug!(%listener, %peer, "no TLS with {peer}: {error}");
            (error.word(), error.into_stream())
        }
        None => {
            tracing::debug!(%listener, %peer, "no TLS with {peer}: its handshake took too long");
            ("timeout", None)
        }
    };
    counts.handshakes_failed.add(1);
    worker.shared.fail_handshake(word);
    if let Some(stream) = stream {
        // What the client still sends would have the system answer with a reset, which could overtake the alert. Where
        // handshakes are many, those that are lost make room like those that dawdle.
        let until = Instant::now() + LINGER;
        let mut listening = Timer::new(until);
        let last_words = linger(stream, &mut listening, &worker.scratch);
        let _ = unless_over(&mut timer, (&nap, until), last_words).await;
    }
    None
}

/// What the work comes to; `None` where the deadline passes before, or the place is needed by others.
async fn unless_over<T>(
    timer: &mut Timer,
    (nap, deadline): (&Nap<'_>, Instant),
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if nap.is_over(cx) {
            return Poll::Ready(None);
        }
        timer.poll_passed(cx, deadline).map(|()| None)
    })
    .await
}

/// Tells a client that speaks HTTP without TLS where it is.
async fn tell_plain(worker: &Worker, mut stream: Stream, timer: &mut Timer, patience: Duration) {
    worker.shared.reject("plain-http");
    if write_all(&mut stream, timer, [PLAIN_HTTP, b""], patience.min(LINGER)).await.is_ok() {
        linger(stream, timer, &worker.scratch).await;
    }
}

fn count(counts: &ListenerCounts, stream: &Stream) {
    counts.handshakes.add(1);
    if stream.tls().is_some_and(|facts| facts.is_resumed) {
        counts.handshakes_resumed.add(1);
    }
}

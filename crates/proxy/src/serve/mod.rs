//! Connections of clients, by protocol: each becomes a row of exchanges, or is passed on as it is.

mod announced;
pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod room;
pub(crate) mod tcp;
mod tls;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use evenkeel_http::preface::proxy::Facts;
use evenkeel_model::ListenerName;
use evenkeel_model::config::Listener;
use tokio::time::Instant;

use crate::error::reaction;
use crate::snapshot::Entrance;
use crate::timer::Timer;
use crate::wire::Stream;
use crate::worker::Worker;

/// How long a connection that has carried nothing yet may take to say its first word once connections are to end:
/// a round trip around the world and some.
const FIRST_WORD: Duration = Duration::from_millis(500);

/// Whether connections of the listener are HTTP, or TLS around it, from their first byte on.
pub(crate) fn is_plain(worker: &Worker, listener: &ListenerName) -> bool {
    with_config(worker, listener, |config| config.proxied.is_empty() && config.tcp.is_none()).unwrap_or(true)
}

/// Serves a connection from its first byte to its end.
pub(crate) async fn connection(worker: Rc<Worker>, listener: ListenerName, stream: Stream) {
    if let Some(stream) = enter(&worker, &listener, stream).await {
        h1::connection(worker, listener, stream).await;
    }
}

/// Takes the client's TLS off, where the listener speaks it.
async fn enter(worker: &Rc<Worker>, listener: &ListenerName, stream: Stream) -> Option<Stream> {
    match entrance(worker, listener)? {
        Entrance::Plain => Some(stream),
        Entrance::Tls(acceptor) => tls::shake(worker, listener, stream, acceptor).await,
        Entrance::Closed => None,
    }
}

/// The same where something comes before it, or it is passed on.
pub(crate) async fn announced_or_passed(worker: Rc<Worker>, listener: ListenerName, mut stream: Stream) {
    let Some((is_proxied, is_passed_on)) =
        with_config(&worker, &listener, |config| (!config.proxied.is_empty(), config.tcp.is_some()))
    else {
        return;
    };
    let mut facts = Facts::default();
    if is_proxied {
        match announce(&worker, &listener, &mut stream).await {
            Some(told) => facts = told,
            None => return stream.reset(),
        }
    }
    if facts.is_over_tls {
        stream.announce_tls();
    }
    let Some(stream) = enter(&worker, &listener, stream).await else { return };
    match is_passed_on {
        true => tcp::connection(worker, listener, stream, facts).await,
        false => h1::connection(worker, listener, stream).await,
    }
}

fn entrance(worker: &Worker, listener: &ListenerName) -> Option<Entrance> {
    let snapshot = worker.snapshot()?;
    let (_, part) = snapshot.listener(snapshot.listener_place(listener)?)?;
    Some(part.door.clone())
}

/// Has a connection speak of those whom its proxy speaks for; `None` where it is refused, which is counted.
async fn announce(worker: &Rc<Worker>, listener: &ListenerName, stream: &mut Stream) -> Option<Facts> {
    let terms = |config: &Listener| (config.proxied.clone(), head_patience(config));
    let (from, patience) = with_config(worker, listener, terms)?;
    let peer = stream.peer_addr();
    match announced::read(worker, stream, &from, Instant::now() + patience).await {
        Ok(facts) => Some(facts),
        Err(error) => {
            let code = reaction(&error).code;
            worker.shared.reject(code);
            tracing::debug!(%listener, %peer, code, "a connection without the PROXY header that is awaited");
            None
        }
    }
}

/// How long what comes before a connection's own bytes may take.
fn head_patience(config: &Listener) -> Duration {
    config.tcp.as_ref().map_or(config.timeouts.head, |tcp| tcp.timeouts.head)
}

/// What the listener's configuration says.
fn with_config<T>(worker: &Worker, listener: &ListenerName, ask: impl FnOnce(&Listener) -> T) -> Option<T> {
    let snapshot = worker.snapshot()?;
    let (config, _) = snapshot.listener(snapshot.listener_place(listener)?)?;
    Some(ask(config))
}

/// What the work comes to; `None` where the deadline passes, or connections are to go and it still has not come.
pub(crate) async fn within<T>(worker: &Worker, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    let mut timer = Timer::new(deadline);
    let mut hurry = None;
    let mut turned = pin!(worker.turn.notified());
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        while turned.as_mut().poll(cx).is_ready() {
            turned.set(worker.turn.notified());
        }
        if worker.is_draining() {
            let soon = *hurry.get_or_insert_with(|| Instant::now() + FIRST_WORD);
            return timer.poll_passed(cx, deadline.min(soon)).map(|()| None);
        }
        timer.poll_passed(cx, deadline).map(|()| None)
    })
    .await
}

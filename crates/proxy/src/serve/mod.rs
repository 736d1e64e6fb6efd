//! Connections of clients, by protocol: each becomes a row of exchanges.

pub(crate) mod h1;
pub(crate) mod h2;
pub(crate) mod room;
mod tls;

use std::rc::Rc;

use evenkeel_model::ListenerName;

use crate::snapshot::Entrance;
use crate::wire::Stream;
use crate::worker::Worker;

/// Serves a connection from its first byte to its end.
pub(crate) async fn connection(worker: Rc<Worker>, listener: ListenerName, stream: Stream) {
    let stream = match entrance(&worker, &listener) {
        Some(Entrance::Plain) => stream,
        Some(Entrance::Tls(acceptor)) => match tls::shake(&worker, &listener, stream, acceptor).await {
            Some(stream) => stream,
            None => return,
        },
        Some(Entrance::Closed) | None => return,
    };
    h1::connection(worker, listener, stream).await;
}

fn entrance(worker: &Worker, listener: &ListenerName) -> Option<Entrance> {
    let snapshot = worker.snapshot()?;
    let (_, part) = snapshot.listener(snapshot.listener_place(listener)?)?;
    Some(part.door.clone())
}

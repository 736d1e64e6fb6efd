//! The server's end of the control socket and of the admin listener: connections and their bounds. What a request comes to is in
//! `answer`.
//!
//! Invariant: at most [`caps::CONTROL_CONNECTIONS`] connections of the control socket and [`caps::ADMIN_CONNECTIONS`] of the admin listener
//! exist, each of which must say what it wants within [`HEAD_TIMEOUT`]; an operator can therefore always get through.

mod answer;
mod patient;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::Role;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::{Access, Guard};
use crate::{Caller, Control, Via};
use patient::Patient;

/// How long a client may take to send a request's head; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long answers under way may take once the node is to end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The pause after a failed accept, so that a process without descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections of the admin listener that one address may have: a dashboard takes a few, a scraper one.
const PER_ADDRESS: usize = caps::ADMIN_CONNECTIONS / 4;

/// The admin listener as it is now.
#[derive(Clone, Default)]
pub struct Door {
    /// The socket, bound and not blocking; the same one as long as the address is the same.
    pub listener: Option<Arc<std::net::TcpListener>>,
    /// Who may come in. `None`: nobody, there is no admin listener.
    pub access: Option<Arc<Access>>,
}

/// Serves the control API until `end` is ready, then lets the answers under way finish. Must run in a tokio runtime;
/// its tasks end with it.
pub async fn serve(listener: UnixListener, control: Arc<dyn Control>, end: impl Future<Output = ()>) {
    let (ending, ended) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut end = pin!(end);
    loop {
        let has_room = connections.len() < caps::CONTROL_CONNECTIONS;
        tokio::select! {
            () = &mut end => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if has_room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(on_socket(stream, Arc::clone(&control), ended.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    // Nobody listens where every connection has ended already.
    let _ = ending.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
}

/// Serves the admin listener, wherever it is at the moment, until dropped. Must run in a tokio runtime.
pub async fn serve_admin(mut doors: watch::Receiver<Door>, control: Arc<dyn Control>) {
    let guard = Arc::new(Guard::new());
    let mut connections = JoinSet::new();
    let mut of_address: HashMap<IpAddr, usize> = HashMap::new();
    let (_ending, ended) = watch::channel(false);
    loop {
        let door = doors.borrow_and_update().clone();
        let listener = door.listener.as_ref().and_then(|socket| TcpListener::from_std(socket.try_clone().ok()?).ok());
        loop {
            let has_room = connections.len() < caps::ADMIN_CONNECTIONS;
            tokio::select! {
                changed = doors.changed() => match changed {
                    Ok(()) => break,
                    // The node is gone, and so are we in a moment.
                    Err(_) => std::future::pending().await,
                },
                Some(done) = connections.join_next(), if !connections.is_empty() => leave(&mut of_address, done.ok()),
                accepted = accept(listener.as_ref()), if has_room => match accepted {
                    Ok((stream, from)) => {
                        let count = of_address.entry(from).or_default();
                        if *count < PER_ADDRESS {
                            *count += 1;
                            let guard = Arc::clone(&guard);
                            connections.spawn(on_listener(stream, from, Arc::clone(&control), guard, doors.clone(), ended.clone()));
                        }
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, IpAddr)> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, from)| (stream, from.ip().to_canonical())),
        None => std::future::pending().await,
    }
}

/// One connection of that address less. A connection that panicked has none to tell; its place is lost until all are gone.
fn leave(of_address: &mut HashMap<IpAddr, usize>, from: Option<IpAddr>) {
    let Some(from) = from else { return };
    if let Some(count) = of_address.get_mut(&from) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            of_address.remove(&from);
        }
    }
}

async fn on_socket(stream: UnixStream, control: Arc<dyn Control>, mut ended: watch::Receiver<bool>) {
    let uid = stream.peer_cred().map_or_else(|_| "somebody".to_owned(), |cred| format!("uid {}", cred.uid()));
    let caller = Arc::new(Caller { name: uid, role: Role::Admin, via: Via::Socket });
    let service = service_fn(move |request: Request<Incoming>| {
        let (control, caller) = (Arc::clone(&control), Arc::clone(&caller));
        async move { Ok::<_, Infallible>(answer::on_socket(request, &*control, &caller).await) }
    });
    let mut serving = pin!(http().serve_connection(TokioIo::new(Patient::new(stream)), service));
    // A client that breaks off concerns nobody else.
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = ended.wait_for(|ended| *ended) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

async fn on_listener(
    stream: TcpStream,
    from: IpAddr,
    control: Arc<dyn Control>,
    guard: Arc<Guard>,
    doors: watch::Receiver<Door>,
    mut ended: watch::Receiver<bool>,
) -> IpAddr {
    let service = service_fn(move |request: Request<Incoming>| {
        let (control, guard) = (Arc::clone(&control), Arc::clone(&guard));
        // As it is now: a reload changes who may come in on connections that stand, too.
        let access = doors.borrow().access.clone();
        async move {
            let access = access.unwrap_or_else(|| Arc::new(Access::nobody()));
            Ok::<_, Infallible>(answer::on_listener(request, &*control, (&guard, &access), from).await)
        }
    });
    let mut serving = pin!(http().serve_connection(TokioIo::new(Patient::new(stream)), service));
    tokio::select! {
        _ = serving.as_mut() => return from,
        _ = ended.wait_for(|ended| *ended) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
    from
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(caps::CONTROL_HEAD_BYTES);
    http
}

#[cfg(test)]
mod listener_tests;
#[cfg(test)]
mod tests;

//! The server's end of the control socket: connections, their bounds, and which path asks what.
//!
//! Invariant: at most [`caps::CONTROL_CONNECTIONS`] connections exist, each of which must say what it wants within
//! [`HEAD_TIMEOUT`]; an operator can therefore always get through.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use evenkeel_model::caps;
use evenkeel_model::config::Role;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::{self, Call, Operation, Stray};
use crate::payload::{self, Payload};
use crate::problem::{Code, Problem};
use crate::{Caller, Control, Via};

/// How long a client may take to send a request's head; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long answers under way may take once the node is to end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// The pause after a failed accept, so that a process without descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
                    connections.spawn(connection(stream, Arc::clone(&control), ended.clone()));
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

async fn connection(stream: UnixStream, control: Arc<dyn Control>, mut ended: watch::Receiver<bool>) {
    let uid = stream.peer_cred().map_or_else(|_| "somebody".to_owned(), |cred| format!("uid {}", cred.uid()));
    let caller = Arc::new(Caller { name: uid, role: Role::Admin, via: Via::Socket });
    let service = service_fn(move |request: Request<Incoming>| {
        let (control, caller) = (Arc::clone(&control), Arc::clone(&caller));
        async move { Ok::<_, Infallible>(answer(request, &*control, &caller).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(caps::CONTROL_HEAD_BYTES);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    // A client that breaks off concerns nobody else.
    tokio::select! {
        _ = serving.as_mut() => return,
        _ = ended.wait_for(|ended| *ended) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// One request to one answer. It comes over the control socket, whose file's mode has let it in.
async fn answer(request: Request<Incoming>, control: &dyn Control, caller: &Caller) -> Response<Payload> {
    if request.headers().contains_key(ORIGIN) {
        // No browser has business here. Should one get through some proxy to the socket, a page must not command us.
        let detail = "requests made by web pages are refused here; use the `evenkeel` command";
        return payload::problem(&Problem::new(Code::A203, detail));
    }
    route(request, control, caller).await.unwrap_or_else(|problem| payload::problem(&problem))
}

/// Finds the operation, reads the body and runs it.
async fn route(request: Request<Incoming>, control: &dyn Control, caller: &Caller) -> api::Reply {
    let (head, body) = request.into_parts();
    let (operation, path) = match api::find(&head.method, head.uri.path()) {
        Ok(found) => found,
        Err(Stray::Misused(allowed)) => return Ok(payload::misused(&head.method, &allowed)),
        Err(Stray::Unknown) => return Err(unknown(head.uri.path())),
    };
    let query = api::parameters(head.uri.query().unwrap_or_default())
        .ok_or_else(|| Problem::new(Code::A103, "the query is not percent-encoded text"))?;
    let body = whole(operation, &head.headers, body).await?;
    (operation.run)(Call { control, caller, head: &head.headers, path, query, body }).await
}

/// The body, where the operation takes one. Others' bodies are not looked at.
async fn whole(operation: &Operation, head: &HeaderMap, mut body: Incoming) -> Result<Bytes, Problem> {
    if operation.takes.is_none() {
        return Ok(Bytes::new());
    }
    let content_type = head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Code::A104, format!("it says `{content_type}`; send `application/json`")));
    }
    let read = async {
        let mut whole = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|error| Problem::new(Code::A103, format!("the body: {error}")))?;
            let Ok(bytes) = frame.into_data() else { continue };
            if whole.len().saturating_add(bytes.len()) > caps::CONTROL_REQUEST_BYTES {
                return Err(Problem::new(Code::A105, format!("at most {} bytes", caps::CONTROL_REQUEST_BYTES)));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(Bytes::from(whole))
    };
    let late = |_| Problem::new(Code::A106, format!("{} s are over", HEAD_TIMEOUT.as_secs()));
    tokio::time::timeout(HEAD_TIMEOUT, read).await.map_err(late)?
}

fn unknown(path: &str) -> Problem {
    let path: String = path.chars().take(128).collect();
    Problem::new(Code::A101, format!("`{path}` is not known; GET /api/v1/openapi.json lists what is"))
}

#[cfg(test)]
mod tests;

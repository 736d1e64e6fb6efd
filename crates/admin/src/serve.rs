//! The server's end of the control socket: connections, their bounds, and which path asks what.
//!
//! Invariant: at most [`caps::CONTROL_CONNECTIONS`] connections exist, each of which must say what it wants within
//! [`HEAD_TIMEOUT`]; an operator can therefore always get through.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_model::caps;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Control;
use crate::report::Problem;

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
    let service = service_fn(move |request: Request<Incoming>| {
        let control = Arc::clone(&control);
        async move { Ok::<_, Infallible>(answer(&request, &*control).await) }
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

/// One request to one answer. Bodies are not read: no request needs one.
async fn answer<B>(request: &Request<B>, control: &dyn Control) -> Response<Whole> {
    if request.headers().contains_key(ORIGIN) {
        // No browser has business here. Should one get through some proxy to the socket, a page must not command us.
        let detail = "requests made by web pages are refused; use the `evenkeel` command";
        return problem(StatusCode::FORBIDDEN, "not for browsers", detail);
    }
    let allowed = match request.uri().path() {
        "/healthz" | "/api/v1/status" => Method::GET,
        "/api/v1/reload" | "/api/v1/stop" => Method::POST,
        path => return unknown(path),
    };
    if request.method() != allowed {
        return misused(request.method(), &allowed);
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/api/v1/status" => json(StatusCode::OK, &control.status().await),
        "/api/v1/reload" => reload(control).await,
        _ => {
            control.stop().await;
            json(StatusCode::ACCEPTED, &serde_json::json!({ "stopping": true }))
        }
    }
}

async fn reload(control: &dyn Control) -> Response<Whole> {
    match control.reload().await {
        Ok(report) => json(StatusCode::OK, &report),
        Err(refused) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            let detail = format!("generation {} goes on serving, untouched", refused.generation);
            let title = "the configuration is refused".to_owned();
            problem_json(status, &Problem { title, status: status.as_u16(), detail, refused: Some(refused) })
        }
    }
}

fn unknown(path: &str) -> Response<Whole> {
    let path: String = path.chars().take(128).collect();
    let detail = format!(
        "`{path}` is not known; there are GET /api/v1/status, POST /api/v1/reload, POST /api/v1/stop and GET /healthz"
    );
    problem(StatusCode::NOT_FOUND, "no such path", &detail)
}

fn misused(method: &Method, allowed: &Method) -> Response<Whole> {
    let detail = format!("the method is `{method}`, the path takes `{allowed}`");
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "wrong method", &detail);
    if let Ok(allowed) = HeaderValue::from_str(allowed.as_str()) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Response<Whole> {
    let problem =
        Problem { title: title.to_owned(), status: status.as_u16(), detail: detail.to_owned(), refused: None };
    problem_json(status, &problem)
}

fn problem_json(status: StatusCode, problem: &Problem) -> Response<Whole> {
    typed(status, "application/problem+json", encoded(problem))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Whole> {
    typed(status, "application/json", encoded(value))
}

fn text(status: StatusCode, text: &'static str) -> Response<Whole> {
    typed(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn encoded(value: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(value).expect("reports hold only text, numbers and maps keyed by text");
    bytes.push(b'\n');
    Bytes::from(bytes)
}

fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Whole> {
    let mut response = Response::new(Whole(Some(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body that is there as a whole.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests;

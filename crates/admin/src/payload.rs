//! What an answer's body is, and the fields that every answer has.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use crate::problem::{Code, Problem};

/// A body that is there as a whole, or comes piece by piece.
pub(crate) enum Payload {
    /// There.
    Whole(Option<Bytes>),
    /// Asked for piece by piece, until there is none.
    Feed(Box<dyn Feed>),
}

/// A source of pieces.
pub(crate) trait Feed: Send {
    /// The next piece, `None` at the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>>;
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Feed(feed) => feed.poll_piece(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Self::Feed(_) => SizeHint::default(),
        }
    }
}

/// An answer whose type is stated. Nobody keeps it.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Payload> {
    with(status, content_type, Payload::Whole(Some(body.into())))
}

/// The same with any payload.
pub(crate) fn with(status: StatusCode, content_type: &'static str, payload: Payload) -> Response<Payload> {
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A value as JSON, a line of it.
pub(crate) fn json(status: StatusCode, content_type: &'static str, value: &impl Serialize) -> Response<Payload> {
    match serde_json::to_vec(value) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            typed(status, content_type, bytes)
        }
        // Reports are made of text, numbers and maps keyed by text, which are always JSON.
        Err(error) => problem(&Problem::new(Code::A502, error.to_string())),
    }
}

/// A problem.
pub(crate) fn problem(problem: &Problem) -> Response<Payload> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, "application/problem+json", problem)
}

/// Another method's path.
pub(crate) fn misused(method: &Method, allowed: &[Method]) -> Response<Payload> {
    let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let detail = format!("the method is `{method}`, the path takes `{allowed}`");
    let mut response = problem(&Problem::new(Code::A102, detail));
    if let Ok(allowed) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

//! One request on its way to a server over HTTP/2: text becomes a stream, and the stream's answer text again.
//!
//! The other end of the connection in memory is where `server::h1` writes the request and reads the answer. The
//! invariant: the stream ends when that end is dropped; and what the server refused unseen, or left behind with its
//! connection, is told from what broke.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use evenkeel_http::http2::{DowngradeAnswer, End, upgrade};
use evenkeel_http::{Limits, Method, RequestHead, StreamError};
use evenkeel_model::caps;
use evenkeel_net::duplex::Half;
use h2::RecvStream;
use h2::client::{ResponseFuture, SendRequest};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use tokio::time::Instant;

use super::link::{Link, Seat};
use crate::buffer::Charge;
use crate::http2::inflow::Inflow;
use crate::http2::outflow::Outflow;
use crate::http2::{STREAM_HELD, append, join};
use crate::worker::Worker;

/// What a head of ours may be: what a client may send, and what we add.
const LIMITS: Limits =
    Limits { head: 2 * caps::SERVER_HEAD_BYTES, fields: 2 * caps::SERVER_FIELDS, target: caps::SERVER_HEAD_BYTES };

/// How long the end of a stream may come after its last byte.
const LAST_FRAME: Duration = Duration::from_secs(1);

/// Carries what comes over `near`.
pub(super) fn begin(worker: &Rc<Worker>, link: &Rc<Link>, near: Half) {
    let seat = Seat::take(link);
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(async move {
        // Before its head tells how long the answer is, it may be any.
        let mut charge = worker.free.hold(STREAM_HELD + u64::from(caps::HTTP2_SERVER_WINDOW));
        if let Err(kind) = carry(&seat, &near, &mut charge).await {
            near.break_off(kind);
        }
    });
}

/// What is known of a request once its head was read.
struct Asked {
    request: Request<()>,
    outflow: Out,
    to_head: bool,
    /// The key of a WebSocket's handshake, which is answered in the server's name.
    key: Option<Vec<u8>>,
    have: BytesMut,
}

/// How the request goes on behind its head.
enum Out {
    Nothing,
    Body(evenkeel_http::Framing),
    Tunnel,
}

/// Carries one request and its answer; an error says how the other end is broken off: `Unsupported` where the fault is in
/// what was asked, and the server saw none of it.
async fn carry(seat: &Seat, near: &Half, charge: &mut Charge) -> Result<(), io::ErrorKind> {
    let asked = read_head(near, seat.link.is_secured).await?;
    let mut requests = seat.link.requests();
    let not_taken = |_| {
        // The connection takes no further streams, and did not take this one.
        seat.link.leave();
        io::ErrorKind::NotConnected
    };
    poll_fn(|cx| match near.poll_broken(cx) {
        Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::ConnectionReset)),
        Poll::Pending => requests.poll_ready(cx).map_err(not_taken),
    })
    .await?;
    if matches!(asked.outflow, Out::Tunnel) && !takes_tunnels(seat, near, &requests).await? {
        return Err(io::ErrorKind::Unsupported);
    }
    let is_whole = matches!(asked.outflow, Out::Nothing);
    let (response, send) = requests.send_request(asked.request, is_whole).map_err(not_taken)?;
    let mut carrier = Carrier {
        outflow: match asked.outflow {
            Out::Nothing => None,
            Out::Body(framing) => Some(Outflow::body(send, framing, asked.have)),
            Out::Tunnel => Some(Outflow::tunnel(send, asked.have)),
        },
        stage: Stage::Head(response),
        to_head: asked.to_head,
        key: asked.key,
        text: Bytes::new(),
    };
    let sent = Instant::now();
    let carried = poll_fn(|cx| carrier.poll(cx, near, charge)).await;
    match (&carried, &mut carrier.stage) {
        (Err(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotConnected), _) => seat.link.leave(),
        // Given up before the server said a word.
        (Err(_), Stage::Head(_)) => {
            seat.link.suspect(sent);
            seat.link.gave_up();
        }
        // Its reader had all of it and left before the stream's end came: resetting the stream now would look like abuse.
        (Err(_), Stage::Body(inflow)) if inflow.is_whole() => {
            let _ = tokio::time::timeout(LAST_FRAME, poll_fn(|cx| inflow.poll(cx, near, true))).await;
        }
        (Err(_), Stage::Body(_)) => seat.link.gave_up(),
        (Ok(()), _) => seat.link.answered(),
    }
    carried
}

/// Whether the server takes an extended CONNECT (RFC 8441 section 3), which it tells with its first word.
async fn takes_tunnels(seat: &Seat, near: &Half, requests: &SendRequest<Bytes>) -> Result<bool, io::ErrorKind> {
    let begun = Instant::now();
    let mut greeted = pin!(seat.link.greeted());
    let waited = poll_fn(|cx| match near.poll_broken(cx) {
        Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::ConnectionReset)),
        Poll::Pending => greeted.as_mut().poll(cx).map(Ok),
    })
    .await;
    if waited.is_err() {
        seat.link.suspect(begun);
    }
    waited.map(|()| requests.is_extended_connect_protocol_enabled())
}

/// Reads the request's head, as `server::h1` wrote it.
async fn read_head(near: &Half, is_secured: bool) -> Result<Asked, io::ErrorKind> {
    let mut have = BytesMut::new();
    let mut head = RequestHead::new();
    let length = loop {
        if !have.is_empty() {
            match head.parse(&have, &LIMITS) {
                Ok(Some(length)) => break length,
                Ok(None) => {}
                Err(_) => return Err(io::ErrorKind::Unsupported),
            }
        }
        let fresh = poll_fn(|cx| near.poll_take(cx, usize::MAX)).await.map_err(|error| error.kind())?;
        if fresh.is_empty() {
            return Err(io::ErrorKind::ConnectionReset);
        }
        join(&mut have, fresh);
    };
    let request = stream_request(&head, &have, is_secured).ok_or(io::ErrorKind::Unsupported)?;
    let is_websocket = head.asks_websocket();
    let key = head.fields().find(&have, b"sec-websocket-key").map(<[u8]>::to_vec).filter(|_| is_websocket);
    if is_websocket && key.is_none() {
        // There is nothing to give the proof of (RFC 6455 section 4.2.2).
        return Err(io::ErrorKind::Unsupported);
    }
    let outflow = match (is_websocket, head.framing()) {
        (true, _) => Out::Tunnel,
        (false, framing) if framing.has_body() => Out::Body(framing),
        (false, _) => Out::Nothing,
    };
    have.advance(length.min(have.len()));
    Ok(Asked { request, outflow, to_head: head.method() == Method::Head, key, have })
}

/// The request as the library takes it. `None` where it cannot be said in HTTP/2.
fn stream_request(head: &RequestHead, have: &BytesMut, is_secured: bool) -> Option<Request<()>> {
    let mut request = Request::new(());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if is_secured { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Authority::from_maybe_shared(Bytes::copy_from_slice(head.authority(have))).ok();
    parts.path_and_query = Some(path_of(head.target(have))?);
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.method_mut() = http::Method::from_bytes(head.method_text(have)).ok()?;
    *request.version_mut() = http::Version::HTTP_2;
    let fields = upgrade::request_fields(head.fields(), have);
    fields.for_each(|(name, value)| append(request.headers_mut(), name, value));
    if upgrade::takes_trailers(head.fields(), have) {
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if head.asks_websocket() {
        *request.method_mut() = http::Method::CONNECT;
        request.headers_mut().remove(header::SEC_WEBSOCKET_KEY);
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    }
    Some(request)
}

/// The target, with the few characters escaped that browsers leave as they are and the library does not take.
fn path_of(target: &[u8]) -> Option<PathAndQuery> {
    let mut path = Vec::with_capacity(target.len());
    for byte in target {
        match byte {
            b'"' => path.extend_from_slice(b"%22"),
            b'<' => path.extend_from_slice(b"%3C"),
            b'>' => path.extend_from_slice(b"%3E"),
            b'`' => path.extend_from_slice(b"%60"),
            other => path.push(*other),
        }
    }
    PathAndQuery::from_maybe_shared(Bytes::from(path)).ok()
}

/// A request under way.
struct Carrier {
    outflow: Option<Outflow>,
    stage: Stage,
    to_head: bool,
    key: Option<Vec<u8>>,
    /// Text of a head that is not written yet.
    text: Bytes,
}

/// Where the answer stands.
enum Stage {
    Head(ResponseFuture),
    Body(Inflow),
}

impl Carrier {
    fn poll(&mut self, cx: &mut Context<'_>, near: &Half, charge: &mut Charge) -> Poll<Result<(), io::ErrorKind>> {
        if near.poll_broken(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset));
        }
        if let Some(outflow) = &mut self.outflow
            && outflow.poll(cx, near).is_ready()
        {
            // Whole, given up, or not wanted by the server any more, whose answer tells why. What is dropped with it
            // resets a stream that has not ended.
            let is_tunnel = outflow.is_tunnel();
            if !is_tunnel {
                self.outflow = None;
            }
        }
        loop {
            while !self.text.is_empty() {
                let pieces = [io::IoSlice::new(&self.text)];
                match ready!(near.poll_write_vectored(cx, &pieces)) {
                    Ok(written) => self.text.advance(written.min(self.text.len())),
                    Err(error) => return Poll::Ready(Err(error.kind())),
                }
            }
            match &mut self.stage {
                Stage::Body(inflow) => {
                    return inflow.poll(cx, near, true).map_err(|_| io::ErrorKind::ConnectionReset);
                }
                Stage::Head(response) => {
                    if let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
                        self.text = Bytes::from(interim_text(&interim).map_err(|_| io::ErrorKind::InvalidData)?);
                        continue;
                    }
                    let answered = ready!(Pin::new(response).poll(cx)).map_err(|error| kind_of(&error))?;
                    let (text, inflow) = self.begin(answered).map_err(|_| io::ErrorKind::InvalidData)?;
                    self.text = Bytes::from(text);
                    charge.set(STREAM_HELD + inflow.most().min(u64::from(caps::HTTP2_SERVER_WINDOW)));
                    self.stage = Stage::Body(inflow);
                }
            }
        }
    }

    /// The final head as text, and its body.
    fn begin(&self, answered: Response<RecvStream>) -> Result<(Vec<u8>, Inflow), StreamError> {
        let (parts, recv) = answered.into_parts();
        let end = if recv.is_end_stream() { End::Here } else { End::Later };
        let mut head = match &self.key {
            Some(key) if parts.status.is_success() => DowngradeAnswer::switching(key),
            _ => DowngradeAnswer::begin(parts.status.as_u16())?,
        };
        for (name, value) in &parts.headers {
            head.field(name.as_str().as_bytes(), value.as_bytes())?;
        }
        let (text, body) = head.finish(end, self.to_head)?;
        Ok((text, Inflow::new(recv, body)))
    }
}

fn interim_text(interim: &Response<()>) -> Result<Vec<u8>, StreamError> {
    let mut head = DowngradeAnswer::begin(interim.status().as_u16())?;
    for (name, value) in interim.headers() {
        head.field(name.as_str().as_bytes(), value.as_bytes())?;
    }
    Ok(head.finish(End::Here, false)?.0)
}

/// How the other end learns of what became of the stream: behind the last one that a server took before it leaves (RFC 9113
/// section 6.8), refused unseen (section 8.7), given up by a server that is there, not HTTP/2, or lost with its connection.
fn kind_of(error: &h2::Error) -> io::ErrorKind {
    if error.is_go_away() && error.is_remote() {
        io::ErrorKind::NotConnected
    } else if error.reason() == Some(h2::Reason::REFUSED_STREAM) {
        io::ErrorKind::ConnectionRefused
    } else if error.is_reset() && error.is_remote() {
        io::ErrorKind::ConnectionAborted
    } else if error.is_library() {
        io::ErrorKind::InvalidData
    } else {
        io::ErrorKind::ConnectionReset
    }
}

//! One stream: its head becomes text, its body follows, its answer goes back.
//!
//! Not here: what is done with the request (`serve::h1`, on the other end of the connection in memory). The invariant:
//! the stream's task ends when the exchange is recorded and the client has its answer, has none coming, or took none of
//! it for too long.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_http::http2::downgrade::{self, Body};
use evenkeel_http::http2::{Downgrade, End, StreamLine, websocket};
use evenkeel_http::{Method, RequestFacts, StreamError, Version};
use evenkeel_net::duplex::Half;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use tokio::time::Instant;

use super::FAREWELL;
use super::answer::Answer;
use super::hands::Kit;
use super::trunk::{LargeBody, Place, Trunk};
use crate::hold::Hold;
use crate::http2::inflow::{Broken, Inflow};
use crate::http2::outflow::Outcome;
use crate::patience::Rest;
use crate::serve::h1::{self, Branch, Client};
use crate::timer::Timer;
use crate::worker::Worker;

/// A request as it goes on from its stream.
struct Text {
    head: Vec<u8>,
    body: Body,
    facts: RequestFacts,
    proof: Option<Vec<u8>>,
}

/// Begins to serve a stream.
pub(super) fn begin(trunk: &Rc<Trunk>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let number = trunk.next_request();
    if trunk.is_full() {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    let Some(hold) = trunk.refresh() else {
        return respond.send_reset(Reason::REFUSED_STREAM);
    };
    if trunk.worker.free.is_full() {
        trunk.worker.shared.reject("memory");
        return answer_at_once(&mut respond, 503);
    }
    let (parts, recv) = request.into_parts();
    let end = if recv.is_end_stream() { End::Here } else { End::Later };
    let (text, refused) = match write(trunk, &parts, end) {
        Ok(text) => (text, None),
        Err(error) => (gist(&parts, end), Some(error)),
    };
    let (near, far) = trunk.worker.hands.pair();
    near.begin_with(&text.head);
    trunk.worker.hands.serve(Flow {
        place: Place::take(trunk),
        large: LargeBody::begin(trunk, text.body),
        trunk: Rc::clone(trunk),
        near,
        far,
        hold,
        number,
        refused,
        upload: Inflow::new(recv, text.body),
        respond,
        facts: text.facts,
        proof: text.proof,
    });
}

/// Writes the head of the stream's request as an HTTP/1.1 head.
fn write(trunk: &Trunk, parts: &http::request::Parts, end: End) -> Result<Text, StreamError> {
    let uri = &parts.uri;
    let protocol = parts.extensions.get::<h2::ext::Protocol>();
    let line = StreamLine {
        method: parts.method.as_str().as_bytes(),
        // The library has checked that there is one, and leaves it out where no authority stands beside it (RFC 9113 section
        // 8.3.1: who translates from HTTP/1.1 may name the host in `host` alone).
        scheme: uri.scheme_str().map(str::as_bytes).or_else(|| {
            let is_left_out = uri.authority().is_none() && uri.path_and_query().is_some();
            is_left_out.then_some(b"http".as_slice())
        }),
        authority: uri.authority().map(|authority| authority.as_str().as_bytes()),
        path: uri.path_and_query().map(|path| path.as_str().as_bytes()),
        protocol: protocol.map(|protocol| protocol.as_str().as_bytes()),
    };
    let key = protocol.map(|_| websocket::key(&trunk.chance())).unwrap_or_default();
    let mut head = Downgrade::begin(&line, usize::from(trunk.limits.get().fields), &key)?;
    for (name, value) in &parts.headers {
        head.field(name.as_str().as_bytes(), value.as_bytes())?;
    }
    let (head, body) = head.finish(end)?;
    let is_tunnel = body == Body::Tunnel;
    let method = if is_tunnel { Method::Get } else { Method::of(line.method) };
    let facts = RequestFacts { method, version: Version::Http11, websocket: is_tunnel };
    Ok(Text { head, body, facts, proof: is_tunnel.then(|| websocket::proof(&key)) })
}

/// What is said in the log of a request that is refused before there is a text of it, and what its answer goes by.
fn gist(parts: &http::request::Parts, end: End) -> Text {
    let uri = &parts.uri;
    let line = StreamLine {
        method: parts.method.as_str().as_bytes(),
        authority: uri.authority().map(|authority| authority.as_str().as_bytes()),
        path: uri.path_and_query().map(|path| path.as_str().as_bytes()),
        ..StreamLine::default()
    };
    let told = [header::HOST, header::ACCEPT, header::USER_AGENT, header::REFERER, header::CONTENT_TYPE];
    let fields = told.iter().filter_map(|name| Some((name.as_str().as_bytes(), parts.headers.get(name)?.as_bytes())));
    let (head, method, body) = downgrade::gist(&line, fields, end);
    let facts = RequestFacts { method, version: Version::Http11, websocket: false };
    Text { head, body, facts, proof: None }
}

/// Answers with a status and nothing else.
fn answer_at_once(respond: &mut SendResponse<Bytes>, status: u16) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // It fails where the client has left meanwhile.
    let _ = respond.send_response(response, true);
}

/// How long a client may go on with a body after its answer. Its connection stays of use, so it has the time that nginx
/// gives it (`lingering_time`).
const DISCARD: Duration = Duration::from_secs(30);

/// A stream between its client and the exchange that serves it.
pub(super) struct Flow {
    place: Place,
    large: Option<LargeBody>,
    trunk: Rc<Trunk>,
    near: Half,
    /// The other end, which the exchange has.
    far: Half,
    hold: Rc<Hold>,
    /// Which request of the connection it is.
    number: u32,
    /// Why it is refused, where it is.
    refused: Option<StreamError>,
    upload: Inflow,
    respond: SendResponse<Bytes>,
    facts: RequestFacts,
    proof: Option<Vec<u8>>,
}

impl Flow {
    /// Whose thread it is on.
    pub(super) fn worker(&self) -> Rc<Worker> {
        Rc::clone(&self.trunk.worker)
    }

    /// Serves the stream to its end.
    pub(super) async fn run(self, kit: &mut Kit) {
        let Self { mut place, mut large, trunk, near, far, hold, number, refused, mut upload, respond, facts, proof } =
            self;
        near.lend(std::mem::take(&mut kit.room));
        let mut answer = Answer::new(respond, facts, proof, std::mem::take(&mut kit.head));
        let mut exchange = pin!(h1::one(client(&trunk, far, (hold, number, refused), kit.timer.take())));
        let (mut is_served, mut is_lost) = (false, false);
        let mut stall = Stall::default();
        let outcome = poll_fn(|cx| {
            let uploaded = upload.poll(cx, &near, answer.is_switched());
            if uploaded.is_ready() {
                large = None;
            }
            if !is_served {
                is_served = kit.takes_back(exchange.as_mut().poll(cx));
            }
            let was_switched = answer.is_switched();
            let mut answered = answer.poll(cx, &near);
            if let Poll::Ready(Err(error)) = uploaded {
                is_lost = true;
                answer.reset(fault(error));
                answered = answer.poll(cx, &near);
            }
            if !was_switched && answer.is_switched() {
                // The bytes that waited for the switch may go now.
                cx.waker().wake_by_ref();
            }
            is_lost |= matches!(answered, Poll::Ready(Outcome::Reset | Outcome::Gone));
            if is_lost && !is_served {
                // Whoever asks a server for somebody who is gone stops.
                near.break_off(io::ErrorKind::ConnectionReset);
                is_served = kit.takes_back(exchange.as_mut().poll(cx));
            }
            match answered {
                Poll::Ready(outcome) if is_served => Poll::Ready(outcome),
                Poll::Pending if is_served => {
                    let left = answer.waiting().saturating_add(near.unread());
                    stall.poll(cx, &trunk, left).map(|()| Outcome::Reset)
                }
                _ => Poll::Pending,
            }
        })
        .await;
        if outcome == Outcome::Sent || answer.is_begun() {
            // Whoever ends a call in the middle of its answers, as is usual, was served, too.
            trunk.wire.answered();
        }
        if outcome == Outcome::Reset {
            // It had its time to take what is there.
            answer.reset(Reason::CANCEL);
        }
        answer.leave(kit);
        if outcome == Outcome::Sent && !upload.is_ended() {
            place.rest();
            see_out(&trunk, &mut upload).await;
        }
        drop((upload, answer));
        trunk.worker.hands.take_back(near);
        drop(place);
    }
}

/// What the exchange takes for its client: the end of the connection in memory, with the terms of the one that carries it.
fn client(
    trunk: &Trunk,
    far: Half,
    (hold, number, refused): (Rc<Hold>, u32, Option<StreamError>),
    timer: Option<Timer>,
) -> Box<Client> {
    let timeouts = trunk.timeouts.get();
    let branch = Branch {
        worker: Rc::clone(&trunk.worker),
        listener: trunk.listener.clone(),
        hold,
        timeouts,
        limits: trunk.limits.get(),
        opened: trunk.opened,
        refused,
        requests: number.saturating_sub(1),
        timer: timer.unwrap_or_else(|| Timer::new(Instant::now() + timeouts.head)),
        bed: Rc::clone(&trunk.bed),
    };
    Client::of_stream(trunk.branch(far), branch)
}

/// Takes the rest of a body whose answer is out, for as long as its client may take; where the connection is to end, for no
/// longer than one without streams stands.
async fn see_out(trunk: &Trunk, upload: &mut Inflow) {
    let mut until = Instant::now() + DISCARD;
    let mut timer = Timer::new(until);
    let mut turned = pin!(trunk.worker.turn.notified());
    let mut rest = pin!(upload.discard());
    poll_fn(|cx| {
        if rest.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        while turned.as_mut().poll(cx).is_ready() {
            turned.set(trunk.worker.turn.notified());
        }
        if !trunk.may_stay() {
            until = until.min(Instant::now() + FAREWELL);
        }
        timer.poll_passed(cx, until)
    })
    .await;
}

fn fault(error: Broken) -> Reason {
    match error {
        Broken::Gone => Reason::CANCEL,
        Broken::Length => Reason::PROTOCOL_ERROR,
    }
}

/// How a client takes the end of an answer, which waits for it alone.
#[derive(Default)]
struct Stall {
    timer: Option<Timer>,
    rest: Option<Rest>,
}

impl Stall {
    /// Ready once the client took too long to go on with what is left, or with what is before it on the connection.
    fn poll(&mut self, cx: &mut Context<'_>, trunk: &Trunk, left: usize) -> Poll<()> {
        let (timeouts, now) = (trunk.timeouts.get(), Instant::now());
        let count = trunk.wire.behind().unwrap_or(0).wrapping_sub(left as u64);
        let rest = self.rest.get_or_insert_with(|| Rest::new(count, timeouts.rate, now));
        let deadline = rest.deadline(count, timeouts.send, now);
        self.timer.get_or_insert_with(|| Timer::new(deadline)).poll_passed(cx, deadline)
    }
}

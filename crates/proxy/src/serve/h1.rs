//! An HTTP/1 connection of a client: heads are read, each becomes an exchange, and the connection is kept or closed.
//!
//! Not here: what a request leads to (`exchange`). The invariant: the next request begins exactly where the one
//! before ended; where that is not certain, the connection closes.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use evenkeel_http::{StreamError, http2};
use evenkeel_model::config::{ClientLimits, ClientTimeouts};
use evenkeel_model::{ListenerName, caps};
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::buffer::Desk;
use crate::error::{Kind, ProxyError};
use crate::exchange::{self, Exchange, Next};
use crate::hold::Hold;
use crate::serve::room::Served;
use crate::serve::{FIRST_WORD, h2};
use crate::sleepers::{Bed, DoorId};
use crate::snapshot::Snapshot;
use crate::timer::Timer;
use crate::wire::{LINGER, Stream, Wire, linger, write_all};
use crate::worker::Worker;

/// The answer where the memory for buffers is lent out.
const SHED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";

/// A client's connection.
pub(crate) struct Client {
    pub(crate) worker: Rc<Worker>,
    pub(crate) stream: Stream,
    pub(crate) timer: Timer,
    pub(crate) listener: ListenerName,
    pub(crate) peer: IpAddr,
    /// Requests so far, the one under way included.
    pub(crate) requests: u32,
    pub(crate) timeouts: ClientTimeouts,
    pub(crate) limits: ClientLimits,
    /// Whether it is a stream of an HTTP/2 connection, which carries one request.
    pub(crate) is_stream: bool,
    /// Why its one request is refused, which had no text that could say so.
    refused: Option<StreamError>,
    opened: Instant,
    pub(crate) bed: Rc<Bed>,
    /// What a stream falls back on once its listener is gone: it was asked for before its client knew.
    hold: Option<Rc<Hold>>,
    /// Since when it has said nothing. What wakes it may be a part of a record of TLS, which says nothing yet.
    silent_since: Option<Instant>,
    /// Where the listener stands in the snapshot of that generation.
    place: (u64, usize),
}

/// What a stream's client has from its connection.
pub(crate) struct Branch {
    pub(crate) worker: Rc<Worker>,
    pub(crate) listener: ListenerName,
    pub(crate) hold: Rc<Hold>,
    pub(crate) timeouts: ClientTimeouts,
    pub(crate) limits: ClientLimits,
    pub(crate) opened: Instant,
    /// Why the request is refused, where it is.
    pub(crate) refused: Option<StreamError>,
    /// Requests before this one.
    pub(crate) requests: u32,
    pub(crate) timer: Timer,
    /// The connection's, which falls silent for all of its streams.
    pub(crate) bed: Rc<Bed>,
}

/// What an idle connection was woken by.
enum Woken {
    Bytes,
    Leave,
}

/// Serves a connection from its first byte to its end. The client is made before the future, which would else hold what
/// it is made of beside it for as long as the connection stands, and goes in and out of rooms without being copied.
pub(crate) fn connection(worker: Rc<Worker>, listener: ListenerName, stream: Stream) -> impl Future<Output = ()> {
    let mut client = Client::new(Rc::clone(&worker), listener, stream);
    async move {
        if client.as_deref().is_some_and(Client::has_chosen_http2)
            && let Some(client) = client.take()
        {
            return Box::pin(h2::connection(client, Vec::new())).await;
        }
        let mut turned = pin!(worker.turn.notified());
        loop {
            let Some(waiting) = client.as_mut() else { return };
            let Woken::Bytes = waiting.idle(&worker, turned.as_mut()).await else { return };
            let Some(woken) = client.take() else { return };
            if worker.free.is_full() {
                return Box::pin(woken.shed()).await;
            }
            // What serving takes is fetched for as long as bytes are in hand, so that an idle connection is small.
            let (served, desk, next) = worker.rooms.serve(woken, worker.free.desk()).await;
            if next == Next::Http2 {
                let early = desk.input.filled().to_vec();
                worker.free.return_desk(desk);
                return Box::pin(h2::connection(served, early)).await;
            }
            worker.free.return_desk(desk);
            match next {
                Next::Keep => client = Some(served),
                Next::Close | Next::Http2 => return,
                Next::Reset => return served.stream.reset(),
                Next::Linger => return Box::pin(served.linger()).await,
            }
        }
    }
}

/// Serves the one request of a stream, and ends the stream as the answer wants. Gives the timer back, which the next one may
/// have.
pub(crate) async fn one(client: Box<Client>) -> Timer {
    let worker = Rc::clone(&client.worker);
    let (served, desk, next) = worker.rooms.serve(client, worker.free.desk()).await;
    let Client { stream, timer, .. } = *served;
    worker.free.return_desk(desk);
    if next == Next::Reset {
        stream.reset();
    }
    timer
}

/// Serves requests as long as bytes are in hand.
pub(crate) async fn busy(mut client: Box<Client>, mut desk: Box<Desk>) -> Served {
    let next = client.busy(&mut desk).await;
    (client, desk, next)
}

impl Client {
    fn new(worker: Rc<Worker>, listener: ListenerName, stream: Stream) -> Option<Box<Self>> {
        let now = Instant::now();
        let snapshot = worker.snapshot()?;
        let place = snapshot.listener_place(&listener)?;
        let (config, part) = snapshot.listener(place)?;
        Some(Box::new(Self {
            bed: Bed::at(DoorId::of(&part.shared)),
            timer: Timer::new(now + config.timeouts.head),
            peer: stream.peer_addr().ip(),
            timeouts: config.timeouts,
            limits: config.limits,
            place: (snapshot.generation(), place),
            worker,
            stream,
            listener,
            requests: 0,
            is_stream: false,
            refused: None,
            opened: now,
            hold: None,
            silent_since: None,
        }))
    }

    /// The client of a stream.
    pub(crate) fn of_stream(stream: Stream, branch: Branch) -> Box<Self> {
        let place = branch.hold.listener_place(&branch.listener).unwrap_or(usize::MAX);
        Box::new(Self {
            timer: branch.timer,
            peer: stream.peer_addr().ip(),
            timeouts: branch.timeouts,
            limits: branch.limits,
            place: (branch.hold.generation(), place),
            worker: branch.worker,
            stream,
            listener: branch.listener,
            requests: branch.requests,
            is_stream: true,
            refused: branch.refused,
            opened: branch.opened,
            bed: branch.bed,
            hold: Some(branch.hold),
            silent_since: None,
        })
    }

    /// Whether client and listener chose HTTP/2 while they agreed on TLS.
    fn has_chosen_http2(&self) -> bool {
        self.stream.tls().is_some_and(|facts| facts.application.as_deref() == Some("h2"))
    }

    /// When the connection was accepted.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// Waits for bytes without holding a buffer.
    async fn idle<'w>(&mut self, bell: &'w Worker, mut turned: Pin<&mut Notified<'w>>) -> Woken {
        // The first request is awaited as long as a head may take, the next ones as long as idle connections may stand.
        let patience = if self.requests == 0 { self.timeouts.head } else { self.timeouts.idle };
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        let mut deadline = since + patience;
        if self.requests == 0 && !self.may_stay(since) {
            // Accepted while connections were told to go, too late to hear it.
            deadline = deadline.min(Instant::now() + FIRST_WORD);
        }
        let mut nap = None;
        poll_fn(|cx| {
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Woken::Bytes),
                Poll::Ready(Err(_)) => return Poll::Ready(Woken::Leave),
                Poll::Pending => {}
            }
            while turned.as_mut().poll(cx).is_ready() {
                // A fresh ear before the question, so that no call in between is missed.
                turned.set(bell.turn.notified());
                match self.may_stay(Instant::now()) {
                    true => {}
                    // Who has just connected is about to ask, and would take the end for a failure.
                    false if self.requests == 0 => deadline = deadline.min(Instant::now() + FIRST_WORD),
                    false => return Poll::Ready(Woken::Leave),
                }
            }
            if nap.get_or_insert_with(|| bell.sleepers.lie_down(&self.bed, since)).is_over(cx) {
                return Poll::Ready(Woken::Leave);
            }
            self.timer.poll_passed(cx, deadline).map(|()| Woken::Leave)
        })
        .await
    }

    /// Serves requests as long as bytes are in hand.
    async fn busy(&mut self, desk: &mut Desk) -> Next {
        // The runtime takes every new socket for readable until it has asked.
        match self.read_what_is_there(desk) {
            Ok(0) => return Next::Close,
            Ok(_) => self.silent_since = None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Keep,
            Err(_) => return Next::Close,
        }
        if self.requests == 0 && !self.is_stream && self.begins_as_http2(desk).await {
            return Next::Http2;
        }
        loop {
            let started = Instant::now();
            let Some(snapshot) = self.refresh() else { return Next::Close };
            let (head, fault) = match self.read_head(desk, &snapshot, started).await {
                Ok(Some(head)) => (head, None),
                Ok(None) => return Next::Close,
                Err(error) => (Instant::now(), Some(error)),
            };
            let fault = self.refused.map(|cause| Kind::Stream(cause).into()).or(fault);
            self.requests = self.requests.saturating_add(1);
            let mut exchange = Exchange::begin(self, desk, snapshot, (started, head));
            let next = match fault {
                None => exchange::run(self, desk, &mut exchange).await,
                Some(error) => exchange::refuse(self, desk, &mut exchange, error).await,
            };
            if next != Next::Keep {
                return next;
            }
            exchange.rest.settle(desk);
            desk.reset();
            if desk.input.filled().is_empty() {
                self.silent_since = exchange.times.ended;
                return Next::Keep;
            }
        }
    }

    /// Reads once, without waiting.
    fn read_what_is_there(&mut self, desk: &mut Desk) -> io::Result<usize> {
        let count = self.stream.try_read(desk.input.room(usize::MAX))?;
        desk.input.grow(count);
        Ok(count)
    }

    /// Whether the client speaks HTTP/2 without having asked (RFC 9113 section 3.3). Reads on only as long as its first
    /// bytes may become that; what they are else is seen later.
    async fn begins_as_http2(&mut self, desk: &mut Desk) -> bool {
        let deadline = Instant::now() + self.timeouts.head;
        loop {
            match http2::opening(desk.input.filled()) {
                http2::Opening::Http2 => return true,
                http2::Opening::Other => return false,
                http2::Opening::Perhaps => {}
            }
            let (stream, input) = (&mut self.stream, &mut desk.input);
            match self.timer.until(deadline, poll_fn(|cx| stream.poll_read(cx, input.room(usize::MAX)))).await {
                Ok(Ok(count)) if count > 0 => desk.input.grow(count),
                _ => return false,
            }
        }
    }

    /// Reads until a head is whole, and when it was. `None`: the client left without a word, or said nothing for too long.
    async fn read_head(
        &mut self,
        desk: &mut Desk,
        snapshot: &Snapshot,
        started: Instant,
    ) -> Result<Option<Instant>, ProxyError> {
        let Some((_, part)) = snapshot.listener(self.place.1) else { return Ok(None) };
        let deadline = started + self.timeouts.head;
        let mut now = started;
        loop {
            if !desk.input.filled().is_empty() {
                let parsed = desk.request.parse(desk.input.filled(), &part.limits);
                if parsed.map_err(|cause| ProxyError::from(Kind::Request(cause)))?.is_some() {
                    if desk.request.framing().has_body() {
                        desk.input.widen(caps::CONNECTION_BUFFER);
                    }
                    return Ok(Some(now));
                }
                if desk.input.free() == 0 {
                    desk.input.widen(caps::CONNECTION_BUFFER);
                }
            }
            let stream = &mut self.stream;
            let input = &mut desk.input;
            let read = self.timer.until(deadline, poll_fn(|cx| stream.poll_read(cx, input.room(usize::MAX)))).await;
            let is_begun = !desk.input.filled().is_empty();
            match read {
                Ok(Ok(0)) | Ok(Err(_)) if is_begun => return Err(Kind::ClientGone.into()),
                Ok(Ok(0)) | Ok(Err(_)) => return Ok(None),
                Ok(Ok(count)) => {
                    desk.input.grow(count);
                    now = Instant::now();
                }
                Err(_) if is_begun => return Err(Kind::HeadTimeout.into()),
                Err(_) => return Ok(None),
            }
        }
    }

    /// The snapshot in force, with this connection's own terms brought up to it. A connection whose listener is gone
    /// keeps the terms that it has.
    fn refresh(&mut self) -> Option<Rc<Hold>> {
        let snapshot = self.worker.snapshot()?;
        if self.place.0 != snapshot.generation() {
            let Some(place) = snapshot.listener_place(&self.listener) else { return self.hold.clone() };
            let (config, _) = snapshot.listener(place)?;
            self.timeouts = config.timeouts;
            self.limits = config.limits;
            self.place = (snapshot.generation(), place);
        }
        Some(snapshot)
    }

    /// Where the listener stands in the snapshot of the request under way.
    pub(crate) fn place(&self) -> usize {
        self.place.1
    }

    /// Whether the connection may carry another request after the one under way.
    pub(crate) fn may_stay(&self, now: Instant) -> bool {
        !self.is_stream
            && !self.worker.is_draining()
            && !self.worker.shared.is_leaving(self.stream.own_addr())
            && self.requests < self.limits.requests
            && now < self.opened + self.timeouts.life
            && self.is_kept()
    }

    /// Whether the connection's listener would keep it.
    fn is_kept(&self) -> bool {
        self.worker.snapshot().is_some_and(|snapshot| {
            let tls = self.stream.tls().map(|tls| &**tls);
            snapshot.generation() == self.place.0 || snapshot.keeps(&self.listener, tls)
        })
    }

    /// Ends our side and reads on for a moment: closing with bytes unread would reset the connection, and the reset
    /// could overtake the answer (RFC 9112 section 9.6).
    pub(crate) async fn linger(mut self) {
        linger(self.stream, &mut self.timer, &self.worker.scratch).await;
    }

    /// Turns a request away unread: there is no memory to read it into. It is counted, and has no line in the log.
    async fn shed(mut self) {
        self.worker.shared.reject("memory");
        let patience = self.timeouts.send.min(LINGER);
        if write_all(&mut self.stream, &mut self.timer, [SHED, b""], patience).await.is_ok() {
            self.linger().await;
        }
    }
}

//! An HTTP/2 connection of a client: each of its streams becomes an exchange like any other.
//!
//! A stream is served as if it were a connection of its own ([`stream`]): its head is written as an HTTP/1.1 head, its
//! body in HTTP/1.1's framing, into a connection in memory that `serve::h1` reads; what comes back is read like a
//! server's answer and becomes frames again. So there is one path for requests, one parser and one framing machine.
//!
//! Not here: frames and their state machines (the `h2` library), and what of them is too much (the gate has it counted
//! by `evenkeel_http::http2::Sentry`). The invariants: streams of a connection share its thread and no more than its
//! share of memory; a connection ends only when its streams have and the client has what was on them ([`linger`]), or the
//! deadline of a drain has passed; a client is told before (GOAWAY in two steps, RFC 9113 section 6.8), so that no
//! request is lost in between.

mod answer;
mod hands;
mod linger;
mod stream;
mod trunk;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel_model::caps;
use h2::Reason;
use h2::server::Connection;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

pub(crate) use self::hands::Hands;
use self::trunk::Trunk;
use crate::http2::gate::Gate;
use crate::patience::Rest;
use crate::serve::h1::Client;
use crate::sleepers::Nap;
use crate::worker::Worker;

/// How long a connection without streams stands after its client was told that it ends: a round trip around the world
/// and some.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a connection without streams keeps a larger window: calls often follow each other closely, and what is lent to
/// one client is not there for others.
const WINDOW_REST: Duration = Duration::from_secs(1);

type Frames = Connection<Gate, Bytes>;

/// Serves a connection to its end. `early` is what of it was read already.
pub(crate) async fn connection(client: Box<Client>, early: Vec<u8>) {
    let trunk = Trunk::new(*client, early);
    let deadline = Instant::now() + trunk.timeouts.get().head;
    let handshake = pin!(settings(&trunk).handshake::<_, Bytes>(Gate::new(&trunk.wire)));
    let frames = {
        let mut timer = trunk.timer.borrow_mut().take();
        let Some(timer) = timer.as_mut() else { return };
        let shaken = timer.until(deadline, handshake).await;
        match shaken {
            Ok(Ok(frames)) => frames,
            // Whoever begins like HTTP/2 and goes on otherwise gets no word that it could understand.
            Ok(Err(_)) | Err(_) => return trunk.worker.shared.reject("http2-handshake"),
        }
    };
    let worker = Rc::clone(&trunk.worker);
    let turned = pin!(worker.turn.notified());
    Keeper::new(&trunk, &worker, frames, turned).keep().await;
    trunk.emptied().await;
}

/// What a connection allows its client.
fn settings(trunk: &Trunk) -> h2::server::Builder {
    let limits = trunk.limits.get();
    // HTTP/2 counts 32 bytes for each field beside its name and value (RFC 9113 section 6.5.2).
    let list = limits.head.saturating_add(32 * u64::from(limits.fields));
    let mut settings = h2::server::Builder::new();
    settings
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .initial_window_size(caps::HTTP2_STREAM_WINDOW)
        // Streams bound each other by no window of theirs: what all of them may hold fits in.
        .initial_connection_window_size(caps::HTTP2_UPLOADS_HELD + limits.streams * caps::HTTP2_STREAM_WINDOW)
        .max_send_buffer_size(caps::HTTP2_SEND_BUFFER)
        .max_local_error_reset_streams(Some(caps::HTTP2_RESETS_OURS))
        .enable_connect_protocol();
    settings
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// All was answered, and the client told that nothing comes after it.
    InOrder,
    /// By a fault, by force, or because the client is gone.
    Broken,
}

/// A connection at work.
struct Keeper<'k, 'w> {
    trunk: Rc<Trunk>,
    worker: &'w Worker,
    frames: Frames,
    turned: Pin<&'k mut Notified<'w>>,
    nap: Option<Nap<'w>>,
    /// Since when there is no stream, and the client has room for all that there was on them.
    idle_since: Option<Instant>,
    /// How the client takes what is left of answers whose streams are over, and until when it may take to go on.
    rest: Option<(Rest, Instant)>,
    /// Whether there were streams since all that was sent went out.
    is_owing: bool,
    /// The window of each stream, as the client was told.
    share: u32,
    /// When it last gave way to other bodies.
    gave_way: Option<Instant>,
    /// Whether the client was told that the connection ends.
    is_leaving: bool,
    /// Whether it was told which stream was the last one, after which nothing is said.
    is_ending: bool,
    /// Whether it was told that it ends at once.
    is_cut: bool,
    timer: crate::timer::Timer,
}

impl<'k, 'w> Keeper<'k, 'w> {
    fn new(trunk: &Rc<Trunk>, worker: &'w Worker, frames: Frames, turned: Pin<&'k mut Notified<'w>>) -> Self {
        Self {
            trunk: Rc::clone(trunk),
            worker,
            frames,
            turned,
            nap: None,
            idle_since: None,
            rest: None,
            is_owing: false,
            share: caps::HTTP2_STREAM_WINDOW,
            gave_way: None,
            is_leaving: false,
            is_ending: false,
            is_cut: false,
            timer: crate::timer::Timer::new(Instant::now() + trunk.timeouts.get().idle),
        }
    }

    /// Accepts streams until the connection is over, and has its client get what is on its way.
    async fn keep(mut self) {
        let ending = poll_fn(|cx| self.poll(cx)).await;
        let Self { trunk, worker, frames, turned, nap, timer, .. } = self;
        drop((frames, nap));
        if ending == Ending::InOrder {
            Box::pin(linger::linger(&trunk, worker, turned, timer)).await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.trunk.listen(cx);
        loop {
            let wire = Rc::clone(&self.trunk.wire);
            let over = wire.turn(|| self.poll_frames(cx));
            if self.trunk.wire.poll_push(cx).is_err() {
                // What was lost with the connection its streams learn from the library.
                return Poll::Ready(Ending::Broken);
            }
            if let Poll::Ready(ending) = over {
                return Poll::Ready(ending);
            }
            if self.poll_turns(cx) {
                continue;
            }
            let deadline = match self.deadline() {
                // Its client was told, and had its time.
                Some(deadline) if deadline <= Instant::now() && (self.is_cut || self.is_leaving) => {
                    if !self.say_last() {
                        return Poll::Ready(Ending::Broken);
                    }
                    continue;
                }
                Some(deadline) => deadline,
                None => return Poll::Pending,
            };
            if self.timer.poll_passed(cx, deadline).is_pending() {
                return Poll::Pending;
            }
            self.on_deadline();
        }
    }

    /// Moves frames, and begins the streams that came. Ready once the connection is over.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            match self.frames.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    stream::begin(&self.trunk, request, respond);
                    if self.trunk.is_worn() {
                        self.leave();
                    }
                }
                Poll::Ready(None) if !self.is_cut => return Poll::Ready(Ending::InOrder),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Ending::Broken),
                Poll::Pending => match self.trunk.wire.offence() {
                    Some(offence) => {
                        self.worker.shared.reject(offence.code());
                        self.cut(Reason::from(offence.reason()));
                    }
                    None if self.share_window() => {}
                    None => return Poll::Pending,
                },
            }
        }
    }

    /// Looks at what others tell the connection; whether it did something about it.
    fn poll_turns(&mut self, cx: &mut Context<'_>) -> bool {
        while self.turned.as_mut().poll(cx).is_ready() {
            // A fresh ear before the questions below, so that no call in between is missed.
            self.turned.set(self.worker.turn.notified());
        }
        let mut is_changed = false;
        if self.worker.is_cut() && !self.is_cut {
            self.cut(Reason::NO_ERROR);
            is_changed = true;
        }
        if !self.is_leaving && !self.trunk.may_stay() {
            self.leave();
            is_changed = true;
        }
        self.follow_rest();
        if self.trunk.is_empty() && self.rest.is_none() {
            let since = *self.idle_since.get_or_insert_with(Instant::now);
            self.trunk.wire.fall_silent();
            let nap = self.nap.get_or_insert_with(|| self.worker.sleepers.lie_down(&self.trunk.bed, since));
            if !self.is_leaving && nap.is_over(cx) {
                self.leave();
                is_changed = true;
            }
        } else {
            self.idle_since = None;
            self.nap = None;
        }
        is_changed
    }

    /// Looks at how the client takes what its streams have left behind. One that is cut off is not waited for, nor who has all
    /// of that and leaves answers to its pings unread.
    fn follow_rest(&mut self) {
        if !self.trunk.is_empty() {
            (self.is_owing, self.rest) = (true, None);
            return;
        }
        let taken = self.trunk.wire.behind().filter(|_| self.is_owing && !self.is_cut);
        self.is_owing = taken.is_some();
        self.rest = taken.map(|taken| {
            let (now, timeouts) = (Instant::now(), self.trunk.timeouts.get());
            let mut rest = self.rest.take().map_or_else(|| Rest::new(taken, timeouts.rate, now), |(rest, _)| rest);
            let deadline = rest.deadline(taken, timeouts.send, now);
            (rest, deadline)
        });
    }

    /// When the connection has stood for long enough as it stands; `None` while its streams are at work, which have
    /// deadlines of their own.
    fn deadline(&self) -> Option<Instant> {
        let timeouts = self.trunk.timeouts.get();
        let owed = self.trunk.wire.owes_fields_since().map(|since| since + timeouts.head);
        let idle = self.idle_since.map(|since| match self.is_leaving || self.is_cut {
            true => since.max(self.trunk.told.get().unwrap_or(since)) + FAREWELL,
            false => since + timeouts.idle,
        });
        let stays = self.trunk.has_window() && !self.is_leaving && !self.is_cut;
        let rested = self.idle_since.filter(|_| stays).map(|since| since + WINDOW_REST);
        let rest = self.rest.as_ref().map(|(_, deadline)| *deadline);
        [owed, idle, rested, rest].into_iter().flatten().min()
    }

    fn on_deadline(&mut self) {
        if self.return_window() {
            return;
        }
        if self.trunk.wire.owes_fields_since().is_some() {
            self.worker.shared.reject("head-timeout");
            self.cut(Reason::ENHANCE_YOUR_CALM);
        } else {
            self.leave();
        }
    }

    /// Tells the client the window of each stream, where that changed and the client has heard what it was told before;
    /// whether there is something to be sent. A window that gave way to other bodies does not grow again at once, whatever
    /// becomes of them: many SETTINGS look like a flood.
    fn share_window(&mut self) -> bool {
        let share = self.trunk.share();
        if share > self.share && self.gave_way.is_some_and(|at| at.elapsed() < WINDOW_REST) {
            return false;
        }
        let is_told = share != self.share && self.frames.set_initial_window_size(share).is_ok();
        if is_told {
            if share < self.share && self.trunk.has_window() {
                self.gave_way = Some(Instant::now());
            }
            self.share = share;
        }
        is_told
    }

    /// Gives the larger window back where nobody has needed it for long enough; whether it did. What the client was granted
    /// it may still use once; it is granted no more of it.
    fn return_window(&mut self) -> bool {
        let has_rested = self.idle_since.is_some_and(|since| since.elapsed() >= WINDOW_REST);
        has_rested && self.trunk.return_window()
    }

    /// Tells the client that the connection takes no more requests, once it has heard so.
    fn leave(&mut self) {
        if !self.is_leaving {
            self.is_leaving = true;
            self.trunk.told.set(Some(Instant::now()));
            self.frames.graceful_shutdown();
        }
    }

    /// Tells a client that is left without a stream which one was the last, so that it asks elsewhere for what comes after
    /// it; whether that remained to be said.
    fn say_last(&mut self) -> bool {
        let is_at_rest = self.idle_since.is_some() && self.trunk.wire.owes_fields_since().is_none();
        let remains = is_at_rest && !self.is_ending && !self.is_cut;
        if remains {
            self.is_ending = true;
            self.frames.abrupt_shutdown(Reason::NO_ERROR);
        }
        remains
    }

    /// Ends the connection with all that is on it.
    fn cut(&mut self, reason: Reason) {
        if !self.is_cut {
            self.is_cut = true;
            self.trunk.told.set(Some(Instant::now()));
            self.frames.abrupt_shutdown(reason);
        }
    }
}

//! The tasks that serve streams: each serves one after the other.
//!
//! Not here: what is done with a stream (`stream`). A task takes some two thousand bytes, and a stream is soon over: making
//! one anew for each would cost more than reading a head. So whoever has served a stream waits for the next, and keeps what
//! streams need: a timer, a table of fields, room for an answer. The invariant: a hand on the list serves nobody, and a
//! hand that a panic took is on it no more.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use evenkeel_http::ResponseHead;
use evenkeel_model::caps;
use evenkeel_net::duplex::{Half, Spare};

use super::stream::Flow;
use crate::spares::Spares;
use crate::timer::Timer;

/// A worker's free hands, and what connections in memory are made of for those whom they serve.
#[derive(Default)]
pub(crate) struct Hands {
    free: RefCell<Vec<Rc<Hand>>>,
    spares: Spares<Spare>,
}

/// Who serves streams, as those see it who have one to be served.
#[derive(Default)]
struct Hand {
    next: RefCell<Option<Flow>>,
    waker: RefCell<Option<Waker>>,
    is_dismissed: Cell<bool>,
}

/// What a hand keeps from one stream to the next.
#[derive(Default)]
pub(super) struct Kit {
    pub(super) timer: Option<Timer>,
    pub(super) head: ResponseHead,
    /// Room for an answer on its way through memory.
    pub(super) room: BytesMut,
}

impl Kit {
    /// Takes back the timer of an exchange that is over; whether it is.
    pub(super) fn takes_back(&mut self, timer: Poll<Timer>) -> bool {
        match timer {
            Poll::Ready(timer) => {
                self.timer = Some(timer);
                true
            }
            Poll::Pending => false,
        }
    }
}

impl Hands {
    /// Has a stream served.
    pub(super) fn serve(&self, flow: Flow) {
        match self.free.borrow_mut().pop() {
            Some(hand) => hand.give(flow),
            None => {
                let hand = Rc::new(Hand { next: RefCell::new(Some(flow)), ..Hand::default() });
                tokio::task::spawn_local(work(hand));
            }
        }
    }

    /// A connection in memory for a stream.
    pub(super) fn pair(&self) -> (Half, Half) {
        self.spares.take().unwrap_or_default().pair(caps::HTTP2_STREAM_BUFFER)
    }

    /// Takes back what a connection in memory was made of, once its other end is gone.
    pub(super) fn take_back(&self, end: Half) {
        if let Some(spare) = end.into_spare() {
            self.spares.put(spare);
        }
    }

    /// Lets go of what nobody needed lately.
    pub(crate) fn trim(&self) {
        self.spares.trim();
    }

    /// Takes a hand back; whether there is a place for it.
    fn rest(&self, hand: &Rc<Hand>) -> bool {
        let mut free = self.free.borrow_mut();
        let has_place = free.len() < caps::SPARES_PER_WORKER;
        if has_place {
            free.push(Rc::clone(hand));
        }
        has_place
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        for hand in self.free.take() {
            hand.is_dismissed.set(true);
            hand.wake();
        }
    }
}

impl Hand {
    fn give(&self, flow: Flow) {
        *self.next.borrow_mut() = Some(flow);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The next stream; `None` once there will be none.
    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Flow>> {
        match self.next.borrow_mut().take() {
            Some(flow) => Poll::Ready(Some(flow)),
            None if self.is_dismissed.get() => Poll::Ready(None),
            None => {
                *self.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A hand's whole life.
async fn work(hand: Rc<Hand>) {
    let mut kit = Kit::default();
    while let Some(flow) = poll_fn(|cx| hand.poll_next(cx)).await {
        let worker = flow.worker();
        flow.run(&mut kit).await;
        if !worker.hands.rest(&hand) {
            return;
        }
    }
}

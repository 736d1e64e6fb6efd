//! The memory that serving a busy connection takes, lent like a desk.
//!
//! Not here: what is served (`h1`). The future of a busy connection is some two thousand bytes. Inside of the
//! connection's own task an idle connection would pay for it; in a box of its own each wake would pay an allocation. So
//! boxes are kept and filled anew. The invariant: a room on the list holds nobody.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::h1::Client;
use crate::buffer::Desk;
use crate::exchange::Next;
use crate::spares::Spares;

/// What comes out of a room: who went in, and how it ended.
pub(crate) type Served = (Box<Client>, Box<Desk>, Next);

/// A room, whatever the future in it is called.
trait Room {
    fn enter(&mut self, client: Box<Client>, desk: Box<Desk>);
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Served>;
}

/// A worker's free rooms.
#[derive(Default)]
pub(crate) struct Rooms {
    free: Spares<Box<dyn Room>>,
}

impl Rooms {
    /// Serves a connection as long as bytes are in hand.
    pub(crate) async fn serve(&self, client: Box<Client>, desk: Box<Desk>) -> Served {
        let mut room = self.free.take().unwrap_or_else(|| room(super::h1::busy));
        room.enter(client, desk);
        let served = poll_fn(|cx| room.poll(cx)).await;
        self.free.put(room);
        served
    }

    /// Lets go of rooms that nobody needed lately.
    pub(crate) fn trim(&self) {
        self.free.trim();
    }
}

struct Kept<M, F> {
    make: M,
    future: Pin<Box<Option<F>>>,
}

fn room<M, F>(make: M) -> Box<dyn Room>
where
    M: Fn(Box<Client>, Box<Desk>) -> F + 'static,
    F: Future<Output = Served> + 'static,
{
    Box::new(Kept { make, future: Box::pin(None) })
}

impl<M, F> Room for Kept<M, F>
where
    M: Fn(Box<Client>, Box<Desk>) -> F,
    F: Future<Output = Served>,
{
    fn enter(&mut self, client: Box<Client>, desk: Box<Desk>) {
        self.future.set(Some((self.make)(client, desk)));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Served> {
        let Some(future) = self.future.as_mut().as_pin_mut() else { return Poll::Pending };
        let served = future.poll(cx);
        if served.is_ready() {
            self.future.set(None);
        }
        served
    }
}

//! What happens, as it happens: a list of the latest, and a stream of server-sent events (HTML Living Standard, section 9.2).
//!
//! The invariant: an event is serialised once for all viewers; a viewer that is too slow is told so and dropped, and a stream that ends is
//! taken up again where it stopped, by `Last-Event-ID`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_model::caps;
use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::time::Sleep;

use super::{Call, Gives, Operation, Parameter, ROW, Reply, Shape, json};
use crate::control::{NextStep, Step};
use crate::payload::{self, Feed, Payload};
use crate::problem::{Code, Problem};
use crate::report::EventReport;

/// How often a silent stream says that it is still there, so that whatever lies between does not cut it.
const PULSE: Duration = Duration::from_secs(15);

/// Streams that are open.
static VIEWERS: AtomicUsize = AtomicUsize::new(0);

const AFTER: &[Parameter] =
    &[Parameter { name: "after", doc: "Only those with a larger number.", shape: Shape::of::<u64>(), required: false }];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        path: "/api/v1/events/recent",
        id: "listEvents",
        noun: "events",
        doc: "The latest events, oldest first.",
        query: AFTER,
        gives: Gives::Json(Shape::of::<Vec<EventReport>>()),
        run: |call| Box::pin(async move { Ok(json(&call.control.events().recent(after(&call)?.unwrap_or(0)))) }),
        ..ROW
    },
    Operation {
        path: "/api/v1/events",
        id: "watchEvents",
        noun: "events",
        doc: "Events as they happen, and first those after `Last-Event-ID` or `after` that are still kept.",
        query: AFTER,
        gives: Gives::Events,
        problems: &[Code::A503],
        run: |call| Box::pin(watch(call)),
        ..ROW
    },
];

async fn watch(call: Call<'_>) -> Reply {
    let last = call.head.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = after(&call)?.or(last);
    let place = Place::take().ok_or_else(|| {
        Problem::new(
            Code::A503,
            format!("{} streams are open; close one, or ask for /api/v1/events/recent", caps::ADMIN_VIEWERS),
        )
    })?;
    let (missed, coming) = call.control.events().watch(after);
    let mut queue: VecDeque<Bytes> = VecDeque::from([Bytes::from_static(b"retry: 2000\n\n")]);
    queue.extend(missed);
    let feed = Events { queue, step: Some(coming.next()), pulse: Box::pin(tokio::time::sleep(PULSE)), _place: place };
    Ok(payload::with(StatusCode::OK, "text/event-stream", Payload::Feed(Box::new(feed))))
}

fn after(call: &Call<'_>) -> Result<Option<u64>, Problem> {
    let Some(text) = call.query("after") else { return Ok(None) };
    let odd = |_| Problem::new(Code::A103, "`after` is the number of an event");
    text.parse().map(Some).map_err(odd)
}

/// One of the places for viewers.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let taken = |open: usize| (open < caps::ADMIN_VIEWERS).then_some(open + 1);
        VIEWERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        VIEWERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One viewer's stream.
struct Events {
    queue: VecDeque<Bytes>,
    /// The wait for the next event; `None` at the end.
    step: Option<NextStep>,
    pulse: Pin<Box<Sleep>>,
    _place: Place,
}

impl Feed for Events {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(piece) = self.queue.pop_front() {
            return Poll::Ready(Some(piece));
        }
        let Some(step) = &mut self.step else { return Poll::Ready(None) };
        if let Poll::Ready((coming, step)) = step.as_mut().poll(context) {
            self.step = None;
            let piece = match step {
                Step::Event(bytes) => {
                    self.step = Some(coming.next());
                    Some(bytes)
                }
                Step::TooSlow => Some(Bytes::from_static(b"event: dropped\ndata: {\"why\":\"too slow\"}\n\n")),
                Step::End => None,
            };
            self.pulse = Box::pin(tokio::time::sleep(PULSE));
            return Poll::Ready(piece);
        }
        if self.pulse.as_mut().poll(context).is_ready() {
            self.pulse = Box::pin(tokio::time::sleep(PULSE));
            return Poll::Ready(Some(Bytes::from_static(b": still here\n\n")));
        }
        Poll::Pending
    }
}

/// An event in the form of a stream.
pub fn encode(event: &EventReport) -> Vec<u8> {
    // A report is made of text and numbers, which are always JSON; JSON is one line.
    let data = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.kind).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_cannot_break_out_of_its_line() {
        let text = "a\n\ndata: forged\r\nid: 9".to_owned();
        let encoded = encode(&EventReport { id: 4, kind: "server".to_owned(), text, ..EventReport::default() });
        let encoded = String::from_utf8(encoded).unwrap();
        assert_eq!(encoded.lines().count(), 4, "{encoded}");
        assert!(encoded.starts_with("id: 4\nevent: server\ndata: {") && encoded.ends_with("}\n\n"));
    }
}

//! A client of HTTP/2 whose every request is accounted for, as those of `load` are.
//!
//! It sends again what the other side has proven not to have looked at, as each client of HTTP/2 does (RFC 9113 sections
//! 6.8 and 8.7), and nothing else. The invariant: a number is sent a second time only after such a proof; whether it was
//! executed all the same the servers tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Error, Reason};
use http::Request;
use tokio::task::{AbortHandle, LocalSet};

use crate::load::{Keeping, NUMBER, Outcome, Plan, Record, number};
use crate::over::Secured;
use crate::wire::Failure;

/// How many connections a request is offered to.
const OFFERS: usize = 5;

/// Runs one client of a load until it is told to stop.
///
/// # Panics
/// Where the system gives no runtime.
pub(crate) fn client(plan: &Plan, stop: &AtomicBool, mut note: impl FnMut(Record)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the system has a poller");
    LocalSet::new().block_on(&runtime, async {
        let mut kept = None;
        for _ in 0..plan.most {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let (number, sent) = (number(), Instant::now());
            let outcome = exchange(plan, number, &mut kept).await;
            note(Record { number, sent, took: sent.elapsed(), outcome });
            // The connection is looked after meanwhile: it hears what it is told.
            tokio::time::sleep(plan.pause).await;
        }
    });
}

/// A connection.
struct Link {
    requests: SendRequest<Bytes>,
    task: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    async fn open(plan: &Plan) -> Result<Self, Failure> {
        let stream = Secured::open(plan.to).await.map_err(|_| Failure::Refused)?;
        let (requests, connection) = h2::client::handshake(stream).await.map_err(|_| Failure::Refused)?;
        let task = tokio::task::spawn_local(async move { drop(connection.await) }).abort_handle();
        Ok(Self { requests, task })
    }
}

async fn exchange(plan: &Plan, number: u64, kept: &mut Option<Link>) -> Outcome {
    match tokio::time::timeout(plan.patience, talk(plan, number, kept)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => Outcome::Failed(failure),
        Err(_) => Outcome::Failed(Failure::Timeout),
    }
}

async fn talk(plan: &Plan, number: u64, kept: &mut Option<Link>) -> Result<Outcome, Failure> {
    for _ in 0..OFFERS {
        let link = match kept.take() {
            Some(link) => link,
            None => Link::open(plan).await?,
        };
        // One that was told to go takes nothing more: the next one does.
        let Ok(ready) = link.requests.clone().ready().await else { continue };
        match ask(plan, number, ready).await {
            Ok(outcome) => {
                if plan.keeping == Keeping::Kept {
                    *kept = Some(link);
                }
                return Ok(outcome);
            }
            Err((_, error)) if is_unseen(&error) => {}
            Err((failure, _)) => return Err(failure),
        }
    }
    Err(Failure::Refused)
}

async fn ask(plan: &Plan, number: u64, mut ready: SendRequest<Bytes>) -> Result<Outcome, (Failure, Error)> {
    let uri = format!("https://{}{}", plan.to, plan.target);
    let request = Request::builder().method(plan.method).uri(uri).header(NUMBER, format!("{number:016x}"));
    let request = match plan.body.len() {
        0 => request,
        length => request.header("content-length", length),
    };
    let request = request.body(()).expect("the plan's target is one");
    let before = |error| (Failure::ResetBefore, error);
    let (answer, mut upload) = ready.send_request(request, plan.body.is_empty()).map_err(before)?;
    if !plan.body.is_empty() {
        upload.send_data(Bytes::from(plan.body.clone()), true).map_err(before)?;
    }
    let (head, mut body) = answer.await.map_err(before)?.into_parts();
    while let Some(bytes) = body.data().await {
        let within = |error| (Failure::ResetMid, error);
        let bytes = bytes.map_err(within)?;
        body.flow_control().release_capacity(bytes.len()).map_err(within)?;
    }
    let status = head.status.as_u16();
    let server = head.headers.get("x-server").and_then(|name| name.to_str().ok()).unwrap_or_default();
    Ok(if status >= 500 { Outcome::ServerError(status) } else { Outcome::Answered(status, server.to_owned()) })
}

/// Whether the other side has said that it did not look at the request.
fn is_unseen(error: &Error) -> bool {
    let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    let is_past_the_last = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    error.is_remote() && (is_refused || is_past_the_last)
}

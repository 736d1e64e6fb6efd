//! What is ordered of servers and what happens to them, between the node and the API.

use std::sync::Arc;

use evenkeel_admin::report::{EventReport, IntentReport, ServerReport};
use evenkeel_admin::{
    Answer, Coming, Events, NextStep, OrderRefused, OrderedWeight, ServerOrder, Servers, Step, events,
};
use evenkeel_node::{Happening, Intent, SteerError, Steering, WeightWish, Wish};
use hyper::body::Bytes;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::control::{Running, server};

impl Servers for Running {
    fn order(&self, order: ServerOrder) -> Answer<'_, Result<ServerReport, OrderRefused>> {
        let ServerOrder { pool, server: name, standing, weight, lasting, why, by, expected } = order;
        let weight = weight.map(|weight| match weight {
            OrderedWeight::Fixed(weight) => WeightWish::Fixed(weight),
            OrderedWeight::Percent(percent) => WeightWish::Percent(percent),
        });
        let wish = Wish { standing, weight, lasting, why };
        Box::pin(async move {
            let steered = self.handle.steer(Steering { pool, server: name, wish, by, expected }).await;
            steered.map(|status| server(&status)).map_err(|refused| match refused {
                SteerError::NoPool | SteerError::NoServer => OrderRefused::Unknown,
                SteerError::Stale => OrderRefused::Stale,
                SteerError::Stopping => OrderRefused::Stopping,
                SteerError::Silent(worker) => OrderRefused::Silent(worker),
            })
        })
    }
}

/// An intent in the words of the API.
pub(crate) fn intent(intent: &Intent, is_kept: bool) -> IntentReport {
    IntentReport {
        state: intent.state.map(|state| state.as_str().to_owned()),
        weight: intent.weight,
        why: intent.why.clone(),
        by: intent.who(),
        since: intent.since,
        left_s: intent.left().map(|left| left.as_secs()),
        is_kept,
    }
}

impl Events for Running {
    fn recent(&self, after: u64) -> Vec<EventReport> {
        self.handle.journal().since(after).iter().map(|happening| event(happening)).collect()
    }

    fn watch(&self, after: Option<u64>) -> (Vec<Bytes>, Box<dyn Coming>) {
        let journal = self.handle.journal();
        let (missed, coming) = journal.watch(after.unwrap_or_else(|| journal.last()));
        (missed.iter().map(|happening| encoded(happening)).collect(), Box::new(Watched(coming)))
    }
}

/// One viewer's place in the journal.
struct Watched(Receiver<Arc<Happening>>);

impl Coming for Watched {
    fn next(mut self: Box<Self>) -> NextStep {
        Box::pin(async move {
            let step = match self.0.recv().await {
                Ok(happening) => Step::Event(encoded(&happening)),
                Err(RecvError::Lagged(_)) => Step::TooSlow,
                Err(RecvError::Closed) => Step::End,
            };
            (self as Box<dyn Coming>, step)
        })
    }
}

/// The bytes of an event, made by the first viewer that needs them.
fn encoded(happening: &Happening) -> Bytes {
    let made = || Arc::from(events::encode(&event(happening)));
    Bytes::from_owner(Arc::clone(happening.encoded.get_or_init(made)))
}

fn event(happening: &Happening) -> EventReport {
    EventReport {
        id: happening.id,
        at_ms: u64::try_from(happening.at.as_millis()).unwrap_or(u64::MAX),
        kind: happening.kind.to_owned(),
        subject: happening.subject.clone(),
        text: happening.text.clone(),
        state: happening.state.to_owned(),
    }
}

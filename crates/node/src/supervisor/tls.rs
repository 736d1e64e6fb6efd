//! Certificates that come from elsewhere than files, and what proves to authorities that hosts are ours: put in their
//! places while everything runs.

use std::collections::BTreeSet;
use std::time::Duration;

use evenkeel_model::ListenerName;
use evenkeel_net::clock;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::{Supervisor, Turn};
use crate::acme::Showing;
use crate::crew::Silent;

/// How long workers, and the threads of DNS, may take to see them.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often certificates of our own are looked at, at the least: clocks are set, and nobody is told.
const LOOKING: Duration = Duration::from_secs(3600);

type Reply = oneshot::Sender<Result<(), String>>;

impl Supervisor {
    pub(super) fn show_certificates(&mut self, listener: ListenerName, reply: Reply) {
        let shown = self.install_certificates(&BTreeSet::from([listener]));
        tokio::task::spawn_local(async move {
            // Whoever asked may have left.
            let _ = reply.send(shown.await);
        });
    }

    /// Has listeners show what is there for them, all at once. What is given back ends when traffic sees it.
    fn install_certificates(
        &mut self,
        listeners: &BTreeSet<ListenerName>,
    ) -> impl Future<Output = Result<(), String>> + use<> {
        let mut refused = None;
        for listener in listeners {
            if let Err(cause) = self.running.tls.install(listener, self.acme.installed(listener)) {
                refused = Some(cause);
            }
        }
        let views = self.keeper.views(clock::now());
        self.running.snapshot = self.build(views);
        let acks = self.crew.ping(&self.running.snapshot);
        async move {
            let answered = match acks {
                Ok(acks) => acks.all(PATIENCE).await,
                Err(silent) => Err(silent),
            };
            answered.map_err(|Silent(index)| format!("worker {index} has not taken it up yet"))?;
            refused.map_or(Ok(()), Err)
        }
    }

    /// Makes certificates of our own anew that are near their end, when the first of them is.
    pub(super) fn renew_own_certificates(&mut self, turn: &mut Turn) {
        if turn.renew_own_at.is_some_and(|due| due > Instant::now()) {
            return;
        }
        let now = clock::unix_now();
        let renewed = self.running.tls.renew_own(now);
        let usable_for = self.running.tls.own_usable_for(now);
        // Where there is no other one, there is none a moment later either.
        let pause = if renewed.is_ok() { usable_for.min(LOOKING) } else { LOOKING };
        turn.renew_own_at = Some(Instant::now() + pause);
        match renewed {
            Ok(listeners) if listeners.is_empty() => return,
            Ok(listeners) => {
                for listener in listeners {
                    let text =
                        format!("the certificate that {listener} made itself was near its end: it has another one");
                    tracing::info!("{text}");
                    self.journal.note("certificate", listener.to_string(), text);
                }
            }
            Err(cause) => tracing::error!("a certificate of our own is near its end, and there is no other: {cause}"),
        }
        let views = self.keeper.views(clock::now());
        self.running.snapshot = self.build(views);
        turn.is_lagging = !self.crew.publish(&self.running.snapshot);
        if turn.is_lagging {
            turn.publish_soon();
        }
    }

    pub(super) fn show_texts(&mut self, reply: Reply) {
        let threads = self.dns.show_texts(self.acme.texts());
        tokio::task::spawn_local(async move {
            let mut answered = Ok(());
            for thread in threads {
                if timeout(PATIENCE, thread).await.is_err() {
                    answered = Err("a thread of DNS has not taken it up yet".to_owned());
                }
            }
            // Whoever asked may have left.
            let _ = reply.send(answered);
        });
    }

    /// Shows authorities what another node wants them to see, and says so once it is shown.
    pub(super) fn show_for_node(&mut self, showing: Showing) {
        let shown = (!showing.what.listeners.is_empty()).then(|| self.install_certificates(&showing.what.listeners));
        let answered = showing.what.texts.then(|| {
            let (reply, answer) = oneshot::channel();
            self.show_texts(reply);
            answer
        });
        tokio::task::spawn_local(async move {
            let mut outcome = Ok(());
            if let Some(shown) = shown {
                outcome = shown.await;
            }
            if let Some(answered) = answered {
                // Who answers no more leaves with the process.
                outcome = outcome.and(answered.await.unwrap_or(Ok(())));
            }
            match outcome {
                Ok(()) => showing.confirm(),
                Err(cause) => tracing::warn!("what another node has authorities look for is not shown here: {cause}"),
            }
        });
    }

    /// Brings the orders of certificates in line with the configuration.
    pub(super) fn follow_acme(&mut self) {
        for listener in self.acme.follow(&self.running.config) {
            // One that is gone, or speaks no TLS any more, has nothing to show.
            let _ = self.running.tls.install(&listener, self.acme.installed(&listener));
        }
        drop(self.dns.show_texts(self.acme.texts()));
    }
}

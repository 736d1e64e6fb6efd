//! Certificates that come from elsewhere than files, and what proves to authorities that hosts are ours: put in their
//! places while everything runs.

use std::time::Duration;

use evenkeel_model::ListenerName;
use evenkeel_net::clock;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Supervisor;
use crate::acme::Showing;
use crate::crew::Silent;

/// How long workers, and the threads of DNS, may take to see them.
const PATIENCE: Duration = Duration::from_secs(10);

type Reply = oneshot::Sender<Result<(), String>>;

impl Supervisor {
    pub(super) fn show_certificates(&mut self, listener: &ListenerName, reply: Reply) {
        if let Err(cause) = self.running.tls.install(listener, self.acme.installed(listener)) {
            // Whoever asked may have left.
            let _ = reply.send(Err(cause));
            return;
        }
        let views = self.keeper.views(clock::now());
        self.running.snapshot = self.build(views);
        let acks = self.crew.ping(&self.running.snapshot);
        tokio::task::spawn_local(async move {
            let answered = match acks {
                Ok(acks) => acks.all(PATIENCE).await,
                Err(silent) => Err(silent),
            };
            let answered = answered.map_err(|Silent(index)| format!("worker {index} has not taken it up yet"));
            let _ = reply.send(answered);
        });
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
        let mut answers = Vec::new();
        for listener in &showing.what.listeners {
            let (reply, answer) = oneshot::channel();
            self.show_certificates(listener, reply);
            answers.push(answer);
        }
        if showing.what.texts {
            let (reply, answer) = oneshot::channel();
            self.show_texts(reply);
            answers.push(answer);
        }
        tokio::task::spawn_local(async move {
            for answer in answers {
                if let Ok(Err(cause)) = answer.await {
                    tracing::warn!("what another node has authorities look for is not shown here: {cause}");
                    return;
                }
            }
            showing.confirm();
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

//! Certificates that come from elsewhere than files, put in their place while everything runs.

use std::time::Duration;

use evenkeel_model::ListenerName;
use evenkeel_net::clock;
use tokio::sync::oneshot;

use super::Supervisor;
use crate::certificates::Installed;
use crate::crew::Silent;

/// How long workers may take to see them.
const PATIENCE: Duration = Duration::from_secs(10);

impl Supervisor {
    pub(super) fn install(
        &mut self,
        listener: &ListenerName,
        installed: Installed,
        reply: oneshot::Sender<Result<(), String>>,
    ) {
        if let Err(cause) = self.running.tls.install(listener, installed) {
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
}

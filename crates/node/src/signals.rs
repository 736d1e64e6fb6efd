//! Signals become orders: TERM, INT and QUIT stop, HUP reloads, USR1 reopens the logs. USR2 and ALRM, which mean something
//! to other servers, are refused with a line in the log.
//!
//! The invariant: a signal does nothing by itself; it goes the same way as an order over the control socket.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::supervisor::{Again, Event, Order};

/// The signals that we listen to, from the moment this exists.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    reopen: Signal,
    quit: Signal,
    upgrade: Signal,
    alarm: Signal,
}

impl Signals {
    /// Takes the signals from their default actions.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            quit: signal(SignalKind::quit())?,
            upgrade: signal(SignalKind::user_defined2())?,
            alarm: signal(SignalKind::alarm())?,
        })
    }

    /// Sends orders until nobody takes them.
    pub(crate) async fn listen(mut self, events: mpsc::Sender<Event>) {
        loop {
            let order = tokio::select! {
                _ = self.terminate.recv() => Order::Stop { by: "SIGTERM", again: Again::Hurries },
                _ = self.interrupt.recv() => Order::Stop { by: "SIGINT", again: Again::Hurries },
                // Whoever sends a signal reads the outcome in the log.
                _ = self.hangup.recv() => Order::Reload { by: "SIGHUP", reply: oneshot::channel().0 },
                _ = self.reopen.recv() => Order::Reopen,
                _ = self.quit.recv() => Order::Stop { by: "SIGQUIT", again: Again::Hurries },
                _ = self.upgrade.recv() => {
                    tracing::warn!("SIGUSR2 is ignored: another version of the program is taken up by a restart");
                    continue;
                }
                _ = self.alarm.recv() => {
                    tracing::warn!("SIGALRM is ignored: it means nothing here");
                    continue;
                }
            };
            if events.send(Event::Order(order)).await.is_err() {
                return;
            }
        }
    }
}

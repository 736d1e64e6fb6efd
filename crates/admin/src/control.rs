//! What the API asks of a node.

use std::future::Future;
use std::pin::Pin;

use crate::report::{ReloadRefused, ReloadReport, StatusReport, TimelineReport};

/// An answer that may take a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who did what, and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Who, and by which way.
    pub who: String,
    /// The method, the path and the beginning of the body, on one line.
    pub what: String,
    /// The status of the answer.
    pub status: u16,
}

/// A running node, as the API sees it. Every method may be called at any time, several at once.
pub trait Control: Send + Sync + 'static {
    /// How the node is at this moment.
    fn status(&self) -> Answer<'_, StatusReport>;

    /// Reads the configuration anew and applies it. Answers when traffic sees it, or when it was refused whole.
    fn reload(&self) -> Answer<'_, Result<ReloadReport, ReloadRefused>>;

    /// What its servers were held for in the last day.
    fn timeline(&self) -> Answer<'_, TimelineReport>;

    /// Writes down who changed what.
    fn audit(&self, line: &Audit);

    /// Begins to stop: no new connections, open ones finish. Answers when that has begun.
    fn stop(&self) -> Answer<'_, ()>;
}

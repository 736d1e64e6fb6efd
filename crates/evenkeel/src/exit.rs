//! How the program ends. The codes are an interface: scripts and units rely on them.

use std::process::ExitCode;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It is done, and traffic sees it.
    Done,
    /// It failed.
    Failed,
    /// The configuration or the command line is wrong. The parser of the command line uses the same code.
    Bad,
    /// It is done in part: under `--strict`, there are warnings.
    Partial,
    /// There is no daemon to speak to.
    NoDaemon,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Bad => 2,
            Exit::Partial => 3,
            Exit::NoDaemon => 4,
        })
    }
}

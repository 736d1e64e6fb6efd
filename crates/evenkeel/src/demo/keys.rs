//! Keys of the terminal, one at a time, and what they do.

use std::io;
use std::time::Duration;

use super::stage::Act;
use crate::terminal::{Interrupt, Pressed, Terminal};

/// What the keys do.
pub(super) const HELP: &str = "keys: 1 2 3 choose a server (now the first) · k kill · h hang · u restore\n\
                               \u{20}     d drain, or not any more · m maintenance, or not any more · c new client · q quit\n";

/// How often is looked for a key: no finger feels the difference.
const LOOK: Duration = Duration::from_millis(30);

/// The terminal, giving what its keys mean.
pub(super) struct Keys {
    terminal: Terminal,
}

impl Keys {
    /// Takes the terminal of the standard input.
    ///
    /// # Errors
    /// Where it is none.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { terminal: Terminal::open(Interrupt::Signal)? })
    }

    /// The next thing that a key means; `None` when the keys are over.
    pub(super) async fn next<T>(&mut self, meaning: impl Fn(u8) -> Option<T>) -> Option<T> {
        loop {
            tokio::time::sleep(LOOK).await;
            match self.terminal.key(Duration::ZERO) {
                Pressed::Nothing => {}
                Pressed::End | Pressed::Key(b'q') => return None,
                Pressed::Key(key) => {
                    if let Some(meant) = meaning(key) {
                        return Some(meant);
                    }
                }
            }
        }
    }
}

/// What a key means, if anything.
pub(super) fn meaning(key: u8) -> Option<Act> {
    Some(match key {
        b'1'..=b'3' => Act::Choose(usize::from(key - b'1')),
        b'k' => Act::Kill,
        b'h' => Act::Hang,
        b'u' => Act::Restore,
        b'd' => Act::Drain,
        b'm' => Act::Maintain,
        b'c' => Act::NewClient,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_help_does_something() {
        for key in *b"123khudmc" {
            assert!(meaning(key).is_some(), "{}", char::from(key));
            assert!(HELP.contains(char::from(key)));
        }
        assert_eq!(meaning(b'x'), None);
    }
}

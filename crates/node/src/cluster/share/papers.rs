//! Papers: what a node tells the others as a whole, and anew each time that it changes.
//!
//! A topic has one paper for each node that tells it. A paper goes out in pieces, the last of which says so; who comes
//! back after a gap is told all of them again. The invariant: what is heard is a whole paper of a known topic and
//! version, no larger than its cap, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel_model::caps;
use tokio::sync::watch;

/// What a paper is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    /// What operators ordered.
    Intents,
    /// What this node holds its servers for.
    Verdicts,
    /// The secrets of session tokens.
    TokenSecrets,
    /// Its orders of certificates, with what authorities gave, keys included.
    Certificates,
    /// What authorities are to be shown for it.
    Proofs,
}

/// Every topic with its letter on the line, and the version of what is written of it.
const TOPICS: [(Topic, u8, u8); 5] = [
    (Topic::Intents, b'i', 1),
    (Topic::Verdicts, b'v', 1),
    (Topic::TokenSecrets, b't', 1),
    (Topic::Certificates, b'c', 1),
    (Topic::Proofs, b'p', 1),
];

/// Bytes of a paper in one frame, its head left out.
const PIECE: usize = caps::SHARED_FRAME - 1 - HEAD;
/// The letter, the version, and whether it is the last piece; the frame's kind stands before.
const HEAD: usize = 3;

/// A paper that another node told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paper {
    pub(crate) from: Arc<str>,
    pub(crate) topic: Topic,
    pub(crate) bytes: Vec<u8>,
}

/// The papers of this node, by topic.
pub(crate) type Papers = BTreeMap<Topic, Arc<[u8]>>;

/// Where this node's papers lie. Cheap to clone: clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Desk(watch::Sender<Papers>);

impl Desk {
    /// An empty one, and who watches it.
    pub(crate) fn new() -> (Self, watch::Receiver<Papers>) {
        let (desk, watched) = watch::channel(Papers::new());
        (Self(desk), watched)
    }

    /// Lays a paper there, in the place of the one before of that topic. What is too large is not told.
    pub(crate) fn lay(&self, topic: Topic, bytes: Vec<u8>) {
        if bytes.len() > caps::SHARED_PAPER {
            return tracing::warn!("{topic:?} are not told to the other nodes: {} bytes are too many", bytes.len());
        }
        self.0.send_if_modified(|papers| {
            let is_news = papers.get(&topic).is_none_or(|known| **known != bytes);
            if is_news {
                papers.insert(topic, bytes.into());
            }
            is_news
        });
    }
}

/// The frames of a paper, after their kind.
pub(super) fn pieces(topic: Topic, paper: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let (letter, version) = TOPICS.iter().find(|row| row.0 == topic).map_or((0, 0), |row| (row.1, row.2));
    let count = paper.len().div_ceil(PIECE).max(1);
    (0..count).map(move |at| {
        let part = paper.chunks(PIECE).nth(at).unwrap_or_default();
        let mut frame = vec![letter, version, u8::from(at + 1 == count)];
        frame.extend_from_slice(part);
        frame
    })
}

/// Puts pieces together.
#[derive(Debug, Default)]
pub(super) struct Assembly(BTreeMap<Topic, Vec<u8>>);

impl Assembly {
    /// Takes a piece; the paper, where it was the last one. What a later version of the program tells is left alone.
    ///
    /// # Errors
    /// Where the paper is larger than any of ours.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Option<(Topic, Vec<u8>)>, String> {
        let Some((&[letter, version, is_last], part)) = piece.split_first_chunk::<HEAD>() else { return Ok(None) };
        let known = TOPICS.iter().find(|row| (row.1, row.2) == (letter, version));
        let Some((topic, ..)) = known else { return Ok(None) };
        let paper = self.0.entry(*topic).or_default();
        if paper.len() + part.len() > caps::SHARED_PAPER {
            return Err("it tells more than any node of ours".to_owned());
        }
        paper.extend_from_slice(part);
        Ok((is_last == 1).then(|| (*topic, self.0.remove(topic).unwrap_or_default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(assembly: &mut Assembly, frames: impl Iterator<Item = Vec<u8>>) -> Vec<(Topic, Vec<u8>)> {
        frames.filter_map(|frame| assembly.take(&frame).unwrap()).collect()
    }

    #[test]
    fn a_paper_of_any_length_is_heard_as_it_was_told() {
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let paper: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let heard = assemble(&mut Assembly::default(), pieces(Topic::Verdicts, &paper));
            assert_eq!(heard, [(Topic::Verdicts, paper)], "{length} bytes");
        }
    }

    #[test]
    fn papers_of_several_topics_do_not_mix() {
        let (one, two) = (vec![1; PIECE + 1], vec![2; PIECE + 1]);
        let mut frames: Vec<_> = pieces(Topic::Intents, &one).zip(pieces(Topic::Verdicts, &two)).collect();
        let frames = frames.drain(..).flat_map(|(one, two)| [one, two]);
        let heard = assemble(&mut Assembly::default(), frames);
        assert_eq!(heard, [(Topic::Intents, one), (Topic::Verdicts, two)]);
    }

    #[test]
    fn what_a_later_version_tells_is_left_alone_and_too_much_is_refused() {
        let mut assembly = Assembly::default();
        for piece in [&b""[..], b"i", b"i\x02\x01later", b"?\x01\x01unknown"] {
            assert_eq!(assembly.take(piece), Ok(None), "{piece:?}");
        }
        let mut endless = vec![b'i', 1, 0];
        endless.resize(PIECE, 0);
        let taken = (0..=caps::SHARED_PAPER / PIECE + 1).map(|_| assembly.take(&endless));
        assert!(taken.last().unwrap().is_err());
    }

    #[test]
    fn the_same_paper_twice_is_told_once() {
        let (desk, mut watched) = Desk::new();
        desk.lay(Topic::Intents, b"one".to_vec());
        assert!(watched.has_changed().unwrap());
        watched.mark_unchanged();
        desk.lay(Topic::Intents, b"one".to_vec());
        desk.lay(Topic::Verdicts, vec![0; caps::SHARED_PAPER + 1]);
        assert!(!watched.has_changed().unwrap());
    }
}

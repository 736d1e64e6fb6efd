//! The words that a body is searched for: names of parameters that carry sessions, and `<base`.

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, MatchKind, Span};

/// A parameter that carries a session's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdName {
    pub(super) text: Vec<u8>,
    /// It is one of queries and forms.
    pub(super) in_query: bool,
    /// It is one of paths, behind a semicolon.
    pub(super) in_path: bool,
}

/// What a find is a find of.
#[derive(Debug, Clone)]
pub(super) enum Word {
    Name(IdName),
    /// The beginning of a `<base>` of so many bytes.
    Base(usize),
}

/// The names of the parameters that carry sessions, ready to be searched for.
#[derive(Debug, Clone)]
pub struct IdNames {
    words: Vec<Word>,
    searcher: AhoCorasick,
    /// The same with vectors alone, where the machine has them: it tells by several bytes at once, and so is not slowed by
    /// the many `<` of a page.
    vectors: Option<packed::Searcher>,
    longest: usize,
}

/// How people and programs write it; the searcher is several times faster without regard to case.
const BASE: [&[u8]; 3] = [b"<base", b"<BASE", b"<Base"];

impl IdNames {
    /// The names of parameters of queries and of paths. `None` where there are none, or what is no name.
    pub fn new<'n>(
        query: impl IntoIterator<Item = &'n [u8]>,
        path: impl IntoIterator<Item = &'n [u8]>,
    ) -> Option<Self> {
        let mut names: Vec<IdName> = Vec::new();
        let query = query.into_iter().map(|text| IdName { text: text.to_vec(), in_query: true, in_path: false });
        let path = path.into_iter().map(|text| IdName { text: text.to_vec(), in_query: false, in_path: true });
        for name in query.chain(path).filter(|name| !name.text.is_empty()) {
            match names.iter_mut().find(|known| known.text == name.text) {
                Some(known) => {
                    known.in_query |= name.in_query;
                    known.in_path |= name.in_path;
                }
                None => names.push(name),
            }
        }
        if names.is_empty() {
            return None;
        }
        let base = BASE.map(|word| Word::Base(word.len()));
        let texts: Vec<&[u8]> = names.iter().map(|name| name.text.as_slice()).chain(BASE).collect();
        let longest = texts.iter().map(|text| text.len()).max()?;
        // The longest: where one name begins another, the shorter is not followed by what follows a name.
        let searcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&texts).ok()?;
        let longest_first = packed::MatchKind::LeftmostLongest;
        let vectors = packed::Config::new().match_kind(longest_first).builder().extend(&texts).build();
        Some(Self { words: names.into_iter().map(Word::Name).chain(base).collect(), searcher, vectors, longest })
    }

    /// The first find at or behind `from`: what, and where.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<(&Word, usize)> {
        let rest = text.get(from..)?;
        let found = match &self.vectors {
            // The shortest that the vectors take; what is shorter is looked at byte by byte.
            Some(vectors) if rest.len() >= vectors.minimum_len() => vectors.find_in(rest, Span::from(0..rest.len()))?,
            _ => self.searcher.find(rest)?,
        };
        Some((self.words.get(found.pattern().as_usize())?, from.saturating_add(found.start())))
    }

    /// Bytes of the longest word.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

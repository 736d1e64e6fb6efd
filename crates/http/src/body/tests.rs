//! Bodies replayed from `tests-data/chunked.txt` in every cut, and random ones: the pieces must not depend on the cut.

use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::*;
use crate::cases;
use crate::encode::{CRLF, write_chunk_head, write_last_chunk};

const CASES: &str = include_str!("../../tests-data/chunked.txt");

/// What a decoder made of a body.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    data: Vec<u8>,
    verbatim: Vec<u8>,
    trailers: Vec<u8>,
    rest: Vec<u8>,
    ended: bool,
    error: Option<BodyError>,
}

/// Decodes the bytes as they come in reads that end at the given places, unconsumed bytes offered again.
fn decode(framing: Framing, bytes: &[u8], reads: impl IntoIterator<Item = usize>) -> Outcome {
    let mut decoder = BodyDecoder::new(framing);
    let mut outcome = Outcome::default();
    let mut done = 0;
    for end in reads.into_iter().chain([bytes.len()]) {
        loop {
            let input = &bytes[done..end.max(done)];
            let (len, into) = match decoder.next(input) {
                Ok(Piece::More) => {
                    assert!(input.len() <= 17, "{} bytes were left", input.len());
                    break;
                }
                Ok(Piece::End) => {
                    outcome.ended = true;
                    outcome.rest = bytes[done..].to_vec();
                    outcome.trailers = decoder.trailers().to_vec();
                    return outcome;
                }
                Ok(Piece::Data(len)) => (len, true),
                Ok(Piece::Framing(len)) => (len, false),
                Ok(Piece::Dropped(len)) => {
                    done += len;
                    continue;
                }
                Err(error) => {
                    assert_eq!(decoder.next(input), Err(error), "an error stays");
                    outcome.error = Some(error);
                    return outcome;
                }
            };
            outcome.verbatim.extend(&input[..len]);
            if into {
                outcome.data.extend(&input[..len]);
            }
            done += len;
        }
    }
    outcome
}

/// Decodes the same by runs.
fn decode_runs(
    framing: Framing,
    bytes: &[u8],
    keep: Keep,
    cut: usize,
) -> (Vec<u8>, usize, Result<RunState, BodyError>) {
    let mut decoder = BodyDecoder::new(framing);
    let (mut out, mut done, mut end) = (Vec::new(), 0, cut);
    loop {
        let run = match decoder.run(&bytes[done..end], keep) {
            Ok(run) => run,
            Err(error) => return (out, done, Err(error)),
        };
        out.extend(&bytes[done..end][run.forward]);
        done += run.consumed;
        match run.state {
            RunState::Again => {}
            RunState::More if end < bytes.len() => end = bytes.len(),
            state => return (out, done, Ok(state)),
        }
    }
}

fn wanted(verdict: &str) -> Outcome {
    let Some(parts) = verdict.strip_prefix("ok") else {
        let error = BodyError::ALL.iter().find(|error| error.code() == verdict);
        return Outcome { error: Some(*error.expect("the verdict is a code")), ..Outcome::default() };
    };
    let parts: Vec<Vec<u8>> =
        parts.split('|').map(|part| cases::unescape(part.strip_prefix(' ').unwrap_or(part).trim_end())).collect();
    let [data, verbatim, trailers, rest] = <[Vec<u8>; 4]>::try_from(parts).expect("a verdict has four parts");
    Outcome { data, verbatim, trailers, rest, ended: true, error: None }
}

#[test]
fn every_body_of_the_file_gets_its_verdict_however_it_is_cut() {
    let cases = cases::read(CASES);
    assert!(cases.len() > 30);
    for case in cases {
        let wanted = wanted(&case.verdict);
        let whole = decode(Framing::Chunked, &case.bytes, []);
        let drip = decode(Framing::Chunked, &case.bytes, 0..case.bytes.len());
        assert_eq!(whole.error, wanted.error, "{}", case.name);
        assert_eq!(whole, drip, "{} dripping", case.name);
        if whole.ended {
            assert_eq!(whole, wanted, "{}", case.name);
        }
        for cut in cases::cuts(case.bytes.len()) {
            assert_eq!(decode(Framing::Chunked, &case.bytes, [cut]), whole, "{} cut at {cut}", case.name);
        }
    }
}

#[test]
fn runs_are_the_pieces_joined() {
    for case in cases::read(CASES) {
        let pieces = decode(Framing::Chunked, &case.bytes, []);
        for cut in cases::cuts(case.bytes.len()) {
            for (keep, wanted) in [(Keep::Chunked, &pieces.verbatim), (Keep::Data, &pieces.data)] {
                let (out, done, end) = decode_runs(Framing::Chunked, &case.bytes, keep, cut);
                assert_eq!((&out, end.err()), (wanted, pieces.error), "{} cut at {cut}", case.name);
                if pieces.ended {
                    assert_eq!(&case.bytes[done..], pieces.rest, "{} cut at {cut}", case.name);
                }
            }
        }
    }
}

#[test]
fn a_body_of_known_length_ends_there() {
    for reads in [vec![], vec![3], vec![1, 2, 3, 4]] {
        let outcome = decode(Framing::Length(5), b"helloGET", reads);
        assert_eq!((outcome.data, outcome.rest, outcome.ended), (b"hello".to_vec(), b"GET".to_vec(), true));
    }
    for framing in [Framing::None, Framing::Length(0)] {
        assert_eq!(decode(framing, b"GET", []).rest, b"GET");
        assert!(BodyDecoder::new(framing).is_ended());
    }
}

#[test]
fn the_end_of_the_connection_ends_only_bodies_that_last_until_it() {
    let mut decoder = BodyDecoder::new(Framing::UntilClose);
    assert_eq!(decoder.next(b"abc"), Ok(Piece::Data(3)));
    assert!(!decoder.is_ended());
    assert_eq!(decoder.at_eof(), Ok(()));
    assert!(decoder.is_ended());
    for (framing, sent) in [
        (Framing::Length(5), &b"hell"[..]),
        (Framing::Chunked, b""),
        (Framing::Chunked, b"5\r\nhello\r\n"),
        (Framing::Chunked, b"0\r\n"),
        (Framing::Chunked, b"0\r\nX: a\r\n"),
    ] {
        decoder.reset(framing);
        let mut done = 0;
        while let Ok(Piece::Data(len) | Piece::Framing(len) | Piece::Dropped(len)) = decoder.next(&sent[done..]) {
            done += len;
        }
        assert_eq!(decoder.at_eof(), Err(BodyError::Truncated), "{framing:?} {sent:?}");
    }
}

#[test]
fn the_verbatim_bytes_are_a_chunked_body_again() {
    for case in cases::read(CASES) {
        let pieces = decode(Framing::Chunked, &case.bytes, []);
        if !pieces.ended {
            continue;
        }
        let mut sent = pieces.verbatim.clone();
        write_last_chunk(&mut sent, &pieces.trailers);
        let again = decode(Framing::Chunked, &sent, []);
        assert_eq!((again.data, again.trailers, again.rest), (pieces.data, pieces.trailers, vec![]), "{}", case.name);
    }
}

proptest! {
    #[test]
    fn what_is_written_in_chunks_is_read_back(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        reads in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut sent = Vec::new();
        for chunk in &chunks {
            write_chunk_head(&mut sent, chunk.len());
            sent.extend(chunk);
            sent.extend(CRLF);
        }
        let verbatim = sent.clone();
        write_last_chunk(&mut sent, b"X-Sum: 1\r\n");
        let mut reads: Vec<usize> = reads.iter().map(|at| at.index(sent.len())).collect();
        reads.sort_unstable();
        let outcome = decode(Framing::Chunked, &sent, reads);
        prop_assert_eq!(outcome.data, chunks.concat());
        prop_assert_eq!(outcome.verbatim, verbatim);
        prop_assert_eq!(outcome.trailers, b"X-Sum: 1\r\n".to_vec());
        prop_assert_eq!(outcome.ended, true);
    }

    #[test]
    fn no_bytes_are_read_differently_in_pieces(
        soup in prop::collection::vec(prop::sample::select(b"\r\n0015aF;=\"\\x: \t\0".to_vec()), 0..60),
        reads in prop::collection::vec(0usize..60, 0..6),
    ) {
        let mut reads: Vec<usize> = reads.into_iter().map(|at| at.min(soup.len())).collect();
        reads.sort_unstable();
        prop_assert_eq!(decode(Framing::Chunked, &soup, reads), decode(Framing::Chunked, &soup, []));
    }
}

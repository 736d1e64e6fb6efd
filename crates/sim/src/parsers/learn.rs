//! Session ids in bodies, plain and encoded.

use evenkeel_http::learn::{Coding, IdNames, OwnHosts, PageReader, TOLD};

use super::shown;

const CODINGS: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

/// A body on its way: the same ids however it is cut, never more than a few, in every coding. The first byte says which.
pub fn learn_body(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let Some(coding) = CODINGS.get(usize::from(*first) % CODINGS.len()) else { return };
    let Some(names) = IdNames::new([&b"sid"[..], b"session"], [&b"jsessionid"[..]]) else { return };
    let whole = ids(*coding, &names, body, body.len().max(1));
    assert!(whole.len() <= TOLD, "{} ids", whole.len());
    if *coding == Coding::Identity {
        for step in [1, 2, 3, 7, 64] {
            assert_eq!(ids(*coding, &names, body, step), whole, "cut in pieces of {step}: {}", shown(body));
        }
    } else {
        ids(*coding, &names, body, 5);
    }
}

fn ids(coding: Coding, names: &IdNames, body: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut told = Vec::new();
    let Some(mut reader) = PageReader::new(coding, OwnHosts::new([&b"shop.test"[..]])) else { return told };
    for piece in body.chunks(step) {
        reader.feed(names, piece, &mut |id| told.push(id.to_vec()));
    }
    reader.finish(names, &mut |id| told.push(id.to_vec()));
    told
}

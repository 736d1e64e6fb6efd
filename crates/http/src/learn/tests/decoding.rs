//! Encoded pages tell what plain ones do; bombs and noise tell nothing.

use std::io::Write;

use flate2::Compression;
use proptest::prelude::*;

use super::*;

const PAGE: &str = "<html><body><a href=\"/cart?sid=a1B2c3D4e5\">cart</a></body></html>";
/// `PAGE` by the `brotli` program.
const BROTLI: &[u8] = include_bytes!("page.br");
/// 64 MiB of blanks, and `PAGE` before 64 MiB of blanks in the dialect of large windows, by the `brotli` program.
const BLANKS: &[u8] = include_bytes!("blanks-24.br");
const PAGE_IN_DIALECT: &[u8] = include_bytes!("page-30.br");
/// A page of 300 KB that repeats itself far apart, in a window of 24 bits; its one link stands behind 200 KB.
const FAR: &[u8] = include_bytes!("far-24.br");

fn gzip(page: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(page).unwrap();
    encoder.finish().unwrap()
}

fn zlib(page: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(page).unwrap();
    encoder.finish().unwrap()
}

fn deflate(page: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(page).unwrap();
    encoder.finish().unwrap()
}

fn zstd(page: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zstd_safe::compress_bound(page.len())];
    let length = zstd_safe::compress(&mut out[..], page, 3).unwrap();
    out.truncate(length);
    out
}

fn read(coding: Coding, body: &[u8], size: usize) -> Vec<String> {
    let (names, mut reader, mut told) = (names(), PageReader::new(coding, own()).unwrap(), Vec::new());
    let mut tell = |id: &[u8]| told.push(String::from_utf8(id.to_vec()).unwrap());
    body.chunks(size).for_each(|piece| reader.feed(&names, piece, &mut tell));
    reader.finish(&names, &mut tell);
    told
}

fn coded(page: &[u8]) -> [(Coding, Vec<u8>); 5] {
    [
        (Coding::Identity, page.to_vec()),
        (Coding::Gzip, gzip(page)),
        (Coding::Deflate, zlib(page)),
        (Coding::Deflate, deflate(page)),
        (Coding::Zstd, zstd(page)),
    ]
}

#[test]
fn every_coding_tells_what_the_page_tells() {
    for (coding, body) in coded(PAGE.as_bytes()).into_iter().chain([(Coding::Brotli, BROTLI.to_vec())]) {
        for size in [1, 2, 7, 50, usize::MAX] {
            assert_eq!(read(coding, &body, size), ["a1B2c3D4e5"], "{coding:?} in pieces of {size}");
        }
    }
}

#[test]
fn an_id_is_told_as_soon_as_its_bytes_can_be_decoded() {
    // A server that flushes half of its page: the browser has the link, so that it must be known.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(PAGE.as_bytes()).unwrap();
    encoder.flush().unwrap();
    let sent = encoder.get_ref().clone();
    let (names, mut reader, mut told) = (names(), PageReader::new(Coding::Gzip, own()).unwrap(), 0);
    reader.feed(&names, &sent, &mut |_| told += 1);
    assert_eq!(told, 1);
}

#[test]
fn a_bomb_gives_no_more_than_is_searched() {
    let bomb = vec![b' '; 64 * 1024 * 1024];
    for (coding, body) in [(Coding::Gzip, gzip(&bomb)), (Coding::Zstd, zstd(&bomb)), (Coding::Brotli, BLANKS.to_vec())]
    {
        let (names, mut reader) = (names(), PageReader::new(coding, own()).unwrap());
        for piece in body.chunks(16 * 1024) {
            reader.feed(&names, piece, &mut |_| panic!("there is no id"));
        }
        assert!(reader.is_over(), "{coding:?}");
        assert!(reader.given <= SEARCHED, "{coding:?} gave {}", reader.given);
    }
}

#[test]
fn brotli_is_read_in_every_window_of_the_standard_and_in_none_of_its_dialect() {
    for size in [100, 4096, usize::MAX] {
        assert_eq!(read(Coding::Brotli, FAR, size), ["a1B2c3D4e5"], "in pieces of {size}");
        assert!(read(Coding::Brotli, PAGE_IN_DIALECT, size).is_empty(), "in pieces of {size}");
    }
}

#[test]
fn what_is_not_what_it_says_is_not_searched() {
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        assert!(read(coding, PAGE.as_bytes(), 10).is_empty(), "{coding:?}");
    }
    let mut cut = gzip(PAGE.as_bytes());
    cut.truncate(20);
    assert!(read(Coding::Gzip, &cut, 5).is_empty());
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 1..50_usize) {
        for (coding, body) in coded(&[PAGE.as_bytes(), &bytes].concat()) {
            // Sound at first, then cut and continued by chance.
            let broken = [&body[..body.len() / 2], &bytes].concat();
            read(coding, &broken, size);
        }
        read(Coding::Brotli, &[&BROTLI[..BROTLI.len() / 2], &bytes].concat(), size);
        read(Coding::Brotli, &bytes, size);
    }
}

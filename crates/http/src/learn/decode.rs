//! Pages read beside their way: a copy of what passes is decoded, as far as it is searched, and thrown away.
//!
//! The invariants: what is passed on is not touched; a decoder gives no more than is searched, and no more than `RATIO` times
//! what went in, whatever the bytes say; what cannot be decoded is not searched, and nothing worse.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::brotli::{self, Brotli};
use super::{IdNames, OwnHosts, SEARCHED, Scanner};
use crate::field;
use crate::fields::Fields;
use crate::known::Known;

/// Decoded bytes for each byte that went in. Pages reach 20; a bomb thousands.
const RATIO: usize = 100;
/// Decoded bytes that are free: the first bytes of a body may stand for much.
const FREE: usize = 16 * 1024;
/// The largest window of zstd that content may ask for (RFC 9659 section 3): 8 MiB, of which as much is touched as is decoded.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Bytes that leave a decoder in one step.
pub(super) const STEP: usize = 8 * 1024;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952
    Gzip,
    /// RFC 1950, and RFC 1951 from servers that mistook one for the other.
    Deflate,
    /// RFC 7932
    Brotli,
    /// RFC 8878
    Zstd,
}

impl Coding {
    /// The coding of a body by its head's fields; `None` for one that is not read, and for several on top of each other.
    pub fn of(fields: &Fields, buf: &[u8]) -> Option<Self> {
        let mut codings = fields.known(buf, Known::ContentEncoding).flat_map(field::members);
        match (codings.next(), codings.next()) {
            (None, _) => Some(Self::Identity),
            (Some(coding), None) => Self::of_word(coding),
            (Some(_), Some(_)) => None,
        }
    }

    /// Bytes of memory that reading such a body takes at most, in whole pages of what is really touched.
    pub fn memory(self) -> usize {
        let decoder = match self {
            Self::Identity => 0,
            Self::Gzip | Self::Deflate => 96 * 1024,
            Self::Brotli => brotli::MEMORY,
            Self::Zstd => 512 * 1024,
        };
        // Beside the decoder: what a scanner keeps, and what one piece gives.
        decoder + 16 * 1024
    }

    fn of_word(word: &[u8]) -> Option<Self> {
        const WORDS: [(&[u8], Coding); 6] = [
            (b"identity", Coding::Identity),
            (b"gzip", Coding::Gzip),
            (b"x-gzip", Coding::Gzip),
            (b"deflate", Coding::Deflate),
            (b"br", Coding::Brotli),
            (b"zstd", Coding::Zstd),
        ];
        WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)).map(|(_, coding)| *coding)
    }
}

/// Appends an `Accept-Encoding` value with those codings alone that are read here; whether anything had to go.
pub fn write_readable(accept: &[u8], out: &mut Vec<u8>) -> bool {
    let from = out.len();
    let mut is_changed = false;
    for member in field::members(accept) {
        let word = field::trim(member.split(|&b| b == b';').next().unwrap_or_default());
        if Coding::of_word(word).is_none() {
            is_changed = true;
            continue;
        }
        if out.len() > from {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(member);
    }
    is_changed
}

/// Reads one page as it passes.
pub struct PageReader {
    decoder: Decoder,
    scanner: Scanner,
    taken: usize,
    pub(super) given: usize,
}

enum Decoder {
    Plain,
    Gzip(Box<MultiGzDecoder<Room>>),
    /// Deflated, before its first byte is there.
    Unsure,
    Zlib(Box<ZlibDecoder<Room>>),
    Deflate(Box<DeflateDecoder<Room>>),
    Brotli(Box<Brotli>),
    Zstd(Box<DCtx<'static>>),
}

/// What a decoder has given, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes: Vec<u8>,
    most: usize,
}

impl Room {
    /// Room for so many bytes.
    pub(super) fn of(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    /// Takes these bytes. Where they do not fit, it takes those that do, and says so.
    pub(super) fn give(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let free = self.most.saturating_sub(self.bytes.len());
        match bytes.get(..free.min(bytes.len())) {
            Some(fitting) if !fitting.is_empty() => {
                self.bytes.extend_from_slice(fitting);
                Ok(fitting.len())
            }
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for PageReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageReader").field("taken", &self.taken).field("given", &self.given).finish_non_exhaustive()
    }
}

impl PageReader {
    /// A reader of a page of these hosts. `None` where there is no memory for its decoder.
    pub fn new(coding: Coding, own: OwnHosts) -> Option<Self> {
        let decoder = match coding {
            Coding::Identity => Decoder::Plain,
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(Room::default()))),
            Coding::Deflate => Decoder::Unsure,
            Coding::Brotli => Decoder::Brotli(Box::new(Brotli::new())),
            Coding::Zstd => {
                let mut context = DCtx::try_create()?;
                context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).ok()?;
                Decoder::Zstd(Box::new(context))
            }
        };
        Some(Self { decoder, scanner: Scanner::new(own), taken: 0, given: 0 })
    }

    /// Whether nothing that comes is looked at any more.
    pub fn is_over(&self) -> bool {
        self.scanner.is_over()
    }

    /// Reads the next piece of the body, and tells the ids in it.
    pub fn feed(&mut self, names: &IdNames, piece: &[u8], tell: &mut dyn FnMut(&[u8])) {
        if self.is_over() || piece.is_empty() {
            return;
        }
        self.taken = self.taken.saturating_add(piece.len());
        if matches!(self.decoder, Decoder::Plain) {
            self.scanner.feed(names, piece, tell);
            return;
        }
        let most = self.taken.saturating_mul(RATIO).saturating_add(FREE).min(SEARCHED).saturating_sub(self.given);
        let mut room = Room::of(most);
        let outcome = self.decode(piece, &mut room);
        self.given = self.given.saturating_add(room.bytes().len());
        self.scanner.feed(names, room.bytes(), tell);
        if outcome.is_err() {
            self.scanner.give_up();
        }
    }

    /// The body has ended.
    pub fn finish(&mut self, names: &IdNames, tell: &mut dyn FnMut(&[u8])) {
        self.scanner.finish(names, tell);
    }

    fn decode(&mut self, piece: &[u8], room: &mut Room) -> io::Result<()> {
        if matches!(self.decoder, Decoder::Unsure) {
            // RFC 1950 section 2.2: the lower half of the first byte says 8 for deflate.
            self.decoder = match piece.first() {
                Some(first) if first & 0x0f == 8 => Decoder::Zlib(Box::new(ZlibDecoder::new(Room::default()))),
                _ => Decoder::Deflate(Box::new(DeflateDecoder::new(Room::default()))),
            };
        }
        match &mut self.decoder {
            Decoder::Plain | Decoder::Unsure => Ok(()),
            Decoder::Gzip(decoder) => through(decoder.as_mut(), MultiGzDecoder::get_mut, piece, room),
            Decoder::Zlib(decoder) => through(decoder.as_mut(), ZlibDecoder::get_mut, piece, room),
            Decoder::Deflate(decoder) => through(decoder.as_mut(), DeflateDecoder::get_mut, piece, room),
            Decoder::Brotli(decoder) => decoder.unpack(piece, room),
            Decoder::Zstd(context) => unpack_zstd(context, piece, room),
        }
    }
}

/// Sends a piece through a decoder that writes into a room of its own.
fn through<D: Write>(
    decoder: &mut D,
    inner: impl Fn(&mut D) -> &mut Room,
    piece: &[u8],
    room: &mut Room,
) -> io::Result<()> {
    std::mem::swap(inner(decoder), room);
    // The flush brings what the decoder still holds.
    let outcome = decoder.write_all(piece).and_then(|()| decoder.flush());
    std::mem::swap(inner(decoder), room);
    outcome
}

fn unpack_zstd(context: &mut DCtx<'_>, piece: &[u8], room: &mut Room) -> io::Result<()> {
    let mut input = InBuffer::around(piece);
    let mut step = [0u8; STEP];
    loop {
        let mut output = OutBuffer::around(&mut step[..]);
        context.decompress_stream(&mut output, &mut input).map_err(|_| io::ErrorKind::InvalidData)?;
        let given = output.pos();
        room.give(step.get(..given).unwrap_or_default())?;
        if given < STEP && input.pos >= piece.len() {
            return Ok(());
        }
    }
}

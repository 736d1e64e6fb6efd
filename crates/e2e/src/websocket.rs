//! Just enough WebSocket (RFC 6455) to hold a tunnel open and prove that it is the same one: an echo server and a
//! client, text frames of at most 125 bytes.
//!
//! The invariant: the server answers only what it received, on the connection on which it received it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::place::free;
use crate::wire::{Connection, Failure, request};

/// The text that a server adds to a client's key (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The key of our client: any 16 bytes.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The mask of our client's frames.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Starts an echo server; it ends with the process of the tests.
///
/// # Panics
/// Where it cannot listen.
pub fn serve() -> SocketAddr {
    let at = free();
    let listener = TcpListener::bind(at).unwrap_or_else(|error| panic!("{at}: {error}"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo(stream));
        }
    });
    at
}

fn echo(mut stream: TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    });
    let Some(key) = key else {
        // Not a WebSocket: a check, which is told that the server is well.
        return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
    };
    let accept = base64(&sha1(format!("{key}{GUID}").as_bytes()));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).ok()?;
    loop {
        let mut start = [0; 2];
        stream.read_exact(&mut start).ok()?;
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).ok()?;
        let mut text = vec![0; usize::from(start[1] & 0x7f)];
        stream.read_exact(&mut text).ok()?;
        for (byte, key) in text.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        let mut frame = vec![start[0], start[1] & 0x7f];
        frame.extend(text);
        stream.write_all(&frame).ok()?;
    }
}

/// A client's end of a tunnel.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Opens a tunnel and checks the server's proof.
    ///
    /// # Errors
    /// Where there is no tunnel.
    pub fn open(to: SocketAddr, target: &str) -> Result<Self, Failure> {
        let mut connection = Connection::open(to, crate::PATIENCE)?;
        let fields = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        );
        connection.send(&request(to, "GET", target, &fields, b""))?;
        let response = connection.answer("GET")?;
        let wanted = base64(&sha1(format!("{KEY}{GUID}").as_bytes()));
        if response.status != 101 || response.field("sec-websocket-accept") != Some(&wanted) {
            return Err(Failure::Malformed(format!("no tunnel: {}", response.head)));
        }
        Ok(Self { connection })
    }

    /// Sends a text of at most 125 bytes and reads it back.
    ///
    /// # Errors
    /// Where something else comes back, or nothing.
    pub fn echo(&mut self, text: &str) -> Result<(), Failure> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 126);
        let length = length.ok_or_else(|| Failure::Malformed("the text is longer than a small frame".to_owned()))?;
        let mut frame = vec![0x81, 0x80 | length];
        frame.extend(MASK);
        frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.connection.send(&frame)?;
        let back = self.connection.exactly(2 + text.len())?;
        if back[..2] != [0x81, length] || &back[2..] != text.as_bytes() {
            return Err(Failure::Malformed(format!("{text:?} came back as {back:?}")));
        }
        Ok(())
    }
}

/// SHA-1 (FIPS 180-4, section 6.1). It proves nothing here but that the other side read the key.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mixed, constant) = match at {
                0..20 => (b & c | !b & d, 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6u32),
            };
            let next = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let joined = (0..3).fold(0u32, |joined, at| joined << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4u32 {
            let is_there = at <= u32::try_from(three.len()).unwrap_or(0);
            let letter = LETTERS[(joined >> (18 - 6 * at) & 63) as usize];
            text.push(if is_there { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Client, GUID, KEY, base64, serve, sha1};

    #[test]
    fn the_proof_is_the_one_of_the_standard() {
        // RFC 6455, section 1.3.
        assert_eq!(base64(&sha1(format!("{KEY}{GUID}").as_bytes())), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab"), "YWI=");
    }

    #[test]
    fn a_tunnel_echoes() {
        let mut client = Client::open(serve(), "/").unwrap();
        client.echo("hello").unwrap();
        client.echo(&"x".repeat(125)).unwrap();
        assert!(client.echo(&"x".repeat(126)).is_err());
    }
}

//! A connection between two nodes: TLS, in which each proves that it holds a key of the cluster, and frames within it.
//!
//! The invariant: a frame is read whole or the line is over, and none is longer than its cap.

use std::io;
use std::sync::Arc;

use evenkeel_cluster::Keyring;
use evenkeel_model::caps;
use evenkeel_net::stream::Stream;
use evenkeel_net::tls::{self, Acceptor, Connector, HandshakeError, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::{Common, Peer};
use crate::origin::words;

/// What is spoken within TLS, and its version (ALPN).
const PROTOCOL: &[u8] = b"evenkeel-cluster/2";
const ANOTHER_KEY: &str = "it has another key";

/// As the node that calls, and as the one that is called.
pub(super) type Sides = (Connector, Acceptor);

/// A connection to another node.
pub(super) struct Line {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// Its way in.
pub(super) struct Reader(ReadHalf<Stream>);

/// Its way out.
pub(super) struct Writer(WriteHalf<Stream>);

/// What each side says first: which cluster it is of, and which node of it, by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hello {
    cluster: u32,
    sender: u32,
}

/// Greets whoever has called, and says which node it is.
pub(super) async fn greet_caller(common: &Common, stream: Stream) -> Result<(Line, Arc<str>), String> {
    let acceptor = common.sides.borrow().1.clone();
    let stream = tls::accept(stream, &acceptor).await.map_err(|error| refused(&error))?;
    let (line, peer) = greet(common, stream).await?;
    Ok((line, Arc::clone(&peer.name)))
}

/// Greets the node that was called.
pub(super) async fn greet_called(common: &Common, stream: Stream, peer: &Peer) -> Result<Line, String> {
    let connector = common.sides.borrow().0.clone();
    let name = ServerName::from(stream.peer_addr().ip());
    let stream = tls::connect(stream, &connector, &name).await.map_err(|error| refused(&error))?;
    let (line, found) = greet(common, stream).await?;
    if found.id != peer.id {
        return Err(format!("another node answers where {} should", peer.name));
    }
    Ok(line)
}

/// Both sides of TLS by these keys.
///
/// # Errors
/// In a sentence, where they cannot be used.
pub(super) fn sides(keys: &Keyring) -> Result<Sides, String> {
    tls::between_holders(&keys.channel_secrets(), PROTOCOL)
}

async fn greet(common: &Common, stream: Stream) -> Result<(Line, &Peer), String> {
    let (reader, writer) = tokio::io::split(stream);
    let mut line = Line { reader: Reader(reader), writer: Writer(writer) };
    let own = Hello { cluster: common.cluster, sender: common.me };
    line.writer.say(&own.write()).await.map_err(|error| words(&error))?;
    let frame = line.reader.hear().await.map_err(|error| match error.kind() {
        // Who called learns by an alert behind its own handshake that its key is not the other's.
        io::ErrorKind::InvalidData => ANOTHER_KEY.to_owned(),
        _ => words(&error),
    })?;
    let hello = Hello::read(&frame).ok_or("what it says first is no hello")?;
    let peer = common.peers.iter().find(|peer| peer.id == hello.sender && hello.cluster == common.cluster);
    peer.map(|peer| (line, peer)).ok_or_else(|| "it is a node of another cluster".to_owned())
}

impl Hello {
    fn write(self) -> [u8; 8] {
        (u64::from(self.cluster) << 32 | u64::from(self.sender)).to_be_bytes()
    }

    fn read(frame: &[u8]) -> Option<Self> {
        let (cluster, sender) = frame.split_first_chunk::<4>()?;
        Some(Self { cluster: u32::from_be_bytes(*cluster), sender: u32::from_be_bytes(sender.try_into().ok()?) })
    }
}

impl Reader {
    /// The next frame.
    ///
    /// # Errors
    /// Where the line is over.
    pub(super) async fn hear(&mut self) -> io::Result<Vec<u8>> {
        let length = self.0.read_u32().await? as usize;
        if length > caps::SHARED_FRAME {
            return Err(io::Error::other("a frame is longer than any of ours"));
        }
        let mut frame = vec![0; length];
        self.0.read_exact(&mut frame).await?;
        Ok(frame)
    }
}

impl Writer {
    /// Says something.
    ///
    /// # Errors
    /// Where the line is over.
    pub(super) async fn say(&mut self, text: &[u8]) -> io::Result<()> {
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        self.0.write_all(&[&length.to_be_bytes(), text].concat()).await
    }
}

/// Why there is no TLS, as it concerns who runs the nodes.
fn refused(error: &HandshakeError) -> String {
    match error {
        HandshakeError::Refused { word: "certificate" | "unbelieved", .. } => ANOTHER_KEY.to_owned(),
        HandshakeError::Gone => "it went away at the greeting".to_owned(),
        HandshakeError::PlainHttp(_) | HandshakeError::Refused { .. } | HandshakeError::Twice => {
            format!("what answers there is no node of ours, or of another version: {error}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_as_it_was_written_and_nothing_else_is_one() {
        let hello = Hello { cluster: 0x0102_0304, sender: 0xfffe_fdfc };
        let bytes = hello.write();
        assert_eq!(bytes, [1, 2, 3, 4, 0xff, 0xfe, 0xfd, 0xfc]);
        assert_eq!(Hello::read(&bytes), Some(hello));
        assert_eq!(Hello::read(&bytes[..7]), None);
        assert_eq!(Hello::read(&[&bytes[..], b"x"].concat()), None);
    }
}

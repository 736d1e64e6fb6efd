//! A sealed connection between two nodes.
//!
//! The invariant: a frame is read whole or the line is over, and none is longer than its cap.

use std::io;
use std::sync::Arc;

use evenkeel_cluster::channel::{End, Hello, Opener, Sealer, agree};
use evenkeel_model::caps;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{Common, Peer};

/// Bytes that a seal adds.
const SEAL: usize = 16;

/// A sealed connection.
pub(super) struct Line {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
}

/// Its way in.
pub(super) struct Reader {
    half: OwnedReadHalf,
    opener: Opener,
}

/// Its way out.
pub(super) struct Writer {
    half: OwnedWriteHalf,
    sealer: Sealer,
}

/// Greets whoever has called, and says which node it is.
pub(super) async fn greet_caller(common: &Common, mut stream: TcpStream) -> Result<(Line, Arc<str>), String> {
    stream.set_nodelay(true).map_err(words)?;
    let caller = hear(&mut stream).await?;
    let peer = known(common, &caller)?.clone();
    let called = common.hello();
    stream.write_all(&called.write()).await.map_err(words)?;
    let line = agreed(common, stream, (&caller, &called), End::Called)?;
    // Only who has the key can have sealed the first frame; it is awaited before anything is told.
    prove(line).await.map(|line| (line, peer.name))
}

/// Greets the node that was called.
pub(super) async fn greet_called(common: &Common, mut stream: TcpStream, peer: &Peer) -> Result<Line, String> {
    stream.set_nodelay(true).map_err(words)?;
    let caller = common.hello();
    stream.write_all(&caller.write()).await.map_err(words)?;
    let called = hear(&mut stream).await?;
    if known(common, &called)?.id != peer.id {
        return Err(format!("another node answers where {} should", peer.name));
    }
    let line = agreed(common, stream, (&caller, &called), End::Caller)?;
    prove(line).await
}

async fn hear(stream: &mut TcpStream) -> Result<Hello, String> {
    let mut bytes = [0; Hello::BYTES];
    stream.read_exact(&mut bytes).await.map_err(words)?;
    Hello::read(&bytes).ok_or_else(|| "what answers there is no node of ours".to_owned())
}

fn known<'c>(common: &'c Common, hello: &Hello) -> Result<&'c Peer, String> {
    let peer = common.peers.iter().find(|peer| peer.id == hello.sender && hello.cluster == common.cluster);
    peer.ok_or_else(|| "it is a node of another cluster".to_owned())
}

fn agreed(common: &Common, stream: TcpStream, hellos: (&Hello, &Hello), end: End) -> Result<Line, String> {
    let (sealer, opener) =
        agree(&common.keys.borrow(), hellos.0, hellos.1, end).ok_or_else(|| "it has another key".to_owned())?;
    let (reader, writer) = stream.into_split();
    Ok(Line { reader: Reader { half: reader, opener }, writer: Writer { half: writer, sealer } })
}

/// Each side seals an empty frame first.
async fn prove(mut line: Line) -> Result<Line, String> {
    line.writer.say(&[]).await.map_err(words)?;
    match line.reader.hear().await {
        Ok(frame) if frame.is_empty() => Ok(line),
        _ => Err("it has another key".to_owned()),
    }
}

impl Reader {
    /// The next frame.
    ///
    /// # Errors
    /// Where the line is over.
    pub(super) async fn hear(&mut self) -> io::Result<Vec<u8>> {
        let length = self.half.read_u32().await? as usize;
        if !(SEAL..=caps::SHARED_FRAME + SEAL).contains(&length) {
            return Err(io::Error::other("a frame is longer than any of ours"));
        }
        let mut frame = vec![0; length];
        self.half.read_exact(&mut frame).await?;
        self.opener.open(&frame).ok_or_else(|| io::Error::other("a frame is not what was sealed"))
    }
}

impl Writer {
    /// Says something.
    ///
    /// # Errors
    /// Where the line is over.
    pub(super) async fn say(&mut self, text: &[u8]) -> io::Result<()> {
        let frame = self.sealer.seal(text).ok_or_else(|| io::Error::other("a frame is too long"))?;
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        self.half.write_u32(length).await?;
        self.half.write_all(&frame).await
    }
}

#[allow(clippy::needless_pass_by_value)] // it takes what a failed call gives
fn words(error: io::Error) -> String {
    crate::origin::words(&error)
}

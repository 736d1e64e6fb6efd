//! What a peer sends on a stream: its DATA frames and trailers, in the framing of the HTTP/1.1 head that stands for it.
//!
//! The invariant: the peer gets room for more only when what it sent was taken, so that no more than the windows allow is
//! ever held; and a body ends in the text only if the stream ended and was as long as it said.

use std::io::IoSlice;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use evenkeel_http::http2::downgrade::Body;
use evenkeel_http::{write_chunk_head, write_last_chunk};
use evenkeel_net::duplex::Half;
use h2::RecvStream;

/// Why a stream's body cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The peer reset the stream, or the connection is gone.
    Gone,
    /// The body is not as long as it was said to be.
    Length,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// DATA frames come.
    Open,
    /// Trailers may come.
    Trailers,
    /// What is in hand is the last.
    Closing,
    /// Nothing more is taken.
    Done,
}

/// What a peer sends on a stream.
#[derive(Debug)]
pub(crate) struct Inflow {
    recv: RecvStream,
    body: Body,
    /// Bytes that a body of known length still owes.
    left: u64,
    stage: Stage,
    piece: Piece,
}

/// What is in hand: a chunk's size, its bytes, and their end.
#[derive(Debug, Default)]
struct Piece {
    lead: Vec<u8>,
    bytes: Bytes,
    tail: &'static [u8],
    sent: usize,
    /// Bytes of the peer's windows that it takes.
    owed: usize,
}

impl Piece {
    fn len(&self) -> usize {
        self.lead.len() + self.bytes.len() + self.tail.len()
    }

    fn is_sent(&self) -> bool {
        self.sent >= self.len()
    }

    /// What is left of each part.
    fn rest(&self) -> [IoSlice<'_>; 3] {
        let mut skip = self.sent;
        [&self.lead, &self.bytes[..], self.tail].map(|part| {
            let passed = skip.min(part.len());
            skip -= passed;
            IoSlice::new(part.get(passed..).unwrap_or_default())
        })
    }
}

/// Takes what comes of a stream and throws it away, until its end; no room is made for more.
pub(crate) async fn drain(recv: &mut RecvStream) {
    while let Some(Ok(_)) = recv.data().await {}
}

impl Inflow {
    pub(crate) fn new(recv: RecvStream, body: Body) -> Self {
        let left = if let Body::Exactly(length) = body { length } else { 0 };
        let stage = if body == Body::None { Stage::Done } else { Stage::Open };
        Self { recv, body, left, stage, piece: Piece::default() }
    }

    /// Moves what can be moved. `is_switched`: a tunnel's other side has agreed. Ready once nothing more will be moved.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, to: &Half, is_switched: bool) -> Poll<Result<(), Broken>> {
        loop {
            if !self.piece.is_sent() {
                match ready!(to.poll_write_vectored(cx, &self.piece.rest())) {
                    Ok(written) => self.piece.sent += written,
                    // Nobody reads it any more: the answer tells why.
                    Err(_) => {
                        self.piece.sent = self.piece.len();
                        self.stage = Stage::Done;
                    }
                }
                if self.piece.is_sent() {
                    self.pay_back();
                }
                continue;
            }
            match self.stage {
                Stage::Done => return Poll::Ready(Ok(())),
                Stage::Closing => self.stage = Stage::Done,
                Stage::Open if self.body == Body::Tunnel && !is_switched => return Poll::Pending,
                Stage::Open => match ready!(self.recv.poll_data(cx)) {
                    Some(Ok(bytes)) => self.take(bytes).map_err(|error| self.fail(error))?,
                    Some(Err(_)) => return Poll::Ready(Err(self.fail(Broken::Gone))),
                    None => self.stage = Stage::Trailers,
                },
                Stage::Trailers => match ready!(self.recv.poll_trailers(cx)) {
                    Ok(trailers) => self.finish(trailers.as_ref(), to).map_err(|error| self.fail(error))?,
                    Err(_) => return Poll::Ready(Err(self.fail(Broken::Gone))),
                },
            }
        }
    }

    /// The most bytes that may still come.
    pub(crate) fn most(&self) -> u64 {
        match self.body {
            Body::None | Body::Exactly(_) => self.left,
            Body::Chunks | Body::Tunnel => u64::MAX,
        }
    }

    /// Whether the peer has said all.
    pub(crate) fn is_ended(&self) -> bool {
        self.recv.is_end_stream()
    }

    /// An error is told once.
    fn fail(&mut self, error: Broken) -> Broken {
        self.stage = Stage::Done;
        error
    }

    fn take(&mut self, bytes: Bytes) -> Result<(), Broken> {
        let owed = bytes.len();
        // A chunk of no bytes would be the last one.
        if owed == 0 {
            return Ok(());
        }
        let mut lead = std::mem::take(&mut self.piece.lead);
        lead.clear();
        let mut tail: &[u8] = b"";
        match self.body {
            Body::Exactly(_) => {
                self.left = self.left.checked_sub(owed as u64).ok_or(Broken::Length)?;
            }
            Body::Chunks => {
                write_chunk_head(&mut lead, owed);
                tail = b"\r\n";
            }
            Body::None | Body::Tunnel => {}
        }
        self.piece = Piece { lead, bytes, tail, sent: 0, owed };
        Ok(())
    }

    fn finish(&mut self, trailers: Option<&http::HeaderMap>, to: &Half) -> Result<(), Broken> {
        self.stage = Stage::Closing;
        match self.body {
            Body::Exactly(_) if self.left > 0 => return Err(Broken::Length),
            // A body of known length has no trailers in HTTP/1.1.
            Body::Exactly(_) | Body::None => {}
            Body::Chunks => {
                let mut lines = Vec::new();
                for (name, value) in trailers.into_iter().flatten() {
                    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                        lines.extend_from_slice(part);
                    }
                }
                let mut lead = Vec::new();
                write_last_chunk(&mut lead, &lines);
                self.piece = Piece { lead, ..Piece::default() };
            }
            Body::Tunnel => to.shutdown_write(),
        }
        Ok(())
    }

    /// Takes what still comes and throws it away, until the peer has said all: one whose stream is reset while it sends
    /// may never look at the answer that came before.
    pub(crate) async fn discard(&mut self) {
        self.stage = Stage::Done;
        while let Some(Ok(bytes)) = self.recv.data().await {
            // It fails where the stream is gone, which is then found out by reading.
            let _ = self.recv.flow_control().release_capacity(bytes.len());
        }
    }

    /// Takes what may still come without being asked for, and throws it away: the peer gets no room for more.
    pub(crate) async fn run_out(&mut self) {
        self.stage = Stage::Done;
        drain(&mut self.recv).await;
    }

    /// What was taken makes room for as much.
    fn pay_back(&mut self) {
        let owed = std::mem::take(&mut self.piece.owed);
        self.piece.bytes = Bytes::new();
        if owed > 0 {
            // It fails where the stream is gone, which is then found out by reading.
            let _ = self.recv.flow_control().release_capacity(owed);
        }
    }
}

//! Handshakes, on either side. How long one may take is the caller's matter.
//!
//! The invariant: what comes out is a stream whose peer has proved what was asked of it.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel_model::Reason;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, Connection, Error, InvalidMessage, ServerConnection};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::acceptor::{Acceptor, ClientRules};
use super::connector::Connector;
use super::facts::TlsFacts;
use super::secured::{Polled, Secured, drain};
use crate::stream::{self, ConnectError, Stream};

/// Why there is no stream.
#[derive(Debug)]
pub enum HandshakeError {
    /// The client speaks HTTP without TLS, and can be told so on this stream; what it said is gone.
    PlainHttp(Stream),
    /// The peer went away.
    Gone,
    /// The peer, or we, would not go on: a word for counters, and the whole of it.
    Refused {
        /// Such as `certificate` or `version`.
        word: &'static str,
        /// What went wrong.
        cause: String,
        /// The connection in the clear, on which the alert is under way that says why. Closing it at once may destroy that.
        stream: Option<Stream>,
    },
    /// The stream has TLS on it already.
    Twice,
}

impl HandshakeError {
    /// A word for counters.
    pub fn word(&self) -> &'static str {
        match self {
            Self::PlainHttp(_) => "plain-http",
            Self::Gone => "gone",
            Self::Refused { word, .. } => word,
            Self::Twice => "twice",
        }
    }
}

impl HandshakeError {
    /// The connection in the clear, where something of ours is still on its way to the peer.
    pub fn into_stream(self) -> Option<Stream> {
        match self {
            Self::PlainHttp(stream) => Some(stream),
            Self::Refused { stream, .. } => stream,
            Self::Gone | Self::Twice => None,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainHttp(_) => f.write_str("HTTP without TLS where TLS is spoken"),
            Self::Gone => f.write_str("the other side went away"),
            Self::Refused { cause, .. } => f.write_str(cause),
            Self::Twice => f.write_str("TLS within TLS"),
        }
    }
}

impl std::error::Error for HandshakeError {}

/// Takes a client's handshake.
///
/// # Errors
/// Why there is no stream; the client is told where TLS has a word for it.
pub async fn accept(stream: Stream, acceptor: &Acceptor) -> Result<Stream, HandshakeError> {
    let session = ServerConnection::new(Arc::clone(acceptor.config())).map_err(|error| refused(&error, None))?;
    shake(stream, Connection::Server(session), Some(acceptor.rules())).await
}

/// Begins a handshake with a server, which has to prove that name.
///
/// # Errors
/// Why there is no stream.
pub async fn connect(
    stream: Stream,
    connector: &Connector,
    name: &ServerName<'static>,
) -> Result<Stream, HandshakeError> {
    connect_for(stream, connector, name, None).await
}

async fn connect_for(
    stream: Stream,
    connector: &Connector,
    name: &ServerName<'static>,
    protocol: Option<&[u8]>,
) -> Result<Stream, HandshakeError> {
    let (config, name) = (Arc::clone(connector.config()), name.clone());
    let session = match protocol {
        None => ClientConnection::new(config, name),
        Some(protocol) => ClientConnection::new_with_alpn(config, name, vec![protocol.to_vec()]),
    };
    shake(stream, Connection::Client(session.map_err(|error| refused(&error, None))?), None).await
}

/// How a connection to a server begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opening<'a> {
    /// Bytes in the clear, before anything else.
    pub words: &'a [u8],
    /// The one protocol to offer inside of TLS (ALPN), in place of those that are always offered.
    pub protocol: Option<&'a [u8]>,
}

/// Opens a connection to a server, begins it so, and agrees on TLS with it, all within the time.
///
/// # Errors
/// Why there is no stream, as the reason a verdict would give.
pub async fn connect_to(
    addr: SocketAddr,
    connector: &Connector,
    name: &ServerName<'static>,
    opening: Opening<'_>,
    within: Duration,
) -> Result<Stream, ConnectError> {
    let deadline = Instant::now() + within;
    let stream = stream::connect_saying(addr, opening.words, within).await?;
    match timeout_at(deadline, connect_for(stream, connector, name, opening.protocol)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(HandshakeError::Gone)) => Err(failed(Reason::TlsFailed, "it went away during the handshake".to_owned())),
        Ok(Err(error)) => Err(failed(Reason::TlsFailed, error.to_string())),
        Err(_) => Err(failed(Reason::TlsFailed, "the handshake took too long".to_owned())),
    }
}

fn failed(reason: Reason, cause: String) -> ConnectError {
    ConnectError { reason, source: io::Error::other(cause), local: false }
}

async fn shake(stream: Stream, mut session: Connection, rules: Option<ClientRules>) -> Result<Stream, HandshakeError> {
    let ends = stream.ends();
    let (mut tcp, peer, local) = stream.into_tcp().ok_or(HandshakeError::Twice)?;
    let mut first = None;
    let done = poll_fn(|cx| poll_shake(cx, &mut tcp, &mut session, &mut first)).await;
    match done {
        Ok(in_hand) => {
            let facts = TlsFacts { rules, ..facts(&session) };
            Ok(Stream::secured(Secured::new(tcp, session, facts, in_hand), peer, local).standing_at(ends))
        }
        Err(Failed::Tls(error)) if is_http(&error, first) => {
            Err(HandshakeError::PlainHttp(Stream::plain(tcp, peer, local).standing_at(ends)))
        }
        Err(Failed::Tls(error)) => Err(refused(&error, Some(Stream::plain(tcp, peer, local).standing_at(ends)))),
        Err(Failed::Gone) => Err(HandshakeError::Gone),
    }
}

fn facts(session: &Connection) -> TlsFacts {
    let peer = session.peer_certificates().and_then(<[_]>::first);
    match session {
        Connection::Server(server) => TlsFacts::of(session, server.server_name(), peer),
        Connection::Client(_) => TlsFacts::of(session, None, None),
    }
}

enum Failed {
    Gone,
    Tls(Error),
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Goes on with a handshake; ready with the plain bytes that came right behind it.
fn poll_shake(
    cx: &mut Context<'_>,
    tcp: &mut TcpStream,
    session: &mut Connection,
    first: &mut Option<u8>,
) -> Poll<Result<usize, Failed>> {
    let mut socket = Polled { tcp, cx };
    let mut in_hand = 0;
    let done = loop {
        if let Err(error) = drain(session, &mut socket) {
            // The last flight goes with the first write where the system takes it later.
            let is_over = !session.is_handshaking() && error.kind() == io::ErrorKind::WouldBlock;
            break if is_over { Ok(in_hand) } else { Err(error) };
        }
        if !session.is_handshaking() {
            break Ok(in_hand);
        }
        match session.read_tls(&mut Watched { socket: &mut socket, first }) {
            Ok(0) => return Poll::Ready(Err(Failed::Gone)),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
        match session.process_new_packets() {
            Ok(state) => in_hand = state.plaintext_bytes_to_read(),
            Err(error) => {
                if !is_http(&error, *first) {
                    // The alert that says why; if it cannot go, the end says as much.
                    let _ = drain(session, &mut socket);
                }
                return Poll::Ready(Err(Failed::Tls(error)));
            }
        }
    };
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done.map_err(Failed::from)),
    }
}

/// Remembers the first byte that comes.
struct Watched<'a, S> {
    socket: &'a mut S,
    first: &'a mut Option<u8>,
}

impl<S: Read> Read for Watched<'_, S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(room)?;
        if self.first.is_none() && count > 0 {
            *self.first = room.first().copied();
        }
        Ok(count)
    }
}

impl<S: Write> Write for Watched<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A method's first letter is none of TLS' record types (RFC 8446 section 5.1).
fn is_http(error: &Error, first: Option<u8>) -> bool {
    matches!(error, Error::InvalidMessage(_)) && first.is_some_and(|byte| byte.is_ascii_uppercase())
}

fn refused(error: &Error, stream: Option<Stream>) -> HandshakeError {
    let word = match error {
        Error::InvalidCertificate(_) | Error::NoCertificatesPresented => "certificate",
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError,
        ) => "unbelieved",
        Error::AlertReceived(_) => "alert",
        Error::PeerIncompatible(_) => "incompatible",
        Error::NoApplicationProtocol => "protocol",
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => "not-tls",
        Error::InvalidMessage(_) | Error::PeerMisbehaved(_) | Error::InappropriateMessage { .. } => "malformed",
        Error::InappropriateHandshakeMessage { .. } | Error::DecryptError => "malformed",
        _ => "other",
    };
    HandshakeError::Refused { word, cause: error.to_string(), stream }
}

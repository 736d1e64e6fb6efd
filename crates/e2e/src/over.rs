//! What the counted requests travel over: HTTP/1.1 in the clear or within TLS, HTTP/2 within TLS.
//!
//! The clients' TLS believes any certificate: that it is the right one is shown elsewhere. The invariant: an end of the
//! connection that was not announced is an error, as in the clear a reset is.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What requests travel over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Over {
    /// HTTP/1.1 in the clear.
    #[default]
    Clear,
    /// HTTP/1.1 within TLS.
    Tls,
    /// HTTP/2 within TLS.
    Http2,
}

impl Over {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Clear, Self::Tls, Self::Http2];

    /// How a listener for it begins in the configuration, up to its first line.
    pub fn listener(self, at: SocketAddr) -> String {
        match self {
            Self::Clear => format!("http {at} {{\n"),
            Self::Tls | Self::Http2 => format!("https {at} {{\n    cert self\n"),
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "HTTP/1.1 in the clear",
            Self::Tls => "HTTP/1.1 over TLS",
            Self::Http2 => "HTTP/2 over TLS",
        })
    }
}

impl FromStr for Over {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "clear" => Ok(Self::Clear),
            "tls" => Ok(Self::Tls),
            "h2" => Ok(Self::Http2),
            _ => Err(()),
        }
    }
}

/// A client's side of TLS to that address, with these protocols to choose from.
///
/// # Panics
/// Where the library does not make one, which it does of these settings.
pub fn session(to: SocketAddr, over: Over) -> ClientConnection {
    static HTTP1: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static HTTP2: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = match over {
        Over::Http2 => HTTP2.get_or_init(|| config(b"h2")),
        Over::Clear | Over::Tls => HTTP1.get_or_init(|| config(b"http/1.1")),
    };
    ClientConnection::new(Arc::clone(config), ServerName::IpAddress(to.ip().into())).expect("the settings are sound")
}

fn config(protocol: &[u8]) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.expect("the provider has suites for both versions").dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Any(provider))).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Believes any certificate whose key the server holds.
#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connection with TLS on it, for a runtime.
#[derive(Debug)]
pub struct Secured {
    tcp: TcpStream,
    session: ClientConnection,
}

impl Secured {
    /// Connects. The handshake is done by the first read or write.
    ///
    /// # Errors
    /// Where there is no connection.
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(to).await?;
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, session: session(to, Over::Http2) })
    }

    /// Hands over what is sealed.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { tcp, session } = self;
        while session.wants_write() {
            match session.write_tls(&mut Polled { tcp, cx }) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                done => done?,
            };
        }
        Poll::Ready(Ok(()))
    }

    /// Takes in what has come.
    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { tcp, session } = self;
        match session.read_tls(&mut Polled { tcp, cx }) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            done => done?,
        };
        session.process_new_packets().map_err(io::Error::other)?;
        Poll::Ready(Ok(()))
    }
}

/// The socket, as the session reads and writes it.
struct Polled<'a, 'c> {
    tcp: &'a mut TcpStream,
    cx: &'a mut Context<'c>,
}

fn or_would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Polled<'_, '_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut room = ReadBuf::new(room);
        or_would_block(Pin::new(&mut *self.tcp).poll_read(self.cx, &mut room))?;
        Ok(room.filled().len())
    }
}

impl Write for Polled<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.tcp).poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            // A part of the handshake, or an answer to a change of keys, may be due.
            let pushed = this.poll_push(cx)?;
            match this.session.reader().read(room.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => {
                    room.advance(done?);
                    return Poll::Ready(Ok(()));
                }
            }
            if this.session.is_handshaking() {
                ready!(pushed);
            }
            ready!(this.poll_pull(cx))?;
        }
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_push(cx))?;
        let taken = this.session.writer().write(bytes)?;
        // What does not leave now leaves with the next flush.
        let _ = this.poll_push(cx)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_push(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.send_close_notify();
        ready!(this.poll_push(cx))?;
        Pin::new(&mut this.tcp).poll_shutdown(cx)
    }
}

//! A byte stream to a client or a server: over TCP, with TLS on it or without, or one of many that a connection carries.
//!
//! It moves bytes and knows its two ends; it does not know what the bytes mean, nor how long to wait. All calls mean the same
//! over each [`Transport`].
//! Invariant: every stream is non-blocking, has `TCP_NODELAY`, and its addresses are plain IPv4 where they are IPv4.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use evenkeel_model::Reason;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::duplex::Half;
use crate::socket;
use crate::tls::{Secured, TlsFacts};

/// Questions for a sign of life that may stay without an answer.
const SIGNS_OF_LIFE: u32 = 6;

/// One connection.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    peer: SocketAddr,
    local: SocketAddr,
    /// Those of the connection itself, whatever a proxy on the way has told.
    ends: Ends,
    /// Whether a proxy on the way has told that its client came over TLS.
    is_told_of_tls: bool,
}

/// The two ends of a connection, as the system has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Ours.
    pub own: SocketAddr,
    /// Whoever it is that we speak with.
    pub other: SocketAddr,
}

/// What carries a stream.
#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    /// TCP with TLS on it. Boxed, so that a stream without costs nothing for it.
    Tls(Box<Secured>),
    /// One stream of a connection that carries many, and what is known of that one's TLS.
    Memory(Half, Option<Arc<TlsFacts>>),
}

/// Takes the next connection of a socket from [`listen::bind`](crate::listen::bind).
///
/// # Errors
/// What `accept` said. After an error that [`is_exhaustion`], wait before the next try; every other one concerns
/// a connection that ended before we took it, and the next try may follow at once.
pub async fn accept(listener: &TcpListener) -> io::Result<Stream> {
    let (tcp, peer) = listener.accept().await?;
    let local = tcp.local_addr()?;
    Ok(Stream::plain(tcp, plain(peer), plain(local)))
}

/// Whether a connection waits at the socket to be taken.
pub fn is_called_at(listener: &TcpListener) -> bool {
    let mut asked = [PollFd::new(listener, PollFlags::IN)];
    matches!(poll(&mut asked, Some(&Timespec::default())), Ok(count) if count > 0)
}

/// Opens a connection, within `timeout`.
///
/// # Errors
/// Why there is none, as the reason a verdict would give.
pub async fn connect(addr: SocketAddr, timeout: Duration) -> Result<Stream, ConnectError> {
    match tokio::time::timeout(timeout, TcpStream::connect(addr)).await {
        Ok(Ok(tcp)) => connected(tcp, addr),
        Ok(Err(error)) => Err(ConnectError::from(error)),
        Err(_) => Err(ConnectError {
            reason: Reason::ConnectTimeout,
            source: io::Error::from(io::ErrorKind::TimedOut),
            local: false,
        }),
    }
}

/// Opens a connection and says these first bytes on it, all within `timeout`.
///
/// # Errors
/// As [`connect`].
pub async fn connect_saying(addr: SocketAddr, first: &[u8], timeout: Duration) -> Result<Stream, ConnectError> {
    if first.is_empty() {
        return connect(addr, timeout).await;
    }
    let deadline = tokio::time::Instant::now() + timeout;
    let mut stream = connect(addr, timeout).await?;
    match tokio::time::timeout_at(deadline, stream.say(first)).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(source)) => Err(ConnectError { reason: Reason::ConnectionLost, source, local: false }),
        Err(_) => {
            Err(ConnectError { reason: Reason::ConnectTimeout, source: io::ErrorKind::TimedOut.into(), local: false })
        }
    }
}

/// Opens a connection from an address of this machine. How long it may take is the caller's matter.
///
/// # Errors
/// Why there is none, as the reason a verdict would give.
pub async fn connect_from(own: IpAddr, addr: SocketAddr) -> Result<Stream, ConnectError> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(own, 0))?;
    connected(socket.connect(addr).await?, addr)
}

fn connected(tcp: TcpStream, addr: SocketAddr) -> Result<Stream, ConnectError> {
    let local = tcp.local_addr()?;
    if local == addr {
        // Nobody listens, and the system gave us the very port that we call: TCP then connects a socket with itself.
        return Err(ConnectError::from(io::Error::from(Errno::CONNREFUSED)));
    }
    tcp.set_nodelay(true)?;
    Ok(Stream::plain(tcp, plain(addr), plain(local)))
}

/// Whether the system has run out of something that accepting needs (descriptors, memory). Trying again at once
/// would spin.
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

impl Stream {
    /// A connection without TLS.
    pub(crate) fn plain(tcp: TcpStream, peer: SocketAddr, local: SocketAddr) -> Self {
        Self::between(Transport::Tcp(tcp), peer, local)
    }

    /// A connection with TLS.
    pub(crate) fn secured(secured: Secured, peer: SocketAddr, local: SocketAddr) -> Self {
        Self::between(Transport::Tls(Box::new(secured)), peer, local)
    }

    /// A stream of a connection between these two ends.
    pub fn in_memory(half: Half, peer: SocketAddr, local: SocketAddr) -> Self {
        Self::between(Transport::Memory(half, None), peer, local)
    }

    fn between(transport: Transport, peer: SocketAddr, local: SocketAddr) -> Self {
        Self { transport, peer, local, ends: Ends { own: local, other: peer }, is_told_of_tls: false }
    }

    /// With what is known of the TLS of the connection that carries it.
    #[must_use]
    pub fn within_tls(mut self, facts: Option<Arc<TlsFacts>>) -> Self {
        if let Transport::Memory(_, tls) = &mut self.transport {
            *tls = facts;
        }
        self
    }

    /// Over a connection with these ends, whatever those are that it speaks of.
    #[must_use]
    pub fn standing_at(mut self, ends: Ends) -> Self {
        self.ends = ends;
        self
    }

    /// The connection itself with its two ends, where nothing is on it yet.
    pub(crate) fn into_tcp(self) -> Option<(TcpStream, SocketAddr, SocketAddr)> {
        match self.transport {
            Transport::Tcp(tcp) => Some((tcp, self.peer, self.local)),
            Transport::Tls(_) | Transport::Memory(..) => None,
        }
    }

    /// Whether it is one stream of a connection that carries many, and ends with its one exchange.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.transport, Transport::Memory(..))
    }

    /// Waits until there is something to read: bytes, an end, or an error. May return without cause.
    ///
    /// # Errors
    /// Where the runtime is going away.
    pub async fn readable(&self) -> io::Result<()> {
        match &self.transport {
            Transport::Tcp(tcp) => tcp.readable().await,
            Transport::Tls(secured) if secured.has_read() => Ok(()),
            Transport::Tls(secured) => secured.tcp().readable().await,
            Transport::Memory(half, _) => poll_fn(|cx| half.poll_read_ready(cx)).await,
        }
    }

    /// Waits until something can be written, or the connection broke. May return without cause.
    ///
    /// # Errors
    /// Where the runtime is going away.
    pub async fn writable(&self) -> io::Result<()> {
        match &self.transport {
            Transport::Tcp(tcp) => tcp.writable().await,
            Transport::Tls(secured) => secured.tcp().writable().await,
            Transport::Memory(half, _) => poll_fn(|cx| half.poll_write_ready(cx)).await,
        }
    }

    /// Like [`readable`](Self::readable), for hand-written futures. Keeps the last waker only.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.transport {
            Transport::Tcp(tcp) => tcp.poll_read_ready(cx),
            Transport::Tls(secured) if secured.has_read() => Poll::Ready(Ok(())),
            Transport::Tls(secured) => secured.tcp().poll_read_ready(cx),
            Transport::Memory(half, _) => half.poll_read_ready(cx),
        }
    }

    /// Like [`writable`](Self::writable), for hand-written futures. Keeps the last waker only.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.transport {
            Transport::Tcp(tcp) => tcp.poll_write_ready(cx),
            Transport::Tls(secured) => secured.tcp().poll_write_ready(cx),
            Transport::Memory(half, _) => half.poll_write_ready(cx),
        }
    }

    /// Ready once the connection broke: reset by the peer, or given up by the system. A peer that only ended its sending
    /// may still read, and its end is none here. Keeps the last waker of those that wait to read only, so that while
    /// unread bytes or an end of sending stand in the socket nothing wakes the task, and a break is seen at the next call.
    pub fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let tcp = match &self.transport {
            Transport::Tcp(tcp) => tcp,
            Transport::Tls(secured) => secured.tcp(),
            Transport::Memory(half, _) => return half.poll_broken(cx),
        };
        match tcp.poll_read_ready(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) => match tcp.take_error() {
                Ok(None) => Poll::Pending,
                Ok(Some(_)) | Err(_) => Poll::Ready(()),
            },
        }
    }

    /// Like [`try_read`](Self::try_read), for hand-written futures: waits where nothing is there yet.
    pub fn poll_read_into(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Tcp(tcp) => socket::poll_read(tcp, cx, buffer),
            Transport::Tls(secured) => secured.poll_read(cx, buffer),
            Transport::Memory(half, _) => half.poll_read(cx, buffer),
        }
    }

    /// Reads what is there. 0 is the peer's end of sending.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there yet, otherwise what the system said, or what is wrong with its TLS.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.transport {
            Transport::Tcp(tcp) => socket::try_read(tcp, buffer),
            Transport::Tls(secured) => secured.try_read(buffer),
            Transport::Memory(half, _) => half.try_read(buffer),
        }
    }

    /// Says all of these bytes, which a new connection takes at once but for the rarest case.
    async fn say(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write(bytes) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks at what is there and takes nothing. 0 is the peer's end of sending. For the bytes of the connection itself,
    /// before anything is made of them.
    ///
    /// # Errors
    /// What the system said.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match &self.transport {
            Transport::Tcp(tcp) => tcp.poll_peek(cx, &mut ReadBuf::new(buffer)),
            // What is made of a connection has no beginning of its own.
            Transport::Tls(_) | Transport::Memory(..) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Writes as much as the system takes. After `WouldBlock` come with the same bytes: some may be under way.
    ///
    /// # Errors
    /// `WouldBlock` where it takes nothing now, otherwise what the system said.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.transport {
            Transport::Tcp(tcp) => socket::try_write(tcp, bytes),
            Transport::Tls(secured) => secured.try_write(&[IoSlice::new(bytes)]),
            Transport::Memory(half, _) => half.try_write_vectored(&[IoSlice::new(bytes)]),
        }
    }

    /// Writes as much of several pieces as the system takes, in one call.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.transport {
            Transport::Tcp(tcp) => socket::try_write_vectored(tcp, pieces),
            Transport::Tls(secured) => secured.try_write(pieces),
            Transport::Memory(half, _) => half.try_write_vectored(pieces),
        }
    }

    /// Says that nothing more will be sent; reading goes on.
    ///
    /// # Errors
    /// Where the connection is already gone.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        match &mut self.transport {
            Transport::Tcp(tcp) => SockRef::from(&*tcp).shutdown(Shutdown::Write),
            Transport::Tls(secured) => {
                secured.say_farewell();
                SockRef::from(secured.tcp()).shutdown(Shutdown::Write)
            }
            Transport::Memory(half, _) => {
                half.shutdown_write();
                Ok(())
            }
        }
    }

    /// Ends the connection with a reset: the peer learns that what it has is not whole, and no port lingers.
    pub fn reset(self) {
        // A socket that cannot be told to is gone already.
        match self.transport {
            Transport::Tcp(tcp) => drop(tcp.set_zero_linger()),
            Transport::Tls(mut secured) => {
                secured.leave_silently();
                drop(secured.tcp().set_zero_linger());
            }
            Transport::Memory(half, _) => half.break_off(io::ErrorKind::ConnectionReset),
        }
    }

    /// The other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Our end: for an accepted connection, the address that the client called, be it another machine's that passed it on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address of this machine that the connection stands at. It goes with the address, whoever passed it on.
    pub fn own_addr(&self) -> IpAddr {
        self.ends.own.ip()
    }

    /// The ends of the connection itself, whoever passed it on.
    pub fn ends(&self) -> Ends {
        self.ends
    }

    /// How many of the bytes that were written the peer's system has not acknowledged; an end of sending counts for one.
    /// 0 where the system does not say.
    pub fn unacknowledged(&self) -> u32 {
        let tcp = match &self.transport {
            Transport::Tcp(tcp) => tcp,
            Transport::Tls(secured) => secured.tcp(),
            Transport::Memory(..) => return 0,
        };
        let mut count: libc::c_int = 0;
        // SAFETY: SIOCOUTQ, which is TIOCOUTQ (tcp(7)), writes one `int`, and the one here lives over the call.
        #[allow(unsafe_code)]
        let done = unsafe { libc::ioctl(tcp.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
        if done == 0 { u32::try_from(count).unwrap_or(0) } else { 0 }
    }

    /// Has the system ask a silent peer for a sign of life after so long, and give the connection up where several such
    /// questions, a sixth of that apart, stay without an answer. A machine that vanished is noticed within twice that time.
    pub fn watch_peer(&self, silence: Duration) {
        let socket = match &self.transport {
            Transport::Tcp(tcp) => Some(SockRef::from(tcp)),
            Transport::Tls(secured) => Some(SockRef::from(secured.tcp())),
            Transport::Memory(..) => None,
        };
        if let Some(socket) = socket {
            let often = silence.div_f64(f64::from(SIGNS_OF_LIFE));
            let watch = TcpKeepalive::new().with_time(silence).with_interval(often).with_retries(SIGNS_OF_LIFE);
            // A socket that cannot be told to is broken, which the next read shows.
            let _ = socket.set_tcp_keepalive(&watch);
        }
    }

    /// Has the stream speak of other ends than its own: those that a proxy on the way has told.
    pub fn announce(&mut self, peer: SocketAddr, local: SocketAddr) {
        self.peer = plain(peer);
        self.local = plain(local);
    }

    /// Has the stream speak of TLS that a proxy on the way has taken off, and told of.
    pub fn announce_tls(&mut self) {
        self.is_told_of_tls = true;
    }

    /// Whether the client came over TLS: to us, or to a proxy on the way that told so.
    pub fn is_over_tls(&self) -> bool {
        self.is_told_of_tls || self.tls().is_some()
    }

    /// What is known of its TLS, or of that of the connection that carries it; `None` without.
    pub fn tls(&self) -> Option<&Arc<TlsFacts>> {
        match &self.transport {
            Transport::Tcp(_) => None,
            Transport::Tls(secured) => Some(secured.facts()),
            Transport::Memory(_, facts) => facts.as_ref(),
        }
    }

    /// Whether an idle connection is of no more use: the peer closed it, it broke, or there are bytes that nobody
    /// asked for. Asks the system, so the answer is as fresh as one can be.
    pub fn is_closed_or_readable(&mut self) -> bool {
        let tcp = match &mut self.transport {
            Transport::Tcp(tcp) => &*tcp,
            Transport::Tls(secured) => return secured.is_closed_or_readable(),
            Transport::Memory(half, _) => return half.is_closed_or_readable(),
        };
        let mut byte = [0u8; 1];
        !matches!(
            rustix::net::recv(tcp, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT),
            Err(Errno::AGAIN | Errno::INTR)
        )
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(self.get_mut().poll_read_into(cx, buffer.initialize_unfilled()))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Tcp(tcp) => socket::poll_write(tcp, cx, |tcp| socket::try_write(tcp, bytes)),
            Transport::Tls(secured) => secured.poll_write(cx, &[IoSlice::new(bytes)]),
            Transport::Memory(half, _) => half.poll_write_vectored(cx, &[IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().transport {
            Transport::Tcp(tcp) => socket::poll_write(tcp, cx, |tcp| socket::try_write_vectored(tcp, pieces)),
            Transport::Tls(secured) => secured.poll_write(cx, pieces),
            Transport::Memory(half, _) => half.poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(secured) => secured.poll_flush(cx),
            Transport::Memory(..) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(secured) => {
                ready!(secured.poll_farewell(cx))?;
                Poll::Ready(SockRef::from(secured.tcp()).shutdown(Shutdown::Write))
            }
            Transport::Memory(half, _) => {
                half.shutdown_write();
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    /// As a verdict on the server would give it.
    pub reason: Reason,
    /// What the system said.
    pub source: io::Error,
    /// Whether the fault is ours (no descriptors, no local port): it says nothing about the server.
    pub local: bool,
}

impl From<io::Error> for ConnectError {
    fn from(source: io::Error) -> Self {
        let reason = connect_reason(&source);
        Self { reason, source, local: reason == Reason::Local }
    }
}

/// What a failed `connect` says about the server (connect(2), ip(7)). What is neither the server's answer nor the
/// network's is ours.
fn connect_reason(error: &io::Error) -> Reason {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => Reason::ConnectRefused,
        Some(Errno::TIMEDOUT) => Reason::ConnectTimeout,
        Some(Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE) => Reason::ConnectionLost,
        Some(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NETDOWN | Errno::NETRESET) => {
            Reason::Unreachable
        }
        _ => Reason::Local,
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::ConnectTimeout => f.write_str("no connection in time"),
            Reason::TlsFailed => write!(f, "no TLS: {}", self.source),
            Reason::Local => write!(f, "no connection for a reason of our own: {}", self.source),
            _ => write!(f, "no connection: {}", self.source),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// An IPv4 client of a socket that takes both families appears as `::ffff:192.0.2.1`; nobody wants to see that.
fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests;

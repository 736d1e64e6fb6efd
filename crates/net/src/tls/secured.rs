//! A TCP connection with TLS on it, behind the same calls as one without.
//!
//! What is written counts as written once its records are with the system; a caller that was told to wait comes with the
//! same bytes again. The invariant: an end that the peer did not announce (`close_notify`) is an error and never an end of
//! data, so that nobody takes half of an answer for the whole.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use rustls::Connection;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::facts::TlsFacts;
use crate::socket;

/// Plain bytes sealed at one go: what a slow reader costs beside the buffer that the bytes came in.
const AT_ONCE: usize = 32 * 1024;

/// Records without data, in a row, after which others get their turn.
const BARREN: usize = 32;

/// Plain bytes of a record that fits one segment: 1460 of Ethernet and TCP with timestamps, less head and seal.
const SMALL_RECORD: usize = 1369;

/// Records that go out small at first: about what a connection sends before the first acknowledgement comes.
const SMALL_RECORDS: u8 = 10;

/// The pause after which records are small again: the connection has to find its pace anew.
const PACE_IS_LOST: Duration = Duration::from_secs(1);

/// Parts of one write.
const PARTS: usize = 8;

/// A connection with TLS on it.
#[derive(Debug)]
pub(crate) struct Secured {
    tcp: TcpStream,
    session: Connection,
    facts: Arc<TlsFacts>,
    /// Plain bytes that are read and not taken yet.
    in_hand: usize,
    /// Whether the peer's end, or that of the connection, was seen.
    is_ended: bool,
    /// Plain bytes that are sealed and not yet told to be written.
    sealed: usize,
    pace: Pace,
    farewell: Farewell,
}

/// How the peer is told of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// With the last act.
    Due,
    /// Its record is sealed; the system may still have to take it.
    Sealed,
    /// It was, or must not be.
    Done,
}

/// How large records are. The first bytes of a large record are of no use before its last; while a connection is slow,
/// small ones let the peer begin at once.
#[derive(Debug)]
struct Pace {
    small_left: u8,
    last: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { small_left: SMALL_RECORDS, last: Instant::now() }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.last) >= PACE_IS_LOST {
            self.small_left = SMALL_RECORDS;
        }
        self.last = now;
    }
}

/// The socket, as the session reads and writes it.
pub(super) struct Polled<'a, 'c> {
    pub(super) tcp: &'a TcpStream,
    pub(super) cx: &'a mut Context<'c>,
}

/// The socket, asked without waiting.
struct Tried<'a>(&'a TcpStream);

/// The socket, asked past the runtime's memory of what was there.
struct Fresh<'a>(&'a TcpStream);

fn would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn pending<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}

impl Read for Polled<'_, '_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        would_block(socket::poll_read(self.tcp, self.cx, room))
    }
}

impl Write for Polled<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        would_block(socket::poll_write(self.tcp, self.cx, |tcp| socket::try_write(tcp, bytes)))
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        would_block(socket::poll_write(self.tcp, self.cx, |tcp| socket::try_write_vectored(tcp, parts)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Tried<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        socket::try_read(self.0, room)
    }
}

impl Write for Tried<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        socket::try_write(self.0, bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        socket::try_write_vectored(self.0, parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Fresh<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let (count, _) = recv(self.0, room, RecvFlags::DONTWAIT)?;
        Ok(count)
    }
}

impl Write for Fresh<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        socket::try_write(self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands sealed records to the system.
pub(super) fn drain(session: &mut Connection, socket: &mut impl Write) -> io::Result<()> {
    while session.wants_write() {
        if session.write_tls(socket)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

impl Secured {
    /// A connection whose handshake is over.
    pub(super) fn new(tcp: TcpStream, session: Connection, facts: TlsFacts, in_hand: usize) -> Self {
        Self {
            tcp,
            session,
            facts: Arc::new(facts),
            in_hand,
            is_ended: false,
            sealed: 0,
            pace: Pace::new(),
            farewell: Farewell::Due,
        }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(crate) fn facts(&self) -> &Arc<TlsFacts> {
        &self.facts
    }

    /// Whether a read would bring something without asking the system.
    pub(crate) fn has_read(&self) -> bool {
        self.in_hand > 0 || self.is_ended
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let Self { tcp, session, in_hand, is_ended, .. } = self;
        let mut reading = Reading { session, in_hand, is_ended };
        match reading.read(room, &mut Polled { tcp, cx }) {
            Ok(Some(count)) => Poll::Ready(Ok(count)),
            Ok(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => pending(Err(error)),
        }
    }

    pub(crate) fn try_read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Self { tcp, session, in_hand, is_ended, .. } = self;
        loop {
            let mut reading = Reading { session, in_hand, is_ended };
            if let Some(count) = reading.read(room, &mut Tried(tcp))? {
                return Ok(count);
            }
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Self { tcp, session, sealed, pace, .. } = self;
        pending(write_through(session, sealed, pace, parts, &mut Polled { tcp, cx }))
    }

    pub(crate) fn try_write(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let Self { tcp, session, sealed, pace, .. } = self;
        write_through(session, sealed, pace, parts, &mut Tried(tcp))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { tcp, session, .. } = self;
        pending(drain(session, &mut Polled { tcp, cx }))
    }

    /// Says that nothing more comes. Ready once the system has all of it, so that the end of the connection behind it is not
    /// taken for a cut.
    pub(crate) fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.farewell == Farewell::Due {
            ready!(self.poll_flush(cx))?;
            self.farewell = Farewell::Sealed;
            self.session.send_close_notify();
        }
        if self.farewell == Farewell::Sealed {
            ready!(self.poll_flush(cx))?;
            self.farewell = Farewell::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes, as far as the system takes it at once.
    pub(crate) fn say_farewell(&mut self) {
        if self.farewell != Farewell::Due {
            return;
        }
        self.farewell = Farewell::Done;
        // Behind half of a record it would be read as a part of it.
        if self.sealed == 0 && drain(&mut self.session, &mut Tried(&self.tcp)).is_ok() {
            self.session.send_close_notify();
            let _ = drain(&mut self.session, &mut Tried(&self.tcp));
        }
    }

    /// Leaves without a word: the peer is to know that what it has is not whole.
    pub(crate) fn leave_silently(&mut self) {
        self.farewell = Farewell::Done;
    }

    /// Whether an idle connection is of no more use. Tickets and the like, which a server may send at any time, are taken
    /// in and count for nothing.
    pub(crate) fn is_closed_or_readable(&mut self) -> bool {
        let Self { tcp, session, in_hand, is_ended, .. } = self;
        for _ in 0..BARREN {
            if *in_hand > 0 || *is_ended {
                return true;
            }
            let mut reading = Reading { session, in_hand, is_ended };
            match reading.take_in(&mut Fresh(tcp)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return true,
            }
        }
        true
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.say_farewell();
    }
}

/// The half that reads.
struct Reading<'a> {
    session: &'a mut Connection,
    in_hand: &'a mut usize,
    is_ended: &'a mut bool,
}

impl Reading<'_> {
    /// Reads plain bytes; `None` where there were records and no data for so long that others shall have their turn.
    fn read(&mut self, room: &mut [u8], socket: &mut (impl Read + Write)) -> io::Result<Option<usize>> {
        for _ in 0..BARREN {
            if *self.in_hand > 0 || *self.is_ended {
                let count = self.session.reader().read(room)?;
                *self.in_hand = self.in_hand.saturating_sub(count);
                return Ok(Some(count));
            }
            self.take_in(socket)?;
        }
        Ok(None)
    }

    /// Reads from the socket once, and opens what came.
    fn take_in(&mut self, socket: &mut (impl Read + Write)) -> io::Result<()> {
        if self.session.read_tls(socket)? == 0 {
            *self.is_ended = true;
            return Ok(());
        }
        match self.session.process_new_packets() {
            Ok(state) => {
                *self.in_hand = state.plaintext_bytes_to_read();
                *self.is_ended = state.peer_has_closed();
            }
            Err(error) => {
                // The alert that says why; if it cannot go, the end says as much.
                let _ = drain(self.session, socket);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        if self.session.wants_write() {
            // An answer to a change of keys. What does not go now goes with the next write.
            let _ = drain(self.session, socket);
        }
        Ok(())
    }
}

fn write_through(
    session: &mut Connection,
    sealed: &mut usize,
    pace: &mut Pace,
    parts: &[IoSlice<'_>],
    socket: &mut impl Write,
) -> io::Result<usize> {
    drain(session, socket)?;
    if *sealed == 0 {
        *sealed = seal(session, pace, parts)?;
        drain(session, socket)?;
    }
    Ok(std::mem::take(sealed))
}

/// Seals the front of the parts.
fn seal(session: &mut Connection, pace: &mut Pace, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let whole: usize = parts.iter().map(|part| part.len()).sum();
    let wanted = whole.min(AT_ONCE);
    pace.begin();
    let mut done = 0;
    while done < wanted {
        let most = match pace.small_left {
            0 => wanted - done,
            _ => (wanted - done).min(SMALL_RECORD),
        };
        pace.small_left = pace.small_left.saturating_sub(1);
        let mut slices = [IoSlice::new(&[]); PARTS];
        let count = window(parts, done, most, &mut slices);
        let taken = session.writer().write_vectored(slices.get(..count).unwrap_or_default())?;
        if taken == 0 {
            break;
        }
        done += taken;
    }
    if done == 0 && wanted > 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(done)
}

/// The bytes `from..from + most` of the parts, as parts.
fn window<'a>(parts: &'a [IoSlice<'_>], from: usize, most: usize, slices: &mut [IoSlice<'a>; PARTS]) -> usize {
    let (mut skip, mut left, mut count) = (from, most, 0);
    for part in parts {
        let rest = part.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(part.len());
        let piece = rest.get(..left).unwrap_or(rest);
        if piece.is_empty() {
            continue;
        }
        let Some(slot) = slices.get_mut(count) else { break };
        *slot = IoSlice::new(piece);
        left -= piece.len();
        count += 1;
    }
    count
}

//! The thread that answers over TCP (RFC 7766): many queries on one connection, and transfers.
//!
//! Queries of one connection are answered in their order; those of others meanwhile. Who has a place is the matter of
//! `seats`. The invariant: a connection that says nothing, or takes nothing, is closed in time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::Rng;
use evenkeel_dns::answer::{Reply, Transport};
use evenkeel_model::{ListenerName, caps};
use evenkeel_net::{clock, rng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::errands::Errands;
use super::long::{self, Outcome};
use super::seats::{Given, Seats};
use super::tally::Tally;
use super::view::{Answers, View};
use super::worker::write_line;
use crate::logs::Complaint;
use crate::supervisor::Event;
use crate::tasks::{self, Token};

/// How long a client may take to take an answer.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// The pause after a failed accept, so that a process without descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the thread is told.
enum Command {
    View(Arc<View>, oneshot::Sender<()>),
    Open(ListenerName, TcpListener, oneshot::Sender<()>),
    Close(ListenerName),
}

/// The thread, as the supervisor holds it. It ends when this is dropped.
pub(super) struct Streams {
    commands: mpsc::Sender<Command>,
    tally: Arc<Tally>,
    errands: Arc<Errands>,
}

impl Streams {
    pub(super) fn start(events: &mpsc::Sender<Event>, token: Token) -> io::Result<Self> {
        let (commands, received) = mpsc::channel(caps::DNS_COMMANDS);
        let tally = Arc::new(Tally::new(true));
        let errands = Arc::new(Errands::default());
        let own = (Arc::clone(&tally), Arc::clone(&errands));
        let run = move || {
            let _held = token;
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            // Without a runtime the thread is as lost as after any other panic.
            runtime.expect("the system has descriptors for a runtime").block_on(serve(received, own));
        };
        tasks::start_thread(tasks::DNS_STREAMS, None, events, run)?;
        Ok(Self { commands, tally, errands })
    }

    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    pub(super) fn view(&self, view: &Arc<View>) -> Option<oneshot::Receiver<()>> {
        let (done, taken) = oneshot::channel();
        self.send(Command::View(Arc::clone(view), done)).then_some(taken)
    }

    pub(super) fn open(&self, name: ListenerName, listener: TcpListener) -> Option<oneshot::Receiver<()>> {
        let (done, taken) = oneshot::channel();
        self.send(Command::Open(name, listener, done)).then_some(taken)
    }

    pub(super) fn close(&self, name: ListenerName) {
        self.send(Command::Close(name));
    }

    /// What the thread is to do beside answering.
    pub(super) fn errands(&self) -> &Errands {
        &self.errands
    }

    fn send(&self, command: Command) -> bool {
        let sent = self.commands.try_send(command).is_ok();
        if !sent {
            tracing::error!("the thread for DNS over TCP does not take its commands");
        }
        sent
    }
}

/// What the connections of the thread share.
struct Shared {
    view: RefCell<Arc<View>>,
    seats: RefCell<Seats>,
    rng: RefCell<Rng>,
    tally: Arc<Tally>,
    /// Refused transfers that no line was written of.
    refused: RefCell<Complaint>,
}

impl Shared {
    /// Counts a refused transfer, and says so where it is time for a line. Who asks over UDP may be anybody, and is
    /// counted only.
    fn refuse_transfer(&self, reply: &Reply, from: SocketAddr) {
        self.tally.transfer_refused();
        let Some(count) = self.refused.borrow_mut().add(1, clock::now()) else { return };
        let zone = reply.question.as_ref().map(|question| question.name.to_string()).unwrap_or_default();
        let others = match count {
            1 => String::new(),
            more => format!(", the last of {more}"),
        };
        tracing::info!("the transfer of `{zone}` to {} is refused: no `transfer` line allows it{others}", from.ip());
    }
}

async fn serve(mut commands: mpsc::Receiver<Command>, (tally, errands): (Arc<Tally>, Arc<Errands>)) {
    tokio::task::spawn_local(errands.run());
    let [a, b, c, d, e, f, g, h, ..] = rng::seed();
    let shared = Rc::new(Shared {
        view: RefCell::new(Arc::new(View::default())),
        seats: RefCell::default(),
        rng: RefCell::new(Rng::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]))),
        tally,
        refused: RefCell::default(),
    });
    let mut listening: HashMap<ListenerName, JoinHandle<()>> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::View(view, done) => {
                *shared.view.borrow_mut() = view;
                // Whoever does not wait for it needs no answer.
                let _ = done.send(());
            }
            Command::Open(name, listener, done) => {
                let accepting = accept(name.clone(), listener, Rc::clone(&shared));
                if let Some(before) = listening.insert(name, tokio::task::spawn_local(accepting)) {
                    before.abort();
                }
                let _ = done.send(());
            }
            Command::Close(name) => {
                if let Some(accepting) = listening.remove(&name) {
                    accepting.abort();
                }
            }
        }
    }
}

async fn accept(name: ListenerName, listener: TcpListener, shared: Rc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("{name} cannot be listened on over TCP: {error}"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                if let Some(place) = Place::take(&shared, &name, from) {
                    tokio::task::spawn_local(converse(stream, from, name.clone(), place));
                }
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// A connection's place among those of its client and of all; given back when it ends.
struct Place {
    shared: Rc<Shared>,
    number: Cell<u64>,
    leave: Rc<Notify>,
}

impl Place {
    /// `None` where there is no place left: the connection is closed.
    fn take(shared: &Rc<Shared>, name: &ListenerName, from: SocketAddr) -> Option<Self> {
        let bounds = shared.view.borrow().by_listener.get(name)?.block()?.tcp;
        let Given { number, leave } = shared.seats.borrow_mut().take(client_of(from.ip()), &bounds)?;
        Some(Self { shared: Rc::clone(shared), number: Cell::new(number), leave })
    }

    /// Notes that a message came or went.
    fn heard(&self) {
        self.number.set(self.shared.seats.borrow_mut().heard(self.number.get()));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.seats.borrow_mut().leave(self.number.get());
    }
}

/// An IPv4 address, or the /64 of an IPv6 one.
fn client_of(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

/// One connection, until another one gets its place, or it ends.
async fn converse(stream: TcpStream, from: SocketAddr, name: ListenerName, place: Place) {
    tokio::select! {
        () = place.leave.notified() => {}
        () = talk(stream, from, name, &place) => {}
    }
}

/// One connection, until it is quiet for too long, ends, or breaks a rule.
async fn talk(mut stream: TcpStream, from: SocketAddr, name: ListenerName, place: &Place) {
    let shared = &place.shared;
    // The peer being gone is found by the first read.
    let _ = stream.set_nodelay(true);
    let arrived_at = stream.local_addr().ok().map(|addr| addr.ip().to_canonical());
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    loop {
        // Each query is answered from the view of its own time.
        let Some(answers) = shared.view.borrow().by_listener.get(&name).cloned() else { return };
        let Some(idle) = answers.block().map(|block| block.tcp.idle) else { return };
        let Ok(Some(message)) = timeout(idle, read(&mut stream)).await else { return };
        place.heard();
        let Some(answers) = shared.view.borrow().by_listener.get(&name).cloned() else { return };
        if !answer(&mut stream, &answers, &message, (from, arrived_at), place).await {
            return;
        }
        place.heard();
    }
}

/// A message with its length before it; `None` where the connection ends.
async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

async fn write(stream: &mut TcpStream, message: &[u8]) -> bool {
    let Ok(length) = u16::try_from(message.len()) else { return false };
    let mut framed = Vec::with_capacity(message.len().saturating_add(2));
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    matches!(timeout(SEND_PATIENCE, stream.write_all(&framed)).await, Ok(Ok(())))
}

/// Answers one query. `false` where the connection is of no more use.
async fn answer(
    stream: &mut TcpStream,
    answers: &Arc<Answers>,
    message: &[u8],
    (from, arrived_at): (SocketAddr, Option<IpAddr>),
    place: &Place,
) -> bool {
    let shared = &place.shared;
    shared.tally.query();
    let luck = shared.rng.borrow_mut().next_u64();
    match long::answer(answers, message, from, arrived_at, Transport::Tcp, luck) {
        Outcome::Silence => {
            shared.tally.dropped();
            false
        }
        Outcome::One(reply) => {
            shared.tally.answered(reply.rcode, reply.truncated);
            if long::refuses_transfer(&reply) {
                shared.refuse_transfer(&reply, from);
            }
            let asked = reply.question.as_ref().zip(answers.block());
            shared.tally.zone(asked.and_then(|(asked, block)| block.number_of(&asked.name, asked.kind)));
            if let Some((sink, percent)) = &answers.log
                && shared.rng.borrow_mut().below(100) < u32::from(*percent)
            {
                let mut line = Vec::new();
                write_line(&mut line, from, "tcp", &long::shown(message), (reply.rcode, reply.bytes.len()));
                sink.send(line);
            }
            write(stream, &reply.bytes).await
        }
        Outcome::Many(mut transfer, mut signing) => {
            shared.tally.transfer();
            while let Some(mut message) = transfer.next_message() {
                if let Some(signing) = &mut signing {
                    signing.sign(&mut message, clock::unix_now());
                }
                if !write(stream, &message).await {
                    return false;
                }
                place.heard();
                // A client that reads quickly never makes us wait, and all others would.
                tokio::task::yield_now().await;
            }
            true
        }
    }
}

#[cfg(test)]
mod tests;

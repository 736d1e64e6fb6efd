//! A thread that answers datagrams: batch in, answers out, and nothing else.
//!
//! The invariant: between two batches the thread looks whether there is a newer view; within one, it does not change.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use evenkeel_balance::Rng;
use evenkeel_dns::answer::{Ahead, Allowance, RateLimit, RateRules, Transport, Way};
use evenkeel_dns::{Name, Rcode, Type};
use evenkeel_model::{ListenerName, caps};
use evenkeel_net::bell::Bell;
use evenkeel_net::udp::{Batch, Datagram, Patience, Port, wait};
use evenkeel_net::{clock, rng};
use tokio::sync::{mpsc, oneshot};

use super::long::{self, Outcome};
use super::tally::Tally;
use super::view::{Answers, View};
use crate::supervisor::Event;
use crate::tasks::{self, Token};

/// How long a thread waits for a datagram before it looks whether it is still wanted.
const LOOK: Duration = Duration::from_secs(1);

/// Where a batch of one of several sockets has as many, another one is probably there already.
const BUSY: usize = 4;

/// Batches answered before a socket is closed: more than the kernel keeps for it mostly.
const LAST_BATCHES: usize = 256;

/// What a thread is told.
enum Command {
    View(Arc<View>, oneshot::Sender<()>),
    Open(ListenerName, Port, oneshot::Sender<()>),
    Close(ListenerName),
}

/// A thread, as the supervisor holds it. It ends when this is dropped.
pub(super) struct Worker {
    commands: Option<SyncSender<Command>>,
    bell: Arc<Bell>,
    has_news: Arc<AtomicBool>,
    tally: Arc<Tally>,
}

impl Worker {
    pub(super) fn start(index: usize, events: &mpsc::Sender<Event>, token: Token) -> io::Result<Self> {
        let (commands, received) = sync_channel(caps::DNS_COMMANDS);
        let (bell, has_news) = (Arc::new(Bell::new()?), Arc::new(AtomicBool::new(false)));
        let tally = Arc::new(Tally::new(false));
        let [a, b, c, d, e, f, g, h, ..] = rng::seed();
        let thread = Thread {
            commands: received,
            bell: Arc::clone(&bell),
            has_news: Arc::clone(&has_news),
            view: Arc::new(View::default()),
            ports: Vec::new(),
            answering: Answering {
                rng: Rng::new(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
                limits: Vec::new(),
                tally: Arc::clone(&tally),
            },
        };
        let run = move || {
            let _held = token;
            thread.run();
        };
        tasks::start_thread(tasks::DNS, Some(index), events, run)?;
        Ok(Self { commands: Some(commands), bell, has_news, tally })
    }

    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Gives it a view; the receiver hears when it answers from it.
    pub(super) fn view(&self, view: &Arc<View>) -> Option<oneshot::Receiver<()>> {
        let (done, taken) = oneshot::channel();
        self.send(Command::View(Arc::clone(view), done)).then_some(taken)
    }

    pub(super) fn open(&self, name: ListenerName, port: Port) -> Option<oneshot::Receiver<()>> {
        let (done, taken) = oneshot::channel();
        self.send(Command::Open(name, port, done)).then_some(taken)
    }

    pub(super) fn close(&self, name: ListenerName) {
        self.send(Command::Close(name));
    }

    /// Waits for room, which a thread makes between two batches.
    fn send(&self, command: Command) -> bool {
        let sent = self.commands.as_ref().is_some_and(|commands| commands.send(command).is_ok());
        self.has_news.store(true, Ordering::Release);
        self.bell.ring();
        sent
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        self.has_news.store(true, Ordering::Release);
        self.bell.ring();
    }
}

struct Thread {
    commands: Receiver<Command>,
    bell: Arc<Bell>,
    has_news: Arc<AtomicBool>,
    view: Arc<View>,
    ports: Vec<Listening>,
    answering: Answering,
}

/// A socket with what is answered there.
struct Listening {
    name: ListenerName,
    port: Port,
    answers: Option<Arc<Answers>>,
    /// For the log of what is answered here, and of nothing else.
    lines: Vec<u8>,
}

/// What a thread works with, for all of its sockets.
#[derive(Default)]
struct Desk {
    batch: Batch,
    ahead: Ahead,
}

impl Listening {
    /// Answers what has come, as much as one batch holds; how many queries that were.
    fn answer_queued(&mut self, patience: Patience, answering: &mut Answering, desk: &mut Desk) -> usize {
        let Self { port, answers: Some(answers), lines, .. } = self else { return 0 };
        let (Desk { batch, ahead }, now) = (desk, clock::now());
        let mut look = |queries: &mut dyn Iterator<Item = &[u8]>| {
            if let Some(block) = answers.block() {
                block.ready.look_ahead(queries, ahead);
            }
        };
        let mut answer = |datagram: &Datagram<'_>, out: &mut [u8]| answering.answer(answers, now, datagram, out, lines);
        batch.exchange(port, patience, &mut look, &mut answer).unwrap_or_else(|error| {
            tracing::error!("{} cannot be read: {error}", port.addr());
            0
        })
    }

    /// Answers what has come by now, before the socket is closed: it was asked in good time.
    fn answer_last(&mut self, answering: &mut Answering, desk: &mut Desk) {
        let _ = (0..LAST_BATCHES).find(|_| self.answer_queued(Patience::None, answering, desk) == 0);
        self.flush(1);
    }

    /// Hands the log's lines over where they are as many bytes.
    fn flush(&mut self, least: usize) {
        if self.lines.len() < least {
            return;
        }
        match self.answers.as_ref().and_then(|answers| answers.log.as_ref()) {
            // Lines that are lost are counted by the log.
            Some((sink, _)) => {
                sink.send(std::mem::take(&mut self.lines));
            }
            None => self.lines.clear(),
        }
    }
}

/// What one thread needs to answer.
struct Answering {
    rng: Rng,
    /// By the rules, which blocks may share.
    limits: Vec<(RateRules, RateLimit)>,
    tally: Arc<Tally>,
}

impl Thread {
    fn run(mut self) {
        let mut desk = Desk::default();
        let mut most = 0;
        loop {
            if self.has_news.swap(false, Ordering::Acquire) && !self.take_commands(&mut desk) {
                return;
            }
            // In the midst of traffic a socket that is alone is waited for by reading it; the bell is heard with the
            // next query or, at worst, when that has had no patience any more.
            let is_alone = self.ports.len() == 1;
            let patience = if is_alone && most > 0 { Patience::Short } else { Patience::None };
            most = 0;
            for listening in &mut self.ports {
                most = most.max(listening.answer_queued(patience, &mut self.answering, &mut desk));
                listening.flush(if most < BUSY { 1 } else { caps::LOG_BATCH_BYTES });
            }
            if most == 0 || (!is_alone && most < BUSY) {
                let ports = self.ports.iter().map(|listening| &listening.port);
                if let Err(error) = wait(ports, &self.bell, LOOK) {
                    tracing::error!("waiting for queries failed: {error}");
                }
                // A supervisor that is gone wakes nobody.
                self.has_news.store(true, Ordering::Relaxed);
            }
        }
    }

    fn take_view(&mut self, view: Arc<View>) {
        self.view = view;
        // Counts by rules that no block has any more are a megabyte and a half each.
        self.answering.limits.retain(|(rules, _)| self.view.uses(*rules));
        for listening in &mut self.ports {
            // What was answered before goes where it was to be written then.
            listening.flush(1);
            // A socket that is about to be closed answers as before until then.
            if let Some(answers) = self.view.by_listener.get(&listening.name) {
                listening.answers = Some(Arc::clone(answers));
            }
        }
    }

    /// `false` where it is to end.
    fn take_commands(&mut self, desk: &mut Desk) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::View(view, done)) => {
                    self.take_view(view);
                    // Whoever does not wait for it needs no answer.
                    let _ = done.send(());
                }
                Ok(Command::Open(name, port, done)) => {
                    let answers = self.view.by_listener.get(&name).cloned();
                    self.ports.push(Listening { name, port, answers, lines: Vec::new() });
                    let _ = done.send(());
                }
                Ok(Command::Close(name)) => {
                    for listening in self.ports.iter_mut().filter(|listening| listening.name == name) {
                        listening.answer_last(&mut self.answering, desk);
                    }
                    self.ports.retain(|listening| listening.name != name);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => {
                    for listening in &mut self.ports {
                        listening.answer_last(&mut self.answering, desk);
                    }
                    return false;
                }
            }
        }
    }
}

/// Source ports that belong to services which answer anything.
fn is_reflector(port: u16) -> bool {
    matches!(port, 0 | 7 | 19)
}

/// What became of a query, for the counters and the log.
struct Done<'a> {
    length: usize,
    rcode: Rcode,
    truncated: bool,
    is_trusted: bool,
    question: Option<(&'a Name, Type)>,
}

impl Answering {
    fn answer(
        &mut self,
        answers: &Answers,
        now: Duration,
        datagram: &Datagram<'_>,
        out: &mut [u8],
        lines: &mut Vec<u8>,
    ) -> usize {
        let Some(block) = answers.block() else { return 0 };
        let Datagram { bytes, from, arrived_at } = *datagram;
        self.tally.query();
        if is_reflector(from.port()) {
            self.tally.dropped();
            return 0;
        }
        let way = Way { arrived_at, luck: self.rng.next_u64(), udp_bytes: block.policy.udp_bytes };
        if !answers.texts.may_concern(bytes)
            && let Some(written) = block.ready.answer(&answers.live, bytes, &way, out)
        {
            let (rcode, truncated) = (written.rcode, false);
            self.tally.zone(written.zone.and_then(|place| block.number(place)));
            let done = Done { length: written.length, rcode, truncated, is_trusted: false, question: None };
            return self.finish((answers, block.rate), now, datagram, done, out, lines);
        }
        let reply = match long::answer(answers, bytes, from, arrived_at, Transport::Udp, way.luck) {
            Outcome::One(reply) => reply,
            // Nothing is sent in many datagrams.
            Outcome::Many(..) | Outcome::Silence => {
                self.tally.dropped();
                return 0;
            }
        };
        if long::refuses_transfer(&reply) {
            self.tally.transfer_refused();
        }
        let Some(room) = out.get_mut(..reply.bytes.len()) else { return 0 };
        room.copy_from_slice(&reply.bytes);
        let question = reply.question.as_ref().map(|question| (&question.name, question.kind));
        self.tally.zone(question.and_then(|(name, kind)| block.number_of(name, kind)));
        let done = Done {
            length: reply.bytes.len(),
            rcode: reply.rcode,
            truncated: reply.truncated,
            is_trusted: reply.cookie_is_good,
            question,
        };
        self.finish((answers, block.rate), now, datagram, done, out, lines)
    }

    /// The limit on responses, the counters and the log. Gives the length of what is sent.
    fn finish(
        &mut self,
        (answers, rules): (&Answers, Option<RateRules>),
        now: Duration,
        datagram: &Datagram<'_>,
        mut done: Done<'_>,
        out: &mut [u8],
        lines: &mut Vec<u8>,
    ) -> usize {
        if let Some(rules) = rules.filter(|_| !done.is_trusted) {
            match self.limit(rules).map_or(Allowance::Send, |limit| limit.count(now, datagram.from.ip())) {
                Allowance::Send => {}
                Allowance::Drop => {
                    self.tally.limited();
                    return 0;
                }
                Allowance::Slip => match long::slip(answers, datagram, out) {
                    Some(length) => {
                        self.tally.slipped();
                        (done.length, done.truncated) = (length, true);
                    }
                    None => return 0,
                },
            }
        }
        self.tally.answered(done.rcode, done.truncated);
        if let Some((_, percent)) = &answers.log
            && self.rng.below(100) < u32::from(*percent)
        {
            note(datagram, &done, lines);
        }
        done.length
    }

    /// The counts under these rules. There are as many as there are different `rate` lines, one mostly; a
    /// configuration has [`caps::DNS_RATE_RULES`] at most.
    fn limit(&mut self, rules: RateRules) -> Option<&mut RateLimit> {
        let place = self.limits.iter().position(|(known, _)| *known == rules).unwrap_or_else(|| {
            self.limits.push((rules, RateLimit::new(rules, self.rng.next_u64())));
            self.limits.len().saturating_sub(1)
        });
        self.limits.get_mut(place).map(|(_, limit)| limit)
    }
}

/// A line of the log: time, client, transport, name, type, outcome, bytes.
fn note(datagram: &Datagram<'_>, done: &Done<'_>, lines: &mut Vec<u8>) {
    let asked = match done.question {
        Some((name, kind)) => format!("{name} {kind}"),
        None => long::shown(datagram.bytes),
    };
    write_line(lines, datagram.from, "udp", &asked, (done.rcode, done.length));
}

/// One line of a log of queries.
pub(super) fn write_line(
    lines: &mut Vec<u8>,
    from: SocketAddr,
    over: &str,
    asked: &str,
    (rcode, length): (Rcode, usize),
) {
    let now = clock::unix_now();
    let (seconds, millis) = (now.as_secs(), now.subsec_millis());
    // Memory takes every byte.
    let _ = writeln!(lines, "{seconds}.{millis:03} {} {over} {asked} {rcode} {length}", from.ip());
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use std::net::UdpSocket;

    use evenkeel_config::{MemorySource, Options, load_text};
    use evenkeel_dns::Class;
    use evenkeel_dns::wire::{Question, write_query};
    use evenkeel_model::config::ListenAddr;
    use evenkeel_net::listen::Presence;
    use evenkeel_net::udp;

    use super::super::load::load;
    use super::super::view::HealthView;
    use super::*;

    fn view(rate: u32) -> Arc<View> {
        let text = format!(
            "http 127.0.0.1:8080 {{\n    to 127.0.0.1:1\n}}\n\
             dns 127.0.0.1:5300 {{\n    rate {rate}\n    zone a.example {{\n        ns lb1.example.com\n    }}\n}}\n"
        );
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        let blocks = load(loaded.config.as_ref().expect("it is sound"), b"", &loaded, &[]).expect("it can be used");
        let (blocks, health) = (Arc::new(blocks), Arc::new(HealthView::default()));
        Arc::new(View::build(&View::default(), &blocks, &health, &Arc::default(), &HashMap::new()))
    }

    fn thread(commands: Receiver<Command>) -> Thread {
        Thread {
            commands,
            bell: Arc::new(Bell::new().unwrap()),
            has_news: Arc::new(AtomicBool::new(true)),
            view: Arc::default(),
            ports: Vec::new(),
            answering: Answering { rng: Rng::new(1), limits: Vec::new(), tally: Arc::new(Tally::new(false)) },
        }
    }

    #[test]
    fn what_has_come_is_answered_before_the_end() {
        let (commands, received) = sync_channel(2);
        let [first, second] = [(); 2].map(|()| {
            let any = ListenAddr::One("127.0.0.1:0".parse().unwrap());
            udp::bind(any, 1, Presence::Here).unwrap().remove(0)
        });
        let (view, question) =
            (view(50), Question { name: "a.example".parse().unwrap(), kind: Type::SOA, class: Class::IN });
        let clients = [&first, &second].map(|port| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect(port.addr()).unwrap();
            for id in 0..50 {
                client.send(&write_query(id, &question, false, None)).unwrap();
            }
            client
        });
        let mut thread = thread(received);
        let (name, answers) = view.by_listener.iter().next().unwrap();
        for port in [first, second] {
            let answers = Some(Arc::clone(answers));
            thread.ports.push(Listening { name: name.clone(), port, answers, lines: Vec::new() });
        }
        drop(commands);
        thread.run();
        for client in clients {
            client.set_nonblocking(true).unwrap();
            let answered = (0..50).filter(|_| client.recv(&mut [0; 1232]).is_ok()).count();
            assert_eq!(answered, 50);
        }
    }

    #[test]
    fn counts_go_with_the_rates_that_they_are_for() {
        let (_commands, received) = sync_channel(1);
        let mut thread = thread(received);
        let client = "192.0.2.1".parse().unwrap();
        for rate in 1..50 {
            thread.take_view(view(rate));
            let rules = thread.view.by_listener.values().find_map(|answers| answers.block()?.rate).unwrap();
            let limit = thread.answering.limit(rules).unwrap();
            assert_eq!(limit.count(Duration::from_secs(9), client), Allowance::Send);
            assert_eq!(thread.answering.limits.len(), 1);
        }
        // A reload that leaves the rate as it is keeps what was counted.
        let before = format!("{:?}", thread.answering.limits);
        thread.take_view(view(49));
        assert!(format!("{:?}", thread.answering.limits) == before);
    }
}

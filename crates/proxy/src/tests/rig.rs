//! What the tests stand on: an origin that records what it gets, a client that reads answers, and a worker between.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_balance::{Key, Keys, MethodKeys};
use evenkeel_model::config::{
    AccessLog, Action, ClientLimits, ClientTimeouts, Config, Host, ListenAddr, Listener, LogFormat, LogTarget, Matcher,
    PathPattern, PathRewrite, Pool, Route, Server, ServerAddr, Site, Tcp, TcpRoute,
};
use evenkeel_model::{ListenerName, PoolName, ServerId, ServerName, State};
use evenkeel_net::tls::{Acceptor, Connector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    Command, DrainOutcome, ErrorPages, LogSink, LogSource, ServerView, Shared, Snapshot, SnapshotParts, TrafficReport,
};

/// Runs a test on one thread, and not for ever.
pub(super) fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test takes too long");
    });
}

/// A server with a script.
pub(super) struct Origin {
    pub(super) addr: SocketAddr,
    seen: Rc<RefCell<Vec<Seen>>>,
    connections: Rc<RefCell<usize>>,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }

    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

/// The value of a field in a head.
pub(super) fn field(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// A connection of an origin.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    pending: Vec<u8>,
    seen: Rc<RefCell<Vec<Seen>>>,
}

type Script = Pin<Box<dyn Future<Output = ()>>>;

impl Origin {
    /// A server that answers each request with what `answer` makes of it, on kept connections.
    pub(super) async fn answering(answer: impl Fn(&Seen) -> Vec<u8> + 'static) -> Self {
        let answer = Rc::new(answer);
        Self::scripted(move |mut peer| {
            let answer = Rc::clone(&answer);
            Box::pin(async move {
                while let Some(seen) = peer.request().await {
                    if peer.stream.write_all(&answer(&seen)).await.is_err() {
                        return;
                    }
                }
            })
        })
        .await
    }

    /// A server that answers everything with 200 and this text.
    pub(super) async fn saying(text: &'static str) -> Self {
        Self::answering(move |_| ok(text)).await
    }

    /// A server that answers each request with this body, once it is told to.
    pub(super) async fn waiting(body: &'static str) -> (Self, Rc<Notify>) {
        let told = Rc::new(Notify::new());
        let heard = Rc::clone(&told);
        let script = move |mut peer: Peer| -> Script {
            let heard = Rc::clone(&heard);
            Box::pin(async move {
                while peer.request().await.is_some() {
                    heard.notified().await;
                    peer.send(ok(body)).await;
                }
            })
        };
        (Self::scripted(script).await, told)
    }

    /// A server that does on each connection what the script says.
    pub(super) async fn scripted(script: impl Fn(Peer) -> Script + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Rc<RefCell<Vec<Seen>>> = Rc::default();
        let connections: Rc<RefCell<usize>> = Rc::default();
        let (kept, counted) = (Rc::clone(&seen), Rc::clone(&connections));
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *counted.borrow_mut() += 1;
                let peer = Peer { stream, pending: Vec::new(), seen: Rc::clone(&kept) };
                tokio::task::spawn_local(script(peer));
            }
        });
        Self { addr, seen, connections }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.seen.borrow().len()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.borrow()
    }
}

impl Peer {
    /// The next request, whole; `None` at the connection's end.
    pub(super) async fn request(&mut self) -> Option<Seen> {
        let head = self.head().await?;
        let body = if field(&head, "transfer-encoding").is_some() {
            self.chunked().await?
        } else {
            let length = field(&head, "content-length").map_or(0, |text| text.parse().unwrap());
            self.exactly(length).await?
        };
        let seen = Seen { head, body };
        self.seen.borrow_mut().push(seen.clone());
        Some(seen)
    }

    /// The next request's head.
    pub(super) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.pending, b"\r\n\r\n") {
                let rest = self.pending.split_off(at + 4);
                return String::from_utf8(std::mem::replace(&mut self.pending, rest)).ok();
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.pending.len() < length {
            self.more().await?;
        }
        let rest = self.pending.split_off(length);
        Some(std::mem::replace(&mut self.pending, rest))
    }

    /// A chunked body's bytes as they came, decoded, with its trailer section behind them.
    async fn chunked(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk's size without extensions");
            if size == 0 {
                loop {
                    let line = self.line().await?;
                    if line == "\r\n" {
                        return Some(body);
                    }
                    body.extend_from_slice(line.as_bytes());
                }
            }
            body.extend(self.exactly(size).await?);
            assert_eq!(self.exactly(2).await?, b"\r\n");
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.pending) {
                let rest = self.pending.split_off(at + 1);
                return String::from_utf8(std::mem::replace(&mut self.pending, rest)).ok();
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Option<()> {
        let count = self.stream.read_buf(&mut self.pending).await.ok()?;
        (count > 0).then_some(())
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The other side may be gone, which is what some scripts want.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }
}

/// An answer of 200 with a text.
pub(super) fn ok(text: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
}

/// A client.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pending: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn field(&self, name: &str) -> Option<String> {
        field(&self.head, name)
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(super) async fn connect(rig: &Rig) -> Self {
        Self::to(rig.addr).await
    }

    pub(super) async fn to(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap(), pending: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a GET and reads its answer.
    pub(super) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        self.answer().await
    }

    /// Sends a POST with this body and reads its answer.
    pub(super) async fn post(&mut self, body: &str) -> Answer {
        self.send(format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        self.answer().await
    }

    /// The next answer's head.
    pub(super) async fn head(&mut self) -> String {
        loop {
            if let Some(at) = memchr::memmem::find(&self.pending, b"\r\n\r\n") {
                let rest = self.pending.split_off(at + 4);
                return String::from_utf8(std::mem::replace(&mut self.pending, rest)).unwrap();
            }
            assert!(self.more().await, "closed in a head: {:?}", String::from_utf8_lossy(&self.pending));
        }
    }

    /// The next answer to a request that was not HEAD.
    pub(super) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = if matches!(status, 100..=199 | 204 | 304) {
            Vec::new()
        } else if field(&head, "transfer-encoding").is_some() {
            let mut raw = Vec::new();
            while !raw.ends_with(b"0\r\n\r\n") {
                if self.pending.is_empty() {
                    assert!(self.more().await, "closed in a chunked body: {:?}", String::from_utf8_lossy(&raw));
                }
                raw.push(self.pending.remove(0));
            }
            raw
        } else if let Some(length) = field(&head, "content-length") {
            let length: usize = length.parse().unwrap();
            while self.pending.len() < length {
                assert!(self.more().await, "closed in a body");
            }
            let rest = self.pending.split_off(length);
            std::mem::replace(&mut self.pending, rest)
        } else {
            self.rest().await
        };
        Answer { head, body }
    }

    /// The next answer; `None` where the connection ends before it does.
    pub(super) async fn try_answer(&mut self) -> Option<Answer> {
        let at = loop {
            if let Some(at) = memchr::memmem::find(&self.pending, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8(self.pending[..at].to_vec()).unwrap();
        let end = |pending: &[u8]| match field(&head, "content-length") {
            Some(length) => Some(at + length.parse::<usize>().unwrap()).filter(|end| *end <= pending.len()),
            None => memchr::memmem::find(&pending[at..], b"0\r\n\r\n").map(|place| at + place + 5),
        };
        let end = loop {
            if let Some(end) = end(&self.pending) {
                break end;
            }
            if !self.more().await {
                return None;
            }
        };
        let rest = self.pending.split_off(end);
        let body = std::mem::replace(&mut self.pending, rest).split_off(at);
        Some(Answer { head, body })
    }

    /// Everything up to the end of the connection.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.pending)
    }

    /// Whether the connection has ended without another byte.
    pub(super) async fn is_closed(&mut self) -> bool {
        self.pending.is_empty() && !self.more().await
    }

    async fn more(&mut self) -> bool {
        self.stream.read_buf(&mut self.pending).await.unwrap_or(0) > 0
    }
}

/// A worker with its configuration, and what it tells.
pub(super) struct Rig {
    pub(super) addr: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) reports: mpsc::Receiver<TrafficReport>,
    pub(super) log: LogSource,
    pub(super) config: Config,
    pub(super) states: HashMap<ServerId, State>,
    /// Where servers are beside the address that they are configured with.
    pub(super) elsewhere: HashMap<ServerId, SocketAddr>,
    pub(super) pages: ErrorPages,
    pub(super) acceptors: HashMap<ListenerName, Arc<Acceptor>>,
    pub(super) connectors: HashMap<PoolName, Arc<Connector>>,
    sink: LogSink,
    commands: Vec<mpsc::Sender<Command>>,
    keys: Arc<[MethodKeys]>,
    current: Option<Arc<Snapshot>>,
    generation: u64,
}

/// The pool of the tests.
pub(super) fn pool(origins: &[&Origin]) -> Pool {
    let servers = origins.iter().zip('a'..='z').map(|(origin, name)| server(&name.to_string(), origin.addr)).collect();
    Pool::new(PoolName::new("shop").unwrap(), servers)
}

pub(super) fn server(name: &str, addr: SocketAddr) -> Server {
    Server::new(ServerName::new(name).unwrap(), ServerAddr { host: Host::Ip(addr.ip()), port: addr.port() })
}

/// A route that sends a path to the pool.
pub(super) fn route(path: PathPattern, action: Action) -> Route {
    Route {
        name: "*".to_owned(),
        matcher: Matcher { path, hosts: Vec::new(), methods: Vec::new(), fields: Vec::new(), query: Vec::new() },
        rewrite: PathRewrite::default(),
        request_edits: Vec::new(),
        response_edits: Vec::new(),
        action,
    }
}

/// A configuration of one listener with one site that sends everything to the pool and logs as JSON.
pub(super) fn config(pool: Pool) -> Config {
    let to = Action::To(pool.name.clone());
    let site = Site {
        routes: vec![route(PathPattern::Any, to)],
        logs: vec![AccessLog { to: LogTarget::Stdout, format: LogFormat::Json, rules: Vec::new() }],
        ..Site::default()
    };
    let listener = Listener {
        name: ListenerName::of_address(":test"),
        addr: ListenAddr::Every(1),
        tls: None,
        timeouts: ClientTimeouts::default(),
        limits: ClientLimits::default(),
        trusted: Vec::new(),
        max_conns: None,
        proxied: Vec::new(),
        sites: vec![site],
        tcp: None,
    };
    Config { listeners: vec![listener], pools: vec![pool], ..Config::default() }
}

/// The same, of a listener that passes connections on.
pub(super) fn passing(pool: Pool) -> Config {
    let to = pool.name.clone();
    let mut config = config(pool);
    if let Some(listener) = config.listeners.first_mut() {
        listener.tcp = Some(Tcp {
            routes: vec![TcpRoute { name: "*".to_owned(), names: Vec::new(), to }],
            logs: std::mem::take(&mut listener.sites).remove(0).logs,
            ..Tcp::default()
        });
    }
    config
}

impl Rig {
    /// A worker that serves this configuration.
    pub(super) async fn start(config: Config) -> Self {
        Self::with_max(config, 1000).await
    }

    /// The same with a ceiling of client connections.
    pub(super) async fn with_max(config: Config, max_conns: u32) -> Self {
        let (report, reports) = mpsc::channel(64);
        let shared = Shared::new(max_conns, report);
        let (commands, inbox) = mpsc::channel(4);
        tokio::task::spawn_local(crate::worker(0, Arc::clone(&shared), inbox));
        let (sink, log) = crate::log::channel();
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut rig = Self {
            addr: socket.local_addr().unwrap(),
            shared,
            reports,
            log,
            config,
            states: HashMap::new(),
            elsewhere: HashMap::new(),
            pages: ErrorPages::default(),
            acceptors: HashMap::new(),
            connectors: HashMap::new(),
            sink,
            commands: vec![commands],
            keys: method_keys().into(),
            current: None,
            generation: 0,
        };
        rig.apply(vec![(ListenerName::of_address(":test"), socket)], Vec::new()).await;
        rig
    }

    /// Makes the changed configuration, states and pages the ones in force.
    pub(super) async fn reload(&mut self) {
        self.apply(Vec::new(), Vec::new()).await;
    }

    pub(super) async fn apply(&mut self, open: Vec<(ListenerName, std::net::TcpListener)>, close: Vec<ListenerName>) {
        let snapshot = self.snapshot();
        let (done, applied) = oneshot::channel();
        self.commands[0].send(Command::Apply { snapshot, open, close, done }).await.unwrap();
        applied.await.unwrap();
    }

    /// The next snapshot of what is configured.
    pub(super) fn snapshot(&mut self) -> Arc<Snapshot> {
        self.generation += 1;
        let mut servers = HashMap::new();
        let mut token_keys = HashMap::new();
        let mut logs = HashMap::new();
        let mut pages = HashMap::new();
        for pool in &self.config.pools {
            token_keys.insert(pool.name.clone(), Arc::clone(&self.keys));
            for server in &pool.servers {
                let id = pool.id_of(server);
                let Host::Ip(ip) = server.addr.host else { panic!("tests have addresses") };
                let addr = SocketAddr::new(ip, server.addr.port);
                let state = self.states.get(&id).copied().unwrap_or(State::Up);
                let addrs = [addr].into_iter().chain(self.elsewhere.get(&id).copied()).collect();
                let view = ServerView { state, weight: server.weight, ramp_per_mille: 1000, addrs };
                servers.insert(id, view);
            }
        }
        for site in self.config.listeners.iter().flat_map(|listener| &listener.sites) {
            logs.extend(site.logs.iter().map(|log| (log.to.clone(), self.sink.clone())));
            pages.extend(site.errors.iter().map(|dir| (dir.clone(), Arc::new(self.pages.clone()))));
        }
        for log in self.config.listeners.iter().filter_map(|listener| listener.tcp.as_ref()).flat_map(|tcp| &tcp.logs) {
            logs.insert(log.to.clone(), self.sink.clone());
        }
        let snapshot = Snapshot::build(SnapshotParts {
            generation: self.generation,
            config: Arc::new(self.config.clone()),
            servers: &servers,
            previous: self.current.as_deref(),
            token_keys: &token_keys,
            pages: &pages,
            acceptors: &self.acceptors,
            connectors: &self.connectors,
            logs: &logs,
            hash_seed: [3; 16],
            shared: &self.shared,
        });
        self.current = Some(Arc::clone(&snapshot));
        snapshot
    }

    /// Begins a drain; the receiver tells how it went.
    pub(super) async fn drain(&self, within: Duration) -> oneshot::Receiver<DrainOutcome> {
        let (done, drained) = oneshot::channel();
        let deadline = tokio::time::Instant::now() + within;
        self.commands[0].send(Command::Drain { deadline, done }).await.unwrap();
        drained
    }

    /// The lines logged so far, once as many as wanted are there.
    pub(super) async fn lines(&self, wanted: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while lines.len() < wanted {
            match self.log.try_recv() {
                Some(batch) => lines.extend(String::from_utf8(batch).unwrap().lines().map(str::to_owned)),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        lines
    }

    /// Waits until what the closure asks holds.
    pub(super) async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        while !holds(self) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The name of a server of the pool.
    pub(super) fn id(server: &str) -> ServerId {
        ServerId { pool: PoolName::new("shop").unwrap(), server: ServerName::new(server).unwrap() }
    }
}

/// Keys enough for as many methods as a pool may have.
fn method_keys() -> Vec<MethodKeys> {
    let keys = Keys { current: Key::derive(&[7; 32]).unwrap(), previous: Vec::new() };
    vec![MethodKeys { token: Some(keys), hmac: b"secret".to_vec() }; evenkeel_model::caps::STICKY_METHODS]
}

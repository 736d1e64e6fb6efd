//! The API over a socket pair's worth of files: a node of our own behind it, our own client and raw bytes before it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::client::{Client, ClientError};
use crate::control::{DnsControl, DnsQuestion};
use crate::report::{
    DnsAnswerReport, LogLine, ReloadRefused, ReloadReport, ServerReport, SessionListReport, SessionTableReport,
    SessionsChanged, StatusReport, TimelineReport, ZoneReport,
};
use crate::{Answer, Control, SessionChoice};

/// A node that refuses every second reload.
#[derive(Default)]
pub(super) struct Node {
    pub(super) reloads: AtomicUsize,
    stops: AtomicUsize,
    /// How often it was asked how it is, and what its servers were held for.
    looks: AtomicUsize,
    days: AtomicUsize,
    hold: Option<Arc<Notify>>,
}

impl Control for Node {
    fn status(&self) -> Answer<'_, StatusReport> {
        Box::pin(async {
            if let Some(hold) = &self.hold {
                hold.notified().await;
            }
            self.looks.fetch_add(1, Ordering::Relaxed);
            let cluster = self.cluster().report().await;
            StatusReport { node: "lb1".to_owned(), pid: 42, cluster, ..StatusReport::default() }
        })
    }

    fn reload(&self) -> Answer<'_, Result<ReloadReport, ReloadRefused>> {
        Box::pin(async {
            match self.reloads.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Ok(ReloadReport {
                    generation: 2,
                    kept_as: 2,
                    changes: vec!["pool a added".to_owned()],
                    warnings: vec![],
                }),
                _ => Err(ReloadRefused { generation: 2, errors: vec!["error: unknown word".to_owned()] }),
            }
        })
    }

    fn log(&self, after: u64, most: usize, fits: &dyn Fn(&str) -> bool) -> Vec<LogLine> {
        let lines = (1..=3).map(|number| LogLine { number, text: format!("line {number}") });
        lines.filter(|line| line.number > after && fits(&line.text)).take(most).collect()
    }

    fn timeline(&self, report: &StatusReport) -> TimelineReport {
        assert_eq!(report.pid, 42, "of the report that the page shows");
        self.days.fetch_add(1, Ordering::Relaxed);
        TimelineReport::default()
    }

    fn dns(&self) -> &dyn DnsControl {
        self
    }

    fn audit(&self, _: &crate::Audit) {}

    fn servers(&self) -> &dyn crate::Servers {
        self
    }

    fn configs(&self) -> &dyn crate::Configs {
        self
    }

    fn routes(&self) -> &dyn crate::Routes {
        self
    }

    fn events(&self) -> &dyn crate::Events {
        self
    }

    fn cluster(&self) -> &dyn crate::Cluster {
        self
    }

    fn sessions(&self) -> &dyn crate::Sessions {
        self
    }

    fn stop(&self) -> Answer<'_, ()> {
        Box::pin(async {
            self.stops.fetch_add(1, Ordering::Relaxed);
        })
    }
}

impl crate::Cluster for Node {
    fn report(&self) -> Answer<'_, Option<crate::report::ClusterReport>> {
        Box::pin(async { Some(crate::report::ClusterReport::default()) })
    }

    fn order(&self, _: String, _: crate::GroupOrder, _: String) -> Answer<'_, Result<(), crate::GroupRefused>> {
        Box::pin(async { Err(crate::GroupRefused::NoCluster) })
    }
}

impl crate::Servers for Node {
    fn order(&self, order: crate::ServerOrder) -> Answer<'_, Result<ServerReport, crate::OrderRefused>> {
        Box::pin(async move {
            match (order.server.as_str(), order.expected) {
                ("a", None | Some(7)) => Ok(ServerReport { name: order.server, ..ServerReport::default() }),
                ("a", Some(_)) => Err(crate::OrderRefused::Stale),
                _ => Err(crate::OrderRefused::Unknown),
            }
        })
    }
}

impl crate::Sessions for Node {
    fn list(
        &self,
        choice: SessionChoice,
        limit: usize,
    ) -> Answer<'_, Result<SessionListReport, crate::SessionsRefused>> {
        Box::pin(async move {
            match choice.pool {
                Some(pool) if pool != "shop" => Err(crate::SessionsRefused::Pool(pool)),
                _ => Ok(SessionListReport { sessions: Vec::new(), total: limit as u64, at: 0 }),
            }
        })
    }

    fn tables(&self) -> Answer<'_, Vec<SessionTableReport>> {
        Box::pin(async { Vec::new() })
    }

    fn move_to(&self, _: SessionChoice, _: String) -> Answer<'_, Result<SessionsChanged, crate::SessionsRefused>> {
        Box::pin(async { Ok(SessionsChanged { changed: 1 }) })
    }

    fn forget(&self, _: SessionChoice) -> Answer<'_, Result<SessionsChanged, crate::SessionsRefused>> {
        Box::pin(async { Ok(SessionsChanged { changed: 2 }) })
    }
}

impl crate::Configs for Node {
    fn text(&self, _: crate::Which) -> Answer<'_, Result<crate::report::ConfigText, crate::NoConfig>> {
        Box::pin(async { Ok(crate::report::ConfigText::default()) })
    }

    fn compare(
        &self,
        from: crate::Which,
        _: crate::Which,
    ) -> Answer<'_, Result<crate::report::ConfigDiff, crate::NoConfig>> {
        Box::pin(async move {
            match from {
                crate::Which::Kept(number) => Err(crate::NoConfig::Unknown(number)),
                _ => Ok(crate::report::ConfigDiff::default()),
            }
        })
    }

    fn history(&self) -> Answer<'_, Vec<crate::report::HistoryEntry>> {
        Box::pin(async { Vec::new() })
    }

    fn rollback(&self, _: u64, _: String) -> Answer<'_, Result<ReloadReport, ReloadRefused>> {
        self.reload()
    }
}

impl crate::Routes for Node {
    fn find(&self, question: crate::RouteQuestion) -> Answer<'_, Result<crate::report::RouteFinding, String>> {
        let text = String::from_utf8_lossy(&question.head).into_owned();
        let listener = format!("{} {} {}", question.port, question.is_port_given, question.client);
        Box::pin(async move { Ok(crate::report::RouteFinding { listener, text, ..Default::default() }) })
    }
}

impl crate::Events for Node {
    fn recent(&self, _: u64) -> Vec<crate::report::EventReport> {
        let text = "group web came here".to_owned();
        vec![crate::report::EventReport { kind: "group".to_owned(), text, ..crate::report::EventReport::default() }]
    }

    fn watch(&self, _: Option<u64>) -> (Vec<hyper::body::Bytes>, Box<dyn crate::Coming>) {
        (vec![hyper::body::Bytes::from_static(b"id: 1\n\n")], Box::new(Over))
    }
}

/// No event comes any more.
struct Over;

impl crate::Coming for Over {
    fn next(self: Box<Self>) -> crate::NextStep {
        Box::pin(async { (self as Box<dyn crate::Coming>, crate::Step::End) })
    }
}

impl DnsControl for Node {
    fn query(&self, question: DnsQuestion) -> Answer<'_, Result<DnsAnswerReport, String>> {
        Box::pin(async move {
            let DnsQuestion { name, kind, client, .. } = question;
            if kind != "A" {
                return Err(format!("`{kind}` is no type"));
            }
            let why = client.map(|client| format!("{client} asks"));
            Ok(DnsAnswerReport { question: name, why: why.into_iter().collect(), ..DnsAnswerReport::default() })
        })
    }

    fn zones(&self) -> Answer<'_, Vec<ZoneReport>> {
        Box::pin(async { Vec::new() })
    }
}

/// A served node, until it is dropped.
struct Served {
    path: PathBuf,
    _end: oneshot::Sender<()>,
}

impl Served {
    fn new(node: Arc<dyn Control>) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("evenkeel-admin-{}-{number}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let (end, ended) = oneshot::channel();
        tokio::spawn(serve(listener, node, async { drop(ended.await) }));
        Self { path, _end: end }
    }

    /// The blocking client, on a thread of its own.
    async fn client<T: Send + 'static>(&self, ask: impl FnOnce(Client) -> T + Send + 'static) -> T {
        let client = Client::new(Some(&self.path));
        tokio::task::spawn_blocking(move || ask(client)).await.unwrap()
    }

    async fn raw(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[tokio::test]
async fn the_client_gets_what_the_node_says() {
    let served = Served::new(Arc::new(Node::default()));
    let status = served.client(|client| client.status()).await.unwrap();
    assert_eq!((status.node.as_str(), status.pid), ("lb1", 42));
    let reload = served.client(|client| client.reload()).await.unwrap();
    assert_eq!((reload.generation, reload.changes), (2, vec!["pool a added".to_owned()]));
}

#[tokio::test]
async fn a_refused_reload_comes_with_its_reasons() {
    let served = Served::new(Arc::new(Node::default()));
    served.client(|client| client.reload()).await.unwrap();
    let error = served.client(|client| client.reload()).await.unwrap_err();
    assert_eq!(error.to_string(), "the configuration is refused: generation 2 goes on serving, untouched (A401)");
    let ClientError::Refused(problem) = error else { panic!("refused otherwise") };
    assert_eq!(problem.status, 422);
    assert_eq!(problem.refused.unwrap().errors, ["error: unknown word"]);
}

#[tokio::test]
async fn stopping_is_answered_once_it_has_begun() {
    let node = Arc::new(Node::default());
    let served = Served::new(Arc::clone(&node) as Arc<dyn Control>);
    served.client(|client| client.stop()).await.unwrap();
    assert_eq!(node.stops.load(Ordering::Relaxed), 1);
    let still_there = served.client(|client| client.wait_until_gone(Duration::from_millis(120))).await;
    assert!(!still_there);
}

#[tokio::test]
async fn what_is_not_asked_rightly_is_answered_with_a_problem_and_does_nothing() {
    let node = Arc::new(Node::default());
    let served = Served::new(Arc::clone(&node) as Arc<dyn Control>);
    for (line, field, status, part) in [
        ("GET /nowhere", "", 404, "`/nowhere` is not known"),
        ("GET /api/v1/reload", "", 405, "the path takes `POST`"),
        ("POST /api/v1/status", "", 405, "the path takes `GET`"),
        ("DELETE /api/v1/stop", "", 405, "the path takes `POST`"),
        ("POST /api/v1/stop", "Origin: https://evil.example\r\n", 403, "web pages"),
    ] {
        let answer = served.raw(&format!("{line} HTTP/1.1\r\nHost: x\r\n{field}Connection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        assert!(answer.contains("application/problem+json") && answer.contains(part), "{line}: {answer}");
    }
    assert_eq!((node.reloads.load(Ordering::Relaxed), node.stops.load(Ordering::Relaxed)), (0, 0));
    let health = served.raw("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with("\r\n\r\nok\n"), "{health}");
}

#[tokio::test]
async fn a_page_asks_the_node_once_and_for_the_day_where_it_shows_it() {
    let node = Arc::new(Node::default());
    let served = Served::new(Arc::clone(&node) as Arc<dyn Control>);
    for (path, days) in [
        ("/", 0),
        ("/events", 0),
        ("/log", 0),
        ("/dns", 0),
        ("/cluster", 0),
        ("/health", 1),
        ("/servers?server=shop/a", 1),
    ] {
        let (looks, before) = (node.looks.load(Ordering::Relaxed), node.days.load(Ordering::Relaxed));
        let answer = served.raw(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert_eq!(node.looks.load(Ordering::Relaxed) - looks, 1, "{path}");
        assert_eq!(node.days.load(Ordering::Relaxed) - before, days, "{path}");
    }
}

#[tokio::test]
async fn the_page_of_the_cluster_shows_what_happened_to_it() {
    let served = Served::new(Arc::new(Node::default()));
    let page = served.raw("GET /cluster HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("group web came here"), "{page}");
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let served = Served::new(Arc::new(Node::default()));
    let start = "GET / HTTP/1.1\r\nX: ";
    let answer = served.raw(&format!("{start}{}", "x".repeat(caps::CONTROL_HEAD_BYTES - start.len()))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let served = Served::new(Arc::new(Node::default()));
    let mut idle = Vec::new();
    for _ in 0..caps::CONTROL_CONNECTIONS {
        idle.push(UnixStream::connect(&served.path).await.unwrap());
    }
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let waiting = served.raw(request);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting.as_mut()).await.is_err());
    drop(idle.pop());
    assert!(waiting.await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_answer_under_way_is_given_before_the_end() {
    let hold = Arc::new(Notify::new());
    let node = Arc::new(Node { hold: Some(Arc::clone(&hold)), ..Node::default() });
    let path = std::env::temp_dir().join(format!("evenkeel-admin-{}-end.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, node, async { drop(ended.await) }));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    end.send(()).unwrap();
    tokio::task::yield_now().await;
    hold.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("lb1"), "{answer}");
    serving.await.unwrap();
    let _ = std::fs::remove_file(&path);
}

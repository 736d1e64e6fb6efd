//! The admin listener as a security boundary: foreign pages, guesses, roles, slow clients.

use std::net::SocketAddr;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::tests::Node;
use super::*;
use crate::access;

struct Listener {
    at: SocketAddr,
    doors: watch::Sender<Door>,
    node: Arc<Node>,
}

fn access_of(read_only: bool) -> Access {
    let users = [
        ("ops".to_owned(), Role::Admin, access::hash_password(b"secret of ops", &[1; 16]).unwrap()),
        ("noc".to_owned(), Role::Read, access::hash_password(b"secret of noc", &[2; 16]).unwrap()),
    ];
    Access::new(users, Vec::new(), read_only).unwrap()
}

fn start(access: Access) -> Listener {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let at = socket.local_addr().unwrap();
    let door = Door { listener: Some(Arc::new(socket)), access: Some(Arc::new(access)) };
    let (doors, now) = watch::channel(door);
    let node = Arc::new(Node::default());
    tokio::spawn(serve_admin(now, Arc::clone(&node) as Arc<dyn Control>));
    Listener { at, doors, node }
}

impl Listener {
    /// Sends a request; `{}` in the fields stands for the listener's own address.
    async fn ask(&self, line: &str, fields: &str, body: &str) -> String {
        let fields = fields.replace("{}", &self.at.to_string());
        let host = if fields.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.at) };
        let request = format!(
            "{line} HTTP/1.1\r\n{host}{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    fn reloads(&self) -> usize {
        self.node.reloads.load(std::sync::atomic::Ordering::Relaxed)
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn basic(user: &str) -> String {
    let pair = format!("{user}:secret of {user}");
    format!("Authorization: Basic {}\r\n", Base64::encode_string(pair.as_bytes()))
}

const RELOAD: &str = "POST /api/v1/reload";

#[tokio::test]
async fn foreign_pages_and_foreign_names_are_refused_and_change_nothing() {
    let listener = start(access_of(false));
    let ops = basic("ops");
    for (fields, expected) in [
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://127.0.0.1:1\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\nOrigin: http://{}\r\n", 403),
        ("Host: evil.example\r\n", 421),
        ("Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n", 421),
        ("Host: 127.0.0.1.evil.example\r\n", 421),
    ] {
        let answer = listener.ask(RELOAD, &format!("{ops}{fields}"), "").await;
        assert_eq!(status(&answer), expected, "{fields}: {answer}");
    }
    // A cookie comes from a browser, and a browser says where the page is from.
    let form = "Content-Type: application/json\r\n";
    let login = listener.ask("POST /api/v1/login", form, r#"{"user":"ops","password":"secret of ops"}"#).await;
    let cookie = login.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(status(&listener.ask(RELOAD, &cookie, "").await), 403);
    assert_eq!(listener.reloads(), 0);
    let own = format!("{cookie}Origin: http://{{}}\r\n");
    assert_eq!(status(&listener.ask(RELOAD, &own, "").await), 200);
    assert_eq!(listener.reloads(), 1);
}

#[tokio::test]
async fn each_role_does_what_it_may_and_no_more() {
    let listener = start(access_of(false));
    assert_eq!(status(&listener.ask("GET /api/v1/status", "", "").await), 401);
    assert_eq!(status(&listener.ask("GET /healthz", "", "").await), 200);
    let noc = basic("noc");
    assert_eq!(status(&listener.ask("GET /api/v1/status", &noc, "").await), 200);
    for line in [RELOAD, "POST /api/v1/stop"] {
        let answer = listener.ask(line, &noc, "").await;
        assert!(status(&answer) == 403 && answer.contains("A202") && answer.contains("`read`"), "{answer}");
    }
    assert_eq!(listener.reloads(), 0);

    // A reload makes the listener readonly, for connections that stand as well.
    listener.doors.send_modify(|door| door.access = Some(Arc::new(access_of(true))));
    let answer = listener.ask(RELOAD, &basic("ops"), "").await;
    assert!(status(&answer) == 403 && answer.contains("readonly"), "{answer}");
    listener.doors.send_modify(|door| door.access = None);
    assert_eq!(status(&listener.ask("GET /api/v1/status", &basic("ops"), "").await), 401);
}

#[tokio::test]
async fn without_users_one_may_look_and_change_nothing() {
    let listener = start(Access::default());
    assert_eq!(status(&listener.ask("GET /api/v1/status", "", "").await), 200);
    let answer = listener.ask(RELOAD, "", "").await;
    assert!(status(&answer) == 403 && answer.contains("has no users"), "{answer}");
    assert_eq!(listener.reloads(), 0);
}

#[tokio::test]
async fn guesses_are_held_up_and_told_when_to_come_back() {
    let listener = start(access_of(false));
    let guess = "Content-Type: application/json\r\n";
    let mut last = String::new();
    for _ in 0..12 {
        last = listener.ask("POST /api/v1/login", guess, r#"{"user":"ops","password":"guess"}"#).await;
    }
    assert!(status(&last) == 429 && last.contains("retry-after: "), "{last}");
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let listener = start(access_of(false));
    for line in ["GET /healthz", "GET /nowhere", "GET /api/v1/status", "DELETE /api/v1/reload"] {
        let answer = listener.ask(line, "", "").await.to_ascii_lowercase();
        for field in
            ["x-content-type-options: nosniff", "content-security-policy: default-src 'none'", "x-frame-options: deny"]
        {
            assert!(answer.contains(field), "{line}: {answer}");
        }
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_of_the_right_type() {
    let listener = start(access_of(false));
    let ask = |fields: &'static str, body: String| {
        let listener = &listener;
        async move { status(&listener.ask("POST /api/v1/login", fields, &body).await) }
    };
    assert_eq!(ask("Content-Type: text/plain\r\n", "{}".to_owned()).await, 415);
    assert_eq!(ask("", "{}".to_owned()).await, 415);
    assert_eq!(ask("Content-Type: application/json\r\n", "{".to_owned()).await, 400);
    assert_eq!(ask("Content-Type: application/json\r\n", r#"{"user":1,"password":[]}"#.to_owned()).await, 400);
    assert_eq!(ask("Content-Type: application/json\r\n", " ".repeat(caps::CONTROL_REQUEST_BYTES + 1)).await, 413);
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let listener = start(Access::default());
    let mut held = Vec::new();
    for _ in 0..PER_ADDRESS {
        held.push(TcpStream::connect(listener.at).await.unwrap());
    }
    // The one too many is closed at once instead of waiting.
    let mut extra = TcpStream::connect(listener.at).await.unwrap();
    let mut byte = [0];
    assert_eq!(extra.read(&mut byte).await.unwrap_or(0), 0);
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(listener.at).await.unwrap();
    other.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), 200);
}

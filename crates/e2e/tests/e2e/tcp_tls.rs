//! Does TLS end at a `tcp` listener as clients of databases expect it to?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use evenkeel_e2e::PATIENCE;
use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::database::Redis;
use evenkeel_e2e::over::{self, Over};
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::process::Process;
use evenkeel_e2e::relay::Relay;
use rustls::{ClientConnection, StreamOwned};

use crate::setting::{echo, pool};
use crate::tls::Pair;

type Secured = StreamOwned<ClientConnection, TcpStream>;

fn connect(at: SocketAddr) -> Secured {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(over::session(at, Over::Tls), stream)
}

/// A word there and back.
fn turn(stream: &mut Secured, number: u64) {
    let word = number.to_be_bytes();
    stream.write_all(&word).unwrap();
    let mut back = [0; 8];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, word, "bytes changed on the way");
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    text(&output)
}

/// Python's client: there and back with a megabyte, and then the end that both sides announce.
const CLIENT: &str = "
import socket, ssl, sys, threading
context = ssl.create_default_context(cafile=sys.argv[3])
raw = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
secured = context.wrap_socket(raw, server_hostname='db.example')
words = bytes(range(256)) * 4096
sender = threading.Thread(target=secured.sendall, args=(words,))
sender.start()
back = b''
while len(back) < len(words):
    back += secured.recv(65536)
sender.join()
assert back == words
secured.unwrap()
print('whole', secured.version() or 'over')
";

/// Says hello by openssl, and gives the first line that comes back.
fn said_by_openssl(at: SocketAddr, ca: &str, version: &str) -> String {
    let (at, patience) = (at.to_string(), PATIENCE.as_secs().to_string());
    let options =
        ["-servername", "db.example", "-CAfile", ca, version, "-quiet", "-no_ign_eof", "-verify_return_error"];
    let mut client = Command::new("timeout")
        .args([&patience, "openssl", "s_client", "-connect", &at])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // With its input it ends.
    drop(input);
    client.wait().unwrap();
    line
}

#[test]
fn clients_of_three_kinds_speak_through_it() {
    let (scratch, at) = (Scratch::new("tcp-tls"), free());
    let db = Pair::make(&scratch, "db", &["db.example"], "90");
    let config = format!("tcp {at} {{\n    {}\n    route to=e\n}}\n{}", db.line(), pool("e", "", &[("a", echo())]));
    let balancer = Balancer::start(&config);
    let (host, port, ca) = (at.ip().to_string(), at.port().to_string(), db.cert.to_str().unwrap().to_owned());
    let python = run("/usr/bin/python3", &["-c", CLIENT, &host, &port, &ca]);
    assert!(python.contains("whole"), "{python}");
    for version in ["-tls1_2", "-tls1_3"] {
        let said = said_by_openssl(at, &ca, version);
        assert!(said.contains("hello"), "{version}: {said}");
    }
    // No protocol is offered inside unless the file names some.
    let offered = run("openssl", &["s_client", "-connect", &at.to_string(), "-alpn", "h2,http/1.1"]);
    assert!(offered.contains("No ALPN negotiated"), "{offered}");
    let status = balancer.status();
    let listener = &status["listeners"][0];
    assert_eq!((&listener["protocol"], &listener["tls"]), (&"tcp".into(), &true.into()), "{listener:#}");
    assert_eq!(status["certificates"].as_array().map(Vec::len), Some(1), "{status:#}");
    // A client without TLS gets an alert, and nothing of the server.
    let mut plain = TcpStream::connect(at).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"hello, is anybody there?\n").unwrap();
    let mut said = Vec::new();
    plain.read_to_end(&mut said).unwrap();
    assert_eq!(said.first(), Some(&0x15), "{said:?}");
}

#[test]
fn redis_is_reached_by_who_has_a_certificate_and_by_nobody_else() {
    let (scratch, at) = (Scratch::new("redis-tls"), free());
    let (own, alice) =
        (Pair::make(&scratch, "own", &["cache.example"], "90"), Pair::make(&scratch, "alice", &["alice"], "90"));
    let redis = Redis::start("r", None);
    let log = scratch.file("log");
    let config = format!(
        "tcp {at} {{\n    {}\n    tls client-ca={}\n    route to=cache\n    log {} {{\n        format \"$ssl_client_s_dn $ssl_protocol $end\"\n    }}\n}}\n{}",
        own.line(),
        alice.cert.display(),
        log.display(),
        pool("cache", "check redis every=200ms", &[("r", redis.at)])
    );
    let balancer = Balancer::start(&config);
    balancer.await_state("cache", "r", "up");
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    let ask = |more: &[&str], command: &[&str]| {
        let first = ["--tls", "--cacert", own.cert.to_str().unwrap(), "-h", &host, "-p", &port];
        run("redis-cli", &[&first, more, command].concat())
    };
    let mine = ["--cert", alice.cert.to_str().unwrap(), "--key", alice.key.to_str().unwrap()];
    assert_eq!(ask(&mine, &["SET", "x", "1"]).trim(), "OK");
    assert_eq!(ask(&mine, &["GET", "x"]).trim(), "1");
    let refused = ask(&[], &["GET", "x"]);
    assert!(!refused.trim().ends_with('1'), "{refused}");
    evenkeel_e2e::await_for("the lines of the log", PATIENCE, || {
        let lines = std::fs::read_to_string(&log).unwrap_or_default();
        (lines.matches("CN=alice TLSv1.3 ").count() == 2).then_some(())
    });
    evenkeel_e2e::await_for("the failed handshake to be counted", PATIENCE, || {
        (balancer.status()["totals"]["handshakes_failed"]["certificate"] == 1).then_some(())
    });
}

#[test]
fn tls_ends_here_and_begins_anew_to_servers() {
    let (scratch, [server, at]) = (Scratch::new("tls-twice"), [free(), free()]);
    let inner = Pair::make(&scratch, "inner", &["inner.example"], "90");
    let port = server.port().to_string();
    let (cert, key) = (inner.cert.to_str().unwrap(), inner.key.to_str().unwrap());
    let arguments = ["s_server", "-accept", &port, "-cert", cert, "-key", key, "-rev", "-quiet"];
    let _server = Process::start("openssl", "openssl".as_ref(), &arguments, scratch.path(), scratch.file("s_server"));
    let lines = format!("tls sni=inner.example ca={cert}\ncheck tcp every=200ms rise=1\non-down close");
    let config = format!(
        "tcp {at} {{\n    cert self\n    route sni=*.outer.example to=p\n    route to=p\n}}\n{}",
        pool("p", &lines, &[("a", server)])
    );
    let balancer = Balancer::start(&config);
    balancer.await_state("p", "a", "up");
    let mut stream = connect(at);
    stream.write_all(b"hello\n").unwrap();
    let mut back = [0; 6];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"olleh\n");
    let told = text(&balancer.run("route", &[&format!("https://x.outer.example:{}/", at.port())]));
    assert!(told.contains("*.outer.example") && told.contains('p'), "{told}");
}

#[test]
fn the_protocol_inside_is_agreed_on_with_the_client_and_offered_to_the_server() {
    let (scratch, [server, at]) = (Scratch::new("alpn"), [free(), free()]);
    let (outer, inner) =
        (Pair::make(&scratch, "outer", &["a.example"], "90"), Pair::make(&scratch, "inner", &["inner.example"], "90"));
    // Over TLS it speaks HTTP/2 with nobody who did not agree on it so.
    let lines = format!(
        "server {{ listen {server} ssl http2; ssl_certificate {}; ssl_certificate_key {};\n\
         location / {{ return 200 \"server: $server_protocol $ssl_alpn_protocol\\n\"; }} }}",
        inner.cert.display(),
        inner.key.display()
    );
    let _server = Relay::nginx(server, &lines);
    let log = scratch.file("log");
    let towards = format!("tls sni=inner.example ca={}\ncheck tcp every=200ms rise=1", inner.cert.display());
    let config = format!(
        "tcp {at} {{\n    {}\n    tls alpn=h2,http/1.1\n    route to=p\n    log {} {{\n        format \"$ssl_alpn_protocol $end\"\n    }}\n}}\n{}",
        outer.line(),
        log.display(),
        pool("p", &towards, &[("a", server)])
    );
    let balancer = Balancer::start(&config);
    balancer.await_state("p", "a", "up");
    let (url, name) = (format!("https://a.example:{}/", at.port()), format!("a.example:{}:{}", at.port(), at.ip()));
    let ask = |how: &str| {
        let known = ["--silent", "--show-error", "--resolve", &name, "--cacert", outer.cert.to_str().unwrap()];
        run("curl", &[&known[..], &[how, "--max-time", "20", &url]].concat())
    };
    assert_eq!(ask("--http2").trim(), "server: HTTP/2.0 h2");
    assert_eq!(ask("--http1.1").trim(), "server: HTTP/1.1 http/1.1");
    // Who names none is let in, and the server is offered none.
    assert_eq!(ask("--no-alpn").trim(), "server: HTTP/1.1");
    // The first of ours that the client has, whichever it likes better.
    let connect = at.to_string();
    let hello = |offer: &str| run("openssl", &["s_client", "-connect", &connect, "-alpn", offer]);
    assert!(hello("http/1.1,x,h2").contains("ALPN protocol: h2"));
    assert!(hello("x,smtp").contains("no application protocol"));
    evenkeel_e2e::await_for("the refused handshake to be counted", PATIENCE, || {
        (balancer.status()["totals"]["handshakes_failed"]["protocol"] == 1).then_some(())
    });
    evenkeel_e2e::await_for("the lines of the log", PATIENCE, || {
        let lines = std::fs::read_to_string(&log).unwrap_or_default();
        ["h2 ", "http/1.1 ", "- "].iter().all(|start| lines.lines().any(|line| line.starts_with(start))).then_some(())
    });
    let load = ["-n", "2000", "-c", "2", "-m", "20", &format!("https://{at}/")];
    let told = run("h2load", &load);
    assert!(told.contains("2000 succeeded, 0 failed") && told.contains("Application protocol: h2"), "{told}");
}

#[test]
fn connections_outlive_reloads_and_end_with_their_server() {
    let (server, at) = (echo(), free());
    let config = |idle: u64| {
        let lines = "check tcp every=200ms\non-down close";
        let servers = [("a", server)];
        format!(
            "limits drain=8s\ntcp {at} {{\n    cert self\n    route to=e\n    timeout idle={idle}m\n}}\n{}",
            pool("e", lines, &servers)
        )
    };
    let mut balancer = Balancer::start(&config(1));
    let mut stream = connect(at);
    for round in 0..10 {
        turn(&mut stream, round);
        let output = balancer.reload(&config(10 + round));
        assert!(output.status.success(), "{}", text(&output));
    }
    turn(&mut stream, 77);
    assert!(balancer.run("maint", &["e/a"]).status.success());
    assert!(stream.read(&mut [0; 1]).is_err(), "what was cut looks whole");
    assert!(balancer.run("ready", &["e/a"]).status.success());
    let (mut ending, mut staying) = (connect(at), connect(at));
    turn(&mut ending, 1);
    turn(&mut staying, 2);
    balancer.signal(rustix::process::Signal::TERM);
    evenkeel_e2e::await_for("new connections to be refused", PATIENCE, || {
        TcpStream::connect(at).is_err().then_some(())
    });
    turn(&mut ending, 3);
    ending.conn.send_close_notify();
    ending.flush().unwrap();
    assert_eq!(ending.read(&mut [0; 1]).unwrap(), 0, "an orderly end arrives as one");
    assert!(staying.read(&mut [0; 1]).is_err(), "what was cut looks whole");
    balancer.end(PATIENCE);
}

//! Probes against real sockets on the loopback interface.

use std::io::{Read, Write};
use std::net::TcpListener;

use evenkeel_model::config::StatusRange;

use super::*;

fn run(future: impl Future<Output = CheckOutcome>) -> CheckOutcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn http(timeout: Duration) -> Check {
    let asked = HttpCheck {
        method: "GET".to_owned(),
        target: "/".to_owned(),
        http10: false,
        host: None,
        fields: Vec::new(),
        expect: vec![StatusRange { first: 200, last: 200 }],
        body: None,
    };
    Check { kind: CheckKind::Http(asked), timeout, ..Check::default() }
}

/// A server that reads one request and answers with these bytes.
fn server(answer: &'static [u8]) -> (SocketAddr, std::thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 512];
        while !request.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..count]);
        }
        stream.write_all(answer).unwrap();
        request
    });
    (addr, thread)
}

#[test]
fn a_server_that_answers_as_expected_passes() {
    let (addr, thread) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let outcome = run(async { probe(&http(Duration::from_secs(5)), "shop:80", (None, None), addr).await });
    assert_eq!(outcome, CheckOutcome::Passed { answer: Some("HTTP/1.1 200 OK".to_owned()) });
    let request = String::from_utf8(thread.join().unwrap()).unwrap();
    assert!(request.contains("\r\nHost: shop:80\r\n"), "{request}");
}

#[test]
fn a_refused_connection_is_a_failure_with_its_address() {
    let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for kind in [CheckKind::Tcp, http(Duration::from_secs(1)).kind] {
        let check = Check { kind, ..Check::default() };
        let CheckOutcome::Failed(failure) = run(async { probe(&check, "a:1", (None, None), addr).await }) else {
            panic!("it passed")
        };
        assert_eq!((failure.reason, failure.at), (Reason::ConnectRefused, addr.to_string()));
    }
}

#[test]
fn a_server_that_accepts_and_says_nothing_fails_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let outcome = run(async { probe(&http(Duration::from_millis(50)), "a:1", (None, None), addr).await });
    let CheckOutcome::Failed(failure) = outcome else { panic!("it passed") };
    assert_eq!(failure.reason, Reason::AnswerTimeout);
    let tcp = Check { kind: CheckKind::Tcp, ..Check::default() };
    assert_eq!(run(async { probe(&tcp, "a:1", (None, None), addr).await }), CheckOutcome::Passed { answer: None });
}

#[test]
fn intervals_differ_by_at_most_a_tenth() {
    let (events, _received) = mpsc::channel(1);
    let (_sender, addrs) = watch::channel(Arc::from([]));
    let pool = PoolName::new("a").unwrap();
    let id = ServerId { pool, server: evenkeel_model::ServerName::new("b").unwrap() };
    let check = Check { every: Duration::from_secs(10), ..Check::default() };
    let mut probe = Probe {
        id,
        check,
        authority: String::new(),
        secure: None,
        proxy: None,
        addrs,
        hurry: Arc::default(),
        events,
        rng: Rng::new(1),
    };
    let all: Vec<Duration> = (0..1000).map(|_| probe.interval()).collect();
    let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
    assert!(*least >= Duration::from_secs(9) && *most <= Duration::from_secs(11), "{least:?} to {most:?}");
    assert!(*most - *least > Duration::from_secs(1), "they must spread: {least:?} to {most:?}");
}

#[test]
fn who_is_in_a_hurry_asks_as_often_in_a_row_as_decides_and_then_as_before() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (events, mut received) = mpsc::channel(8);
        let pool = PoolName::new("a").unwrap();
        let id = ServerId { pool, server: evenkeel_model::ServerName::new("b").unwrap() };
        let every = Duration::from_secs(3600);
        let check = Check { kind: CheckKind::Tcp, every, rise: 1, fall: 3, ..Check::default() };
        let mut probes = Probes::new(events, Rng::new(1));
        let known: Arc<[SocketAddr]> = Arc::from([listener.local_addr().unwrap()]);
        probes.start((id, (None, None)), check, String::new(), known, Duration::ZERO);
        // The first one of a start, and then those of which none would come within minutes.
        for asked in 0..4 {
            let event = tokio::time::timeout(Duration::from_secs(60), received.recv()).await;
            assert!(matches!(event, Ok(Some(Event::Checked { .. }))), "asked {asked} times");
            if asked == 0 {
                probes.hurry();
            }
        }
        assert!(tokio::time::timeout(SOON * 5, received.recv()).await.is_err(), "once more");
    });
}

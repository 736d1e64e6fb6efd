use evenkeel_config::{MemorySource, Options, load_text};
use evenkeel_dns::wire::{Question, write_query};
use evenkeel_model::config::LogTarget;
use tokio::net::TcpSocket;

use super::super::load::load;
use super::super::view::HealthView;
use super::*;
use crate::scratch::Scratch;
use evenkeel_proxy::log::LogSink;

/// No machine is so slow that an answer over loopback takes longer.
const LONG: Duration = Duration::from_secs(60);

/// The thread's program beside a client, on a port of its own: a block with these words.
fn beside<T>(words: &str, client: impl AsyncFnOnce(SocketAddr) -> T, logs: &HashMap<LogTarget, LogSink>) -> T {
    let text = format!(
        "dns 127.0.0.1:5300 {{\n    rate off\n    zone a.example {{\n        ns lb1.example.com\n    }}\n    {words}\n}}\n"
    );
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    let blocks = load(loaded.config.as_ref().expect("it is sound"), b"", &loaded, &[]).expect("it can be used");
    let (blocks, health) = (Arc::new(blocks), Arc::new(HealthView::default()));
    let view = Arc::new(View::build(&View::default(), &blocks, &health, &Arc::default(), logs));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    crate::run_beside(async {
        let (commands, received) = mpsc::channel(4);
        let (done, _taken) = oneshot::channel();
        let (opened, _open) = oneshot::channel();
        let name = view.by_listener.keys().next().unwrap().clone();
        commands.send(Command::View(view, done)).await.unwrap();
        commands.send(Command::Open(name, listener, opened)).await.unwrap();
        let thread = serve(received, (Arc::new(Tally::new(true)), Arc::new(Errands::default())));
        tokio::select! {
            () = thread => panic!("the thread ended"),
            told = timeout(LONG, client(at)) => told.expect("it is answered in time"),
        }
    })
    .unwrap()
}

/// A connection from an address of the loopback's net.
async fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Asks, and says whether there was an answer.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let question =
        Question { name: "a.example".parse().unwrap(), kind: evenkeel_dns::Type::SOA, class: evenkeel_dns::Class::IN };
    write(stream, &write_query(7, &question, false, None)).await && read(stream).await.is_some()
}

#[test]
fn a_new_connection_takes_the_place_of_the_quietest() {
    let told = beside(
        "tcp per-client=4 conns=6",
        async |at| {
            let mut held = Vec::new();
            for client in [3, 3, 3, 3, 4, 4] {
                held.push(connect([127, 0, 0, client], at).await);
                // Each is known before the next one comes.
                assert!(is_answered(held.last_mut().unwrap()).await);
            }
            assert!(is_answered(&mut held[0]).await);
            let mut new = connect([127, 0, 0, 5], at).await;
            let is_new_answered = is_answered(&mut new).await;
            let mut still = Vec::new();
            for stream in &mut held {
                still.push(is_answered(stream).await);
            }
            (is_new_answered, still)
        },
        &HashMap::new(),
    );
    assert_eq!(told, (true, vec![true, false, true, true, true, true]));
}

#[test]
fn others_are_answered_during_a_transfer() {
    let scratch = Scratch::new();
    let (file, word) = (scratch.path().join("zone"), "x".repeat(200));
    let hosts: String = (0..5000).map(|number| format!("h{number} TXT {word}\n")).collect();
    std::fs::write(&file, format!("$TTL 300\n@ SOA ns.other. root 1 2 3 4 5\n@ NS ns.other.\n{hosts}")).unwrap();
    let rest = beside(
        &format!("zone large.example file={} {{\n        transfer 127.0.0.0/8\n    }}", file.display()),
        async |at| {
            let (mut secondary, mut other) = (connect([127, 0, 0, 3], at).await, connect([127, 0, 0, 4], at).await);
            assert!(is_answered(&mut other).await);
            let (name, class) = ("large.example".parse().unwrap(), evenkeel_dns::Class::IN);
            let question = Question { name, kind: evenkeel_dns::Type::AXFR, class };
            assert!(write(&mut secondary, &write_query(7, &question, false, None)).await);
            secondary.shutdown().await.unwrap();
            assert!(read(&mut secondary).await.is_some(), "it has begun");
            assert!(is_answered(&mut other).await);
            // What was sent by then is there to be read; what comes after it was sent later.
            let mut chunk = vec![0; 1 << 20];
            while secondary.try_read(&mut chunk).is_ok_and(|length| length > 0) {}
            let mut rest = Vec::new();
            secondary.read_to_end(&mut rest).await.unwrap();
            rest.len()
        },
        &HashMap::new(),
    );
    assert!(rest > 500_000, "{rest} bytes of more than a million were sent after the answer to another client");
}

#[test]
fn a_share_of_the_queries_is_noted_as_over_udp() {
    let (sink, lines) = evenkeel_proxy::log::channel();
    let logs = HashMap::from([(LogTarget::Stdout, sink)]);
    let noted = beside(
        "log stdout keep=10%",
        async |at| {
            let mut stream = connect([127, 0, 0, 1], at).await;
            let mut noted = 0;
            for _ in 0..300 {
                assert!(is_answered(&mut stream).await);
                noted += usize::from(lines.try_recv().is_some());
            }
            noted
        },
        &logs,
    );
    assert!((1..150).contains(&noted), "{noted} of 300");
}

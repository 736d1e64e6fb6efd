//! Streams over loopback.

use super::*;
use evenkeel_model::config::ListenAddr;

fn listener(addr: ListenAddr) -> (TcpListener, SocketAddr) {
    let socket = crate::listen::bind(addr, 1, crate::listen::Presence::Here).unwrap().remove(0);
    let listener = TcpListener::from_std(socket).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, SocketAddr::from(([127, 0, 0, 1], port)))
}

async fn pair() -> (Stream, Stream) {
    let (listener, addr) = listener(ListenAddr::One(SocketAddr::from(([127, 0, 0, 1], 0))));
    let (client, server) = tokio::join!(connect(addr, Duration::from_secs(5)), accept(&listener));
    (client.unwrap(), server.unwrap())
}

#[tokio::test]
async fn both_ends_send_at_once() {
    let (client, server) = pair().await;
    for stream in [client, server] {
        let Transport::Tcp(tcp) = &stream.transport else { panic!("it came over TCP") };
        assert!(tcp.nodelay().unwrap());
    }
}

#[tokio::test]
async fn an_ipv4_client_of_both_families_is_an_ipv4_client() {
    let (listener, addr) = listener(ListenAddr::Every(0));
    let (client, server) = tokio::join!(connect(addr, Duration::from_secs(5)), accept(&listener));
    let (client, server) = (client.unwrap(), server.unwrap());
    assert_eq!(server.peer_addr(), client.local_addr());
    assert_eq!(server.local_addr(), addr);
    assert!(server.peer_addr().is_ipv4());
}

#[tokio::test]
async fn bytes_pass_and_an_end_of_sending_is_no_end_of_reading() {
    let (mut client, mut server) = pair().await;
    assert_eq!(client.try_write_vectored(&[IoSlice::new(b"he"), IoSlice::new(b"llo")]).unwrap(), 5);
    client.shutdown_write().unwrap();
    let mut buffer = [0; 16];
    server.readable().await.unwrap();
    assert_eq!(server.try_read(&mut buffer).unwrap(), 5);
    server.readable().await.unwrap();
    assert_eq!(server.try_read(&mut buffer).unwrap(), 0);
    server.try_write(b"answer").unwrap();
    client.readable().await.unwrap();
    assert_eq!(client.try_read(&mut buffer).unwrap(), 6);
}

#[tokio::test]
async fn an_idle_connection_is_of_use_until_the_peer_speaks_or_leaves() {
    let (mut client, server) = pair().await;
    assert!(!client.is_closed_or_readable());
    drop(server);
    client.readable().await.unwrap();
    assert!(client.is_closed_or_readable());

    let (mut client, mut server) = pair().await;
    server.try_write(b"unasked").unwrap();
    client.readable().await.unwrap();
    assert!(client.is_closed_or_readable());
}

#[tokio::test]
async fn a_reset_is_an_error_to_the_peer_not_an_end() {
    let (client, mut server) = pair().await;
    client.reset();
    server.readable().await.unwrap();
    assert_eq!(server.try_read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(server.is_closed_or_readable());
}

#[tokio::test]
async fn a_port_without_listener_refuses() {
    let (listener, addr) = listener(ListenAddr::One(SocketAddr::from(([127, 0, 0, 1], 0))));
    drop(listener);
    let error = connect(addr, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!((error.reason, error.local), (Reason::ConnectRefused, false), "{error}");
}

#[tokio::test]
async fn a_server_that_takes_no_connection_is_a_timeout() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    // The kernel drops what its queue has no room for, and the caller waits.
    let mut waiting = Vec::new();
    let error = loop {
        match connect(addr, Duration::from_millis(200)).await {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() < 64, "a queue of length 0 took 64 connections");
    };
    assert_eq!((error.reason, error.local), (Reason::ConnectTimeout, false), "{error}");
}

#[test]
fn each_failure_to_connect_is_the_servers_the_networks_or_ours() {
    for (errno, reason) in [
        (Errno::CONNREFUSED, Reason::ConnectRefused),
        (Errno::TIMEDOUT, Reason::ConnectTimeout),
        (Errno::CONNRESET, Reason::ConnectionLost),
        (Errno::HOSTUNREACH, Reason::Unreachable),
        (Errno::NETUNREACH, Reason::Unreachable),
        (Errno::MFILE, Reason::Local),
        (Errno::NFILE, Reason::Local),
        (Errno::NOBUFS, Reason::Local),
        (Errno::NOMEM, Reason::Local),
        (Errno::ADDRNOTAVAIL, Reason::Local),
        (Errno::AGAIN, Reason::Local),
        (Errno::PERM, Reason::Local),
        (Errno::AFNOSUPPORT, Reason::Local),
    ] {
        let error = ConnectError::from(io::Error::from(errno));
        assert_eq!((error.reason, error.local), (reason, reason == Reason::Local), "{errno:?}");
    }
}

#[test]
fn only_a_lack_of_means_makes_accepting_wait() {
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
        assert!(is_exhaustion(&io::Error::from(errno)), "{errno:?}");
    }
    for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::PERM, Errno::HOSTUNREACH] {
        assert!(!is_exhaustion(&io::Error::from(errno)), "{errno:?}");
    }
}

#[tokio::test]
async fn a_reset_breaks_a_connection_and_an_end_of_sending_does_not() {
    let (mut client, server) = pair().await;
    let broken = |stream: &Stream| stream.poll_broken(&mut Context::from_waker(std::task::Waker::noop())).is_ready();
    assert!(!broken(&server));
    client.shutdown_write().unwrap();
    server.readable().await.unwrap();
    assert!(!broken(&server));
    client.reset();
    while !broken(&server) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_socket_knows_whether_somebody_waits_at_it() {
    let (listener, addr) = listener(ListenAddr::One(SocketAddr::from(([127, 0, 0, 1], 0))));
    assert!(!is_called_at(&listener));
    let _client = connect(addr, Duration::from_secs(5)).await.unwrap();
    assert!(is_called_at(&listener));
    accept(&listener).await.unwrap();
    assert!(!is_called_at(&listener));
}

#[tokio::test]
async fn what_a_peer_has_not_acknowledged_is_known() {
    let (mut client, mut server) = pair().await;
    assert_eq!(client.unacknowledged(), 0);
    // More than the systems of both have room for, while nobody reads.
    while client.try_write(&[b'x'; 64 * 1024]).is_ok() {}
    client.shutdown_write().unwrap();
    assert!(client.unacknowledged() > 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        server.readable().await.unwrap();
        match server.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    // The acknowledgement is under way.
    while client.unacknowledged() > 0 {
        tokio::task::yield_now().await;
    }
}

use std::net::UdpSocket;
use std::time::Duration;

use evenkeel_model::config::ListenAddr;

use super::*;

fn client(to: &str) -> UdpSocket {
    let socket = UdpSocket::bind(if to.starts_with('[') { "[::1]:0" } else { "127.0.0.1:0" }).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Answers what comes with the same bytes and the arrival address, once.
fn echo(port: &Port, batch: &mut Batch) -> usize {
    let bell = Bell::new().unwrap();
    wait([port].into_iter(), &bell, Duration::from_secs(10)).unwrap();
    batch
        .exchange(port, Patience::None, &mut |_| {}, &mut |datagram, out| {
            let text = format!("{} {}", datagram.arrived_at.unwrap(), String::from_utf8_lossy(datagram.bytes));
            out[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        })
        .unwrap()
}

#[test]
fn an_answer_leaves_from_where_its_query_arrived() {
    let ports = bind(ListenAddr::Every(0), 1, Presence::Here).unwrap();
    let port = ports[0].addr().port();
    let mut batch = Batch::new();
    // 127.0.0.0/8 is local as a whole: the second address shows that the answer does not leave from the first.
    for to in ["127.0.0.1", "127.0.0.77"] {
        let client = client(to);
        client.connect((to, port)).unwrap();
        client.send(b"hello").unwrap();
        assert_eq!(echo(&ports[0], &mut batch), 1);
        let mut answer = [0; 100];
        let length = client.recv(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer[..length]), format!("{to} hello"));
    }
    if ports[0].addr().is_ipv6() && UdpSocket::bind("[::1]:0").is_ok() {
        let client = client("[::1]");
        client.connect(("::1", port)).unwrap();
        client.send(b"six").unwrap();
        assert_eq!(echo(&ports[0], &mut batch), 1);
        let mut answer = [0; 100];
        let length = client.recv(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer[..length]), "::1 six");
    }
}

#[test]
fn a_batch_answers_many_and_leaves_out_what_has_no_answer() {
    let ports = bind(ListenAddr::One("127.0.0.1:0".parse().unwrap()), 1, Presence::Here).unwrap();
    let client = client("127.0.0.1");
    client.connect(ports[0].addr()).unwrap();
    for number in 0..40_u8 {
        client.send(&[number]).unwrap();
    }
    let too_long = vec![1; caps::DNS_QUERY_BYTES + 1];
    client.send(&too_long).unwrap();
    let mut batch = Batch::new();
    let mut taken = 0;
    while taken < 41 {
        let bell = Bell::new().unwrap();
        wait(ports.iter(), &bell, Duration::from_secs(10)).unwrap();
        taken += batch
            .exchange(&ports[0], Patience::None, &mut |_| {}, &mut |datagram, out| {
                out[0] = datagram.bytes[0];
                assert_eq!(datagram.bytes.len(), 1, "one that was cut came through");
                usize::from(datagram.bytes[0] % 2 == 0)
            })
            .unwrap();
    }
    for number in (0..40_u8).step_by(2) {
        let mut answer = [0; 10];
        assert_eq!(client.recv(&mut answer).unwrap(), 1);
        assert_eq!(answer[0], number);
    }
}

#[test]
fn a_port_that_somebody_else_has_is_told() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = ListenAddr::One(taken.local_addr().unwrap());
    let Err(NetError::PortInUse { holder, .. }) = bind(addr, 2, Presence::Here) else { panic!("it was shared") };
    assert_eq!(holder.unwrap().pid, std::process::id());
}

#[test]
fn our_own_port_on_an_overlapping_address_is_no_conflict() {
    let every = bind(ListenAddr::Every(0), 2, Presence::Here).unwrap();
    let one = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), every[0].addr().port());
    let ports = bind(ListenAddr::One(one), 2, Presence::Here).unwrap();
    assert_eq!(ports[0].addr(), one);
}

#[test]
fn an_address_that_moves_is_bound_before_it_is_here() {
    // TEST-NET-1 (RFC 5737) is nobody's.
    let absent = ListenAddr::One("192.0.2.77:0".parse().unwrap());
    assert!(matches!(bind(absent, 2, Presence::Here), Err(NetError::AddressAbsent { .. })));
    let ports = bind(absent, 2, Presence::Moves).unwrap();
    assert_eq!((ports.len(), ports[0].addr()), (2, ports[1].addr()));
}

#[test]
fn a_bell_ends_a_wait() {
    let bell = Bell::new().unwrap();
    bell.ring();
    wait(std::iter::empty(), &bell, Duration::from_secs(60)).unwrap();
    wait(std::iter::empty(), &bell, Duration::from_millis(1)).unwrap();
}

#[test]
fn a_patient_exchange_waits_for_the_first_and_not_for_ever() {
    let ports = bind(ListenAddr::One("127.0.0.1:0".parse().unwrap()), 1, Presence::Here).unwrap();
    let (mut batch, addr) = (Batch::new(), ports[0].addr());
    let mut exchange = |patience| batch.exchange(&ports[0], patience, &mut |_| {}, &mut |_, _| 0).unwrap();
    assert_eq!(exchange(Patience::Short), 0, "it returns without a datagram");
    let late = std::thread::spawn(move || {
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"late", addr).unwrap();
    });
    // A busy machine may keep the sender from being in time once.
    let received = (0..500).map(|_| exchange(Patience::Short)).find(|received| *received > 0);
    assert_eq!(received, Some(1));
    late.join().unwrap();
    assert_eq!(exchange(Patience::None), 0);
}

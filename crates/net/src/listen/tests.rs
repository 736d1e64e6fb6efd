//! Binding on loopback, and `/proc` from files of our own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use super::given::Given;
use super::holder::{Kind, Listening, find, listening};
use super::*;
use crate::scratch::Scratch;
use crate::udp::{self, Batch, Patience};

fn one(text: &str) -> ListenAddr {
    ListenAddr::One(text.parse().unwrap())
}

#[test]
fn the_workers_sockets_share_the_port_that_the_system_chose() {
    let sockets = bind(one("127.0.0.1:0"), 4, Presence::Here).unwrap();
    let ports: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
    assert_eq!(ports.len(), 4);
    assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
}

#[test]
fn every_address_means_both_families() {
    let sockets = bind(ListenAddr::Every(0), 1, Presence::Here).unwrap();
    let bound = sockets[0].local_addr().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", bound.port())).is_ok());
    if bound.is_ipv6() {
        assert!(TcpStream::connect(("::1", bound.port())).is_ok());
    } else {
        eprintln!("this machine has no IPv6: one family only");
    }
}

#[test]
fn a_single_ipv6_wildcard_leaves_ipv4_alone() {
    match bind(one("[::]:0"), 1, Presence::Here) {
        Ok(sockets) => {
            let port = sockets[0].local_addr().unwrap().port();
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        }
        Err(error) => eprintln!("this machine has no IPv6: {error}"),
    }
}

#[test]
fn a_held_port_names_its_holder() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = ListenAddr::One(held.local_addr().unwrap());
    let Err(NetError::PortInUse { holder, .. }) = bind(addr, 2, Presence::Here) else { panic!("the port was free") };
    assert_eq!(holder.unwrap().pid, std::process::id());
}

/// Set in the process that a test starts of itself, for its other side.
const OTHER_PROCESS: &str = "EVENKEEL_OTHER_PROCESS";

fn is_other_process() -> bool {
    std::env::var_os(OTHER_PROCESS).is_some()
}

/// The arguments with which this program runs one test of this module alone.
fn alone(test: &str) -> [String; 3] {
    ["--exact".to_owned(), format!("listen::tests::{test}"), "--nocapture".to_owned()]
}

/// Until this process's input ends.
fn hold_a_port() {
    let sockets = bind(one("127.0.0.1:0"), 2, Presence::Here).unwrap();
    println!("\nport {}", sockets[0].local_addr().unwrap().port());
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_port_is_not_shared_with_another_process_that_would_share_it() {
    if is_other_process() {
        return hold_a_port();
    }
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(alone("a_port_is_not_shared_with_another_process_that_would_share_it"))
        .env(OTHER_PROCESS, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| line.unwrap().strip_prefix("port ").map(str::to_owned)).unwrap();
    let outcome = bind(one(&format!("127.0.0.1:{port}")), 1, Presence::Here);
    drop(other.stdin.take());
    let pid = other.id();
    assert!(other.wait().unwrap().success());
    let Err(NetError::PortInUse { holder, .. }) = outcome else { panic!("the port is shared: {outcome:?}") };
    assert_eq!(holder.unwrap().pid, pid);
}

#[test]
fn our_own_socket_on_an_overlapping_address_is_no_conflict() {
    let first = bind(one("127.0.0.1:0"), 1, Presence::Here).unwrap();
    let port = first[0].local_addr().unwrap().port();
    let second = bind(ListenAddr::Every(port), 1, Presence::Here).unwrap();
    assert_eq!(second[0].local_addr().unwrap().port(), port);
}

#[test]
fn an_address_of_another_machine_is_named_as_such() {
    let error = bind(one("192.0.2.1:8080"), 1, Presence::Here).unwrap_err();
    assert!(matches!(error, NetError::AddressAbsent { .. }), "{error}");
    assert_eq!(error.to_string(), "cannot listen on 192.0.2.1:8080: no interface of this machine has that address");
}

#[test]
fn a_forbidden_port_comes_with_the_line_that_allows_it() {
    let error = explain(ListenAddr::Every(80), Kind::Streams, io::Error::from(Errno::ACCESS));
    assert_eq!(error.to_string(), "cannot listen on :80: port 80 is for privileged processes only");
    let hint = error.hint().unwrap();
    assert!(hint.contains("setcap cap_net_bind_service=+ep"), "{hint}");
    assert!(hint.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE"), "{hint}");
}

/// Eight hexadecimal digits as this machine's kernel prints four bytes of an address.
fn word(bytes: [u8; 4]) -> String {
    format!("{:08X}", u32::from_ne_bytes(bytes))
}

#[test]
fn listening_sockets_are_read_from_the_kernels_table() {
    let v4 = word([127, 0, 0, 1]);
    let v6 = [word([0, 0, 0, 0]), word([0, 0, 0, 0]), word([0, 0, 0, 0]), word([0, 0, 0, 1])].concat();
    let rest = "00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0";
    let addr = |text: &str| text.parse::<IpAddr>().unwrap();
    for (line, expected) in [
        (format!("0: {v4}:1F90 00000000:0000 0A {rest}"), Some((addr("127.0.0.1"), 8080))),
        (format!("0: {v6}:0050 00000000:0000 0A {rest}"), Some((addr("::1"), 80))),
        (format!("0: {v4}:1F90 00000000:0000 01 {rest}"), None),
        (format!("0: {v4} 00000000:0000 0A {rest}"), None),
        (format!("0: 7F:1F90 00000000:0000 0A {rest}"), None),
        (format!("0: {v4}:1F90 00000000:0000 0A"), None),
        (String::new(), None),
    ] {
        let expected = expected.map(|(addr, port)| Listening { addr, port, inode: 4711 });
        assert_eq!(listening(&line, Kind::Streams), expected, "{line}");
    }
}

#[test]
fn the_holder_is_the_process_that_has_the_socket_open() {
    let proc = Scratch::new();
    let wild = word([0, 0, 0, 0]);
    let line =
        format!("0: {wild}:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 77 1 0 100 0 0 10 0");
    for directory in ["net", "self/fd", "12/fd", "34/fd", "not-a-process"] {
        fs::create_dir_all(proc.path(directory)).unwrap();
    }
    fs::write(proc.path("net/tcp"), format!("a head\n{line}\n")).unwrap();
    symlink("socket:[76]", proc.path("12/fd/3")).unwrap();
    symlink("/dev/null", proc.path("34/fd/0")).unwrap();
    symlink("socket:[77]", proc.path("34/fd/9")).unwrap();
    fs::write(proc.path("34/comm"), "nginx\n").unwrap();

    let holder = Some(Holder { pid: 34, program: "nginx".to_owned() });
    assert_eq!(find(one("10.0.0.1:8080"), Kind::Streams, proc.as_ref()), holder);
    assert_eq!(find(ListenAddr::Every(8080), Kind::Streams, proc.as_ref()), holder);
    assert_eq!(find(one("10.0.0.1:8081"), Kind::Streams, proc.as_ref()), None);
    assert_eq!(find(one("10.0.0.1:8080"), Kind::Datagrams, proc.as_ref()), None);

    fs::write(proc.path("net/udp"), format!("a head\n{}\n", line.replace(" 0A ", " 07 "))).unwrap();
    assert_eq!(find(one("10.0.0.1:8080"), Kind::Datagrams, proc.as_ref()), holder);
}

#[test]
fn an_address_that_moves_is_listened_on_before_it_is_here() {
    for addr in ["192.0.2.1:0", "[2001:db8::1]:0"] {
        let Ok(sockets) = bind(one(addr), 2, Presence::Moves) else {
            assert!(addr.starts_with('['), "only a machine without IPv6 may refuse");
            continue;
        };
        let bound: Vec<_> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(bound[0], bound[1]);
        assert_eq!(bound[0].ip(), addr.parse::<SocketAddr>().unwrap().ip());
    }
}

#[test]
fn a_given_socket_stands_for_what_we_would_bind_and_for_nothing_else() {
    let given = |addr: &str, is_only_v6: bool| {
        let socket = Socket::new(Domain::for_address(addr.parse().unwrap()), Type::STREAM, None).ok()?;
        if addr.starts_with('[') {
            socket.set_only_v6(is_only_v6).ok()?;
        }
        socket.bind(&SockAddr::from(addr.parse::<SocketAddr>().unwrap())).ok()?;
        assert!(Given::of(socket.try_clone().unwrap()).unwrap_err().contains("neither a port that listens"));
        socket.listen(1).unwrap();
        Some((
            Given::of(socket.try_clone().unwrap()).unwrap(),
            socket.local_addr().unwrap().as_socket().unwrap().port(),
        ))
    };
    for (addr, is_only_v6, one, every) in [
        ("127.0.0.1:0", false, "127.0.0.1", false),
        ("0.0.0.0:0", false, "0.0.0.0", false),
        ("[::]:0", true, "[::]", false),
        ("[::]:0", false, "", true),
    ] {
        let Some((given, port)) = given(addr, is_only_v6) else {
            assert!(addr.starts_with('['), "only a machine without IPv6 may refuse");
            continue;
        };
        assert_eq!(given.is_for(ListenAddr::Every(port), Kind::Streams), every, "{addr}");
        for other in ["127.0.0.1", "0.0.0.0", "[::]"] {
            let wanted = self::one(&format!("{other}:{port}"));
            assert_eq!(given.is_for(wanted, Kind::Streams), other == one, "{addr} for {other}");
            assert!(!given.is_for(wanted, Kind::Datagrams));
        }
    }
    let (file, _) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(Given::of(Socket::from(OwnedFd::from(file))).unwrap_err().contains("no address of IP"));
}

/// Takes the sockets of two addresses, and uses each of them twice.
fn use_what_was_given() {
    let addr = |name: &str| one(&std::env::var(name).unwrap());
    assert_eq!(take_given(), [""; 0]);
    let (streams, datagrams) = ([addr("STREAMS")], [addr("DATAGRAMS")]);
    assert_eq!(unused_given(&datagrams, &streams).len(), 2);
    assert_eq!(unused_given(&streams, &datagrams), []);
    // What a reload gives up and takes again.
    drop(bind(addr("STREAMS"), 2, Presence::Here).unwrap());
    let listeners = bind(addr("STREAMS"), 2, Presence::Here).unwrap();
    let mut heard = String::new();
    listeners[0].set_nonblocking(false).unwrap();
    let (mut stream, _) = listeners[1].accept().unwrap();
    stream.read_to_string(&mut heard).unwrap();
    let _later = TcpStream::connect(listeners[0].local_addr().unwrap()).unwrap();
    assert!(listeners[1].accept().unwrap().0.nodelay().unwrap());
    let ports = udp::bind(addr("DATAGRAMS"), 2, Presence::Here).unwrap();
    assert_eq!(ports.len(), 2);
    let mut answer = |datagram: &udp::Datagram<'_>, out: &mut [u8]| {
        out[..datagram.bytes.len()].copy_from_slice(datagram.bytes);
        datagram.bytes.len()
    };
    assert_eq!(Batch::new().exchange(&ports[1], Patience::Short, &mut |_| {}, &mut answer).unwrap(), 1);
    println!("\nheard {heard}");
}

#[test]
fn who_came_before_the_process_is_served_by_the_sockets_that_it_was_given() {
    if is_other_process() {
        return use_what_was_given();
    }
    let streams = TcpListener::bind("127.0.0.1:0").unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let asking = UdpSocket::bind("127.0.0.1:0").unwrap();
    asking.send_to(b"early", datagrams.local_addr().unwrap()).unwrap();
    let mut early = TcpStream::connect(streams.local_addr().unwrap()).unwrap();
    early.write_all(b"early").unwrap();
    drop(early);
    let move_them = "exec 3<&0 4<&2 0</dev/null 2>&1; LISTEN_FDS=2 LISTEN_PID=$$ exec \"$@\"";
    let other = Command::new("sh")
        .args(["-c", move_them, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(alone("who_came_before_the_process_is_served_by_the_sockets_that_it_was_given"))
        .env(OTHER_PROCESS, "1")
        .env("STREAMS", streams.local_addr().unwrap().to_string())
        .env("DATAGRAMS", datagrams.local_addr().unwrap().to_string())
        .stdin(OwnedFd::from(streams.try_clone().unwrap()))
        .stderr(OwnedFd::from(datagrams.try_clone().unwrap()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(other.status.success() && said.contains("\nheard early"), "{said}");
    let mut answer = [0; 8];
    assert_eq!(asking.recv_from(&mut answer).unwrap().0, 5, "it was answered: {said}");
}

//! Messages as they arrive at a socket of our own.

use super::*;
use crate::scratch::Scratch;

#[test]
fn a_message_has_the_fields_of_rfc_5424() {
    let mut message = Vec::new();
    let time = Duration::new(1_772_368_496, 7_999);
    format(&mut message, time, "lb1 evenkeel 42 access -", b"GET / 200\r\n");
    assert_eq!(
        String::from_utf8(message).unwrap(),
        "<134>1 2026-03-01T12:34:56.000007Z lb1 evenkeel 42 access - GET / 200"
    );
}

#[test]
fn a_message_is_bounded_and_cannot_be_split() {
    let mut message = Vec::new();
    format(&mut message, Duration::ZERO, "- - - - -", b"a\nb\0c");
    assert!(message.ends_with(b" abc"));
    message.clear();
    format(&mut message, Duration::ZERO, "- - - - -", &[b'x'; 3 * caps::SYSLOG_BYTES]);
    assert_eq!(message.len(), caps::SYSLOG_BYTES);
}

#[test]
fn a_host_name_that_is_no_field_becomes_one() {
    for (host, start) in [("lb1", "lb1 evenkeel "), ("", "- evenkeel "), ("a b\u{e4}", "ab evenkeel ")] {
        assert!(sender(host).starts_with(start), "{host:?}");
    }
}

#[test]
fn dates_are_those_of_the_gregorian_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399, "2000-02-28T23:59:59.000000Z"),
        (951_782_400, "2000-02-29T00:00:00.000000Z"),
        (951_868_800, "2000-03-01T00:00:00.000000Z"),
        (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
        (1_767_225_599, "2025-12-31T23:59:59.000000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
    ] {
        assert_eq!(date::Rfc3339(Duration::from_secs(seconds)).to_string(), expected);
    }
}

fn received(daemon: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = daemon.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_restarted_daemon_gets_the_next_line() {
    let scratch = Scratch::new();
    let path = scratch.path("log");
    let mut syslog = Syslog::unix(&path);
    assert!(syslog.send(b"before it runs").is_err());

    let daemon = UnixDatagram::bind(&path).unwrap();
    syslog.send(b"one").unwrap();
    assert!(received(&daemon).ends_with(" access - one"));

    drop(daemon);
    std::fs::remove_file(&path).unwrap();
    let daemon = UnixDatagram::bind(&path).unwrap();
    syslog.send(b"two").unwrap();
    assert!(received(&daemon).ends_with(" access - two"));
}

#[test]
fn a_daemon_that_does_not_read_costs_lines_and_no_time() {
    let scratch = Scratch::new();
    let path = scratch.path("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    let mut syslog = Syslog::unix(&path);
    let sent = (0..10_000).take_while(|_| syslog.send(b"a line").is_ok()).count();
    assert!(sent < 10_000, "the socket's queue has no end");
    assert!(received(&daemon).ends_with(" a line"));
    syslog.send(b"room again").unwrap();
}

#[test]
fn lines_go_out_by_udp() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut syslog = Syslog::udp(daemon.local_addr().unwrap());
    syslog.send(b"over the wire").unwrap();
    let mut buffer = [0; 1024];
    let length = daemon.recv(&mut buffer).unwrap();
    let text = str::from_utf8(&buffer[..length]).unwrap();
    assert!(text.starts_with("<134>1 2") && text.ends_with(" access - over the wire"), "{text}");
}

//! Answers from bytes, and sockets where nobody or nonsense answers.

use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn an_answer_is_taken_whole_or_not_at_all() {
    let text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 4\r\n\r\nwell";
    for cut in 0..text.len() {
        assert!(parse(&text.as_bytes()[..cut]).is_err(), "{cut}");
    }
    assert_eq!(parse(text.as_bytes()).unwrap(), Reply { status: 200, body: b"well".to_vec() });
    for nonsense in ["", "\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nwell"] {
        assert!(parse(nonsense.as_bytes()).is_err(), "{nonsense:?}");
    }
}

#[test]
fn a_refusal_is_told_in_the_daemons_words_or_at_least_by_its_status() {
    let body = br#"{"title":"no","status":404,"detail":"no such path"}"#.to_vec();
    let error = Reply { status: 404, body }.parsed::<StatusReport>().unwrap_err();
    assert_eq!(error.to_string(), "no: no such path");
    let error = Reply { status: 500, body: b"<html>".to_vec() }.accepted().unwrap_err();
    assert_eq!(error.to_string(), "the daemon refused: it answered 500");
}

#[test]
fn a_report_of_another_shape_is_another_versions() {
    let error = Reply { status: 200, body: b"{}".to_vec() }.parsed::<StatusReport>().unwrap_err();
    assert!(error.to_string().contains("another version"), "{error}");
}

fn socket(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("evenkeel-client-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn without_a_daemon_the_error_says_how_to_start_one() {
    let path = socket("none");
    let error = Client::new(Some(&path)).status().unwrap_err();
    assert!(matches!(&error, ClientError::NoDaemon { path: tried } if *tried == path), "{error}");
    assert!(error.to_string().contains("evenkeel run"), "{error}");

    drop(UnixListener::bind(&path).unwrap());
    let error = Client::new(Some(&path)).status().unwrap_err();
    assert!(matches!(error, ClientError::NoDaemon { .. }), "{error}");
    assert!(Client::new(Some(&path)).wait_until_gone(Duration::ZERO));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_daemon_that_breaks_off_is_no_answer() {
    let path = socket("breaks");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 512]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{").unwrap();
    });
    let error = Client::new(Some(&path)).status().unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
    daemon.join().unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn the_end_of_a_daemon_is_seen_when_it_comes() {
    let path = socket("ends");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = std::thread::spawn(move || drop(listener.accept().map(|(stream, _)| (listener, stream))));
    assert!(Client::new(Some(&path)).wait_until_gone(Duration::from_secs(10)));
    daemon.join().unwrap();
    std::fs::remove_file(&path).unwrap();
}

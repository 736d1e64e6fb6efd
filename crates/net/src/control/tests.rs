//! Control sockets in a scratch directory.

use std::io::{Read, Write};

use super::*;
use crate::scratch::Scratch;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_the_daemon() {
    let scratch = Scratch::new();
    let path = scratch.path("c.sock");
    let socket = ControlSocket::bind(Some(&path), None).unwrap();
    assert_eq!(mode(&path), 0o660);
    assert_eq!(socket.path(), path);

    let listener = socket.listener().unwrap();
    let (mut client, _) = connect(Some(&path)).unwrap();
    listener.set_nonblocking(false).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    drop(client);
    let mut heard = String::new();
    server.set_nonblocking(false).unwrap();
    server.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");

    drop(socket);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}

#[test]
fn a_live_daemons_socket_is_left_alone() {
    let scratch = Scratch::new();
    let path = scratch.path("c.sock");
    let first = ControlSocket::bind(Some(&path), None).unwrap();
    let error = ControlSocket::bind(Some(&path), None).unwrap_err();
    assert!(matches!(error, NetError::AlreadyRunning { .. }), "{error}");
    assert!(error.hint().unwrap().contains("evenkeel reload"));
    assert!(connect(Some(&path)).is_ok());
    drop(first);
}

#[test]
fn a_daemon_too_busy_to_accept_is_alive() {
    let scratch = Scratch::new();
    let path = scratch.path("c.sock");
    let _socket = ControlSocket::bind(Some(&path), None).unwrap();
    let mut waiting = Vec::new();
    while let Ok((stream, _)) = connect(Some(&path)) {
        waiting.push(stream);
        assert!(waiting.len() < 1000, "the queue has no end");
    }
    let error = ControlSocket::bind(Some(&path), None).unwrap_err();
    assert!(matches!(error, NetError::AlreadyRunning { .. }), "{error}");
}

#[test]
fn a_dead_daemons_socket_is_replaced() {
    let scratch = Scratch::new();
    let path = scratch.path("c.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _socket = ControlSocket::bind(Some(&path), None).unwrap();
    assert!(connect(Some(&path)).is_ok());
}

#[test]
fn a_file_that_is_no_socket_is_not_ours_to_replace() {
    let scratch = Scratch::new();
    let path = scratch.path("precious");
    fs::write(&path, "content").unwrap();
    let error = ControlSocket::bind(Some(&path), None).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "content");
}

#[test]
fn a_daemon_does_not_remove_its_successors_socket() {
    let scratch = Scratch::new();
    let path = scratch.path("c.sock");
    let first = ControlSocket::bind(Some(&path), None).unwrap();
    fs::remove_file(&path).unwrap();
    let second = ControlSocket::bind(Some(&path), None).unwrap();
    drop(first);
    assert!(connect(Some(&path)).is_ok());
    drop(second);
}

#[test]
fn a_path_that_is_too_long_says_so() {
    let scratch = Scratch::new();
    let path = scratch.path(&"x".repeat(120));
    let error = ControlSocket::bind(Some(&path), None).unwrap_err();
    assert!(error.to_string().contains("name too long"), "{error}");
}

#[test]
fn without_a_daemon_the_client_learns_where_none_is() {
    let scratch = Scratch::new();
    let path = scratch.path("none.sock");
    let (tried, error) = connect(Some(&path)).unwrap_err();
    assert_eq!((tried, error.kind()), (path, io::ErrorKind::NotFound));
}

#[test]
fn a_directory_that_others_may_have_laid_out_is_refused() {
    let scratch = Scratch::new();
    let place = |name: &str| Place { directory: scratch.path(name), shared_parent: true };

    place("ours").prepare(None).unwrap();
    assert_eq!(mode(&scratch.path("ours")), 0o700);
    place("ours").prepare(None).unwrap();

    fs::create_dir(scratch.path("open")).unwrap();
    fs::set_permissions(scratch.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(place("open").prepare(None).is_err());

    std::os::unix::fs::symlink(scratch.path("ours"), scratch.path("link")).unwrap();
    assert!(place("link").prepare(None).is_err());
}

#[test]
fn the_socket_belongs_to_whom_the_daemon_becomes() {
    if !crate::process::is_root() {
        eprintln!("not run: giving a file away needs root");
        return;
    }
    let scratch = Scratch::new();
    let path = scratch.path("c.sock");
    let owner = User { name: "test".to_owned(), uid: 65_533, gid: 65_532, groups: vec![65_532] };
    let _socket = ControlSocket::bind(Some(&path), Some(&owner)).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid()), (65_533, 65_532));
}

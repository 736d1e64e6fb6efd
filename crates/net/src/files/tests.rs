//! Files in a scratch directory; `/dev/full` is the full disk.

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::scratch::Scratch;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_log_is_appended_to_and_goes_on_in_a_new_file_after_reopening() {
    let scratch = Scratch::new();
    let (path, moved) = (scratch.path("access.log"), scratch.path("access.log.1"));
    fs::write(&path, "kept\n").unwrap();
    let mut log = LogFile::open(&path).unwrap();
    log.append(b"one\n").unwrap();
    fs::rename(&path, &moved).unwrap();
    log.append(b"two\n").unwrap();
    log.reopen().unwrap();
    log.append(b"three\n").unwrap();
    assert_eq!(fs::read_to_string(&moved).unwrap(), "kept\none\ntwo\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn a_log_that_cannot_be_reopened_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let (directory, moved) = (scratch.path("logs"), scratch.path("moved"));
    fs::create_dir(&directory).unwrap();
    let mut log = LogFile::open(&directory.join("a.log")).unwrap();
    fs::rename(&directory, &moved).unwrap();
    assert!(log.reopen().is_err());
    log.append(b"still here\n").unwrap();
    assert_eq!(fs::read_to_string(moved.join("a.log")).unwrap(), "still here\n");
}

#[test]
fn a_full_disk_costs_counted_lines() {
    let mut log = LogFile::open(Path::new("/dev/full")).unwrap();
    let lost = log.append(b"one\ntwo\n").unwrap_err();
    assert_eq!(lost.lines, 2);
    assert_eq!(lost.source.kind(), io::ErrorKind::StorageFull);
    assert!(lost.to_string().starts_with("2 log lines are lost: "), "{lost}");
}

#[test]
fn a_pipe_without_reader_costs_counted_lines_and_is_found_when_one_comes() {
    let scratch = Scratch::new();
    let path = scratch.path("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let mut log = LogFile::open(&path).unwrap();
    assert_eq!(log.append(b"nobody hears\n").unwrap_err().lines, 1);
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let mut reader = OpenOptions::new().read(true).custom_flags(nonblocking).open(&path).unwrap();
    log.append(b"heard\n").unwrap();
    let mut buffer = [0; 64];
    let count = reader.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..count], b"heard\n");
}

#[test]
fn every_line_behind_a_slow_pipe_is_whole_or_counted() {
    let scratch = Scratch::new();
    let path = scratch.path("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let mut reader = OpenOptions::new().read(true).custom_flags(nonblocking).open(&path).unwrap();
    let mut log = LogFile::open(&path).unwrap();
    let line = format!("{}\n", "x".repeat(1000));
    let batch = line.repeat(7);
    let (mut sent, mut lost) = (0, 0);
    let mut read = Vec::new();
    for round in 0..100 {
        sent += 7;
        lost += log.append(batch.as_bytes()).map_or_else(|error| error.lines, |()| 0);
        if round % 40 == 39 {
            let _ = reader.read_to_end(&mut read);
        }
    }
    let _ = reader.read_to_end(&mut read);
    let text = String::from_utf8(read).unwrap();
    let whole = text.lines().filter(|it| it.len() == 1000).count();
    assert!(lost > 0, "the pipe took everything");
    assert_eq!(u64::try_from(whole).unwrap() + lost, sent);
}

#[test]
fn a_file_is_replaced_whole_with_the_mode_asked_for() {
    let scratch = Scratch::new();
    let path = scratch.path("key");
    write_atomic(&path, b"first", 0o644).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"first".to_vec(), 0o644));
    write_atomic(&path, b"second", 0o600).unwrap();
    assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"second".to_vec(), 0o600));
    assert_eq!(list(scratch.as_ref()).unwrap(), [path]);
}

#[test]
fn a_failed_replacement_leaves_nothing_behind() {
    let scratch = Scratch::new();
    let taken = scratch.path("taken");
    fs::create_dir_all(taken.join("inside")).unwrap();
    assert!(write_atomic(&taken, b"content", 0o600).is_err());
    assert!(write_atomic(&scratch.path("missing/file"), b"content", 0o600).is_err());
    assert_eq!(list(scratch.as_ref()).unwrap(), Vec::<PathBuf>::new());
    assert!(taken.join("inside").exists());
}

#[test]
fn reading_has_a_bound() {
    let scratch = Scratch::new();
    let path = scratch.path("page");
    fs::write(&path, "12345").unwrap();
    assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
    assert_eq!(read_bounded(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(read_bounded(&scratch.path("none"), 4).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(read_regular(&path, 5).unwrap(), b"12345");
    let (pipe, link) = (scratch.path("pipe"), scratch.path("link"));
    std::os::unix::fs::symlink(&path, &link).unwrap();
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    for no_file in [&pipe, scratch.as_ref()] {
        assert_eq!(read_regular(no_file, 5).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(read_plain(&link, 5).unwrap(), b"12345");
    assert_eq!(read_plain(&pipe, 5).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert!(read_regular(&link, 5).is_err());
    let socket = scratch.path("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let others = [(pipe.as_path(), "a pipe"), (scratch.as_ref(), "a directory"), (&socket, "a socket")];
    for (path, what) in others.into_iter().chain([(Path::new("/dev/null"), "a device")]) {
        let told = open_plain(path).unwrap_err().to_string();
        assert_eq!(told, format!("it is {what}, not a regular file"));
    }
}

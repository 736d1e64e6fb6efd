//! Connections in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;

/// Counts its wakes.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

fn read(half: &Half) -> Result<Vec<u8>, io::ErrorKind> {
    let mut room = [0; 64];
    let count = half.try_read(&mut room).map_err(|error| error.kind())?;
    Ok(room[..count].to_vec())
}

fn write(half: &Half, bytes: &[u8]) -> Result<usize, io::ErrorKind> {
    half.try_write_vectored(&[IoSlice::new(bytes)]).map_err(|error| error.kind())
}

#[test]
fn bytes_pass_in_order_and_no_more_are_under_way_than_may_be() {
    let (here, there) = pair(8);
    assert_eq!(
        here.try_write_vectored(&[IoSlice::new(b"hel"), IoSlice::new(b"lo"), IoSlice::new(b" you")]).unwrap(),
        8
    );
    assert_eq!(write(&here, b"x"), Err(io::ErrorKind::WouldBlock));
    assert_eq!(write(&here, b""), Ok(0));
    let mut few = [0; 3];
    assert_eq!(there.try_read(&mut few).unwrap(), 3);
    assert_eq!(&few, b"hel");
    assert_eq!(write(&here, b"u and them"), Ok(3));
    assert_eq!(read(&there), Ok(b"lo you a".to_vec()));
    assert_eq!(read(&there), Err(io::ErrorKind::WouldBlock));
}

#[test]
fn taking_moves_the_bytes_and_an_end_comes_behind_them() {
    let (here, there) = pair(16);
    let cx = &Context::from_waker(Waker::noop());
    assert!(there.poll_take(cx, 9).is_pending());
    here.begin_with(b"a head that is longer than what fits");
    assert_eq!(write(&here, b"x"), Err(io::ErrorKind::WouldBlock));
    let Poll::Ready(Ok(taken)) = there.poll_take(cx, 6) else { panic!("there is something") };
    assert_eq!(&taken[..], b"a head");
    here.shutdown_write();
    let Poll::Ready(Ok(rest)) = there.poll_take(cx, 1000) else { panic!("there is something") };
    assert_eq!(rest.len(), 30);
    let Poll::Ready(Ok(end)) = there.poll_take(cx, 1000) else { panic!("the end is there") };
    assert!(end.is_empty());
    // The other direction goes on.
    assert_eq!(write(&there, b"answer"), Ok(6));
    assert_eq!(read(&here), Ok(b"answer".to_vec()));
}

#[test]
fn who_waits_is_woken_by_bytes_room_end_and_break() {
    let (here, there) = pair(4);
    let (reads, reader) = bell();
    let (writes, writer) = bell();
    let read_cx = &Context::from_waker(&reader);
    let write_cx = &Context::from_waker(&writer);
    assert!(there.poll_read_ready(read_cx).is_pending());
    assert_eq!(write(&here, b"full"), Ok(4));
    assert_eq!(reads.0.load(Ordering::Relaxed), 1);
    assert!(there.poll_read_ready(read_cx).is_ready());
    assert!(here.poll_write_vectored(write_cx, &[IoSlice::new(b"more")]).is_pending());
    assert!(here.poll_write_ready(write_cx).is_pending());
    assert_eq!(read(&there), Ok(b"full".to_vec()));
    assert_eq!(writes.0.load(Ordering::Relaxed), 1);
    assert!(there.poll_broken(read_cx).is_pending());
    here.shutdown_write();
    assert_eq!(reads.0.load(Ordering::Relaxed), 2);
    assert!(there.poll_broken(read_cx).is_pending(), "an end of sending is no break");
    here.break_off(io::ErrorKind::ConnectionReset);
    assert_eq!(reads.0.load(Ordering::Relaxed), 3);
    assert!(there.poll_broken(read_cx).is_ready());
}

#[test]
fn a_dropped_end_ends_what_it_wrote_and_takes_nothing_more() {
    let (here, there) = pair(8);
    assert_eq!(write(&here, b"last"), Ok(4));
    assert!(!there.poll_broken(&Context::from_waker(Waker::noop())).is_ready());
    drop(here);
    assert!(there.is_closed_or_readable());
    assert!(there.poll_broken(&Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(read(&there), Ok(b"last".to_vec()));
    assert_eq!(read(&there), Ok(Vec::new()));
    assert_eq!(write(&there, b"x"), Err(io::ErrorKind::BrokenPipe));
}

#[test]
fn a_broken_end_says_why_and_what_it_wrote_is_lost() {
    let (here, there) = pair(8);
    assert_eq!(write(&here, b"half a"), Ok(6));
    here.break_off(io::ErrorKind::ConnectionRefused);
    here.break_off(io::ErrorKind::ConnectionReset);
    assert_eq!(read(&there), Err(io::ErrorKind::ConnectionRefused));
    assert_eq!(write(&there, b"x"), Err(io::ErrorKind::BrokenPipe));
}

#[test]
fn room_that_is_lent_comes_back_with_the_bytes_and_never_hides_any() {
    let (here, there) = pair(64);
    let mut room = BytesMut::with_capacity(32);
    room.extend_from_slice(b"of somebody else");
    let at = room.as_ptr();
    here.lend(room);
    assert_eq!(read(&here), Err(io::ErrorKind::WouldBlock));
    assert_eq!(write(&there, b"hello"), Ok(5));
    here.lend(BytesMut::from(&b"too late"[..]));
    let (_, waker) = bell();
    let Poll::Ready(Ok(taken)) = here.poll_take(&Context::from_waker(&waker), usize::MAX) else {
        panic!("nothing came")
    };
    assert_eq!((&taken[..], taken.as_ptr()), (&b"hello"[..], at));
}

#[test]
fn bytes_in_hand_take_the_place_of_others_until_they_go_on() {
    let (here, there) = pair(10);
    assert_eq!(write(&there, b"0123456789"), Ok(10));
    assert_eq!(read(&here), Ok(b"0123456789".to_vec()));
    here.hold(9, 4);
    assert_eq!(write(&there, b"abc"), Ok(1), "one is not in hand any more");
    here.hold(6, 4);
    assert_eq!(write(&there, b"bc"), Err(io::ErrorKind::WouldBlock), "less than a step");
    here.hold(5, 4);
    assert_eq!(write(&there, b"bcdefg"), Ok(4));
    here.hold(0, 4);
    assert_eq!(write(&there, b"fghijk"), Ok(5));
    assert_eq!(read(&here), Ok(b"abcdefghij".to_vec()));
}

#[test]
fn two_other_ends_get_what_two_had_and_none_of_their_bytes() {
    let (here, there) = pair(8);
    here.begin_with(b"a head");
    let (_, waker) = bell();
    assert!(there.poll_broken(&Context::from_waker(&waker)).is_pending());
    assert_eq!(write(&there, b"answer"), Ok(6));
    there.hold(3, 1);
    drop(there);
    let spare = here.into_spare().expect("both ends are gone");
    let (here, there) = spare.pair(4);
    assert_eq!(read(&here), Err(io::ErrorKind::WouldBlock));
    assert_eq!(read(&there), Err(io::ErrorKind::WouldBlock));
    assert_eq!(write(&here, b"hello"), Ok(4));
    assert_eq!(write(&there, b"you, too"), Ok(4));
    assert_eq!(read(&there), Ok(b"hell".to_vec()));
    assert!(here.into_spare().is_none(), "there is still the other end");
    assert_eq!(read(&there), Ok(Vec::new()), "which sees this one gone");
}

#[test]
fn a_broken_connection_is_whole_for_two_other_ends() {
    let (here, there) = pair(8);
    here.break_off(io::ErrorKind::ConnectionReset);
    drop(there);
    let (here, there) = here.into_spare().expect("both ends are gone").pair(8);
    assert_eq!((write(&here, b"x"), write(&there, b"y")), (Ok(1), Ok(1)));
    assert_eq!((read(&here), read(&there)), (Ok(b"y".to_vec()), Ok(b"x".to_vec())));
}

#[test]
fn only_small_room_is_kept_for_two_other_ends() {
    for (size, is_kept) in [(ROOM, true), (ROOM + 1, false)] {
        let (here, there) = pair(ROOM + 1);
        assert_eq!(write(&here, &vec![b'x'; size]), Ok(size));
        while read(&there).is_ok() {}
        drop(there);
        let spare = here.into_spare().expect("both ends are gone");
        assert_eq!(spare.lanes.borrow().to_there.bytes.capacity() > 0, is_kept, "{size} bytes");
    }
}

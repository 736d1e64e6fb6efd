//! Exactness of slots under real threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::ServerLoad;

#[test]
fn threads_never_hold_more_slots_than_allowed_and_lose_none() {
    const MOST: u32 = 7;
    let load = Arc::new(ServerLoad::default());
    let (held, granted) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    if load.try_take(Some(MOST)) {
                        let now_held = held.fetch_add(1, Ordering::SeqCst) + 1;
                        assert!(now_held <= MOST, "{now_held} held at once");
                        granted.fetch_add(1, Ordering::SeqCst);
                        held.fetch_sub(1, Ordering::SeqCst);
                        load.release();
                    }
                }
            });
        }
    });
    assert_eq!(load.in_flight(), 0);
    assert!(granted.into_inner() > 0);
}

#[test]
fn exactly_the_allowed_number_is_granted_to_threads_that_keep_their_slots() {
    let load = Arc::new(ServerLoad::default());
    let kept: Vec<_> = thread::scope(|scope| {
        let takers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..100).filter_map(|_| load.take(Some(50))).collect::<Vec<_>>())).collect();
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
    });
    assert_eq!(kept.len(), 50);
    assert!(load.is_full(Some(50)));
    assert!(!load.is_full(Some(51)) && !load.is_full(None));
    drop(kept);
    assert_eq!(load.in_flight(), 0);
}

#[test]
fn without_a_bound_a_slot_is_always_granted_and_of_none_there_is_none() {
    let load = ServerLoad::default();
    assert!(load.try_take(None) && load.try_take(None));
    assert_eq!(load.in_flight(), 2);
    assert!(!load.try_take(Some(2)), "a bound that was lowered below what is taken grants nothing");
    assert!(!ServerLoad::default().try_take(Some(0)));
}

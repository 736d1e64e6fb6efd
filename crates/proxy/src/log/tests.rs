use super::{Batches, channel};
use evenkeel_model::caps;

#[test]
fn lines_are_handed_over_in_whole_batches() {
    let (sink, source) = channel();
    let batches = Batches::default();
    assert!(batches.append(&sink, |out| out.extend_from_slice(b"one\n")).is_first);
    assert!(!batches.append(&sink, |out| out.extend_from_slice(b"two\n")).is_first);
    assert!(source.try_recv().is_none());
    assert!(batches.is_waiting());
    assert_eq!(batches.flush(), 0);
    assert!(!batches.is_waiting());
    assert_eq!(source.recv().unwrap(), b"one\ntwo\n");
}

#[test]
fn a_batch_leaves_when_it_is_full() {
    let (sink, source) = channel();
    let batches = Batches::default();
    let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<u8>>();
    for _ in 0..caps::LOG_BATCH_BYTES / line.len() {
        batches.append(&sink, |out| out.extend_from_slice(&line));
    }
    assert_eq!(source.try_recv().map(|batch| batch.len()), Some(caps::LOG_BATCH_BYTES));
}

#[test]
fn a_writer_that_does_not_keep_up_costs_counted_lines() {
    let (sink, source) = channel();
    let batches = Batches::default();
    let mut lost = 0;
    for _ in 0..caps::LOG_BATCHES + 3 {
        batches.append(&sink, |out| out.extend_from_slice(b"a\nb\n"));
        lost += batches.flush();
    }
    assert_eq!(lost, 6);
    assert_eq!(source.dropped(), 6);
    drop((sink, batches));
    let mut taken = 0;
    while source.recv().is_some() {
        taken += 1;
    }
    assert_eq!(taken, caps::LOG_BATCHES);
}

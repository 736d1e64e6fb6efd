//! Workers that do not answer.

use evenkeel_model::Config;
use evenkeel_proxy::SnapshotParts;
use std::collections::HashMap;

use super::*;
use crate::run_beside;

/// A crew of one worker whose commands nobody takes, with the end of the channel.
fn stuck() -> (Crew, mpsc::Receiver<Command>, Arc<Snapshot>) {
    let (commands, received) = mpsc::channel(2);
    let (_, snapshot) = nothing();
    (Crew { workers: vec![worker(commands)], ending: Ending::new() }, received, snapshot)
}

fn worker(commands: mpsc::Sender<Command>) -> Worker {
    let runtime = Builder::new_current_thread().build_local(LocalOptions::default()).unwrap().metrics();
    Worker { commands, runtime }
}

/// What an empty configuration makes.
fn nothing() -> (Arc<Shared>, Arc<Snapshot>) {
    let shared = Shared::new(1, mpsc::channel(1).0);
    let snapshot = Snapshot::build(SnapshotParts {
        generation: 1,
        config: Arc::new(Config::default()),
        servers: &HashMap::new(),
        previous: None,
        token_keys: &HashMap::new(),
        pages: &HashMap::new(),
        acceptors: &HashMap::new(),
        connectors: &HashMap::new(),
        logs: &HashMap::new(),
        hash_seed: [0; 16],
        shared: &shared,
    });
    (shared, snapshot)
}

#[test]
fn a_change_is_sent_to_nobody_while_one_has_no_room() {
    let (crew, mut received, snapshot) = stuck();
    assert!(crew.publish(&snapshot) && crew.publish(&snapshot));
    assert!(!crew.publish(&snapshot), "its channel is full");
    let silent = run_beside(async { crew.room(Duration::from_millis(1)).await.err() }).unwrap();
    assert_eq!(silent, Some(Silent(0)));
    assert!(crew.ping(&snapshot).is_err());

    assert!(received.try_recv().is_ok());
    assert!(run_beside(async { crew.room(Duration::from_millis(1)).await.is_ok() }).unwrap());
}

#[test]
fn an_answer_that_does_not_come_is_missed_by_number() {
    let (crew, mut received, snapshot) = stuck();
    let outcome = run_beside(async {
        let room = crew.room(Duration::from_secs(1)).await.ok()?;
        Some(room.apply(&snapshot, Vec::new(), &[]).all(Duration::from_millis(1)).await)
    });
    assert_eq!(outcome.unwrap(), Some(Err(Silent(0))));

    let answered = run_beside(async {
        let acks = crew.ping(&snapshot).ok()?;
        while let Ok(Command::Apply { done, .. }) = received.try_recv() {
            // Nobody waits for the first any more.
            let _ = done.send(());
        }
        Some(acks.all(Duration::from_secs(1)).await)
    });
    assert_eq!(answered.unwrap(), Some(Ok(())));
}

#[test]
fn a_worker_without_room_keeps_nothing_from_those_behind_it() {
    let (_, snapshot) = nothing();
    let (first, _full) = mpsc::channel(1);
    let (second, mut received) = mpsc::channel(1);
    let crew = Crew { workers: vec![worker(first), worker(second)], ending: Ending::new() };
    assert!(crew.publish(&snapshot));
    assert!(received.try_recv().is_ok());
    assert!(crew.ping(&snapshot).is_err_and(|silent| silent == Silent(0)));
    assert!(matches!(received.try_recv(), Ok(Command::Apply { .. })), "the order stops at the first");
}

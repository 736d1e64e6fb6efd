use super::*;
use crate::scratch::Scratch;

fn then(words: &[&str]) -> Then {
    Then { words: words.iter().map(|word| (*word).to_owned()).collect(), timeout: Duration::from_secs(20) }
}

fn beside<T>(future: impl Future<Output = T>) -> T {
    crate::run_beside(future).unwrap()
}

#[test]
fn a_debt_outlives_the_process_and_ends_with_a_success() {
    let dir = Scratch::new();
    let (place, flag) = (dir.path().join("owed"), dir.path().join("flag"));
    let command = then(&["test", "-e", &flag.display().to_string()]);
    let mut debts = Debts::load(Some(place.clone()), &[&command]);
    assert_eq!(debts.next(), None);
    debts.owe(&command, "example.org", "/z");
    assert!(!beside(debts.run_due()));
    drop(debts);

    let mut debts = Debts::load(Some(place.clone()), &[&command]);
    assert!(debts.report(&command)[0].owed);
    std::fs::write(&flag, "").unwrap();
    assert!(beside(debts.run_due()));
    assert_eq!(debts.next(), None);
    assert_eq!(Debts::load(Some(place.clone()), &[&command]).next(), None);

    // What is no longer configured is not run after a restart.
    debts.owe(&command, "", "");
    assert_eq!(Debts::load(Some(place), &[&then(&["true"])]).next(), None);
}

#[test]
fn a_change_that_was_not_made_owes_nothing() {
    let command = then(&["reload", "{zone}", "{file}"]);
    let mut debts = Debts::default();
    let undo = debts.owe(&command, "a.example", "/a");
    debts.owe(&command, "b.example", "/b");
    debts.undo(&undo);
    let left = debts.report(&command);
    assert_eq!((left.len(), left[0].command.as_str()), (1, "reload b.example /b"));
}

use super::*;
use crate::scratch::Scratch;

fn then(words: &[&str]) -> Then {
    Then { words: words.iter().map(|word| (*word).to_owned()).collect(), timeout: Duration::from_secs(20) }
}

/// A block for this file, with this command.
fn block(file: &str, then: Option<&Then>) -> Zonefile {
    Zonefile { then: then.cloned(), ..Zonefile::new(vec![file.into()]) }
}

fn beside<T>(future: impl Future<Output = T>) -> T {
    crate::run_beside(future).unwrap()
}

#[test]
fn a_debt_outlives_the_process_and_ends_with_a_success() {
    let dir = Scratch::new();
    let (place, flag) = (dir.path().join("owed"), dir.path().join("flag"));
    let command = then(&["test", "-e", &flag.display().to_string()]);
    let ours = block("/z", Some(&command));
    let mut debts = Debts::load(Some(place.clone()), &[&ours], Strange::Drop);
    assert_eq!(debts.next(), None);
    debts.owe(&command, "example.org", "/z");
    assert!(!beside(debts.run_due()));
    drop(debts);

    let mut debts = Debts::load(Some(place.clone()), &[&ours], Strange::Drop);
    assert!(debts.report(&command)[0].owed);
    std::fs::write(&flag, "").unwrap();
    assert!(beside(debts.run_due()));
    assert_eq!(debts.next(), None);
    assert_eq!(Debts::load(Some(place.clone()), &[&ours], Strange::Drop).next(), None);

    // Where nothing is to follow changes of the file any more, nothing is run after a restart.
    debts.owe(&command, "example.org", "/z");
    for gone in [block("/z", None), block("/other", Some(&then(&["true"])))] {
        assert_eq!(Debts::load(Some(place.clone()), &[&gone], Strange::Drop).next(), None);
    }
}

#[test]
fn a_command_that_is_mended_is_owed_for_what_the_wrong_one_was() {
    let dir = Scratch::new();
    let (place, ran) = (dir.path().join("owed"), dir.path().join("ran"));
    let wrong = then(&["/nonexistent/rndc", "reload"]);
    let right = then(&["sh", "-c", &format!("echo $0 $1 >> {}", ran.display()), "{zone}", "{file}"]);
    let (before, after) = (block("/z", Some(&wrong)), block("/z", Some(&right)));

    // After a restart, as a command line does it; and by a reload.
    for is_reload in [false, true] {
        let mut debts = Debts::load(Some(place.clone()), &[&before], Strange::Leave);
        debts.owe(&wrong, "example.org", "/z");
        assert!(!beside(debts.run_due()));
        if is_reload {
            debts.keep(&[&after]);
        } else {
            debts = Debts::load(Some(place.clone()), &[&after], Strange::Leave);
        }
        assert!(debts.report(&right)[0].owed && debts.report(&wrong).is_empty());
        assert!(beside(debts.run_due()));
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "[]");
    }
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "example.org /z\n".repeat(2));
}

#[test]
fn command_lines_leave_one_anothers_debts_alone() {
    let dir = Scratch::new();
    let place = dir.path().join("owed");
    let (wrong, other) = (then(&["false"]), then(&["/nonexistent/other"]));
    let (first, second) = (block("/first", Some(&wrong)), block("/second", Some(&other)));
    let load = |block: &Zonefile| Debts::load(Some(place.clone()), &[block], Strange::Leave);
    // Both run at the same time.
    let (mut one, mut two) = (load(&first), load(&second));
    one.owe(&wrong, "first", "/first");
    two.owe(&other, "second", "/second");
    assert!(!beside(one.run_due()) && !beside(two.run_due()));
    // By hand, with no command.
    load(&block("/first", None)).save();
    assert!(load(&first).report(&wrong)[0].owed && load(&second).report(&other)[0].owed);
    let mended = then(&["true"]);
    assert!(beside(load(&block("/first", Some(&mended))).run_due()));
    assert!(load(&first).report(&wrong).is_empty() && load(&second).report(&other)[0].owed);
}

#[test]
fn a_change_that_was_not_made_owes_nothing() {
    let command = then(&["reload", "{zone}", "{file}"]);
    let mut debts = Debts::default();
    let undo = debts.owe(&command, "a.example", "/a");
    debts.owe(&command, "b.example", "/b");
    debts.undo(undo);
    let left = debts.report(&command);
    assert_eq!((left.len(), left[0].command.as_str()), (1, "reload b.example /b"));
}

use super::*;
use crate::scratch::Scratch;

fn then(words: &[&str]) -> Then {
    Then { words: words.iter().map(|word| (*word).to_owned()).collect(), timeout: Duration::from_secs(20) }
}

fn beside<T>(future: impl Future<Output = T>) -> T {
    crate::run_beside(future).unwrap()
}

#[test]
fn a_command_says_how_it_ended_and_why() {
    beside(async {
        let sh = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
        let long = Duration::from_secs(20);
        assert_eq!(run(&sh("exit 0"), long).await, Ok(()));
        assert_eq!(
            run(&sh("echo what; echo no such zone >&2; exit 3"), long).await,
            Err("it ended with exit status 3: no such zone".to_owned())
        );
        assert!(
            run(&["/nonexistent/rndc".to_owned()], long).await.unwrap_err().contains("cannot be started: no such file")
        );
        // A pipe's worth of words does not hold it up, nor does a child that outlives it with the pipe open.
        assert_eq!(run(&sh("yes x | head -c 200000 >&2"), long).await, Ok(()));
        assert_eq!(run(&sh("sleep 3 >&2 & exit 0"), long).await, Ok(()));
    });
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let dir = Scratch::new();
    let mark = dir.path().join("pid");
    let script = format!("setsid sleep 600 & echo $! > {}; echo stuck >&2; wait", mark.display());
    let why = beside(run(&["sh".to_owned(), "-c".to_owned(), script], Duration::from_secs(2))).unwrap_err();
    assert!(why.contains("more than 2 s and was killed") && why.ends_with(": stuck"), "{why}");
    let pid = std::fs::read_to_string(mark).unwrap();
    // It was told; it may take its moment to end.
    let deadline = clock::now() + Duration::from_secs(20);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z") {
            break;
        }
        assert!(clock::now() < deadline, "{stat}");
        std::thread::yield_now();
    }
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

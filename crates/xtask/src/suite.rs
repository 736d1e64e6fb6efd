//! The tests of the workspace, run and counted.
//!
//! Tests here kill, pause and load real programs, against the clock and on busy machines: one that fails is run once
//! more, alone. Only a test that fails both times fails the run; what passed at the second try is named at the end, for
//! somebody to look at. The invariant: a run without a verdict (a crash, no test at all) is never sound.

use std::borrow::Cow;
use std::fmt;

use crate::steps::{Outcome, watched};

/// One test at a time.
pub(crate) const ALONE: &str = "--test-threads=1";
/// More failures than these are nobody's bad luck.
const SECOND_TRIES: usize = 4;

/// Tests that ran, by how they ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    skipped: u64,
    /// Passed at the second try.
    lucky: Vec<String>,
}

impl Tally {
    /// Whether tests ran, and none failed.
    pub(crate) fn is_sound(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Runs tests: `cargo test` with these arguments and, behind `--`, those for each test program.
    pub(crate) fn run(&mut self, cargo: &[&str], programs: &[&str]) -> Outcome {
        let line = [&["cargo", "test", "--locked", "--no-fail-fast"], cargo, &["--"], programs].concat();
        let mut first = Reading::default();
        let outcome = watched(&line, |text| first.see(text));
        self.passed += first.passed;
        self.ignored += first.ignored;
        self.skipped += first.skipped;
        if !first.deserves_a_second_try() {
            first.names.iter().for_each(|name| println!("test {name} ... FAILED"));
            self.failed += first.failed;
            return outcome;
        }
        println!("\n== once more, alone: {}", first.names.join(", "));
        let names: Vec<&str> = first.names.iter().map(String::as_str).collect();
        let alone = Some(ALONE).filter(|alone| !programs.contains(alone));
        let line = [&line[..], &["--exact"], alone.as_slice(), &names].concat();
        let mut second = Reading::default();
        let outcome = watched(&line, |text| {
            second.see(text);
            Cow::Borrowed(text)
        });
        if second.passed + second.failed < first.failed {
            self.failed += first.failed;
            return Outcome::Failed("not all tests that failed could be run once more".to_owned());
        }
        self.passed += second.passed;
        self.failed += second.failed;
        self.lucky.extend(first.names.into_iter().filter(|name| !second.names.contains(name)));
        outcome
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored, skipped, lucky } = self;
        lucky.iter().try_for_each(|name| writeln!(f, "passed at the second try only: {name}"))?;
        write!(f, "tests: {passed} passed, {failed} failed, {ignored} ignored, {skipped} skipped aloud")
    }
}

/// What the output of test programs says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reading {
    passed: u64,
    failed: u64,
    ignored: u64,
    skipped: u64,
    /// Tests that failed.
    names: Vec<String>,
    /// Programs that began, and those that ended with a result.
    programs: (u64, u64),
    /// The names in a list that may be the last one of its program, while there is one.
    listed: Option<Vec<String>>,
}

impl Reading {
    /// Takes note of a line, and gives it as it should be shown: nothing has failed for good at the first try.
    fn see<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        if let Some(rest) = line.strip_prefix("test result: ") {
            self.passed += number_before(rest, " passed");
            self.failed += number_before(rest, " failed");
            self.ignored += number_before(rest, " ignored");
            self.programs.1 += 1;
            self.names.extend(self.listed.take().into_iter().flatten());
        } else if line.starts_with("SKIPPED ") {
            self.skipped += 1;
        } else if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.programs.0 += 1;
        } else if line == "failures:" {
            self.listed = Some(Vec::new());
        } else if let (Some(listed), Some(name)) = (&mut self.listed, line.strip_prefix("    ")) {
            listed.push(name.to_owned());
        }
        let is_verdict = line == "FAILED" || line.ends_with(" ... FAILED") || line.starts_with("test result: FAILED");
        if is_verdict { Cow::Owned(line.replace("FAILED", "failed so far")) } else { Cow::Borrowed(line) }
    }

    fn deserves_a_second_try(&self) -> bool {
        let has_all_names = u64::try_from(self.names.len()).is_ok_and(|names| names == self.failed);
        let has_crashed = self.programs.0 != self.programs.1;
        (1..=SECOND_TRIES).contains(&self.names.len()) && has_all_names && !has_crashed
    }
}

/// The number directly before a word: 12 in `ok. 12 passed; 0 failed`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().unwrap_or("");
    before.rsplit([' ', ';']).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Reading, String) {
        let mut reading = Reading::default();
        let shown: Vec<String> = text.lines().map(|line| reading.see(line).into_owned()).collect();
        (reading, shown.join("\n"))
    }

    const TWO_PROGRAMS: &str = "running 13 tests\n\
        SKIPPED full_disk_loses_no_request: needs root for a tmpfs\n\
        test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s\n\
        running 2 tests\n\
        test stands ... ok\n\
        test falls ... FAILED\n\
        failures:\n\
        \n\
        ---- falls stdout ----\n    it fell\n\
        \n\
        failures:\n    falls\n\
        \n\
        test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";

    #[test]
    fn every_program_is_counted_and_every_failure_named() {
        let (reading, shown) = read(TWO_PROGRAMS);
        let counts = [reading.passed, reading.failed, reading.ignored, reading.skipped];
        assert_eq!((counts, reading.names.as_slice()), ([13, 1, 1, 1], &["falls".to_owned()][..]));
        assert!(reading.deserves_a_second_try());
        assert!(!shown.contains("FAILED") && shown.contains("test falls ... failed so far"), "{shown}");
    }

    #[test]
    fn a_crash_and_a_crowd_of_failures_get_no_second_try() {
        let (crashed, _) = read(&format!("{TWO_PROGRAMS}\nrunning 7 tests\ntest stands ... ok"));
        assert!(!crashed.deserves_a_second_try());
        let names: String = (0..5).map(|at| format!("    falls_{at}\n")).collect();
        let (crowd, _) =
            read(&format!("running 5 tests\nfailures:\n{names}\ntest result: FAILED. 0 passed; 5 failed;"));
        assert_eq!((crowd.names.len(), crowd.deserves_a_second_try()), (5, false));
        assert!(!read("").0.deserves_a_second_try());
    }

    #[test]
    fn no_test_at_all_is_not_sound() {
        assert!(!Tally::default().is_sound());
        let tally = Tally { passed: 2, lucky: vec!["falls".to_owned()], ..Tally::default() };
        assert!(tally.is_sound());
        assert!(tally.to_string().starts_with("passed at the second try only: falls\ntests: 2 passed, 0 failed"));
    }
}

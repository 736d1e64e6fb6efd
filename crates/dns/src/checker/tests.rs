use std::collections::HashMap;
use std::time::Duration;

use evenkeel_model::State;
use proptest::prelude::{any, prop, proptest};

use super::*;
use crate::zone::Severity;

/// The twenty defects of the script that this replaces, by number, each as a test.
mod defects;

const WHEN: When = When { date: 20_261_121, unix: 1_795_000_000 };

const TOP: &str = "$TTL 60\n@ IN SOA ns root ( 2026112001 ; serial\n  1h 15m 4w 30 )\n@ NS ns\n";

/// The verdict `state` for every target, save those whose addresses are listed.
fn verdicts(survey: &Survey, state: State, others: &[(&str, State)]) -> HashMap<Target, State> {
    let state_of = |target: &Target| {
        let address = target.address.to_string();
        others.iter().find(|(text, _)| *text == address).map_or(state, |(_, state)| *state)
    };
    survey.targets().into_iter().map(|target| (target.clone(), state_of(&target))).collect()
}

fn file(block: &str) -> String {
    format!("{TOP}{block}")
}

/// The file after a round with the given verdicts; the rest are up.
fn round(text: &str, down: &[&str]) -> String {
    let survey = survey(text.as_bytes(), None);
    let others: Vec<(&str, State)> = down.iter().map(|address| (*address, State::Down)).collect();
    let verdicts = verdicts(&survey, State::Up, &others);
    let plan = plan(text.as_bytes(), &survey, &verdicts, WHEN, is_blind([&survey], &verdicts));
    assert_eq!(plan.refused, None, "{text}\n{:?}", survey.problems);
    String::from_utf8(plan.apply(text.as_bytes()).unwrap()).unwrap()
}

/// What follows the top, so that serials do not matter.
fn rest(text: &str) -> &str {
    text.split_once("@ NS ns\n").unwrap().1
}

fn codes(text: &str, severity: Severity) -> Vec<&'static str> {
    let survey = survey(text.as_bytes(), None);
    survey.problems.iter().filter(|problem| problem.severity == severity).map(|problem| problem.code).collect()
}

fn covered(text: &str) -> Vec<String> {
    let survey = survey(text.as_bytes(), None);
    let show = |set: &BalancedSet| {
        let addresses: Vec<String> = set.members.iter().map(|member| member.target.address.to_string()).collect();
        format!("{} {} {}", set.owner, set.kind, addresses.join(" "))
    };
    survey.sets.iter().map(show).collect()
}

#[test]
fn the_example_of_the_write_up_is_parked_and_put_back() {
    let text = file(
        ";; BALANCED_AUTOCHECK::80\nwww\t\t60\tIN\tA\t192.0.2.1\nwww\t\t60\tIN\tA\t192.0.2.2\n\nmail 60 IN A 192.0.2.9\n",
    );
    let parked = round(&text, &["192.0.2.2"]);
    assert_eq!(rest(&parked), rest(&text).replace("www\t\t60\tIN\tA\t192.0.2.2", ";;www\t\t60\tIN\tA\t192.0.2.2"));
    let back = round(&parked, &[]);
    assert_eq!(rest(&back), rest(&text));
    assert!(parked.contains("2026112100 ; serial") && back.contains("2026112101 ; serial"));
}

#[test]
fn a_file_that_the_old_script_parked_is_understood() {
    let text = file(";;BALANCED_AUTOCHECK::80\n;;www 60 IN A 192.0.2.1\nwww 60 IN A 192.0.2.2\n");
    assert_eq!(covered(&text), ["www. A 192.0.2.1 192.0.2.2"]);
    assert_eq!(rest(&round(&text, &[])), rest(&text).replace(";;www", "www"));
}

#[test]
fn unknown_verdicts_keep_each_record_as_it_is() {
    let text = file(";; BALANCED_AUTOCHECK::80\n;;www A 192.0.2.1\nwww A 192.0.2.2\n");
    let survey = survey(text.as_bytes(), None);
    let plan = plan(text.as_bytes(), &survey, &HashMap::new(), WHEN, false);
    assert!(plan.is_empty() && plan.serial.is_none());
}

#[test]
fn an_operators_order_parks_but_never_empties() {
    let text = file(";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\nwww A 192.0.2.2\n");
    let survey = survey(text.as_bytes(), None);
    let one = verdicts(&survey, State::Up, &[("192.0.2.1", State::Draining)]);
    let first = plan(text.as_bytes(), &survey, &one, WHEN, false);
    assert_eq!(first.changes.len(), 1);
    assert!(first.changes[0].is_parked);
    // The one that is down stays rather than the one that was ordered away.
    let both = verdicts(&survey, State::Down, &[("192.0.2.1", State::Maintenance)]);
    let second = plan(text.as_bytes(), &survey, &both, WHEN, is_blind([&survey], &both));
    let parked: Vec<String> = second.changes.iter().map(|change| change.target.address.to_string()).collect();
    assert_eq!(parked, ["192.0.2.1"]);
    assert_eq!(second.held.len(), 1);
}

#[test]
fn a_record_over_several_lines_is_parked_line_by_line() {
    let text = file(";; BALANCED_AUTOCHECK::80\nwww A ( ; first\n 192.0.2.1\n)\nwww A 192.0.2.2\n");
    let parked = round(&text, &["192.0.2.1"]);
    assert_eq!(rest(&parked), ";; BALANCED_AUTOCHECK::80\n;;www A ( ; first\n;; 192.0.2.1\n;;)\nwww A 192.0.2.2\n");
    assert_eq!(rest(&round(&parked, &[])), rest(&text));
}

#[test]
fn a_ttl_taken_from_a_parked_record_is_written_out() {
    let text = "@ 300 SOA ns root 7 1 1 1 1\n@ NS ns\n;; BALANCED_AUTOCHECK::80\nwww 30 A 192.0.2.1\nwww A 192.0.2.2\nmail A 192.0.2.9\n";
    let parked = round(text, &["192.0.2.1"]);
    assert_eq!(
        rest(&parked),
        ";; BALANCED_AUTOCHECK::80\n;;www 30 A 192.0.2.1\nwww 30 A 192.0.2.2\nmail A 192.0.2.9\n"
    );
}

#[test]
fn an_owner_is_written_absolute_after_another_origin() {
    let text = file(
        ";; BALANCED_OPTIONS: owners=any\n;; BALANCED_AUTOCHECK::80\ny A 192.0.2.8\nx A 192.0.2.2\ny A 192.0.2.7\n$ORIGIN b.example.\n MX 10 m\n",
    );
    let parked = round(&text, &["192.0.2.7"]);
    assert!(parked.ends_with("x A 192.0.2.2\n;;y A 192.0.2.7\n$ORIGIN b.example.\ny. MX 10 m\n"), "{parked}");
    // Where the owner still stands before it, nothing is written.
    assert!(round(&text, &["192.0.2.8"]).ends_with("$ORIGIN b.example.\n MX 10 m\n"));
}

#[test]
fn serials_keep_their_style_and_always_rise() {
    let cases = [
        (2_026_112_001, 2_026_112_100),
        (2_026_112_100, 2_026_112_101),
        (2_026_112_199, 2_026_112_200),
        (2_030_010_105, 2_030_010_106),
        (1_794_999_000, 1_795_000_000),
        (1_795_000_000, 1_795_000_001),
        (7, 8),
        (u32::MAX, 1),
        (4_000_000_000, 4_000_000_001),
    ];
    for (before, after) in cases {
        assert_eq!(bump(before, WHEN), after, "{before}");
    }
}

#[test]
fn wrong_headers_and_options_are_errors() {
    for line in [
        "; BALANCED_AUTOCHECK::80",
        " ;; BALANCED_AUTOCHECK::80",
        ";; BALANCED_AUTOCHECK:80",
        ";; BALANCED_AUTOCHECK::",
        ";; BALANCED_AUTOCHECK::0",
        ";; BALANCED_AUTOCHECK::99999",
        ";; BALANCED_AUTOCHECK::80 please",
        ";; BALANCED_OPTIONS: rise=0",
        ";; BALANCED_OPTIONS: http=health",
        ";; BALANCED_OPTIONS: colour=red",
    ] {
        let text = file(&format!("{line}\nwww A 192.0.2.1\n"));
        assert_eq!(codes(&text, Severity::Error), ["checker-header"], "{line}");
        let survey = survey(text.as_bytes(), None);
        let plan = plan(text.as_bytes(), &survey, &HashMap::new(), WHEN, false);
        assert!(plan.refused.is_some());
    }
}

#[test]
fn options_reach_the_sets() {
    let text = file(
        ";; BALANCED_OPTIONS: rise=3 fall=4 min=2 http=/health owners=any\n;; BALANCED_AUTOCHECK::8080\na A 192.0.2.1\nb A 192.0.2.2\n",
    );
    let survey = survey(text.as_bytes(), None);
    assert_eq!(survey.sets.len(), 2);
    let set = &survey.sets[1];
    assert_eq!((set.options.rise, set.options.fall, set.options.min, set.line), (3, 4, 2, 6));
    assert_eq!(set.members[0].target.check, Check::Http("/health".to_owned()));
    assert_eq!(set.members[0].target.port, 8080);
}

#[test]
fn a_comment_on_a_record_may_speak_of_headers() {
    let text = file(";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1 ; BALANCED_AUTOCHECK by ops\nwww A 192.0.2.2\n");
    let parked = round(&text, &["192.0.2.1"]);
    assert_eq!(covered(&parked), covered(&text));
    assert_eq!(rest(&round(&parked, &[])), rest(&text));
}

#[test]
fn a_record_on_too_many_lines_to_be_parked_is_an_error() {
    let text = file(&format!(";; BALANCED_AUTOCHECK::80\nwww A ({}192.0.2.1)\nwww A 192.0.2.2\n", "\n".repeat(16)));
    assert_eq!(codes(&text, Severity::Error), ["checker-address"]);
}

#[test]
fn an_unreadable_line_keeps_its_owner_too() {
    let text = file("ftp A 192.0.2.7\n;; BALANCED_AUTOCHECK::80\n;;www A 192.0.2.1\n FOO bar ( x\n y )\n");
    assert!(round(&text, &["192.0.2.7"]).ends_with("www A 192.0.2.1\n FOO bar ( x\n y )\n"));
    let text = text
        .replace(" FOO", "www A 192.0.2.2\n FOO")
        .replace(";;www", "www")
        .replace("www A 192.0.2.2", "    A 192.0.2.2");
    assert!(round(&text, &["192.0.2.1"]).contains("\nwww    A 192.0.2.2\n FOO bar"));
    assert!(round(&text, &["192.0.2.2"]).contains("\n;;    A 192.0.2.2\n FOO bar"));
}

#[test]
fn a_line_that_cannot_be_a_record_of_ours_is_left_alone() {
    // Types that this reader does not know keep the chain of owners intact.
    let text = file(
        "x LOC 52 22 23.000 N 4 53 32.000 E\n;; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\nwww A 192.0.2.2\n LOC 1 N 1 E\n",
    );
    assert_eq!(rest(&round(&round(&text, &["192.0.2.1"]), &[])), rest(&text));
}

proptest! {
    #[test]
    fn parking_and_putting_back_restores_every_byte(
        blanks in prop::collection::vec("[ \t]{1,3}", 12),
        tails in prop::collection::vec("(| ; note|\t;; x)", 6),
        down in prop::collection::vec(any::<bool>(), 6),
    ) {
        let mut block = ";; BALANCED_AUTOCHECK::80\n".to_owned();
        for at in 0..6 {
            let owner = if at % 3 == 0 || at == 1 { "www" } else { "www.x" }.split('.').next().unwrap();
            block.push_str(&format!("{owner}{}IN A{}192.0.2.{at}{}\n", blanks[at], blanks[at + 6], tails[at]));
        }
        let text = file(&block);
        let addresses: Vec<String> = (0..6).filter(|at| down[*at]).map(|at| format!("192.0.2.{at}")).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        if addresses.len() < 6 {
            let parked = round(&text, &addresses);
            assert_eq!(parked.matches("\n;;www").count(), addresses.len());
            assert_eq!(rest(&round(&parked, &[])), rest(&text));
        }
    }

    #[test]
    fn no_file_makes_the_checker_panic_or_change_a_meaning(
        lines in prop::collection::vec("(;; BALANCED_AUTOCHECK::80|;;www A 192.0.2.1| A 192.0.2.2|www 5 A 192.0.2.3|ftp A \\( 192.0.2.4|\\)|;; x|;; A 192.0.2.5|\\$ORIGIN x\\.|\\$TTL 9|m MX 1 m| FOO x|\"q\" A 192\\.0\\.2\\.1|;; BALANCED_OPTIONS: owners=any min=2|www A \\(|192\\.0\\.2\\.1 \\) ; BALANCED_AUTOCHECK|;;www A \\(| AAAA ::1|@ 7 AAAA ::2|| TXT \"a|)\n", 0..14),
        states in prop::collection::vec(0..3_u8, 6),
    ) {
        let text = file(&lines.concat());
        let survey = survey(text.as_bytes(), None);
        let state = |target: &Target| {
            let last = target.address.to_string().bytes().last().unwrap_or(b'0') - b'0';
            [State::Up, State::Down, State::Unknown][usize::from(states[usize::from(last) % 6])]
        };
        let verdicts: HashMap<Target, State> = survey.targets().into_iter().map(|t| (t.clone(), state(&t))).collect();
        let plan = plan(text.as_bytes(), &survey, &verdicts, WHEN, false);
        if let Some(why) = &plan.refused {
            assert!(survey.is_broken(), "{why}\n{text}");
        }
        let after = plan.apply(text.as_bytes()).unwrap();
        assert!(plan.edits.windows(2).all(|pair| pair[0].end <= pair[1].start));
        for set in &super::survey(&after, None).sets {
            let live = set.members.iter().filter(|member| !member.is_parked).count();
            assert!(live >= 1 || survey.is_broken() || plan.is_empty(), "{text}");
        }
    }

    #[test]
    fn no_bytes_make_the_survey_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survey(&bytes, None);
    }
}

//! The twenty known defects of the script that the checker replaces, each shown mended.

use super::*;

const TWO: &str = ";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\nwww A 192.0.2.2\n";

#[test]
fn w1_the_serial_is_bumped_in_a_soa_over_several_lines() {
    assert!(round(&file(TWO), &["192.0.2.1"]).contains("( 2026112100 ; serial\n"));
}

#[test]
fn w2_all_down_at_once_changes_nothing_and_a_set_keeps_one() {
    let text = file(&format!("{TWO}\n;; BALANCED_AUTOCHECK::25\nmail A 192.0.2.9\n"));
    let survey = survey(text.as_bytes(), None);
    let all = verdicts(&survey, State::Down, &[]);
    assert!(is_blind([&survey], &all));
    assert!(is_blind([&survey], &verdicts(&survey, State::Unknown, &[("192.0.2.1", State::Down)])));
    assert!(!is_blind([&survey], &verdicts(&survey, State::Unknown, &[])));
    assert!(!is_blind([&survey], &verdicts(&survey, State::Down, &[("192.0.2.9", State::Up)])));
    let blind = plan(text.as_bytes(), &survey, &all, WHEN, true);
    assert!(blind.is_empty() && blind.refused.unwrap().contains("cut off"));
    // With one target alive elsewhere the set is really dead; one record stays.
    let kept = round(&text, &["192.0.2.1", "192.0.2.2"]);
    assert_eq!(kept.matches(";;www").count(), 1);
    // A set that the old script emptied gets one back.
    let emptied = text.replace("www A", ";;www A");
    assert_eq!(round(&emptied, &["192.0.2.1", "192.0.2.2"]).matches(";;www").count(), 1);
}

#[test]
fn w3_the_new_text_is_whole_before_anything_is_written() {
    let text = file(TWO);
    let survey = survey(text.as_bytes(), None);
    let made =
        plan(text.as_bytes(), &survey, &verdicts(&survey, State::Up, &[("192.0.2.1", State::Down)]), WHEN, false);
    let after = made.apply(text.as_bytes()).unwrap();
    assert_eq!(after.len(), text.len() + 2);
    assert!(crate::zone::load("z", after, &"example.".parse().unwrap(), &mut crate::zone::NoSource).problems.len() < 2);
}

#[test]
fn w4_an_editors_change_in_between_is_never_overwritten() {
    let text = file(TWO);
    let read = survey(text.as_bytes(), None);
    let states = verdicts(&read, State::Up, &[("192.0.2.1", State::Down)]);
    let made = plan(text.as_bytes(), &read, &states, WHEN, false);
    let edited = text.replace("192.0.2.2", "192.0.2.3");
    assert_eq!(made.apply(edited.as_bytes()), Err(Stale));
    assert!(plan(edited.as_bytes(), &read, &states, WHEN, false).refused.is_some());
}

#[test]
fn w5_nothing_to_do_is_no_edit() {
    let text = file(TWO);
    assert_eq!(round(&text, &[]), text);
}

#[test]
fn w6_a_failed_command_is_owed_until_it_succeeds_and_over_restarts() {
    let at = Duration::from_secs;
    let mut follow = Follow::default();
    assert_eq!((follow.is_due(at(0)), follow.to_text()), (false, ""));
    follow.owe(at(10));
    assert!(follow.is_due(at(10)));
    follow.ran(false, at(10));
    assert!(!follow.is_due(at(10)) && follow.is_due(at(11)));
    follow.ran(false, at(11));
    assert_eq!(follow.next(), Some(at(13)));
    for _ in 0..40 {
        follow.ran(false, at(100));
    }
    assert_eq!(follow.next(), Some(at(400)));
    let mut restarted = Follow::from_text(follow.to_text(), at(0));
    assert!(restarted.is_due(at(0)));
    restarted.ran(true, at(1));
    assert_eq!(restarted, Follow::default());
}

#[test]
fn w7_what_is_no_zone_file_is_passed_over() {
    let text = file(TWO);
    let read = survey(text.as_bytes(), None);
    for name in ["z.db.jnl", "z.db.signed", "z.db~", ".z.db.swp", "z.jbk"] {
        assert_eq!(refusal(name, &[], text.as_bytes(), &read), Some(Refusal::NotAZoneFile), "{name}");
    }
    assert_eq!(refusal("z.db", &[], text.as_bytes(), &read), None);
    let plain = survey(TOP.as_bytes(), None);
    assert_eq!(refusal("z.db", &[], TOP.as_bytes(), &plain), Some(Refusal::NoHeader));
    assert_eq!(refusal("z.db", &[], b"\0binary", &read), Some(Refusal::NotAZoneFile));
}

#[test]
fn w8_dynamic_and_signed_zones_are_refused_with_the_way_out() {
    let text = file(TWO);
    let read = survey(text.as_bytes(), None);
    let dynamic = refusal("z.db", &["a.db.jnl", "z.db.jnl"], text.as_bytes(), &read).unwrap();
    assert_eq!(dynamic, Refusal::Dynamic);
    assert!(dynamic.text().contains("RFC 2136"));
    let signed = format!("{text}www RRSIG A 8 2 60 2026 2026 1 a. AAAA\n");
    assert_eq!(refusal("z.db", &[], signed.as_bytes(), &survey(signed.as_bytes(), None)), Some(Refusal::Signed));
}

#[test]
fn w9_a_header_right_after_a_block_begins_the_next() {
    let text = file(";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n;; BALANCED_AUTOCHECK::25\nmail A 192.0.2.9\n");
    assert_eq!(covered(&text), ["www. A 192.0.2.1", "mail. A 192.0.2.9"]);
}

#[test]
fn w10_every_legal_spelling_is_covered() {
    for record in [
        "@ A 192.0.2.1",
        "* A 192.0.2.1",
        "*.x 60 IN A 192.0.2.1",
        "www IN A 192.0.2.1",
        "www 1h A 192.0.2.1",
        "www IN 120 A 192.0.2.1",
        "www in a 192.0.2.1",
        "xn--bcher-kva A 192.0.2.1",
        "www.example.org. A 192.0.2.1",
        "www A (192.0.2.1)",
        "www A 192.0.2.1;note",
        "www TYPE1 \\# 4 C0000201",
    ] {
        let text = file(&format!(";; BALANCED_AUTOCHECK::80\n{record}\n"));
        let found = survey(text.as_bytes(), None);
        assert_eq!(found.targets().len(), 1, "{record}: {:?}", found.problems);
        assert_eq!(found.targets()[0].address.to_string(), "192.0.2.1");
    }
    assert_eq!(codes(&file(";; BALANCED_AUTOCHECK::80\n\nwww A 192.0.2.1\n"), Severity::Error), ["checker-header"]);
    assert_eq!(codes(&file(";; BALANCED_AUTOCHECK::80\nwww CNAME x.\n"), Severity::Error), ["checker-header"]);
    assert!(
        codes(&file(";; BALANCED_AUTOCHECK::80\nwww A 258.421.3.125\n"), Severity::Error).contains(&"checker-address")
    );
}

#[test]
fn w11_records_without_owner_keep_the_owner_of_a_parked_one() {
    let text = file("ftp A 192.0.2.7\n;; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n    A 192.0.2.2\n    MX 10 mail\n");
    let parked = round(&text, &["192.0.2.1"]);
    let wanted = "ftp A 192.0.2.7\n;; BALANCED_AUTOCHECK::80\n;;www A 192.0.2.1\nwww    A 192.0.2.2\n    MX 10 mail\n";
    assert_eq!(rest(&parked), wanted);
    // Both parked in turn: the mail record still belongs to www.
    let text =
        file("ftp A 192.0.2.7\n;; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n    AAAA 2001:db8::1\n\n    MX 10 mail\n");
    let swapped = round(&text, &[]);
    assert_eq!(swapped, text);
}

#[test]
fn w11_what_the_old_script_broke_is_mended() {
    let text = file("ftp A 192.0.2.7\n;; BALANCED_AUTOCHECK::80\n;;www 60 IN A 192.0.2.1\n    A 192.0.2.2\n");
    let mended = round(&text, &["192.0.2.1"]);
    assert!(mended.ends_with(";;www 60 IN A 192.0.2.1\nwww    A 192.0.2.2\n"), "{mended}");
}

#[test]
fn w12_a_block_ends_where_another_owner_begins() {
    let text = file(";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\nftp A 192.0.2.9\n");
    assert_eq!(covered(&text), ["www. A 192.0.2.1"]);
    assert_eq!(codes(&text, Severity::Warning), ["checker-owner"]);
}

#[test]
fn w12_a_record_cut_off_by_a_comment_is_warned_of() {
    for between in ["", "; a note"] {
        for record in ["www A 192.0.2.2", ";;www A 192.0.2.2"] {
            let text = file(&format!(";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n{between}\n{record}\n"));
            assert_eq!(codes(&text, Severity::Warning), ["checker-uncovered"], "{between} {record}");
        }
        let other =
            file(&format!(";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n{between}\nftp A 192.0.2.2\nwww A 192.0.2.3\n"));
        assert!(codes(&other, Severity::Warning).is_empty());
    }
}

#[test]
fn w13_ipv6_addresses_are_a_set_of_their_own() {
    let text = file(
        ";; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\nwww AAAA 2001:db8::1\nwww A 192.0.2.2\nwww AAAA 2001:db8::2\n",
    );
    assert_eq!(covered(&text), ["www. A 192.0.2.1 192.0.2.2", "www. AAAA 2001:db8::1 2001:db8::2"]);
    let parked = round(&text, &["2001:db8::1", "2001:db8::2"]);
    assert_eq!(parked.matches(";;www AAAA").count(), 1, "the AAAA set keeps one");
}

#[test]
fn w14_a_failure_of_our_own_is_no_verdict_on_the_target() {
    let options = SetOptions { rise: 1, fall: 1, ..SetOptions::default() };
    let mut tally = Tally::new(false);
    for _ in 0..5 {
        assert_eq!(tally.take(Probe::CannotTell, &options), State::Unknown);
    }
    assert_eq!(tally.state(), State::Up);
}

#[test]
fn w15_it_takes_several_probes_to_turn_a_verdict() {
    let options = SetOptions { rise: 2, fall: 3, ..SetOptions::default() };
    let mut tally = Tally::new(false);
    use Probe::{CannotTell, Failed, Passed};
    let steps = [
        (Failed, State::Up),
        (Failed, State::Up),
        (Passed, State::Up),
        (Failed, State::Up),
        (CannotTell, State::Unknown),
        (Failed, State::Up),
        (Failed, State::Down),
        (Passed, State::Down),
        (Failed, State::Down),
        (Passed, State::Down),
        (Passed, State::Up),
    ];
    for (at, (probe, state)) in steps.into_iter().enumerate() {
        assert_eq!(tally.take(probe, &options), state, "step {at}");
    }
}

#[test]
fn w16_a_set_can_ask_for_an_http_check() {
    let text = file(";; BALANCED_OPTIONS: http=/check.txt\n;; BALANCED_AUTOCHECK::80\nwww A 192.0.2.1\n");
    assert_eq!(survey(text.as_bytes(), None).targets()[0].check, Check::Http("/check.txt".to_owned()));
    // The options stand before the header, so the old script still sees the block.
    assert_eq!(
        codes(&file(";; BALANCED_OPTIONS: http=/check.txt\nwww A 192.0.2.1\n"), Severity::Error),
        ["checker-header"]
    );
}

#[test]
fn w17_spacing_and_comments_of_a_parked_record_come_back() {
    let text =
        file(";; BALANCED_AUTOCHECK::80\nwww  \t 60   IN A\t192.0.2.1   ; the old one, ä\r\nwww A 192.0.2.2\r\n");
    let parked = round(&text, &["192.0.2.1"]);
    assert!(parked.contains("\n;;www  \t 60   IN A\t192.0.2.1   ; the old one, "));
    assert_eq!(rest(&round(&parked, &[])), rest(&text));
}

#[test]
fn w18_the_command_is_words_with_the_zone_filled_in() {
    let words: Vec<String> = ["rndc", "reload", "{zone}", "{file}"].map(str::to_owned).to_vec();
    assert_eq!(fill_command(&words, "a; rm -rf .", "/z"), ["rndc", "reload", "a; rm -rf .", "/z"]);
}

#[test]
fn w19_a_ttl_longer_than_a_verdict_takes_is_warned_of() {
    let text = file(";; BALANCED_AUTOCHECK::80\nwww 1d A 192.0.2.1\n");
    let found = survey(text.as_bytes(), None);
    assert_eq!(found.ttl_warnings(120).len(), 1);
    assert!(found.ttl_warnings(86_400).is_empty());
}

#[test]
fn w20_what_would_change_can_be_shown_line_by_line() {
    let text = file(TWO);
    let after = round(&text, &["192.0.2.2"]);
    let shown = diff(text.as_bytes(), after.as_bytes());
    assert_eq!(shown[3..], ["@@ 7 @@", "-www A 192.0.2.2", "+;;www A 192.0.2.2"]);
    assert!(diff(text.as_bytes(), text.as_bytes()).is_empty());
}

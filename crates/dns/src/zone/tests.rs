use std::collections::HashMap;

use proptest::prelude::{any, prop, proptest};
use serde_json::Value;

mod reread;

use super::*;
use crate::kind::Type;
use crate::tests::recorded::{cases, text};

/// The top of a small sound zone, in one line so that line numbers in tests are plain.
const TOP: &str = "$TTL 1h\n@ SOA ns.other. root 1 1h 15m 4w 30\n@ NS ns.other.\n";

struct Files(HashMap<&'static str, &'static str>);

impl Source for Files {
    fn read(&mut self, _from: &str, file: &str) -> Result<(String, Vec<u8>), String> {
        let text = self.0.get(file).ok_or("there is no such file")?;
        Ok((file.to_owned(), text.as_bytes().to_vec()))
    }
}

fn load_text(text: &str) -> Loaded {
    load("z", text.as_bytes().to_vec(), &"example.".parse().unwrap(), &mut NoSource)
}

fn records(text: &str) -> Vec<String> {
    let loaded = load_text(text);
    let zone = loaded.zone.as_ref().unwrap_or_else(|| panic!("{text}\n{:?}", loaded.report()));
    show(zone)
}

fn show(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    for node in zone.nodes() {
        for set in node.sets.iter().filter(|set| !matches!(set.kind, Type::SOA | Type::NS)) {
            for data in &set.data {
                lines.push(format!("{} {} {} {}", node.name, set.ttl, set.kind, data.show(set.kind)));
            }
        }
    }
    lines
}

#[test]
fn every_way_to_write_a_record_is_read() {
    let cases: [(&str, &[&str]); 12] = [
        ("www A 192.0.2.1", &["www.example. 3600 A 192.0.2.1"]),
        ("www 60 IN A 192.0.2.1", &["www.example. 60 A 192.0.2.1"]),
        ("www IN 1m30s A 192.0.2.1", &["www.example. 90 A 192.0.2.1"]),
        ("www in a 192.0.2.1 ; note", &["www.example. 3600 A 192.0.2.1"]),
        ("@ A 192.0.2.1\n  A 192.0.2.2", &["example. 3600 A 192.0.2.1", "example. 3600 A 192.0.2.2"]),
        ("*.w TXT ( \"a\"\n ; inside\n b )", &["*.w.example. 3600 TXT \"a\" \"b\""]),
        (
            "$ORIGIN sub\nx A 192.0.2.1\n@ A 192.0.2.2",
            &["sub.example. 3600 A 192.0.2.2", "x.sub.example. 3600 A 192.0.2.1"],
        ),
        ("a\\.b A 192.0.2.1", &["a\\.b.example. 3600 A 192.0.2.1"]),
        ("x TYPE1 \\# 4 C0000201", &["x.example. 3600 A 192.0.2.1"]),
        ("x CLASS1 TYPE65280 \\# 1 ff", &["x.example. 3600 TYPE65280 \\# 1 FF"]),
        ("x A 192.0.2.1\r\ny A 192.0.2.2\r\n", &["x.example. 3600 A 192.0.2.1", "y.example. 3600 A 192.0.2.2"]),
        ("in a 192.0.2.1\n$TTL 5\nttl A 192.0.2.2", &["in.example. 3600 A 192.0.2.1", "ttl.example. 5 A 192.0.2.2"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(records(&format!("{TOP}{text}")), wanted, "{text}");
    }
}

#[test]
fn a_missing_ttl_is_the_one_before_or_the_minimum_of_the_soa() {
    let text = "@ SOA ns.other. root 1 2 3 4 77\n NS ns.other.\na 5 A 192.0.2.1\nb A 192.0.2.1\n";
    assert_eq!(records(text), ["a.example. 5 A 192.0.2.1", "b.example. 5 A 192.0.2.1"]);
    let loaded = load_text("@ NS ns.other.\n");
    assert!(loaded.problems.iter().any(|problem| problem.code == "zone-ttl"));
}

#[test]
fn generate_makes_its_records() {
    let text = format!(
        "{TOP}$GENERATE 1-5/2 h$ A 192.0.2.${{100,3}}\n$GENERATE 10-11 $.rev PTR n-${{0,4,x}}.host\n$GENERATE 18-18 ${{0,7,n}}.six PTR a\\$b.\n"
    );
    let wanted = [
        "h1.example. 3600 A 192.0.2.101",
        "h3.example. 3600 A 192.0.2.103",
        "h5.example. 3600 A 192.0.2.105",
        "10.rev.example. 3600 PTR n-000a.host.example.",
        "11.rev.example. 3600 PTR n-000b.host.example.",
        "2.1.0.0.six.example. 3600 PTR a\\$b.",
    ];
    assert_eq!(records(&text), wanted);
}

#[test]
fn generate_reads_quoted_data_and_nibbles_as_bind_does() {
    let cases: [(&str, &[&str]); 9] = [
        ("1-1 h$ MX \"0 .\"", &["h1.example. 3600 MX 0 ."]),
        ("1-1 h$ SRV \"0 0 80 s$\"", &["h1.example. 3600 SRV 0 0 80 s1.example."]),
        ("1-1 h$ TXT \"a b $\"", &["h1.example. 3600 TXT \"a\" \"b\" \"1\""]),
        ("1-1 h$ 5 IN TXT \"\\\"a b $\\\" c\"", &["h1.example. 5 TXT \"a b 1\" \"c\""]),
        // BIND does not take several words without quotes; here they are as in any record.
        ("1-1 h$ MX 10 m$", &["h1.example. 3600 MX 10 m1.example."]),
        ("1-1 h$ TXT a \"b c\"", &["h1.example. 3600 TXT \"a\" \"b c\""]),
        ("3-3 ${0,8,n}z PTR h", &["3.0.0.0.z.example. 3600 PTR h.example."]),
        ("258-258 ${0,3,n}.z PTR h", &["2.0.1.z.example. 3600 PTR h.example."]),
        ("255-255 ${0,4,n}z PTR h", &["f.f.z.example. 3600 PTR h.example."]),
    ];
    for (line, wanted) in cases {
        assert_eq!(records(&format!("{TOP}$GENERATE {line}\n")), wanted, "{line}");
    }
    let empty = load_text(&format!("{TOP}$GENERATE 0-3 ${{0,8,n}}.z PTR h\n"));
    assert!(empty.zone.is_none(), "a label between two dots is empty");
}

#[test]
fn what_named_and_knot_refuse_is_refused() {
    for (line, code) in [
        (" $ORIGIN sub", "zone-directive"),
        ("\t$TTL 60", "zone-directive"),
        ("$ORIGIN \"sub\"", "zone-name"),
        ("$TTL \"60\"", "zone-ttl"),
        ("www A \"192.0.2.1\"", "zone-data"),
        ("www \"60\" A 192.0.2.1", "zone-record"),
        ("www \"IN\" A 192.0.2.1", "zone-record"),
        ("w\"w\"w A 192.0.2.1", "zone-name"),
        ("\\[x1/8].x A 192.0.2.1", "zone-name"),
        ("sub DS 1 8 2 abcd", "zone-data"),
    ] {
        let loaded = load_text(&format!("{TOP}{line}\n"));
        let codes: Vec<_> = loaded.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [code], "{line}: {:?}", loaded.report());
    }
}

#[test]
fn a_set_that_no_message_holds_is_refused() {
    let text = |count: usize| (0..count).fold(TOP.to_owned(), |text, n| format!("{text}big TXT {n:0>250}\n"));
    assert!(load_text(&text(200)).zone.is_some());
    let loaded = load_text(&text(260));
    let codes: Vec<_> = loaded.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["zone-set-too-large"], "{:?}", loaded.report());
}

#[test]
fn what_is_only_odd_is_taken_with_a_warning() {
    let soa = TOP.lines().nth(1).unwrap();
    for (line, code) in [(soa, "zone-duplicate"), ("www HTTPS 0 other. alpn=h2", "zone-idle-parameters")] {
        let loaded = load_text(&format!("{TOP}{line}\n"));
        let codes: Vec<_> = loaded.problems.iter().map(|problem| problem.code).collect();
        assert!(loaded.zone.is_some() && codes == [code], "{line}: {:?}", loaded.report());
    }
}

#[test]
fn a_type_that_has_no_text_here_is_said_to_be_carried() {
    let loaded = load_text(&format!("{TOP}www loc 51 30 12 N 0 7 39 W 0m\n"));
    assert!(
        loaded.report()[0].contains("`loc` is not read as text; write `TYPE29 \\# LENGTH HEX`"),
        "{:?}",
        loaded.report()
    );
    assert_eq!(records(&format!("{TOP}www TYPE29 \\# 1 ff\n")), ["www.example. 3600 TYPE29 \\# 1 FF"]);
}

#[test]
fn a_wrong_generate_is_one_error() {
    for line in [
        "5-1 a$ A 1.2.3.4",
        "0-70000 a$ A 1.2.3.4",
        "1-9/0 a$ A 1.2.3.4",
        "1-9 a$ A 1.2.3.4.$",
        "1-2 a${0,1,q} A 1.2.3.4",
        "1-2 a${-9} A 1.2.3.4",
    ] {
        let loaded = load_text(&format!("{TOP}$GENERATE {line}\n"));
        assert_eq!(loaded.problems.len(), 1, "{line}: {:?}", loaded.report());
        assert!(loaded.zone.is_none());
    }
}

#[test]
fn included_files_leave_origin_and_owner_as_they_were() {
    let mut files = Files(HashMap::from([("part", "x A 192.0.2.1\n$ORIGIN deep\ny A 192.0.2.2\n")]));
    let text = format!("{TOP}www A 192.0.2.9\n$INCLUDE part sub\n    A 192.0.2.10\nz A 192.0.2.3\n");
    let loaded = load("z", text.into_bytes(), &"example.".parse().unwrap(), &mut files);
    let wanted = [
        "x.sub.example. 3600 A 192.0.2.1",
        "y.deep.sub.example. 3600 A 192.0.2.2",
        "www.example. 3600 A 192.0.2.9",
        "www.example. 3600 A 192.0.2.10",
        "z.example. 3600 A 192.0.2.3",
    ];
    let mut wanted: Vec<String> = wanted.map(str::to_owned).to_vec();
    let mut got = show(loaded.zone.as_ref().unwrap());
    wanted.sort();
    got.sort();
    assert_eq!(got, wanted);
}

#[test]
fn includes_that_loop_or_are_missing_are_errors() {
    let mut files = Files(HashMap::from([("a", "$INCLUDE b\n"), ("b", "$INCLUDE a\n")]));
    let loaded =
        load("z", format!("{TOP}$INCLUDE a\n$INCLUDE none\n").into_bytes(), &"example.".parse().unwrap(), &mut files);
    let report = loaded.report();
    assert_eq!(report.len(), 2, "{report:?}");
    assert!(report.iter().any(|line| line.starts_with("b:1:10: error: `a` includes itself")), "{report:?}");
    assert!(report.iter().any(|line| line.starts_with("z:5:10: error: `none` cannot be included")), "{report:?}");
}

#[test]
fn all_errors_are_reported_at_once_with_their_places() {
    let text = format!(
        "{TOP}a A 258.421.3.125\nb AAA 1.2.3.4\n{}. A 1.2.3.4\nc 2147483648 A 1.2.3.4\n$FOO\nd TXT \"open\ne CH A 1.2.3.4\nf OPT \\# 0\ng A (1.2.3.4\n",
        "x".repeat(64)
    );
    let report = load_text(&text).report();
    let places: Vec<&str> = report.iter().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        ["z:4:5", "z:5:3", "z:6:1", "z:7:3", "z:8:1", "z:9:7", "z:10:3", "z:11:3", "z:12:5"],
        "{report:#?}"
    );
}

#[test]
fn rules_between_records_are_kept() {
    let cases = [
        ("www CNAME a\nwww A 1.2.3.4", Some("zone-cname")),
        ("www CNAME a.\nwww CNAME b.", Some("zone-single")),
        ("d DNAME a.\nd DNAME b.", Some("zone-single")),
        ("d DNAME a.\nd NS b.", Some("zone-dname")),
        ("d DNAME a.\nx.d A 1.2.3.4", Some("zone-dname")),
        ("@ DNAME a.", None),
        ("s NS ns.s", Some("zone-glue")),
        ("s NS ns.s\nns.s A 1.2.3.4", None),
        ("s NS ns.t\nt NS ns.other.", None),
        ("s NS host", Some("zone-glue")),
        ("s NS any.w\n*.w A 1.2.3.4", None),
        ("@ SOA ns.other. root 2 1 1 1 1", Some("zone-soa")),
        ("a SOA ns.other. root 2 1 1 1 1", Some("zone-soa")),
        ("www.other. A 1.2.3.4", Some("zone-foreign-owner")),
        ("a A 1.2.3.4\na A 1.2.3.4", None),
        ("m MX 10 nowhere", None),
    ];
    for (text, code) in cases {
        let loaded = load_text(&format!("{TOP}{text}\n"));
        let errors = loaded.problems.iter().filter(|p| p.severity == Severity::Error);
        let codes: Vec<&str> = errors.map(|problem| problem.code).collect();
        assert_eq!(codes.first().copied(), code, "{text}: {:?}", loaded.report());
        assert_eq!(loaded.zone.is_none(), code.is_some());
    }
}

#[test]
fn an_odd_zone_is_taken_with_warnings() {
    let text =
        format!("{TOP}a 5 A 1.2.3.4\na 9 A 1.2.3.5\na 9 A 1.2.3.5\ns NS ns.other.\nx.s TXT hidden\nm MX 1 nowhere\n");
    let loaded = load_text(&text);
    let codes: Vec<&str> = loaded.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["zone-ttl-differs", "zone-duplicate", "zone-hidden", "zone-target"]);
    let zone = loaded.zone.unwrap();
    assert_eq!(zone.node(&"A.Example.".parse().unwrap()).unwrap().set(Type::A).unwrap().ttl, 5);
}

#[test]
fn an_empty_non_terminal_is_a_node() {
    let loaded = load_text(&format!("{TOP}a.b.c A 1.2.3.4\n"));
    let zone = loaded.zone.unwrap();
    assert!(zone.node(&"b.c.example.".parse().unwrap()).unwrap().sets.is_empty());
    assert!(zone.node(&"x.c.example.".parse().unwrap()).is_none());
    assert_eq!(zone.len(), 4);
}

#[test]
fn every_broken_recorded_zone_is_rejected() {
    let Some(cases) = cases("ferret-invalid-a.jsonl.gz") else { return };
    let mut wrong = Vec::new();
    for case in &cases {
        let rejected = case.get("rejected").filter(|value| !value.is_null());
        let by = |who| rejected.and_then(|value| value.get(who)).and_then(Value::as_bool) == Some(true);
        let must = rejected.is_none() || (by("bind") && by("knot"));
        let origin = text(case, "origin").parse().unwrap();
        let loaded = load("z", text(case, "zone").as_bytes().to_vec(), &origin, &mut NoSource);
        if must && loaded.zone.is_some() {
            wrong.push(text(case, "id").to_owned());
        }
    }
    assert!(wrong.is_empty(), "{} of {} are taken: {:?}", wrong.len(), cases.len(), wrong);
}

#[test]
fn no_sound_recorded_zone_is_rejected() {
    let Some(cases) = cases("ferret-a.jsonl.gz") else { return };
    for case in &cases {
        let origin = text(case, "origin").parse().unwrap();
        let loaded = load("z", text(case, "zone").as_bytes().to_vec(), &origin, &mut NoSource);
        assert!(loaded.zone.is_some(), "{}: {:?}\n{}", text(case, "id"), loaded.report(), text(case, "zone"));
    }
}

#[test]
fn heads_are_read_in_any_order_of_ttl_and_class() {
    let cases: [(&str, bool, Option<u32>, Type, usize); 6] = [
        ("www A x", false, None, Type::A, 2),
        ("www 60 IN A x", false, Some(60), Type::A, 4),
        ("www IN 60 A x", false, Some(60), Type::A, 4),
        ("A x", true, None, Type::A, 1),
        ("1h MX 1 x", true, Some(3600), Type::MX, 2),
        ("in in in 5 in", false, None, Type::A, 0),
    ];
    for (text, inherits, ttl, kind, data) in cases {
        let words: Vec<crate::rdata::Word<'_>> =
            text.split(' ').map(|word| crate::rdata::Word { text: word.as_bytes(), quoted: false }).collect();
        match Head::read(&words, inherits) {
            Ok(head) => {
                assert_eq!(head.ttl.map(|(_, ttl)| ttl), ttl, "{text}");
                assert_eq!((head.kind.1, head.data), (kind, data), "{text}");
            }
            Err(error) => assert_eq!((data, error.word), (0, 2), "{text}: {error:?}"),
        }
    }
}

#[test]
fn problems_past_the_cap_are_counted_and_still_refuse_the_zone() {
    let text = format!("{TOP}{}", "x A nonsense\n".repeat(1000));
    let loaded = load_text(&text);
    assert_eq!(loaded.problems.len(), evenkeel_model::caps::DNS_ZONE_PROBLEMS);
    assert!(loaded.zone.is_none());
}

#[test]
fn a_zone_of_many_records_is_read_whole() {
    let text = format!("{TOP}$GENERATE 1-20000 h$ A 192.0.2.1\n$GENERATE 1-20000 t$ TXT x\n");
    assert_eq!(load_text(&text).zone.unwrap().len(), 40_001);
}

fn assert_covers(bytes: &[u8]) {
    let mut at = 0;
    for line in ZoneText::new(bytes).lines {
        assert_eq!(line.start, at);
        for token in &line.tokens {
            assert_eq!(token.start, at);
            assert!(token.end > token.start);
            at = token.end;
        }
        assert_eq!(line.end, at);
    }
    assert_eq!(at, bytes.len());
}

proptest! {
    #[test]
    fn tokens_cover_every_byte(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_covers(&bytes);
    }

    #[test]
    fn tokens_cover_text_that_looks_like_a_zone(text in "[a-c0-9 \t\r\n;()\"\\\\$.@]{0,120}") {
        assert_covers(text.as_bytes());
        load_text(&text);
    }

    #[test]
    fn no_bytes_make_loading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        load("z", bytes, &Name::root(), &mut NoSource);
    }
}

#[test]
fn a_record_of_a_large_set_that_stands_twice_is_found() {
    let mut text = TOP.to_owned();
    (0..100).for_each(|number| text.push_str(&format!("many PTR host{number}\n")));
    for again in ["many PTR HOST3\n", "Many PTR host70.example.\n", "many PTR host99\n"] {
        let report = load_text(&format!("{text}{again}")).report();
        assert_eq!(report.len(), 1, "{again}: {report:?}");
        assert!(report[0].contains("stands twice (zone-duplicate)"), "{report:?}");
    }
    assert_eq!(records(&text).len(), 100);
}

#[test]
fn a_problem_tells_its_place_whatever_the_case_of_its_owner() {
    let text = format!("{TOP}ns3 A 192.0.2.1\nAlias CNAME www\nalias A 192.0.2.3\nwww A 192.0.2.2\n");
    assert_eq!(load_text(&text).report().len(), 1);
    assert!(load_text(&text).report()[0].starts_with("z:5:1: error: `Alias.example.` has a CNAME"));
}

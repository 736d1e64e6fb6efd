use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn text_round_trips_with_escapes() {
    for text in [".", "a.", "www.example.com.", "a\\.b.example.", "\\000\\255x.y.", "*.a.", "\\@.a.", "a\\\"b\\;\\(.c."]
    {
        assert_eq!(name(text).to_string(), text);
    }
}

#[test]
fn a_relative_name_takes_the_origin() {
    let origin = name("example.com.");
    assert_eq!(Name::from_text(b"www", Some(&origin)).unwrap().to_string(), "www.example.com.");
    assert_eq!(Name::from_text(b"www.", Some(&origin)).unwrap().to_string(), "www.");
    assert_eq!(Name::from_text(b"www", None), Err(NameError::NoOrigin));
}

#[test]
fn what_is_no_name_is_refused_with_its_reason() {
    let long_label = "x".repeat(64);
    let long_name = format!("{0}.{0}.{0}.{0}.", "x".repeat(63));
    let cases: [(&str, NameError); 6] = [
        ("", NameError::EmptyLabel),
        ("a..b.", NameError::EmptyLabel),
        (".a.", NameError::EmptyLabel),
        (&long_label, NameError::LabelTooLong(64)),
        (&long_name, NameError::NameTooLong(257)),
        ("a\\25.", NameError::BadEscape),
    ];
    for (text, error) in cases {
        assert_eq!(Name::from_text(text.as_bytes(), Some(&Name::root())), Err(error), "{text}");
    }
    assert_eq!("a\\256.".parse::<Name>(), Err(NameError::BadEscape));
    assert_eq!("a\\".parse::<Name>(), Err(NameError::BadEscape));
}

#[test]
fn equality_and_order_ignore_case_and_keep_it() {
    assert_eq!(name("WWW.Example."), name("www.example."));
    assert_eq!(name("WWW.Example.").to_string(), "WWW.Example.");
    // The example of RFC 4034, 6.1.
    let sorted = [
        "example.",
        "a.example.",
        "yljkjljk.a.example.",
        "Z.a.example.",
        "zABC.a.EXAMPLE.",
        "z.example.",
        "\\001.z.example.",
        "*.z.example.",
        "\\200.z.example.",
    ];
    let mut names: Vec<Name> = sorted.iter().rev().map(|text| name(text)).collect();
    names.sort();
    let texts: Vec<String> = names.iter().map(Name::to_string).collect();
    assert_eq!(texts, sorted);
}

#[test]
fn below_and_within_go_by_labels_not_by_letters() {
    assert!(name("a.example.").is_below(&name("EXAMPLE.")));
    assert!(name("example.").is_within(&name("example.")));
    assert!(!name("example.").is_below(&name("example.")));
    assert!(!name("badexample.").is_within(&name("example.")));
    assert!(name("example.").is_below(&Name::root()));
}

#[test]
fn rebase_replaces_the_end_and_refuses_what_grows_too_long() {
    let moved = name("a.b.old.").rebase(&name("old."), &name("new.home.")).unwrap().unwrap();
    assert_eq!(moved.to_string(), "a.b.new.home.");
    assert_eq!(name("old.").rebase(&name("old."), &name("new.")).unwrap(), None);
    let long = name(&format!("{0}.{0}.{0}.x.", "a".repeat(63)));
    assert!(long.rebase(&name("x."), &name(&format!("{}.", "b".repeat(62)))).is_err());
    assert_eq!(name("a.b.").rebase(&Name::root(), &name("c.")).unwrap().unwrap().to_string(), "a.b.c.");
}

#[test]
fn relative_text_is_what_a_zone_file_would_say() {
    let origin = name("example.");
    assert_eq!(name("example.").relative_to(&origin), "@");
    assert_eq!(name("a.b.example.").relative_to(&origin), "a.b");
    assert_eq!(name("other.").relative_to(&origin), "other.");
}

#[test]
fn the_canonical_order_is_that_of_labels_from_the_right() {
    // RFC 4034, 6.1, and names of most labels and of most bytes.
    let order = ["example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example."];
    let most = vec!["a"; 127].join(".") + ".";
    let long = [&"b".repeat(63)[..]; 3].join(".") + "." + &"c".repeat(61) + ".";
    let names =
        || order.iter().copied().chain([most.as_str(), long.as_str(), "."]).map(|text| text.parse::<Name>().unwrap());
    for (a, b) in names().take(6).zip(names().take(6).skip(1)) {
        assert!(a < b, "{a} {b}");
    }
    let by_labels = |name: &Name| -> Vec<Vec<u8>> {
        let mut labels: Vec<_> = name.labels().map(<[u8]>::to_ascii_lowercase).collect();
        labels.reverse();
        labels
    };
    for a in names() {
        for b in names() {
            assert_eq!(a.cmp(&b), by_labels(&a).cmp(&by_labels(&b)), "{a} {b}");
        }
    }
}

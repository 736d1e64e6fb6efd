use std::fs;

use evenkeel_config::{MemorySource, Options, load_text};
use evenkeel_dns::answer::{Live, Way};
use evenkeel_dns::wire::{Question, write_query};
use evenkeel_dns::{Class, Rcode};

use super::super::{ZoneNews, news};
use super::*;
use crate::scratch::Scratch;

/// A block with two zone files and one that is made.
struct Files {
    scratch: Scratch,
    loaded: Loaded,
}

impl Files {
    fn new() -> Self {
        let scratch = Scratch::new();
        let files = ["a", "b"].map(|zone| scratch.path().join(zone));
        let text = format!(
            "dns 127.0.0.1:5300 {{\n    zone a.example file={}\n    zone b.example file={} {{\n        name www answer=self address=192.0.2.9\n    }}\n    \
             zone c.example {{\n        ns lb1.example.com\n    }}\n}}\nhttp 127.0.0.1:8080 {{\n    to 127.0.0.1:1\n}}\n",
            files[0].display(),
            files[1].display()
        );
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        assert!(loaded.config.is_some(), "{:?}", loaded.diagnostics);
        Self { scratch, loaded }
    }

    fn write(&self, zone: &str, serial: u32, more: &str) {
        let hosts: String = (0..500).map(|number| format!("h{number} A 10.0.0.1\n")).collect();
        let text = format!("$TTL 300\n@ SOA ns.other. root {serial} 2 3 4 5\n@ NS ns.other.\n{hosts}{more}");
        fs::write(self.scratch.path().join(zone), text).unwrap();
    }

    fn load(&self, kept: &[Block]) -> Result<Vec<Block>, Vec<Diagnostic>> {
        load(self.loaded.config.as_ref().unwrap(), b"", &self.loaded, kept)
    }
}

/// What an A query is answered with from what is ready: the code, and the last four bytes.
fn ask(block: &Block, name: &str) -> (Rcode, Vec<u8>) {
    let question = Question { name: name.parse().unwrap(), kind: Type::A, class: Class::IN };
    let (query, mut out) = (write_query(1, &question, false, None), [0; 1232]);
    let way = Way { arrived_at: None, luck: 0, udp_bytes: 1232 };
    let written = block.ready.answer(&Live::default(), &query, &way, &mut out).expect("it is ready");
    let address = out.windows(2 + 2 + 2 + 4 + 2).position(|head| head == [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
    (written.rcode, address.map_or_else(Vec::new, |at| out[at + 12..at + 16].to_vec()))
}

fn serial_of(block: &Block, zone: &str) -> u32 {
    block.zones.get(&zone.parse().unwrap()).unwrap().zone().soa().serial
}

#[test]
fn a_reload_answers_with_what_has_changed_in_files_and_keeps_the_rest() {
    let files = Files::new();
    files.write("a", 1, "old A 192.0.2.1\n");
    files.write("b", 1, "x A 192.0.2.2\nwww TXT x\n");
    let first = files.load(&[]).expect("they are sound");
    let same = files.load(&first).expect("they are sound");
    assert!(Arc::ptr_eq(&first[0].zones, &same[0].zones) && Arc::ptr_eq(&first[0].ready, &same[0].ready));

    files.write("a", 2, "new A 192.0.2.3\n");
    let next = files.load(&same).expect("they are sound");
    assert_eq!((serial_of(&next[0], "a.example."), serial_of(&next[0], "b.example.")), (2, 1));
    assert_eq!(ask(&next[0], "new.a.example."), (Rcode::NoError, vec![192, 0, 2, 3]));
    assert_eq!(ask(&next[0], "h7.a.example."), (Rcode::NoError, vec![10, 0, 0, 1]));
    assert_eq!(ask(&next[0], "x.b.example."), (Rcode::NoError, vec![192, 0, 2, 2]));
    assert_eq!(ask(&next[0], "old.a.example.").0, Rcode::NxDomain);
    assert_eq!(ask(&first[0], "old.a.example."), (Rcode::NoError, vec![192, 0, 2, 1]), "who has the old one, has it");
    assert_eq!(next[0].ready.memory(), first[0].ready.memory(), "the table is shared");

    // A change that reaches farther is taken all the same, and a wrong one refused.
    files.write("b", 2, "sub NS ns.other.\ny A 192.0.2.4\nwww TXT x\n");
    let last = files.load(&next).expect("they are sound");
    assert_eq!(ask(&last[0], "y.b.example."), (Rcode::NoError, vec![192, 0, 2, 4]));
    assert_eq!(ask(&last[0], "new.a.example."), (Rcode::NoError, vec![192, 0, 2, 3]));
    files.write("a", 3, "new A 192.0.2.300\n");
    let wrong = files.load(&last).err().expect("it is wrong");
    assert!(format!("{wrong:?}").contains("192.0.2.300"), "{wrong:?}");
}

#[test]
fn a_file_that_a_zone_includes_is_looked_at_too() {
    let files = Files::new();
    files.write("b", 1, "www TXT x\n");
    files.write("a", 1, "$INCLUDE part\n");
    fs::write(files.scratch.path().join("part"), "in A 192.0.2.1\n").unwrap();
    let first = files.load(&[]).expect("they are sound");
    let same = files.load(&first).expect("they are sound");
    assert!(Arc::ptr_eq(&first[0].ready, &same[0].ready));
    fs::write(files.scratch.path().join("part"), "in A 192.0.2.2\n").unwrap();
    let next = files.load(&same).expect("they are sound");
    assert_eq!(ask(&next[0], "in.a.example."), (Rcode::NoError, vec![192, 0, 2, 2]));
    // Beside it another zone may change.
    files.write("b", 2, "www TXT y\n");
    let next = files.load(&next).expect("they are sound");
    assert_eq!((serial_of(&next[0], "b.example."), ask(&next[0], "in.a.example.").1), (2, vec![192, 0, 2, 2]));
}

/// What a reload tells of the blocks, as the operator reads it.
fn told(before: &[Block], after: &[Block]) -> (Vec<String>, Vec<String>) {
    let ZoneNews { changes, warnings } = news(before, after);
    (changes.iter().map(ToString::to_string).collect(), warnings)
}

/// As [`Files`], with zones that secondaries have from us: that of the first file, and the one that is made.
fn with_secondaries(server: &str) -> Files {
    let scratch = Scratch::new();
    let text = format!(
        "dns 127.0.0.1:5300 {{\n    zone a.example file={0}/a {{\n        transfer 192.0.2.53\n    }}\n    \
         zone b.example file={0}/b\n    zone c.example {{\n        ns {server}\n        transfer 192.0.2.53\n    }}\n}}\n\
         http 127.0.0.1:8080 {{\n    to 127.0.0.1:1\n}}\n",
        scratch.path().display(),
    );
    let files =
        Files { scratch, loaded: load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default()) };
    files.write("a", 1, "w A 192.0.2.1\n");
    files.write("b", 1, "w A 192.0.2.1\n");
    files
}

#[test]
fn a_reload_names_zones_that_changed_and_warns_where_no_secondary_will_notice() {
    let files = with_secondaries("lb1.example.com");
    let first = files.load(&[]).expect("they are sound");
    assert_eq!(told(&[], &first), (vec![], vec![]));
    let same = files.load(&first).expect("they are sound");
    assert_eq!(told(&first, &same), (vec![], vec![]));

    // A line alone, with the serial left as it was; nobody has the other zone from us.
    files.write("a", 1, "w A 192.0.2.2\n");
    files.write("b", 1, "w A 192.0.2.2\n");
    let still = files.load(&same).expect("they are sound");
    let (changes, warnings) = told(&same, &still);
    assert_eq!(changes, ["zone a.example changed, serial still 1", "zone b.example changed, serial still 1"]);
    assert!(
        matches!(&*warnings, [one] if one.contains("`a.example`") && one.contains("write 2 or a later one")),
        "{warnings:?}"
    );

    // The whole file, since what it includes may change beside it.
    files.write("a", 0, "$INCLUDE part\n");
    fs::write(files.scratch.path().join("part"), "v A 192.0.2.1\n").unwrap();
    let back = files.load(&still).expect("they are sound");
    let (changes, warnings) = told(&still, &back);
    assert_eq!(changes, ["zone a.example changed, serial 1 -> 0"]);
    assert!(warnings.len() == 1 && warnings[0].contains("went back from 1 to 0"), "{warnings:?}");
    fs::write(files.scratch.path().join("part"), "v A 192.0.2.2\n").unwrap();
    let part = files.load(&back).expect("they are sound");
    assert_eq!(told(&back, &part).0, ["zone a.example changed, serial still 0"]);
    files.write("a", 2, "$INCLUDE part\n");
    let good = files.load(&part).expect("they are sound");
    assert_eq!(told(&part, &good), (vec!["zone a.example changed, serial 0 -> 2".to_owned()], vec![]));
}

#[test]
fn a_made_zone_whose_serial_is_older_by_chance_is_warned_of() {
    let (one, other) = (with_secondaries("lb1.example.com"), with_secondaries("lb2.example.com"));
    let here = one.load(&[]).expect("they are sound");
    let there = other.load(&[]).expect("they are sound");
    let told = [told(&here, &there), told(&there, &here)];
    assert!(
        told.iter().all(|(changes, _)| matches!(&**changes, [one] if one.starts_with("zone c.example changed"))),
        "{told:?}"
    );
    // Of two opposite changes one leads to an older serial.
    let warnings: Vec<&String> = told.iter().flat_map(|(_, warnings)| warnings).collect();
    assert!(matches!(&*warnings, [one] if one.contains("rndc retransfer c.example")), "{warnings:?}");
}

#[test]
fn a_name_that_is_chosen_by_health_may_not_go_from_its_file() {
    let files = Files::new();
    files.write("a", 1, "");
    files.write("b", 1, "www TXT x\n");
    let first = files.load(&[]).expect("they are sound");
    files.write("b", 2, "");
    let wrong = files.load(&first).err().expect("the name is missing");
    assert!(format!("{wrong:?}").contains("www.b.example."), "{wrong:?}");
    files.write("b", 2, "www CNAME h7\n");
    assert!(files.load(&first).is_err(), "beside an alias nothing is chosen");
    files.write("b", 3, "www TXT y\n");
    let next = files.load(&first).expect("they are sound");
    assert_eq!(serial_of(&next[0], "b.example."), 3);
    assert!(next[0].zones.get(&"b.example.".parse().unwrap()).unwrap().has_balanced());
}

#[test]
fn a_zone_whose_text_is_the_same_is_not_read_again_because_of_another() {
    let files = Files::new();
    files.write("a", 1, "");
    files.write("b", 1, "www A 192.0.2.1\n");
    let before = files.load(&[]).unwrap();
    // A name server that changes has its zone read as a whole.
    let text = fs::read_to_string(files.scratch.path().join("b")).unwrap();
    fs::write(files.scratch.path().join("b"), text.replace("NS ns.other.", "NS ns2.other.")).unwrap();
    let after = files.load(&before).unwrap();
    let host = |block: &[Block], zone: &str| {
        let zones = Arc::clone(&block[0].zones);
        let node = zones.get(&zone.parse().unwrap()).unwrap().zone().node(&format!("h7.{zone}").parse().unwrap());
        std::ptr::from_ref(node.unwrap())
    };
    assert_eq!(host(&before, "a.example."), host(&after, "a.example."), "it is the one that was there");
    assert_ne!(host(&before, "b.example."), host(&after, "b.example."));
}

#[test]
fn an_update_without_its_key_is_refused() {
    let scratch = Scratch::new();
    let key = scratch.path().join("ddns.key");
    let text = format!(
        "http 127.0.0.1:8080 {{\n    to 127.0.0.1:1\n}}\n\
         zonefile /etc/bind/a.zone {{\n    check tcp\n    update 127.0.0.1:53 zone=a.example key=file:{}\n}}\n",
        key.display()
    );
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    assert!(loaded.config.is_some(), "{:?}", loaded.diagnostics);
    let found = problems(&loaded);
    assert!(found.len() == 1 && found[0].message.contains("no such file"), "{found:?}");
    fs::write(&key, "key \"k\" { algorithm hmac-sha256; secret \"MTIzNDU2Nzg5MDEyMzQ1Ng==\"; };\n").unwrap();
    assert_eq!(problems(&loaded), []);
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let read = || {
        let counts = fs::read_to_string("/proc/thread-self/io").unwrap();
        let read = counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        read.parse::<u64>().unwrap()
    };
    let files = Files::new();
    files.write("b", 1, "www TXT x\n");
    let sparse = |name: &str| fs::File::create(files.scratch.path().join(name)).unwrap().set_len(1 << 30).unwrap();
    for include in [false, true] {
        if include {
            files.write("a", 1, "$INCLUDE part\n");
            sparse("part");
        } else {
            sparse("a");
        }
        let before = read();
        let wrong = files.load(&[]).err().expect("it is too large");
        assert!(read() - before < 1 << 20, "{} bytes were read", read() - before);
        let wrong = format!("{wrong:?}");
        assert!(
            wrong.contains("zone-too-large") || include && wrong.contains("larger than 536870912 bytes"),
            "{wrong}"
        );
    }
}

#[test]
fn what_is_doubtful_is_told_when_it_is_read() {
    let files = Files::new();
    files.write("a", 1, "x A 192.0.2.1\nx 30 A 192.0.2.2\n");
    files.write("b", 1, "www TXT x\n");
    let first = files.load(&[]).expect("they are sound");
    let found = doubts(&first);
    assert!(
        found.len() == 1 && !found[0].is_error() && found[0].message.starts_with("zone `a.example`: "),
        "{found:?}"
    );
    assert_eq!(doubts(&files.load(&first).expect("they are sound")), [], "nothing was read");
    files.write("a", 2, "x A 192.0.2.1\nx 30 A 192.0.2.2\n");
    assert_eq!(doubts(&files.load(&first).expect("they are sound")).len(), 1);
    // Past as many as can be read, the rest is counted.
    let lines: String = (0..50).map(|at| format!("y{at} A 192.0.2.1\ny{at} 30 A 192.0.2.2\n")).collect();
    files.write("a", 3, &lines);
    let many = doubts(&files.load(&first).expect("they are sound"));
    assert_eq!(many.len(), SHOWN + 1);
    assert!(many.last().unwrap().message.contains("30 more"), "{many:?}");
}

#[test]
fn hints_that_come_into_a_zone_are_told_by_the_reload_that_brings_them() {
    let files = Files::new();
    files.write("a", 1, "");
    files.write("b", 1, "www HTTPS 1 .\n");
    let first = files.load(&[]).expect("they are sound");
    assert_eq!(doubts(&first), []);
    files.write("b", 2, "www HTTPS 1 . ipv4hint=192.0.2.1\n");
    let found = doubts(&files.load(&first).expect("they are sound"));
    assert!(found.len() == 1 && found[0].message.contains("ipv4hint"), "{found:?}");
}

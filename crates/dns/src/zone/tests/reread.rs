//! What changes in a text is read as the whole text is.

use std::sync::Arc;

use super::*;
use crate::answer::{Live, Ready, Served, Way, Zones};
use crate::kind::Class;
use crate::name::Name;
use crate::wire::{Question, write_query};

/// Numbers that look drawn (xorshift; Marsaglia 2003).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % bound
    }

    /// A line, most of them like most lines of zones; `number` tells it from others. Some are wrong, where these are wanted.
    fn line(&mut self, number: usize, wrong: bool) -> String {
        let (host, byte) = (self.below(400), self.below(250));
        match self.below(60) {
            0 => "$ORIGIN sub".to_owned(),
            1 => "$ORIGIN example.".to_owned(),
            2 => "$TTL 60\n$TTL 300".to_owned(),
            3 | 4 => format!("    TXT t{number}"),
            5 | 6 => format!(" A 192.0.2.{byte}"),
            7 | 8 => format!("w{number} TXT (\n a ; note (\n \"b (\" )\n"),
            9 => "; a comment ( \" $ORIGIN nowhere".to_owned(),
            10 => String::new(),
            11 => format!("*.v{} A 192.0.2.{byte}", number % 7),
            12 | 13 => format!("c{number} CNAME h{host}.example.\nz{number} A 192.0.2.{byte}"),
            14 | 15 => format!("m{number} MX 10 h{host}.example."),
            16 => format!("k{number} CNAME y.v{0}.example.\ns{number} SRV 1 2 3 x.v{0}.example.", number % 7),
            17 => format!("d{number} NS ns.d{number}\nns.d{number} A 192.0.2.{byte}\nz{number} TXT z"),
            18 => format!("a.b{number}.h{host} A 192.0.2.{byte}"),
            19 => format!("@ TYPE{} \\# 1 ff", 1000 + number % 5000),
            20 => format!("T{number} 600 IN A 192.0.2.1\nt{number} 600 A 192.0.2.2\nz{number} A 192.0.2.{byte}"),
            21 => format!("y.v{} TXT beside{number}", number % 7),
            22 => format!("$GENERATE 1-3 g{number}-$ A 192.0.2.$"),
            23 if wrong => format!("n{number} DNAME other."),
            24 if wrong => "www A 192.0.2.300".to_owned(),
            25 if wrong => format!("o{number} CNAME one\no{number} A 192.0.2.1"),
            // It may be there already.
            26 | 27 if wrong => format!("h{host} A 10.255.0.1"),
            _ => format!("h{number} A 10.0.{}.{byte}", number % 250),
        }
    }
}

/// The lines of a file, and how many were ever written.
struct Lines {
    draw: Draw,
    serial: u32,
    all: Vec<String>,
    written: usize,
}

impl Lines {
    fn new(seed: u64) -> Self {
        let mut lines = Self { draw: Draw(seed), serial: 1, all: Vec::new(), written: 0 };
        lines.all = (0..400).map(|host| format!("h{host} A 10.255.0.1")).collect();
        lines.all.extend((0..7).map(|number| format!("*.v{number} A 10.255.0.1")));
        lines.written = 400;
        let drawn: Vec<String> = (0..300).map(|_| lines.write()).collect();
        lines.all.extend(drawn);
        lines
    }

    fn write(&mut self) -> String {
        self.written += 1;
        self.draw.line(self.written, self.serial > 1)
    }

    /// What an editor does: mostly the serial and a line or two, sometimes more.
    fn edit(&mut self) {
        self.serial += 1;
        for _ in 0..self.draw.below(4) {
            let at = self.draw.below(self.all.len());
            let line = self.write();
            match self.draw.below(8) {
                0..4 => self.all[at] = line,
                4 | 5 => self.all.insert(at, line),
                6 => drop(self.all.remove(at)),
                _ => {
                    let to = self.draw.below(self.all.len() - 20);
                    let moved: Vec<String> = self.all.drain(to..to + 20).collect();
                    let at = at.min(self.all.len());
                    self.all.splice(at..at, moved);
                }
            }
        }
    }

    fn text(&mut self) -> Arc<Vec<u8>> {
        let end = if self.draw.below(3) == 0 { "" } else { "\n" };
        let top = "$TTL 300\n@ SOA ns1 root";
        let names = "@ NS ns1\nns1 A 192.0.2.1\n";
        Arc::new(format!("{top} {} 2 3 4 5\n{names}{}{end}", self.serial, self.all.join("\n")).into_bytes())
    }
}

fn origin() -> Name {
    "example.".parse().unwrap()
}

fn whole(text: &Arc<Vec<u8>>) -> Loaded {
    load("z", text.to_vec(), &origin(), &mut NoSource)
}

fn served(zone: &Zone) -> Zones {
    let mut zones = Zones::new();
    zones.insert(Served::plain(zone.clone()));
    zones
}

fn assert_same_zone(one: &Zone, other: &Zone, case: &str) {
    assert_eq!(one.nodes(), other.nodes(), "{case}");
    assert_eq!((one.soa(), one.soa_set(), one.len()), (other.soa(), other.soa_set(), other.len()), "{case}");
    assert_eq!(one.sheet().unwrap().records(), other.sheet().unwrap().records(), "{case}");
    assert!(one.landmarks().has_cuts >= other.landmarks().has_cuts, "{case}");
    assert!(one.landmarks().has_wildcards >= other.landmarks().has_wildcards, "{case}");
    let leading = |zone: &Zone| zone.leading().map(|node| node.name.clone()).collect::<std::collections::BTreeSet<_>>();
    assert!(leading(one).is_superset(&leading(other)), "{case}");
}

fn assert_same_answers(one: &Ready, other: &Ready, zone: &Zone, case: &str) {
    assert_eq!(one.len(), other.len(), "{case}");
    let way = Way { arrived_at: None, luck: 0, udp_bytes: 1232 };
    for name in zone.nodes().into_iter().map(|node| &node.name) {
        let missing = name.prepend(b"missing").unwrap();
        for (name, kinds) in [(name, &[Type::A, Type::TXT, Type::MX, Type::SRV, Type::SOA][..]), (&missing, &[Type::A])]
        {
            for kind in kinds {
                let question = Question { name: name.clone(), kind: *kind, class: Class::IN };
                let query = write_query(7, &question, true, Some(1232));
                let answer = |ready: &Ready| {
                    let mut out = [0; 1232];
                    let written = ready.answer(&Live::default(), &query, &way, &mut out);
                    written.map(|written| out[..written.length].to_vec())
                };
                assert_eq!(answer(one), answer(other), "{case}: {name} {kind}");
            }
        }
    }
}

#[test]
fn an_edited_text_is_read_as_a_new_one_is() {
    let (mut bases, mut read_on, mut made_on, mut edits) = (0, 0, 0, 0);
    for seed in 1..=14_u64 {
        let mut lines = Lines::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let Some(mut zone) = whole(&lines.text()).zone.filter(Zone::has_text) else { continue };
        let mut ready = Ready::compile(&served(&zone));
        bases += 1;
        for step in 0..8 {
            let unedited = lines.all.clone();
            lines.edit();
            let (text, case) = (lines.text(), format!("seed {seed}, step {step}"));
            let (expected, reread) = (whole(&text), zone.reread(&text));
            edits += 1;
            let Some(now) = expected.zone.filter(Zone::has_text) else {
                assert!(reread.is_none(), "{case}: {:?}", expected.problems);
                lines.all = unedited;
                continue;
            };
            let compiled = Ready::compile(&served(&now));
            let Some(Reread { zone: next, changed }) = reread else {
                (zone, ready) = (now, compiled);
                continue;
            };
            assert!(next.is_read_from(&text));
            assert_same_zone(&next, &now, &case);
            read_on += 1;
            let followed = ready.following(&served(&next), &changed);
            if let Some(followed) = &followed {
                made_on += 1;
                assert_same_answers(followed, &compiled, &now, &case);
            }
            (zone, ready) = (next, followed.unwrap_or(compiled));
        }
    }
    let counts = format!("{bases} bases, {edits} edits, {read_on} read on, {made_on} made on");
    assert!(bases > 6 && read_on > edits / 3 && made_on > edits / 4, "{counts}");
}

/// Many names below the apex of a zone.
fn large(more: &str) -> Arc<Vec<u8>> {
    let names: String = (0..2000).map(|number| format!("h{number} A 10.0.0.1\n")).collect();
    Arc::new(format!("{TOP}{names}{more}").into_bytes())
}

#[test]
fn a_change_that_reaches_farther_is_read_as_a_whole() {
    let more = "two A 192.0.2.1\ntwo A 192.0.2.2\nmail MX 10 two\nsub NS ns.other.\nlast A 192.0.2.3\nfar.below.last A 192.0.2.4\n";
    let zone = whole(&large(more)).zone.unwrap();
    let reread = |from: &str, to: &str| {
        let text = String::from_utf8(large(more).to_vec()).unwrap();
        assert!(text.contains(from));
        zone.reread(&Arc::new(text.replacen(from, to, 1).into_bytes()))
    };
    for (from, to, names) in [
        (" 1 1h", " 2 1h", &["example."][..]),
        ("h7 A 10.0.0.1", "h7 A 10.0.0.2", &["h7.example."]),
        ("h7 A 10.0.0.1", "h7 A 10.0.0.2\nh7 TXT x", &["h7.example."]),
        ("two A 192.0.2.1\n", "", &["two.example."]),
        ("last A 192.0.2.3\n", "last AAAA ::1\na.b A 192.0.2.4\n", &["last.example.", "a.b.example.", "b.example."]),
        ("h9 A", "*.w TXT x\nh9 A", &["*.w.example.", "w.example."]),
        ("h9 A", "; nothing\nh9 A", &[]),
        ("h9 A 10.0.0.1\n", "", &["h9.example."]),
        ("far.below.last A 192.0.2.4\n", "", &["far.below.last.example.", "below.last.example."]),
        ("last A 192.0.2.3\n", "", &["last.example."]),
    ] {
        let Some(Reread { changed, .. }) = reread(from, to) else { panic!("{to} is read as a whole") };
        let mut names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
        names.sort();
        let mut changed = changed;
        changed.sort();
        assert_eq!(changed, names, "{to}");
    }
    for (from, to) in [
        ("sub NS ns.other.", "sub NS ns2.other."),
        ("h9 A", "cut NS ns.other.\nh9 A"),
        ("h9 A", "cut DNAME other.\nh9 A"),
        ("h9 A", "h9 A 10.0.0.300\nh9 A"),
        ("h9 A", "h9 CNAME h8\nh9 A"),
        ("h9 A", "$INCLUDE file\nh9 A"),
        ("two A 192.0.2.1\ntwo A 192.0.2.2\n", "two TXT x\n"),
        ("@ SOA", "@ SOA a. b. 1 2 3 4 5\n@ SOA"),
        ("last A 192.0.2.3\n", "h5 A 192.0.2.3\n"),
        ("last A 192.0.2.3\n", "last A 192.0.2.3\nh5 A 10.0.0.1\n"),
    ] {
        assert!(reread(from, to).is_none(), "{to}");
    }
    assert!(zone.reread(&Arc::default()).is_none());
}

#[test]
fn a_zone_about_which_something_was_said_is_read_as_a_whole() {
    let zone = whole(&large("a A 192.0.2.1\na A 192.0.2.1\n")).zone.unwrap();
    assert!(!zone.has_text() && zone.reread(&large("")).is_none());
    let mut files = Files(HashMap::from([("part", "x A 192.0.2.1\n")]));
    let zone = load("z", large("$INCLUDE part\n").to_vec(), &origin(), &mut files).zone.unwrap();
    assert!(!zone.has_text() && zone.reread(&large("")).is_none());
}

#[test]
fn what_is_kept_of_old_texts_is_bounded() {
    let text = |step: usize| {
        let added: String = (0..step).map(|number| format!("added{number} A 10.0.0.1\n")).collect();
        large(&format!("alias CNAME h{step}\nold{step} A 192.0.2.1\n{added}"))
    };
    let mut zone = whole(&text(0)).zone.unwrap();
    let (mut wholes, mut most_gaps) = (0, 0);
    for step in 1..300 {
        zone = match zone.reread(&text(step)) {
            Some(Reread { zone, .. }) => zone,
            None => {
                wholes += 1;
                whole(&text(step)).zone.unwrap()
            }
        };
        most_gaps = most_gaps.max(zone.gaps());
        // The apex leads to its name server, and the alias to a name.
        assert_eq!(zone.leading().count(), 2);
    }
    assert!((1..3).contains(&wholes) && most_gaps > 200 && most_gaps < 400, "{wholes} wholes, {most_gaps} gaps");
}

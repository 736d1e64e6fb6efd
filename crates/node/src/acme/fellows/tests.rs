use evenkeel_config::{MemorySource, Options, load_text};

use super::*;

const LONG_AGO: Duration = Duration::ZERO;

fn cluster(nodes: &str) -> Cluster {
    let text = format!("http :1 {{\n respond 200\n}}\ncluster edge key=env:KEY {{\n{nodes}}}\n");
    let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
    loaded.config.unwrap().cluster.unwrap()
}

pub(in crate::acme) fn fellows(me: &str) -> Fellows {
    let cluster = cluster(" node lb1 10.0.0.1\n node lb2 10.0.0.2\n node lb3 10.0.0.3\n witness eye 10.0.0.4\n");
    let mut fellows = Fellows::of(&cluster, me).unwrap();
    // It has run for long.
    fellows.since = LONG_AGO;
    fellows
}

fn subject(hosts: &[&str]) -> Subject {
    Subject::new("https://ca.example/dir", &hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
}

fn papers(hosts: &[&str]) -> Papers {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let (chain, key) = Certificate::self_signed_pem(&hosts, clock::unix_now()).unwrap();
    Papers { chain, key }
}

fn order(hosts: &[&str]) -> ToldOrder {
    ToldOrder::new(&subject(hosts))
}

fn tell(fellows: &mut Fellows, from: &str, orders: &[ToldOrder]) -> Vec<String> {
    fellows.hear_orders(&from.into(), &serde_json::to_vec(orders).unwrap()).unwrap()
}

fn turn(fellows: &Fellows, own: &ToldOrder) -> Turn {
    fellows.turn(&subject(&["a.example"]), own, LONG_AGO)
}

#[test]
fn whoever_has_begun_goes_on_and_else_the_first_of_those_that_failed_least() {
    let it = |place, is_ordering, failures| Candidate { place, is_ordering, failures };
    for (candidates, wanted) in [
        (vec![it(1, false, 0), it(0, false, 0)], 0),
        (vec![it(0, false, 0), it(1, true, 0)], 1),
        (vec![it(2, true, 5), it(1, true, 0), it(0, false, 0)], 1),
        // One that fails gets three tries, then the next one has three, and so on.
        (vec![it(0, false, 2), it(1, false, 0)], 0),
        (vec![it(0, false, 3), it(1, false, 0)], 1),
        (vec![it(0, false, 3), it(1, false, 3)], 0),
        (vec![it(0, false, 6), it(1, false, 5)], 1),
    ] {
        assert_eq!(first(candidates.iter().copied()), Some(wanted), "{candidates:?}");
        assert_eq!(first(candidates.iter().rev().copied()), Some(wanted), "{candidates:?} from the end");
    }
}

#[test]
fn all_nodes_that_hear_each_other_see_the_same_one_order() {
    let own = order(&["a.example"]);
    let names = ["lb1", "lb2", "lb3"];
    for first in 0..3 {
        // Those before it do not have this order.
        let told =
            |name: &str| if names.iter().position(|it| *it == name) < Some(first) { vec![] } else { vec![own.clone()] };
        for me in &names[first..] {
            let mut fellows = fellows(me);
            names
                .iter()
                .filter(|name| name != &me)
                .for_each(|name| assert!(tell(&mut fellows, name, &told(name)).is_empty()));
            let wanted = if *me == names[first] { Turn::Ours } else { Turn::Another(names[first].into()) };
            assert_eq!(turn(&fellows, &own), wanted, "{me}");
        }
    }
}

#[test]
fn a_node_that_has_not_heard_all_waits_and_one_that_hears_nobody_is_alone_in_the_end() {
    let own = order(&["a.example"]);
    let mut lb1 = fellows("lb1");
    lb1.since = clock::now();
    assert!(matches!(turn(&lb1, &own), Turn::Unknown(_)), "the others may have a certificate");
    for name in ["lb2", "lb3"] {
        tell(&mut lb1, name, &[]);
    }
    assert_eq!(turn(&lb1, &own), Turn::Ours);
    assert!(matches!(lb1.turn(&subject(&["a.example"]), &own, clock::now()), Turn::Unknown(_)), "it is new here");
    // One is lost: it may be back in a moment.
    let _changed = lb1.lose("lb2");
    assert!(matches!(turn(&lb1, &own), Turn::Unknown(_)));
    assert_eq!(turn(&fellows("lb2"), &own), Turn::Ours, "long after");
}

#[test]
fn other_hosts_are_another_order_and_the_order_of_hosts_means_nothing() {
    let mut lb2 = fellows("lb2");
    tell(&mut lb2, "lb3", &[]);
    tell(&mut lb2, "lb1", &[order(&["a.example", "b.example"])]);
    assert_eq!(turn(&lb2, &order(&["a.example"])), Turn::Ours);
    let both = subject(&["b.example", "a.example"]);
    assert_eq!(lb2.turn(&both, &ToldOrder::new(&both), LONG_AGO), Turn::Another("lb1".into()));
    let elsewhere = Subject::new("https://other.example/dir", &["a.example".to_owned(), "b.example".to_owned()]);
    assert_eq!(lb2.turn(&elsewhere, &ToldOrder::new(&elsewhere), LONG_AGO), Turn::Ours, "another authority");
}

#[test]
fn a_certificate_is_offered_as_it_was_told_and_what_is_wrong_with_it_is_said() {
    let mut lb2 = fellows("lb2");
    let good = papers(&["a.example"]);
    let wrong_key = Papers { key: papers(&["a.example"]).key, ..good.clone() };
    for (told, wanted) in [
        (Papers { chain: "torn".to_owned(), ..good.clone() }, ""),
        (wrong_key, "key"),
        (papers(&["b.example"]), "not for `a.example`"),
    ] {
        let refused = tell(&mut lb2, "lb1", &[ToldOrder { papers: Some(told.clone()), ..order(&["a.example"]) }]);
        assert!(refused.len() == 1 && refused[0].contains("node lb1") && refused[0].contains(wanted), "{refused:?}");
        assert!(!refused[0].contains(told.key.lines().nth(1).unwrap()), "a key is in a message");
        assert_eq!(lb2.offers(&subject(&["a.example"])).count(), 0);
        let again = tell(&mut lb2, "lb1", &[ToldOrder { papers: Some(told), failures: 1, ..order(&["a.example"]) }]);
        assert!(again.is_empty(), "it is said once: {again:?}");
    }
    let told = ToldOrder { papers: Some(good.clone()), due: Some(7), ..order(&["a.example"]) };
    assert!(tell(&mut lb2, "lb1", &[told]).is_empty());
    let subject = subject(&["a.example"]);
    let (from, offered, certificate) = lb2.offers(&subject).next().unwrap();
    assert!(&**from == "lb1" && *offered == good);
    assert_eq!(lb2.due(&subject, certificate.mark()), Some(7));
    assert_eq!(lb2.due(&subject, &[0; 32]), None, "of another certificate");
    let _changed = lb2.lose("lb1");
    assert_eq!(lb2.offers(&subject).count(), 0);
}

#[test]
fn what_is_no_paper_changes_nothing() {
    let mut lb2 = fellows("lb2");
    tell(&mut lb2, "lb1", &[ToldOrder { papers: Some(papers(&["a.example"])), ..order(&["a.example"]) }]);
    for bytes in [&b""[..], b"{", b"[{}]", b"[1]", b"{\"number\":-1}", &[0xff; 40]] {
        assert!(lb2.hear_orders(&"lb1".into(), bytes).is_err());
        assert!(lb2.hear_proofs(&"lb1".into(), bytes).is_err());
    }
    assert_eq!(lb2.offers(&subject(&["a.example"])).count(), 1);
    // What a later version says beside it is left alone.
    let more = br#"[{"directory":"d","hosts":["a.example"],"mood":"good"}]"#;
    assert!(lb2.hear_orders(&"lb3".into(), more).unwrap().is_empty());
}

#[test]
fn proofs_are_shown_for_others_and_each_says_so() {
    let (mut lb1, mut lb2) = (fellows("lb1"), fellows("lb2"));
    let (one, two): (Arc<str>, Arc<str>) = ("lb1".into(), "lb2".into());
    let bytes = |fellows: &Fellows| serde_json::to_vec(&fellows.own).unwrap();
    let hear = |from: &Arc<str>, to: &mut Fellows, bytes: Vec<u8>| to.hear_proofs(from, &bytes).unwrap();
    let proofs = Proofs {
        tokens: vec![("token".to_owned(), "proof".to_owned())],
        digests: vec![("a.example".to_owned(), vec![7; 32]), ("b.example".to_owned(), vec![7; 31])],
        texts: Vec::new(),
    };
    let number = lb1.show(proofs.clone());
    assert!(lb1.is_shown(number), "nobody is heard");
    hear(&two, &mut lb1, bytes(&lb2));
    assert_eq!(lb1.late(number), Some(&two));
    let changed = hear(&one, &mut lb2, bytes(&lb1));
    let hosts = BTreeSet::from(["a.example", "b.example"].map(str::to_owned));
    assert_eq!(changed, Changed { tokens: true, hosts, texts: false, number: Some(number) });
    assert_eq!(lb2.proofs().collect::<Vec<_>>(), [&proofs]);
    assert_eq!(
        lb2.challenges().map(|(host, _)| host.as_str()).collect::<Vec<_>>(),
        ["a.example"],
        "a digest has 32 bytes"
    );
    lb2.saw(&one, number);
    hear(&two, &mut lb1, bytes(&lb2));
    assert!(lb1.is_shown(number));
    assert_eq!(lb1.show(proofs), number, "nothing new");

    // It is over.
    let next = lb1.show(Proofs::default());
    assert!(next > number && !lb1.is_shown(next));
    let changed = hear(&one, &mut lb2, bytes(&lb1));
    assert!(changed.tokens && changed.number == Some(next) && lb2.challenges().count() == 0);
    assert_eq!(hear(&one, &mut lb2, bytes(&lb1)), Changed::default(), "the same again");
    // Who is lost is not waited for, and shows nothing any more.
    assert_eq!(lb1.lose("lb2"), Changed::default());
    assert!(lb1.is_shown(next));
    lb2.saw(&one, next);
    let _changed = lb2.lose("lb1");
    assert!(lb2.own.seen.is_empty() && lb2.proofs().next().is_none());
    lb2.saw(&one, next);
    assert!(lb2.own.seen.is_empty(), "too late");
}

#[test]
fn who_has_nobody_to_share_with_is_alone() {
    let two = cluster(" node lb1 10.0.0.1\n node lb2 10.0.0.2\n witness eye 10.0.0.4\n");
    assert!(Fellows::of(&two, "lb1").is_some());
    assert!(Fellows::of(&two, "eye").is_none() && Fellows::of(&two, "stranger").is_none());
    let one = cluster(" node lb1 10.0.0.1\n witness eye 10.0.0.4\n");
    assert!(Fellows::of(&one, "lb1").is_none());
}

#[test]
fn what_is_said_to_be_shown_never_runs_ahead_of_what_is() {
    let (mut lb1, mut lb2) = (fellows("lb1"), fellows("lb2"));
    let one: Arc<str> = "lb1".into();
    let token = |name: &str| (name.to_owned(), "proof".to_owned());
    let first = Proofs { digests: vec![("a.example".to_owned(), vec![7; 32])], ..Proofs::default() };
    let second = Proofs { tokens: vec![token("one")], ..first.clone() };
    let mut tell = |proofs: &Proofs, lb2: &mut Fellows| {
        let number = lb1.show(proofs.clone());
        (number, lb2.hear_proofs(&one, &serde_json::to_vec(&lb1.own).unwrap()).unwrap())
    };
    let (early, changed) = tell(&first, &mut lb2);
    assert!(!changed.tokens && changed.hosts.contains("a.example"));
    // The next one comes while this is still on its way to the workers: it brings the listeners along.
    let (late, changed) = tell(&second, &mut lb2);
    assert!(changed.tokens && changed.hosts.contains("a.example") && changed.number == Some(late));
    lb2.saw("lb1", early);
    assert!(lb2.own.seen.is_empty());
    lb2.saw("lb1", late);
    lb2.saw("lb1", early);
    assert_eq!(lb2.own.seen.get("lb1"), Some(&late));
    // What is shown is not owed any more.
    let third = Proofs { tokens: vec![token("two")], ..second };
    let (last, changed) = tell(&third, &mut lb2);
    assert_eq!(changed, Changed { tokens: true, number: Some(last), ..Changed::default() });
    // What failed is owed with the one after it.
    let (_, changed) = tell(&Proofs { texts: vec![token("a.example")], ..third }, &mut lb2);
    assert!(changed.tokens && changed.texts);
}

#[test]
fn orders_that_there_is_no_room_for_are_left_out_and_the_others_told() {
    let (desk, watched) = Desk::new();
    let mut lb1 = fellows("lb1");
    lb1.take_desk(desk);
    let told = || {
        let papers = watched.borrow();
        serde_json::from_slice::<Vec<ToldOrder>>(papers.get(&Topic::Certificates).unwrap()).unwrap()
    };
    lb1.tell_orders(std::iter::empty());
    assert!(told().is_empty());
    let large = |size: usize| ToldOrder {
        papers: Some(Papers { chain: "c".repeat(size), key: String::new() }),
        ..order(&["large.example"])
    };
    let small = order(&["small.example"]);
    lb1.tell_orders([large(100), large(caps::SHARED_PAPER), small.clone()].into_iter());
    assert!(told() == [large(100), small.clone()] && lb1.left_out == 1);
    // Filled to the last byte.
    let room = caps::SHARED_PAPER - serde_json::to_vec(&[large(0), small.clone()]).unwrap().len();
    lb1.tell_orders([large(room), small.clone()].into_iter());
    assert!(told() == [large(room), small.clone()] && lb1.left_out == 0);
    lb1.tell_orders([large(room + 1), small].into_iter());
    assert!(told() == [large(room + 1)] && lb1.left_out == 1);
}

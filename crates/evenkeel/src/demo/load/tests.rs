//! Clients against toys, without a balancer between.

use super::super::toy::{Character, Mood, Toy};
use super::*;

const QUICK: Character = Character { name: "quick", colour: "#fff", delay: Duration::ZERO };

async fn until(load: &Load, is_so: impl Fn(&Tally) -> bool) -> Tally {
    for _ in 0..500 {
        let tally = load.total();
        if is_so(&tally) {
            return tally;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within five seconds: {:?}", load.total());
}

#[tokio::test]
async fn every_client_takes_its_turn_and_is_counted() {
    let toy = Toy::start(QUICK).await.unwrap();
    let load = Load::start(toy.addr(), 3, 200);
    let tally = until(&load, |tally| tally.answered() >= 12).await;
    assert_eq!((tally.failed(), tally.moved), (0, 0));
    assert_eq!(load.bonds(), vec![Some("quick".to_owned()); 3]);
    assert!(load.take().answered() >= 12);
    assert_eq!(load.add_client(), 4);
    until(&load, |_| load.bonds().len() == 4 && load.bonds().iter().all(Option::is_some)).await;
}

#[tokio::test]
async fn what_is_not_answered_is_lost_and_the_next_request_is_made_all_the_same() {
    let toy = Toy::start(QUICK).await.unwrap();
    let load = Load::start(toy.addr(), 1, 200);
    until(&load, |tally| tally.answered() >= 2).await;
    toy.set(Mood::Dead).await;
    until(&load, |tally| tally.lost >= 2).await;
    toy.set(Mood::Well).await;
    let answered = load.total().answered();
    until(&load, |tally| tally.answered() > answered).await;
}

#[test]
fn an_answer_is_read_once_it_is_whole() {
    let text = "HTTP/1.1 503 Service Unavailable\r\nX-Toy: blue\r\nSet-Cookie: s=1; Path=/\r\nset-cookie: t=\r\n\
                Content-Length: 4\r\nConnection: close\r\n\r\nwell";
    for cut in 0..text.len() {
        assert_eq!(Answer::parse(&text.as_bytes()[..cut]), None, "{cut}");
    }
    let expected = Answer {
        status: 503,
        server: Some("blue".to_owned()),
        cookies: vec![("s".to_owned(), "1".to_owned()), ("t".to_owned(), String::new())],
        closes: true,
    };
    assert_eq!(Answer::parse(text.as_bytes()), Some(expected));
}

#[test]
fn a_tally_is_one_line() {
    let tally = Tally {
        by_server: BTreeMap::from([("amber".to_owned(), 12), ("blue".to_owned(), 9)]),
        by_status: BTreeMap::from([(200, 20), (503, 1)]),
        lost: 1,
        moved: 2,
        slowest: Duration::from_millis(31),
    };
    assert_eq!(tally.to_string(), "amber 12  blue 9 | 21 answered, 2 failed, 2 moved, slowest 31 ms, 1 × 503");
}

#[test]
fn a_client_keeps_its_cookies_and_notices_when_it_is_moved() {
    let seen = Arc::new(Mutex::new(Seen { bonds: vec![None], ..Seen::default() }));
    let target = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut client = Client { index: 0, target, cookies: BTreeMap::new(), last: None, seen: Arc::clone(&seen) };
    let answer = |server: &str, value: &str| Answer {
        status: 200,
        server: Some(server.to_owned()),
        cookies: vec![("s".to_owned(), value.to_owned())],
        closes: false,
    };
    client.note(&answer("blue", "1"), Duration::ZERO);
    client.note(&answer("blue", "2"), Duration::ZERO);
    assert_eq!(lock(&seen).total.moved, 0);
    assert_eq!(client.cookies.get("s").map(String::as_str), Some("2"));
    client.note(&answer("coral", ""), Duration::ZERO);
    assert_eq!(lock(&seen).total.moved, 1);
    assert!(client.cookies.is_empty());
    assert_eq!(lock(&seen).bonds, vec![Some("coral".to_owned())]);
}

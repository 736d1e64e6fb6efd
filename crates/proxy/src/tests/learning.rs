//! Clients that stay where the application's own session lives, which its answers told.

use std::io::Write;

use evenkeel_balance::sessions::SessionStats;
use evenkeel_model::config::{Carrier, Learn, LearnFrom, Pool, Sticky, StickyMethod};
use evenkeel_model::{PoolName, State, defaults};

use super::rig::{Answer, Client, Origin, Rig, Seen, config, pool, run};

/// A method, what a server of that name answers, and the request of a client whose session is on a server of that name.
type Case = (Sticky, fn(&str, &Seen) -> Vec<u8>, fn(&str) -> String);

fn learned(carrier: Carrier, from: &[LearnFrom]) -> Sticky {
    Sticky::new(StickyMethod::Learned(Learn {
        carrier,
        from: from.to_vec(),
        idle: defaults::STICKY_IDLE,
        life: defaults::STICKY_LIFE,
    }))
}

fn query_by_body() -> Sticky {
    learned(Carrier::Query("sid".to_owned()), &[LearnFrom::SetCookie, LearnFrom::Location, LearnFrom::Body])
}

/// An answer with these fields and this body, chunked where `size` says.
fn answer(fields: &str, body: &[u8], size: Option<usize>) -> Vec<u8> {
    let Some(size) = size else {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n", body.len());
        return [head.as_bytes(), body].concat();
    };
    let mut out = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{fields}\r\n").into_bytes();
    for chunk in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// The page of a server: the session of the request goes on, or a new one begins; its links carry it.
fn page(server: &str, seen: &Seen) -> String {
    let id = seen.line().split("sid=").nth(1).and_then(|rest| rest.split([' ', '&']).next());
    let id = id.map_or_else(|| format!("{server}-0123456789"), str::to_owned);
    format!("<html>{server} <!--{}--><a href=\"/cart?x=1&amp;sid={id}\">cart</a></html>", " ".repeat(3000))
}

async fn two(sticky: Vec<Sticky>, answering: fn(&str, &Seen) -> Vec<u8>) -> (Vec<Origin>, Rig) {
    let mut origins = Vec::new();
    for name in ["a", "b"] {
        origins.push(Origin::answering(move |seen| answering(name, seen)).await);
    }
    let mut shop: Pool = pool(&origins.iter().collect::<Vec<_>>());
    shop.sticky = sticky;
    let rig = Rig::start(config(shop)).await;
    (origins, rig)
}

/// An answer's text, its chunks put together.
fn text(answer: &Answer) -> String {
    if answer.field("transfer-encoding").is_none() {
        return answer.text().to_owned();
    }
    let (mut whole, mut rest) = (String::new(), answer.text());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let (chunk, after) = after.split_at(usize::from_str_radix(size, 16).unwrap());
        whole.push_str(chunk);
        rest = after.strip_prefix("\r\n").unwrap();
    }
    whole
}

/// Which server's page an answer is.
fn server(answer: &Answer) -> String {
    text(answer).strip_prefix("<html>").unwrap().chars().take(1).collect()
}

fn stats(rig: &Rig) -> SessionStats {
    rig.shared.session_tables().values().next().unwrap().stats()
}

/// Follows the link of a new session again and again, and expects its server.
async fn stays(rig: &Rig) {
    let mut client = Client::connect(rig).await;
    for _ in 0..4 {
        let first = client.get("/").await;
        let home = server(&first);
        for _ in 0..3 {
            let again = client.get(&format!("/cart?x=1&sid={home}-0123456789")).await;
            assert_eq!(server(&again), home);
            client.get("/").await;
        }
        client.get("/").await;
    }
}

#[test]
fn a_session_in_links_is_kept_whatever_the_framing() {
    run(async {
        let answers: [fn(&str, &Seen) -> Vec<u8>; 4] = [
            |name, seen| answer("Content-Type: text/html\r\n", page(name, seen).as_bytes(), None),
            |name, seen| answer("Content-Type: text/html\r\n", page(name, seen).as_bytes(), Some(1)),
            |name, seen| answer("Content-Type: text/html\r\n", page(name, seen).as_bytes(), Some(700)),
            |name, seen| {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(page(name, seen).as_bytes()).unwrap();
                // The text that the test reads is in a field, as the body is not text here.
                let body = gzip.finish().unwrap();
                answer(
                    &format!("Content-Type: text/html\r\nContent-Encoding: gzip\r\nX-By: {name}\r\n"),
                    &body,
                    Some(9),
                )
            },
        ];
        for (place, answering) in answers.into_iter().enumerate() {
            let (origins, rig) = two(vec![query_by_body()], answering).await;
            if place < 3 {
                stays(&rig).await;
                continue;
            }
            let mut client = Client::connect(&rig).await;
            for _ in 0..6 {
                let home = client.get("/").await.field("x-by").unwrap();
                let again = client.get(&format!("/cart?sid={home}-0123456789")).await;
                assert_eq!(again.field("x-by"), Some(home));
            }
            assert!(origins[0].count() > 3 && origins[1].count() > 3);
        }
    });
}

#[test]
fn pages_pass_byte_for_byte() {
    run(async {
        let (_origins, rig) = two(vec![query_by_body()], |_, seen| {
            answer("Content-Type: text/html\r\n", page("a", seen).as_bytes(), Some(11))
        })
        .await;
        let mut client = Client::connect(&rig).await;
        let got = client.get("/").await;
        assert_eq!(text(&got), page("a", &Seen { head: "GET / HTTP/1.1".to_owned(), body: Vec::new() }));
    });
}

#[test]
fn made_up_ids_leave_nothing_and_planted_links_move_nobody() {
    run(async {
        let (_origins, rig) = two(vec![query_by_body()], |name, seen| {
            // Whatever is asked for, the page of `/evil` has a link with the victim's id.
            let body = match seen.line().contains("/evil") {
                true => "<a href=\"/?sid=a-0123456789\">".to_owned(),
                false if seen.line().contains("/none") => format!("<html>{name}"),
                false => page(name, seen),
            };
            answer("Content-Type: text/html\r\n", body.as_bytes(), None)
        })
        .await;
        let mut client = Client::connect(&rig).await;
        for number in 0..50 {
            client.get(&format!("/none?sid=made-up-{number:04}")).await;
        }
        assert_eq!(stats(&rig).held, 0);
        for _ in 0..4 {
            client.get("/").await;
        }
        for _ in 0..4 {
            client.get("/evil").await;
        }
        for _ in 0..4 {
            assert_eq!(server(&client.get("/cart?sid=a-0123456789").await), "a");
        }
        assert_eq!((stats(&rig).held, stats(&rig).refused > 0), (2, true));
    });
}

#[test]
fn a_session_moves_once_when_its_server_dies_and_stays_there() {
    run(async {
        let (_origins, mut rig) = two(vec![query_by_body()], |name, seen| {
            answer("Content-Type: text/html\r\n", page(name, seen).as_bytes(), None)
        })
        .await;
        let mut client = Client::connect(&rig).await;
        client.get("/").await;
        client.get("/").await;
        let link = "/cart?sid=a-0123456789";
        assert_eq!(server(&client.get(link).await), "a");
        rig.states.insert(Rig::id("a"), State::Down);
        rig.reload().await;
        assert_eq!(server(&client.get(link).await), "b");
        rig.states.insert(Rig::id("a"), State::Up);
        rig.reload().await;
        for _ in 0..4 {
            assert_eq!(server(&client.get(link).await), "b", "its session is there now");
        }
    });
}

#[test]
fn the_table_outlives_a_reload_and_a_drain_keeps_sessions() {
    run(async {
        let (_origins, mut rig) = two(vec![query_by_body()], |name, seen| {
            answer("Content-Type: text/html\r\n", page(name, seen).as_bytes(), None)
        })
        .await;
        let mut client = Client::connect(&rig).await;
        client.get("/").await;
        client.get("/").await;
        rig.states.insert(Rig::id("a"), State::Draining);
        rig.reload().await;
        for _ in 0..3 {
            assert_eq!(server(&client.get("/cart?sid=a-0123456789").await), "a");
            assert_eq!(server(&client.get("/").await), "b");
        }
    });
}

#[test]
fn cookies_paths_fields_and_redirections_tell_too() {
    run(async {
        let cases: [Case; 4] = [
            (
                learned(Carrier::Cookie("JSESSIONID".to_owned()), &[LearnFrom::SetCookie]),
                |name, _| answer(&format!("Set-Cookie: JSESSIONID={name}-id; Path=/\r\n"), name.as_bytes(), None),
                |name| format!("GET / HTTP/1.1\r\nHost: a.example\r\nCookie: x=y; JSESSIONID={name}-id\r\n\r\n"),
            ),
            (
                learned(Carrier::Path("jsessionid".to_owned()), &[LearnFrom::SetCookie, LearnFrom::Location]),
                |name, _| answer(&format!("Location: /x;jsessionid={name}-0123456789\r\n"), name.as_bytes(), None),
                |name| format!("GET /x;jsessionid={name}-0123456789 HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            ),
            (
                learned(Carrier::Query("sid".to_owned()), &[LearnFrom::Location]),
                |name, _| {
                    answer(
                        &format!("Location: http://A.example:8080/x?sid={name}-0123456789\r\n"),
                        name.as_bytes(),
                        None,
                    )
                },
                |name| format!("GET /x?sid={name}%2d0123456789 HTTP/1.1\r\nHost: a.example\r\n\r\n"),
            ),
            (
                learned(Carrier::Field("x-session".to_owned()), &[LearnFrom::Field("x-session".to_owned())]),
                |name, _| answer(&format!("X-Session: {name}\r\n"), name.as_bytes(), None),
                |name| format!("GET / HTTP/1.1\r\nHost: a.example\r\nX-Session: {name}\r\n\r\n"),
            ),
        ];
        for (sticky, answering, request) in cases {
            let (_origins, rig) = two(vec![sticky], answering).await;
            let mut client = Client::connect(&rig).await;
            for _ in 0..3 {
                let home = client.get("/").await.text().to_owned();
                for _ in 0..3 {
                    client.send(request(&home)).await;
                    assert_eq!(client.answer().await.text(), home);
                }
            }
        }
    });
}

#[test]
fn a_server_that_takes_its_cookie_away_ends_the_session() {
    run(async {
        let sticky = learned(Carrier::Cookie("SID".to_owned()), &[LearnFrom::SetCookie]);
        // Two ways to say it, the second as PHP does.
        let answers: [fn(&str, &Seen) -> Vec<u8>; 2] = [
            |name, seen| session(name, seen, "gone; Max-Age=0"),
            |name, seen| session(name, seen, "deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT"),
        ];
        for answering in answers {
            let (_origins, rig) = two(vec![sticky.clone()], answering).await;
            let mut client = Client::connect(&rig).await;
            client.get("/").await;
            client.send("GET /logout HTTP/1.1\r\nHost: a.example\r\nCookie: SID=a-id\r\n\r\n").await;
            assert_eq!(client.answer().await.text(), "a");
            let table = rig.shared.session_tables().remove(&PoolName::new("shop").unwrap()).unwrap();
            let now = evenkeel_net::clock::unix_now().as_secs();
            for id in [&b"a-id"[..], b"gone", b"deleted"] {
                assert_eq!(table.look(table.key(id), now), None, "{}", String::from_utf8_lossy(id));
            }
        }
    });
}

/// An answer with a server's session, or, at `/logout`, with what ends it.
fn session(name: &str, seen: &Seen, end: &str) -> Vec<u8> {
    let value = if seen.line().contains("/logout") { end.to_owned() } else { format!("{name}-id") };
    answer(&format!("Set-Cookie: SID={value}\r\n"), name.as_bytes(), None)
}

#[test]
fn servers_are_asked_for_codings_that_can_be_read() {
    run(async {
        let (origins, rig) = two(vec![query_by_body()], |name, seen| {
            answer("Content-Type: text/html\r\n", page(name, seen).as_bytes(), None)
        })
        .await;
        let mut client = Client::connect(&rig).await;
        let many = ["gzip, dcb, br;q=0.5", "compress", "gzip", "zstd\r\nAccept-Encoding: compress"];
        for accepted in many {
            client.send(format!("GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: {accepted}\r\n\r\n")).await;
            client.answer().await;
        }
        let asked: Vec<_> =
            origins.iter().flat_map(Origin::seen).filter_map(|seen| seen.field("accept-encoding")).collect();
        for wanted in ["gzip, br;q=0.5", "identity", "gzip", "zstd"] {
            assert!(asked.iter().any(|asked| asked == wanted), "{wanted} is not among {asked:?}");
        }
    });
}

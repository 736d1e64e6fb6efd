//! Clients that stay on their server.

use super::rig::{Client, Origin, Rig, config, ok, pool, run};
use evenkeel_model::State;
use evenkeel_model::config::Sticky;

/// The cookie that an answer sets, as the client sends it back.
fn cookie(answer: &super::rig::Answer) -> Option<String> {
    Some(answer.field("set-cookie")?.split(';').next()?.to_owned())
}

async fn get_with(client: &mut Client, cookie: &str) -> super::rig::Answer {
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: theme=dark; {cookie}; x=y\r\n\r\n")).await;
    client.answer().await
}

async fn three() -> (Vec<Origin>, Rig) {
    let mut origins = Vec::new();
    for text in ["a", "b", "c"] {
        origins.push(Origin::answering(move |_| ok(text)).await);
    }
    let mut shop = pool(&origins.iter().collect::<Vec<_>>());
    shop.sticky = vec![Sticky::token("evenkeel")];
    let rig = Rig::start(config(shop)).await;
    (origins, rig)
}

#[test]
fn a_client_stays_where_its_token_says() {
    run(async {
        let (origins, rig) = three().await;
        let mut client = Client::connect(&rig).await;
        let first = client.get("/").await;
        let bond = cookie(&first).unwrap();
        let set = first.field("set-cookie").unwrap();
        assert!(set.starts_with("evenkeel=") && set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        assert!(set.contains("Path=/"), "{set}");
        assert_eq!(first.field("cache-control").as_deref(), Some("private"));
        for _ in 0..5 {
            let again = get_with(&mut client, &bond).await;
            assert_eq!((again.text(), again.field("set-cookie")), (first.text(), None));
        }
        let at = ["a", "b", "c"].iter().position(|text| *text == first.text()).unwrap();
        assert_eq!(origins[at].count(), 6);
        // The token stays with us, the other cookies go on.
        assert_eq!(origins[at].seen()[1].field("cookie").as_deref(), Some("theme=dark; x=y"));
        let lines = rig.lines(6).await;
        assert!(lines[0].contains("\"sticky\":\"new\"") && lines[5].contains("\"sticky\":\"hit\""), "{lines:?}");
    });
}

#[test]
fn a_client_whose_server_is_down_moves_and_gets_a_new_token() {
    run(async {
        let (_origins, mut rig) = three().await;
        let mut client = Client::connect(&rig).await;
        let first = client.get("/").await;
        let bond = cookie(&first).unwrap();
        rig.states.insert(Rig::id(first.text()), State::Down);
        rig.reload().await;
        let moved = get_with(&mut client, &bond).await;
        assert_ne!(moved.text(), first.text());
        let bond = cookie(&moved).unwrap();
        assert_eq!(get_with(&mut client, &bond).await.text(), moved.text());
        let lines = rig.lines(3).await;
        assert!(lines[1].contains("\"sticky\":\"lost\""), "{}", lines[1]);
    });
}

#[test]
fn a_drained_server_keeps_its_sessions_and_gets_no_new_ones() {
    run(async {
        let (_origins, mut rig) = three().await;
        let mut client = Client::connect(&rig).await;
        let first = client.get("/").await;
        let bond = cookie(&first).unwrap();
        rig.states.insert(Rig::id(first.text()), State::Draining);
        rig.reload().await;
        for _ in 0..3 {
            assert_eq!(get_with(&mut client, &bond).await.text(), first.text());
            assert_ne!(client.get("/").await.text(), first.text());
        }
    });
}

#[test]
fn a_token_that_was_tampered_with_is_as_good_as_none() {
    run(async {
        let (_origins, rig) = three().await;
        let mut client = Client::connect(&rig).await;
        let bond = cookie(&client.get("/").await).unwrap();
        let forged = bond.replace("evenkeel=", "evenkeel=A");
        let answer = get_with(&mut client, &forged).await;
        assert_eq!(answer.status(), 200);
        assert!(cookie(&answer).is_some());
        // A good one behind a bad one still counts.
        let answer = get_with(&mut client, &format!("{forged}; {bond}")).await;
        assert_eq!(cookie(&answer), None);
    });
}

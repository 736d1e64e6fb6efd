//! Many clients, servers that fail by chance: whatever happens, an answer belongs to its request.

use std::cell::RefCell;
use std::rc::Rc;

use super::rig::{Client, Origin, Rig, config, pool, run};
use evenkeel_balance::Rng;

const CLIENTS: u64 = 24;
const REQUESTS: u64 = 40;

/// A server that answers with what it was asked, in one of several framings, and breaks now and then.
async fn moody(seed: u64) -> Origin {
    let rng = Rc::new(RefCell::new(Rng::new(seed)));
    Origin::scripted(move |mut peer| {
        let rng = Rc::clone(&rng);
        Box::pin(async move {
            while let Some(seen) = peer.request().await {
                let echo = format!("{} {}", seen.line(), String::from_utf8_lossy(&seen.body));
                let mood = rng.borrow_mut().below(20);
                match mood {
                    0 => return,
                    1 => return peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", echo.len())).await,
                    2 => return peer.send(format!("HTTP/1.0 200 OK\r\n\r\n{echo}")).await,
                    3..8 => {
                        let (front, back) = echo.split_at(echo.len() / 2);
                        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                        peer.send(format!("{:x}\r\n{front}\r\n", front.len())).await;
                        tokio::task::yield_now().await;
                        peer.send(format!("{:x}\r\n{back}\r\n0\r\n\r\n", back.len())).await;
                    }
                    _ => peer.send(super::rig::ok(&echo)).await,
                }
            }
        })
    })
    .await
}

/// One request by chance, and the answer it must get.
fn request(rng: &mut Rng, name: &str) -> (String, String) {
    let body = format!("{name}-").repeat(rng.below(3000) as usize % 2500);
    match rng.below(4) {
        0 => (format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n"), format!("GET /{name} HTTP/1.1 ")),
        1 => {
            let head = format!("PUT /{name} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
            (head + &body, format!("PUT /{name} HTTP/1.1 {body}"))
        }
        2 => {
            let head = format!("POST /{name} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
            (format!("{head}{chunk}0\r\n\r\n"), format!("POST /{name} HTTP/1.1 {body}"))
        }
        _ => (format!("DELETE /{name} HTTP/1.1\r\nHost: a\r\n\r\n"), format!("DELETE /{name} HTTP/1.1 ")),
    }
}

/// A body as its text, chunks taken apart.
fn text(answer: &super::rig::Answer) -> String {
    if answer.field("transfer-encoding").is_none() {
        return answer.text().to_owned();
    }
    let (mut rest, mut out) = (answer.text(), String::new());
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
    out
}

async fn wander(mut client: Client, addr: std::net::SocketAddr, seed: u64) -> (u64, u64) {
    let mut rng = Rng::new(seed);
    let (mut good, mut bad) = (0, 0);
    for number in 0..REQUESTS {
        let (message, wanted) = request(&mut rng, &format!("{seed}.{number}"));
        client.send(&message).await;
        match client.try_answer().await {
            Some(answer) if answer.status() == 200 => {
                assert!(text(&answer) == wanted, "seed {seed}, request {number}: {} for {wanted}", text(&answer));
                good += 1;
            }
            Some(answer) => {
                assert_eq!(answer.status(), 502, "seed {seed}, request {number}");
                bad += 1;
                if answer.field("connection").is_some() {
                    client = Client::to(addr).await;
                }
            }
            // Cut in the middle of an answer, which the client can tell.
            None => {
                bad += 1;
                client = Client::to(addr).await;
            }
        }
    }
    (good, bad)
}

#[test]
fn answers_belong_to_their_requests_whatever_breaks() {
    run(async {
        let origins = [moody(1).await, moody(2).await, moody(3).await];
        let rig = Rig::start(config(pool(&origins.iter().collect::<Vec<_>>()))).await;
        let mut tasks = Vec::new();
        for seed in 0..CLIENTS {
            let client = Client::connect(&rig).await;
            tasks.push(tokio::task::spawn_local(wander(client, rig.addr, seed)));
        }
        let (mut good, mut bad) = (0, 0);
        for task in tasks {
            let (well, ill) = task.await.unwrap();
            good += well;
            bad += ill;
        }
        assert_eq!(good + bad, CLIENTS * REQUESTS);
        assert!(good > bad * 4, "{good} good, {bad} bad");
        for server in ["a", "b", "c"] {
            assert_eq!(rig.shared.server_stats(&Rig::id(server)).unwrap().in_flight, 0);
        }
        // A POST reached the servers once: no two requests of one name.
        let mut posts: Vec<String> = origins
            .iter()
            .flat_map(Origin::seen)
            .filter(|seen| seen.line().starts_with("POST"))
            .map(|seen| seen.line().to_owned())
            .collect();
        let all = posts.len();
        posts.sort_unstable();
        posts.dedup();
        assert_eq!(posts.len(), all);
    });
}

//! Coming in: by password, token and cookie; and staying out.

use std::time::Instant;

use hyper::header::HeaderValue;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const TOKEN_CHANCE: [u8; 32] = [5; 32];

fn access() -> Access {
    let (_, token) = make_token(&TOKEN_CHANCE);
    let users = [
        ("ops".to_owned(), Role::Admin, hash_password(b"secret of ops", &[1; 16]).unwrap()),
        ("noc".to_owned(), Role::Read, hash_password(b"secret of noc", &[2; 16]).unwrap()),
        ("bot".to_owned(), Role::Operate, token),
    ];
    Access::new(users, Vec::new(), false).unwrap()
}

fn with(name: &'static str, value: &str) -> HeaderMap {
    let mut head = HeaderMap::new();
    head.insert(name, HeaderValue::from_str(value).unwrap());
    head
}

fn basic(user: &str, password: &str) -> HeaderMap {
    with("authorization", &format!("Basic {}", Base64::encode_string(format!("{user}:{password}").as_bytes())))
}

async fn who(guard: &Guard, head: &HeaderMap) -> Result<Option<(String, Role)>, String> {
    let caller = guard.caller(head, &access(), HERE).await;
    caller.map(|caller| caller.map(|caller| (caller.name, caller.role))).map_err(|problem| problem.code)
}

#[tokio::test]
async fn a_password_a_token_and_a_cookie_let_in() {
    let guard = Guard::new();
    assert_eq!(who(&guard, &basic("ops", "secret of ops")).await, Ok(Some(("ops".to_owned(), Role::Admin))));
    let (token, _) = make_token(&TOKEN_CHANCE);
    let bearer = with("authorization", &format!("Bearer {token}"));
    assert_eq!(who(&guard, &bearer).await, Ok(Some(("bot".to_owned(), Role::Operate))));

    let (login, role) = guard.sign_in("noc", "secret of noc", &access(), HERE).await.unwrap();
    assert_eq!(role, Role::Read);
    let cookie = with("cookie", &format!("a=b; evenkeel-admin={login}; c=d"));
    assert_eq!(who(&guard, &cookie).await, Ok(Some(("noc".to_owned(), Role::Read))));
    guard.sign_out(&cookie);
    assert_eq!(who(&guard, &cookie).await, Ok(None));
    assert_eq!(who(&guard, &HeaderMap::new()).await, Ok(None));
}

#[tokio::test]
async fn what_is_wrong_is_answered_alike() {
    let guard = Guard::new();
    let mut said = Vec::new();
    for head in [basic("ops", "secret of noc"), basic("nobody", "secret of ops"), basic("ops", ""), basic("bot", "x")] {
        said.push(guard.caller(&head, &access(), HERE).await.unwrap_err());
    }
    assert!(said.iter().all(|problem| *problem == said[0] && problem.code == "A201"), "{said:?}");
    for odd in ["Basic", "Basic ", "Basic !!!", "Basic b3Bz", "Digest x", "Bearer", "Bearer "] {
        assert_eq!(who(&guard, &with("authorization", odd)).await, Err("A201".to_owned()), "{odd}");
    }
}

#[tokio::test]
async fn a_thousand_guesses_are_refused_and_others_come_in_meanwhile() {
    let guard = Guard::new();
    let access = access();
    let guesser: IpAddr = "192.0.2.66".parse().unwrap();
    let mut codes = Vec::new();
    for _ in 0..1000 {
        codes.push(guard.caller(&basic("ops", "guess"), &access, guesser).await.unwrap_err().code);
    }
    let looked_at = codes.iter().filter(|code| *code == "A201").count();
    assert!(looked_at <= 30, "{looked_at} guesses were looked at");
    assert_eq!(codes.last().map(String::as_str), Some("A205"));
    assert!(guard.caller(&basic("ops", "secret of ops"), &access, HERE).await.is_ok());
}

#[tokio::test]
async fn another_password_ends_logins_and_a_gone_user_is_gone() {
    let guard = Guard::new();
    let (login, _) = guard.sign_in("ops", "secret of ops", &access(), HERE).await.unwrap();
    let cookie = with("cookie", &format!("evenkeel-admin={login}"));
    let changed = [("ops".to_owned(), Role::Admin, hash_password(b"another", &[1; 16]).unwrap())];
    let changed = Access::new(changed, Vec::new(), false).unwrap();
    assert_eq!(guard.caller(&cookie, &changed, HERE).await.unwrap(), None);
    assert!(guard.caller(&basic("ops", "secret of ops"), &changed, HERE).await.is_err());
    assert!(guard.caller(&cookie, &access(), HERE).await.unwrap().is_some());
}

#[tokio::test]
async fn without_users_everybody_may_look_and_no_more() {
    let guard = Guard::new();
    let caller = guard.caller(&basic("ops", "x"), &Access::default(), HERE).await.unwrap().unwrap();
    assert_eq!(caller.role, Role::Read);
}

/// The work is the same for a user who is there, one who is not, and one who has a token: the same hash is made. What is compared here is the
/// order of magnitude, since the machine may be busy.
#[tokio::test]
async fn an_unknown_user_costs_as_much_as_a_known_one() {
    let guard = Guard::new();
    let access = access();
    let mut least = [Duration::MAX; 3];
    for round in 0..4_u32 {
        for (place, user) in ["ops", "nobody", "bot"].into_iter().enumerate() {
            let from = IpAddr::V4(std::net::Ipv4Addr::from(0xc000_0200 + round));
            #[allow(clippy::disallowed_methods, reason = "the time that it takes is what is looked at")]
            let begun = Instant::now();
            assert!(guard.caller(&basic(user, "wrong"), &access, from).await.is_err());
            least[place] = least[place].min(begun.elapsed());
        }
    }
    let [known, unknown, token] = least.map(|time| time.as_secs_f64());
    for other in [unknown, token] {
        assert!(other > known / 3.0 && known > other / 3.0, "known {known} s, unknown {unknown} s, token {token} s");
    }
}

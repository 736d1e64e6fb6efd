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

/// Case A3: a wrong first letter, a wrong last one and a user who is not there take the same time, as Welch's t says of ten
/// thousand attempts of each. The hash is made to be cheap, so that its own time hides nothing; the order is by chance.
#[tokio::test]
async fn a3_time_tells_neither_who_is_there_nor_where_a_password_differs() {
    const SAMPLES: u32 = 30_000;
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let cheap = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = argon2::password_hash::PasswordHasher::hash_password_with_salt(&cheap, b"secret of ops", &[1; 16]);
    let proof = hash.map(|hash: argon2::password_hash::phc::PasswordHash| hash.to_string()).unwrap();
    let access = Access::new([("ops".to_owned(), Role::Admin, proof)], Vec::new(), false).unwrap();
    let attempts = [basic("ops", "Secret of ops"), basic("ops", "secret of opS"), basic("oqs", "secret of ops")];
    let guard = Guard::new();
    let mut samples: [Vec<f64>; 3] = Default::default();
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..SAMPLES {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let which = (chance >> 33) as usize % 3;
        // Each guess comes from elsewhere, so that none is held up.
        let from = IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000 + number));
        #[allow(clippy::disallowed_methods, reason = "the time that it takes is what is looked at")]
        let begun = Instant::now();
        assert!(guard.caller(&attempts[which], &access, from).await.is_err());
        samples[which].push(begun.elapsed().as_secs_f64());
    }
    // What the machine did in between falls on some by chance: the slowest tenth of each says nothing of us.
    for times in &mut samples {
        times.sort_unstable_by(f64::total_cmp);
        times.truncate(times.len() * 9 / 10);
    }
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let t = welch(&samples[one], &samples[other]);
        assert!(t.abs() < 4.5, "t is {t} between {one} and {other}");
    }
}

/// Welch's t of two samples.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let of = |samples: &[f64]| {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let variance = samples.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((mean, spread), (other_mean, other_spread)) = (of(one), of(other));
    (mean - other_mean) / (spread + other_spread).sqrt()
}

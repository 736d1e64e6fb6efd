use std::time::Duration;

use evenkeel_balance::sessions::{Bounds, ClientMark, Source, TableSecret};
use evenkeel_config::Options;

use super::*;

const TEXT: &str = "http :80 {\n    route * to=shop\n}\nhttp :81 {\n    to 10.0.0.3:80 10.0.0.4:80\n    sticky learn SID\n}\n\
    pool shop {\n    sticky learn SID\n    server a 10.0.0.1:80\n    server b 10.0.0.2:80\n}\n";

/// Two pools, and one session on each of these servers.
fn book(sessions: &[(&str, &str)]) -> SessionBook {
    let origin = crate::Origin::Text { name: "test".to_owned(), text: TEXT.to_owned() };
    let config = origin.load(&Options::default()).loaded.config.unwrap();
    let secret = TableSecret::derive(b"sixteen bytes of");
    let bounds = Bounds { idle: Duration::from_secs(600), life: Duration::from_secs(3600), max: 100 };
    let table = |pool: &PoolName| (pool.clone(), Arc::new(SessionTable::new(pool, &secret, bounds)));
    let tables: BTreeMap<_, _> = config.pools.iter().map(|pool| table(&pool.name)).collect();
    let now = clock::unix_now().as_secs();
    for (at, (pool, server)) in sessions.iter().enumerate() {
        let (_, table) = tables.iter().find(|(name, _)| name.as_str() == *pool).unwrap();
        let uid = ServerUid::of(&ServerName::of_address(server));
        let client = ClientMark::of("192.0.2.1".parse().unwrap());
        table.learn(table.key(&at.to_be_bytes()), uid, Source::Head, client, now);
    }
    SessionBook { tables, config: Arc::new(config) }
}

const ALL: [(&str, &str); 4] = [("shop", "a"), ("shop", "gone"), ("@:81", "10.0.0.3:80"), ("@:81", "10.0.0.4:80")];

fn on(server: &str) -> SessionFilter {
    SessionFilter { server: Some(server.to_owned()), ..SessionFilter::default() }
}

fn left(book: &SessionBook) -> u64 {
    book.list(&SessionFilter::default(), 10).unwrap().total
}

#[test]
fn a_server_that_is_not_there_chooses_no_session() {
    for server in ["shop/zzz", "zzz", "cart/a", "10.0.0.9:80", "shop/", "/", "", "@:81/a", "shop/10.0.0.3:80", "ä"] {
        let book = book(&ALL);
        assert_eq!(book.drop_all(&on(server)), Ok(0), "{server}");
        assert_eq!(book.list(&on(server), 10).unwrap().total, 0, "{server}");
        assert_eq!(left(&book), 4, "{server}");
    }
}

#[test]
fn a_server_is_chosen_by_its_name_its_address_or_as_it_is_listed() {
    for server in ["a", "shop/a", "gone", "shop/gone", "10.0.0.3:80", "@:81/10.0.0.3:80"] {
        let book = book(&ALL);
        assert_eq!(book.drop_all(&on(server)), Ok(1), "{server}");
        assert_eq!(left(&book), 3, "{server}");
    }
}

#[test]
fn a_pool_and_a_server_of_another_do_not_go_together() {
    let book = book(&ALL);
    let filter = SessionFilter { pool: Some("shop".to_owned()), ..on("@:81/10.0.0.3:80") };
    let refused = NoSession::Server { server: "@:81/10.0.0.3:80".to_owned(), pool: "shop".to_owned() };
    assert_eq!(book.drop_all(&filter), Err(refused));
    assert_eq!(left(&book), 4);
}

#[test]
fn sessions_move_within_the_pool_that_is_named_or_not_at_all() {
    let book = book(&ALL);
    // Of all pools: one of them has no such server, so that none of them moves anything.
    assert!(book.move_all(&SessionFilter::default(), "b").is_err());
    assert_eq!(book.list(&on("b"), 10).unwrap().total, 0);
    assert_eq!(book.move_all(&SessionFilter::default(), "shop/b"), Ok(2));
    assert_eq!(book.list(&on("shop/b"), 10).unwrap().total, 2);
    assert_eq!(book.move_all(&on("10.0.0.3:80"), "@:81/10.0.0.4:80"), Ok(1));
    assert_eq!(book.list(&on("10.0.0.4:80"), 10).unwrap().total, 2);
    assert!(book.move_all(&on("shop/b"), "@:81/10.0.0.4:80").is_err(), "not over to another pool");
    let refused = NoSession::Server { server: "z".to_owned(), pool: "shop".to_owned() };
    assert_eq!(book.move_all(&on("shop/b"), "shop/z"), Err(refused));
}

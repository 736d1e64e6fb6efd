//! Learned sessions through a node's life.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use evenkeel_node::{NoSession, SessionFilter};

use crate::Running;
use crate::origin::{Scratch, Server, eventually, free_port, get, get_with};

/// Two servers that begin a session with each answer, and the text of a node in front of them.
struct Shop {
    _servers: [Server; 2],
    port: u16,
    text: String,
}

impl Shop {
    fn open(more: &str) -> Self {
        let servers = [Server::start("a"), Server::start("b")];
        let port = free_port();
        let text = format!(
            "limits workers=2 drain=2s\nhttp 127.0.0.1:{port} {{\n    route * to=shop\n}}\npool shop {{\n    sticky learn SID\n\
             {more}    server a 127.0.0.1:{}\n    server b 127.0.0.1:{}\n}}\n",
            servers[0].port(),
            servers[1].port()
        );
        Self { _servers: servers, port, text }
    }

    fn run(&self, state: &Path) -> Running {
        Running::try_start(&self.text, Some(state.to_owned())).unwrap()
    }

    /// Has both servers begin a session.
    fn begin_both(&self) {
        let mut seen = [false; 2];
        eventually("both servers have answered", || {
            seen[usize::from(get(self.port, "/").unwrap().1 == "b")] = true;
            seen == [true; 2]
        });
    }

    /// Which servers answer a client of that session.
    fn served(&self, session: &str) -> Vec<String> {
        let cookie = format!("Cookie: SID={session}-session\r\n");
        (0..5).map(|_| get_with(self.port, "/", &cookie).unwrap().1).collect()
    }

    fn keeps_both(&self) {
        for name in ["a", "b"] {
            assert_eq!(self.served(name), [name; 5]);
        }
    }
}

fn held(running: &Running) -> u64 {
    let book = running.node.as_ref().unwrap().handle().sessions_blocking().unwrap();
    book.list(&SessionFilter::default(), 10).unwrap().total
}

fn file(state: &Path) -> PathBuf {
    state.join("sessions.table")
}

#[test]
fn sessions_outlive_reloads_and_restarts() {
    let dir = Scratch::new("sessions");
    let state = dir.path().join("state");
    let shop = Shop::open("");
    let running = shop.run(&state);
    shop.begin_both();
    shop.keeps_both();
    running.reload(&shop.text.replace("sticky learn SID", "sticky learn SID idle=1h\n    balance least-conn")).unwrap();
    shop.keeps_both();
    running.stop();
    assert_eq!(fs::metadata(file(&state)).unwrap().permissions().mode() & 0o777, 0o600);
    let saved = fs::read(file(&state)).unwrap();
    assert!(!saved.windows(9).any(|word| word == b"a-session"), "no id stands in the file");

    let running = shop.run(&state);
    assert_eq!(held(&running), 2);
    shop.keeps_both();
    running.stop();
}

#[test]
fn a_copy_is_written_while_it_runs() {
    let dir = Scratch::new("sessions-copy");
    let state = dir.path().join("state");
    let shop = Shop::open("");
    let _running = shop.run(&state);
    shop.begin_both();
    eventually("a copy is there", || fs::metadata(file(&state)).is_ok_and(|file| file.len() > 80));
}

#[test]
fn a_torn_or_foreign_file_is_not_used_and_stops_nobody() {
    let dir = Scratch::new("sessions-torn");
    let state = dir.path().join("state");
    let shop = Shop::open("");
    let running = shop.run(&state);
    shop.begin_both();
    running.stop();
    let whole = fs::read(file(&state)).unwrap();
    let mut changed = whole.clone();
    changed[60] ^= 1;
    for bad in [&whole[..whole.len() - 1], &whole[..10], b"", b"another program's file of some length", &changed] {
        fs::write(file(&state), bad).unwrap();
        let running = shop.run(&state);
        assert_eq!(held(&running), 0);
        assert_eq!(get(shop.port, "/").unwrap().0, 200);
        running.stop();
    }
    // What the last one learned was saved over the bad file.
    let running = shop.run(&state);
    assert_eq!(held(&running), 1);
    running.stop();
}

#[test]
fn a_directory_in_the_file_s_place_costs_the_copy_alone() {
    let dir = Scratch::new("sessions-dir");
    let state = dir.path().join("state");
    fs::create_dir_all(file(&state).join("inside")).unwrap();
    let shop = Shop::open("");
    let running = shop.run(&state);
    shop.begin_both();
    shop.keeps_both();
    assert_eq!(running.stop().failed, None);
    let left: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("tmp")), "{left:?}");
}

#[test]
fn sessions_are_listed_moved_and_dropped() {
    let dir = Scratch::new("sessions-book");
    let shop = Shop::open("");
    let running = shop.run(&dir.path().join("state"));
    shop.begin_both();
    shop.keeps_both();
    let book = running.node.as_ref().unwrap().handle().sessions_blocking().unwrap();
    let of = |server: &str| SessionFilter { server: Some(server.to_owned()), ..SessionFilter::default() };

    let list = book.list(&of("a"), 10).unwrap();
    assert_eq!((list.total, list.sessions.len()), (1, 1));
    let session = &list.sessions[0];
    assert_eq!((session.pool.as_str(), session.server.as_deref()), ("shop", Some("a")));
    assert_eq!((session.client.to_string().as_str(), session.presented), ("127.0.0.1", true));
    let by_id = SessionFilter { session: Some("a-session".to_owned()), ..SessionFilter::default() };
    assert_eq!(book.list(&by_id, 10).unwrap().sessions, list.sessions);
    let counts = book.counts();
    assert_eq!(
        counts[0].servers.iter().map(|(name, live, used)| (name.as_str(), *live, *used)).collect::<Vec<_>>(),
        [("a", 1, 1), ("b", 1, 1)]
    );

    assert_eq!(book.move_all(&by_id, "b"), Ok(1));
    assert_eq!(shop.served("a"), ["b"; 5]);
    assert_eq!(book.list(&of("b"), 10).unwrap().total, 2);
    let wrong = book.move_all(&by_id, "z").unwrap_err();
    assert_eq!(wrong, NoSession::Server { server: "z".to_owned(), pool: "shop".to_owned() });
    let elsewhere = SessionFilter { pool: Some("cart".to_owned()), ..SessionFilter::default() };
    assert_eq!(book.drop_all(&elsewhere), Err(NoSession::Pool("cart".to_owned())));

    assert_eq!(book.drop_all(&of("b")), Ok(2));
    assert_eq!(book.list(&SessionFilter::default(), 10).unwrap().total, 0);
    running.stop();
}

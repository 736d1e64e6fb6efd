//! Is a session ever moved without cause? Ten thousand clients, two balancers that share nothing but their configuration.
//!
//! The clients are kept in memory with the server and the cookie that each has. Every one of them is asked for after
//! each event, and the only ones that may be elsewhere are those whose server is the event's cause.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;

use evenkeel_e2e::PATIENCE;
use evenkeel_e2e::balancer::{Balancer, text};
use evenkeel_e2e::nginx::Nginx;
use evenkeel_e2e::place::{Scratch, free};
use evenkeel_e2e::wire::{self, Connection, Response};

use crate::setting::{QUICK_CHECK, named, shop};

const CLIENTS: usize = 10_000;
/// Threads that play them, each with one connection to either balancer.
const THREADS: usize = 8;

/// One client. It takes cookies, or follows the link of its last page.
#[derive(Debug, Clone, Default)]
struct Client {
    server: String,
    cookie: String,
    link: Option<String>,
}

/// A kept connection that is opened anew where the balancer ended it.
struct Line {
    at: SocketAddr,
    connection: Option<Connection>,
}

impl Line {
    fn ask(&mut self, path: &str, cookie: &str) -> Response {
        let field = if cookie.is_empty() { String::new() } else { format!("Cookie: a=1; {cookie}; b=2\r\n") };
        let bytes = wire::request(self.at, "GET", path, &field, b"");
        let mut connection = self.connection.take().unwrap_or_else(|| Connection::open(self.at, PATIENCE).unwrap());
        connection.send(&bytes).unwrap();
        let answer = connection.answer("GET").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.head);
        self.connection = Some(connection).filter(|_| !answer.closes());
        answer
    }
}

impl Client {
    /// Asks once; answers the server before, where the client was moved.
    fn visit(&mut self, line: &mut Line) -> Option<String> {
        let answer = line.ask(self.link.as_deref().unwrap_or("/"), &self.cookie);
        if self.link.is_some() {
            self.link = answer.text().split('"').nth(1).map(str::to_owned);
        }
        if let Some(set) = answer.field("set-cookie") {
            set.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        let server = answer.field("x-server").unwrap();
        let before = (self.server != server).then(|| std::mem::replace(&mut self.server, server.to_owned()));
        before.filter(|before| !before.is_empty())
    }
}

/// Lets every client visit one of the balancers, by turns with an offset, and counts those moved by the server they
/// had.
fn visit(clients: &mut [Client], balancers: [SocketAddr; 2], offset: usize) -> HashMap<String, usize> {
    let mut moved: HashMap<String, usize> = HashMap::new();
    thread::scope(|scope| {
        let share = clients.len().div_ceil(THREADS);
        let players = clients.chunks_mut(share).map(|clients| {
            scope.spawn(move || {
                let mut lines = balancers.map(|at| Line { at, connection: None });
                let turns = clients.iter_mut().enumerate();
                turns.filter_map(|(turn, client)| client.visit(&mut lines[(turn + offset) % 2])).collect::<Vec<_>>()
            })
        });
        for player in players.collect::<Vec<_>>() {
            player.join().unwrap().into_iter().for_each(|server| *moved.entry(server).or_default() += 1);
        }
    });
    moved
}

fn having(clients: &[Client], server: &str) -> usize {
    clients.iter().filter(|client| client.server == server).count()
}

fn expect_done(output: &std::process::Output) {
    assert!(output.status.success(), "{}", text(output));
}

#[test]
fn of_ten_thousand_sessions_not_one_moves_without_cause() {
    let mut servers = Nginx::start_many(4);
    let keys = Scratch::new("keys");
    let key = keys.write("key", "0123456789abcdef0123456789abcdef");
    let at = [free(), free()];
    let line = format!("sticky cookie SRV key=file:{}\n{QUICK_CHECK}", key.display());
    let config =
        |which: usize, more: &str, servers: &[(&str, SocketAddr)]| shop(at[which], &format!("{line}{more}"), servers);
    let all = named(&servers).into_iter().map(|(name, at)| (name.to_owned(), at)).collect::<Vec<_>>();
    let all: Vec<(&str, SocketAddr)> = all.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    let start = |which: usize| Balancer::start(&config(which, "", &all));
    let mut balancers = [start(0), start(1)];
    let mut clients = vec![Client::default(); CLIENTS];
    let nobody = HashMap::new();
    assert_eq!(visit(&mut clients, at, 0), nobody);
    let share = CLIENTS / 4;
    assert!(["a", "b", "c", "d"].iter().all(|server| having(&clients, server).abs_diff(share) < share / 5));

    // The other balancer, and the same one again.
    assert_eq!(visit(&mut clients, at, 1), nobody, "by a change of balancer");

    // A reload of one that touches the pool, and the death and rebirth of the other, with no state but the key.
    expect_done(&balancers[0].reload(&config(0, "\nbalance least-conn\nslow-start 1s", &all)));
    balancers[1].process().kill();
    balancers[1] = start(1);
    assert_eq!(visit(&mut clients, at, 0), nobody, "by a reload and a restart");

    // A drained server keeps its sessions and gets no new ones.
    balancers.iter().for_each(|balancer| expect_done(&balancer.run("drain", &["shop/a"])));
    assert_eq!(visit(&mut clients, at, 1), nobody, "by a drain");
    let mut late = vec![Client::default(); 200];
    visit(&mut late, at, 0);
    assert_eq!(having(&late, "a"), 0, "a drained server got new sessions");

    // A server dies: its sessions move, once, and no other.
    let on_b = having(&clients, "b");
    servers[1].kill();
    balancers.iter().for_each(|balancer| balancer.await_state("shop", "b", "down"));
    assert_eq!(visit(&mut clients, at, 0), HashMap::from([("b".to_owned(), on_b)]));
    assert_eq!((having(&clients, "a") > 0, having(&clients, "b")), (true, 0));
    assert_eq!(visit(&mut clients, at, 1), nobody, "after they had moved");

    // It comes back: nobody goes back.
    servers[1].restore();
    balancers.iter().for_each(|balancer| balancer.await_state("shop", "b", "up"));
    assert_eq!(visit(&mut clients, at, 0), nobody, "by a server's return");

    // A server is taken out of the file: its sessions are balanced afresh, and no other.
    let on_c = having(&clients, "c");
    let rest: Vec<_> = all.iter().copied().filter(|(name, _)| *name != "c").collect();
    for (which, balancer) in balancers.iter().enumerate() {
        expect_done(&balancer.reload(&config(which, "", &rest)));
    }
    assert_eq!(visit(&mut clients, at, 1), HashMap::from([("c".to_owned(), on_c)]));
    assert_eq!(visit(&mut clients, at, 0), nobody, "after they had moved");
}

#[test]
fn of_ten_thousand_learned_sessions_not_one_moves_without_cause() {
    let mut servers = Nginx::start_many(4);
    let at = free();
    let line = format!("sticky query sid learn=body\n{QUICK_CHECK}");
    let all: Vec<(String, SocketAddr)> = named(&servers).into_iter().map(|(name, at)| (name.to_owned(), at)).collect();
    let all: Vec<(&str, SocketAddr)> = all.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    let mut balancer = Balancer::start(&shop(at, &line, &all));
    let enter = |count| vec![Client { link: Some("/session".to_owned()), ..Client::default() }; count];
    let mut clients = enter(CLIENTS);
    let (at, nobody) = ([at; 2], HashMap::new());
    visit(&mut clients, at, 0);
    assert!(["a", "b", "c", "d"].iter().all(|server| having(&clients, server) > CLIENTS / 8));

    expect_done(&balancer.run("drain", &["shop/a"]));
    expect_done(&balancer.reload(&shop(at[0], &format!("{line}\nbalance least-conn"), &all)));
    assert_eq!(visit(&mut clients, at, 0), nobody, "by a drain and a reload");
    let mut late = enter(200);
    visit(&mut late, at, 0);
    assert_eq!(having(&late, "a"), 0, "a drained server got new sessions");

    expect_done(&balancer.run("stop", &[]));
    balancer.end(PATIENCE);
    let balancer = balancer.again();
    assert_eq!(visit(&mut clients, at, 0), nobody, "by a restart");

    let on_b = having(&clients, "b");
    servers[1].kill();
    balancer.await_state("shop", "b", "down");
    assert_eq!(visit(&mut clients, at, 0), HashMap::from([("b".to_owned(), on_b)]));
    servers[1].restore();
    balancer.await_state("shop", "b", "up");
    assert_eq!(visit(&mut clients, at, 0), nobody, "by a server's return");
}

#[test]
fn a_new_key_loses_no_session_and_foreign_tokens_bind_nobody() {
    let servers = Nginx::start_many(3);
    let named = named(&servers);
    let keys = Scratch::new("keys");
    let old = keys.write("old", "the old secret, 0123456789").display().to_string();
    let new = keys.write("new", "the new secret, 0123456789").display().to_string();
    let at = [free(), free()];
    let config =
        |which: usize, options: &str| shop(at[which], &format!("sticky cookie SRV {options}\ncheck off"), &named);
    let mut balancers = [0, 1].map(|which| Balancer::start(&config(which, &format!("key=file:{old}"))));
    let mut clients = vec![Client::default(); 300];
    visit(&mut clients, at, 0);
    // Everybody learns the new key before anybody writes with it; then each in turn is started anew.
    for options in [
        format!("key=file:{old} previous=file:{new}"),
        format!("key=file:{new} previous=file:{old}"),
        format!("key=file:{new} previous=file:{old}"),
    ] {
        for which in [0, 1] {
            balancers[which].process().kill();
            balancers[which] = Balancer::start(&config(which, &options));
            assert_eq!(visit(&mut clients, at, which), HashMap::new(), "{options}");
        }
    }
    // A balancer with another key: its tokens bind nobody here, nor ours there; nobody gets an error.
    let foreign = keys.write("foreign", "a third secret, 0123456789").display().to_string();
    let elsewhere = free();
    let _other = Balancer::start(&shop(elsewhere, &format!("sticky cookie SRV key=file:{foreign}\ncheck off"), &named));
    let mut strangers = vec![Client::default(); 60];
    visit(&mut strangers, [elsewhere; 2], 0);
    let moved: usize = visit(&mut strangers, at, 0).values().sum();
    assert!(moved > 10, "tokens of another key were believed: {moved} of 60 moved");
    assert_eq!(visit(&mut strangers, at, 0), HashMap::new(), "they have tokens of ours now");
}

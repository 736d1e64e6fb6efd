//! Small applications in Python and PHP whose sessions stand in their pages or in a cookie of their own, and a client of them.
//!
//! The invariant: whether a session was kept is the application's own count, not what a balancer says.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::place::{Scratch, free};
use crate::process::Process;
use crate::wire::{self, Response};
use crate::{PATIENCE, await_for};

const PHP: &str = include_str!("webshop.php");
const PROGRAM: &str = include_str!("webshop.py");

/// One server of the application.
#[derive(Debug)]
pub struct Webshop {
    /// Its name, which its pages tell.
    pub name: String,
    /// Where it listens.
    pub at: SocketAddr,
    process: Process,
    _scratch: Scratch,
}

impl Webshop {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(name: &str) -> Self {
        let scratch = Scratch::new(&format!("webshop-{name}"));
        let at = free();
        let program = scratch.write("webshop.py", PROGRAM);
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let arguments = [program.to_str().unwrap_or_default(), name, &host, &port];
        let python = Path::new("/usr/bin/python3");
        let mut process = Process::start("webshop", python, &arguments, scratch.path(), scratch.file("output"));
        await_for("the application to answer", PATIENCE, || {
            process.expect_running();
            wire::get(at, "/check").is_ok_and(|answer| answer.status == 200).then_some(())
        });
        Self { name: name.to_owned(), at, process, _scratch: scratch }
    }

    /// The same as a PHP application, whose sessions PHP itself keeps in files and writes into the links of its pages.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_php(name: &str) -> Self {
        let scratch = Scratch::new(&format!("php-{name}"));
        let at = free();
        let program = scratch.write("webshop.php", PHP);
        let (place, kept) = (at.to_string(), format!("session.save_path={}", scratch.path().display()));
        let program = program.to_str().unwrap_or_default();
        let settings = [
            kept.as_str(),
            "session.use_cookies=0",
            "session.use_only_cookies=0",
            "session.use_trans_sid=1",
            "error_reporting=0",
        ];
        let mut arguments: Vec<&str> = settings.iter().flat_map(|setting| ["-d", setting]).collect();
        arguments.extend(["-S", &place, program]);
        let php = Path::new("/usr/bin/php");
        let environment = [("SHOP", name)];
        let mut process =
            Process::start_with("php", php, &arguments, scratch.path(), scratch.file("output"), &environment);
        await_for("the application to answer", PATIENCE, || {
            process.expect_running();
            wire::get(at, "/check").is_ok_and(|answer| answer.status == 200).then_some(())
        });
        Self { name: name.to_owned(), at, process, _scratch: scratch }
    }

    /// Kills it: its sessions are gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

/// What a page says of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The server that made it.
    pub server: String,
    /// The session's id.
    pub session: String,
    /// How often the session was used.
    pub count: u32,
}

impl Facts {
    /// Reads a page, compressed or not.
    ///
    /// # Panics
    /// Where it is none of the application's.
    pub fn of(answer: &Response) -> Self {
        let text = match answer.field("content-encoding") {
            Some("gzip") => {
                let mut text = String::new();
                let read = flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut text);
                read.unwrap_or_else(|error| panic!("no gzip: {error}"));
                text
            }
            _ => answer.text(),
        };
        let fact = |name: &str| {
            let value = text.split(name).nth(1).and_then(|rest| rest.split([' ', '<']).next());
            value.unwrap_or_else(|| panic!("no {name} in {}\n{text}", answer.head)).to_owned()
        };
        let count = fact(" count=").parse().unwrap_or_else(|_| panic!("no count in {text}"));
        Self { server: fact("server="), session: fact(" session="), count }
    }
}

/// A client that follows the links of its pages and keeps no cookie.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// What its last page said.
    pub facts: Facts,
    fields: &'static str,
    turn: usize,
}

impl Visitor {
    /// Comes for the first time; every other one takes compressed pages.
    ///
    /// # Panics
    /// Where it gets no page.
    pub fn enter(at: SocketAddr, number: usize) -> Self {
        let fields = if number.is_multiple_of(2) { "" } else { "Accept-Encoding: gzip, br\r\n" };
        let facts = page(at, "/", fields);
        Self { facts, fields, turn: number }
    }

    /// Follows a link of its page, in the ways that pages have.
    ///
    /// # Panics
    /// Where it gets no page.
    pub fn follow(&mut self, at: SocketAddr) {
        let sid = &self.facts.session;
        self.turn += 1;
        let target = match self.turn % 4 {
            0 => format!("/cart?page=1&sid={sid}"),
            1 => format!("/buy;x=1?sid={sid}"),
            2 => format!("/search?sid={sid}&q=tea"),
            _ => format!("/enter?sid={sid}"),
        };
        self.facts = match target.starts_with("/enter") {
            false => page(at, &target, self.fields),
            true => {
                let answer = ask(at, &target, self.fields);
                let to = answer.field("location").unwrap_or_else(|| panic!("no Location in {}", answer.head));
                page(at, to, self.fields)
            }
        };
    }
}

fn page(at: SocketAddr, target: &str, fields: &str) -> Facts {
    Facts::of(&ask(at, target, fields))
}

/// Asks, and once more where a server died under the request.
fn ask(at: SocketAddr, target: &str, fields: &str) -> Response {
    let answer = wire::ask(at, "GET", target, fields, b"");
    match answer {
        Ok(answer) if answer.status < 500 => answer,
        _ => {
            std::thread::sleep(Duration::from_millis(200));
            wire::ask(at, "GET", target, fields, b"").unwrap_or_else(|error| panic!("{target}: {error:?}"))
        }
    }
}

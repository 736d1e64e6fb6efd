//! `passwd`: the hash that an admin user's `pass=` names, of a password or of a token made here.
//!
//! The invariant: a password is never shown, and never taken from the command line, where others could see it.

use std::io::{self, BufRead, IsTerminal, Write};

use evenkeel_admin::access;
use rustix::termios::{self, LocalModes, OptionalActions};

use crate::args::PasswdArgs;
use crate::exit::Exit;
use crate::output;

/// Fewer characters than this are guessed too soon.
const LEAST: usize = 8;

pub(crate) fn passwd(args: &PasswdArgs) -> Exit {
    let chance = evenkeel_node::chance();
    if args.token {
        let (token, hash) = access::make_token(&chance);
        output::say(format_args!("the token, shown this once: {token}"));
        return output::print(hash);
    }
    let password = match ask() {
        Ok(password) => password,
        Err(error) => return output::fail(format_args!("no password was read: {error}")),
    };
    if password.chars().count() < LEAST {
        return output::fail(format_args!("the password has fewer than {LEAST} characters; it would be guessed"));
    }
    let salt = chance.first_chunk::<16>().copied().unwrap_or_default();
    match access::hash_password(password.as_bytes(), &salt) {
        Ok(hash) => output::print(hash),
        Err(error) => output::fail(format_args!("the password cannot be hashed: {error}")),
    }
}

/// Asks twice on a terminal, without showing what is typed; otherwise takes a line of the standard input.
fn ask() -> io::Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return line(&stdin);
    }
    let shown = termios::tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    let asked = prompt("password: ").and_then(|()| line(&stdin)).and_then(|first| {
        prompt("\nonce more: ")?;
        let second = line(&stdin)?;
        prompt("\n")?;
        if first == second { Ok(first) } else { Err(io::Error::other("the two differ")) }
    });
    termios::tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    asked
}

fn prompt(text: &str) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

fn line(stdin: &io::Stdin) -> io::Result<String> {
    let mut text = String::new();
    if stdin.lock().read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

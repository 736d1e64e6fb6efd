//! `top`: the running daemon as a screen that follows it, over its control socket.
//!
//! Where the output is no terminal, it is one screen as plain text. The invariant: of a screen only the lines are sent that
//! changed, so that it can be followed over a slow connection.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use evenkeel_admin::client::{Client, ClientError};
use evenkeel_admin::render::{Colour, Order, Screen, top as screen_of};
use evenkeel_admin::report::StatusReport;

use super::remote::{client, failed};
use crate::args::TopArgs;
use crate::exit::Exit;
use crate::output;
use crate::terminal::{INTERRUPT_KEY, Interrupt, Pressed, Terminal};

/// The other screen, without a cursor; and back again.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Lines and columns where nobody says how many there are.
const PLAIN: (usize, usize) = (usize::MAX, 200);

pub(crate) fn top(args: &TopArgs) -> Exit {
    let client = client(args.remote.control.as_deref());
    let report = match client.status() {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    if args.remote.json {
        return super::remote::print_json(&report);
    }
    if args.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let (lines, columns) = PLAIN;
        let screen = Screen { colour: Colour::Off, lines, columns, order: Order::Written, skip: 0 };
        return output::print(screen_of(&report, screen).join("\n"));
    }
    let every = Duration::from_secs_f64(args.every.clamp(0.2, 3600.0));
    match follow(&client, report, every) {
        Ok(()) => Exit::Done,
        Err(error) => output::fail(format_args!("the terminal cannot be used: {error}")),
    }
}

/// What is on the screen, and what is to be.
struct View {
    order: Order,
    skip: usize,
    is_paused: bool,
    shown: Vec<String>,
    size: (usize, usize),
}

fn follow(client: &Client, mut report: StatusReport, every: Duration) -> io::Result<()> {
    let mut terminal = Terminal::open(Interrupt::Key)?;
    let colour = if output::stdout_has_colour() { Colour::On } else { Colour::Off };
    let mut view = View { order: Order::Written, skip: 0, is_paused: false, shown: Vec::new(), size: (0, 0) };
    let mut trouble = None;
    write(ENTER)?;
    let ended = loop {
        if let Err(error) = view.draw(&report, colour, trouble.as_ref()) {
            break Err(error);
        }
        match terminal.key(every) {
            Pressed::End => break Ok(()),
            Pressed::Key(key) => {
                if !view.press(key, &mut terminal, servers(&report)) {
                    break Ok(());
                }
            }
            Pressed::Nothing if view.is_paused => {}
            Pressed::Nothing => match client.status() {
                Ok(now) => (report, trouble) = (now, None),
                Err(error) => trouble = Some(error),
            },
        }
    };
    // A terminal that is gone takes no last words.
    let _ = write(LEAVE);
    ended
}

impl View {
    /// Does what a key says; false at the end.
    fn press(&mut self, key: u8, terminal: &mut Terminal, servers: usize) -> bool {
        let last = servers.saturating_sub(1);
        match arrow(key, terminal) {
            b'q' | INTERRUPT_KEY => return false,
            b's' => self.order = self.order.next(),
            b'p' | b' ' => self.is_paused = !self.is_paused,
            b'j' => self.skip = self.skip.saturating_add(1).min(last),
            b'k' => self.skip = self.skip.saturating_sub(1),
            b'd' => self.skip = self.skip.saturating_add(self.size.0 / 2).min(last),
            b'u' => self.skip = self.skip.saturating_sub(self.size.0 / 2),
            b'g' => self.skip = 0,
            b'G' => self.skip = last,
            // What else happened to the screen is put right.
            12 | b'r' => self.shown.clear(),
            _ => {}
        }
        true
    }

    /// Sends the lines that changed.
    fn draw(&mut self, report: &StatusReport, colour: Colour, trouble: Option<&ClientError>) -> io::Result<()> {
        let size = size();
        let (lines, columns) = size;
        let screen = Screen { colour, lines: lines.saturating_sub(1), columns, order: self.order, skip: self.skip };
        let mut now = screen_of(report, screen);
        now.resize(lines.saturating_sub(1), String::new());
        now.push(self.foot(columns, trouble));
        let mut out = String::new();
        if size != self.size || self.shown.is_empty() {
            out.push_str("\x1b[2J");
            self.shown.clear();
        }
        for (at, line) in now.iter().enumerate().filter(|(at, line)| self.shown.get(*at) != Some(line)) {
            out.push_str(&format!("\x1b[{};1H{line}\x1b[0m\x1b[K", at.saturating_add(1)));
        }
        (self.shown, self.size) = (now, size);
        if out.is_empty() { Ok(()) } else { write(&out) }
    }

    fn foot(&self, columns: usize, trouble: Option<&ClientError>) -> String {
        let paused = if self.is_paused { " (paused)" } else { "" };
        let text = match trouble {
            Some(error) => format!("no answer: {error}"),
            None => format!("q quit · s order: {} · j k scroll · p pause{paused}", self.order.as_str()),
        };
        text.chars().filter(|c| !c.is_control()).take(columns).collect()
    }
}

/// The letter that an arrow or page key stands for; other keys are themselves.
fn arrow(key: u8, terminal: &mut Terminal) -> u8 {
    const FOLLOWS: Duration = Duration::from_millis(30);
    if key != 0x1b || terminal.key(FOLLOWS) != Pressed::Key(b'[') {
        return key;
    }
    match terminal.key(FOLLOWS) {
        Pressed::Key(b'A') => b'k',
        Pressed::Key(b'B') => b'j',
        Pressed::Key(b'H') => b'g',
        Pressed::Key(b'F') => b'G',
        Pressed::Key(page @ (b'5' | b'6')) => {
            // The tilde that ends the sequence.
            let _ = terminal.key(FOLLOWS);
            if page == b'5' { b'u' } else { b'd' }
        }
        _ => 0,
    }
}

fn servers(report: &StatusReport) -> usize {
    report.pools.iter().map(|pool| pool.servers.len()).sum()
}

fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (usize::from(size.ws_row), usize::from(size.ws_col)),
        _ => (24, 80),
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

//! `demo`: the whole thing at work inside one process, with no file, no root and nothing left behind.
//!
//! Three toy servers, a real node in front of them, and a few clients. Keys hurt and heal the servers; without
//! a terminal a tour does, and ends by itself. The invariant: what it shows is what a node does; nothing in the
//! node knows that it is a demo.

mod dns;
mod ending;
mod ha;
mod house;
mod keys;
mod load;
mod pair;
mod play;
mod stage;
mod tour;
mod toy;

use crate::args::{DemoArgs, LogLevel};
use crate::exit::Exit;
use crate::{logging, output};
use ending::Ending;
use play::Meanings;
use stage::Stage;

pub(crate) fn demo(args: &DemoArgs) -> Exit {
    // The stage tells what happens; the log only what should not.
    logging::start(LogLevel::Error);
    let shown = match (args.dns, args.ha) {
        (true, _) => evenkeel_node::run_beside(dns::show(args)),
        (false, true) => evenkeel_node::run_beside(ha::show(args)),
        (false, false) => evenkeel_node::run_beside(show(args)),
    };
    match shown {
        Ok(exit) => exit,
        Err(error) => output::fail(error),
    }
}

async fn show(args: &DemoArgs) -> Exit {
    let mut ending = match Ending::listen() {
        Ok(ending) => ending,
        Err(error) => return output::fail(error),
    };
    let mut stage = match ending.or(Stage::set(args.port)).await {
        Some(Ok(stage)) => stage,
        Some(Err(cause)) => return output::fail(cause),
        None => return Exit::Done,
    };
    output::print(stage.welcome());
    let meanings = Meanings { help: keys::HELP, of: |key| keys::meaning(key).map(|act| (None, act)) };
    let played = play::play(&mut stage, (args, &mut ending), tour::tour(), meanings).await;
    let total = stage.total();
    let ended = stage.close().await;
    output::print(format_args!("\nin all: {total}"));
    match (played, ended) {
        (Ok(()), Ok(())) => Exit::Done,
        (Err(cause), _) | (_, Err(cause)) => output::fail(cause),
    }
}

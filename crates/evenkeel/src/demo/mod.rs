//! `demo`: the whole thing at work inside one process, with no file, no root and nothing left behind.
//!
//! Three toy servers, a real node in front of them, and a few clients. Keys hurt and heal the servers; without
//! a terminal a tour does, and ends by itself. The invariant: what it shows is what a node does; nothing in the
//! node knows that it is a demo.

mod dns;
mod house;
mod keys;
mod load;
mod stage;
mod tour;
mod toy;

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{self, Instant, MissedTickBehavior};

use crate::args::{DemoArgs, LogLevel};
use crate::exit::Exit;
use crate::{logging, output};
use keys::Keys;
use stage::{Act, Stage};

/// How often what happens is printed.
const BEAT: Duration = Duration::from_secs(1);

/// How often the servers' states are looked at.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn demo(args: &DemoArgs) -> Exit {
    // The stage tells what happens; the log only what should not.
    logging::start(LogLevel::Error);
    let shown =
        if args.dns { evenkeel_node::run_beside(dns::show(args)) } else { evenkeel_node::run_beside(show(args)) };
    match shown {
        Ok(exit) => exit,
        Err(error) => output::fail(error),
    }
}

async fn show(args: &DemoArgs) -> Exit {
    let mut stage = match Stage::set(args.port).await {
        Ok(stage) => stage,
        Err(cause) => return output::fail(cause),
    };
    output::print(stage.welcome());
    let is_tour = is_tour(args);
    let played =
        if is_tour { play(&mut stage, Cue::Tour(tour::script().into())).await } else { by_keys(&mut stage).await };
    let total = stage.total();
    let ended = stage.close().await;
    output::print(format_args!("\nin all: {total}"));
    match (played, ended) {
        (Ok(()), Ok(())) => Exit::Done,
        (Err(cause), _) | (_, Err(cause)) => output::fail(cause),
    }
}

/// Without a terminal there are no keys.
fn is_tour(args: &DemoArgs) -> bool {
    args.tour || !io::stdin().is_terminal() || !io::stdout().is_terminal()
}

async fn by_keys(stage: &mut Stage) -> Result<(), String> {
    let keys = Keys::open().map_err(|error| format!("the terminal gives no keys: {error}"))?;
    output::print(keys::HELP);
    play(stage, Cue::Keys(keys)).await
}

/// Where the next act comes from.
enum Cue {
    Tour(VecDeque<tour::Step>),
    Keys(Keys),
}

impl Cue {
    /// The next act, when it is time, and the toy that it is about where that is not the chosen one; `None` is the end.
    async fn next(&mut self, begun: Instant) -> Option<(Option<usize>, Act)> {
        match self {
            Self::Tour(steps) => {
                time::sleep_until(begun + steps.front().map_or(tour::END, |step| step.at)).await;
                steps.pop_front().map(|step| (Some(step.toy), step.act))
            }
            Self::Keys(keys) => keys.next().await.map(|act| (None, act)),
        }
    }
}

/// Acts on cue, and tells what happens, until there is no cue any more or somebody presses Ctrl-C.
async fn play(stage: &mut Stage, mut cue: Cue) -> Result<(), String> {
    let begun = Instant::now();
    let (mut beat, mut look) = (time::interval_at(begun + BEAT, BEAT), time::interval(LOOK));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            act = cue.next(begun) => match act {
                Some((toy, act)) => {
                    if let Some(toy) = toy {
                        stage.choose(toy);
                    }
                    if let Some(line) = stage.act(act).await? {
                        output::print(format_args!("{:>5.1} s  {line}", begun.elapsed().as_secs_f64()));
                    }
                }
                None => return Ok(()),
            },
            _ = look.tick() => {
                for line in stage.news().await? {
                    output::print(format_args!("{:>5.1} s  {line}", begun.elapsed().as_secs_f64()));
                }
            }
            _ = beat.tick() => {
                output::print(format_args!("         {}", stage.recent()));
            }
            _ = &mut interrupted => return Ok(()),
        }
    }
}

//! How a demo goes on: acts on cue, from keys or from a script, and what is told meanwhile.
//!
//! What is shown and how is the matter of each demo. The invariant: it ends, with its script, with its keys, or by an order to end.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{self, Instant, MissedTickBehavior};

use super::ending::Ending;
use super::keys::Keys;
use crate::args::DemoArgs;
use crate::output;

/// How often what clients saw is printed.
const BEAT: Duration = Duration::from_secs(1);

/// What a demo shows.
pub(super) trait Show {
    /// Something to do.
    type Act;

    /// How often is looked for news.
    const LOOK: Duration;

    /// Does it, and says what it did.
    async fn act(&mut self, act: Self::Act) -> Result<Option<String>, String>;

    /// What has changed since the last look.
    async fn news(&mut self) -> Result<Vec<String>, String>;

    /// What the clients saw since the last time.
    fn recent(&mut self) -> String;
}

/// What is done when nobody presses keys.
pub(super) struct Tour<A> {
    /// Each act with its time from the start.
    pub(super) steps: VecDeque<(Duration, A)>,
    /// When it ends: a moment after the last step, to see what came of it.
    pub(super) end: Duration,
}

/// What the keys of a demo mean.
pub(super) struct Meanings<A> {
    /// Said before.
    pub(super) help: &'static str,
    /// What a key means, if anything.
    pub(super) of: fn(u8) -> Option<A>,
}

/// Where the next act comes from.
enum Cue<A> {
    Tour(Tour<A>),
    Keys(Keys, fn(u8) -> Option<A>),
}

impl<A> Cue<A> {
    /// The next act, when it is time; `None` is the end.
    async fn next(&mut self, begun: Instant) -> Option<A> {
        match self {
            Self::Tour(tour) => {
                time::sleep_until(begun + tour.steps.front().map_or(tour.end, |(at, _)| *at)).await;
                tour.steps.pop_front().map(|(_, act)| act)
            }
            Self::Keys(keys, meaning) => keys.next(*meaning).await,
        }
    }
}

/// Plays it: without a terminal by the tour, since there are no keys.
pub(super) async fn play<S: Show>(
    show: &mut S,
    (args, ending): (&DemoArgs, &mut Ending),
    tour: Tour<S::Act>,
    meanings: Meanings<S::Act>,
) -> Result<(), String> {
    let mut cue = if args.tour || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        Cue::Tour(tour)
    } else {
        let keys = Keys::open().map_err(|error| format!("the terminal gives no keys: {error}"))?;
        output::print(meanings.help);
        Cue::Keys(keys, meanings.of)
    };
    let begun = Instant::now();
    let (mut beat, mut look) = (time::interval_at(begun + BEAT, BEAT), time::interval(S::LOOK));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let said = tokio::select! {
            act = cue.next(begun) => match act {
                Some(act) => show.act(act).await?.into_iter().collect(),
                None => return Ok(()),
            },
            _ = look.tick() => show.news().await?,
            _ = beat.tick() => {
                output::print(format_args!("         {}", show.recent()));
                Vec::new()
            }
            () = ending.ordered() => return Ok(()),
        };
        for line in said {
            output::print(format_args!("{:>5.1} s  {line}", begun.elapsed().as_secs_f64()));
        }
    }
}

//! The zone-file checker over the system: files, probes, commands, live servers.
//!
//! What the records mean and which to park is decided in `evenkeel-dns`; here it is carried out. `find` and `sheet` read,
//! `ask` and `judge` turn probes into verdicts, `round` writes or, by `live`, updates; `then` runs what follows. The
//! `daemon` does rounds beside a running node, [`once`] does one for a command line.
//!
//! The invariant: a file is whole at every moment and never empty of what was live, and no edit of somebody else is lost.

mod ask;
mod daemon;
mod find;
mod judge;
mod live;
mod report;
mod round;
mod sheet;
mod then;
mod whole;

use std::path::PathBuf;
use std::time::Duration;

use evenkeel_config::{Diagnostic, Loaded};
use evenkeel_model::config::{Config, Zonefile};

pub(crate) use daemon::Zonefiles;
pub(crate) use judge::{PoolVerdicts, pool_verdicts};
pub use report::{Outcome, RecordReport, SetReport, SheetReport, ThenReport, ZonefileReport};
pub use round::Mode;
pub use whole::{ZoneJudgement, is_zone, judge_zone};

use crate::secrets;
use round::Checker;
use then::{Debts, Strange};

/// The keys of updates that cannot be read. Each round reads its own anew: one that is not there yet is a mistake to be told
/// of where that loses nothing, and keeps nothing else from starting.
pub(crate) fn unreadable_keys(config: &Config, loaded: &Loaded) -> Vec<Diagnostic> {
    let updates = config.zonefiles.iter().filter_map(|zonefile| zonefile.update.as_ref());
    let unreadable = |key| secrets::tsig_key(key).err().map(|why| loaded.update_key_unreadable(key, &why));
    updates.filter_map(|update| unreadable(&update.key)).collect()
}

/// How long one round of a command may ask before it decides by what it has.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does one round for a block, from a command line, and runs its command if something changed or a command is owed from
/// before. What is owed is kept at `place`. `Mode::Look` changes nothing and runs nothing.
///
/// # Errors
/// Where the system has no descriptor to give.
pub fn once(block: Zonefile, mode: Mode, place: Option<PathBuf>) -> std::io::Result<ZonefileReport> {
    crate::run_beside(async move {
        let place = place.filter(|_| mode == Mode::Fix);
        let mut debts = Debts::load(place, &[&block], Strange::Leave);
        let mut checker = Checker::new(block);
        checker.round(mode, &PoolVerdicts::new(), PATIENCE, &mut debts).await;
        if mode == Mode::Fix {
            debts.run_due().await;
        }
        checker.report(&debts)
    })
}

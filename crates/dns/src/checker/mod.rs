//! The zone-file checker without I/O: which records of a zone file to park, and which to put back.
//!
//! `survey` finds the balanced sets and what every record means, `plan` turns verdicts into edits, `serial` bumps
//! the zone's version, `tally` turns probes into verdicts, `follow` remembers the command that is still to run,
//! `refuse` knows which files must not be edited. Probing, locking and writing are done elsewhere.
//!
//! A parked record is `;;` and its original bytes. The invariants: apart from the serial and from owners or TTLs
//! written out where a record would else change its meaning, putting back restores every byte; no set is emptied
//! below its minimum.

mod follow;
mod options;
mod plan;
mod refuse;
mod serial;
mod survey;
mod tally;

pub use follow::{Follow, fill_command};
pub use options::{Owners, SetOptions};
pub use plan::{Change, Edit, Plan, Settled, Stale, diff, is_blind, plan, settle};
pub use refuse::{Refusal, refusal};
pub use serial::{When, bump};
pub use survey::{BalancedSet, Check, Member, Survey, Target, survey, survey_with};
pub use tally::{Probe, Tally};

#[cfg(test)]
mod tests;

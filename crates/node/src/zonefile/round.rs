//! One round over the files of a block: read, ask, decide, write.
//!
//! The invariant: a file is written only if its plan was made of the bytes that it holds at that moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use evenkeel_dns::checker::{self, Change, Plan, Refusal, Target, When};
use evenkeel_dns::zone::File;
use evenkeel_model::config::Zonefile;
use evenkeel_model::{State, caps, date_of};
use evenkeel_net::clock;
use evenkeel_net::files::{self, Replaced};
use tokio::time::Instant;

use super::find::{Found, find};
use super::judge::{Judge, PoolVerdicts};
use super::live;
use super::report::{Outcome, RecordReport, SetReport, SheetReport, ZonefileReport};
use super::sheet::{self, Sheet};
use super::then::Debts;
use crate::origin::words;

/// How long to wait for an editor that has the file open, before the next look.
const EDITOR_PAUSE: Duration = Duration::from_millis(50);

/// Whether a round changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It says what it would change.
    Look,
    /// It changes files, or the live server.
    Fix,
}

/// The checker of one block, over its rounds.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) block: Zonefile,
    judge: Judge,
    report: ZonefileReport,
}

impl Sheet {
    /// Whether its sets count.
    pub(super) fn is_usable(&self) -> bool {
        self.refusal.is_none() && !self.survey.is_broken()
    }
}

/// What became of one file.
struct Done {
    outcome: Outcome,
    problems: Vec<String>,
    plan: Option<Plan>,
    diff: Vec<String>,
}

impl Done {
    fn because(outcome: Outcome, problem: impl Into<String>) -> Self {
        Self { outcome, problems: vec![problem.into()], plan: None, diff: Vec::new() }
    }
}

impl Checker {
    /// A checker that has not looked yet.
    pub(super) fn new(block: Zonefile) -> Self {
        let report = ZonefileReport {
            files: block.files.iter().map(|file| file.display().to_string()).collect(),
            server: block.update.as_ref().map(|update| update.server.to_string()),
            ..ZonefileReport::default()
        };
        Self { block, judge: Judge::default(), report }
    }

    /// What is known, with how its commands stand.
    pub(super) fn report(&self, debts: &Debts) -> ZonefileReport {
        let then = self.block.then.as_ref().map(|then| debts.report(then)).unwrap_or_default();
        ZonefileReport { then, ..self.report.clone() }
    }

    /// Does a round.
    pub(super) async fn round(&mut self, mode: Mode, pools: &PoolVerdicts, patience: Duration, debts: &mut Debts) {
        let (found, problems) = find(&self.block.files);
        let mut sheets = Vec::new();
        let mut reports = Vec::new();
        for found in &found {
            match sheet::read(found, &self.block) {
                None => {}
                Some(Ok(sheet)) => sheets.push(sheet),
                Some(Err(cause)) => reports.push(failed(found, cause)),
            }
        }
        let verdicts = self.judge.judge(&self.block, &sheets, pools, patience).await;
        let usable = || sheets.iter().filter(|sheet| sheet.is_usable());
        let blind = checker::is_blind(usable().map(|sheet| &sheet.survey), &verdicts);
        let watches = usable().any(|sheet| !sheet.survey.sets.is_empty());
        self.tell_blindness(blind, watches);
        self.tell_troubles(&problems, &reports);
        for sheet in &sheets {
            let (sheet, done) = self.settle(sheet, &verdicts, blind, mode, debts).await;
            reports.push(self.describe(&sheet, done));
        }
        self.report.problems = problems;
        self.report.blind = blind;
        self.report.rounds = self.report.rounds.saturating_add(1);
        self.report.last_round = Some(clock::unix_now().as_secs());
        self.report.sheets = reports;
    }

    fn tell_blindness(&self, blind: bool, watches: bool) {
        let watched = self.report.rounds == 0 || self.report.sheets.iter().any(|sheet| !sheet.sets.is_empty());
        if !watches && watched {
            let files = self.report.files.join(" ");
            tracing::warn!("no file of {files} holds a balanced set that can be kept; nothing is checked");
        }
        match (self.report.blind, blind) {
            (false, true) => tracing::warn!(
                "every target of {} fails; the checker holds itself for cut off and changes nothing",
                self.report.files.join(" ")
            ),
            (true, false) if watches => tracing::info!("targets of {} answer again", self.report.files.join(" ")),
            _ => {}
        }
    }

    /// Says what keeps files from being looked at, once each.
    fn tell_troubles(&self, problems: &[String], unread: &[SheetReport]) {
        for problem in problems.iter().filter(|problem| !self.report.problems.contains(problem)) {
            tracing::warn!("zone files: {problem}");
        }
        for sheet in unread {
            let before = self.report.sheets.iter().find(|before| before.file == sheet.file);
            if before.is_none_or(|before| before.problems != sheet.problems) {
                tracing::warn!("{} cannot be read: {}", sheet.file, sheet.problems.join("; "));
            }
        }
    }

    /// Does what is to be done to one file. Gives the sheet as it is afterwards.
    async fn settle(
        &self,
        sheet: &Sheet,
        verdicts: &HashMap<Target, State>,
        blind: bool,
        mode: Mode,
        debts: &mut Debts,
    ) -> (Sheet, Done) {
        if let Some(refusal) = sheet.refusal {
            let outcome = if refusal == Refusal::NoHeader { Outcome::NoHeader } else { Outcome::Refused };
            return (sheet.clone(), Done::because(outcome, refusal.text()));
        }
        if sheet.survey.is_broken() {
            return (sheet.clone(), Done::because(Outcome::Refused, "the file has errors, so nothing is changed"));
        }
        if let Some(update) = &self.block.update {
            if blind {
                return (sheet.clone(), Done::because(Outcome::Held, "every target of every set fails"));
            }
            let live = live::settle(update, sheet, verdicts, mode).await;
            let Done { outcome, problems, diff, .. } = match live {
                Ok(live) => Done { outcome: live.outcome, problems: live.problems, plan: None, diff: live.lines },
                Err(cause) => Done::because(Outcome::Failed, cause),
            };
            return (sheet.clone(), Done { outcome, problems, plan: None, diff });
        }
        self.edit(sheet, verdicts, blind, mode, debts).await
    }

    /// Edits the file, again and again while an editor is faster.
    async fn edit(
        &self,
        sheet: &Sheet,
        verdicts: &HashMap<Target, State>,
        blind: bool,
        mode: Mode,
        debts: &mut Debts,
    ) -> (Sheet, Done) {
        let mut sheet = sheet.clone();
        let deadline = Instant::now() + self.block.every.min(Duration::from_secs(5));
        for _ in 0..caps::ZONEFILE_REPLANS {
            let plan = checker::plan(&sheet.bytes, &sheet.survey, verdicts, when(), blind);
            if let Some(why) = plan.refused.clone() {
                let outcome = if blind { Outcome::Held } else { Outcome::Refused };
                return (sheet, Done { plan: Some(plan), ..Done::because(outcome, why) });
            }
            let Ok(after) = plan.apply(&sheet.bytes) else { break };
            if plan.is_empty() {
                let plan = Some(plan);
                return (sheet, Done { outcome: Outcome::Unchanged, problems: vec![], plan, diff: vec![] });
            }
            let diff = checker::diff(&sheet.bytes, &after);
            if mode == Mode::Look {
                let plan = Some(plan);
                return (sheet, Done { outcome: Outcome::WouldChange, problems: vec![], plan, diff });
            }
            match self.write(&sheet, &after, debts) {
                Ok(Replaced::Done(failed)) => {
                    if let Some(kind) = failed {
                        let file = sheet.path.display();
                        tracing::warn!(
                            "{file} is changed, but whether that outlasts a loss of power is not sure: {kind}"
                        );
                    }
                    sheet = sheet::of_bytes(&sheet.path, after, &self.block);
                    let plan = Some(plan);
                    return (sheet, Done { outcome: Outcome::Changed, problems: vec![], plan, diff });
                }
                Ok(Replaced::Changed) => {}
                Ok(Replaced::Busy) if Instant::now() < deadline => tokio::time::sleep(EDITOR_PAUSE).await,
                Ok(Replaced::Busy) => break,
                Err(cause) => return (sheet, Done { diff, ..Done::because(Outcome::Failed, cause) }),
            }
            match files::read_plain(&sheet.path, caps::ZONEFILE_BYTES) {
                Ok(bytes) => sheet = sheet::of_bytes(&sheet.path, bytes, &self.block),
                Err(error) => return (sheet, Done::because(Outcome::Failed, words(&error))),
            }
        }
        (sheet, Done::because(Outcome::Held, "somebody else is writing this file; the next round looks again"))
    }

    fn write(&self, sheet: &Sheet, after: &[u8], debts: &mut Debts) -> Result<Replaced, String> {
        let zone =
            sheet.zone.as_ref().map(|zone| zone.to_string().trim_end_matches('.').to_owned()).unwrap_or_default();
        let file = sheet.path.display().to_string();
        let undo = self.block.then.as_ref().map(|then| debts.owe(then, &zone, &file));
        let outcome = files::replace(&sheet.path, &sheet.bytes, after);
        if let (Some(undo), false) = (undo, matches!(outcome, Ok(Replaced::Done(_)))) {
            debts.undo(undo);
        }
        outcome.map_err(|error| format!("it cannot be written: {}", words(&error)))
    }

    fn describe(&mut self, sheet: &Sheet, done: Done) -> SheetReport {
        let file = sheet.path.display().to_string();
        let before = self.report.sheets.iter().find(|before| before.file == file);
        let changes: Vec<String> =
            done.plan.iter().flat_map(|plan| &plan.changes).map(|change| self.sentence(change)).collect();
        let now = clock::unix_now().as_secs();
        let is_changed = done.outcome == Outcome::Changed;
        let last_change = if is_changed { Some(now) } else { before.and_then(|before| before.last_change) };
        let mut problems = done.problems;
        let source = [File { name: file.clone(), bytes: Arc::new(sheet.bytes.clone()) }];
        problems.extend(sheet.survey.problems.iter().map(|problem| problem.show(&source)));
        let horizon = self.block.every.as_secs().saturating_add(self.block.timeout.as_secs());
        problems.extend(sheet.survey.ttl_warnings(u32::try_from(horizon.max(60)).unwrap_or(u32::MAX)));
        if is_changed {
            self.report.changes = self.report.changes.saturating_add(changes.len().max(done.diff.len().min(1)) as u64);
            let what = if changes.is_empty() { &done.diff } else { &changes };
            tracing::info!("{file}: {}", what.join("; "));
        } else if done.outcome != Outcome::Unchanged
            && done.outcome != Outcome::WouldChange
            && before.map(|before| (&before.problems, before.outcome)) != Some((&problems, done.outcome))
        {
            tracing::warn!("{file} is {}: {}", done.outcome.as_str(), problems.join("; "));
        }
        SheetReport {
            file,
            zone: sheet.zone.as_ref().map(ToString::to_string),
            outcome: done.outcome,
            problems,
            held: done.plan.as_ref().map(|plan| plan.held.clone()).unwrap_or_default(),
            serial: done.plan.as_ref().and_then(|plan| plan.serial),
            changes,
            diff: done.diff,
            last_change,
            sets: self.sets(sheet),
        }
    }

    /// What happens to a record, and why.
    fn sentence(&self, change: &Change) -> String {
        let deed = if change.is_parked { "parked" } else { "put back" };
        let why = self.judge.held(&change.target).map(|held| held.why.as_str()).unwrap_or_default();
        let Target { address, port, .. } = &change.target;
        format!("{} {} {address} {deed}: port {port}: {why}", change.owner, change.kind)
    }

    fn sets(&self, sheet: &Sheet) -> Vec<SetReport> {
        let record = |member: &checker::Member| {
            let held = self.judge.held(&member.target);
            RecordReport {
                address: member.target.address,
                port: member.target.port,
                state: held.map_or(State::Unknown, |held| held.state).as_str().to_owned(),
                why: held.map(|held| held.why.clone()).unwrap_or_default(),
                since: held.map_or(0, |held| held.since),
                parked: member.is_parked,
            }
        };
        let set = |set: &checker::BalancedSet| SetReport {
            owner: set.owner.to_string(),
            kind: set.kind.to_string(),
            line: set.line,
            min: set.options.min,
            records: set.members.iter().map(record).collect(),
        };
        sheet.survey.sets.iter().map(set).collect()
    }
}

/// A file that could not be read.
fn failed(found: &Found, cause: String) -> SheetReport {
    SheetReport {
        file: found.path.display().to_string(),
        zone: None,
        outcome: Outcome::Failed,
        problems: vec![cause],
        held: Vec::new(),
        changes: Vec::new(),
        diff: Vec::new(),
        serial: None,
        last_change: None,
        sets: Vec::new(),
    }
}

/// This moment, as serials go by it.
fn when() -> When {
    let unix = clock::unix_now().as_secs();
    let (year, month, day) = date_of(unix / 86_400);
    let date = u32::try_from(year * 10_000 + month * 100 + day).unwrap_or(0);
    When { date, unix: u32::try_from(unix).unwrap_or(u32::MAX) }
}

//! From verdicts to edits.
//!
//! The invariants: edits touch only marks, serials, and owners or TTLs that must be written out; a plan is read
//! back before it is handed out, and one that would change what a record means is refused; a set keeps its minimum.

use std::collections::HashMap;

use evenkeel_model::State;

use super::serial::{When, bump};
use super::survey::{BalancedSet, Entry, Member, Survey, Target, meaning, print_of, survey};
use crate::kind::Type;
use crate::name::Name;

/// Bytes `start..end` of the file are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The first byte replaced.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// What stands there afterwards.
    pub text: Vec<u8>,
}

/// A record that is parked or put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record's owner.
    pub owner: Name,
    /// A or AAAA.
    pub kind: Type,
    /// What was probed.
    pub target: Target,
    /// Whether it is parked now.
    pub is_parked: bool,
}

/// What to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The edits, in order, none overlapping.
    pub edits: Vec<Edit>,
    /// The records that are parked or put back.
    pub changes: Vec<Change>,
    /// The serial before and after.
    pub serial: Option<(u32, u32)>,
    /// The sets that verdicts would have emptied, and what was kept instead.
    pub held: Vec<String>,
    /// Why the plan is empty although something was to be done.
    pub refused: Option<String>,
    print: u64,
}

/// The file is not the one that the plan was made for: an editor was there. Survey and plan again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the file has changed since it was read; read it again")
    }
}

impl std::error::Error for Stale {}

impl Plan {
    /// The file after the plan.
    ///
    /// # Errors
    /// [`Stale`] where the bytes are not those that the plan was made for.
    pub fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, Stale> {
        if print_of(bytes) != self.print {
            return Err(Stale);
        }
        let mut out = Vec::with_capacity(bytes.len().saturating_add(64));
        let mut at = 0_usize;
        for edit in &self.edits {
            out.extend_from_slice(bytes.get(at..edit.start).ok_or(Stale)?);
            out.extend_from_slice(&edit.text);
            at = edit.end;
        }
        out.extend_from_slice(bytes.get(at..).ok_or(Stale)?);
        Ok(out)
    }

    /// Whether the file changes.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

/// Whether everything that can be told fails at once, in all files together: then it is more likely that we are
/// cut off than that all are dead, and nothing must be changed.
pub fn is_blind<'a>(surveys: impl IntoIterator<Item = &'a Survey>, verdicts: &HashMap<Target, State>) -> bool {
    let targets: Vec<Target> = surveys.into_iter().flat_map(Survey::targets).collect();
    let state = |target: &Target| verdicts.get(target).copied().unwrap_or(State::Unknown);
    targets.iter().any(|target| state(target) == State::Down)
        && targets.iter().all(|target| matches!(state(target), State::Down | State::Unknown))
}

/// Makes the plan for a file from its survey. A target without verdict counts as unknown and keeps its state.
/// `blind` (see [`is_blind`]) keeps every record as it is.
pub fn plan(bytes: &[u8], survey: &Survey, verdicts: &HashMap<Target, State>, when: When, blind: bool) -> Plan {
    let mut plan =
        Plan { edits: vec![], changes: vec![], serial: None, held: vec![], refused: None, print: survey.print };
    if survey.print != print_of(bytes) {
        plan.refused = Some(Stale.to_string());
        return plan;
    }
    if survey.is_broken() || blind {
        let why = if blind {
            "every target of every set fails; the checker holds itself for cut off"
        } else {
            "the file has errors"
        };
        plan.refused = Some(format!("{why}, so nothing is changed"));
        return plan;
    }
    let mut parked = HashMap::new();
    for set in &survey.sets {
        decide(set, verdicts, &mut parked, &mut plan);
    }
    plan.edits = edits(survey, &parked);
    if let (Some(place), false) = (survey.serial, plan.edits.is_empty()) {
        let next = bump(place.value, when);
        plan.serial = Some((place.value, next));
        plan.edits.push(Edit { start: place.start, end: place.end, text: next.to_string().into_bytes() });
    }
    plan.edits.sort_by_key(|edit| edit.start);
    verify(bytes, survey, &parked, &mut plan);
    plan
}

/// Which records of a set are to be parked, and whether verdicts alone would have emptied it below its minimum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// For each member, in order.
    pub parked: Vec<bool>,
    /// What was kept instead, as a sentence.
    pub held: Option<String>,
}

/// Decides for each record of a set whether it is to be parked.
pub fn settle(set: &BalancedSet, verdicts: &HashMap<Target, State>) -> Settled {
    let state = |member: &Member| verdicts.get(&member.target).copied().unwrap_or(State::Unknown);
    let mut parked: Vec<bool> = set
        .members
        .iter()
        .map(|member| match state(member) {
            State::Up => false,
            State::Unknown => member.is_parked,
            State::Down | State::Draining | State::Maintenance => true,
        })
        .collect();
    let live = parked.iter().filter(|is_parked| !**is_parked).count();
    let missing = set.options.min.min(set.members.len()).saturating_sub(live);
    if missing == 0 {
        return Settled { parked, held: None };
    }
    // Kept first: what nobody ordered away, what is live now, what is unknown rather than down.
    let mut order: Vec<usize> = (0..parked.len()).filter(|at| parked.get(*at) == Some(&true)).collect();
    order.sort_by_key(|at| {
        set.members.get(*at).map(|member| {
            let state = state(member);
            let ordered_away = matches!(state, State::Draining | State::Maintenance);
            (ordered_away, member.is_parked, state != State::Unknown, *at)
        })
    });
    for at in order.into_iter().take(missing) {
        if let Some(slot) = parked.get_mut(at) {
            *slot = false;
        }
    }
    let held = format!("the {} records of `{}` stay at the minimum of {}", set.kind, set.owner, set.options.min);
    Settled { parked, held: Some(held) }
}

/// Settles a set of a file.
fn decide(set: &BalancedSet, verdicts: &HashMap<Target, State>, parked: &mut HashMap<usize, bool>, plan: &mut Plan) {
    let settled = settle(set, verdicts);
    plan.held.extend(settled.held);
    for (member, is_parked) in set.members.iter().zip(settled.parked) {
        parked.insert(member.entry, is_parked);
        if is_parked != member.is_parked {
            let change = Change { owner: set.owner.clone(), kind: set.kind, target: member.target.clone(), is_parked };
            plan.changes.push(change);
        }
    }
}

/// Marks set and taken away, and owners and TTLs written out where the record before is no longer there to give
/// them.
fn edits(survey: &Survey, parked: &HashMap<usize, bool>) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut owner: Option<&Name> = None;
    let mut ttl: Option<u32> = None;
    for (at, entry) in survey.entries.iter().enumerate() {
        let is_parked = parked.get(&at).copied().unwrap_or(entry.is_parked);
        if is_parked {
            if !entry.is_parked {
                edits.extend(entry.rows.iter().map(|row| Edit { start: *row, end: *row, text: b";;".to_vec() }));
            }
            continue;
        }
        let anchor = anchor(entry, owner, ttl);
        if entry.is_parked {
            for (count, row) in entry.rows.iter().enumerate() {
                let text = if count == 0 { anchor.before.clone() } else { Vec::new() };
                edits.push(Edit { start: *row, end: row.saturating_add(2), text });
            }
        } else if !anchor.before.is_empty() {
            edits.push(Edit { start: entry.start, end: entry.start, text: anchor.before });
        }
        if let (Some(end), false) = (entry.owner_end, anchor.after_owner.is_empty()) {
            edits.push(Edit { start: end, end, text: anchor.after_owner });
        }
        owner = entry.owner.as_ref();
        ttl = if entry.is_read { entry.ttl } else { ttl };
    }
    edits
}

/// What must be written out for a live record.
struct Anchor {
    before: Vec<u8>,
    after_owner: Vec<u8>,
}

fn anchor(entry: &Entry, owner: Option<&Name>, ttl: Option<u32>) -> Anchor {
    let mut anchor = Anchor { before: Vec::new(), after_owner: Vec::new() };
    let written = entry.ttl.filter(|_| entry.is_read && !entry.has_own_ttl && entry.ttl != ttl);
    let written = written.map_or_else(Vec::new, |ttl| format!(" {ttl}").into_bytes());
    if entry.owner_end.is_some() {
        anchor.after_owner = written;
    } else if owner != entry.owner.as_ref() || !written.is_empty() {
        anchor.before.clone_from(&entry.owner_text);
        anchor.before.extend_from_slice(&written);
    }
    anchor
}

/// Reads the planned file back; refuses a plan after which any record would mean something else.
fn verify(bytes: &[u8], before: &Survey, parked: &HashMap<usize, bool>, plan: &mut Plan) {
    if plan.edits.is_empty() {
        return;
    }
    let sound = plan.apply(bytes).is_ok_and(|text| {
        let after = survey(&text, Some(&before.origin));
        meaning(&after, &HashMap::new()) == meaning(before, parked) && edits(&after, &HashMap::new()).is_empty()
    });
    if !sound {
        plan.edits.clear();
        plan.changes.clear();
        plan.serial = None;
        plan.refused =
            Some("the edited file would not mean what it should; it is left alone, please report this file".to_owned());
    }
}

/// The lines that differ, as `-old` and `+new` with their numbers. Edits never add or remove lines.
pub fn diff(before: &[u8], after: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let lines = before.split(|byte| *byte == b'\n').zip(after.split(|byte| *byte == b'\n'));
    for (number, (old, new)) in (1_usize..).zip(lines) {
        if old != new {
            out.push(format!("@@ {number} @@"));
            out.push(format!("-{}", String::from_utf8_lossy(old)));
            out.push(format!("+{}", String::from_utf8_lossy(new)));
        }
    }
    out
}

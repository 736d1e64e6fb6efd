//! The zone-file checker's report, in the form of the API.

use evenkeel_admin::report as api;
use evenkeel_node::zonefile as node;

/// The report of one block.
pub(crate) fn report(block: &node::ZonefileReport) -> api::ZonefileReport {
    api::ZonefileReport {
        files: block.files.clone(),
        server: block.server.clone(),
        rounds: block.rounds,
        last_round: block.last_round,
        blind: block.blind,
        changes: block.changes,
        problems: block.problems.clone(),
        sheets: block.sheets.iter().map(sheet).collect(),
        then: block.then.iter().map(then).collect(),
    }
}

fn sheet(sheet: &node::SheetReport) -> api::SheetReport {
    api::SheetReport {
        file: sheet.file.clone(),
        zone: sheet.zone.clone(),
        outcome: sheet.outcome.as_str().to_owned(),
        problems: sheet.problems.clone(),
        held: sheet.held.clone(),
        changes: sheet.changes.clone(),
        last_change: sheet.last_change,
        sets: sheet.sets.iter().map(set).collect(),
    }
}

fn set(set: &node::SetReport) -> api::SetReport {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    api::SetReport {
        owner: set.owner.clone(),
        kind: set.kind.clone(),
        line: number(set.line),
        min: number(set.min),
        records: set.records.iter().map(record).collect(),
    }
}

fn record(record: &node::RecordReport) -> api::RecordReport {
    api::RecordReport {
        address: record.address.to_string(),
        port: record.port,
        state: record.state.clone(),
        why: record.why.clone(),
        since: record.since,
        parked: record.parked,
    }
}

fn then(then: &node::ThenReport) -> api::ThenReport {
    api::ThenReport {
        command: then.command.clone(),
        owed: then.owed,
        last_run: then.last_run,
        failure: then.failure.clone(),
    }
}

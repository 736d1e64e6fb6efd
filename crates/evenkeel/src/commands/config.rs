//! `config`: the configuration as it is understood, as it runs and as it was.

use std::path::Path;

use evenkeel_admin::client::ClientError;
use evenkeel_admin::render;
use evenkeel_admin::report::{ConfigDiff, ConfigText, HistoryEntry};
use evenkeel_config::{Show, Style, render, schema, show, summary};

use super::load;
use super::remote::{client, failed, print_json, refused_reload};
use crate::args::{ConfigCommand, RemoteArgs};
use crate::exit::Exit;
use crate::output;

pub(crate) fn config(command: &ConfigCommand) -> Exit {
    match command {
        ConfigCommand::Schema => output::print(schema::json()),
        ConfigCommand::Show { running: true, control, .. } => text("running", control.as_deref()),
        ConfigCommand::Show { kept: Some(number), control, .. } => text(&number.to_string(), control.as_deref()),
        ConfigCommand::Show { file, json, defaults, .. } => {
            understood(file.as_deref(), Show { json: *json, defaults: *defaults })
        }
        ConfigCommand::Diff { from, to, remote } => diff(from, to, remote),
        ConfigCommand::History(remote) => history(remote),
        ConfigCommand::Rollback { number, remote } => rollback(*number, remote),
    }
}

fn understood(file: Option<&Path>, how: Show) -> Exit {
    let loaded = match load(file) {
        Ok(loading) => loading.loaded,
        Err(cause) => return output::fail(cause),
    };
    if loaded.config.is_none() {
        let style = Style::Human { color: output::stderr_has_colour() };
        output::say(format_args!("{}{}", render(&loaded.diagnostics, &loaded.sources, style), summary(&loaded)));
        return Exit::Bad;
    }
    output::print(show(&loaded, how))
}

/// The text alone, so that it can go into a file; where there are several, each under its name.
fn text(which: &str, control: Option<&Path>) -> Exit {
    let ConfigText { files } = match client(control).config_text(which) {
        Ok(text) => text,
        Err(error) => return refused(&error),
    };
    match files.as_slice() {
        [only] => output::print(&only.text),
        several => {
            let each: Vec<String> = several.iter().map(|file| format!("# {}\n{}", file.path, file.text)).collect();
            output::print(each.join("\n"))
        }
    }
}

fn diff(from: &str, to: &str, remote: &RemoteArgs) -> Exit {
    let diff = match client(remote.control.as_deref()).config_diff(from, to) {
        Ok(diff) => diff,
        Err(error) => return refused(&error),
    };
    if remote.json {
        return print_json(&diff);
    }
    let printed = output::print(told(&diff));
    if diff.errors.is_empty() {
        return printed;
    }
    output::say(diff.errors.join("\n"));
    output::say(format_args!("evenkeel: {} has errors, and would be refused", diff.to));
    Exit::Bad
}

fn told(diff: &ConfigDiff) -> String {
    if diff.text.is_empty() {
        return format!("{} and {} are the same", diff.from, diff.to);
    }
    let changes: String = diff.changes.iter().map(|change| format!("\n  {change}")).collect();
    match (diff.changes.is_empty(), diff.errors.is_empty()) {
        (true, true) => format!("{}\nit comes to the same", diff.text),
        (true, false) => diff.text.clone(),
        (false, _) => format!("{}\nit changes:{changes}", diff.text),
    }
}

fn history(remote: &RemoteArgs) -> Exit {
    match client(remote.control.as_deref()).history() {
        Ok(entries) if remote.json => print_json(&entries),
        Ok(entries) => output::print(render::history(&entries)),
        Err(error) => failed(&error),
    }
}

fn rollback(number: Option<u64>, remote: &RemoteArgs) -> Exit {
    let client = client(remote.control.as_deref());
    let number = match number {
        Some(number) => number,
        None => match client.history().map(|entries| before_running(&entries)) {
            Ok(Some(number)) => number,
            Ok(None) => return output::fail("the history holds none before the one that runs"),
            Err(error) => return failed(&error),
        },
    };
    match client.roll_back(number) {
        Ok(report) if remote.json => print_json(&report),
        Ok(report) => {
            let printed = output::print(render::reload(&report));
            output::say(format_args!(
                "configuration {number} serves; the file still says otherwise, and the next reload or restart takes it: \
                 `evenkeel config show --kept {number}` prints what serves now"
            ));
            printed
        }
        Err(ClientError::Refused(problem)) if problem.refused.is_some() => refused_reload(&problem, remote.json),
        Err(error) => refused(&error),
    }
}

/// The latest before the one that runs.
fn before_running(entries: &[HistoryEntry]) -> Option<u64> {
    let running = entries.iter().find(|entry| entry.is_running)?.number;
    entries.iter().rev().map(|entry| entry.number).find(|number| *number < running)
}

/// What names no configuration is bad usage.
fn refused(error: &ClientError) -> Exit {
    let exit = failed(error);
    match error {
        ClientError::Refused(problem) if problem.code == "A103" => Exit::Bad,
        _ => exit,
    }
}

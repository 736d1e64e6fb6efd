//! Commands to the running daemon, over its control socket.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use evenkeel_admin::client::{Client, ClientError};
use evenkeel_admin::problem::Problem;
use evenkeel_admin::render::{self, Colour, Look};
use serde::Serialize;

use super::load;
use crate::args::{DEFAULT_FILE, RemoteArgs, RouteArgs, StopArgs};
use crate::exit::Exit;
use crate::output;

/// The longest that a stop is waited for: a drain of any sane length, and some.
const STOP_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Lines for a status that does not go to a terminal: all of them.
const UNBOUNDED: usize = usize::MAX;

pub(crate) fn status(args: &RemoteArgs) -> Exit {
    match client(args.control.as_deref()).status() {
        Ok(report) if args.json => print_json(&report),
        Ok(report) => {
            let colour = if output::stdout_has_colour() { Colour::On } else { Colour::Off };
            output::print(render::status(&report, Look { colour, lines: lines() }))
        }
        Err(error) => failed(&error),
    }
}

pub(crate) fn reload(args: &RemoteArgs) -> Exit {
    match client(args.control.as_deref()).reload() {
        Ok(report) if args.json => print_json(&report),
        Ok(report) => output::print(render::reload(&report)),
        Err(ClientError::Refused(problem)) => refused_reload(&problem, args.json),
        Err(error) => failed(&error),
    }
}

/// A configuration that was not taken.
pub(super) fn refused_reload(problem: &Problem, json: bool) -> Exit {
    if json {
        print_json(problem);
    } else {
        let errors = problem.refused.as_ref().map(|refused| refused.errors.join("\n"));
        output::say(errors.unwrap_or_else(|| problem.detail.clone()));
        output::say("the reload is refused; the configuration that ran before still does");
    }
    if problem.refused.is_some() { Exit::Bad } else { Exit::Failed }
}

/// What would become of a request.
pub(crate) fn route(args: &RouteArgs) -> Exit {
    let fields = args.fields.iter().map(|field| ("field", field.as_str()));
    let from = args.from.iter().map(|from| ("from", from.as_str()));
    let listener = args.listener.iter().map(|listener| ("listener", listener.as_str()));
    let fixed = [("url", args.url.as_str()), ("method", args.method.as_str())];
    let question: Vec<(&str, &str)> = fixed.into_iter().chain(fields).chain(from).chain(listener).collect();
    match client(args.remote.control.as_deref()).route(&question) {
        Ok(finding) if args.remote.json => print_json(&finding),
        Ok(finding) => output::print(render::route(&finding)),
        Err(error) => {
            let exit = failed(&error);
            match &error {
                ClientError::Refused(problem) if problem.code == "A103" => Exit::Bad,
                _ => exit,
            }
        }
    }
}

pub(crate) fn stop(args: &StopArgs) -> Exit {
    let client = client(args.control.as_deref());
    match client.stop() {
        Ok(()) if args.no_wait || client.wait_until_gone(STOP_PATIENCE) => Exit::Done,
        Ok(()) => output::fail("it was told to stop, and still answers"),
        Err(error) => failed(&error),
    }
}

/// The daemon at that socket, at the one that the default configuration names, or at one of the customary places.
pub(super) fn client(control: Option<&Path>) -> Client {
    let configured = || -> Option<PathBuf> {
        let file = Path::new(DEFAULT_FILE);
        let loading = file.exists().then(|| load(Some(file)).ok()).flatten()?;
        loading.loaded.config?.process.control
    };
    match control {
        Some(path) => Client::new(Some(path)),
        None => Client::new(configured().as_deref()),
    }
}

pub(super) fn print_json(report: &impl Serialize) -> Exit {
    match serde_json::to_string_pretty(report) {
        Ok(text) => output::print(text),
        Err(error) => output::fail(error),
    }
}

pub(super) fn failed(error: &ClientError) -> Exit {
    output::fail(error);
    match error {
        ClientError::NoDaemon { .. } => Exit::NoDaemon,
        _ => Exit::Failed,
    }
}

/// How many lines the terminal has, less one for the next prompt.
fn lines() -> usize {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
    size.map_or(UNBOUNDED, |size| usize::from(size.ws_row).saturating_sub(1).max(1))
}

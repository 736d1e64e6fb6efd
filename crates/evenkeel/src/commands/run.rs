//! `run`: a node in the foreground, from a file or from flags.

use std::path::Path;

use evenkeel_config::flags::RunFlags;
use evenkeel_config::{Options, Style, render, summary};
use evenkeel_node::{ControlPlace, Loading, Node, Origin, SignalUse, Start, StartError};

use super::origin;
use crate::args::RunArgs;
use crate::exit::Exit;
use crate::{control, logging, opening, output};

pub(crate) fn run(args: RunArgs) -> Exit {
    let from_flags = !args.listen.is_empty();
    let origin = if from_flags { flags(&args) } else { origin(args.file.as_deref()) };
    let origin = match origin {
        Ok(origin) => origin,
        Err(cause) => return output::fail(cause),
    };
    let loading = origin.load(&Options::default());
    let is_good = loading.loaded.config.is_some();
    say_diagnostics(&loading);
    if args.print_config && is_good {
        return output::print(loading.texts.entry());
    }
    logging::start(args.log_level);
    let (loading, is_last_good) = match (is_good, args.last_good) {
        (true, _) => (loading, false),
        (false, true) => match last_good(args.state.as_deref().or(loading.loaded.state.as_deref())) {
            Ok(kept) => (kept, true),
            Err(cause) => {
                output::say(format_args!("there is no last good configuration to serve: {cause}"));
                return output_bad(&loading);
            }
        },
        (false, false) => return output_bad(&loading),
    };
    let start = Start {
        origin,
        loaded: loading.loaded,
        texts: loading.texts,
        is_last_good,
        state: args.state,
        control: args.control.map_or(ControlPlace::Configured, ControlPlace::At),
        service: Some(control::service()),
        signals: SignalUse::Take,
        node: args.node,
        guard: None,
    };
    match Node::start(start) {
        Ok(node) => serve(node, from_flags),
        Err(error) => {
            output::say(&error);
            match error {
                StartError::Refused(refusal) if refusal.is_of_configuration => Exit::Bad,
                _ => Exit::Failed,
            }
        }
    }
}

fn serve(node: Node, from_flags: bool) -> Exit {
    if let Some(status) = opening::settled(&node.handle()) {
        logging::tell(&opening::text(&status, from_flags));
    }
    let ended = node.wait();
    if ended.cut > 0 {
        tracing::warn!("{} connections were cut off", ended.cut);
    }
    match ended.failed {
        None => Exit::Done,
        Some(cause) => output::fail(cause),
    }
}

/// The configuration that the flags amount to.
fn flags(args: &RunArgs) -> Result<Origin, String> {
    let flags = RunFlags {
        listen: args.listen.clone(),
        to: args.to.clone(),
        sticky: args.sticky.clone(),
        check: args.check.clone(),
    };
    Ok(Origin::Text { name: "command line".to_owned(), text: flags.text() })
}

/// The configuration that was last in use, for a file that is broken. `state` is where a run of that file keeps it.
fn last_good(state: Option<&Path>) -> Result<Loading, String> {
    let dir = state.ok_or("`state off` keeps none")?;
    let kept = dir.display();
    let texts = evenkeel_node::last_good(dir).ok_or_else(|| format!("`{kept}` holds none that can be read"))?;
    let loaded = texts.load(&Options::default());
    if loaded.config.is_none() {
        return Err(format!("the one in `{kept}` is broken, too"));
    }
    tracing::error!("the configuration is broken: serving the one that was last in use, kept in `{kept}`");
    Ok(Loading { loaded, texts })
}

fn say_diagnostics(loading: &Loading) {
    let loaded = &loading.loaded;
    if !loaded.diagnostics.is_empty() {
        let style = Style::Human { color: output::stderr_has_colour() };
        output::say(format_args!("{}{}", render(&loaded.diagnostics, &loaded.sources, style), summary(loaded)));
    }
}

fn output_bad(loading: &Loading) -> Exit {
    if loading.texts.entry().is_empty() {
        output::say("without a file: evenkeel run --listen :8080 --to 127.0.0.1:9001,127.0.0.1:9002");
    }
    Exit::Bad
}

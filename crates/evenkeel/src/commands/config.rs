//! `config`: the configuration as it is understood.

use evenkeel_config::{Show, Style, render, schema, show, summary};

use super::load;
use crate::args::ConfigCommand;
use crate::exit::Exit;
use crate::output;

pub(crate) fn config(command: &ConfigCommand) -> Exit {
    let (file, json, defaults) = match command {
        ConfigCommand::Schema => return output::print(schema::json()),
        ConfigCommand::Show { file, json, defaults } => (file, *json, *defaults),
    };
    let loaded = match load(file.as_deref()) {
        Ok(loading) => loading.loaded,
        Err(cause) => return output::fail(cause),
    };
    if loaded.config.is_none() {
        let style = Style::Human { color: output::stderr_has_colour() };
        output::say(format_args!("{}{}", render(&loaded.diagnostics, &loaded.sources, style), summary(&loaded)));
        return Exit::Bad;
    }
    output::print(show(&loaded, Show { json, defaults }))
}

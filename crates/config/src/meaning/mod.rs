//! Entries to the model: defaults filled in, names resolved, contradictions found.
//!
//! The invariant: where no error was reported, on the way here or in here, the configuration that comes out is valid; where one was,
//! nobody gets to see it.

mod acme;
mod admin;
mod cluster;
mod dns;
mod edit;
mod listener;
mod log;
mod pool;
mod process;
mod reach;
mod route;
mod site;
mod tcp;
mod tls;
mod zonefile;

use std::collections::BTreeMap;
use std::path::PathBuf;

use evenkeel_model::config::{Config, LogTarget, Pool, SecretRef};
use evenkeel_model::{ListenerName, PoolName, ServerId};

use crate::entry::{Entries, Entry};
use crate::syntax::Word;
use crate::value::Value;
use crate::{Code, Diagnostic, Diagnostics, Span};

/// Where the things of a configuration were written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The address of each server.
    pub servers: BTreeMap<ServerId, Span>,
    /// The address of each listener, where it stands first.
    pub listeners: BTreeMap<ListenerName, Span>,
    /// Each listener's certificates, in their order.
    pub certificates: BTreeMap<ListenerName, Vec<Span>>,
    /// The authority that clients of a listener need.
    pub client_authorities: BTreeMap<ListenerName, Span>,
    /// Each pool's `tls`.
    pub pool_tls: BTreeMap<PoolName, Span>,
    /// Each zone's name.
    pub zones: BTreeMap<String, Span>,
    /// Each key of a zone's transfers, where it stands first.
    pub zone_keys: BTreeMap<(String, SecretRef), Span>,
    /// The keys that sign updates.
    pub update_keys: BTreeMap<SecretRef, Span>,
    /// Each pool's `sticky key=`.
    pub keys: BTreeMap<PoolName, Span>,
    /// The address of the admin listener.
    pub admin: Option<Span>,
    /// Each admin user's `pass=`.
    pub passes: BTreeMap<String, Span>,
    /// The cluster.
    pub cluster: Option<Span>,
    /// Each directory of error pages and each log file, where it stands first.
    pub files: BTreeMap<PathBuf, Span>,
}

/// What is built, while it is built.
struct Building<'a> {
    /// The statements at the top, among them the defaults of every block.
    top: &'a Entries,
    config: Config,
    places: Places,
    /// Each route's pool with the word that names it.
    wanted: Vec<(Word, PoolName)>,
    /// Certificates that authorities are asked for.
    ordered: Vec<acme::Ordered>,
    out: &'a mut Diagnostics,
}

/// Builds the configuration that the statements describe. It is to be used only if no error was reported.
pub(crate) fn build(top: &Entries, out: &mut Diagnostics) -> (Config, Places) {
    let (config, places) = (Config::default(), Places::default());
    let mut building = Building { top, config, places, wanted: Vec::new(), ordered: Vec::new(), out };
    building.config.process = process::process(top);
    building.pools_and_listeners();
    admin::admin(&mut building);
    cluster::cluster(&mut building);
    dns::build(&mut building);
    building.check_wanted();
    building.complain_of_defaults();
    let has_work =
        ["http", "https", "tcp", "dns", "zonefile"].into_iter().any(|word| building.all(word).next().is_some());
    if building.config.listeners.is_empty() && !top.flawed && !has_work {
        building
            .out
            .push(Diagnostic::nowhere(Code::E413, "no `http`, `tcp` or `dns` block: there is nothing to listen on"))
            .help("the smallest configuration is `http :80 {`, `to 10.0.0.11:8080`, `}` on three lines");
    }
    if !building.out.has_errors() {
        tcp::complain_of_pools(&building.config, top, building.out);
    }
    if !top.flawed {
        acme::complain(&building.ordered, &building.config, building.out);
    }
    if !building.out.has_errors() {
        reach::warn(&building.config, top, building.out);
    }
    places_of_files(&top.list, &mut building.places.files);
    (building.config, building.places)
}

/// Where the files are written that a start reads or opens.
fn places_of_files(entries: &[Entry], files: &mut BTreeMap<PathBuf, Span>) {
    for entry in entries {
        let path = match (entry.directive.name, entry.value(0)) {
            ("errors", Some(Value::Path(path))) => Some(path),
            ("log", Some(Value::LogTarget(LogTarget::File(path)))) => Some(path),
            _ => None,
        };
        if let Some((path, argument)) = path.zip(entry.values.first()) {
            files.entry(path.clone()).or_insert(argument.word.span);
        }
        places_of_files(&entry.entries, files);
    }
}

impl<'a> Building<'a> {
    /// The statements of that name at the top.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let top: &'a Entries = self.top;
        top.list.iter().filter(move |entry| entry.directive.name == name)
    }

    /// Pools in written order, those of a listener where it stands.
    fn pools_and_listeners(&mut self) {
        let mut blocks: Vec<listener::Group<'a>> = Vec::new();
        let top: &'a Entries = self.top;
        for entry in &top.list {
            match entry.directive.name {
                "pool" => pool::named(self, entry),
                "http" | "https" | "tcp" => listener::collect(self, entry, &mut blocks),
                "zonefile" => zonefile::block(self, entry),
                _ => {}
            }
        }
        for group in &blocks {
            let listener = listener::build(self, group);
            self.config.listeners.push(listener);
        }
        listener::overlaps(&blocks, self.out);
    }

    /// What the top says for every block is looked at once, here, however many blocks there are.
    fn complain_of_defaults(&mut self) {
        if let Some(entry) = self.all("forward").next() {
            site::complain_of_forward(entry, self.out);
        }
        let logs: Vec<&Entry> = self.all("log").collect();
        log::build(&logs, self.out);
    }

    fn add_pool(&mut self, pool: Pool) {
        self.config.pools.push(pool);
    }

    /// Reports pools that routes name and nobody defines.
    fn check_wanted(&mut self) {
        let unsure = self.top.flawed || self.all("pool").any(|entry| entry.value(0).is_none());
        if unsure {
            return;
        }
        for (word, name) in &self.wanted {
            if self.config.pool(name).is_some() {
                continue;
            }
            let names: Vec<&str> =
                self.config.pools.iter().map(|pool| pool.name.as_str()).filter(|name| !name.starts_with('@')).collect();
            let report = self.out.report(Code::E401, word.span, format!("there is no pool `{name}`"));
            if let Some(near) = crate::value::nearest(name.as_str(), names.iter().copied()) {
                report.help(format!("did you mean `{near}`?"));
            } else {
                report.help(format!("define it: `pool {name} {{ … }}`"));
            }
            if !names.is_empty() {
                report.note(format!(
                    "pools: {}",
                    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;

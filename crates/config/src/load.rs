//! A file to a configuration: reading, pasting of included files, and the steps between in their order.
//!
//! The invariant: a configuration comes out only where no error was found, and every error that can be found at once is.

use std::path::{Path, PathBuf};

use evenkeel_model::config::{Config, SecretRef};
use evenkeel_model::{ListenerName, PoolName, ServerId, caps};

use crate::meaning::{self, Places};
use crate::syntax::{Statement, Tree};
use crate::table::Context;
use crate::{Code, Diagnostic, Diagnostics, FileId, Severity, Source, SourceMap, Span, entry, json};

/// How a configuration is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Warnings refuse the configuration, too.
    pub strict: bool,
}

/// What came of reading a configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What was loaded: the entry file's name, or `command line`.
    pub name: String,
    /// The configuration, if it can be used.
    pub config: Option<Config>,
    /// The state directory that the text names, or else the customary one, even where the rest cannot be used: the
    /// configuration that was last in use is kept there. `None` is `state off`.
    pub state: Option<PathBuf>,
    /// Everything that is to say about it, in the order of places.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read, the entry file first.
    pub sources: SourceMap,
    /// Every statement at the top, those of included files in their places.
    pub(crate) statements: Vec<Statement>,
    places: Places,
}

/// Reads a configuration and what it includes. A file whose name ends in `.json`, or that begins with `{`, is read as the JSON twin.
pub fn load(entry: &Path, source: &dyn Source, options: &Options) -> Loaded {
    let mut reading = Reading::new(entry.display().to_string(), source);
    let statements = reading.file(entry, None);
    reading.finish(statements, options)
}

/// Reads a configuration from a text: standard input, or the command line. `name` is what messages call it; files that it
/// includes are relative to the working directory.
pub fn load_text(name: &str, text: &[u8], source: &dyn Source, options: &Options) -> Loaded {
    let mut reading = Reading::new(name.to_owned(), source);
    let statements = reading.text(Path::new(name), text, None);
    reading.finish(statements, options)
}

/// Files that are being read.
struct Reading<'a> {
    name: String,
    source: &'a dyn Source,
    sources: SourceMap,
    out: Diagnostics,
    /// The files that include the one at hand, outermost first.
    within: Vec<PathBuf>,
    /// Whether a file could not be read, so that much may be missing.
    torn: bool,
}

impl<'a> Reading<'a> {
    fn new(name: String, source: &'a dyn Source) -> Self {
        Self {
            name,
            source,
            sources: SourceMap::default(),
            out: Diagnostics::default(),
            within: Vec::new(),
            torn: false,
        }
    }

    /// Reads a file; `asked` is the word that asked for it.
    fn file(&mut self, path: &Path, asked: Option<Span>) -> Vec<Statement> {
        match self.source.read(path) {
            Ok(bytes) => self.text(path, &bytes, asked),
            Err(cause) => {
                self.torn = true;
                self.refuse(Code::E114, asked, format!("cannot read {}: {cause}", path.display()))
                    .help("check the path, and that this user may read it");
                Vec::new()
            }
        }
    }

    /// Reports something about a file as a whole, at the word that asked for it if there is one.
    fn refuse(&mut self, code: Code, asked: Option<Span>, message: String) -> &mut Diagnostic {
        match asked {
            Some(span) => self.out.report(code, span, message),
            None => self.out.push(Diagnostic::nowhere(code, message)),
        }
    }

    fn text(&mut self, path: &Path, bytes: &[u8], asked: Option<Span>) -> Vec<Statement> {
        if bytes.len() > caps::CONFIG_FILE_BYTES {
            self.torn = true;
            self.refuse(Code::E115, asked, format!("{} is larger than 16 MiB", path.display()))
                .help("a configuration is never that large: check which file was meant");
            return Vec::new();
        }
        let text = String::from_utf8_lossy(bytes);
        let file = self.sources.add(path.display().to_string(), text.as_ref());
        if let Err(error) = std::str::from_utf8(bytes) {
            self.complain_of_encoding(file, error.valid_up_to(), bytes);
            return Vec::new();
        }
        let statements = if json::is_json(path, &text) {
            json::parse(file, &text, &mut self.out)
        } else {
            Tree::parse(file, &text, &mut self.out).statements
        };
        self.within.push(path.to_owned());
        let pasted = self.paste_included(statements);
        self.within.pop();
        pasted
    }

    fn complain_of_encoding(&mut self, file: FileId, at: usize, bytes: &[u8]) {
        self.torn = true;
        let byte = bytes.get(at).copied().unwrap_or_default();
        let span = Span { file, start: at, end: at.saturating_add('\u{fffd}'.len_utf8()) };
        self.out
            .report(Code::E101, span, format!("byte 0x{byte:02x} is not UTF-8"))
            .help("convert the file: `iconv -f latin1 -t utf-8 OLD > NEW`");
    }

    /// Puts the statements of included files in the place of each `include`.
    fn paste_included(&mut self, statements: Vec<Statement>) -> Vec<Statement> {
        let mut out = Vec::with_capacity(statements.len());
        for statement in statements {
            let pattern = match statement.words.as_slice() {
                [name, pattern]
                    if name.text == "include" && statement.block.is_none() && pattern.option().is_none() =>
                {
                    pattern.clone()
                }
                _ => {
                    out.push(statement);
                    continue;
                }
            };
            out.extend(self.included(&pattern.text, pattern.span));
        }
        out
    }

    fn included(&mut self, pattern: &str, span: Span) -> Vec<Statement> {
        let base = self.within.last().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        let full = base.join(pattern);
        let mut files = match self.source.glob(&full) {
            Ok(files) => files,
            Err(cause) => {
                self.torn = true;
                self.out
                    .report(Code::E114, span, format!("cannot look for {}: {cause}", full.display()))
                    .help("check the path, and that this user may read the directory");
                return Vec::new();
            }
        };
        files.sort();
        if files.is_empty() {
            if pattern.contains(['*', '?']) {
                self.out
                    .report(Code::W507, span, format!("no file fits {}", full.display()))
                    .help("nothing is included; a relative pattern begins at the directory of this file");
            } else {
                // Reading it says why it is not there.
                files.push(full);
            }
        }
        let mut out = Vec::new();
        for file in files {
            let within_itself = self.within.contains(&file);
            if within_itself || self.within.len() > caps::INCLUDE_DEPTH {
                self.torn = true;
                let what = if within_itself { "is included within itself" } else { "is included too deep" };
                self.out.report(Code::E116, span, format!("{} {what}", file.display())).help(format!(
                    "take one of the `include` lines out: files go at most {} deep, and never round in a circle",
                    caps::INCLUDE_DEPTH
                ));
                continue;
            }
            out.extend(self.file(&file, Some(span)));
        }
        out
    }

    fn finish(mut self, statements: Vec<Statement>, options: &Options) -> Loaded {
        // After a broken text a word may be missing that is there: what is found then is still said, but not what is missing.
        let broken = self.torn || self.out.has_errors();
        let mut entries = entry::resolve(&statements, Context::Top, &mut self.out);
        if broken {
            entries.mark_flawed();
        }
        let (config, places) = meaning::build(&entries, &mut self.out);
        let state = config.process.state.clone();
        let diagnostics = self.out.into_sorted();
        let refused = diagnostics.iter().any(|diagnostic| diagnostic.is_error() || options.strict);
        Loaded {
            name: self.name,
            config: (!refused).then_some(config),
            state,
            diagnostics,
            sources: self.sources,
            statements,
            places,
        }
    }
}

/// Something that a start reads, and that could not be looked at.
#[derive(Debug, Clone, Copy)]
pub enum Unseen<'a> {
    /// A secret of a pool's sticky cookie.
    Key(&'a PoolName),
    /// The hash of an admin user's password.
    Pass(&'a str),
    /// A key of the cluster.
    Cluster,
    /// A directory of error pages, or a log.
    File(&'a Path),
}

impl Loaded {
    /// The warning that a server's name does not resolve.
    pub fn unresolved(&self, server: &ServerId, cause: &str) -> Diagnostic {
        let message = format!("the name of server `{server}` does not resolve: {cause}");
        let mut diagnostic = at(Code::W505, self.places.servers.get(server), message);
        diagnostic.help("the rest works; the server is down (dns) until the name resolves");
        diagnostic
    }

    /// The error that an address cannot be listened on.
    pub fn unbindable(&self, listener: &ListenerName, cause: &str) -> Diagnostic {
        let message = format!("cannot listen on {listener}: {cause}");
        let mut diagnostic = at(Code::E414, self.places.listeners.get(listener), message);
        diagnostic.help("free the address, or listen on another one");
        diagnostic
    }

    /// The error that the secret of a pool's sticky cookie cannot be read.
    pub fn secret_unreadable(&self, pool: &PoolName, cause: &str) -> Diagnostic {
        let message = format!("cannot read the key of pool `{pool}`: {cause}");
        let mut diagnostic = at(Code::E415, self.places.keys.get(pool), message);
        diagnostic.help(
            "make one with `openssl rand -base64 32`, readable by the user that the program becomes and nobody else",
        );
        diagnostic
    }

    /// The error that the admin listener's address cannot be had.
    pub fn admin_unbindable(&self, addr: &str, cause: &str) -> Diagnostic {
        let mut diagnostic = at(Code::E414, self.places.admin.as_ref(), format!("cannot listen on {addr}: {cause}"));
        diagnostic.help("free the address, or give `admin` another one");
        diagnostic
    }

    /// The error that the hash of an admin user's password cannot be used.
    pub fn pass_unreadable(&self, user: &str, cause: &str) -> Diagnostic {
        let message = format!("cannot use the password of user `{user}`: {cause}");
        let mut diagnostic = at(Code::E415, self.places.passes.get(user), message);
        diagnostic.help("`evenkeel passwd` asks for a password and prints the hash that belongs there");
        diagnostic
    }

    /// The error that error pages cannot be read, or a log cannot be opened; whether there is what `path` names.
    pub fn file_unusable(&self, path: &Path, cause: &str, is_there: bool) -> Diagnostic {
        let mut diagnostic = at(Code::E428, self.places.files.get(path), cause.to_owned());
        let mend = if is_there { "mend that" } else { "make it" };
        diagnostic.help(format!("{mend}, or name another one: a start or a reload would be refused"));
        diagnostic
    }

    /// The warning that something a start reads could not be looked at.
    pub fn not_looked_at(&self, what: &Unseen<'_>, cause: &str) -> Diagnostic {
        let (place, name) = match what {
            Unseen::Key(pool) => (self.places.keys.get(*pool), format!("the key of pool `{pool}`")),
            Unseen::Pass(user) => (self.places.passes.get(*user), format!("the password of user `{user}`")),
            Unseen::Cluster => (self.places.cluster.as_ref(), "a key of the cluster".to_owned()),
            Unseen::File(path) => (self.places.files.get(*path), format!("`{}`", path.display())),
        };
        let mut diagnostic = at(Code::W514, place, format!("{name} was not looked at: {cause}"));
        diagnostic.help("run `check` as the user and in the place that the program runs in");
        diagnostic
    }

    /// The error that a key of the cluster cannot be used.
    pub fn cluster_key_unusable(&self, cause: &str) -> Diagnostic {
        let mut diagnostic = at(Code::E415, self.places.cluster.as_ref(), cause.to_owned());
        diagnostic.help("`evenkeel cluster key` makes one; every node has the same, readable by nobody else");
        diagnostic
    }

    /// The error that a certificate of a listener cannot be used; `index` counts them from 0.
    pub fn certificate_unusable(&self, listener: &ListenerName, index: usize, cause: &str) -> Diagnostic {
        at(Code::E434, self.certificate_place(listener, index), cause.to_owned())
    }

    /// A warning about a certificate of a listener.
    pub fn certificate_doubted(&self, code: Code, (listener, index): (&ListenerName, usize), text: &str) -> Diagnostic {
        at(code, self.certificate_place(listener, index), text.to_owned())
    }

    /// The error that the authority of a listener's clients cannot be used.
    pub fn client_authority_unusable(&self, listener: &ListenerName, cause: &str) -> Diagnostic {
        at(Code::E434, self.places.client_authorities.get(listener), cause.to_owned())
    }

    /// The error that what a pool's `tls` names cannot be used, or a warning about it.
    pub fn pool_tls(&self, code: Code, pool: &PoolName, text: &str) -> Diagnostic {
        at(code, self.places.pool_tls.get(pool), text.to_owned())
    }

    fn certificate_place(&self, listener: &ListenerName, index: usize) -> Option<&Span> {
        self.places.certificates.get(listener)?.get(index)
    }

    /// The error that a zone cannot be used.
    pub fn zone_unusable(&self, zone: &str, cause: &str) -> Diagnostic {
        let message = format!("zone `{zone}` cannot be used: {cause}");
        at(Code::E427, self.places.zones.get(zone), message)
    }

    /// A warning about what a zone holds.
    pub fn zone_doubted(&self, zone: &str, text: &str) -> Diagnostic {
        at(Code::W515, self.places.zones.get(zone), format!("zone `{zone}`: {text}"))
    }

    /// The error that a secret of a zone, or of a `dns` block, cannot be read.
    pub fn dns_secret_unreadable(&self, zone: Option<&str>, cause: &str) -> Diagnostic {
        let (place, of) = match zone {
            Some(zone) => (self.places.zones.get(zone), format!("a key of zone `{zone}`")),
            None => (None, "the key of the cookies".to_owned()),
        };
        let mut diagnostic = at(Code::E415, place, format!("cannot read {of}: {cause}"));
        diagnostic.help("`tsig-keygen NAME` makes a key for transfers, `openssl rand -hex 32` a secret for cookies");
        diagnostic
    }

    /// The error that the key of an `update` cannot be read, or is none.
    pub fn update_key_unreadable(&self, key: &SecretRef, cause: &str) -> Diagnostic {
        let message = format!("cannot read the key that signs updates: {cause}");
        let mut diagnostic = at(Code::E415, self.places.update_keys.get(key), message);
        diagnostic.help("`tsig-keygen NAME` makes one; the server that takes the updates needs the same");
        diagnostic
    }

    /// The error that two keys of a `dns` block have one name and are not the same; each with the zone whose transfers it
    /// signs.
    pub fn dns_keys_differ(&self, name: &str, first: (&str, &SecretRef), second: (&str, &SecretRef)) -> Diagnostic {
        let place = |(zone, key): (&str, &SecretRef)| self.places.zone_keys.get(&(zone.to_owned(), key.clone()));
        let message =
            format!("another key of this block is named `{name}` too, so that a signature does not tell which");
        let mut diagnostic = at(Code::E411, place(second), message);
        if let Some(first) = place(first) {
            diagnostic.also(*first, "the other key");
        }
        diagnostic.help("give each key a name of its own, here and at the secondary server (`tsig-keygen NAME`)");
        diagnostic
    }

    /// How many diagnostics of a severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Where a server's address is written.
    pub fn server_span(&self, server: &ServerId) -> Option<Span> {
        self.places.servers.get(server).copied()
    }

    /// Where a listener's address is written.
    pub fn listener_span(&self, listener: &ListenerName) -> Option<Span> {
        self.places.listeners.get(listener).copied()
    }
}

fn at(code: Code, span: Option<&Span>, message: String) -> Diagnostic {
    match span {
        Some(span) => Diagnostic::new(code, *span, message),
        None => Diagnostic::nowhere(code, message),
    }
}

#[cfg(test)]
mod tests;

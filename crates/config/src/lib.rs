//! From the operator's text to a validated [`Config`](evenkeel_model::Config), and back to text.
//!
//! The way of a file: [`load`] reads it through a [`Source`] (this crate opens no file), [`syntax`] makes a lossless
//! tree of it, the directive table ([`directives`]) gives every word its meaning, arguments and defaults, and
//! the `meaning` module builds the model. Every mistake on that way becomes a [`Diagnostic`] with its place; all of them are
//! reported, and a configuration comes out only when none is an error.
//!
//! What the command line needs of this crate:
//!
//! | wanted | call |
//! |---|---|
//! | a configuration from a file or its JSON twin | [`load`] -> [`Loaded`] |
//! | from `run --listen --to` | [`flags::RunFlags::text`], then [`load_text`] |
//! | diagnostics for people, editors, scripts | [`render`], [`summary`] |
//! | `fmt` | [`format`] |
//! | `explain WORD|CODE` | [`explain`] |
//! | `config show [--json] [--defaults]` | [`show`] |
//! | `config schema`, manual, man page, completions | [`schema`], [`reference`], [`directives`] |
//! | what a reload changes | [`diff`], and as lines of text [`unified`] |
//!
//! The entry points in full:
//!
//! ```text
//! load(entry: &Path, source: &dyn Source, options: &Options) -> Loaded
//! load_text(name: &str, text: &[u8], source: &dyn Source, options: &Options) -> Loaded       // name: `command line`, `stdin`
//! Options { strict: bool }                                                       // strict: warnings refuse, too
//! Loaded { config: Option<model::Config>, diagnostics: Vec<Diagnostic>, sources: SourceMap, .. }
//!   .unresolved(&ServerId, cause: &str) -> Diagnostic                            // W505
//!   .unbindable(&ListenerName, cause: &str) -> Diagnostic                        // E414
//!   .secret_unreadable(&PoolName, cause: &str) -> Diagnostic                     // E415
//! render(&[Diagnostic], &SourceMap, Style) -> String      Style::{Human { color: bool }, Short, Json}
//! summary(&Loaded) -> String                              // `evenkeel.conf: 2 errors, 1 warning`
//! format(text: &str) -> String
//! explain(word_or_code: &str) -> Option<String>
//! show(&Loaded, Show { json: bool, defaults: bool }) -> String
//! diff(old: &Config, new: &Config) -> Vec<Change>
//! unified((name, text): (&str, &str), (name, text): (&str, &str)) -> String
//! flags::RunFlags { listen: Vec<String>, to: Vec<String>, sticky: Option<String>, check: Option<String> }.text() -> String
//! schema::json() -> String        reference::markdown() -> String
//! ```
//!
//! The one invariant: the same text gives the same configuration and the same diagnostics, everywhere and always.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod codes;
mod complain;
mod diagnose;
mod diff;
mod entry;
mod explain;
pub mod flags;
mod format;
pub mod json;
mod lines;
mod load;
mod meaning;
pub mod print;
pub mod reference;
mod render;
pub mod schema;
mod show;
mod source;
mod span;
pub mod syntax;
pub mod table;
mod value;

pub use diagnose::{Code, Diagnostic, Diagnostics, Label, Note, Severity};
pub use diff::diff;
pub use explain::{explain, meant};
pub use format::format;
pub use lines::unified;
pub use load::{Loaded, Options, Unseen, load, load_text};
pub use render::{Style, render, summary};
pub use show::{Show, show};
pub use source::{MemorySource, Source};
pub use span::{FileId, SourceFile, SourceMap, Span};

//! Methods whose values are the application's session ids, which answers tell.

use evenkeel_model::config::{Carrier, Learn, LearnFrom};
use evenkeel_model::defaults;

use super::{COMMON, misplaced, named, set};
use crate::entry::{Argument, Entry};
use crate::value::Value;
use crate::{Code, Diagnostics};

/// The words that stand with these methods, beside those of every method.
const WORDS: [&str; 3] = ["learn", "idle", "life"];

/// A method that learns.
pub(super) fn learned(entry: &Entry, argument: &Argument, method: &str, out: &mut Diagnostics) -> Option<Learn> {
    for word in entry.entries.iter().filter(|word| !COMMON.contains(&word.directive.name)) {
        if !WORDS.contains(&word.directive.name) {
            misplaced(word, "a `sticky` that learns", out);
        }
    }
    let reads_pages = matches!(entry.option("learn"), Some(Value::Choice("body")));
    let (carrier, from) = match (method, named(entry, argument, method, out)?) {
        ("learn", Carrier::Path(name)) => (Carrier::Cookie(name), vec![LearnFrom::SetCookie]),
        (_, Carrier::Field(name)) => (Carrier::Field(name.clone()), vec![LearnFrom::Field(name)]),
        (_, carrier) if reads_pages => (carrier, vec![LearnFrom::SetCookie, LearnFrom::Location, LearnFrom::Body]),
        (_, carrier) => (carrier, vec![LearnFrom::SetCookie, LearnFrom::Location]),
    };
    if let Some(learn) = entry.entry("learn") {
        let place = match &carrier {
            Carrier::Cookie(_) => Some("`sticky learn`, which learns from `Set-Cookie`"),
            Carrier::Field(_) if reads_pages => Some("`sticky header`, as pages hold no fields: write `learn=head`"),
            Carrier::Field(_) | Carrier::Query(_) | Carrier::Path(_) => None,
        };
        if let Some(place) = place {
            misplaced(learn, place, out);
        }
    }
    let mut learn = Learn { carrier, from, idle: defaults::STICKY_IDLE, life: defaults::STICKY_LIFE };
    set(entry, "idle", &mut learn.idle);
    set(entry, "life", &mut learn.life);
    if let Some(idle) = entry.entry("idle").or_else(|| entry.entry("life")).filter(|_| learn.idle > learn.life) {
        let (idle_text, life) = (crate::print::duration(learn.idle), crate::print::duration(learn.life));
        out.report(Code::W509, idle.span, format!("`idle` of {idle_text} is never reached: `life` is {life}"))
            .help("make `life` longer, or `idle` shorter");
    }
    Some(learn)
}

//! Words of the process as a whole.

use std::num::NonZeroU16;
use std::path::PathBuf;

use evenkeel_model::config::{Ceiling, Process, Workers};
use evenkeel_model::defaults;

use crate::entry::{Entries, Entry};
use crate::value::Value;

pub(super) fn process(top: &Entries) -> Process {
    let find = |name: &str| top.list.iter().find(|entry| entry.directive.name == name);
    let mut process = Process { state: Some(PathBuf::from(defaults::STATE_DIR)), ..Process::default() };
    match find("state").and_then(|entry| entry.value(0)) {
        Some(Value::Path(path)) => process.state = Some(path.clone()),
        Some(Value::Off) => process.state = None,
        _ => {}
    }
    let text = |name: &str| match find(name).and_then(|entry| entry.value(0)) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    process.user = text("user");
    process.group = text("group");
    if let Some(Value::Path(path)) = find("control").and_then(|entry| entry.value(0)) {
        process.control = Some(path.clone());
    }
    for value in find("resolver").into_iter().flat_map(Entry::read_values) {
        if let Value::Socket(addr) = value {
            process.resolvers.push(*addr);
        }
    }
    if let Some(limits) = find("limits") {
        apply_limits(&mut process, limits);
    }
    process
}

fn apply_limits(process: &mut Process, limits: &Entry) {
    let number = |name: &str| match limits.option(name) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    };
    let ceiling = |name: &str| number(name).and_then(|number| u32::try_from(number).ok()).map(Ceiling::Fixed);
    if let Some(workers) = number("workers").and_then(|number| u16::try_from(number).ok()).and_then(NonZeroU16::new) {
        process.workers = Workers::Fixed(workers);
    }
    process.max_conns = ceiling("conns").unwrap_or(process.max_conns);
    if let Some(Value::Size(buffers)) = limits.option("buffers") {
        process.buffers = Some(*buffers);
    }
    process.files = ceiling("files").unwrap_or(process.files);
    if let Some(Value::Duration(drain)) = limits.option("drain") {
        process.drain = *drain;
    }
}

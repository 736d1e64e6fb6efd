//! `admin`: the listener for people and their programs, and who may come in.

use evenkeel_model::config::{Admin, AdminUser, ListenAddr, Role};

use super::Building;
use crate::Code;
use crate::entry::Entry;
use crate::value::Value;

pub(super) fn admin(building: &mut Building<'_>) {
    let Some(entry) = building.all("admin").next() else { return };
    let users: Vec<AdminUser> = entry.all("user").filter_map(|entry| user(building, entry)).collect();
    let Some(Value::Listen(addr)) = entry.value(0) else { return };
    let span = entry.values.first().map_or(entry.span, |argument| argument.word.span);
    let hosts = entry.all("host").flat_map(Entry::read_values).filter_map(|value| match value {
        Value::HostPattern(pattern) => Some(pattern.clone()),
        _ => None,
    });
    let admin = Admin { addr: *addr, users, hosts: hosts.collect(), read_only: entry.entry("readonly").is_some() };
    building.places.admin = Some(span);
    complain(building, entry, &admin);
    building.config.admin = Some(admin);
}

fn user(building: &mut Building<'_>, entry: &Entry) -> Option<AdminUser> {
    let Some(Value::Text(name)) = entry.value(0) else { return None };
    let role = match entry.option("role") {
        Some(Value::Choice(word)) => Role::ALL.into_iter().find(|role| role.as_str() == *word)?,
        _ => Role::Read,
    };
    let Some(pass) = entry.entry("pass") else {
        if !entry.flawed {
            building
                .out
                .report(Code::E417, entry.span, format!("the user `{name}` has no password"))
                .help(format!("make a hash with `evenkeel passwd > /etc/evenkeel/{name}.pass`"))
                .help(format!("and name it: `user {name} role={role} pass=file:/etc/evenkeel/{name}.pass`"));
        }
        return None;
    };
    let Some(Value::Secret(secret)) = pass.value(0) else { return None };
    building.places.passes.insert(name.clone(), pass.span);
    Some(AdminUser { name: name.clone(), role, pass: secret.clone() })
}

fn complain(building: &mut Building<'_>, entry: &Entry, admin: &Admin) {
    let span = building.places.admin.unwrap_or(entry.span);
    let is_sound = entry.is_sound();
    let others = building.config.listeners.iter().find(|listener| {
        let (listener, own) = (listener.addr, admin.addr);
        let every = |addr: ListenAddr| matches!(addr, ListenAddr::Every(_));
        listener.port() > 0 && (listener == own || (listener.port() == own.port() && (every(listener) || every(own))))
    });
    if let Some(other) = others {
        let first = building.places.listeners.get(&other.name).copied();
        let report =
            building.out.report(Code::E408, span, format!("`admin` and the listener `{}` are one address", other.name));
        if let Some(first) = first {
            report.also(first, "first given here");
        }
        report.help("give `admin` a port of its own");
    }
    match (admin.is_local(), admin.users.is_empty()) {
        (true, _) => {}
        (false, true) if is_sound => {
            building
                .out
                .report(Code::E416, span, "anybody who reaches this address could look in")
                .help("listen on loopback: `admin 127.0.0.1:9090`")
                .help("or say who may: `user ops role=admin pass=file:/etc/evenkeel/ops.pass`");
        }
        (false, true) => {}
        (false, false) => {
            building
                .out
                .report(Code::W510, span, "passwords cross the network in the clear")
                .help("listen on loopback, and reach it through a tunnel (`ssh -L`) or a proxy with TLS");
        }
    }
}

//! `dns`: what the running daemon answers to queries.

use std::fmt::Write as _;

use evenkeel_admin::render;
use evenkeel_admin::report::{DnsAnswerReport, ZoneReport};

use super::remote::{client, failed, print_json};
use crate::args::{DnsCommand, DnsQueryArgs, RemoteArgs};
use crate::exit::Exit;
use crate::output;

pub(crate) fn dns(command: &DnsCommand) -> Exit {
    match command {
        DnsCommand::Query(args) => query(args),
        DnsCommand::Zones(args) => zones(args),
    }
}

fn query(args: &DnsQueryArgs) -> Exit {
    let mut path = format!("/api/v1/dns/query?name={}&type={}", escaped(&args.name), escaped(&args.kind));
    for (name, value) in [("client", args.client), ("at", args.at)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(&value.to_string())));
        }
    }
    let remote = &args.remote;
    match client(remote.control.as_deref()).get(&path).and_then(|reply| reply.parsed::<DnsAnswerReport>()) {
        Ok(report) if remote.json => print_json(&report),
        Ok(report) => output::print(render::dns_answer(&report).trim_end()),
        Err(error) => failed(&error),
    }
}

fn zones(args: &RemoteArgs) -> Exit {
    match client(args.control.as_deref()).get("/api/v1/dns/zones").and_then(|reply| reply.parsed::<Vec<ZoneReport>>()) {
        Ok(zones) if args.json => print_json(&zones),
        Ok(zones) => output::print(render::zones(&zones).trim_end()),
        Err(error) => failed(&error),
    }
}

/// A text as a value of a query.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

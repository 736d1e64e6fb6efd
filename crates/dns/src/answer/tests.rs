use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::*;
use crate::kind::Class;
use crate::tests::recorded::{cases, text};
use crate::wire::{Message, MessageRecord, Question, write_query};
use crate::zone::{NoSource, load};

mod balanced;
mod rate;
mod rules;

fn zones_of(origin: &str, text: &str) -> Zones {
    let loaded = load("z", text.as_bytes().to_vec(), &origin.parse().unwrap(), &mut NoSource);
    let report = loaded.report();
    let mut zones = Zones::new();
    zones.insert(Served::plain(loaded.zone.unwrap_or_else(|| panic!("{report:?}"))));
    zones
}

fn question(name: &str, kind: Type) -> Question {
    Question { name: name.parse().unwrap(), kind, class: Class::IN }
}

/// Sends a query as a datagram and reads the response.
fn ask_bytes(zones: &Zones, bytes: &[u8]) -> Option<Reply> {
    let pools = HashMap::new();
    let health = Health { ready: true, own: evenkeel_model::State::Up, peers: &[], pools: &pools, next_change: None };
    let server = Server { zones, health: &health, policy: &Policy::default(), cookies: None };
    let from = "192.0.2.77:5353".parse().unwrap();
    respond(server, Asked { bytes, from, arrived_at: None, over: Transport::Udp, luck: 1, reserve: 0 })
}

fn ask(zones: &Zones, name: &str, kind: Type) -> Message {
    let bytes = write_query(7, &question(name, kind), false, None);
    Message::read(&ask_bytes(zones, &bytes).unwrap().bytes).unwrap()
}

fn lines(records: &[MessageRecord]) -> Vec<String> {
    let line = |r: &MessageRecord| {
        let lower = MessageRecord { data: r.data.clone(), owner: r.owner.to_lower(), ..*r };
        format!("{} {} IN {} {}", lower.owner, r.ttl, r.kind, r.data.show(r.kind))
    };
    let mut lines: Vec<String> = records.iter().map(line).collect();
    lines.sort();
    lines
}

fn rcode_name(code: u16) -> &'static str {
    use crate::kind::Rcode::{FormErr, NoError, NotImp, NxDomain, Refused, ServFail, YxDomain};
    let all = [NoError, FormErr, ServFail, NxDomain, NotImp, Refused, YxDomain];
    all.into_iter().find(|rcode| rcode.code() == code).map_or("?", |rcode| rcode.as_str())
}

fn section(answer: &Value, name: &str) -> Vec<String> {
    let list = answer.get(name).and_then(Value::as_array).unwrap();
    let mut lines: Vec<String> = list.iter().map(|line| line.as_str().unwrap().to_owned()).collect();
    lines.sort();
    lines
}

/// What differs between a response and an accepted answer; empty where they are equal.
fn differences(got: &Message, wanted: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let mut compare = |what: &str, got: String, wanted: String| {
        if got != wanted {
            out.push(format!("{what}: got {got}, wanted {wanted}"));
        }
    };
    compare("rcode", rcode_name(got.rcode()).to_owned(), text(wanted, "rcode").to_owned());
    let mut flags = Vec::new();
    if got.is_authoritative() {
        flags.push("AA");
    }
    if got.is_truncated() {
        flags.push("TC");
    }
    compare("flags", format!("{flags:?}"), format!("{:?}", section(wanted, "flags")));
    for (name, records) in [("answer", &got.answer), ("authority", &got.authority), ("additional", &got.additional)] {
        compare(name, format!("{:?}", lines(records)), format!("{:?}", section(wanted, name)));
    }
    out
}

#[test]
fn every_scored_recorded_answer_is_given() {
    let Some(cases) = cases("ferret-a.jsonl.gz") else { return };
    let mut wrong = Vec::new();
    let mut leaves = BTreeSet::new();
    let mut scored = 0;
    for case in &cases {
        if text(case, "class") == "split" {
            continue;
        }
        scored += 1;
        let zones = zones_of(text(case, "origin"), text(case, "zone"));
        let kind = Type::from_text(text(case, "qtype").as_bytes()).unwrap();
        let got = ask(&zones, text(case, "qname"), kind);
        let accept = case.get("accept").and_then(Value::as_array).unwrap();
        let found = differences(&got, &accept[0]);
        if !found.is_empty() {
            leaves.insert(text(case, "leaf").to_owned());
            wrong.push(format!(
                "{} {} {}\n{}{}",
                text(case, "id"),
                text(case, "qname"),
                text(case, "qtype"),
                text(case, "zone"),
                found.join("\n")
            ));
        }
    }
    let shown = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} of {scored} differ, in {leaves:?}:\n{shown}", wrong.len());
    assert!(scored > 6_000, "the data file is cut: {scored} cases");
}

#[test]
fn an_unscored_recorded_query_gets_one_bounded_answer() {
    let Some(cases) = cases("ferret-a.jsonl.gz") else { return };
    for case in cases.iter().filter(|case| text(case, "class") == "split") {
        let zones = zones_of(text(case, "origin"), text(case, "zone"));
        let kind = Type::from_text(text(case, "qtype").as_bytes()).unwrap();
        let got = ask(&zones, text(case, "qname"), kind);
        assert!(got.answer.len() <= 2 * evenkeel_model::caps::DNS_CHAIN, "{}", text(case, "id"));
        assert_eq!(got, ask(&zones, text(case, "qname"), kind), "{}", text(case, "id"));
    }
}

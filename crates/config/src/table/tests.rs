//! The table, held against itself: what it says of a word is obeyed.

use super::{Context, Kind, Repeat, directives, find, words_in};
use crate::syntax::{Form, Word};
use crate::{Diagnostics, MemorySource, Options, SourceMap, Span, load_text, value};

#[test]
fn a_word_has_one_meaning_in_one_place() {
    for context in Context::ALL {
        let mut names: Vec<&str> = words_in(context).map(|directive| directive.name).collect();
        let count = names.len();
        assert!(count > 0, "{context}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{context}");
    }
}

#[test]
fn every_default_is_a_value_that_its_word_takes() {
    let file = SourceMap::default().add("t", "");
    let span = Span { file, start: 0, end: 0 };
    for directive in directives() {
        let Some(default) = directive.default else {
            assert!(!directive.otherwise.is_empty() || directive.opens.is_some(), "{} says no default", directive.name);
            continue;
        };
        let text = default();
        let words = if directive.args.len() == 1 && directive.most().is_some() {
            vec![text.as_str()]
        } else {
            text.split(' ').collect()
        };
        for (index, text) in words.into_iter().enumerate() {
            let word = Word { text: text.to_owned(), span, form: Form::Bare };
            let mut out = Diagnostics::default();
            let read = value::read(directive.arg(index).unwrap().kind, &word, &mut out);
            assert!(read.is_some() && out.is_empty(), "{} {text}", directive.name);
        }
    }
}

/// A configuration around an example of each place.
// long: one arm a place
fn around(context: Context, example: &str) -> String {
    let pool = "pool p {\n server x 10.9.9.9:80\n}\npool api {\n server x 10.9.9.8:80\n}\n";
    let names = ["search", "www", "beta", "debug"];
    let pools: String = names.iter().map(|name| format!("pool {name} {{\n server x 10.9.9.9:80\n}}\n")).collect();
    match context {
        Context::Top if example.starts_with("tcp ") => format!("{example}\n{pool}{pools}"),
        Context::Top if ["http ", "https ", "dns "].iter().any(|word| example.starts_with(word)) => example.to_owned(),
        Context::Admin | Context::AdminUser if !example.starts_with("admin ") => {
            let user = if example.starts_with("user ") { "" } else { " user x role=read pass=cred:x\n" };
            format!("admin 127.0.0.1:9090 {{\n{user} {example}\n}}\nhttp :80 {{\n to 10.0.0.1:80\n}}\n")
        }
        Context::Zonefile | Context::ZoneCheck | Context::Then | Context::Update
            if !example.starts_with("zonefile") =>
        {
            let pool = if example.starts_with("pool") { "pool shop {\n server x 10.9.9.9:80\n}\n" } else { "" };
            format!("zonefile /z {{\n {example}\n}}\n{pool}")
        }
        Context::Zonefile => example.to_owned(),
        Context::Cluster
        | Context::Beat
        | Context::Ping
        | Context::Spread
        | Context::Group
        | Context::ServiceIp
        | Context::GroupService => around_in_cluster(example),
        Context::Top | Context::Limits => format!("{example}\nhttp :80 {{\n to 10.0.0.1:80\n}}\n"),
        Context::Http | Context::Respond | Context::Redirect if example.starts_with("http ") => example.to_owned(),
        Context::Cert | Context::Acme | Context::ClientTls => around_tls(example),
        Context::Http
            if ["acme ", "cert"].iter().any(|word| example.starts_with(word)) || example.starts_with("tls ") =>
        {
            around_tls(example)
        }
        Context::Http if find(example.split(' ').next().unwrap(), Context::Pool).is_some() => {
            format!("http :80 {{\n to 10.0.0.1:80\n {example}\n}}\n")
        }
        Context::Http | Context::Route | Context::ClientTimeout | Context::Max
            if example.starts_with("route") || example.starts_with("redirect") || example.starts_with("respond") =>
        {
            format!("http :80 {{\n {example}\n}}\n{pool}{pools}")
        }
        Context::Redirect | Context::Respond => format!("http :80 {{\n {example}\n}}\n"),
        Context::Http | Context::ClientTimeout | Context::Max => {
            format!("http :80 {{\n {example}\n to 10.0.0.1:80\n}}\n")
        }
        Context::Route => format!("http :80 {{\n route /x {{\n to p\n {example}\n }}\n}}\n{pool}"),
        Context::Skip => format!("http :80 {{\n to 10.0.0.1:80\n log stdout {{\n {example}\n }}\n}}\n"),
        Context::StickySkip => format!("http :80 {{\n to 10.0.0.1:80\n sticky {{\n {example}\n }}\n}}\n"),
        Context::Log if example.starts_with("log") => format!("http :80 {{\n to 10.0.0.1:80\n {example}\n}}\n"),
        Context::Log => format!("http :80 {{\n to 10.0.0.1:80\n log stdout {{\n {example}\n }}\n}}\n"),
        Context::Tcp | Context::TcpRoute | Context::TcpTimeout | Context::ProxyProtocol => around_tcp(example),
        Context::Dns
        | Context::Zone
        | Context::ZoneName
        | Context::Transfer
        | Context::Notify
        | Context::DnsRate
        | Context::DnsCookies
        | Context::DnsTcp
        | Context::DnsLog => around_dns(example),
        _ => format!("http :80 {{\n route * to=q\n}}\npool q {{\n {example}\n server z 10.0.0.2:80\n}}\n"),
    }
}

/// Connections go to servers of the block's own, or where its routes lead.
fn around_tcp(example: &str) -> String {
    let names = ["shop", "other", "db"];
    let pools: String = names.iter().map(|name| format!("pool {name} {{\n server x 10.9.9.9:80\n}}\n")).collect();
    // What is sticky by more than the address, or hashed otherwise, is for requests.
    let example = if example.starts_with("sticky") { "sticky client" } else { example };
    let own = if example.starts_with("to ") || example.starts_with("route") { "" } else { " to 10.0.0.1:80\n" };
    // TLS with clients is spoken where a certificate is.
    let own = if example.starts_with("tls ") { format!(" cert self\n{own}") } else { own.to_owned() };
    let example = example.replace("format combined", "format json").replace("    skip path=/check.txt\n", "");
    match example.starts_with("tcp ") {
        true => format!("{example}\n{pools}"),
        false => format!("tcp :80 {{\n {example}\n{own}}}\n{pools}"),
    }
}

/// A listener with TLS needs a certificate.
fn around_tls(example: &str) -> String {
    // What is offered inside of TLS is said where something else than HTTP is passed on.
    if example.starts_with("tls alpn=") {
        return around_tcp(example);
    }
    let cert = if example.starts_with("cert") { "" } else { "cert self\n " };
    format!("https :443 shop.example.com {{\n {cert}{example}\n to 10.0.0.1:80\n}}\n")
}

/// A zone that is made needs its servers, and answers by health their pools.
fn around_dns(example: &str) -> String {
    let pools = "pool shop {\n server x 10.9.9.9:80\n}\npool nodes {\n server x 10.9.9.8:80\n}\n";
    let inside = ["ns ", "transfer ", "notify "].iter().any(|word| example.starts_with(word));
    let zone = match example {
        _ if inside => format!("zone api.example.com {{\n ns lb1.example.com\n {example}\n }}"),
        _ if example.starts_with("zone ") && !example.contains("file=") => {
            format!("{example} {{\n ns lb1.example.com\n }}")
        }
        _ if example.starts_with("zone ") => example.to_owned(),
        _ => format!("{example}\n zone x.example.com file=/x"),
    };
    let zone = zone.replace(" ns lb1.example.com\n ns ", " ns ");
    format!("dns :5353 {{\n {zone}\n}}\n{pools}")
}

fn around_in_cluster(example: &str) -> String {
    let needs_group = ["ip ", "unit ", "script "].iter().any(|word| example.starts_with(word));
    let (open, close) = if needs_group { ("group g {\n", "\n}\n") } else { ("", "\n") };
    let key = if example.starts_with("key") { "" } else { "key cred:k\n" };
    let has_two_paths = example.starts_with("node lb1");
    let node = |name: &str, last: u8| match example.starts_with(&format!("node {name} ")) {
        true => String::new(),
        false if has_two_paths => format!("node {name} 192.168.2.{last} 10.0.9.{last}\n"),
        false => format!("node {name} 192.168.2.{last}\n"),
    };
    let nodes = [node("lb1", 1), node("lb2", 2), node("lb3", 3)].concat();
    format!("cluster c {{\n{key}{nodes}{open}{example}{close}}}\nhttp :80 {{\n to 10.0.0.1:80\n}}\n")
}

#[test]
fn every_example_is_accepted_where_its_word_stands() {
    for directive in directives() {
        if directive.name == "include" {
            continue;
        }
        for context in directive.within {
            let text = around(*context, directive.example);
            let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
            let rendered = crate::render(&loaded.diagnostics, &loaded.sources, crate::Style::Human { color: false });
            assert!(loaded.config.is_some(), "{} in {context}\n{text}\n{rendered}", directive.name);
        }
    }
}

#[test]
fn named_words_take_a_name_first() {
    for directive in directives().filter(|directive| directive.repeat == Repeat::Named) {
        assert!(matches!(directive.args[0].kind, Kind::Name | Kind::DnsName), "{}", directive.name);
    }
}

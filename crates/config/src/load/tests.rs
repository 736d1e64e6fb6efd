//! Files that include files, and what is said when one of them is bad.

use evenkeel_model::{PoolName, ServerId, ServerName};

use super::{Loaded, Options, load, load_text};
use crate::{Code, MemorySource, Style, render, summary};

const OK: &str = "http :80 {\n    to 10.0.0.1:80\n}\n";

fn from(source: &MemorySource) -> Loaded {
    load("/etc/evenkeel/evenkeel.conf".as_ref(), source, &Options::default())
}

fn codes(loaded: &Loaded) -> Vec<Code> {
    loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn included_files_are_pasted_in_the_order_of_their_names() {
    let source = MemorySource::default()
        .with("/etc/evenkeel/evenkeel.conf", "include conf.d/*.conf\nhttp :80 {\n route * to=b\n}\n")
        .with("/etc/evenkeel/conf.d/20.conf", "pool b {\n server x 10.0.0.2:80\n}\nhttp :81 {\n route * to=c\n}\n")
        .with("/etc/evenkeel/conf.d/10.conf", "include ../more/c.conf\nhttp :82 {\n respond 204\n}\n")
        .with("/etc/evenkeel/conf.d/../more/c.conf", "pool c {\n server x 10.0.0.3:80\n}\n")
        .with("/etc/evenkeel/conf.d/readme.txt", "}");
    let loaded = from(&source);
    assert_eq!(codes(&loaded), []);
    let config = loaded.config.unwrap();
    let names: Vec<&str> = config.pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(names, ["c", "b"]);
    let ports: Vec<u16> = config.listeners.iter().map(|listener| listener.addr.port()).collect();
    assert_eq!(ports, [82, 81, 80]);
    assert_eq!(loaded.sources.files().len(), 4);
}

#[test]
fn the_twin_can_be_included_and_can_include() {
    let source = MemorySource::default()
        .with("/etc/evenkeel/evenkeel.conf", "include p.json\nhttp :80 {\n route * to=p\n}\n")
        .with(
            "/etc/evenkeel/p.json",
            "{ \"include\": [\"q.conf\"], \"pool\": { \"p\": { \"server\": { \"a\": \"10.0.0.1:80\" } } } }",
        )
        .with("/etc/evenkeel/q.conf", "user e\n");
    let config = from(&source).config.unwrap();
    assert_eq!((config.pools.len(), config.process.user.as_deref()), (1, Some("e")));
}

#[test]
fn a_mistake_in_an_included_file_is_shown_there_and_refuses_the_whole() {
    let source = MemorySource::default()
        .with("/etc/evenkeel/evenkeel.conf", format!("include a.conf\n{OK}pool p {{\n server a 10.0.0.1:80\n}}\n"))
        .with("/etc/evenkeel/a.conf", "# one\npool p {\n server a 10.0.0.1\n}\n");
    let loaded = from(&source);
    assert!(loaded.config.is_none());
    assert_eq!(codes(&loaded), [Code::E209, Code::E307]);
    let shown = render(&loaded.diagnostics, &loaded.sources, Style::Human { color: false });
    assert!(shown.contains("/etc/evenkeel/evenkeel.conf:5:6") && shown.contains("/etc/evenkeel/a.conf:2:6"), "{shown}");
}

#[test]
fn includes_end_however_they_are_written() {
    let round = MemorySource::default()
        .with("/etc/evenkeel/evenkeel.conf", format!("include a.conf\n{OK}"))
        .with("/etc/evenkeel/a.conf", "include evenkeel.conf\n");
    assert_eq!(codes(&from(&round)), [Code::E116]);
    let mut deep = MemorySource::default().with("/etc/evenkeel/evenkeel.conf", format!("include 0.conf\n{OK}"));
    for depth in 0..20 {
        deep = deep.with(format!("/etc/evenkeel/{depth}.conf"), format!("include {}.conf\n", depth + 1));
    }
    assert_eq!(codes(&from(&deep)), [Code::E116]);
}

#[test]
fn what_is_missing_is_not_complained_of_after_a_broken_file() {
    let source = MemorySource::default()
        .with("/etc/evenkeel/evenkeel.conf", "include pools.conf\nhttp :80 {\n route * to=shop\n}\n");
    assert_eq!(codes(&from(&source)), [Code::E114]);
    let loaded = from(&MemorySource::default());
    assert_eq!(codes(&loaded), [Code::E114]);
    assert_eq!(summary(&loaded), "/etc/evenkeel/evenkeel.conf: 1 error");
}

#[test]
fn strict_refuses_warnings_and_nothing_else_does() {
    let text = format!("{OK}pool spare {{\n server a 10.0.0.1:80\n}}\n");
    for (strict, accepted) in [(false, true), (true, false)] {
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options { strict });
        assert_eq!(loaded.config.is_some(), accepted);
        assert_eq!(codes(&loaded), [Code::W501]);
    }
}

#[test]
fn what_is_found_while_running_is_shown_at_its_place() {
    let loaded = load_text("t", OK.as_bytes(), &MemorySource::default(), &Options::default());
    let config = loaded.config.as_ref().unwrap();
    let pool = &config.pools[0];
    let id = pool.id_of(&pool.servers[0]);
    let diagnostic = loaded.unresolved(&id, "no such name");
    assert_eq!(loaded.sources.text(diagnostic.label.unwrap().span), "10.0.0.1:80");
    let bind = loaded.unbindable(&config.listeners[0].name, "in use");
    assert_eq!(loaded.sources.text(bind.label.unwrap().span), ":80");
    let unknown = ServerId { pool: PoolName::new("x").unwrap(), server: ServerName::new("y").unwrap() };
    assert_eq!(loaded.unresolved(&unknown, "gone").label, None);
    assert_eq!(loaded.server_span(&unknown), None);
}

#[test]
fn one_mistake_gives_one_diagnostic() {
    let cases = [
        ("http :80 {\n rout /x to=p\n}\npool p {\n server a 10.0.0.1:80\n}\n", Code::E201),
        ("http :80 {\n route * to=p\n}\npool p {\n servr a 10.0.0.1:80\n}\n", Code::E201),
        ("http :80 {\n route * to=p\n}\npol p {\n server a 10.0.0.1:80\n}\n", Code::E201),
        ("http :80 {\n route * to=p\n}\npool p/q {\n server a 10.0.0.1:80\n}\n", Code::E310),
        ("htpp :80 {\n to 10.0.0.1:80\n stikky\n}\n", Code::E201),
        ("http 80 {\n to 10.0.0.1:80\n}\n", Code::E305),
        ("http :80 {\n route * t=p\n}\n", Code::E201),
        ("http :80 {\n route * to=p/q\n}\n", Code::E310),
        ("http :80 {\n redirect /x\n}\n", Code::E321),
        ("http :80 {\n to 10.0.0.1:80\n sticky key=x\n check GET x\n", Code::E106),
    ];
    for (text, code) in cases {
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        let found = codes(&loaded);
        assert!(found.contains(&code), "{text} {found:?}");
        assert!(found.len() == 1 || code == Code::E106, "{text} {found:?}");
    }
}

#[test]
fn what_the_top_says_wrongly_is_told_once_however_many_blocks_there_are() {
    let blocks = "http :80 {\n respond 204\n}\nhttp :81 {\n respond 204\n}\nhttp :82 {\n respond 204\n}\n";
    for (top, code) in [
        ("forward off x-real-ip\n", Code::E411),
        ("log off\nlog stdout\n", Code::E411),
        ("log stdout {\n skip keep=1%\n}\n", Code::E205),
        ("max head=1k target=2k\n", Code::W509),
    ] {
        let text = format!("{top}{blocks}");
        let loaded = load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default());
        assert_eq!(codes(&loaded), [code], "{text}");
    }
}

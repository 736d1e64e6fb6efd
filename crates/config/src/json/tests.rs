//! The twin: the same configuration both ways.

use proptest::prelude::*;

use crate::{Code, Loaded, MemorySource, Options, load_text};

fn load_of(text: &str) -> Loaded {
    load_text("t", text.as_bytes(), &MemorySource::default(), &Options::default())
}

#[test]
fn each_statement_has_one_path() {
    let text = "http :80 {\n route /x/* to=shop\n}\npool shop {\n check GET /c every=5s\n server a 10.0.0.1:80 weight=3 drain\n server b 10.0.0.2:80\n}\n";
    let json = crate::json::to_json(&load_of(text).statements);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value.pointer("/pool/shop/server/a/weight").unwrap(), 3);
    assert_eq!(value.pointer("/pool/shop/server/a/drain").unwrap(), true);
    assert_eq!(value.pointer("/pool/shop/server/b").unwrap(), "10.0.0.2:80");
    assert_eq!(value.pointer("/pool/shop/check/is/1").unwrap(), "/c");
    assert_eq!(value.pointer("/http/0/route/0/to").unwrap(), "shop");
    assert_eq!(value.pointer("/http/0/is").unwrap(), ":80");
}

#[test]
fn mistakes_in_json_are_shown_where_they_are() {
    let cases = [
        ("{ \"http\": [{ \"is\": \":80\", \"too\": \"10.0.0.1:80\" }] }", Code::E201, "\"too\""),
        ("{ \"http\": [{ \"is\": \":80\", \"to\": \"10.0.0.1\" }] }", Code::E307, "\"10.0.0.1\""),
        ("{ \"http\": [{ \"is\": \":80\", \"to\": null }] }", Code::E118, "null"),
        ("{ \"http\": ", Code::E117, ""),
        ("{ \"user\": \"a\", \"user\": \"b\" }", Code::E208, "\"user\""),
        (
            "{ \"http\": [{ \"is\": \":80\", \"errors\": \"/a\\u0007\", \"respond\": 200 }] }",
            Code::E102,
            "\"/a\\u0007\"",
        ),
        ("[]", Code::E110, ""),
    ];
    for (text, code, at) in cases {
        let loaded = load_of(text);
        let found = loaded.diagnostics.iter().find(|diagnostic| diagnostic.code == code);
        if text == "[]" {
            assert!(loaded.config.is_none());
            continue;
        }
        let label = found
            .and_then(|diagnostic| diagnostic.label.as_ref())
            .unwrap_or_else(|| panic!("{text}: {:?}", loaded.diagnostics));
        assert_eq!(loaded.sources.text(label.span), at, "{text}");
    }
}

/// Configurations put together from parts that are right.
fn configs() -> impl Strategy<Value = String> {
    let pool_word = prop::sample::select(vec![
        "balance least-conn",
        "sticky cookie S key=env:K idle=5m",
        "check GET /c every=5s expect=200,204..206",
        "check off",
        "retry 1 same on=lost,503",
        "timeout connect=1s total=off",
        "queue max=3",
        "slow-start 5s",
        "eject errors=2 most=10%",
        "reuse always",
        "fail-open off",
        "eject off",
        "check tcp {\n every 9s\n fall 9\n}",
        "balance hash query \"a=b\"",
        "check \"/a,b=c\" body=\"x, y\"",
        "check GET /a,b",
    ]);
    let http_word = prop::sample::select(vec![
        "errors /e",
        "log stdout {\n format combined\n skip path=/x keep=3%\n skip status=500\n}",
        "log /l",
        "request-id off",
        "timeout head=3s",
        "max body=5m fields=9",
        "trust 10.0.0.0/8 ::1",
        "forward x-real-ip,forwarded",
        "request-header set X-A \"a b\"",
        "request-header remove X-B",
        "response-header add X-C $status",
        "route /a to=p header=x:y header=z query=q",
        "route /b/* {\n respond 404 \"no=thing\" type=text/html\n}",
        "route /c redirect=https://h/?a=b",
        "route /d host=x.y,*.z method=GET to=p strip-prefix=/d",
    ]);
    let last = prop::sample::select(vec![
        "to 10.0.0.1:80,10.0.0.2:80 h.example:8",
        "redirect https code=301",
        "respond 503",
        "redirect host=h path=/x$path",
    ]);
    let top = prop::sample::select(vec![
        "state off",
        "user e",
        "limits workers=2",
        "resolver 10.0.0.2",
        "log syslog",
        "timeout idle=5s",
        "control /c",
    ]);
    let pool_words = prop::collection::vec(pool_word, 0..4);
    let http_words = prop::collection::vec(http_word, 0..6);
    (prop::collection::vec(top, 0..3), http_words, last, pool_words).prop_map(|(top, http, last, pool)| {
        let (top, http, pool) = (top.join("\n"), http.join("\n"), pool.join("\n"));
        format!("{top}\nhttp :80 h.example {{\n{http}\n{last}\n}}\nhttp :80 {{\nroute * to=p\n}}\npool p {{\n{pool}\nserver a 10.0.0.1:80 weight=2 backup\nserver b h.example:80\n}}\n")
    })
}

proptest! {
    #[test]
    fn text_to_json_to_text_is_the_same_configuration(text in configs()) {
        let loaded = load_of(&text);
        let json = crate::json::to_json(&loaded.statements);
        let twin = load_of(&json);
        prop_assert_eq!(&twin.config, &loaded.config, "{}\n{}", text, json);
        let codes = |loaded: &Loaded| { let mut codes: Vec<Code> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect(); codes.sort(); codes };
        if loaded.config.is_some() {
            prop_assert_eq!(codes(&twin), codes(&loaded));
            let back = crate::show(&twin, crate::Show::default());
            prop_assert_eq!(&load_of(&back).config, &loaded.config, "{}", back);
            let defaults = crate::show(&loaded, crate::Show { json: false, defaults: true });
            prop_assert_eq!(&load_of(&defaults).config, &loaded.config, "{}", defaults);
        }
    }

    #[test]
    fn no_json_breaks_the_reader(text in "[\\[\\]{}\",:0-9a-z \\\\-]{0,60}") {
        let loaded = load_of(&format!("{{{text}"));
        prop_assert!(loaded.config.is_none() || loaded.diagnostics.iter().all(|diagnostic| !diagnostic.is_error()));
    }

    #[test]
    fn no_bytes_break_the_loader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let loaded = load_text("t", &bytes, &MemorySource::default(), &Options::default());
        crate::render(&loaded.diagnostics, &loaded.sources, crate::Style::Human { color: true });
        prop_assert!(loaded.config.is_none() || !loaded.diagnostics.iter().any(crate::Diagnostic::is_error));
    }
}

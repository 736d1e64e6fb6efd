//! Words of a `route`, and what it can do with a request. A catalogue.

use super::{Context, Directive, Kind, Phase, ROW, Repeat, many, one, optional};

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "to",
        within: &[Context::Route],
        args: &[one("POOL", Kind::Name)],
        otherwise: "none",
        doc: "Sends the route's requests to a pool.",
        more: "The pool may be defined above or below.",
        example: "route /api/* to=api",
        ..ROW
    },
    Directive {
        name: "host",
        within: &[Context::Route],
        args: &[many("HOST", Kind::HostPattern)],
        otherwise: "every host",
        doc: "Takes requests for these hosts only.",
        more: "`*.example.com` is every name below, and not `example.com` itself. The port plays no part.",
        example: "route * host=www.example.com,*.cdn.example.com to=www",
        ..ROW
    },
    Directive {
        name: "method",
        within: &[Context::Route],
        args: &[many("METHOD", Kind::Method)],
        otherwise: "every method",
        doc: "Takes requests of these methods only.",
        more: "Methods are upper case.",
        example: "route /search method=GET,HEAD to=search",
        ..ROW
    },
    Directive {
        name: "header",
        within: &[Context::Route],
        args: &[one("CONDITION", Kind::Condition)],
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Takes requests only that have this header field, or have it with this value.",
        more: "Given more than once, all must fit. Names are compared without regard to case, values exactly.",
        example: "route * header=X-Beta:on to=beta",
        ..ROW
    },
    Directive {
        name: "query",
        within: &[Context::Route],
        args: &[one("CONDITION", Kind::Condition)],
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Takes requests only that have this query parameter, or have it with this value.",
        more: "Given more than once, all must fit. Names and values are compared exactly, as written in the URL.",
        example: "route /shop query=debug:1 to=debug",
        ..ROW
    },
    Directive {
        name: "strip-prefix",
        within: &[Context::Route],
        args: &[one("PREFIX", Kind::UrlPath)],
        otherwise: "the path stays as it is",
        doc: "Takes a prefix off the path before the request goes to the server.",
        more: "Only whole segments: `/api` is taken off `/api/v1` and not off `/apiary`.",
        example: "route /api/* to=api strip-prefix=/api",
        ..ROW
    },
    Directive {
        name: "add-prefix",
        within: &[Context::Route],
        args: &[one("PREFIX", Kind::UrlPath)],
        otherwise: "the path stays as it is",
        doc: "Puts a prefix before the path before the request goes to the server.",
        more: "Comes after `strip-prefix` where both are given.",
        example: "route /api/* to=api strip-prefix=/api add-prefix=/v2",
        ..ROW
    },
    Directive {
        name: "redirect",
        within: &[Context::Http, Context::Route],
        args: &[optional("TARGET", Kind::Template(Phase::Request))],
        opens: Some(Context::Redirect),
        otherwise: "none",
        doc: "Answers with a redirection.",
        more: "`https` goes to the same URL with that scheme; `host=` and `path=` replace parts and keep the rest; a whole URL replaces all. \
               `https` is passed by, for the next route that fits, by requests that came over TLS already: to us, or to a proxy in front that is trusted with its PROXY header or with `X-Forwarded-Proto`.",
        example: "redirect https",
        ..ROW
    },
    Directive {
        name: "host",
        within: &[Context::Redirect],
        args: &[one("HOST", Kind::Authority)],
        otherwise: "the host of the request",
        doc: "The host to go to.",
        more: "With its port, where it is not the usual one.",
        example: "redirect host=www.example.com",
        ..ROW
    },
    Directive {
        name: "path",
        within: &[Context::Redirect],
        args: &[one("PATH", Kind::Template(Phase::Request))],
        otherwise: "the path of the request",
        doc: "The path to go to. The query is kept.",
        more: "Begins with `/` or with a variable.",
        example: "redirect path=/new$path",
        ..ROW
    },
    Directive {
        name: "code",
        within: &[Context::Redirect],
        args: &[one("STATUS", Kind::Status(301, 308))],
        default: Some(|| "308".to_owned()),
        doc: "The status: 301, 302, 303, 307 or 308.",
        more: "308 and 301 are for good, 307 and 302 for now. 307 and 308 keep the method, so that a POST stays one.",
        example: "redirect https code=301",
        ..ROW
    },
    Directive {
        name: "respond",
        within: &[Context::Http, Context::Route],
        args: &[one("STATUS", Kind::Status(200, 599)), optional("TEXT", Kind::Template(Phase::Request))],
        opens: Some(Context::Respond),
        otherwise: "none",
        doc: "Answers by itself, without a server.",
        more: "The text may hold `$variables`. Without a text the body is empty.",
        example: "route /ping {\n    respond 200 pong\n}",
        ..ROW
    },
    Directive {
        name: "type",
        within: &[Context::Respond],
        args: &[one("TYPE", Kind::MediaType)],
        default: Some(|| "text/plain; charset=utf-8".to_owned()),
        doc: "The media type of the text.",
        more: "Goes out as `Content-Type`.",
        example: "respond 200 \"{}\" type=application/json",
        ..ROW
    },
];

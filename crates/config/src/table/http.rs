//! Words of an `http` block, those of them that give defaults at the top, and their options. A catalogue.

use std::time::Duration;

use evenkeel_model::{caps, defaults};

use super::{Context, Directive, Kind, Phase, ROW, Repeat, any, many, one, optional};
use crate::print;

const SHORTEST: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "http",
        within: &[Context::Top],
        args: &[one("ADDRESS", Kind::Listen), any("HOST", Kind::HostPattern)],
        opens: Some(Context::Http),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Takes HTTP requests at an address, for all hosts or for those named.",
        more: "`:80` is every address of the machine. Several blocks may share an address; a request goes to the first whose hosts fit. One that \
               fits none is answered 421.",
        example: "http :80 shop.example.com *.shop.example.com {\n    to 10.0.0.11:8080 10.0.0.12:8080\n}",
        ..ROW
    },
    Directive {
        name: "errors",
        within: &[Context::Top, Context::Http],
        args: &[one("DIR", Kind::Path)],
        otherwise: "plain pages of our own",
        doc: "The directory of the error pages.",
        more: "`503.html` is for that status, `5xx.html` for the hundred, `maintenance.html` for a pool in maintenance; clients that ask for JSON \
               get the `.json` files. Pages are read at start and reload.",
        example: "errors /etc/evenkeel/errors",
        ..ROW
    },
    Directive {
        name: "log",
        within: &[Context::Top, Context::Http, Context::Tcp],
        args: &[one("TARGET", Kind::LogTarget)],
        opens: Some(Context::Log),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Writes a line for each request, or for each connection of a `tcp` block.",
        more: "Given more than once, each log gets its lines. Logs in a block replace those at the top; `off` writes none. A slow disk loses lines, \
               which are counted, and never holds up a request.",
        example: "log /var/log/evenkeel/shop.log {\n    format combined\n    skip path=/check.txt\n}",
        ..ROW
    },
    Directive {
        name: "format",
        within: &[Context::Log],
        args: &[one("FORMAT", Kind::LogFormat)],
        default: Some(|| "json".to_owned()),
        doc: "What a line looks like.",
        more: "`json` has all facts, `combined` is what web servers write, `haproxy` is its HTTP log. A text of your own holds `$variables`; \
               `explain variables` lists them.",
        example: "log stdout {\n    format \"$client [$time] \\\"$request\\\" $status $bytes $pool/$server $t_total\"\n}",
        ..ROW
    },
    Directive {
        name: "skip",
        within: &[Context::Log],
        opens: Some(Context::Skip),
        repeat: Repeat::Many,
        otherwise: "nothing is skipped",
        doc: "Leaves requests out of the log.",
        more: "All that is given on one line must fit; the first `skip` that fits decides.",
        example: "skip path=/check.txt method=HEAD",
        ..ROW
    },
    Directive {
        name: "path",
        within: &[Context::Skip],
        args: &[one("PATTERN", Kind::PathPattern)],
        otherwise: "every path",
        doc: "Skips requests whose path fits.",
        more: "Patterns are those of `route`.",
        example: "skip path=/static/*",
        ..ROW
    },
    Directive {
        name: "status",
        within: &[Context::Skip],
        args: &[many("STATUS", Kind::Statuses)],
        otherwise: "every status",
        doc: "Skips requests that were answered so.",
        more: "A status or a range, both ends included.",
        example: "skip status=200..399 keep=10%",
        ..ROW
    },
    Directive {
        name: "method",
        within: &[Context::Skip],
        args: &[many("METHOD", Kind::Method)],
        otherwise: "every method",
        doc: "Skips requests of these methods.",
        more: "Methods are upper case.",
        example: "skip method=HEAD,OPTIONS",
        ..ROW
    },
    Directive {
        name: "keep",
        within: &[Context::Skip],
        args: &[one("PERCENT", Kind::Percent(0, 100))],
        default: Some(|| "0%".to_owned()),
        doc: "How many of the requests skipped are logged all the same.",
        more: "A sample of what is usual, next to all of what is not.",
        example: "skip status=200..399 keep=10%",
        ..ROW
    },
    Directive {
        name: "trust",
        within: &[Context::Top, Context::Http],
        args: &[many("RANGE", Kind::Network)],
        otherwise: "nobody",
        doc: "Proxies in front of us whose word on the client's address counts.",
        more: "From others, `X-Forwarded-For` and its like are replaced by what we see ourselves.",
        example: "trust 10.0.0.0/8 2001:db8::/32",
        ..ROW
    },
    Directive {
        name: "forward",
        within: &[Context::Top, Context::Http],
        args: &[many("FIELD", Kind::ClientField)],
        default: Some(|| "x-forwarded-for x-forwarded-proto x-forwarded-host".to_owned()),
        doc: "The fields that tell servers who the client is.",
        more: "Of the fields not in the list, those that an untrusted client sent are removed. `off` sends none.",
        example: "forward x-forwarded-for x-real-ip",
        ..ROW
    },
    Directive {
        name: "request-id",
        within: &[Context::Http],
        args: &[one("FIELD", Kind::Field)],
        default: Some(|| defaults::REQUEST_ID.to_owned()),
        doc: "The field in which each request's id travels to the server and back.",
        more: "A trusted proxy's id is kept, any other is replaced. `off` makes none.",
        example: "request-id X-Correlation-Id",
        ..ROW
    },
    Directive {
        name: "trace",
        within: &[Context::Http],
        args: &[one("PERCENT", Kind::Percent(0, 100))],
        doc: "Begins a W3C trace for requests that carry none, so many percent of them marked as sampled.",
        more: "A well-formed `traceparent` of the client goes on to the server as it came, with this word and without it. `$traceparent` has either in logs.",
        otherwise: "none is begun",
        example: "trace 10%",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::Top, Context::Http],
        opens: Some(Context::ClientTimeout),
        doc: "How long clients may take.",
        more: "Each of them is given alone: those not given keep what holds at the top, or the default. How long servers may take stands in their `pool`.",
        example: "timeout head=5s idle=30s",
        ..ROW
    },
    Directive {
        name: "head",
        within: &[Context::ClientTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::CLIENT_HEAD_TIMEOUT)),
        doc: "For the whole head of a request, from its first byte.",
        more: "The whole, so that a client gains nothing by sending it byte by byte. Then 408.",
        example: "timeout head=5s",
        ..ROW
    },
    Directive {
        name: "body",
        within: &[Context::ClientTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::CLIENT_BODY_TIMEOUT)),
        doc: "Between two pieces of a request's body.",
        more: "Then 408, and the connection is closed. Small pieces do not end a pause: see `rate`.",
        example: "timeout body=10s",
        ..ROW
    },
    Directive {
        name: "idle",
        within: &[Context::ClientTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::CLIENT_IDLE_TIMEOUT)),
        doc: "Between an answer and the next request of a kept connection.",
        more: "The connection is closed without a word, as HTTP has it.",
        example: "timeout idle=30s",
        ..ROW
    },
    Directive {
        name: "send",
        within: &[Context::ClientTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, DAY))],
        default: Some(|| print::duration(defaults::CLIENT_SEND_TIMEOUT)),
        doc: "Without the client taking one byte of its answer.",
        more: "A client that reads slowly is left alone; one that reads nothing, or less than `rate`, is cut off.",
        example: "timeout send=10s",
        ..ROW
    },
    Directive {
        name: "rate",
        within: &[Context::ClientTimeout],
        args: &[one("SIZE", Kind::SizeOrOff(1, 1 << 30))],
        default: Some(|| print::size(defaults::CLIENT_RATE)),
        doc: "Bytes a second that a client has to move while it is waited for.",
        more: "Of its body, or of its answer. Time in which it is slower counts as a pause: who drips is cut off by `body` and `send` as who is \
               silent. What waits for a server counts for nothing. `off` takes any byte as a sign of life, for clients that stream slowly on purpose.",
        example: "timeout rate=1k",
        ..ROW
    },
    Directive {
        name: "tunnel",
        within: &[Context::ClientTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, MONTH))],
        default: Some(|| print::duration(defaults::TUNNEL_TIMEOUT)),
        doc: "On an upgraded connection (WebSocket), without a byte either way.",
        more: "Programs that keep such connections open send a ping now and then; this is for those that died.",
        example: "timeout tunnel=1h",
        ..ROW
    },
    Directive {
        name: "life",
        within: &[Context::ClientTimeout],
        args: &[one("DURATION", Kind::Duration(SHORTEST, MONTH))],
        default: Some(|| print::duration(defaults::CLIENT_LIFE)),
        doc: "The age past which a kept connection is closed after its answer.",
        more: "So that clients spread anew over balancers after one was away.",
        example: "timeout life=1h",
        ..ROW
    },
    Directive {
        name: "max",
        within: &[Context::Top, Context::Http],
        opens: Some(Context::Max),
        doc: "How much clients may send.",
        more: "Each of them is given alone: those not given keep what holds at the top, or the default.",
        example: "max body=10m fields=60",
        ..ROW
    },
    Directive {
        name: "head",
        within: &[Context::Max],
        args: &[one("SIZE", Kind::Size(1024, defaults::MAX_HEAD))],
        default: Some(|| print::size(defaults::MAX_HEAD)),
        doc: "Bytes of a request's head.",
        more: "More is answered 431.",
        example: "max head=8k",
        ..ROW
    },
    Directive {
        name: "fields",
        within: &[Context::Max],
        args: &[one("NUMBER", Kind::Integer(1, 1000))],
        default: Some(|| defaults::MAX_FIELDS.to_string()),
        doc: "Header fields of a request.",
        more: "More is answered 431.",
        example: "max fields=60",
        ..ROW
    },
    Directive {
        name: "target",
        within: &[Context::Max],
        args: &[one("SIZE", Kind::Size(128, defaults::MAX_HEAD))],
        default: Some(|| print::size(defaults::MAX_TARGET)),
        doc: "Bytes of a request's target: its path and query.",
        more: "More is answered 414.",
        example: "max target=4k",
        ..ROW
    },
    Directive {
        name: "body",
        within: &[Context::Max],
        args: &[one("SIZE", Kind::SizeOrOff(0, 1 << 50))],
        default: Some(|| "off".to_owned()),
        doc: "Bytes of a request's body.",
        more: "More is answered 413. Bodies are passed on as they come and never held as a whole, so that without a bound nothing here fills up; \
               the servers may need one.",
        example: "max body=10m",
        ..ROW
    },
    Directive {
        name: "requests",
        within: &[Context::Max],
        args: &[one("NUMBER", Kind::Integer(1, 1_000_000_000))],
        default: Some(|| defaults::MAX_REQUESTS.to_string()),
        doc: "Requests on one connection.",
        more: "The last one's answer closes it.",
        example: "max requests=1000",
        ..ROW
    },
    Directive {
        name: "streams",
        within: &[Context::Max],
        args: &[one("NUMBER", Kind::Integer(1, 1000))],
        default: Some(|| defaults::MAX_STREAMS.to_string()),
        doc: "Requests at one time on one HTTP/2 connection.",
        more: "Clients are told, and wait; one that does not is refused. Each takes as much memory as a busy connection.",
        example: "max streams=32",
        ..ROW
    },
    Directive {
        name: "max-conns",
        within: &[Context::Http, Context::Tcp],
        args: &[one("NUMBER", Kind::Integer(1, 1_000_000))],
        otherwise: "no bound but `limits conns`",
        doc: "Client connections at one time at this address.",
        more: "Exact over all workers. Past it, connections wait in the system's queue until one ends, and nothing of them is read; at `http` \
               and `https`, one that has been silent for longest makes room. It holds for the address as a whole. `status` and the metrics tell how \
               often it was reached. For one server's share write `max-conns=` in its `server` line.",
        example: "max-conns 5000",
        ..ROW
    },
    Directive {
        name: "request-header",
        within: &[Context::Http, Context::Route],
        args: &[
            one("EDIT", Kind::Choice(&["set", "add", "remove"])),
            one("NAME", Kind::Field),
            optional("VALUE", Kind::Template(Phase::Request)),
        ],
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Sets, adds or removes a header field of requests on their way to the server.",
        more: "`set` replaces every field of that name. Edits are done in written order, those of the block before those of the route.",
        example: "request-header set X-Client $client",
        ..ROW
    },
    Directive {
        name: "response-header",
        within: &[Context::Http, Context::Route],
        args: &[
            one("EDIT", Kind::Choice(&["set", "add", "remove"])),
            one("NAME", Kind::Field),
            optional("VALUE", Kind::Template(Phase::Answer)),
        ],
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Sets, adds or removes a header field of answers on their way to the client.",
        more: "As `request-header`. Facts of the answer's head such as `$status` and `$server` may be used.",
        example: "response-header remove Server",
        ..ROW
    },
    Directive {
        name: "route",
        within: &[Context::Http],
        args: &[one("PATTERN", Kind::PathPattern)],
        opens: Some(Context::Route),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Says where the requests of a path go.",
        more: "The first route that fits takes the request; a request that none fits goes to the block's own `to`, `redirect` or `respond`, or is \
               answered 404. `/exact` is one path, `/prefix/*` everything below and the prefix itself, `*` every path; in a glob such as \
               `/img/*.png` a `*` stops at `/`.",
        example: "route /api/* method=GET to=api",
        ..ROW
    },
    Directive {
        name: "to",
        within: &[Context::Http],
        args: &[many("ADDRESS", Kind::ServerOrUrl)],
        otherwise: "none",
        doc: "Sends every request that no route took to these servers.",
        more: "They make a pool of their own, for which `balance`, `sticky`, `check`, `eject`, `retry`, `queue`, `slow-start`, `reuse` and \
               `fail-open` may stand in the same block. `https://` before every address speaks TLS to them. Servers with weights or names go in a `pool`.",
        example: "http :80 {\n    to 10.0.0.11:8080 10.0.0.12:8080\n    sticky\n}",
        ..ROW
    },
];

const _: () = assert!(caps::CONNECTION_BUFFER as u64 > defaults::MAX_HEAD, "a head fits its buffer");

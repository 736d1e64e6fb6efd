//! Words of `zonefile`. A catalogue.

use std::time::Duration;

use evenkeel_model::defaults;

use super::{Context, Directive, Kind, ROW, Repeat, any, many, one};
use crate::print;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "zonefile",
        within: &[Context::Top],
        args: &[many("FILES", Kind::Path)],
        opens: Some(Context::Zonefile),
        repeat: Repeat::Many,
        otherwise: "none",
        doc: "Keeps balanced sets of zone files in step: A and AAAA records below a `;; BALANCED_AUTOCHECK::PORT` line are parked when their address does not answer.",
        more: "Paths, patterns such as `/etc/bind/zones/*.db`, or directories. A parked record is `;;` and its original bytes; the serial is raised with each change. A set is \
               never emptied, and nothing is changed while every target of every set fails. A line `;; BALANCED_OPTIONS: rise=3 fall=2 min=1 http=/health owners=any` before \
               the header says how for one block.",
        example: "zonefile /etc/bind/zones/*.db every=60s timeout=1s",
        ..ROW
    },
    Directive {
        name: "every",
        within: &[Context::Zonefile],
        args: &[one("DURATION", Kind::Duration(SECOND, Duration::from_secs(24 * 3600)))],
        default: Some(|| print::duration(defaults::ZONEFILE_EVERY)),
        doc: "From the start of one round over the files to the start of the next.",
        more: "A target that fails, or passes again, is asked again a second later until `fall` or `rise` is reached, so that a decision does not take several rounds.",
        example: "zonefile /etc/bind/zones every=20s",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::Zonefile],
        args: &[one("DURATION", Kind::Duration(Duration::from_millis(10), MINUTE))],
        default: Some(|| print::duration(defaults::ZONEFILE_TIMEOUT)),
        doc: "How long one probe may take, connection included.",
        more: "All targets are asked at the same time.",
        example: "zonefile /etc/bind/zones timeout=3s",
        ..ROW
    },
    Directive {
        name: "check",
        within: &[Context::Zonefile],
        args: &[any("PROBE", Kind::Text)],
        opens: Some(Context::ZoneCheck),
        otherwise: "what the header of each block says",
        doc: "What is asked of each target.",
        more: "`tcp` connects; `PATH`, `METHOD PATH` or `METHOD PATH HTTP/1.0` asks and looks at the answer. The port is the header's. A block's own `http=` goes before.",
        example: "check GET /health host=www.example.org expect=200",
        ..ROW
    },
    Directive {
        name: "rise",
        within: &[Context::ZoneCheck],
        args: &[one("NUMBER", Kind::Integer(1, 1000))],
        default: Some(|| defaults::ZONEFILE_RISE.to_string()),
        doc: "Probes passed in a row before a parked record comes back.",
        more: "A block's own `rise=` goes before.",
        example: "check tcp rise=3",
        ..ROW
    },
    Directive {
        name: "fall",
        within: &[Context::ZoneCheck],
        args: &[one("NUMBER", Kind::Integer(1, 1000))],
        default: Some(|| defaults::ZONEFILE_FALL.to_string()),
        doc: "Probes failed in a row before a record is parked.",
        more: "A block's own `fall=` goes before. Failures of this machine (no route, no descriptors) count for nothing.",
        example: "check tcp fall=3",
        ..ROW
    },
    Directive {
        name: "pool",
        within: &[Context::Zonefile],
        args: &[one("NAME", Kind::Name)],
        otherwise: "every target is probed",
        doc: "Takes this pool's verdicts for records that have the address of one of its servers.",
        more: "Such a record is not probed: it is parked while its server is down, draining or in maintenance.",
        example: "pool shop",
        ..ROW
    },
    Directive {
        name: "then",
        within: &[Context::Zonefile],
        args: &[many("WORD", Kind::Text)],
        opens: Some(Context::Then),
        otherwise: "nothing is run",
        doc: "The command to run after a file was changed.",
        more: "No shell reads it; quote words that hold `=`. With `{zone}` or `{file}` in it, it runs once for each changed file. It is tried again until it succeeds, also after a \
               restart; once it is written otherwise, the new one is run for the same files. Not beside `update`, which changes no file.",
        example: "then rndc reload",
        ..ROW
    },
    Directive {
        name: "timeout",
        within: &[Context::Then],
        args: &[one("DURATION", Kind::Duration(SECOND, HOUR))],
        default: Some(|| print::duration(defaults::THEN_TIMEOUT)),
        doc: "How long the command may run.",
        more: "What runs longer is killed with everything that it started, and counts as failed.",
        example: "then rndc reload timeout=10s",
        ..ROW
    },
    Directive {
        name: "update",
        within: &[Context::Zonefile],
        args: &[one("ADDRESS", Kind::Resolver)],
        opens: Some(Context::Update),
        otherwise: "the files are edited",
        doc: "Sends changes to this live server (RFC 2136) instead of editing the files.",
        more: "For dynamic and inline-signed zones. The files are read for their balanced sets alone and never written; any file with a header and its records will do. An update \
               names the whole set that it expects, so that nobody else's change is overwritten.",
        example: "update 127.0.0.1 key=file:/etc/evenkeel/ddns.key",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::Update],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "it must be given",
        doc: "The key that signs updates (TSIG, RFC 8945).",
        more: "BIND's `key \"NAME\" { algorithm hmac-sha256; secret \"…\"; };`, as `tsig-keygen` writes it, or `hmac-sha256:NAME:BASE64` on one line.",
        example: "update 127.0.0.1 key=file:/etc/evenkeel/ddns.key",
        ..ROW
    },
    Directive {
        name: "zone",
        within: &[Context::Update],
        args: &[one("NAME", Kind::Host)],
        otherwise: "the one that the file names by its SOA or `$ORIGIN`, or by its own name (`example.org.db`)",
        doc: "The zone that is updated.",
        more: "It has to be a zone that the server is primary for.",
        example: "update 127.0.0.1 key=file:/etc/evenkeel/ddns.key zone=example.org",
        ..ROW
    },
];

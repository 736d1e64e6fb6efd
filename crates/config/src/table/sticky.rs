//! `sticky` of a pool, and its options. A catalogue.

use std::time::Duration;

use evenkeel_model::defaults;

use super::pool::POOLS;
use super::{Context, Directive, Kind, ROW, Repeat, one, optional};
use crate::print;

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) static ROWS: &[Directive] = &[
    Directive {
        name: "sticky",
        within: POOLS,
        args: &[
            optional("METHOD", Kind::Choice(&["cookie", "query", "header", "path", "client", "learn"])),
            optional("NAME", Kind::Cookie),
        ],
        opens: Some(Context::Sticky),
        repeat: Repeat::Many,
        otherwise: "off",
        doc: "Keeps each client on the server that it had.",
        more: "By a cookie of ours that holds a sealed token: the client cannot read or change which server it has. Clients of a server that dies \
               go to another one. Balancers with the same `key` understand each other's cookies.",
        example: "sticky cookie SRV key=cred:sticky",
        ..ROW
    },
    Directive {
        name: "key",
        within: &[Context::Sticky],
        args: &[one("SECRET", Kind::Secret)],
        otherwise: "one is made and kept in the state directory",
        doc: "The secret that seals the cookies.",
        more: "Give it where several balancers share the clients. 32 bytes or more; `openssl rand -base64 32` makes one.",
        example: "sticky key=file:/etc/evenkeel/sticky.key",
        ..ROW
    },
    Directive {
        name: "idle",
        within: &[Context::Sticky],
        args: &[one("DURATION", Kind::Duration(Duration::from_secs(1), YEAR))],
        default: Some(|| print::duration(defaults::STICKY_IDLE)),
        doc: "A client that was away for so long is balanced anew.",
        more: "Set it as long as the servers keep their sessions.",
        example: "sticky idle=30m",
        ..ROW
    },
    Directive {
        name: "life",
        within: &[Context::Sticky],
        args: &[one("DURATION", Kind::Duration(Duration::from_secs(1), YEAR))],
        default: Some(|| print::duration(defaults::STICKY_LIFE)),
        doc: "A client is balanced anew after so long, even if it never was away.",
        more: "Not below `idle`.",
        example: "sticky life=12h",
        ..ROW
    },
];
